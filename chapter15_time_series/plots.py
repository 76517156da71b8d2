"""Plots a series and its forecasts, one panel per feature."""

from pathlib import Path

import numpy as np

from chapter15_time_series.scores import interval
from chapter15_time_series.series import Series
from common import figures
from common.figures import plt

PANEL = 9, 3  # inches per feature
MAX_PANELS = 20  # features that a plot shows


def _panels(series: Series) -> tuple[plt.Figure, list[plt.Axes]]:
    """Returns a figure with a panel for each feature, at most MAX_PANELS."""
    (width, height), names = PANEL, series.names[:MAX_PANELS]
    figure, axes = plt.subplots(len(names), 1, figsize=(width, height * len(names)), sharex=True,
                                squeeze=False)
    for axis, name in zip(axes[:, 0], names, strict=True):
        axis.set_ylabel(name)
    if series.grid.unit:
        locator = figures.mpl.dates.AutoDateLocator()
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(figures.mpl.dates.ConciseDateFormatter(locator))
    return figure, list(axes[:, 0])


def draw_series(png: Path, series: Series) -> None:
    """Plots a series as it was read, of which at most MAX_PANELS features are shown."""
    figure, axes = _panels(series)
    labels, values = series.labels(0, len(series.values)), series.restore(series.values)
    for i, axis in enumerate(axes):
        axis.plot(labels, values[:, i], "k-", linewidth=0.8)
    figures.save_figure(png, figure)


def draw_forecast(
    png: Path,
    series: Series,
    start: int,
    rolled_out: tuple[np.ndarray, np.ndarray],
    history: int,
    one_step: np.ndarray | None = None, log: bool = False,
) -> None:
    """Plots a series and its forecast with a 90 % prediction interval, one panel per feature.

    Args:
        png: the file to write.
        series: the series, of which at most MAX_PANELS features are shown.
        start: the first step of the forecast.
        rolled_out: mean and standard deviation of the forecast, of shape (steps, features).
        history: number of steps before `start` to show.
        one_step: predictions one step ahead, of shape (steps, features), from step 0 on.
        log: see `scores.interval`.
    """
    mean = series.restore(rolled_out[0])
    low, high = interval(mean, rolled_out[1], log)
    values = series.restore(series.values)
    first, end = max(0, start - history), len(values)
    figure, axes = _panels(series)
    seen, future = series.labels(first, end), series.labels(start, start + len(mean))
    for i, axis in enumerate(axes):
        axis.plot(seen, values[first:, i], "k-", linewidth=0.8, label="observed")
        if one_step is not None:
            axis.plot(seen[: len(one_step) - first], series.restore(one_step)[first:, i], "C0-",
                      linewidth=0.8, label="one step ahead")
        axis.plot(future, mean[:, i], "C1-", label="rolled out")
        axis.fill_between(future, low[:, i], high[:, i], color="C1", alpha=0.25, linewidth=0,
                          label="90 %")
        axis.axvline(future[0], color="0.6", linestyle=":")
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8, frameon=False)
    figures.save_figure(png, figure)
