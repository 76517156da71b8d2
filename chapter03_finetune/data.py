"""Images to classify: folders, records, the held-out part, the training stream.

    python data.py                          # textures drawn by code
    python data.py --data_dir FOLDER        # a folder of classes, or records that prepare.py wrote

Prints the splits, and draws images of each class, as in evaluation and augmented as in training.
"""

import argparse
import errno
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from chapter03_finetune import augmentation, folders, textures, tfrecords
from common import cli, files, images, inputs, rundir
from common.errors import UserError, exit_status

HOLDOUT_SEED = 0  # runs of all seeds hold out the same images
TEXTURES = {"train": 250, "validation": 50}  # images per class
VALIDATION_FRACTION = 0.2  # of a folder that is not divided

OFFLINE = {"textures": "six classes of textures as seen from above, drawn by code",
           "folder": "your images in `--data_dir`, one folder per class",
           "records": "the TFRecords that prepare.py wrote to `--dataset_dir`"}
# The flags that each data set reads, beside --data_dir.
READS = {"textures": (), "folder": ("validation_fraction",), "records": ("dataset_name",)}
BOOK = "https://github.com/hzy46/Deep-Learning-21-Examples/tree/master/chapter_3/data_prepare/pic"
SOURCES = {
    "satellite": files.Source(
        "The book's satellite images: 4,800 + 1,200 of 256x256 in six classes; no licence stated. "
        f"They are in the repository of the book, in [chapter_3/data_prepare/pic]({BOOK}): clone "
        "it, then `python prepare.py --data_dir .../chapter_3/data_prepare/pic "
        "--dataset_name satellite --output_dir "
        "../data/satellite`. The published runs used a sample of 2,400: add `--list "
        "satellite_sample.txt`",
        (),
    ),
}


class Split(NamedTuple):
    """JPEGs, bytes objects of shape (count,), and labels, int64 of the same shape."""

    encoded: np.ndarray
    labels: np.ndarray


class Data(NamedTuple):
    """A data set: its splits "train", "validation" and "test", and the names of its classes."""

    splits: dict[str, Split]
    names: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The sha256 of all images, labels and names."""
        parts = (part for split in self.splits.values() for part in (*split.encoded, split.labels))
        return files.sha256(*parts, "\n".join(self.names).encode())


def hold_out(labels: np.ndarray, fraction: float) -> np.ndarray:
    """Draws the held-out images, which select the checkpoint; stratified by class.

    Args:
        labels: of all training images, of shape (count,).
        fraction: of each class, above 0 and below 1. At least one image of a class is held out, and
            at least one is left to train on.

    Returns:
        bool of shape (count,), true for held-out images.
    """
    rng, held_out = np.random.default_rng(HOLDOUT_SEED), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = rng.permutation(np.flatnonzero(labels == label))
        count = min(max(round(len(of_class) * fraction), 1), len(of_class) - 1)
        held_out[of_class[:count]] = True
    return held_out


def load_records(folder: Path, dataset_name: str, holdout_fraction: float) -> Data:
    """Loads records that prepare.py wrote; its validation records are the test split here.

    Args:
        folder: of the records and label.txt.
        dataset_name: prefix of the names of the records.
        holdout_fraction: see `hold_out`.

    Raises:
        UserError: see `tfrecords.read_split` and `divide`; or a class has no training image.
    """
    label_name = "label.txt"
    if not (folder / label_name).exists() and (folder / "labels.txt").is_file():
        label_name = "labels.txt"  # of TF-slim
    (label_file,) = files.check_files(folder, [label_name], "write it: python prepare.py")
    names = tfrecords.read_names(label_file)
    folders.check_classes(names, label_file)
    train, test = (Split(*tfrecords.read_split(folder, dataset_name, split, names))
                   for split in folders.SPLITS)
    if missing := set(range(len(names))) - set(train.labels.tolist()):
        absent = ", ".join(names[label] for label in sorted(missing))
        raise UserError(f"the train records of {folder} have no image of {absent}",
                        "use label.txt and records of the same call of prepare.py")
    return divide(train, test, names, holdout_fraction, folder)


def load_folder(
    folder: Path, validation_fraction: float | None, holdout_fraction: float
) -> Data:
    """Loads a folder of images; its validation images are the test split here.

    The images and their order are those of the records that prepare.py writes, so that a run is the
    same with or without records. But for copies: a training image with the bytes of a test image,
    or of another training image, is left out. All files that are left out are listed on stderr.

    Args:
        folder: has a folder of images per class, in train/ and validation/ or without them.
        validation_fraction: of each class, in a folder without train/ and validation/; None for
            the default.
        holdout_fraction: see `hold_out`.

    Raises:
        UserError: see `folders.split_folders`, `folders.list_pictures` and `divide`; or no image of
            a class can be decoded.
    """
    if not (folder / "train").is_dir():
        validation_fraction = validation_fraction or VALIDATION_FRACTION
    of_splits = folders.split_folders(folder, validation_fraction)
    names, pictures = folders.list_pictures(folder, of_splits, validation_fraction)
    left_out, _ = folders.list_strays(folder, of_splits.values())
    seen: dict[bytes, Path] = {}
    splits = {}
    for name in reversed(folders.SPLITS):  # test images first: a copy of one is not trained on
        splits[name], problems = read_pictures(pictures[name], names, seen, name == "train")
        left_out += problems
    for line in left_out:
        inputs.tell_left_out(line)
    return divide(splits["train"], splits["validation"], names, holdout_fraction, folder)


def read_pictures(
    pictures: Sequence[folders.Picture], names: Sequence[str], seen: dict[bytes, Path],
    leave_out_copies: bool,
) -> tuple[Split, list[str]]:
    """Reads the images of a split of a folder.

    Args:
        pictures: the files and their labels.
        names: of the classes.
        seen: the files of all images that were read before, by their JPEGs; is added to.
        leave_out_copies: whether images in `seen` are left out.

    Returns:
        The split, and a line for each file that was left out.

    Raises:
        UserError: no image of a class can be decoded, or all are copies.
    """
    kept, problems = [], []
    for picture, encoded, problem in folders.encode_all(pictures, "reading images"):
        if encoded is None:
            problems.append(problem)
            continue
        first = seen.setdefault(encoded.jpeg, picture.path)
        if leave_out_copies and first != picture.path:
            problems.append(f"{picture.path} is a copy of {first}")
        else:
            kept.append((encoded.jpeg, picture.label))
    labels = np.array([label for _, label in kept], np.int64)
    folders.check_read(pictures, Counter(labels.tolist()), names, problems)
    return Split(np.array([jpeg for jpeg, _ in kept], object), labels), problems


def divide(
    train: Split, test: Split, names: tuple[str, ...], holdout_fraction: float, folder: Path
) -> Data:
    """Divides the training images into those to train on and those held out.

    Raises:
        UserError: no class has two training images.
    """
    held_out = hold_out(train.labels, holdout_fraction)
    if not held_out.any():
        raise UserError(f"{folder} has one training image per class, none to hold out",
                        "add images")
    parts = {"train": ~held_out, "validation": held_out}
    splits = {name: Split(train.encoded[part], train.labels[part]) for name, part in parts.items()}
    return Data(splits | {"test": test}, names)


def draw_textures(folder: Path) -> None:
    """Draws the demo's images and their records; the folder appears only when it is complete."""
    rng = np.random.default_rng(0)
    bar = tqdm(total=sum(TEXTURES.values()) * len(textures.KINDS), desc="drawing textures",
               unit="image", disable=None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=folder.parent) as work, bar:
        part = Path(work, "textures")
        for split, count in TEXTURES.items():
            for kind in textures.KINDS:
                of_kind = part / "pictures" / split / kind
                of_kind.mkdir(parents=True)
                for number in range(count):
                    picture = Image.fromarray(textures.draw(kind, rng))
                    picture.save(of_kind / f"{number:03}.jpg", quality=95)
                    bar.update()
        shards = dict.fromkeys(folders.SPLITS, 2)
        tfrecords.write_records(part / "pictures", part, "textures", shards)
        try:
            part.replace(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            # Another process has drawn the same images in the meantime.


def training_batches(
    split: Split,
    batch_size: int,
    size: int,
    seed: int,
    start_step: int = 0,
    augment: str = "fast",
    min_area: float = 0.05,
    quarter_turns: bool = False,
) -> tf.data.Dataset:
    """Returns the infinite stream of shuffled, augmented batches.

    Batch k is a pure function of (seed, k), so that training can resume at any step.

    Returns:
        Elements `(images, labels)`: float32 (batch_size, size, size, 3) in [0, 255], int64
        (batch_size,).
    """
    encoded, labels = tf.constant(split.encoded), tf.constant(split.labels)

    def example(index: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = augmentation.distort(encoded[index], size, key, augment, min_area, quarter_turns)
        return image, labels[index]

    indices = inputs.example_indices(len(split.labels), batch_size, seed, start_step)
    examples = indices.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return inputs.finish(examples.batch(batch_size, drop_remainder=True))


def evaluation_batches(split: Split, size: int, batch_size: int = 50) -> tf.data.Dataset:
    """Returns the stream of all images of a split, each exactly once, in order."""
    def example(encoded: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return augmentation.centre(images.decode_jpeg(encoded), size), label

    examples = tf.data.Dataset.from_tensor_slices(tuple(split))
    return inputs.finish(examples.map(example, num_parallel_calls=tf.data.AUTOTUNE), batch_size)


def thumbnails(encoded: Sequence[bytes], size: int = 96) -> np.ndarray:
    """Decodes JPEGs as `centre` crops them in evaluation: uint8 (count, size, size, 3)."""
    shown = [augmentation.centre(images.decode_jpeg(jpeg), size) for jpeg in encoded]
    return np.stack(shown).astype(np.uint8) if shown else np.zeros((0, size, size, 3), np.uint8)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the data set, its folder and its held-out part."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="textures",
                       help="textures: drawn by code, offline; folder: images, one folder per "
                            "class; records: written by prepare.py. With --data_dir the default "
                            "is records if it holds any, else folder")
    group.add_argument("--data_dir", "--dataset_dir", type=cli.path,
                       help="folder of the classes, or of train/ and validation/ with a folder per "
                            "class in each, or of the records and label.txt")
    group.add_argument("--dataset_name", type=tfrecords.records_name, default="satellite",
                       help="prefix of the names of the records (if there are records of one "
                            "name only, that name)")
    group.add_argument("--validation_fraction", type=cli.between_0_and_1,
                       help="fraction of each class that eval.py tests on, of a folder without "
                            f"train/ and validation/ (default: {VALIDATION_FRACTION})")
    group.add_argument("--holdout_fraction", type=cli.between_0_and_1, default=0.1,
                       help="fraction of each class's training images that is held out to select "
                            "the checkpoint")


def settle(args: argparse.Namespace) -> None:
    """Sets `--dataset` and `--dataset_name` by what lies in `--data_dir`, unless typed.

    Raises:
        UserError: a typed flag is of another data set.
    """
    if args.data_dir and "dataset" not in args.typed:
        records = tfrecords.dataset_names(Path(args.data_dir))
        args.dataset = "records" if records else "folder"
        if len(records) == 1 and "dataset_name" not in args.typed:
            args.dataset_name = records[0]
    idle = [flag for name, flags in READS.items() if name != args.dataset for flag in flags]
    cli.refuse_idle(args, idle, f"--dataset {args.dataset}")


def name_of(flags: argparse.Namespace) -> str:
    """Returns what results call the data set: the name of its records, or of its folder."""
    match flags.dataset:
        case "records":
            return flags.dataset_name
        case "folder":
            return Path(flags.data_dir).name
    return flags.dataset


def load(flags: argparse.Namespace) -> Data:
    """Loads the data set that the flags of `add_flags` choose.

    Raises:
        UserError: the set cannot be read, or a folder was given for drawn images.
    """
    if flags.dataset == "textures":
        if flags.data_dir:
            raise UserError("--dataset textures is not read from a folder",
                            "omit --dataset, or omit --data_dir")
        if not (folder := files.default_dir("textures")).is_dir():
            draw_textures(folder)
        return load_records(folder, "textures", flags.holdout_fraction)
    if not flags.data_dir:
        raise UserError(f"--dataset {flags.dataset} without --data_dir",
                        "give your folder of images, or the folder that prepare.py wrote to")
    folder = Path(flags.data_dir)
    if flags.dataset == "folder":
        return load_folder(folder, flags.validation_fraction, flags.holdout_fraction)
    return load_records(folder, flags.dataset_name, flags.holdout_fraction)


def draw_sheet(split: Split, num_classes: int, jpg: Path, columns: int = 9) -> None:
    """Draws a row for each class: three images as in evaluation, the rest augmented.

    Each class needs at least one image.
    """
    shown = []
    for label in range(num_classes):
        jpegs = split.encoded[split.labels == label][:3]
        shown += [*thumbnails(jpegs), *np.zeros((3 - len(jpegs), 96, 96, 3), np.uint8)]
        for number in range(columns - 3):
            key = tf.constant([label, number], tf.int64)
            shown.append(np.uint8(augmentation.distort(jpegs[number % len(jpegs)], 96, key)))
    jpg.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(images.grid(shown, columns)).save(jpg, quality=85)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the splits and draws a sheet of images."""

    def show() -> None:
        parser = build_parser()
        args = parser.parse_args(argv)
        args.typed = cli.typed_flags(parser, argv)
        settle(args)
        splits, names = load(args)
        for name, split in splits.items():
            counts = zip(names, np.bincount(split.labels, minlength=len(names)), strict=True)
            print(f"{name}: {len(split.labels):,} images, "
                  + ", ".join(f"{count} {kind}" for kind, count in counts))
        jpg = rundir.runs_dir() / "chapter03_finetune" / f"pictures-{args.dataset}.jpg"
        draw_sheet(splits["train"], len(names), jpg)
        print(f"{jpg}: three images of each class as in evaluation, then augmented ones")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
