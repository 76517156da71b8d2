"""The kernel distance (KID) between two sets of images, with an interval (Binkowski et al. 2018).

It compares features of the images, of shape (images, dimensions), of any network. Unlike the
Fréchet distance it is unbiased, and needs no covariance, which is singular with few images.
"""

from typing import NamedTuple

import numpy as np

DEGREE = 3
HALVES = 200  # random halves of the images, for the interval
MIN_IMAGES = 4  # a half must have two


class Distance(NamedTuple):
    """A kernel distance.

    Attributes:
        kid: the estimate, 0 in the mean if both sets are of one distribution; it can be negative.
        interval: half the width of its 95 % interval.
    """

    kid: float
    interval: float


def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns (x · y / dimensions + 1)³ of all pairs of two sets, of shape (n, m)."""
    return (first @ second.T / first.shape[1] + 1) ** DEGREE


def unbiased(within: list[np.ndarray], between: np.ndarray, counts: list[int]) -> np.ndarray:
    """Returns the unbiased squared maximum mean discrepancy from sums of kernels.

    Args:
        within: for both sets, the sum of the kernel over all pairs of two different images.
        between: the sum over all pairs of an image of each set.
        counts: the sizes of both sets.
    """
    first, second = (total / (n * (n - 1)) for total, n in zip(within, counts, strict=True))
    return first + second - 2 * between / (counts[0] * counts[1])


def distance(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Distance:
    """Computes the kernel distance of two sets of features.

    The interval is that of the delete-half jackknife (Shao & Wu 1989): the deviation of the
    estimates on random halves of both sets is that of the estimate on the whole sets. If both sets
    are of one distribution it is too wide.

    Args:
        first: of shape (n, dimensions), n at least 4.
        second: of shape (m, dimensions), m at least 4.
        seed: of the halves.

    Raises:
        ValueError: a set has fewer than 4 images, or the dimensions differ.
    """
    sets = [np.asarray(features, np.float64) for features in (first, second)]
    if min(map(len, sets)) < MIN_IMAGES or sets[0].shape[1] != sets[1].shape[1]:
        raise ValueError(f"features of shapes {sets[0].shape} and {sets[1].shape}")
    kernels = [kernel(features, features) for features in sets]
    for matrix in kernels:
        np.fill_diagonal(matrix, 0)
    between = kernel(*sets)
    whole = unbiased([matrix.sum() for matrix in kernels], between.sum(), [*map(len, sets)])
    # Rows of zeros and ones choose the halves: sums of the kernel over a half are products.
    rng = np.random.default_rng(seed)
    sizes = [len(features) // 2 for features in sets]
    chosen = [rng.permuted(np.tile(np.arange(len(features)) < size, (HALVES, 1)), axis=1)
              .astype(np.float64) for features, size in zip(sets, sizes, strict=True)]
    within = [((rows @ matrix) * rows).sum(axis=1)
              for rows, matrix in zip(chosen, kernels, strict=True)]
    halves = unbiased(within, ((chosen[0] @ between) * chosen[1]).sum(axis=1), sizes)
    return Distance(float(whole), float(1.96 * np.std(halves - whole)))
