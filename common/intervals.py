"""Intervals of 95 % for scores: by the bootstrap, and of Wilson for shares."""

import math

import numpy as np

RESAMPLES = 2000  # of the bootstrap


def mean_interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Returns the ends of the bootstrap interval of a mean.

    Args:
        values: of each example, of shape (examples,); examples are drawn with replacement.
        seed: of the draws.
    """
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def with_interval(name: str, values: np.ndarray) -> dict[str, float]:
    """Returns the mean of a score over all examples, and the ends of its interval."""
    low, high = mean_interval(values)
    return {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}


def paired_interval(
    first: np.ndarray, second: np.ndarray, seed: int = 0
) -> dict[str, float]:
    """Compares two methods on the same examples.

    Args:
        first: a score of one method, of shape (examples,).
        second: of the other, in the same order.
        seed: of the bootstrap.

    Returns:
        `difference`, the mean of first - second; `low` and `high`, the ends of its interval.
    """
    difference = np.float64(first) - np.float64(second)
    low, high = mean_interval(difference, seed)
    return {"difference": float(difference.mean()), "low": low, "high": high}


def wilson_interval(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Returns the score interval of a share of `count` examples (Wilson 1927); z = 1.96: 95 %."""
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return middle - reach, middle + reach
