"""The kernel distance (KID) between two sets of images, with an interval (Binkowski et al. 2018).

It compares features of the images, of shape (images, dimensions), of any network. Unlike the
Fréchet distance it is unbiased, and needs no covariance, which is singular with few images.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

DEGREE = 3
HALVES = 200  # random halves of the images, for the interval
MIN_IMAGES = 4  # a half must have two
BLOCK = 1000  # rows of the matrix of the kernel that are in memory at a time


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


def sums(
    first: np.ndarray, second: np.ndarray, chosen: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """Sums the kernel over all pairs of chosen images, block by block.

    Args:
        first: features, of shape (n, dimensions).
        second: features, of shape (m, dimensions).
        chosen: one choice of images of the first set per row, 0 or 1, of shape (choices, n).
        others: the same of the second set, of shape (choices, m).

    Returns:
        One sum per choice, of shape (choices,).
    """
    blocks = (slice(start, start + BLOCK) for start in range(0, len(first), BLOCK))
    return sum(((chosen[:, block] @ kernel(first[block], second)) * others).sum(axis=1)
               for block in blocks)


def choices(count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns rows of 0 and 1: all images, then random halves, of shape (1 + HALVES, count)."""
    half = np.tile(np.arange(count) < count // 2, (HALVES, 1))
    return np.concatenate([np.ones((1, count)), rng.permuted(half, axis=1)])


def within(features: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns the mean of the kernel over pairs of different images, of shape (choices,).

    Args:
        features: of shape (n, dimensions).
        chosen: one choice of images per row, 0 or 1, of shape (choices, n).
    """
    counts = chosen.sum(axis=1)
    of_itself = chosen @ ((features**2).mean(axis=1) + 1) ** DEGREE  # pairs of equal images
    return (sums(features, features, chosen, chosen) - of_itself) / (counts * (counts - 1))


def make_estimates(second: np.ndarray, seed: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from features to estimates of their distance to a second set.

    They are those on all images, then on random halves of both sets, of shape (1 + HALVES,). The
    halves depend on the numbers of images and the seed alone: the differences of the estimates of
    two equally large sets are paired. What does not depend on the first set is computed once.

    Args:
        second: features, of shape (m, dimensions), m at least 4.
        seed: of the halves.

    Raises:
        ValueError: by the function, if a set has fewer than 4 images, or the dimensions differ.
    """
    second = np.asarray(second, np.float64)

    @functools.cache
    def prepare(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        chosen, others = choices(count, rng), choices(len(second), rng)
        return chosen, others, within(second, others)

    def estimate(first: np.ndarray) -> np.ndarray:
        first = np.asarray(first, np.float64)
        if min(len(first), len(second)) < MIN_IMAGES or first.shape[1] != second.shape[1]:
            raise ValueError(f"features of shapes {first.shape} and {second.shape}")
        chosen, others, of_second = prepare(len(first))
        pairs = chosen.sum(axis=1) * others.sum(axis=1)
        between = sums(first, second, chosen, others) / pairs
        return within(first, chosen) + of_second - 2 * between

    return estimate


def summarize(estimates: np.ndarray) -> Distance:
    """Returns the estimate on all images and its interval, from those on halves too.

    The interval is that of the delete-half jackknife (Shao & Wu 1989): estimates on random halves
    of both sets deviate from that on the whole sets as it does from the truth. If both sets are of
    one distribution, the interval is too wide.

    Args:
        estimates: of `make_estimates`, or the difference of those of two sets.
    """
    whole, halves = estimates[0], estimates[1:]
    return Distance(float(whole), float(1.96 * np.sqrt(np.mean((halves - whole) ** 2))))


def distance(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Distance:
    """Computes the kernel distance of two sets of features, and its interval (`summarize`).

    It is the unbiased estimate of the squared maximum mean discrepancy.

    Args:
        first: of shape (n, dimensions), n at least 4.
        second: of shape (m, dimensions), m at least 4.
        seed: of the halves.

    Raises:
        ValueError: a set has fewer than 4 images, or the dimensions differ.
    """
    return summarize(make_estimates(second, seed)(first))
