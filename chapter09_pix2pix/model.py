"""The networks of pix2pix (Isola et al. 2017, appendix 6.1; the constants are the original's).

The generator is an encoder that halves the sides until one pixel is left, and a decoder that
doubles them again. In the U-Net each layer of the decoder also sees the layer of the encoder of its
size. The discriminator judges patches: each of its outputs sees a square of the pair (input,
image). Images are float32 of shape (batch, height, width, channels) in [-1, 1].
"""

import math

import keras
import tensorflow as tf

SLOPE = 0.2  # of the leaky ReLU
MAX_WIDTH = 8  # widest layer, as a multiple of ngf or ndf
DROPOUT = 0.5, 0.5, 0.5  # of the first layers of the decoder
EPSILON = 1e-5  # of the normalization

# Generators by name: how often the sides are halved (None: down to one pixel), and the skips.
GENERATORS = {"unet_256": (8, True), "unet_128": (7, True), "unet_64": (6, True),
              "encoder_decoder": (None, False)}
# Discriminators by name: the number of convolutions of stride 2 (None: so that one output sees the
# whole crop), 0 for 1 x 1 convolutions.
DISCRIMINATORS = {"patch70": 3, "patch16": 1, "patch1": 0, "full": None}


def depth_of(net: str, crop_size: int) -> int:
    """Returns how often a generator halves the sides; a side must be a multiple of 2^depth."""
    return GENERATORS[net][0] or int(math.log2(crop_size & -crop_size))


def strided_layers(net: str, crop_size: int) -> int:
    """Returns the number of convolutions of stride 2 in a discriminator."""
    layers = DISCRIMINATORS[net]
    return max(1, math.ceil(math.log2(crop_size)) - 3) if layers is None else layers


def normal(mean: float, seeds: keras.random.SeedGenerator) -> keras.Initializer:
    """Returns the initializer N(mean, .02)."""
    return keras.initializers.RandomNormal(mean, 0.02, seed=seeds)


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization whose moving averages forget their initial values.

    Those of Keras begin at a variance of 1, of which .99^n is left after n steps: .018 after 400,
    more than the variance of most layers here. These have the decay min(.99, n / (9 + n)) after n
    steps, which is 0 in the first.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Adds the number of batches seen."""
        super().build(input_shape)
        self.batches = self.add_weight((), "zeros", "float32", trainable=False, autocast=False,
                                       name="batches")

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: None = None
    ) -> tf.Tensor:
        """Normalizes by the statistics of the batch in training; a momentum of 1 keeps them."""
        if not training:
            return super().call(inputs, training=False)
        x = tf.cast(inputs, tf.float32)
        mean, variance = tf.nn.moments(x, (0, 1, 2))
        if self.momentum < 1:
            keep = tf.minimum(self.momentum, self.batches / (9 + self.batches))
            self.batches.assign_add(1.0)
            for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                average.assign(average + (1 - keep) * (value - average))
        outputs = tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, self.epsilon)
        return tf.cast(outputs, self.compute_dtype)


def norm_of(norm: str, batch_size: int) -> str:
    """Returns the normalization of a network: "batch", "instance" or "single".

    "single" is batch normalization with batches of one image. In training it is instance
    normalization, so it is the same in testing, and a layer of one pixel gives its offset.
    """
    return "single" if norm == "batch" and batch_size == 1 else norm


def normalize(
    x: keras.KerasTensor, norm: str, name: str, seeds: keras.random.SeedGenerator
) -> keras.KerasTensor:
    """Applies a normalization of `norm_of`, with scale and offset."""
    scale, name = normal(1.0, seeds), f"{name}_norm"
    if norm == "batch":
        layer = BatchNormalization(epsilon=EPSILON, gamma_initializer=scale, name=name)
    else:
        layer = keras.layers.GroupNormalization(-1, epsilon=EPSILON, gamma_initializer=scale,
                                                name=name)
    return layer(x)


def build_generator(
    net: str, crop_size: int, in_channels: int, out_channels: int, width: int, norm: str = "batch",
    dropout: bool = True, max_width: int = MAX_WIDTH, seed: int = 0,
) -> keras.Model:
    """Builds a generator.

    Args:
        net: a name of GENERATORS.
        crop_size: height and width of the crops that it is trained on.
        in_channels: 3 (RGB), 1 (L) or 2 (ab).
        out_channels: the same.
        width: channels of the first layer (ngf).
        norm: of `norm_of`. "instance" leaves out the layer of one pixel: its only value would be
            its own mean. "single" keeps it, and it gives its offset at any size.
        dropout: whether the first three layers of the decoder have dropout.
        max_width: widest layer, as a multiple of `width`.
        seed: of the initial weights and the dropout.

    Returns:
        A model of images whose sides are multiples of 2^depth.
    """
    seeds, depth, skips = keras.random.SeedGenerator(seed), depth_of(net, crop_size), []
    weights = normal(0.0, seeds)
    inputs = x = keras.Input((None, None, in_channels))
    # Encoder: convolutions of stride 2; the first has no normalization.
    for level in range(1, depth + 1):
        if level > 1:
            x = keras.layers.LeakyReLU(SLOPE)(x)
        filters = width * min(2 ** (level - 1), max_width)
        x = keras.layers.Conv2D(filters, 4, 2, "same", use_bias=False, name=f"encoder{level}",
                                kernel_initializer=weights)(x)
        if level == depth and norm == "single":
            x = keras.ops.zeros_like(x)  # in training it is its own mean, which is subtracted
        if level > 1 and not (norm == "instance" and level == depth):
            x = normalize(x, norm, f"encoder{level}", seeds)
        skips.append(x)
    # Decoder: transposed convolutions, from the second on of the mirror layer of the encoder too.
    for level in range(depth, 0, -1):
        if GENERATORS[net][1] and level < depth:
            x = keras.layers.Concatenate()([x, skips[level - 1]])
        filters = width * min(2 ** (level - 2), max_width) if level > 1 else out_channels
        x = keras.layers.Conv2DTranspose(filters, 4, 2, "same", use_bias=False,
                                         name=f"decoder{level}",
                                         kernel_initializer=weights)(keras.ops.relu(x))
        if level > 1:
            x = normalize(x, norm, f"decoder{level}", seeds)
        if dropout and 1 < level and depth - level < len(DROPOUT):
            x = keras.layers.Dropout(DROPOUT[depth - level], seed=seed + level)(x)
    return keras.Model(inputs, keras.ops.tanh(keras.ops.cast(x, "float32")), name="generator")


def build_discriminator(
    net: str, crop_size: int, channels: int, width: int, norm: str = "batch", seed: int = 0
) -> keras.Model:
    """Builds a discriminator.

    Args:
        net: a name of DISCRIMINATORS; the number is the side of the square that an output sees.
        crop_size: height and width of the crops, for "full".
        channels: of an input and an image together.
        width: channels of the first layer (ndf).
        norm: of `norm_of`.
        seed: of the initial weights.

    Returns:
        A model of [inputs, images] joined along the channels; it returns logits of shape (batch,
        height', width', 1).
    """
    seeds, strided = keras.random.SeedGenerator(seed), strided_layers(net, crop_size)
    kernel, padding = (1, 0) if strided == 0 else (4, 1)  # one pixel, not "same", at stride 1

    def convolve(x: keras.KerasTensor, filters: int, strides: int, name: str):
        x = keras.layers.ZeroPadding2D(padding)(x) if padding else x
        return keras.layers.Conv2D(filters, kernel, strides, use_bias=False, name=name,
                                   kernel_initializer=normal(0.0, seeds))(x)

    inputs = keras.Input((None, None, channels))
    x = convolve(inputs, width, 2 if strided else 1, "layer1")
    x = keras.layers.LeakyReLU(SLOPE)(x)
    for layer in range(2, max(strided, 1) + 2):
        filters = width * min(2 ** (layer - 1), MAX_WIDTH)
        x = convolve(x, filters, 2 if layer <= strided else 1, f"layer{layer}")
        x = keras.layers.LeakyReLU(SLOPE)(normalize(x, norm, f"layer{layer}", seeds))
    logits = keras.ops.cast(convolve(x, 1, 1, "logits"), "float32")
    return keras.Model(inputs, logits, name="discriminator")


def receptive_field(net: str, crop_size: int) -> int:
    """Returns the side of the square that one output of a discriminator sees, in pixels."""
    if (strided := strided_layers(net, crop_size)) == 0:
        return 1
    field = 1 + 3 + 3  # the last two convolutions, of stride 1
    for _ in range(strided):
        field = (field - 1) * 2 + 4
    return field
