"""Recurrent cells, and the loop over a sentence that leaves padding out.

The input projections of all steps are one matrix product before the loop, which has one product per
step left. A state is a list of tensors of shape (batch, size), the output first.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

UNIT_TYPES = ("lstm", "gru", "layer_norm_lstm")
EPSILON = 1e-6  # of the layer normalization
GRU_BIAS = 1.0  # initial bias of both gates

State = list[tf.Tensor]


class Cell(keras.Layer):
    """An LSTM, a GRU, or an LSTM with layer normalization (Ba et al. 2016)."""

    def __init__(
        self, unit_type: str, input_size: int, size: int, forget_bias: float,
        initializer: Callable[[], keras.Initializer], name: str,
    ):
        """Creates the weights.

        Args:
            unit_type: one of UNIT_TYPES.
            input_size: of the inputs.
            size: of the state.
            forget_bias: is added to the forget gate of LSTMs.
            initializer: returns an initializer for each kernel.
            name: of the layer.
        """
        super().__init__(name=name)
        self.unit_type, self.size, self.forget_bias = unit_type, size, forget_bias
        gates = 3 if unit_type == "gru" else 4
        self.kernel = self.add_weight((input_size, gates * size), initializer(), name="kernel")
        self.recurrent_kernel = self.add_weight((size, gates * size), initializer(),
                                                name="recurrent_kernel")
        if unit_type == "layer_norm_lstm":
            # One row for each gate and one for the cell state.
            self.gains = self.add_weight((5, size), "ones", name="gains")
            self.shifts = self.add_weight((5, size), "zeros", name="shifts")
        else:
            self.bias = self.add_weight((gates * size,), "zeros", name="bias")
            if unit_type == "gru":
                self.bias.assign(tf.repeat([GRU_BIAS, GRU_BIAS, 0.0], size))

    def zero_state(self, batch_size: tf.Tensor | int) -> State:
        """Returns the state before the first word."""
        return [tf.zeros((batch_size, self.size))] * (1 if self.unit_type == "gru" else 2)

    def project(self, inputs: tf.Tensor, first: int = 0) -> tf.Tensor:
        """Multiplies inputs by the rows of the kernel from `first` on; the bias goes with row 0."""
        product = tf.matmul(inputs, self.kernel[first : first + inputs.shape[-1]])
        has_bias = first == 0 and self.unit_type != "layer_norm_lstm"
        return product + self.bias if has_bias else product

    def step(self, projected: tf.Tensor, state: State) -> State:
        """Computes one step from projected inputs, of shape (batch, gates · size)."""
        return {"lstm": self._lstm, "gru": self._gru,
                "layer_norm_lstm": self._layer_norm_lstm}[self.unit_type](projected, state)

    def _lstm(self, projected: tf.Tensor, state: State) -> State:
        """LSTM (Hochreiter & Schmidhuber 1997), gates in the order i, g, f, o."""
        h, c = state
        i, g, f, o = tf.split(projected + tf.matmul(h, self.recurrent_kernel), 4, axis=1)
        c = tf.sigmoid(f + self.forget_bias) * c + tf.sigmoid(i) * tf.tanh(g)
        return [tf.sigmoid(o) * tf.tanh(c), c]

    def _gru(self, projected: tf.Tensor, state: State) -> State:
        """GRU (Cho et al. 2014), in the order reset, update, candidate."""
        (h,) = state
        gates, candidate = tf.split(projected, [2 * self.size, self.size], axis=1)
        of_gates, of_candidate = tf.split(self.recurrent_kernel, [2 * self.size, self.size], axis=1)
        reset, update = tf.split(tf.sigmoid(gates + tf.matmul(h, of_gates)), 2, axis=1)
        candidate = tf.tanh(candidate + tf.matmul(reset * h, of_candidate))
        return [update * h + (1 - update) * candidate]

    def _layer_norm_lstm(self, projected: tf.Tensor, state: State) -> State:
        """LSTM whose gates and cell state are normalized, each with a gain and a shift."""
        h, c = state
        gates = tf.split(projected + tf.matmul(h, self.recurrent_kernel), 4, axis=1)
        i, g, f, o = (self._normalize(gate, row) for row, gate in enumerate(gates))
        c = tf.sigmoid(f + self.forget_bias) * c + tf.sigmoid(i) * tf.tanh(g)
        c = self._normalize(c, 4)
        return [tf.sigmoid(o) * tf.tanh(c), c]

    def _normalize(self, x: tf.Tensor, row: int) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, [1], keepdims=True)
        normal = (x - mean) * tf.math.rsqrt(variance + EPSILON)
        return normal * self.gains[row] + self.shifts[row]


def loop(
    step: Callable[[Any, Any], tuple[tf.Tensor, Any]], inputs: Any, state: Any,
    reverse: bool = False,
) -> tuple[tf.Tensor, Any]:
    """Calls `step` for each step of its inputs, in the graph.

    Args:
        step: from the inputs of a step and the state to its output and the new state.
        inputs: a nest of tensors of shape (time, …).
        state: before the first step, a nest of tensors.
        reverse: whether to begin with the last inputs.

    Returns:
        The outputs, of shape (time, …), and the state after the last step.
    """
    arrays = tf.nest.map_structure(
        lambda tensor: tf.TensorArray(tensor.dtype, tf.shape(tensor)[0]).unstack(tensor), inputs)
    steps = tf.shape(tf.nest.flatten(inputs)[0])[0]

    def body(number: tf.Tensor, state: Any, outputs: tf.TensorArray) -> tuple[Any, ...]:
        time = steps - 1 - number if reverse else number
        output, state = step(tf.nest.map_structure(lambda array: array.read(time), arrays), state)
        return number + 1, state, outputs.write(time, output)

    _, end, outputs = tf.while_loop(lambda number, *_: number < steps, body,
                                    (0, state, tf.TensorArray(tf.float32, steps)))
    return outputs.stack(), end


def run_cell(
    cell: Cell, inputs: tf.Tensor, mask: tf.Tensor, state: State, reverse: bool = False
) -> tuple[tf.Tensor, State]:
    """Runs a cell over sentences; where the mask is False the state stays and the output is 0.

    Args:
        cell: the cell.
        inputs: of shape (time, batch, input size).
        mask: whether a position is a word, bool of shape (time, batch).
        state: before the first step.
        reverse: run from the last word to the first.

    Returns:
        Outputs of shape (time, batch, size) and the state after the last step.
    """
    words = mask[..., None]

    def step(now: tuple[tf.Tensor, tf.Tensor], state: State) -> tuple[tf.Tensor, State]:
        x, word = now
        state = [tf.where(word, new, old)
                 for new, old in zip(cell.step(x, state), state, strict=True)]
        return state[0], state

    outputs, end = loop(step, (cell.project(inputs), words), state, reverse)
    return tf.where(words, outputs, 0.0), end
