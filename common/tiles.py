"""Applies functions to large images tile by tile, without seams, in memory bounded by the tile."""

from collections.abc import Callable, Iterator

import numpy as np


def spans(length: int, tile: int, halo: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields how one side is cut into tiles.

    Args:
        length: pixels of the side.
        tile: pixels of a tile without its halo.
        halo: pixels that a tile sees on each side.

    Yields:
        `(start, stop, first, last)`: the tile is [start, stop), and [first, last) is read for it.
    """
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        yield start, stop, max(0, start - halo), min(length, stop + halo)


def apply(
    function: Callable[[np.ndarray], np.ndarray], image: np.ndarray, tile: int, halo: int,
    align: int = 1, scale: int = 1,
) -> np.ndarray:
    """Applies a function of images to one image, tile by tile.

    Every tile is read with a halo, which is cut off the result. At the border of the image a tile
    has no halo there, so that the function continues the image itself, as it would the whole one.
    The result is that of the whole image if `halo` is at least the reach of the function: how far
    away a pixel can be that changes a pixel of the result.

    Args:
        function: maps (height, width, channels) to an array of `scale` times that height and width.
        image: of shape (height, width, channels).
        tile: height and width of a tile; rounded up to a multiple of `align`.
        halo: pixels; rounded up to a multiple of `align`.
        align: the stride of the function: shifting its input by `align` shifts its result.
        scale: how many times larger the result is than the image.

    Returns:
        Of shape (scale * height, scale * width, channels').
    """
    tile, halo = (-(-size // align) * align for size in (tile, halo))
    result = None
    for top, bottom, first_row, last_row in spans(image.shape[0], tile, halo):
        for left, right, first, last in spans(image.shape[1], tile, halo):
            part = function(image[first_row:last_row, first:last])
            part = part[scale * (top - first_row) : scale * (bottom - first_row),
                        scale * (left - first) : scale * (right - first)]
            if result is None:
                height, width = (scale * side for side in image.shape[:2])
                result = np.empty((height, width, *part.shape[2:]), part.dtype)
            result[scale * top : scale * bottom, scale * left : scale * right] = part
    return result
