"""Rotates a picture about its centre and enlarges it so that it fills its frame.

    python rotate.py
    python rotate.py --image photo.jpg --degrees 90
    python rotate.py --degrees 10 --least

The scale is the longer side over the shorter one for a quarter turn, and the diagonal over the
shorter side for other angles, which is enough for all of them. `--least` takes the smallest scale
that fills the frame at this very angle.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from appendix_c_image_processing import pictures
from appendix_c_image_processing.operations import fill_scale, least_scale, rotate
from common.errors import UserError, exit_status
from common.parser import Parser


def build_parser() -> Parser:
    """Returns the parser."""
    parser = pictures.build_parser(__file__, __doc__)
    parser.add_argument("--degrees", type=pictures.finite, default=30.0,
                        help="angle, counterclockwise")
    parser.add_argument("--least", action="store_true",
                        help="enlarge no more than this angle needs")
    return parser


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the rotated picture; returns its scale, and the least one."""
    if args.least and args.degrees % 90 == 0:
        raise UserError(f"--least has no effect with --degrees {args.degrees:g}",
                        "omit it: the scale of a quarter turn is the least")
    picture = pictures.read(args)
    h, w, _ = picture.shape
    least, enough = (scale(h, w, args.degrees) for scale in (least_scale, fill_scale))
    scale = least if args.least else enough
    pictures.write(args.output, rotate(picture, args.degrees, scale))
    return {"scale": scale, "least_scale": least}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
