"""What needs no network: outputs that any trained generator must beat.

Colouring: grey, the mean colour of each row, and a table of the mean colour by row and lightness.
Pairs: the copy of the input, the mean target, and the mean colour of each class of the map, as such
and by row. All means are those of the training pairs. Values are those of the network, in [-1, 1].
The training pairs are read chunk by chunk.
"""

import functools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

COLOURS = 16  # most classes of a map
APART = 48  # distance of the colours of two classes, in [0, 255]
RARE = 1e-3  # share of the pixels below which a colour is no class
LEVELS = 32  # of the lightness in the table
WEIGHT = 100  # pixels as which the mean of a class or row counts in that of a cell


class Chunk(NamedTuple):
    """Some pairs.

    Attributes:
        inputs: of shape (pairs, height, width, channels).
        labels: the inputs again, resized to the nearest pixels: no colour of a map is mixed.
        targets: of shape (pairs, height, width, channels').
    """

    inputs: np.ndarray
    labels: np.ndarray
    targets: np.ndarray


Chunks = Callable[[], Iterable[Chunk]]  # can be read more than once
Predict = Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]  # of inputs and labels


def keyed_sums(keys: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Returns the sum and the number of the values of each key.

    Args:
        keys: ints in [0, count), of shape (...).
        values: of shape (..., channels).
        count: number of keys.

    Returns:
        Of shape (count, channels + 1); the last is the number.
    """
    number = np.bincount(keys.ravel(), minlength=count)
    return np.stack([*(np.bincount(keys.ravel(), channel.ravel(), count)
                       for channel in np.moveaxis(values, -1, 0)), number], axis=-1)


def means(sums: np.ndarray, prior: np.ndarray | float) -> np.ndarray:
    """Returns the means of `keyed_sums`, drawn towards a prior where the values are few.

    Args:
        sums: of shape (count, channels + 1).
        prior: of shape (count, channels), or broadcast to it.
    """
    return (sums[:, :-1] + WEIGHT * prior) / (sums[:, -1:] + WEIGHT)


def rows_of(images: np.ndarray) -> np.ndarray:
    """Returns the row of each pixel, of shape (images, height, width)."""
    count, height, width = images.shape[:3]
    return np.broadcast_to(np.arange(height)[:, None], (count, height, width))


def levels_of(images: np.ndarray) -> np.ndarray:
    """Returns the level of the first channel of each pixel, in [0, LEVELS)."""
    return np.clip((images[..., 0] + 1) / 2 * LEVELS, 0, LEVELS - 1).astype(np.int64)


def colour_counts(maps: np.ndarray) -> np.ndarray:
    """Returns how often each colour, rounded to multiples of 16, occurs in maps in [-1, 1].

    Rounded, because maps in JPEG files vary around the colours of their classes.
    """
    pixels = np.rint((maps + 1) * 127.5).astype(np.int64).reshape(-1, 3)
    return np.bincount((pixels + 8) // 16 @ np.array([1, 17, 17**2]), minlength=17**3)


def palette(counts: np.ndarray) -> np.ndarray:
    """Returns the most common colours, the classes, in [-1, 1], of shape (classes, 3).

    Args:
        counts: of `colour_counts`.
    """
    found: list[np.ndarray] = []
    for best in np.argsort(-counts, kind="stable"):
        if len(found) == COLOURS or (found and counts[best] < RARE * counts.sum()):
            break
        colour = np.array([best % 17, best // 17 % 17, best // 17**2]) * 16.0
        if all(np.linalg.norm(colour - other) > APART for other in found):
            found.append(colour)
    return np.array(found) / 127.5 - 1


def classes_of(maps: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Returns the number of the nearest colour for each pixel."""
    distances = [np.square(maps - colour).sum(axis=-1) for colour in np.float32(colours)]
    return np.argmin(distances, axis=0)


def cells(keys: np.ndarray, images: np.ndarray, count: int) -> np.ndarray:
    """Returns a number for each combination of row and key."""
    return rows_of(images) * count + keys


def fit_colouring(chunks: Chunks) -> Predict:
    """Returns grey, and means by row and by row and level; see `fit`."""
    height = next(iter(chunks())).inputs.shape[1]
    sums = sum(keyed_sums(cells(levels_of(chunk.inputs), chunk.inputs, LEVELS), chunk.targets,
                          height * LEVELS) for chunk in chunks())
    by_row = sums.reshape(height, LEVELS, -1).sum(axis=1)
    rows = means(by_row, mean_of(by_row))
    table = means(sums, np.repeat(rows, LEVELS, axis=0))
    return lambda tests, _: {"grey": np.zeros((*tests.shape[:3], table.shape[-1])),
                             "rows": rows[rows_of(tests)],
                             "table": table[cells(levels_of(tests), tests, LEVELS)]}


def mean_of(sums: np.ndarray) -> np.ndarray:
    """Returns the mean of the values of all keys; see `keyed_sums`."""
    return sums[:, :-1].sum(axis=0) / sums[:, -1].sum()


def fit_pairs(chunks: Chunks) -> Predict:
    """Returns the copy, the mean target, and means by class and by row; see `fit`."""
    height = next(iter(chunks())).inputs.shape[1]
    colours = palette(sum(colour_counts(chunk.labels) for chunk in chunks()))
    number = len(colours)

    def parts(chunk: Chunk) -> tuple[np.ndarray, np.ndarray, int]:
        keys = cells(classes_of(chunk.labels, colours), chunk.inputs, number)
        return (keyed_sums(keys, chunk.targets, height * number), chunk.targets.sum(axis=0),
                len(chunk.targets))

    sums, total, pairs = functools.reduce(
        lambda a, b: tuple(x + y for x, y in zip(a, b, strict=True)), map(parts, chunks()))
    by_class = sums.reshape(height, number, -1).sum(axis=0)
    classes = means(by_class, mean_of(by_class))
    by_row = means(sums, np.tile(classes, (height, 1)))

    def predict(tests: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        keys = classes_of(labels, colours)
        return {"copy": tests, "mean": np.broadcast_to(total / pairs, tests.shape),
                "classes": classes[keys], "rows": by_row[cells(keys, tests, number)]}

    return predict


def fit(chunks: Chunks, lab: bool) -> Predict:
    """Fits all baselines to training pairs.

    Args:
        chunks: returns the training pairs, each time anew.
        lab: whether it is colouring.

    Returns:
        A function from inputs and labels of test pairs to outputs by name.
    """
    return (fit_colouring if lab else fit_pairs)(chunks)
