"""The character RNN: predicts the next character from all characters before it.

The layers and their weights are Keras layers. On a GPU Keras runs them with its cuDNN kernel. On a
CPU the recurrence is written out below: the input projections of all time steps are one large
matrix product before the loop, which leaves one small product per step. The results are equal up
to rounding. Training is faster with small batches or large layers (results/benchmarks), and matrix
products may be computed in bfloat16 while sums stay float32.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

# Windows of up to 100 steps are one graph. That of a longer one would take long to build: it is a
# loop over pieces instead.
MAX_UNROLLED, PIECE = 100, 20

State = list[tf.Tensor]  # of one layer: [h, c] for an LSTM, else [h], each (batch, size)
Recurrent = Callable[[tf.Tensor], tf.Tensor]  # h @ recurrent kernel, (batch, gates * size)


def lstm_step(projected: tf.Tensor, state: State, recurrent: Recurrent) -> State:
    """Computes one LSTM step (Hochreiter & Schmidhuber 1997; book, section 12.2).

    Args:
        projected: input @ kernel + bias, (batch, 4 * size), gates in the order i, f, g, o.
        state: [h, c].
        recurrent: multiplies by the recurrent kernel (size, 4 * size).
    """
    h, c = state
    i, f, g, o = tf.split(projected + recurrent(h), 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return [tf.sigmoid(o) * tf.tanh(c), c]


def gru_step(projected: tf.Tensor, state: State, recurrent: Recurrent) -> State:
    """Computes one GRU step (Cho et al. 2014, with the reset gate applied after the product).

    Args:
        projected: input @ kernel + bias, (batch, 3 * size), in the order z, r, candidate.
        state: [h].
        recurrent: multiplies by the recurrent kernel (size, 3 * size) and adds its bias.
    """
    (h,) = state
    x_z, x_r, x_candidate = tf.split(projected, 3, axis=1)
    h_z, h_r, h_candidate = tf.split(recurrent(h), 3, axis=1)
    z = tf.sigmoid(x_z + h_z)
    candidate = tf.tanh(x_candidate + tf.sigmoid(x_r + h_r) * h_candidate)
    return [z * h + (1 - z) * candidate]


def rnn_step(projected: tf.Tensor, state: State, recurrent: Recurrent) -> State:
    """Computes one step of a simple RNN: h' = tanh(x W + b + h U) (book, section 12.1.1)."""
    return [tf.tanh(projected + recurrent(state[0]))]


def matmul(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Multiplies matrices in the dtype of `b`; returns float32."""
    return tf.cast(tf.matmul(tf.cast(a, b.dtype), b), tf.float32)


def recurrent_product(kernel: tf.Tensor, bias: tf.Tensor | None = None) -> Recurrent:
    """Returns the function h -> h @ kernel + bias, to be called at every step of a window.

    The gradient of the product needs the transposed kernel. TensorFlow would transpose it at every
    step, which on a CPU can take longer than the product itself; here it is transposed once. The
    reshape into gates keeps TensorFlow's graph optimizer from fusing the transposition back into
    the products.
    """
    size = kernel.shape[0]
    gates = tf.reshape(kernel, (size, -1, size))
    transposed = tf.reshape(tf.transpose(gates, (1, 2, 0)), (-1, size))  # (gates * size, size)

    @tf.custom_gradient
    def product(h: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            for_kernel = matmul(tf.transpose(h), tf.cast(upstream, kernel.dtype))
            return matmul(upstream, transposed), tf.cast(for_kernel, kernel.dtype)

        return matmul(h, kernel), gradient

    return lambda h: product(h, kernel) if bias is None else product(h, kernel) + bias


# Keras layer, its step as a function, number of state tensors.
CELLS: dict[str, tuple[type[keras.layers.Layer], Callable[..., State], int]] = {
    "lstm": (keras.layers.LSTM, lstm_step, 2),
    "gru": (keras.layers.GRU, gru_step, 1),
    "rnn": (keras.layers.SimpleRNN, rnn_step, 1),
}


class CharRNN(keras.Model):
    """A stack of recurrent layers that maps tokens to the logits of the next tokens."""

    def __init__(
        self,
        vocab_size: int,
        lstm_size: int,
        num_layers: int,
        embedding_size: int | None,
        keep_prob: float,
        cell: str,
        precision: str,
        seed: int,
        fused: bool,
    ):
        """Builds all weights; see `build_model`."""
        super().__init__()
        layer_class, self.step, self.num_states = CELLS[cell]
        self.vocab_size, self.size, self.precision, self.fused = (
            vocab_size, lstm_size, precision, fused,
        )
        self.embedding = None
        if embedding_size:
            self.embedding = keras.layers.Embedding(vocab_size, embedding_size)
            self.embedding.build((None,))
        options = {"return_sequences": True, "return_state": True}
        self.recurrent = [layer_class(lstm_size, **options) for _ in range(num_layers)]
        self.dropouts = [
            keras.layers.Dropout(1 - keep_prob, seed=seed + i) for i in range(num_layers)
        ]
        self.classifier = keras.layers.Dense(
            vocab_size, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.1, seed=seed)
        )
        input_sizes = [embedding_size or vocab_size, *[lstm_size] * (num_layers - 1)]
        for layer, input_size in zip(self.recurrent, input_sizes, strict=True):
            layer.build((None, None, input_size))
        self.classifier.build((None, lstm_size))
        self.built = True

    def initial_states(self, batch_size: int | tf.Tensor) -> list[State]:
        """Returns zero states: per layer, a list of tensors of shape (batch, size)."""
        zeros = tf.zeros((batch_size, self.size))
        return [[zeros] * self.num_states for _ in self.recurrent]

    def call(
        self, tokens: tf.Tensor, states: Sequence[State], training: bool = False
    ) -> tuple[tf.Tensor, list[State]]:
        """Predicts the next token at every position.

        Args:
            tokens: int32 of shape (batch, time), in [0, vocab_size).
            states: states of the layers before the first token; see `initial_states`.
            training: whether to apply dropout.

        Returns:
            Logits of shape (batch, time, vocab_size), and the states after the last token.
        """
        run = self._run_fused if self.fused else self._run_unrolled
        inputs = self.embedding(tokens) if self.embedding else tokens
        ends = []
        for layer, dropout, state in zip(self.recurrent, self.dropouts, states, strict=True):
            outputs, end = run(layer, inputs, state)  # (batch, time, size)
            inputs = dropout(outputs, training=training)
            ends.append(end)
        flat = tf.reshape(inputs, (-1, self.size))  # (batch * time, size)
        logits = matmul(flat, tf.cast(self.classifier.kernel, self.precision))
        shape = (*self._lengths(tokens), self.vocab_size)
        return tf.reshape(logits + self.classifier.bias, shape), ends

    def _run_fused(
        self, layer: keras.layers.RNN, inputs: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        """Runs a layer with Keras, which on a GPU is one cuDNN call."""
        if inputs.dtype.is_integer:  # cuDNN needs vectors; these are no larger than the logits
            inputs = tf.one_hot(inputs, self.vocab_size)
        outputs, *end = layer(inputs, initial_state=state)
        return outputs, end

    def _run_unrolled(
        self, layer: keras.layers.RNN, inputs: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        """Runs a layer step by step.

        Token ids select rows of the kernel, which equals the product with one-hot vectors.
        """
        batch, time = self._lengths(inputs)
        kernel = tf.cast(layer.cell.kernel, self.precision)
        bias, *recurrent_bias = tf.unstack(tf.reshape(layer.cell.bias, (-1, kernel.shape[1])))
        recurrent_kernel = tf.cast(layer.cell.recurrent_kernel, self.precision)
        recurrent = recurrent_product(recurrent_kernel, *recurrent_bias)
        inputs = tf.einsum("bt...->tb...", inputs)
        if inputs.dtype.is_integer:
            projected = tf.gather(layer.cell.kernel, inputs) + bias
        else:
            flat = tf.reshape(inputs, (-1, kernel.shape[0]))
            projected = tf.reshape(matmul(flat, kernel) + bias, (time, batch, kernel.shape[1]))

        def unroll(state: State, projected: tf.Tensor, num_steps: int) -> tuple[State, tf.Tensor]:
            outputs = []
            for x in tf.unstack(projected, num_steps):  # each (batch, gates * size)
                state = self.step(x, state, recurrent)
                outputs.append(state[0])
            return state, tf.stack(outputs)  # (time, batch, size)

        outputs, whole = [], time // PIECE * PIECE if time > MAX_UNROLLED else 0
        if whole:
            pieces = tf.reshape(projected[:whole], (-1, PIECE, batch, kernel.shape[1]))
            start = (state, tf.zeros((PIECE, batch, self.size)))
            states, first = tf.scan(
                lambda carry, piece: unroll(carry[0], piece, PIECE), pieces, start)
            state = [part[-1] for part in states]
            outputs.append(tf.reshape(first, (whole, batch, self.size)))
        if whole < time:
            state, rest = unroll(state, projected[whole:], time - whole)
            outputs.append(rest)
        return tf.transpose(tf.concat(outputs, axis=0), (1, 0, 2)), state

    @staticmethod
    def _lengths(inputs: tf.Tensor) -> list[int | tf.Tensor]:
        """Returns the batch size and the number of steps, as integers where they are static."""
        dynamic = tf.shape(inputs)
        return [inputs.shape[i] or dynamic[i] for i in range(2)]


def build_model(
    vocab_size: int,
    lstm_size: int = 128,
    num_layers: int = 2,
    embedding_size: int | None = None,
    keep_prob: float = 1.0,
    cell: str = "lstm",
    precision: str = "float32",
    seed: int = 0,
    fused: bool | None = None,
) -> CharRNN:
    """Builds the network of the book (sections 12.3 and 12.5.2).

    Args:
        vocab_size: size of the vocabulary, including the unknown token.
        lstm_size: hidden units per layer.
        num_layers: recurrent layers.
        embedding_size: embedding dimension; None for one-hot inputs, as in the book without
            `--use_embedding`.
        keep_prob: 1 - dropout rate, applied to the outputs of each layer.
        cell: "lstm", "gru" or "rnn".
        precision: compute dtype of the matrix products, "float32" or "bfloat16".
        seed: seed of weights and dropout.
        fused: run the Keras layers instead of the loop written out here; default: only on a GPU.
    """
    keras.utils.set_random_seed(seed)
    if fused is None:
        fused = bool(tf.config.list_physical_devices("GPU"))
    return CharRNN(
        vocab_size, lstm_size, num_layers, embedding_size, keep_prob, cell, precision, seed, fused
    )


def model_flags(flags: argparse.Namespace, num_characters: int) -> dict[str, Any]:
    """Returns the arguments of `build_model` for a run's flags and the size of its vocabulary."""
    return {
        "vocab_size": num_characters + 1,
        "lstm_size": flags.lstm_size,
        "num_layers": flags.num_layers,
        "embedding_size": flags.embedding_size if flags.use_embedding else None,
        "cell": flags.cell,
        "precision": flags.precision,
    }


def token_losses(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy in nats of each position, of shape (batch, time)."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)


def filter_logits(
    logits: tf.Tensor,
    temperature: float | tf.Tensor,
    top_k: int | tf.Tensor,
    top_p: float | tf.Tensor,
) -> tf.Tensor:
    """Applies temperature, top-k and nucleus (top-p) filtering to the logits of the next token.

    Args:
        logits: of shape (batch, vocab_size); the last entry, the unknown token, is always removed.
        temperature: above 0; below 1 sharpens the distribution, above 1 flattens it.
        top_k: keeps the k most probable tokens (5 in the book); 0 keeps all.
        top_p: keeps the smallest set of most probable tokens whose probabilities sum to at least
            this (Holtzman et al. 2020); 1 keeps all.

    Returns:
        Logits of the same shape, -inf for removed tokens.
    """
    vocab_size = tf.shape(logits)[-1]
    allowed = tf.range(vocab_size) < vocab_size - 1
    logits = tf.where(allowed, logits, -float("inf"))
    # Subtract the maximum first: the largest logit is then 0 at every temperature.
    logits -= tf.reduce_max(logits, axis=-1, keepdims=True)
    logits /= tf.maximum(temperature, 1e-6)
    order = tf.argsort(logits, axis=-1, direction="DESCENDING", stable=True)
    rank = tf.argsort(order, axis=-1, stable=True)  # 0 for the most probable token
    keep = (rank < top_k) | (tf.convert_to_tensor(top_k) == 0)
    logits = tf.where(keep, logits, -float("inf"))
    ordered = tf.nn.softmax(tf.gather(logits, order, axis=-1, batch_dims=1))
    before = tf.cumsum(ordered, axis=-1, exclusive=True)  # total of all more probable tokens
    keep = tf.gather(before, rank, axis=-1, batch_dims=1) < top_p
    return tf.where(keep | (rank == 0), logits, -float("inf"))
