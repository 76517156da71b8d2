"""A network of keras.applications with a new last layer, and the layers that are trained.

All take float32 RGB images in [0, 255] of shape (batch, size, size, 3) and return logits of shape
(batch, num_classes).
"""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf


def build_model(
    backbone: keras.Model, num_classes: int, keep_prob: float = 1.0, seed: int = 0
) -> keras.Model:
    """Builds a classifier: a network called "backbone", dropout, and a new dense layer "logits".

    The new layers compute in float32, whatever the backbone computes in.

    Args:
        backbone: takes images, returns features of shape (batch, channels).
        num_classes: number of logits.
        keep_prob: keep probability of the dropout.
        seed: of the dropout; Keras' global seed determines the initial weights of the new layer.
    """
    images = keras.Input(backbone.input_shape[1:])
    features = keras.layers.Dropout(1 - keep_prob, seed=seed, dtype="float32")(backbone(images))
    logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")(features)
    return keras.Model(images, logits)


def compile_logits(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a compiled function from images to logits, in inference mode."""
    @tf.function(input_signature=[tf.TensorSpec(model.input_shape)])
    def logits(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    return logits


def set_trainable(model: keras.Model, scopes: str, freeze_batch_norm: bool = False) -> None:
    """Makes some layers trainable and freezes all others.

    A frozen layer runs in inference mode: its batch normalization uses the pretrained moving
    statistics and does not update them, and no block is dropped (the stochastic depth of
    EfficientNet).

    Args:
        model: from `build_model`.
        scopes: "head", "all", or names of layers, comma-separated, of which "head" may be one.
            "conv_pw_1" includes conv_pw_1_bn, but not conv_pw_10.
        freeze_batch_norm: whether batch normalization is frozen in trainable layers too.

    Raises:
        ValueError: no layer with weights has such a name.
    """
    wanted = scopes.split(",")
    backbone = model.get_layer("backbone")
    layers = [layer for layer in backbone.layers if layer.weights]

    def within(layer: keras.Layer, scope: str) -> bool:
        return scope == "all" or f"{layer.name}_".startswith(f"{scope}_")

    for scope in set(wanted) - {"head", "all"}:
        if not any(within(layer, scope) for layer in layers):
            last = ", ".join(layer.name for layer in layers[-4:])
            raise ValueError(f"no layer of the network with weights is called {scope!r}; "
                             f"the last ones are {last}")
    model.get_layer("logits").trainable = "all" in wanted or "head" in wanted
    for layer in backbone.layers:
        layer.trainable = any(within(layer, scope) for scope in wanted)
        if isinstance(layer, keras.layers.Dropout) and not layer.trainable:
            layer.rate = 0.0
        if freeze_batch_norm and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def set_batch_norm_decay(model: keras.Model, decay: float) -> None:
    """Sets the decay of the moving statistics of all batch normalization layers.

    The statistics start at mean 0 and variance 1. In a short run from random weights, a decay of
    0.99 is too slow: the initial variance of 1 still outweighs the true one of many layers.
    """
    for layer in model.get_layer("backbone").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = decay


def add_weight_decay(model: keras.Model, weight_decay: float) -> None:
    """Adds L2 regularization: `weight_decay` times half the sum of squares, in `model.losses`.

    As in the original, it excludes depthwise kernels, biases and normalization. Frozen kernels do
    not count.
    """
    penalty = keras.regularizers.L2(weight_decay / 2)
    for layer in inner_layers(model):
        depthwise = getattr(layer, "groups", 1) > 1  # ConvNeXt's are convolutions of many groups
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)) and not depthwise:
            layer.kernel.regularizer = penalty


def balanced_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Computes class weights by inverse frequency, as scikit-learn's "balanced" does.

    Their mean over all images is 1, so that the learning rate keeps its meaning.

    Args:
        labels: of all training images, of shape (count,); each class has at least one.
        num_classes: number of classes.

    Returns:
        float32 of shape (num_classes,).
    """
    counts = np.bincount(labels, minlength=num_classes)
    return np.float32(len(labels) / (num_classes * counts))


def inner_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """Yields the layers of a model and of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from inner_layers(layer)
        else:
            yield layer
