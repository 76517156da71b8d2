"""The colour space CIE L*a*b*, in a TensorFlow graph, and its scale for the network.

L is the lightness, a goes from green to red, b from blue to yellow. The white point is D65, RGB is
sRGB (IEC 61966-2-1). Both directions are exact: a colour of sRGB comes back to 1e-4 of [0, 1].
"""

import numpy as np
import tensorflow as tf

# Linear RGB to XYZ, divided by the white point: the rows sum to 1, so that white is (100, 0, 0).
RGB_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423],
                       [0.212671, 0.715160, 0.072169],
                       [0.019334, 0.119193, 0.950227]])
RGB_TO_XYZ /= RGB_TO_XYZ.sum(axis=1, keepdims=True)
XYZ_TO_RGB = np.linalg.inv(RGB_TO_XYZ)
# f(X), f(Y), f(Z) to L, a, b, from which OFFSET is subtracted.
XYZ_TO_LAB = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
OFFSET = 16.0, 0.0, 0.0
DELTA = 6 / 29  # where the cube root becomes a straight line
L_SCALE, AB_SCALE = 50.0, 110.0  # of the network: L / 50 - 1, ab / 110


def _matmul(colours: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """Multiplies every colour by a matrix: (..., 3) to (..., 3)."""
    return tf.linalg.matvec(tf.constant(matrix, tf.float32), colours)


def rgb_to_lab(rgb: tf.Tensor) -> tf.Tensor:
    """Converts sRGB to Lab.

    Args:
        rgb: float32 of shape (..., 3) in [0, 1].

    Returns:
        float32 of the same shape: L in [0, 100], a and b within about [-108, 99].
    """
    linear = tf.where(rgb > 0.04045, ((tf.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4,
                      rgb / 12.92)
    xyz = _matmul(linear, RGB_TO_XYZ)
    root = tf.maximum(xyz, DELTA**3) ** (1 / 3)
    curved = tf.where(xyz > DELTA**3, root, xyz / (3 * DELTA**2) + 4 / 29)
    return _matmul(curved, XYZ_TO_LAB) - tf.constant(OFFSET)


def lab_to_rgb(lab: tf.Tensor) -> tf.Tensor:
    """Converts Lab to sRGB; colours outside sRGB are clipped to it.

    Args:
        lab: float32 of shape (..., 3).

    Returns:
        float32 of the same shape in [0, 1].
    """
    curved = _matmul(lab + tf.constant(OFFSET), np.linalg.inv(XYZ_TO_LAB))
    xyz = tf.where(curved > DELTA, curved**3, 3 * DELTA**2 * (curved - 4 / 29))
    linear = tf.clip_by_value(_matmul(xyz, XYZ_TO_RGB), 0.0, 1.0)
    root = tf.maximum(linear, 0.0031308) ** (1 / 2.4)
    return tf.where(linear > 0.0031308, 1.055 * root - 0.055, linear * 12.92)


def split(rgb: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Divides images into lightness and colour, in the scale of the network.

    Args:
        rgb: float32 of shape (..., 3) in [-1, 1].

    Returns:
        L / 50 - 1 of shape (..., 1), and ab / 110 of shape (..., 2).
    """
    lab = rgb_to_lab((rgb + 1) / 2)
    return lab[..., :1] / L_SCALE - 1, lab[..., 1:] / AB_SCALE


def join(lightness: tf.Tensor, colour: tf.Tensor) -> tf.Tensor:
    """Returns the images of `split`: RGB in [-1, 1]."""
    lab = tf.concat([(lightness + 1) * L_SCALE, colour * AB_SCALE], axis=-1)
    return lab_to_rgb(lab) * 2 - 1
