"""The losses of the original that the pipeline can name, one value per anchor.

Predictions and targets are float32 of shape (batch, anchors, codes or classes), weights of shape
(batch, anchors); each function returns float32 of shape (batch, anchors).
"""

import tensorflow as tf

from chapter05_detection.boxes import iou


def smooth_l1(codes: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns Σ ½x² where |x| < 1, else |x| − ½, of the differences x (Girshick 2015, § 2.3)."""
    x = tf.abs(codes - targets)
    return weights * tf.reduce_sum(tf.where(x < 1, x**2 / 2, x - 0.5), axis=-1)


def l2(codes: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns Σ ½(w·x)² of the differences x. As in the original, the weight is squared."""
    return tf.reduce_sum((weights[..., None] * (codes - targets)) ** 2 / 2, axis=-1)


def iou_loss(boxes: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns 1 − IoU of boxes, not codes, of shape (batch, anchors, 4)."""
    overlap = iou(boxes[..., None, :], targets[..., None, :])[..., 0, 0]
    return weights * (1 - overlap)


def sigmoid_cross_entropy(
    logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Returns the sum of the binary cross-entropies of all classes."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    return weights * tf.reduce_sum(losses, axis=-1)


def softmax_cross_entropy(
    logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Returns the cross-entropy of the distributions over all classes."""
    return weights * tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)


def bootstrapped_sigmoid(
    logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, alpha: float = 0.5,
    hard: bool = False,
) -> tf.Tensor:
    """Returns the cross-entropy with targets that trust the predictions in part (Reed et al. 2014).

    Args:
        logits: of all classes.
        targets: in [0, 1].
        weights: of the anchors.
        alpha: weight of the targets; that of the predictions is 1 − alpha.
        hard: whether the predictions are rounded to 0 or 1.
    """
    predicted = tf.sigmoid(logits)
    if hard:
        predicted = tf.cast(predicted > 0.5, tf.float32)
    return sigmoid_cross_entropy(logits, alpha * targets + (1 - alpha) * predicted, weights)


def focal(
    logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, alpha: float = 0.25,
    gamma: float = 2.0,
) -> tf.Tensor:
    """Returns the focal loss −α(1 − p)^γ log p of the correct answers (Lin et al. 2017).

    Background, the first class, does not count: all other classes are zero there.
    """
    logits, targets = logits[..., 1:], targets[..., 1:]
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    correct = tf.exp(-losses)  # the probability of the correct answer
    balance = alpha * targets + (1 - alpha) * (1 - targets)
    return weights * tf.reduce_sum(balance * (1 - correct) ** gamma * losses, axis=-1)


CLASSIFICATION = {
    "weighted_sigmoid": sigmoid_cross_entropy,
    "weighted_softmax": softmax_cross_entropy,
    "bootstrapped_sigmoid": bootstrapped_sigmoid,
    "focal": focal,
}
LOCALIZATION = {"weighted_smooth_l1": smooth_l1, "weighted_l2": l2}
