"""Draws the histograms of R, G and B, counted in three ways that agree.

    python histograms.py
    python histograms.py --image photo.jpg --whole

OpenCV, np.histogram and np.bincount count the values in the middle half of the picture; what does
not count is darkened.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from appendix_c_image_processing import pictures
from appendix_c_image_processing.operations import histogram, histograms, middle
from common.errors import exit_status
from common.parser import Parser


def three_ways(picture: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Counts the values of R, G and B where the mask is True: three arrays of shape (3, 256)."""
    channels = range(3)
    return {
        "calcHist": np.stack([
            cv2.calcHist([picture], [channel], mask.astype(np.uint8), [256], [0, 256])[:, 0]
            for channel in channels]).astype(int),
        "np.histogram": np.stack([
            np.histogram(picture[mask][:, channel], bins=256, range=(0, 256))[0]
            for channel in channels]),
        "np.bincount": histogram(picture, mask),
    }


def build_parser() -> Parser:
    """Returns the parser."""
    parser = pictures.build_parser(__file__, __doc__)
    parser.add_argument("--whole", action="store_true", help="count the whole picture")
    return parser


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the picture with its curves; returns the mean of each channel and the agreement."""
    picture = pictures.read(args)
    mask = middle(*picture.shape[:2])
    if args.whole:
        mask[:] = True
    counts = three_ways(picture, mask)
    ours = counts["np.bincount"]
    pictures.write(args.output, histograms(picture, mask))
    means = ours @ np.arange(256) / mask.sum()
    return {"pixels": int(mask.sum()), "means": means.round(2).tolist(),
            "agree": all((other == ours).all() for other in counts.values())}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
