"""N-to-1 networks: a reader makes one vector of a whole sequence, a linear layer names its class.

The readers: `Recurrent`, the book's, and for texts also `Convolutions` (Kim 2014) and `Bag` (Joulin
et al. 2016). A text is a sequence of word numbers; an `Embedding` makes vectors of them.
"""

import argparse
from typing import Any

import keras
import tensorflow as tf

CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
WIDTHS = (3, 4, 5)  # words a filter of `Convolutions` sees at once (Kim 2014)


class Recurrent(keras.Layer):
    """Layers of cells that read step by step and stop at the end of each sequence.

    Where a sequence has ended, the mask keeps the state as it is: what comes out is the output of
    the last true step, whatever stands behind it. A mask by value (`keras.layers.Masking`) would
    not do: 0 is a number that sequences hold.
    """

    def __init__(
        self, width: int, cell: str, lstm_size: int, num_layers: int, bidirectional: bool, pool: str
    ):
        """Builds all weights; `width` is the size of a step, for the rest see `build_model`."""
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
            return steps  # (batch, size): the last layer keeps its last output alone
        return tf.reduce_max(tf.where(mask[..., None], steps, -1.0), axis=1)  # outputs are > -1


class Convolutions(keras.Layer):
    """Filters that look at a few neighbours; of each the largest answer anywhere (Kim 2014)."""

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
        true = tf.cast(mask, steps.dtype)[..., None]
        steps = steps * true
        # Answers are never below 0: a 0 in place of those behind the end changes no largest one.
        largest = [tf.reduce_max(layer(steps) * true, axis=1) for layer in self.filters]
        return tf.concat(largest, axis=1)


class Bag(keras.Layer):
    """The mean of all steps, whatever their order (Joulin et al. 2016)."""

    def __init__(self, width: int):
        """Has no weights; `width` is the size of a step."""
        super().__init__()
        self.size, self.built = width, True

    def call(self, steps: tf.Tensor, mask: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Turns steps (batch, time, width) and bool (batch, time) into (batch, width)."""
        true = tf.cast(mask, steps.dtype)[..., None]
        return tf.reduce_sum(steps * true, axis=1) / tf.reduce_sum(true, axis=1)


def add_pairs(
    tokens: tf.Tensor, mask: tf.Tensor, first: int, num_buckets: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Appends a number for each pair of neighbours, for a bag does not see their order.

    Pairs are not listed: a hash throws them into buckets, as in fastText; some share one.

    Args:
        tokens: int32 (batch, time).
        mask: bool (batch, time), which of them are true.
        first: the number of the first bucket, behind those of all words.
        num_buckets: how many buckets.

    Returns:
        int32 and bool, both (batch, 2 * time - 1).
    """
    left, right = tf.cast(tokens[:, :-1], tf.int64), tf.cast(tokens[:, 1:], tf.int64)
    pairs = first + tf.cast((left * 1_000_003 + right) % num_buckets, tokens.dtype)
    return tf.concat([tokens, pairs], axis=1), tf.concat([mask, mask[:, 1:]], axis=1)


class SequenceClassifier(keras.Model):
    """A reader and a linear layer on what it makes of a sequence (book, chapter 13).

    Word numbers become vectors first, of which dropout then loses some, as of the reader's result.
    """

    def __init__(
        self,
        reader: Recurrent | Convolutions | Bag,
        classifier: keras.layers.Dense,
        embedding: keras.layers.Embedding | None = None,
        num_words: int = 0,
        dropout: float = 0.0,
    ):
        """Joins built layers; see `build_model`."""
        super().__init__()
        self.reader, self.classifier, self.embedding = reader, classifier, embedding
        self.num_words = num_words
        self.dropout = keras.layers.Dropout(dropout) if dropout else None
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns logits of shape (batch, num_classes).

        Args:
            inputs: `(sequences, lengths)`; int64 (batch,), from 1 to time, and float32 (batch,
                time, num_features) in [0, 1] or, with an embedding, int32 word numbers (batch,
                time).
            training: whether dropout drops.
        """
        sequences, lengths = inputs
        sequences = sequences[:, : tf.reduce_max(lengths)]
        mask = tf.sequence_mask(lengths, tf.shape(sequences)[1])  # (batch, time)
        if self.embedding is not None:
            if num_buckets := self.embedding.input_dim - self.num_words:
                sequences, mask = add_pairs(sequences, mask, self.num_words, num_buckets)
            sequences = self.drop(self.embedding(sequences), training)  # (batch, time, width)
        whole = self.reader(sequences, mask, training=training)  # (batch, size)
        return self.classifier(self.drop(whole, training))

    def drop(self, values: tf.Tensor, training: bool) -> tf.Tensor:
        """Applies dropout, where there is any."""
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
    """Builds the network for numbers; with these defaults the book's, 17,026 parameters.

    Args:
        num_features: numbers a step.
        num_classes: logits.
        lstm_size: units of a recurrent layer, in each direction.
        seed: seed of the weights. Those of the linear layer are from a normal of deviation 1, the
            biases too, as in the book.
        cell: one of CELLS.
        num_layers: recurrent layers.
        bidirectional: whether each layer also reads from the end.
        pool: what is kept of the top layer's outputs, "last" or the largest of each unit, "max".
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
        num_classes: logits.
        model: the reader, "recurrent", "conv" or "bag".
        embedding_size: numbers a word.
        freeze_embedding: whether the words' vectors stay as they are.
        num_buckets: rows of the embedding for pairs of neighbours, of "bag" alone.
        num_filters: of each width, of "conv" alone.
        dropout: share of the values that is lost.
        seed: seed of weights and dropout.
        **recurrent: `cell`, `lstm_size`, `num_layers`, `bidirectional`, `pool` of "recurrent"; see
            `build_model`.
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
    """Builds the network that a run's flags mean: for texts, if there is a vocabulary."""
    recurrent = {name: getattr(flags, name)
                 for name in ("cell", "lstm_size", "num_layers", "bidirectional", "pool")}
    if not num_words:
        return build_model(flags.num_features, num_classes, seed=flags.seed, **recurrent)
    return build_text_model(
        num_words, num_classes, flags.model, flags.embedding_size, flags.freeze_embedding,
        flags.num_buckets, flags.num_filters, flags.dropout, flags.seed, **recurrent)
