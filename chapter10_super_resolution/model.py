"""The network that enlarges pictures (EDSR, Lim et al. 2017), and a discriminator of them.

A network sees the small picture, and all of its layers work at that size. Only the last step is
large: a convolution computes the factor² pixels of each small one as channels, and the pixel
shuffle (Shi et al. 2016) puts them in their places. The result is added to the bicubic
enlargement, so that the network learns only what that lacks.
"""

import keras
import tensorflow as tf

from common.convolution import SplitConv2D  # Keras' Conv2D, faster on a single image

STAGES = {2: (2,), 3: (3,), 4: (2, 2)}  # pixel shuffles of the paper's upsampling, by factor
# Layers of the discriminator: channels as a multiple of the first layer's, and stride (Ledig et al.
# 2017, figure 4).
DISCRIMINATOR = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))
SLOPE = 0.2  # of its leaky ReLU
BICUBIC_REACH = 2  # small pixels on each side that bicubic interpolation sees


def pixel_shuffle(x: tf.Tensor, factor: int) -> tf.Tensor:
    """Rearranges channels to pixels: (batch, h, w, factor² c) to (batch, factor h, factor w, c).

    Channel (i * factor + j) * c + k of a pixel becomes channel k of the pixel in row i and column j
    of the block that takes its place.
    """
    return tf.nn.depth_to_space(x, factor)


class PixelShuffle(keras.layers.Layer):
    """The layer of `pixel_shuffle`."""

    def __init__(self, factor: int, **options):
        """Stores the factor."""
        super().__init__(**options)
        self.factor = factor

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Rearranges channels to pixels."""
        return pixel_shuffle(x, self.factor)

    def get_config(self) -> dict[str, int]:
        """Returns what `__init__` takes."""
        return super().get_config() | {"factor": self.factor}


def build_edsr(
    factor: int, blocks: int, width: int, upsampling: str = "direct", seed: int = 0
) -> keras.Model:
    """Builds the network: what it returns is added to the bicubic enlargement, see `enlarge`.

    Residual blocks without normalization, which would forget the contrast of a picture. The last
    kernel is 0, so that training begins at the bicubic enlargement.

    Args:
        factor: 2, 3 or 4.
        blocks: residual blocks of two convolutions.
        width: channels of all inner layers.
        upsampling: "direct": one convolution and pixel shuffle make the colours, which is cheap;
            "stages", of the paper: pixel shuffles of `width` channels, and a last convolution that
            sees large pixels.
        seed: of the initial weights.

    Returns:
        A model of float32 (batch, height, width, 3), in [-.5, .5], that returns float32 (batch,
        factor * height, factor * width, 3).
    """
    seeds = keras.random.SeedGenerator(seed)

    def convolve(x: keras.KerasTensor, filters: int, name: str, scale: float = 1.0):
        start = keras.initializers.VarianceScaling(scale, seed=seeds) if scale else "zeros"
        return SplitConv2D(filters, 3, padding="same", kernel_initializer=start, name=name)(x)

    inputs = keras.Input((None, None, 3))
    x = head = convolve(inputs, width, "head")
    for number in range(1, blocks + 1):
        inner = keras.ops.relu(convolve(x, width, f"block{number}_1", 2.0))
        x = x + convolve(inner, width, f"block{number}_2", 0.1)  # small: the sum of many grows
    x = head + convolve(x, width, "body", 0.1)
    if upsampling == "direct":
        x = PixelShuffle(factor)(convolve(x, 3 * factor**2, "tail", 0.0))
    else:
        for number, stage in enumerate(STAGES[factor], 1):
            x = PixelShuffle(stage)(convolve(x, width * stage**2, f"stage{number}"))
        x = convolve(x, 3, "tail", 0.0)
    return keras.Model(inputs, keras.ops.cast(x, "float32"), name="edsr")


def enlarge(network: keras.Model, images: tf.Tensor, factor: int, training: bool) -> tf.Tensor:
    """Enlarges images by bicubic interpolation, and adds what a network finds lacking.

    Args:
        network: of `build_edsr`.
        images: float32 of shape (batch, height, width, 3) in [0, 255].
        factor: of the network.
        training: whether it is trained.

    Returns:
        float32 of shape (batch, factor * height, factor * width, 3), about in [0, 255].
    """
    size = factor * tf.shape(images)[1:3]
    bicubic = tf.image.resize(images, size, "bicubic", antialias=True)
    return bicubic + 255 * network(images / 255 - 0.5, training=training)


def to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Rounds pixels to whole numbers in [0, 255]."""
    return tf.cast(tf.round(tf.clip_by_value(pixels, 0.0, 255.0)), tf.uint8)


def reach(factor: int, blocks: int, upsampling: str) -> int:
    """Returns how many small pixels away a pixel can be that changes a pixel of `enlarge`."""
    convolutions = 2 + 2 * blocks + (1 if upsampling == "direct" else len(STAGES[factor]) + 1)
    return max(convolutions, BICUBIC_REACH)


def build_discriminator(size: int, width: int, dense: int = 1024, seed: int = 0) -> keras.Model:
    """Builds the discriminator of SRGAN: is a patch a sharp picture, or was it enlarged?

    Args:
        size: height and width of the patches.
        width: channels of the first layer (64 in the paper).
        dense: units of the layer before the last.
        seed: of the initial weights.

    Returns:
        A model of float32 (batch, size, size, 3), in [-.5, .5], that returns logits (batch, 1). In
        training mode it normalizes by the statistics of the batch.
    """
    start = keras.initializers.RandomNormal(0.0, 0.02, seed=keras.random.SeedGenerator(seed))
    inputs = x = keras.Input((size, size, 3))
    for number, (multiple, stride) in enumerate(DISCRIMINATOR):
        x = keras.layers.Conv2D(width * multiple, 3, stride, "same", use_bias=number == 0,
                                kernel_initializer=start)(x)
        x = keras.layers.BatchNormalization()(x) if number else x
        x = keras.layers.LeakyReLU(SLOPE)(x)
    x = keras.layers.Dense(dense, kernel_initializer=start)(keras.layers.Flatten()(x))
    logits = keras.layers.Dense(1, kernel_initializer=start)(keras.layers.LeakyReLU(SLOPE)(x))
    return keras.Model(inputs, keras.ops.cast(logits, "float32"), name="discriminator")
