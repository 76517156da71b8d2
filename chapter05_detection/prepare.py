"""Converts annotated images into TFRecords (book, section 5.2.3).

    python prepare.py --data_dir VOCdevkit --year VOC2012 --set train --output_path voc/train.record
    python prepare.py --data_dir raccoon_voc --set val --output_path records/raccoon_val.record
    python prepare.py --coco instances_val.json --data_dir images --output_path records/val.record
    python prepare.py --yolo FOLDER --set train --output_path records/train.record
    python prepare.py --csv boxes.csv --data_dir images --output_path records/train.record

Writes the records with the keys of the original, and the label map beside them as label_map.pbtxt
unless --label_map_path names one. For the other sets of the same data give that label map. In VOC's
layout the ids come from ImageSets/Main/<set>.txt; without ImageSets all XML files are converted.
A YOLO folder has images/<set> and labels/<set>, or no sets.
RGB JPEGs of at most 2,048 pixels a side are stored unchanged, all other images as JPEGs. Images and
boxes that cannot be used are listed and left out; the input files are never changed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter05_detection import annotations, label_map, records
from chapter05_detection.annotations import Annotations
from chapter05_detection.data import report_problems
from chapter05_detection.label_map import LabelMap
from common import cli
from common.errors import UserError, exit_status

# The flags below that each format reads; VOC's layout reads all but the other formats'.
SELECT = ("data_dir", "year", "set", "annotations_dir")
READS = {"coco": ("data_dir",), "yolo": ("set",), "csv": ("data_dir",)}


def build_parser() -> cli.Parser:
    """Returns the parser; flags that the book has keep its names."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--data_dir", type=cli.path,
                        help="VOCdevkit, a folder in VOC's layout, or the images of --coco and "
                             "--csv")
    parser.add_argument("--year", choices=annotations.YEARS,
                        help="folder in VOCdevkit; merged: both (default: --data_dir itself)")
    parser.add_argument("--set", choices=annotations.SETS,
                        help="the set of VOC's layout, or of a YOLO folder with images/<set> "
                             "(default: train)")
    parser.add_argument("--annotations_dir", help="folder of the XML files (default: Annotations)")
    parser.add_argument("--coco", type=cli.path, metavar="JSON", help="COCO file of instances")
    parser.add_argument("--yolo", type=cli.path, metavar="FOLDER",
                        help="folder of YOLO text files with classes.txt or data.yaml")
    parser.add_argument("--csv", type=cli.path, metavar="TABLE", help="CSV file, one box a line")
    parser.add_argument("--label_map_path", type=cli.path,
                        help="names and ids of the classes (default: made of the annotations)")
    parser.add_argument("--ignore_difficult_instances", action=argparse.BooleanOptionalAction,
                        default=False, help="leave out objects that are marked as difficult")
    parser.add_argument("--output_path", type=cli.path, required=True,
                        help="file of the records, such as voc/pascal_train.record")
    return parser


def read(args: argparse.Namespace) -> Annotations:
    """Reads the annotations that the flags name.

    Raises:
        UserError: the flags contradict each other, or the annotations cannot be read.
    """
    sources = [name for name in READS if vars(args)[name]]
    if len(sources) > 1:
        raise UserError(f"both --{' and --'.join(sources)}", "give one of them")
    for source in sources:
        if idle := [f"--{flag}" for flag in SELECT
                    if vars(args)[flag] and flag not in READS[source]]:
            raise UserError(f"{' '.join(idle)} has no effect with --{source}", "omit it")
    if args.yolo:
        return annotations.read_yolo(Path(args.yolo), args.set)
    if args.coco or args.csv:
        source = Path(args.coco or args.csv)
        folder = Path(args.data_dir) if args.data_dir else source.parent
        reader = annotations.read_coco if args.coco else annotations.read_csv
        return reader(source, folder)
    if not args.data_dir:
        raise UserError("neither --data_dir nor --coco, --yolo or --csv", "give one of them")
    folder, name = Path(args.data_dir), args.set or "train"
    of_xml = args.annotations_dir or "Annotations"
    if args.year:
        return annotations.read_devkit(folder, args.year, name, of_xml)
    if args.set and not (folder / "ImageSets" / "Main").is_dir():
        raise UserError(f"--set {args.set} has no effect: {folder} has no ImageSets/Main",
                        "omit it to convert all annotations, or write the lists of ids")
    return annotations.read_voc(folder, name, of_xml)


def labels_for(args: argparse.Namespace, found: Annotations) -> tuple[LabelMap, bool]:
    """Returns the label map, and whether it is a new one.

    Raises:
        UserError: the file is no label map; or there are no classes; or the folder has another map.
    """
    if args.label_map_path:
        return label_map.parse(Path(args.label_map_path)), False
    names = found.names or annotations.names_in(found.rows)
    if not names:
        raise UserError(f"{len(found.rows)} annotations have no object"
                        + (f"; the first problem: {found.problems[0]}" if found.problems else ""),
                        "check the paths")
    labels, path = label_map.numbered(names), Path(args.output_path).with_name("label_map.pbtxt")
    label_map.check(labels.ids, labels.names, path)
    if path.is_file() and label_map.parse(path) != labels:
        raise UserError(f"{path} has other classes than these annotations: {', '.join(names[:8])}",
                        f"use it with --label_map_path {path}, or write to another folder")
    return labels, True


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    def prepare() -> dict[str, int]:
        args = build_parser().parse_args(argv)
        found, path = read(args), Path(args.output_path)
        labels, new = labels_for(args, found)
        images, boxes, left_out = records.write_records(
            path, found, labels, args.ignore_difficult_instances)
        if new:
            path.with_name("label_map.pbtxt").write_text(label_map.render(labels), "utf-8")
        report_problems(left_out, str(path))
        print(f"{images:,} images with {boxes:,} boxes of {len(labels.names)} classes in {path}; "
              f"{len(left_out):,} left out")
        return {"images": images, "boxes": boxes, "left_out": len(left_out)}

    return exit_status(prepare)


if __name__ == "__main__":
    raise SystemExit(main())
