"""TFRecords of the images of one domain, with the original's features (book, section 11.2.1)."""

import os
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter03_finetune.folders import SHUFFLE_SEED, encode
from chapter09_pix2pix.pairs import list_images
from common import files, images
from common.errors import UserError

NAME, ENCODED = "image/file_name", "image/encoded_image"


def make_record(name: str, jpeg: bytes) -> bytes:
    """Returns a serialized tf.train.Example with the original's two features."""
    def text(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    features = tf.train.Features(feature={NAME: text(os.fsencode(name)), ENCODED: text(jpeg)})
    return tf.train.Example(features=features).SerializeToString()


def write(folder: Path, part: Path) -> int:
    """Writes the images of a folder to a file, in a random order that is always the same.

    Images in other formats than JPEG are encoded as JPEG. What is no image is listed and left out.

    Returns:
        The number of images.

    Raises:
        UserError: there are none.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "check the path")
    paths, count = list_images(folder), 0
    random.Random(SHUFFLE_SEED).shuffle(paths)
    part.parent.mkdir(parents=True, exist_ok=True)
    with closing(tf.io.TFRecordWriter(str(part))) as writer:
        for path in paths:
            try:
                writer.write(make_record(path.name, encode(path).jpeg))
                count += 1
            except UserError as error:
                print(f"left out: {error}", file=sys.stderr)
    if not count:
        part.unlink()
        raise UserError(f"{folder} has no images that can be used", "give a folder of images")
    return count


def read(file: Path) -> tuple[tuple[str, ...], Callable[[int], np.ndarray], str]:
    """Reads a file of records; images stay encoded in memory until they are needed.

    Returns:
        Names of the images, a function that decodes one by its number, and a checksum.

    Raises:
        UserError: there is no such file, or it has other features.
    """
    hint = "give a file that build_data.py wrote"
    if not file.is_file():
        raise UserError(f"there is no file {file}", hint)
    spec = {key: tf.io.FixedLenFeature((), tf.string) for key in (NAME, ENCODED)}
    try:
        rows = [tf.io.parse_single_example(record, spec)
                for record in tf.data.TFRecordDataset(str(file))]
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise UserError(f"{file} is not such a file: {str(error).splitlines()[0]}", hint) from error
    names = [row[NAME].numpy().decode(errors="replace") for row in rows]
    encoded = [row[ENCODED].numpy() for row in rows]
    return numbered(names), lambda i: decode(encoded[i], names[i]), files.sha256(*encoded)


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Returns names that are unique."""
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"{i}: {name}" for i, name in enumerate(names))


def decode(encoded: bytes, name: str) -> np.ndarray:
    """Decodes an image, uint8 of shape (height, width, 3).

    Raises:
        UserError: it cannot be decoded.
    """
    try:
        return np.uint8(images.decode_on_white(tf.constant(encoded)).numpy())
    except tf.errors.InvalidArgumentError as error:
        raise UserError(f"{name} is not a readable image ({str(error).splitlines()[0]})",
                        "write the records again, without it") from error
