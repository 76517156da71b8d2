"""Boxes: overlap, clipping, their code relative to anchors, non-maximum suppression.

A box is (ymin, xmin, ymax, xmax) in fractions of the height and width of its image, unless a
function says otherwise. Functions for training take tensors; those named `*_numpy` and
`non_max_suppression` take arrays.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

SCALES = (10.0, 10.0, 5.0, 5.0)  # of the code (ty, tx, th, tw); the original's
EPSILON = 1e-8  # smallest height and width of a box that is encoded


def iou(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns the intersection over union of all pairs of boxes.

    Args:
        first: float32 of shape (..., n, 4).
        second: float32 of shape (..., m, 4).

    Returns:
        float32 of shape (..., n, m) in [0, 1]; 0 where both boxes are empty.
    """
    first, second = first[..., :, None, :], second[..., None, :, :]
    corner = tf.maximum(first[..., :2], second[..., :2])
    sides = tf.maximum(tf.minimum(first[..., 2:], second[..., 2:]) - corner, 0.0)
    intersection = tf.reduce_prod(sides, axis=-1)  # (..., n, m)
    areas = [tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (first, second)]
    return tf.math.divide_no_nan(intersection, areas[0] + areas[1] - intersection)


def iou_numpy(
    first: np.ndarray, second: np.ndarray, over: str = "union", pixel: float = 0.0
) -> np.ndarray:
    """Returns the overlap of all pairs of boxes, like `iou`.

    Args:
        first: float of shape (n, 4).
        second: float of shape (m, 4).
        over: "union"; or "min", the area of the smaller box of the pair (MTCNN, Zhang et al. 2016).
        pixel: added to each side. It is 1 for boxes that are given by their first and last pixel,
            as in VOC's own evaluation and in MTCNN.

    Returns:
        float of shape (n, m) in [0, 1].
    """
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    sides = np.minimum(first[:, None, 2:], second[None, :, 2:]) - corner + pixel
    intersection = np.prod(np.maximum(sides, 0), axis=2)  # (n, m)
    area, other = (np.prod(boxes[:, 2:] - boxes[:, :2] + pixel, axis=1)
                   for boxes in (first, second))
    if over == "min":
        whole = np.minimum(area[:, None], other)
    else:
        whole = area[:, None] + other - intersection
    return np.divide(intersection, whole, out=np.zeros_like(intersection), where=whole > 0)


def clip(boxes: tf.Tensor, window: Sequence[float] = (0.0, 0.0, 1.0, 1.0)) -> tf.Tensor:
    """Clips boxes of shape (..., 4) to a window (ymin, xmin, ymax, xmax)."""
    low, high = tf.constant(window[:2] * 2, tf.float32), tf.constant(window[2:] * 2, tf.float32)
    return tf.clip_by_value(boxes, low, high)


def is_inside(boxes: tf.Tensor) -> tf.Tensor:
    """Returns whether boxes of shape (..., 4) lie within their image; bool of shape (...)."""
    return tf.reduce_all((boxes[..., :2] >= 0) & (boxes[..., 2:] <= 1), axis=-1)


def centre_and_size(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the centres (y, x) and sizes (height, width) of boxes, each of shape (..., 2)."""
    sizes = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + sizes / 2, sizes


def encode(boxes: tf.Tensor, anchors: tf.Tensor, scales: Sequence[float] = SCALES) -> tf.Tensor:
    """Encodes boxes relative to anchors (Ren et al. 2015, § 3.1.2).

    Args:
        boxes: float32 of shape (..., 4).
        anchors: the anchor of each box, of a shape that broadcasts to that of `boxes`.
        scales: factors of the four numbers, which bring them to about the same variance.

    Returns:
        (ty, tx, th, tw), float32 of shape (..., 4): the offset of the centre in heights and widths
        of the anchor, and the logarithm of the ratio of the heights and widths.
    """
    centres, sizes = centre_and_size(boxes)
    anchor_centres, anchor_sizes = centre_and_size(anchors)
    sizes, anchor_sizes = tf.maximum(sizes, EPSILON), tf.maximum(anchor_sizes, EPSILON)
    offsets = (centres - anchor_centres) / anchor_sizes
    return tf.concat([offsets, tf.math.log(sizes / anchor_sizes)], axis=-1) * scales


def decode(codes: tf.Tensor, anchors: tf.Tensor, scales: Sequence[float] = SCALES) -> tf.Tensor:
    """Returns the boxes of codes, float32 of shape (..., 4): the inverse of `encode`."""
    offsets, logarithms = tf.split(codes / scales, 2, axis=-1)
    anchor_centres, anchor_sizes = centre_and_size(anchors)
    centres, sizes = offsets * anchor_sizes + anchor_centres, tf.exp(logarithms) * anchor_sizes
    return tf.concat([centres - sizes / 2, centres + sizes / 2], axis=-1)


def non_max_suppression(
    boxes: np.ndarray,
    scores: np.ndarray,
    iou_threshold: float,
    max_boxes: int | None = None,
    score_threshold: float = -np.inf,
    over: str = "union",
    pixel: float = 0.0,
) -> np.ndarray:
    """Returns the indices of the boxes that are kept, the highest score first.

    The box with the highest score is kept, and all boxes that overlap it by more than the threshold
    are dropped; then the next of those that are left, and so on.

    Args:
        boxes: float of shape (n, 4).
        scores: of shape (n,); equal scores are taken in order of the boxes.
        iou_threshold: largest overlap of two boxes that are both kept.
        max_boxes: number of boxes to keep at most.
        score_threshold: boxes are dropped unless their score is higher.
        over: see `iou_numpy`.
        pixel: see `iou_numpy`.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > score_threshold]
    kept: list[int] = []
    while len(order) and (max_boxes is None or len(kept) < max_boxes):
        best, order = order[0], order[1:]
        kept.append(best)
        overlap = iou_numpy(boxes[best][None], boxes[order], over, pixel)[0]
        order = order[overlap <= iou_threshold]
    return np.array(kept, int)
