"""Skip-gram with negative sampling and subsampling (Mikolov et al. 2013b, arXiv:1310.4546).

The same model as in model.py and the same question, whether a word comes from the text or is noise,
but not pair by pair: the text comes in rows of words. The scores of a row's words with all their
neighbours are one product of two matrices, those with the row's noise words another one. A word is
then looked up about three times, where its ten pairs would be looked up one by one. Sharing noise
words so, for one window: Ji et al. 2016, arXiv:1604.04661.
"""

import numpy as np
import tensorflow as tf

from chapter14_word2vec.model import Word2Vec

ROW = 32  # words a row, each with skip_window neighbours on both sides of it
NOISE = 32  # noise words that a row shares


def keep_probability(counts: np.ndarray, subsample: float) -> np.ndarray:
    """Returns how likely each word of the text stays: √(t / f) + t / f, at most 1.

    f is a word's share of the text. The formula is that of the authors' code; their paper has
    √(t / f) alone. Unknown words never stay.

    Args:
        counts: of each word of the vocabulary in the text, of which the first is UNK.
        subsample: t, or 0 to keep all known words.

    Returns:
        float32 of the shape of `counts`.
    """
    share = counts[1:] / counts[1:].sum()
    known = np.sqrt(subsample / share) + subsample / share if subsample else np.ones(len(share))
    return np.concatenate([[0], np.minimum(known, 1)]).astype(np.float32)


def cumulative_noise(counts: np.ndarray) -> np.ndarray:
    """Returns the distribution function of the noise: counts to the power 3/4, never UNK."""
    power = np.concatenate([[0], counts[1:] ** 0.75])
    return np.cumsum(power) / power.sum()


def draw_noise(key: tf.Tensor, rows: tf.Tensor, cumulative: tf.Tensor) -> tf.Tensor:
    """Draws the noise words of each row, int32 of shape (rows, NOISE).

    Args:
        key: int64 of shape (2,): the same key gives the same words.
        rows: how many, an int32 scalar.
        cumulative: see `cumulative_noise`.
    """
    key = tf.random.experimental.stateless_fold_in(key, 0)  # (seed, k) itself thins out the text
    uniform = tf.random.stateless_uniform([rows * NOISE], key, dtype=tf.float64)
    return tf.reshape(tf.searchsorted(cumulative, uniform, side="right"), [rows, NOISE])


def closeness(row: int, skip_window: int) -> np.ndarray:
    """Returns how much each word of a row counts as a neighbour of each other.

    A word next to another one counts 1, one at the edge of its window 1 / skip_window. The original
    word2vec draws the reach of each window from 1 to skip_window, and meets them as often.

    Returns:
        float32 of shape (row, row + 2 * skip_window); the second counts from the neighbours before
        the row to those after it.
    """
    distance = np.abs(np.arange(row)[:, None] + skip_window - np.arange(row + 2 * skip_window))
    weight = np.maximum(skip_window + 1 - distance, 0) / skip_window
    return np.where(distance == 0, 0, weight).astype(np.float32)


def negative_sampling_loss(
    model: Word2Vec, centres: tf.Tensor, neighbours: tf.Tensor, noise: tf.Tensor, num_sampled: int
) -> tf.Tensor:
    """Returns the mean over all pairs of -ln σ(true score) - Σ ln σ(-noise score), in nats.

    The sum is over `num_sampled` noise words. They are the row's: each of them stands for
    `num_sampled / NOISE` of a pair's own.

    Args:
        model: its biases stay 0.
        centres: int32 of shape (rows, ROW); 0 is where there is no word.
        neighbours: int32 of shape (rows, ROW + 2 * skip_window), the row and what is around it.
        noise: int32 of shape (rows, NOISE).
        num_sampled: noise words a pair.
    """
    row, skip_window = centres.shape[1], (neighbours.shape[1] - centres.shape[1]) // 2
    words, others = (tf.cast(part != 0, tf.float32) for part in (centres, neighbours))
    pairs = closeness(row, skip_window) * words[:, :, None] * others[:, None, :]
    weight = tf.reduce_sum(pairs, axis=2, keepdims=True) * (num_sampled / NOISE)  # (rows, ROW, 1)

    vectors = tf.gather(model.embeddings, centres)  # (rows, ROW, size)
    outputs, noise = (tf.gather(model.nce_weights, part) for part in (neighbours, noise))
    true_scores = tf.matmul(vectors, outputs, transpose_b=True)  # (rows, ROW, ROW + 2 windows)
    noise_scores = tf.matmul(vectors, noise, transpose_b=True)  # (rows, ROW, NOISE)
    total = (tf.reduce_sum(pairs * tf.nn.softplus(-true_scores))
             + tf.reduce_sum(weight * tf.nn.softplus(noise_scores)))
    return tf.math.divide_no_nan(total, tf.reduce_sum(pairs))
