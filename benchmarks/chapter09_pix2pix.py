"""Pairs per second of pix2pix's training: ours, and the same networks in an eager PyTorch loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter09_pix2pix

The networks of the preset `map2photo`, without dropout and averages: U-Net of 32 channels at
128 x 128 pixels, PatchGAN of 70 pixels, instance normalization, batches of 4; and the same without
the discriminator. One update of each network by Adam. Both have the same initial weights and must
find the same L1 in the first step. Pairs are uint8 in memory.
"""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import harness

BATCH_SIZE = 4
SIDE = 128
SETTINGS = {"L1 and discriminator": {"gan_weight": 1.0}, "L1 alone": {"gan_weight": 0.0}}


def build(setting: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Returns the flags of a setting, its generator and its discriminator, or None."""
    from chapter09_pix2pix import inference, train

    args = harness.flags(train, "map2photo", dropout=False, batch_size=BATCH_SIZE,
                         schedule="constant", **setting)
    return args, inference.build(args), inference.build_judge(args) if args.gan_weight else None


def ours(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures chapter 9's train step."""
    import tensorflow as tf

    from chapter09_pix2pix import train

    args, generator, judge = build(setting)
    networks = {"generator": generator} | ({"discriminator": judge} if judge else {})
    optimizers = {name: train.make_optimizer(args) for name in networks}
    for name, network in networks.items():
        optimizers[name].build(network.trainable_variables)
    train_step = train.make_train_step(args, generator, judge, optimizers)
    pairs = harness.random_images(2 * BATCH_SIZE, SIDE, SIDE, 3)[0]

    def step() -> float:
        images = tf.cast(pairs, tf.float32) / 127.5 - 1
        return float(train_step(images[:BATCH_SIZE], images[BATCH_SIZE:])["generator_loss_L1"])

    return step, BATCH_SIZE


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures a plain PyTorch loop."""
    import torch
    from torch.nn.functional import softplus

    from benchmarks import torch_gans

    args, generator, judge = build(setting)
    generator, judge = torch_gans.UNet(generator), judge and torch_gans.chain(judge)
    adams = [torch.optim.Adam(network.parameters(), args.learning_rate, (args.beta1, 0.999), 1e-7)
             for network in (generator, judge) if network]
    pairs = harness.random_images(2 * BATCH_SIZE, SIDE, SIDE, 3)[0]

    def step() -> float:
        inputs, targets = torch_gans.channels_first(pairs).split(BATCH_SIZE)
        outputs = generator(inputs)
        l1 = (targets - outputs).abs().mean()
        loss = args.l1_weight * l1
        if judge:
            real = judge(torch.cat([inputs, targets], 1))
            fake = judge(torch.cat([inputs, outputs.detach()], 1))
            adams[1].zero_grad()
            (softplus(-real) + softplus(fake)).mean().backward()
            adams[1].step()
            judged = judge(torch.cat([inputs, outputs], 1))
            loss = loss + args.gan_weight * softplus(-judged).mean()
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()
        return l1.item()

    return step, BATCH_SIZE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "pytorch": pytorch}
    return harness.run("chapter09_pix2pix", "pairs/s", contenders, SETTINGS, argv, 1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
