"""Scenes of coloured shapes, drawn by code from a seed, in VOC's layout.

The colours of the classes are the same on purpose: only the outline tells them apart.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 120, 160
NAMES = ("circle", "square", "triangle")
COUNTS = {"train": 400, "val": 60, "test": 100}
MIN_SIDE, MAX_SIDE = 18, 64  # pixels
MAX_OBJECTS = 4
MAX_OVERLAP = 0.15  # of two boxes, by the smaller one


def background(rng: np.random.Generator) -> np.ndarray:
    """Draws smooth noise of random colours, uint8 of shape (HEIGHT, WIDTH, 3)."""
    coarse = rng.uniform(40, 215, (4, 5, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return (smooth + rng.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)


def outline(name: str, box: np.ndarray) -> np.ndarray:
    """Returns the corners of a shape that fills a box: (x, y), int32 of shape (points, 2)."""
    top, left, bottom, right = box
    if name == "circle":
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        unit = np.stack([np.cos(angles), np.sin(angles)], axis=1) / 2 + 0.5
    elif name == "square":
        unit = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    else:
        unit = np.array([(0.5, 0), (1, 1), (0, 1)])
    return np.int32(np.round(unit * (right - left, bottom - top) + (left, top)))


def overlaps(box: np.ndarray, others: list[np.ndarray]) -> bool:
    """Returns whether a box covers too much of another one."""
    for other in others:
        sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
        smaller = min(np.prod(b[2:] - b[:2]) for b in (box, other))
        if sides.min() > 0 and sides.prod() > MAX_OVERLAP * smaller:
            return True
    return False


def draw(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """Draws a scene of one to MAX_OBJECTS shapes.

    Returns:
        uint8 of shape (HEIGHT, WIDTH, 3); and of each shape its name and its box (ymin, xmin, ymax,
        xmax) in pixels.
    """
    picture, boxes, objects = background(rng), [], []
    for _ in range(rng.integers(1, MAX_OBJECTS + 1)):
        for _ in range(20):
            sides = (rng.uniform(MIN_SIDE, MAX_SIDE) * rng.uniform(0.8, 1.25, 2)).astype(int)
            corner = (rng.uniform(size=2) * (np.array([HEIGHT, WIDTH]) - sides)).astype(int)
            box = np.concatenate([corner, corner + sides])
            if not overlaps(box, boxes):
                break
        else:
            continue
        name = NAMES[rng.integers(len(NAMES))]
        colour = tuple(int(value) for value in rng.uniform(0, 255, 3))
        cv2.fillPoly(picture, [outline(name, box)], colour, cv2.LINE_AA)
        boxes.append(box)
        objects.append((name, box))
    return picture, objects


def xml(name: str, objects: list[tuple[str, np.ndarray]]) -> str:
    """Returns the annotation of a scene as VOC's XML."""
    rows = "".join(
        f"  <object>\n    <name>{kind}</name>\n    <difficult>0</difficult>\n    <bndbox>"
        f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>\n"
        "  </object>\n" for kind, (top, left, bottom, right) in objects)
    return (f"<annotation>\n  <filename>{name}.jpg</filename>\n  <size><width>{WIDTH}</width>"
            f"<height>{HEIGHT}</height><depth>3</depth></size>\n{rows}</annotation>\n")


def write(folder: Path) -> None:
    """Writes all scenes, their annotations and the lists of the sets."""
    rng = np.random.default_rng(0)
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for split, count in COUNTS.items():
        ids = [f"{split}_{number:03d}" for number in range(count)]
        for name in ids:
            picture, objects = draw(rng)
            Image.fromarray(picture).save(folder / "JPEGImages" / f"{name}.jpg", quality=95)
            (folder / "Annotations" / f"{name}.xml").write_text(xml(name, objects), "utf-8")
        lines = "".join(f"{name}\n" for name in ids)
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(lines, "utf-8")
