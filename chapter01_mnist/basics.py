"""The small numbers that two books begin with, computed by TensorFlow and checked.

    python basics.py

Section 1.2 of the book (softmax, cross-entropy, one-hot labels), and of the PyTorch book:
gradients, losses, convolutions, pooling and a straight line found by gradient descent. Each line
shows the expression and its value; a wrong value stops the script.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from common import cli
from common.errors import exit_status


def check(what: str, found: tf.Tensor, expected: object) -> None:
    """Prints a value and asserts that it is the expected one, to 1e-5."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=what)
    print(f"{what:58} {np.array2string(np.asarray(found), precision=4, separator=', ')}")


def softmax_and_cross_entropy() -> None:
    """Section 1.2.1: from scores to probabilities to a loss."""
    logits = tf.constant([[1.0, 2.0, 3.0]])
    probabilities = tf.exp(logits) / tf.reduce_sum(tf.exp(logits))
    check("softmax of 1, 2, 3", probabilities[0], [0.09003057, 0.24472847, 0.66524096])
    check("the library's softmax", tf.nn.softmax(logits)[0], probabilities[0])
    one_hot = tf.one_hot([2], 3)
    check("label 2, one-hot", one_hot[0], [0, 0, 1])
    by_hand = -tf.reduce_sum(one_hot * tf.math.log(probabilities), axis=1)
    check("cross-entropy by hand", by_hand, [0.40760596])
    library = tf.nn.softmax_cross_entropy_with_logits(one_hot, logits)
    check("the library's cross-entropy", library, by_hand)
    check("ten equal scores cost ln 10", -tf.math.log(tf.nn.softmax(tf.zeros(10)))[0], np.log(10))


def gradients() -> None:
    """d/dx of mean(3 (x + 2)²) at ones: 6 · 3 / 4."""
    x = tf.Variable(tf.ones((2, 2)))
    with tf.GradientTape() as tape:
        y = tf.reduce_mean(3 * (x + 2) ** 2)
    check("mean(3 (x + 2)²) at ones(2, 2)", y, 27.0)
    check("its gradient", tape.gradient(y, x), np.full((2, 2), 4.5))


def losses() -> None:
    """Three distances between a prediction of ones and the target 0, 1, 2, 3."""
    prediction, target = tf.ones((2, 2)), tf.constant([[0.0, 1.0], [2.0, 3.0]])
    difference = tf.abs(prediction - target)
    check("L1: mean |difference|", tf.reduce_mean(difference), 1.0)
    smooth = tf.where(difference < 1, 0.5 * difference**2, difference - 0.5)
    check("smooth L1", tf.reduce_mean(smooth), 0.625)
    check("Keras' Huber is the same", keras.losses.Huber()(target, prediction), 0.625)
    check("mean squared error", tf.reduce_mean(difference**2), 1.5)


def convolutions() -> None:
    """Convolutions and pooling on numbers that can be followed by hand."""
    kernel = tf.reshape([0.1, 0.2, 0.3, 0.4], (2, 2, 1, 1))
    image = tf.ones((1, 4, 4, 1))
    check("conv2d of ones(4, 4) with .1 .2 .3 .4",
          tf.nn.conv2d(image, kernel, 1, "VALID")[0, ..., 0], np.ones((3, 3)))
    line = tf.reshape(tf.range(16.0), (1, 16, 1))
    kernel = tf.reshape([0.1, 0.2, 0.3], (3, 1, 1))
    check("conv1d of 0 … 15 with .1 .2 .3 begins",
          tf.nn.conv1d(line, kernel, 1, "VALID")[0, :2, 0], [0.8, 1.4])
    channels = tf.transpose(tf.reshape(tf.range(16.0), (1, 2, 8)), (0, 2, 1))  # (1, 8, 2)
    kernel = tf.transpose(tf.constant([[[0.1, 0.2, 0.3], [1.0, 1.0, 1.0]]]), (2, 1, 0))
    check("two channels, kernels .1 .2 .3 and 1 1 1, begin",
          tf.nn.conv1d(channels, kernel, 1, "VALID")[0, :2, 0], [27.8, 31.4])
    image = tf.reshape(tf.range(20.0), (1, 4, 5, 1))
    check("2x2 max-pooling of 0 … 19 as 4x5",
          tf.nn.max_pool2d(image, 2, 2, "VALID")[0, ..., 0], [[6, 8], [16, 18]])


def straight_line() -> None:
    """Finds y = 0.5 x in noise by gradient descent."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.uniform(-1, 1, 200), tf.float32)
    y = 0.5 * x + tf.constant(rng.normal(0, 0.05, 200), tf.float32)
    slope, offset = tf.Variable(0.0), tf.Variable(0.0)
    for _ in range(200):
        with tf.GradientTape() as tape:
            error = tf.reduce_mean((slope * x + offset - y) ** 2)
        for variable, gradient in zip((slope, offset), tape.gradient(error, (slope, offset)),
                                      strict=True):
            variable.assign_sub(0.5 * gradient)
    fitted = np.polyfit(x.numpy(), y.numpy(), 1)
    check("slope and offset after 200 steps; least squares agrees", [slope, offset], fitted)
    assert abs(float(slope) - 0.5) < 0.02


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.Parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all of them; returns the exit status."""
    def show() -> None:
        build_parser().parse_args(argv)
        for part in (softmax_and_cross_entropy, gradients, losses, convolutions, straight_line):
            print(f"\n{part.__doc__}")
            part()

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
