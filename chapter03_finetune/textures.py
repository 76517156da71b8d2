"""Six kinds of "satellite" textures, drawn by code from a seed.

A stand-in for the book's satellite pictures where there are none. The colours of the kinds overlap
on purpose: what tells them apart is the structure of the ground.
"""

from collections.abc import Callable

import cv2
import numpy as np

SIZE = 128

ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE


def _noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Draws a smooth random surface with about `cells` hills along each side."""
    coarse = rng.normal(size=(cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def _turn(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns coordinates along a random direction and across it, about 1 long over the picture."""
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * COLUMNS + np.sin(angle) * ROWS
    return along, np.cos(angle) * ROWS - np.sin(angle) * COLUMNS


def _glacier(rng: np.random.Generator) -> np.ndarray:
    """Ice that flows in bands, with dark crevasses along the flow."""
    along, _ = _turn(rng)
    flow = along + rng.uniform(0.05, 0.12) * _noise(rng, 3)
    bands = np.sin(2 * np.pi * (rng.uniform(5, 9) * flow + rng.uniform()))
    return 0.4 * _noise(rng, 4) - 1.5 * (np.abs(bands) < 0.25)


def _rock(rng: np.random.Generator) -> np.ndarray:
    """Ridges of all sizes, lit from one side."""
    height = sum(-np.abs(_noise(rng, cells)) / cells for cells in (4, 8, 16, 32))
    (down, right), angle = np.gradient(height), rng.uniform(0, 2 * np.pi)
    return np.cos(angle) * right + np.sin(angle) * down


def _urban(rng: np.random.Generator) -> np.ndarray:
    """Blocks of houses, each with its own brightness, between streets."""
    blocks, roofs = rng.uniform(5, 9), rng.normal(size=(32, 32))
    along, across = (axis * blocks + 16 for axis in _turn(rng))  # within the 32 x 32 roofs
    streets = (along % 1 < 0.2) | (across % 1 < 0.2)
    return np.where(streets, -1.5, 0.7 * roofs[along.astype(int), across.astype(int)])


def _water(rng: np.random.Generator) -> np.ndarray:
    """Waves that run in nearly one direction, over a ground that changes slowly."""
    along, across = _turn(rng)
    waves = 0.0
    for _ in range(3):
        tilt, length = rng.normal(0, 0.15), rng.uniform(9, 16)
        waves += np.sin(2 * np.pi * (length * (along + tilt * across) + rng.uniform()))
    return _noise(rng, 3) + 0.25 * waves


def _wetland(rng: np.random.Generator) -> np.ndarray:
    """Channels that wind between patches of different plants."""
    patches = np.round(1.5 * _noise(rng, 7)) / 1.5
    channels = np.abs(_noise(rng, 5)) < 0.18
    return np.where(channels, -2.0, patches)


def _wood(rng: np.random.Generator) -> np.ndarray:
    """Crowns of trees, each light in its middle."""
    middles = np.ones((SIZE, SIZE), np.uint8)
    rows, columns = rng.integers(0, SIZE, (2, rng.integers(300, 600)))
    middles[rows, columns] = 0
    distance = cv2.distanceTransform(middles, cv2.DIST_L2, 5)
    return 0.4 * _noise(rng, 5) - np.minimum(distance, 6) / 2


# How the ground of each kind is drawn, float of shape (SIZE, SIZE) on any scale, and its mean
# colour (red, green, blue).
KINDS: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], tuple[int, int, int]]] = {
    "glacier": (_glacier, (150, 160, 170)),
    "rock": (_rock, (130, 122, 115)),
    "urban": (_urban, (135, 132, 130)),
    "water": (_water, (95, 115, 130)),
    "wetland": (_wetland, (110, 118, 100)),
    "wood": (_wood, (95, 112, 90)),
}


def draw(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Draws a picture of a kind, uint8 of shape (SIZE, SIZE, 3).

    The ground is brought to mean 0 and deviation 1 first, so that the mean colour of a picture is
    what is drawn here and tells nothing of the structure.
    """
    ground_of, mean = KINDS[kind]
    ground = ground_of(rng)
    ground = (ground - ground.mean()) / ground.std()
    colour = np.array(mean) + rng.normal(0, 25) + rng.normal(0, 15, 3)  # light, then tint
    contrast = rng.uniform(15, 35) * rng.uniform(0.8, 1.2, 3)
    picture = colour + contrast * ground[..., None] + rng.normal(0, 8, (SIZE, SIZE, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)
