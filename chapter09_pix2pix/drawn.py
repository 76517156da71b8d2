"""Facades drawn by code: a picture of a building, and the map of its parts.

They stand in for the CMP facades of the book where no data can be downloaded. A map has one colour
for each kind of part; the picture shows its texture, frames and shadows, which a network can learn,
and a tint of the light that it cannot know.
"""

from typing import NamedTuple

import cv2
import numpy as np

SUPERSAMPLE = 2  # pictures are drawn larger and reduced, against jagged edges
PARTS = {  # colours of the map
    "sky": (0, 0, 170), "brick": (0, 85, 255), "plaster": (0, 170, 255), "roof": (120, 0, 160),
    "cornice": (0, 255, 255), "window": (85, 255, 170), "sill": (170, 255, 85),
    "shutter": (0, 200, 60), "balcony": (255, 255, 0), "door": (255, 85, 0), "shop": (255, 0, 0),
}
BRICK, MORTAR = (158, 82, 62), (196, 178, 160)
PLASTER, ROOF, STONE = (222, 202, 160), (112, 58, 50), (212, 206, 196)
GLASS, FRAME, WOOD = (66, 88, 112), (240, 238, 230), (92, 60, 40)


class Canvas(NamedTuple):
    """A picture and its map: uint8 of shape (side, side, 3), drawn in units of 1/128 side."""

    picture: np.ndarray
    parts: np.ndarray

    def corners(self, x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice]:
        """Returns the rows and columns of a rectangle."""
        unit = len(self.picture) / 128
        left, top, right, bottom = (max(0, round(v * unit)) for v in (x0, y0, x1, y1))
        return slice(top, bottom), slice(left, right)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour, part: str = "") -> None:
        """Fills a rectangle of the picture, and of the map if a part is given."""
        where = self.corners(x0, y0, x1, y1)
        self.picture[where] = colour
        if part:
            self.parts[where] = PARTS[part]

    def shade(self, x0: float, y0: float, x1: float, y1: float, factor) -> None:
        """Multiplies a rectangle of the picture: shadows, and gradients from top to bottom."""
        where = self.corners(x0, y0, x1, y1)
        rows = np.linspace(*factor, where[0].stop - where[0].start)[:, None, None]
        self.picture[where] = np.clip(self.picture[where] * rows, 0, 255)


def draw_wall(canvas: Canvas, x0: float, y0: float, x1: float, y1: float, brick: bool) -> None:
    """Draws a wall of bricks, or of plaster with a light that falls from above."""
    canvas.box(x0, y0, x1, y1, BRICK if brick else PLASTER, "brick" if brick else "plaster")
    if brick:
        for row, y in enumerate(np.arange(y0, y1, 6)):
            canvas.box(x0, y, x1, y + 1, MORTAR)
            for x in np.arange(x0 + 6 * (row % 2), x1, 12):
                canvas.box(x, y, x + 1, min(y + 6, y1), MORTAR)
    canvas.shade(x0, y0, x1, y1, (1.06, 0.86))


def draw_window(
    canvas: Canvas, x0: float, y0: float, x1: float, y1: float, shutters: bool, balcony: bool
) -> None:
    """Draws a window: frame, glass that mirrors the sky, cross bars, a sill and its shadow."""
    if shutters:
        wide = (x1 - x0) / 3
        for left in (x0 - wide, x1):
            canvas.box(left, y0, left + wide, y1, (52, 96, 70), "shutter")
            for y in np.arange(y0 + 1, y1, 3):
                canvas.box(left + 0.5, y, left + wide - 0.5, y + 1, (36, 70, 50))
    canvas.box(x0, y0, x1, y1, FRAME, "window")
    canvas.box(x0 + 1, y0 + 1, x1 - 1, y1 - 1, GLASS)
    canvas.shade(x0 + 1, y0 + 1, x1 - 1, y1 - 1, (1.9, 0.8))
    middle = (x0 + x1) / 2
    canvas.box(middle - 0.5, y0, middle + 0.5, y1, FRAME)
    canvas.box(x0, y0 + (y1 - y0) / 3, x1, y0 + (y1 - y0) / 3 + 1, FRAME)
    if balcony:
        canvas.box(x0 - 2, y1 - 5, x1 + 2, y1 + 2, (70, 70, 74), "balcony")
        for x in np.arange(x0 - 1, x1 + 1, 3):
            canvas.box(x, y1 - 4, x + 1.5, y1 + 1, (176, 182, 188))
    else:
        canvas.box(x0 - 1, y1, x1 + 1, y1 + 2, STONE, "sill")
        canvas.shade(x0 - 1, y1 + 2, x1 + 1, y1 + 4, (0.6, 0.9))


def draw_ground_floor(
    canvas: Canvas, rng: np.random.Generator, left: float, right: float, top: float
) -> None:
    """Draws a door, and beside it shop windows below an awning."""
    door = rng.uniform(left + 3, right - 15)
    canvas.box(door, top + 4, door + 12, 124, STONE, "door")
    canvas.box(door + 1, top + 5, door + 11, 124, WOOD)
    for y in (top + 7, top + 13):
        canvas.box(door + 2.5, y, door + 9.5, y + 4, (126, 86, 58))
    canvas.box(door + 9, 116, door + 10, 117, (220, 190, 90))
    for x0, x1 in ((left + 3, door - 3), (door + 15, right - 3)):
        if x1 - x0 > 10 and rng.random() < 0.8:
            canvas.box(x0, top + 4, x1, 122, GLASS, "shop")
            canvas.shade(x0, top + 10, x1, 122, (1.8, 0.9))
            for number, x in enumerate(np.arange(x0, x1, 4)):
                colour = (206, 60, 52) if number % 2 else (240, 236, 228)
                canvas.box(x, top + 4, min(x + 4, x1), top + 10, colour)


def draw_facade(number: int, size: int, seed: int = 0) -> np.ndarray:
    """Draws a building and the map of its parts.

    Args:
        number: of the building.
        size: height and width in pixels.
        seed: the buildings of each seed are others.

    Returns:
        uint8 of shape (size, size, 6): the picture, then the map, both RGB.
    """
    rng, side = np.random.default_rng([seed, number]), size * SUPERSAMPLE
    canvas = Canvas(np.zeros((side, side, 3), np.uint8), np.zeros((side, side, 3), np.uint8))
    canvas.box(0, 0, 128, 128, (196, 216, 236), "sky")
    canvas.shade(0, 0, 128, 128, (0.72, 1.08))
    left, right, top = rng.uniform(2, 16), rng.uniform(112, 126), rng.uniform(16, 34)
    floors, columns = rng.integers(2, 5), rng.integers(2, 6)
    brick, shutters = rng.random() < 0.5, rng.random() < 0.4
    canvas.box(left - 2, top - 12, right + 2, top, ROOF, "roof")
    for y in np.arange(top - 12, top, 2):
        canvas.box(left - 2, y, right + 2, y + 0.5, (84, 40, 36))
    draw_wall(canvas, left, top, right, 124, brick)
    canvas.box(left - 2, top, right + 2, top + 3, STONE, "cornice")
    canvas.shade(left, top + 3, right, top + 6, (0.6, 1.0))
    ground = 124 - rng.uniform(22, 26)
    high, wide = (ground - top - 6) / floors, (right - left) / columns
    for floor in range(floors):
        balcony = rng.random() < 0.25
        for column in range(columns):
            x0, y0 = left + wide * (column + 0.3), top + 6 + high * (floor + 0.15)
            draw_window(canvas, x0, y0, x0 + 0.4 * wide, y0 + 0.6 * high, shutters, balcony)
    canvas.box(left, ground, right, ground + 2, STONE, "cornice")
    draw_ground_floor(canvas, rng, left, right, ground)
    canvas.box(0, 124, 128, 128, (120, 118, 116), "cornice")
    light = rng.normal(1, 0.02, 3) * rng.normal(1, 0.02)  # the tint that no map tells
    small = cv2.resize(canvas.picture, (size, size), interpolation=cv2.INTER_AREA)
    picture = np.clip(small * light + rng.normal(0, 3, small.shape), 0, 255)
    parts = cv2.resize(canvas.parts, (size, size), interpolation=cv2.INTER_NEAREST)
    return np.concatenate([np.uint8(picture), parts], axis=-1)
