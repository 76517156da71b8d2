"""The operations of this appendix, each from an RGB picture to one of the same size.

`OPERATIONS["corners"](picture)` applies one of them to a picture, uint8 of shape (h, w, 3).
"""

from collections.abc import Callable

import cv2
import numpy as np

from appendix_c_image_processing import binary
from appendix_c_image_processing.filters import (
    gaussian_filter,
    grey,
    harris_response,
    to_uint8,
)

THRESHOLD = 127  # brighter pixels are foreground
RED, GREEN = (255, 0, 0), (0, 255, 0)


def clusters(h: int, w: int, seed: int = 0, num: int = 100, points: int = 200) -> np.ndarray:
    """Draws Gaussian clusters of points at random places of a picture.

    Returns:
        (y, x) in pixels, of shape (num * points, 2); some lie outside the picture.
    """
    rng = np.random.default_rng(seed)
    centres = rng.uniform((0, 0), (h, w), (num, 1, 2))
    spread = rng.uniform(0.01, 0.05, (num, 1, 1)) * min(h, w)
    return (centres + spread * rng.standard_normal((num, points, 2))).reshape(-1, 2)


def density(points: np.ndarray, h: int, w: int, sigma: float = 10.0) -> np.ndarray:
    """Returns the smoothed number of points per pixel, float64 of shape (h, w)."""
    counts, _, _ = np.histogram2d(*points.T, bins=(h, w), range=((0, h), (0, w)))
    return gaussian_filter(counts, 2 * int(4 * sigma) + 1, sigma)


def heat_map(picture: np.ndarray, seed: int = 0) -> np.ndarray:
    """Lays the density of random clusters over a picture, the denser the less transparent."""
    h, w, _ = picture.shape
    heat = density(clusters(h, w, seed), h, w)
    heat /= max(heat.max(), 1e-12)
    colours = cv2.applyColorMap(to_uint8(255 * heat), cv2.COLORMAP_JET)[..., ::-1]  # BGR to RGB
    alpha = 0.8 * np.sqrt(heat)[..., np.newaxis]
    return to_uint8(alpha * colours + (1 - alpha) * picture)


def blur(picture: np.ndarray, size: int = 3, sigma: float = 3.0) -> np.ndarray:
    """Blurs with a Gaussian kernel of size x size pixels."""
    return to_uint8(gaussian_filter(picture, size, sigma))


def fill_scale(h: int, w: int, degrees: float) -> float:
    """Returns a scale at which the rotated picture fills its frame.

    For quarter turns it is exact; for other angles it is the diagonal over the shorter side, which
    is enough for all of them.
    """
    if degrees % 180 == 0:
        return 1.0
    if degrees % 90 == 0:
        return max(h, w) / min(h, w)
    return float(np.hypot(h, w)) / min(h, w)


def least_scale(h: int, w: int, degrees: float) -> float:
    """Returns the smallest scale at which the rotated picture fills its frame."""
    cos, sin = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    return float(max(cos + sin * h / w, cos + sin * w / h))


def rotate(picture: np.ndarray, degrees: float = 30.0, scale: float | None = None) -> np.ndarray:
    """Rotates counterclockwise about the centre, with bilinear interpolation.

    Args:
        picture: uint8 of shape (h, w, 3).
        degrees: the angle.
        scale: magnification (default: `fill_scale`). Where it leaves a gap, the edge is repeated.
    """
    h, w, _ = picture.shape
    angle, scale = np.radians(degrees), scale or fill_scale(h, w, degrees)
    y, x = np.indices((h, w)) - np.array([(h - 1) / 2, (w - 1) / 2]).reshape(2, 1, 1)
    # Where each pixel of the result comes from, so that none is left empty.
    from_x = np.clip((np.cos(angle) * x - np.sin(angle) * y) / scale + (w - 1) / 2, 0, w - 1)
    from_y = np.clip((np.sin(angle) * x + np.cos(angle) * y) / scale + (h - 1) / 2, 0, h - 1)
    left, top = from_x.astype(int), from_y.astype(int)
    right, bottom = np.minimum(left + 1, w - 1), np.minimum(top + 1, h - 1)
    dx, dy = (from_x - left)[..., np.newaxis], (from_y - top)[..., np.newaxis]
    upper = (1 - dx) * picture[top, left] + dx * picture[top, right]
    lower = (1 - dx) * picture[bottom, left] + dx * picture[bottom, right]
    return to_uint8((1 - dy) * upper + dy * lower)


def foreground(picture: np.ndarray) -> np.ndarray:
    """Returns the pixels brighter than THRESHOLD, bool of shape (h, w)."""
    return grey(picture) > THRESHOLD


def find_contours(mask: np.ndarray, method: int = cv2.CHAIN_APPROX_SIMPLE) -> list[np.ndarray]:
    """Returns the outlines of all shapes and of their holes, each int of shape (points, 2) as x, y.

    Args:
        mask: bool of shape (h, w).
        method: of OpenCV: by default, straight pieces keep their two ends only.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, method)
    return [contour[:, 0] for contour in found]


def contours(picture: np.ndarray) -> np.ndarray:
    """Draws the outlines of what is brighter than THRESHOLD."""
    return cv2.drawContours(picture.copy(), find_contours(foreground(picture)), -1, GREEN, 1)


def corner_mask(
    picture: np.ndarray, block: int = 2, aperture: int = 23, k: float = 0.04
) -> np.ndarray:
    """Returns where the Harris response is above 1 % of the largest, bool of shape (h, w)."""
    response = harris_response(grey(picture), block, aperture, k)
    return response > 0.01 * max(response.max(), 0)


def corners(picture: np.ndarray) -> np.ndarray:
    """Marks the corners in red."""
    return marked(picture, corner_mask(picture))


def marked(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns a copy of a picture whose pixels in a mask are red."""
    return np.where(mask[..., np.newaxis], np.uint8(RED), picture)


def histogram(picture: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Counts the values 0 ... 255 of R, G and B.

    Args:
        picture: uint8 of shape (h, w, 3).
        mask: bool of shape (h, w), the pixels that count (default: all).

    Returns:
        int64 of shape (3, 256).
    """
    pixels = picture.reshape(-1, 3) if mask is None else picture[mask]
    return np.stack([np.bincount(channel, minlength=256) for channel in pixels.T])


def middle(h: int, w: int) -> np.ndarray:
    """Returns the mask of the middle half in height and width, at least one pixel."""
    mask = np.zeros((h, w), bool)
    mask[h // 4 : max(h - h // 4, 1), w // 4 : max(w - w // 4, 1)] = True
    return mask


def histograms(picture: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Draws the histograms of R, G and B over a picture; what does not count is darkened.

    Args:
        picture: uint8 of shape (h, w, 3).
        mask: bool of shape (h, w), the pixels that count (default: the middle).
    """
    h, w, _ = picture.shape
    mask = middle(h, w) if mask is None else mask
    drawn = np.where(mask[..., np.newaxis], picture, picture // 4)
    counts = histogram(picture, mask)
    heights = (h - 1) * (1 - counts / counts.max())  # y of each curve
    x = np.linspace(0, w - 1, 256)
    for curve, colour in zip(heights, np.eye(3, dtype=int) * 255, strict=True):
        line = np.round(np.stack([x, curve], axis=1)).astype(np.int32)
        cv2.polylines(drawn, [line], False, colour.tolist(), 2)
    return drawn


def white_on_black(mask: np.ndarray) -> np.ndarray:
    """Returns a mask as a picture, uint8 of shape (h, w, 3)."""
    return np.repeat(np.uint8(255) * mask[..., np.newaxis], 3, axis=2)


def of_mask(operation: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Turns an operation on masks into one on pictures."""
    return lambda picture: white_on_black(operation(foreground(picture)))


OPERATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "heat map": heat_map,
    "blur": blur,
    "rotation": rotate,
    "contours": contours,
    "corners": corners,
    "histograms": histograms,
    "dilation": of_mask(binary.dilate),
    "erosion": of_mask(binary.erode),
    "hit or miss": of_mask(lambda mask: binary.hit_or_miss(mask, binary.CORNER)),
    "skeleton": of_mask(binary.skeleton),
}
