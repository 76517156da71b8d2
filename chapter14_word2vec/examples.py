"""Training examples, built inside the TensorFlow graph from the ids of a text.

Each public function returns a closure that maps k to batch k. It is a pure function of k, so that a
stream can start at any step.
"""

from collections.abc import Callable

import tensorflow as tf

from chapter14_word2vec.negative_sampling import ROW

Examples = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def skipgram_examples(
    text: tf.Tensor, batch_size: int, skip_window: int, num_skips: int, seed: int
) -> Examples:
    """Returns the function from k to batch k of skip-gram examples (book, section 14.3.3).

    Each word of the text is the centre word in turn. It gives `num_skips` examples, whose labels
    are drawn without replacement from its `2 * skip_window` context words.
    """
    offsets = window_offsets(skip_window)

    def examples(k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        centres = window_centres(k, batch_size // num_skips, text, skip_window)
        key = tf.stack([tf.cast(seed, tf.int64), k])
        shape = (batch_size // num_skips, 2 * skip_window)
        _, drawn = tf.math.top_k(tf.random.stateless_uniform(shape, key), num_skips)
        context = tf.gather(text, centres[:, None] + tf.gather(offsets, drawn))
        return tf.repeat(tf.gather(text, centres), num_skips), tf.reshape(context, [-1])

    return examples


def cbow_examples(text: tf.Tensor, batch_size: int, skip_window: int) -> Examples:
    """Returns the function from k to batch k of CBOW examples (book, section 14.2.1).

    The input of an example is all context words of a window, its label the centre word.
    """
    offsets = window_offsets(skip_window)

    def examples(k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        centres = window_centres(k, batch_size, text, skip_window)
        return tf.gather(text, centres[:, None] + offsets), tf.gather(text, centres)

    return examples


def passages(
    text: tf.Tensor, keep: tf.Tensor, batch_size: int, skip_window: int, seed: int
) -> Examples:
    """Returns the function from k to batch k for negative sampling (Mikolov et al. 2013b).

    The next `batch_size` words of the text are subsampled, so that windows span more of the text.
    The words that remain are split into rows; the last row is padded with 0. Inputs are the rows,
    labels are the rows with `skip_window` context words on both sides.
    """

    def examples(k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        places = k * batch_size + tf.range(batch_size, dtype=tf.int64)
        words = tf.gather(text, places % text.shape[0])
        key = tf.stack([tf.cast(seed, tf.int64), k])
        stays = tf.random.stateless_uniform([batch_size], key) < tf.gather(keep, words)
        words = tf.boolean_mask(words, stays)
        words = tf.pad(words, [[skip_window, -tf.size(words) % ROW + skip_window]])
        context = tf.signal.frame(words, ROW + 2 * skip_window, ROW)
        return context[:, skip_window:-skip_window], context

    return examples


def window_offsets(skip_window: int) -> tf.Tensor:
    """Returns the positions of the context words relative to the centre, int64."""
    offsets = [offset for offset in range(-skip_window, skip_window + 1) if offset]
    return tf.constant(offsets, tf.int64)


def window_centres(k: tf.Tensor, count: int, text: tf.Tensor, skip_window: int) -> tf.Tensor:
    """Returns the positions of the centre words of batch k.

    They run through the text again and again; only complete windows are used.

    Returns:
        int64 of shape (count,).
    """
    num_centres = text.shape[0] - 2 * skip_window
    return skip_window + (k * count + tf.range(count, dtype=tf.int64)) % num_centres
