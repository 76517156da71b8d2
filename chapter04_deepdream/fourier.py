"""Pictures as decorrelated Fourier spectra, and random transforms (Olah et al. 2017).

"Feature Visualization", distill.pub. The variable is the spectrum of a picture in decorrelated
colours, scaled so that all frequencies are equally strong in a natural picture. The gradient is the
same, but the steepest direction is another one: without grain. Random transforms keep what
survives small shifts, sizes and rotations.
"""

import math

import numpy as np
import tensorflow as tf

from chapter04_deepdream.model import Extractor, Objective

# The square root of the covariance of RGB colours in ImageNet's photographs, columns by strength
# (Olah et al. 2017, the library Lucid), divided by the largest norm of a column.
_COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
COLOURS = _COLOURS / np.linalg.norm(_COLOURS, axis=0).max()
DEVIATION = 0.01  # of the first spectrum
SHIFT, ZOOM, DEGREES = 8, 0.1, 5.0  # the largest random shift in pixels, change of size, rotation


class Spectrum(tf.Module):
    """The variable: spectra of square pictures, of shape (2, batch, 3, size, size // 2 + 1).

    The first axis has the real and the imaginary part, the third decorrelated colours.
    """

    def __init__(self, batch: int, size: int, seed: int):
        """Draws the first spectra."""
        super().__init__()
        shape = (2, batch, 3, size, size // 2 + 1)
        normal = tf.random.stateless_normal(shape, (seed, 0), stddev=DEVIATION)
        self.size, self.values = size, tf.Variable(normal)
        rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
        # 1 / f: the amplitudes of natural pictures; the mean counts as the lowest frequency.
        self.scale = tf.constant(1 / np.maximum(np.hypot(rows, columns), 1 / size), tf.float32)

    def pictures(self) -> tf.Tensor:
        """Returns the pictures, float32 of shape (batch, size, size, 3) in [0, 255]."""
        spectra = tf.complex(*tf.unstack(self.values * self.scale))
        colours = tf.signal.irfft2d(spectra, (self.size, self.size)) * self.size / 4
        colours = tf.transpose(colours, (0, 2, 3, 1))  # (batch, size, size, 3)
        return 255 * tf.sigmoid(colours @ COLOURS.T)


def transform(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Shifts, resizes and rotates images by random amounts, all of them alike.

    Edges are reflected. Equal keys, int64 of shape (2,), give equal transforms.
    """
    down, right, zoom, turn = tf.unstack(tf.random.stateless_uniform((4,), key, -1, 1))
    height, width = images.shape[1:3]
    zoom, angle = 1 + ZOOM * zoom, turn * DEGREES * math.pi / 180
    cos, sin = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    # Output (x, y) comes from input (a x + b y + c, d x + e y + f); the middle stays, then shifts.
    c = middle_x - cos * middle_x + sin * middle_y + SHIFT * right
    f = middle_y - sin * middle_x - cos * middle_y + SHIFT * down
    projection = tf.stack([cos, -sin, c, sin, cos, f, 0.0, 0.0])[None]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=projection, output_shape=(height, width), fill_value=0.0,
        interpolation="BILINEAR", fill_mode="REFLECT")


def diversity(extractor: Extractor) -> Objective:
    """Returns how different each picture of a batch is from the others: minus their similarity.

    It is the cosine of the angle between Gram matrices of feature maps, summed over the others.
    """
    def objective(images: tf.Tensor) -> tf.Tensor:
        (maps,) = extractor(images)
        flat = tf.reshape(maps, (tf.shape(maps)[0], -1, maps.shape[-1]))
        grams = tf.linalg.matmul(flat, flat, transpose_a=True)  # (batch, channels, channels)
        units = tf.math.l2_normalize(tf.reshape(grams, (tf.shape(maps)[0], -1)), axis=-1)
        return 1 - tf.reduce_sum(units @ tf.transpose(units), axis=-1)  # without itself

    return objective
