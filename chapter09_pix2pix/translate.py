"""Applies a trained run to images of your own, of any size.

    python translate.py map.png FOLDER
    python translate.py photo.jpg --name NAME --original_mode

Writes PNG files to the folder `outputs` of the run, or to --output_dir. A run of colouring colours:
see colorize.py, which is the same for grey photographs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras

from chapter09_pix2pix.inference import load_run, make_transform
from common import cli, media


def translate(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the output of the network for each file."""
    keras.utils.set_random_seed(flags.seed)  # of the dropout in the original's mode
    transform = make_transform(load_run(args, flags), flags, args.original_mode)
    output = Path(args.output_dir) if args.output_dir else args.run_dir / "outputs"
    media.transform_all(args, transform, output, lambda source, target, frames, seconds: print(
        f"{source}: {target} ({seconds:.2f} s)"))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    media.add_flags(parser)
    parser.add_argument("--output_dir", type=cli.path, help="folder of the results")
    parser.add_argument("--original_mode", action=argparse.BooleanOptionalAction, default=False,
                        help="dropout, and the statistics of each image, as the original")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(translate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
