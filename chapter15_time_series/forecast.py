"""Forecasts the steps after the end of a series: mean, standard deviation, and a plot.

    python forecast.py --steps 250
    python forecast.py --name airline --steps 24
    python forecast.py --name airline --steps 24 --input_file LATER.csv

The series may have grown since the training: its file is read again, or another one with a later
history, which has the same columns and steps. The trained weights are used as they are.

Writes forecast.csv, and forecast.png with a 90 % prediction interval, into the run folder.
Exogenous columns must be known for all of these steps.
"""

import argparse
import csv
from collections.abc import Sequence

import numpy as np

from chapter15_time_series.inference import NUM_STEPS, forecast_series, load_run
from chapter15_time_series.plots import draw_forecast
from common import cli
from common.errors import UserError

MAX_STEPS = 100_000
LAST_YEAR = 9999  # of dates in a plot

def write_forecast(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes forecast.csv and forecast.png.

    Raises:
        UserError: the history is too short, or exogenous values are not known for all steps.
    """
    if args.input_file:
        flags = argparse.Namespace(**vars(flags) | {"input_file": args.input_file, "dataset": None})
    model, series = load_run(args, flags, same=False)
    end = len(series.values)
    ahead = len(series.exogenous) - end
    if not args.steps and model.num_exogenous and ahead > 0:
        args.steps = min(ahead, MAX_STEPS)
    args.steps = args.steps or (min(NUM_STEPS, max(1, end // 5)) if flags.input_file else NUM_STEPS)
    if end < model.num_inputs:
        raise UserError(f"the history has {end} steps, but a window has {model.num_inputs} inputs",
                        "give more rows before these")
    labels = series.labels(end, end + args.steps)
    if series.grid.unit and labels[-1] > np.datetime64(f"{LAST_YEAR}-12-31"):
        raise UserError(f"--steps {args.steps:,} steps of {series.grid} end in {labels[-1]}",
                        f"give fewer: the last year of a forecast is {LAST_YEAR}")
    if model.num_exogenous and args.steps > ahead:
        raise UserError(
            f"--steps {args.steps} needs {flags.exogenous_columns} for {args.steps} steps after "
            f"{series.labels(end - 1, end)[0]}, but the file has {ahead}",
            "append rows that hold only times and exogenous values",
        )
    mean, sigma = forecast_series(model, series, end, args.steps)
    table, png = args.run_dir / "forecast.csv", args.run_dir / "forecast.png"
    part = table.with_name(table.name + ".part")
    with part.open("w", encoding="utf-8-sig", newline="") as file:  # Excel expects a BOM
        writer = csv.writer(file)
        writer.writerow(["time", *(f"{name}_{kind}" for name in series.names
                                   for kind in ("mean", "sigma"))])
        numbers = np.stack([series.restore(mean), sigma], axis=-1).reshape(args.steps, -1)
        digits = 15 if series.shift else 7  # of a float32
        for time, row in zip(labels, numbers, strict=True):
            writer.writerow([time, *(f"{number:.{digits}g}" for number in row)])
    part.replace(table)
    draw_forecast(png, series, end, (mean, sigma), history=2 * args.steps, log=model.log)
    print(f"{args.steps} steps after {series.labels(end - 1, end)[0]}: {table}, {png}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=("data_dir",))
    most = f"a whole number from 1 to {MAX_STEPS:,}"
    parser.add_argument("--steps", type=cli.number(int, 1, MAX_STEPS, most),
                        help=f"number of steps to forecast (default: {NUM_STEPS}, of a CSV file "
                             "of your own at most a fifth of its length, or those whose "
                             "exogenous values are given)")
    parser.add_argument("--input_file", type=cli.path, help="a CSV file with a later history of "
                        "the series (default: the file of the run, as it is now)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(write_forecast, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
