"""What needs no network: outputs that any trained generator must beat.

Colouring: grey, the mean colour of each row, and a table of the mean colour by row and lightness.
Pairs: the copy of the input, the mean target, and the mean colour of each class of the map, as such
and by row. All means are those of the training pairs. Values are those of the network, in [-1, 1].
"""

from collections.abc import Callable

import numpy as np

Predict = Callable[[np.ndarray], dict[str, np.ndarray]]

COLOURS = 16  # most classes of a map
APART = 48  # distance of the colours of two classes, in [0, 255]
RARE = 2e-3  # share of the pixels below which a colour is no class
LEVELS = 32  # of the lightness in the table
WEIGHT = 100  # pixels as which the mean of a class or row counts in that of a cell


def keyed_means(
    keys: np.ndarray, values: np.ndarray, count: int, prior: np.ndarray | float
) -> np.ndarray:
    """Returns the mean of the values of each key, drawn towards a prior where they are few.

    Args:
        keys: ints in [0, count), of shape (...).
        values: of shape (..., channels).
        count: number of keys.
        prior: of shape (count, channels), or broadcast to it.

    Returns:
        Of shape (count, channels).
    """
    number = np.bincount(keys.ravel(), minlength=count)[:, None]
    sums = np.stack([np.bincount(keys.ravel(), channel.ravel(), count)
                     for channel in np.moveaxis(values, -1, 0)], axis=-1)
    return (sums + WEIGHT * prior) / (number + WEIGHT)


def rows_of(images: np.ndarray) -> np.ndarray:
    """Returns the row of each pixel, of shape (images, height, width)."""
    count, height, width = images.shape[:3]
    return np.broadcast_to(np.arange(height)[:, None], (count, height, width))


def levels_of(images: np.ndarray) -> np.ndarray:
    """Returns the level of the first channel of each pixel, in [0, LEVELS)."""
    return np.clip((images[..., 0] + 1) / 2 * LEVELS, 0, LEVELS - 1).astype(np.int64)


def palette(maps: np.ndarray) -> np.ndarray:
    """Returns the most common colours of maps, the classes, in [-1, 1], of shape (classes, 3)."""
    pixels = np.uint8(np.rint((maps + 1) * 127.5)).reshape(-1, 3)
    bins = pixels // 8 @ np.array([1, 32, 1024])
    counts, found = np.bincount(bins, minlength=32**3), []
    for best in np.argsort(-counts, kind="stable"):
        if len(found) == COLOURS or (found and counts[best] < RARE * len(pixels)):
            break
        colour = np.array([best % 32, best // 32 % 32, best // 1024]) * 8.0 + 4
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


def fit_colouring(inputs: np.ndarray, targets: np.ndarray) -> Predict:
    """Returns grey, and means by row and by row and level; see `fit`."""
    height = inputs.shape[1]
    rows = keyed_means(rows_of(inputs), targets, height, targets.mean(axis=(0, 1, 2)))
    table = keyed_means(cells(levels_of(inputs), inputs, LEVELS), targets, height * LEVELS,
                        np.repeat(rows, LEVELS, axis=0))
    return lambda tests: {"grey": np.zeros((*tests.shape[:3], targets.shape[-1])),
                          "rows": rows[rows_of(tests)],
                          "table": table[cells(levels_of(tests), tests, LEVELS)]}


def fit_pairs(inputs: np.ndarray, targets: np.ndarray) -> Predict:
    """Returns the copy, the mean target, and means by class and by row; see `fit`."""
    height, colours, mean = inputs.shape[1], palette(inputs), targets.mean(axis=0)
    known = classes_of(inputs, colours)
    classes = keyed_means(known, targets, len(colours), targets.mean(axis=(0, 1, 2)))
    by_row = keyed_means(cells(known, inputs, len(colours)), targets, height * len(colours),
                         np.tile(classes, (height, 1)))

    def predict(tests: np.ndarray) -> dict[str, np.ndarray]:
        keys = classes_of(tests, colours)
        return {"copy": tests, "mean": np.broadcast_to(mean, tests.shape),
                "classes": classes[keys], "rows": by_row[cells(keys, tests, len(colours))]}

    return predict


def fit(inputs: np.ndarray, targets: np.ndarray, lab: bool) -> Predict:
    """Fits all baselines to training pairs.

    Args:
        inputs: of the training pairs, of shape (pairs, height, width, channels).
        targets: of the training pairs.
        lab: whether it is colouring.

    Returns:
        A function from the inputs of test pairs to outputs by name; the strongest comes last.
    """
    return (fit_colouring if lab else fit_pairs)(inputs, targets)
