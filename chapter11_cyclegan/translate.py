"""Applies a trained run to images of your own, of any size: X to Y, or Y to X.

    python translate.py apples.png FOLDER
    python translate.py photo.jpg --direction YtoX --size 256

Writes PNG files to the folder `outputs/XtoY` or `outputs/YtoX` of the run, or to --output_dir.
Images and folders of them, videos, a camera. The networks know things at the scale of the training:
--size resizes the shorter side to it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter11_cyclegan.inference import (
    GENERATORS,
    choose_direction,
    load_run,
    make_transform,
)
from common import cli, media


def translate(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the translation of each file."""
    direction = choose_direction(args, flags)
    transform = make_transform(load_run(args, flags)[direction], args.size)
    output = Path(args.output_dir) if args.output_dir else args.run_dir / "outputs" / direction
    media.transform_all(args, transform, output, lambda source, target, frames, seconds: print(
        f"{source}: {target} ({seconds:.2f} s)"))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    media.add_flags(parser)
    parser.add_argument("--direction", choices=list(GENERATORS),
                        help="XtoY: by G, from domain A to B; YtoX: by F (default: XtoY, or the "
                             "one of the run)")
    parser.add_argument("--size", "--image_size", type=cli.size, metavar="PIXELS",
                        help="resize the shorter side to this first (default: as it is)")
    parser.add_argument("--output_dir", type=cli.path, help="folder of the results")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(translate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
