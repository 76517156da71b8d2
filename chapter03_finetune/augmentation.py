"""What a network sees of an image: the central crop, or Inception's data augmentation."""

from collections.abc import Sequence

import tensorflow as tf

from common import images

CENTRE = 0.875  # fraction of each side that the central crop of evaluation keeps
MIN_COVERED, ASPECT, ATTEMPTS = 0.1, (0.75, 1.33), 100  # of a random crop
BRIGHTNESS, SATURATION, HUE, CONTRAST = 32 / 255, (0.5, 1.5), 0.2, (0.5, 1.5)


def centre(image: tf.Tensor, size: int) -> tf.Tensor:
    """Returns an input for evaluation: the central crop of an image, resized.

    Args:
        image: uint8 of shape (height, width, 3).
        size: height and width of the result in pixels.

    Returns:
        float32 of shape (size, size, 3) in [0, 255].
    """
    middle = tf.cast(tf.image.central_crop(image, CENTRE), tf.float32)
    return tf.ensure_shape(tf.image.resize(middle, (size, size), antialias=True), (size, size, 3))


def random_crop(encoded: tf.Tensor, key: tf.Tensor, min_area: float) -> tf.Tensor:
    """Decodes a random crop of a JPEG, of at least `min_area`, as uint8 (height, width, 3)."""
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.io.extract_jpeg_shape(encoded), tf.constant([[[0.0, 0.0, 1.0, 1.0]]]), key,
        min_object_covered=MIN_COVERED, aspect_ratio_range=ASPECT, area_range=(min_area, 1.0),
        max_attempts=ATTEMPTS,
    )
    window = tf.concat([begin[:2], extent[:2]], axis=0)
    return tf.io.decode_and_crop_jpeg(encoded, window, channels=3,
                                      dct_method="INTEGER_ACCURATE")  # as `images.decode_jpeg`


def distort_colours(image: tf.Tensor, key: tf.Tensor, full: bool) -> tf.Tensor:
    """Distorts the colours of a float image in [0, 1]; the order of operations is random."""
    order_key, *keys = tf.unstack(tf.random.split(key, 5))
    brightness, saturation, hue, contrast = (
        lambda x: tf.image.stateless_random_brightness(x, BRIGHTNESS, keys[0]),
        lambda x: tf.image.stateless_random_saturation(x, *SATURATION, keys[1]),
        lambda x: tf.image.stateless_random_hue(x, HUE, keys[2]),
        lambda x: tf.image.stateless_random_contrast(x, *CONTRAST, keys[3]),
    )
    orders = [(brightness, saturation, hue, contrast), (saturation, brightness, contrast, hue),
              (contrast, hue, brightness, saturation), (hue, saturation, contrast, brightness)]
    if not full:  # the original too draws one of four orders, three of which are the same
        orders = [(brightness, saturation), *[(saturation, brightness)] * 3]

    def apply(order: Sequence) -> tf.Tensor:
        distorted = image
        for distortion in order:
            distorted = distortion(distorted)
        return distorted

    chosen = tf.random.stateless_uniform((), order_key, 0, len(orders), tf.int32)
    distorted = tf.switch_case(chosen, [lambda order=order: apply(order) for order in orders])
    return tf.clip_by_value(distorted, 0.0, 1.0)


def distort(
    encoded: tf.Tensor,
    size: int,
    key: tf.Tensor,
    augment: str = "fast",
    min_area: float = 0.05,
    quarter_turns: bool = False,
) -> tf.Tensor:
    """Returns an input for training: Inception's augmentation (Szegedy et al. 2014).

    Args:
        encoded: a JPEG, a scalar string.
        size: height and width of the result in pixels.
        key: random seed, int64 of shape (2,), which determines the result.
        augment: "fast", as in the original; "full", which adds hue, contrast and a random resize
            method; or "none".
        min_area: minimum area of the random crop, as a fraction of the image.
        quarter_turns: whether the image is also rotated by 0, 90, 180 or 270 degrees.

    Returns:
        float32 of shape (size, size, 3) in [0, 255].
    """
    if augment == "none":
        return centre(images.decode_jpeg(encoded), size)
    crop_key, resize_key, flip_key, colour_key = tf.unstack(tf.random.split(key, 4))
    image = tf.cast(random_crop(encoded, crop_key, min_area), tf.float32) / 255
    methods = ("bilinear", "nearest", "bicubic", "area") if augment == "full" else ("bilinear",)
    method = tf.random.stateless_uniform((), resize_key, 0, len(methods), tf.int32)
    image = tf.switch_case(method, [
        lambda name=name: tf.image.resize(image, (size, size), name, antialias=True)
        for name in methods])
    image = tf.image.stateless_random_flip_left_right(image, flip_key)
    if quarter_turns:
        turns = tf.random.stateless_uniform((), tf.random.fold_in(flip_key, 1), 0, 4, tf.int32)
        image = tf.image.rot90(image, turns)
    image = distort_colours(image, colour_key, augment == "full")
    return 255 * tf.ensure_shape(image, (size, size, 3))
