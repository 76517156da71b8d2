"""Sharp pictures and the small ones that are made of them: the data sets, the training stream.

    python data.py                                          # pictures drawn by code
    python data.py --dataset photos --data_dir FOLDER       # photographs of your own
    python data.py --factor 2 --degradation real

Prints the numbers of pictures, and draws pairs of patches, augmented as in training. Of the drawn
test pictures it also writes a small one, small.png, for upscale.py.
"""

import argparse
import functools
import itertools
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.datasets
import tensorflow as tf

from chapter10_super_resolution import degradation, drawn
from chapter10_super_resolution.pictures import (
    Pictures,
    find_pictures,
    of_arrays,
    of_files,
    shrink,
)
from common import cli, files, images, inputs, rundir
from common.errors import UserError, exit_status

DRAWN = {"train": 120, "validation": 6, "test": 24}  # pictures
DRAWN_SIZE = 144  # 2, 3 and 4 divide it
MIN_TEST = 16  # smallest side of a test picture, so that SSIM has its window within the border

OFFLINE = {
    "drawn": "pictures drawn by code, and scikit-learn's two photographs to train on; other drawn "
             "pictures for validation and test",
    "photos": "photographs of your own in `--data_dir`, subfolders included; `train` and `val`, or "
              "a share is held out for validation. `eval.py --test_dir` names others",
}
SOURCES = {
    "coco": files.Source(
        "The book's photographs, COCO train2014: 82,783 images, 13 GB; the annotations are CC BY "
        "4.0, the photographs have licences of their own. "
        "[train2014.zip](http://images.cocodataset.org/zips/train2014.zip), for `prepare.py`; any "
        "few hundred photographs do as well", (), looked_for=False),
    "DIV2K": files.Source(
        "The papers' photographs: 800 + 100 PNG files of 2 megapixels, for research. "
        "[DIV2K_train_HR.zip](http://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_train_HR.zip) (3.5 GB) "
        "and DIV2K_valid_HR.zip of the same host: unpack them to `train` and `val` of a folder, "
        "then `--dataset photos --data_dir FOLDER`", ()),
    "imagenet_photos": files.Source(
        "60 photographs, one each of 60 classes, of [imagenet-sample-images]"
        "(https://github.com/EliSchwartz/imagenet-sample-images): the published runs", (),
        looked_for=False),
    "flickr8k": files.Source(
        "A sample of 400 of Flickr8k (Hodosh et al. 2013), of which 129 are large enough, in [data/"
        "images](https://github.com/quantumnaan/sic_translator): the published runs, too", (),
        looked_for=False),
    "Set5": files.Source(
        "The five test pictures of Bevilacqua et al. (2012) in PNG or BMP, for `eval.py --test_dir "
        "Set5`, as [SRCNN-Tensorflow](https://github.com/tegg89/SRCNN-Tensorflow) has them in "
        "Test/Set5", (), looked_for=False),
}


class Data(NamedTuple):
    """A data set by splits; photographs have no test split of their own."""

    train: Pictures
    validation: Pictures
    test: Pictures | None

    @property
    def digest(self) -> str:
        """The sha256 of names and sizes of the training and validation files, or of drawings."""
        return files.sha256(os.fsencode("\n".join([self.train.digest, self.validation.digest])))


class Pair(NamedTuple):
    """A sharp picture, cut to a multiple of the factor, and the small one made of it; both uint8.

    In training, batches of patches of them.
    """

    sharp: np.ndarray
    small: np.ndarray


@functools.cache
def load_drawn() -> Data:
    """Draws the pictures; the photographs, which are JPEGs, are reduced by 2."""
    shift, splits = 0, {}
    for split, count in DRAWN.items():
        splits[split] = {f"drawing {i}": drawn.draw_picture(i, DRAWN_SIZE)
                         for i in range(shift, shift + count)}
        shift += count
    for name in ("china.jpg", "flower.jpg"):
        splits["train"][name] = shrink(sklearn.datasets.load_sample_image(name), 2)
    return Data(*map(of_arrays, splits.values()))


def divide(folder: Path, args: argparse.Namespace) -> tuple[list[Path], list[Path]]:
    """Returns the photographs of a folder to train on, and for validation.

    These are its subfolders `train` and `val`; without them, a share is held out.
    """
    find = functools.partial(find_pictures, reduce_jpegs=args.reduce_jpegs,
                             least=least_side(args))
    if (folder / "train").is_dir() and (folder / "val").is_dir():
        return find(folder / "train"), find(folder / "val")
    found = find(folder)
    count = max(1, round(args.hold_out * len(found)))
    out = set(np.linspace(0, len(found) - 1, count).astype(int).tolist()) if found else set()
    return ([path for i, path in enumerate(found) if i not in out],
            [path for i, path in enumerate(found) if i in out])


def least_side(args: argparse.Namespace) -> int:
    """Returns how many pixels a photograph has at least on each side."""
    return max(MIN_TEST, args.patch_size) * args.factor


def folders_of(text: str) -> list[Path]:
    """Returns the folders that `--data_dir` names; the name of a single one may have commas."""
    return [Path(text)] if Path(text).is_dir() else list(map(Path, text.split(",")))


def load_photos(args: argparse.Namespace) -> Data:
    """Loads the photographs of one or several folders.

    Raises:
        UserError: there are too few, or one is there twice.
    """
    divided = [divide(folder, args) for folder in folders_of(args.data_dir)]
    train, validation = (list(itertools.chain(*parts)) for parts in zip(*divided, strict=True))
    if not train or not validation:
        raise UserError(
            f"{args.data_dir} has {len(train)} pictures to train on and {len(validation)} for "
            f"validation of at least {least_side(args)} pixels a side",
            "give at least two, or lower --patch_size")
    if twice := [path for path, times in Counter(train + validation).items() if times > 1]:
        raise UserError(f"{twice[0]} is there twice: --data_dir {args.data_dir} names a folder and "
                        "a part of it", "give each folder once")
    return Data(of_files(train, args.reduce_jpegs), of_files(validation, args.reduce_jpegs), None)


def check(args: argparse.Namespace) -> None:
    """Raises UserError if the flags of the data contradict each other."""
    if args.dataset == "drawn":
        cli.refuse_idle(args, ["data_dir", "hold_out", "reduce_jpegs"], "--dataset drawn")
        if args.patch_size * args.factor > DRAWN_SIZE:
            raise UserError(
                f"--patch_size {args.patch_size} with --factor {args.factor}: drawn pictures have "
                f"{DRAWN_SIZE} pixels a side", f"give at most {DRAWN_SIZE // args.factor}")
    elif not args.data_dir:
        raise UserError("--dataset photos without --data_dir", "give a folder of photographs")


def load(args: argparse.Namespace) -> Data:
    """Loads the data set that the flags of `add_flags` choose.

    Raises:
        UserError: it cannot be read, or has too few pictures.
    """
    check(args)
    return load_drawn() if args.dataset == "drawn" else load_photos(args)


def load_test(folder: Path, factor: int) -> Pictures:
    """Loads test pictures as they are, such as those of Set5.

    Raises:
        UserError: there are none.
    """
    if not (found := find_pictures(folder, 1, MIN_TEST * factor)):
        raise UserError(f"{folder} has no pictures", "check --test_dir")
    return of_files(found, 1)


def make_pair(picture: np.ndarray, factor: int, kind: str, number: int = 0) -> Pair:
    """Returns a picture and the small one made of it.

    Args:
        picture: uint8 of shape (height, width, 3).
        factor: of the reduction.
        kind: of `degradation.KINDS`.
        number: seed of what "real" draws at random.
    """
    sharp = degradation.cut_to_multiple(picture, factor)
    return Pair(sharp, degradation.degrade(sharp, factor, kind, np.random.default_rng(number)))


def pairs_of(found: Pictures, factor: int, kind: str) -> Iterator[tuple[str, Pair]]:
    """Reads all pictures of a split, and makes the small ones; lists those that break off.

    Yields:
        The name of a picture, and the pair.

    Raises:
        UserError: none can be decoded.
    """
    empty = True
    for number, name in enumerate(found.names):
        try:
            pair = make_pair(found.read(number), factor, kind, zlib.crc32(os.fsencode(name)))
        except UserError as error:
            inputs.tell_left_out(str(error))
        else:
            empty = False
            yield name, pair
    if empty:
        raise UserError(f"none of the pictures can be decoded: {found.names[0]} ...",
                        "give complete PNG or JPEG files")


def make_reader(found: Pictures, factor: int) -> Callable[[int], Pair]:
    """Returns a function that reads a picture and reduces it, and keeps both in memory."""
    return inputs.keep_in_memory(
        lambda i: make_pair(found.read(i), factor, "bicubic"), len(found.names))


def turn(picture: np.ndarray, number: int) -> np.ndarray:
    """Rotates a picture by number % 4 right angles and, from number 4 on, mirrors it."""
    rotated = np.rot90(picture, number % 4)
    return rotated[:, ::-1] if number >= 4 else rotated


def turn_back(picture: np.ndarray, number: int) -> np.ndarray:
    """Undoes `turn`."""
    return np.rot90(picture[:, ::-1] if number >= 4 else picture, -(number % 4))


def cut_patch(pair: Pair, size: int, kind: str, rng: np.random.Generator) -> Pair:
    """Cuts a random patch out of both pictures, and turns it at random.

    A bicubic reduction is cut out of the small picture, where the patch has neighbours. "real"
    degrades each patch for itself, each time anew.
    """
    factor = pair.sharp.shape[0] // pair.small.shape[0]
    top, left = (int(rng.integers(side - size + 1)) for side in pair.small.shape[:2])
    small = pair.small[top : top + size, left : left + size]
    top, left, side = top * factor, left * factor, size * factor
    sharp = pair.sharp[top : top + side, left : left + side]
    if kind != "bicubic":
        small = degradation.degrade(sharp, factor, kind, rng)
    number = int(rng.integers(8))
    return Pair(turn(sharp, number), turn(small, number))


def training_batches(
    found: Pictures, args: argparse.Namespace, start_step: int = 0
) -> tf.data.Dataset:
    """Returns the endless stream of shuffled, augmented batches of patches.

    Batch k is a pure function of (seed, k), so that training can resume at any step.

    Returns:
        Elements Pair(sharp, small), float32 in [0, 255], of shape (batch_size, patch_size * factor,
        patch_size * factor, 3) and (batch_size, patch_size, patch_size, 3).
    """
    size, factor = args.patch_size, args.factor
    read = make_reader(found, factor)

    def cut(index: np.int64, key: np.ndarray) -> Pair:
        patch = cut_patch(read(int(index)), size, args.degradation, np.random.default_rng(key))
        return Pair(*map(np.ascontiguousarray, patch))

    def example(index: tf.Tensor, key: tf.Tensor) -> Pair:
        sharp, small = tf.numpy_function(cut, [index, key], [tf.uint8, tf.uint8], stateful=False)
        return Pair(
            tf.cast(tf.ensure_shape(sharp, (size * factor, size * factor, 3)), tf.float32),
            tf.cast(tf.ensure_shape(small, (size, size, 3)), tf.float32))

    examples = inputs.example_indices(len(found.names), args.batch_size, args.seed, start_step)
    examples = examples.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return inputs.finish(examples.batch(args.batch_size, drop_remainder=True))


def paths(text: str) -> str:
    """Returns absolute paths, separated by commas (argparse `type`)."""
    return ",".join(cli.path(str(folder)) for folder in folders_of(text))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the pictures, and what small ones are made of them."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="drawn",
                       help="drawn: pictures drawn by code, offline; photos: those in --data_dir")
    group.add_argument("--data_dir", type=paths, metavar="FOLDER[,FOLDER]",
                       help="folders of photographs, subfolders included")
    group.add_argument("--hold_out", type=cli.number(float, 0.01, 0.9, "a number from 0.01 to 0.9"),
                       default=0.1, help="share of the photographs held out for validation")
    group.add_argument("--reduce_jpegs", type=cli.number(int, 1, 8, "a whole number from 1 to 8"),
                       default=2,
                       help="photographs in JPEG files are first reduced by this factor, because "
                            "their artefacts would be learned")
    group.add_argument("--factor", type=int, choices=[2, 3, 4], default=4,
                       help="how many times larger pictures become")
    group.add_argument("--degradation", choices=degradation.KINDS, default="bicubic",
                       help="how small pictures are made: bicubic reduction; real: with blur, "
                            "noise and JPEG, for real photographs")
    group.add_argument("--patch_size", type=cli.number(int, 8, 512, "a number from 8 to 512"),
                       default=24, help="height and width of the small patches in pixels")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the data set and draws a sheet of enlarged small patches, and sharp ones below."""

    def show() -> None:
        parser = build_parser()
        args = parser.parse_args(argv)
        args.typed, args.seed, args.batch_size = cli.typed_flags(parser, argv), 0, 8
        found = load(args)
        print(f"{len(found.train.names):,} pictures to train on, {len(found.validation.names):,} "
              f"for validation, {len(found.test.names) if found.test else 0:,} to test on")
        sharp, small = (np.uint8(part) for part in next(iter(training_batches(found.train, args))))
        enlarged = [patch.repeat(args.factor, 0).repeat(args.factor, 1) for patch in small]
        name = f"patches-{args.dataset}-x{args.factor}-{args.degradation}.png"
        png = rundir.runs_dir() / "chapter10_super_resolution" / name
        images.write_png(png, images.grid([*enlarged, *sharp], args.batch_size))
        print(f"{png}: small patches, and the sharp ones below them")
        if found.test:
            example = make_pair(found.test.read(0), args.factor, args.degradation).small
            images.write_png(png.with_name("small.png"), example)
            print(f"{png.with_name('small.png')}: a picture to enlarge")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
