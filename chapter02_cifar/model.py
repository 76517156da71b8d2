"""The classifiers of the chapter.

All take standardised pictures, float32 of shape (batch, 24, 24, 3), and return logits of shape
(batch, num_classes). Weight decay is in the models, as Keras regularizers: `model.losses`.
"""

import keras
import tensorflow as tf

CROP = 24
WEIGHT_DECAY = 0.004  # of the two wide layers, times half the sum of squares


class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by a power of its neighbours' squares across channels.

    x / (1 + α Σ x²)^0.75 over the nine channels around its own, α = 0.001 / 9 (Krizhevsky et al.
    2012, section 3.3). Batch normalization has taken its place since.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises a tensor of shape (batch, height, width, channels)."""
        return tf.nn.local_response_normalization(
            inputs, depth_radius=4, bias=1.0, alpha=0.001 / 9, beta=0.75
        )


def build_book(num_classes: int = 10, seed: int = 0) -> keras.Sequential:
    """Builds the book's network (section 2.3), 1,068,298 parameters for ten classes.

    Two convolutions with pooling and local response normalization, two wide layers with weight
    decay. All weights come from truncated normals.
    """
    def weights(number: int, stddev: float) -> keras.Initializer:
        return keras.initializers.TruncatedNormal(stddev=stddev, seed=seed + number)

    def wide(units: int, number: int) -> keras.layers.Dense:
        return keras.layers.Dense(
            units, "relu", kernel_initializer=weights(number, 0.04), bias_initializer=bias,
            kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY / 2),
        )

    bias = keras.initializers.Constant(0.1)
    convolution = {"kernel_size": 5, "padding": "same", "activation": "relu"}
    return keras.Sequential([
        keras.Input((CROP, CROP, 3)),
        keras.layers.Conv2D(64, kernel_initializer=weights(0, 0.05), **convolution),
        keras.layers.MaxPooling2D(3, 2, padding="same"),  # 12x12
        LocalResponseNormalization(),
        keras.layers.Conv2D(64, kernel_initializer=weights(1, 0.05), bias_initializer=bias,
                            **convolution),
        LocalResponseNormalization(),
        keras.layers.MaxPooling2D(3, 2, padding="same"),  # 6x6
        keras.layers.Flatten(),  # 2304
        wide(384, 2),
        wide(192, 3),
        keras.layers.Dense(num_classes, kernel_initializer=weights(4, 1 / 192)),
    ], name="book")


def build_softmax(num_classes: int = 10, seed: int = 0) -> keras.Sequential:
    """Builds softmax regression on the pixels, which the chapter says does badly."""
    return keras.Sequential([
        keras.Input((CROP, CROP, 3)),
        keras.layers.Flatten(),  # 1728
        keras.layers.Dense(num_classes, kernel_initializer="zeros"),
    ], name="softmax")


NETWORKS = {"book": build_book, "softmax": build_softmax}


def build_model(name: str, num_classes: int = 10, seed: int = 0) -> keras.Sequential:
    """Builds a classifier by its name, one of NETWORKS."""
    return NETWORKS[name](num_classes, seed)
