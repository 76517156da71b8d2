"""Images with boxes: the data sets, their splits, the training stream.

    python data.py                                          # coloured shapes drawn by code
    python data.py --dataset voc --data_dir FOLDER          # Annotations, JPEGImages, ImageSets
    python data.py --dataset records --data_dir FOLDER      # records that prepare.py wrote
    python data.py --draw                                   # augmented images with their boxes

Prints the splits, and the number of boxes of each class.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from chapter05_detection import annotations, augment, label_map, records, shapes
from chapter05_detection import pipeline as pipelines
from chapter05_detection.drawing import draw_boxes
from chapter05_detection.label_map import LabelMap
from chapter05_detection.records import Example
from common import cli, files, images, inputs, rundir
from common.errors import UserError, exit_status

PADDING = -1  # label of the rows that fill up a batch to equal numbers of boxes

OFFLINE = {"shapes": "scenes of circles, squares and triangles, drawn by code in VOC's layout",
           "voc": "a folder in VOC's layout, given by `--data_dir`: Annotations, JPEGImages and "
                  "ImageSets/Main with train.txt, val.txt and, if there is one, test.txt",
           "records": "the TFRecords that prepare.py wrote to `--data_dir`"}
VOC = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012"
SOURCES = {
    "VOC2012": files.Source(
        "The book's data: PASCAL VOC 2012, 5,717 training and 5,823 validation images of twenty "
        f"classes; flickr's terms of use. Unpack [VOCtrainval_11-May-2012.tar]({VOC}/"
        "VOCtrainval_11-May-2012.tar) (2 GB), then `python prepare.py --data_dir VOCdevkit --year "
        "VOC2012 --set train --output_path ../data/VOC2012/pascal_train.record`, and the same for "
        "val. tensorflow-datasets calls it voc/2012", ()),
    "raccoon": files.Source(
        "200 photographs of raccoons (MIT), in the repository "
        "[datitran/raccoon_dataset](https://github.com/datitran/raccoon_dataset): Annotations and "
        "images. The published runs used 126 + 32 of them", ()),
    "bccd": files.Source(
        "364 microscope images of blood cells in three classes (MIT), in the repository "
        "[Shenggan/BCCD_Dataset](https://github.com/Shenggan/BCCD_Dataset), in VOC's layout. The "
        "published runs used 100 + 30 + 30 of them", ()),
}


class Data(NamedTuple):
    """A data set: its splits "train", "val" and, if there is one, "test", and its classes."""

    splits: dict[str, list[Example]]
    labels: LabelMap

    @property
    def digest(self) -> str:
        """The sha256 of all images, boxes and class names."""
        parts = (part for split in self.splits.values() for example in split
                 for part in (example.encoded, example.boxes, example.labels))
        return files.sha256(*parts, "\n".join(self.labels.names).encode())

    @property
    def last(self) -> str:
        """The split that is evaluated in the end: "test", or "val" if there is none."""
        return "test" if "test" in self.splits else "val"


def report_problems(left_out: Sequence[str], where: str) -> None:
    """Lists on stderr what could not be used, at most twenty lines."""
    for line in left_out[:20]:
        print(f"left out: {line}", file=sys.stderr)
    if len(left_out) > 20:
        print(f"left out: {len(left_out) - 20} more in {where}", file=sys.stderr)


def load_voc(folder: Path, flags: argparse.Namespace) -> Data:
    """Loads a folder in VOC's layout.

    Raises:
        UserError: it has no lists of train and val, or nothing in them can be used.
    """
    if not (folder / "ImageSets" / "Main").is_dir():
        raise UserError(f"{folder} has no ImageSets/Main with train.txt and val.txt",
                        "write these lists of ids; or convert the sets by python prepare.py")
    names = ["train", "val"]
    if (folder / "ImageSets" / "Main" / "test.txt").is_file():
        names.append("test")
    read = {name: annotations.read_voc(folder, name, flags.annotations_dir) for name in names}
    if flags.label_map_path:
        labels = label_map.parse(Path(flags.label_map_path))
    else:
        labels = label_map.numbered(annotations.names_in(
            [row for part in read.values() for row in part.rows]))
    splits = {}
    for name, part in read.items():
        splits[name], left_out = records.collect(part, labels, f"the set {name} of {folder}")
        report_problems(left_out, f"the set {name}")
    return Data(splits, labels)


def load_records(folder: Path, flags: argparse.Namespace) -> Data:
    """Loads `train.record` or `…_train.record`; the same for val and, if there is one, test.

    Raises:
        UserError: records or the label map are missing, or there is more than one of a kind.
    """
    paths = {}
    for name in ("train", "val", "test"):
        # Not every *val.record: a trainval.record is no validation set.
        found = sorted([*folder.glob(f"{name}.record"), *folder.glob(f"*_{name}.record")])
        if len(found) > 1 or not (found or name == "test"):
            there = " and ".join(path.name for path in found) or f"no *_{name}.record"
            raise UserError(f"{folder} has {there}", "keep one for each set: python prepare.py "
                            f"--output_path {folder}/NAME_{name}.record")
        if found:
            paths[name] = found[0]
    labels = label_map.parse(Path(flags.label_map_path or label_map_in(folder)))
    return Data({name: records.read_records(path, labels) for name, path in paths.items()}, labels)


def label_map_in(folder: Path) -> Path:
    """Returns the label map in a folder: label_map.pbtxt, or else the only .pbtxt.

    Raises:
        UserError: there is none, or more than one.
    """
    if (path := folder / "label_map.pbtxt").is_file():
        return path
    found = sorted(folder.glob("*.pbtxt"))
    if len(found) != 1:
        there = " and ".join(path.name for path in found) or "no label map"
        raise UserError(f"{folder} has {there}",
                        "name the one of these records with --label_map_path")
    return found[0]


def make_shapes(folder: Path) -> None:
    """Draws the demo's scenes; the folder appears only when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=folder.parent) as work:
        shapes.write(Path(work, "shapes"))
        try:
            Path(work, "shapes").replace(folder)
        except OSError:
            if not folder.is_dir():  # else another process has drawn the same scenes
                raise


def used_classes(data: Data) -> Data:
    """Returns the data after a check that training has all classes that the other splits have.

    Raises:
        UserError: a class of a split lacks training boxes.
    """
    def present(split: str) -> set[int]:
        return {int(label) for example in data.splits[split] for label in example.labels}

    for name in data.splits.keys() - {"train"}:
        if missing := present(name) - present("train"):
            absent = ", ".join(data.labels.names[label] for label in sorted(missing))
            raise UserError(f"the {name} split has boxes of {absent}, the train split has none",
                            "divide the images anew, or remove the class from the label map")
    return data


def load(flags: argparse.Namespace) -> Data:
    """Loads the data set that the flags of `add_flags` choose.

    Raises:
        UserError: the set cannot be read, or flags contradict each other.
    """
    if flags.dataset == "shapes":
        if flags.data_dir:
            raise UserError("--dataset shapes is not read from a folder",
                            "add --dataset voc, or omit --data_dir")
        if not (folder := files.default_dir("shapes")).is_dir():
            make_shapes(folder)
        return load_voc(folder, flags)
    if not flags.data_dir:
        raise UserError(f"--dataset {flags.dataset} without --data_dir", "give the folder")
    if not (folder := Path(flags.data_dir)).is_dir():
        raise UserError(f"there is no folder {folder}", "check --data_dir")
    return used_classes((load_voc if flags.dataset == "voc" else load_records)(folder, flags))


def name_of(flags: argparse.Namespace) -> str:
    """Returns the name of the data set in results: that of its folder."""
    return Path(flags.data_dir).name.removesuffix("_voc") if flags.data_dir else flags.dataset


def size_in_network(size: tf.Tensor, resizer: dict[str, Any]) -> tf.Tensor:
    """Returns height and width that the network gets an image of a size in, int32 (2,).

    Args:
        size: height and width of the image.
        resizer: the pipeline's `image_resizer`.
    """
    if resizer["type"] == "fixed_shape_resizer":
        return tf.constant([resizer["height"], resizer["width"]])
    sides = tf.cast(size, tf.float32)
    # The shorter side gets min_dimension, unless the longer one would exceed max_dimension.
    scale = tf.minimum(resizer["min_dimension"] / tf.reduce_min(sides),
                       resizer["max_dimension"] / tf.reduce_max(sides))
    return tf.maximum(tf.cast(tf.round(sides * scale), tf.int32), 1)


def resized(image: tf.Tensor, resizer: dict[str, Any]) -> tf.Tensor:
    """Returns an image in the size that the network gets it in, float32 in [0, 255].

    Args:
        image: of shape (height, width, 3).
        resizer: the pipeline's `image_resizer`.
    """
    size = size_in_network(tf.shape(image)[:2], resizer)
    image = tf.image.resize(tf.cast(image, tf.float32), size, antialias=True)
    fixed = resizer["type"] == "fixed_shape_resizer"
    sides = (resizer["height"], resizer["width"]) if fixed else (None, None)
    return tf.ensure_shape(image, (*sides, 3))


def make_sample(
    examples: Sequence[Example], pipeline: dict[str, Any]
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]:
    """Returns the function from an index and its key to image, boxes, labels and that key.

    The key determines the augmentation, the other three images of a mosaic included.
    """
    encoded = tf.constant([example.encoded for example in examples])
    ends = tf.constant(np.cumsum([0, *(len(example.labels) for example in examples)]))
    all_boxes = tf.constant(np.concatenate([example.boxes for example in examples]))
    all_labels = tf.constant(np.concatenate([example.labels for example in examples]))

    def one(index: tf.Tensor, key: tf.Tensor) -> augment.Sample:
        of_image = slice(ends[index], ends[index + 1])
        image = tf.cast(images.decode_jpeg(encoded[index]), tf.float32)
        image, boxes, labels = augment.apply(
            pipeline["data_augmentation_options"], image, all_boxes[of_image],
            all_labels[of_image], key)
        return resized(image, pipeline["image_resizer"]), boxes, labels

    def sample(index: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
        first = one(index, key)
        if not pipeline["mosaic_probability"]:
            return *first, key
        keys = tf.random.split(tf.random.fold_in(key, -1), 6)  # the steps have the keys from 0
        others = tf.random.stateless_uniform((3,), keys[0], 0, len(examples), tf.int64)
        chosen = augment.uniform(keys[1]) < pipeline["mosaic_probability"]
        return *tf.cond(chosen, lambda: augment.mosaic(
            [first, *(one(others[i], keys[2 + i]) for i in range(3))], keys[5]), lambda: first), key

    return tf.autograph.experimental.do_not_convert(sample)  # no Python branches to convert


def training_batches(
    examples: Sequence[Example], pipeline: dict[str, Any], batch_size: int, seed: int,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Returns the infinite stream of shuffled, augmented batches.

    Batch k is a pure function of (seed, k), so that training can resume at any step.

    Returns:
        Elements `(images, boxes, labels, key)`: float32 (batch, height, width, 3) in [0, 255];
        float32 (batch, n, 4); int64 (batch, n) from 0, PADDING in rows without a box; a random key
        of the step, int64 (2,).
    """
    indices = inputs.example_indices(len(examples), batch_size, seed, start_step)
    samples = indices.map(make_sample(examples, pipeline), num_parallel_calls=tf.data.AUTOTUNE)
    zero = tf.constant(0, tf.int64)
    batches = samples.padded_batch(
        batch_size, drop_remainder=True,
        padding_values=(0.0, 0.0, tf.constant(PADDING, tf.int64), zero))
    return inputs.finish(batches.map(lambda image, boxes, labels, keys:
                                     (image, boxes, labels, keys[0])))


def evaluation_batches(
    examples: Sequence[Example], resizer: dict[str, Any], batch_size: int = 8
) -> tf.data.Dataset:
    """Returns the images of a split, each exactly once, in order: float32 (batch, …, 3).

    Images that keep their aspect ratio come one by one.
    """
    if resizer["type"] == "keep_aspect_ratio_resizer":
        batch_size = 1
    encoded = tf.data.Dataset.from_tensor_slices([example.encoded for example in examples])
    decoded = encoded.map(lambda jpeg: resized(images.decode_jpeg(jpeg), resizer),
                          num_parallel_calls=tf.data.AUTOTUNE)
    return inputs.finish(decoded, batch_size)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the data set."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="shapes",
                       help="shapes: drawn by code, offline; voc: a folder in VOC's layout; "
                            "records: written by prepare.py")
    group.add_argument("--data_dir", type=cli.path, help="folder of the data")
    group.add_argument("--label_map_path", type=cli.path,
                       help="names and ids of the classes, .pbtxt (default: the one beside the "
                            "records; for voc, all names in alphabetical order)")
    group.add_argument("--annotations_dir", default="Annotations",
                       help="folder of the XML files, in the folder of --dataset voc")


def draw_sheet(
    data: Data, pipeline: dict[str, Any], seed: int, jpg: Path, count: int = 12, columns: int = 4
) -> None:
    """Draws training images with their boxes, resized and augmented as the network gets them."""
    shown: list[np.ndarray] = []
    for batch, boxes, labels, _ in training_batches(data.splits["train"], pipeline, 1, seed):
        real = labels[0].numpy() != PADDING
        picture = batch[0].numpy().round().astype(np.uint8)
        shown.append(draw_boxes(picture, boxes[0].numpy()[real], labels[0].numpy()[real],
                                data.labels.names))
        if len(shown) == count:
            break
    height, width = (max(picture.shape[axis] for picture in shown) for axis in (0, 1))
    filled = [np.pad(p, ((0, height - p.shape[0]), (0, width - p.shape[1]), (0, 0)),
                     constant_values=255) for p in shown]
    jpg.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(images.grid(filled, columns)).save(jpg, quality=85)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--draw", action=argparse.BooleanOptionalAction, default=False,
                        help="draw training images with boxes, augmented by the pipeline")
    parser.add_argument("--pipeline_config_path", type=pipelines.config_name,
                        help="pipeline of --draw: a name in configs/, or a YAML file (default for "
                             "shapes: ssd_shapes)")
    parser.add_argument("--seed", type=cli.seed, help="seed of --draw (default: 0)")
    return parser


def pipeline_to_draw(args: argparse.Namespace) -> dict[str, Any] | None:
    """Returns the pipeline of `--draw`, None without it.

    Raises:
        UserError: the pipeline cannot be read; or its flags are given without `--draw`.
    """
    if args.draw:
        return pipelines.read(pipelines.chosen(args.pipeline_config_path, args.dataset))
    for flag in ("pipeline_config_path", "seed"):
        if vars(args)[flag] is not None:
            raise UserError(f"--{flag} {vars(args)[flag]} has no effect without --draw",
                            "add --draw, or omit it")
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the splits and draws a sheet of images."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        pipeline = pipeline_to_draw(args)
        data = load(args)
        for name, examples in data.splits.items():
            labels = np.concatenate([example.labels for example in examples])
            counts = np.bincount(labels, minlength=len(data.labels.names))
            empty = sum(not len(example.labels) for example in examples)
            print(f"{name}: {len(examples):,} images ({empty} without boxes), "
                  + ", ".join(f"{count} {kind}" for kind, count in
                              zip(data.labels.names, counts, strict=True)))
        if pipeline:
            jpg = rundir.runs_dir() / "chapter05_detection" / f"boxes-{name_of(args)}.jpg"
            draw_sheet(data, pipeline, args.seed or 0, jpg)
            print(f"{jpg}: training images as the network gets them")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
