"""Attention: which words of the source does the next word of the target need?

At each step the decoder's output s (the query) gets a score with each output h_j of the encoder
(the memory). The softmax of the scores over the words of the source are the weights α_j; their
weighted sum Σ α_j h_j is the context. Padding has the weight 0.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

NORMALIZED = "normed_bahdanau"
SCALED = "scaled_luong"
KINDS = ("luong", SCALED, "bahdanau", NORMALIZED)


class Memory(NamedTuple):
    """The encoded source, as the decoder reads it at each step.

    Attributes:
        values: outputs of the encoder, float32 of shape (batch, source length, size).
        keys: W h_j, computed once, of shape (batch, source length, units).
        mask: whether a position is a word, bool of shape (batch, source length).
    """

    values: tf.Tensor
    keys: tf.Tensor
    mask: tf.Tensor


def luong_scores(query: tf.Tensor, keys: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
    """Computes g · sᵀ W h_j (Luong et al. 2015, "general"); without `scale`, g = 1.

    Args:
        query: s, of shape (batch, units).
        keys: W h_j, of shape (batch, source length, units).
        scale: g, a scalar.

    Returns:
        Scores of shape (batch, source length).
    """
    scores = tf.linalg.matvec(keys, query)
    return scores if scale is None else scale * scores


def bahdanau_scores(
    query: tf.Tensor, keys: tf.Tensor, v: tf.Tensor, g: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
) -> tf.Tensor:
    """Computes vᵀ tanh(U s + W h_j) (Bahdanau et al. 2015).

    With `g` and `bias` it is g · v̂ᵀ tanh(U s + W h_j + b), where v̂ = v / ‖v‖ (weight normalization,
    Salimans & Kingma 2016): "normed_bahdanau".

    Args:
        query: U s, of shape (batch, units).
        keys: W h_j, of shape (batch, source length, units).
        v: of shape (units,).
        g: a scalar.
        bias: of shape (units,).

    Returns:
        Scores of shape (batch, source length).
    """
    hidden = query[:, None, :] + keys
    if g is not None:
        hidden, v = hidden + bias, g * tf.math.l2_normalize(v)
    return tf.linalg.matvec(tf.tanh(hidden), v)


class Attention(keras.Layer):
    """The weights of one attention, by kind."""

    def __init__(
        self, kind: str, query_size: int, memory_size: int, units: int,
        initializer: Callable[[], keras.Initializer],
    ):
        """Creates the weights.

        Args:
            kind: one of KINDS.
            query_size: of the decoder's output; equal to `units` in Luong's kinds.
            memory_size: of the encoder's outputs.
            units: of keys and queries.
            initializer: returns an initializer for each kernel.
        """
        super().__init__(name="attention")
        self.kind = kind
        self.memory_kernel = self.add_weight((memory_size, units), initializer(),
                                             name="memory_kernel")
        if kind == SCALED:
            self.scale = self.add_weight((), "ones", name="scale")
        if "bahdanau" in kind:
            self.query_kernel = self.add_weight((query_size, units), initializer(),
                                                name="query_kernel")
            self.v = self.add_weight((units,), initializer(), name="v")
        if kind == NORMALIZED:
            self.g = self.add_weight((), keras.initializers.Constant(units**-0.5), name="g")
            self.bias = self.add_weight((units,), "zeros", name="bias")

    def read(self, values: tf.Tensor, mask: tf.Tensor) -> Memory:
        """Returns the memory of a batch of encoded sources; see `Memory`."""
        return Memory(values, tf.matmul(values, self.memory_kernel), mask)

    def scores(self, query: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Computes the scores of a query, see the functions above."""
        match self.kind:
            case "luong":
                return luong_scores(query, keys)
            case "scaled_luong":
                return luong_scores(query, keys, self.scale)
            case "bahdanau":
                return bahdanau_scores(tf.matmul(query, self.query_kernel), keys, self.v)
        return bahdanau_scores(tf.matmul(query, self.query_kernel), keys, self.v, self.g, self.bias)

    def attend(self, query: tf.Tensor, memory: Memory) -> tf.Tensor:
        """Returns the weights of the source words, of shape (batch, source length)."""
        scores = self.scores(query, memory.keys)
        return tf.nn.softmax(tf.where(memory.mask, scores, scores.dtype.min))


def context(weights: tf.Tensor, memory: Memory) -> tf.Tensor:
    """Returns the weighted sum of the encoder's outputs, of shape (batch, size)."""
    return tf.linalg.matvec(memory.values, weights, transpose_a=True)
