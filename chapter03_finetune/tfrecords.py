"""TFRecords of images, with the features and file names of the original (book, section 3.2)."""

import argparse
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image
from tqdm import tqdm

from common import files, images
from common.errors import UserError
from common.text import read_text

SHUFFLE_SEED = 12345  # the original's; it alone determines the order of the records
SPLITS = ("train", "validation")


class Picture(NamedTuple):
    """An image file and its label."""

    path: Path
    label: int


class Encoded(NamedTuple):
    """A JPEG that TensorFlow can decode, and its size in pixels."""

    jpeg: bytes
    height: int
    width: int


def pictures_in(folder: Path, only: Collection[Path] | None = None) -> list[Path]:
    """Returns the files of a class folder and its subfolders, sorted, without hidden ones.

    Args:
        folder: the folder.
        only: leave out all other files.

    Raises:
        UserError: there are none.
    """
    paths = images.list_folder(folder, recursive=True)
    if only is not None:
        paths = [path for path in paths if path in only]
    if not paths:
        listed = "" if only is None else " that --list names"
        raise UserError(f"the class folder {folder} has no image{listed}",
                        "add images, or remove the folder")
    return paths


def folders_in(folder: Path) -> list[Path]:
    """Returns the folders in a folder, sorted, without hidden ones."""
    return sorted(path for path in folder.glob("[!.]*") if path.is_dir())


def class_folders(folder: Path) -> tuple[str, ...]:
    """Returns the names of the classes, one per folder, sorted.

    Raises:
        UserError: there are no folders.
    """
    names = [path.name for path in folders_in(folder)]
    if not names:
        files.check_files(folder, ["<class>/"], "make one folder of images per class")
    return tuple(names)


def split_folders(data_dir: Path, validation_fraction: float | None) -> dict[str, Path]:
    """Returns the folder of each split, or nothing if `data_dir` is to be divided.

    The folder of the validation images may also be called val.

    Raises:
        UserError: a folder is missing, or there is a fraction beside a train folder.
    """
    if not data_dir.is_dir():
        raise UserError(f"there is no folder {data_dir}", "check --data_dir")
    divided = (data_dir / "train").is_dir()
    holds = f"it holds {', '.join(path.name for path in folders_in(data_dir)[:8]) or 'no folder'}"
    if divided and validation_fraction:
        raise UserError(
            f"{data_dir} has a train folder, and --validation_fraction is {validation_fraction}",
            "omit --validation_fraction, or give the folder that holds the classes")
    if not divided and not validation_fraction:
        raise UserError(f"{data_dir} has no train folder; {holds}",
                        "rename the folders of the splits to train and validation, or add "
                        "--validation_fraction 0.2 to divide a folder of classes")
    if not divided:
        return {}
    for name in ("validation", "val"):
        if (data_dir / name).is_dir():
            return {"train": data_dir / "train", "validation": data_dir / name}
    raise UserError(f"{data_dir} has no validation folder; {holds}",
                    "rename the folder of the validation images to validation, or divide train: "
                    "give it as --data_dir, with --validation_fraction 0.2")


def check_classes(names: Sequence[str], folder: Path) -> None:
    """Raises UserError unless there are at least two classes."""
    if len(names) < 2:
        raise UserError(f"{folder} has one class, {', '.join(names)}: there is nothing to learn",
                        "make one folder of images for each class, at least two")


def list_strays(data_dir: Path, folders: Collection[Path]) -> tuple[list[str], int]:
    """Returns lines on what lies beside the class folders, and its number of files.

    Args:
        data_dir: the folder of the images.
        folders: those of the splits in it; empty if its folders are the classes.
    """
    def images_in(folder: Path, recursive: bool = False) -> list[Path]:
        return [path for path in images.list_folder(folder, recursive)
                if path.suffix.lower() not in (".txt", ".tfrecord")]

    loose = [path for folder in (data_dir, *folders) for path in images_in(folder)]
    others = set(folders_in(data_dir)) - set(folders) if folders else ()
    counts = {folder: len(images_in(folder, recursive=True)) for folder in sorted(others)}
    lines = [f"{path} lies in no class folder" for path in loose]
    lines += [f"{folder} is neither train nor validation ({count} files)"
              for folder, count in counts.items() if count]
    return lines, len(loose) + sum(counts.values())


def read_list(file: Path, data_dir: Path) -> set[Path]:
    """Reads a list of images: paths relative to `data_dir`, one a line.

    Raises:
        UserError: there is no such list, or no such image.
    """
    lines = read_text(file).splitlines()
    paths = {data_dir / line.strip() for line in lines if line.strip()}
    if missing := sorted(path for path in paths if not path.is_file()):
        raise UserError(f"{file} names {len(missing)} files that do not exist, such as "
                        f"{missing[0]}", "check --data_dir and --list")
    return paths


def list_pictures(
    data_dir: Path,
    folders: dict[str, Path],
    validation_fraction: float | None,
    only: Collection[Path] | None = None,
) -> tuple[tuple[str, ...], dict[str, list[Picture]]]:
    """Lists the classes and the images of both splits, in the order of the records.

    Args:
        data_dir: the folder of the images.
        folders: those of the splits in it, from `split_folders`; empty if its folders are classes.
        validation_fraction: in the latter case, the fraction of each class for validation.
        only: leave out all other images.

    Raises:
        UserError: the folders have another layout, or a class has no images.
    """
    names = class_folders(folders.get("train", data_dir))
    check_classes(names, data_dir)
    held = folders.get("validation")
    if held and (new := set(class_folders(held)) - set(names)):
        raise UserError(f"{held} has {', '.join(sorted(new))}, which train lacks",
                        "add training images of these classes, or remove the folders")
    rng = np.random.default_rng(SHUFFLE_SEED)
    found: dict[str, list[Picture]] = {split: [] for split in SPLITS}
    for label, name in enumerate(names):
        if folders:
            parts = {split: pictures_in(folder / name, only) if (folder / name).is_dir() else []
                     for split, folder in folders.items()}
        else:
            paths = pictures_in(data_dir / name, only)
            border = min(round(len(paths) * validation_fraction), len(paths) - 1)
            order = [paths[i] for i in rng.permutation(len(paths))]
            parts = {"train": order[border:], "validation": order[:border]}
        for split in SPLITS:
            found[split] += [Picture(path, label) for path in parts[split]]
    if strange := set(only or ()) - {row.path for rows in found.values() for row in rows}:
        raise UserError(f"--list names {min(strange)}, which lies in no class folder",
                        "write the paths as they are below --data_dir")
    if not found["validation"]:
        raise UserError(f"--validation_fraction {validation_fraction} of each class of {data_dir} "
                        "is less than one image", "give a larger fraction, or more images")
    return names, {split: [rows[i] for i in rng.permutation(len(rows))]
                   for split, rows in found.items()}


def encode(path: Path) -> Encoded:
    """Reads an image file as a JPEG that TensorFlow can decode.

    Raises:
        UserError: the file cannot be decoded.
    """
    picture = images.read_image(path)
    height, width, _ = picture.shape
    with Image.open(path) as header:
        upright = header.getexif().get(ExifTags.Base.Orientation, 1) == 1
        fit = header.format == "JPEG" and header.mode == "RGB" and upright
    if fit:
        raw = path.read_bytes()
        try:
            images.decode_jpeg(raw)  # Pillow decodes some files that TensorFlow does not
            return Encoded(raw, height, width)
        except tf.errors.InvalidArgumentError:
            pass
    jpeg = tf.io.encode_jpeg(picture, quality=100, chroma_downsampling=False)
    return Encoded(jpeg.numpy(), height, width)


def try_encode(picture: Picture) -> tuple[Encoded | None, str]:
    """Returns an image as `encode` does and "", or None and the reason why it is unusable."""
    try:
        return encode(picture.path), ""
    except (UserError, OSError, tf.errors.OpError) as error:
        return None, str(error).splitlines()[0]


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
        "image/filename": text(picture.path.name.encode()),
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
    counts = dict.fromkeys((picture.label for picture in pictures), 0)
    with ThreadPoolExecutor(num_threads) as pool:
        answers: Iterable = tqdm(pool.map(try_encode, pictures), shards[0].name.rpartition("_")[0],
                                 len(pictures), unit="image", disable=None)
        pairs = zip(pictures, answers, strict=True)  # consumed by one shard after the other
        for number, shard in enumerate(shards, start=1):
            end = len(pictures) * number // len(shards)
            begin = len(pictures) * (number - 1) // len(shards)
            with closing(tf.io.TFRecordWriter(str(shard))) as writer:
                for picture, (encoded, problem) in islice(pairs, end - begin):
                    if encoded:
                        writer.write(make_record(picture, names[picture.label], encoded))
                        counts[picture.label] += 1
                    else:
                        left_out.append(problem)
    if empty := [names[label] for label, count in sorted(counts.items()) if count == 0]:
        raise UserError(f"no image of {', '.join(empty)} can be decoded: {left_out[-1]}",
                        "add complete image files, or remove the folder")
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
        UserError: see `split_folders`, `list_pictures` and `write_split`.
    """
    folders = split_folders(data_dir, validation_fraction)
    names, pictures = list_pictures(data_dir, folders, validation_fraction, only)
    strays, num_strays = list_strays(data_dir, folders.values())
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
