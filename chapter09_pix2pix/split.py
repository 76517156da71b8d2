"""Divides a folder of images into train, val and test, which become its subfolders.

    python split.py --dir pairs                                # 80 % to train on, the rest val
    python split.py --dir pairs --train_frac 0.7 --test_frac 0.2

Files are moved. The same files are always divided in the same way, whatever was moved before.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from chapter09_pix2pix.pairs import list_images
from common import cli
from common.errors import UserError, exit_status


def split(args: argparse.Namespace) -> dict[str, int]:
    """Moves the images of a folder into subfolders; returns how many each got.

    Raises:
        UserError: there are no images, or the shares are more than 1.
    """
    folder = Path(args.dir)
    if args.train_frac + args.test_frac > 1:
        raise UserError(f"--train_frac {args.train_frac} and --test_frac {args.test_frac} are "
                        "more than 1", "lower one of them")
    if not (found := list_images(folder)):
        raise UserError(f"{folder} holds no images", "check --dir")
    if not args.sort:
        random.Random(0).shuffle(found)
    train, test = (round(share * len(found)) for share in (args.train_frac, args.test_frac))
    parts = {"train": found[:train], "test": found[train : train + test],
             "val": found[train + test :]}
    for name, paths in parts.items():
        for path in paths:
            (folder / name).mkdir(exist_ok=True)
            path.rename(folder / name / path.name)
    counts = {name: len(paths) for name, paths in parts.items()}
    print(f"{folder}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return counts


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--dir", type=cli.path, required=True, help="folder of images")
    parser.add_argument("--train_frac", type=cli.from_0_to_1, default=0.8,
                        help="share of the files to train on")
    parser.add_argument("--test_frac", type=cli.from_0_to_1, default=0.0,
                        help="share of the files to test on; the rest is for validation")
    parser.add_argument("--sort", action=argparse.BooleanOptionalAction, default=False,
                        help="divide the files in order, not at random")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: split(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
