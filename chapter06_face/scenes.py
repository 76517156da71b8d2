"""Drawn scenes: the windows on which P-, R- and O-Net are trained, and scores of the cascade.

A window is square, (ymin, xmin, ymax, xmax) in pixels, edges counted from 0. By its overlap (IoU)
with the nearest face it is one (at least .65), a part (.4 to .65) or none (below .3), as in the
paper; others are not used.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from chapter05_detection.boxes import iou_numpy
from chapter06_face import cascade
from chapter06_face.cartoon import Scene, draw_scene
from chapter06_face.cascade import Faces
from chapter06_face.drawing import draw_faces
from common import images

NONE, FACE, PART = 0, 1, 2  # kinds of windows
PER_FACE, PER_SCENE = 24, 20  # random windows near each face, and anywhere
VALIDATION_SCENES, VALIDATION_SEED = 60, 10**6


class Windows(NamedTuple):
    """Windows to train on.

    Attributes:
        images: uint8 of shape (n, size, size, 3).
        kinds: NONE, FACE or PART, int64 of shape (n,).
        sides: offsets of the face's sides, in sides of the window, float32 of shape (n, 4); 0 for
            NONE.
        landmarks: five y, then five x, in sides of the window, float32 of shape (n, 10); 0 for
            NONE.
    """

    images: np.ndarray
    kinds: np.ndarray
    sides: np.ndarray
    landmarks: np.ndarray


def draw_scenes(count: int, seed: int) -> list[Scene]:
    """Draws scenes from a seed."""
    return [draw_scene(np.random.default_rng([seed, number])) for number in range(count)]


def random_windows(scene: Scene, rng: np.random.Generator, size: int) -> np.ndarray:
    """Returns square windows near the faces and anywhere, float of shape (n, 4)."""
    height, width = scene.image.shape[:2]
    found = []
    for box in scene.boxes:
        centre, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        sides = rng.uniform(0.7, 1.35, PER_FACE) * extent.max()
        centres = centre + rng.uniform(-0.35, 0.35, (PER_FACE, 2)) * extent.max()
        found.append((centres, sides))
    sides = np.exp(rng.uniform(np.log(size), np.log(min(height, width) / 2), PER_SCENE))
    found.append((rng.uniform(0, 1, (PER_SCENE, 2)) * (height, width), sides))
    centres, sides = (np.concatenate(part) for part in zip(*found, strict=True))
    return np.concatenate([centres - sides[:, None] / 2, centres + sides[:, None] / 2], axis=1)


def label(scene: Scene, windows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the windows that are used, and the kinds, sides and landmarks of `Windows`."""
    if not len(scene.boxes):
        count = len(windows)
        return (windows, np.full(count, NONE), np.zeros((count, 4)), np.zeros((count, 10)))
    overlaps = iou_numpy(windows, scene.boxes.astype(np.float64))
    nearest, overlap = overlaps.argmax(axis=1), overlaps.max(axis=1)
    kinds = np.select([overlap >= 0.65, overlap >= 0.4, overlap < 0.3], [FACE, PART, NONE], -1)
    used = kinds >= 0
    windows, kinds, nearest = windows[used], kinds[used], nearest[used]
    extent = (windows[:, 2] - windows[:, 0])[:, None]
    of_face = (kinds != NONE)[:, None]
    sides = np.where(of_face, (scene.boxes[nearest] - windows) / extent, 0)
    places = (scene.landmarks[nearest] - windows[:, None, :2]) / extent[:, None]  # (n, 5, 2)
    landmarks = np.where(of_face, places.transpose(0, 2, 1).reshape(-1, 10), 0)
    return windows, kinds, sides, landmarks


def collect(
    drawn: Sequence[Scene], size: int, seed: int, found: Sequence[np.ndarray] | None = None
) -> Windows:
    """Cuts the windows of all scenes out.

    Args:
        drawn: the scenes.
        size: height and width of the crops.
        seed: of the random windows.
        found: windows that the network before left, per scene; they are the hard ones.
    """
    parts = []
    for number, scene in enumerate(drawn):
        windows = random_windows(scene, np.random.default_rng([seed, number]), size)
        if found is not None:
            windows = np.concatenate([windows, found[number]])
        windows, *labels = label(scene, windows)
        sums = cascade.integral(tf.constant(scene.image[None], tf.float32))
        crops = cascade.crop(sums, tf.constant(windows, tf.float32),
                             tf.zeros(len(windows), tf.int32), size)
        parts.append((np.round(crops).astype(np.uint8), *labels))
    crops, kinds, sides, landmarks = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Windows(crops, kinds.astype(np.int64), sides.astype(np.float32),
                   landmarks.astype(np.float32))


def left_by(
    networks: dict[str, keras.Model], drawn: Sequence[Scene], stages: int
) -> list[np.ndarray]:
    """Returns the windows that the first networks of the cascade leave, per scene."""
    run = cascade.make_cascade(networks, thresholds=(0.5, 0.5, 0.5), stages=stages)
    return [run(scene.image[None])["boxes"].numpy().astype(np.float64) for scene in drawn]


def score(all_found: Sequence[Faces], drawn: Sequence[Scene]) -> dict[str, float]:
    """Returns precision and recall at IoU .5 of the faces found, and the error of their landmarks.

    The error is the mean distance of a landmark from its place, in distances of the eyes; it is
    left out where the detector finds none.
    """
    hits, errors = 0, []
    for found, scene in zip(all_found, drawn, strict=True):
        overlaps = iou_numpy(found.boxes.astype(float), scene.boxes.astype(float))
        for number, row in enumerate(overlaps):
            if not len(row) or row.max() < 0.5:
                continue
            true = int(row.argmax())
            overlaps[number + 1 :, true] = 0  # a face is found once
            hits += 1
            if len(found.landmarks[number]):
                eyes = np.linalg.norm(scene.landmarks[true, 0] - scene.landmarks[true, 1])
                offsets = found.landmarks[number] - scene.landmarks[true]
                errors.append(np.linalg.norm(offsets, axis=1).mean() / max(eyes, 1.0))
    faces = sum(len(scene.boxes) for scene in drawn)
    detections = sum(len(found.boxes) for found in all_found)
    return {"precision": hits / max(detections, 1), "recall": hits / max(faces, 1),
            **({"landmark_error": float(np.mean(errors))} if errors else {}), "faces": faces}


def detect_all(networks: dict[str, keras.Model], drawn: Sequence[Scene]) -> list[Faces]:
    """Returns the faces that the cascade finds in each scene."""
    run = cascade.make_cascade(networks)
    return [cascade.split_by_image(run(scene.image[None]), 1)[0] for scene in drawn]


def validation_scenes() -> list[Scene]:
    """Returns scenes that no training sees."""
    return draw_scenes(VALIDATION_SCENES, VALIDATION_SEED)


def validate(networks: dict[str, keras.Model], png: Path) -> dict[str, float]:
    """Scores the cascade on `validation_scenes`, prints the scores, draws eight scenes."""
    drawn = validation_scenes()
    found = detect_all(networks, drawn)
    sheet = [draw_faces(scene.image, faces)
             for scene, faces in zip(drawn[:8], found[:8], strict=True)]
    images.write_png(png, images.grid(sheet, 4))
    scores = score(found, drawn)
    off = (f"landmarks off by {scores['landmark_error']:.1%} of the distance of the eyes"
           if "landmark_error" in scores else "none found")
    print(f"{scores['faces']} faces in {len(drawn)} other scenes: precision "
          f"{scores['precision']:.2%}, recall {scores['recall']:.2%} at an IoU of .5; {off}; "
          f"see {png}")
    return scores
