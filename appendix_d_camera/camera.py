"""Shows a camera in two windows, as it is and processed.

    python camera.py                             # camera 0, or the drawn video if there is none
    python camera.py --source drawn              # handwritten digits on a sheet of paper
    python camera.py --source talk.mp4 --process corners

The list of processes has the operations of appendix C, and all models that were exported: after
`python train.py` and `python export.py` in a chapter, its model is in the list.
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from common.errors import UserError, exit_status
from common.files import runs_dir
from common.parser import Parser, path


def build_parser() -> Parser:
    """Returns the parser."""
    parser = Parser(__file__, __doc__)
    parser.add_argument("--source", help="number of a camera, path of a video or of a folder of "
                        "pictures, or drawn (default: camera 0 if there is one, else drawn)")
    parser.add_argument("--process", default="contours",
                        help="what the second window does: an operation of appendix C, or the "
                        "chapter/name of an exported model")
    parser.add_argument("--output_dir", type=path, default=runs_dir() / parser.chapter,
                        help="folder of snapshots, recordings and results of jobs")
    return parser


def show(args: argparse.Namespace) -> None:
    """Checks that windows can be shown, and shows them."""
    if importlib.util.find_spec("PySide6") is None:
        raise UserError("PySide6 is not installed",
                        'pip install -e ".[camera]" in the folder of the repository')
    try:
        importlib.import_module("PySide6.QtWidgets")
    except ImportError as error:  # a server or a container lacks libraries of the system
        raise UserError(f"PySide6 cannot be loaded: {error}",
                        "on Debian or Ubuntu: apt install libegl1 libgl1 libxkbcommon0") from error
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform == "linux" and not any(map(os.environ.get, screens)):
        raise UserError("there is no screen: DISPLAY is not set",
                        "run it on a desktop, or with QT_QPA_PLATFORM=offscreen")
    output_dir = Path(args.output_dir)
    if output_dir.is_file():
        raise UserError(f"--output_dir {output_dir} is a file", "give a folder")
    from appendix_d_camera import application  # which imports PySide6

    application.run(args.source, args.process, output_dir)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: show(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
