"""Number sequences: the laws they follow, their splits, their batches.

    python data.py                                             # the book's two classes
    python data.py --num_classes 5 --max_stride 10             # more laws, longer strides
    python data.py --num_features 3                            # each step is three numbers

Prints a sequence of each class, and the shapes of the splits and of one batch.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from common import cli, inputs, rundir

MIN_LENGTH, MAX_LENGTH = 3, 20  # steps, as in the book
MAX_VALUE = 1000  # numbers are whole ones from 0 to this, and divided by it for the network
# The book has 1,000 to train on and 500 to test. Here the 500 choose the checkpoint.
SIZES = {"train": 1000, "validation": 500, "test": 5000}
FRESH = len(SIZES)  # the key of the endless stream, beside those of the splits

OFFLINE = {"numbers": "sequences of 3 to 20 numbers, drawn from `--seed` by the laws of data.py"}
SOURCES: dict[str, inputs.Source] = {}


class Split(NamedTuple):
    """Sequences filled up with zeros, their lengths and their classes.

    float32 (count, 20, num_features) in [0, 1], int64 (count,) in steps, int64 (count,).
    """

    sequences: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray


def linear(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Draws a start and a stride: 17 18 19 20. The book's first class, whose stride is 1."""
    shape = len(lengths), 1, num_features
    strides = rng.integers(1, max_stride, shape, endpoint=True)
    last_start = MAX_VALUE - strides * lengths[:, None, None]
    return rng.integers(0, last_start, endpoint=True) + strides * np.arange(MAX_LENGTH)[:, None]


def random(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Draws every number on its own: 528 3 961 77. The book's second class."""
    return rng.integers(0, MAX_VALUE, (len(lengths), MAX_LENGTH, num_features), endpoint=True)


def rising(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Sorts random numbers: 3 77 528 961."""
    numbers = random(rng, lengths, num_features, max_stride)
    return np.sort(np.where(steps_of(lengths), numbers, MAX_VALUE), axis=1)


def falling(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Sorts random numbers the other way: 961 528 77 3."""
    return MAX_VALUE - rising(rng, lengths, num_features, max_stride)


def alternating(
    rng: np.random.Generator, lengths: np.ndarray, num_features: int, max_stride: int
) -> np.ndarray:
    """Draws two numbers and takes them in turn: 961 3 961 3."""
    return np.tile(random(rng, lengths, num_features, max_stride)[:, :2], (1, MAX_LENGTH // 2, 1))


# A law draws whole numbers from 0 to MAX_VALUE, of shape (sequences, MAX_LENGTH, num_features), of
# which the first `lengths` steps count; each feature follows it on its own. Class k is law k.
LAWS: tuple[Callable[..., np.ndarray], ...] = (linear, random, rising, falling, alternating)


def class_names(num_classes: int) -> list[str]:
    """Returns the names of the first classes."""
    return [law.__name__ for law in LAWS[:num_classes]]


def steps_of(lengths: np.ndarray) -> np.ndarray:
    """Returns which steps belong to sequences: bool of shape (sequences, MAX_LENGTH, 1)."""
    return (np.arange(MAX_LENGTH) < lengths[:, None])[..., None]


def generate(
    count: int, key: Sequence[int], num_features: int, num_classes: int, max_stride: int
) -> Split:
    """Draws sequences; the same key gives the same ones.

    Length and class are drawn first, each value as likely as any other (book, chapter 13).

    Args:
        count: how many.
        key: seeds the generator.
        num_features: numbers a step.
        num_classes: how many of LAWS to draw from.
        max_stride: of the linear sequences.
    """
    rng = np.random.default_rng(key)
    lengths = rng.integers(MIN_LENGTH, MAX_LENGTH, count, endpoint=True)
    labels = rng.integers(0, num_classes, count)
    numbers = np.zeros((count, MAX_LENGTH, num_features), np.int64)
    for label, law in enumerate(LAWS[:num_classes]):
        chosen = labels == label
        numbers[chosen] = law(rng, lengths[chosen], num_features, max_stride)
    return Split(scale(np.where(steps_of(lengths), numbers, 0)), lengths, labels)


def scale(numbers: np.ndarray) -> np.ndarray:
    """Turns numbers in [0, MAX_VALUE] into float32 in [0, 1]."""
    return np.float32(numbers / MAX_VALUE)


def load_flags(flags: argparse.Namespace) -> dict[str, Split]:
    """Draws the splits "train", "validation" and "test" that a run's flags mean."""
    return {
        name: generate(count, (flags.seed, number), *sizes(flags))
        for number, (name, count) in enumerate(SIZES.items())
    }


def sizes(flags: argparse.Namespace) -> tuple[int, int, int]:
    """Returns what `generate` needs to know of a run's flags."""
    return flags.num_features, flags.num_classes, flags.max_stride


def digest(splits: dict[str, Split]) -> str:
    """Returns the sha256 of all sequences, lengths and labels."""
    return rundir.sha256(*(array for split in splits.values() for array in split))


def cut(
    sequences: tf.Tensor, lengths: tf.Tensor, key: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes a random part of each sequence, for a part of a sequence follows the same law.

    Args:
        sequences: float32 (batch, 20, num_features), filled up with zeros.
        lengths: int64 (batch,).
        key: int64 (2,): the same key gives the same parts.

    Returns:
        The parts, moved to the front and filled up with zeros, and their lengths, each from 3 to
        the whole.
    """
    share = tf.random.stateless_uniform((2, len(lengths)), key, dtype=tf.float64)

    def up_to(largest: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        return tf.cast(share * tf.cast(largest + 1, tf.float64), tf.int64)

    parts = MIN_LENGTH + up_to(lengths - MIN_LENGTH, share[0])
    first = up_to(lengths - parts, share[1])
    steps = (first[:, None] + tf.range(MAX_LENGTH, dtype=tf.int64)) % MAX_LENGTH  # (batch, 20)
    moved = tf.gather(sequences, steps, batch_dims=1)
    return tf.where(tf.sequence_mask(parts, MAX_LENGTH)[..., None], moved, 0.0), parts


def fresh_batches(flags: argparse.Namespace, start_step: int) -> tf.data.Dataset:
    """Makes the endless stream that repeats no sequence, but by chance.

    Returns:
        Elements `(step, sequences, lengths, labels)`.
    """

    def batches() -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        for step in itertools.count(start_step):
            yield step, *generate(flags.batch_size, (flags.seed, FRESH, step), *sizes(flags))

    count = tf.TensorSpec((flags.batch_size,), tf.int64)
    sequences = tf.TensorSpec((flags.batch_size, MAX_LENGTH, flags.num_features), tf.float32)
    step = tf.TensorSpec((), tf.int64)
    return tf.data.Dataset.from_generator(
        batches, output_signature=(step, sequences, count, count))


def training_batches(
    flags: argparse.Namespace, split: Split, start_step: int = 0
) -> tf.data.Dataset:
    """Makes the endless stream; batch k is a pure function of (seed, k).

    Args:
        flags: the run's `batch_size`, `seed`, `fresh`, `augment`, and those of `add_flags`.
        split: what is shuffled and shown again and again, unless `flags.fresh`.
        start_step: the restored step.

    Returns:
        Elements `((sequences, lengths), labels)`: float32 (batch_size, 20, num_features) in
        [0, 1], int64 (batch_size,) twice.
    """
    arrays = [tf.constant(array) for array in split]

    def look_up(step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return step, *(tf.gather(array, chosen) for array in arrays)

    def batch(
        step: tf.Tensor, sequences: tf.Tensor, lengths: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        if flags.augment:
            key = tf.stack([tf.cast(flags.seed, tf.int64), step])
            sequences, lengths = cut(sequences, lengths, key)
        return (sequences, lengths), labels

    if flags.fresh:
        numbered = fresh_batches(flags, start_step)
    else:
        numbered = inputs.index_batches(
            len(split.labels), flags.batch_size, flags.seed, start_step).map(look_up)
    return inputs.finish(numbered.map(batch))


def evaluation_batches(split: Split, batch_size: int = 500) -> tf.data.Dataset:
    """Makes the stream that shows each sequence exactly once, in order."""
    sequences, lengths, labels = split
    rows = tf.data.Dataset.from_tensor_slices(((sequences, lengths), labels))
    return inputs.finish(rows, batch_size)


def show(sequence: np.ndarray, length: int) -> str:
    """Writes a sequence as `predict.py` reads it: `7 8 9`, with two features `7,90 8,91 9,92`."""
    numbers = np.rint(sequence[:length] * MAX_VALUE).astype(int)
    return " ".join(",".join(map(str, step)) for step in numbers)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say which sequences are drawn."""
    group = parser.add_argument_group("data")
    group.add_argument("--num_features", type=cli.positive_int, default=1, help="numbers a step")
    group.add_argument(
        "--num_classes", default=2,
        type=cli.number(int, 2, len(LAWS), f"a number of classes from 2 to {len(LAWS)}"),
        help=f"the first so many of: {', '.join(class_names(len(LAWS)))}")
    longest = MAX_VALUE // MAX_LENGTH
    group.add_argument(
        "--max_stride", default=1,
        type=cli.number(int, 1, longest, f"a stride from 1 to {longest}"),
        help="the stride of a linear sequence is drawn from 1 to this")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.build_parser(__doc__, "data.py")
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the drawing")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Shows the laws, the splits and one batch."""

    def tell() -> None:
        args = build_parser().parse_args(argv)
        splits = load_flags(args)
        for name, split in splits.items():
            print(f"{name}: sequences {split.sequences.shape} {split.sequences.dtype}, "
                  f"of each class {np.bincount(split.labels)}")
        sequences, lengths, labels = splits["train"]
        for label, name in enumerate(class_names(args.num_classes)):
            first = int(np.argmax(labels == label))
            print(f"{name}: {show(sequences[first], lengths[first])}")
        for (sequences, lengths), labels in evaluation_batches(splits["test"], 5).take(1):
            print(f"one batch: {tuple(sequences.shape)}, lengths {lengths.numpy()}, "
                  f"labels {labels.numpy()}")

    return cli.run(tell)


if __name__ == "__main__":
    raise SystemExit(main())
