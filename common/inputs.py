"""Input pipelines that resume at any step.

Batch k of a training stream is a pure function of (seed, k), so that a resumed run continues the
stream at step k with the batches that an uninterrupted run would get.
"""

import functools
import sys
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import tensorflow as tf

from common.errors import UserError

CACHE_BYTES = 2**30  # of images that `keep_in_memory` keeps
Item = TypeVar("Item", bound=np.ndarray | tuple[np.ndarray, ...])


@functools.cache
def tell_left_out(problem: str) -> None:
    """Prints once what is left out."""
    print(f"left out: {problem}", file=sys.stderr)


def keep_in_memory(read: Callable[[int], Item], count: int) -> Callable[[int], Item]:
    """Returns a function that reads an item by its number, and keeps it in memory.

    An item that cannot be decoded is replaced by the next one; it is listed on stderr, once.

    Args:
        read: returns an item by its number; raises UserError if it cannot be decoded.
        count: number of items.
    """
    kept: dict[int, Item] = {}
    size = 0

    def read_or_next(number: int) -> Item:
        nonlocal size
        if (item := kept.get(number)) is not None:
            return item
        for other in range(number, number + count):
            try:
                item = read(other % count)
                break
            except UserError as error:
                tell_left_out(str(error))
        else:
            raise UserError("none of the images can be decoded", "give complete PNG or JPEG files")
        size += sum(part.nbytes for part in item)  # the rows of an array, or several arrays
        if size <= CACHE_BYTES:
            kept[number] = item
        return item

    return read_or_next


def index_batches(
    num_examples: int, batch_size: int, seed: int, start_step: int = 0
) -> tf.data.Dataset:
    """Returns the endless stream of shuffled example indices behind a training stream.

    Every epoch is a new permutation with each index exactly once; if `batch_size` does not divide
    `num_examples`, a batch reaches into the next epoch.

    Args:
        num_examples: size of the training set.
        batch_size: indices per batch.
        seed: determines all permutations.
        start_step: number of batches to skip, which is the restored step.

    Returns:
        Elements `(step, indices)`: int64 scalar, the key for the batch's augmentation, and int64
        indices of shape (batch_size,) in [0, num_examples).
    """

    def indices(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        position = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        epoch = position // num_examples
        keys = tf.stack([tf.fill([batch_size], tf.cast(seed, tf.int64)), epoch, 0 * epoch], axis=1)
        # The op behind tf.random.experimental.index_shuffle, which takes no batch of keys.
        return step, tf.raw_ops.RandomIndexShuffle(
            index=position % num_examples, seed=keys, max_index=num_examples - 1, rounds=8
        )

    steps = tf.data.Dataset.counter(start_step, dtype=tf.int64)
    return steps.map(indices, num_parallel_calls=tf.data.AUTOTUNE)


def example_indices(
    num_examples: int, batch_size: int, seed: int, start_step: int = 0
) -> tf.data.Dataset:
    """Returns the stream of `index_batches` one example at a time, each with its own random key.

    It serves augmentation that cannot be computed for a whole batch at once. The key is a pure
    function of the seed and of the example's position in the stream.

    Args:
        num_examples: size of the training set.
        batch_size: examples per step.
        seed: determines all permutations and keys.
        start_step: number of batches to skip, which is the restored step.

    Returns:
        Elements `(index, key)`: int64 scalar in [0, num_examples), int64 of shape (2,).
    """

    def keyed(step: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        positions = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        seeds = tf.fill([batch_size], tf.cast(seed, tf.int64))
        return indices, tf.stack([seeds, positions], axis=1)  # (batch_size, 2)

    return index_batches(num_examples, batch_size, seed, start_step).map(keyed).unbatch()


def finish(dataset: tf.data.Dataset, batch_size: int | None = None) -> tf.data.Dataset:
    """Batches a data set if `batch_size` is given, and prefetches; the last batch may be smaller.

    The autotuner of tf.data is off, because with it `fit` was measured to wait at the end of an
    epoch for up to twice the time of the epoch. Parallel calls remain parallel.
    """
    if batch_size:
        dataset = dataset.batch(batch_size)
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(4).with_options(options)
