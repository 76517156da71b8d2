"""Sequence to sequence (sections 16.1 and 16.2): an encoder reads the source, a decoder writes.

The networks are those of the NMT tutorial (Luong et al. 2017) and of GNMT (Wu et al. 2016). Tokens
are int32 of shape (batch, time), padded with zeros; sentences and their padding are told apart by a
mask. Inside, time comes first.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from chapter16_nmt.attention import Attention, Memory, context
from chapter16_nmt.cells import Cell, State, loop, run_cell

ENCODERS = ("uni", "bi", "gnmt")
ARCHITECTURES = ("standard", "gnmt", "gnmt_v2")

Initializer = Callable[[], keras.Initializer]


class Layers(NamedTuple):
    """The settings of a network; all are flags of train.py.

    Attributes:
        num_layers: recurrent layers of encoder and decoder; "bi" has half of them in each
            direction.
        num_units: size of embeddings, states and outputs.
        encoder_type: one of ENCODERS.
        unit_type: one of `cells.UNIT_TYPES`.
        forget_bias: of LSTMs.
        dropout: rate at the inputs of each layer.
        residual: whether upper layers add their input to their output.
        attention: one of `attention.KINDS`, or "".
        attention_architecture: one of ARCHITECTURES.
        pass_hidden_state: whether the decoder starts from the encoder's last states.
        context: without attention: "initial", or "every_step", which also feeds the encoder's last
            state (of "bi" those of both directions) at each step.
        tie_embeddings: whether the classifier's weights are the embedding of the target.
        share_vocab: whether source and target have one embedding.
    """

    num_layers: int = 2
    num_units: int = 32
    encoder_type: str = "uni"
    unit_type: str = "lstm"
    forget_bias: float = 1.0
    dropout: float = 0.2
    residual: bool = False
    attention: str = ""
    attention_architecture: str = "standard"
    pass_hidden_state: bool = True
    context: str = "initial"
    tie_embeddings: bool = False
    share_vocab: bool = False

    @property
    def num_residual_layers(self) -> int:
        """The number of residual layers, which are the last ones."""
        plain = 2 if self.encoder_type == "gnmt" else 1
        return max(0, self.num_layers - plain) if self.residual else 0


class Stack(keras.Layer):
    """Cells of a stack, one above the other, with dropout at their inputs."""

    def __init__(self, layers: Layers, input_sizes: list[int], num_residual: int,
                 initializer: Initializer, seed: int, name: str):
        """Creates the cells; the last `num_residual` ones are residual."""
        super().__init__(name=name)
        self.cells = [Cell(layers.unit_type, size, layers.num_units, layers.forget_bias,
                           initializer, f"cell{number}") for number, size in enumerate(input_sizes)]
        self.dropouts = [keras.layers.Dropout(layers.dropout, seed=seed + number)
                         for number in range(len(input_sizes))]
        self.first_residual = len(input_sizes) - num_residual

    def add_input(self, number: int, inputs: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the outputs of a layer, plus its inputs if it is residual.

        Inputs that are wider, with a context behind them, are cut (GNMT).
        """
        if number < self.first_residual:
            return outputs
        return outputs + inputs[..., : outputs.shape[-1]]

    def run(self, inputs: tf.Tensor, mask: tf.Tensor, training: bool,
            reverse: bool = False) -> tuple[tf.Tensor, list[State]]:
        """Runs all layers over sentences; see `run_cell`."""
        ends = []
        for number, (cell, dropout) in enumerate(zip(self.cells, self.dropouts, strict=True)):
            outputs, end = run_cell(cell, dropout(inputs, training=training), mask,
                                     cell.zero_state(tf.shape(inputs)[1]), reverse)
            inputs = self.add_input(number, inputs, outputs)
            ends.append(end)
        return inputs, ends


class Encoder(keras.Layer):
    """Reads a source sentence: one output per word, and the last states."""

    def __init__(self, layers: Layers, initializer: Initializer, seed: int):
        """Creates the layers; see `Layers`."""
        super().__init__(name="encoder")
        self.kind, units = layers.encoder_type, layers.num_units

        def stack(count: int, first_size: int, residual: int, name: str) -> Stack:
            nonlocal seed
            seed += 100
            sizes = [first_size, *[units] * (count - 1)]
            return Stack(layers, sizes, residual, initializer, seed, name)

        residual = layers.num_residual_layers
        if self.kind == "bi":
            count = layers.num_layers // 2
            self.forward = stack(count, units, residual // 2, "forward")
            self.backward = stack(count, units, residual // 2, "backward")
        elif self.kind == "gnmt":
            self.forward = stack(1, units, 0, "forward")
            self.backward = stack(1, units, 0, "backward")
            self.upper = stack(layers.num_layers - 1, 2 * units, residual, "upper")
        else:
            self.forward = stack(layers.num_layers, units, residual, "forward")
        self.output_size = 2 * units if self.kind == "bi" else units

    def read(self, inputs: tf.Tensor, mask: tf.Tensor, training: bool
             ) -> tuple[tf.Tensor, list[State]]:
        """Encodes embedded sentences.

        Args:
            inputs: of shape (time, batch, units).
            mask: of shape (time, batch).
            training: whether to apply dropout.

        Returns:
            Outputs of shape (time, batch, output size), and as many states as the decoder has
            layers.
        """
        outputs, ends = self.forward.run(inputs, mask, training)
        if self.kind == "uni":
            return outputs, ends
        others, back = self.backward.run(inputs, mask, training, reverse=True)
        outputs = tf.concat([outputs, others], axis=-1)
        if self.kind == "bi":
            # The decoder's layers get forward and backward states in turn.
            return outputs, [end for pair in zip(ends, back, strict=True) for end in pair]
        outputs, ends = self.upper.run(outputs, mask, training)
        return outputs, [*back, *ends]


class Decoder(keras.Layer):
    """Writes a target sentence, word by word.

    Its state is a dictionary: the states of its `cells`, and what is `fed` to the first layer
    beside the last word: the attention vector of the step before, the context, or nothing.
    """

    def __init__(self, layers: Layers, memory_size: int, initializer: Initializer, seed: int):
        """Creates the layers; see `Layers`."""
        super().__init__(name="decoder")
        self.settings, units = layers, layers.num_units
        self.standard = not layers.attention or layers.attention_architecture == "standard"
        self.fed_size, upper_size = 0, units
        if layers.attention:
            self.attention = Attention(layers.attention, units, memory_size, units, initializer)
            self.fed_size = units if self.standard else memory_size
            upper_size += 0 if self.standard else memory_size
        elif layers.context == "every_step":
            self.fed_size = units * (2 if layers.encoder_type == "bi" else 1)
        if layers.attention and self.standard:
            self.attention_layer = keras.layers.Dense(units, use_bias=False, name="attention_layer",
                                                      kernel_initializer=initializer())
            self.attention_layer.build((None, units + memory_size))
        sizes = [units + self.fed_size, *[upper_size] * (layers.num_layers - 1)]
        self.stack = Stack(layers, sizes, layers.num_residual_layers, initializer, seed, "stack")
        self.fed_dropout = keras.layers.Dropout(layers.dropout, seed=seed + 99)

    def start(self, ends: list[State], values: tf.Tensor, mask: tf.Tensor
              ) -> tuple[dict[str, Any], Memory | None]:
        """Returns the state before the first word, and the memory.

        Args:
            ends: the encoder's last states.
            values: its outputs, of shape (batch, source length, size).
            mask: of shape (batch, source length).
        """
        batch, settings = tf.shape(values)[0], self.settings
        states = ends if settings.pass_hidden_state else [
            cell.zero_state(batch) for cell in self.stack.cells]
        memory, fed = None, tf.zeros((batch, self.fed_size))
        if settings.attention:
            memory = self.attention.read(values, mask)
        elif settings.context == "every_step":
            top = ends[-2:] if settings.encoder_type == "bi" else ends[-1:]
            fed = tf.concat([state[0] for state in top], axis=-1)
        return {"cells": states, "fed": fed}, memory

    def project(self, words: tf.Tensor, training: bool) -> tf.Tensor:
        """Projects embedded words, of shape (…, units), for the first layer of `step`."""
        return self.stack.cells[0].project(self.stack.dropouts[0](words, training=training))

    def step(self, projected: tf.Tensor, state: dict[str, Any], memory: Memory | None,
             training: bool) -> tuple[tf.Tensor, dict[str, Any], tf.Tensor | None]:
        """Computes one step.

        Args:
            projected: from `project`, of shape (batch, gates · units).
            state: of the step before.
            memory: the encoded source, with attention.
            training: whether to apply dropout.

        Returns:
            The output, of shape (batch, units), the new state, and the attention weights.
        """
        fed, weights = state["fed"], None
        if self.fed_size:
            dropped = self.fed_dropout(fed, training=training)
            projected += self.stack.cells[0].project(dropped, first=self.settings.num_units)
        states = [self.stack.cells[0].step(projected, state["cells"][0])]
        outputs = states[0][0]
        if not self.standard:
            # GNMT: the first layer attends; the upper ones see its context, of this step or the
            # last.
            weights = self.attention.attend(outputs, memory)
            found = context(weights, memory)
            seen = found if self.settings.attention_architecture == "gnmt_v2" else fed
            fed = found
        for number, (cell, dropout, old) in enumerate(zip(
                self.stack.cells[1:], self.stack.dropouts[1:], state["cells"][1:], strict=True), 1):
            inputs = outputs if self.standard else tf.concat([outputs, seen], axis=-1)
            states.append(cell.step(cell.project(dropout(inputs, training=training)), old))
            outputs = self.stack.add_input(number, inputs, states[-1][0])
        if self.standard and self.settings.attention:
            # The top layer attends; output and context make the attention vector.
            weights = self.attention.attend(outputs, memory)
            outputs = self.attention_layer(tf.concat([outputs, context(weights, memory)], axis=-1))
            fed = outputs
        return outputs, {"cells": states, "fed": fed}, weights

    def run(self, embedded: tf.Tensor, state: dict[str, Any], memory: Memory | None,
            training: bool) -> tf.Tensor:
        """Computes all steps of known target sentences.

        Args:
            embedded: the words that the decoder reads, of shape (time, batch, units).
            state: before the first word.
            memory: the encoded source, with attention.
            training: whether to apply dropout.

        Returns:
            Outputs of shape (time, batch, units).
        """
        def step(now: tf.Tensor, state: dict[str, Any]) -> tuple[tf.Tensor, dict[str, Any]]:
            return self.step(now, state, memory, training)[:2]

        return loop(step, self.project(embedded, training), state)[0]


class Translator(keras.Model):
    """Encoder, decoder, embeddings and classifier."""

    def __init__(self, layers: Layers, source_size: int, target_size: int,
                 init_op: str = "uniform", init_weight: float = 0.1, seed: int = 0):
        """Creates all weights.

        Args:
            layers: the settings of the network.
            source_size: size of the source's vocabulary.
            target_size: size of the target's vocabulary.
            init_op: "uniform" (in ± init_weight), "glorot_normal" or "glorot_uniform".
            init_weight: bound of "uniform".
            seed: of weights and dropout.
        """
        super().__init__()
        seeds = keras.random.SeedGenerator(seed)

        def initializer() -> keras.Initializer:
            match init_op:
                case "uniform":
                    return keras.initializers.RandomUniform(-init_weight, init_weight, seed=seeds)
                case "glorot_normal":
                    return keras.initializers.GlorotNormal(seed=seeds)
            return keras.initializers.GlorotUniform(seed=seeds)

        self.settings, units = layers, layers.num_units
        self.target_embedding = keras.layers.Embedding(target_size, units, initializer())
        self.source_embedding = self.target_embedding if layers.share_vocab else (
            keras.layers.Embedding(source_size, units, initializer()))
        for embedding in (self.target_embedding, self.source_embedding):
            if not embedding.built:
                embedding.build((None,))
        self.encoder = Encoder(layers, initializer, seed)
        self.decoder = Decoder(layers, self.encoder.output_size, initializer, seed + 5000)
        if not layers.tie_embeddings:
            self.classifier = keras.layers.Dense(target_size, use_bias=False, name="classifier",
                                                 kernel_initializer=initializer())
            self.classifier.build((None, units))
        self.built = True

    def encode(self, source: tf.Tensor, mask: tf.Tensor, training: bool = False
               ) -> tuple[dict[str, Any], Memory | None]:
        """Reads sources; returns the decoder's first state and the memory.

        Args:
            source: tokens of shape (batch, time).
            mask: whether they are words, of the same shape.
            training: whether to apply dropout.
        """
        embedded = tf.transpose(self.source_embedding(source), (1, 0, 2))
        outputs, ends = self.encoder.read(embedded, tf.transpose(mask), training)
        return self.decoder.start(ends, tf.transpose(outputs, (1, 0, 2)), mask)

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the logits of the next word of outputs of shape (…, units)."""
        if self.settings.tie_embeddings:
            return tf.matmul(outputs, self.target_embedding.embeddings, transpose_b=True)
        return self.classifier(outputs)

    def step(self, tokens: tf.Tensor, state: dict[str, Any], memory: Memory | None
             ) -> tuple[tf.Tensor, dict[str, Any], tf.Tensor | None]:
        """Reads a word per sentence, of shape (batch,).

        Returns:
            Logits of the next word, of shape (batch, vocabulary), the new state, and the attention
            weights.
        """
        projected = self.decoder.project(self.target_embedding(tokens), training=False)
        outputs, state, weights = self.decoder.step(projected, state, memory, training=False)
        return self.logits(outputs), state, weights

    def call(self, source: tf.Tensor, source_mask: tf.Tensor, target: tf.Tensor,
             target_mask: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Predicts each word of the target from the words before it.

        The classifier is the largest layer; it is not applied to padding.

        Args:
            source: of shape (batch, source length).
            source_mask: where it is a word, of the same shape.
            target: the start symbol and the words, of shape (batch, target length).
            target_mask: where the next word counts, of the same shape.
            training: whether to apply dropout.

        Returns:
            Logits of shape (words, vocabulary), of the positions that count, row by row.
        """
        state, memory = self.encode(source, source_mask, training)
        embedded = tf.transpose(self.target_embedding(target), (1, 0, 2))
        outputs = tf.transpose(self.decoder.run(embedded, state, memory, training), (1, 0, 2))
        return self.logits(tf.boolean_mask(outputs, target_mask))


def cross_entropy(logits: tf.Tensor, words: tf.Tensor, label_smoothing: float = 0.0
                  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the loss and the cross-entropy in nats, both summed over all words.

    Args:
        logits: of shape (words, vocabulary).
        words: the words to predict, of shape (words,).
        label_smoothing: probability that the loss spreads over the vocabulary (Szegedy et al.
            2016).
    """
    log_probs = tf.nn.log_softmax(logits)
    nats = -tf.reduce_sum(tf.gather(log_probs, words, batch_dims=1))
    if not label_smoothing:
        return nats, nats
    spread = -tf.reduce_sum(tf.reduce_mean(log_probs, axis=1))
    return (1 - label_smoothing) * nats + label_smoothing * spread, nats
