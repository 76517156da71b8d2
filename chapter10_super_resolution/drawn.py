"""Pictures drawn by code: shapes, curves, gratings and letters, at any angle, with soft edges.

They are drawn enlarged and reduced by averaging areas, so that their edges are those of a camera.
"""

from collections.abc import Callable

import cv2
import numpy as np

SUPERSAMPLE = 4
WORDS = ("Tea", "Rome", "Azur", "42", "Opera", "No 7", "fig.", "Hotel", "&", "Kino")
FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)

Colour = tuple[int, int, int]


def draw_colour(rng: np.random.Generator) -> Colour:
    """Returns a random colour."""
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def draw_point(canvas: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """Returns a random place on a canvas, as x and y."""
    x, y = rng.integers(len(canvas), size=2).tolist()
    return x, y


def draw_background(rng: np.random.Generator, side: int) -> np.ndarray:
    """Returns a canvas that fades from one colour to another, uint8 of shape (side, side, 3)."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    share = (x * np.cos(angle) + y * np.sin(angle))[..., None] / np.sqrt(8) + 0.5
    return np.uint8(share * draw_colour(rng) + (1 - share) * draw_colour(rng))


def draw_ellipse(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Draws an ellipse, filled or as a ring."""
    axes = rng.integers(len(canvas) // 16, len(canvas) // 4, 2).tolist()
    thickness = int(rng.choice([-1, rng.integers(4, 24)]))
    cv2.ellipse(canvas, draw_point(canvas, rng), axes, rng.uniform(0, 180), 0, 360,
                draw_colour(rng), thickness)


def draw_polygon(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Draws a filled polygon of three to five corners, which do not cross."""
    corners = rng.integers(3, 6)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(len(canvas) / 12, len(canvas) / 4, corners)
    points = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=-1)
    points += draw_point(canvas, rng)
    cv2.fillPoly(canvas, [np.int32(points)], draw_colour(rng))


def draw_curve(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Draws a wavy line."""
    steps = np.linspace(0, 1, 60)
    x0, y0, x1, y1 = rng.uniform(0, len(canvas), 4)
    wave = rng.uniform(0.02, 0.1) * len(canvas) * np.sin(steps * rng.uniform(4, 20))
    points = np.stack([x0 + (x1 - x0) * steps - wave, y0 + (y1 - y0) * steps + wave], axis=-1)
    cv2.polylines(canvas, [np.int32(points)], isClosed=False, color=draw_colour(rng),
                  thickness=int(rng.integers(3, 16)))


def draw_grating(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Draws parallel bars in a disk: where reducing a picture loses most."""
    period, angle = rng.uniform(10, 48), rng.uniform(0, np.pi)
    y, x = np.mgrid[: len(canvas), : len(canvas)]
    bars = (x * np.cos(angle) + y * np.sin(angle)) % period < period / 2
    (left, top), radius = draw_point(canvas, rng), rng.uniform(len(canvas) / 10, len(canvas) / 4)
    canvas[bars & (np.hypot(x - left, y - top) < radius)] = draw_colour(rng)


def draw_word(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Writes a word."""
    x, y = draw_point(canvas, rng)
    cv2.putText(canvas, str(rng.choice(WORDS)), (x - len(canvas) // 5, y),
                int(rng.choice(FONTS)), rng.uniform(1.5, 4), draw_colour(rng),
                int(rng.integers(3, 9)))


SHAPES: tuple[Callable[[np.ndarray, np.random.Generator], None], ...] = (
    draw_ellipse, draw_polygon, draw_curve, draw_grating, draw_word)


def draw_picture(number: int, size: int, seed: int = 0) -> np.ndarray:
    """Draws a picture.

    Args:
        number: of the picture.
        size: height and width in pixels.
        seed: the pictures of each seed are others.

    Returns:
        uint8 of shape (size, size, 3).
    """
    rng = np.random.default_rng([seed, number])
    canvas = draw_background(rng, size * SUPERSAMPLE)
    for _ in range(rng.integers(8, 15)):
        SHAPES[rng.integers(len(SHAPES))](canvas, rng)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
