"""Stylizes images, folders, videos or a camera with a trained network (book, section 7.2.1).

    python stylize.py photo.jpg                              # the latest run
    python stylize.py FOLDER clip.mp4 --name NAME --output_dir stylized
    python stylize.py photo.jpg --preserve_color --strength 0.7
    python stylize.py photo.jpg --style wave:.7,mosaic:.3    # a run of several styles
    python stylize.py large.jpg --tile 512
    python stylize.py --camera 0 --display
    python stylize.py photo.jpg --model_file wave.ckpt-done  # a model that the book's authors offer

An image of any size keeps its size. A large one is done in tiles with the statistics of the whole
image, so that memory does not grow with it and no seams appear.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import keras
import numpy as np

from chapter07_style_transfer import data
from chapter07_style_transfer.inference import load_published, load_style, make_stylizer
from chapter07_style_transfer.model import MIN_SIZE
from common import cli, images, video
from common.errors import UserError, exit_status, raise_together, try_each

Stylize = Callable[[np.ndarray], np.ndarray]  # from and to uint8 of shape (height, width, 3)


def keep_colour(photograph: np.ndarray, stylized: np.ndarray) -> np.ndarray:
    """Returns the brightness of the stylized image in the colours of the photograph.

    As Gatys et al. 2016 ("Preserving color in neural artistic style transfer", § 3.2), in YCrCb.
    All images are uint8 of shape (height, width, 3).
    """
    mixed = cv2.cvtColor(photograph, cv2.COLOR_RGB2YCrCb)
    mixed[..., 0] = cv2.cvtColor(stylized, cv2.COLOR_RGB2YCrCb)[..., 0]
    return cv2.cvtColor(mixed, cv2.COLOR_YCrCb2RGB)


def make_stylize(args: argparse.Namespace, generator: keras.Model) -> Stylize:
    """Returns the function that the flags describe."""
    run = make_stylizer(generator, args.tile)

    def stylize(photograph: np.ndarray) -> np.ndarray:
        if args.size:
            photograph = data.resize(photograph, args.size)
        if min(photograph.shape[:2]) < MIN_SIZE:
            raise UserError(f"an image of {photograph.shape[1]} x {photograph.shape[0]} pixels is "
                            f"too small", f"give one of at least {MIN_SIZE} x {MIN_SIZE}")
        stylized = run(photograph)
        if args.preserve_color:
            stylized = keep_colour(photograph, stylized)
        if args.strength < 1:
            stylized = cv2.addWeighted(stylized, args.strength, photograph, 1 - args.strength, 0)
        return stylized

    return stylize


def stylize_image(path: Path, stylize: Stylize, target: Path) -> None:
    """Stylizes an image file; prints the time."""
    photograph = images.read_image(path)
    began = time.perf_counter()
    stylized = stylize(photograph)
    seconds = time.perf_counter() - began
    images.write_png(target, stylized)
    print(f"{path} -> {target} ({seconds:.2f} s)")


def stylize_video(path: Path, stylize: Stylize, target: Path) -> None:
    """Stylizes a video file frame by frame; prints the frames per second.

    Raises:
        UserError: it has no frames that can be read.
    """
    frames = video.read_frames(path)
    if (first := next(frames, None)) is None:
        raise UserError(f"{path} has no frames that can be read", "give a complete video file")
    count, began = 0, time.perf_counter()
    with video.writer(target, video.frame_rate(path)) as write:
        while first is not None:
            write(stylize(first))
            count, first = count + 1, next(frames, None)
    seconds = time.perf_counter() - began
    print(f"{path} -> {target} ({count} frames, {count / seconds:.1f} frames/s)")


def stylize_camera(args: argparse.Namespace, stylize: Stylize, output: Path) -> None:
    """Stylizes what a camera sees, into camera.mp4, until q or Ctrl-C or --max_frames."""
    frames, count, began = video.read_frames(args.camera), 0, time.perf_counter()
    if (frame := next(frames, None)) is None:
        raise UserError(f"there is no camera {args.camera}, or it sends no frames",
                        "give the number of a camera, such as 0")
    with video.writer(output / "camera.mp4", 10) as write, suppress(KeyboardInterrupt):
        while frame is not None and count < args.max_frames:
            stylized, count = stylize(frame), count + 1
            write(stylized)
            if args.display:
                cv2.imshow("stylize.py: q quits", stylized[..., ::-1])
                if cv2.waitKey(1) == ord("q"):
                    break
            frame = next(frames, None)
    seconds = time.perf_counter() - began
    print(f"{output / 'camera.mp4'} ({count} frames, {count / seconds:.1f} frames/s)")


def stylize_all(args: argparse.Namespace, generator: keras.Model, output: Path) -> None:
    """Stylizes all files and folders, then the camera.

    Raises:
        UserError: files that were named cannot be read; all others were stylized.
    """
    files = [*args.files, *filter(None, [args.image_file])]
    if not files and args.camera is None:
        raise UserError("nothing to stylize", "give images, folders or videos, or --camera 0")
    for flag in ("display", "max_frames"):
        if args.camera is None and vars(args)[flag] is not None:
            raise UserError(f"--{flag} has no effect without --camera", "omit it")
    output.mkdir(parents=True, exist_ok=True)
    stylize, written = make_stylize(args, generator), set()

    def one(path: Path) -> None:
        is_video = path.suffix.lower() in video.SUFFIXES and path.is_file()
        target = output / f"{path.stem}.{'mp4' if is_video else 'png'}"
        if target in written or target.resolve() == path.resolve():
            raise UserError(f"{path} would overwrite {target}", "give another --output_dir, or "
                            "files of different names")
        (stylize_video if is_video else stylize_image)(path, stylize, target)
        written.add(target)

    def named(path: Path) -> None:
        if not path.is_dir():
            return one(path)
        errors = try_each(one, listed := images.list_folder(path))
        for error in errors:
            print(f"skipped: {error}", file=sys.stderr)
        if len(errors) == len(listed):
            raise UserError(f"{path} holds no files that can be read", "give a folder of images")

    errors = try_each(named, map(Path, files))
    if args.camera is not None:
        args.max_frames = args.max_frames or sys.maxsize
        stylize_camera(args, stylize, output)
    raise_together(errors)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="images, folders or videos")
    parser.add_argument("--image_file", type=cli.path, help="the book's name of FILE")
    parser.add_argument("--model_file", type=cli.path, metavar="CHECKPOINT",
                        help="in place of a run: a checkpoint of the book's code, such as "
                             "wave.ckpt-done")
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: stylized in the run folder, or beside "
                             "--model_file)")
    parser.add_argument("--style", metavar="NAME",
                        help="of a run of several styles: one of them, by name or number, or a "
                             "mixture, wave:.7,mosaic:.3 (default: the first)")
    parser.add_argument("--size", type=cli.size,
                        help="pixels of the shorter side (default: as the file)")
    parser.add_argument("--tile", type=cli.size, default=800,
                        help="larger images are done in tiles of this many pixels")
    parser.add_argument("--preserve_color", action=argparse.BooleanOptionalAction, default=False,
                        help="keep the colours of the photograph")
    parser.add_argument("--strength", type=cli.from_0_to_1, default=1.0,
                        help="1: the stylized image; less: mixed with the photograph")
    parser.add_argument("--camera", type=cli.non_negative_int, metavar="NUMBER",
                        help="stylize a camera; written to camera.mp4")
    parser.add_argument("--display", action="store_true", default=None,
                        help="show the camera's frames in a window")
    parser.add_argument("--max_frames", type=cli.positive_int,
                        help="end after this many frames of the camera (default: q, or Ctrl-C)")
    return parser


def stylize_with_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Stylizes with the generator of a run."""
    output = Path(args.output_dir) if args.output_dir else args.run_dir / "stylized"
    stylize_all(args, load_style(args, flags, args.style), output)


def stylize_with_file(args: argparse.Namespace) -> None:
    """Stylizes with a checkpoint of the book's code."""
    if args.name or args.run_dir or args.style:
        raise UserError(f"--model_file {args.model_file} takes the place of a run",
                        "omit --name, --run_dir and --style")
    model_file = Path(args.model_file)
    generator = load_published(model_file)
    output = Path(args.output_dir) if args.output_dir else model_file.parent / "stylized"
    stylize_all(args, generator, output)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = build_parser()
    if any(word.partition("=")[0] == "--model_file" for word in words):
        return exit_status(lambda: stylize_with_file(parser.parse_args(words)))
    return cli.run_verb(stylize_with_run, parser, words)


if __name__ == "__main__":
    raise SystemExit(main())
