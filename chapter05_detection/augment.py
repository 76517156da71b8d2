"""Data augmentation of images with boxes, under the names of the original.

Every step takes an image, float32 of shape (height, width, 3) in [0, 255], its boxes, float32 of
shape (n, 4) in fractions of the image, their labels, int64 of shape (n,), and a random key, int64
of shape (2,), which determines the result. It returns image, boxes and labels.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from chapter05_detection.boxes import clip

Sample = tuple[tf.Tensor, tf.Tensor, tf.Tensor]

MEAN_COLOUR = (123.68, 116.779, 103.939)  # of ImageNet
# SSD's sampler (Liu et al. 2016, § 2.2): a crop covers some box by at least one of these fractions.
SSD_COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


def uniform(key: tf.Tensor, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
    """Returns a random number in [low, high)."""
    return tf.random.stateless_uniform((), key, low, high)


def flip_boxes(boxes: tf.Tensor) -> tf.Tensor:
    """Returns boxes as they lie in the mirrored image."""
    top, left, bottom, right = tf.unstack(boxes, axis=1)
    return tf.stack([top, 1 - right, bottom, 1 - left], axis=1)


def random_horizontal_flip(
    image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor,
    probability: float = 0.5,
) -> Sample:
    """Mirrors left and right."""
    flip = uniform(key) < probability
    return (tf.where(flip, image[:, ::-1], image), tf.where(flip, flip_boxes(boxes), boxes),
            labels)


def random_vertical_flip(
    image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor,
    probability: float = 0.5,
) -> Sample:
    """Mirrors top and bottom; for images without an up, such as those of a microscope."""
    flip = uniform(key) < probability
    top, left, bottom, right = tf.unstack(boxes, axis=1)
    flipped = tf.stack([1 - bottom, left, 1 - top, right], axis=1)
    return tf.where(flip, image[::-1], image), tf.where(flip, flipped, boxes), labels


def crop(
    image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, window: tf.Tensor
) -> Sample:
    """Crops to a window, and keeps the boxes whose centre lies in it, clipped.

    Args:
        image: float32 of shape (height, width, 3).
        boxes: float32 of shape (n, 4).
        labels: int64 of shape (n,).
        window: (ymin, xmin, ymax, xmax) in pixels, int32.
    """
    size = tf.cast(tf.tile(tf.shape(image)[:2], [2]), tf.float32)
    low, high = window[:2], window[2:]
    corner, extent = (tf.cast(tf.tile(ends, [2]), tf.float32) for ends in (low, high - low))
    moved = (boxes * size - corner) / extent
    centres = (moved[:, :2] + moved[:, 2:]) / 2
    stays = tf.reduce_all((centres >= 0) & (centres < 1), axis=1)
    return (image[low[0]:high[0], low[1]:high[1]], clip(tf.boolean_mask(moved, stays)),
            tf.boolean_mask(labels, stays))


def random_window(
    image: tf.Tensor, boxes: tf.Tensor, key: tf.Tensor, covered: tf.Tensor,
    aspect_ratio_range: Sequence[float], area_range: Sequence[float],
) -> tf.Tensor:
    """Draws a window that covers a fraction of some box: (ymin, xmin, ymax, xmax) in pixels."""
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image), clip(boxes)[None], key, min_object_covered=covered,
        aspect_ratio_range=tuple(aspect_ratio_range), area_range=tuple(area_range),
        max_attempts=100, use_image_if_no_bounding_boxes=True)
    return tf.concat([begin[:2], begin[:2] + extent[:2]], axis=0)


def random_crop_image(
    image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor,
    min_object_covered: float = 1.0, aspect_ratio_range: Sequence[float] = (0.75, 1.33),
    area_range: Sequence[float] = (0.1, 1.0), probability: float = 1.0,
) -> Sample:
    """Crops to a random window that covers a fraction of some box; see `crop`."""
    window = random_window(image, boxes, key, tf.constant(min_object_covered),
                           aspect_ratio_range, area_range)
    whole = tf.concat([[0, 0], tf.shape(image)[:2]], axis=0)
    chosen = uniform(tf.random.fold_in(key, 1)) < probability
    return crop(image, boxes, labels, tf.where(chosen, window, whole))


def ssd_random_crop(
    image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor,
    aspect_ratio_range: Sequence[float] = (0.5, 2.0), area_range: Sequence[float] = (0.1, 1.0),
    random_coef: float = 0.15,
) -> Sample:
    """Crops as SSD does: how much of a box the window covers is random too; see SSD_COVERED.

    `random_coef` is the probability of no crop at all.
    """
    number = tf.random.stateless_uniform((), tf.random.fold_in(key, 1), 0, len(SSD_COVERED),
                                         tf.int32)
    window = random_window(image, boxes, key, tf.constant(SSD_COVERED)[number],
                           aspect_ratio_range, area_range)
    whole = tf.concat([[0, 0], tf.shape(image)[:2]], axis=0)
    unchanged = uniform(tf.random.fold_in(key, 2)) < random_coef
    return crop(image, boxes, labels, tf.where(unchanged, whole, window))


def corner(room: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    """Draws where a window begins that leaves `room`, (height, width) in pixels, by two keys."""
    drawn = tf.stack([uniform(keys[0]), uniform(keys[1])])
    return tf.cast(tf.cast(room, tf.float32) * drawn, tf.int32)


def place(
    image: tf.Tensor, boxes: tf.Tensor, canvas: tf.Tensor, keys: tf.Tensor,
    colour: Sequence[float],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the image at a random place of a canvas, (height, width), and its boxes there."""
    size = tf.shape(image)[:2]
    low = corner(canvas - size, keys)
    high = canvas - size - low
    padded = tf.pad(image - tf.constant(colour, tf.float32),
                    [[low[0], high[0]], [low[1], high[1]], [0, 0]]) + colour
    size, low, canvas = (tf.cast(tf.tile(ends, [2]), tf.float32) for ends in (size, low, canvas))
    return padded, (boxes * size + low) / canvas


def random_pad_image(
    image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor,
    max_ratio: float = 2.0, pad_color: Sequence[float] = MEAN_COLOUR, probability: float = 0.5,
) -> Sample:
    """Places the image on a larger canvas, so that small objects are seen ("zoom out" of SSD)."""
    keys = tf.random.split(key, 4)
    size = tf.shape(image)[:2]
    ratio = tf.where(uniform(keys[0]) < probability, uniform(keys[1], 1.0, max_ratio), 1.0)
    canvas = tf.cast(tf.cast(size, tf.float32) * ratio, tf.int32)
    return *place(image, boxes, canvas, keys[2:], pad_color), labels


def random_scale_jitter(
    image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor,
    min_scale: float = 0.5, max_scale: float = 2.0, pad_color: Sequence[float] = MEAN_COLOUR,
) -> Sample:
    """Shows the image at a random scale in a frame of its shape (Ghiasi et al. 2021, § 3).

    The frame has 1 / scale times the image's size: it is a random window of a larger image, and a
    smaller one has a random place in it. See `crop` for the boxes.
    """
    keys = tf.random.split(key, 5)
    size = tf.shape(image)[:2]
    scale = uniform(keys[0], min_scale, max_scale)
    frame = tf.maximum(tf.cast(tf.cast(size, tf.float32) / scale, tf.int32), 1)
    canvas = tf.maximum(size, frame)
    image, boxes = place(image, boxes, canvas, keys[1:3], pad_color)
    low = corner(canvas - frame, keys[3:])
    return crop(image, boxes, labels, tf.concat([low, low + frame], axis=0))


def mosaic(
    samples: Sequence[Sample], key: tf.Tensor, min_extent: float = 1.0, max_extent: float = 2.0
) -> Sample:
    """Shows parts of four images in one (YOLOv4, Bochkovskiy et al. 2020, § 3.3).

    The images are laid around a point. A random window is cut out, so that boxes keep the rule of
    `crop`, and resized to the first image's size, which all of them get.

    Args:
        samples: four images with their boxes and labels.
        key: int64 of shape (2,).
        min_extent: smallest height and width of the window, as a multiple of one image's; from 1
            on, the window reaches into all four.
        max_extent: the largest; at 2 the window shows four whole images.
    """
    keys = tf.random.split(key, 3)
    size = tf.shape(samples[0][0])[:2]
    tiles = [samples[0][0], *(tf.image.resize(image, size) for image, _, _ in samples[1:])]
    canvas = tf.concat([tf.concat(tiles[:2], axis=1), tf.concat(tiles[2:], axis=1)], axis=0)
    quarters = [(0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5)]  # where each begins
    boxes = tf.concat([boxes / 2 + (2 * begin) for begin, (_, boxes, _)
                       in zip(quarters, samples, strict=True)], axis=0)
    labels = tf.concat([labels for _, _, labels in samples], axis=0)
    extent = tf.cast(tf.cast(size, tf.float32) * uniform(keys[0], min_extent, max_extent), tf.int32)
    low = corner(2 * size - extent, keys[1:])
    image, boxes, labels = crop(canvas, boxes, labels, tf.concat([low, low + extent], axis=0))
    shown = tf.image.resize(image, size, antialias=True)
    return tf.ensure_shape(shown, samples[0][0].shape), boxes, labels


def colour_step(function: Callable[..., tf.Tensor]) -> Callable[..., Sample]:
    """Returns a step that changes colours alone: `function(image in [0, 1], key, **settings)`."""
    def step(
        image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, **settings: Any
    ) -> Sample:
        changed = function(image / 255, key, **settings)
        return 255 * tf.clip_by_value(changed, 0.0, 1.0), boxes, labels

    step.__signature__ = inspect.signature(function)  # the pipeline checks its settings
    return step


def brightness(image: tf.Tensor, key: tf.Tensor, max_delta: float = 0.2) -> tf.Tensor:
    """Adds a random number to all values."""
    return image + uniform(key, -max_delta, max_delta)


def contrast(
    image: tf.Tensor, key: tf.Tensor, min_delta: float = 0.8, max_delta: float = 1.25
) -> tf.Tensor:
    """Scales the differences from the mean of each channel."""
    return tf.image.stateless_random_contrast(image, min_delta, max_delta, key)


def hue(image: tf.Tensor, key: tf.Tensor, max_delta: float = 0.02) -> tf.Tensor:
    """Turns the hue by a random part of the colour circle."""
    return tf.image.stateless_random_hue(image, max_delta, key)


def saturation(
    image: tf.Tensor, key: tf.Tensor, min_delta: float = 0.8, max_delta: float = 1.25
) -> tf.Tensor:
    """Scales the saturation."""
    return tf.image.stateless_random_saturation(image, min_delta, max_delta, key)


def pixel_value_scale(
    image: tf.Tensor, key: tf.Tensor, minval: float = 0.9, maxval: float = 1.1
) -> tf.Tensor:
    """Multiplies each value by a random number of its own."""
    return image * tf.random.stateless_uniform(tf.shape(image), key, minval, maxval)


def rgb_to_gray(image: tf.Tensor, key: tf.Tensor, probability: float = 0.1) -> tf.Tensor:
    """Removes the colours of some images."""
    grey = tf.image.rgb_to_grayscale(image) + tf.zeros(3)
    return tf.where(uniform(key) < probability, grey, image)


def distort_color(image: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Changes brightness, saturation, hue and contrast, in one of the original's two orders."""
    keys = tf.random.split(key, 5)
    values = {"brightness": lambda x: brightness(x, keys[0], 32 / 255),
              "saturation": lambda x: saturation(x, keys[1], 0.5, 1.5),
              "hue": lambda x: hue(x, keys[2], 0.2), "contrast": lambda x: contrast(x, keys[3],
                                                                                    0.5, 1.5)}

    def apply(order: Sequence[str]) -> tf.Tensor:
        changed = image
        for name in order:
            changed = tf.clip_by_value(values[name](changed), 0.0, 1.0)
        return changed

    return tf.cond(uniform(keys[4]) < 0.5,
                   lambda: apply(("brightness", "saturation", "hue", "contrast")),
                   lambda: apply(("brightness", "contrast", "saturation", "hue")))


def random_jitter_boxes(
    image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, ratio: float = 0.05
) -> Sample:
    """Moves the sides of all boxes by up to a fraction of their height or width."""
    sizes = tf.tile(boxes[:, 2:] - boxes[:, :2], [1, 2])
    moves = tf.random.stateless_uniform(tf.shape(boxes), key, -ratio, ratio)
    return image, clip(boxes + moves * sizes), labels


def random_black_patches(
    image: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor,
    max_black_patches: int = 10, probability: float = 0.5, size_to_image_ratio: float = 0.1,
) -> Sample:
    """Blackens some random squares."""
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.cast(size_to_image_ratio * tf.cast(tf.minimum(height, width), tf.float32), tf.int32)
    rows, columns = tf.range(height)[:, None], tf.range(width)[None]
    for number in range(max_black_patches):
        keys = tf.random.split(tf.random.fold_in(key, number), 3)
        top = tf.cast(uniform(keys[0]) * tf.cast(height - side, tf.float32), tf.int32)
        left = tf.cast(uniform(keys[1]) * tf.cast(width - side, tf.float32), tf.int32)
        inside = ((rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
                  & (uniform(keys[2]) < probability))
        image = tf.where(inside[..., None], 0.0, image)
    return image, boxes, labels


STEPS: dict[str, Callable[..., Sample]] = {
    "random_horizontal_flip": random_horizontal_flip,
    "random_vertical_flip": random_vertical_flip,
    "random_crop_image": random_crop_image,
    "ssd_random_crop": ssd_random_crop,
    "random_pad_image": random_pad_image,
    "random_scale_jitter": random_scale_jitter,
    "random_jitter_boxes": random_jitter_boxes,
    "random_black_patches": random_black_patches,
    "random_adjust_brightness": colour_step(brightness),
    "random_adjust_contrast": colour_step(contrast),
    "random_adjust_hue": colour_step(hue),
    "random_adjust_saturation": colour_step(saturation),
    "random_pixel_value_scale": colour_step(pixel_value_scale),
    "random_rgb_to_gray": colour_step(rgb_to_gray),
    "random_distort_color": colour_step(distort_color),
}


def apply(
    steps: Sequence[tuple[str, dict[str, Any]]], image: tf.Tensor, boxes: tf.Tensor,
    labels: tf.Tensor, key: tf.Tensor,
) -> Sample:
    """Applies steps one after the other; each has a key of its own.

    Args:
        steps: names of STEPS with their settings.
        image: float32 of shape (height, width, 3) in [0, 255].
        boxes: float32 of shape (n, 4).
        labels: int64 of shape (n,).
        key: int64 of shape (2,).
    """
    for number, (name, settings) in enumerate(steps):
        image, boxes, labels = STEPS[name](image, boxes, labels, tf.random.fold_in(key, number),
                                           **settings)
    return image, boxes, labels
