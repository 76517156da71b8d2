"""Data augmentation: random changes of training images that keep their labels (section 2.2.1).

All work on a whole batch: float32 images of shape (count, height, width, 3), about [0, 255], and an
int64 seed of shape (2,), which determines the result.
"""

import argparse
import math

import numpy as np
import tensorflow as tf

CROP = 24  # input size of the book's network (section 2.2.1)
SHIFT = 8  # range of a crop's random offset in pixels, along each side
CUTOUT = 8  # side of the square that is masked
MAX_BRIGHTNESS = 63.0  # grey levels
CONTRAST = (0.2, 1.8)
MAX_ROTATION = math.radians(15)
ZOOM = (0.8, 1.25)
NOISE = 10.0  # highest standard deviation, grey levels

fold_in = tf.random.experimental.stateless_fold_in  # (seed, number) -> a new seed


def stretch(images: tf.Tensor) -> np.ndarray:
    """Scales each image linearly to [0, 1], for display."""
    low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (tf.reduce_min, tf.reduce_max))
    return ((images - low) / tf.maximum(high - low, 1e-6)).numpy()


def random_crop(images: tf.Tensor, seed: tf.Tensor, size: int = CROP) -> tf.Tensor:
    """Crops a square of `size` pixels from each image, at a random one of 9x9 offsets.

    Images that are too small are padded first by reflection: by 4 pixels for size 32.
    """
    margin = (size + SHIFT - images.shape[1]) // 2
    if margin > 0:
        around = (margin, margin)
        images = tf.pad(images, ((0, 0), around, around, (0, 0)), "REFLECT")
    corners = tf.random.stateless_uniform((2, len(images)), seed, 0, SHIFT + 1, tf.int32)
    rows, columns = (corner[:, None] + tf.range(size) for corner in tf.unstack(corners))
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)  # (count, size, size, 3)


def random_flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Flips each image left to right with probability 0.5."""
    mirrored = tf.random.stateless_uniform((len(images), 1, 1, 1), seed) < 0.5
    return tf.where(mirrored, tf.reverse(images, [2]), images)


def random_flip_up_down(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Flips each image upside down with probability 0.5."""
    flipped = tf.random.stateless_uniform((len(images), 1, 1, 1), seed) < 0.5
    return tf.where(flipped, tf.reverse(images, [1]), images)


def random_rotation(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Rotates each image about its centre by a random angle in [-15, 15) degrees."""
    angles = tf.random.stateless_uniform((len(images),), seed, -MAX_ROTATION, MAX_ROTATION)
    return _resample(images, tf.cos(angles), tf.sin(angles))


def random_zoom(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Scales each image about its centre by a random factor in [0.8, 1.25), the size kept."""
    low, high = map(math.log, ZOOM)
    factors = tf.exp(tf.random.stateless_uniform((len(images),), seed, low, high))
    return _resample(images, 1 / factors, tf.zeros_like(factors))


def _resample(images: tf.Tensor, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Reads each pixel (x, y), seen from the centre, at (a x - b y, b x + a y), bilinearly.

    Beyond its edges an image is reflected.
    """
    x, y = (images.shape[2] - 1) / 2, (images.shape[1] - 1) / 2
    zero = tf.zeros_like(a)
    transforms = tf.stack([a, -b, x - a * x + b * y, b, a, y - b * x - a * y, zero, zero], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=transforms, output_shape=images.shape[1:3], fill_value=0.0,
        interpolation="BILINEAR", fill_mode="REFLECT")


def random_noise(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Adds normal noise to all values, of a random deviation in [0, 10) for each image."""
    strengths = tf.random.stateless_uniform((len(images), 1, 1, 1), fold_in(seed, 0), 0, NOISE)
    return images + strengths * tf.random.stateless_normal(images.shape, fold_in(seed, 1))


def random_brightness(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Adds a random value in [-63, 63) to each image."""
    shape = (len(images), 1, 1, 1)
    return images + tf.random.stateless_uniform(shape, seed, -MAX_BRIGHTNESS, MAX_BRIGHTNESS)


def random_contrast(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Scales each image's channels about their means by a random factor in [0.2, 1.8)."""
    factors = tf.random.stateless_uniform((len(images), 1, 1, 1), seed, *CONTRAST)
    means = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    return means + factors * (images - means)


def cutout(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Masks a random square of 8x8 pixels with the image's mean (DeVries & Taylor 2017).

    The centre may be any pixel, so that part of the square may lie outside the image.
    """
    count, size = images.shape[:2]
    centres = tf.random.stateless_uniform((2, count, 1), seed, 0, size, tf.int32)
    offsets = tf.range(size) - centres
    rows, columns = tf.unstack((offsets >= -CUTOUT // 2) & (offsets < CUTOUT // 2))
    inside = (rows[:, :, None] & columns[:, None, :])[..., None]
    return tf.where(inside, tf.reduce_mean(images, axis=(1, 2), keepdims=True), images)


AUGMENTATIONS = {
    "crop": random_crop,
    "flip": random_flip,
    "flip_up_down": random_flip_up_down,
    "rotation": random_rotation,
    "zoom": random_zoom,
    "brightness": random_brightness,
    "contrast": random_contrast,
    "noise": random_noise,
    "cutout": cutout,
}
RECIPES = {
    "book": ("crop", "flip", "brightness", "contrast"),  # section 2.2.1
    "cutout": ("crop", "flip", "cutout"),
    "none": (),
}


def names(augment: str) -> tuple[str, ...]:
    """Returns the augmentations of a recipe, or of a list with commas."""
    return RECIPES[augment] if augment in RECIPES else tuple(augment.split(","))


def augmentation(text: str) -> str:
    """Returns the value of `--augment`, if it names augmentations that exist, each once."""
    named = names(text)
    for name in named:
        if name not in AUGMENTATIONS:
            raise argparse.ArgumentTypeError(
                f"{name!r} is not one of {', '.join((*RECIPES, *AUGMENTATIONS))}")
        if named.count(name) > 1:
            raise argparse.ArgumentTypeError(f"{text} has {name} twice")
    return text


def distort(
    images: tf.Tensor, seed: tf.Tensor, size: int = CROP, augment: str = "book"
) -> tf.Tensor:
    """Returns a training batch: applies the augmentations in order, then standardises.

    Args:
        images: uint8 of shape (count, 32, 32, 3).
        seed: int64 of shape (2,).
        size: height and width of the result in pixels.
        augment: one of RECIPES, or names of AUGMENTATIONS with commas between them.

    Returns:
        float32 of shape (count, size, size, 3), each image of mean 0 and variance 1.
    """
    images = tf.cast(images, tf.float32)
    for number, name in enumerate(names(augment)):
        options = {"size": size} if name == "crop" else {}
        images = AUGMENTATIONS[name](images, fold_in(seed, number), **options)
    return centre(images, size)


def centre(images: tf.Tensor, size: int = CROP) -> tf.Tensor:
    """Returns an evaluation batch: the central crop of each image, standardised.

    Args:
        images: of shape (count, height, width, 3).
        size: height and width of the result in pixels.

    Returns:
        float32 of shape (count, size, size, 3), each image of mean 0 and variance 1.
    """
    middle = tf.image.resize_with_crop_or_pad(tf.cast(images, tf.float32), size, size)
    return tf.image.per_image_standardization(middle)
