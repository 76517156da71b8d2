"""The networks of CycleGAN (Zhu et al. 2017, appendix 7.2; the constants are the original's).

A generator halves the sides twice, transforms with residual blocks, and doubles them again. A
discriminator judges patches: each of its outputs sees a square of the image. Images are float32 of
shape (batch, height, width, 3) in [-1, 1].
"""

import keras

from common.convolution import SplitConv2D  # Keras' Conv2D, faster on a single image

SLOPE = 0.2  # of the leaky ReLU
EPSILON = 1e-5  # of the normalization
MOMENTUM = 0.9  # of the moving averages of batch normalization
LARGE = 128  # images larger than this get more residual blocks
BLOCKS = 6, 9  # of smaller and of larger images
# An identity start clips its input to [-.95, .95]: towards ±1 the gradient of tanh vanishes, and
# atanh is infinite.
IDENTITY_LIMIT = 0.95
STRIDED = {"patch34": 2, "patch70": 3, "patch94": 4}  # convolutions of stride 2 in D, by its name
WIDEST = 8  # widest layer of D, as a multiple of ndf


def default_blocks(image_size: int) -> int:
    """Returns the number of residual blocks for images of a size."""
    return BLOCKS[image_size > LARGE]


def normal(mean: float, seeds: keras.random.SeedGenerator) -> keras.Initializer:
    """Returns the initializer N(mean, .02)."""
    return keras.initializers.RandomNormal(mean, 0.02, seed=seeds)


def normalize(
    x: keras.KerasTensor, norm: str, name: str, seeds: keras.random.SeedGenerator
) -> keras.KerasTensor:
    """Applies instance or batch normalization, with scale and offset."""
    options = {"epsilon": EPSILON, "gamma_initializer": normal(1.0, seeds), "name": f"{name}_norm"}
    if norm == "batch":
        return keras.layers.BatchNormalization(momentum=MOMENTUM, **options)(x)
    return keras.layers.GroupNormalization(-1, **options)(x)


def reflect(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Continues images on all sides by mirroring."""
    return keras.ops.pad(x, [[0, 0], [width, width], [width, width], [0, 0]], "reflect")


def build_generator(
    name: str, width: int, blocks: int, norm: str = "instance", upsample: str = "transpose",
    identity_start: bool = False, seed: int = 0,
) -> keras.Model:
    """Builds a generator.

    Args:
        name: of the model.
        width: channels of the first layer (ngf).
        blocks: number of residual blocks.
        norm: "instance" or "batch".
        upsample: "transpose", 3x3 transposed convolutions of stride 2 as in the original, which
            overlap unevenly and draw a pattern of dots; or "resize", nearest pixels and then a 3x3
            convolution (Odena et al. 2016).
        identity_start: whether the output is tanh(convolution + atanh(input)), and the last
            convolution 0 at first: the generator begins as a copy.
        seed: of the initial weights.

    Returns:
        A model of images of any size that is a multiple of 4, at least 8.
    """
    seeds = keras.random.SeedGenerator(seed)

    def convolve(
        x: keras.KerasTensor, filters: int, kernel: int, name: str, strides: int = 1,
        padding: str = "same", zero: bool = False,
    ) -> keras.KerasTensor:
        return SplitConv2D(
            filters, kernel, strides, padding, use_bias=False, name=name,
            kernel_initializer="zeros" if zero else normal(0.0, seeds))(x)

    def block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        y = convolve(reflect(x, 1), 4 * width, 3, f"{name}a", padding="valid")
        y = keras.ops.relu(normalize(y, norm, f"{name}a", seeds))
        y = convolve(reflect(y, 1), 4 * width, 3, f"{name}b", padding="valid")
        return keras.layers.Add(name=name)([x, normalize(y, norm, f"{name}b", seeds)])

    def double(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
        if upsample == "resize":
            x = keras.layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_resize")(x)
            return convolve(x, filters, 3, name)
        return keras.layers.Conv2DTranspose(filters, 3, 2, "same", use_bias=False, name=name,
                                            kernel_initializer=normal(0.0, seeds))(x)

    inputs = keras.Input((None, None, 3))
    x = convolve(reflect(inputs, 3), width, 7, "c7s1", padding="valid")
    x = keras.ops.relu(normalize(x, norm, "c7s1", seeds))
    for filters in (2 * width, 4 * width):
        layer = f"d{filters}"
        x = keras.ops.relu(normalize(convolve(x, filters, 3, layer, 2), norm, layer, seeds))
    for number in range(1, blocks + 1):
        x = block(x, f"block{number}")
    for filters in (2 * width, width):
        layer = f"u{filters}"
        x = keras.ops.relu(normalize(double(x, filters, layer), norm, layer, seeds))
    x = convolve(reflect(x, 3), 3, 7, "output", padding="valid", zero=identity_start)
    x = keras.ops.cast(x, "float32")
    if identity_start:
        x = x + keras.ops.arctanh(keras.ops.clip(inputs, -IDENTITY_LIMIT, IDENTITY_LIMIT))
    return keras.Model(inputs, keras.ops.tanh(x), name=name)


def build_discriminator(
    name: str, net: str, width: int, norm: str = "instance", seed: int = 0
) -> keras.Model:
    """Builds a discriminator.

    Args:
        name: of the model.
        net: a name of STRIDED; the number is the side of the square that an output sees. "patch94"
            is the original's, "patch70" the paper's: its fourth convolution has stride 1.
        width: channels of the first layer (ndf).
        norm: "instance" or "batch".
        seed: of the initial weights.

    Returns:
        A model of images; it returns logits, which least squares take as they are, of shape (batch,
        height', width', 1).
    """
    seeds = keras.random.SeedGenerator(seed)
    inputs = x = keras.Input((None, None, 3))
    for layer in range(STRIDED[net] + (net != "patch94")):
        filters, strides = width * min(2**layer, WIDEST), 2 if layer < STRIDED[net] else 1
        x = SplitConv2D(filters, 4, strides, "same", use_bias=False, name=f"c{layer + 1}",
                        kernel_initializer=normal(0.0, seeds))(x)
        if layer:
            x = normalize(x, norm, f"c{layer + 1}", seeds)
        x = keras.layers.LeakyReLU(SLOPE)(x)
    x = SplitConv2D(1, 4, 1, "same", name="logits", kernel_initializer=normal(0.0, seeds))(x)
    return keras.Model(inputs, keras.ops.cast(x, "float32"), name=name)


def receptive_field(net: str) -> int:
    """Returns the side of the square that one output of a discriminator sees, in pixels."""
    field = 1 + 3 + (0 if net == "patch94" else 3)  # convolutions of stride 1
    for _ in range(STRIDED[net]):
        field = (field - 1) * 2 + 4
    return field
