"""What makes a small picture of a sharp one: bicubic reduction, or that and what a camera adds.

`bicubic` is the reduction of the papers: antialiased bicubic interpolation (Keys 1981, a = -1/2),
rounded to whole numbers. It has no noise, so a network that has seen nothing else sharpens the
noise of real photographs. `real` blurs before it, and adds noise and the artefacts of JPEG after.
"""

import cv2
import numpy as np
import tensorflow as tf

KINDS = "bicubic", "real"
# Ranges of what `real` draws at random.
BLUR = 0.1, 0.5  # standard deviation, in pixels of the small picture
NOISE = 0.0, 6.0  # standard deviation, of 255
QUALITY = 50, 95  # of JPEG


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes by bicubic interpolation, antialiased if it becomes smaller.

    Args:
        picture: uint8 of shape (height', width', channels).
        height: of the result.
        width: of the result.

    Returns:
        uint8 of shape (height, width, channels).
    """
    if picture.shape[:2] == (height, width):
        return picture
    resized = tf.image.resize(picture, (height, width), "bicubic", antialias=True)
    return np.uint8(np.clip(np.rint(resized), 0, 255))


def cut_to_multiple(picture: np.ndarray, factor: int) -> np.ndarray:
    """Cuts a picture on the right and below so that `factor` divides its sides."""
    height, width = (side - side % factor for side in picture.shape[:2])
    return picture[:height, :width]


def reduce(picture: np.ndarray, factor: int) -> np.ndarray:
    """Reduces a picture whose sides `factor` divides by bicubic interpolation."""
    return resize(picture, picture.shape[0] // factor, picture.shape[1] // factor)


def degrade(
    picture: np.ndarray, factor: int, kind: str, rng: np.random.Generator
) -> np.ndarray:
    """Makes the small picture that a network gets.

    Args:
        picture: the sharp one, uint8 of shape (height, width, 3); `factor` divides its sides.
        factor: of the reduction.
        kind: of KINDS.
        rng: draws how strong the blur, the noise and the compression of "real" are.

    Returns:
        uint8 of shape (height / factor, width / factor, 3).
    """
    if kind == "bicubic":
        return reduce(picture, factor)
    blurred = cv2.GaussianBlur(picture, (0, 0), factor * rng.uniform(*BLUR))
    small = reduce(blurred, factor)
    noisy = small + rng.normal(0, rng.uniform(*NOISE), small.shape)
    rounded = np.uint8(np.clip(np.rint(noisy), 0, 255))
    quality = int(rng.integers(*QUALITY, endpoint=True))
    _, encoded = cv2.imencode(".jpg", rounded[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
