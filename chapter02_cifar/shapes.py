"""Shapes10: ten classes of coloured shapes on textured backgrounds, drawn by code from a seed.

An offline substitute for CIFAR-10. Colours, positions, sizes, angles and backgrounds are random:
only the outline determines the class, and no single pixel is informative.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

SIZE = 32
Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 0.9


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.7) - 0.25


def _half_disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(x, y + 0.4) - 1.1, -0.4 - y)


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(x, y) - 1, 0.8 - np.hypot(x - 0.45, y))


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.8


def _frame(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.maximum(np.abs(x), np.abs(y)) - 0.65) - 0.22


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.abs(x), np.abs(y)
    return np.maximum(np.minimum(x, y) - 0.3, np.maximum(x, y) - 1)


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(-0.6 - y, 0.866 * np.abs(x) + 0.5 * y - 0.6)


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Folds the plane onto one of ten sectors, in which a line from tip to notch is the outline."""
    angle = np.abs((np.arctan2(y, x) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
    radius = np.hypot(x, y)
    tip, notch = 1.15, 0.48 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    line = (notch - [tip, 0]) / np.linalg.norm(notch - [tip, 0])
    return (radius * np.cos(angle) - tip) * line[1] - radius * np.sin(angle) * line[0]


def _bars(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(np.abs(y) - 0.6) - 0.25, np.abs(x) - 0.9)


# Signed distance to the outline, negative inside; coordinates in [-1, 1].
SHAPES: dict[str, Distance] = {
    "disc": _disc, "ring": _ring, "half disc": _half_disc, "crescent": _crescent,
    "square": _square, "frame": _frame, "cross": _cross, "triangle": _triangle, "star": _star,
    "bars": _bars,
}


def _textures(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws smooth random colours, float32 of shape (count, 32, 32, 3), about [0, 255]."""
    base = rng.uniform(40, 215, (count, 1, 1, 3))
    coarse = rng.normal(0, 30, (count, 5, 5, 3))
    return tf.image.resize(base + coarse, (SIZE, SIZE), "bicubic").numpy()


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws images of random shapes.

    Args:
        count: number of images.
        seed: determines all of them.

    Returns:
        uint8 of shape (count, 32, 32, 3), and int64 labels of shape (count,), indices into SHAPES.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(SHAPES), count)
    radius = rng.uniform(6, 9.5, (count, 1, 1))  # pixels
    angle = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    centre = (SIZE - 1) / 2 + rng.uniform(-3, 3, (2, count, 1, 1))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    dx, dy = (columns - centre[0]) / radius, (rows - centre[1]) / radius
    x, y = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
    cover = np.empty((count, SIZE, SIZE, 1), np.float32)
    for number, distance in enumerate(SHAPES.values()):
        chosen = labels == number
        pixels = distance(x[chosen], y[chosen]) * radius[chosen]
        cover[chosen, ..., 0] = np.clip(0.5 - pixels, 0, 1)  # anti-aliased edge, one pixel wide
    background, ink = _textures(rng, count), _textures(rng, count)
    images = background + cover * (ink - background) + rng.normal(0, 12, background.shape)
    return np.clip(images, 0, 255).astype(np.uint8), labels
