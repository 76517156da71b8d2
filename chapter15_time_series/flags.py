"""The flags of train.py beside those of data.py, and checks that they fit together."""

import argparse

import numpy as np

from chapter15_time_series import data
from chapter15_time_series.model import LOSSES
from chapter15_time_series.series import Series
from common import cli
from common.errors import UserError

IDLE_FLAGS = {"ar": ("num_units", "window_size"), "dlinear": ("num_units", "window_size"),
              "lstm": ("input_window_size", "output_window_size", "l2", "subtract_last")}


def whole_numbers(text: str) -> str:
    """Checks whole numbers separated by commas (an argparse `type`)."""
    if text == "none":
        return ""
    for number in text.split(","):
        cli.positive_int(number)
    return text


def three_numbers(text: str) -> str:
    """Checks three whole numbers separated by commas (an argparse `type`)."""
    if text.count(",") != 2:
        raise argparse.ArgumentTypeError(f"{text} is not three numbers separated by commas")
    return whole_numbers(text)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags, which keep the names of the parameters of the book's models."""
    data.add_flags(parser)
    add_model_flags(parser.add_argument_group("model"))
    add_part_flags(parser.add_argument_group("parts of the series"))
    add_training_flags(parser.add_argument_group("training"))


def add_model_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of the model."""
    group.add_argument("--model", choices=["ar", "lstm", "dlinear"], default="ar",
                       help="autoregressive, recurrent, or linear in trend and remainder")
    group.add_argument("--input_window_size", type=cli.size, default=30,
                       help="input steps of ar and dlinear")
    group.add_argument("--output_window_size", type=cli.size, default=10,
                       help="steps that ar and dlinear predict at once")
    group.add_argument("--periodicities", type=whole_numbers,
                       help="periods of the time features of ar, in steps, separated by commas; "
                            "none: no time features")
    group.add_argument("--num_units", type=cli.size, default=128,
                       help="hidden units of lstm")
    group.add_argument("--subtract_last", action=argparse.BooleanOptionalAction, default=False,
                       help="ar and dlinear read and predict differences from the last input")
    group.add_argument("--log", action=argparse.BooleanOptionalAction, default=False,
                       help="model the logarithm of the values, for positive series whose "
                            "fluctuations grow with their level")


def add_part_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of the split in time order, and of the evaluation."""
    group.add_argument("--validation_share", type=cli.from_0_to_1, default=0.1,
                       help="share of the steps before the test part that is the validation part")
    group.add_argument("--test_share", type=cli.from_0_to_1, default=0.2,
                       help="share of the series that is the test part")
    group.add_argument("--part_steps", type=three_numbers, help="steps of the training, validation "
                       "and test parts, separated by commas, instead of the shares")
    group.add_argument("--season", type=cli.positive_int, help="steps per season, the horizon of "
                       "the forecasts in eval.py (default: the first of --periodicities)")
    group.add_argument("--refit", action=argparse.BooleanOptionalAction, default=False,
                       help="train on the whole series, without validation and test part")


def add_training_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of the training."""
    group.add_argument("--loss", choices=list(LOSSES), default="normal_likelihood",
                       help="normal_likelihood: predict variances too; squared: estimate them on "
                            "the validation part")
    group.add_argument("--max_steps", type=cli.positive_int, default=2000,
                       help="number of optimizer updates")
    group.add_argument("--batch_size", type=cli.size, default=32, help="windows per batch")
    group.add_argument("--window_size", type=cli.size, default=100,
                       help="steps per window of lstm; for ar and dlinear, input and output steps")
    group.add_argument("--optimizer", choices=["adagrad", "adam"], default="adam", help="optimizer")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.001,
                       help="learning rate")
    group.add_argument("--l2", type=cli.number(float, 0, 1e6, "a number of at least 0"),
                       default=0.0, help="L2 regularization strength of ar and dlinear")
    group.add_argument("--log_every", type=cli.positive_int, default=100,
                       help="steps per log line")
    group.add_argument("--eval_every", type=cli.positive_int, default=200,
                       help="steps between two validations")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="steps between two checkpoints")


def check_log(series: Series) -> None:
    """Raises UserError if a series has values without a logarithm."""
    if any(series.shift[: len(series.names)]):
        raise UserError("--log does not work with values so large that they are kept relative to "
                        f"{max(series.shift):g}", "omit it, or give them in a larger unit")
    lowest = np.nanmin(series.values, axis=0)
    column = int(lowest.argmin())
    if lowest[column] <= 0:
        raise UserError(f"--log needs values above 0, but {series.names[column]} has "
                        f"{lowest[column]:g}", "correct the series, or train without --log")


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a typed flag has no effect with the others."""
    rows = (
        (True, f"--model {args.model}", IDLE_FLAGS[args.model]),
        (args.model != "ar" and args.season, f"--model {args.model} --season {args.season}",
         ("periodicities",)),  # without --season, they are the default season of other models
        (args.part_steps, f"--part_steps {args.part_steps}", ("validation_share", "test_share")),
        (args.refit, "--refit", ("validation_share", "test_share", "part_steps")),
        (args.input_file, f"--input_file {args.input_file}", ("data_dir",)),
    )
    for applies, beside, flags in rows:
        if applies:
            cli.refuse_idle(args, flags, beside)
