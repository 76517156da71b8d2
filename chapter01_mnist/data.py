"""Handwritten digits: sources, splits and batches.

    python data.py                                      # the digits included in scikit-learn
    python data.py --dataset mnist --data_dir FOLDER    # the four idx files, plain or .gz

Prints the shapes of the splits, and one batch as text.
"""

import argparse
import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.datasets
import tensorflow as tf

from common import cli, files, inputs
from common.errors import UserError, exit_status

SIZE = 28
NUM_CLASSES = 10
GZIP = b"\x1f\x8b"  # the first bytes of a gzipped file
VALIDATION = 5000  # book, section 1.1.1: the first 5,000 of the training file
MIN_CONTRAST = 25.0  # grey levels between paper and ink
MAX_SHIFT, MAX_ROTATION, MAX_ZOOM = 2.0, 0.15, 0.1  # pixels, radians, relative
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
         "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DIGITS = tuple("0123456789")
GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
            "Bag", "Ankle boot")


def idx_files(mirrors: tuple[str, ...], *digests: str) -> tuple[files.File, ...]:
    """Returns the four gzipped files of a data set, in the order of FILES."""
    return tuple(
        files.File(f"{name}.gz", digest, tuple(f"{mirror}{name}.gz" for mirror in mirrors))
        for name, digest in zip(FILES, digests, strict=True)
    )


OFFLINE = {"digits": "scikit-learn's 1,797 real handwritten digits (8x8), resized to 28x28"}
SOURCES = {
    "mnist": files.Source(
        "MNIST (LeCun et al. 1998): 60,000 + 10,000 digits of 28x28, 11.6 MB; CC BY-SA 3.0",
        idx_files(
            ("https://storage.googleapis.com/cvdf-datasets/mnist/",
             "https://ossci-datasets.s3.amazonaws.com/mnist/"),
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion_mnist": files.Source(
        "Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 garments of 28x28, 30.9 MB; MIT",
        idx_files(
            ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}


class Split(NamedTuple):
    """Images and labels of a split.

    Attributes:
        images: uint8 of shape (examples, 28, 28), light ink on 0.
        labels: int64 of shape (examples,).
    """

    images: np.ndarray
    labels: np.ndarray


def read_idx(path: Path) -> np.ndarray:
    """Reads an idx file (the format of MNIST), plain or gzipped.

    Returns:
        uint8 of the shape given in the header.

    Raises:
        UserError: the file is truncated, damaged, or not in idx format.
    """
    hint = "download it again; idx files may be plain or .gz"
    try:
        raw = path.read_bytes()
        if raw.startswith(GZIP):  # whatever the name: some browsers unpack what they download
            raw = gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path} cannot be decompressed: {error}", hint) from error
    num_axes = raw[3] if len(raw) >= 4 else 0
    if raw[:3] != b"\0\0\x08" or num_axes not in (1, 3) or len(raw) < 4 + 4 * num_axes:
        raise UserError(f"{path} begins with {raw[:4].hex()}, not with an idx header", hint)
    shape = np.frombuffer(raw, ">u4", num_axes, 4).tolist()
    expected, found = math.prod(shape), len(raw) - 4 - 4 * num_axes
    if expected != found:
        raise UserError(f"{path} has {found} bytes of data, expected {expected}", hint)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * num_axes).reshape(shape)


def load_idx(folder: Path, dataset: str) -> dict[str, Split]:
    """Loads a data set from its four idx files, which are downloaded if the folder has none.

    Raises:
        UserError: files are missing or do not match each other.
    """
    present = {name: next((folder / file for file in (name, f"{name}.gz")
                           if (folder / file).is_file()), None) for name in FILES}
    if not any(present.values()):
        for name, file in zip(FILES, SOURCES[dataset].files, strict=True):
            present[name] = files.fetch(folder / file.name, file.urls, file.sha256)
    if missing := [name for name, path in present.items() if path is None]:
        raise UserError(f"{folder} has no {', '.join(missing)}", "put all four idx files there")
    arrays = [read_idx(path) for path in present.values()]
    pairs = {"train": arrays[:2], "test": arrays[2:]}
    for name, (images, labels) in pairs.items():
        if images.shape != (len(labels), SIZE, SIZE) or labels.ndim != 1:
            raise UserError(
                f"the {name} files of {folder} do not match: images {images.shape}, "
                f"labels {labels.shape}", "take both files from the same source")
        if len(labels) and labels.max() >= NUM_CLASSES:
            raise UserError(f"{folder} has a {name} label {labels.max()}", "labels are 0 to 9")
    return _split({name: Split(x, y.astype(np.int64)) for name, (x, y) in pairs.items()})


def load_tfds(dataset: str, data_dir: str | Path) -> dict[str, Split]:
    """Loads a data set through tensorflow-datasets, which orders the images differently."""
    def load(split: str) -> Split:
        part = files.load_tfds(dataset, split, str(data_dir), "put the idx files into --data_dir")
        return Split(part["image"][..., 0], part["label"])

    return _split({name: load(name) for name in ("train", "test")})


def _split(parts: dict[str, Split]) -> dict[str, Split]:
    """Splits the validation images off the front of the training images.

    Raises:
        UserError: there are too few images to train, validate and test.
    """
    images, labels = parts["train"].images, parts["train"].labels
    count = min(VALIDATION, len(labels) // 5)
    if not count or not len(parts["test"].labels):
        raise UserError(f"{len(labels)} training and {len(parts['test'].labels)} test images are "
                        "too few", "give at least 5 and 1")
    return {
        "train": Split(images[count:], labels[count:]),
        "validation": Split(images[:count], labels[:count]),
        "test": parts["test"],
    }


def load_digits() -> dict[str, Split]:
    """Loads scikit-learn's 1,797 digits (8x8), resized to 20x20 inside 28x28 as in MNIST.

    Their order is random but fixed: 1,197 for training, 300 for validation, 300 for testing.
    """
    bunch = sklearn.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    large = tf.image.resize(bunch.images[order][..., None] * (255 / 16), (20, 20), "bicubic")
    images = np.pad(np.clip(large[..., 0], 0, 255).astype(np.uint8), ((0, 0), (4, 4), (4, 4)))
    labels = bunch.target[order].astype(np.int64)
    parts = {"test": slice(0, 300), "validation": slice(300, 600), "train": slice(600, None)}
    return {name: Split(images[part], labels[part]) for name, part in parts.items()}


def digest(splits: dict[str, Split]) -> str:
    """Returns the sha256 of all images and labels."""
    return files.sha256(*(array for split in splits.values() for array in split))


def label_names(dataset: str) -> tuple[str, ...]:
    """Returns the names of the ten classes."""
    return GARMENTS if dataset == "fashion_mnist" else DIGITS


def scale(images: tf.Tensor) -> tf.Tensor:
    """Converts uint8 images (batch, 28, 28) to float32 (batch, 28, 28, 1) in [0, 1]."""
    return tf.cast(images, tf.float32)[..., None] / 255.0


def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Rotates, zooms and shifts each image slightly and at random, all in one call.

    Args:
        images: float32 of shape (batch, 28, 28, 1).
        seed: int64 of shape (2,); the same seed gives the same result.

    Returns:
        Images of the same shape and range.
    """
    angle, zoom, x, y = tf.unstack(tf.random.stateless_uniform((4, len(images)), seed, -1, 1))
    angle, zoom = MAX_ROTATION * angle, 1 + MAX_ZOOM * zoom
    cosine, sine, centre = tf.cos(angle) / zoom, tf.sin(angle) / zoom, (SIZE - 1) / 2
    left = centre - (cosine * (centre + MAX_SHIFT * x) - sine * (centre + MAX_SHIFT * y))
    top = centre - (sine * (centre + MAX_SHIFT * x) + cosine * (centre + MAX_SHIFT * y))
    zeros = tf.zeros_like(angle)
    # Pixel (x, y) of the result is pixel (a x + b y + c, d x + e y + f) of the input.
    transforms = tf.stack([cosine, -sine, left, sine, cosine, top, zeros, zeros], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=transforms, output_shape=(SIZE, SIZE), fill_value=0.0,
        interpolation="BILINEAR", fill_mode="CONSTANT",
    )


def training_batches(
    split: Split, batch_size: int, seed: int, start_step: int = 0, augmented: bool = False
) -> tf.data.Dataset:
    """Returns the endless stream of shuffled batches; batch k is a pure function of (seed, k).

    Returns:
        Elements `(images, labels)`: float32 (batch_size, 28, 28, 1) in [0, 1], int64 (batch_size,).
    """
    images, labels = tf.constant(split.images), tf.constant(split.labels)

    def batch(step: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = scale(tf.gather(images, indices))
        if augmented:
            chosen = augment(chosen, tf.stack([tf.cast(seed, tf.int64), step]))
        return chosen, tf.gather(labels, indices)

    indices = inputs.index_batches(len(split.labels), batch_size, seed, start_step)
    return inputs.finish(indices.map(batch, num_parallel_calls=tf.data.AUTOTUNE))


def evaluation_batches(split: Split, batch_size: int = 500) -> tf.data.Dataset:
    """Returns a stream with each image exactly once, in order."""
    examples = tf.data.Dataset.from_tensor_slices(tuple(split))
    return inputs.finish(examples.batch(batch_size).map(lambda x, y: (scale(x), y)))


def quantile(ordered: tf.Tensor, fraction: float) -> tf.Tensor:
    """Returns a quantile of sorted values."""
    last = tf.cast(tf.size(ordered) - 1, tf.float32)
    return ordered[tf.cast(tf.round(fraction * last), tf.int32)]


def lift_ink(ink: tf.Tensor, border: tf.Tensor) -> tf.Tensor:
    """Subtracts the paper from light ink on a dark ground, and stretches the rest to [0, 255].

    Noise and shading of the paper extend as far above the median of the border as below it. What
    is higher is ink, which may touch the border. A contrast below MIN_CONTRAST is no ink.

    Args:
        ink: float32 of shape (height, width).
        border: the values of its outermost pixels.
    """
    border = tf.sort(border)
    paper = 2 * quantile(border, 0.5) - quantile(border, 0.01)
    ink = tf.maximum(ink - paper, 0)
    contrast = tf.reduce_max(ink)
    return tf.where(contrast < MIN_CONTRAST, 0.0, 255 * ink / tf.maximum(contrast, 1))


def prepare_image(image: tf.Tensor, centre: bool) -> tf.Tensor:
    """Converts any image to the form of the training images.

    Dark ink on a light background is inverted. With `centre` the paper is subtracted, and the ink
    is cropped, resized to fit 20x20 and placed in 28x28 by its centre of mass, as MNIST was made.
    Without it, the whole image is resized to fit 28x28.

    Args:
        image: of shape (height, width, 3), any size, in [0, 255].
        centre: whether to separate, crop and centre the ink.

    Returns:
        uint8 of shape (28, 28).
    """
    ink = tf.image.rgb_to_grayscale(tf.cast(image, tf.float32))[..., 0]
    middle = (tf.reduce_min(ink) + tf.reduce_max(ink)) / 2 if centre else 127.5
    border = tf.concat([ink[0], ink[-1], ink[:, 0], ink[:, -1]], axis=0)
    inverted = tf.reduce_mean(border) > middle
    ink, border = (tf.where(inverted, 255.0 - values, values) for values in (ink, border))
    if centre:
        ink = lift_ink(ink, border)
        marks = tf.where(ink > 0.3 * tf.reduce_max(ink))  # (count, 2), rows and columns of ink
        marks = tf.cond(tf.size(marks) > 0, lambda: marks, lambda: tf.zeros((1, 2), tf.int64))
        (top, left), (bottom, right) = (tf.unstack(f(marks, axis=0)) for f in
                                        (tf.reduce_min, tf.reduce_max))
        ink = ink[top : bottom + 1, left : right + 1]
    box = 20 if centre else SIZE
    size = tf.cast(tf.shape(ink), tf.float32)
    size = tf.cast(tf.maximum(tf.round(size * box / tf.reduce_max(size)), 1), tf.int32)
    ink = tf.image.resize(ink[..., None], size, antialias=True)
    ink = tf.clip_by_value(ink, 0, 255)
    middle = size // 2
    if centre:
        rows, columns = (tf.range(n, dtype=tf.float32) for n in tf.unstack(size))
        mass = tf.reduce_sum(ink) + 1e-6
        middle = tf.cast(tf.round(tf.stack([
            tf.reduce_sum(ink[..., 0] * rows[:, None]) / mass,
            tf.reduce_sum(ink[..., 0] * columns) / mass])), tf.int32)
    top, left = tf.unstack(tf.clip_by_value(SIZE // 2 - middle, 0, SIZE - size))
    canvas = tf.image.pad_to_bounding_box(ink, top, left, SIZE, SIZE)
    return tf.cast(tf.round(canvas[..., 0]), tf.uint8)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that select a data set and its folder."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=[*OFFLINE, *SOURCES], default="digits",
                       help="digits: scikit-learn's 1,797, offline; others: from four idx files")
    group.add_argument("--data_dir", type=cli.path, help="folder of the idx files, downloaded "
                       "there if missing (default: data/<dataset> in the repository)")
    group.add_argument("--tfds", action=argparse.BooleanOptionalAction, default=False,
                       help="read the data set through tensorflow-datasets, from --data_dir")


def load(flags: argparse.Namespace) -> dict[str, Split]:
    """Loads the data set that the flags of `add_flags` select.

    Raises:
        UserError: the data set cannot be read, or a folder is given for one that needs none.
    """
    if flags.dataset in OFFLINE and (flags.data_dir or flags.tfds):
        raise UserError(f"--dataset {flags.dataset} is read neither from a folder nor from tfds",
                        "add --dataset mnist, or omit --data_dir and --tfds")
    if flags.dataset == "digits":
        return load_digits()
    folder = Path(flags.data_dir or files.default_dir(flags.dataset))
    return load_tfds(flags.dataset, folder) if flags.tfds else load_idx(folder, flags.dataset)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the splits and one batch; returns the exit status."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        splits = load(args)
        for name, split in splits.items():
            print(f"{name}: images {split.images.shape} {split.images.dtype}, "
                  f"labels {split.labels.shape}, per class {np.bincount(split.labels)}")
        for images, labels in training_batches(splits["train"], 5, seed=0).take(1):
            print("one batch:", images.shape, [label_names(args.dataset)[i] for i in labels])
            for row in images.numpy()[:, ::2, :, 0].transpose(1, 0, 2):
                print("  ".join("".join(" .:*#"[int(v * 4.99)] for v in part) for part in row))

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
