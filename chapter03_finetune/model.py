"""A network of keras.applications with a new head for the classes at hand.

All take float32 pictures of shape (batch, size, size, 3), red, green, blue in [0, 255], and return
logits of shape (batch, num_classes).
"""

from collections.abc import Callable

import keras
import tensorflow as tf


def build_model(
    backbone: keras.Model, num_classes: int, keep_prob: float = 1.0, seed: int = 0
) -> keras.Model:
    """Builds a classifier: a network called "backbone", dropout, and a new layer `logits`.

    Args:
        backbone: takes pictures, returns features of shape (batch, channels).
        num_classes: logits.
        keep_prob: share of the features that dropout keeps.
        seed: of dropout; the new layer's weights come from Keras' own random numbers.
    """
    pictures = keras.Input(backbone.input_shape[1:])
    features = keras.layers.Dropout(1 - keep_prob, seed=seed)(backbone(pictures))
    logits = keras.layers.Dense(num_classes, name="logits")(features)
    return keras.Model(pictures, logits)


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
            raise ValueError(f"no layer of the network that has weights is called {scope!r}; "
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
