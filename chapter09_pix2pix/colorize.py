"""Colours grey photographs of any size with a run of `--lab_colorization` (book, section 9.4).

    python colorize.py old.jpg FOLDER
    python colorize.py old.jpg --saturation 1.3

The network sees the lightness at the size it was trained on and predicts a and b; these are
enlarged, and joined with the lightness at full size, so that no detail is lost. Photographs that
have colours lose them first. Writes PNG files to the folder `coloured` of the run, or to
--output_dir; videos and a camera are coloured frame by frame.
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
from common.errors import UserError


def colorize(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the coloured photographs.

    Raises:
        UserError: the run does not colour.
    """
    if not flags.lab_colorization or flags.which_direction != "AtoB":
        raise UserError(f"{args.run_dir} does not colour photographs",
                        "name a run of --lab_colorization, or take translate.py")
    generator = load_run(args, flags)
    open_original_mode(args, generator)
    transform = make_transform(generator, flags, args.original_mode, args.saturation)
    output = Path(args.output_dir) if args.output_dir else args.run_dir / "coloured"
    media.transform_all(args, transform, output, lambda source, target, frames, seconds: print(
        f"{source}: {target} ({seconds:.2f} s)"))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    media.add_flags(parser)
    parser.add_argument("--output_dir", type=cli.path, help="folder of the results")
    parser.add_argument("--saturation", type=cli.number(float, 0, 10, "a number from 0 to 10"),
                        default=1.0, help="factor of a and b: above 1 more colourful")
    add_mode_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(colorize, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
