"""Converts a folder of images into TFRecords (book, section 3.2).

    python prepare.py --data_dir pic                             # pic/train/<class>, pic/validation
    python prepare.py --data_dir pic --validation_fraction 0.2   # pic/<class>
    python prepare.py --data_dir pic --train_shards 4 --num_threads 4 --dataset_name satellite
    python prepare.py --data_dir pic --list satellite_sample.txt # these images alone

Writes <dataset_name>_train_00000-of-00002.tfrecord and so on, and label.txt. RGB JPEGs are stored
unchanged. All other images (PNG, CMYK, greyscale, 16-bit, rotated by EXIF, the first frame of an
animation, whatever the file's extension) are stored as JPEGs of quality 100. Files that cannot be
decoded, or lie in no class folder, are listed and skipped, as are folders beside train and
validation (or val). The input files are never changed.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from chapter03_finetune import folders, tfrecords
from common import cli
from common.errors import exit_status


def build_parser() -> cli.Parser:
    """Returns the parser; flags that the book has keep its names."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--data_dir", "-t", "--tensorflow-data-dir", type=cli.path, default="pic",
                        help="folder of the images")
    parser.add_argument("--output_dir", type=cli.path, help="output folder (default: --data_dir)")
    parser.add_argument("--dataset_name", "--dataset-name", type=tfrecords.records_name,
                        help="prefix of the names of the records (default: the name of --data_dir)")
    for split in folders.SPLITS:
        parser.add_argument(f"--{split}_shards", f"--{split}-shards", type=cli.small_int,
                            default=2, help=f"files of the {split} records")
    parser.add_argument("--num_threads", "--num-threads", type=cli.small_int, default=2,
                        help="threads that decode images")
    parser.add_argument("--validation_fraction", type=cli.between_0_and_1,
                        help="fraction of each class for validation, if the images are not divided "
                             "into train/ and validation/")
    parser.add_argument("--list", type=cli.path, metavar="FILE",
                        help="take only the images that this file names, relative to --data_dir, "
                             "one a line")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    def prepare() -> dict[str, int]:
        args = build_parser().parse_args(argv)
        data_dir = Path(args.data_dir)
        output_dir = Path(args.output_dir or data_dir)
        dataset_name = args.dataset_name or re.sub(r"[^\w.-]+", "_", data_dir.name)
        num_shards = {"train": args.train_shards, "validation": args.validation_shards}
        only = folders.read_list(Path(args.list), data_dir) if args.list else None
        counts = tfrecords.write_records(data_dir, output_dir, dataset_name, num_shards,
                                         args.num_threads, args.validation_fraction, only)
        print(f"{counts['train']:,} training and {counts['validation']:,} validation images in "
              f"{output_dir}")
        return counts

    return exit_status(prepare)


if __name__ == "__main__":
    raise SystemExit(main())
