"""Number sequences: the laws they follow, and how they are drawn.

Sequences have 3 to 20 steps and are filled up with zeros. Those of two classes and one feature are
the book's.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

MIN_LENGTH, MAX_LENGTH = 3, 20  # steps, as in the book
MAX_VALUE = 1000  # numbers are whole ones from 0 to this, and divided by it for the network
MAX_STRIDE = MAX_VALUE // MAX_LENGTH  # the longest with which a sequence still fits


def linear(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Draws a start and a stride: 17 18 19 20. The book's first class, whose stride is 1."""
    shape = len(lengths), 1, num_features
    strides = rng.integers(1, max_stride, shape, endpoint=True)
    last_start = MAX_VALUE - strides * lengths[:, None, None]
    return rng.integers(0, last_start, endpoint=True) + strides * np.arange(MAX_LENGTH)[:, None]


def random(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Draws every number on its own: 528 3 961 77. The book's second class."""
    return rng.integers(0, MAX_VALUE, (len(lengths), MAX_LENGTH, num_features), endpoint=True)


def rising(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Sorts random numbers: 3 77 528 961."""
    numbers = random(rng, lengths, num_features, max_stride)
    return np.sort(np.where(steps_of(lengths), numbers, MAX_VALUE), axis=1)


def falling(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Sorts random numbers the other way: 961 528 77 3."""
    return MAX_VALUE - rising(rng, lengths, num_features, max_stride)


def alternating(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Draws two numbers and takes them in turn: 961 3 961 3."""
    return np.tile(random(rng, lengths, num_features, max_stride)[:, :2], (1, MAX_LENGTH // 2, 1))


# A law draws whole numbers from 0 to MAX_VALUE, of shape (sequences, MAX_LENGTH, num_features), of
# which the first `lengths` steps count; each feature follows it on its own. Class k is law k.
LAWS: tuple[Callable[..., np.ndarray], ...] = (linear, random, rising, falling, alternating)


def class_names(num_classes: int) -> list[str]:
    """Returns the names of the first classes."""
    return [law.__name__ for law in LAWS[:num_classes]]


def steps_of(lengths: np.ndarray) -> np.ndarray:
    """Returns which steps belong to sequences: bool of shape (sequences, MAX_LENGTH, 1)."""
    return (np.arange(MAX_LENGTH) < lengths[:, None])[..., None]


def generate(
    count: int, key: Sequence[int], num_features: int, num_classes: int, max_stride: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws sequences; the same key gives the same ones.

    Length and class are drawn first, each value as likely as any other (book, chapter 13).

    Args:
        count: how many.
        key: seeds the generator.
        num_features: numbers a step.
        num_classes: how many of LAWS to draw from.
        max_stride: of the linear sequences.

    Returns:
        The sequences, float32 (count, 20, num_features) in [0, 1], their lengths in steps and
        their classes, both int64 (count,).
    """
    rng = np.random.default_rng(key)
    lengths = rng.integers(MIN_LENGTH, MAX_LENGTH, count, endpoint=True)
    labels = rng.integers(0, num_classes, count)
    numbers = np.zeros((count, MAX_LENGTH, num_features), np.int64)
    for label, law in enumerate(LAWS[:num_classes]):
        chosen = labels == label
        numbers[chosen] = law(rng, lengths[chosen], num_features, max_stride)
    return scale(np.where(steps_of(lengths), numbers, 0)), lengths, labels


def scale(numbers: np.ndarray) -> np.ndarray:
    """Turns numbers in [0, MAX_VALUE] into float32 in [0, 1]."""
    return np.float32(numbers / MAX_VALUE)


def cut(
    sequences: tf.Tensor, lengths: tf.Tensor, key: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes a random part of each sequence, for a part of a sequence follows the same law.

    Args:
        sequences: float32 (batch, 20, num_features), filled up with zeros.
        lengths: int64 (batch,).
        key: int64 (2,): the same key gives the same parts.

    Returns:
        The parts, moved to the front and filled up with zeros, and their lengths, each from 3 to
        the whole.
    """
    share = tf.random.stateless_uniform((2, len(lengths)), key, dtype=tf.float64)

    def up_to(largest: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        return tf.cast(share * tf.cast(largest + 1, tf.float64), tf.int64)

    parts = MIN_LENGTH + up_to(lengths - MIN_LENGTH, share[0])
    first = up_to(lengths - parts, share[1])
    steps = (first[:, None] + tf.range(MAX_LENGTH, dtype=tf.int64)) % MAX_LENGTH  # (batch, 20)
    moved = tf.gather(sequences, steps, batch_dims=1)
    return tf.where(tf.sequence_mask(parts, MAX_LENGTH)[..., None], moved, 0.0), parts


def show(sequence: np.ndarray) -> list[str]:
    """Writes the steps of a sequence as `predict.py` reads them: 7 8 9, or 7,90 8,91 9,92."""
    numbers = np.rint(sequence * MAX_VALUE).astype(int)
    return [",".join(map(str, step)) for step in numbers]
