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
from collections.abc import Sequence
from pathlib import Path

import cv2
import keras
import numpy as np

from chapter07_style_transfer import data
from chapter07_style_transfer.inference import load_published, load_style, make_stylizer
from chapter07_style_transfer.model import MIN_SIZE
from common import cli, media
from common.errors import UserError, exit_status


def keep_colour(photograph: np.ndarray, stylized: np.ndarray) -> np.ndarray:
    """Returns the brightness of the stylized image in the colours of the photograph.

    As Gatys et al. 2016 ("Preserving color in neural artistic style transfer", § 3.2), in YCrCb.
    All images are uint8 of shape (height, width, 3).
    """
    mixed = cv2.cvtColor(photograph, cv2.COLOR_RGB2YCrCb)
    mixed[..., 0] = cv2.cvtColor(stylized, cv2.COLOR_RGB2YCrCb)[..., 0]
    return cv2.cvtColor(mixed, cv2.COLOR_YCrCb2RGB)


def make_stylize(args: argparse.Namespace, generator: keras.Model) -> media.Transform:
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


def stylize_all(args: argparse.Namespace, generator: keras.Model, output: Path) -> None:
    """Stylizes all files and folders, then the camera; prints the times.

    Raises:
        UserError: files that were named cannot be read; all others were stylized.
    """
    def report(source: str, target: Path, count: int, seconds: float) -> None:
        speed = (f"{count} frames, {count / seconds:.1f} frames/s" if target.suffix == ".mp4"
                 else f"{seconds:.2f} s")
        print(f"{source} -> {target} ({speed})")

    args.files += filter(None, [args.image_file])
    media.transform_all(args, make_stylize(args, generator), output, report)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    media.add_flags(parser)
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
