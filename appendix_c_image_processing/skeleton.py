"""Thins what is brighter than 127 to lines of one pixel.

    python skeleton.py
    python skeleton.py --image letters.png

Eight patterns, an edge and a corner in four rotations, remove what they hit, again and again, until
nothing changes. The skeleton is red in the result. Large shapes take long: a pass removes one layer
of pixels.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from appendix_c_image_processing import binary, pictures
from appendix_c_image_processing.operations import foreground, marked, white_on_black
from common.errors import exit_status
from common.parser import Parser


def build_parser() -> Parser:
    """Returns the parser."""
    return pictures.build_parser(__file__, __doc__)


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the mask with its skeleton; returns the pixels of both."""
    mask = foreground(pictures.read(args, default=pictures.drawing))
    thin = binary.skeleton(mask)
    pictures.write(args.output, marked(white_on_black(mask), thin))
    return {"pixels_before": int(mask.sum()), "pixels": int(thin.sum())}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
