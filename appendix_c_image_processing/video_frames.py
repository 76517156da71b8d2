"""Writes the first frames of a video as pictures, and names its colour by majority vote.

    python video_frames.py
    python video_frames.py --video film.mp4 --num_frames 20

Each frame is classified by itself, here by its most frequent hue; the class of the video is the one
that most frames have. So a few frames that something hides do not change it. Without `--video`, a
green disk is drawn that a red one hides for a while.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from appendix_c_image_processing import pictures
from common import images, video
from common.errors import exit_status
from common.files import runs_dir
from common.parser import Parser, number, path

HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")  # 60 degrees apart
LEAST_SATURATION = 64  # of 255; pixels below it are grey
LEAST_VALUE = 32  # of 255; pixels below it are too dark to have a hue
SHEET_WIDTH, COLUMNS = 160, 5  # of a frame in pixels, and frames per row


def hue_name(frame: np.ndarray) -> str:
    """Returns the most frequent hue of a frame, uint8 of shape (h, w, 3), or "grey"."""
    hue, saturation, value = np.moveaxis(cv2.cvtColor(frame, cv2.COLOR_RGB2HSV), 2, 0)
    coloured = (saturation >= LEAST_SATURATION) & (value >= LEAST_VALUE)
    if not coloured.any():
        return "grey"
    nearest = (2 * hue[coloured].astype(int) + 30) // 60 % 6  # OpenCV halves the degrees
    return HUES[np.bincount(nearest).argmax()]


def majority(classes: Sequence[str]) -> str:
    """Returns the most frequent class; of several, the one that comes first."""
    return Counter(classes).most_common(1)[0][0]


def drawn_frames() -> Iterator[np.ndarray]:
    """Yields 30 frames of a green disk that a larger red one passes, uint8 (120, 160, 3)."""
    for step in range(30):
        frame = np.full((120, 160, 3), 60, np.uint8)
        cv2.circle(frame, (80, 60), 40, (40, 200, 60), -1)
        cv2.circle(frame, (-260 + 40 * step, 60), 55, (220, 40, 40), -1)
        yield frame


def draw_video(file: Path) -> Path:
    """Writes the drawn frames as a video and returns its path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with video.writer(file, rate=10) as write_frame:
        for frame in drawn_frames():
            write_frame(frame)
    return file


def shrink(frame: np.ndarray) -> np.ndarray:
    """Returns a copy of a frame that is SHEET_WIDTH pixels wide."""
    h, w, _ = frame.shape
    size = (SHEET_WIDTH, max(1, round(h * SHEET_WIDTH / w)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def build_parser() -> Parser:
    """Returns the parser."""
    parser = Parser(__file__, __doc__)
    parser.add_argument("--video", type=path, help="video to read (default: one drawn here)")
    parser.add_argument("--num_frames", type=number(int, 1, 999, "a number from 1 to 999"),
                        default=20, help="frames to read, from 1 to 999")
    parser.add_argument("--output_dir", type=path, help="folder for the frames (default: "
                        "video_frames/NAME_OF_VIDEO in runs/appendix_c_image_processing)")
    return parser


def process(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the frames and a sheet of them; returns the votes and the class."""
    name = Path(args.video).stem if args.video else "drawn"
    default = runs_dir() / "appendix_c_image_processing" / "video_frames" / name
    folder = Path(args.output_dir or default)
    file = Path(args.video) if args.video else draw_video(folder / "drawn.mp4")
    small, classes = [], []
    for index, frame in enumerate(islice(pictures.read_frames(file), args.num_frames)):
        pictures.write(folder / f"frame_{index:03}.png", frame)
        small.append(shrink(frame))  # all frames of a large video would fill the memory
        classes.append(hue_name(frame))
    pictures.write(folder / "sheet.png", images.grid(small, COLUMNS))
    print(f"{file} is {majority(classes)}")
    return {"class": majority(classes), "votes": dict(Counter(classes))}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
