"""The networks of keras.applications, each with a new head for the classes at hand.

All take float32 pictures of shape (batch, size, size, 3), red, green, blue in [0, 255], and return
logits of shape (batch, num_classes). What a network wants done to pixel values is inside.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

applications = keras.applications

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of red, green, blue in [0, 1]
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Network(NamedTuple):
    """A network: its function in keras.applications, what pixels go through, its usual size."""

    build: Callable[..., keras.Model]
    preprocess: Callable[[keras.KerasTensor], keras.KerasTensor]
    size: int


def normalize(pictures: keras.KerasTensor) -> keras.KerasTensor:
    """Gives EfficientNet pixels of ImageNet's mean 0 and deviation 1, times 255.

    Its first layer divides by 255. The one behind it would normalize, but by numbers that only
    reading a file puts to use: `set_weights` and checkpoints do not. Here it stays the identity.
    """
    return (pictures - 255 * IMAGENET_MEAN) / IMAGENET_DEVIATION


NETWORKS = {
    "InceptionV3": Network(
        applications.InceptionV3, applications.inception_v3.preprocess_input, 299),
    "InceptionResNetV2": Network(
        applications.InceptionResNetV2, applications.inception_resnet_v2.preprocess_input, 299),
    "VGG16": Network(applications.VGG16, applications.vgg16.preprocess_input, 224),
    "VGG19": Network(applications.VGG19, applications.vgg19.preprocess_input, 224),
    "ResNet50": Network(applications.ResNet50, applications.resnet.preprocess_input, 224),
    "ResNet101": Network(applications.ResNet101, applications.resnet.preprocess_input, 224),
    "ResNet152": Network(applications.ResNet152, applications.resnet.preprocess_input, 224),
    "ResNet50V2": Network(applications.ResNet50V2, applications.resnet_v2.preprocess_input, 224),
    "ResNet101V2": Network(applications.ResNet101V2, applications.resnet_v2.preprocess_input, 224),
    "ResNet152V2": Network(applications.ResNet152V2, applications.resnet_v2.preprocess_input, 224),
    "MobileNet": Network(applications.MobileNet, applications.mobilenet.preprocess_input, 224),
    "MobileNetV2": Network(
        applications.MobileNetV2, applications.mobilenet_v2.preprocess_input, 224),
    "EfficientNetB0": Network(applications.EfficientNetB0, normalize, 224),
}


def build_backbone(
    name: str, size: int, alpha: float | None = None, weights: str | None = None
) -> keras.Model:
    """Builds a network without its classifier, up to the mean over all places.

    Args:
        name: one of NETWORKS.
        size: pixels along either side of its pictures.
        alpha: multiplies the channels of a MobileNet; None is 1.
        weights: "imagenet", or None for random ones.

    Raises:
        ValueError: the network has no such size, or no `alpha` but 1.
    """
    options: dict[str, Any] = {}
    if name.startswith("MobileNet"):
        options["alpha"] = alpha or 1.0
    elif alpha not in (None, 1):
        raise ValueError(f"--alpha {alpha} is for a MobileNet; {name} needs --alpha 1")
    if weights is None:  # some networks make the address of their weights from their name
        options["name"] = "backbone"
    return NETWORKS[name].build(include_top=False, weights=weights, input_shape=(size, size, 3),
                                pooling="avg", **options)


def build_model(
    name: str, num_classes: int, size: int | None = None, alpha: float | None = None,
    keep_prob: float = 1.0, seed: int = 0,
) -> keras.Model:
    """Builds a classifier with random weights: `backbone`, dropout, and a new layer `logits`.

    Args:
        name: one of NETWORKS.
        num_classes: logits.
        size: pixels along either side of its pictures; None is the network's own.
        alpha: multiplies the channels of a MobileNet; None is 1.
        keep_prob: share of the features that dropout keeps.
        seed: of the random weights and of dropout.

    Raises:
        ValueError: see `build_backbone`.
    """
    keras.utils.set_random_seed(seed)
    size = size or NETWORKS[name].size
    pictures = keras.Input((size, size, 3))
    features = build_backbone(name, size, alpha)(NETWORKS[name].preprocess(pictures))
    features = keras.layers.Dropout(1 - keep_prob, seed=seed)(features)
    logits = keras.layers.Dense(num_classes, name="logits")(features)
    return keras.Model(pictures, logits, name=name)


def compile_logits(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a compiled function from pictures to logits, as in a test: without dropout."""
    @tf.function(input_signature=[tf.TensorSpec(model.input_shape)])
    def logits(pictures: tf.Tensor) -> tf.Tensor:
        return model(pictures, training=False)

    return logits


def set_trainable(model: keras.Model, scopes: str, freeze_batch_norm: bool = False) -> None:
    """Lets training move some layers and leaves the others as they are.

    A layer that is not trainable runs as in inference, so that its batch normalization uses the
    statistics it came with and does not move them.

    Args:
        model: from `build_model`.
        scopes: "head", "all", or names of layers, comma-separated, of which "head" may be one.
            "conv_pw_1" is also conv_pw_1_bn, not conv_pw_10.
        freeze_batch_norm: whether batch normalization stays as it came wherever it is.

    Raises:
        ValueError: no layer that has weights is called so.
    """
    wanted = scopes.split(",")
    layers = [layer for layer in model.get_layer("backbone").layers if layer.weights]

    def within(layer: keras.Layer, scope: str) -> bool:
        return f"{layer.name}_".startswith(f"{scope}_")

    for scope in set(wanted) - {"head", "all"}:
        if not any(within(layer, scope) for layer in layers):
            last = ", ".join(layer.name for layer in layers[-4:])
            raise ValueError(f"no layer of {model.name} that has weights is called {scope!r}; "
                             f"the last ones are {last}")
    model.get_layer("logits").trainable = "all" in wanted or "head" in wanted
    for layer in layers:
        layer.trainable = "all" in wanted or any(within(layer, scope) for scope in wanted)
        if freeze_batch_norm and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def set_batch_norm_decay(model: keras.Model, decay: float) -> None:
    """Sets how slowly the statistics of all batch normalizations follow the batches.

    They begin at mean 0 and variance 1. In a short run from random weights, 0.99 leaves more of
    that 1 than many a layer's variance amounts to, layer upon layer.
    """
    for layer in model.get_layer("backbone").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = decay


def add_weight_decay(model: keras.Model, weight_decay: float) -> None:
    """Adds half the sum of squares of all kernels, times `weight_decay`, to `model.losses`.

    As in the original, depthwise kernels, biases and what belongs to normalizations are left out.
    Kernels that are not trained do not count.
    """
    penalty = keras.regularizers.L2(weight_decay / 2)
    for layer in (*model.get_layer("backbone").layers, model.get_layer("logits")):
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            layer.kernel.regularizer = penalty
