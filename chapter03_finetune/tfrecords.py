"""TFRecords of images, with the features and file names of the original (book, section 3.2)."""

import argparse
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter03_finetune import folders
from chapter03_finetune.folders import SPLITS, Encoded, Picture
from common import files
from common.errors import UserError

JPEG = b"\xff\xd8\xff"  # the first bytes of every JPEG file


def make_record(picture: Picture, name: str, encoded: Encoded) -> bytes:
    """Returns a serialized tf.train.Example with the original's features."""
    def text(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def whole(value: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    features = {
        "image/height": whole(encoded.height),
        "image/width": whole(encoded.width),
        "image/colorspace": text(b"RGB"),
        "image/channels": whole(3),
        "image/class/label": whole(picture.label),
        "image/class/text": text(name.encode()),
        "image/format": text(b"JPEG"),
        "image/filename": text(os.fsencode(picture.path.name)),
        "image/encoded": text(encoded.jpeg),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def shard_names(dataset_name: str, split: str, count: int) -> list[str]:
    """Returns the file names of a split."""
    return [f"{dataset_name}_{split}_{i:05d}-of-{count:05d}.tfrecord" for i in range(count)]


def find_shards(folder: Path, dataset_name: str, split: str) -> list[Path]:
    """Returns the record files of a split in a folder, sorted, whatever their number."""
    pattern = rf"{re.escape(dataset_name)}_{split}_\d+-of-\d+\.tfrecord"
    return sorted(path for path in folder.glob("*") if re.fullmatch(pattern, path.name))


def dataset_names(folder: Path) -> list[str]:
    """Returns the prefixes of all record files in a folder, sorted."""
    pattern = rf"(.+)_(?:{'|'.join(SPLITS)})_\d+-of-\d+\.tfrecord"
    return sorted({match[1] for path in folder.glob("*")
                   if (match := re.fullmatch(pattern, path.name))})


def records_name(text: str) -> str:
    """Returns a valid prefix of the names of records (an argparse `type`)."""
    if not re.fullmatch(r"[\w.-]+", text):
        raise argparse.ArgumentTypeError(f"{text} is not a name: use letters, digits and . _ -")
    return text


def write_split(
    shards: Sequence[Path],
    pictures: Sequence[Picture],
    names: Sequence[str],
    num_threads: int,
    left_out: list[str],
) -> int:
    """Writes the shards of a split, of about equal length; appends skipped files to `left_out`.

    Returns:
        The number of images written.

    Raises:
        UserError: no image of a class could be decoded.
    """
    counts: Counter[int] = Counter()
    answers = folders.encode_all(pictures, shards[0].name.rpartition("_")[0], num_threads)
    for number, shard in enumerate(shards, start=1):
        end = len(pictures) * number // len(shards)
        begin = len(pictures) * (number - 1) // len(shards)
        with closing(tf.io.TFRecordWriter(str(shard))) as writer:
            for picture, encoded, problem in islice(answers, end - begin):
                if encoded:
                    writer.write(make_record(picture, names[picture.label], encoded))
                    counts[picture.label] += 1
                else:
                    left_out.append(problem)
    folders.check_read(pictures, counts, names, left_out)
    return sum(counts.values())


def write_records(
    data_dir: Path,
    output_dir: Path,
    dataset_name: str,
    num_shards: dict[str, int],
    num_threads: int = 2,
    validation_fraction: float | None = None,
    only: Collection[Path] | None = None,
) -> dict[str, int]:
    """Writes all records and label.txt; they appear in `output_dir` only when all are complete.

    Returns:
        The number of images per split, and "left_out", that of skipped files.

    Raises:
        UserError: see `folders.split_folders`, `folders.list_pictures` and `write_split`.
    """
    of_splits = folders.split_folders(data_dir, validation_fraction)
    names, pictures = folders.list_pictures(data_dir, of_splits, validation_fraction, only)
    strays, num_strays = folders.list_strays(data_dir, of_splits.values())
    new = not output_dir.exists()
    output_dir.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=output_dir))
    left_out: list[str] = []
    counts = {}
    try:
        for split, rows in pictures.items():
            shards = [part / name for name in shard_names(dataset_name, split, num_shards[split])]
            counts[split] = write_split(shards, rows, names, num_threads, left_out)
        text = "".join(f"{number}:{name}\n" for number, name in enumerate(names))
        (part / "label.txt").write_text(text, encoding="utf-8")
        written = {path.name for path in part.iterdir()}
        for split in SPLITS:  # an earlier call may have written another number of shards
            for old in find_shards(output_dir, dataset_name, split):
                if old.name not in written:
                    old.unlink()
        for name in sorted(written):
            (part / name).replace(output_dir / name)
    finally:
        shutil.rmtree(part)
        if new and not any(output_dir.iterdir()):
            output_dir.rmdir()
    for line in strays + left_out:
        tqdm.write(f"skipped: {line}")
    return counts | {"left_out": num_strays + len(left_out)}


def read_names(path: Path) -> tuple[str, ...]:
    """Reads label.txt: lines `number:name`, numbered from 0.

    Raises:
        UserError: a line has another form, or the file is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error})", "write the records again: python "
                        "prepare.py") from error
    for number, line in enumerate(lines):
        if not re.match(rf"{number}:.", line):
            raise UserError(f"line {number + 1} of {path} is {line!r}, not {number}:name",
                            "write the records again: python prepare.py")
    return tuple(line.partition(":")[2] for line in lines)


def read_split(
    folder: Path, dataset_name: str, split: str, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Reads all records of a split; the images stay JPEGs, so that large sets fit into memory.

    Returns:
        The JPEGs, bytes objects of shape (count,), and the labels, int64 of shape (count,).

    Raises:
        UserError: files are missing or damaged, contradict label.txt, or hold no JPEGs.
    """
    hint = "write the records: python prepare.py"
    found = find_shards(folder, dataset_name, split)
    if not found and (others := dataset_names(folder)):
        raise UserError(f"{folder} has no {split} records of {dataset_name}, but records of "
                        f"{', '.join(others)}", f"add --dataset_name {others[0]}")
    count = int(found[0].stem.rpartition("-")[2]) if found else 1
    expected = shard_names(dataset_name, split, count)
    paths = files.check_files(folder, expected, hint)
    if others := [path.name for path in found if path.name not in expected]:
        raise UserError(f"{folder} has {expected[0]}, but also {others[0]}", "remove one set")
    features = {"image/encoded": tf.io.FixedLenFeature((), tf.string),
                "image/class/label": tf.io.FixedLenFeature((), tf.int64),
                "image/class/text": tf.io.FixedLenFeature((), tf.string, "")}  # slim writes none
    records = tf.data.TFRecordDataset([str(path) for path in paths]).batch(500)
    try:
        parts = list(records.map(lambda batch: tf.io.parse_example(batch, features)))
    except tf.errors.OpError as error:
        damaged = isinstance(error, tf.errors.DataLossError)
        state = "are damaged" if damaged else "are not records of images in classes"
        raise UserError(f"the {split} records of {folder} {state}: "
                        f"{error.message.splitlines()[0]}", hint) from error
    if not parts:
        raise UserError(f"the {split} records of {folder} are empty", hint)
    encoded, labels, texts = (np.concatenate([part[key].numpy() for part in parts])
                              for key in features)
    for label, text in sorted(set(zip(labels.tolist(), texts.tolist(), strict=True))):
        named = names[label] if 0 <= label < len(names) else None
        text = text.decode(errors="backslashreplace")
        if named is None or text not in ("", named):
            raise UserError(
                f"the {split} records of {folder} call class {label} {text}, label.txt calls it "
                f"{named}",
                "use label.txt and records of the same call of prepare.py")
    if not all(jpeg.startswith(JPEG) for jpeg in encoded):
        raise UserError(f"the {split} records of {folder} hold images that are not JPEGs", hint)
    return encoded, labels
