"""Differentiable augmentation (Zhao et al. 2020): against too few training images.

The discriminator sees real and generated images through the same kinds of random transforms, drawn
separately, through which gradients flow back into the generator. It can no longer learn the
training images by heart, and the generator does not learn the transforms, as it would if only real
images were augmented.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

SHIFT = 1 / 8  # largest translation, in sides of the image
CUTOUT = 1 / 2  # side of the square that is cut out, in sides of the image


def uniform(seed: tf.Tensor, number: int, *shape: int | tf.Tensor) -> tf.Tensor:
    """Returns numbers in [0, 1), a pure function of the seed, int64 of shape (2,)."""
    return tf.random.stateless_uniform(shape, seed + tf.constant([0, number], tf.int64))


def change_colour(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes brightness by up to 0.5, saturation by a factor up to 2, contrast by 0.5 to 1.5.

    Args:
        images: float32 of shape (batch, height, width, channels) in [-1, 1] or [0, 1].
        seed: int64 of shape (2,).
    """
    brightness, saturation, contrast = (
        uniform(seed, number, tf.shape(images)[0], 1, 1, 1) for number in range(3))
    images += brightness - 0.5
    if images.shape[-1] > 1:
        grey = tf.reduce_mean(images, axis=3, keepdims=True)
        images = grey + (images - grey) * 2 * saturation
    middle = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    return middle + (images - middle) * (0.5 + contrast)


def translate(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shifts images by up to an eighth of their sides; what comes in is 0."""
    batch, height, width, _ = tf.unstack(tf.shape(images))
    most = [tf.cast(tf.cast(side, tf.float32) * SHIFT + 0.5, tf.int32) for side in (height, width)]
    offsets = [tf.cast(uniform(seed, 3 + i, batch) * tf.cast(2 * limit + 1, tf.float32), tf.int32)
               for i, limit in enumerate(most)]
    padded = tf.pad(images, [[0, 0], [most[0]] * 2, [most[1]] * 2, [0, 0]])
    rows = tf.range(height) + offsets[0][:, None]  # (batch, height)
    columns = tf.range(width) + offsets[1][:, None]
    return tf.gather(tf.gather(padded, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def cut_out(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Sets a square of half the sides to 0, at random places that may reach over the edge."""
    batch, height, width, _ = tf.unstack(tf.shape(images))

    def hidden(side: tf.Tensor, number: int) -> tf.Tensor:  # (batch, side)
        length = tf.cast(tf.cast(side, tf.float32) * CUTOUT + 0.5, tf.int32)
        centre = tf.cast(uniform(seed, number, batch, 1) * tf.cast(side + 1, tf.float32), tf.int32)
        distance = tf.range(side) - (centre - length // 2)
        return (distance >= 0) & (distance < length)

    square = hidden(height, 5)[:, :, None] & hidden(width, 6)[:, None, :]
    return tf.where(square[..., None], 0.0, images)


TRANSFORMS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "color": change_colour, "translation": translate, "cutout": cut_out}


def augment(images: tf.Tensor, policy: Sequence[str], seed: tf.Tensor) -> tf.Tensor:
    """Applies transforms to images, differentiably.

    Args:
        images: float32 of shape (batch, height, width, channels).
        policy: names of TRANSFORMS.
        seed: int64 of shape (2,); the same seed gives the same transforms.

    Returns:
        Images of the same shape.
    """
    for name in policy:
        images = TRANSFORMS[name](images, seed)
    return images
