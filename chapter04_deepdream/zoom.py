"""Films an endless zoom into a dream: each frame is enlarged, then dreamed on.

    python zoom.py
    python zoom.py --name NAME --zoom_frames 200 --zoom 1.03 --rate 25

Writes zoom.mp4 and zoom.gif to the run folder, or to `--output_dir`.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter04_deepdream import data, flags, pyramid
from chapter04_deepdream.ascent import Step
from chapter04_deepdream.inference import load_run
from common import cli, video


def enlarge(picture: tf.Tensor, zoom: float) -> tf.Tensor:
    """Returns the central part of a picture, 1 / zoom of each side, at the size of the picture."""
    size = tf.constant(picture.shape[1:3])
    # Not a crop of whole pixels: it would take nothing off at a slow zoom.
    return tf.raw_ops.ScaleAndTranslate(
        images=picture, size=size, scale=(zoom, zoom), kernel_type="keyscubic",
        translation=tf.cast(size, tf.float32) * (1 - zoom) / 2)


def frames(
    picture: tf.Tensor, step: Step, settings: argparse.Namespace, args: argparse.Namespace
) -> Iterator[np.ndarray]:
    """Yields the frames, uint8 of shape (height, width, 3); the first one is the dream itself."""
    for number in range(args.zoom_frames):
        if number:
            picture = enlarge(picture, args.zoom)
            for i in range(args.steps_per_frame):
                key = tf.constant([settings.seed, settings.max_steps + args.steps_per_frame * number
                                   + i], tf.int64)
                picture, _, _ = step(picture, key, settings.step_size)
            picture = tf.clip_by_value(picture, 0, 255)  # or it would saturate within a few frames
        yield data.to_uint8(picture)


def film(args: argparse.Namespace, settings: argparse.Namespace) -> None:
    """Writes the video as MP4 and GIF."""
    dream = load_run(args, settings)
    pixels = dream.pixels
    if args.size and args.size < max(pixels.shape[1:3]):
        scale = args.size / max(pixels.shape[1:3])
        pixels = pyramid.resize(pixels, [max(1, round(side * scale)) for side in pixels.shape[1:3]])
    folder = Path(args.output_dir or args.run_dir)
    paths = [folder / "zoom.mp4", folder / "zoom.gif"]
    with ExitStack() as stack:
        writers = [stack.enter_context(video.writer(path, args.rate)) for path in paths]
        first = tf.constant(data.to_uint8(pixels, settings.image == "noise")[None], tf.float32)
        drawn = frames(first, dream.step, settings, args)
        for frame in tqdm(drawn, total=args.zoom_frames, unit="frame", disable=None):
            for write in writers:
                write(frame)
    print(f"{args.zoom_frames} frames: {paths[0]} and {paths[1].name}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest", data=flags.FILES)
    parser.add_argument("--zoom_frames", type=cli.small_int, default=60, help="number of frames")
    parser.add_argument("--zoom", type=cli.number(float, 1, 2, "a number from 1 to 2"),
                        default=1.03, help="enlargement per frame")
    parser.add_argument("--steps_per_frame", type=cli.positive_int, default=2,
                        help="steps of gradient ascent per frame, of the run's --step_size")
    parser.add_argument("--size", type=cli.size, default=320,
                        help="longer side of the video in pixels, at most that of the dream")
    parser.add_argument("--rate", type=cli.number(float, 1, 50, "a number from 1 to 50"),
                        default=20.0, help="frames per second")
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: the run folder)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(film, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
