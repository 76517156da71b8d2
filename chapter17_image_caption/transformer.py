"""A Transformer that writes a caption: attention to the words so far, and to the feature vectors.

It has the methods of `model.Captioner` and takes its place, whatever the decoder sees. Its layers
are those of chapter 16 (Vaswani et al. 2017). In training all words of a caption are computed at
once; in a search each layer keeps its keys and values for the next words.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from chapter16_nmt.transformer import (
    EPSILON,
    Encoded,
    Layer,
    Past,
    Sizes,
    decode,
    positions,
)
from chapter17_image_caption.model import RANGE


class Settings(NamedTuple):
    """What a Transformer is built from.

    Attributes:
        vocabulary: number of words.
        channels: of the encoder's feature vectors, or attributes.
        embedding_size: of words, pictures and layers.
        num_layers: of the decoder.
        num_heads: attention heads; a divisor of embedding_size.
        image_dropout: of the feature vectors.
        dropout: at embeddings, and at the outputs of attention and feed-forward networks.
    """

    vocabulary: int
    channels: int
    embedding_size: int
    num_layers: int
    num_heads: int
    image_dropout: float
    dropout: float


class Transformer(keras.Model):
    """The decoder: from feature vectors and words to the next words."""

    def __init__(self, sizes: Settings, seed: int = 0):
        """Creates all layers and their weights; `seed` is that of weights and dropout."""
        super().__init__(name="captioner")
        self.sizes, size = sizes, sizes.embedding_size
        seeds = keras.random.SeedGenerator(seed)
        self.embedding = keras.layers.Embedding(
            sizes.vocabulary, size, keras.initializers.RandomNormal(stddev=size**-0.5, seed=seeds))
        self.image = keras.layers.Dense(
            size, kernel_initializer=keras.initializers.GlorotUniform(seeds), name="image")
        self.image_norm = keras.layers.LayerNormalization(epsilon=EPSILON, name="image_norm")
        widths = Sizes(num_units=size, num_heads=sizes.num_heads, dropout=sizes.dropout)
        self.decoder = [Layer(widths, True, seeds, seed + 10 * i, f"decoder{i}")
                        for i in range(sizes.num_layers)]
        self.last_norm = keras.layers.LayerNormalization(epsilon=EPSILON, name="last_norm")
        self.classifier = keras.layers.Dense(
            sizes.vocabulary, name="classifier",
            kernel_initializer=keras.initializers.RandomUniform(-RANGE, RANGE, seed=seeds))
        self.image_dropout = keras.layers.Dropout(sizes.image_dropout, seed=seed + 5000)
        self.input_dropout = keras.layers.Dropout(sizes.dropout, seed=seed + 5001)
        for part, width in ((self.embedding, None), (self.image, sizes.channels),
                            (self.image_norm, size), (self.last_norm, size),
                            (self.classifier, size)):
            part.build((None, width))
        self.built = True

    def begin(self, features: tf.Tensor, training: bool) -> tuple[Past, Encoded]:
        """Returns no keys and values of words, and those of the places for each layer.

        Args:
            features: float32 of shape (batch, places, channels).
            training: whether dropout is on.
        """
        x = self.image_norm(self.image(self.image_dropout(features, training=training)))
        pairs = [tf.split(layer.source(x), 2, axis=-1) for layer in self.decoder]
        empty = tf.zeros((tf.shape(x)[0], 0, self.sizes.embedding_size))
        everywhere = tf.ones(tf.shape(x)[:2], tf.bool)
        return [(empty, empty)] * len(pairs), Encoded(*map(list, zip(*pairs, strict=True)),
                                                      everywhere)

    def read(self, tokens: tf.Tensor, past: Past, seen: Encoded, training: bool
             ) -> tuple[tf.Tensor, Past, tf.Tensor]:
        """Reads words that follow those of the past.

        Args:
            tokens: ids of shape (batch, length).
            past: keys and values of the words before, of each layer.
            seen: from `begin`.
            training: whether dropout is on.

        Returns:
            What the classifier needs, of shape (batch, length, embedding size); keys and values of
            all words; and the weights of the places in the last layer, the mean over its heads, of
            shape (batch, length, places).
        """
        size = self.sizes.embedding_size
        x = self.embedding(tokens) * size**0.5
        x += positions(tf.shape(past[0][0])[1], tf.shape(tokens)[1], size)
        x = self.input_dropout(x, training=training)
        x, past, weights = decode(self.decoder, x, past, seen, training)
        return self.last_norm(x), past, weights

    def next_word(self, tokens: tf.Tensor, state: Past, seen: Encoded
                  ) -> tuple[tf.Tensor, Past, tf.Tensor]:
        """Returns logits of the next word, (batch, vocabulary), the new state, and the weights."""
        outputs, state, weights = self.read(tokens[:, None], state, seen, False)
        return self.classifier(outputs[:, 0]), state, weights[:, 0]

    def call(self, features: tf.Tensor, inputs: tf.Tensor, training: bool = False
             ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads whole captions; see `model.Captioner.call`."""
        state, seen = self.begin(features, training)
        outputs, _, weights = self.read(inputs, state, seen, training)
        return outputs, weights
