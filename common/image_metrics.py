"""How close generated images are to their targets: L1, PSNR, SSIM.

All metrics are computed for each image, so that two methods can be compared on the same images
(`intervals.paired_interval`).
"""

from collections.abc import Sequence

import cv2
import numpy as np

MAX_PSNR = 100.0  # dB, of images that are equal
WINDOW, SIGMA = 11, 1.5  # of SSIM: the side and the standard deviation of the Gaussian, in pixels
STABILITY = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # C1 and C2 of SSIM


def l1(image: np.ndarray, target: np.ndarray) -> float:
    """Returns the mean absolute difference of two images in [0, 255], of any shape."""
    return float(np.abs(np.float64(image) - np.float64(target)).mean())


def psnr(image: np.ndarray, target: np.ndarray) -> float:
    """Returns the peak signal-to-noise ratio of two images in [0, 255], in dB.

    It is 10 log10(255² / mean squared difference), and at most MAX_PSNR.
    """
    error = np.square(np.float64(image) - np.float64(target)).mean()
    return float(10 * np.log10(255**2 / max(error, 255**2 * 10 ** (-MAX_PSNR / 10))))


def ssim(image: np.ndarray, target: np.ndarray) -> float:
    """Returns the structural similarity of two images (Wang et al. 2004), at most 1.

    Means, variances and the covariance are those of a Gaussian window of 11 x 11 pixels; windows
    that reach over the border are left out. Channels are averaged.

    Args:
        image: of shape (height, width) or (height, width, channels), in [0, 255]; both sides have
            at least 11 pixels.
        target: of the same shape.
    """
    x, y = np.float64(image), np.float64(target)
    if min(x.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM needs {WINDOW} x {WINDOW} pixels, the image is {x.shape[:2]}")
    half = WINDOW // 2

    def local_mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA)[half:-half, half:-half]

    mean_x, mean_y = local_mean(x), local_mean(y)
    variances = local_mean(x * x) - mean_x**2 + local_mean(y * y) - mean_y**2
    covariance = local_mean(x * y) - mean_x * mean_y
    c1, c2 = STABILITY
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)
                  / ((mean_x**2 + mean_y**2 + c1) * (variances + c2)))
    return float(similarity.mean())


METRICS = {"l1": l1, "psnr": psnr, "ssim": ssim}


def score(
    images: Sequence[np.ndarray], targets: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns L1, PSNR and SSIM of each image, by name, of shape (images,)."""
    pairs = list(zip(images, targets, strict=True))
    return {name: np.array([metric(*pair) for pair in pairs]) for name, metric in METRICS.items()}
