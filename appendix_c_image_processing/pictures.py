"""The pictures that the scripts start from, the files they write, and the flags for both."""

import argparse
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from sklearn.datasets import load_sample_image

from common import images, video
from common.errors import UserError
from common.files import runs_dir
from common.parser import Parser, number, path

whole = number(int, 0, 999999999, "a whole number from 0 to 999999999")
finite = number(float, -sys.float_info.max, sys.float_info.max, "a number")


def photograph() -> np.ndarray:
    """Returns scikit-learn's photograph of a temple, uint8 of shape (427, 640, 3)."""
    return load_sample_image("china.jpg")


def drawing() -> np.ndarray:
    """Draws white shapes with holes and some text on black, uint8 of shape (240, 360, 3)."""
    canvas = np.zeros((240, 360, 3), np.uint8)
    white, black = (255, 255, 255), (0, 0, 0)
    cv2.rectangle(canvas, (20, 20), (130, 110), white, -1)
    cv2.circle(canvas, (75, 65), 25, black, -1)
    cv2.ellipse(canvas, (185, 70), (30, 55), 20, 0, 360, white, -1)
    cv2.fillPoly(canvas, [np.array([(240, 115), (290, 15), (340, 115)])], white)
    cv2.putText(canvas, "DL 21", (20, 210), cv2.FONT_HERSHEY_SIMPLEX, 3.2, white, 22)
    return canvas


def read_frames(file: Path) -> Iterator[np.ndarray]:
    """Yields the frames of a video, uint8 of shape (h, w, 3).

    Raises:
        UserError: the file does not exist, or no frame of it can be read.
    """
    if not file.is_file():
        raise UserError(f"there is no file {file}", "check the path")
    count = 0
    for frame in video.read_frames(file):
        count += 1
        yield frame
    if not count:
        raise UserError(f"no frame of {file} can be read", "give an MP4 or AVI file")


def png(text: str) -> Path:
    """Returns the absolute path of a PNG to write (argparse `type`)."""
    found = Path(path(text))
    if found.suffix.lower() != ".png" or found.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a file name that ends in .png")
    return found


def build_parser(file: str, doc: str) -> Parser:
    """Returns a parser with the flags of a script that makes one picture of another."""
    parser = Parser(file, doc)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--image", type=path, help="picture to process (default: one of ours)")
    source.add_argument("--video", type=path, help="video of which one frame is processed")
    parser.add_argument("--frame", type=whole,
                        help="number of the frame of --video, from 0 (default: the first)")
    add_output(parser)
    return parser


def add_output(parser: Parser) -> None:
    """Adds `--output`, whose default is a PNG of the script's name among the runs."""
    name = Path(parser.prog).with_suffix(".png")
    parser.add_argument("--output", type=png, default=runs_dir() / parser.chapter / name,
                        help="PNG to write")


def read(args: argparse.Namespace, default: Callable[[], np.ndarray] = photograph) -> np.ndarray:
    """Returns the picture that `--image` or `--video` names, uint8 of shape (h, w, 3).

    Any picture is taken: grey, 16 bits, with an alpha channel (laid on white), of one pixel.

    Raises:
        UserError: the file cannot be read, or has no such frame, or `--frame` has no effect.
    """
    if args.frame is not None and not args.video:
        raise UserError(f"--frame {args.frame} has no effect without --video", "omit it")
    if args.image:
        return images.read_image(Path(args.image))
    if not args.video:
        return default()
    index = args.frame or 0
    frames = read_frames(Path(args.video))
    found = next(islice(frames, index, None), None)
    frames.close()
    if found is None:
        raise UserError(f"{args.video} has no frame {index}", "give a smaller --frame")
    return found


def write(file: Path, picture: np.ndarray) -> None:
    """Writes a picture as PNG and prints where."""
    images.write_png(file, picture)
    print(f"wrote {file}")
