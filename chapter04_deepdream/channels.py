"""Pictures of many channels: each picture of a batch maximizes a channel of its own, from noise."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter04_deepdream import pyramid
from chapter04_deepdream.ascent import Rule, check_start, make_step
from chapter04_deepdream.data import to_uint8
from chapter04_deepdream.model import Extractor, channel_by_image

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

    Raises:
        UserError: the layer has no feature maps at this size, or no gradient.
    """
    sizes = pyramid.octave_sizes((size, size), OCTAVES, OCTAVE_SCALE, growing=False)
    noise = np.random.default_rng(seed).uniform(size=(1, *sizes[0], 3)) + 117
    wanted = tf.Variable(channels[:1], shape=(None,), dtype=tf.int32)
    step, pictures = make_step(channel_by_image(extractor, wanted), rule), []
    for first in tqdm(range(0, len(channels), BATCH), unit="batch", disable=None):
        batch = list(channels[first : first + BATCH])
        wanted.assign(batch)
        images = tf.repeat(tf.constant(noise, tf.float32), len(batch), axis=0)
        if first == 0:
            check_start(step, images, "the layer")
        for octave, octave_size in enumerate(sizes):
            images = pyramid.resize(images, octave_size)
            for number in range(octave * iterations, (octave + 1) * iterations):
                images, *_ = step(images, tf.constant([seed, number], tf.int64), step_size)
        pictures += [to_uint8(image[None], stretch=True) for image in images]
    return pictures
