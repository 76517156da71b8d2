"""Scores of forecasts, and of baselines.

mae, rmse  mean absolute error and root mean squared error, in the units of the series
mase       mean absolute scaled error (Hyndman & Koehler, 2006): the mean absolute error of each
           feature, divided by that of the seasonal naive forecast in the training part; the mean
           over the features
coverage   share of the values inside the 90 % prediction interval

Targets and forecasts have the shape (origins, steps, features): each row starts at step `origin` of
the series, and is forecast from the steps before it. A target is NaN where the value is missing.
A score of which no value is known is NaN.
"""

from collections.abc import Callable

import numpy as np

BAND = 1.645  # half width of the 90 % prediction interval, in standard deviations of a normal
MAX_TARGETS = 2**23  # values to score at once, so that neither memory nor time grow without bound

Baseline = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]


def rmse(targets: np.ndarray, means: np.ndarray) -> float:
    """Returns the root mean squared error where both are known."""
    return float(np.sqrt(np.nanmean(np.square(targets - means, dtype=np.float64))))


def mae(targets: np.ndarray, means: np.ndarray) -> float:
    """Returns the mean absolute error where both are known."""
    return float(np.nanmean(np.abs(targets - means), dtype=np.float64))


def interval(
    means: np.ndarray, sigmas: np.ndarray, log: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ends of the 90 % prediction interval.

    Args:
        means: of normal variables, or the medians of log-normal ones.
        sigmas: standard deviations.
        log: whether the variables are log-normal, see `Forecaster.in_units`.
    """
    if not log:
        return means - BAND * sigmas, means + BAND * sigmas
    # With x = e^(σ²) of the logarithm, the variance is median² x (x - 1).
    x = (1 + np.sqrt(1 + 4 * (sigmas / means) ** 2)) / 2
    factor = np.exp(BAND * np.sqrt(np.log(x)))
    return means / factor, means * factor


def coverage(
    targets: np.ndarray, means: np.ndarray, sigmas: np.ndarray, log: bool = False
) -> float:
    """Returns the share of the known values inside the 90 % prediction interval."""
    known, (low, high) = np.isfinite(targets), interval(means, sigmas, log)
    return float(((low <= targets) & (targets <= high))[known].mean())


def fill(values: np.ndarray) -> np.ndarray:
    """Replaces each missing value by the last known one of its column.

    Args:
        values: of shape (steps, features), NaN where missing; those before the first known value
            stay NaN.
    """
    steps = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(np.isfinite(values), steps, 0))
    return np.take_along_axis(values, last, axis=0)


def thin(origins: np.ndarray, num_values: int) -> np.ndarray:
    """Returns evenly spaced origins, so many that their forecasts have MAX_TARGETS values at most.

    Args:
        origins: first steps of forecasts, int64 of shape (origins,).
        num_values: values of a forecast, of all steps and features.
    """
    most = max(1, MAX_TARGETS // num_values)
    if len(origins) <= most:
        return origins
    return origins[np.linspace(0, len(origins) - 1, most).astype(np.int64)]


def cut(values: np.ndarray, origins: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Returns steps `start` to `stop` relative to each origin: (origins, steps, features)."""
    return values[origins[:, None] + np.arange(start, stop)]


def seasonal_naive(
    values: np.ndarray, origins: np.ndarray, horizon: int, season: int
) -> np.ndarray:
    """Forecasts by repeating the last season before each origin."""
    last = cut(values, origins, -season, 0)
    return last[:, np.arange(horizon) % season]


def season_mean(
    values: np.ndarray, origins: np.ndarray, horizon: int, season: int
) -> np.ndarray:
    """Forecasts the mean of the last season before each origin."""
    mean = cut(values, origins, -season, 0).mean(axis=1, keepdims=True)
    return np.repeat(mean, horizon, axis=1)


BASELINES = {"seasonal_naive": seasonal_naive, "moving_average": season_mean}


def season_errors(training: np.ndarray, season: int) -> np.ndarray:
    """Returns the denominator of MASE: mean |y(t) - y(t - season)| of each feature."""
    return np.nanmean(np.abs(training[season:] - training[:-season]), axis=0, dtype=np.float64)


def score(
    targets: np.ndarray, means: np.ndarray, sigmas: np.ndarray, unit: np.ndarray,
    log: bool = False,
) -> dict[str, float]:
    """Returns all scores of forecasts.

    Args:
        targets: the true values, NaN where missing.
        means: means of the forecasts.
        sigmas: standard deviations of the forecasts, broadcast to their shape.
        unit: the denominators of MASE, of shape (features,).
        log: see `interval`.
    """
    errors = np.nanmean(np.abs(targets - means), axis=(0, 1), dtype=np.float64)
    return {"mae": mae(targets, means), "rmse": rmse(targets, means),
            "mase": float((errors / unit).mean()),
            "coverage": coverage(targets, means, sigmas, log)}


def score_baseline(
    baseline: Baseline, values: np.ndarray, training: int, origins: np.ndarray, season: int
) -> dict[str, float]:
    """Scores a baseline's forecasts of one season.

    Their standard deviations are those of its errors in the training part.

    Args:
        baseline: one of BASELINES.
        values: the series, of shape (steps, features).
        training: steps of the training part, at least two seasons.
        origins: first steps of the forecasts, int64 of shape (origins,).
        season: steps per season.
    """
    filled = fill(values)
    past = thin(np.arange(season, training - season + 1), season * values.shape[1])
    errors = cut(values, past, 0, season) - baseline(filled, past, season, season)
    sigmas = np.sqrt(np.nanmean(errors**2, axis=0))
    means = baseline(filled, origins, season, season)
    unit = season_errors(values[:training], season)
    return score(cut(values, origins, 0, season), means, sigmas, unit)


def score_naive(values: np.ndarray, start: int, stop: int, lag: int) -> dict[str, float]:
    """Scores the values one lag before, in a part of a series.

    Args:
        values: the series, of shape (steps, features).
        start: first step of the part.
        stop: its end.
        lag: 1 to repeat the last value, or the steps per season.

    Returns:
        The error of the value one lag before each step, and, if enough steps precede the part, of
        the last `lag` values before it, repeated over the whole part.
    """
    filled, first = fill(values), max(start, lag)
    scores = {"one_step_rmse": rmse(values[first:stop], filled[first - lag : stop - lag])}
    if start >= lag:
        repeated = seasonal_naive(filled, np.array([start]), stop - start, lag)[0]
        scores["rolled_out_rmse"] = rmse(values[start:stop], repeated)
    return scores
