"""CIFAR-10 and CIFAR-100: binary records, splits, the training stream.

    python data.py                                      # shapes drawn by code
    python data.py --dataset cifar10 --data_dir FOLDER  # the publisher's binary files

Prints the shapes of the splits and the range of values of one batch.
"""

import argparse
import gzip
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from chapter02_cifar import shapes
from chapter02_cifar.augmentations import CROP, centre, distort
from common import cli, files, inputs
from common.errors import UserError, exit_status

SIZE = 32
MOST_ASPECT = 16  # of a picture, the middle of a longer one is taken
VALIDATION = 5000  # at most; the last of the training records

OFFLINE = {"shapes10": "ten classes of coloured shapes on textured backgrounds, drawn by code"}
TORONTO = "https://www.cs.toronto.edu/~kriz/"
SOURCES = {
    "cifar10": files.Source(
        "CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 images of 32x32 in 10 classes, 170 MB; no "
        "licence stated",
        (files.File(
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            (f"{TORONTO}cifar-10-binary.tar.gz",),
        ),),
    ),
    "cifar100": files.Source(
        "CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 images of 32x32 in 100 classes, 169 MB; "
        "no licence stated",
        (files.File(
            "cifar-100-binary.tar.gz",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            (f"{TORONTO}cifar-100-binary.tar.gz",),
        ),),
    ),
}


class Layout(NamedTuple):
    """Layout of an archive: its folder, its files, and the label bytes of a record."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str  # the file with the names of the classes
    label_bytes: int  # the last of them is the label


LAYOUTS = {
    "cifar10": Layout("cifar-10-batches-bin", tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
                      ("test_batch.bin",), "batches.meta.txt", 1),
    "cifar100": Layout("cifar-100-binary", ("train.bin",), ("test.bin",),
                       "fine_label_names.txt", 2),  # a coarse label, then the fine one
}


class Split(NamedTuple):
    """Images, uint8 of shape (count, 32, 32, 3), and labels, int64 of shape (count,)."""

    images: np.ndarray
    labels: np.ndarray


class Data(NamedTuple):
    """A data set: its splits "train", "validation" and "test", and the names of its classes."""

    splits: dict[str, Split]
    names: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The sha256 of all images and labels."""
        return files.sha256(*(array for split in self.splits.values() for array in split))


def parse_records(records: tf.Tensor, label_bytes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Parses records of the binary files.

    Args:
        records: strings of shape (count,): `label_bytes` bytes, then the 3,072 bytes of an image.
        label_bytes: 1 for CIFAR-10, 2 for CIFAR-100.

    Returns:
        uint8 images of shape (count, 32, 32, 3), and int64 labels of shape (count,).
    """
    values = tf.io.decode_raw(records, tf.uint8)  # (count, label_bytes + 3072)
    planes = tf.reshape(values[:, label_bytes:], (-1, 3, SIZE, SIZE))  # channels first
    return tf.transpose(planes, (0, 2, 3, 1)), tf.cast(values[:, label_bytes - 1], tf.int64)


def read_files(paths: Sequence[Path], label_bytes: int) -> Split:
    """Reads binary files of fixed-length records.

    Raises:
        UserError: a file does not hold a whole number of records, or none.
    """
    length = label_bytes + 3 * SIZE * SIZE
    for path in paths:
        if (size := path.stat().st_size) == 0 or size % length:
            raise UserError(
                f"{path} has {size} bytes, which is not a multiple of {length}",
                "unpack the archive again: the binary version, not the one for Python")
    records = tf.data.FixedLengthRecordDataset([str(path) for path in paths], length)
    parts = list(records.batch(10_000).map(lambda batch: parse_records(batch, label_bytes)))
    return Split(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def load_files(data_dir: Path, dataset: str) -> Data:
    """Loads a set from the publisher's binary files; downloads them if there are none.

    Args:
        data_dir: the folder of the files, or the folder in which the archive was unpacked.
        dataset: "cifar10" or "cifar100".

    Raises:
        UserError: files are missing or damaged.
    """
    layout = LAYOUTS[dataset]
    folder = data_dir / layout.folder if (data_dir / layout.folder).is_dir() else data_dir
    if not any((folder / name).is_file() for name in (*layout.train, *layout.test)):
        _fetch_archive(data_dir, dataset)
        folder = data_dir / layout.folder
    paths = files.check_files(folder, (*layout.train, *layout.test, layout.names),
                              "put all files of the binary archive there")
    train = read_files(paths[: len(layout.train)], layout.label_bytes)
    test = read_files(paths[len(layout.train) : -1], layout.label_bytes)
    names = tuple(paths[-1].read_text(encoding="utf-8", errors="replace").split())
    for split in (train, test):
        if split.labels.max() >= len(names):
            raise UserError(
                f"{folder} has a label {split.labels.max()}, but {layout.names} names "
                f"{len(names)} classes", "use files of one archive only")
    return Data(_with_validation(train, test), names)


def _fetch_archive(data_dir: Path, dataset: str) -> None:
    """Downloads and unpacks an archive; the folder appears only when it is complete.

    Raises:
        UserError: the archive cannot be downloaded or unpacked, or is another one.
    """
    (file,) = SOURCES[dataset].files
    folder, part = data_dir / LAYOUTS[dataset].folder, data_dir / f"{dataset}.part"
    if folder.exists():
        raise UserError(f"{folder} holds no records", "put the binary files there, or remove it")
    archive = files.fetch(data_dir / file.name, file.urls, file.sha256)
    shutil.rmtree(part, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(part, filter="data")
        (part / folder.name).replace(folder)
    except (tarfile.TarError, EOFError, FileNotFoundError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{archive} is cut, damaged or another archive than {dataset}'s: {error}",
            f"remove it and run again, or place the right one there, sha256 {file.sha256}, from "
            f"{file.urls[0]}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_tfds(data_dir: Path, dataset: str) -> Data:
    """Loads a set through tensorflow-datasets, which has its own order of examples."""
    import tensorflow_datasets as tfds

    def load(split: str) -> Split:
        part = files.load_tfds(dataset, split, str(data_dir), "use the binary files")
        return Split(part["image"], part["label"])

    names = tfds.builder(dataset, data_dir=str(data_dir)).info.features["label"].names
    return Data(_with_validation(load("train"), load("test")), tuple(names))


def _with_validation(train: Split, test: Split) -> dict[str, Split]:
    """Splits off the last tenth of the training images, at most VALIDATION, for validation.

    Raises:
        UserError: that is less than one image.
    """
    if len(train.labels) < 10:
        raise UserError(f"{len(train.labels)} training images are too few", "give at least 10")
    border = len(train.labels) - min(VALIDATION, len(train.labels) // 10)
    return {
        "train": Split(train.images[:border], train.labels[:border]),
        "validation": Split(train.images[border:], train.labels[border:]),
        "test": test,
    }


def draw_shapes() -> Data:
    """Draws shapes10: 9,000 training, 1,000 validation and 2,000 test images."""
    train, test = (Split(*shapes.draw(count, seed)) for count, seed in ((10_000, 0), (2_000, 1)))
    return Data(_with_validation(train, test), tuple(shapes.SHAPES))


def training_batches(
    split: Split,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    size: int = CROP,
    augment: str = "book",
) -> tf.data.Dataset:
    """Returns the infinite stream of shuffled, augmented batches.

    Batch k is a pure function of (seed, k), so that training can resume at any step.

    Returns:
        Elements `(images, labels)`: float32 (batch_size, size, size, 3), int64 (batch_size,).
    """
    images, labels = tf.constant(split.images), tf.constant(split.labels)

    def batch(step: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        indices = tf.ensure_shape(indices, (batch_size,))
        key = tf.stack([tf.cast(seed, tf.int64), step])
        augmented = distort(tf.gather(images, indices), key, size, augment)
        return augmented, tf.gather(labels, indices)

    indices = inputs.index_batches(len(split.labels), batch_size, seed, start_step)
    return inputs.finish(indices.map(batch, num_parallel_calls=tf.data.AUTOTUNE))


def evaluation_batches(
    split: Split, size: int = CROP, batch_size: int = 500
) -> tf.data.Dataset:
    """Returns the stream of all images of a split, each exactly once, in order."""
    examples = tf.data.Dataset.from_tensor_slices(tuple(split))
    return inputs.finish(examples.batch(batch_size).map(lambda x, y: (centre(x, size), y)))


def fit_picture(image: tf.Tensor) -> tf.Tensor:
    """Resizes an image of any size, (height, width, 3) in [0, 255], to 32x32, uint8.

    The shorter side becomes 32 pixels long; the longer one is cropped at both ends.
    """
    shape = tf.shape(image)[:2]
    kept = tf.minimum(shape, MOST_ASPECT * tf.reduce_min(shape))  # a thin image would become huge
    image = tf.image.resize_with_crop_or_pad(image, kept[0], kept[1])
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    size = tf.cast(tf.round(size * SIZE / tf.reduce_min(size)), tf.int32)
    image = tf.image.resize(image, size, antialias=True)
    image = tf.image.resize_with_crop_or_pad(image, SIZE, SIZE)
    return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the data set and its source."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=[*OFFLINE, *SOURCES], default="shapes10",
                       help="shapes10: drawn by code, offline; others: the publisher's files")
    group.add_argument("--data_dir", type=cli.path, help="folder of the binary files, downloaded "
                       "if absent (default: data/<dataset> in the repository)")
    group.add_argument("--tfds", action=argparse.BooleanOptionalAction, default=False,
                       help="read --data_dir through tensorflow-datasets")


def load(flags: argparse.Namespace) -> Data:
    """Loads the data set that the flags of `add_flags` choose.

    Raises:
        UserError: the set cannot be read, or a folder was given for drawn images.
    """
    if flags.dataset in OFFLINE:
        if flags.data_dir or flags.tfds:
            raise UserError(f"--dataset {flags.dataset} is not read from a folder, nor from tfds",
                            "add --dataset cifar10, or omit --data_dir and --tfds")
        return draw_shapes()
    folder = Path(flags.data_dir or files.default_dir(flags.dataset))
    return (load_tfds if flags.tfds else load_files)(folder, flags.dataset)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the splits and one batch."""

    def show() -> None:
        splits, names = load(build_parser().parse_args(argv))
        for name, split in splits.items():
            print(f"{name}: images {split.images.shape} {split.images.dtype}, "
                  f"labels {split.labels.shape}, per class {np.bincount(split.labels)}")
        for images, labels in training_batches(splits["train"], 8, seed=0).take(1):
            print(f"one batch: {images.shape} {images.dtype.name} from "
                  f"{tf.reduce_min(images):.2f} to {tf.reduce_max(images):.2f}, mean "
                  f"{abs(tf.reduce_mean(images)):.2f}: {[names[label] for label in labels]}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
