"""Shows how images of the same z changed in the course of trainings.

    python filmstrip.py --epochs 1,5,50
    python filmstrip.py --runs plain,augmented --epochs 50,200,500 --rows 3

Every row is a run, every column an epoch: the sample sheet of training that is nearest to it. The
figure is written to runs/chapter08_dcgan/filmstrip.png.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import cli, figures, images, rundir
from common.errors import UserError, exit_status

CHAPTER = "chapter08_dcgan"


def counts(text: str) -> tuple[int, ...]:
    """Returns comma-separated numbers of epochs (argparse `type`)."""
    return tuple(cli.positive_int(part) for part in text.split(","))


def sheets(run: Path) -> dict[int, Path]:
    """Returns the sample sheets of a run by step.

    Raises:
        UserError: there are none.
    """
    found = {int(path.stem): path for path in (run / "samples").glob("*.png")
             if path.stem.isdecimal()}
    if not found:
        raise UserError(f"{run / 'samples'} has no sheets", "train longer than --sample_every")
    return found


def column(run: Path, epoch: int) -> tuple[np.ndarray, str]:
    """Returns the sheet of a run that is nearest to the end of an epoch, and its title."""
    config = rundir.read_config(run, CHAPTER)
    steps_per_epoch = config["steps_per_epoch"]
    found = sheets(run)
    step = min(found, key=lambda step: abs(step - epoch * steps_per_epoch))
    title = f"{run.name}: epoch {step / steps_per_epoch:.3g} (step {step:,})"
    return images.read_image(found[step]), title


def draw(args: argparse.Namespace) -> None:
    """Draws the figure."""
    names = args.runs.split(",") if args.runs else [str(rundir.finished_run(
        CHAPTER, argparse.Namespace(run_dir=None, name=None)))]
    found = [column(rundir.find_run(CHAPTER, name), epoch) for name in names
             for epoch in args.epochs]
    pictures = [picture[: round(len(picture) * args.rows / 8)] for picture, _ in found]
    png = rundir.runs_dir() / CHAPTER / "filmstrip.png"
    figures.draw_sheet(pictures, [title for _, title in found], len(args.epochs), png)
    print(f"wrote {png}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--runs", help="names or folders of runs, comma-separated (default: the "
                                       "latest run)")
    parser.add_argument("--epochs", type=counts, default=(1, 5, 50), help="epochs to show")
    parser.add_argument("--rows", type=int, choices=range(1, 9), default=8,
                        help="rows of each sheet to show")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: draw(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
