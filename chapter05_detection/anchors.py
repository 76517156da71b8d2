"""Anchors: the boxes of fixed shapes to which the detectors' outputs are relative.

SSD has anchors on several feature maps, Faster R-CNN on one. All are (ymin, xmin, ymax, xmax) in
fractions of the image; their order is that of the network's outputs: by row, column, shape.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from chapter05_detection.boxes import iou_numpy

ENOUGH_RECALL = 0.95  # below it, `report` proposes other scales


def shapes(scales: Sequence[float], ratios: Sequence[float]) -> np.ndarray:
    """Returns the (height, width) of anchors of given scales and aspect ratios, one to one.

    Args:
        scales: square roots of the areas.
        ratios: widths divided by heights.
    """
    scales, roots = np.array(scales, np.float32), np.sqrt(np.array(ratios, np.float32))
    return np.stack([scales / roots, scales * roots], axis=1)


def tile(centres_y: tf.Tensor, centres_x: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Returns boxes of all given sizes around all points of a grid.

    Args:
        centres_y: of the rows, float32 of shape (rows,).
        centres_x: of the columns, float32 of shape (columns,).
        sizes: (height, width), float32 of shape (count, 2).

    Returns:
        float32 of shape (rows * columns * count, 4).
    """
    centres = tf.stack(tf.meshgrid(centres_y, centres_x, indexing="ij"), axis=-1)
    centres = centres[:, :, None]  # (rows, columns, 1, 2)
    boxes = tf.concat([centres - sizes / 2, centres + sizes / 2], axis=-1)
    return tf.reshape(boxes, (-1, 4))


def ssd_shapes(
    num_layers: int,
    min_scale: float = 0.2,
    max_scale: float = 0.95,
    aspect_ratios: Sequence[float] = (1.0, 2.0, 0.5, 3.0, 0.3333),
    reduce_boxes_in_lowest_layer: bool = True,
) -> list[np.ndarray]:
    """Returns the (height, width) of the anchors of each of SSD's feature maps (Liu et al. 2016).

    The scales of the maps are evenly spaced. Each map has one anchor of every aspect ratio, and a
    square one of a scale between its own and that of the next map.

    Args:
        num_layers: number of feature maps, the largest first.
        min_scale: scale of the first map, as a fraction of the image.
        max_scale: scale of the last map.
        aspect_ratios: widths divided by heights.
        reduce_boxes_in_lowest_layer: whether the first map has only three anchors.
    """
    scales = [*np.linspace(min_scale, max_scale, num_layers), 1.0]
    found = []
    for layer, (scale, following) in enumerate(itertools.pairwise(scales)):
        if layer == 0 and reduce_boxes_in_lowest_layer:
            found.append(shapes([0.1, scale, scale], [1.0, 2.0, 0.5]))
        else:
            between = np.sqrt(scale * following)
            found.append(shapes([scale] * len(aspect_ratios) + [between], [*aspect_ratios, 1.0]))
    return found


def level_shapes(settings: dict[str, Any], num_layers: int) -> list[np.ndarray]:
    """Returns the (height, width) of the anchors of each feature map.

    Args:
        settings: the pipeline's `ssd_anchor_generator`. Its `scales`, a list for each map, replace
            the evenly spaced ones if they are given, each with all aspect ratios.
        num_layers: number of feature maps.

    Raises:
        ValueError: `scales` are of another number of maps.
    """
    if not (scales := settings["scales"]):
        evenly = {key: settings[key] for key in ("min_scale", "max_scale", "aspect_ratios",
                                                 "reduce_boxes_in_lowest_layer")}
        return ssd_shapes(num_layers, **evenly)
    if len(scales) != num_layers:
        raise ValueError(f"anchor_generator has scales for {len(scales)} feature maps, the "
                         f"network has {num_layers}")
    ratios = settings["aspect_ratios"]
    return [shapes(np.repeat(level, len(ratios)), np.tile(ratios, len(level)))
            for level in scales]


def ssd_anchors(
    map_sizes: Sequence[tuple[int, int]], level_sizes: Sequence[np.ndarray]
) -> tf.Tensor:
    """Returns the anchors of all of SSD's feature maps, float32 of shape (anchors, 4).

    Args:
        map_sizes: (rows, columns) of each map. A point is the centre of its cell.
        level_sizes: (height, width) of the anchors of each map, from `level_shapes`.
    """
    levels = [tile((tf.range(rows, dtype=tf.float32) + 0.5) / rows,
                   (tf.range(columns, dtype=tf.float32) + 0.5) / columns, sizes)
              for (rows, columns), sizes in zip(map_sizes, level_sizes, strict=True)]
    return tf.concat(levels, axis=0)


def grid_anchors(
    map_size: tf.Tensor, image_size: tf.Tensor, settings: dict[str, Any]
) -> tf.Tensor:
    """Returns the anchors of Faster R-CNN's feature map, float32 of shape (anchors, 4).

    Args:
        map_size: rows and columns of the feature map.
        image_size: height and width of the image in pixels.
        settings: the pipeline's `grid_anchor_generator`: `height` and `width` of the base anchor,
            `scales`, `aspect_ratios`, strides and offsets of the centres. All but scales and ratios
            are in pixels of the image.
    """
    scales, ratios = settings["scales"], settings["aspect_ratios"]
    # As in the original, all scales of a ratio follow each other.
    relative = shapes(np.tile(scales, len(ratios)), np.repeat(ratios, len(scales)))
    sizes = relative * np.array([settings["height"], settings["width"]], np.float32)
    centres = [tf.range(tf.cast(map_size[axis], tf.float32)) * settings[f"{side}_stride"]
               + settings[f"{side}_offset"] for axis, side in enumerate(("height", "width"))]
    boxes = tile(*centres, sizes)
    return boxes / tf.tile(tf.cast(image_size, tf.float32), [2])


def reachable(boxes: np.ndarray, anchors: np.ndarray, threshold: float) -> np.ndarray:
    """Returns which boxes have an anchor that overlaps them enough; bool of shape (n,).

    Their share is the "best possible recall" of a detector that is trained without forced matches.

    Args:
        boxes: ground truth, float of shape (n, 4).
        anchors: float of shape (m, 4).
        threshold: smallest IoU of a match.
    """
    return iou_numpy(boxes, anchors).max(axis=1, initial=0) >= threshold


def propose(boxes: np.ndarray, num_scales: int, num_ratios: int) -> tuple[list, list]:
    """Returns scales and aspect ratios that fit ground truth boxes: evenly spaced quantiles.

    Args:
        boxes: float of shape (n, 4), n at least 1.
        num_scales: number of scales.
        num_ratios: number of aspect ratios.
    """
    sizes = boxes[:, 2:] - boxes[:, :2]
    scales, ratios = np.sqrt(sizes.prod(axis=1)), sizes[:, 1] / sizes[:, 0]

    def quantiles(values: np.ndarray, count: int) -> list[float]:
        return np.quantile(values, (np.arange(count) + 0.5) / count).round(3).tolist()

    return quantiles(scales, num_scales), quantiles(ratios, num_ratios)


def report(
    boxes: Sequence[np.ndarray], anchors: Iterable[np.ndarray], threshold: float
) -> tuple[float, str]:
    """Returns the best possible recall, and a text on it with a proposal if it is too low.

    Args:
        boxes: ground truth of each image, float of shape (n, 4).
        anchors: of each image, float of shape (m, 4).
        threshold: smallest IoU of a match.
    """
    found = [reachable(*pair, threshold) for pair in zip(boxes, anchors, strict=True)]
    together, all_boxes = np.concatenate(found), np.concatenate(boxes)
    recall = float(together.mean())
    text = (f"best possible recall: {recall:.3f} of {len(together):,} boxes overlap an anchor by "
            f"at least {threshold}")
    if recall >= ENOUGH_RECALL:
        return recall, text
    scales, ratios = propose(all_boxes, 6, 3)
    lost = np.sqrt((all_boxes[~together, 2:] - all_boxes[~together, :2]).prod(axis=1))
    return recall, (
        f"{text}; those out of reach have a median side of {np.median(lost):.3f} of the image. "
        f"Scales of the boxes: {scales}, aspect ratios: {ratios}. Try such scales in the "
        "pipeline's anchor_generator; small boxes also need a feature map of a smaller stride")
