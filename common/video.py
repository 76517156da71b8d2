"""Videos: read and written frame by frame, as MP4 and GIF files, and GIFs in TensorBoard."""

import io
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np
from PIL import GifImagePlugin, Image, ImageChops

from common.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}  # of video files
LOOP_FOREVER = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"

Write = Callable[[np.ndarray], None]


def read_frames(source: Path | int) -> Iterator[np.ndarray]:
    """Yields the frames of a video, or of a camera by its number.

    Warns on stderr if a file has fewer frames than its header says.

    Yields:
        RGB, uint8 of shape (height, width, 3).
    """
    video, count = cv2.VideoCapture(source if isinstance(source, int) else str(source)), 0
    try:
        while (frame := video.read())[0]:
            count += 1
            yield cv2.cvtColor(frame[1], cv2.COLOR_BGR2RGB)
        if 0 < count < (total := int(video.get(cv2.CAP_PROP_FRAME_COUNT))):
            print(f"{source} is truncated: {count} of {total} frames can be read", file=sys.stderr)
    finally:
        video.release()


def frame_rate(path: Path) -> float:
    """Returns the frames per second that the header of a video file says, or 25."""
    video = cv2.VideoCapture(str(path))
    rate = video.get(cv2.CAP_PROP_FPS)
    video.release()
    return rate if 1 <= rate <= 240 else 25.0


def check(path: Path) -> None:
    """Raises UserError if a path is not valid for a video; call it before playing any episode."""
    if path.suffix not in (".mp4", ".gif") or not path.parent.is_dir():
        raise UserError(f"cannot write a video to {path}",
                        "use a file name that ends in .mp4 or .gif, in an existing folder")


@contextmanager
def writer(path: Path, rate: float) -> Iterator[Write]:
    """Opens a video file for writing; it appears only after all frames were written.

        with video.writer(Path("pole.mp4"), rate=50) as write:
            write(frame)

    Args:
        path: file name that ends in .mp4 or .gif, in an existing folder.
        rate: frames per second; a GIF rounds the delay to 1/100 s and has at most 50 per second.

    Yields:
        A function that writes one frame, uint8 of shape (height, width, 3); call it at least once.

    Raises:
        UserError: the path is not valid, see `check`, or OpenCV cannot write to it.
    """
    check(path)
    part = path.with_name(f"{path.stem}.part{path.suffix}")  # OpenCV goes by the suffix
    try:
        if path.suffix == ".gif":
            with part.open("wb") as file, gif_encoder(file, rate) as write:
                yield write
        else:
            with _mp4_encoder(part, rate) as write:
                yield write
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _mp4_encoder(path: Path, rate: float) -> Iterator[Write]:
    """Opens an MP4 file for writing; the first frame sets its size."""
    encoder = cv2.VideoWriter()

    def write(frame: np.ndarray) -> None:
        height, width, _ = frame.shape
        code = cv2.VideoWriter.fourcc(*"mp4v")
        if not (encoder.isOpened() or encoder.open(str(path), code, rate, (width, height))):
            raise UserError(f"OpenCV cannot write a video to {path.parent}",
                            "use a folder with write permission")
        encoder.write(frame[:, :, ::-1])  # RGB to BGR

    try:
        yield write
    finally:
        encoder.release()


@contextmanager
def gif_encoder(file: BinaryIO, rate: float) -> Iterator[Write]:
    """Writes an animated GIF; each frame has its own 256 colors and stores only what changed.

    Pillow's own writer needs all frames in memory at once.

    Args:
        file: binary file to write to; it stays open.
        rate: frames per second, see `writer`.

    Yields:
        A function that writes one frame, uint8 of shape (height, width) or (height, width, 3).
    """
    milliseconds, previous = 10 * max(2, round(100 / rate)), None

    def write(frame: np.ndarray) -> None:
        nonlocal previous
        image = Image.fromarray(frame).copy()  # the caller may reuse the array
        if previous is None:
            file.write(b"GIF89a" + struct.pack("<HHBBB", *image.size, 0, 0, 0) + LOOP_FOREVER)
            box = (0, 0, *image.size)
        else:
            box = ImageChops.difference(image, previous).getbbox() or (0, 0, 1, 1)
        changed = image.crop(box).quantize()
        file.writelines(GifImagePlugin.getdata(changed, box[:2], duration=milliseconds,
                                               include_color_table=True))
        previous = image

    yield write
    file.write(b";")


def log_gif(
    writer: "tf.summary.SummaryWriter", step: int, name: str, frames: Sequence[np.ndarray],
    rate: float,
) -> None:
    """Writes a short video to TensorBoard, which shows animated GIFs among its images.

    `tf.summary.image` encodes still images only; this writes the same kind of record with a GIF.

    Args:
        writer: from `Monitor.writer`.
        step: optimizer or environment step.
        name: name of the image in TensorBoard.
        frames: uint8 of shape (height, width) or (height, width, 3).
        rate: frames per second, see `writer`.
    """
    gif = io.BytesIO()
    with gif_encoder(gif, rate) as write:
        for frame in frames:
            write(frame)
    import tensorflow as tf  # here only: appendices C and D read videos without it
    from tensorboard.plugins.image import metadata

    height, width, *_ = frames[0].shape
    record = [str(width).encode(), str(height).encode(), gif.getvalue()]
    kind = metadata.create_summary_metadata(display_name=None, description=None)
    with writer.as_default(step):
        tf.summary.write(name, tf.constant(record), metadata=kind)
