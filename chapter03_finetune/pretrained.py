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
OFFLINE = "work offline with --weights FILE.h5, or without them: --weights none"


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


def load_imagenet(backbone: keras.Model, name: str, alpha: float | None) -> None:
    """Takes Keras' weights, trained on ImageNet; says how large they are before a download."""
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    stems = (path.stem.replace("_", "") for path in folder.glob("*.h5"))
    if not any(stem.startswith(name.lower()) and stem.endswith("notop") for stem in stems):
        megabytes = 4 * backbone.count_params() / 1e6
        print(f"{name}'s ImageNet weights, about {megabytes:.0f} MB, will go to {folder}")
        if not inputs.reachable(HOST):
            raise UserError(f"no network: {HOST} cannot be reached", OFFLINE)
    try:
        trained = build_backbone(name, backbone.input_shape[1], alpha, "imagenet")
    except Exception as error:  # a failed download is a bare Exception in Keras
        raise UserError(f"{name} has no ImageNet weights here: {error}", OFFLINE) from error
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
        UserError: the file is no such file, or a layer does not fit; tells the first.
    """
    hint = "give the Keras weights (.h5) of this --model_name and --alpha; TF-slim's do not fit"
    try:
        with h5py.File(path) as file:
            stored = list(stored_values(file, backbone.layers))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} holds no weights that can be read ({error})", hint) from error
    for layer, values in zip(backbone.layers, stored, strict=True):
        expected = [tuple(weight.shape) for weight in layer.weights]
        found = [value.shape for value in values]
        if found != expected:
            raise UserError(
                f"{path} does not fit: layer {layer.name} needs weights of shapes {expected}, the "
                f"file has {found or 'none'}", hint)
    for layer, values in zip(backbone.layers, stored, strict=True):
        layer.set_weights(values)  # not `load_own_variables`: see `model.normalize`
