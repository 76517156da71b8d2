"""Morphology of binary pictures in NumPy: dilation, erosion, hit-or-miss, skeleton.

A mask is a bool array of shape (h, w), True in the foreground. Outside it lies background.
A structuring element is an array of odd height and width whose middle lies on the pixel.
"""

import numpy as np

SQUARE = np.ones((3, 3), bool)  # a pixel and its 8 neighbours
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)  # a pixel and its 4 neighbours
RIGHT = np.array([[0, 0, 0], [0, 1, 1], [0, 0, 0]], bool)  # one-sided: a pixel and its right one
ANY = -1  # in a pattern of `hit_or_miss`
# The upper left corners of shapes: background above and to the left.
CORNER = np.array([[ANY, 0, ANY], [0, 1, 1], [ANY, 1, ANY]])
# What thinning removes: pixels of an upper edge and of an upper right corner, and the same rotated.
EDGE_PATTERN = np.array([[0, 0, 0], [ANY, 1, ANY], [1, 1, 1]])
CORNER_PATTERN = np.array([[ANY, 0, 0], [1, 1, 0], [ANY, 1, ANY]])
THINNING = [np.rot90(pattern, turns) for turns in range(4)
            for pattern in (EDGE_PATTERN, CORNER_PATTERN)]


def offsets(structure: np.ndarray) -> np.ndarray:
    """Returns how far the True entries of a structuring element lie from its middle: (n, 2)."""
    return np.argwhere(structure) - np.array(structure.shape) // 2


def neighbours(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    """Returns the neighbour of each pixel at an offset: mask[y + down, x + right], or False."""
    (h, w), reach = mask.shape, max(abs(down), abs(right))
    padded = np.pad(mask, reach)
    return padded[reach + down : reach + down + h, reach + right : reach + right + w]


def dilate(mask: np.ndarray, structure: np.ndarray = SQUARE) -> np.ndarray:
    """Returns the pixels that the element covers when it stands on any foreground pixel."""
    return np.any([neighbours(mask, -down, -right) for down, right in offsets(structure)], axis=0)


def erode(mask: np.ndarray, structure: np.ndarray = SQUARE) -> np.ndarray:
    """Returns the pixels on which the element fits into the foreground."""
    return np.all([neighbours(mask, down, right) for down, right in offsets(structure)], axis=0)


def hit_or_miss(mask: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """Returns the pixels whose surroundings are those of a pattern.

    Args:
        mask: bool of shape (h, w).
        pattern: 1 where there must be foreground, 0 where there must be background, ANY elsewhere.
    """
    hits = [neighbours(mask, down, right) for down, right in offsets(pattern == 1)]
    misses = [~neighbours(mask, down, right) for down, right in offsets(pattern == 0)]
    return np.all(hits + misses, axis=0)


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Thins a mask to lines of one pixel: removes what eight patterns hit until nothing changes.

    The patterns are one edge and one corner in four rotations, applied one after the other
    (Golay's L alphabet; Gonzalez and Woods, Digital Image Processing, § 9.5). None of them
    disconnects a shape or removes its last pixel.
    """
    thin, before = mask, None
    while before is None or (thin != before).any():
        before = thin
        for pattern in THINNING:
            thin = thin & ~hit_or_miss(thin, pattern)
    return thin
