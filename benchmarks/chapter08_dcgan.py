"""Images per second of DCGAN's training: ours, and the same networks in an eager PyTorch loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter08_dcgan

Unconditional networks for RGB images of 64 x 64 pixels, batches of 64: one update of the
discriminator and one of the generator, by Adam. Both have the same initial weights and must find
the same loss of the discriminator in the first step. Images are uint8 in memory.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness

BATCH_SIZE = 64
SIDE = 64
SETTINGS = {"the book's networks": {"preset": "book"}, "compact networks": {"preset": "photos"}}


def build(setting: dict[str, Any]) -> tuple[Any, Any]:
    """Returns the flags of a setting, without augmentation and averages, and its networks."""
    from chapter08_dcgan import model, train

    args = harness.flags(train, setting["preset"], loss="gan", augment="", ema_decay=0.0, r1=0.0,
                         batch_size=BATCH_SIZE, random_flip=False, g_steps=1)
    shape = model.Shape(SIDE, SIDE, 3)
    return args, model.build(args.model, shape, args.seed, args.z_dim, args.width)


def ours(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures chapter 8's train step on its input pipeline."""
    import keras

    from chapter08_dcgan import data, train

    args, networks = build(setting)
    adams = [keras.optimizers.Adam(args.learning_rate, args.beta1, epsilon=train.EPSILON)
             for _ in range(2)]
    for adam, network in zip(adams, networks[:2], strict=True):
        adam.build(network.trainable_variables)
    train_step = train.make_train_step(args, networks, None, *adams)
    # One batch in all, so that the first step sees the same images, in any order.
    split = data.Split(*harness.random_images(BATCH_SIZE, SIDE, SIDE, 3))
    batches = iter(data.training_batches(split, 0, BATCH_SIZE, args.seed))
    return lambda: float(train_step(*next(batches))[0]["d_loss"]), BATCH_SIZE


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures a plain PyTorch loop."""
    import tensorflow as tf
    import torch
    from torch.nn import functional

    from benchmarks import torch_gans

    args, networks = build(setting)
    generator, discriminator = (torch_gans.chain(network) for network in networks[:2])
    adams = [torch.optim.Adam(network.parameters(), args.learning_rate, (args.beta1, 0.999))
             for network in (generator, discriminator)]
    images, _ = harness.random_images(BATCH_SIZE, SIDE, SIDE, 3)
    # The z of our step 0, then others.
    first = torch.from_numpy(tf.random.stateless_uniform((BATCH_SIZE, args.z_dim), (args.seed, 0),
                                                         -1, 1).numpy())
    rng, steps = np.random.default_rng(0), iter([first])

    def loss(logits: torch.Tensor, target: float) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(
            logits, torch.full_like(logits, target))

    def step() -> float:
        real = torch_gans.channels_first(images[rng.permutation(BATCH_SIZE)])
        z = next(steps, None)
        z = torch.rand(BATCH_SIZE, args.z_dim) * 2 - 1 if z is None else z
        fake = generator(z)
        d_loss = loss(discriminator(real), 1.0) + loss(discriminator(fake.detach()), 0.0)
        adams[1].zero_grad()
        d_loss.backward()
        adams[1].step()
        adams[0].zero_grad()
        loss(discriminator(fake), 1.0).backward()
        adams[0].step()
        return d_loss.item()

    return step, BATCH_SIZE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    harness.WARMUP_STEPS = 2  # a step takes a second
    contenders = {"ours": ours, "pytorch": pytorch}
    return harness.run("chapter08_dcgan", "images/s", contenders, SETTINGS, argv, 1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
