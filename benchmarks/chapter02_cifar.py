"""Pictures a second of training the book's network: our step and PyTorch's usual loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter02_cifar

Batches of 128 pictures from an array in memory; distortions, forward, backward, gradient descent,
weight decay and running averages are all counted. Both distort whole batches at once, which for
PyTorch is faster than a transform for each picture. `input` is our stream alone: what the network
could be fed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import compare

BATCH_SIZE = 128
SETTINGS = {"book's network, batch 128": {}}


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Returns pictures and labels of CIFAR's size and number."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (45_000, 32, 32, 3), np.uint8), rng.integers(0, 10, 45_000)


def ours(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures chapter 2's training step over its stream."""
    import keras
    import tensorflow as tf

    from chapter02_cifar import data, train
    from chapter02_cifar.model import build_model

    model, averages = build_model("book"), build_model("book")
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    train_step = train.make_train_step(
        tf.distribute.get_strategy(), model, averages, optimizer, BATCH_SIZE, 0.9999)
    batches = iter(data.training_batches(data.Split(*pictures()), BATCH_SIZE, seed=0))
    count = tf.Variable(0, dtype=tf.int64)

    def step() -> None:
        count.assign_add(1)
        float(train_step(*next(batches), count)[0])

    return step, BATCH_SIZE


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures the same network, distortions and averages in the usual PyTorch loop."""
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    layers = torch.nn

    def pool() -> torch.nn.Module:
        return layers.MaxPool2d(3, 2, ceil_mode=True)  # 24 -> 12 -> 6, as in TensorFlow

    def normalization() -> torch.nn.Module:
        return layers.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1.0)  # divides alpha by 9

    model = layers.Sequential(
        layers.Conv2d(3, 64, 5, padding=2), layers.ReLU(), pool(), normalization(),
        layers.Conv2d(64, 64, 5, padding=2), layers.ReLU(), normalization(), pool(),
        layers.Flatten(), layers.Linear(2304, 384), layers.ReLU(), layers.Linear(384, 192),
        layers.ReLU(), layers.Linear(192, 10))
    wide = [model[9].weight, model[11].weight]
    others = [p for p in model.parameters() if all(p is not w for w in wide)]
    optimizer = torch.optim.SGD([{"params": wide, "weight_decay": 0.004}, {"params": others}], 0.1)
    averages = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9999))
    images, labels = (torch.from_numpy(array) for array in pictures())
    images = images.permute(0, 3, 1, 2).contiguous()

    def distort(x: torch.Tensor) -> torch.Tensor:
        count, square = len(x), torch.arange(24)
        rows, columns = (torch.randint(9, (count, 1)) + square for _ in range(2))
        which = torch.arange(count)[:, None, None, None]
        channels = torch.arange(3)[None, :, None, None]
        x = x[which, channels, rows[:, None, :, None], columns[:, None, None, :]].float()
        x = torch.where(torch.rand(count, 1, 1, 1) < 0.5, x.flip(3), x)
        x = x + torch.empty(count, 1, 1, 1).uniform_(-63, 63)
        means = x.mean((2, 3), keepdim=True)
        x = means + torch.empty(count, 1, 1, 1).uniform_(0.2, 1.8) * (x - means)
        deviation, mean = torch.std_mean(x, (1, 2, 3), correction=0, keepdim=True)
        return (x - mean) / deviation.clamp(min=1728**-0.5)

    def batches():
        while True:
            for indices in torch.randperm(len(labels)).split(BATCH_SIZE):
                if len(indices) == BATCH_SIZE:
                    yield distort(images[indices]), labels[indices]

    stream = batches()

    def step() -> None:
        x, y = next(stream)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        averages.update_parameters(model)
        loss.item()

    return step, BATCH_SIZE


def input_alone(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures chapter 2's stream with nothing behind it."""
    from chapter02_cifar import data

    batches = iter(data.training_batches(data.Split(*pictures()), BATCH_SIZE, seed=0))
    return lambda: next(batches), BATCH_SIZE


def main(argv: Sequence[str] | None = None) -> int:
    """Drives the rounds, or makes one measurement."""
    contenders = {"ours": ours, "pytorch": pytorch, "input": input_alone}
    return compare.run("chapter02_cifar", "pictures/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
