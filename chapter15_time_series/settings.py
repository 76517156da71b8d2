"""Default settings of a series that is read from a file, by its steps and its length."""

import argparse
from typing import Any

from chapter15_time_series.flags import IDLE_FLAGS
from chapter15_time_series.series import Series
from common import cli

WINDOWS = 4  # a series is at least so many windows long
LONGEST = 60  # a period of at most so many steps fits into a window
NUM_INPUTS = 30  # of a window, for a period of fewer steps


def settings_for(series: Series) -> dict[str, Any]:
    """Returns flags for a series, which those that are typed override."""
    num_steps = len(series.values)
    periods = series.grid.periods(num_steps)
    if periods:
        num_inputs = max([NUM_INPUTS, *(period for period in periods if period <= LONGEST)])
    else:
        num_inputs = min(NUM_INPUTS, num_steps // 20)
    return {
        "periodicities": ",".join(map(str, periods)),
        "input_window_size": max(1, min(num_inputs, num_steps // WINDOWS)),
        "output_window_size": max(1, min(10, num_steps // 30)),
        "window_size": max(2, min(100, num_steps // WINDOWS)),
        "subtract_last": True,  # with weights of 0, the forecast is the last value
        "loss": "squared",
        "l2": 0.03 if periods else 0.1,
        "learning_rate": 0.001,
        "batch_size": 32,
        "max_steps": 2000,
    }


def apply_settings(args: argparse.Namespace, series: Series) -> None:
    """Sets the flags that are not typed to those that fit the series, and prints them.

    Only --model ar has inputs of `--periodicities`; the first is the season of all scores.
    """
    chosen = {flag: value for flag, value in settings_for(series).items()
              if flag not in {*args.typed, *IDLE_FLAGS[args.model]} or flag == "periodicities"}
    vars(args).update(chosen)
    shown = {flag: value for flag, value in chosen.items()
             if value != "" and (flag != "periodicities" or args.model == "ar")}
    print(f"{len(series.values):,} steps of {series.grid}; settings for them, which typed flags "
          f"override: {' '.join(cli.flag_words(shown))}")
