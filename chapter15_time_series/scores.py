"""Scores of forecasts, and two simple forecasts to compare them with.

mae, rmse  mean absolute error, root of the mean squared error, in the units of the series
mase       mean absolute error of each feature, divided by what repeating the last season errs in
           the training part (Hyndman & Koehler, 2006); the mean over the features
coverage   share of the values that lie in the band meant to hold nine of ten

Targets and forecasts are of shape (origins, steps, features): what is known before step `origin` of
the series, and what is forecast from there on. A target is NaN where the value is missing.
"""

from collections.abc import Callable

import numpy as np

BAND = 1.645  # standard deviations on either side of the mean that hold 90 % of a normal

Baseline = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]


def rmse(targets: np.ndarray, means: np.ndarray) -> float:
    """Returns the root of the mean squared error where both are known."""
    return float(np.sqrt(np.nanmean(np.square(targets - means, dtype=np.float64))))


def mae(targets: np.ndarray, means: np.ndarray) -> float:
    """Returns the mean absolute error where both are known."""
    return float(np.nanmean(np.abs(targets - means), dtype=np.float64))


def coverage(targets: np.ndarray, means: np.ndarray, sigmas: np.ndarray) -> float:
    """Returns the share of the known values that lie in the 90 % band."""
    known = np.isfinite(targets)
    return float((np.abs(targets - means) <= BAND * sigmas)[known].mean())


def fill(values: np.ndarray) -> np.ndarray:
    """Puts the last known row in place of each missing one.

    Args:
        values: of shape (steps, features), the first row known, NaN where a step is missing.
    """
    known = np.isfinite(values).all(axis=1)
    return values[np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))]


def cut(values: np.ndarray, origins: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Returns steps `start` to `stop`, counted from each origin: (origins, steps, features)."""
    return values[origins[:, None] + np.arange(start, stop)]


def seasonal_naive(
    values: np.ndarray, origins: np.ndarray, horizon: int, season: int
) -> np.ndarray:
    """Repeats the last season before each origin."""
    last = cut(values, origins, -season, 0)
    return last[:, np.arange(horizon) % season]


def season_mean(
    values: np.ndarray, origins: np.ndarray, horizon: int, season: int
) -> np.ndarray:
    """Goes on with the mean of the last season before each origin."""
    mean = cut(values, origins, -season, 0).mean(axis=1, keepdims=True)
    return np.repeat(mean, horizon, axis=1)


BASELINES = {"seasonal_naive": seasonal_naive, "moving_average": season_mean}


def season_errors(training: np.ndarray, season: int) -> np.ndarray:
    """Returns what MASE divides by: mean |y(t) - y(t - season)| of each feature."""
    return np.nanmean(np.abs(training[season:] - training[:-season]), axis=0, dtype=np.float64)


def score(
    targets: np.ndarray, means: np.ndarray, sigmas: np.ndarray, unit: np.ndarray
) -> dict[str, float]:
    """Returns all scores of forecasts.

    Args:
        targets: the true values, NaN where missing.
        means: of the forecasts.
        sigmas: their standard deviations, of a shape that fits.
        unit: what MASE divides by, of shape (features,).
    """
    errors = np.nanmean(np.abs(targets - means), axis=(0, 1), dtype=np.float64)
    return {"mae": mae(targets, means), "rmse": rmse(targets, means),
            "mase": float((errors / unit).mean()), "coverage": coverage(targets, means, sigmas)}


def score_baseline(
    baseline: Baseline, values: np.ndarray, training: int, origins: np.ndarray, season: int
) -> dict[str, float]:
    """Scores a simple forecast of one season; its deviation is that of its errors in training.

    Args:
        baseline: one of BASELINES.
        values: the series, of shape (steps, features).
        training: how many steps at its beginning are the training part, at least two seasons.
        origins: the steps where forecasts begin, int64 of shape (origins,).
        season: steps of a season.
    """
    filled = fill(values)
    past = np.arange(season, training - season + 1)
    errors = cut(values, past, 0, season) - baseline(filled, past, season, season)
    sigmas = np.sqrt(np.nanmean(errors**2, axis=0))
    means = baseline(filled, origins, season, season)
    unit = season_errors(values[:training], season)
    return score(cut(values, origins, 0, season), means, sigmas, unit)
