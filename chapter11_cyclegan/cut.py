"""The contrastive loss of CUT: contrastive unpaired translation (Park et al. 2020).

What must be kept is not asked of a second generator that translates back. Each patch of the output
is to be nearer to the patch of the input at its place than to other patches of the same input, in
features of the generator's own first half. So one generator and one discriminator are enough.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from chapter11_cyclegan.model import normal

UNITS = 256  # of the projection of a feature
DEEPEST = 5  # the residual block whose features are compared last


def with_features(generator: keras.Model) -> keras.Model:
    """Returns a model of images that returns features of five layers, and then the output.

    They are the pixels, both convolutions of stride 2, the first and the fifth residual block (the
    last one, if there are fewer), as in the paper. The model shares all weights of the generator.
    """
    strided = [layer.name for layer in generator.layers
               if isinstance(layer, keras.layers.Conv2D) and layer.strides == (2, 2)]
    blocks = [layer.name for layer in generator.layers if isinstance(layer, keras.layers.Add)
              and layer.name.startswith("block")]
    names = dict.fromkeys([*strided, blocks[0], blocks[min(DEEPEST, len(blocks)) - 1]])
    features = [generator.get_layer(name).output for name in names]
    return keras.Model(generator.input, [generator.input, *features, generator.output])


def build_heads(channels: Sequence[int], seed: int = 0) -> keras.Model:
    """Builds the projections of the features: for each layer two dense layers.

    Args:
        channels: of each layer.
        seed: of the initial weights.

    Returns:
        A model from a list of features, of shape (batch, patches, channels), to a list of vectors
        of length 1, of shape (batch, patches, UNITS).
    """
    seeds = keras.random.SeedGenerator(seed)

    def project(x: keras.KerasTensor, number: int) -> keras.KerasTensor:
        for part, activation in (("a", "relu"), ("b", None)):
            x = keras.layers.Dense(UNITS, activation, name=f"head{number}{part}",
                                   kernel_initializer=normal(0.0, seeds))(x)
        x = keras.ops.cast(x, "float32")
        return keras.ops.normalize(x, axis=-1)

    inputs = [keras.Input((None, count)) for count in channels]
    return keras.Model(inputs, [project(x, i) for i, x in enumerate(inputs)], name="H")


def sample(
    features: Sequence[tf.Tensor], patches: int, seed: tf.Tensor
) -> list[tf.Tensor]:
    """Takes features at random places, the same places for the same seed.

    Args:
        features: of shape (batch, height, width, channels).
        patches: number of places; all, if there are fewer.
        seed: int64 of shape (2,).

    Returns:
        For each layer, of shape (batch, patches, channels).
    """
    taken = []
    for number, maps in enumerate(features):
        flat = tf.reshape(maps, (tf.shape(maps)[0], -1, maps.shape[-1]))
        count = tf.shape(flat)[1]
        order = tf.argsort(tf.random.stateless_uniform((count,), seed + number))
        taken.append(tf.gather(flat, order[:patches], axis=1))
    return taken


def patch_nce(queries: tf.Tensor, keys: tf.Tensor, temperature: float) -> tf.Tensor:
    """Computes the cross-entropy of finding the patch of the input at the place of each output's.

    Args:
        queries: of patches of the output, vectors of length 1, of shape (batch, patches, units).
        keys: of the patches of the input at the same places, which get no gradient.
        temperature: of the softmax.

    Returns:
        A scalar; ln(patches) if all patches look alike.
    """
    logits = tf.matmul(queries, tf.stop_gradient(keys), transpose_b=True) / temperature
    places = tf.range(tf.shape(logits)[1])  # the right answers stand on the diagonal
    labels = tf.broadcast_to(places, tf.shape(logits)[:2])
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
