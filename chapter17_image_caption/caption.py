"""Writes captions of pictures, of all pictures in a folder, or of frames of a video.

    python caption.py photo.jpg FOLDER clip.mp4
    python caption.py photo.jpg --overlay            # where it looked for each word, as PNG
    python caption.py photo.jpg --block_repeats 3

Prints the most probable captions with their probabilities, as the book does. Without files it
describes scenes that are drawn by code, if the run was trained on such.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from chapter17_image_caption import data
from chapter17_image_caption.caption_files import join_words
from chapter17_image_caption.inference import (
    Caption,
    Describe,
    add_decoding_flags,
    decoding,
    load_run,
)
from chapter17_image_caption.pictures import draw_attention
from common import cli, images, video
from common.errors import UserError, raise_together, try_each

NUM_SCENES = 3  # that are described without files


def frames(path: Path, seconds: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yields one frame of a video every so many seconds, with its name."""
    rate, following = video.frame_rate(path), 0.0
    for number, frame in enumerate(video.read_frames(path)):
        if number / rate >= following:
            yield f"{path.name} at {number / rate:.1f} s", frame
            following += seconds


def pictures_of(path: Path, seconds: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the picture in a file, or the frames of a video, with names.

    Raises:
        UserError: the file cannot be read.
    """
    if path.suffix.lower() in video.SUFFIXES and path.is_file():
        empty = True
        for named in frames(path, seconds):
            yield named
            empty = False
        if empty:
            raise UserError(f"{path} has no frames that can be read", "give a complete video file")
    else:
        yield path.name, images.read_image(path)


def describe_all(
    paths: Sequence[Path], seconds: float, show: Callable[[str, np.ndarray], None]
) -> None:
    """Describes files, and all files in folders; unreadable ones in folders are skipped.

    Raises:
        UserError: files that were named cannot be read; all others were described.
    """
    def one(path: Path) -> None:
        for name, picture in pictures_of(path, seconds):
            show(name, picture)

    def named(path: Path) -> None:
        if not path.is_dir():
            return one(path)
        listed = images.list_folder(path, recursive=True)
        errors = try_each(one, listed)
        for error in errors:
            print(f"skipped: {error}", file=sys.stderr)
        if len(errors) == len(listed):
            raise UserError(f"{path} holds no files that can be read", "give a folder of images")
        return None

    raise_together(try_each(named, paths))


def lines_of(name: str, captions: Sequence[Caption]) -> list[str]:
    """Returns what the book prints for a picture; small probabilities have three digits too."""
    return [f"Captions for image {name}:",
            *(f"  {place}) {join_words(caption.words)} (p={caption.probability:.3g})"
              for place, caption in enumerate(captions))]


def caption(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Prints captions of the files; draws where the network looked."""
    if args.overlay and flags.model != "attend":
        raise UserError(f"--overlay has no effect with --model {flags.model}",
                        "train with --model attend")
    run = load_run(args, flags)
    describe, count = Describe(run, decoding(args)), 0

    def show(name: str, picture: np.ndarray) -> None:
        nonlocal count
        (captions,) = describe.pictures([picture])
        print("\n".join(lines_of(name, captions)))
        if args.overlay and captions:
            path = args.run_dir / "overlays" / f"{count:04d}-{Path(name).stem}.png"
            path.parent.mkdir(exist_ok=True)
            draw_attention(picture, captions[0], path)
            print(f"  {path}")
        count += 1

    if args.files:
        describe_all([Path(file) for file in args.files], args.frame_seconds, show)
    elif flags.dataset == "scenes":
        split = data.load(flags).splits["test"]
        for number in range(min(NUM_SCENES, len(split.names))):
            show(split.names[number], split.read(number))
    else:
        raise UserError("no files", "give images, folders or videos")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["weights"])
    parser.add_argument("files", nargs="*", metavar="FILE", help="images, folders or videos")
    parser.add_argument("--overlay", action="store_true",
                        help="write a PNG of where the network looked for each word")
    parser.add_argument("--frame_seconds", type=cli.positive_float, default=1.0,
                        help="seconds between two frames of a video")
    add_decoding_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(caption, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
