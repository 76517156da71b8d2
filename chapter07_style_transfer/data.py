"""Photographs to train on, the styles, and the training stream.

    python data.py                                          # two photographs of scikit-learn
    python data.py --dataset folder --data_dir FOLDER       # photographs of your own

Prints the photographs, and draws a sheet of training crops, held-out photographs, and the styles
that are drawn by code.
"""

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.datasets
import tensorflow as tf
from PIL import Image

from chapter07_style_transfer import styles
from chapter07_style_transfer.model import MIN_SIZE
from common import cli, files, images, inputs, rundir
from common.errors import UserError, exit_status

MAX_HELD_OUT = 4  # photographs
CACHE = 256  # photographs that are kept in memory once they are decoded

OFFLINE = {
    "sample": "scikit-learn's two photographs: china.jpg is trained on, flower.jpg is held out. "
              "The styles `waves`, `mosaic` and `strokes` are drawn by code",
    "folder": "photographs of your own in `--data_dir`, subfolders included; of every ten, but at "
              "most four in all, one is held out",
}
SOURCES = {
    "coco": files.Source(
        "The book's photographs, COCO train2014: 82,783 images, 13 GB; the annotations are CC BY "
        "4.0, the photographs have licences of their own. Unpack "
        "[train2014.zip](http://images.cocodataset.org/zips/train2014.zip), then `--dataset folder "
        "--data_dir train2014`. Any few dozen photographs do as well",
        (),
    ),
}


class Photographs(NamedTuple):
    """Files of photographs: to train on, and held out."""

    train: list[Path]
    validation: list[Path]

    @property
    def digest(self) -> str:
        """The sha256 of the names and sizes of all files; large sets are not read for it."""
        facts = [f"{path.name} {path.stat().st_size}" for path in (*self.train, *self.validation)]
        return files.sha256("\n".join(facts).encode())


def is_photograph(path: Path) -> bool:
    """Returns whether a file has the header of an image that can be stylized."""
    try:
        with Image.open(path) as image:
            return min(image.size) >= MIN_SIZE
    except (OSError, SyntaxError, ValueError):
        return False


def find_photographs(folder: Path) -> list[Path]:
    """Returns the images in a folder and its subfolders; prints how many files are left out.

    Raises:
        UserError: there are fewer than two.
    """
    listed = images.list_folder(folder, recursive=True) if folder.is_dir() else []
    found = [path for path in listed if is_photograph(path)]
    kept = set(found)
    if others := [path.name for path in listed if path not in kept]:
        print(f"{folder}: {len(others)} files are no images of at least {MIN_SIZE} pixels, and "
              f"left out: {', '.join(others[:3])}{' ...' if len(others) > 3 else ''}")
    if len(found) < 2:
        raise UserError(f"{folder} has {len(found)} photographs, at least 2 are needed",
                        "check --data_dir")
    return found


def load(flags: argparse.Namespace) -> Photographs:
    """Finds the photographs that the flags of `add_flags` choose.

    Raises:
        UserError: there are too few, or `--data_dir` does not fit `--dataset`.
    """
    if flags.dataset == "sample":
        if flags.data_dir:
            raise UserError("--dataset sample is not read from a folder",
                            "add --dataset folder, or omit --data_dir")
        china, flower = map(Path, sorted(sklearn.datasets.load_sample_images().filenames))
        return Photographs([china], [flower])
    if not flags.data_dir:
        raise UserError("--dataset folder without --data_dir", "give a folder of photographs")
    found = find_photographs(Path(flags.data_dir))
    count = min(MAX_HELD_OUT, max(1, len(found) // 10))
    held_out = set(np.linspace(0, len(found) - 1, count).astype(int).tolist())
    return Photographs([path for i, path in enumerate(found) if i not in held_out],
                       [path for i, path in enumerate(found) if i in held_out])


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes an image so that its shorter side has `size` pixels.

    Args:
        image: uint8 of shape (height, width, 3).
        size: pixels.

    Returns:
        uint8 of shape (height', width', 3).
    """
    height, width = image.shape[:2]
    scale = size / min(height, width)
    shape = max(size, round(width * scale)), max(size, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BICUBIC))


def centre(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes an image to cover a square and crops its centre, as the book does.

    Returns:
        uint8 of shape (size, size, 3).
    """
    image = resize(image, size)
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]


@functools.lru_cache(maxsize=CACHE)
def read_resized(path: Path, size: int) -> np.ndarray | None:
    """Reads a photograph, see `resize`; returns None, and says so, if it cannot be decoded."""
    try:
        return resize(images.read_image(path), size)
    except UserError as error:
        print(f"left out: {error}")
        return None


def read_style(text: str, size: int, whole: bool = True) -> np.ndarray:
    """Returns a style image: one drawn by code, or a file.

    Args:
        text: a name of `styles.STYLES`, or a path.
        size: pixels of the shorter side.
        whole: whether the longer side is kept; the book crops the central square.

    Returns:
        uint8 of shape (height, width, 3).

    Raises:
        UserError: the file cannot be read, or is smaller than `size`.
    """
    image = styles.draw(text) if text in styles.STYLES else images.read_image(Path(text))
    if min(image.shape[:2]) < size:
        raise UserError(
            f"the style image {text} has {image.shape[1]} x {image.shape[0]} pixels, fewer than "
            f"{size} on one side", "give a larger image, or a smaller --style_size")
    return resize(image, size) if whole else centre(image, size)


def training_batches(
    paths: Sequence[Path], batch_size: int, size: int, scale: int, crop: str, seed: int,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Returns the infinite stream of shuffled crops of photographs.

    Batch k is a pure function of (seed, k), so that training can resume at any step. A file that
    cannot be decoded is replaced by the next one.

    Args:
        paths: of the photographs.
        batch_size: crops per batch.
        size: height and width of a crop in pixels.
        scale: pixels of the shorter side to which photographs are resized first.
        crop: "random", with random mirroring, or "central", as in the book.
        seed: determines the order and the crops.
        start_step: number of batches to skip.

    Returns:
        Elements float32 of shape (batch_size, size, size, 3) in [0, 255].
    """
    def read(index: np.int64, key: np.ndarray) -> np.ndarray:
        readable = (read_resized(paths[(index + k) % len(paths)], scale)
                    for k in range(len(paths)))
        if (image := next((image for image in readable if image is not None), None)) is None:
            raise ValueError("none of the photographs can be decoded")
        if crop == "central":
            return centre(image, size)
        rng = np.random.default_rng(key)
        top, left = (rng.integers(side - size + 1) for side in image.shape[:2])
        return image[top : top + size, left : left + size][:, :: rng.choice([-1, 1])]

    def example(index: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        image = tf.numpy_function(read, [index, key], tf.uint8, stateful=False)
        return tf.cast(tf.ensure_shape(image, (size, size, 3)), tf.float32)

    examples = inputs.example_indices(len(paths), batch_size, seed, start_step)
    examples = examples.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return inputs.finish(examples.batch(batch_size, drop_remainder=True))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the photographs."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="sample",
                       help="sample: scikit-learn's two photographs; folder: those in --data_dir")
    group.add_argument("--data_dir", type=cli.path, help="folder of photographs")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the photographs and draws a sheet of crops, held-out photographs and styles."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        photographs = load(args)
        print(f"{len(photographs.train):,} photographs to train on, "
              f"{len(photographs.validation)} held out")
        crops = next(iter(training_batches(photographs.train, 6, 128, 160, "random", 0)))
        held_out = [read_resized(path, 128) for path in photographs.validation]
        shown = [*np.uint8(crops),
                 *[centre(image, 128) for image in held_out if image is not None],
                 *[centre(read_style(name, 256), 128) for name in styles.STYLES]]
        png = rundir.runs_dir() / "chapter07_style_transfer" / f"photographs-{args.dataset}.png"
        images.write_png(png, images.grid(shown, 6))
        print(f"{png}: crops, held-out photographs, styles drawn by code")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
