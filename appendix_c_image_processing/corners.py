"""Marks the corners of a picture by the Harris response.

    python corners.py
    python corners.py --image photo.jpg --aperture 3

A corner is where a small window changes whichever way it moves. Marked is what responds with more
than 1 % of the largest response.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from appendix_c_image_processing import pictures
from appendix_c_image_processing.operations import corner_mask, marked
from common.errors import UserError, exit_status
from common.parser import Parser, number


def build_parser() -> Parser:
    """Returns the parser."""
    parser = pictures.build_parser(__file__, __doc__)
    parser.add_argument("--block", type=number(int, 1, 99, "a number from 1 to 99"), default=2,
                        help="side in pixels of the window, from 1 to 99")
    parser.add_argument("--aperture", type=number(int, 3, 31, "a number from 3 to 31"), default=23,
                        help="size in pixels of the Sobel operator, odd, from 3 to 31")
    parser.add_argument("--k", type=pictures.finite, default=0.04,
                        help="weight of the squared trace in the Harris response")
    return parser


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the marked picture; returns how many pixels are marked."""
    if args.aperture % 2 == 0:
        raise UserError(f"--aperture {args.aperture} is even", "give 3, 5, 7, ... 31")
    picture = pictures.read(args)
    mask = corner_mask(picture, args.block, args.aperture, args.k)
    pictures.write(args.output, marked(picture, mask))
    return {"corner_pixels": int(mask.sum()), "pixels": mask.size}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
