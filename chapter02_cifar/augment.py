"""Draws what each augmentation of the training stream does to some images (book, section 2.2.1).

    python augment.py
    python augment.py --dataset cifar10 --data_dir CIFAR_FOLDER

An augmentation must not change the label. A mirrored truck is a truck, but a mirrored b is a d, a 6
upside down is a 9, and a crop may cut off the labelled object: choose augmentations by the data.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter02_cifar import data
from chapter02_cifar.augmentations import AUGMENTATIONS, CROP, distort, stretch
from common import cli, figures, rundir
from common.errors import exit_status
from common.figures import plt

SEED = tf.constant([0, 0], tf.int64)


def draw_sheet(images: np.ndarray, png: Path) -> None:
    """Draws images, uint8 (count, 32, 32, 3): as they are, after each augmentation, after all."""
    plain = tf.cast(images, tf.float32)
    rows = {"as they are": plain / 255}
    for name, augmentation in AUGMENTATIONS.items():
        rows[name] = tf.clip_by_value(augmentation(plain, SEED) / 255, 0, 1)
    for name in ("book", "cutout"):
        size = CROP if name == "book" else data.SIZE  # input size of the preset's network
        distorted = distort(images, SEED, size, name)
        rows[f"all of --augment {name}, standardised"] = stretch(distorted)
    figure, axes = plt.subplots(len(rows), len(images),
                                figsize=(len(images), 1.15 * len(rows)), squeeze=False)
    for line, (name, shown) in zip(axes, rows.items(), strict=True):
        line[0].set_title(name.replace("_", " "), fontsize=8, loc="left")
        for axis, image in zip(line, shown, strict=True):
            axis.imshow(image)
            axis.axis("off")
    figures.save_figure(png, figure)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    data.add_flags(parser)
    parser.add_argument("--num_images", type=cli.size, default=10, help="images per row")
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: runs/chapter02_cifar)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""

    def augment() -> None:
        args = build_parser().parse_args(argv)
        folder = Path(args.output_dir or rundir.runs_dir() / "chapter02_cifar")
        png = folder / f"augment-{args.dataset}.png"
        splits, _ = data.load(args)
        draw_sheet(splits["train"].images[: args.num_images], png)
        print(f"{png}: does each row still show what the label says?")

    return exit_status(augment)


if __name__ == "__main__":
    raise SystemExit(main())
