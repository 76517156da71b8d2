"""Style images drawn by code from a seed: waves, a mosaic, and brush strokes."""

from collections.abc import Callable

import cv2
import numpy as np

SIZE = 384  # pixels of each side


def _palette(rng: np.random.Generator, colours: list[tuple[int, int, int]], count: int
             ) -> np.ndarray:
    """Draws colours near those of a palette, float of shape (count, 3)."""
    chosen = np.array(colours, float)[rng.integers(len(colours), size=count)]
    return np.clip(chosen + rng.normal(0, 12, (count, 3)), 0, 255)


def _field(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Draws smooth noise with `cells` bumps a side: float (SIZE, SIZE) of variance about 1."""
    coarse = rng.normal(size=(cells + 3, cells + 3)).astype(np.float32)
    field = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / field.std()


def _waves(rng: np.random.Generator) -> np.ndarray:
    """Draws curling lines of foam on blue bands: level lines of a distorted slope."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    height = 7 * y + 0.8 * _field(rng, 3) + 0.35 * _field(rng, 7) + np.sin(5 * x)
    bands = np.array([(15, 45, 95), (35, 90, 150), (110, 165, 190), (225, 215, 185)], float)
    image = bands[(height * 2).astype(int) % 4]
    foam = np.abs(height * 2 % 1 - 0.5) > 0.38
    image[foam] = (245, 240, 225)
    lines = np.abs(height * 8 % 1 - 0.5) < 0.1
    image[lines & ~foam] *= 0.55
    return image


def _mosaic(rng: np.random.Generator) -> np.ndarray:
    """Draws coloured stones with dark joints: the cells of jittered points."""
    step = 16
    points = np.mgrid[step // 2 : SIZE : step, step // 2 : SIZE : step].reshape(2, -1)
    points = np.clip(points + rng.normal(0, 3, points.shape), 0, SIZE - 1).astype(int)
    seeds = np.ones((SIZE, SIZE), np.uint8)
    seeds[tuple(points)] = 0
    _, cells = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5,
                                               labelType=cv2.DIST_LABEL_PIXEL)
    areas = np.digitize(_field(rng, 4), (-0.7, 0, 0.7))  # one colour for neighbouring stones
    palette = np.array([(190, 60, 40), (235, 175, 60), (30, 110, 120), (235, 225, 200)], float)
    stone = np.zeros((cells.max() + 1, 3))
    stone[cells[tuple(points)]] = palette[areas[tuple(points)]]
    image = (stone + rng.normal(0, 18, stone.shape))[cells]
    joints = cv2.morphologyEx(cells.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
    image[joints] = (35, 30, 30)
    return image


def _strokes(rng: np.random.Generator) -> np.ndarray:
    """Draws thick strokes of a brush that follow a flow of slowly turning direction."""
    angle, image = 1.5 * _field(rng, 3), np.full((SIZE, SIZE, 3), (60, 50, 90), np.uint8)
    colours = [(30, 50, 120), (60, 110, 180), (240, 200, 80), (200, 90, 50), (235, 230, 210)]
    areas = np.digitize(_field(rng, 3), (-1, -0.2, 0.5, 1.2))
    for row, column in rng.integers(0, SIZE, (3500, 2)):
        length, turn = rng.uniform(10, 22), angle[row, column]
        reach = np.array([np.cos(turn), np.sin(turn)]) * length
        start, end = np.array([column, row]) - reach, np.array([column, row]) + reach
        colour = np.clip(np.array(colours[areas[row, column]]) + rng.normal(0, 22, 3), 0, 255)
        cv2.line(image, start.astype(int), end.astype(int), colour.tolist(),
                 int(rng.integers(2, 7)), cv2.LINE_AA)
    return image.astype(float)


STYLES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "waves": _waves, "mosaic": _mosaic, "strokes": _strokes,
}


def draw(name: str) -> np.ndarray:
    """Draws a style, uint8 of shape (SIZE, SIZE, 3)."""
    return np.clip(STYLES[name](np.random.default_rng(0)), 0, 255).astype(np.uint8)
