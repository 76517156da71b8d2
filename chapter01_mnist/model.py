"""The classifiers of the chapter: softmax regression from primitives, and convolutional networks.

All take float32 pictures of shape (batch, 28, 28, 1) in [0, 1] and return logits of (batch, 10).
"""

import keras
import tensorflow as tf

NUM_CLASSES = 10


class SoftmaxRegression(tf.Module):
    """One matrix and one vector, both zero at first (book, section 1.2.1): 7,850 numbers."""

    def __init__(self) -> None:
        """Makes the two variables."""
        super().__init__()
        self.weights = tf.Variable(tf.zeros((784, NUM_CLASSES)))
        self.biases = tf.Variable(tf.zeros(NUM_CLASSES))

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns x W + b; nothing here depends on `training`."""
        return tf.reshape(images, (-1, 784)) @ self.weights + self.biases


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns -log softmax(logits)[label] of each example, in nats, of shape (batch,).

    Written out once; `tf.nn.sparse_softmax_cross_entropy_with_logits` gives the same. The book
    takes the logarithm of a softmax, which is -inf as soon as a probability rounds to zero;
    subtracting the largest logit first keeps every exponential in range.
    """
    shifted = logits - tf.reduce_max(logits, axis=1, keepdims=True)
    log_normaliser = tf.math.log(tf.reduce_sum(tf.exp(shifted), axis=1))
    return log_normaliser - tf.gather(shifted, labels, batch_dims=1)


def build_conv(keep_prob: float = 0.5, seed: int = 0) -> keras.Sequential:
    """Builds the book's network (section 1.2.2), 3,274,634 parameters.

    Two 5x5 convolutions with pooling, a wide layer and dropout; weights from a truncated normal
    of standard deviation 0.1, biases 0.1.
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
    """Builds LeNet as the Theano tutorials have it: tanh after the pooling, no dropout.

    Weights are uniform in ±√(6 / (fan_in + fan_out)), which is Keras' default.
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
    """Builds the small network of the PyTorch book: 10 and 20 kernels, 320 → 50 → 10."""
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
    """Builds the large network of the PyTorch book: 32 and 64 kernels, 1024 → 100 → 10."""
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
    name: str, keep_prob: float = 1.0, seed: int = 0
) -> SoftmaxRegression | keras.Sequential:
    """Builds a classifier by its name: "softmax" or one of NETWORKS."""
    keras.utils.set_random_seed(seed)
    return SoftmaxRegression() if name == "softmax" else NETWORKS[name](keep_prob, seed)
