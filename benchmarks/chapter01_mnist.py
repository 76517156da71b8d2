"""Images per second in training the book's convolutional network: ours and a PyTorch loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter01_mnist

Batches of 128 images, shuffled in each epoch, from an array in memory. Forward pass, backward pass,
Adam and input pipeline are all included. `input` is our input pipeline alone.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import harness

BATCH_SIZE = 128
SHAPE = 55_000, 28, 28  # the training part of MNIST
SETTINGS = {"conv, batch 128": {}}


def ours(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures `fit` on chapter 1's input pipeline, 25 batches per call."""
    import keras

    from chapter01_mnist import data
    from chapter01_mnist.model import build_model

    model = build_model("conv", keep_prob=0.5)
    model.compile(keras.optimizers.Adam(1e-4),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    split = data.Split(*harness.random_images(*SHAPE))
    batches = data.training_batches(split, BATCH_SIZE, seed=0)

    def step() -> None:
        model.fit(batches, steps_per_epoch=25, verbose=0, shuffle=False)

    return step, 25 * BATCH_SIZE


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures the same network in a plain PyTorch loop."""
    import torch

    layers = torch.nn
    model = layers.Sequential(
        layers.Conv2d(1, 32, 5, padding=2), layers.ReLU(), layers.MaxPool2d(2),
        layers.Conv2d(32, 64, 5, padding=2), layers.ReLU(), layers.MaxPool2d(2),
        layers.Flatten(), layers.Linear(3136, 1024), layers.ReLU(), layers.Dropout(0.5),
        layers.Linear(1024, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    images, labels = (torch.from_numpy(array) for array in harness.random_images(*SHAPE))
    batches = harness.torch_batches(images, labels, BATCH_SIZE)

    def step() -> None:
        for _ in range(25):
            x, y = next(batches)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x.float()[:, None] / 255), y)
            loss.backward()
            optimizer.step()
            loss.item()

    return step, 25 * BATCH_SIZE


def input_alone(setting: dict[str, Any], augmented: bool = False) -> tuple[Callable[[], Any], int]:
    """Measures chapter 1's input pipeline without a network; `augmented`: with --augment."""
    from chapter01_mnist import data

    split = data.Split(*harness.random_images(*SHAPE))
    batches = iter(data.training_batches(split, BATCH_SIZE, 0, 0, augmented))
    return lambda: next(batches), BATCH_SIZE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "pytorch": pytorch, "input": input_alone,
                  "input_augmented": functools.partial(input_alone, augmented=True)}
    return harness.run("chapter01_mnist", "images/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
