"""Videos: MP4 and GIF files, written frame by frame, and GIFs in TensorBoard."""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import tensorflow as tf
from PIL import GifImagePlugin, Image, ImageChops
from tensorboard.plugins.image import metadata

from common.errors import UserError

LOOP_FOREVER = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"

Write = Callable[[np.ndarray], None]


def check(path: Path) -> None:
    """Raises UserError if no video can be written to a path; call it before anything is played."""
    if path.suffix not in (".mp4", ".gif") or not path.parent.is_dir():
        raise UserError(f"cannot write a video to {path}",
                        "give a file in a folder that exists, whose name ends in .mp4 or .gif")


@contextmanager
def writer(path: Path, rate: float) -> Iterator[Write]:
    """Opens a video file, which appears once all frames are written; a failure leaves nothing.

        with video.writer(Path("pole.mp4"), rate=50) as write:
            write(frame)

    Args:
        path: a file whose name ends in .mp4 or .gif, in a folder that exists.
        rate: frames per second; a GIF has steps of 1/100 s and at most 50 frames per second.

    Yields:
        A function that writes a frame, uint8 of shape (height, width, 3); call it at least once.

    Raises:
        UserError: the path fails `check`, or OpenCV cannot write there.
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
    """Opens an MP4 file, whose size is that of the first frame."""
    encoder = cv2.VideoWriter()

    def write(frame: np.ndarray) -> None:
        height, width, _ = frame.shape
        code = cv2.VideoWriter.fourcc(*"mp4v")
        if not (encoder.isOpened() or encoder.open(str(path), code, rate, (width, height))):
            raise UserError(f"OpenCV cannot write a video to {path.parent}",
                            "give a folder that may be written to, in --record")
        encoder.write(frame[:, :, ::-1])  # blue, green, red

    try:
        yield write
    finally:
        encoder.release()


@contextmanager
def gif_encoder(file: BinaryIO, rate: float) -> Iterator[Write]:
    """Writes an animated GIF. Each frame has its own 256 colors, and stores only what changed.

    Pillow writes a whole animation at once, from frames that are all in memory.

    Args:
        file: is written to, and stays open.
        rate: frames per second, see `writer`.

    Yields:
        A function that writes a frame, uint8 of shape (height, width) or (height, width, 3).
    """
    milliseconds, previous = 10 * max(2, round(100 / rate)), None

    def write(frame: np.ndarray) -> None:
        nonlocal previous
        image = Image.fromarray(frame).copy()  # the caller may use the array again
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
    writer: tf.summary.SummaryWriter, step: int, name: str, frames: Sequence[np.ndarray],
    rate: float,
) -> None:
    """Writes a short video to TensorBoard, which shows an animated GIF as it shows an image.

    `tf.summary.image` encodes single images. This writes the record that it would, with a GIF.

    Args:
        writer: from `Monitor.writer`.
        step: optimizer or environment step.
        name: of the image in TensorBoard.
        frames: uint8 of shape (height, width) or (height, width, 3).
        rate: frames per second, see `writer`.
    """
    gif = io.BytesIO()
    with gif_encoder(gif, rate) as write:
        for frame in frames:
            write(frame)
    height, width, *_ = frames[0].shape
    record = [str(width).encode(), str(height).encode(), gif.getvalue()]
    kind = metadata.create_summary_metadata(display_name=None, description=None)
    with writer.as_default(step):
        tf.summary.write(name, tf.constant(record), metadata=kind)
