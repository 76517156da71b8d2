"""Examples of detection: a JPEG with its boxes, and TFRecords with the original's keys."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from chapter03_finetune.folders import Encoded, encode
from chapter05_detection.annotations import Annotation, Annotations
from chapter05_detection.label_map import LabelMap
from common import images
from common.errors import UserError

MAX_SIDE = 2048  # longer images are stored reduced: no network here takes more than 1,024 pixels


class Example(NamedTuple):
    """An image with its boxes.

    Attributes:
        name: of the image file.
        encoded: JPEG.
        boxes: (ymin, xmin, ymax, xmax) in fractions, float32 of shape (n, 4).
        labels: classes numbered from 0 without gaps, int64 of shape (n,).
        difficult: bool of shape (n,).
    """

    name: str
    encoded: bytes
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray


def read_image(path: Path) -> tuple[Encoded, tuple[int, int]]:
    """Reads an image file as a JPEG of at most MAX_SIDE pixels per side.

    Returns:
        The JPEG, and width and height of the file before it was reduced.

    Raises:
        UserError: the file cannot be decoded.
    """
    with suppress(OSError, ValueError), Image.open(path) as header:  # `encode` explains errors
        if max(header.size) > MAX_SIDE:
            return reduce(path)
    encoded = encode(path)
    return encoded, (encoded.width, encoded.height)


def reduce(path: Path) -> tuple[Encoded, tuple[int, int]]:
    """Reads a large image as a JPEG of MAX_SIDE pixels; returns what `read_image` does."""
    small = Image.fromarray(images.read_image(path))
    size = small.size
    small.thumbnail((MAX_SIDE, MAX_SIDE))
    jpeg = tf.io.encode_jpeg(np.asarray(small), quality=95).numpy()
    return Encoded(jpeg, small.height, small.width), size


def check_boxes(
    row: Annotation, size: tuple[int, int], labels: LabelMap, ignore_difficult: bool
) -> tuple[list[tuple], list[str]]:
    """Returns the usable objects of an image with their boxes in fractions, and the problems.

    Boxes that reach over the border are clipped. A box outside the image, without area or with
    swapped corners, or of an unknown class is a problem.

    Args:
        row: the annotation.
        size: width and height of the image.
        labels: the known classes.
        ignore_difficult: whether difficult objects are left out.

    Returns:
        Pairs (object, box as float32 of shape (4,)), and lines of text.
    """
    width, height = (1, 1) if row.fractions else size
    scale = np.array([height, width, height, width], np.float64)
    usable, problems = [], []
    for item in row.objects:
        where = f"{row.path.name}: {item.name or 'an object'} at {tuple(map(float, item.box))}"
        ymin, xmin, ymax, xmax = item.box
        whole = np.array(item.box) / scale
        box = whole.clip(0, 1).astype(np.float32)
        if not np.isfinite(whole).all():
            problems.append(f"{where} is not a box")
        elif item.name not in labels.names:
            problems.append(f"{where} is of an unknown class")
        elif ymin > ymax or xmin > xmax:
            problems.append(f"{where} has its corners swapped (ymin, xmin, ymax, xmax)")
        elif ymin == ymax or xmin == xmax:
            problems.append(f"{where} has no area")
        elif not (box[:2] < box[2:]).all():
            problems.append(f"{where} lies outside the image of {size[0]} x {size[1]} pixels")
        elif not (ignore_difficult and item.difficult):
            usable.append((item, box))
    return usable, problems


def make_examples(
    annotations: Annotations, labels: LabelMap, ignore_difficult: bool = False
) -> Iterator[tuple[Example | None, list, Encoded | None, list[str]]]:
    """Yields each example, its objects and encoded image, and the problems with it.

    The example is None if its image cannot be used.
    """
    for row in annotations.rows:
        if not row.path.is_file():
            yield None, [], None, [f"there is no image {row.path}"]
            continue
        try:
            encoded, size = read_image(row.path)
        except (UserError, tf.errors.OpError) as error:
            yield None, [], None, [str(error).splitlines()[0]]
            continue
        if row.size not in (None, size):
            yield None, [], None, [f"{row.path.name} has {size[0]} x {size[1]} pixels, its "
                                   f"annotation says {row.size[0]} x {row.size[1]}"]
            continue
        usable, problems = check_boxes(row, size, labels, ignore_difficult)
        items = [item for item, _ in usable]
        boxes = np.array([box for _, box in usable], np.float32).reshape(-1, 4)
        numbers = np.array([labels.names.index(item.name) for item in items], np.int64)
        difficult = np.array([item.difficult for item in items], bool)
        yield (Example(row.path.name, encoded.jpeg, boxes, numbers, difficult), items, encoded,
               problems)


def collect(
    annotations: Annotations, labels: LabelMap, what: str
) -> tuple[list[Example], list[str]]:
    """Returns all usable examples of a set, and what was left out.

    Raises:
        UserError: no image or no box is usable.
    """
    examples, left_out = [], list(annotations.problems)
    bar = tqdm(make_examples(annotations, labels), what, len(annotations.rows), unit="image",
               disable=None)
    for example, _, _, problems in bar:
        left_out += problems
        if example:
            examples.append(example)
    check_left(examples, left_out, what)
    return examples, left_out


def check_left(examples: Sequence[Example], left_out: Sequence[str], what: str) -> None:
    """Raises UserError if there are no images, or none with a box."""
    if not any(len(example.boxes) for example in examples):
        why = f"; the first of {len(left_out)} problems: {left_out[0]}" if left_out else ""
        raise UserError(f"{what} has no usable box in {len(examples)} images{why}",
                        "check the paths, the names of the classes and the coordinates")


def _feature(values: Sequence) -> tf.train.Feature:
    """Returns a feature of bytes, whole numbers or floats."""
    kind = type(values[0]) if len(values) else float
    if kind is bytes:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if kind is int:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def serialize(example: Example, items: Sequence, encoded: Encoded, labels: LabelMap) -> bytes:
    """Returns a serialized tf.train.Example with the original's keys."""
    name = example.name.encode()
    columns = example.boxes.T.tolist()
    sides = {f"image/object/bbox/{side}": column
             for side, column in zip(("ymin", "xmin", "ymax", "xmax"), columns, strict=True)}
    features = {
        "image/height": [encoded.height],
        "image/width": [encoded.width],
        "image/filename": [name],
        "image/source_id": [name],
        "image/key/sha256": [hashlib.sha256(encoded.jpeg).hexdigest().encode()],
        "image/encoded": [encoded.jpeg],
        "image/format": [b"jpeg"],
        **sides,
        "image/object/class/text": [item.name.encode() for item in items],
        "image/object/class/label": [labels.ids[i] for i in example.labels],
        "image/object/difficult": [int(item.difficult) for item in items],
        "image/object/truncated": [int(item.truncated) for item in items],
        "image/object/view": [item.view.encode() for item in items],
    }
    return tf.train.Example(features=tf.train.Features(feature={
        key: _feature(values) for key, values in features.items()})).SerializeToString()


def write_records(
    path: Path, annotations: Annotations, labels: LabelMap, ignore_difficult: bool = False
) -> tuple[int, int, list[str]]:
    """Writes the records of a set; the file appears only when it is complete.

    Returns:
        The number of images and of boxes, and what was left out.

    Raises:
        UserError: no image or no box is usable.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part, examples, left_out = path.with_name(path.name + ".part"), [], list(annotations.problems)
    bar = tqdm(make_examples(annotations, labels, ignore_difficult), path.name,
               len(annotations.rows), unit="image", disable=None)
    try:
        with tf.io.TFRecordWriter(str(part)) as writer:
            for example, items, encoded, problems in bar:
                left_out += problems
                if example:
                    writer.write(serialize(example, items, encoded, labels))
                    examples.append(example._replace(encoded=b""))
        check_left(examples, left_out, path.name)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return len(examples), sum(len(example.boxes) for example in examples), left_out


SCHEMA = {
    "image/encoded": tf.io.FixedLenFeature((), tf.string),
    "image/filename": tf.io.FixedLenFeature((), tf.string, ""),
    **{f"image/object/bbox/{side}": tf.io.VarLenFeature(tf.float32)
       for side in ("ymin", "xmin", "ymax", "xmax")},
    "image/object/class/label": tf.io.VarLenFeature(tf.int64),
    "image/object/difficult": tf.io.VarLenFeature(tf.int64),
}


def parse_example(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Parses one record, in a graph too.

    Returns:
        The image's bytes and name, boxes (n, 4), ids of the classes (n,), difficult (n,) or (0,).
    """
    parsed = tf.io.parse_single_example(serialized, SCHEMA)
    dense = {key: tf.sparse.to_dense(value) if isinstance(value, tf.SparseTensor) else value
             for key, value in parsed.items()}
    boxes = tf.stack([dense[f"image/object/bbox/{side}"]
                      for side in ("ymin", "xmin", "ymax", "xmax")], axis=1)
    return (dense["image/encoded"], dense["image/filename"], boxes,
            dense["image/object/class/label"], dense["image/object/difficult"])


def read_records(path: Path, labels: LabelMap) -> list[Example]:
    """Reads all records of a file, of `write_records` or of the original.

    Raises:
        UserError: the file is damaged or empty, or has ids that the label map lacks.
    """
    hint = "write the records: python prepare.py"
    index, examples = {number: place for place, number in enumerate(labels.ids)}, []
    try:
        for row in tf.data.TFRecordDataset(str(path)).map(parse_example):
            encoded, name, boxes, ids, difficult = (value.numpy() for value in row)
            if unknown := set(ids.tolist()) - index.keys():
                raise UserError(f"{path} has objects of class {min(unknown)}, which the label map "
                                "lacks", "give the label map that the records were written with")
            examples.append(Example(
                name.decode(errors="replace"), encoded, boxes,
                np.array([index[number] for number in ids.tolist()], np.int64),
                difficult.astype(bool) if len(difficult) else np.zeros(len(ids), bool)))
    except tf.errors.OpError as error:
        raise UserError(f"{path} cannot be read as records of detection: "
                        f"{error.message.splitlines()[0]}", hint) from error
    check_left(examples, [], str(path))
    return examples
