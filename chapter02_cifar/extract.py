"""Writes the first training images as PNG files (book, section 2.1.4).

    python extract.py
    python extract.py --dataset cifar10 --data_dir CIFAR_FOLDER --num_images 30

Prints the label of each image.
"""

from collections.abc import Sequence
from pathlib import Path

from chapter02_cifar import data
from common import cli, images, rundir
from common.errors import exit_status


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    data.add_flags(parser)
    parser.add_argument("--num_images", type=cli.size, default=30, help="images to write")
    parser.add_argument("--output_dir", type=cli.path, help="output folder "
                        "(default: runs/chapter02_cifar/pictures-<dataset>)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""

    def extract() -> None:
        args = build_parser().parse_args(argv)
        default = rundir.runs_dir() / "chapter02_cifar" / f"pictures-{args.dataset}"
        folder = Path(args.output_dir or default)
        splits, names = data.load(args)
        first = splits["train"].images[: args.num_images]
        for number, (image, label) in enumerate(zip(first, splits["train"].labels, strict=False)):
            images.write_png(folder / f"{number}.png", image)
            print(f"{number}.png: {label} {names[label]}")
        images.write_png(folder / "sheet.png", images.grid(first, columns=10))
        print(f"{len(first)} images and sheet.png in {folder}")

    return exit_status(extract)


if __name__ == "__main__":
    raise SystemExit(main())
