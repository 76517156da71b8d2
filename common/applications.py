"""The networks of keras.applications: how each is built and fed, where its weights lie.

All take float32 RGB images in [0, 255] of shape (batch, size, size, 3), after `preprocess`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras
import numpy as np

applications = keras.applications

HOST = "https://storage.googleapis.com"  # where Keras keeps the weights of keras.applications
ADDRESS = HOST + "/tensorflow/keras-applications"
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of RGB values in [0, 1]
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Network(NamedTuple):
    """A network of keras.applications.

    Attributes:
        build: its function in keras.applications.
        preprocess: what its inputs need.
        size: default height and width of its inputs in pixels.
        address: where Keras keeps its ImageNet weights.
        checksum: md5 or sha256 of the file without the classifier, at width 1; Keras publishes none
            for MobileNet and MobileNetV2.
    """

    build: Callable[..., keras.Model]
    preprocess: Callable[[keras.KerasTensor], keras.KerasTensor]
    size: int
    address: str
    checksum: str | None = None


def standardize(images: keras.KerasTensor) -> keras.KerasTensor:
    """Normalizes images in [0, 255] by the mean and the standard deviation of ImageNet's pixels."""
    return (images / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION


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
    # The networks from here on would prepare their inputs themselves, in the compute dtype.
    "MobileNetV3Small": Network(
        partial(applications.MobileNetV3Small, include_preprocessing=False),
        applications.mobilenet.preprocess_input, 224,
        f"{ADDRESS}/mobilenet_v3", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    "MobileNetV3Large": Network(
        partial(applications.MobileNetV3Large, include_preprocessing=False),
        applications.mobilenet.preprocess_input, 224,
        f"{ADDRESS}/mobilenet_v3", "07fb09a5933dd0c8eaafa16978110389"),
    "EfficientNetV2B0": Network(
        partial(applications.EfficientNetV2B0, include_preprocessing=False), standardize, 224,
        f"{ADDRESS}/efficientnet_v2", "893217f2bb855e2983157299931e43ff"),
    "EfficientNetV2S": Network(
        partial(applications.EfficientNetV2S, include_preprocessing=False),
        lambda images: images / 128 - 1, 384,
        f"{ADDRESS}/efficientnet_v2", "af0682fb74e8c54910f2d4393339c070"),
    "ConvNeXtTiny": Network(
        partial(applications.ConvNeXtTiny, include_preprocessing=False), standardize, 224,
        f"{ADDRESS}/convnext",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
}


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
        case "MobileNetV3Small" | "MobileNetV3Large":
            kind = name.removeprefix("MobileNetV3").lower()
            return f"weights_mobilenet_v3_{kind}_224_{alpha or 1.0}_float_no_top_v2.h5"
        case "EfficientNetB0":
            return "efficientnetb0_notop.h5"
        case "EfficientNetV2B0" | "EfficientNetV2S":
            return f"efficientnetv2-{name.removeprefix('EfficientNetV2').lower()}_notop.h5"
        case "ConvNeXtTiny":
            return "convnext_tiny_notop.h5"
    stems = {"InceptionV3": "inception_v3", "InceptionResNetV2": "inception_resnet_v2"}
    stem = stems.get(name, name.lower())
    return f"{stem}_weights_tf_dim_ordering_tf_kernels_notop.h5"
