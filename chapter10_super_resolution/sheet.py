"""A sheet of cut-outs: the same part of some pictures as several methods make it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from common import figures


def centre(picture: np.ndarray, size: int) -> np.ndarray:
    """Returns at most size x size pixels of the middle of a picture."""
    top, left = (max(0, side - size) // 2 for side in picture.shape[:2])
    return picture[top : top + size, left : left + size]


def draw(
    columns: Mapping[str, Sequence[np.ndarray]], png: Path, rows: int = 3, size: int = 96
) -> None:
    """Draws the middle of the first pictures: a column for each method, by its title.

    Args:
        columns: pictures by method, uint8 of shape (height, width, 3), in the same order.
        png: file to write.
        rows: pictures.
        size: pixels of each side of the cut-outs.
    """
    count = min(rows, *map(len, columns.values()))
    shown = [centre(pictures[row], size) for row in range(count) for pictures in columns.values()]
    titles = [title if row == 0 else "" for row in range(count) for title in columns]
    figures.draw_sheet(shown, titles, len(columns), png)
