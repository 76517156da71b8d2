"""Pictures a second of training the book's convolutional network: ours and PyTorch's usual loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter01_mnist

Batches of 128 pictures, shuffled anew each epoch from an array in memory; forward, backward, Adam
and input pipeline are all counted. `input` is our stream alone: what the network could be fed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import compare

BATCH_SIZE = 128
SETTINGS = {"conv, batch 128": {}}


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Returns pictures and labels of MNIST's size and number."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (55_000, 28, 28), np.uint8), rng.integers(0, 10, 55_000)


def ours(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures `fit` over chapter 1's stream, 25 batches a call."""
    import keras

    from chapter01_mnist import data
    from chapter01_mnist.model import build_model

    model = build_model("conv", keep_prob=0.5)
    model.compile(keras.optimizers.Adam(1e-4),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    batches = data.training_batches(data.Split(*pictures()), BATCH_SIZE, seed=0)

    def step() -> None:
        model.fit(batches, steps_per_epoch=25, verbose=0, shuffle=False)

    return step, 25 * BATCH_SIZE


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures the same network in the usual PyTorch loop."""
    import torch

    layers = torch.nn
    model = layers.Sequential(
        layers.Conv2d(1, 32, 5, padding=2), layers.ReLU(), layers.MaxPool2d(2),
        layers.Conv2d(32, 64, 5, padding=2), layers.ReLU(), layers.MaxPool2d(2),
        layers.Flatten(), layers.Linear(3136, 1024), layers.ReLU(), layers.Dropout(0.5),
        layers.Linear(1024, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    images, labels = (torch.from_numpy(array) for array in pictures())

    def batches():
        while True:
            for indices in torch.randperm(len(labels)).split(BATCH_SIZE):
                if len(indices) == BATCH_SIZE:
                    yield images[indices].float()[:, None] / 255, labels[indices]

    stream = batches()

    def step() -> None:
        for _ in range(25):
            x, y = next(stream)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()

    return step, 25 * BATCH_SIZE


def input_alone(setting: dict[str, Any], augmented: bool = False) -> tuple[Callable[[], Any], int]:
    """Measures chapter 1's stream with nothing behind it."""
    from chapter01_mnist import data

    batches = iter(data.training_batches(data.Split(*pictures()), BATCH_SIZE, 0, 0, augmented))
    return lambda: next(batches), BATCH_SIZE


def input_augmented(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures the same with `--augment`."""
    return input_alone(setting, augmented=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Drives the rounds, or makes one measurement."""
    contenders = {"ours": ours, "pytorch": pytorch, "input": input_alone,
                  "input_augmented": input_augmented}
    return compare.run("chapter01_mnist", "pictures/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
