"""Puts the pictures of several runs side by side, such as the book's four methods.

    python compare.py naive multiscale lapnorm deepdream
    python compare.py --start best guided

Each picture has the name of its run, its size, and the objective at its first and last step.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from common import cli, figures, images, rundir
from common.errors import UserError, exit_status
from common.monitor import read_curve

CHAPTER = "chapter04_deepdream"


def compare(args: argparse.Namespace) -> Path:
    """Draws the sheet; returns its path.

    Raises:
        UserError: there is no such run, or it has no finished picture.
    """
    pictures, titles = [], []
    for name in args.runs:
        run = rundir.find_run(CHAPTER, name)
        if not (png := run / "samples" / "dream.png").is_file():
            raise UserError(f"{run} has no finished picture",
                            f"resume it: python train.py --run_dir {run}")
        picture = images.read_image(png)
        height, width, _ = picture.shape
        _, values = read_curve(run, "train", "objective")
        if args.start and not pictures:
            pictures.append(images.read_image(png.with_name("start.png")))
            titles.append("start picture\n")
        pictures.append(picture)
        titles.append(f"{run.name}, {width} x {height}\nobjective {values[0]:.3g} -> "
                      f"{values[-1]:.3g}")
    png = Path(args.output_dir or rundir.runs_dir() / CHAPTER) / "compare.png"
    figures.draw_sheet(pictures, titles, args.columns, png)
    return png


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="names or folders of runs")
    parser.add_argument("--start", action=argparse.BooleanOptionalAction, default=False,
                        help="begin with the start picture of the first run")
    parser.add_argument("--columns", type=cli.size, default=4, help="pictures per row")
    parser.add_argument("--output_dir", type=cli.path,
                        help=f"output folder (default: runs/{CHAPTER})")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the sheet."""

    def show() -> None:
        print(compare(build_parser().parse_args(argv)))

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
