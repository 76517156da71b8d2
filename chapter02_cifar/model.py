"""The networks of the chapter.

All take standardised images, float32 of shape (batch, size, size, 3), and return logits of shape
(batch, num_classes). The inputs of the book's two networks have 24x24 pixels, all others 32x32.
"""

import keras
import tensorflow as tf

SIZE = 32
CROP = 24
WEIGHT_DECAY = 0.004  # of the book's two hidden dense layers, times half the sum of squares


class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by a power of the sum of squares over neighbouring channels.

    x / (1 + α Σ x²)^0.75 over the nine channels centred on its own, α = 0.001 / 9 (Krizhevsky et
    al. 2012, § 3.3). Batch normalization has since replaced it.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises a tensor of shape (batch, height, width, channels)."""
        normalised = tf.nn.local_response_normalization(  # TensorFlow has no bfloat16 kernel
            tf.cast(inputs, tf.float32), depth_radius=4, bias=1.0, alpha=0.001 / 9, beta=0.75
        )
        return tf.cast(normalised, inputs.dtype)


def build_book(num_classes: int = 10, seed: int = 0) -> keras.Sequential:
    """Builds the book's network (section 2.2.2), 1,068,298 parameters for ten classes.

    Two convolutional layers with max pooling and local response normalization, then two dense
    layers with L2 regularization, which is in `model.losses`. All kernels are initialised from
    truncated normal distributions.
    """
    def weights(number: int, stddev: float) -> keras.Initializer:
        return keras.initializers.TruncatedNormal(stddev=stddev, seed=seed + number)

    def dense(units: int, number: int, name: str) -> keras.layers.Dense:
        return keras.layers.Dense(
            units, "relu", kernel_initializer=weights(number, 0.04), bias_initializer=bias,
            kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY / 2), name=name,
        )

    bias = keras.initializers.Constant(0.1)
    convolution = {"kernel_size": 5, "padding": "same", "activation": "relu"}
    return keras.Sequential([
        keras.Input((CROP, CROP, 3)),
        keras.layers.Conv2D(64, kernel_initializer=weights(0, 0.05), name="conv1", **convolution),
        keras.layers.MaxPooling2D(3, 2, padding="same", name="pool1"),  # 12x12
        LocalResponseNormalization(name="norm1"),
        keras.layers.Conv2D(64, kernel_initializer=weights(1, 0.05), bias_initializer=bias,
                            name="conv2", **convolution),
        LocalResponseNormalization(name="norm2"),
        keras.layers.MaxPooling2D(3, 2, padding="same", name="pool2"),  # 6x6
        keras.layers.Flatten(),  # 2304
        dense(384, 2, "local3"),
        dense(192, 3, "local4"),
        keras.layers.Dense(num_classes, kernel_initializer=weights(4, 1 / 192),
                           name="softmax_linear"),
    ], name="book")


def build_softmax(num_classes: int = 10, seed: int = 0) -> keras.Sequential:
    """Builds softmax regression on the pixels, the baseline without convolutions."""
    return keras.Sequential([
        keras.Input((CROP, CROP, 3)),
        keras.layers.Flatten(),  # 1728
        keras.layers.Dense(num_classes, kernel_initializer="zeros"),
    ], name="softmax")


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization by TensorFlow's fused kernel, which reads its input once.

    It makes the training step of a residual network faster on a CPU. As in TensorFlow 1, the moving
    variance is the unbiased one, n / (n - 1) times that of Keras.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Normalises a tensor of shape (batch, height, width, channels)."""
        scale, offset, mean, variance = (tf.cast(v, tf.float32) for v in (
            self.gamma, self.beta, self.moving_mean, self.moving_variance))
        if not training:
            return tf.raw_ops.FusedBatchNormV3(
                x=inputs, scale=scale, offset=offset, mean=mean, variance=variance,
                epsilon=self.epsilon, is_training=False).y
        normalised = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=[], variance=[], epsilon=self.epsilon)
        for moving, batch in ((self.moving_mean, normalised.batch_mean),
                              (self.moving_variance, normalised.batch_variance)):
            moving.assign(self.momentum * moving + (1 - self.momentum) * batch)
        return normalised.y


def convolve(
    x: keras.KerasTensor, filters: int, size: int = 3, stride: int = 1, pool: int = 1
) -> keras.KerasTensor:
    """Applies a convolution without bias, max pooling if `pool` > 1, and batch normalization."""
    x = keras.layers.Conv2D(filters, size, stride, "same", use_bias=False,
                            kernel_initializer="he_normal")(x)
    # Pooling first: the normalization then has a quarter of the values to process.
    x = keras.layers.MaxPooling2D(pool)(x) if pool > 1 else x
    return BatchNormalization(epsilon=1e-5)(x)


def relu(x: keras.KerasTensor) -> keras.KerasTensor:
    """Applies the rectified linear unit."""
    return keras.layers.ReLU()(x)


def build_alexnet(num_classes: int, seed: int) -> keras.Model:
    """Builds a small AlexNet (Krizhevsky et al. 2012).

    Five convolutional layers, then two dense layers with dropout.
    """
    def convolution(x: keras.KerasTensor, filters: int, size: int) -> keras.KerasTensor:
        return keras.layers.Conv2D(filters, size, padding="same", activation="relu",
                                   kernel_initializer="he_normal")(x)

    def pool(x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.MaxPooling2D(3, 2, padding="same")(x)  # overlapping, as in the paper

    images = keras.Input((SIZE, SIZE, 3))
    x = LocalResponseNormalization()(pool(convolution(images, 48, 5)))  # 16x16
    x = LocalResponseNormalization()(pool(convolution(x, 128, 5)))  # 8x8
    for filters in (192, 192, 128):
        x = convolution(x, filters, 3)
    x = keras.layers.Flatten()(pool(x))  # 4x4
    for number in range(2):
        x = keras.layers.Dense(512, "relu", kernel_initializer="he_normal")(x)
        x = keras.layers.Dropout(0.5, seed=seed + number)(x)
    return keras.Model(images, keras.layers.Dense(num_classes)(x))


def build_vgg(num_classes: int, seed: int) -> keras.Model:
    """Builds a small VGG network (Simonyan & Zisserman 2014).

    Four blocks of two 3x3 convolutions and max pooling. Batch normalization, which was published a
    year later, is added: without it the network hardly trains.
    """
    x = images = keras.Input((SIZE, SIZE, 3))
    for filters in (32, 64, 128, 256):
        x = relu(convolve(x, filters))
        x = relu(convolve(x, filters, pool=2))  # 16x16, 8x8, 4x4, 2x2
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(256, "relu", kernel_initializer="he_normal")(x)
    x = keras.layers.Dropout(0.5, seed=seed)(x)
    return keras.Model(images, keras.layers.Dense(num_classes)(x))


def build_inception(num_classes: int, seed: int) -> keras.Model:
    """Builds a small Inception network (Szegedy et al. 2014, figure 2b).

    Each module has four parallel branches of different receptive fields.
    """
    def module(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
        pooled = keras.layers.MaxPooling2D(3, 1, padding="same")(x)
        return keras.layers.Concatenate()([
            relu(convolve(x, 2 * width, 1)),
            relu(convolve(relu(convolve(x, 2 * width, 1)), 4 * width)),  # 1x1 before 3x3
            relu(convolve(relu(convolve(x, width // 2, 1)), width, 5)),  # and before 5x5
            relu(convolve(pooled, width, 1)),
        ])  # 8 * width channels

    images = keras.Input((SIZE, SIZE, 3))
    x = relu(convolve(images, 32, pool=2))  # 16x16
    for width in (12, 16):
        x = module(x, width)
    x = keras.layers.MaxPooling2D(2)(x)  # 8x8
    for width in (24, 24, 32):
        x = module(x, width)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2, seed=seed)(x)
    return keras.Model(images, keras.layers.Dense(num_classes)(x))


def build_resnet20(num_classes: int, seed: int) -> keras.Model:
    """Builds ResNet-20: nine residual blocks of two convolutions (He et al. 2015, § 4.2)."""
    def block(x: keras.KerasTensor, filters: int, stride: int) -> keras.KerasTensor:
        shortcut = x
        if stride > 1:  # option A of the paper: subsampled, zeros for the new channels, no weights
            more = filters - x.shape[-1]
            shortcut = keras.layers.AveragePooling2D(1, stride)(x)
            shortcut = keras.ops.pad(shortcut, ((0, 0), (0, 0), (0, 0), (0, more)))
        x = relu(convolve(x, filters, stride=stride))
        return relu(keras.layers.Add()([shortcut, convolve(x, filters)]))

    images = keras.Input((SIZE, SIZE, 3))
    x = relu(convolve(images, 16))
    for filters in (16, 32, 64):  # 32x32, 16x16, 8x8
        for number in range(3):
            x = block(x, filters, stride=2 if number == 0 and filters > 16 else 1)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(num_classes)(x))


def build_resnet9(num_classes: int, seed: int) -> keras.Model:
    """Builds a shallow, wide residual network that learns in few epochs, 1.6 million parameters.

    After the networks of the DAWNBench competition (Page 2018): eight convolutional layers, two
    residual connections. Few and large convolutions make good use of the processor.
    """
    def residual(x: keras.KerasTensor) -> keras.KerasTensor:
        filters = x.shape[-1]
        return keras.layers.Add()([x, relu(convolve(relu(convolve(x, filters)), filters))])

    images = keras.Input((SIZE, SIZE, 3))
    x = relu(convolve(images, 32))
    x = residual(relu(convolve(x, 64, pool=2)))  # 16x16
    x = relu(convolve(x, 128, pool=2))  # 8x8
    x = residual(relu(convolve(x, 256, pool=2)))  # 4x4
    x = keras.layers.GlobalMaxPooling2D()(x)
    return keras.Model(images, keras.layers.Dense(num_classes)(x))


NETWORKS = {"book": build_book, "softmax": build_softmax, "alexnet": build_alexnet,
            "vgg": build_vgg, "inception": build_inception, "resnet20": build_resnet20,
            "resnet9": build_resnet9}


def build_model(
    name: str, num_classes: int = 10, seed: int = 0, precision: str = "float32"
) -> keras.Model:
    """Builds a network by its name.

    Args:
        name: one of NETWORKS.
        num_classes: number of logits.
        seed: of the initial weights and of dropout.
        precision: compute dtype, "float32" or "bfloat16"; weights are always float32.
    """
    keras.utils.set_random_seed(seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)
    try:
        return NETWORKS[name](num_classes, seed)
    finally:
        keras.config.set_dtype_policy(before)


def mirrored(model: keras.Model) -> keras.Model:
    """Returns a model that averages the logits of each image and of its mirror image."""
    images = keras.Input(model.input_shape[1:])
    logits = keras.layers.Average()([model(images), model(images[:, :, ::-1])])
    return keras.Model(images, logits, name=f"{model.name}_mirrored")
