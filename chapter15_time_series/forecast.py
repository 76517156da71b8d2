"""Forecasts the steps after the end of a series: mean, standard deviation, and a plot.

    python forecast.py --steps 250
    python forecast.py --name airline --steps 24

Writes forecast.csv, and forecast.png with a 90 % prediction interval, into the run folder.
Exogenous columns must be known for all of these steps.
"""

import argparse
import csv
from collections.abc import Sequence

import numpy as np

from chapter15_time_series.inference import NUM_STEPS, draw_forecast, forecast_series, load_run
from common import cli
from common.errors import UserError


def write_forecast(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes forecast.csv and forecast.png.

    Raises:
        UserError: exogenous values are not known for all steps.
    """
    model, series = load_run(args, flags)
    end = len(series.values)
    ahead = len(series.exogenous) - end
    if model.num_exogenous and args.steps > ahead:
        raise UserError(
            f"--steps {args.steps} needs {flags.exogenous_columns} for {args.steps} steps after "
            f"{series.labels(end - 1, end)[0]}, but the file has {ahead}",
            "append rows that hold only times and exogenous values, and train again",
        )
    mean, sigma = forecast_series(model, series, end, args.steps)
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
    draw_forecast(png, series, end, (mean, sigma), history=2 * args.steps)
    print(f"{args.steps} steps after {series.labels(end - 1, end)[0]}: {table}, {png}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--steps", type=cli.positive_int, default=NUM_STEPS,
                        help="number of steps to forecast")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(write_forecast, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
