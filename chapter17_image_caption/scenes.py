"""Scenes of shapes with captions from a grammar, drawn by code from a seed.

A scene is one group of equal shapes, or two groups, one above or beside the other. A scene of two
groups has two captions, one from the view of each group: "a large red circle above two small blue
squares" is "two small blue squares below a large red circle".
"""

from typing import NamedTuple

import cv2
import numpy as np

SIZE = 64  # pixels
COLOURS = {"red": (205, 50, 45), "green": (45, 160, 70), "blue": (50, 80, 205),
           "yellow": (225, 190, 40)}  # RGB
SHAPES = ("circle", "square", "triangle")
SIZES = {"small": 5.0, "large": 8.5}  # radius in pixels
NUMBERS = ("a", "two", "three")
RELATIONS = {"above": "below", "left of": "right of"}  # of the first group and of the second
ONE_GROUP = 0.25  # share of the scenes
NOISE = 6.0  # standard deviation of the pixels' noise, of 255


class Group(NamedTuple):
    """One to three equal shapes."""

    count: int
    size: str
    colour: str
    shape: str

    def words(self) -> str:
        """Returns the noun phrase of the group."""
        plural = "s" if self.count > 1 else ""
        return f"{NUMBERS[self.count - 1]} {self.size} {self.colour} {self.shape}{plural}"


class Scene(NamedTuple):
    """One group, or two and how the first one lies to the second one."""

    groups: tuple[Group, ...]
    relation: str | None

    def captions(self) -> list[str]:
        """Returns all captions that the grammar has for the scene."""
        if self.relation is None:
            return [self.groups[0].words()]
        first, second = (group.words() for group in self.groups)
        return [f"{first} {self.relation} {second}",
                f"{second} {RELATIONS[self.relation]} {first}"]


def draw_group(image: np.ndarray, group: Group, area: tuple[float, float, float, float],
               rng: np.random.Generator) -> None:
    """Draws a group into an area (top, left, bottom, right) of an image, in a row or a column."""
    top, left, bottom, right = area
    radius = SIZES[group.size] * rng.uniform(0.9, 1.1)
    wide = right - left > bottom - top
    length, breadth = (right - left, bottom - top) if wide else (bottom - top, right - left)
    colour = np.clip(np.array(COLOURS[group.colour]) + rng.uniform(-15, 15, 3), 0, 255)
    for place in range(group.count):
        along = (place + 0.5) * length / group.count + rng.uniform(-1, 1)
        across = breadth / 2 + rng.uniform(-3, 3)
        y, x = (across, along) if wide else (along, across)
        draw_shape(image, group.shape, (left + x, top + y), radius, colour.tolist())


def draw_shape(image: np.ndarray, shape: str, centre: tuple[float, float], radius: float,
               colour: list[float]) -> None:
    """Draws a filled shape; coordinates are (x, y) in pixels, with four fractional bits."""
    x, y = centre
    if shape == "circle":
        cv2.circle(image, (round(16 * x), round(16 * y)), round(16 * radius), colour, -1,
                   cv2.LINE_AA, shift=4)
        return
    corners = {"square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
               "triangle": [(0, -1.1), (1.05, 0.8), (-1.05, 0.8)]}[shape]
    points = np.round(16 * (np.array(corners) * radius + (x, y))).astype(np.int32)
    cv2.fillPoly(image, [points], colour, cv2.LINE_AA, shift=4)


def draw_scene(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Draws a scene on a pale background with noise, uint8 of shape (SIZE, SIZE, 3)."""
    image = np.full((SIZE, SIZE, 3), rng.uniform(200, 245, 3), np.float32)
    half = SIZE / 2
    if scene.relation is None:
        margin = rng.uniform(0, half)
        areas = [(margin, 0, margin + half, SIZE)]
    elif scene.relation == "above":
        areas = [(0, 0, half, SIZE), (half, 0, SIZE, SIZE)]
    else:
        areas = [(0, 0, SIZE, half), (0, half, SIZE, SIZE)]
    for group, area in zip(scene.groups, areas, strict=True):
        draw_group(image, group, area, rng)
    return (image + rng.normal(0, NOISE, image.shape)).clip(0, 255).astype(np.uint8)


def random_scene(rng: np.random.Generator) -> Scene:
    """Draws a scene; its two groups differ."""
    def group() -> Group:
        return Group(int(rng.integers(1, 4)), str(rng.choice(list(SIZES))),
                     str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES)))

    first, second = group(), group()
    if rng.random() < ONE_GROUP:
        return Scene((first,), None)
    while second == first:
        second = group()
    return Scene((first, second), str(rng.choice(list(RELATIONS))))


def draw_split(count: int, seed: int, known: set[Scene], unseen: bool
               ) -> tuple[list[np.ndarray], list[list[str]]]:
    """Draws the scenes of a split and their captions.

    Args:
        count: number of scenes.
        seed: of the random numbers.
        known: scenes of other splits; those of this one are added.
        unseen: whether scenes of other splits are left out. Two scenes are the same if their
            captions are, wherever their shapes lie.
    """
    rng = np.random.default_rng(seed)
    pictures, captions, found = [], [], set()
    while len(pictures) < count:
        scene = random_scene(rng)
        if unseen and (scene in known or scene in found):
            continue
        found.add(scene)
        pictures.append(draw_scene(scene, rng))
        captions.append(scene.captions())
    known |= found
    return pictures, captions
