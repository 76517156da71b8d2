"""Training examples, made in the graph from a text in numbers: no Python runs for a word.

Each function here returns another one, from k to batch k: a pure function, so that a stream can
begin anywhere.
"""

from collections.abc import Callable

import tensorflow as tf

from chapter14_word2vec.negative_sampling import ROW

Examples = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def skipgram_examples(
    text: tf.Tensor, batch_size: int, skip_window: int, num_skips: int, seed: int
) -> Examples:
    """Returns the function that makes batch k of the skip-gram model (book, section 14.2).

    The words of the text are centres one after the other; each gives `num_skips` examples, whose
    labels are that many of its `2 * skip_window` neighbours, drawn without repetition.
    """
    offsets = window_offsets(skip_window)

    def examples(k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        centres = window_centres(k, batch_size // num_skips, text, skip_window)
        key = tf.stack([tf.cast(seed, tf.int64), k])
        shape = (batch_size // num_skips, 2 * skip_window)
        _, drawn = tf.math.top_k(tf.random.stateless_uniform(shape, key), num_skips)
        neighbours = tf.gather(text, centres[:, None] + tf.gather(offsets, drawn))
        return tf.repeat(tf.gather(text, centres), num_skips), tf.reshape(neighbours, [-1])

    return examples


def cbow_examples(text: tf.Tensor, batch_size: int, skip_window: int) -> Examples:
    """Returns the function that makes batch k of the CBOW model (book, section 14.1).

    Each example's input are all neighbours of a centre, its label is the centre.
    """
    offsets = window_offsets(skip_window)

    def examples(k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        centres = window_centres(k, batch_size, text, skip_window)
        return tf.gather(text, centres[:, None] + offsets), tf.gather(text, centres)

    return examples


def passages(
    text: tf.Tensor, keep: tf.Tensor, batch_size: int, skip_window: int, seed: int
) -> Examples:
    """Returns the function that makes batch k for negative sampling (Mikolov et al. 2013b).

    The next `batch_size` words of the text are thinned out, so that windows reach farther, and what
    stays is cut into rows; 0 fills the last one. Inputs are the rows, labels are the rows with
    `skip_window` neighbours on both sides.
    """

    def examples(k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        places = k * batch_size + tf.range(batch_size, dtype=tf.int64)
        words = tf.gather(text, places % text.shape[0])
        key = tf.stack([tf.cast(seed, tf.int64), k])
        stays = tf.random.stateless_uniform([batch_size], key) < tf.gather(keep, words)
        words = tf.boolean_mask(words, stays)
        words = tf.pad(words, [[skip_window, -tf.size(words) % ROW + skip_window]])
        neighbours = tf.signal.frame(words, ROW + 2 * skip_window, ROW)
        return neighbours[:, skip_window:-skip_window], neighbours

    return examples


def window_offsets(skip_window: int) -> tf.Tensor:
    """Returns where the neighbours in a window are, seen from its centre."""
    offsets = [offset for offset in range(-skip_window, skip_window + 1) if offset]
    return tf.constant(offsets, tf.int64)


def window_centres(k: tf.Tensor, count: int, text: tf.Tensor, skip_window: int) -> tf.Tensor:
    """Returns the positions of batch k's centres: on and on through the text, whole windows only.

    Returns:
        int64 of shape (count,).
    """
    num_centres = text.shape[0] - 2 * skip_window
    return skip_window + (k * count + tf.range(count, dtype=tf.int64)) % num_centres
