"""Matches anchors to ground truth boxes: which anchor is to predict which box."""

import tensorflow as tf

UNMATCHED = -1  # background
IGNORED = -2  # neither an object nor background


def match(
    overlap: tf.Tensor,
    real: tf.Tensor,
    matched_threshold: float,
    unmatched_threshold: float,
    force_match_for_each_row: bool,
) -> tf.Tensor:
    """Matches each anchor to the box that it overlaps most, if by enough.

    Args:
        overlap: IoU, float32 of shape (batch, boxes, anchors).
        real: which boxes are no padding, bool of shape (batch, boxes).
        matched_threshold: smallest IoU of a match.
        unmatched_threshold: anchors below it are background; those between the two thresholds
            are ignored.
        force_match_for_each_row: whether each box also gets the best anchor that is left for it,
            however small their overlap is; see `greedy_pairs`.

    Returns:
        The index of a box, or UNMATCHED, or IGNORED; int32 of shape (batch, anchors).
    """
    batch, num_anchors = tf.shape(overlap)[0], tf.shape(overlap)[2]
    overlap = tf.where(real[..., None], overlap, -1.0)
    # A row of background before the boxes, so that images without boxes need no special case.
    rows = tf.concat([tf.fill([batch, 1, num_anchors], -1.0), overlap], axis=1)
    best = tf.reduce_max(rows, axis=1)
    matches = tf.argmax(rows, axis=1, output_type=tf.int32) - 1
    ignored = tf.where(best >= unmatched_threshold, IGNORED, UNMATCHED)
    matches = tf.where(best >= matched_threshold, matches, ignored)
    if not force_match_for_each_row:
        return matches
    forced = greedy_pairs(overlap)  # (batch, boxes)
    hits = tf.one_hot(forced, num_anchors, dtype=tf.int32)  # all zeros for -1
    numbers = tf.range(1, tf.shape(overlap)[1] + 1)[None, :, None]
    box = tf.reduce_sum(hits * numbers, axis=1) - 1  # (batch, anchors), -1 without a forced match
    return tf.where(box >= 0, box, matches)


def greedy_pairs(overlap: tf.Tensor) -> tf.Tensor:
    """Returns a different anchor for each box: the pair with the highest overlap first.

    The original's argmax matcher gives two boxes that share their best anchor only one of them.
    This is its bipartite matcher.

    Args:
        overlap: IoU, float32 of shape (batch, boxes, anchors); negative for padding.

    Returns:
        Index of the anchor, -1 for padding or a box outside all anchors; int32 of (batch, boxes).
    """
    batch, num_boxes, num_anchors = tf.unstack(tf.shape(overlap))

    def pair(step: tf.Tensor, left: tf.Tensor, chosen: tf.Tensor) -> tuple:
        best_of_box = tf.reduce_max(left, axis=2)
        box = tf.argmax(best_of_box, axis=1, output_type=tf.int32)  # (batch,)
        row = tf.gather(left, box, batch_dims=1)  # (batch, anchors)
        anchor = tf.argmax(row, axis=1, output_type=tf.int32)
        found = tf.reduce_max(row, axis=1) > 0
        of_box = tf.one_hot(box, num_boxes, on_value=True, off_value=False) & found[:, None]
        of_anchor = tf.one_hot(anchor, num_anchors, on_value=True, off_value=False)
        taken = of_box[:, :, None] | (of_anchor & found[:, None])[:, None]
        return (step + 1, tf.where(taken, -1.0, left),
                tf.where(of_box, anchor[:, None], chosen))

    _, _, chosen = tf.while_loop(
        lambda step, *_: step < num_boxes, pair,
        (0, overlap, tf.fill([batch, num_boxes], -1)),
        shape_invariants=(tf.TensorShape(()), tf.TensorShape([None, None, None]),
                          tf.TensorShape([None, None])))
    return chosen
