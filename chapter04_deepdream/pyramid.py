"""Pictures at several scales: octaves, and Laplacian pyramids (Burt and Adelson 1983) in float32.

All images have the shape (batch, height, width, 3).
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

LEVELS = 4  # of the pyramid, besides the low-frequency rest (book, section 4.2.4)

_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16
KERNEL = np.outer(_BINOMIAL, _BINOMIAL)  # a blur: its sum is 1, its centre 36/256
_FILTERS = KERNEL[..., None, None] * np.eye(3, dtype=np.float32)  # (5, 5, 3, 3): colour by colour


def blur(images: tf.Tensor) -> tf.Tensor:
    """Blurs images by KERNEL; edges are reflected."""
    padded = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]], "REFLECT")
    return tf.nn.conv2d(padded, _FILTERS, strides=1, padding="VALID")


def reduce(images: tf.Tensor) -> tf.Tensor:
    """Blurs images and drops every second row and column."""
    return tf.nn.conv2d(images, _FILTERS, strides=2, padding="SAME")


def expand(images: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Enlarges images twofold, to the given shape (4,): the transpose of `reduce`, times 4."""
    return tf.nn.conv2d_transpose(images, 4 * _FILTERS, shape, strides=2, padding="SAME")


def split(images: tf.Tensor, levels: int = LEVELS) -> list[tf.Tensor]:
    """Splits images into frequency bands.

    Args:
        images: float32 of shape (batch, height, width, 3).
        levels: number of bands besides the rest.

    Returns:
        Bands of the full size, half of it, and so on, then the rest. `merge` is the inverse.
    """
    bands = []
    for _ in range(levels):
        low = reduce(images)
        bands.append(images - expand(low, tf.shape(images)))
        images = low
    return [*bands, images]


def merge(bands: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the images that `split` has split."""
    *bands, images = bands
    for band in reversed(bands):
        images = expand(images, tf.shape(band)) + band
    return images


def rms(images: tf.Tensor) -> tf.Tensor:
    """Returns the root mean square of each image, of shape (batch, 1, 1, 1)."""
    return tf.sqrt(tf.reduce_mean(tf.square(images), axis=(1, 2, 3), keepdims=True))


def normalize_bands(images: tf.Tensor, levels: int = LEVELS) -> tf.Tensor:
    """Scales every frequency band to a root mean square of 1 (book, section 4.2.4).

    The gradient of a network is strongest in high frequencies. With bands of equal strength, large
    shapes grow as fast as grain.
    """
    return merge([band / tf.maximum(rms(band), 1e-10) for band in split(images, levels)])


def resize(images: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Resizes images bilinearly, with antialiasing where they shrink."""
    return tf.image.resize(images, size, antialias=True)


def octave_sizes(
    size: tf.Tensor | Sequence[int], octaves: int, scale: float, growing: bool
) -> list[tf.Tensor]:
    """Returns the sizes of all octaves, the smallest first, truncated to whole pixels.

    Args:
        size: height and width of the start picture, int32 of shape (2,).
        octaves: number of sizes.
        scale: ratio of two successive sizes, at least 1.
        growing: whether the start picture is the smallest octave; otherwise it is the largest.
    """
    sizes = [tf.convert_to_tensor(size, tf.int32)]
    for _ in range(octaves - 1):
        sides = tf.cast(sizes[-1], tf.float32)
        sides = sides * scale if growing else tf.maximum(sides / scale, 1)
        sizes.append(tf.cast(sides, tf.int32))
    return sizes if growing else sizes[::-1]


def enter_octave(
    picture: tf.Tensor, start: tf.Tensor, sizes: Sequence[tf.Tensor], octave: int, growing: bool
) -> tf.Tensor:
    """Returns the picture with which an octave begins.

    Args:
        picture: at the end of the octave before; not used for the first one.
        start: the start picture, of the first size if growing, else of the last one.
        sizes: from `octave_sizes`.
        octave: number of the octave, from 0.
        growing: see `octave_sizes`.

    Returns:
        The enlarged picture. If the start picture is the largest octave, the details that it lost
        on the way to the smaller one are added (book, section 4.2.5).
    """
    if growing:
        return resize(picture, sizes[octave]) if octave else start
    for size in sizes[octave:-1][::-1]:  # down to this octave, step by step
        start = resize(start, size)
    if octave == 0:
        return start
    smaller = resize(start, sizes[octave - 1])
    return resize(picture, sizes[octave]) + start - resize(smaller, sizes[octave])
