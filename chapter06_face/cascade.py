"""The cascade of MTCNN as one graph: image pyramid, proposals, two refinements, landmarks.

Boxes are (ymin, xmin, ymax, xmax) in pixels. Within the cascade they name their first and last
pixel, counted from 1, as in the original (hence the "+ 1" of its sizes); `Faces` has edges counted
from 0. All images of a batch, and all levels of their pyramids, pass through R-Net and O-Net
together.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from chapter06_face.mtcnn import CELL, STRIDE, normalize

THRESHOLDS = (0.6, 0.7, 0.7)  # least probability of a face, of P-, R- and O-Net
FACTOR = 0.709  # ratio of the sides of two levels of the pyramid
NMS_LEVEL, NMS_ALL, NMS_R, NMS_O = 0.5, 0.7, 0.7, 0.7  # largest overlap of two boxes


class Faces(NamedTuple):
    """The faces in one image.

    Attributes:
        boxes: (ymin, xmin, ymax, xmax), edges in pixels from 0, float32 of shape (faces, 4).
        scores: probabilities, float32 of shape (faces,).
        landmarks: (y, x) of left eye, right eye, nose, left and right corner of the mouth as seen
            in the image, float32 of shape (faces, 5, 2).
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray


class Candidates(NamedTuple):
    """Boxes on their way through the cascade.

    Attributes:
        boxes: float32 of shape (n, 4).
        scores: float32 of shape (n,).
        sides: what the network says of the sides, float32 of shape (n, 4).
        image: number of the image of each box, int32 of shape (n,).
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    sides: tf.Tensor
    image: tf.Tensor

    def take(self, chosen: tf.Tensor) -> "Candidates":
        """Returns some of the boxes, by their numbers."""
        return Candidates(*(tf.gather(column, chosen) for column in self))


def pyramid_scales(height: int, width: int, minsize: float, factor: float = FACTOR) -> list[float]:
    """Returns the scales of the pyramid: the smallest face, then the larger ones, fill a cell.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.
        minsize: side of the smallest face in pixels.
        factor: ratio of two scales.
    """
    scales, scale = [], CELL / minsize
    while min(height, width) * scale >= CELL:
        scales.append(scale)
        scale *= factor
    return scales


def proposals(maps: Sequence[tf.Tensor], scale: tf.Tensor, threshold: float) -> Candidates:
    """Returns the windows of P-Net with a probability of at least the threshold.

    Args:
        maps: logits and sides of all cells, of shape (batch, height, width, 2 and 4).
        scale: of the level of the pyramid.
        threshold: least probability.
    """
    probabilities = tf.nn.softmax(maps[0])[..., 1]
    cells = tf.where(probabilities >= threshold)  # (n, 3): image, row, column
    corner = STRIDE * tf.tile(tf.cast(cells[:, 1:], tf.float64), (1, 2))
    last = tf.constant([1, 1, CELL, CELL], tf.float64)
    boxes = tf.cast(tf.floor((corner + last) / scale), tf.float32)
    return Candidates(boxes, tf.gather_nd(probabilities, cells), tf.gather_nd(maps[1], cells),
                      tf.cast(cells[:, 0], tf.int32))


def suppress(found: Candidates, threshold: float, over: str = "union") -> Candidates:
    """Keeps the boxes that overlap none of a higher score in the same image by more than that.

    Args:
        found: the boxes.
        threshold: largest overlap.
        over: "union", or "min" for the area of the smaller box of a pair.
    """
    count, one = tf.size(found.scores), tf.constant([0.0, 0.0, 1.0, 1.0])
    boxes = found.boxes + one  # edges: the last pixel belongs to the box
    if over == "union":
        # Boxes of different images are moved apart, so that they cannot overlap.
        apart = tf.cast(found.image, tf.float32) * (tf.reduce_max(tf.abs(boxes)) * 2 + 1)
        chosen = tf.image.non_max_suppression(boxes + apart[:, None], found.scores, count,
                                              threshold)
    else:
        chosen = tf.image.non_max_suppression_overlaps(
            overlap_min(boxes, found.image), found.scores, count, threshold)
    return found.take(chosen)


def overlap_min(boxes: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Returns intersections over the area of the smaller box, 0 for boxes of different images.

    Args:
        boxes: edges, of shape (n, 4).
        image: number of the image of each box.

    Returns:
        float32 of shape (n, n).
    """
    corner = tf.maximum(boxes[:, None, :2], boxes[None, :, :2])
    sides = tf.maximum(tf.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - corner, 0.0)
    areas = tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    overlaps = tf.math.divide_no_nan(
        tf.reduce_prod(sides, axis=2), tf.minimum(areas[:, None], areas[None, :]))
    return tf.where(image[:, None] == image[None, :], overlaps, 0.0)


def regress(boxes: tf.Tensor, sides: tf.Tensor, pixel: float = 1.0) -> tf.Tensor:
    """Moves the sides of boxes by what a network says, in heights and widths of the box."""
    extent = boxes[:, 2:] - boxes[:, :2] + pixel
    return boxes + sides * tf.tile(extent, (1, 2))


def square(boxes: tf.Tensor) -> tf.Tensor:
    """Makes boxes square around their centres, with their longer side."""
    extent = boxes[:, 2:] - boxes[:, :2]
    longer = tf.reduce_max(extent, axis=1, keepdims=True)
    corner = boxes[:, :2] + (extent - longer) / 2
    return tf.concat([corner, corner + longer], axis=1)


def to_zero(boxes: tf.Tensor) -> tf.Tensor:
    """Rounds towards zero, as the original does."""
    return tf.sign(boxes) * tf.floor(tf.abs(boxes))


def integral(images: tf.Tensor) -> tf.Tensor:
    """Returns the sums of all pixels above and left of each corner (Viola and Jones 2001).

    Args:
        images: float32 of shape (batch, height, width, 3).

    Returns:
        float64 of shape (batch, height + 1, width + 1, 3): single precision would not do.
    """
    sums = tf.cumsum(tf.cumsum(tf.cast(images, tf.float64), axis=1), axis=2)
    return tf.pad(sums, [[0, 0], [1, 0], [1, 0], [0, 0]])


def crop(sums: tf.Tensor, boxes: tf.Tensor, image: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts boxes out and resizes them, each pixel the mean of the area that it covers.

    It equals OpenCV's INTER_AREA, by four lookups per pixel whatever the size of the box. What lies
    outside of the image is 0.

    Args:
        sums: from `integral`.
        boxes: edges, of shape (n, 4).
        image: number of the image of each box, of shape (n,).
        size: height and width of the crops.

    Returns:
        float32 of shape (n, size, size, 3).
    """
    boxes, steps = tf.cast(boxes, tf.float64), tf.linspace(tf.constant(0, tf.float64), 1, size + 1)
    shape = tf.shape(sums)

    def sample(low: tf.Tensor, high: tf.Tensor, limit: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the pixel before each sampled place, and how far behind it the place is."""
        places = low[:, None] + (high - low)[:, None] * steps  # (n, size + 1)
        places = tf.clip_by_value(places, 0, tf.cast(limit, tf.float64))
        before = tf.minimum(tf.floor(places), tf.cast(limit - 1, tf.float64))
        return tf.cast(before, tf.int32), places - before

    rows, down = sample(boxes[:, 0], boxes[:, 2], shape[1] - 1)
    columns, right = sample(boxes[:, 1], boxes[:, 3], shape[2] - 1)
    flat = tf.reshape(sums, (-1, sums.shape[-1]))
    first = (image[:, None, None] * shape[1] + rows[:, :, None]) * shape[2] + columns[:, None]
    down, right = down[:, :, None, None], right[:, None, :, None]
    upper = (1 - right) * tf.gather(flat, first) + right * tf.gather(flat, first + 1)
    first += shape[2]
    lower = (1 - right) * tf.gather(flat, first) + right * tf.gather(flat, first + 1)
    corners = (1 - down) * upper + down * lower  # (n, size + 1, size + 1, 3)
    cells = corners[:, 1:, 1:] - corners[:, :-1, 1:] - corners[:, 1:, :-1] + corners[:, :-1, :-1]
    areas = tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1) / size**2
    return tf.cast(tf.math.divide_no_nan(cells, areas[:, None, None, None]), tf.float32)


def propose(
    pnet: keras.Model, images: tf.Tensor, minsize: float, threshold: float, factor: float
) -> Candidates:
    """Runs P-Net over all levels of the pyramid.

    Returns:
        Boxes with whole coordinates, after suppression within each level.
    """
    sides = tf.shape(images)[1:3]
    shortest = tf.cast(tf.reduce_min(sides), tf.float64)
    found = Candidates(tf.zeros((0, 4)), tf.zeros(0), tf.zeros((0, 4)), tf.zeros(0, tf.int32))
    shapes = Candidates(*(tf.TensorShape((None, *column.shape[1:])) for column in found))
    scale = tf.constant(CELL / minsize, tf.float64)

    def level(scale: tf.Tensor, found: Candidates) -> tuple[tf.Tensor, Candidates]:
        size = tf.cast(tf.math.ceil(tf.cast(sides, tf.float64) * scale), tf.int32)
        smaller = tf.image.resize(images, size, method="area")
        maps = pnet(normalize(smaller), training=False)
        new = suppress(proposals(maps, scale, threshold), NMS_LEVEL)
        joined = Candidates(*(tf.concat(pair, 0) for pair in zip(found, new, strict=True)))
        return scale * factor, joined

    _, found = tf.while_loop(lambda scale, _: shortest * scale >= CELL, level, (scale, found),
                             shape_invariants=(scale.shape, shapes))
    return found


def refine(
    network: keras.Model, sums: tf.Tensor, found: Candidates, threshold: float
) -> tuple[Candidates, list[tf.Tensor]]:
    """Runs R-Net or O-Net on crops, keeps the boxes with a probability above the threshold.

    Returns:
        The boxes that are left, and further outputs of the network for them.
    """
    size = network.input_shape[1]
    edges = found.boxes - tf.constant([1.0, 1.0, 0.0, 0.0])
    # A convolution refuses an empty batch: one more crop, which is dropped again.
    crops = tf.pad(crop(sums, edges, found.image, size), [[0, 1], [0, 0], [0, 0], [0, 0]])
    faces, sides, *more = (output[:-1] for output in network(normalize(crops), training=False))
    scores = tf.nn.softmax(faces)[:, 1]
    chosen = tf.where(scores > threshold)[:, 0]
    found = Candidates(found.boxes, scores, sides, found.image).take(chosen)
    return found, [tf.gather(output, chosen) for output in more]


def make_cascade(
    networks: dict[str, keras.Model], minsize: float = 20, factor: float = FACTOR,
    thresholds: Sequence[float] = THRESHOLDS, stages: int = 3,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the compiled cascade.

    Args:
        networks: "pnet", "rnet" and "onet".
        minsize: side of the smallest face in pixels.
        factor: ratio of two scales of the pyramid.
        thresholds: least probability of a face in the three networks.
        stages: number of networks to run; fewer than three to see what they leave.

    Returns:
        A function from images, uint8 of shape (batch, height, width, 3), to `boxes` (n, 4),
        `scores` (n,), `landmarks` (n, 5, 2), see `Faces`, and `image` (n,), the number of the image
        of each face; the highest scores first within an image. Before the last stage there are no
        landmarks: (n, 0, 2).
    """
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)],
                 autograph=False)
    def cascade(images: tf.Tensor) -> dict[str, tf.Tensor]:
        images = tf.cast(images, tf.float32)
        found = propose(networks["pnet"], images, minsize, thresholds[0], factor)
        found = suppress(found, NMS_ALL)
        boxes = square(regress(found.boxes, found.sides, 0.0))
        landmarks = tf.zeros((tf.size(found.scores), 0, 2))
        if stages > 1:
            sums = integral(images)
            found = found._replace(boxes=to_zero(boxes))
            found, _ = refine(networks["rnet"], sums, found, thresholds[1])
            found = suppress(found, NMS_R)
            boxes = square(regress(found.boxes, found.sides))
            landmarks = tf.zeros((tf.size(found.scores), 0, 2))
        if stages > 2:
            found = found._replace(boxes=to_zero(boxes))
            found, [places] = refine(networks["onet"], sums, found, thresholds[2])
            corner, extent = found.boxes[:, None, :2], found.boxes[:, 2:] - found.boxes[:, :2] + 1
            places = tf.transpose(tf.reshape(places, (-1, 2, 5)), (0, 2, 1))  # (n, 5, 2)
            landmarks = corner + extent[:, None] * places - 1
            found = found._replace(boxes=regress(found.boxes, found.sides))
            order = tf.range(tf.size(found.scores))
            kept = suppress(found._replace(sides=order[:, None]), NMS_O, "min")
            landmarks = tf.gather(landmarks, kept.sides[:, 0])
            found, boxes = kept, kept.boxes
        order = tf.argsort(found.image, stable=True)
        edges = tf.gather(boxes, order) - tf.constant([1.0, 1.0, 0.0, 0.0])
        return {"boxes": edges, "scores": tf.gather(found.scores, order),
                "landmarks": tf.gather(landmarks, order), "image": tf.gather(found.image, order)}

    return cascade


def split_by_image(found: dict[str, tf.Tensor], count: int) -> list[Faces]:
    """Returns the faces of each of `count` images of a batch."""
    arrays = {name: values.numpy() for name, values in found.items()}
    return [Faces(*(arrays[name][arrays["image"] == number]
                    for name in ("boxes", "scores", "landmarks"))) for number in range(count)]
