"""Weights to begin with: those of keras.applications, downloaded once, or a file of one's own."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np

from chapter03_finetune.model import build_backbone
from common import inputs
from common.errors import UserError

HOST = "https://storage.googleapis.com"  # where Keras keeps the weights of keras.applications
HINT = "work offline with --weights FILE.h5, or without them: --weights none"


def first_line(error: Exception) -> str:
    """Returns what an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def load(backbone: keras.Model, weights: str, name: str, alpha: float | None) -> None:
    """Gives a backbone its first weights.

    Args:
        backbone: from `build_backbone`.
        weights: "imagenet", "none" for the random ones it has, or the path of a file.
        name: of the network, one of NETWORKS.
        alpha: of a MobileNet; None is 1.

    Raises:
        UserError: the weights cannot be had, or do not fit.
    """
    if weights == "imagenet":
        load_imagenet(backbone, name, alpha)
    elif weights != "none":
        load_file(backbone, Path(weights))


def imagenet_file(name: str, size: int, alpha: float | None) -> str:
    """Returns what Keras calls its file of a network's weights without the classifier.

    Args:
        name: one of NETWORKS.
        size: pixels along either side of the pictures; MobileNets were trained at some sizes.
        alpha: of a MobileNet, one that Keras has weights for; None is 1.
    """
    if size not in (128, 160, 192, 224) and (name, size) != ("MobileNetV2", 96):
        size = 224
    match name:
        case "MobileNet":
            channels = {None: "1_0", 1: "1_0", 0.75: "7_5", 0.5: "5_0"}.get(alpha, "2_5")
            return f"mobilenet_{channels}_{size}_tf_no_top.h5"
        case "MobileNetV2":
            return ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_"
                    f"{alpha or 1.0}_{size}_no_top.h5")
        case "EfficientNetB0":
            return "efficientnetb0_notop.h5"
    stems = {"InceptionV3": "inception_v3", "InceptionResNetV2": "inception_resnet_v2"}
    stem = stems.get(name, name.lower())
    return f"{stem}_weights_tf_dim_ordering_tf_kernels_notop.h5"


def load_imagenet(backbone: keras.Model, name: str, alpha: float | None) -> None:
    """Takes Keras' weights, trained on ImageNet; says how large they are before a download."""
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    size = backbone.input_shape[1]
    if not (folder / imagenet_file(name, size, alpha)).is_file():
        megabytes = 4 * backbone.count_params() / 1e6
        print(f"{name}'s ImageNet weights, about {megabytes:.0f} MB, will go to {folder}")
        if not inputs.reachable(HOST):
            raise UserError(f"no network: {HOST} cannot be reached", HINT)
    try:
        trained = build_backbone(name, size, alpha, "imagenet")
    except Exception as error:  # a failed download is a bare Exception in Keras
        raise UserError(f"{name} has no ImageNet weights here: {first_line(error)}",
                        HINT) from error
    backbone.set_weights(trained.get_weights())


def stored_values(file: h5py.File, layers: list[keras.Layer]) -> Iterator[list[np.ndarray]]:
    """Yields what a file holds for each of some layers, nothing where it ends too early.

    Keras 3 (`.weights.h5`) stores a layer under its class and a number, Keras 2 (`.h5`) by the
    order of the layers. What a whole network has behind its backbone comes last in both.
    """
    if "layer_names" in file.attrs:
        groups = [file[name] for name in file.attrs["layer_names"]]
        stored = [[group[name][()] for name in names] for group in groups
                  if len(names := group.attrs["weight_names"])]
        rest = iter(stored)
        yield from (next(rest, []) if layer.weights else [] for layer in layers)
        return
    seen: Counter[str] = Counter()
    for layer in layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_",
                      type(layer).__name__).lower()  # DepthwiseConv2D: depthwise_conv2d
        name = f"layers/{kind}_{seen[kind]}/vars" if seen[kind] else f"layers/{kind}/vars"
        seen[kind] += 1
        values = file.get(name, {})
        yield [values[key][()] for key in sorted(values, key=int)]


def load_file(backbone: keras.Model, path: Path) -> None:
    """Reads a file that Keras 2 or 3 has written, of a whole network or of its backbone.

    Raises:
        UserError: there is no such file, or a layer does not fit; tells the first.
    """
    hint = "give the Keras weights (.h5) of this --model_name and --alpha; TF-slim's do not fit"
    if not path.is_file():
        raise UserError(f"there is no file {path}", hint)
    try:
        with h5py.File(path) as file:
            stored = list(stored_values(file, backbone.layers))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} holds no weights that can be read ({first_line(error)})",
                        hint) from error
    for layer, values in zip(backbone.layers, stored, strict=True):
        expected = [tuple(weight.shape) for weight in layer.weights]
        found = [value.shape for value in values]
        if found != expected:
            raise UserError(
                f"{path} does not fit: layer {layer.name} needs weights of shapes {expected}, the "
                f"file has {found or 'none'}", hint)
    for layer, values in zip(backbone.layers, stored, strict=True):
        layer.set_weights(values)  # not `load_own_variables`: see `model.normalize`
