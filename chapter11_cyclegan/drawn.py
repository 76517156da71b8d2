"""Apples and oranges drawn by code: two domains whose true translation is known.

A scene has a wall, a table, boxes of any colour and fruit. In the first domain all fruit are
apples, from dark to light red; in the second the same scene has oranges, from dark to light. The
boxes are of both colours in both domains: whoever translates must find the fruit, and leave all
else as it is.
"""

import cv2
import numpy as np

SUPERSAMPLE = 3  # scenes are drawn larger and reduced, against jagged edges
FRUIT = {  # the colour of a dark and of a light fruit, RGB
    "apple": np.array([[128, 10, 24], [222, 52, 44]], np.float32),
    "orange": np.array([[204, 98, 6], [255, 176, 40]], np.float32),
}
STEM, TABLE = (70, 48, 30), np.array([150, 112, 78], np.float32)


def draw_fruit(
    picture: np.ndarray, x: float, y: float, radius: float, ripe: float, kind: str
) -> None:
    """Draws a ball that is lit from the upper left, and its stem.

    Args:
        picture: float32 RGB in [0, 255], changed.
        x: of the centre, in pixels.
        y: of the centre.
        radius: in pixels.
        ripe: 0 dark to 1 light.
        kind: a key of FRUIT.
    """
    rows, columns = np.mgrid[: len(picture), : len(picture)].astype(np.float32)
    across, down = (columns - x) / radius, (rows - y) / radius
    inside = across**2 + down**2 < 1
    height = np.sqrt(np.maximum(0, 1 - across**2 - down**2))  # of the surface above the picture
    light = np.clip(0.62 * height - 0.45 * across - 0.5 * down, 0, 1)
    dark, bright = FRUIT[kind]
    colour = (dark + ripe * (bright - dark)) * (0.42 + 0.66 * light)[..., None]
    gleam = 170 * np.clip(light - 0.86, 0, 1)[..., None] / 0.14
    picture[inside] = (colour + 0.5 * gleam)[inside]
    top = int(x), int(y - 0.8 * radius)
    cv2.line(picture, top, (int(x + 0.25 * radius), int(y - 1.3 * radius)), STEM,
             max(1, round(0.14 * radius)))


def draw_scene(number: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draws a scene with apples, and the same with oranges.

    Args:
        number: of the scene.
        size: height and width in pixels.
        seed: the scenes of each seed are others.

    Returns:
        Two pictures, uint8 of shape (size, size, 3).
    """
    rng, side = np.random.default_rng([seed, number]), size * SUPERSAMPLE
    scene = np.empty((side, side, 3), np.float32)
    wall, table = rng.uniform(90, 235, 3), TABLE * rng.uniform(0.7, 1.3)
    ramp = np.linspace(1.08, 0.86, side, dtype=np.float32)[:, None, None]
    edge = int(side * rng.uniform(0.5, 0.72))
    scene[:] = wall * ramp
    scene[edge:] = table * ramp[edge:]
    for _ in range(rng.integers(1, 4)):  # boxes, half of them in the colours of fruit
        kind = FRUIT[("apple", "orange")[rng.integers(2)]]
        colour = (kind[0] + rng.random() * (kind[1] - kind[0]) if rng.random() < 0.5
                  else rng.uniform(20, 235, 3))
        left, wide, high = (int(side * rng.uniform(*span))
                            for span in ((-0.05, 0.8), (0.12, 0.3), (0.12, 0.45)))
        cv2.rectangle(scene, (left, edge - high), (left + wide, edge + side // 20),
                      [float(value) for value in colour], -1)
    fruit = [(side * rng.uniform(0.12, 0.88), edge + side * rng.uniform(-0.02, 0.16),
              side * rng.uniform(0.13, 0.22), rng.random()) for _ in range(rng.integers(2, 5))]
    pictures = []
    for kind in FRUIT:
        picture = scene.copy()
        for x, y, radius, ripe in sorted(fruit, key=lambda ball: ball[1]):
            draw_fruit(picture, x, y, radius, ripe, kind)
        small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        pictures.append(np.uint8(np.clip(np.rint(small), 0, 255)))
    return pictures[0], pictures[1]


def draw_scenes(start: int, count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws scenes of consecutive numbers.

    Returns:
        The scenes with apples and those with oranges, uint8 of shape (count, size, size, 3).
    """
    apples, oranges = zip(*(draw_scene(start + i, size) for i in range(count)), strict=True)
    return np.stack(apples), np.stack(oranges)
