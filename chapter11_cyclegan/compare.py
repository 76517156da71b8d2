"""Draws the translations of several runs side by side: recipes, presets, steps.

    python compare.py half0 cut0 --direction YtoX            # cut0: train_cut.py with --fold 0
    python compare.py half0 --checkpoint 1000

A column for each run, a row for each of some test images, evenly spread. The runs must have the
same test images. Writes compare-DIRECTION.png to runs/chapter11_cyclegan/. eval.py has the scores.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from chapter11_cyclegan import data
from chapter11_cyclegan.inference import GENERATORS, choose_direction, load_run, make_predict
from common import cli, figures, rundir
from common.errors import UserError, exit_status

CHAPTER = "chapter11_cyclegan"


def compare(args: argparse.Namespace) -> None:
    """Draws the grid.

    Raises:
        UserError: the runs are of different data, or directions.
    """
    columns: dict[str, np.ndarray] = {}
    digest = shown = None
    for name in args.runs:
        folder = rundir.find_run(CHAPTER, name)
        config = rundir.read_config(folder, CHAPTER)
        if digest not in (None, config["dataset_sha256"]):
            raise UserError(f"{name} is of other data than {args.runs[0]}", "give runs of one data "
                            "set")
        moved = {flag: vars(args)[flag] for flag in data.LOCATIONS if vars(args)[flag]}
        flags = argparse.Namespace(**config["flags"] | moved, typed={})
        args.direction = direction = choose_direction(args, flags)
        found, digest = data.load(flags), config["dataset_sha256"]
        rundir.check_data(folder, found.digest)
        names, pictures = data.read_all(found.test[list(GENERATORS).index(direction)],
                                        flags.image_size, args.num)
        if shown not in (None, names):
            raise UserError(f"{name} is tested on other images than {args.runs[0]}",
                            "give runs of the same --fold or --hold_out")
        shown = names
        generators = load_run(argparse.Namespace(run_dir=folder, checkpoint=args.checkpoint), flags)
        columns.setdefault("input", pictures)
        outputs = make_predict(generators[direction])(data.scale(pictures))
        columns[folder.name] = data.to_uint8(outputs)
    rows = range(min(map(len, columns.values())))
    cells = [pictures[row] for row in rows for pictures in columns.values()]
    titles = [title if row == 0 else "" for row in rows for title in columns]
    png = rundir.runs_dir() / CHAPTER / f"compare-{args.direction}.png"
    figures.draw_sheet(cells, titles, len(columns), png)
    print(f"wrote {png}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="names or folders of runs")
    parser.add_argument("--direction", choices=list(GENERATORS),
                        help="which generator (default: the first of the first run)")
    parser.add_argument("--num", type=cli.small_int, default=4, help="test images")
    parser.add_argument("--checkpoint", type=cli.checkpoint_name, default="best",
                        metavar="best|latest|STEP", help="which weights")
    for flag in data.LOCATIONS:
        parser.add_argument(f"--{flag}", type=cli.path, help="where the data lies now")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: compare(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
