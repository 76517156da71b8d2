"""Cartoon faces drawn by code: people with fixed features in changing poses, lights and moods.

    python cartoon.py FOLDER                          # a folder of people, as train.py reads it
    python cartoon.py FOLDER --people 50 --photos 20 --seed 1
    python cartoon.py FOLDER --scenes 10              # several faces on cluttered backgrounds

A head is half an ellipsoid whose features are polygons on its surface; it is rotated and projected
along z. What belongs to a person (`Person`) and what to a photograph (`Look`) is drawn from a seed.
Smile, glasses and long hair are labelled (`attributes`): chapter 8 uses them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from common import cli, images
from common.errors import UserError, exit_status

SUPERSAMPLE = 3  # the picture is drawn larger and reduced, against jagged edges
SKINS = np.array([[255, 219, 190], [241, 194, 155], [224, 172, 125], [198, 134, 90],
                  [141, 92, 60], [95, 60, 42]])
HAIRS = np.array([[30, 25, 22], [75, 48, 30], [128, 84, 48], [196, 152, 84], [150, 62, 30],
                  [150, 150, 150]])
EYES = np.array([[60, 40, 25], [50, 90, 140], [70, 110, 60], [90, 90, 95]])
NOISE = 4.0  # standard deviation of the camera's noise, in [0, 255]


class Person(NamedTuple):
    """What stays the same in all photographs of a person; lengths in widths of the head."""

    width: float  # of the head, in heights of the head
    jaw: float  # width of the chin
    skin: np.ndarray  # RGB in [0, 255]
    hair: np.ndarray
    fringe: float  # lower end of the hair on the forehead, as y
    long_hair: bool
    iris: np.ndarray
    eye_gap: float
    eye_size: float
    eye_height: float
    brow_size: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    mouth_width: float
    mouth_height: float
    lip: float  # thickness
    beard: bool


class Look(NamedTuple):
    """What changes from photograph to photograph; angles in radians."""

    yaw: float
    pitch: float
    roll: float
    smile: float  # -1: sad, 1: smiling
    mouth_open: float
    eyes_open: float
    brow_lift: float
    glasses: bool
    light: np.ndarray  # direction (x, y) times strength
    brightness: float
    background: np.ndarray
    scale: float
    shift: np.ndarray  # (x, y) in fractions of the picture


def random_person(rng: np.random.Generator) -> Person:
    """Draws a person."""
    mix = rng.uniform(0.0, 1.0)
    first, second = SKINS[rng.integers(len(SKINS), size=2)]
    return Person(
        width=rng.uniform(0.68, 0.9), jaw=rng.uniform(0.45, 0.9),
        skin=0.7 * first + 0.3 * (mix * first + (1 - mix) * second),
        hair=np.clip(HAIRS[rng.integers(len(HAIRS))] + rng.normal(0, 12, 3), 0, 255),
        fringe=rng.uniform(-0.75, -0.42), long_hair=bool(rng.random() < 0.5),
        iris=np.clip(EYES[rng.integers(len(EYES))] + rng.normal(0, 12, 3), 0, 255),
        eye_gap=rng.uniform(0.32, 0.5), eye_size=rng.uniform(0.11, 0.19),
        eye_height=rng.uniform(-0.25, -0.05), brow_size=rng.uniform(0.02, 0.07),
        brow_tilt=rng.uniform(-0.25, 0.25), nose_length=rng.uniform(0.22, 0.45),
        nose_width=rng.uniform(0.08, 0.2), mouth_width=rng.uniform(0.2, 0.42),
        mouth_height=rng.uniform(0.48, 0.62), lip=rng.uniform(0.02, 0.06),
        beard=bool(rng.random() < 0.25))


def random_look(rng: np.random.Generator) -> Look:
    """Draws pose, mood and light of a photograph."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.45)
    return Look(
        yaw=rng.uniform(-0.45, 0.45), pitch=rng.uniform(-0.25, 0.25), roll=rng.normal(0, 0.1),
        smile=rng.uniform(-0.6, 1.0), mouth_open=max(0.0, rng.normal(0, 0.08)),
        eyes_open=rng.uniform(0.55, 1.1), brow_lift=rng.normal(0, 0.03),
        glasses=bool(rng.random() < 0.25),
        light=strength * np.array([np.cos(angle), np.sin(angle)]),
        brightness=rng.uniform(0.75, 1.2), background=rng.uniform(40, 230, 3),
        scale=rng.uniform(0.9, 1.1), shift=rng.normal(0, 0.02, 2))


def attributes(person: Person, look: Look) -> dict[str, bool]:
    """Returns the labelled attributes of a photograph."""
    return {"smile": look.smile > 0.3, "glasses": look.glasses, "long_hair": person.long_hair}


def rotation(look: Look) -> np.ndarray:
    """Returns the rotation matrix of a head: roll · pitch · yaw."""
    def turn(angle: float, first: int, second: int) -> np.ndarray:
        matrix = np.eye(3)
        matrix[first, first] = matrix[second, second] = np.cos(angle)
        matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
        return matrix

    return turn(look.roll, 0, 1) @ turn(look.pitch, 1, 2) @ turn(look.yaw, 0, 2)


class Canvas:
    """A picture in which polygons on the surface of a head are drawn."""

    def __init__(self, person: Person, look: Look, size: int):
        """Fills the background."""
        self.size = size * SUPERSAMPLE
        # The fourth channel is 1 where the head is.
        self.picture = np.zeros((self.size, self.size, 4), np.float32)
        self.picture[..., :3] = look.background
        self.width = person.width
        self.turn = rotation(look)
        self.scale = 0.36 * self.size * look.scale
        self.centre = self.size * (np.array([0.5, 0.52]) + look.shift)

    def project(self, points: np.ndarray, depth: float = 0.0) -> np.ndarray:
        """Returns where points of the face are seen, in pixels (x, y), of shape (n, 2).

        Args:
            points: (x, y) seen from the front: the head reaches from -1 to 1.
            depth: added to z; a nose stands out.
        """
        x, y = points[:, 0] * self.width, points[:, 1]
        inside = 1 - points[:, 0] ** 2 - y**2
        z = 0.8 * np.sqrt(np.maximum(inside, 0.0)) + depth
        turned = np.stack([x, y, z], axis=1) @ self.turn.T
        return self.centre + self.scale * turned[:, :2]

    def fill(self, points: np.ndarray, colour: np.ndarray, depth: float = 0.0) -> None:
        """Fills a polygon of (x, y) on the face, of shape (n, 2), with an RGB colour."""
        corners = np.round(self.project(points, depth) * 16).astype(np.int32)
        cv2.fillPoly(self.picture, [corners], [*map(float, colour), 1.0], cv2.LINE_8, 4)

    def stroke(self, points: np.ndarray, colour: np.ndarray, width: float, depth: float) -> None:
        """Draws a line through (x, y) on the face; `width` in heights of the head / 2."""
        corners = np.round(self.project(points, depth) * 16).astype(np.int32)
        cv2.polylines(self.picture, [corners], False, [*map(float, colour), 1.0],
                      max(1, round(width * self.scale)), cv2.LINE_8, 4)


def ellipse(x: float, y: float, width: float, height: float, tilt: float = 0.0) -> np.ndarray:
    """Returns the corners of an ellipse with two half axes, of shape (32, 2)."""
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    points = np.stack([width * np.cos(angles), height * np.sin(angles)], axis=1)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    return points @ turn + [x, y]


def outline(person: Person) -> np.ndarray:
    """Returns the outline of a head: an ellipse with a narrower chin, of shape (64, 2)."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x, y = np.cos(angles), np.sin(angles)
    narrow = np.where(y > 0, 1 - (1 - person.jaw) * 0.7 * y**2, 1.0)
    return np.stack([x * narrow, y], axis=1)


def curve(x: Sequence[float], y: Sequence[float]) -> np.ndarray:
    """Returns points (x, y), of shape (n, 2)."""
    return np.stack([np.asarray(x, float), np.asarray(y, float)], axis=1)


def draw_eyes(canvas: Canvas, person: Person, look: Look) -> None:
    """Draws eyes and brows, and glasses if the look has them."""
    dark = person.hair * 0.7
    for side in (-1, 1):
        x, y, size = side * person.eye_gap, person.eye_height, person.eye_size
        canvas.fill(ellipse(x, y, size, 0.6 * size * look.eyes_open), np.full(3, 245))
        canvas.fill(ellipse(x, y, 0.5 * size, min(0.5, 0.6 * look.eyes_open) * size), person.iris)
        canvas.fill(ellipse(x, y, 0.22 * size, 0.22 * size), np.full(3, 15))
        brow = y - 1.3 * size - look.brow_lift
        tilt = side * person.brow_tilt * size
        canvas.stroke(curve([x - 1.2 * size, x, x + 1.2 * size],
                            [brow - tilt, brow - 0.15 * size, brow + tilt]), dark,
                      person.brow_size, 0.02)
        if look.glasses:
            canvas.stroke(ellipse(x, y, 0.27, 0.22), np.array([25, 25, 30]), 0.03, 0.1)
    if look.glasses:
        bridge = person.eye_gap - 0.27
        canvas.stroke(curve([-bridge, bridge], [person.eye_height] * 2), np.array([25, 25, 30]),
                      0.03, 0.1)


def draw_mouth(canvas: Canvas, person: Person, look: Look) -> None:
    """Draws nose, mouth and beard."""
    shade, lips = person.skin * 0.72, person.skin * [0.75, 0.5, 0.5]
    tip, w = person.eye_height + person.nose_length, person.nose_width
    canvas.fill(curve([-0.3 * w, 0.3 * w, w, 0, -w], [person.eye_height, person.eye_height, tip,
                                                      tip + 0.05, tip]), person.skin * 0.88, 0.12)
    canvas.stroke(curve([-w, 0, w], [tip, tip + 0.06, tip]), shade, 0.025, 0.14)
    across = np.linspace(-1, 1, 9)
    bend = person.mouth_height - 0.12 * look.smile * (across**2 - 0.4)
    if person.beard:
        canvas.fill(ellipse(0, 0.8, 0.62 * person.jaw, 0.22), person.hair)
    x = across * person.mouth_width
    if look.mouth_open > 0.02:
        inner = np.concatenate([curve(x, bend), curve(x, bend + look.mouth_open * 2 * (
            1 - across**2))[::-1]])
        canvas.fill(inner, np.array([70, 20, 25]))
    canvas.stroke(curve(x, bend), lips, 2 * person.lip, 0.03)


def draw_head(person: Person, look: Look, size: int) -> np.ndarray:
    """Draws a head.

    Args:
        person: who.
        look: pose, mood and light.
        size: height and width of the picture in pixels.

    Returns:
        float32 of shape (size, size, 4): RGB in [0, 255], and the share of each pixel that the
        head covers.
    """
    canvas = Canvas(person, look, size)
    if person.long_hair:
        canvas.fill(np.concatenate([ellipse(0, -0.2, 1.18, 0.98)[16:],
                                    curve([1.15, -1.15], [1.15, 1.15])]), person.hair, -0.5)
    else:
        canvas.fill(ellipse(0, -0.25, 1.1, 0.9), person.hair, -0.3)
    for side in (-1, 1):
        canvas.fill(ellipse(side * 1.0, 0.05, 0.13, 0.2), person.skin * 0.9, -0.05)
    head = outline(person)
    canvas.fill(head, person.skin)
    draw_eyes(canvas, person, look)
    draw_mouth(canvas, person, look)
    top = head[head[:, 1] <= person.fringe]
    canvas.fill(top[np.argsort(np.arctan2(top[:, 1], top[:, 0]))] * 1.04, person.hair, 0.04)
    small = cv2.resize(canvas.picture, (size, size), interpolation=cv2.INTER_AREA)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    light = 1 + look.light[0] * ramp[None, :] + look.light[1] * ramp[:, None]
    small[..., :3] *= (look.brightness * light)[..., None]
    return small


def photograph(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a picture with the noise of a camera, uint8 of the same shape."""
    return np.clip(np.round(picture + rng.normal(0, NOISE, picture.shape)), 0, 255).astype(np.uint8)


def render(person: Person, look: Look, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draws the photograph of a face, uint8 RGB of shape (size, size, 3)."""
    return photograph(draw_head(person, look, size)[..., :3], rng)


def landmarks(person: Person, look: Look, size: int) -> np.ndarray:
    """Returns (y, x) of eyes, tip of the nose and corners of the mouth, in pixels, (5, 2)."""
    canvas = Canvas(person, look, size)
    tip = person.eye_height + person.nose_length
    corner = person.mouth_height - 0.12 * look.smile * 0.6
    points = [canvas.project(curve([-person.eye_gap, person.eye_gap], [person.eye_height] * 2)),
              canvas.project(curve([0], [tip]), 0.12),
              canvas.project(curve([-person.mouth_width, person.mouth_width], [corner] * 2))]
    return np.concatenate(points)[:, ::-1] / SUPERSAMPLE


def face_box(person: Person, look: Look, size: int) -> np.ndarray:
    """Returns (ymin, xmin, ymax, xmax) of the head without hair, in pixels, of shape (4,)."""
    seen = Canvas(person, look, size).project(outline(person))[:, ::-1] / SUPERSAMPLE
    return np.concatenate([seen.min(axis=0), seen.max(axis=0)])


def draw_people(
    num_people: int, num_photos: int, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws photographs of people, with the camera's noise.

    Returns:
        uint8 of shape (people * photos, size, size, 3), and the person of each, int64.
    """
    pictures = []
    for number in range(num_people):
        rng = np.random.default_rng([seed, number])
        person = random_person(rng)
        pictures += [render(person, random_look(rng), size, rng) for _ in range(num_photos)]
    return np.stack(pictures), np.repeat(np.arange(num_people), num_photos)


class Scene(NamedTuple):
    """A drawn photograph with several faces.

    Attributes:
        image: uint8 of shape (height, width, 3).
        boxes: (ymin, xmin, ymax, xmax) of the heads without hair, in pixels, of shape (n, 4).
        landmarks: (y, x) of five points of each face, in pixels, of shape (n, 5, 2).
    """

    image: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray


def draw_clutter(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Draws rectangles, ellipses and stripes, some of them in the colours of skin and hair."""
    height, width = picture.shape[:2]
    for _ in range(rng.integers(15, 40)):
        colour = (SKINS if rng.random() < 0.3 else HAIRS if rng.random() < 0.3 else
                  rng.uniform(0, 255, (6, 3)))[rng.integers(6)]
        x, y = int(rng.integers(width)), int(rng.integers(height))
        sides = [int(side) for side in rng.integers(4, max(5, min(height, width) // 4), 2)]
        shape = rng.integers(3)
        if shape == 0:
            cv2.rectangle(picture, (x, y), (x + sides[0], y + sides[1]), colour.tolist(), -1)
        elif shape == 1:
            cv2.ellipse(picture, (x, y), sides, int(rng.integers(180)), 0, 360, colour.tolist(), -1)
        else:
            for step in range(0, 5 * max(2, sides[0] // 4), max(2, sides[0] // 4)):
                cv2.line(picture, (x + step, y), (x + step + sides[1], y + sides[0]),
                         colour.tolist(), max(1, sides[0] // 10))


def draw_scene(
    rng: np.random.Generator, height: int = 192, width: int = 256, max_faces: int = 4,
    smallest: int = 28,
) -> Scene:
    """Draws faces of random people that do not overlap on a cluttered background.

    Args:
        rng: of everything in the scene.
        height: in pixels.
        width: in pixels.
        max_faces: largest number of faces; there may be none.
        smallest: side of the smallest picture of a head in pixels, of which the face is about two
            thirds.
    """
    picture = np.full((height, width, 3), rng.uniform(0, 255, 3), np.float32)
    draw_clutter(picture, rng)
    boxes, points, taken = [], [], np.zeros((height, width), bool)
    for _ in range(rng.integers(0, max_faces + 1)):
        side = int(np.exp(rng.uniform(np.log(smallest), np.log(0.8 * min(height, width)))))
        top, left = int(rng.integers(height - side)), int(rng.integers(width - side))
        where = np.s_[top : top + side, left : left + side]
        if taken[where].any():
            continue
        taken[where] = True
        person, look = random_person(rng), random_look(rng)
        head = draw_head(person, look, side)
        picture[where] += head[..., 3:] * (head[..., :3] - picture[where])
        corner = np.array([top, left])
        boxes.append(face_box(person, look, side) + np.tile(corner, 2))
        points.append(landmarks(person, look, side) + corner)
    return Scene(photograph(picture, rng), np.reshape(boxes, (-1, 4)).astype(np.float32),
                 np.reshape(points, (-1, 5, 2)).astype(np.float32))


def write(args: argparse.Namespace) -> None:
    """Writes a folder of people, or of scenes."""
    folder = Path(args.folder)
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty", "give a new folder")
    if args.scenes:
        for number in range(args.scenes):
            rng = np.random.default_rng([args.seed, number])
            images.write_png(folder / f"scene{number:03d}.png", draw_scene(rng, 384, 512).image)
        print(f"{args.scenes} scenes: {folder}")
        return
    pictures, people = draw_people(args.people, args.photos, args.image_size, args.seed)
    for number, (picture, person) in enumerate(zip(pictures, people, strict=True)):
        name = f"{number % args.photos:03d}.png"
        images.write_png(folder / f"person{person:03d}" / name, picture)
    print(f"{args.people} people, {args.photos} photographs each: {folder}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("folder", type=cli.path, help="output folder")
    parser.add_argument("--people", type=cli.positive_int, default=20, help="number of people")
    parser.add_argument("--photos", type=cli.positive_int, default=10,
                        help="photographs per person")
    parser.add_argument("--scenes", type=cli.non_negative_int, default=0,
                        help="draw this many scenes with several faces, instead of people")
    parser.add_argument("--image_size", type=cli.number(int, 16, 1024, "a number from 16 to 1024"),
                        default=96, help="height and width of a photograph in pixels")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of everything")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: write(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
