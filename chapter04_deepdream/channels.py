"""Pictures of many channels: each picture of a batch maximizes a channel of its own, from noise."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter04_deepdream import pyramid
from chapter04_deepdream.ascent import Rule, make_step
from chapter04_deepdream.data import to_uint8
from chapter04_deepdream.model import Extractor, channel_by_image
from common import figures
from common.figures import plt

BATCH = 16  # pictures at a time
OCTAVES, OCTAVE_SCALE = 3, 1.4
COLUMNS = 8


def draw_channels(
    extractor: Extractor, channels: Sequence[int], size: int, iterations: int, step_size: float,
    rule: Rule, seed: int,
) -> list[np.ndarray]:
    """Returns a picture of each channel, uint8 of shape (size, size, 3).

    Args:
        extractor: reads one layer.
        channels: their numbers.
        size: of the last octave in pixels.
        iterations: steps per octave.
        step_size: change of a pixel per step, of 255.
        rule: how the pictures follow the gradient.
        seed: of the noise, which is the same for all pictures, and of the shifts.
    """
    sizes = pyramid.octave_sizes((size, size), OCTAVES, OCTAVE_SCALE, growing=False)
    noise = np.random.default_rng(seed).uniform(size=(1, *sizes[0], 3)) + 117
    wanted = tf.Variable(channels[:1], shape=(None,), dtype=tf.int32)
    step, pictures = make_step(channel_by_image(extractor, wanted), rule), []
    for first in tqdm(range(0, len(channels), BATCH), unit="batch", disable=None):
        batch = list(channels[first : first + BATCH])
        wanted.assign(batch)
        images = tf.repeat(tf.constant(noise, tf.float32), len(batch), axis=0)
        for octave, octave_size in enumerate(sizes):
            images = pyramid.resize(images, octave_size)
            for number in range(octave * iterations, (octave + 1) * iterations):
                images, *_ = step(images, tf.constant([seed, number], tf.int64), step_size)
        pictures += [to_uint8(image[None], stretch=True) for image in images]
    return pictures


def draw_sheet(
    pictures: Sequence[np.ndarray], titles: Sequence[str], columns: int, png: Path,
    width: float = 12.0,
) -> None:
    """Draws pictures and their titles, `columns` per row, on a sheet `width` inches wide."""
    columns = min(columns, len(pictures))
    rows, side = -(-len(pictures) // columns), width / columns
    tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures)
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * (side * tallest + 0.2)),
                                squeeze=False, layout="tight")
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, title in zip(axes.flat, pictures, titles, strict=False):
        axis.imshow(picture)
        axis.set_title(title, fontsize=8, pad=2)
    figures.save_figure(png, figure)


