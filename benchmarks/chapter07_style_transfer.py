"""Images per second of fast style transfer, in training and in use: ours and PyTorch.

    pip install -e ".[hed]" -r requirements-benchmarks.txt
    python -m benchmarks.chapter07_style_transfer

The default generator and the losses of the preset `best`, through VGG-16. All have the same
weights, and must find the same loss in the first step, or make the same image. Training includes
the input pipeline; stylizing begins and ends with images in uint8. Each uses one thread, so that
other programs on the machine slow both alike. PyTorch's layout `channels_last` is slower here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness

SIZE = 128  # pixels of each side of the photographs that are trained on
FRAME = (640, 480)  # width and height of the images that are stylized
STYLE = "waves"  # drawn by code
LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3")
CONTENT = 2  # number of the content layer in LAYERS
SETTINGS = {
    f"training, {SIZE} x {SIZE} pixels": {"batch_size": 1},
    f"stylizing, {FRAME[0]} x {FRAME[1]} pixels": {"batch_size": None},
}


def photograph(size: int) -> np.ndarray:
    """Returns a square of a photograph of scikit-learn, uint8 of shape (size, size, 3)."""
    import sklearn.datasets

    from chapter07_style_transfer import data

    return data.centre(sklearn.datasets.load_sample_image("china.jpg"), size)


def frame() -> np.ndarray:
    """Returns an image to stylize, uint8 of shape (480, 640, 3)."""
    return photograph(FRAME[0])[: FRAME[1]]


def ours(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures chapter 7's train step on its input pipeline, or its stylizer."""
    import keras
    import tensorflow as tf

    from chapter07_style_transfer import data, inference, train

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    args = harness.flags(train, "best", style_image=STYLE, dataset="sample", typed={})
    generator = inference.build(args)
    if not setting["batch_size"]:
        stylize, image = inference.make_stylizer(generator, max(FRAME)), frame()
        return lambda: float(stylize(image).std()), 1
    optimizer = keras.optimizers.Adam(args.learning_rate)
    optimizer.build(generator.trainable_variables)
    objective, _, _ = inference.open_objective(args)
    train_step = train.make_train_step(generator, optimizer, objective, args.clip_norm)
    batches = iter(data.training_batches(data.load(args).train, setting["batch_size"], SIZE, SIZE,
                                         "central", args.seed))
    return lambda: float(train_step(next(batches))[1]["total_loss"]), setting["batch_size"]


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures a plain PyTorch loop."""
    import torch

    from benchmarks import torch_networks
    from chapter07_style_transfer import data, inference, train
    from common import pretrained

    torch.set_num_threads(1)
    args = harness.flags(train, "best", style_image=STYLE)
    generator = torch_networks.Generator(inference.build(args))

    def tensor(images: np.ndarray) -> torch.Tensor:  # (batch, height, width, 3)
        return torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()

    if not setting["batch_size"]:
        image = frame()

        @torch.inference_mode()
        def stylize() -> float:
            stylized = generator(tensor(image[None])).clamp(0, 255).round().byte()
            return float(stylized[0].permute(1, 2, 0).numpy().std())

        return stylize, 1

    vgg = pretrained.build_maps("VGG16")
    pretrained.load(vgg, "hed", "VGG16", None)
    parts = torch_networks.parts(vgg, LAYERS, before_relu=False)

    def features(images: torch.Tensor, count: int = len(LAYERS)) -> list[torch.Tensor]:
        found = [torch_networks.prepare_vgg(images)]
        for part in parts[:count]:
            found.append(part(found[-1]))
        return found[1:]

    def grams(images: torch.Tensor, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        pixels = torch.cat([images / 127.5 - 1, torch.ones_like(images[:, :1])], dim=1)
        flat = [found.flatten(2) for found in (pixels, *maps)]  # (batch, channels, places)
        return [f @ f.transpose(1, 2) / f[0].numel() for f in flat]

    style = tensor(data.read_style(STYLE, args.style_size)[None])
    targets = grams(style, features(style))
    optimizer = torch.optim.Adam(generator.parameters(), args.learning_rate)
    photographs = np.stack([photograph(SIZE)])
    rng = np.random.default_rng(0)

    def step() -> float:
        batch = tensor(photographs[rng.integers(len(photographs), size=setting["batch_size"])])
        with torch.no_grad():
            content = features(batch, CONTENT + 1)[CONTENT]
        generated = generator(batch)
        maps = features(generated)
        error = (maps[CONTENT] - content).square().sum((1, 2, 3))
        loss = args.content_weight * (error / content.square().sum((1, 2, 3))).mean()
        for found, target in zip(grams(generated, maps), targets, strict=True):
            error = (found - target).square().sum((1, 2)).mean()
            loss = loss + args.style_weight * error / target.square().sum()
        down, right = generated.diff(dim=2), generated.diff(dim=3)
        variation = (down.square().mean() + right.square().mean()) / 2 / 255**2
        loss = loss + args.tv_weight * variation
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(generator.parameters(), args.clip_norm)
        optimizer.step()
        return loss.item()

    return step, setting["batch_size"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    harness.WARMUP_STEPS = 2  # a step of PyTorch takes seconds
    contenders = {"ours": ours, "pytorch": pytorch}
    return harness.run("chapter07_style_transfer", "images/s", contenders, SETTINGS, argv, 1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
