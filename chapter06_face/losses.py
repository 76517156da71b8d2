"""Losses of face recognition: softmax, center loss, triplets, ArcFace."""

import math

import tensorflow as tf


def softmax_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the mean cross-entropy in nats; labels are int64 of shape (batch,)."""
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def center_loss(features: tf.Tensor, labels: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Returns the mean squared difference of features and the centers of their classes.

    The original's: a mean over batch and features, without the ½ of the paper (Wen et al. 2016;
    book, section 6.2.2).

    Args:
        features: float32 of shape (batch, size).
        labels: int64 of shape (batch,).
        centers: float32 of shape (classes, size).
    """
    return tf.reduce_mean((features - tf.gather(centers, labels)) ** 2)


def update_centers(
    centers: tf.Variable, features: tf.Tensor, labels: tf.Tensor, alfa: float
) -> None:
    """Moves the centers of the classes in a batch towards its features (Wen et al. 2016, eq. 4).

    Center j moves by (1 − alfa) · Σ (f − c_j) / (1 + n_j), over the n_j features of the class. The
    original lacks the divisor: many features of one class overshoot. It also never ran the update.

    Args:
        centers: of shape (classes, size).
        features: of shape (batch, size).
        labels: of shape (batch,).
        alfa: 1 keeps the centers where they are.
    """
    counts = tf.math.bincount(tf.cast(labels, tf.int32), minlength=centers.shape[0],
                              dtype=tf.float32)
    share = (1 - alfa) / (1 + tf.gather(counts, labels))[:, None]
    centers.scatter_add(tf.IndexedSlices(share * (features - tf.gather(centers, labels)), labels))


def squared_distances(embeddings: tf.Tensor) -> tf.Tensor:
    """Returns the squared distances of all pairs of embeddings, of shape (batch, batch)."""
    products = embeddings @ tf.transpose(embeddings)
    squares = tf.linalg.diag_part(products)
    return tf.maximum(squares[:, None] - 2 * products + squares[None, :], 0.0)


def triplet_loss(
    anchor_positive: tf.Tensor, anchor_negative: tf.Tensor, alpha: float
) -> tf.Tensor:
    """Returns max(0, ‖a − p‖² − ‖a − n‖² + alpha) per triplet (Schroff et al. 2015, eq. 3)."""
    return tf.nn.relu(anchor_positive - anchor_negative + alpha)


def semi_hard_triplets(
    distances: tf.Tensor, labels: tf.Tensor, alpha: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Chooses a negative for each pair of two images of a person.

    Semi-hard are negatives that are farther than the positive, but by less than alpha (Schroff et
    al. 2015, § 3.2); one is drawn at random. A pair that has none has no triplet.

    Args:
        distances: squared, of shape (batch, batch).
        labels: the people, of shape (batch,).
        alpha: the margin.
        seed: int of shape (2,).

    Returns:
        Anchor, positive and negative of each triplet, int64 of shape (triplets, 3), and the number
        of pairs.
    """
    same = labels[:, None] == labels[None, :]
    pairs = tf.where(same & ~tf.eye(tf.size(labels), dtype=tf.bool))  # (pairs, 2)
    positive = tf.gather_nd(distances, pairs)[:, None]
    from_anchor = tf.gather(distances, pairs[:, 0])  # (pairs, batch)
    semi_hard = (~tf.gather(same, pairs[:, 0]) & (from_anchor > positive)
                 & (from_anchor < positive + alpha))
    draws = tf.random.stateless_uniform(tf.shape(from_anchor), seed)
    negative = tf.argmax(tf.where(semi_hard, draws, -1.0), axis=1)
    triplets = tf.concat([pairs, negative[:, None]], axis=1)
    return tf.boolean_mask(triplets, tf.reduce_any(semi_hard, axis=1)), tf.shape(pairs)[0]


def cosines(embeddings: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns the cosines of embeddings and classes, of shape (batch, classes).

    Args:
        embeddings: of length 1, of shape (batch, size).
        weights: of shape (size, classes).
    """
    return embeddings @ tf.math.l2_normalize(weights, axis=0)


def arcface_logits(
    cosines: tf.Tensor, labels: tf.Tensor, scale: float, margin: float
) -> tf.Tensor:
    """Returns scaled cosines, that of the true class for an angle larger by a margin.

    ArcFace (Deng et al. 2019, eq. 3). Where the larger angle would exceed π, the cosine goes on in
    a straight line, so that it still falls.

    Args:
        cosines: of shape (batch, classes).
        labels: int64 of shape (batch,).
        scale: of all logits.
        margin: in radians.
    """
    true = tf.gather(cosines, labels, axis=1, batch_dims=1)
    sine = tf.sqrt(tf.maximum(1 - true**2, 1e-7))
    farther = true * math.cos(margin) - sine * math.sin(margin)
    farther = tf.where(true > math.cos(math.pi - margin), farther,
                       true - math.sin(margin) * margin)
    one_hot = tf.one_hot(labels, cosines.shape[1])
    return scale * (cosines + one_hot * (farther - true)[:, None])
