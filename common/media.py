"""Applies a function of one image to image files, folders, videos and a camera.

An image becomes a PNG file, a video or a camera an MP4 file, all in one output folder.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from common import cli, images, video
from common.errors import UserError, raise_together, try_each

Transform = Callable[[np.ndarray], np.ndarray]  # from and to uint8 of shape (height, width, 3)
Report = Callable[[str, Path, int], None]  # source, output file and the number of its frames

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


def transform_image(path: Path, transform: Transform, target: Path) -> int:
    """Writes the transformed image; returns 1, the number of frames."""
    images.write_png(target, transform(images.read_image(path)))
    return 1


def transform_video(path: Path, transform: Transform, target: Path) -> int:
    """Writes the transformed video; returns its number of frames.

    Raises:
        UserError: it has no frames that can be read.
    """
    frames = video.read_frames(path)
    return _write(frames, transform, target, video.frame_rate(path),
                  f"{path} has no frames that can be read", "give a complete video file")


def transform_camera(args: argparse.Namespace, transform: Transform, target: Path) -> int:
    """Writes what a camera sees until q, Ctrl-C or `--max_frames`; returns the number of frames.

    Raises:
        UserError: the camera sends no frames.
    """
    def frames() -> Iterator[np.ndarray]:
        left = args.max_frames or sys.maxsize
        for frame in video.read_frames(args.camera):
            yield frame
            if (left := left - 1) == 0:
                return

    def shown(frame: np.ndarray) -> np.ndarray:
        result = transform(frame)
        if args.display:
            cv2.imshow("q quits", result[..., ::-1])
            if cv2.waitKey(1) == ord("q"):
                raise KeyboardInterrupt
        return result

    return _write(frames(), shown, target, CAMERA_RATE,
                  f"there is no camera {args.camera}, or it sends no frames",
                  "give the number of a camera, such as 0")


def _write(
    frames: Iterator[np.ndarray], transform: Transform, target: Path, rate: float, *nothing: str
) -> int:
    """Writes transformed frames until they end or Ctrl-C, of which none is an error."""
    if (frame := next(frames, None)) is None:
        raise UserError(*nothing)
    count = 0
    with video.writer(target, rate) as write, suppress(KeyboardInterrupt):
        while frame is not None:
            write(transform(frame))
            count, frame = count + 1, next(frames, None)
    return count


def transform_all(
    args: argparse.Namespace, transform: Transform, output: Path, report: Report
) -> None:
    """Transforms all files and folders, then the camera.

    Args:
        args: the flags of `add_flags`.
        transform: applied to each image or frame.
        output: folder of the results, created if necessary.
        report: called after each file that was written.

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

    def one(path: Path) -> None:
        is_video = path.suffix.lower() in video.SUFFIXES and path.is_file()
        target = output / f"{path.stem}.{'mp4' if is_video else 'png'}"
        if target in written or target.resolve() == path.resolve():
            raise UserError(f"{path} would overwrite {target}", "give another --output_dir, or "
                            "files of different names")
        count = (transform_video if is_video else transform_image)(path, transform, target)
        written.add(target)
        report(str(path), target, count)

    def named(path: Path) -> None:
        if not path.is_dir():
            return one(path)
        errors = try_each(one, listed := images.list_folder(path))
        for error in errors:
            print(f"skipped: {error}", file=sys.stderr)
        if len(errors) == len(listed):
            raise UserError(f"{path} holds no files that can be read", "give a folder of images")
        return None

    errors = try_each(named, map(Path, args.files))
    if args.camera is not None:
        target = output / "camera.mp4"
        report(f"camera {args.camera}", target, transform_camera(args, transform, target))
    raise_together(errors)

