"""Time series: their sources, the split in time order, and the stream of random windows.

    python data.py                                      # the book's sine with a trend
    python data.py --dataset period_trend               # the book's CSV file, downloaded once
    python data.py --dataset airline                    # another published series
    python data.py --input_file FILE.csv --time_column date --value_columns OT,HUFL

Prints the series and one batch of random windows, as the book's two reading scripts do, and draws
the series to runs/chapter15_time_series/.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from chapter15_time_series.grid import Grid
from chapter15_time_series.plots import draw_series
from chapter15_time_series.series import Layout, Series, read_csv
from common import cli, files, inputs, rundir
from common.errors import UserError, exit_status
from common.text import MAX_UNPACKED_MB, add_unpacked_flag

NUM_STEPS = 1000  # of the generated series: book, sections 15.2.1 and 15.4.1
NOISE = 0.2  # their noise is uniform in [-0.2, 0.2)
NOISE_FLOOR = NOISE / 3**0.5  # its standard deviation, a lower bound of the RMSE


def sine_trend(times: np.ndarray) -> np.ndarray:
    """Returns a sine of period 200 plus a linear trend, without noise (book, section 15.2.1)."""
    return np.sin(np.pi * times / 100) + times / 200


def three_waves(times: np.ndarray) -> np.ndarray:
    """Returns a sum of waves of periods 100 and 50, without noise (book, section 15.4.1)."""
    x = np.pi * times / 50
    return np.sin(x) + np.cos(x) + np.sin(2 * x)


DEFAULT = "sine_trend"
FORMULAS = {"sine_trend": sine_trend, "three_waves": three_waves}
OFFLINE = {
    "sine_trend": "the book's sine with a trend and noise, 1,000 steps generated from `--seed`",
    "three_waves": "the book's sum of three waves and noise, 1,000 steps generated from `--seed`",
    "--input_file": "any CSV file, usually with a time column of whole numbers or dates",
}
BOOK_FILES = ("https://raw.githubusercontent.com/hzy46/Deep-Learning-21-Examples/master/"
              "chapter_15/data/")
SHARED_FILES = "https://raw.githubusercontent.com/jbrownlee/Datasets/master/"
SOURCES = {
    "period_trend": files.Source(
        "The book's series with a period of 100 and a trend: 500 steps, 8 kB; no licence stated",
        (files.File(
            "period_trend.csv",
            "a62f508b55fe829fc5b0e140b257979fc084dacae52c8acd6d2b86b0fddddd54",
            (f"{BOOK_FILES}period_trend.csv",),
        ),),
    ),
    "multivariate_periods": files.Source(
        "The book's five periodic series: 100 steps, 7 kB; no licence stated",
        (files.File(
            "multivariate_periods.csv",
            "5fd1b63e20b5d681055771cf04c80409ffcee756ee9abdcfaed67718a4c1de2f",
            (f"{BOOK_FILES}multivariate_periods.csv",),
        ),),
    ),
    "airline": files.Source(
        "Airline passengers (Box & Jenkins), 144 months from 1949: 2 kB; no licence stated",
        (files.File(
            "airline-passengers.csv",
            "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621",
            (f"{SHARED_FILES}airline-passengers.csv",),
        ),),
    ),
    "temperatures": files.Source(
        "Daily minimum temperatures in Melbourne, 1981 to 1990, two of 3,652 days missing: "
        "68 kB; no licence stated",
        (files.File(
            "daily-min-temperatures.csv",
            "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da",
            (f"{SHARED_FILES}daily-min-temperatures.csv",),
        ),),
    ),
    "etth1": files.Source(
        "Oil temperature (OT) and six loads of a power transformer (Zhou et al., 2021), "
        "17,420 hours from July 2016: 2.6 MB; CC BY-ND 4.0",
        (files.File(
            "ETTh1.csv",
            "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
            ("https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv",),
        ),),
    ),
}


class Parts(NamedTuple):
    """The split of a series: the steps where validation and test part begin, and the end."""

    validation: int
    test: int
    end: int

    def spans(self) -> dict[str, tuple[int, int]]:
        """Returns start and stop of each part that is not empty."""
        borders = {"train": (0, self.validation), "validation": (self.validation, self.test),
                   "test": (self.test, self.end)}
        return {name: span for name, span in borders.items() if span[0] < span[1]}


def generate(dataset: str, seed: int, num_steps: int = NUM_STEPS) -> Series:
    """Generates the series of a formula, with noise from `seed`; times start at 0."""
    noise = np.random.default_rng(seed).uniform(-NOISE, NOISE, num_steps)
    values = FORMULAS[dataset](np.arange(num_steps)) + noise
    nothing = np.zeros((num_steps, 0), np.float32)
    return Series(values.astype(np.float32)[:, None], ["value"], first=0, exogenous=nothing)


def source(flags: argparse.Namespace) -> str:
    """Returns the name of the series that the flags of `add_flags` select."""
    return Path(flags.input_file).stem if flags.input_file else flags.dataset or DEFAULT


def is_formula(flags: argparse.Namespace) -> bool:
    """Returns whether the series is one of FORMULAS, so that its noiseless values are known."""
    return not flags.input_file and source(flags) in FORMULAS


def load(flags: argparse.Namespace, layout: dict[str, Any] | None = None) -> Series:
    """Loads the series that the flags of `add_flags` select.

    Args:
        flags: those of `add_flags`, and `seed`.
        layout: that of an earlier history of the series, as in config.json.

    Raises:
        UserError: the series cannot be found, downloaded or read, or flags contradict each other.
    """
    dataset = source(flags)
    if flags.input_file and flags.dataset:
        raise UserError(f"both --dataset {flags.dataset} and --input_file {flags.input_file} "
                        "are given", "omit one of them")
    if flags.input_file:
        path = Path(flags.input_file)
    elif not is_formula(flags):
        (file,) = SOURCES[dataset].files
        folder = Path(flags.data_dir or files.default_dir(dataset))
        path = files.fetch(folder / file.name, file.urls, file.sha256)
    elif flags.data_dir or flags.time_column or flags.value_columns or flags.exogenous_columns:
        raise UserError(f"{dataset} is generated by a formula, not read from a file",
                        "add --input_file, or omit --data_dir and the flags of columns")
    else:
        return generate(dataset, flags.seed)
    known = Layout(**layout | {"grid": Grid(*layout["grid"])}) if layout else None
    # Runs of earlier versions lack the limit.
    limit = vars(flags).get("max_unpacked_mb", MAX_UNPACKED_MB)
    return read_csv(path, flags.time_column, flags.value_columns, flags.exogenous_columns, known,
                    limit)


def split(series: Series, flags: argparse.Namespace) -> Parts:
    """Splits a series in time order into a training, a validation and a test part.

    Args:
        series: the series.
        flags: `part_steps`, or else `validation_share` and `test_share`.

    Raises:
        UserError: the series is too short for the parts, or a part has no value of a column.
    """
    end = len(series.values)
    if flags.part_steps:
        steps = [int(number) for number in flags.part_steps.split(",")]
        if sum(steps) > end:
            raise UserError(f"--part_steps {flags.part_steps} takes {sum(steps):,} steps, but the "
                            f"series has {end:,}", "give shorter parts")
        parts = Parts(steps[0], steps[0] + steps[1], sum(steps))
    else:
        test = end - int(end * flags.test_share)
        parts = Parts(test - int(test * flags.validation_share), test, end)
    for name, (start, stop) in parts.spans().items():
        known = np.isfinite(series.values[start:stop]).any(axis=0)
        names = list(series.names)
        if name == "train":
            known = np.append(known, np.isfinite(series.exogenous[start:stop]).any(axis=0))
            names += series.exogenous_names
        if not known.all():
            column = f" in column {names[int(known.argmin())]}" if len(names) > 1 else ""
            raise UserError(f"all values of the {name} part, steps {start:,} to {stop:,}, are "
                            f"missing{column}", "choose other parts with --part_steps or the "
                            "shares, or other columns with --value_columns")
    return parts


def window_starts(values: np.ndarray, window_size: int) -> np.ndarray:
    """Returns the first steps of all windows whose first and last step have a known value.

    Args:
        values: float32 of shape (steps, features), NaN where missing.
        window_size: steps per window.

    Returns:
        int64 of shape (windows,).

    Raises:
        UserError: there is no such window.
    """
    known = np.isfinite(values).any(axis=-1)
    starts = np.arange(max(0, len(known) - window_size + 1))
    starts = starts[known[starts] & known[starts + window_size - 1]]
    if not len(starts):
        raise UserError(
            f"{len(values)} training steps, {known.sum()} of them known, contain no window of "
            f"{window_size} steps", "give a longer series, or smaller windows")
    return starts


def training_batches(
    times: np.ndarray,
    exogenous: np.ndarray,
    values: np.ndarray,
    window_size: int,
    batch_size: int,
    seed: int,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Returns the endless stream of random windows; batch k is a pure function of (seed, k).

    Args:
        times: int64 of shape (steps,).
        exogenous: float32 of shape (steps, exogenous).
        values: float32 of shape (steps, features).
        window_size: steps per window.
        batch_size: windows per batch; each window occurs once per epoch.
        seed: determines the order of the windows.
        start_step: the restored step; the stream starts with this batch.

    Returns:
        Elements `(times, exogenous, values)` of shapes (batch_size, window_size), (batch_size,
        window_size, exogenous) and (batch_size, window_size, features).
    """
    starts = tf.constant(window_starts(values, window_size))
    columns = [tf.constant(column) for column in (times, exogenous, values)]

    def windows(_: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        steps = tf.gather(starts, indices)[:, None] + tf.range(window_size, dtype=tf.int64)
        steps = tf.ensure_shape(steps, (batch_size, window_size))
        return tuple(tf.gather(column, steps) for column in columns)

    return inputs.finish(
        inputs.index_batches(len(starts), batch_size, seed, start_step).map(windows))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that select the series and its columns."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=[*FORMULAS, *SOURCES],
                       help=f"a formula or a published file (default: {DEFAULT})")
    group.add_argument("--input_file", type=cli.path, help="a CSV file, instead of --dataset")
    group.add_argument("--data_dir", type=cli.path, help="folder of the published file "
                       "(default: data/<dataset> in the repository)")
    add_unpacked_flag(group)
    group.add_argument("--time_column", help="name of the time column, or its number from 0 "
                       "in a file without a header; none: the rows are the steps (default: the "
                       "first column)")
    group.add_argument("--value_columns", help="names or numbers of the value columns, "
                       "separated by commas (default: all others)")
    group.add_argument("--exogenous_columns", help="names or numbers of columns that are known in "
                       "advance; the last rows of the file may hold these only")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of all random numbers")
    parser.add_argument("--batch_size", type=cli.positive_int, default=2, help="windows to print")
    parser.add_argument("--window_size", type=cli.positive_int, default=10,
                        help="steps per window")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the series and one batch."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        series = load(args)
        times = series.times(0, len(series.values))
        missing = np.isnan(series.values)
        batches = training_batches(times, series.exogenous[: len(times)], series.values,
                                   args.window_size, args.batch_size, args.seed)
        first, last = series.labels(0, len(times))[[0, -1]]
        print(f"{len(times):,} steps from {first} to {last}, {missing.all(axis=-1).sum():,} of "
              f"them missing; a step is {series.grid}")
        for name, column in zip(series.names, series.restore(series.values).T, strict=True):
            known = column[np.isfinite(column)]
            print(f"{name}: mean {known.mean():.4g}, standard deviation {known.std():.4g}, "
                  f"range {known.min():.4g} to {known.max():.4g}, first values {known[:5]}")
        for batch in batches.take(1):
            for name, part in zip(("times", "exogenous", "values"), batch, strict=True):
                if part.shape[-1]:
                    print(f"one batch, {name} {tuple(part.shape)}:\n{part.numpy()}")
        name = Path(args.input_file or args.dataset or DEFAULT).stem
        png = rundir.runs_dir() / "chapter15_time_series" / f"{name}.png"
        draw_series(png, series)
        print(f"drawn: {png}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
