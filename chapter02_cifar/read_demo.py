"""Shows how tf.data reads a list of files for several epochs (book, section 2.1.3).

    python read_demo.py                                     # three images drawn by code
    python read_demo.py --shuffle
    python read_demo.py A.jpg B.jpg C.jpg --num_epochs 5

Writes each file that the dataset yields, in this order, as read/test_1, read/test_2 and so on. One
dataset takes the place of the book's queue, reader, coordinator and threads; at its end the loop
ends, without an OutOfRangeError.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from common import cli, images, inputs, rundir
from common.errors import UserError, exit_status


def draw_letters(folder: Path) -> list[Path]:
    """Draws the letters A, B and C, one image each; returns the paths of the PNG files."""
    paths = []
    for letter, colour in zip("ABC", ("firebrick", "darkgreen", "navy"), strict=True):
        letter_image = Image.new("RGB", (64, 64), colour)
        ImageDraw.Draw(letter_image).text((20, 8), letter, fill="white", font_size=40)
        paths.append(folder / f"{letter}.png")
        images.write_png(paths[-1], np.asarray(letter_image))
    return paths


def file_stream(
    paths: Sequence[Path], num_epochs: int, shuffle: bool, seed: int
) -> tf.data.Dataset:
    """Returns a dataset of file names and contents: every file once per epoch.

    Args:
        paths: the files.
        num_epochs: number of passes over the files.
        shuffle: whether each epoch has a new random order.
        seed: of these orders.

    Returns:
        Elements `(name, content)`, both scalar strings.
    """
    files = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    if shuffle:  # before repeat, so that the files of two epochs do not mix
        files = files.shuffle(len(paths), seed=seed)
    return inputs.finish(files.repeat(num_epochs).map(lambda name: (name, tf.io.read_file(name))))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="files to read")
    parser.add_argument("--num_epochs", type=cli.positive_int, default=5,
                        help="passes over the files")
    parser.add_argument("--shuffle", action=argparse.BooleanOptionalAction, default=False,
                        help="read in a new random order in every epoch")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of --shuffle")
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: runs/chapter02_cifar/read)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""

    def read() -> None:
        args = build_parser().parse_args(argv)
        folder = Path(args.output_dir or rundir.runs_dir() / "chapter02_cifar" / "read")
        if missing := [name for name in args.files if not Path(name).is_file()]:
            raise UserError(f"there is no file {', '.join(missing)}", "check the paths")
        paths = [Path(name) for name in args.files] or draw_letters(folder / "input")
        folder.mkdir(parents=True, exist_ok=True)
        stream = file_stream(paths, args.num_epochs, args.shuffle, args.seed)
        for number, (name, content) in enumerate(stream.as_numpy_iterator(), start=1):
            source = Path(name.decode())
            (folder / f"test_{number}{source.suffix}").write_bytes(content)
            print(f"test_{number}: {source.name}")
        print(f"{number} files in {folder}")

    return exit_status(read)


if __name__ == "__main__":
    raise SystemExit(main())
