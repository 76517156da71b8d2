"""A Transformer (Vaswani et al. 2017): attention in the place of recurrent layers.

It has the methods of `model.Translator`: `encode`, `step` and the call. All words of a sentence are
computed at once in training; in a search each step keeps its keys and values for the next ones.
Layers are normalized before attention and feed-forward network ("pre-norm", Xiong et al. 2020),
which trains without a long warmup.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

EPSILON = 1e-6  # of the layer normalization
FEED_FORWARD = 4  # width of the feed-forward networks, in sizes of the model

# Keys and values of the words so far, of each layer, each of shape (batch, length, units).
Past = list[tuple[tf.Tensor, tf.Tensor]]


class Sizes(NamedTuple):
    """The settings of a Transformer; all are flags of train.py.

    Attributes:
        num_layers: of the encoder, and of the decoder.
        num_units: size of embeddings and layers.
        num_heads: attention heads; a divisor of num_units.
        dropout: rate at embeddings and at the outputs of attention and feed-forward networks.
        tie_embeddings: whether the classifier's weights are the embedding of the target.
        share_vocab: whether source and target have one embedding.
    """

    num_layers: int = 2
    num_units: int = 32
    num_heads: int = 4
    dropout: float = 0.2
    tie_embeddings: bool = False
    share_vocab: bool = False


class Encoded(NamedTuple):
    """The encoded source: keys and values for each layer of the decoder, and its mask.

    Attributes:
        keys: of each layer, of shape (batch, source length, units).
        values: of the same shapes.
        mask: whether a position is a word, bool of shape (batch, source length).
    """

    keys: list[tf.Tensor]
    values: list[tf.Tensor]
    mask: tf.Tensor


def positions(first: tf.Tensor, count: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the sines and cosines that tell positions apart (§ 3.5 of the paper).

    Args:
        first: the first position.
        count: number of positions.
        size: of the model.

    Returns:
        float32 of shape (count, size): sines of falling frequencies, then the cosines.
    """
    half = size // 2
    frequencies = 10000.0 ** (-tf.range(half, dtype=tf.float32) / half)
    angles = tf.cast(first + tf.range(count), tf.float32)[:, None] * frequencies
    return tf.concat([tf.sin(angles), tf.cos(angles), tf.zeros((count, size - 2 * half))], axis=1)


def attend(
    queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, mask: tf.Tensor, num_heads: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes softmax(Q Kᵀ / √d) V of each head (equation 1 of the paper).

    Args:
        queries: of shape (batch, target length, units).
        keys: of shape (batch, source length, units).
        values: of the same shape.
        mask: where a query may look, bool, broadcast to (batch, target length, source length).
        num_heads: parts of the units, each of size d.

    Returns:
        The heads side by side, of shape (batch, target length, units), and the mean of their
        weights, of shape (batch, target length, source length).
    """
    def split(x: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(x)
        x = tf.reshape(x, (shape[0], shape[1], num_heads, x.shape[-1] // num_heads))
        return tf.transpose(x, (0, 2, 1, 3))  # (batch, heads, length, d)

    q, k, v = map(split, (queries, keys, values))
    scores = tf.matmul(q, k, transpose_b=True) / (q.shape[-1] ** 0.5)
    weights = tf.nn.softmax(tf.where(mask[:, None], scores, scores.dtype.min))
    heads = tf.transpose(tf.matmul(weights, v), (0, 2, 1, 3))  # (batch, length, heads, d)
    return tf.reshape(heads, tf.shape(queries)), tf.reduce_mean(weights, axis=1)


class Layer(keras.Layer):
    """Self-attention, in a decoder attention to the source, and a feed-forward network."""

    def __init__(self, sizes: Sizes, is_decoder: bool, seeds: keras.random.SeedGenerator,
                 seed: int, name: str):
        """Creates the weights.

        Args:
            sizes: see `Sizes`.
            is_decoder: whether it attends to the source.
            seeds: of the weights.
            seed: of the dropout.
            name: of the layer.
        """
        super().__init__(name=name)
        units, self.num_heads = sizes.num_units, sizes.num_heads

        def dense(inputs: int, outputs: int, name: str, **rest: Any) -> keras.layers.Dense:
            layer = keras.layers.Dense(outputs, kernel_initializer=keras.initializers.GlorotUniform(
                seed=seeds), name=name, **rest)
            layer.build((None, inputs))
            return layer

        def normalization(name: str) -> keras.layers.LayerNormalization:
            layer = keras.layers.LayerNormalization(epsilon=EPSILON, name=name)
            layer.build((None, units))
            return layer

        self.project = dense(units, 3 * units, "queries_keys_values")
        self.mix = dense(units, units, "mix")
        self.wide = dense(units, FEED_FORWARD * units, "wide", activation="relu")
        self.narrow = dense(FEED_FORWARD * units, units, "narrow")
        self.norms = [normalization(f"norm{i}") for i in range(3 if is_decoder else 2)]
        self.dropouts = [keras.layers.Dropout(sizes.dropout, seed=seed + i) for i in range(3)]
        if is_decoder:
            self.query = dense(units, units, "query")
            self.source = dense(units, 2 * units, "source_keys_values")
            self.source_mix = dense(units, units, "source_mix")

    def attend_to_itself(
        self, x: tf.Tensor, mask: tf.Tensor, training: bool,
        past: tuple[tf.Tensor, tf.Tensor] | None = None,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Adds self-attention; returns the sum, and all keys and values with those of the past."""
        q, k, v = tf.split(self.project(self.norms[0](x)), 3, axis=-1)
        if past is not None:
            k, v = tf.concat([past[0], k], axis=1), tf.concat([past[1], v], axis=1)
        found, _ = attend(q, k, v, mask, self.num_heads)
        return x + self.dropouts[0](self.mix(found), training=training), (k, v)

    def attend_to_source(
        self, x: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, mask: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Adds attention to the source; returns the sum and the weights."""
        query = self.query(self.norms[2](x))
        found, weights = attend(query, keys, values, mask[:, None], self.num_heads)
        return x + self.dropouts[2](self.source_mix(found), training=training), weights

    def feed_forward(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """Adds the feed-forward network."""
        return x + self.dropouts[1](self.narrow(self.wide(self.norms[1](x))), training=training)


def decode(
    layers: Sequence[Layer], x: tf.Tensor, past: Past, memory: Encoded, training: bool
) -> tuple[tf.Tensor, Past, tf.Tensor]:
    """Runs the layers of a decoder over words that follow those of the past; chapter 17 does too.

    Args:
        layers: of the decoder.
        x: embedded words with their positions, of shape (batch, length, units).
        past: keys and values of the words before, of each layer.
        memory: what the layers attend to.
        training: whether to apply dropout.

    Returns:
        Outputs of the shape of `x`, not normalized; keys and values of all words; and the weights
        of the last layer's attention to the source, of shape (batch, length, source length).
    """
    before, count = tf.shape(past[0][0])[1], tf.shape(x)[1]
    # Each word sees those before it and itself.
    mask = (tf.range(before + count) <= before + tf.range(count)[:, None])[None]
    weights, extended = None, []
    for layer, pair, keys, values in zip(layers, past, memory.keys, memory.values, strict=True):
        x, pair = layer.attend_to_itself(x, mask, training, pair)
        x, weights = layer.attend_to_source(x, keys, values, memory.mask, training)
        x = layer.feed_forward(x, training)
        extended.append(pair)
    return x, extended, weights


class Transformer(keras.Model):
    """Encoder, decoder, embeddings and classifier."""

    def __init__(self, sizes: Sizes, source_size: int, target_size: int, seed: int = 0):
        """Creates all weights.

        Args:
            sizes: see `Sizes`.
            source_size: size of the source's vocabulary.
            target_size: size of the target's vocabulary.
            seed: of weights and dropout.
        """
        super().__init__()
        seeds, self.sizes, units = keras.random.SeedGenerator(seed), sizes, sizes.num_units

        def embedding(count: int) -> keras.layers.Embedding:
            layer = keras.layers.Embedding(count, units, keras.initializers.RandomNormal(
                stddev=units**-0.5, seed=seeds))
            layer.build((None,))
            return layer

        self.target_embedding = embedding(target_size)
        self.source_embedding = self.target_embedding if sizes.share_vocab else (
            embedding(source_size))
        self.encoder = [Layer(sizes, False, seeds, seed + 10 * i, f"encoder{i}")
                        for i in range(sizes.num_layers)]
        self.decoder = [Layer(sizes, True, seeds, seed + 5000 + 10 * i, f"decoder{i}")
                        for i in range(sizes.num_layers)]
        self.last_norms = [keras.layers.LayerNormalization(epsilon=EPSILON, name=name)
                           for name in ("encoder_norm", "decoder_norm")]
        for norm in self.last_norms:
            norm.build((None, units))
        self.dropouts = [keras.layers.Dropout(sizes.dropout, seed=seed + 9000 + i)
                         for i in range(2)]
        if not sizes.tie_embeddings:
            self.classifier = keras.layers.Dense(
                target_size, use_bias=False, name="classifier",
                kernel_initializer=keras.initializers.GlorotUniform(seed=seeds))
            self.classifier.build((None, units))
        self.built = True

    def embed(self, table: keras.layers.Embedding, tokens: tf.Tensor, first: tf.Tensor | int
              ) -> tf.Tensor:
        """Returns scaled embeddings plus positions, of shape (batch, length, units)."""
        units = self.sizes.num_units
        return table(tokens) * units**0.5 + positions(first, tf.shape(tokens)[1], units)

    def encode(self, source: tf.Tensor, mask: tf.Tensor, training: bool = False
               ) -> tuple[dict[str, Any], Encoded]:
        """Reads sources; see `model.Translator.encode`.

        The decoder's state has the keys and values of the words so far, of each layer.
        """
        x = self.dropouts[0](self.embed(self.source_embedding, source, 0), training=training)
        for layer in self.encoder:
            x, _ = layer.attend_to_itself(x, mask[:, None], training)
            x = layer.feed_forward(x, training)
        x = self.last_norms[0](x)
        pairs = [tf.split(layer.source(x), 2, axis=-1) for layer in self.decoder]
        empty = tf.zeros((tf.shape(source)[0], 0, self.sizes.num_units))
        state = {"past": [(empty, empty) for _ in self.decoder]}
        return state, Encoded([k for k, _ in pairs], [v for _, v in pairs], mask)

    def decode(
        self, tokens: tf.Tensor, past: Past, memory: Encoded, training: bool
    ) -> tuple[tf.Tensor, Past, tf.Tensor]:
        """Runs the decoder over words that follow those of the past.

        Returns:
            Outputs of shape (batch, length, units), keys and values of all words, and the weights
            of the last layer's attention to the source.
        """
        x = self.embed(self.target_embedding, tokens, tf.shape(past[0][0])[1])
        x = self.dropouts[1](x, training=training)
        x, past, weights = decode(self.decoder, x, past, memory, training)
        return self.last_norms[1](x), past, weights

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the logits of the next word of outputs of shape (…, units)."""
        if self.sizes.tie_embeddings:
            return tf.matmul(outputs, self.target_embedding.embeddings, transpose_b=True)
        return self.classifier(outputs)

    def step(self, tokens: tf.Tensor, state: dict[str, Any], memory: Encoded
             ) -> tuple[tf.Tensor, dict[str, Any], tf.Tensor]:
        """Reads a word per sentence; see `model.Translator.step`."""
        outputs, past, weights = self.decode(tokens[:, None], state["past"], memory, False)
        return self.logits(outputs[:, 0]), {"past": past}, weights[:, 0]

    def call(self, source: tf.Tensor, source_mask: tf.Tensor, target: tf.Tensor,
             target_mask: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Predicts each word of the target; see `model.Translator.call`."""
        state, memory = self.encode(source, source_mask, training)
        outputs, _, _ = self.decode(target, state["past"], memory, training)
        return self.logits(tf.boolean_mask(outputs, target_mask))
