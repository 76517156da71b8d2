"""Aligned faces: one box of a picture cut out with a margin, or rotated upright by landmarks."""

from typing import NamedTuple

import cv2
import numpy as np

from chapter06_face.cascade import Faces

# Where the five landmarks of an upright face lie, (x, y) in fractions of the side (the template of
# ArcFace, Deng et al. 2019, at 112 × 112 pixels).
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
                     [41.5493, 92.3655], [70.7299, 92.2041]], np.float64) / 112


class Alignment(NamedTuple):
    """How faces are cut out.

    Attributes:
        image_size: height and width of the crop in pixels.
        margin: added to height and width of the box, in pixels of the picture.
        align: "box", or "similarity": rotated, scaled and moved onto TEMPLATE.
    """

    image_size: int = 182
    margin: int = 44
    align: str = "box"


def largest_central(boxes: np.ndarray, height: int, width: int) -> int:
    """Returns the number of the box with the largest area − 2 · squared distance to the centre.

    Args:
        boxes: (ymin, xmin, ymax, xmax) in pixels, of shape (n, 4) with n > 0.
        height: of the picture.
        width: of the picture.
    """
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    offsets = (boxes[:, :2] + boxes[:, 2:]) / 2 - np.array([height, width]) / 2
    return int(np.argmax(areas - 2 * np.sum(offsets**2, axis=1)))


def margin_box(box: np.ndarray, margin: float, height: int, width: int) -> np.ndarray:
    """Returns a box with half the margin on each side, clipped to the picture, int of shape (4,).

    A box outside of the picture becomes the nearest one of one pixel.
    """
    half = margin / 2
    low = np.clip(box[:2] - half, 0, (height - 1, width - 1)).astype(int)
    high = np.clip(box[2:] + half, low + 1, (height, width)).astype(int)
    return np.concatenate([low, high])


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes an image to size × size pixels: means of areas if it shrinks, else bilinear."""
    shrinks = min(image.shape[:2]) > size
    return cv2.resize(image, (size, size),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the rotation, scale and shift that bring points closest to others (Umeyama 1991).

    Args:
        source: (x, y), of shape (n, 2).
        target: where they shall lie, of the same shape.

    Returns:
        float64 of shape (2, 3); applied to (x, y, 1).
    """
    # In complex numbers it is target = a · source + b, a linear least squares problem.
    z, w = source @ [1, 1j], target @ [1, 1j]
    z_mean, w_mean = z.mean(), w.mean()
    spread = np.sum(np.abs(z - z_mean) ** 2)
    a = np.sum((w - w_mean) * np.conj(z - z_mean)) / spread if spread else 1.0
    b = w_mean - a * z_mean
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def cut_out(image: np.ndarray, faces: Faces, number: int, how: Alignment) -> np.ndarray:
    """Returns an aligned face, uint8 of shape (image_size, image_size, 3).

    Args:
        image: the picture, uint8 of shape (height, width, 3).
        faces: the faces in it.
        number: of the face.
        how: "similarity" needs landmarks.
    """
    size = how.image_size
    if how.align == "similarity":
        points = faces.landmarks[number][:, ::-1].astype(np.float64)  # (x, y)
        matrix = similarity_transform(points, TEMPLATE * size)
        scale = np.hypot(matrix[0, 0], matrix[1, 0])
        if scale < 0.5:  # the warp looks at four pixels only: reduce the picture first
            image = cv2.resize(image, None, fx=2 * scale, fy=2 * scale,
                               interpolation=cv2.INTER_AREA)
            matrix = similarity_transform(points * 2 * scale, TEMPLATE * size)
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    top, left, bottom, right = margin_box(faces.boxes[number], how.margin, *image.shape[:2])
    return resize(image[top:bottom, left:right], size)
