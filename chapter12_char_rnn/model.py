"""The character RNN: which character comes next, given all before it.

The layers are Keras' own, so that weights, names and numbers are the ones everybody knows. On a
GPU they run themselves, on the cuDNN kernel. On a CPU the recurrence is written out below: the
products of all inputs with the kernel are one large matrix product before the loop, and one small
product a step remains. The results are equal; with small batches or large layers training is
faster (results/benchmarks), and the products can be bfloat16 without the sums being so.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

State = list[tf.Tensor]  # of one layer, each (batch, size): [h, c] for an LSTM, else [h]
Recurrent = Callable[[tf.Tensor], tf.Tensor]  # h times recurrent kernel, (batch, gates * size)


def lstm_step(projected: tf.Tensor, state: State, recurrent: Recurrent) -> State:
    """Makes one step of an LSTM (Hochreiter & Schmidhuber 1997; book, section 12.1).

    Args:
        projected: input times kernel plus bias, (batch, 4 * size), gates in the order i, f, g, o.
        state: [h, c].
        recurrent: multiplies by the recurrent kernel (size, 4 * size).
    """
    h, c = state
    i, f, g, o = tf.split(projected + recurrent(h), 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return [tf.sigmoid(o) * tf.tanh(c), c]


def gru_step(projected: tf.Tensor, state: State, recurrent: Recurrent) -> State:
    """Makes one step of a gated recurrent unit (Cho et al. 2014, with the reset after the product).

    Args:
        projected: input times kernel plus bias, (batch, 3 * size), in the order z, r, candidate.
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
    """Makes one step of a plain recurrent network: h' = tanh(x W + b + h U)."""
    return [tf.tanh(projected + recurrent(state[0]))]


def matmul(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Multiplies in the type of `b` (bfloat16 where CPUs have units for it), returns float32."""
    return tf.cast(tf.matmul(tf.cast(a, b.dtype), b), tf.float32)


def recurrent_product(kernel: tf.Tensor, bias: tf.Tensor | None = None) -> Recurrent:
    """Returns `h @ kernel + bias` as a function of h, for use at every step of a window.

    The gradient of a product needs the kernel transposed. TensorFlow does that anew at each step,
    which for 256 units takes a CPU longer than the product itself; here it is done once. The detour
    over single gates keeps TensorFlow's graph optimizer from moving it back into the products.
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


# Keras layer, its step written out, number of state tensors.
CELLS: dict[str, tuple[type[keras.layers.Layer], Callable[..., State], int]] = {
    "lstm": (keras.layers.LSTM, lstm_step, 2),
    "gru": (keras.layers.GRU, gru_step, 1),
    "rnn": (keras.layers.SimpleRNN, rnn_step, 1),
}


class CharRNN(keras.Model):
    """A stack of recurrent layers between characters and the logits of their successors."""

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
        """Returns zero states, a list of (batch, size) tensors for each layer."""
        zeros = tf.zeros((batch_size, self.size))
        return [[zeros] * self.num_states for _ in self.recurrent]

    def call(
        self, tokens: tf.Tensor, states: Sequence[State], training: bool = False
    ) -> tuple[tf.Tensor, list[State]]:
        """Predicts the next character at every position.

        Args:
            tokens: int32 of shape (batch, time), in [0, vocab_size).
            states: where the layers stand before the first of them; see `initial_states`.
            training: drop outputs or not.

        Returns:
            Logits of shape (batch, time, vocab_size), and the states after the last character.
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
        """Lets Keras run a layer: on a GPU that is one cuDNN call."""
        if inputs.dtype.is_integer:  # cuDNN takes vectors, and no larger ones than the logits are
            inputs = tf.one_hot(inputs, self.vocab_size)
        outputs, *end = layer(inputs, initial_state=state)
        return outputs, end

    def _run_unrolled(
        self, layer: keras.layers.RNN, inputs: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        """Runs a layer step by step.

        Characters that come as numbers select rows of the kernel: what a one-hot vector's product
        would give, without the vectors.
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
        outputs = []
        for x in tf.unstack(projected, time):  # each (batch, gates * size)
            state = self.step(x, state, recurrent)
            outputs.append(state[0])
        return tf.transpose(tf.stack(outputs), (1, 0, 2)), state

    @staticmethod
    def _lengths(inputs: tf.Tensor) -> list[int | tf.Tensor]:
        """Returns batch size and time, as numbers where they are known."""
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
    """Builds the network of the book's section 12.3.

    Args:
        vocab_size: distinct characters plus one for all others.
        lstm_size: units a layer.
        num_layers: recurrent layers.
        embedding_size: None feeds characters as one-hot vectors, as the book does without
            `--use_embedding`.
        keep_prob: share of each layer's outputs that training keeps.
        cell: "lstm", "gru" or "rnn".
        precision: type of the matrix products, "float32" or "bfloat16".
        seed: seed of weights and dropout.
        fused: run Keras' layers themselves instead of the written-out loop; default: on a GPU.
    """
    keras.utils.set_random_seed(seed)
    if fused is None:
        fused = bool(tf.config.list_physical_devices("GPU"))
    return CharRNN(
        vocab_size, lstm_size, num_layers, embedding_size, keep_prob, cell, precision, seed, fused
    )


def model_flags(flags: argparse.Namespace, num_characters: int) -> dict[str, Any]:
    """Returns what `build_model` needs to know of a run's flags and the size of its vocabulary."""
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
    """Shapes the distribution that the next character is drawn from.

    Args:
        logits: of shape (batch, vocab_size); the last entry, the unknown character, is never left.
        temperature: above 0; below 1 sharpens, above 1 flattens.
        top_k: keep the k most probable characters (the book's rule, with 5); 0 keeps all.
        top_p: keep the fewest characters whose probabilities sum to at least this (Holtzman et
            al. 2020); 1 keeps all.

    Returns:
        Logits of the same shape, -inf for what may not be drawn.
    """
    vocab_size = tf.shape(logits)[-1]
    allowed = tf.range(vocab_size) < vocab_size - 1
    logits = tf.where(allowed, logits, -float("inf"))
    logits -= tf.reduce_max(logits, axis=-1, keepdims=True)  # 0 stays 0, however cold it is
    logits /= tf.maximum(temperature, 1e-6)
    order = tf.argsort(logits, axis=-1, direction="DESCENDING", stable=True)
    rank = tf.argsort(order, axis=-1, stable=True)  # 0 for the most probable character
    keep = (rank < top_k) | (tf.convert_to_tensor(top_k) == 0)
    logits = tf.where(keep, logits, -float("inf"))
    ordered = tf.nn.softmax(tf.gather(logits, order, axis=-1, batch_dims=1))
    before = tf.cumsum(ordered, axis=-1, exclusive=True)  # probability of all more likely ones
    keep = tf.gather(before, rank, axis=-1, batch_dims=1) < top_p
    return tf.where(keep | (rank == 0), logits, -float("inf"))
