"""Networks of keras.applications without their classifier, and their pretrained weights.

All take float32 RGB images in [0, 255] of shape (batch, size, size, 3). The preprocessing of each
network is part of its graph.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from common import cli, files
from common.errors import UserError
from common.weights_files import first_line, load_file, load_hed

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
    size = size or NETWORKS[name].size
    maps = build_maps(name, size, alpha, weights)
    features = keras.layers.GlobalAveragePooling2D(name="avg_pool")(maps.output)
    return keras.Model(maps.inputs, features, name="backbone")


def build_maps(
    name: str, size: int | None = None, alpha: float | None = None, weights: str | None = None
) -> keras.Model:
    """Builds a network up to its last feature maps; arguments as for `build_backbone`.

    Without a size it takes images of any size.
    """
    entry, options = NETWORKS[name], {}
    images = keras.Input((size, size, 3))
    if name.startswith("MobileNet"):
        options["alpha"] = alpha or 1.0
    elif alpha not in (None, 1):
        raise ValueError(f"--alpha {alpha} is for a MobileNet; {name} needs --alpha 1")
    network = entry.build(include_top=False, weights=weights, input_shape=images.shape[1:],
                          input_tensor=entry.preprocess(images), **options)
    return keras.Model(images, network.output, name="maps")


def weights(text: str) -> str:
    """Returns "imagenet", "hed", "none", or an absolute path (an argparse `type`)."""
    return text if text in ("imagenet", "hed", "none") else cli.path(text)


def load(backbone: keras.Model, weights: str, name: str, alpha: float | None) -> None:
    """Loads the initial weights of a backbone.

    Args:
        backbone: from `build_backbone`.
        weights: "imagenet", "hed" (see `load_hed`), "none" to keep the random ones, or the path of
            a file of Keras or a checkpoint of TF-slim.
        name: of the network, one of NETWORKS.
        alpha: of a MobileNet; None is 1.

    Raises:
        UserError: the weights cannot be read or downloaded, or do not fit.
    """
    if weights == "imagenet":
        load_imagenet(backbone, name, alpha)
    elif weights == "hed":
        if name != "VGG16":
            raise UserError(f"--weights hed are of VGG16, not of {name}", "choose VGG16, or other "
                            "weights")
        load_hed(backbone)
    elif weights != "none":
        load_file(backbone, Path(weights))


def class_names(folder: Path, count: int) -> tuple[str, ...]:
    """Returns the names of ImageNet's classes by Keras' file in a folder, else their numbers."""
    path = folder / "imagenet_class_index.json"
    table = files.read_json(path) if path.is_file() else {}
    return tuple(table.get(str(i), (None, str(i)))[1] for i in range(count))


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


def warn_of_md5(path: Path, md5: str) -> None:
    """Warns on stderr if a file has another md5 than the published one."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != md5:
        print(f"warning: {path} is not the file that Keras publishes: its md5 is {found}, not "
              f"{md5}. If you did not put other weights there, remove it", file=sys.stderr)


def load_imagenet(backbone: keras.Model, name: str, alpha: float | None) -> None:
    """Loads Keras' ImageNet weights; prints their size before a download.

    A file that lies where Keras would look is used, with a warning if its md5 is another.

    Raises:
        UserError: the weights cannot be downloaded, or do not exist for this network.
    """
    size, network = backbone.input_shape[1], NETWORKS[name]
    folder = Path(os.environ.get("KERAS_HOME") or files.home() / ".keras") / "models"
    path = folder / imagenet_file(name, size, alpha)
    if path.is_file():  # Keras would delete a file of another md5
        if network.md5:
            warn_of_md5(path, network.md5)
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
