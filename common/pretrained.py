"""Networks of keras.applications without their classifier, and their pretrained weights.

All take float32 RGB images in [0, 255] of shape (batch, size, size, 3). The preprocessing of each
network is part of its graph.
"""

import hashlib
import os
import sys
from pathlib import Path

import keras

from common import cli, files
from common.applications import HOST, NETWORKS, imagenet_file
from common.errors import UserError
from common.weights_files import first_line, load_file, load_hed

HINT = "use a local file, --weights FILE.h5, or random weights, --weights none"


def build_backbone(
    name: str, size: int | None = None, alpha: float | None = None, weights: str | None = None
) -> keras.Model:
    """Builds a network without its classifier, up to the mean over all places.

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
    return keras.Model(maps.inputs, pool(maps), name="backbone")


def pool(maps: keras.Model, keepdims: bool = False) -> keras.KerasTensor:
    """Returns the mean of the last feature maps over all places, as the network's classifier does.

    Args:
        maps: from `build_maps`, or another model that ends in feature maps.
        keepdims: whether the result is of shape (batch, 1, 1, channels), not (batch, channels).
    """
    last = maps.layers[-1]
    mean = keras.layers.GlobalAveragePooling2D(keepdims=keepdims, name="avg_pool", dtype="float32")
    if isinstance(last, keras.layers.LayerNormalization):  # of ConvNeXt: it is meant for the mean
        return last(mean(last.input))
    return mean(maps.output)


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
    if name.startswith("ConvNeXt"):
        network.layers[-1].name = "norm"  # Keras numbers it
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
    table = files.read_json(path, f"delete {path}") if path.is_file() else {}
    return tuple(table.get(str(i), (None, str(i)))[1] for i in range(count))


def warn_of_checksum(path: Path, published: str) -> None:
    """Warns on stderr if a file has another md5 or sha256 than the published one."""
    algorithm = algorithm_of(published)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != published:
        print(f"warning: {path} is not the file that Keras publishes: its {algorithm} is {found}, "
              f"not {published}. If you did not put other weights there, remove it",
              file=sys.stderr)


def algorithm_of(checksum: str) -> str:
    """Returns "md5" or "sha256", by the length of a checksum."""
    return "md5" if len(checksum) == 32 else "sha256"


def load_imagenet(backbone: keras.Model, name: str, alpha: float | None) -> None:
    """Loads Keras' ImageNet weights; prints their size before a download.

    A file that lies where Keras would look is used, with a warning if its checksum is another.

    Raises:
        UserError: the weights cannot be downloaded, or do not exist for this network.
    """
    size, network = backbone.input_shape[1], NETWORKS[name]
    if name.startswith("MobileNetV3") and alpha not in (None, 0.75, 1):
        raise UserError(f"Keras has no ImageNet weights of {name} for --alpha {alpha}",
                        f"give --alpha 1 or 0.75; or {HINT}")
    checksum = network.checksum if alpha in (None, 1) else None
    folder = Path(os.environ.get("KERAS_HOME") or files.home() / ".keras") / "models"
    path = folder / imagenet_file(name, size, alpha)
    if path.is_file():  # Keras would delete a file of another checksum
        if checksum:
            warn_of_checksum(path, checksum)
        load_file(backbone, path)
        return
    megabytes = 4 * backbone.count_params() / 1e6
    print(f"downloading {name}'s ImageNet weights, about {megabytes:.0f} MB, to {folder}")
    told = f"{algorithm_of(checksum)} {checksum}" if checksum else "no checksum is published"
    by_hand = f"place it by hand: {path}, {told}, from {network.address}/{path.name}; or {HINT}"
    if not files.reachable(HOST):
        raise UserError(f"no network: {HOST} cannot be reached", by_hand)
    try:
        trained = build_backbone(name, size, alpha, "imagenet")
    except Exception as error:  # a failed download is a bare Exception in Keras
        raise UserError(f"the ImageNet weights of {name} cannot be loaded: {first_line(error)}",
                        by_hand) from error
    backbone.set_weights(trained.get_weights())
