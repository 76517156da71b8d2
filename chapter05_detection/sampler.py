"""Which anchors or proposals count in the loss: a balanced sample, or the hardest negatives."""

import tensorflow as tf


def ranks(values: tf.Tensor) -> tf.Tensor:
    """Returns the rank of each value within its row, the highest first; int32, same shape."""
    return tf.argsort(tf.argsort(values, axis=1, direction="DESCENDING", stable=True), axis=1,
                      stable=True)


def first_of(which: tf.Tensor, order: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns which of the marked entries are among the first `count` of their row.

    Args:
        which: bool of shape (batch, n).
        order: float32 of shape (batch, n); the highest come first.
        count: int32 of shape (batch,).
    """
    lowest = tf.reduce_min(order) - 1.0
    return which & (ranks(tf.where(which, order, lowest)) < count[:, None])


def balanced_sample(
    positive: tf.Tensor, negative: tf.Tensor, size: int, positive_fraction: float, key: tf.Tensor
) -> tf.Tensor:
    """Draws a random sample of each row with at most a given fraction of positives.

    If there are fewer positives, negatives take their place.

    Args:
        positive: bool of shape (batch, n).
        negative: bool of shape (batch, n); entries that are neither are never drawn.
        size: number of entries to draw, at most, per row.
        positive_fraction: in [0, 1].
        key: random seed, int64 of shape (2,), which determines the sample.

    Returns:
        bool of shape (batch, n).
    """
    noise = tf.random.stateless_uniform(tf.shape(positive), key)
    limit = tf.fill([tf.shape(positive)[0]], int(size * positive_fraction))
    chosen = first_of(positive, noise, limit)
    left = size - tf.reduce_sum(tf.cast(chosen, tf.int32), axis=1)
    return chosen | first_of(negative, noise, left)


def hard_negatives(
    losses: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor, per_positive: float,
    minimum: int = 0,
) -> tf.Tensor:
    """Returns the negatives with the highest losses, a fixed number per positive of their image.

    Hard negative mining of SSD (Liu et al. 2016, § 2.2).

    Args:
        losses: classification losses, float32 of shape (batch, anchors).
        positive: bool of shape (batch, anchors).
        negative: bool of shape (batch, anchors).
        per_positive: number of negatives per positive.
        minimum: number of negatives of an image with few or no positives.

    Returns:
        bool of shape (batch, anchors).
    """
    positives = tf.reduce_sum(tf.cast(positive, tf.float32), axis=1)
    count = tf.maximum(tf.cast(per_positive * positives, tf.int32), minimum)
    return first_of(negative, tf.stop_gradient(losses), count)
