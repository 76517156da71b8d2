"""Loads a finished run, and predicts whole series."""

import argparse
import sys
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from chapter15_time_series import data
from chapter15_time_series.base_model import Forecaster
from chapter15_time_series.flags import check_log
from chapter15_time_series.model import build_model
from common import checkpoint, rundir

NUM_STEPS = 250  # steps of the book's forecasts (section 15.3.2)
MAX_INPUTS = 2**25  # input values per call of a model, so that memory does not grow with the series


def build_forecaster(flags: argparse.Namespace, series: data.Series) -> Forecaster:
    """Builds the model that the flags describe, for a series; old runs lack the last two."""
    return build_model(
        len(series.names), series.exogenous.shape[1], flags.model, flags.input_window_size,
        flags.output_window_size, flags.periodicities, flags.num_units, flags.loss, flags.l2,
        flags.seed, *(vars(flags).get(name, False) for name in ("subtract_last", "log")))


def load_run(
    args: argparse.Namespace, flags: argparse.Namespace, same: bool = True
) -> tuple[Forecaster, data.Series]:
    """Returns the trained model of a run, and its series.

    Args:
        args: arguments of the script: `run_dir` and `checkpoint`.
        flags: flags that the run was trained with; they may name a later history of the series.
        same: whether the series must be the one that the run was trained on.
    """
    config = rundir.read_config(args.run_dir)
    series = data.load(flags, config.get("series"))
    if same:
        rundir.check_data(args.run_dir, series.digest())
    elif config["dataset_sha256"] != series.digest():
        print(f"{data.source(flags)} has changed since the training: the trained weights are "
              f"used with {len(series.values):,} steps up to "
              f"{series.labels(0, len(series.values))[-1]}", file=sys.stderr)
    if vars(flags).get("log"):
        check_log(series)
    model = build_forecaster(flags, series)
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return model, series


def make_follow(model: Forecaster) -> Callable[[data.Series, int, int], np.ndarray]:
    """Returns a function that predicts a series from true values (teacher forcing)."""
    # A closure, so that the graph is traced once, not for every call.
    predict = tf.function(model.follow)

    def follow(series: data.Series, stop: int, ahead: int = 1) -> np.ndarray:
        """Predicts the steps up to `stop`; returns what `WindowModel.follow` returns."""
        exogenous = series.exogenous[: stop + model.num_outputs]
        exogenous = model.normalise_exogenous(exogenous[None])[0]
        values = tf.convert_to_tensor(model.normalise(series.values[:stop]))
        times, before = series.times(0, stop), model.num_inputs
        # Window models predict blocks of windows, each from the steps before it; lstm has no
        # windows, and reads the series once.
        windows = max(1, MAX_INPUTS // max(1, before * model.num_features))
        block, found = windows * ahead if before else stop, []
        for start in range(0, stop - before, block):
            end = min(start + before + block, stop)
            seen = exogenous[start : end + model.num_outputs]
            part = predict(tf.constant(times[start:end]), seen, values[start:end], ahead).numpy()
            found.append(part[before if start else 0 :])
        return np.concatenate(found)

    return follow


def plot_horizon(parts: data.Parts, flags: argparse.Namespace) -> int:
    """Returns the number of steps to roll out for the plot: the length of the test part.

    Without a test part it is that of the book, of a file at most a fifth of its length. For a
    formula, which has no end, it is at least that of the book.
    """
    test = parts.end - parts.test
    if flags.input_file and not test:
        return min(NUM_STEPS, max(1, parts.end // 5))
    return test if test and not data.is_formula(flags) else max(NUM_STEPS, test)


def forecast_series(
    model: Forecaster, series: data.Series, start: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts `steps` steps from `start` on, feeding predictions back.

    Exogenous values that are not known are replaced by the last known ones.

    Returns:
        Mean and standard deviation, float32 of shape (steps, features), less the series' shift.
    """
    times, values = series.times(0, start)[None], series.values[None, :start]
    exogenous = series.exogenous[: start + steps + model.num_outputs]  # to the last window's end
    missing = max(0, start + steps - len(exogenous))
    unknown = np.full((missing, exogenous.shape[1]), np.nan, np.float32)
    exogenous = np.concatenate([exogenous, unknown])[None]
    mean, sigma = tf.function(model.forecast)(times, exogenous, values, tf.constant(steps))
    return mean[0].numpy(), sigma[0].numpy()
