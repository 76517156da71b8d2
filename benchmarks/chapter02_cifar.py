"""Images per second in training the book's network: our step and a PyTorch loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter02_cifar

Batches of 128 images from an array in memory. Augmentation, forward pass, backward pass, gradient
descent, weight decay and moving averages are all included. Both augment whole batches at once,
which in PyTorch is faster than a transform per image. `input` is our input pipeline alone.
"""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import harness

BATCH_SIZE = 128
SHAPE = 45_000, 32, 32, 3  # the training part of CIFAR-10
SETTINGS = {"book's network, batch 128": {}}


def ours(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures chapter 2's training step on its input pipeline."""
    import keras
    import tensorflow as tf

    from chapter02_cifar import data, train
    from chapter02_cifar.model import build_model

    model, averages = build_model("book"), build_model("book")
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    train_step = train.make_train_step(
        tf.distribute.get_strategy(), model, averages, optimizer, BATCH_SIZE, 0.9999)
    split = data.Split(*harness.random_images(*SHAPE))
    batches = iter(data.training_batches(split, BATCH_SIZE, seed=0))
    count = tf.Variable(0, dtype=tf.int64)

    def step() -> None:
        count.assign_add(1)
        float(train_step(*next(batches), count)[0])

    return step, BATCH_SIZE


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures the same network, augmentation and averages in a plain PyTorch loop."""
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
    images, labels = (torch.from_numpy(array) for array in harness.random_images(*SHAPE))
    batches = harness.torch_batches(images.permute(0, 3, 1, 2).contiguous(), labels, BATCH_SIZE)

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

    def step() -> None:
        x, y = next(batches)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(distort(x)), y)
        loss.backward()
        optimizer.step()
        averages.update_parameters(model)
        loss.item()

    return step, BATCH_SIZE


def input_alone(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures chapter 2's input pipeline without a network."""
    from chapter02_cifar import data

    split = data.Split(*harness.random_images(*SHAPE))
    batches = iter(data.training_batches(split, BATCH_SIZE, seed=0))
    return lambda: next(batches), BATCH_SIZE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "pytorch": pytorch, "input": input_alone}
    return harness.run("chapter02_cifar", "images/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
