"""Dilates or erodes what is brighter than 127.

    python morphology.py --operation dilate
    python morphology.py --operation erode --structure cross --times 5
    python morphology.py --operation dilate --structure right --times 10

The structuring element is a square (a pixel and its 8 neighbours), a cross (and its 4 neighbours)
or one-sided: a pixel and the one to its right. Changed pixels are red in the result.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from appendix_c_image_processing import binary, pictures
from appendix_c_image_processing.operations import foreground, marked, white_on_black
from common.errors import exit_status
from common.parser import Parser, number

STRUCTURES = {"square": binary.SQUARE, "cross": binary.CROSS, "right": binary.RIGHT}
OPERATIONS = {"dilate": binary.dilate, "erode": binary.erode}


def build_parser() -> Parser:
    """Returns the parser."""
    parser = pictures.build_parser(__file__, __doc__)
    parser.add_argument("--operation", choices=list(OPERATIONS), default="dilate",
                        help="grow or shrink the foreground")
    parser.add_argument("--structure", choices=list(STRUCTURES), default="square",
                        help="structuring element")
    parser.add_argument("--times", type=number(int, 1, 999, "a number from 1 to 999"),
                        default=3, help="how often, from 1 to 999")
    return parser


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the mask with its changes; returns the pixels of the foreground before and after."""
    before = foreground(pictures.read(args, default=pictures.drawing))
    after = before
    for _ in range(args.times):
        after = OPERATIONS[args.operation](after, STRUCTURES[args.structure])
    pictures.write(args.output, marked(white_on_black(after), after != before))
    return {"pixels_before": int(before.sum()), "pixels": int(after.sum())}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
