"""Networks that embed faces: aligned images to vectors, near for one person, far for two.

All take float32 RGB images in [0, 255] of shape (batch, size, size, 3) and return prelogits, of
shape (batch, embedding_size). Divided by their length they are the embeddings; the squared distance
of two is in [0, 4].
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from chapter06_face import inception_resnet_v1

layers = keras.layers
EPSILON = 1e-10  # least squared length, of the original


class Prewhiten(keras.Layer):
    """Shifts and scales each image to mean 0 and deviation 1.

    The deviation is at least 1 / √N for N numbers in the image, as in the original: an image of one
    colour becomes 0.
    """

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Normalizes images of shape (batch, height, width, channels)."""
        mean, variance = tf.nn.moments(images, [1, 2, 3], keepdims=True)
        count = tf.cast(tf.reduce_prod(tf.shape(images)[1:]), images.dtype)
        return (images - mean) / tf.maximum(tf.sqrt(variance), 1 / tf.sqrt(count))


def small_features(x: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the features of a small network for two cores: four convolutions.

    They keep their places, because where eyes and mouth are tells one person from another.
    """
    for filters, strides in ((32, 2), (64, 1), (128, 1), (128, 1)):
        x = layers.Conv2D(filters, 3, strides, "same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        if strides == 1:
            x = layers.MaxPooling2D(2)(x)
    return layers.Flatten()(x)


def squeezenet_features(x: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the 1,000 features of SqueezeNet (Iandola et al. 2016), as in the original."""
    def conv(x: keras.KerasTensor, filters: int, size: int, strides: int = 1) -> keras.KerasTensor:
        x = layers.Conv2D(filters, size, strides, "same", use_bias=False)(x)
        norm = layers.BatchNormalization(**inception_resnet_v1.BATCH_NORM)
        return layers.ReLU()(norm(x))

    def fire(x: keras.KerasTensor, squeeze: int, expand: int) -> keras.KerasTensor:
        x = conv(x, squeeze, 1)
        return layers.Concatenate()([conv(x, expand, 1), conv(x, expand, 3)])

    x = layers.MaxPooling2D(3, 2)(conv(x, 96, 7, 2))
    x = fire(fire(fire(x, 16, 64), 16, 64), 32, 128)
    x = layers.MaxPooling2D(2, 2)(x)
    x = fire(fire(fire(fire(x, 32, 128), 48, 192), 48, 192), 64, 256)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Conv2D(1000, 1)(fire(x, 64, 256))
    return layers.GlobalAveragePooling2D()(x)


FEATURES: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    "small": small_features,
    "squeezenet": squeezenet_features,
    "inception_resnet_v1": inception_resnet_v1.features,
}


def bottleneck(
    features: keras.KerasTensor, embedding_size: int, keep_prob: float, seed: int,
    momentum: float = 0.9,
) -> keras.KerasTensor:
    """Returns the prelogits: dropout, a dense layer and batch normalization, linear.

    `momentum` of the normalization is .995 in the original's networks, which see many batches.
    """
    x = layers.Dropout(1 - keep_prob, seed=seed)(features)
    x = layers.Dense(embedding_size, use_bias=False, name="bottleneck")(x)
    return layers.BatchNormalization(scale=False, epsilon=0.001, momentum=momentum,
                                     name="prelogits")(x)


def build_embedder(
    name: str, size: int, embedding_size: int, keep_prob: float = 1.0, seed: int = 0
) -> keras.Model:
    """Builds a network with random weights.

    Args:
        name: one of FEATURES.
        size: height and width of the images.
        embedding_size: number of prelogits.
        keep_prob: keep probability of the dropout before the last layer.
        seed: of the dropout; Keras' global seed determines the weights.

    Raises:
        ValueError: the images are too small for the network.
    """
    images = keras.Input((size, size, 3))
    features = FEATURES[name](Prewhiten()(images))
    momentum = 0.9 if name == "small" else inception_resnet_v1.BATCH_NORM["momentum"]
    return keras.Model(images, bottleneck(features, embedding_size, keep_prob, seed, momentum))


def build_on(
    maps: keras.Model, layer: str, size: int, embedding_size: int, keep_prob: float = 1.0,
    seed: int = 0,
) -> keras.Model:
    """Builds an embedder on the feature maps of a pretrained network.

    Each channel is averaged over all places, and normalized by its mean and deviation over the
    training images: without the mean, which all faces have in common, distances tell more.

    Args:
        maps: from `pretrained.build_maps`.
        layer: the layer whose output is used.
        size: height and width of the images.
        embedding_size: number of prelogits.
        keep_prob: see `build_embedder`.
        seed: see `build_embedder`.

    Raises:
        ValueError: there is no such layer.
    """
    network = keras.Model(maps.inputs, maps.get_layer(layer).output, name="network")
    images = keras.Input((size, size, 3))
    x = layers.GlobalAveragePooling2D()(network(images))
    x = layers.BatchNormalization(center=False, scale=False, momentum=0.9, name="standardize")(x)
    return keras.Model(images, bottleneck(x, embedding_size, keep_prob, seed))


def build_classifier(embedding_size: int, num_people: int, use_bias: bool = True) -> keras.Model:
    """Builds the last layer, from prelogits to the logits of the people in training."""
    prelogits = keras.Input((embedding_size,))
    logits = layers.Dense(num_people, use_bias=use_bias, name="logits",
                          kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.1))
    return keras.Model(prelogits, logits(prelogits))


def embed(prelogits: tf.Tensor) -> tf.Tensor:
    """Returns embeddings of length 1, of shape (batch, embedding_size)."""
    return tf.math.l2_normalize(prelogits, axis=-1, epsilon=EPSILON)
