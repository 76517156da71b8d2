"""Goes on with a series where it ends: mean, standard deviation, and a picture.

    python forecast.py --steps 250
    python forecast.py --name airline --steps 24

Writes forecast.csv and forecast.png into the run folder; the band holds nine values of ten, if the
model is right about what it does not know. Exogenous columns must be known for these steps.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from chapter15_time_series import data
from chapter15_time_series.forecaster import Forecaster
from chapter15_time_series.model import build_model, model_flags
from chapter15_time_series.scores import BAND
from common import checkpoint, cli, images, rundir
from common.errors import UserError

CHAPTER = "chapter15_time_series"
NUM_STEPS = 250  # book, sections 15.2 and 15.3
PANEL = 9, 3  # inches of the picture of one feature


def load_run(
    run_dir: Path, flags: argparse.Namespace, which: str
) -> tuple[Forecaster, data.Series]:
    """Rebuilds the model of a run with its trained weights; returns it and its series."""
    series = data.load_flags(flags)
    rundir.check_data(run_dir, CHAPTER, series.digest())
    model = build_model(len(series.names), series.exogenous.shape[1], **model_flags(flags))
    checkpoint.load(run_dir, which, model=model)
    return model, series


def picture_steps(parts: data.Parts, flags: argparse.Namespace) -> int:
    """Returns how far to roll out: over the test part; as far as the book where there is none.

    A formula, which has no end, is rolled out as far as in the book at least.
    """
    test = parts.end - parts.test
    return test if test and not data.is_formula(flags) else max(NUM_STEPS, test)


def roll_out(
    model: Forecaster, series: data.Series, start: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Predicts the steps from `start` on from all before it, feeding predictions back.

    Where exogenous values are not known so far ahead, the last ones stay.

    Returns:
        Mean and standard deviation, float32 of shape (steps, features).
    """
    times, values = series.times(0, start)[None], series.values[None, :start]
    exogenous = series.exogenous[: start + steps + model.num_outputs]  # to the last window's end
    missing = max(0, start + steps - len(exogenous))
    unknown = np.full((missing, exogenous.shape[1]), np.nan, np.float32)
    exogenous = np.concatenate([exogenous, unknown])[None]
    mean, sigma = tf.function(model.forecast)(times, exogenous, values, tf.constant(steps))
    return mean[0].numpy(), sigma[0].numpy()


def draw(
    png: Path,
    series: data.Series,
    start: int,
    rolled_out: tuple[np.ndarray, np.ndarray],
    history: int,
    followed: np.ndarray | None = None,
) -> None:
    """Draws a series and what a model makes of it, one panel for each feature.

    Args:
        png: where to.
        series: the series.
        start: the first step that was rolled out.
        rolled_out: mean and standard deviation, of shape (steps, features).
        history: how many steps before `start` to show.
        followed: what was predicted from true values, of shape (steps, features), from step 0 on.
    """
    mean, sigma = rolled_out
    first, end = max(0, start - history), len(series.values)
    width, height = PANEL
    count = len(series.names)
    figure, axes = plt.subplots(count, 1, figsize=(width, height * count), sharex=True,
                                squeeze=False)
    seen, future = series.labels(first, end), series.labels(start, start + len(mean))
    for i, (axis, name) in enumerate(zip(axes[:, 0], series.names, strict=True)):
        axis.plot(seen, series.values[first:, i], "k-", linewidth=0.8, label="observed")
        if followed is not None:
            axis.plot(seen[: len(followed) - first], followed[first:, i], "C0-", linewidth=0.8,
                      label="one step ahead")
        axis.plot(future, mean[:, i], "C1-", label="rolled out")
        axis.fill_between(future, mean[:, i] - BAND * sigma[:, i], mean[:, i] + BAND * sigma[:, i],
                          color="C1", alpha=0.25, linewidth=0, label="90 %")
        axis.axvline(future[0], color="0.6", linestyle=":")
        axis.set_ylabel(name)
    axes[0, 0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8, frameon=False)
    images.save_figure(png, figure)


def forecast(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes forecast.csv and forecast.png.

    Raises:
        UserError: exogenous values are not known for so many steps.
    """
    model, series = load_run(args.run_dir, flags, args.checkpoint)
    end = len(series.values)
    ahead = len(series.exogenous) - end
    if model.num_exogenous and args.steps > ahead:
        raise UserError(
            f"--steps {args.steps}, but {flags.exogenous_columns} are known for {ahead} steps only "
            f"after {series.labels(end - 1, end)[0]}",
            "add rows with times and exogenous values alone to the file, and train anew",
        )
    mean, sigma = roll_out(model, series, end, args.steps)
    table, png = args.run_dir / "forecast.csv", args.run_dir / "forecast.png"
    part = table.with_name(table.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *(f"{name}_{kind}" for name in series.names
                                   for kind in ("mean", "sigma"))])
        numbers = np.stack([mean, sigma], axis=-1).reshape(args.steps, -1)
        for time, row in zip(series.labels(end, end + args.steps), numbers, strict=True):
            writer.writerow([time, *(f"{number:.7g}" for number in row)])
    part.replace(table)
    draw(png, series, end, (mean, sigma), history=2 * args.steps)
    print(f"{args.steps} steps after {series.labels(end - 1, end)[0]}: {table}, {png}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__doc__, "forecast.py")
    parser.add_argument("--steps", type=cli.positive_int, default=NUM_STEPS,
                        help="how far to look ahead")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(forecast, build_parser(), CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
