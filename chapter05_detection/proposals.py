"""Proposals that do not come from a region proposal network: a grid of windows, or a file.

R-CNN and Fast R-CNN took theirs from Selective Search, about 2,000 per image.
"""

import json
from pathlib import Path

import numpy as np

from chapter05_detection.anchors import shapes, tile
from common import cli
from common.errors import UserError
from common.text import read_text


def windows() -> np.ndarray:
    """Returns windows of four scales and three shapes, each a quarter of its side from the next.

    Returns:
        float32 of shape (n, 4), within the image.
    """
    parts = []
    for scale in (0.25, 0.4, 0.6, 0.85):
        for size in shapes([scale] * 3, [0.6, 1.0, 1.6]):
            size = np.minimum(size, 1)
            counts = np.maximum(np.round((1 - size) / (size / 4)).astype(int), 0) + 1
            centres = [np.linspace(side / 2, 1 - side / 2, count, dtype=np.float32)
                       for side, count in zip(size, counts, strict=True)]
            parts.append(tile(*centres, size[None].astype(np.float32)).numpy())
    return np.concatenate(parts).clip(0, 1)


GRID = windows()


def source(text: str) -> str:
    """Returns "rpn", "grid", or the absolute path of a file (an argparse `type`)."""
    return text if text in ("rpn", "grid") else cli.path(text)


def check(boxes: np.ndarray, name: str) -> None:
    """Raises ValueError unless boxes have shape (n, 4), an area, and lie within the image."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"those of {name} have the shape {boxes.shape}, not (n, 4)")
    usable = ((boxes >= 0) & (boxes <= 1)).all(axis=1) & (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
    if not usable.all():
        raise ValueError(f"{boxes[~usable][0].tolist()} of {name} is not a box within [0, 1]")


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads a JSON object from names of images to lists of boxes in fractions.

    Raises:
        UserError: the file cannot be read, or has another form.
    """
    try:
        table = {name: np.array(boxes or np.empty((0, 4)), np.float32)
                 for name, boxes in json.loads(read_text(path)).items()}
        for name, boxes in table.items():
            check(boxes, name)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} holds no proposals ({error})",
                        'write {"image.jpg": [[ymin, xmin, ymax, xmax], …], …} in fractions'
                        ) from error
    return table


def of_image(table: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Returns the proposals for an image.

    Raises:
        UserError: the table has none.
    """
    if not len(table.get(name, ())):
        raise UserError(f"--proposals has no boxes for {name}", "add at least one for each image")
    return table[name]
