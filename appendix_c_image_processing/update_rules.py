"""The update rules of six optimizers in NumPy, as Keras computes them.

A rule changes x and its slots in place; g is the gradient at x, `rate` the learning rate, t counts
the steps from 1. Slots begin at zero but for Adagrad's, see `SLOTS`. EPSILON avoids divisions by
zero.
"""

from collections.abc import Callable

import numpy as np

EPSILON = 1e-7
Rule = Callable[[np.ndarray, np.ndarray, list[np.ndarray], float, int], None]


def sgd_momentum(
    x: np.ndarray, g: np.ndarray, slots: list[np.ndarray], rate: float, t: int
) -> None:
    """Keeps nine tenths of the last step (Polyak 1964)."""
    (step,) = slots
    step[:] = 0.9 * step - rate * g
    x += step


def rmsprop(x: np.ndarray, g: np.ndarray, slots: list[np.ndarray], rate: float, t: int) -> None:
    """Divides by the root of a moving mean of squares (Hinton 2012)."""
    (square,) = slots
    square[:] = 0.9 * square + 0.1 * g**2
    x -= rate * g / np.sqrt(square + EPSILON)


def adagrad(x: np.ndarray, g: np.ndarray, slots: list[np.ndarray], rate: float, t: int) -> None:
    """Divides by the root of the sum of all squares so far (Duchi et al. 2011)."""
    (total,) = slots
    total += g**2
    x -= rate * g / np.sqrt(total + EPSILON)


def adadelta(x: np.ndarray, g: np.ndarray, slots: list[np.ndarray], rate: float, t: int) -> None:
    """Like RMSprop, times the root of a moving mean of squared steps (Zeiler 2012)."""
    square, moved = slots
    square[:] = 0.95 * square + 0.05 * g**2
    step = -np.sqrt(moved + EPSILON) / np.sqrt(square + EPSILON) * g
    moved[:] = 0.95 * moved + 0.05 * step**2
    x += rate * step


def adam(x: np.ndarray, g: np.ndarray, slots: list[np.ndarray], rate: float, t: int) -> None:
    """Divides a moving mean of gradients by the root of one of squares (Kingma and Ba 2015)."""
    mean, square = slots
    mean[:] = 0.9 * mean + 0.1 * g
    square[:] = 0.999 * square + 0.001 * g**2
    unbiased = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)  # both means begin at zero
    x -= rate * unbiased * mean / (np.sqrt(square) + EPSILON)


def adamax(x: np.ndarray, g: np.ndarray, slots: list[np.ndarray], rate: float, t: int) -> None:
    """Divides a moving mean of gradients by their fading maximum (Kingma and Ba 2015, § 7.1)."""
    mean, largest = slots
    mean[:] = 0.9 * mean + 0.1 * g
    largest[:] = np.maximum(0.999 * largest, np.abs(g))
    x -= rate / (1 - 0.9**t) * mean / (largest + EPSILON)


RULES: dict[str, Rule] = {
    "SGD + momentum": sgd_momentum, "RMSprop": rmsprop, "Adagrad": adagrad,
    "Adadelta": adadelta, "Adam": adam, "Adamax": adamax,
}
# The values with which the slots of each rule begin.
SLOTS = {"SGD + momentum": (0.0,), "RMSprop": (0.0,), "Adagrad": (0.1,), "Adadelta": (0.0, 0.0),
         "Adam": (0.0, 0.0), "Adamax": (0.0, 0.0)}


def follow(
    name: str, gradient: Callable[[np.ndarray], np.ndarray], start: np.ndarray, rate: float,
    steps: int,
) -> np.ndarray:
    """Returns the path of an optimizer.

    Args:
        name: a key of RULES.
        gradient: of the function to minimize, from (n,) to (n,).
        start: of shape (n,).
        rate: learning rate.
        steps: number of updates.

    Returns:
        float64 of shape (steps + 1, n).
    """
    x = np.array(start, float)
    slots, path = [np.full_like(x, value) for value in SLOTS[name]], [x.copy()]
    for t in range(1, steps + 1):
        RULES[name](x, gradient(x), slots, rate, t)
        path.append(x.copy())
    return np.array(path)
