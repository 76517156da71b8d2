"""Finds the pixels of a mask whose surroundings are those of a pattern: its corners.

    python hit_or_miss.py
    python hit_or_miss.py --turns 2

A pattern asks for foreground at some places, for background at others, and leaves the rest open.
The default finds upper left corners of what is brighter than 127; every turn rotates it by a
quarter, counterclockwise. Hits are marked by red squares.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from appendix_c_image_processing import binary, pictures
from appendix_c_image_processing.operations import foreground, marked, white_on_black
from common.errors import exit_status
from common.parser import Parser, number

SQUARE = np.ones((7, 7), bool)  # which marks a hit, in pixels


def build_parser() -> Parser:
    """Returns the parser."""
    parser = pictures.build_parser(__file__, __doc__)
    parser.add_argument("--turns", type=number(int, 0, 3, "a number from 0 to 3"), default=0,
                        help="quarter turns of the pattern, from 0 to 3")
    return parser


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the mask with its hits; returns their number."""
    mask = foreground(pictures.read(args, default=pictures.drawing))
    hits = binary.hit_or_miss(mask, np.rot90(binary.CORNER, args.turns))
    pictures.write(args.output, marked(white_on_black(mask), binary.dilate(hits, SQUARE)))
    return {"hits": int(hits.sum())}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
