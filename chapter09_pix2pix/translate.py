"""Applies a trained run to images of your own, of any size.

    python translate.py map.png FOLDER
    python translate.py photo.jpg --name NAME --original_mode

Writes PNG files to the folder `outputs` of the run, or to --output_dir. A run of colouring colours:
see colorize.py, which is the same for grey photographs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter09_pix2pix.inference import (
    add_mode_flags,
    load_run,
    make_transform,
    open_original_mode,
)
from common import cli, media


def translate(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the output of the network for each file."""
    generator = load_run(args, flags)
    open_original_mode(args, generator)
    transform = make_transform(generator, flags, args.original_mode)
    output = Path(args.output_dir) if args.output_dir else args.run_dir / "outputs"
    media.transform_all(args, transform, output, lambda source, target, frames, seconds: print(
        f"{source}: {target} ({seconds:.2f} s)"))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    media.add_flags(parser)
    parser.add_argument("--output_dir", type=cli.path, help="folder of the results")
    add_mode_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(translate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
