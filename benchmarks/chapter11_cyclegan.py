"""Steps per second of CycleGAN's training: ours, and the same networks in an eager PyTorch loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter11_cyclegan

The networks of the preset `best` (128 x 128 pixels, 32 channels, six residual blocks), batches of
one image, without pool, averages and identity start; with resized and with transposed convolutions.
A step is one update of each of the four networks by Adam. Both have the same initial weights and
must find the same loss of G in the first step. Images are uint8 in memory.
"""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import harness

SIDE = 128
SETTINGS = {"resize": {"upsample": "resize"}, "transpose": {"upsample": "transpose"}}


def build(setting: dict[str, Any]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Returns the flags of a setting, its generators and its discriminators."""
    from chapter11_cyclegan import inference, train

    args = harness.flags(train, "best", identity_start=False, pool_size=0, schedule="constant",
                         blocks=6, image_size=SIDE, **setting)
    return args, inference.build_generators(args), inference.build_discriminators(args)


def ours(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures chapter 11's train step."""
    import tensorflow as tf

    from chapter11_cyclegan import train
    from chapter11_cyclegan.pool import ImagePool
    from chapter11_cyclegan.training import make_optimizer

    args, generators, discriminators = build(setting)
    networks = generators | discriminators
    optimizers = {name: make_optimizer(args) for name in networks}
    for name, network in networks.items():
        optimizers[name].build(network.trainable_variables)
    pools = {name: ImagePool(0, (SIDE, SIDE, 3)) for name in ("pool_x", "pool_y")}
    train_step = train.make_train_step(args, generators, discriminators, pools, optimizers)
    pair, number = harness.random_images(2, SIDE, SIDE, 3)[0], tf.Variable(1, dtype=tf.int64)

    def step() -> float:
        images = tf.cast(pair, tf.float32) / 127.5 - 1
        return float(train_step(number, images[:1], images[1:])["loss/G"])

    return step, 1


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures a plain PyTorch loop."""
    import torch

    from benchmarks import torch_cyclegan
    from benchmarks.torch_gans import channels_first
    from chapter11_cyclegan.training import EPSILON

    args, generators, discriminators = build(setting)
    g, f = map(torch_cyclegan.Generator, generators.values())
    d_x, d_y = map(torch_cyclegan.discriminator, discriminators.values())
    adams = [torch.optim.Adam(network.parameters(), args.learning_rate, (args.beta1, 0.999),
                              EPSILON) for network in (g, f, d_x, d_y)]
    pair = harness.random_images(2, SIDE, SIDE, 3)[0]

    def step() -> float:
        x, y = channels_first(pair).split(1)
        fake_y, fake_x = g(x), f(y)
        cycle = (args.lambda1 * (f(fake_y) - x).abs().mean()
                 + args.lambda2 * (g(fake_x) - y).abs().mean())
        for network in (d_x, d_y):  # their gradients of this loss are not needed
            network.requires_grad_(False)
        g_loss = (d_y(fake_y) - 0.9).square().mean()
        total = g_loss + (d_x(fake_x) - 0.9).square().mean() + cycle
        for adam in adams:
            adam.zero_grad()
        total.backward()
        for network in (d_x, d_y):
            network.requires_grad_(True)
        losses = [((network(real) - 0.9).square().mean() + network(fake.detach()).square().mean())
                  / 2 for network, real, fake in ((d_x, x, fake_x), (d_y, y, fake_y))]
        sum(losses).backward()
        for adam in adams:
            adam.step()
        return (g_loss + cycle).item()

    return step, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "pytorch": pytorch}
    return harness.run("chapter11_cyclegan", "steps/s", contenders, SETTINGS, argv, 1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
