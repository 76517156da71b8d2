"""Trains a model of a time series (book, chapter 15; formerly tf.contrib.timeseries).

    python train.py                                 # autoregressive, sine with a trend, offline
    python train.py --preset book_lstm
    python train.py --preset book_csv
    python train.py --preset etth1                  # DLinear on a published benchmark
    python train.py --dataset airline               # with settings for its steps and length
    python train.py --input_file FILE.csv           # likewise
    python train.py --input_file FILE.csv --refit   # on the whole series, to forecast beyond it
    python forecast.py --steps 250

The series is split in time order into a training, a validation and a test part; the validation part
chooses the best checkpoint. The demo's error one step ahead is at most a tenth above that of the
noise.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter15_time_series import data, flags, settings
from chapter15_time_series.base_model import Forecaster
from chapter15_time_series.inference import (
    build_forecaster,
    forecast_series,
    make_follow,
    plot_horizon,
)
from chapter15_time_series.model import LOSSES
from chapter15_time_series.plots import draw_forecast
from chapter15_time_series.scores import rmse
from common import cli, files, rundir
from common.fit import Fit

BOOK = {"validation_share": 0.0, "test_share": 0.0}  # the book trains on the whole series
BOOK_AR = BOOK | {"optimizer": "adagrad", "learning_rate": 0.1, "batch_size": 16}
BOOK_LSTM = BOOK | {"model": "lstm", "loss": "squared", "batch_size": 4, "learning_rate": 0.001}
ETTH1 = {
    "dataset": "etth1",
    "model": "dlinear",
    "input_window_size": 336,
    "output_window_size": 96,
    "season": 24,
    # Zeng et al. (2023): 12, 4 and 4 months of 30 days; the rest of the file is not used.
    "part_steps": "8640,2880,2880",
    "loss": "squared",
    "learning_rate": 0.0003,
}
PRESETS = {
    "demo": {"periodicities": "200", "l2": 0.06, "batch_size": 256, "max_steps": 5000},
    "book_array": BOOK_AR | {"periodicities": "200", "max_steps": 6000},
    "book_csv": BOOK_AR | {
        "dataset": "period_trend",
        "periodicities": "100",
        "input_window_size": 10,
        "output_window_size": 6,
        "max_steps": 1000,
    },
    "book_lstm": BOOK_LSTM | {"dataset": "three_waves", "window_size": 100, "max_steps": 2000},
    "book_multivariate": BOOK_LSTM | {"dataset": "multivariate_periods", "window_size": 32,
                                      "max_steps": 200},
    "airline": {
        "dataset": "airline",
        "log": True,  # the seasonal swing grows with the number of passengers
        "periodicities": "12",
        "input_window_size": 24,
        "output_window_size": 1,
        "loss": "squared",
        "l2": 0.001,
        "learning_rate": 0.005,
        "validation_share": 0.2,
        "max_steps": 6000,
    },
    "temperatures": {
        "dataset": "temperatures",
        "periodicities": "365",
        "loss": "squared",
        "l2": 0.03,
        "batch_size": 128,
    },
    "etth1": ETTH1,
    # With one feature instead of seven a batch of 32 gives noisy gradients.
    "etth1_univariate": ETTH1 | {"value_columns": "OT", "batch_size": 256},
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS,
                                 free=["input_file", "max_unpacked_mb"],
                                 neutral=["input_file", "max_unpacked_mb"])
    flags.add_flags(parser)
    return parser


def make_validate(
    model: Forecaster,
    series: data.Series,
    parts: data.Parts,
    loss: Callable[..., tf.Tensor],
    training: Fit,
) -> Callable[[int], dict[str, float]]:
    """Returns a function that scores the validation part and saves the best checkpoint.

    Without a validation part it scores the training part, and saves no best checkpoint.
    """
    # A closure, so that the graph of the predictions is traced once, not at every validation.
    follow = make_follow(model)
    chooses = parts.validation < parts.test
    part = slice(parts.validation if chooses else model.num_inputs, parts.test)
    targets = np.asarray(model.normalise(series.values[: parts.test]))

    def validate(step: int) -> dict[str, float]:
        # Teacher forcing: whole output windows, predicted from true values.
        predictions = follow(series, parts.test, model.num_outputs)
        errors = targets - predictions[:, : model.num_features]
        # With the squared loss, the variances are those of the residuals.
        if not model.predicts_variance:
            lead = (part.start - model.num_inputs) % model.num_outputs  # steps into its window
            model.set_residuals(np.pad(errors[part], ((lead, 0), (0, 0)), constant_values=np.nan))
        # Loss in normalised units, RMSE in the units of the series.
        means, _ = model.restore(predictions[part])
        scores = {"loss": float(loss(targets[part], predictions[part])),
                  "rmse": rmse(series.values[: parts.test][part], means)}
        training.monitor.scalars(step, scores, "val")
        # Model selection: the lowest validation loss.
        if chooses:
            training.state.save_if_best(scores["loss"])
        return scores

    return validate


def introduce(args: argparse.Namespace, series: data.Series, parts: data.Parts) -> None:
    """Prints the training data, and for the demo the command of the book's run."""
    extra = f"; exogenous {args.exogenous_columns}" if args.exogenous_columns else ""
    if args.model == "ar" and args.periodicities:
        extra += f"; with periods of {args.periodicities} steps"
    print(f"training {args.model} on {parts.validation:,} of {len(series.values):,} steps of "
          f"{data.source(args)}: {', '.join(series.names)}{extra}")
    if args.preset == "demo" and data.is_formula(args):
        print("the book's run: python train.py --preset book_array")
        for name in data.SOURCES:
            if (folder := files.default_dir(name)).is_dir():
                print(f"{name} is already in {folder}: python train.py --dataset {name}")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its validation scores."""
    # Flags without effect and series that are too short are refused before a run folder is made.
    if args.input_file and args.dataset == PRESETS[args.preset].get("dataset"):
        args.dataset = None  # the file replaces the series of the preset
    flags.check_flags(args)
    series = data.load(args)
    if args.log:
        flags.check_log(series)
    if args.preset == "demo" and not data.is_formula(args) and not rundir.exists(args.run_dir):
        settings.apply_settings(args, series)  # instead of the demo's
    if args.refit:
        args.part_steps, args.validation_share, args.test_share = None, 0.0, 0.0
    parts = data.split(series, args)
    values, exogenous = series.values[: parts.validation], series.exogenous[: parts.validation]
    window_size = (args.window_size if args.model == "lstm" else
                   args.input_window_size + args.output_window_size)
    data.window_starts(values, window_size)
    model = build_forecaster(args, series)
    introduce(args, series, parts)

    # Normalisation by the mean and standard deviation of the training part.
    model.set_scale(values, exogenous)
    # Loss and optimizer; `Forecaster.call` predicts a batch of windows.
    optimizers = {"adagrad": keras.optimizers.Adagrad, "adam": keras.optimizers.Adam}
    model.compile(optimizers[args.optimizer](args.learning_rate), LOSSES[args.loss],
                  jit_compile=False)
    parameters = sum(int(tf.size(variable)) for variable in model.trainable_variables)
    with rundir.open_run(args, dataset_sha256=series.digest(), parameters=parameters,
                         series=series.layout()) as run:
        # Restores the latest checkpoint of a resumed run; the stream starts at its step.
        training = Fit(model, run, args)
        start, scores = int(training.state.step), {}
        validate = make_validate(model, series, parts, LOSSES[args.loss], training)

        # Batches of random windows; the targets are the steps after a window's first num_inputs.
        columns = (series.times(0, len(values)), model.normalise_exogenous(exogenous[None])[0],
                   model.normalise(values))
        windows = data.training_batches(*map(np.asarray, columns), window_size, args.batch_size,
                                        args.seed, start)
        batches = windows.map(lambda *window: (window, window[-1][:, model.num_inputs:]))
        # model.fit up to --max_steps, with a validation every --eval_every steps.
        training.run(batches, lambda step: scores.update(validate(step)))
        # Roll-out from the end of the validation part, feeding predictions back.
        plot = run / "samples" / "forecast.png"
        rolled_out = forecast_series(model, series, parts.test, plot_horizon(parts, args))
        draw_forecast(plot, series, parts.test, rolled_out, parts.test, log=model.log)
    print(f"rmse {scores['rmse']:.4g} after {args.max_steps} steps; forecast: {plot}")
    return {"step": int(training.state.step), **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
