"""Blurs a picture with a Gaussian, and counts what separating the kernel saves.

    python blur.py
    python blur.py --image photo.jpg --size 25 --sigma 6

The Gaussian of two dimensions is the product of two of one dimension. So a pass down the columns
and one along the rows give the same picture with 2 * size products per pixel and channel in place
of size**2. The upper left part of the picture is blurred both ways, and the difference printed.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from appendix_c_image_processing import pictures
from appendix_c_image_processing.filters import correlate, gaussian_filter, gaussian_kernel
from appendix_c_image_processing.operations import blur
from common.errors import UserError, exit_status
from common.parser import Parser, number

PART = 256  # pixels: a large kernel in two dimensions takes minutes on a photograph


def build_parser() -> Parser:
    """Returns the parser."""
    parser = pictures.build_parser(__file__, __doc__)
    parser.add_argument("--size", type=number(int, 1, 99, "a number from 1 to 99"), default=3,
                        help="side of the kernel in pixels, odd, at most 99")
    parser.add_argument("--sigma", type=number(float, 0.1, 1e6, "0.1 or more"), default=3.0,
                        help="standard deviation in pixels, at least 0.1")
    return parser


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the blurred picture; returns the cost and the difference of both ways."""
    if args.size % 2 == 0:
        raise UserError(f"--size {args.size} is even", "give 3, 5, 7, ...")
    picture = pictures.read(args)
    pictures.write(args.output, blur(picture, args.size, args.sigma))
    part, kernel = picture[:PART, :PART], gaussian_kernel(args.size, args.sigma)
    separated = gaussian_filter(part, args.size, args.sigma)
    direct = correlate(part, np.outer(kernel, kernel))
    print(f"{2 * args.size} products per pixel in place of {args.size**2}")
    return {"products": 2 * args.size, "products_direct": args.size**2,
            "largest_difference": float(np.abs(separated - direct).max())}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
