"""Lays a heat map of points over a picture.

    python heat_map.py
    python heat_map.py --image map.jpg --seed 1

The points are those of 100 random Gaussian clusters of 200. A two-dimensional histogram with one
bin per pixel counts them, a Gaussian filter smooths the counts, and the result is laid over the
picture: the denser, the less transparent.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from appendix_c_image_processing import pictures
from appendix_c_image_processing.operations import clusters, heat_map
from common.errors import exit_status
from common.parser import Parser


def build_parser() -> Parser:
    """Returns the parser."""
    parser = pictures.build_parser(__file__, __doc__)
    parser.add_argument("--seed", type=pictures.whole, default=0, help="seed of the points")
    return parser


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the overlay; returns how many points lie in the picture."""
    picture = pictures.read(args)
    h, w, _ = picture.shape
    points = clusters(h, w, args.seed)
    inside = ((points >= 0) & (points <= (h, w))).all(axis=1).sum()
    pictures.write(args.output, heat_map(picture, args.seed))
    return {"points": len(points), "inside": int(inside)}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
