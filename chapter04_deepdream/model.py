"""The picture that is trained, and the objectives that it is trained for.

An objective maps images, float32 of shape (batch, height, width, 3) in [0, 255], to one number per
image, of shape (batch,).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

Objective = Callable[[tf.Tensor], tf.Tensor]
Extractor = Callable[[tf.Tensor], Sequence[tf.Tensor]]  # from images to the maps of some layers


class Picture(tf.Module):
    """The variable of gradient ascent: a picture whose size changes with the octave.

    Its pixels, float32 of shape (1, height, width, 3), start in [0, 255] and may leave it.
    """

    def __init__(self, pixels: tf.Tensor):
        """Stores the first pixels."""
        super().__init__()
        self.pixels = tf.Variable(pixels, shape=(1, None, None, 3), dtype=tf.float32)


class Term(NamedTuple):
    """A term of an objective: a layer, one of its channels or all (None), and a weight."""

    layer: str
    channel: int | None
    weight: float


def activation(extractor: Extractor, terms: Sequence[Term], square: bool | None) -> Objective:
    """Returns the weighted sum of mean activations.

    Args:
        extractor: reads the layer of each term.
        terms: at least one.
        square: whether the squares of activations are averaged, so that channels grow whose
            activations are far from 0 on either side; None: those of whole layers.
    """
    def objective(images: tf.Tensor) -> tf.Tensor:
        total = tf.zeros(tf.shape(images)[0])
        for maps, term in zip(extractor(images), terms, strict=True):
            read = maps if term.channel is None else maps[..., term.channel, None]
            squared = term.channel is None if square is None else square
            read = tf.square(read) if squared else read
            total += term.weight * tf.reduce_mean(read, axis=(1, 2, 3))
        return total

    return objective


def channel_by_image(extractor: Extractor, channels: tf.Variable) -> Objective:
    """Returns the mean activation of another channel for each image of a batch.

    Args:
        extractor: reads one layer.
        channels: int32 of shape (batch,), which may change between calls.
    """
    def objective(images: tf.Tensor) -> tf.Tensor:
        (maps,) = extractor(images)
        means = tf.reduce_mean(maps, axis=(1, 2))  # (batch, channels)
        return tf.gather(means, channels, axis=1, batch_dims=1)

    return objective


def similarity(extractor: Extractor, guide: tf.Tensor) -> Objective:
    """Returns the objective of a guided dream (Mordvintsev et al. 2015, "Inceptionism").

    Each position of the feature maps is compared with all positions of the guide. The objective is
    the mean of the largest dot products.

    Args:
        extractor: reads one layer.
        guide: another picture, float32 of shape (1, height, width, 3) in [0, 255].
    """
    def features(images: tf.Tensor) -> tf.Tensor:
        (maps,) = extractor(images)
        shape = tf.shape(maps)
        return tf.reshape(maps, (shape[0], shape[1] * shape[2], maps.shape[-1]))

    wanted = tf.convert_to_tensor(features(guide))[0]  # (positions of the guide, channels)

    def objective(images: tf.Tensor) -> tf.Tensor:
        found = features(images)  # (batch, positions, channels)
        products = tf.stop_gradient(found) @ tf.transpose(wanted)
        nearest = tf.gather(wanted, tf.argmax(products, axis=-1))
        return tf.reduce_mean(found * nearest, axis=(1, 2))

    return objective


def variation_gradient(images: tf.Tensor) -> tf.Tensor:
    """Returns the gradient of total variation, in [-4, 4], of the shape of the images.

    Total variation is the sum of all absolute differences of neighbouring pixels.
    """
    with tf.GradientTape() as tape:
        tape.watch(images)
        variation = tf.image.total_variation(images)
    return tape.gradient(variation, images)
