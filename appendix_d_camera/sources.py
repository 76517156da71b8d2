"""Where frames come from: a camera, a video file, a folder of pictures, or a drawing by code."""

import argparse
import itertools
import re
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from common import images, parser, video
from common.errors import UserError

DRAWN = "drawn"  # the name of the drawn video
KINDS = f"give the number of a camera, a video, a folder of pictures, or {DRAWN}"
DRAWN_RATE = 25.0
PICTURES_RATE = 1.0  # pictures of a folder per second
FRAMES_PER_DIGIT = 50
PAPER, INK = np.array([250, 244, 224]), np.array([24, 40, 110])


@dataclass(frozen=True)
class Source:
    """An open source.

    Attributes:
        frames: RGB, uint8 of shape (height, width, 3); closing the generator frees the source.
        rate: frames per second; None for a camera, which sets its own pace.
        total: the number of frames; None where the source has no end.
    """

    frames: Generator[np.ndarray, None, None]
    rate: float | None
    total: int | None


def open_source(text: str) -> Source:
    """Opens the source that a text names, and reads its first frame.

    Args:
        text: the number of a camera, the path of a video or of a folder of pictures, or `drawn`.

    Raises:
        UserError: there is no such source, or it has no frame that can be read.
    """
    text = text.strip()
    if text == DRAWN:
        return Source(draw_digits(), DRAWN_RATE, None)
    if re.fullmatch(r"[0-9]{1,3}", text):
        frames = _with_first(video.read_frames(int(text)))
        if frames is None:
            raise UserError(f"there is no camera {text}, or it sends no frames", KINDS)
        return Source(frames, None, None)
    try:
        path = Path(parser.path(text))
    except argparse.ArgumentTypeError as error:
        raise UserError(str(error), KINDS) from error
    if not text or not path.exists():
        raise UserError(f"there is no source {text!r}", KINDS)
    return _open_folder(path) if path.is_dir() else _open_video(path)


def _open_video(path: Path) -> Source:
    """Opens a video file; see `open_source`."""
    frames = _with_first(video.read_frames(path))
    if frames is None:
        raise UserError(f"{path} has no frames that can be read", "give a complete video file")
    header = cv2.VideoCapture(str(path))
    total = int(header.get(cv2.CAP_PROP_FRAME_COUNT))
    header.release()
    return Source(frames, video.frame_rate(path), max(total, 1))


def _open_folder(folder: Path) -> Source:
    """Opens a folder of pictures, in alphabetical order; see `open_source`."""
    paths = images.list_folder(folder)
    frames = _with_first(_read_pictures(paths))
    if frames is None:
        raise UserError(f"{folder} holds no pictures that can be read",
                        "give a folder of PNG or JPEG files")
    return Source(frames, PICTURES_RATE, len(paths))


def _read_pictures(paths: list[Path]) -> Iterator[np.ndarray]:
    """Yields the pictures that can be read; transparent ones on white. Names the others."""
    for path in paths:
        try:
            yield images.read_image(path)
        except UserError as error:
            print(f"skipped: {error}", file=sys.stderr)


def _with_first(frames: Iterator[np.ndarray]) -> Generator[np.ndarray, None, None] | None:
    """Returns the frames after a look at the first, or None if there is none."""
    first = next(frames, None)

    def all_frames() -> Generator[np.ndarray, None, None]:
        yield first
        yield from frames

    return None if first is None else all_frames()


def draw_digits(size: tuple[int, int] = (360, 480)) -> Generator[np.ndarray, None, None]:
    """Draws an endless video: scikit-learn's handwritten digits wander over a sheet of paper.

    Args:
        size: height and width of the frames.
    """
    from sklearn.datasets import load_digits  # slow to import, and needed here only

    height, width = size
    digits, side = load_digits().images, height // 2
    for number in itertools.count():
        digit = digits[number // FRAMES_PER_DIGIT % len(digits)] / 16  # (8, 8), ink is 1
        ink = cv2.resize(np.pad(digit, 1), (side, side), interpolation=cv2.INTER_CUBIC)
        ink = (2 * ink - 0.4).clip(0, 1)  # a sharper edge
        angle = 2 * np.pi * number / 200
        top = round((height - side) * (1 + np.sin(2 * angle)) / 2)
        left = round((width - side) * (1 + np.cos(angle)) / 2)
        frame = np.broadcast_to(PAPER, (height, width, 3)).astype(np.float64)
        where = frame[top : top + side, left : left + side]
        where += ink[..., np.newaxis] * (INK - where)
        yield frame.round().astype(np.uint8)
