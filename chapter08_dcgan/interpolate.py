"""Walks from image to image through the space of z (Radford et al. 2016, figure 4).

    python interpolate.py
    python interpolate.py --numbers 3,17,42 --gif walk.gif

Each row of interpolate.png, in the run folder, leads from one random image to the next one. If all
images between them look real, the generator has not learned its training images by heart.
--numbers walks through images of generate.py, by their numbers.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter08_dcgan.inference import choose_labels, load_run, numbered_z, numbers
from common import cli, images, video
from common.errors import UserError


def walk(first: np.ndarray, last: np.ndarray, steps: int) -> np.ndarray:
    """Returns z on the line from one z to another, both included, of shape (steps, z_dim)."""
    return np.linspace(first, last, steps)


def interpolate(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Draws the rows, and a GIF of them."""
    if args.numbers and len(args.numbers) < 2:
        raise UserError(f"--numbers {args.numbers[0]}", "give at least two, such as 3,17")
    if args.numbers:
        cli.refuse_idle(args, ["rows"], f"--numbers {','.join(map(str, args.numbers))}")
    if args.gif:
        video.check(Path(args.gif))
    run = load_run(args, flags)
    chosen = args.numbers or tuple(range(args.rows + 1))
    z = [numbered_z(args.seed, 1, run.z_dim, number)[0] for number in chosen]
    labels = choose_labels(run, args.label, len(chosen) - 1)
    rows = [run.generate(walk(*pair, args.columns), np.full(args.columns, label))
            for pair, label in zip(itertools.pairwise(z), labels, strict=True)]
    png = args.run_dir / "interpolate.png"
    images.write_png(png, images.grid(np.concatenate(rows), args.columns))
    if args.gif:
        with video.writer(Path(args.gif), args.columns / 2) as write:
            for picture in np.concatenate(rows):
                write(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    print(f"wrote {png}" + (f" and {args.gif}" if args.gif else ""))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--rows", type=cli.layer_count, default=8, help="rows of the figure")
    parser.add_argument("--columns", type=cli.number(int, 2, 1000, "a number from 2 to 1000"),
                        default=9, help="images of a row")
    parser.add_argument("--numbers", type=numbers,
                        help="images of generate.py to walk through, such as 3,17,42")
    parser.add_argument("--label", help="label of all rows (default: all labels in turn)")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of all z")
    parser.add_argument("--gif", type=cli.path, metavar="FILE", help="also write a GIF or MP4")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(interpolate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
