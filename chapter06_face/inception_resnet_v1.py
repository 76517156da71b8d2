"""Inception-ResNet-v1, the book's network for faces (Szegedy et al. 2016; section 6.4.6)."""

import keras

layers = keras.layers
BATCH_NORM = {"momentum": 0.995, "epsilon": 0.001, "scale": False}


def conv(
    x: keras.KerasTensor, filters: int, size: int | tuple[int, int], strides: int = 1,
    padding: str = "same",
) -> keras.KerasTensor:
    """Applies a convolution without bias, batch normalization and ReLU."""
    x = layers.Conv2D(filters, size, strides, padding, use_bias=False,
                      kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.1))(x)
    return layers.ReLU()(layers.BatchNormalization(**BATCH_NORM)(x))


def residual(
    x: keras.KerasTensor, branches: list[keras.KerasTensor], scale: float, relu: bool = True
) -> keras.KerasTensor:
    """Adds joined branches, brought to the channels of `x` by a linear 1 × 1 convolution."""
    joined = layers.Concatenate()(branches)
    up = layers.Conv2D(x.shape[-1], 1,
                       kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.1))(joined)
    x = layers.Add()([x, layers.Rescaling(scale)(up)])
    return layers.ReLU()(x) if relu else x


def block35(x: keras.KerasTensor) -> keras.KerasTensor:
    """Applies the block of the largest feature maps, 35 × 35 in the paper."""
    second = conv(conv(x, 32, 1), 32, 3)
    third = conv(conv(conv(x, 32, 1), 32, 3), 32, 3)
    return residual(x, [conv(x, 32, 1), second, third], 0.17)


def block17(x: keras.KerasTensor) -> keras.KerasTensor:
    """Applies the block of the middle feature maps, 17 × 17 in the paper."""
    second = conv(conv(conv(x, 128, 1), 128, (1, 7)), 128, (7, 1))
    return residual(x, [conv(x, 128, 1), second], 0.10)


def block8(x: keras.KerasTensor, scale: float = 0.20, relu: bool = True) -> keras.KerasTensor:
    """Applies the block of the smallest feature maps, 8 × 8 in the paper."""
    second = conv(conv(conv(x, 192, 1), 192, (1, 3)), 192, (3, 1))
    return residual(x, [conv(x, 192, 1), second], scale, relu)


def reduction_a(x: keras.KerasTensor) -> keras.KerasTensor:
    """Halves the feature maps: a convolution, three convolutions, max pooling."""
    second = conv(conv(conv(x, 192, 1), 192, 3), 256, 3, 2, "valid")
    return layers.Concatenate()([conv(x, 384, 3, 2, "valid"), second,
                                 layers.MaxPooling2D(3, 2)(x)])


def reduction_b(x: keras.KerasTensor) -> keras.KerasTensor:
    """Halves the feature maps again."""
    first = conv(conv(x, 256, 1), 384, 3, 2, "valid")
    second = conv(conv(x, 256, 1), 256, 3, 2, "valid")
    third = conv(conv(conv(x, 256, 1), 256, 3), 256, 3, 2, "valid")
    return layers.Concatenate()([first, second, third, layers.MaxPooling2D(3, 2)(x)])


def features(x: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the 1,792 features of normalized images, which have at least 75 × 75 pixels."""
    x = conv(conv(conv(x, 32, 3, 2, "valid"), 32, 3, 1, "valid"), 64, 3)
    x = conv(layers.MaxPooling2D(3, 2)(x), 80, 1, 1, "valid")
    x = conv(conv(x, 192, 3, 1, "valid"), 256, 3, 2, "valid")
    for _ in range(5):
        x = block35(x)
    x = reduction_a(x)
    for _ in range(10):
        x = block17(x)
    x = reduction_b(x)
    for _ in range(5):
        x = block8(x)
    return layers.GlobalAveragePooling2D()(block8(x, 1.0, relu=False))
