"""Images to classify: records, the held-out part, data augmentation, the training stream.

    python data.py                                           # textures drawn by code
    python data.py --dataset records --dataset_dir FOLDER    # records that prepare.py wrote

Prints the splits, and draws images of each class, as in evaluation and augmented as in training.
"""

import argparse
import errno
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from chapter03_finetune import textures, tfrecords
from common import cli, files, images, inputs, rundir
from common.errors import UserError, exit_status

HOLDOUT_SEED = 0  # runs of all seeds hold out the same images
CENTRE = 0.875  # fraction of each side that the central crop of evaluation keeps
MIN_COVERED, ASPECT, ATTEMPTS = 0.1, (0.75, 1.33), 100  # of a random crop
BRIGHTNESS, SATURATION, HUE, CONTRAST = 32 / 255, (0.5, 1.5), 0.2, (0.5, 1.5)
JPEG = b"\xff\xd8\xff"  # the first bytes of every JPEG file
TEXTURES = {"train": 250, "validation": 50}  # images per class

OFFLINE = {"textures": "six classes of textures as seen from above, drawn by code",
           "records": "the TFRecords that prepare.py wrote to `--dataset_dir`"}
BOOK = "https://github.com/hzy46/Deep-Learning-21-Examples/tree/master/chapter_3/data_prepare/pic"
SOURCES = {
    "satellite": files.Source(
        "The book's satellite images: 4,800 + 1,200 of 256x256 in six classes; no licence stated. "
        f"They are in the repository of the book, in [chapter_3/data_prepare/pic]({BOOK}): clone "
        "it, then `python prepare.py --data_dir .../chapter_3/data_prepare/pic --output_dir "
        "../data/satellite`. The published runs used a sample of 2,400: add `--list "
        "satellite_sample.txt`",
        (),
    ),
}


class Split(NamedTuple):
    """JPEGs as stored in the records, bytes objects of shape (count,), and labels, int64."""

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


def read_split(folder: Path, dataset_name: str, split: str, names: Sequence[str]) -> Split:
    """Reads all records of a split; the images stay JPEGs, so that large sets fit into memory.

    Raises:
        UserError: files are missing or damaged, contradict label.txt, or hold no JPEGs.
    """
    hint = "write the records: python prepare.py"
    found = tfrecords.find_shards(folder, dataset_name, split)
    if not found and (others := tfrecords.dataset_names(folder)):
        raise UserError(f"{folder} has no {split} records of {dataset_name}, but records of "
                        f"{', '.join(others)}", f"add --dataset_name {others[0]}")
    count = int(found[0].stem.rpartition("-")[2]) if found else 1
    expected = tfrecords.shard_names(dataset_name, split, count)
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
    return Split(encoded, labels)


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
        UserError: see `read_split`; or a class has no training image, or none has two.
    """
    label_name = "label.txt"
    if not (folder / label_name).exists() and (folder / "labels.txt").is_file():
        label_name = "labels.txt"  # of TF-slim
    (label_file,) = files.check_files(folder, [label_name], "write it: python prepare.py")
    names = read_names(label_file)
    tfrecords.check_classes(names, label_file)
    train, test = (read_split(folder, dataset_name, split, names) for split in tfrecords.SPLITS)
    if missing := set(range(len(names))) - set(train.labels.tolist()):
        absent = ", ".join(names[label] for label in sorted(missing))
        raise UserError(f"the train records of {folder} have no image of {absent}",
                        "use label.txt and records of the same call of prepare.py")
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
        shards = dict.fromkeys(tfrecords.SPLITS, 2)
        tfrecords.write_records(part / "pictures", part, "textures", shards)
        try:
            part.replace(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            # Another process has drawn the same images in the meantime.


def centre(image: tf.Tensor, size: int) -> tf.Tensor:
    """Returns an input for evaluation: the central crop of an image, resized.

    Args:
        image: uint8 of shape (height, width, 3).
        size: height and width of the result in pixels.

    Returns:
        float32 of shape (size, size, 3) in [0, 255].
    """
    middle = tf.cast(tf.image.central_crop(image, CENTRE), tf.float32)
    return tf.ensure_shape(tf.image.resize(middle, (size, size), antialias=True), (size, size, 3))


def random_crop(encoded: tf.Tensor, key: tf.Tensor, min_area: float) -> tf.Tensor:
    """Decodes a random crop of a JPEG, of at least `min_area`, as uint8 (height, width, 3)."""
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.io.extract_jpeg_shape(encoded), tf.constant([[[0.0, 0.0, 1.0, 1.0]]]), key,
        min_object_covered=MIN_COVERED, aspect_ratio_range=ASPECT, area_range=(min_area, 1.0),
        max_attempts=ATTEMPTS,
    )
    window = tf.concat([begin[:2], extent[:2]], axis=0)
    return tf.io.decode_and_crop_jpeg(encoded, window, channels=3,
                                      dct_method="INTEGER_ACCURATE")  # as `images.decode_jpeg`


def distort_colours(image: tf.Tensor, key: tf.Tensor, full: bool) -> tf.Tensor:
    """Distorts the colours of a float image in [0, 1]; the order of operations is random."""
    order_key, *keys = tf.unstack(tf.random.split(key, 5))
    brightness, saturation, hue, contrast = (
        lambda x: tf.image.stateless_random_brightness(x, BRIGHTNESS, keys[0]),
        lambda x: tf.image.stateless_random_saturation(x, *SATURATION, keys[1]),
        lambda x: tf.image.stateless_random_hue(x, HUE, keys[2]),
        lambda x: tf.image.stateless_random_contrast(x, *CONTRAST, keys[3]),
    )
    orders = [(brightness, saturation, hue, contrast), (saturation, brightness, contrast, hue),
              (contrast, hue, brightness, saturation), (hue, saturation, contrast, brightness)]
    if not full:  # the original too draws one of four orders, three of which are the same
        orders = [(brightness, saturation), *[(saturation, brightness)] * 3]

    def apply(order: Sequence) -> tf.Tensor:
        distorted = image
        for distortion in order:
            distorted = distortion(distorted)
        return distorted

    chosen = tf.random.stateless_uniform((), order_key, 0, len(orders), tf.int32)
    distorted = tf.switch_case(chosen, [lambda order=order: apply(order) for order in orders])
    return tf.clip_by_value(distorted, 0.0, 1.0)


def distort(
    encoded: tf.Tensor,
    size: int,
    key: tf.Tensor,
    augment: str = "fast",
    min_area: float = 0.05,
    quarter_turns: bool = False,
) -> tf.Tensor:
    """Returns an input for training: Inception's augmentation (Szegedy et al. 2014).

    Args:
        encoded: a JPEG, a scalar string.
        size: height and width of the result in pixels.
        key: random seed, int64 of shape (2,), which determines the result.
        augment: "fast", as in the original; "full", which adds hue, contrast and a random resize
            method; or "none".
        min_area: minimum area of the random crop, as a fraction of the image.
        quarter_turns: whether the image is also rotated by 0, 90, 180 or 270 degrees.

    Returns:
        float32 of shape (size, size, 3) in [0, 255].
    """
    if augment == "none":
        return centre(images.decode_jpeg(encoded), size)
    crop_key, resize_key, flip_key, colour_key = tf.unstack(tf.random.split(key, 4))
    image = tf.cast(random_crop(encoded, crop_key, min_area), tf.float32) / 255
    methods = ("bilinear", "nearest", "bicubic", "area") if augment == "full" else ("bilinear",)
    method = tf.random.stateless_uniform((), resize_key, 0, len(methods), tf.int32)
    image = tf.switch_case(method, [
        lambda name=name: tf.image.resize(image, (size, size), name, antialias=True)
        for name in methods])
    image = tf.image.stateless_random_flip_left_right(image, flip_key)
    if quarter_turns:
        turns = tf.random.stateless_uniform((), tf.random.fold_in(flip_key, 1), 0, 4, tf.int32)
        image = tf.image.rot90(image, turns)
    image = distort_colours(image, colour_key, augment == "full")
    return 255 * tf.ensure_shape(image, (size, size, 3))


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
        return distort(encoded[index], size, key, augment, min_area, quarter_turns), labels[index]

    indices = inputs.example_indices(len(split.labels), batch_size, seed, start_step)
    examples = indices.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return inputs.finish(examples.batch(batch_size, drop_remainder=True))


def evaluation_batches(split: Split, size: int, batch_size: int = 50) -> tf.data.Dataset:
    """Returns the stream of all images of a split, each exactly once, in order."""
    def example(encoded: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return centre(images.decode_jpeg(encoded), size), label

    examples = tf.data.Dataset.from_tensor_slices(tuple(split))
    return inputs.finish(examples.map(example, num_parallel_calls=tf.data.AUTOTUNE), batch_size)


def thumbnails(encoded: Sequence[bytes], size: int = 96) -> np.ndarray:
    """Decodes JPEGs as `centre` crops them in evaluation: uint8 (count, size, size, 3)."""
    shown = [centre(images.decode_jpeg(jpeg), size) for jpeg in encoded]
    return np.stack(shown).astype(np.uint8) if shown else np.zeros((0, size, size, 3), np.uint8)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the data set, its folder and its held-out part."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="textures",
                       help="textures: drawn by code, offline; records: written by prepare.py")
    group.add_argument("--data_dir", "--dataset_dir", type=cli.path,
                       help="folder of the records and label.txt")
    group.add_argument("--dataset_name", type=tfrecords.records_name, default="satellite",
                       help="prefix of the names of the records")
    group.add_argument("--holdout_fraction", type=cli.between_0_and_1, default=0.1,
                       help="fraction of each class's training images that is held out to select "
                            "the checkpoint")


def load(flags: argparse.Namespace) -> Data:
    """Loads the data set that the flags of `add_flags` choose.

    Raises:
        UserError: the set cannot be read, or a folder was given for drawn images.
    """
    if flags.dataset == "textures":
        if flags.data_dir:
            raise UserError("--dataset textures is not read from a folder",
                            "add --dataset records, or omit --dataset_dir")
        if not (folder := files.default_dir("textures")).is_dir():
            draw_textures(folder)
        return load_records(folder, "textures", flags.holdout_fraction)
    if not flags.data_dir:
        raise UserError("--dataset records without --dataset_dir",
                        "give the folder that prepare.py wrote to")
    return load_records(Path(flags.data_dir), flags.dataset_name, flags.holdout_fraction)


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
            shown.append(np.uint8(distort(jpegs[number % len(jpegs)], 96, key)))
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
        args = build_parser().parse_args(argv)
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
