"""N-to-1 networks: a reader encodes a sequence as one vector, and a linear layer classifies it.

The readers are `Recurrent`, as in the book, and for texts also `Convolutions` (Kim 2014) and `Bag`
(Joulin et al. 2016). A text is a sequence of token ids, which are embedded first.
"""

import argparse
from typing import Any

import keras
import tensorflow as tf

CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
WIDTHS = (3, 4, 5)  # kernel sizes of `Convolutions` in tokens (Kim 2014)


class Recurrent(keras.Layer):
    """Recurrent layers that stop at the end of each sequence.

    Beyond the end of a sequence the mask keeps the state unchanged, so the result is the output of
    the last valid step, whatever the padding. A mask by value (`keras.layers.Masking`) would be
    wrong here, because 0 is also a valid number.
    """

    def __init__(
        self, width: int, cell: str, lstm_size: int, num_layers: int, bidirectional: bool, pool: str
    ):
        """Builds all weights; `width` is the size of a step. For the rest see `build_model`."""
        super().__init__()
        self.pool, self.layers = pool, []
        for number in range(num_layers):
            inner = number < num_layers - 1 or pool == "max"
            layer = CELLS[cell](lstm_size, return_sequences=inner)
            self.layers.append(keras.layers.Bidirectional(layer) if bidirectional else layer)
            self.layers[-1].build((None, None, width))
            width = lstm_size * (2 if bidirectional else 1)
        self.size, self.built = width, True

    def call(self, steps: tf.Tensor, mask: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Turns steps (batch, time, width) and bool (batch, time) into (batch, size)."""
        for layer in self.layers:
            steps = layer(steps, mask=mask, training=training)
        if self.pool == "last":
            return steps  # (batch, size): the last layer returns only its last output
        return tf.reduce_max(tf.where(mask[..., None], steps, -1.0), axis=1)  # outputs are > -1


class Convolutions(keras.Layer):
    """Convolutions over time, each followed by global max pooling (Kim 2014)."""

    def __init__(self, width: int, num_filters: int):
        """Builds all weights; `width` is the size of a step."""
        super().__init__()
        self.filters = [keras.layers.Conv1D(num_filters, span, padding="same", activation="relu")
                        for span in WIDTHS]
        for layer in self.filters:
            layer.build((None, None, width))
        self.size, self.built = num_filters * len(WIDTHS), True

    def call(self, steps: tf.Tensor, mask: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Turns steps (batch, time, width) and bool (batch, time) into (batch, size)."""
        valid = tf.cast(mask, steps.dtype)[..., None]
        steps = steps * valid
        # Activations are at least 0 (ReLU), so zeros in place of the padding never are the maximum.
        pooled = [tf.reduce_max(layer(steps) * valid, axis=1) for layer in self.filters]
        return tf.concat(pooled, axis=1)


class Bag(keras.Layer):
    """The mean of all steps, which ignores their order (Joulin et al. 2016)."""

    def __init__(self, width: int):
        """Has no weights; `width` is the size of a step."""
        super().__init__()
        self.size, self.built = width, True

    def call(self, steps: tf.Tensor, mask: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Turns steps (batch, time, width) and bool (batch, time) into (batch, width)."""
        valid = tf.cast(mask, steps.dtype)[..., None]
        return tf.reduce_sum(steps * valid, axis=1) / tf.reduce_sum(valid, axis=1)


def add_pairs(
    tokens: tf.Tensor, mask: tf.Tensor, first: int, num_buckets: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Appends the ids of all bigrams, which tell `Bag` something about word order.

    Bigrams have no vocabulary: they are hashed into buckets, as in fastText, and some collide.

    Args:
        tokens: int32 (batch, time), token ids.
        mask: bool (batch, time), False for padding.
        first: id of the first bucket, after those of all tokens.
        num_buckets: number of buckets.

    Returns:
        Token and bigram ids, int32, and their mask, bool, both (batch, 2 * time - 1).
    """
    left, right = tf.cast(tokens[:, :-1], tf.int64), tf.cast(tokens[:, 1:], tf.int64)
    pairs = first + tf.cast((left * 1_000_003 + right) % num_buckets, tokens.dtype)
    return tf.concat([tokens, pairs], axis=1), tf.concat([mask, mask[:, 1:]], axis=1)


class SequenceClassifier(keras.Model):
    """A reader and a linear layer (book, section 13.3.2).

    Token ids are embedded first. Dropout applies to the embeddings and to the reader's output.
    """

    def __init__(
        self,
        reader: Recurrent | Convolutions | Bag,
        classifier: keras.layers.Dense,
        embedding: keras.layers.Embedding | None = None,
        num_words: int = 0,
        dropout: float = 0.0,
    ):
        """Takes built layers; see `build_model`."""
        super().__init__()
        self.reader, self.classifier, self.embedding = reader, classifier, embedding
        self.num_words = num_words
        self.dropout = keras.layers.Dropout(dropout) if dropout else None
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns logits of shape (batch, num_classes).

        Args:
            inputs: `(sequences, lengths)`. Sequences are float32 (batch, time, num_features) in
                [0, 1] or, with an embedding, token ids, int32 (batch, time). Lengths are int64
                (batch,), from 1 to time.
            training: whether to apply dropout.
        """
        sequences, lengths = inputs
        sequences = sequences[:, : tf.reduce_max(lengths)]
        mask = tf.sequence_mask(lengths, tf.shape(sequences)[1])  # (batch, time)
        if self.embedding is not None:
            if num_buckets := self.embedding.input_dim - self.num_words:
                sequences, mask = add_pairs(sequences, mask, self.num_words, num_buckets)
            sequences = self.drop(self.embedding(sequences), training)  # (batch, time, width)
        encoded = self.reader(sequences, mask, training=training)  # (batch, size)
        return self.classifier(self.drop(encoded, training))

    def drop(self, values: tf.Tensor, training: bool) -> tf.Tensor:
        """Applies dropout if the network has any."""
        return values if self.dropout is None else self.dropout(values, training=training)


def build_model(
    num_features: int = 1,
    num_classes: int = 2,
    lstm_size: int = 64,
    seed: int = 0,
    cell: str = "lstm",
    num_layers: int = 1,
    bidirectional: bool = False,
    pool: str = "last",
) -> SequenceClassifier:
    """Builds the network for numbers; the defaults give that of the book (17,026 parameters).

    Args:
        num_features: numbers per step.
        num_classes: number of logits.
        lstm_size: hidden units per recurrent layer and direction.
        seed: seed of the weights. The linear layer's weights and biases are drawn from a normal
            distribution of standard deviation 1, as in the book.
        cell: one of CELLS.
        num_layers: recurrent layers.
        bidirectional: whether layers process the sequence in both directions.
        pool: pooling over time, "last" (the last output) or "max" (the maximum of each unit).
    """
    keras.utils.set_random_seed(seed)
    reader = Recurrent(num_features, cell, lstm_size, num_layers, bidirectional, pool)
    classifier = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed),
        bias_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed + 1),
    )
    classifier.build((None, reader.size))
    return SequenceClassifier(reader, classifier)


def build_text_model(
    num_words: int,
    num_classes: int,
    model: str = "recurrent",
    embedding_size: int = 100,
    freeze_embedding: bool = False,
    num_buckets: int = 0,
    num_filters: int = 100,
    dropout: float = 0.0,
    seed: int = 0,
    **recurrent: Any,
) -> SequenceClassifier:
    """Builds a network for texts.

    Args:
        num_words: size of the vocabulary.
        num_classes: number of logits.
        model: the reader, "recurrent", "conv" or "bag".
        embedding_size: embedding dimension.
        freeze_embedding: whether the embedding is not trained.
        num_buckets: hash buckets for bigrams, for "bag" only.
        num_filters: filters per width, for "conv" only.
        dropout: dropout rate.
        seed: seed of weights and dropout.
        **recurrent: `cell`, `lstm_size`, `num_layers`, `bidirectional` and `pool`, for "recurrent"
            only; see `build_model`.
    """
    keras.utils.set_random_seed(seed)
    embedding = keras.layers.Embedding(
        num_words + (num_buckets if model == "bag" else 0), embedding_size,
        trainable=not freeze_embedding)
    embedding.build()
    if model == "recurrent":
        reader = Recurrent(embedding_size, **recurrent)
    elif model == "conv":
        reader = Convolutions(embedding_size, num_filters)
    else:
        reader = Bag(embedding_size)
    classifier = keras.layers.Dense(num_classes)
    classifier.build((None, reader.size))
    return SequenceClassifier(reader, classifier, embedding, num_words, dropout)


def build_for(
    flags: argparse.Namespace, num_classes: int, num_words: int = 0
) -> SequenceClassifier:
    """Builds the network of a run's flags: for texts if there is a vocabulary, else for numbers."""
    recurrent = {name: getattr(flags, name)
                 for name in ("cell", "lstm_size", "num_layers", "bidirectional", "pool")}
    if not num_words:
        return build_model(flags.num_features, num_classes, seed=flags.seed, **recurrent)
    return build_text_model(
        num_words, num_classes, flags.model, flags.embedding_size, flags.freeze_embedding,
        flags.num_buckets, flags.num_filters, flags.dropout, flags.seed, **recurrent)
