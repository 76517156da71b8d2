"""Divides a folder of images into train, val and test, which become its subfolders.

    python split.py --dir pairs                                # 80 % to train on, the rest val
    python split.py --dir pairs --train_frac 0.7 --test_frac 0.2

Files are moved. A hash of its name decides where a file belongs, whatever was moved before: the
shares are those of many files. With --sort they are divided in order, once.
"""

import argparse
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter09_pix2pix.pairs import list_images
from common import cli
from common.errors import UserError, exit_status

PARTS = "train", "test", "val"


def share_of(path: Path) -> float:
    """Returns a number in [0, 1) that depends on the name of a file, without its suffix."""
    return int.from_bytes(hashlib.sha256(os.fsencode(path.stem)).digest()[:8], "big") / 2**64


def part_of(share: float, train: float, test: float) -> str:
    """Returns the part of a file: the first share is train, the next test, the rest val."""
    return "train" if share < train else "test" if share < train + test else "val"


def split(args: argparse.Namespace) -> dict[str, int]:
    """Moves the images of a folder into subfolders; returns how many each got.

    Raises:
        UserError: there are no images, the shares are more than 1, or a file of that name is there
            already; nothing is moved then.
    """
    folder = Path(args.dir)
    if args.train_frac + args.test_frac > 1:
        raise UserError(f"--train_frac {args.train_frac} and --test_frac {args.test_frac} are "
                        "more than 1", "lower one of them")
    if not (found := list_images(folder)):
        raise UserError(f"{folder} holds no images", "check --dir")
    if args.sort and (there := [part for part in PARTS if (folder / part).exists()]):
        raise UserError(f"{folder} is divided already: it has {', '.join(there)}",
                        "omit --sort, by which the same files could go elsewhere")
    shares = np.arange(len(found)) / len(found) if args.sort else map(share_of, found)
    targets = {path: folder / part_of(share, args.train_frac, args.test_frac) / path.name
               for path, share in zip(found, shares, strict=True)}
    if taken := [folder / part / path.name for path in found for part in PARTS
                 if (folder / part / path.name).exists()]:
        raise UserError(f"{taken[0]} is there already", "delete or rename one of the two")
    for path, target in targets.items():
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    counts = {part: sum(target.parent.name == part for target in targets.values())
              for part in PARTS}
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
                        help="divide the files in order, not by a hash of their names")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: split(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
