"""Draws boxes on images: a colour for each class, its name, and the score of a detection."""

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from common.figures import FALLBACK, font_manager

GOLDEN = 0.618034  # steps of this size around the colour circle never come close to each other


def colour(label: int) -> tuple[int, int, int]:
    """Returns the colour of a class, red, green and blue in [0, 255]."""
    return tuple(round(255 * value)
                 for value in colorsys.hsv_to_rgb((0.33 + label * GOLDEN) % 1, 0.85, 0.95))


def font(size: int) -> ImageFont.FreeTypeFont:
    """Returns a font that has Chinese characters, if one is installed."""
    if FALLBACK:
        return ImageFont.truetype(font_manager.findfont(FALLBACK[0]), size)
    return ImageFont.load_default(size)


def draw_boxes(
    image: np.ndarray, boxes: np.ndarray, labels: np.ndarray, names: Sequence[str],
    scores: np.ndarray | None = None,
) -> np.ndarray:
    """Returns an image with boxes.

    Args:
        image: uint8 of shape (height, width, 3).
        boxes: in fractions, of shape (n, 4).
        labels: classes from 0, of shape (n,).
        names: of the classes.
        scores: of detections, in [0, 1], of shape (n,). The lowest is drawn first.
    """
    picture = Image.fromarray(image)
    draw, (width, height) = ImageDraw.Draw(picture), picture.size
    side = min(width, height)
    line, text_font = max(1, round(side / 150)), font(max(9, side // 24))
    order = range(len(boxes)) if scores is None else np.argsort(scores, kind="stable")
    for i in order:
        top, left, bottom, right = boxes[i] * (height - 1, width - 1, height - 1, width - 1)
        shade = colour(int(labels[i]))
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=shade, width=line)
        text = names[int(labels[i])] + ("" if scores is None else f" {scores[i]:.0%}")
        place = left + line, max(0, top - text_font.size - line)
        draw.rectangle(draw.textbbox(place, text, text_font), fill=shade)
        draw.text(place, text, "black", text_font)
    return np.asarray(picture)
