"""Generators and discriminators (book, section 8.2; Radford et al. 2016).

A generator maps noise z, uniform in [-1, 1], of shape (batch, z_dim), to images. A discriminator
maps images to logits of shape (batch, 1): is this a real image? Conditional networks take one-hot
labels of shape (batch, classes) as a second input.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

Z_DIM = 100
LEAK = 0.2  # slope of the leaky ReLU for negative inputs
SMALLEST = 8  # the compact networks halve the images until no side is longer than this

layers = keras.layers


class Shape(NamedTuple):
    """What a network needs to know about the images.

    Attributes:
        height: in pixels.
        width: in pixels.
        channels: 1 or 3.
        classes: number of classes of a conditional network, 0 for an unconditional one.
    """

    height: int
    width: int
    channels: int
    classes: int = 0


class Networks(NamedTuple):
    """A generator and its discriminator.

    Attributes:
        generator: from `[z]` or `[z, labels]` to images in [low, 1].
        discriminator: from `[images]` or `[images, labels]` to logits.
        low: the value of black: -1 behind a tanh, 0 behind a sigmoid.
    """

    generator: keras.Model
    discriminator: keras.Model
    low: float


def halvings(side: int, count: int) -> list[int]:
    """Returns a side and what `count` strided convolutions leave of it: 48, 24, 12, 6, 3."""
    sides = [side]
    for _ in range(count):
        sides.append(-(-sides[-1] // 2))
    return sides


def to_range(images: tf.Tensor, low: float) -> tf.Tensor:
    """Scales uint8 images to float32 in [low, 1]."""
    return tf.cast(images, tf.float32) / 255 * (1 - low) + low


def to_uint8(images: tf.Tensor, low: float) -> tf.Tensor:
    """Rounds images in [low, 1] to uint8; the inverse of `to_range`."""
    scaled = (images - low) / (1 - low) * 255
    return tf.cast(tf.round(tf.clip_by_value(scaled, 0.0, 255.0)), tf.uint8)


def draw_z(seed: tf.Tensor, numbers: tf.Tensor, z_dim: int) -> tf.Tensor:
    """Draws the z of numbered images, uniform in [-1, 1]: each of its seed and number alone.

    Args:
        seed: int64, a scalar, or of shape (count,).
        numbers: int64 of shape (count,).
        z_dim: length of z.

    Returns:
        float32 of shape (count, z_dim).
    """
    keys = tf.stack([tf.broadcast_to(seed, tf.shape(numbers)), numbers], axis=1)
    return tf.map_fn(
        lambda key: tf.random.stateless_uniform((z_dim,), key, -1, 1, alg="philox"),
        keys, fn_output_signature=tf.TensorSpec((z_dim,), tf.float32))


class Layers:
    """Makes the layers of the original: initial weights of deviation 0.02, biases of 0."""

    def __init__(self, seed: int):
        """All layers get initial weights of their own, drawn from `seed`."""
        self.seed = seed

    def normal(self, truncated: bool = False) -> keras.Initializer:
        """Returns the initializer of the next layer."""
        self.seed += 1
        kind = keras.initializers.TruncatedNormal if truncated else keras.initializers.RandomNormal
        return kind(stddev=0.02, seed=self.seed)

    def dense(self, units: int) -> keras.Layer:
        """Returns a dense layer."""
        return layers.Dense(units, kernel_initializer=self.normal())

    def conv(self, filters: int, kernel: int = 5) -> keras.Layer:
        """Returns a convolution of stride 2."""
        return layers.Conv2D(filters, kernel, 2, "same", kernel_initializer=self.normal(True))

    def norm(self) -> keras.Layer:
        """Returns batch normalization."""
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)

    def deconv(
        self, x: keras.KerasTensor, filters: int, height: int, width: int
    ) -> keras.KerasTensor:
        """Applies a transposed convolution of stride 2 whose output has the given size."""
        layer = layers.Conv2DTranspose(filters, 5, 2, "same", kernel_initializer=self.normal())
        return crop(layer(x), height, width)

    def resize_conv(
        self, x: keras.KerasTensor, filters: int, height: int, width: int
    ) -> keras.KerasTensor:
        """Doubles the size by nearest neighbours, then applies a 3x3 convolution."""
        layer = layers.Conv2D(filters, 3, padding="same", kernel_initializer=self.normal(True))
        return layer(crop(layers.UpSampling2D(2)(x), height, width))


def crop(x: keras.KerasTensor, height: int, width: int) -> keras.KerasTensor:
    """Crops doubled feature maps to a size whose sides may be odd, one less than doubled ones.

    The first row or column is left out, as by TensorFlow's transposed convolution of that size.
    """
    rows, columns = x.shape[1] - height, x.shape[2] - width
    return layers.Cropping2D(((rows, 0), (columns, 0)))(x) if rows or columns else x


def leaky_relu(x: keras.KerasTensor) -> keras.KerasTensor:
    """Returns max(x, 0.2 x)."""
    return keras.ops.maximum(x, LEAK * x)


def append_labels(x: keras.KerasTensor, labels: keras.KerasTensor) -> keras.KerasTensor:
    """Appends one-hot labels to vectors, or to every pixel of feature maps, as channels."""
    if len(x.shape) == 4:
        height, width = x.shape[1:3]
        labels = layers.Reshape((1, 1, labels.shape[-1]))(labels)
        labels = layers.UpSampling2D((height, width))(labels)
    return layers.Concatenate()([x, labels])


def build_book(shape: Shape, seed: int = 0, z_dim: int = Z_DIM) -> Networks:
    """Builds the original's unconditional networks, of any size.

    For 64x64 RGB the generator has 5,135,363 parameters, the discriminator 4,316,545.
    """
    make = Layers(seed)
    heights, widths = halvings(shape.height, 4), halvings(shape.width, 4)
    z = keras.Input((z_dim,), name="z")
    x = make.dense(heights[4] * widths[4] * 512)(z)
    x = layers.Reshape((heights[4], widths[4], 512))(x)
    x = layers.ReLU()(make.norm()(x))
    for level, filters in ((3, 256), (2, 128), (1, 64)):
        x = make.deconv(x, filters, heights[level], widths[level])
        x = layers.ReLU()(make.norm()(x))
    x = make.deconv(x, shape.channels, shape.height, shape.width)
    generator = keras.Model([z], layers.Activation("tanh")(x), name="generator")

    images = keras.Input(shape[:3], name="images")
    x = leaky_relu(make.conv(64)(images))
    for filters in (128, 256, 512):
        x = leaky_relu(make.norm()(make.conv(filters)(x)))
    logits = make.dense(1)(layers.Flatten()(x))
    return Networks(generator, keras.Model([images], logits, name="discriminator"), -1.0)


def build_book_conditional(shape: Shape, seed: int = 0, z_dim: int = Z_DIM) -> Networks:
    """Builds the original's conditional networks, which it uses for MNIST.

    For 28x28 grey images of ten classes the generator has 7,065,211 parameters, the discriminator
    3,769,479. The labels are appended to the input of every layer.
    """
    make = Layers(seed)
    heights, widths = halvings(shape.height, 2), halvings(shape.width, 2)
    z, labels = keras.Input((z_dim,), name="z"), keras.Input((shape.classes,), name="labels")
    x = append_labels(z, labels)
    x = append_labels(layers.ReLU()(make.norm()(make.dense(1024)(x))), labels)
    x = layers.ReLU()(make.norm()(make.dense(128 * heights[2] * widths[2])(x)))
    x = append_labels(layers.Reshape((heights[2], widths[2], 128))(x), labels)
    x = layers.ReLU()(make.norm()(make.deconv(x, 128, heights[1], widths[1])))
    x = make.deconv(append_labels(x, labels), shape.channels, shape.height, shape.width)
    generator = keras.Model([z, labels], layers.Activation("sigmoid")(x), name="generator")

    images = keras.Input(shape[:3], name="images")
    x = append_labels(images, labels)
    x = leaky_relu(make.conv(shape.channels + shape.classes)(x))
    x = leaky_relu(make.norm()(make.conv(64 + shape.classes)(append_labels(x, labels))))
    x = append_labels(layers.Flatten()(x), labels)
    x = append_labels(leaky_relu(make.norm()(make.dense(1024)(x))), labels)
    logits = make.dense(1)(x)
    return Networks(generator, keras.Model([images, labels], logits, name="discriminator"), 0.0)


def build_compact(
    shape: Shape, seed: int = 0, z_dim: int = Z_DIM, width: int = 32
) -> Networks:
    """Builds smaller networks, for few images and short trainings.

    The generator enlarges by nearest neighbours before each convolution, against the checkerboards
    of transposed convolutions (Odena et al. 2016). The discriminator has 4x4 kernels and no batch
    normalization, and takes labels by a projection (Miyato & Koyama 2018).

    Args:
        shape: of the images.
        seed: of the initial weights.
        z_dim: length of z.
        width: channels at half the size of the images; they double with each halving.
    """
    make = Layers(seed)
    count = 1
    while halvings(max(shape.height, shape.width), count)[-1] > SMALLEST:
        count += 1
    heights, widths = halvings(shape.height, count), halvings(shape.width, count)
    channels = [shape.channels, *(width * 2**level for level in range(count))]
    z, labels = keras.Input((z_dim,), name="z"), keras.Input((shape.classes,), name="labels")
    x = append_labels(z, labels) if shape.classes else z
    x = make.dense(heights[-1] * widths[-1] * channels[-1])(x)
    x = layers.Reshape((heights[-1], widths[-1], channels[-1]))(x)
    for level in reversed(range(count)):
        x = layers.ReLU()(make.norm()(x))
        x = make.resize_conv(x, channels[level], heights[level], widths[level])
    generator = keras.Model(_inputs(z, labels), layers.Activation("tanh")(x), name="generator")

    images = keras.Input(shape[:3], name="images")
    x = images
    for level in range(count):
        x = leaky_relu(make.conv(channels[level + 1], kernel=4)(x))
    x = layers.Flatten()(x)
    logits = make.dense(1)(x)
    if shape.classes:
        logits = layers.Add()([logits, layers.Dot(1)([make.dense(shape.classes)(x), labels])])
    discriminator = keras.Model(_inputs(images, labels), logits, name="discriminator")
    return Networks(generator, discriminator, -1.0)


def _inputs(first: keras.KerasTensor, labels: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Returns the inputs of a network, with labels only if there are classes."""
    return [first, labels] if labels.shape[-1] else [first]


def build(name: str, shape: Shape, seed: int, z_dim: int, width: int) -> Networks:
    """Builds networks by name: "book" or "compact"."""
    keras.utils.set_random_seed(seed)
    if name == "compact":
        return build_compact(shape, seed, z_dim, width)
    return (build_book_conditional if shape.classes else build_book)(shape, seed, z_dim)


def trainable_parameters(networks: Sequence[keras.Model]) -> int:
    """Returns the number of trainable parameters, as the book counts them."""
    return sum(int(tf.size(v)) for network in networks for v in network.trainable_variables)
