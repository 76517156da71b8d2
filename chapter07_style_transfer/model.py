"""The image transformation network, and the losses of style transfer as pure functions.

Johnson et al. 2016 ("Perceptual losses for real-time style transfer and super-resolution") train a
network that maps a photograph to a stylized image in one pass. The losses are those of Gatys et al.
2015 ("A neural algorithm of artistic style"), who optimize the pixels of one image. All images are
float32 RGB of shape (batch, height, width, 3) in [0, 255].
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

MARGIN = 10  # pixels that the book's network adds on each side by reflection, and cuts off again
MIN_SIZE = 16  # of the sides of an image: a reflection needs one pixel more than it adds
STRIDE = 4  # a network works at a quarter of the size in its middle
REACH = 64  # pixels beyond which an image has no effect, but for the statistics of normalization
MEAN_RGB = (123.68, 116.779, 103.939)  # of ImageNet, which the book's network subtracts
RESIDUAL_BLOCKS = 5
SCALE = 255.0  # of pixels in the relative losses
BLANK = 1e-4  # mean square of features, below which they describe nothing

NORMALIZATIONS = ("book", "johnson", "gatys", "relative")


def instance_norm(name: str, affine: bool, epsilon: float = 1e-5) -> keras.Layer:
    """Returns instance normalization: mean 0 and variance 1 of each channel of each image."""
    return keras.layers.GroupNormalization(groups=-1, center=affine, scale=affine,
                                           epsilon=epsilon, name=name)


def reflect(images: keras.KerasTensor, pixels: int) -> keras.KerasTensor:
    """Returns images that are continued by reflection on each side."""
    sides = [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]]
    return keras.ops.pad(images, sides, mode="reflect") if pixels else images


def convolve(
    x: keras.KerasTensor, filters: int, kernel: int, name: str, strides: int = 1,
    initializer: keras.Initializer | str = "he_normal", use_bias: bool = False,
) -> keras.KerasTensor:
    """Applies a convolution behind a reflection of half a kernel: no border of zeros."""
    return keras.layers.Conv2D(filters, kernel, strides, use_bias=use_bias, name=name,
                               kernel_initializer=initializer)(reflect(x, kernel // 2))


def build_book_generator(seed: int) -> keras.Model:
    """Builds the book's network: 1,674,432 weights, without biases (section 7.2.4).

    The residual blocks have no normalization, and the last instance normalization is before tanh:
    each channel of each image has the same mean and variance there, whatever the photograph. The
    upsampling layers enlarge 4 times, to the nearest neighbour, and convolve with stride 2.

    Args:
        seed: of the initial weights.

    Returns:
        A model of images whose sides are multiples of 4 (see `stylize`).
    """
    weights = keras.initializers.TruncatedNormal(stddev=0.1, seed=keras.random.SeedGenerator(seed))

    def normalized(x: keras.KerasTensor, filters: int, kernel: int, name: str, strides: int = 1):
        x = convolve(x, filters, kernel, name, strides, weights)
        return instance_norm(f"{name}_norm", affine=False, epsilon=1e-9)(x)

    images = keras.Input((None, None, 3))
    x = reflect(images - keras.ops.array(MEAN_RGB), MARGIN)
    for name, filters, kernel, strides in (("conv1", 32, 9, 1), ("conv2", 64, 3, 2),
                                           ("conv3", 128, 3, 2)):
        x = keras.ops.relu(normalized(x, filters, kernel, name, strides))
    for block in range(1, RESIDUAL_BLOCKS + 1):
        y = keras.ops.relu(convolve(x, 128, 3, f"res{block}_1", initializer=weights))
        x = x + convolve(y, 128, 3, f"res{block}_2", initializer=weights)
    for name, filters in (("deconv1", 64), ("deconv2", 32)):
        x = keras.layers.UpSampling2D(4, interpolation="nearest")(x)
        x = keras.ops.relu(normalized(x, filters, 3, name, strides=2))
    x = keras.ops.tanh(normalized(x, 3, 9, "deconv3"))
    x = keras.layers.Cropping2D(MARGIN)(x)
    return keras.Model(images, (x + 1) * 127.5, name="book")


def conditional_norm(
    x: keras.KerasTensor, style_weights: keras.KerasTensor, name: str
) -> keras.KerasTensor:
    """Applies instance normalization with a scale and an offset of its own for each style.

    Args:
        x: of shape (batch, height, width, channels).
        style_weights: of shape (batch, num_styles).
        name: of the convolution before it.
    """
    def of_style(part: str, first: str) -> keras.KerasTensor:
        # The kernel has a row per style: a one-hot vector reads one, other weights mix them.
        rows = keras.layers.Dense(x.shape[-1], use_bias=False, kernel_initializer=first,
                                  name=f"{name}_{part}")
        return rows(style_weights)[:, None, None, :]  # (batch, 1, 1, channels)

    normal = instance_norm(f"{name}_norm", affine=False)(x)
    return normal * of_style("scale", "ones") + of_style("offset", "zeros")


def build_generator(
    width: int, seed: int, upsampling: str = "resize", norm: str = "instance", num_styles: int = 1
) -> keras.Model:
    """Builds the default network: a normalization behind every convolution but the last.

    Several styles share all convolutions (Dumoulin et al. 2017, "A learned representation for
    artistic style"): each has its own scales and offsets of the instance normalizations.

    Args:
        width: channels at full size; twice and four times as many at a half and a quarter of it.
        seed: of the initial weights.
        upsampling: "resize", nearest neighbour and a convolution, or "transposed", a transposed
            convolution of stride 2, which leaves a checkerboard (Odena et al. 2016).
        norm: "instance" (Ulyanov et al. 2016) or "batch".
        num_styles: number of styles.

    Returns:
        A model of images whose sides are multiples of 4 (see `stylize`) and, if there are several
        styles, of their weights, of shape (batch, num_styles).
    """
    weights = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(seed))
    images, style_weights = keras.Input((None, None, 3)), keras.Input((num_styles,))

    def normalize(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        if norm == "batch":
            return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        if num_styles > 1:
            return conditional_norm(x, style_weights, name)
        return instance_norm(f"{name}_norm", affine=True)(x)

    def block(x: keras.KerasTensor, filters: int, kernel: int, name: str, strides: int = 1):
        return normalize(convolve(x, filters, kernel, name, strides, weights), name)

    x = images / 127.5 - 1
    for name, filters, kernel, strides in (
            ("conv1", width, 9, 1), ("conv2", 2 * width, 3, 2), ("conv3", 4 * width, 3, 2)):
        x = keras.ops.relu(block(x, filters, kernel, name, strides))
    for number in range(1, RESIDUAL_BLOCKS + 1):
        y = keras.ops.relu(block(x, 4 * width, 3, f"res{number}_1"))
        x = x + block(y, 4 * width, 3, f"res{number}_2")
    for name, filters in (("up1", 2 * width), ("up2", width)):
        if upsampling == "transposed":
            x = keras.layers.Conv2DTranspose(filters, 3, 2, "same", use_bias=False, name=name,
                                             kernel_initializer=weights)(x)
            x = keras.ops.relu(normalize(x, name))
        else:
            x = keras.layers.UpSampling2D(2, interpolation="nearest")(x)
            x = keras.ops.relu(block(x, filters, 3, name))
    # Small weights: the first images are nearly grey, not noise whose style loss is enormous.
    small = keras.initializers.TruncatedNormal(stddev=0.01, seed=seed)
    x = convolve(x, 3, 9, "out", initializer=small, use_bias=True)
    inputs = [images, style_weights] if num_styles > 1 else images
    return keras.Model(inputs, 127.5 + 64 * x, name="residual")


def mix_styles(generator: keras.Model, style_weights: Sequence[float], single: keras.Model) -> None:
    """Writes a mixture of the styles of a network into a network of one style.

    Scales and offsets are the weighted sums of those of the styles (Dumoulin et al. 2017), the
    convolutions are the same.

    Args:
        generator: from `build_generator`, of several styles.
        style_weights: one per style; their sum is 1.
        single: from `build_generator`, of one style, and otherwise alike.
    """
    for layer in single.layers:
        if isinstance(layer, keras.layers.GroupNormalization):
            name = layer.name.removesuffix("norm")
            rows = [generator.get_layer(name + part).kernel for part in ("scale", "offset")]
            layer.set_weights([np.asarray(style_weights, np.float32) @ row for row in rows])
        elif layer.weights:
            layer.set_weights(generator.get_layer(layer.name).get_weights())


def stylize(
    generator: keras.Model, images: tf.Tensor, style_weights: tf.Tensor | None = None,
    training: bool = False,
) -> tf.Tensor:
    """Applies a network to images of any size of at least MIN_SIZE.

    The images are continued by reflection to a multiple of 4, and the result is cut to their size.

    Args:
        generator: the network.
        images: float32 of shape (batch, height, width, 3) in [0, 255].
        style_weights: of shape (batch, num_styles), if the network has several styles.
        training: whether batch normalization uses the statistics of the batch.

    Returns:
        float32 of the shape of `images`; in inference mode clipped to [0, 255].
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    sides = [[0, 0], [0, -height % STRIDE], [0, -width % STRIDE], [0, 0]]
    padded = tf.pad(images, sides, "REFLECT")
    inputs = padded if style_weights is None else [padded, style_weights]
    stylized = generator(inputs, training=training)[:, :height, :width]
    return stylized if training else tf.clip_by_value(stylized, 0.0, 255.0)


def gram(features: tf.Tensor) -> tf.Tensor:
    """Computes the Gram matrix of each image: the products of all pairs of channels, averaged.

    Args:
        features: of shape (batch, height, width, channels).

    Returns:
        Of shape (batch, channels, channels): the sum over all places, divided by height * width *
        channels.
    """
    _, height, width, channels = tf.unstack(tf.shape(features))
    flat = tf.reshape(features, (-1, height * width, channels))  # (batch, places, channels)
    return tf.matmul(flat, flat, transpose_a=True) / tf.cast(height * width * channels, tf.float32)


def pixel_features(images: tf.Tensor) -> tf.Tensor:
    """Returns the "layer" `pixels`: RGB in [-1, 1] and a constant channel of ones.

    Its Gram matrix holds the mean colour and the second moments of the colours. Networks that were
    trained to recognize things or edges hardly notice when all values are shifted alike.
    """
    return tf.concat([images / 127.5 - 1, tf.ones_like(images[..., :1])], axis=-1)


def content_loss(features: tf.Tensor, target: tf.Tensor, normalization: str) -> tf.Tensor:
    """Computes how much the features of images differ from those of the photographs.

    Args:
        features: of the generated images, of shape (batch, height, width, channels).
        target: of the photographs, of the same shape.
        normalization: of the sum of squared differences D of an image. book, johnson: D / (height
            * width * channels); gatys: D / 2; relative: D / sum of squares of the target, which
            counts as at least BLANK a feature: a blank photograph has no content.

    Returns:
        The mean over the batch.
    """
    error = tf.reduce_sum(tf.square(features - target), axis=(1, 2, 3))
    if normalization == "gatys":
        return tf.reduce_mean(error) / 2
    count = tf.cast(tf.reduce_prod(tf.shape(features)[1:]), tf.float32)
    if normalization == "relative":
        squares = tf.reduce_sum(tf.square(target), axis=(1, 2, 3))
        return tf.reduce_mean(error / tf.maximum(squares, BLANK * count))
    return tf.reduce_mean(error) / count


def style_loss(features: tf.Tensor, target: tf.Tensor, normalization: str) -> tf.Tensor:
    """Computes how much the Gram matrices of images differ from that of the style image.

    Args:
        features: of the generated images, of shape (batch, height, width, channels).
        target: Gram matrix of the style image, of shape (1, channels, channels), or of that of
            each image, of shape (batch, channels, channels).
        normalization: of the sum of squared differences D of an image. johnson: D; gatys: D / 4,
            which is the paper's 1 / (4 N^2 M^2) for matrices that are not divided by N M; book: D /
            (height * width * channels of the features), so that a small image counts more;
            relative: D / sum of squares of the target, so that all layers count alike.

    Returns:
        The mean over the batch.
    """
    error = tf.reduce_sum(tf.square(gram(features) - target), axis=(1, 2))
    if normalization == "gatys":
        error /= 4
    if normalization == "relative":
        error /= tf.reduce_sum(tf.square(target), axis=(1, 2))
    if normalization == "book":
        error /= tf.cast(tf.reduce_prod(tf.shape(features)[1:]), tf.float32)
    return tf.reduce_mean(error)


def share_of_extremes(images: tf.Tensor) -> tf.Tensor:
    """Returns the share of values within 1 of 0 or 255: black or saturated."""
    return tf.reduce_mean(tf.cast((images < 1) | (images > 254), tf.float32))


def total_variation(images: tf.Tensor, normalization: str) -> tf.Tensor:
    """Computes half the mean squared difference of neighbours, down and to the right, and adds.

    The relative one is that of images in [0, 1].
    """
    down = images[:, 1:] - images[:, :-1]
    right = images[:, :, 1:] - images[:, :, :-1]
    total = (tf.reduce_mean(tf.square(down)) + tf.reduce_mean(tf.square(right))) / 2
    return total / SCALE**2 if normalization == "relative" else total
