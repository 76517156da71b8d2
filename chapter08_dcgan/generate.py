"""Generates images with a trained generator.

    python generate.py --num 100
    python generate.py --num 20 --label 7 --seed 5

Writes one PNG per image and sheet.png to generated/ in the run folder. An image is a function of
--seed, its number and its label alone: number 17 is the same in every call.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter08_dcgan.inference import choose_labels, load_run, numbered_z
from common import cli, images

COLUMNS = 10


def generate(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the images."""
    run = load_run(args, flags)
    labels = choose_labels(run, args.label, args.num)
    pictures = run.generate(numbered_z(args.seed, args.num, run.z_dim, args.first), labels)
    folder = Path(args.output) if args.output else args.run_dir / "generated"
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True), args.first):
        suffix = f"-{run.names[label]}" if run.names else ""
        images.write_png(folder / f"{number:06d}{suffix}.png".replace("/", "_"), picture)
    images.write_png(folder / "sheet.png", images.grid(pictures, COLUMNS))
    print(f"{args.num} images: {folder}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--num", type=cli.size, default=100, help="images to generate")
    parser.add_argument("--first", type=cli.non_negative_int, default=0,
                        help="number of the first one")
    parser.add_argument("--label", help="label of all of them, by name or number (default: all "
                                        "labels in turn)")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of all z")
    parser.add_argument("--output", type=cli.path, help="folder to write to")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(generate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
