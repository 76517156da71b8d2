"""Applies a function of one image to image files, folders, videos and a camera.

An image becomes a PNG file, a video or a camera an MP4 file, all in one output folder. What lies in
subfolders of a folder lies in the same subfolders of the output.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, islice, takewhile
from pathlib import Path

import cv2
import numpy as np

from common import cli, images, video
from common.errors import UserError, raise_together, try_each

# From and to uint8 of shape (height, width, 3); with alpha, where it is kept, also of 4 channels.
Transform = Callable[[np.ndarray], np.ndarray]
Report = Callable[[str, Path, int, float], None]  # source, output file, frames and seconds of it

CAMERA_RATE = 10.0  # frames per second of the video that is written


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the files to read and the flags of a camera."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="images, folders or videos")
    parser.add_argument("--camera", type=cli.non_negative_int, metavar="NUMBER",
                        help="read a camera; written to camera.mp4")
    parser.add_argument("--display", action="store_true", default=None,
                        help="show the camera's frames in a window; q quits")
    parser.add_argument("--max_frames", type=cli.positive_int,
                        help="end after this many frames of the camera (default: q, or Ctrl-C)")


def transform_frames(
    frames: Iterator[np.ndarray], transform: Transform, target: Path, rate: float,
    until: type[BaseException] | None = None,
) -> tuple[int, float]:
    """Writes transformed frames as a video; returns their number and the seconds that took.

    Args:
        frames: at least one, uint8 of shape (height, width, 3).
        transform: applied to each.
        target: the video, see `video.writer`.
        rate: its frames per second.
        until: an exception that ends the video after its first frame; others leave no video.
    """
    began = time.perf_counter()
    with video.writer(target, rate) as write:
        write(transform(next(frames)))
        count = 1
        with suppress(*filter(None, [until])):
            for frame in frames:
                write(transform(frame))
                count += 1
    return count, time.perf_counter() - began


def at_least_one(frames: Iterator[np.ndarray], message: str, hint: str) -> Iterator[np.ndarray]:
    """Returns the frames after a look at the first.

    Raises:
        UserError: there is none.
    """
    if (first := next(frames, None)) is None:
        raise UserError(message, hint)
    return chain([first], frames)


def transform_file(
    path: Path, transform: Transform, target: Path, keep_alpha: bool = False
) -> tuple[int, float]:
    """Writes a transformed image, or video if `target` is one; see `transform_frames`.

    Raises:
        UserError: the file cannot be read.
    """
    if target.suffix == ".mp4":
        frames = at_least_one(video.read_frames(path), f"{path} has no frames that can be read",
                              "give a complete video file")
        return transform_frames(frames, transform, target, video.frame_rate(path))
    image = images.read_image(path, keep_alpha=keep_alpha)
    began = time.perf_counter()
    transformed = transform(image)
    seconds = time.perf_counter() - began
    images.write_png(target, transformed)
    return 1, seconds


def transform_camera(
    args: argparse.Namespace, transform: Transform, target: Path
) -> tuple[int, float]:
    """Writes what a camera sees until q, Ctrl-C or `--max_frames`; see `transform_frames`.

    Raises:
        UserError: the camera sends no frames.
    """
    quitting = False

    def shown(frame: np.ndarray) -> np.ndarray:
        nonlocal quitting
        result = transform(frame)
        if args.display:
            cv2.imshow("q quits", result[..., ::-1])
            quitting = cv2.waitKey(1) == ord("q")  # after this frame, which is written
        return result

    frames = at_least_one(islice(video.read_frames(args.camera), args.max_frames),
                          f"there is no camera {args.camera}, or it sends no frames",
                          "give the number of a camera, such as 0")
    until_q = takewhile(lambda _: not quitting, frames)
    return transform_frames(until_q, shown, target, CAMERA_RATE, KeyboardInterrupt)


def transform_all(
    args: argparse.Namespace, transform: Transform, output: Path, report: Report,
    keep_alpha: bool = False,
) -> None:
    """Transforms all files and folders, then the camera.

    Args:
        args: the flags of `add_flags`.
        transform: applied to each image or frame.
        output: folder of the results, created if necessary.
        report: called after each file that was written.
        keep_alpha: whether transparent images are given to `transform` with their alpha channel.

    Raises:
        UserError: nothing was named, or files that were named cannot be read; all others were
            transformed.
    """
    if not args.files and args.camera is None:
        raise UserError("no files", "give images, folders or videos, or --camera 0")
    for flag in ("display", "max_frames"):
        if args.camera is None and vars(args)[flag] is not None:
            raise UserError(f"--{flag} has no effect without --camera", "omit it")
    output.mkdir(parents=True, exist_ok=True)
    written: set[Path] = set()

    def one(path: Path, root: Path) -> None:
        is_video = path.suffix.lower() in video.SUFFIXES and path.is_file()
        target = output / path.relative_to(root).with_suffix(".mp4" if is_video else ".png")
        if target in written or target.resolve() == path.resolve():
            raise UserError(f"{path} would overwrite {target}", "give another --output_dir, or "
                            "files of different names")
        target.parent.mkdir(parents=True, exist_ok=True)
        result = transform_file(path, transform, target, keep_alpha)
        written.add(target)
        report(str(path), target, *result)

    def named(path: Path) -> None:
        if not path.is_dir():
            return one(path, path.parent)
        own = output.resolve()  # may be inside the folder, with results of an earlier call
        listed = [file for file in images.list_folder(path, recursive=True)
                  if own == path.resolve() or not file.resolve().is_relative_to(own)]
        errors = try_each(lambda file: one(file, path), listed)
        for error in errors:
            print(f"skipped: {error}", file=sys.stderr)
        if len(errors) == len(listed):
            raise UserError(f"{path} holds no files that can be read", "give a folder of images")
        return None

    errors = try_each(named, map(Path, args.files))
    if args.camera is not None:
        target = output / "camera.mp4"
        report(f"camera {args.camera}", target, *transform_camera(args, transform, target))
    raise_together(errors)
