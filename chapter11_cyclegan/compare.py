"""Draws the translations of several runs side by side: recipes, presets, steps.

    python compare.py book_128 resize best --direction YtoX
    python compare.py best --checkpoint 1000

A column for each run, a row for each of the first test images; runs of the same data. Writes
compare-DIRECTION.png to runs/chapter11_cyclegan/. Their scores are those of eval.py.
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
        UserError: the runs are of different data.
    """
    columns: dict[str, np.ndarray] = {}
    digest = None
    for name in args.runs:
        folder = rundir.find_run(CHAPTER, name)
        config = rundir.read_config(folder, CHAPTER)
        if digest not in (None, config["dataset_sha256"]):
            raise UserError(f"{name} is of other data than {args.runs[0]}", "give runs of one data "
                            "set")
        digest, flags = config["dataset_sha256"], argparse.Namespace(**config["flags"], typed={})
        if args.data_dir:
            flags.data_dir = args.data_dir
        direction = choose_direction(args, flags)
        number = list(GENERATORS).index(direction)
        _, pictures = data.read_all(data.load(flags).test[number], flags.image_size, args.num)
        generators = load_run(argparse.Namespace(run_dir=folder, checkpoint=args.checkpoint), flags)
        columns.setdefault("input", pictures)
        outputs = make_predict(generators[direction])(data.scale(pictures))
        columns[folder.name] = data.to_uint8(outputs)
    rows = range(min(map(len, columns.values())))
    shown = [pictures[row] for row in rows for pictures in columns.values()]
    titles = [title if row == 0 else "" for row in rows for title in columns]
    png = rundir.runs_dir() / CHAPTER / f"compare-{args.direction}.png"
    figures.draw_sheet(shown, titles, len(columns), png)
    print(f"wrote {png}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="names or folders of runs")
    parser.add_argument("--direction", choices=list(GENERATORS), default="XtoY",
                        help="which generator")
    parser.add_argument("--num", type=cli.small_int, default=4, help="test images")
    parser.add_argument("--checkpoint", type=cli.checkpoint_name, default="best",
                        metavar="best|latest|STEP", help="which weights")
    parser.add_argument("--data_dir", type=cli.path, help="where the data lies now")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: compare(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
