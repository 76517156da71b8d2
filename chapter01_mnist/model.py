"""Classifiers: softmax regression from primitives, and convolutional networks.

All take float32 images of shape (batch, 28, 28, 1) in [0, 1] and return logits (batch, 10).
"""

import keras
import tensorflow as tf

NUM_CLASSES = 10


class SoftmaxRegression(tf.Module):
    """Softmax regression (book, section 1.2.1), 7,850 parameters.

    Attributes:
        weights: variable of shape (784, 10), initialized to 0.
        biases: variable of shape (10,), initialized to 0.
    """

    def __init__(self) -> None:
        """Creates the two variables."""
        super().__init__()
        self.weights = tf.Variable(tf.zeros((784, NUM_CLASSES)))
        self.biases = tf.Variable(tf.zeros(NUM_CLASSES))

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the logits x W + b; `training` has no effect."""
        return tf.reshape(images, (-1, 784)) @ self.weights + self.biases


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Computes -log softmax(logits)[label] of each example, in nats.

    It equals `tf.nn.sparse_softmax_cross_entropy_with_logits`. The book computes the logarithm of a
    softmax, which is -inf once a probability rounds to zero. Here the largest logit is subtracted
    first, which keeps all exponentials in range.

    Args:
        labels: int64 of shape (batch,).
        logits: float32 of shape (batch, 10).

    Returns:
        float32 of shape (batch,).
    """
    shifted = logits - tf.reduce_max(logits, axis=1, keepdims=True)
    log_normaliser = tf.math.log(tf.reduce_sum(tf.exp(shifted), axis=1))
    return log_normaliser - tf.gather(shifted, labels, batch_dims=1)


def build_conv(keep_prob: float = 0.5, seed: int = 0) -> keras.Sequential:
    """Builds the book's network (section 1.2.2), 3,274,634 parameters.

    Two 5x5 convolutions with max pooling, a dense layer of 1024 units, and dropout. Weights are
    initialized from a truncated normal distribution of standard deviation 0.1, biases to 0.1.
    """
    def weights(number: int) -> keras.Initializer:
        return keras.initializers.TruncatedNormal(stddev=0.1, seed=seed + number)

    bias = {"bias_initializer": keras.initializers.Constant(0.1)}
    relu = {"activation": "relu", "padding": "same", **bias}
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(32, 5, kernel_initializer=weights(0), **relu),
        keras.layers.MaxPooling2D(2, padding="same"),  # 14x14
        keras.layers.Conv2D(64, 5, kernel_initializer=weights(1), **relu),
        keras.layers.MaxPooling2D(2, padding="same"),  # 7x7
        keras.layers.Flatten(),  # 3136
        keras.layers.Dense(1024, "relu", kernel_initializer=weights(2), **bias),
        keras.layers.Dropout(1 - keep_prob, seed=seed),
        keras.layers.Dense(NUM_CLASSES, kernel_initializer=weights(3), **bias),
    ], name="conv")


def build_lenet(keep_prob: float = 1.0, seed: int = 0) -> keras.Sequential:
    """Builds LeNet as in the Theano tutorials: tanh after each pooling, no dropout by default.

    Weights are initialized uniformly in ±√(6 / (fan_in + fan_out)), the default of Keras.
    """
    layers = keras.layers
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(20, 5), layers.MaxPooling2D(2), layers.Activation("tanh"),  # 12x12
        layers.Conv2D(50, 5), layers.MaxPooling2D(2), layers.Activation("tanh"),  # 4x4
        layers.Flatten(),  # 800
        layers.Dense(500, "tanh"),
        layers.Dropout(1 - keep_prob, seed=seed),
        layers.Dense(NUM_CLASSES),
    ], name="lenet")


def build_torch_small(keep_prob: float = 0.5, seed: int = 0) -> keras.Sequential:
    """Builds the small network of a book on PyTorch: 10 and 20 filters, 320 → 50 → 10."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(10, 5), layers.MaxPooling2D(2), layers.ReLU(),  # 12x12
        layers.Conv2D(20, 5), layers.SpatialDropout2D(1 - keep_prob, seed=seed),
        layers.MaxPooling2D(2), layers.ReLU(),  # 4x4
        layers.Flatten(),  # 320
        layers.Dense(50, "relu"),
        layers.Dropout(1 - keep_prob, seed=seed + 1),
        layers.Dense(NUM_CLASSES),
    ], name="torch_small")


def build_torch_large(keep_prob: float = 1.0, seed: int = 0) -> keras.Sequential:
    """Builds the large network of a book on PyTorch: 32 and 64 filters, 1024 → 100 → 10."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 5, activation="relu"), layers.MaxPooling2D(2),  # 12x12
        layers.Conv2D(64, 5, activation="relu"), layers.MaxPooling2D(2),  # 4x4
        layers.Flatten(),  # 1024
        layers.Dense(100, "relu"),
        layers.Dropout(1 - keep_prob, seed=seed),
        layers.Dense(NUM_CLASSES),
    ], name="torch_large")


NETWORKS = {
    "conv": build_conv,
    "lenet": build_lenet,
    "torch_small": build_torch_small,
    "torch_large": build_torch_large,
}


def build_model(
    name: str, keep_prob: float | None = None, seed: int = 0
) -> SoftmaxRegression | keras.Sequential:
    """Builds a classifier by name: "softmax" or one of NETWORKS."""
    keras.utils.set_random_seed(seed)
    if name == "softmax":
        return SoftmaxRegression()
    return NETWORKS[name](seed=seed, **({} if keep_prob is None else {"keep_prob": keep_prob}))
