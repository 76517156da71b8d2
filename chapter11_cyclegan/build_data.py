"""Writes two folders of images as TFRecords, one file for each domain (book, section 11.2).

    python build_data.py --X_input_dir apple2orange/trainA --Y_input_dir apple2orange/trainB \\
        --X_output_file apple.tfrecords --Y_output_file orange.tfrecords
    python train.py --preset book --X apple.tfrecords --Y orange.tfrecords

The features are the original's: image/file_name and image/encoded_image, a JPEG. Both files appear
only when both are complete. train.py reads folders too (--dataset folders).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter11_cyclegan import records
from common import cli
from common.errors import UserError, exit_status


def build(args: argparse.Namespace) -> dict[str, int]:
    """Writes both files; returns their numbers of images."""
    domains = [(Path(args.X_input_dir), Path(args.X_output_file)),
               (Path(args.Y_input_dir), Path(args.Y_output_file))]
    if domains[0][1] == domains[1][1]:
        raise UserError(f"both output files are {domains[0][1]}",
                        "give two: --X_output_file, --Y_output_file")
    parts = [file.with_name(file.name + ".part") for _, file in domains]
    try:
        counts = [records.write(folder, part)
                  for (folder, _), part in zip(domains, parts, strict=True)]
        for part, (folder, file), count in zip(parts, domains, counts, strict=True):
            part.replace(file)
            print(f"{folder}: {count:,} images, {file}")
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return dict(zip("XY", counts, strict=True))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    data = "data/apple2orange"
    for name, folder, file in (("X", "trainA", "apple"), ("Y", "trainB", "orange")):
        parser.add_argument(f"--{name}_input_dir", type=cli.path, default=f"{data}/{folder}",
                            help=f"folder of the images of {name}")
        parser.add_argument(f"--{name}_output_file", type=cli.path,
                            default=f"data/tfrecords/{file}.tfrecords",
                            help=f"TFRecords of {name}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: build(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
