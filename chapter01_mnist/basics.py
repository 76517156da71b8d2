"""Computes the introductory examples of two books with TensorFlow and checks the values.

    python basics.py

From this book: one-hot labels (section 1.1.3), softmax, cross-entropy and accuracy (section 1.2.1).
From a book on PyTorch: gradients, losses, convolutions, pooling, and a linear fit by gradient
descent.
Each line shows an expression and its value; a wrong value stops the script.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from common import cli
from common.errors import exit_status


def check(what: str, found: tf.Tensor, expected: object) -> None:
    """Prints a value and asserts that it equals the expected one to 1e-5."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=what)
    print(f"{what:58} {np.array2string(np.asarray(found), precision=4, separator=', ')}")


def softmax_and_cross_entropy() -> None:
    """From logits to probabilities to a loss (book, section 1.2.1)."""
    logits = tf.constant([[1.0, 2.0, 3.0]])
    probabilities = tf.exp(logits) / tf.reduce_sum(tf.exp(logits))
    check("softmax of 1, 2, 3", probabilities[0], [0.09003057, 0.24472847, 0.66524096])
    check("tf.nn.softmax of the same", tf.nn.softmax(logits)[0], probabilities[0])
    one_hot = tf.one_hot([2], 3)
    check("one-hot vector of label 2", one_hot[0], [0, 0, 1])
    by_hand = -tf.reduce_sum(one_hot * tf.math.log(probabilities), axis=1)
    check("cross-entropy, written out", by_hand, [0.40760596])
    library = tf.nn.softmax_cross_entropy_with_logits(one_hot, logits)
    check("tf.nn.softmax_cross_entropy_with_logits", library, by_hand)
    equal = tf.nn.softmax(tf.zeros(10))
    check("cross-entropy of ten equal logits: ln 10", -tf.math.log(equal)[0], np.log(10))


def accuracy() -> None:
    """From probabilities to an accuracy: argmax, equal, cast, mean (book, section 1.2.1)."""
    predicted = tf.argmax([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], axis=1)
    check("argmax of each row", predicted, [1, 0, 1, 0])
    labels = tf.argmax([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], axis=1)
    right = tf.cast(tf.equal(predicted, labels), tf.float32)
    check("equal to the labels, cast to numbers", right, [1, 1, 0, 1])
    check("their mean: the accuracy", tf.reduce_mean(right), 0.75)


def gradients() -> None:
    """The gradient of mean(3 (x + 2)²) at ones: 6 · 3 / 4."""
    x = tf.Variable(tf.ones((2, 2)))
    with tf.GradientTape() as tape:
        y = tf.reduce_mean(3 * (x + 2) ** 2)
    check("mean(3 (x + 2)²) at ones(2, 2)", y, 27.0)
    check("its gradient", tape.gradient(y, x), np.full((2, 2), 4.5))


def losses() -> None:
    """Losses of a prediction of ones and the targets 0, 1, 2, 3."""
    prediction, target = tf.ones((2, 2)), tf.constant([[0.0, 1.0], [2.0, 3.0]])
    difference = tf.abs(prediction - target)
    check("L1 loss: mean |difference|", tf.reduce_mean(difference), 1.0)
    smooth = tf.where(difference < 1, 0.5 * difference**2, difference - 0.5)
    check("smooth L1 loss", tf.reduce_mean(smooth), 0.625)
    check("keras.losses.Huber of the same", keras.losses.Huber()(target, prediction), 0.625)
    check("mean squared error", tf.reduce_mean(difference**2), 1.5)
    logits, labels = tf.constant([2.0, -1.0, 0.0]), tf.constant([1.0, 0.0, 1.0])
    p = tf.sigmoid(logits)
    by_hand = -tf.reduce_mean(labels * tf.math.log(p) + (1 - labels) * tf.math.log(1 - p))
    check("binary cross-entropy of logits 2, -1, 0; labels 1, 0, 1", by_hand, 0.37777875)
    check("keras.losses.BinaryCrossentropy of the same",
          keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits), by_hand)
    log_probabilities = tf.nn.log_softmax([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    picked = tf.gather(log_probabilities, [2, 0], batch_dims=1)  # one of each row
    check("negative log-likelihood of labels 2 and 0", -tf.reduce_mean(picked), 0.75310916)
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=[2, 0], logits=[[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    check("cross-entropy of the logits: the same", tf.reduce_mean(cross_entropy), 0.75310916)


def convolutions() -> None:
    """Convolutions and pooling that can be checked by hand."""
    kernel = tf.reshape([0.1, 0.2, 0.3, 0.4], (2, 2, 1, 1))
    image = tf.ones((1, 4, 4, 1))
    check("conv2d of ones(4, 4) with .1 .2 .3 .4",
          tf.nn.conv2d(image, kernel, 1, "VALID")[0, ..., 0], np.ones((3, 3)))
    line = tf.reshape(tf.range(16.0), (1, 16, 1))
    kernel = tf.reshape([0.1, 0.2, 0.3], (3, 1, 1))
    check("conv1d of 0 … 15 with .1 .2 .3, first two values",
          tf.nn.conv1d(line, kernel, 1, "VALID")[0, :2, 0], [0.8, 1.4])
    channels = tf.transpose(tf.reshape(tf.range(16.0), (1, 2, 8)), (0, 2, 1))  # (1, 8, 2)
    kernel = tf.transpose(tf.constant([[[0.1, 0.2, 0.3], [1.0, 1.0, 1.0]]]), (2, 1, 0))
    check("two channels with .1 .2 .3 and 1 1 1, first two values",
          tf.nn.conv1d(channels, kernel, 1, "VALID")[0, :2, 0], [27.8, 31.4])
    image = tf.reshape(tf.range(20.0), (1, 4, 5, 1))
    check("2x2 max pooling of 0 … 19, shape 4x5",
          tf.nn.max_pool2d(image, 2, 2, "VALID")[0, ..., 0], [[6, 8], [16, 18]])
    check("2x2 average pooling of the same",
          tf.nn.avg_pool2d(image, 2, 2, "VALID")[0, ..., 0], [[3, 5], [13, 15]])
    check("max pooling of 0 … 15 by four", tf.nn.max_pool1d(line, 4, 4, "VALID")[0, :, 0],
          [3, 7, 11, 15])
    check("average pooling of 0 … 15 by four", tf.nn.avg_pool1d(line, 4, 4, "VALID")[0, :, 0],
          [1.5, 5.5, 9.5, 13.5])


def straight_line() -> None:
    """Linear regression on noisy samples of y = 0.5 x by gradient descent."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.uniform(-1, 1, 200), tf.float32)
    y = 0.5 * x + tf.constant(rng.normal(0, 0.05, 200), tf.float32)
    slope, intercept = tf.Variable(0.0), tf.Variable(0.0)
    for _ in range(200):
        with tf.GradientTape() as tape:
            error = tf.reduce_mean((slope * x + intercept - y) ** 2)
        slope_gradient, intercept_gradient = tape.gradient(error, (slope, intercept))
        slope.assign_sub(0.5 * slope_gradient)
        intercept.assign_sub(0.5 * intercept_gradient)
    fitted = np.polyfit(x.numpy(), y.numpy(), 1)
    check("slope and intercept after 200 steps, as least squares", [slope, intercept], fitted)
    assert abs(float(slope) - 0.5) < 0.02


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.Parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all examples; returns the exit status."""
    def show() -> None:
        build_parser().parse_args(argv)
        for part in (softmax_and_cross_entropy, accuracy, gradients, losses, convolutions,
                     straight_line):
            print(f"\n{part.__doc__}")
            part()

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
