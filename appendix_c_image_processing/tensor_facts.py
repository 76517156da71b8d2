"""Checks small numbers of a PyTorch book in TensorFlow.

    python tensor_facts.py

Each function below is one fact: a computation small enough to be done by hand. The book's numbers
stand in `EXPECTED`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.errors import exit_status
from common.parser import Parser

PREDICTION, TARGET = [[1.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [2.0, 3.0]]


def l1_loss() -> float:
    """Computes the mean of |error|; PyTorch's L1Loss."""
    return float(keras.losses.MeanAbsoluteError()(TARGET, PREDICTION))


def smooth_l1_loss() -> float:
    """Computes the mean of error**2 / 2 up to 1, |error| - 1/2 above; PyTorch's SmoothL1Loss."""
    return float(keras.losses.Huber(delta=1.0)(TARGET, PREDICTION))


def mean_squared_error() -> float:
    """Computes the mean of error**2; PyTorch's MSELoss."""
    return float(keras.losses.MeanSquaredError()(TARGET, PREDICTION))


def gradient() -> np.ndarray:
    """Computes d/dx mean(3 (x + 2)**2) at ones: 6 (x + 2) / 4 per entry."""
    x = tf.Variable(tf.ones((2, 2)))
    with tf.GradientTape() as tape:
        y = tf.reduce_mean(3 * (x + 2) ** 2)
    return tape.gradient(y, x).numpy()


def convolution_2d() -> np.ndarray:
    """Convolves ones; TensorFlow wants the channel last and the kernel as (h, w, in, out)."""
    kernel = tf.reshape([0.1, 0.2, 0.3, 0.4], (2, 2, 1, 1))
    return tf.nn.conv2d(tf.ones((1, 4, 4, 1)), kernel, 1, "VALID")[0, :, :, 0].numpy()


def convolution_1d() -> np.ndarray:
    """Convolves 0 ... 15; returns the first two values."""
    signal = tf.reshape(tf.range(16.0), (1, 16, 1))
    kernel = tf.reshape([0.1, 0.2, 0.3], (3, 1, 1))
    return tf.nn.conv1d(signal, kernel, 1, "VALID")[0, :2, 0].numpy()


def convolution_1d_two_channels() -> np.ndarray:
    """Convolves the channels 0 ... 7 and 8 ... 15, each with its kernel, and adds them."""
    signal = tf.transpose(tf.reshape(tf.range(16.0), (1, 2, 8)), (0, 2, 1))  # (1, 8, 2)
    kernel = tf.reshape([[0.1, 1.0], [0.2, 1.0], [0.3, 1.0]], (3, 2, 1))
    return tf.nn.conv1d(signal, kernel, 1, "VALID")[0, :2, 0].numpy()


def max_pooling() -> np.ndarray:
    """Pools 0 ... 19 as 4 x 5 by 2 x 2; the fifth column is left out."""
    values = tf.reshape(tf.range(20.0), (1, 4, 5, 1))
    return tf.nn.max_pool2d(values, 2, 2, "VALID")[0, :, :, 0].numpy()


def linear_regression() -> float:
    """Fits y = .5 x + noise by gradient descent; returns the weight."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.uniform(-1, 1, 200), tf.float32)
    y = 0.5 * x + tf.constant(rng.normal(0, 0.1, 200), tf.float32)
    w = tf.Variable(0.0)
    for _ in range(100):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((w * x - y) ** 2)
        w.assign_sub(0.3 * tape.gradient(loss, w))
    return float(w)


# What the book says, and how far off a number may be.
EXPECTED: dict[Callable[[], Any], tuple[Any, float]] = {
    l1_loss: (1.0, 1e-6),
    smooth_l1_loss: (0.625, 1e-6),
    mean_squared_error: (1.5, 1e-6),
    gradient: ([[4.5, 4.5], [4.5, 4.5]], 1e-6),
    convolution_2d: (np.ones((3, 3)), 1e-6),
    convolution_1d: ([0.8, 1.4], 1e-6),
    convolution_1d_two_channels: ([27.8, 31.4], 1e-5),
    max_pooling: ([[6, 8], [16, 18]], 0),
    linear_regression: (0.5, 0.05),
}


def build_parser() -> Parser:
    """Returns the parser."""
    return Parser(__file__, __doc__)


def check() -> dict[str, Any]:
    """Prints each fact beside the book's number; returns how many agree."""
    agree = 0
    for fact, (expected, tolerance) in EXPECTED.items():
        found = np.asarray(fact(), float)
        right = found.shape == np.shape(expected) and np.allclose(
            found, expected, rtol=0, atol=tolerance)
        agree += right
        print(f"{fact.__name__:28} {found.round(4).tolist()}  {'' if right else 'DIFFERS'}")
    return {"facts": len(EXPECTED), "agree": agree}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    def run() -> dict[str, Any]:
        build_parser().parse_args(argv)
        return check()

    return exit_status(run)


if __name__ == "__main__":
    raise SystemExit(main())
