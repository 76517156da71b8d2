"""Gradient ascent on pictures: gradients over tiles, their normalization, and the step.

All images have the shape (batch, height, width, 3).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from chapter04_deepdream.model import Objective, variation_gradient
from chapter04_deepdream.pyramid import blur, normalize_bands
from common.errors import UserError

GREY = 127.5

Step = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]

Measure = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Rule(NamedTuple):
    """How a picture follows the gradient.

    Attributes:
        normalize: one of NORMALIZATIONS.
        tile_size: longest side of a tile in pixels.
        jitter: longest random shift in pixels; None is the whole picture.
        total_variation: weight of the gradient of total variation that is subtracted.
        decay: share of its distance from grey that a pixel loses in a step.
        blur: share of a picture that is blurred in a step.
    """

    normalize: str
    tile_size: int = 512
    jitter: int | None = None
    total_variation: float = 0.0
    decay: float = 0.0
    blur: float = 0.0


def standard_deviation(gradient: tf.Tensor) -> tf.Tensor:
    """Returns the standard deviation of each image, of shape (batch, 1, 1, 1)."""
    return tf.math.reduce_std(gradient, axis=(1, 2, 3), keepdims=True)


def mean_absolute(gradient: tf.Tensor) -> tf.Tensor:
    """Returns the mean absolute value of each image, of shape (batch, 1, 1, 1)."""
    return tf.reduce_mean(tf.abs(gradient), axis=(1, 2, 3), keepdims=True)


# With a normalized gradient, one step size is right for all layers and networks.
NORMALIZATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "deviation": lambda gradient: gradient / (standard_deviation(gradient) + 1e-8),  # section 4.2.2
    "mean": lambda gradient: gradient / (mean_absolute(gradient) + 1e-7),  # section 4.2.5
    "laplacian": normalize_bands,  # section 4.2.4
}


def gradient_of(objective: Objective, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the gradient of an objective, and its values of shape (batch,)."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        values = objective(images)
    return tape.gradient(values, images), values


def tile_edges(length: tf.Tensor, tile_size: int) -> tf.Tensor:
    """Returns where tiles of nearly equal size begin and end, from 0 to `length`."""
    count = (length + tile_size - 1) // tile_size
    return tf.range(count + 1) * length // count


def tiled_gradient(
    objective: Objective, images: tf.Tensor, tile_size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the gradient tile by tile, so that the memory of the network is that of one tile.

    Each tile counts by its area: with one tile, the results are those of `gradient_of`. Call it in
    a `tf.function`, whose loops free the memory of a tile before the next one.

    Returns:
        The gradient, of the shape of the images, and the objective, of shape (batch,).
    """
    shape = tf.shape(images)
    rows, columns = tile_edges(shape[1], tile_size), tile_edges(shape[2], tile_size)
    area = tf.cast(shape[1] * shape[2], tf.float32)
    total = tf.zeros(shape[0])
    bands = tf.TensorArray(tf.float32, tf.size(rows) - 1, infer_shape=False)
    for i in tf.range(tf.size(rows) - 1):
        band = tf.TensorArray(tf.float32, tf.size(columns) - 1, infer_shape=False)
        for j in tf.range(tf.size(columns) - 1):
            tile = images[:, rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
            gradient, values = gradient_of(objective, tile)
            share = tf.cast(tf.shape(tile)[1] * tf.shape(tile)[2], tf.float32) / area
            total += share * values
            # TensorArray joins along the first axis: (width, batch, height, 3).
            band = band.write(j, tf.transpose(share * gradient, (2, 0, 1, 3)))
        bands = bands.write(i, tf.transpose(band.concat(), (2, 1, 0, 3)))  # height first
    gradient = tf.transpose(bands.concat(), (1, 0, 2, 3))
    return tf.ensure_shape(tf.reshape(gradient, shape), images.shape), total


def random_shift(key: tf.Tensor, size: tf.Tensor, jitter: int | None) -> tf.Tensor:
    """Returns how far a picture is rolled in a step, down and to the right, int32 of shape (2,).

    Args:
        key: seed and step, int64 of shape (2,); equal keys give equal shifts.
        size: height and width of the picture.
        jitter: the largest shift; None is the whole picture, so that its edges and those of tiles
            come to lie everywhere equally often.
    """
    limit = size if jitter is None else tf.minimum(size, jitter + 1)
    return tf.cast(tf.random.stateless_uniform((2,), key) * tf.cast(limit, tf.float32), tf.int32)


def make_step(objective: Objective, rule: Rule) -> Step:
    """Returns the step of gradient ascent.

    It maps images, a key (seed and step, int64 of shape (2,)) and the step size, in units of pixel
    values, to new images, the objective of the old ones, of shape (batch,), and the mean absolute
    gradient.
    """
    normalize = NORMALIZATIONS[rule.normalize]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3)),
                                  tf.TensorSpec((2,), tf.int64), tf.TensorSpec(())])
    def step(
        images: tf.Tensor, key: tf.Tensor, step_size: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # Roll the images: each step has the borders of tiles, and the edges, at other places.
        shift = random_shift(key, tf.shape(images)[1:3], rule.jitter)
        rolled = tf.roll(images, shift, (1, 2))
        gradient, values = tiled_gradient(objective, rolled, rule.tile_size)
        direction = normalize(tf.roll(gradient, -shift, (1, 2)))
        # Regularizers act on pixels, not on the network: their weights suit all layers.
        if rule.total_variation:
            direction -= rule.total_variation * variation_gradient(images)
        images += step_size * direction
        images -= rule.decay * (images - GREY)
        if rule.blur:
            images += rule.blur * (blur(images) - images)
        return images, values, tf.reduce_mean(tf.abs(gradient))

    return step


def check_start(step: Step, pictures: tf.Tensor, layer: str) -> None:
    """Tries a step, the result of which is dropped.

    Raises:
        UserError: the layer has no feature maps at this size, or no gradient.
    """
    height, width = pictures.shape[1:3]
    try:
        _, objective, strength = step(pictures, tf.constant([0, 1], tf.int64), 1.0)
    except (tf.errors.AbortedError, tf.errors.InvalidArgumentError):  # of pooling, of convolutions
        objective = strength = np.nan
    if not np.isfinite(objective).all():
        raise UserError(f"{layer} has no value for a picture of {width} x {height} pixels",
                        "choose a larger --size or --tile_size, or in train.py fewer --octaves")
    if not strength:
        raise UserError(f"the gradient of {layer} is zero everywhere",
                        "choose another --channel, or read the layer before its ReLU: omit "
                        "--post_activation")


def make_measure(objective: Objective, tile_size: int) -> Measure:
    """Returns a function from images to their gradient and objective, without a random shift."""
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
    def measure(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tiled_gradient(objective, images, tile_size)

    return measure
