"""Skip-gram with negative sampling and subsampling (Mikolov et al. 2013b, arXiv:1310.4546).

The model is that of model.py, and so is the task: does a word come from the text or is it noise?
But instead of single pairs the input is rows of text. The scores of a row's words with all their
context words are one matrix product, the scores with the row's noise words another one. Each word
is looked up about three times, instead of once for each of its pairs (six on average for a window
of 5). Ji et al. 2016, arXiv:1604.04661, share noise words in the same way within one window.
"""

import numpy as np
import tensorflow as tf

from chapter14_word2vec.model import Word2Vec

ROW = 32  # words per row, plus skip_window context words on both sides of the row
NOISE = 32  # noise words per row, shared by all its pairs


def keep_probability(counts: np.ndarray, subsample: float) -> np.ndarray:
    """Returns the probability that subsampling keeps a word: √(t / f) + t / f, at most 1.

    f is the relative frequency of the word. The formula is that of the authors' code; their paper
    has √(t / f) only. Unknown words are never kept.

    Args:
        counts: the frequency of each word of the vocabulary in the text, UNK first.
        subsample: the threshold t, or 0 to keep all known words.

    Returns:
        float32 of the shape of `counts`.
    """
    frequency = counts[1:] / counts[1:].sum()
    known = (np.sqrt(subsample / frequency) + subsample / frequency if subsample
             else np.ones(len(frequency)))
    return np.concatenate([[0], np.minimum(known, 1)]).astype(np.float32)


def cumulative_noise(counts: np.ndarray) -> np.ndarray:
    """Returns the cumulative distribution of the noise: counts to the power 3/4, UNK excluded."""
    power = np.concatenate([[0], counts[1:] ** 0.75])
    return np.cumsum(power) / power.sum()


def draw_noise(key: tf.Tensor, rows: tf.Tensor, cumulative: tf.Tensor) -> tf.Tensor:
    """Draws the noise words of each row, int32 of shape (rows, NOISE).

    Args:
        key: random key, int64 of shape (2,); the same key gives the same words.
        rows: the number of rows, an int32 scalar.
        cumulative: see `cumulative_noise`.
    """
    key = tf.random.experimental.stateless_fold_in(key, 0)  # (seed, k) itself draws the subsample
    uniform = tf.random.stateless_uniform([rows * NOISE], key, dtype=tf.float64)
    return tf.reshape(tf.searchsorted(cumulative, uniform, side="right"), [rows, NOISE])


def closeness(row: int, skip_window: int) -> np.ndarray:
    """Returns the weight of each pair of a word of a row and a context word.

    The weight is 1 for adjacent words and 1 / skip_window at the edge of the window. The original
    word2vec draws the size of each window from 1 to skip_window; the weight is the probability that
    such a window includes the pair.

    Returns:
        float32 of shape (row, row + 2 * skip_window). The second axis starts with the skip_window
        words before the row and ends with those after it.
    """
    distance = np.abs(np.arange(row)[:, None] + skip_window - np.arange(row + 2 * skip_window))
    weight = np.maximum(skip_window + 1 - distance, 0) / skip_window
    return np.where(distance == 0, 0, weight).astype(np.float32)


def negative_sampling_loss(
    model: Word2Vec, centres: tf.Tensor, context: tf.Tensor, noise: tf.Tensor, num_sampled: int
) -> tf.Tensor:
    """Returns the mean over all pairs of -ln σ(true score) - Σ ln σ(-noise score), in nats.

    The sum is over `num_sampled` noise words per pair. The noise words of the row stand in for
    them, each with the weight `num_sampled / NOISE`.

    Args:
        model: its biases are not used.
        centres: int32 of shape (rows, ROW), 0 for padding.
        context: int32 of shape (rows, ROW + 2 * skip_window), the rows with the words around them.
        noise: int32 of shape (rows, NOISE).
        num_sampled: noise words per pair.
    """
    # Weights of the pairs, 0 for padding; a word's noise weighs as much as all its pairs.
    row, skip_window = centres.shape[1], (context.shape[1] - centres.shape[1]) // 2
    words, others = (tf.cast(part != 0, tf.float32) for part in (centres, context))
    pairs = closeness(row, skip_window) * words[:, :, None] * others[:, None, :]
    weight = tf.reduce_sum(pairs, axis=2, keepdims=True) * (num_sampled / NOISE)  # (rows, ROW, 1)

    # Scores of all pairs in two batched matrix products.
    vectors = tf.gather(model.embeddings, centres)  # (rows, ROW, size)
    outputs, noise = (tf.gather(model.nce_weights, part) for part in (context, noise))
    true_scores = tf.matmul(vectors, outputs, transpose_b=True)  # (rows, ROW, ROW + 2 windows)
    noise_scores = tf.matmul(vectors, noise, transpose_b=True)  # (rows, ROW, NOISE)
    total = (tf.reduce_sum(pairs * tf.nn.softplus(-true_scores))
             + tf.reduce_sum(weight * tf.nn.softplus(noise_scores)))
    return tf.math.divide_no_nan(total, tf.reduce_sum(pairs))
