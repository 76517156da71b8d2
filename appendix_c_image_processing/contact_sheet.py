"""Draws all operations of this appendix on one sheet.

    python contact_sheet.py
    python contact_sheet.py --image photo.jpg

Without a picture of yours, binary morphology and contours are shown on a drawing, the others on a
photograph.
"""

import argparse
from collections.abc import Sequence

from appendix_c_image_processing import pictures
from appendix_c_image_processing.operations import OPERATIONS
from common import figures
from common.errors import exit_status
from common.parser import Parser

ON_DRAWING = {"contours", "dilation", "erosion", "hit or miss", "skeleton"}


def build_parser() -> Parser:
    """Returns the parser."""
    return pictures.build_parser(__file__, __doc__)


def process(args: argparse.Namespace) -> None:
    """Writes the sheet."""
    photograph, drawing = (pictures.read(args, default)
                           for default in (pictures.photograph, pictures.drawing))
    sheet = {"the photograph": photograph, "the drawing": drawing}
    if args.image or args.video:
        sheet = {"the picture": photograph}
    for name, operation in OPERATIONS.items():
        sheet[name] = operation(drawing if name in ON_DRAWING else photograph)
    figures.draw_sheet(list(sheet.values()), list(sheet), 4, args.output)
    print(f"wrote {args.output}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
