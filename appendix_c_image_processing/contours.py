"""Draws the outlines of what is brighter than 127.

    python contours.py
    python contours.py --image photo.jpg

Every shape has an outline, every hole in it another one. Of each straight piece only the two ends
are kept (CHAIN_APPROX_SIMPLE): the script tells how many points that leaves.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import cv2

from appendix_c_image_processing import pictures
from appendix_c_image_processing.operations import contours, find_contours, foreground
from common.errors import exit_status
from common.parser import Parser


def build_parser() -> Parser:
    """Returns the parser."""
    return pictures.build_parser(__file__, __doc__)


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the picture with its outlines; returns their number and that of their points."""
    picture = pictures.read(args, default=pictures.drawing)
    mask = foreground(picture)
    ends, all_points = (
        sum(map(len, find_contours(mask, method)))
        for method in (cv2.CHAIN_APPROX_SIMPLE, cv2.CHAIN_APPROX_NONE))
    pictures.write(args.output, contours(picture))
    print(f"{ends} of {all_points} points are kept")
    return {"contours": len(find_contours(mask)), "points": ends, "points_before": all_points}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
