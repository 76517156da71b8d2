"""Number sequences: the law of each class, and how sequences are generated.

Sequences have 3 to 20 steps and are padded with zeros. With two classes and one feature they are
those of the book (section 13.2).
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

MIN_LENGTH, MAX_LENGTH = 3, 20  # steps, as in the book
MAX_VALUE = 1000  # numbers are integers from 0 to this; the network's inputs are divided by it
MAX_STRIDE = MAX_VALUE // MAX_LENGTH  # largest stride with which the longest sequence fits


def linear(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Draws a start and a stride: 17 18 19 20. The first class of the book, with stride 1."""
    shape = len(lengths), 1, num_features
    strides = rng.integers(1, max_stride, shape, endpoint=True)
    last_start = MAX_VALUE - strides * lengths[:, None, None]
    return rng.integers(0, last_start, endpoint=True) + strides * np.arange(MAX_LENGTH)[:, None]


def random(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Draws independent uniform numbers: 528 3 961 77. The second class of the book."""
    return rng.integers(0, MAX_VALUE, (len(lengths), MAX_LENGTH, num_features), endpoint=True)


def rising(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Sorts random numbers in ascending order: 3 77 528 961."""
    numbers = random(rng, lengths, num_features, max_stride)
    return np.sort(np.where(steps_of(lengths), numbers, MAX_VALUE), axis=1)


def falling(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Sorts random numbers in descending order: 961 528 77 3."""
    return MAX_VALUE - rising(rng, lengths, num_features, max_stride)


def alternating(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Alternates between two random numbers: 961 3 961 3."""
    return np.tile(random(rng, lengths, num_features, max_stride)[:, :2], (1, MAX_LENGTH // 2, 1))


# A law draws integers from 0 to MAX_VALUE, of shape (sequences, MAX_LENGTH, num_features), of which
# the first `lengths` steps are used. Features are independent. Class k follows law k.
LAWS: tuple[Callable[..., np.ndarray], ...] = (linear, random, rising, falling, alternating)


def class_names(num_classes: int) -> list[str]:
    """Returns the names of the first classes."""
    return [law.__name__ for law in LAWS[:num_classes]]


def steps_of(lengths: np.ndarray) -> np.ndarray:
    """Returns the mask of the steps before each end: bool of shape (sequences, MAX_LENGTH, 1)."""
    return (np.arange(MAX_LENGTH) < lengths[:, None])[..., None]


def generate(
    count: int, key: Sequence[int], num_features: int, num_classes: int, max_stride: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generates sequences with uniformly distributed lengths and classes (book, section 13.2).

    Args:
        count: number of sequences.
        key: seed of the random numbers; the same key gives the same sequences.
        num_features: numbers per step.
        num_classes: number of classes, the first of LAWS.
        max_stride: maximum stride of linear sequences.

    Returns:
        The sequences, float32 (count, 20, num_features) in [0, 1], their lengths in steps and
        their labels, both int64 (count,).
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
    """Scales numbers from [0, MAX_VALUE] to float32 in [0, 1]."""
    return np.float32(numbers / MAX_VALUE)


def random_crop(
    sequences: tf.Tensor, lengths: tf.Tensor, key: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crops each sequence at random; a crop follows the same law as the whole sequence.

    Args:
        sequences: float32 (batch, 20, num_features), padded with zeros.
        lengths: int64 (batch,).
        key: int64 (2,), seed of the crops.

    Returns:
        The crops, of 3 steps up to the whole sequence, in the form of `sequences`, and their
        lengths.
    """
    uniform = tf.random.stateless_uniform((2, len(lengths)), key, dtype=tf.float64)

    def up_to(largest: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        return tf.cast(uniform * tf.cast(largest + 1, tf.float64), tf.int64)

    sizes = MIN_LENGTH + up_to(lengths - MIN_LENGTH, uniform[0])
    first = up_to(lengths - sizes, uniform[1])
    steps = (first[:, None] + tf.range(MAX_LENGTH, dtype=tf.int64)) % MAX_LENGTH  # (batch, 20)
    moved = tf.gather(sequences, steps, batch_dims=1)
    return tf.where(tf.sequence_mask(sizes, MAX_LENGTH)[..., None], moved, 0.0), sizes


def show(sequence: np.ndarray) -> list[str]:
    """Returns the steps of a sequence in the format of `predict.py`: 7 8 9, or 7,90 8,91 9,92."""
    numbers = np.rint(sequence * MAX_VALUE).astype(int)
    return [",".join(map(str, step)) for step in numbers]
