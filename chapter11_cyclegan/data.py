"""Two domains of images without pairs: the data sets, their splits, the training stream.

    python data.py                                              # apples and oranges drawn by code
    python data.py --dataset folders --data_dir monet2photo     # trainA, trainB, testA, testB
    python data.py --dataset tfrecords --X apple.tfrecords --Y orange.tfrecords

Prints the numbers of images, and draws some of both domains, augmented as in training. Of the drawn
scenes it also writes one of the test split, apples.png, for translate.py.
"""

import argparse
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from chapter11_cyclegan import drawn, records
from chapter11_cyclegan.domains import (
    Domain,
    Split,
    fold_of,
    hold_out,
    load_folders,
    of_array,
)
from common import cli, files, images, inputs, rundir
from common.errors import UserError, exit_status

DRAWN = {"train": 200, "test": 60}  # images of each domain
DRAWN_SIZE = 64
FEWEST = 2  # images of a domain
SHOWN = 8
LOCATIONS = "data_dir", "X", "Y"  # flags that say where the images are

NAMES = ("apple2orange (996 apples, 1,020 oranges), horse2zebra (939, 1,177), "
         "summer2winter_yosemite (1,273, 854), monet2photo (1,074, 6,853), cezanne2photo (584, "
         "6,853), ukiyoe2photo (1,433, 6,853), vangogh2photo (401, 6,853), iphone2dslr_flower "
         "(1,813, 3,316), maps, cityscapes, facades, ae_photos")
OFFLINE = {
    "drawn": "scenes drawn by code: X with apples, Y with oranges; the true translation of each is "
             "known",
    "folders": "images of any format and size in `trainA`, `trainB`, and if there are any `testA`, "
               "`testB`, of `--data_dir`; A is X, B is Y",
    "tfrecords": "two files that `build_data.py` or the original wrote: `--X`, `--Y`",
}
SOURCES = {
    "apple2orange": files.Source(
        "The book's first data set, and the others that the original's download script names "
        f"(images of A and B, as the paper counts them): {NAMES}. Unpack a file; `--dataset "
        "folders --data_dir apple2orange`, or `build_data.py` as in the book. [apple2orange.zip](http://"
        "efrosgans.eecs.berkeley.edu/cyclegan/datasets/apple2orange.zip) (75 MB); the same host "
        "has the others under their names. tensorflow-datasets has them as `cycle_gan/NAME`", ()),
    "man2woman": files.Source(
        "The book's own data set: photographs of men and of women among the first 20,000 of "
        "CelebA, resized to 256 x 256, in two folders for `build_data.py`, by a "
        "file share. Any two folders of photographs take "
        "its place", (), looked_for=False),
    "monet2photo": files.Source(
        "121 paintings by Monet and 121 photographs of landscapes, 256 x 256: all paintings and "
        "every sixth photograph of the test images of the set of that name, in `trainA`, `testA`, "
        "`trainB`, `testB`. `--fold 0` and `--fold 1` train on one half each", (),
        looked_for=False),
}


class Data(NamedTuple):
    """A data set.

    Attributes:
        train: what the networks see.
        test: for eval.py.
        truth: the true translations of the test images, where they are known: `x` are those of
            `test.x`, images of Y.
    """

    train: Split
    test: Split
    truth: Split | None = None

    @property
    def digest(self) -> str:
        """The sha256 of what is read."""
        return files.sha256(os.fsencode("\n".join(
            domain.digest for split in (self.train, self.test) for domain in split)))


@functools.cache
def draw_split(start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns scenes with apples, and the same with oranges."""
    return drawn.draw_scenes(start, count, DRAWN_SIZE)


def load_drawn() -> Data:
    """Draws apples and oranges. No scene of the one domain is one of the other."""
    train, test = DRAWN["train"], DRAWN["test"]
    starts = np.cumsum([0, train, train, test])
    apples, oranges, of_x, of_y = (draw_split(int(start), count) for start, count in
                                   zip(starts, (train, train, test, test), strict=True))
    return Data(Split(of_array(apples[0], "apples"), of_array(oranges[1], "oranges")),
                Split(of_array(of_x[0], "apples"), of_array(of_y[1], "oranges")),
                Split(of_array(of_x[1], "oranges"), of_array(of_y[0], "apples")))


def check(args: argparse.Namespace) -> None:
    """Raises UserError if the flags of the data contradict each other; completes --scale_size."""
    needed = {"drawn": (), "folders": ("data_dir",), "tfrecords": ("X", "Y")}[args.dataset]
    idle = {"data_dir", "X", "Y"} - set(needed)
    idle |= {"fold", "hold_out"} if args.dataset == "drawn" else set()
    cli.refuse_idle(args, sorted(idle), f"--dataset {args.dataset}")
    if missing := [flag for flag in needed if not vars(args)[flag]]:
        raise UserError(f"--dataset {args.dataset} without --{' and --'.join(missing)}",
                        "give it, or take --dataset drawn")
    if args.fold is not None:
        cli.refuse_idle(args, ["hold_out"], f"--fold {args.fold}")
    args.scale_size = args.scale_size or args.image_size
    if args.scale_size < args.image_size:
        raise UserError(f"--scale_size {args.scale_size} is below --image_size {args.image_size}",
                        "images are resized to --scale_size before --image_size is cropped")


def check_enough(train: Split) -> None:
    """Raises UserError if a domain has too few images to train on."""
    for name, domain in zip("XY", train, strict=True):
        if len(domain.names) < FEWEST:
            count = f"{len(domain.names)} training images" if domain.names else "no training image"
            raise UserError(f"domain {name} has {count.replace('1 training images', 'only one')}",
                            "a domain is learnt from a few hundred images; check the folders, "
                            "and --hold_out")


def load(args: argparse.Namespace) -> Data:
    """Loads the data set that the flags of `add_flags` choose.

    Raises:
        UserError: it cannot be read, or a domain has too few images.
    """
    check(args)
    if args.dataset == "drawn":
        return load_drawn()
    if args.dataset == "folders":
        train, test = load_folders(Path(args.data_dir))
    else:
        train, test = Split(*(Domain(*records.read(Path(file))) for file in (args.X, args.Y))), None
    check_enough(train)
    if args.fold is not None:
        found = Data(*fold_of(train, test, args.fold))
    elif test is None:
        found = Data(*hold_out(train, args.hold_out))
    elif not (test.x.names and test.y.names):
        raise UserError(f"testA has {len(test.x.names)} images, testB {len(test.y.names)}",
                        "give test images of both domains, or remove both folders")
    else:
        found = Data(train, test)
    check_enough(found.train)
    return found


def resize(picture: np.ndarray, size: int) -> np.ndarray:
    """Resizes an image to a square: by means over areas where it shrinks, else bilinearly.

    Args:
        picture: uint8 of shape (height, width, 3).
        size: height and width in pixels.
    """
    height, width = picture.shape[:2]
    shrunk = cv2.resize(picture, (min(size, width), min(size, height)),
                        interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR)


def make_reader(domain: Domain, size: int) -> Callable[[int], np.ndarray]:
    """Returns a function that reads and resizes an image by its number, and keeps it in memory."""
    return inputs.keep_in_memory(lambda i: resize(domain.read(i), size), len(domain.names))


def read_all(domain: Domain, size: int, most: int | None = None) -> tuple[list[str], np.ndarray]:
    """Reads images, resized as for testing; lists those that cannot be decoded.

    Args:
        domain: the images.
        size: height and width in pixels.
        most: number of images, evenly spread over the domain; None: all.

    Returns:
        Their names, and uint8 of shape (count, size, size, 3).

    Raises:
        UserError: none can be decoded.
    """
    count = len(domain.names)
    numbers = np.linspace(0, count - 1, min(most or count, count)).astype(int)
    names, pictures = [], []
    for number in numbers:
        try:
            pictures.append(resize(domain.read(int(number)), size))
            names.append(domain.names[number])
        except UserError as error:
            inputs.tell_left_out(str(error))
    if not names:
        raise UserError(f"none of the images can be decoded: {domain.names[0]} ...",
                        "give complete PNG or JPEG files")
    return names, np.stack(pictures)


def scale(pictures: np.ndarray) -> np.ndarray:
    """Maps [0, 255] to [-1, 1], float32."""
    return np.float32(pictures) / 127.5 - 1


def to_uint8(pictures: np.ndarray) -> np.ndarray:
    """Maps [-1, 1] to [0, 255], uint8."""
    return np.uint8(np.clip(np.rint((np.asarray(pictures) + 1) * 127.5), 0, 255))


def augment(picture: tf.Tensor, key: tf.Tensor, size: int, flip: bool) -> tf.Tensor:
    """Cuts a random window out of an image, and mirrors half of them.

    Args:
        picture: uint8 of shape (scale_size, scale_size, 3).
        key: int64 of shape (2,), of the random numbers.
        size: height and width of the window.
        flip: whether to mirror.

    Returns:
        float32 of shape (size, size, 3) in [-1, 1].
    """
    draws = tf.random.stateless_uniform((3,), key)
    room = tf.cast(picture.shape[0] - size + 1, tf.float32)
    top, left = tf.unstack(tf.cast(draws[:2] * room, tf.int32))
    window = picture[top : top + size, left : left + size]
    if flip:
        window = tf.where(draws[2] < 0.5, window[:, ::-1], window)
    return tf.ensure_shape(tf.cast(window, tf.float32) / 127.5 - 1, (size, size, 3))


def training_batches(
    split: Split, args: argparse.Namespace, start_step: int = 0
) -> tf.data.Dataset:
    """Returns the endless stream of augmented batches of both domains, shuffled independently.

    Batch k is a pure function of (seed, k), so that training can resume at any step.

    Returns:
        Elements (x, y), float32 of shape (batch_size, image_size, image_size, 3) in [-1, 1].
    """
    def stream(domain: Domain, seed: int) -> tf.data.Dataset:
        read, size = make_reader(domain, args.scale_size), args.scale_size

        def example(index: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
            picture = tf.numpy_function(lambda i: read(int(i)), [index], tf.uint8, stateful=False)
            return augment(tf.ensure_shape(picture, (size, size, 3)), key, args.image_size,
                           args.flip)

        examples = inputs.example_indices(len(domain.names), args.batch_size, seed, start_step)
        return examples.map(example, num_parallel_calls=tf.data.AUTOTUNE).batch(
            args.batch_size, drop_remainder=True)

    both = (stream(domain, 2 * args.seed + i) for i, domain in enumerate(split))
    return inputs.finish(tf.data.Dataset.zip(tuple(both)))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the images and their augmentation."""
    group = parser.add_argument_group("data")
    side = cli.number(int, 16, 4096, "a whole number from 16 to 4096")
    group.add_argument("--dataset", choices=list(OFFLINE), default="drawn",
                       help="drawn: apples and oranges drawn by code, offline; folders: trainA, "
                            "trainB ...; tfrecords: two files of build_data.py")
    group.add_argument("--data_dir", type=cli.path, help="folder of trainA and trainB")
    group.add_argument("--X", type=cli.path, metavar="FILE", help="TFRecords of the first domain")
    group.add_argument("--Y", type=cli.path, metavar="FILE", help="TFRecords of the second domain")
    group.add_argument("--hold_out", type=cli.number(float, 0.01, 0.9, "a number from .01 to .9"),
                       default=0.1, help="share of the images that is the test split where the "
                                         "data set has none")
    group.add_argument("--fold", type=int, choices=[0, 1],
                       help="divide all images, those of the test split too, into two halves, and "
                            "test on this one; two runs then translate all images")
    group.add_argument("--image_size", type=side, default=256,
                       help="height and width of the images in pixels, a multiple of 4")
    group.add_argument("--scale_size", type=side,
                       help="images are resized to this height and width, and --image_size is "
                            "cropped (default: no crop)")
    group.add_argument("--flip", action=argparse.BooleanOptionalAction, default=False,
                       help="mirror half of the images")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.set_defaults(image_size=None)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the data set and draws a sheet of both domains."""
    def show() -> None:
        parser = build_parser()
        args = parser.parse_args(argv)
        args.typed, args.seed, args.batch_size = cli.typed_flags(parser, argv), 0, SHOWN
        args.image_size = args.image_size or (DRAWN_SIZE if args.dataset == "drawn" else 128)
        found = load(args)
        for name, split in (("train on", found.train), ("test on", found.test)):
            print(f"to {name}: {len(split.x.names):,} images of X, {len(split.y.names):,} of Y")
        sheet = np.concatenate([to_uint8(batch) for batch in
                                next(iter(training_batches(found.train, args)))])
        folder = rundir.runs_dir() / "chapter11_cyclegan"
        png = folder / f"domains-{args.dataset}.png"
        images.write_png(png, images.grid(sheet, SHOWN))
        print(f"{png}: X, and Y below")
        if args.dataset == "drawn":
            images.write_png(folder / "apples.png", found.test.x.read(0))
            print(f"{folder / 'apples.png'}: a scene to translate")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
