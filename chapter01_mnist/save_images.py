"""Writes the first training images as PNG and prints their labels.

    python save_images.py
    python save_images.py --dataset mnist --data_dir MNIST_FOLDER --num_images 20

Prints the shape of each split, the first image as numbers, and the label of each image as a one-hot
vector and as a number (book, sections 1.1.1 to 1.1.3).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter01_mnist import data
from common import cli, images, rundir
from common.errors import exit_status


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    data.add_flags(parser)
    parser.add_argument("--num_images", type=cli.size, default=20, help="images to write")
    parser.add_argument("--output_dir", type=cli.path, help="folder to write to "
                        "(default: runs/chapter01_mnist/pictures-<dataset>)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""

    def save() -> None:
        args = build_parser().parse_args(argv)
        default = rundir.runs_dir() / "chapter01_mnist" / f"pictures-{args.dataset}"
        folder = Path(args.output_dir or default)
        splits = data.load(args)
        for name, split in splits.items():
            print(f"{name}: images {split.images.shape}, labels {split.labels.shape}")
        first = splits["train"].images[: args.num_images]
        print("image 0:")
        for row in first[0]:
            print("".join(f"{value:4}" for value in row))
        for number, (image, label) in enumerate(zip(first, splits["train"].labels, strict=False)):
            path = folder / f"{args.dataset}_train_{number}.png"
            images.write_png(path, image)
            one_hot = np.eye(data.NUM_CLASSES, dtype=int)[label]
            print(f"{path.name}: {one_hot} -> {one_hot.argmax()}")
        images.write_png(folder / "sheet.png", images.grid(first, columns=10))
        print(f"{len(first)} images and sheet.png written to {folder}")

    return exit_status(save)


if __name__ == "__main__":
    raise SystemExit(main())
