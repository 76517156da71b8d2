"""Six classes of "satellite" textures, drawn by code from a seed.

An offline substitute for the book's satellite images. The colours of the classes overlap on
purpose: only the texture determines the class.
"""

from collections.abc import Callable

import cv2
import numpy as np

SIZE = 128

ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE


def _noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Draws smooth random noise with about `cells` hills along each side."""
    coarse = rng.normal(size=(cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def _turn(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns coordinates along a random direction and across it; the image is about 1 wide."""
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * COLUMNS + np.sin(angle) * ROWS
    return along, np.cos(angle) * ROWS - np.sin(angle) * COLUMNS


def _glacier(rng: np.random.Generator) -> np.ndarray:
    """Draws bands of flowing ice, with dark crevasses along the flow."""
    along, _ = _turn(rng)
    flow = along + rng.uniform(0.05, 0.12) * _noise(rng, 3)
    bands = np.sin(2 * np.pi * (rng.uniform(5, 9) * flow + rng.uniform()))
    return 0.4 * _noise(rng, 4) - 1.5 * (np.abs(bands) < 0.25)


def _rock(rng: np.random.Generator) -> np.ndarray:
    """Draws ridges of all sizes, lit from one side."""
    height = sum(-np.abs(_noise(rng, cells)) / cells for cells in (4, 8, 16, 32))
    (down, right), angle = np.gradient(height), rng.uniform(0, 2 * np.pi)
    return np.cos(angle) * right + np.sin(angle) * down


def _urban(rng: np.random.Generator) -> np.ndarray:
    """Draws blocks of houses of different brightness between streets."""
    blocks, roofs = rng.uniform(5, 9), rng.normal(size=(32, 32))
    along, across = (axis * blocks + 16 for axis in _turn(rng))  # within the 32 x 32 roofs
    streets = (along % 1 < 0.2) | (across % 1 < 0.2)
    return np.where(streets, -1.5, 0.7 * roofs[along.astype(int), across.astype(int)])


def _water(rng: np.random.Generator) -> np.ndarray:
    """Draws waves of nearly one direction over slowly varying brightness."""
    along, across = _turn(rng)
    waves = 0.0
    for _ in range(3):
        tilt, length = rng.normal(0, 0.15), rng.uniform(9, 16)
        waves += np.sin(2 * np.pi * (length * (along + tilt * across) + rng.uniform()))
    return _noise(rng, 3) + 0.25 * waves


def _wetland(rng: np.random.Generator) -> np.ndarray:
    """Draws winding channels between patches of different plants."""
    patches = np.round(1.5 * _noise(rng, 7)) / 1.5
    channels = np.abs(_noise(rng, 5)) < 0.18
    return np.where(channels, -2.0, patches)


def _wood(rng: np.random.Generator) -> np.ndarray:
    """Draws the crowns of trees, each brightest at its centre."""
    middles = np.ones((SIZE, SIZE), np.uint8)
    rows, columns = rng.integers(0, SIZE, (2, rng.integers(300, 600)))
    middles[rows, columns] = 0
    distance = cv2.distanceTransform(middles, cv2.DIST_L2, 5)
    return 0.4 * _noise(rng, 5) - np.minimum(distance, 6) / 2


# The function that draws each class, float of shape (SIZE, SIZE) on any scale, and its mean RGB
# colour.
KINDS: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], tuple[int, int, int]]] = {
    "glacier": (_glacier, (150, 160, 170)),
    "rock": (_rock, (130, 122, 115)),
    "urban": (_urban, (135, 132, 130)),
    "water": (_water, (95, 115, 130)),
    "wetland": (_wetland, (110, 118, 100)),
    "wood": (_wood, (95, 112, 90)),
}


def draw(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Draws an image of a class, uint8 of shape (SIZE, SIZE, 3).

    The texture is standardised to mean 0 and standard deviation 1 first, so that the mean colour of
    an image is independent of its texture.
    """
    draw_texture, mean = KINDS[kind]
    texture = draw_texture(rng)
    texture = (texture - texture.mean()) / texture.std()
    colour = np.array(mean) + rng.normal(0, 25) + rng.normal(0, 15, 3)  # light, then tint
    contrast = rng.uniform(15, 35) * rng.uniform(0.8, 1.2, 3)
    image = colour + contrast * texture[..., None] + rng.normal(0, 8, (SIZE, SIZE, 3))
    return np.clip(image, 0, 255).astype(np.uint8)
