"""Networks of keras.applications without their classifier, and their pretrained weights.

All take float32 RGB images in [0, 255] of shape (batch, size, size, 3). The preprocessing of each
network is part of its graph.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

from common import cli, files
from common.errors import UserError

applications = keras.applications

HOST = "https://storage.googleapis.com"  # where Keras keeps the weights of keras.applications
ADDRESS = HOST + "/tensorflow/keras-applications"
HINT = "use a local file, --weights FILE.h5, or random weights, --weights none"
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of RGB values in [0, 1]
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Network(NamedTuple):
    """A network of keras.applications.

    Attributes:
        build: its function in keras.applications.
        preprocess: what its inputs need.
        size: default height and width of its inputs in pixels.
        address: where Keras keeps its ImageNet weights.
        md5: of the file without the classifier; Keras publishes none for MobileNets.
    """

    build: Callable[..., keras.Model]
    preprocess: Callable[[keras.KerasTensor], keras.KerasTensor]
    size: int
    address: str
    md5: str | None = None


def normalize(images: keras.KerasTensor) -> keras.KerasTensor:
    """Normalizes inputs of EfficientNet by ImageNet's mean and standard deviation, times 255.

    EfficientNet's first layer divides by 255. Its second layer, Normalization, uses its statistics
    only after they were loaded from a file, not by `set_weights` or from a checkpoint. It stays the
    identity here.
    """
    return (images - 255 * IMAGENET_MEAN) / IMAGENET_DEVIATION


NETWORKS = {
    "InceptionV3": Network(
        applications.InceptionV3, applications.inception_v3.preprocess_input, 299,
        f"{ADDRESS}/inception_v3", "bcbd6486424b2319ff4ef7d526e38f63"),
    "InceptionResNetV2": Network(
        applications.InceptionResNetV2, applications.inception_resnet_v2.preprocess_input, 299,
        f"{ADDRESS}/inception_resnet_v2", "d19885ff4a710c122648d3b5c3b684e4"),
    "VGG16": Network(
        applications.VGG16, applications.vgg16.preprocess_input, 224,
        f"{ADDRESS}/vgg16", "6d6bbae143d832006294945121d1f1fc"),
    "VGG19": Network(
        applications.VGG19, applications.vgg19.preprocess_input, 224,
        f"{ADDRESS}/vgg19", "253f8cb515780f3b799900260a226db6"),
    "ResNet50": Network(
        applications.ResNet50, applications.resnet.preprocess_input, 224,
        f"{ADDRESS}/resnet", "4d473c1dd8becc155b73f8504c6f6626"),
    "ResNet101": Network(
        applications.ResNet101, applications.resnet.preprocess_input, 224,
        f"{ADDRESS}/resnet", "88cf7a10940856eca736dc7b7e228a21"),
    "ResNet152": Network(
        applications.ResNet152, applications.resnet.preprocess_input, 224,
        f"{ADDRESS}/resnet", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "ResNet50V2": Network(
        applications.ResNet50V2, applications.resnet_v2.preprocess_input, 224,
        f"{ADDRESS}/resnet", "fac2f116257151a9d068a22e544a4917"),
    "ResNet101V2": Network(
        applications.ResNet101V2, applications.resnet_v2.preprocess_input, 224,
        f"{ADDRESS}/resnet", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "ResNet152V2": Network(
        applications.ResNet152V2, applications.resnet_v2.preprocess_input, 224,
        f"{ADDRESS}/resnet", "ed17cf2e0169df9d443503ef94b23b33"),
    "MobileNet": Network(
        applications.MobileNet, applications.mobilenet.preprocess_input, 224,
        f"{ADDRESS}/mobilenet"),
    "MobileNetV2": Network(
        applications.MobileNetV2, applications.mobilenet_v2.preprocess_input, 224,
        f"{ADDRESS}/mobilenet_v2"),
    "EfficientNetB0": Network(
        applications.EfficientNetB0, normalize, 224, f"{HOST}/keras-applications",
        "50bc09e76180e00e4465e1a485ddc09d"),
}


def build_backbone(
    name: str, size: int | None = None, alpha: float | None = None, weights: str | None = None
) -> keras.Model:
    """Builds a network without its classifier, up to global average pooling.

    Args:
        name: one of NETWORKS.
        size: height and width of the inputs in pixels; None is the network's default.
        alpha: width multiplier of a MobileNet; None is 1.
        weights: "imagenet", or None for random ones.

    Raises:
        ValueError: the network does not support this size or this `alpha`.
    """
    entry, options = NETWORKS[name], {}
    images = keras.Input((size or entry.size, size or entry.size, 3))
    if name.startswith("MobileNet"):
        options["alpha"] = alpha or 1.0
    elif alpha not in (None, 1):
        raise ValueError(f"--alpha {alpha} is for a MobileNet; {name} needs --alpha 1")
    network = entry.build(include_top=False, weights=weights, input_shape=images.shape[1:],
                          input_tensor=entry.preprocess(images), pooling="avg", **options)
    return keras.Model(images, network.output, name="backbone")


def weights(text: str) -> str:
    """Returns "imagenet", "none", or an absolute path (an argparse `type`)."""
    return text if text in ("imagenet", "none") else cli.path(text)


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, or its type."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def load(backbone: keras.Model, weights: str, name: str, alpha: float | None) -> None:
    """Loads the initial weights of a backbone.

    Args:
        backbone: from `build_backbone`.
        weights: "imagenet", "none" to keep the random ones, or the path of a file.
        name: of the network, one of NETWORKS.
        alpha: of a MobileNet; None is 1.

    Raises:
        UserError: the weights cannot be read or downloaded, or do not fit.
    """
    if weights == "imagenet":
        load_imagenet(backbone, name, alpha)
    elif weights != "none":
        load_file(backbone, Path(weights))


def imagenet_file(name: str, size: int, alpha: float | None) -> str:
    """Returns the name of Keras' file of a network's weights without its classifier.

    Args:
        name: one of NETWORKS.
        size: height and width of the inputs; MobileNets have weights for several sizes.
        alpha: of a MobileNet, one for which Keras has weights; None is 1.
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
    """Loads Keras' ImageNet weights; prints their size before a download.

    Raises:
        UserError: the weights cannot be downloaded, or do not exist for this network.
    """
    size, network = backbone.input_shape[1], NETWORKS[name]
    folder = Path(os.environ.get("KERAS_HOME") or files.home() / ".keras") / "models"
    path = folder / imagenet_file(name, size, alpha)
    if path.is_file():  # Keras would delete a file of another md5
        load_file(backbone, path)
        return
    megabytes = 4 * backbone.count_params() / 1e6
    print(f"downloading {name}'s ImageNet weights, about {megabytes:.0f} MB, to {folder}")
    checksum = f"md5 {network.md5}" if network.md5 else "no checksum is published"
    by_hand = f"place it by hand: {path}, {checksum}, from {network.address}/{path.name}; or {HINT}"
    if not files.reachable(HOST):
        raise UserError(f"no network: {HOST} cannot be reached", by_hand)
    try:
        trained = build_backbone(name, size, alpha, "imagenet")
    except Exception as error:  # a failed download is a bare Exception in Keras
        raise UserError(f"the ImageNet weights of {name} cannot be loaded: {first_line(error)}",
                        by_hand) from error
    backbone.set_weights(trained.get_weights())


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
    seen: Counter[str] = Counter()
    for layer in layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_",
                      type(layer).__name__).lower()  # DepthwiseConv2D: depthwise_conv2d
        name = f"layers/{kind}_{seen[kind]}/vars" if seen[kind] else f"layers/{kind}/vars"
        seen[kind] += 1
        values = file.get(name, {})
        yield [values[key][()] for key in sorted(values, key=int)]


def load_file(backbone: keras.Model, path: Path) -> None:
    """Loads a file that Keras 2 or 3 wrote, of a complete network or of its backbone.

    Raises:
        UserError: there is no such file, or a layer does not fit; the first such layer is named.
    """
    hint = "give Keras weights (.h5) of this network and --alpha; TF-slim's do not fit"
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
        layer.set_weights(values)  # not `load_own_variables`: see `normalize`
