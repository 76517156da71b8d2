"""Draws where a network looked for each word of a caption."""

from pathlib import Path

import cv2
import numpy as np

from chapter17_image_caption.inference import Caption
from common import figures
from common.figures import plt

COLUMNS = 6
SHOWN = 224  # pixels of the longer side of a picture
DARK = 0.25  # brightness of a place without any weight


def overlay(picture: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Lightens a picture where the weights are high.

    Args:
        picture: uint8 of shape (height, width, 3).
        weights: of the places of a square grid, of shape (places,).
    """
    side = round(len(weights) ** 0.5)
    grid = np.float32(weights.reshape(side, side) / max(weights.max(), 1e-12))
    size = picture.shape[1], picture.shape[0]
    smooth = cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)[..., None]
    return np.uint8(picture * (DARK + (1 - DARK) * smooth))


def draw_attention(picture: np.ndarray, caption: Caption, path: Path) -> None:
    """Draws a picture, and for each word of its caption where the network looked.

    Args:
        picture: uint8 RGB of any size.
        caption: with attention weights.
        path: the PNG to write.
    """
    scale = SHOWN / max(picture.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    shown = [("", picture), *((word, overlay(picture, weights)) for word, weights in
                              zip(caption.words, caption.attention, strict=False))]
    rows = -(-len(shown) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(1.5 * COLUMNS, 1.75 * rows), squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for place, (word, image) in zip(axes.flat, shown, strict=False):
        place.imshow(image)
        place.set_title(word, fontsize=11)
    figures.save_figure(path, figure)
