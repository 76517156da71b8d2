"""What each anchor or proposal is to predict, in a whole batch at once."""

from typing import NamedTuple

import tensorflow as tf

from chapter05_detection.boxes import encode, iou
from chapter05_detection.matcher import UNMATCHED, match


class Targets(NamedTuple):
    """Targets of the anchors of a batch.

    Attributes:
        classes: 0 for background, else the label + 1; int64 of shape (batch, anchors).
        codes: of the matched boxes, float32 of shape (batch, anchors, 4); 0 without a match.
        positive: which anchors are matched, bool of shape (batch, anchors).
        negative: which are background; the rest is ignored.
    """

    classes: tf.Tensor
    codes: tf.Tensor
    positive: tf.Tensor
    negative: tf.Tensor


def coder_scales(coder: dict[str, float]) -> tuple[float, ...]:
    """Returns the factors of (ty, tx, th, tw)."""
    return tuple(coder[f"{name}_scale"] for name in ("y", "x", "height", "width"))


def assign(
    anchors: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, coder: dict[str, float],
    matched_threshold: float, unmatched_threshold: float, force_match_for_each_row: bool = True,
) -> Targets:
    """Returns the targets of anchors.

    Args:
        anchors: float32 of shape (anchors, 4) or (batch, anchors, 4).
        boxes: ground truth, float32 of shape (batch, n, 4).
        labels: int64 of shape (batch, n), negative for padding.
        coder: the pipeline's `box_coder`.
        matched_threshold: see `matcher.match`, as the next two.
        unmatched_threshold: see `matcher.match`.
        force_match_for_each_row: see `matcher.match`.
    """
    real = labels >= 0
    matches = match(iou(boxes, anchors), real, matched_threshold, unmatched_threshold,
                    force_match_for_each_row)  # (batch, anchors)
    positive = matches >= 0
    # A row of zeros for anchors without a box.
    rows = tf.maximum(matches, -1) + 1
    padded_labels = tf.pad(labels + 1, [[0, 0], [1, 0]])
    padded_boxes = tf.pad(boxes, [[0, 0], [1, 0], [0, 0]])
    codes = encode(tf.gather(padded_boxes, rows, batch_dims=1), anchors, coder_scales(coder))
    codes = tf.where(positive[..., None], codes, 0.0)
    return Targets(tf.gather(padded_labels, rows, batch_dims=1), codes, positive,
                   matches == UNMATCHED)
