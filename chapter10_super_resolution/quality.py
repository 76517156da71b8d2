"""PSNR and SSIM as the papers on super-resolution compute them.

On the luma Y of BT.601 alone, because errors of it are what is seen, and without a border as wide
as the factor, because methods differ in how they continue a picture there.
"""

import numpy as np

from common import image_metrics

LUMA = np.array([65.481, 128.553, 24.966]) / 255  # Y = 16 + LUMA . (R, G, B), in [16, 235]


def luma(picture: np.ndarray) -> np.ndarray:
    """Returns the luma of a picture in [0, 255], of shape (height, width)."""
    return 16 + np.float64(picture) @ LUMA


def score(picture: np.ndarray, target: np.ndarray, factor: int) -> dict[str, float]:
    """Returns `psnr` in dB and `ssim` of an enlarged picture.

    Args:
        picture: uint8 of shape (height, width, 3).
        target: the sharp picture, of the same shape.
        factor: of the enlargement; so many pixels of each border are left out.
    """
    inner = slice(factor, -factor)
    pair = luma(picture)[inner, inner], luma(target)[inner, inner]
    return {"psnr": image_metrics.psnr(*pair), "ssim": image_metrics.ssim(*pair)}
