"""Trains a forecaster of time series (book, chapter 15; TensorFlow's former contrib.timeseries).

    python train.py                                 # autoregressive, sine with a trend, offline
    python train.py --preset book_lstm
    python train.py --preset book_csv
    python train.py --input_file FILE.csv --periodicities 12
    python forecast.py --steps 250

The series is cut in time order: first to train on, then to choose the checkpoint, then to test.
To expect of the demo: one step ahead an error at most a tenth above that of the noise alone.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter15_time_series import data
from chapter15_time_series.eval import make_follow
from chapter15_time_series.forecast import NUM_STEPS, draw, roll_out
from chapter15_time_series.model import LOSSES, Forecaster, build_model, model_flags
from common import cli, inputs, rundir
from common.checkpoint import FitCallback, TrainState
from common.monitor import Monitor

CHAPTER = "chapter15_time_series"

BOOK = {"validation_share": 0.0, "test_share": 0.0}  # the book trains on all it has
BOOK_AR = BOOK | {"optimizer": "adagrad", "learning_rate": 0.1, "batch_size": 16}
BOOK_LSTM = BOOK | {"model": "lstm", "loss": "squared", "batch_size": 4, "learning_rate": 0.001}
PRESETS = {
    "demo": {"periodicities": "200", "l2": 0.04, "batch_size": 256, "max_steps": 5000},
    "book_array": BOOK_AR | {"periodicities": "200", "max_steps": 6000},
    "book_csv": BOOK_AR | {"dataset": "period_trend", "periodicities": "100",
                           "input_window_size": 10, "output_window_size": 6, "max_steps": 1000},
    "book_lstm": BOOK_LSTM | {"dataset": "three_waves", "window_size": 100, "max_steps": 2000},
    "book_multivariate": BOOK_LSTM | {"dataset": "multivariate_periods", "window_size": 32,
                                      "max_steps": 200},
}


def periodicities(text: str) -> str:
    """Checks whole numbers with commas between (an argparse `type`)."""
    for number in text.split(","):
        cli.positive_int(number)
    return text


def build_parser() -> cli.Parser:
    """Returns the parser; flags that the book's models have keep their names."""
    parser = cli.training_parser(__doc__, PRESETS)
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--model", choices=["ar", "lstm"], default="ar",
                       help="autoregressive and linear, or recurrent")
    group.add_argument("--input_window_size", type=cli.positive_int, default=30,
                       help="steps that ar looks back")
    group.add_argument("--output_window_size", type=cli.positive_int, default=10,
                       help="steps that ar predicts at once")
    group.add_argument("--periodicities", type=periodicities,
                       help="periods in steps, with commas between, that ar has time features for")
    group.add_argument("--num_units", type=cli.positive_int, default=128, help="of lstm")
    group = parser.add_argument_group("training")
    group.add_argument("--loss", choices=list(LOSSES), default="normal_likelihood",
                       help="squared: standard deviations are those of the residuals")
    group.add_argument("--validation_share", type=cli.fraction, default=0.1,
                       help="end of what is not for testing that chooses the checkpoint")
    group.add_argument("--test_share", type=cli.fraction, default=0.2,
                       help="end of the series that is kept for eval.py")
    group.add_argument("--max_steps", type=cli.positive_int, default=2000, help="updates in all")
    group.add_argument("--batch_size", type=cli.positive_int, default=32, help="windows an update")
    group.add_argument("--window_size", type=cli.positive_int, default=100,
                       help="steps of lstm's windows; those of ar are input and output together")
    group.add_argument("--optimizer", choices=["adagrad", "adam"], default="adam", help="optimizer")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.001, help="step size")
    group.add_argument("--l2", type=cli.number(float, 0, 1e6, "a number of at least 0"),
                       default=0.0, help="what the squared weights of ar cost")
    group.add_argument("--log_every", type=cli.positive_int, default=100, help="steps a log line")
    group.add_argument("--eval_every", type=cli.positive_int, default=200,
                       help="steps between two scorings of the validation part")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="steps between two checkpoints")
    return parser


def make_validate(
    model: Forecaster,
    series: data.Series,
    parts: data.Parts,
    loss: Callable[..., tf.Tensor],
    state: TrainState,
    monitor: Monitor,
) -> Callable[[int], dict[str, float]]:
    """Returns a function that scores the validation part and keeps the best weights.

    Without such a part it scores what is trained on, and keeps nothing.
    """
    follow, scale = make_follow(model), np.asarray(model.scale)
    chooses = parts.validation < parts.test
    targets = np.asarray(model.normalise(series.values[: parts.test]))

    def validate(step: int) -> dict[str, float]:
        predictions = follow(series, parts.test, model.num_outputs)
        errors = targets - predictions[:, : model.num_features]
        if not model.predicts_variance:
            model.set_residuals(errors[model.num_inputs : parts.validation])
        part = slice(parts.validation if chooses else model.num_inputs, parts.test)
        scores = {"loss": float(loss(targets[part], predictions[part])),
                  "rmse": float(np.sqrt(np.nanmean((errors[part] * scale) ** 2)))}
        monitor.scalars(step, scores, "val")
        if chooses:
            state.save_if_best(scores["loss"])
        return scores

    return validate


def introduce(args: argparse.Namespace, series: data.Series, parts: data.Parts) -> None:
    """Says what is trained on, and in the demo how to go on to the book's run."""
    print(f"training {args.model} on {parts.validation:,} of {parts.end:,} steps of "
          f"{data.source(args)}: {', '.join(series.names)}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book_array")
        for name in data.SOURCES:
            if (folder := inputs.default_dir(name)).is_dir():
                print(f"{name} is already in {folder}: --dataset {name}")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until `--max_steps`; returns the validation scores."""
    series = data.load_flags(args)
    parts = data.split(series, args.validation_share, args.test_share)
    model = build_model(**model_flags(args, len(series.names)))
    known = series.values[: parts.validation]
    window_size = model.num_inputs + model.num_outputs if args.model == "ar" else args.window_size
    data.window_starts(known, window_size)  # a series that is too short leaves no folder behind
    introduce(args, series, parts)
    model.set_scale(known)
    optimizers = {"adagrad": keras.optimizers.Adagrad, "adam": keras.optimizers.Adam}
    model.compile(optimizers[args.optimizer](args.learning_rate), LOSSES[args.loss],
                  jit_compile=False)
    parameters = sum(int(tf.size(variable)) for variable in model.trainable_variables)
    with rundir.open_run(args, dataset_sha256=series.digest(), parameters=parameters) as run:
        trained = {"optimizer": (model.optimizer, model.trainable_variables)}
        state = TrainState(run, {"model": model}, trained,
                           means=[v.value for v in model.metrics[0].variables])
        start = int(state.step)
        monitor = Monitor(run, start)
        validate = make_validate(model, series, parts, LOSSES[args.loss], state, monitor)
        scores = {}

        def evaluate(step: int) -> bool:
            """Scores the validation part; never ends a run early, since the best is kept."""
            scores.update(validate(step))
            return False

        values = np.asarray(model.normalise(known))
        windows = data.training_batches(series.times(0, len(known)), values, window_size,
                                        args.batch_size, args.seed, start)
        batches = windows.map(lambda times, values: ((times, values), values[:, model.num_inputs:]))
        # The bar, checkpoints, a way out on Ctrl-C; and logs and scorings.
        callback = FitCallback(
            state, monitor, max_steps=args.max_steps, save_every=args.save_every,
            log_every=args.log_every, eval_every=args.eval_every, evaluate=evaluate,
        )
        callback.fit(model, batches)
        monitor.close()
        picture = run / "samples" / "forecast.png"
        steps = max(NUM_STEPS, parts.end - parts.test)
        draw(picture, series, parts.test, roll_out(model, series, parts.test, steps), parts.test)
    print(f"error after {args.max_steps} steps {scores['rmse']:.4g}; what it forecasts: {picture}")
    return {"step": int(state.step), **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), PRESETS, CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
