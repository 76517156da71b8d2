"""Images to learn from: digits, drawn faces, any folder; splits and batches.

    python data.py                                      # the digits included in scikit-learn
    python data.py --dataset faces                      # cartoon faces drawn by code
    python data.py --dataset mnist --data_dir FOLDER    # the four idx files, plain or .gz
    python data.py --dataset folder --data_dir FOLDER --crop --input_height 108

Prints the splits, and draws one batch.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from chapter01_mnist import data as digits
from chapter06_face import cartoon
from common import cli, files, images, inputs, rundir
from common.errors import UserError, exit_status

FACES_SEED = 0  # all runs see the same faces
HELD_OUT = 8  # one in so many images is for validation, and as many for the test
MOST_HELD_OUT = 5000
SMALLEST, LARGEST = 16, 512  # sides in pixels
SIZE = 64  # default height of faces and folders
READ = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
OF_DIGITS = ("digits", "mnist", "fashion_mnist")
OF_FOLDERS = ("input_height", "input_width", "crop", "input_fname_pattern", "channels")

OFFLINE = {"digits": digits.OFFLINE["digits"] + "; labelled",
           "faces": "chapter 6's cartoon faces, drawn by code; labelled: smile, glasses, long hair",
           "folder": "images of any format and size in a folder, given by `--data_dir`; "
                     "`--conditional` takes the subfolders as labels"}
SOURCES = {
    "mnist": digits.SOURCES["mnist"],
    "fashion_mnist": digits.SOURCES["fashion_mnist"],
    "anime": files.Source(
        "The book's faces of anime characters, JPEGs of 96x96. Any folder of aligned faces takes "
        "their place: `--dataset folder --data_dir FOLDER --input_height 96 --output_height 48 "
        "--crop`", ()),
    "celeba": files.Source(
        "CelebA (Liu et al. 2015): 202,599 aligned faces of 178x218, for research, from its "
        "[authors](http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html) (`img_align_celeba.zip`). "
        "`--dataset folder --data_dir img_align_celeba --input_height 108 --crop`; "
        "25 kB of memory per image", ()),
}


class Split(NamedTuple):
    """Images and labels of a split.

    Attributes:
        images: uint8 of shape (examples, height, width, channels).
        labels: int64 of shape (examples,).
    """

    images: np.ndarray
    labels: np.ndarray


class Data(NamedTuple):
    """The splits of a data set.

    Attributes:
        train: what the networks see.
        validation: selects the best checkpoint; with --no-hold_out part of `train`, as the test.
        test: for eval.py.
        names: of the labels.
        digest: sha256 of all splits.
    """

    train: Split
    validation: Split
    test: Split
    names: tuple[str, ...]
    digest: str


def load_digits(flags: argparse.Namespace) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Loads digits or garments through chapter 1."""
    chosen = argparse.Namespace(dataset=flags.dataset, data_dir=flags.data_dir, tfds=False)
    splits = {name: Split(split.images[..., None], split.labels)
              for name, split in digits.load(chosen).items()}
    return splits, digits.label_names(flags.dataset)


def draw_faces(count: int, size: int) -> tuple[Split, tuple[str, ...]]:
    """Draws cartoon faces of different people; the label numbers the combination of attributes."""
    pictures, labels, attributes = [], [], {}
    for number in range(count):
        rng = np.random.default_rng([FACES_SEED, number])
        person, look = cartoon.random_person(rng), cartoon.random_look(rng)
        attributes = cartoon.attributes(person, look)
        pictures.append(cartoon.render(person, look, size, rng))
        labels.append(sum(2**bit for bit, has in enumerate(attributes.values()) if has))
    combinations = ([name for bit, name in enumerate(attributes) if label >> bit & 1]
                    for label in range(2 ** len(attributes)))
    names = tuple("+".join(found) or "plain" for found in combinations)
    return Split(np.stack(pictures), np.array(labels, np.int64)), names


def crop_centre(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the central pixels of an image that is at least as large."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes an image: sides that shrink by means over areas, sides that grow linearly."""
    smaller = min(width, image.shape[1]), min(height, image.shape[0])
    shrunk = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)


def read(path: Path, flags: argparse.Namespace) -> np.ndarray | UserError:
    """Reads an image, crops its centre with `--crop`, and resizes it.

    Returns:
        uint8 of shape (output_height, output_width, channels), or the error.
    """
    try:
        image = images.read_image(path, "RGB" if flags.channels == 3 else "L")
        if flags.crop:
            if image.shape[0] < flags.input_height or image.shape[1] < flags.input_width:
                raise UserError(
                    f"{path} has {image.shape[1]} x {image.shape[0]} pixels, fewer than the crop: "
                    f"{flags.input_width} x {flags.input_height}", "lower --input_height")
            image = crop_centre(image, flags.input_height, flags.input_width)
    except UserError as error:
        return error
    height, width = flags.output_height, flags.output_width
    return resize(image, height, width).reshape(height, width, flags.channels)


def find_files(flags: argparse.Namespace) -> list[Path]:
    """Returns the files of `--data_dir` that `--input_fname_pattern` matches, or all images.

    Raises:
        UserError: there are none.
    """
    if not flags.data_dir:
        raise UserError("--dataset folder without --data_dir", "give a folder of images")
    folder, pattern = Path(flags.data_dir), flags.input_fname_pattern
    if pattern and (pattern.startswith("/") or not pattern.strip()):
        raise UserError(f"--input_fname_pattern {pattern!r} is not a pattern",
                        "give one relative to --data_dir, such as *.jpg or **/*.jpg")
    listed = images.list_folder(folder, recursive=True)
    try:
        chosen = set(folder.glob(pattern)) if pattern else {
            path for path in listed if path.suffix.lower() in READ}
    except ValueError as error:  # "**.jpg"
        raise UserError(f"--input_fname_pattern {pattern!r} is not a pattern: {error}",
                        "** is a whole folder, as in **/*.jpg") from error
    if not (found := [path for path in listed if path in chosen]):
        raise UserError(f"{folder} has no images" + f" that match {pattern}" * bool(pattern),
                        "give a folder of images, or another --input_fname_pattern")
    return found


def load_folder(flags: argparse.Namespace) -> tuple[Split, tuple[str, ...]]:
    """Loads a folder of images; the label of an image is its subfolder.

    Files that cannot be read are left out and listed; of equal images the first one is kept.

    Raises:
        UserError: no image can be read, or some are smaller than the crop.
    """
    paths = find_files(flags)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda path: read(path, flags), paths))
    errors = [result for result in results if isinstance(result, UserError)]
    if small := [error for error in errors if "than the crop" in str(error)]:
        raise UserError(f"{small[0]} ({len(small)} of {len(paths)} images are too small)",
                        "lower --input_height and --input_width, or omit --crop")
    for error in errors:
        print(f"left out: {error}", file=sys.stderr)
    kept: dict[bytes, tuple[np.ndarray, str]] = {}
    for path, image in zip(paths, results, strict=True):
        if not isinstance(image, UserError):
            parts = path.relative_to(flags.data_dir).parts
            kept.setdefault(hashlib.sha256(image.tobytes()).digest(),
                            (image, parts[0] if len(parts) > 1 else "."))
    if not kept:
        raise UserError(f"none of the {len(paths)} images in {flags.data_dir} can be read",
                        "give complete PNG or JPEG files")
    if equal := len(paths) - len(errors) - len(kept):
        print(f"left out: {equal} images that equal others", file=sys.stderr)
    pictures, folders = zip(*kept.values(), strict=True)
    names = tuple(sorted(set(folders)))
    return Split(np.stack(pictures), np.array([names.index(name) for name in folders])), names


def divide(whole: Split) -> dict[str, Split]:
    """Divides images, in an order that is random but fixed, into training, validation and test."""
    order = np.random.default_rng(0).permutation(len(whole.labels))
    count = min(MOST_HELD_OUT, len(order) // HELD_OUT)
    parts = {"validation": order[:count], "test": order[count : 2 * count],
             "train": order[2 * count :]}
    return {name: Split(whole.images[part], whole.labels[part]) for name, part in parts.items()}


def of_classes(split: Split, classes: int) -> Split:
    """Returns a split; all its labels are 0 if there are no classes."""
    return split if classes else Split(split.images, np.zeros_like(split.labels))


def load_splits(flags: argparse.Namespace) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Loads the splits of any data set, and the names of its labels."""
    if flags.dataset in OF_DIGITS:
        return load_digits(flags)
    whole, names = (draw_faces(flags.num_faces, flags.output_height)
                    if flags.dataset == "faces" else load_folder(flags))
    return divide(whole), names


def check_flags(flags: argparse.Namespace) -> None:
    """Sets the sizes and `conditional` where they are not given; refuses flags without effect."""
    if flags.dataset != "folder":
        cli.refuse_idle(flags, OF_FOLDERS, f"--dataset {flags.dataset}")
    if flags.dataset != "faces":
        cli.refuse_idle(flags, ["num_faces"], f"--dataset {flags.dataset}")
    if flags.dataset in OF_DIGITS:
        cli.refuse_idle(flags, ["output_height", "output_width"], f"--dataset {flags.dataset}")
    elif flags.dataset == "faces":
        cli.refuse_idle(flags, ["data_dir", "output_width"], "--dataset faces")
    elif not flags.crop:
        cli.refuse_idle(flags, ["input_height", "input_width"], "--no-crop")
    if flags.conditional is None:
        flags.conditional = flags.dataset in OF_DIGITS
    flags.output_height = flags.output_height or (
        digits.SIZE if flags.dataset in OF_DIGITS else SIZE)
    flags.output_width = flags.output_width or flags.output_height
    flags.input_width = flags.input_width or flags.input_height


def load(flags: argparse.Namespace) -> Data:
    """Loads the data set that the flags of `add_flags` choose.

    Raises:
        UserError: it cannot be read, or has too few images, or a flag has no effect.
    """
    check_flags(flags)
    splits, names = load_splits(flags)
    digest = files.sha256(*(array for split in splits.values() for array in split))
    train = splits["train"]
    if not flags.hold_out:
        rest = (split for name, split in splits.items() if name != "train")
        train = Split(*map(np.concatenate, zip(train, *rest, strict=True)))
    train = Split(*(array[: flags.train_size] for array in train))
    if len(splits["validation"].labels) < 4:
        raise UserError(f"{sum(len(split.labels) for split in splits.values())} images are too few",
                        f"give at least {4 * HELD_OUT}: one in {HELD_OUT} is for validation")
    if flags.conditional and len(names) < 2:
        raise UserError(f"--conditional, but all images have the label {names[0]}",
                        "give images in two subfolders or more, or --no-conditional")
    return Data(train, splits["validation"], splits["test"], names, digest)


def check_batch(split: Split, batch_size: int) -> None:
    """Raises UserError if there are fewer images than in a batch."""
    if len(split.labels) < batch_size:
        raise UserError(f"{len(split.labels)} training images are fewer than a batch: {batch_size}",
                        "lower --batch_size or --d_steps, or give more images")


def training_batches(
    split: Split, classes: int, batch_size: int, seed: int, start_step: int = 0, flip: bool = False
) -> tf.data.Dataset:
    """Returns the endless stream of shuffled batches; batch k is a pure function of (seed, k).

    Args:
        split: the training images.
        classes: number of labels, 0 for none.
        batch_size: images per batch.
        seed: of the order.
        start_step: number of batches to skip, which is the restored step.
        flip: whether to mirror half of the images, at random.

    Returns:
        Elements `(step, images)` or `(step, images, labels)`: uint8 images, one-hot labels.
    """
    pictures, labels = tf.constant(split.images), tf.constant(split.labels)

    def batch(step: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        chosen = tf.gather(pictures, indices)
        if flip:
            draws = tf.random.stateless_uniform((batch_size, 1, 1, 1), tf.stack([seed, step]))
            chosen = tf.where(draws < 0.5, chosen[:, :, ::-1], chosen)
        one_hot = [tf.one_hot(tf.gather(labels, indices), classes)] if classes else []
        return step, chosen, *one_hot

    indices = inputs.index_batches(len(split.labels), batch_size, seed, start_step)
    return inputs.finish(indices.map(batch, num_parallel_calls=tf.data.AUTOTUNE))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the images; the book's have their names."""
    group = parser.add_argument_group("data")
    side = cli.number(int, SMALLEST, LARGEST, f"a whole number from {SMALLEST} to {LARGEST}")
    group.add_argument("--dataset", choices=[*OF_DIGITS, "faces", "folder"], default="digits",
                       help="digits: scikit-learn's, offline; faces: drawn by code; mnist and "
                            "fashion_mnist: four idx files; folder: any images")
    group.add_argument("--data_dir", type=cli.path, help="folder of the idx files or images")
    group.add_argument("--conditional", action=argparse.BooleanOptionalAction, default=None,
                       help="labels are an input of both networks (default: for digits)")
    group.add_argument("--input_fname_pattern", metavar="PATTERN",
                       help="of the files in a folder, such as *.jpg or **/*.jpg (default: all "
                            "images, in subfolders too)")
    group.add_argument("--crop", action=argparse.BooleanOptionalAction, default=False,
                       help="cut the centre of --input_height x --input_width out of each image, "
                            "before it is resized")
    group.add_argument("--input_height", type=cli.size, default=108, help="of the crop, in pixels")
    group.add_argument("--input_width", type=cli.size,
                       help="of the crop, in pixels (default: --input_height)")
    group.add_argument("--output_height", "--image_size", type=side,
                       help=f"of what the networks see, in pixels (default: {SIZE})")
    group.add_argument("--output_width", type=side, help="in pixels (default: --output_height)")
    group.add_argument("--channels", type=int, choices=[1, 3], default=3,
                       help="of the images of a folder: 1 grey, 3 RGB")
    group.add_argument("--num_faces", type=cli.positive_int, default=4000,
                       help="cartoon faces to draw")
    group.add_argument("--train_size", type=cli.positive_int,
                       help="train on only so many images (default: all)")
    group.add_argument("--hold_out", action=argparse.BooleanOptionalAction, default=True,
                       help="keep validation and test images out of training; the original does "
                            "not")
    group.add_argument("--random_flip", action=argparse.BooleanOptionalAction, default=False,
                       help="mirror half of the training images")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the batch that is drawn")
    parser.set_defaults(typed={})
    return parser


def show(args: argparse.Namespace) -> None:
    """Prints the splits and draws a batch."""
    found = load(args)
    for name in ("train", "validation", "test"):
        split = getattr(found, name)
        counts = zip(found.names, np.bincount(split.labels, minlength=len(found.names)),
                     strict=True)
        print(f"{name}: {split.images.shape} {split.images.dtype}; "
              + ", ".join(f"{label} {count}" for label, count in list(counts)[:10]))
    batches = training_batches(found.train, 0, min(64, len(found.train.labels)), args.seed, 0,
                               args.random_flip)
    png = rundir.runs_dir() / "chapter08_dcgan" / f"batch-{args.dataset}.png"
    for _, batch in batches.take(1):
        images.write_png(png, images.grid(batch.numpy(), 8))
    print(f"a training batch: {png}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: show(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
