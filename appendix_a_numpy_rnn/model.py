"""The language model in NumPy: a recurrent cell and a softmax, its loss, gradients and updates."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from appendix_a_numpy_rnn.cells import (
    CELLS,
    GATES,
    States,
    Weights,
    init_weights,
    sequence_backward,
    sequence_forward,
    zero_states,
)


def build_weights(
    cell: str, vocab_size: int, hidden_size: int, rng: np.random.Generator
) -> Weights:
    """Returns the weights of a cell and of ŷ = softmax(Wya·a + by)."""
    output = {"Wya": 0.01 * rng.standard_normal((vocab_size, hidden_size)),
              "by": np.zeros((vocab_size, 1))}
    return init_weights(cell, vocab_size, hidden_size, rng) | output


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the softmax over the first axis."""
    exponentials = np.exp(logits - logits.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


def one_hot(tokens: Sequence[int], vocab_size: int) -> np.ndarray:
    """Returns the inputs of one sequence, (vocab_size, 1, T); the token -1 is a zero vector."""
    x = np.zeros((vocab_size, 1, len(tokens)))
    for t, token in enumerate(tokens):
        if token >= 0:
            x[token, 0, t] = 1
    return x


def loss_and_gradients(
    cell: str, weights: Weights, inputs: Sequence[int], targets: Sequence[int], states: States
) -> tuple[float, Weights, States]:
    """Computes the cross-entropy of one sequence and its gradients.

    Args:
        cell: a key of CELLS.
        weights: of `build_weights`.
        inputs: T tokens; -1 for the zero vector before a name.
        targets: the next tokens.
        states: before the first step; constants.

    Returns:
        The sum of -ln p in nats over the sequence, the gradients, and the final states.
    """
    steps = np.arange(len(targets))
    x = one_hot(inputs, len(weights["by"]))
    a, ends, caches = sequence_forward(cell, x, states, cell_weights(weights))
    p = softmax(weights["Wya"] @ a[:, 0] + weights["by"])  # (vocab_size, T)
    loss = -np.log(p[targets, steps]).sum()
    # Softmax and cross-entropy together have the gradient p - y.
    dy = p.copy()
    dy[targets, steps] -= 1
    da = (weights["Wya"].T @ dy)[:, None]  # (n_a, 1, T)
    d_ends = tuple(np.zeros_like(end) for end in ends)
    *_, gradients = sequence_backward(cell, da, d_ends, caches, cell_weights(weights))
    gradients |= {"Wya": dy @ a[:, 0].T, "by": dy.sum(axis=1, keepdims=True)}
    return float(loss), gradients, ends


def cell_weights(weights: Weights) -> Weights:
    """Returns the weights of the cell alone."""
    return {name: value for name, value in weights.items() if name not in ("Wya", "by")}


def clip(gradients: Weights, maximum: float) -> None:
    """Clips every entry to [-maximum, maximum], in place: by value, not by norm."""
    for gradient in gradients.values():
        np.clip(gradient, -maximum, maximum, out=gradient)


def sgd(weights: Weights, gradients: Weights, learning_rate: float) -> None:
    """Updates the weights in place."""
    for name, gradient in gradients.items():
        weights[name] -= learning_rate * gradient


def adagrad(weights: Weights, gradients: Weights, memory: Weights, learning_rate: float) -> None:
    """Updates the weights and the sums of squared gradients in place (Duchi et al. 2011)."""
    for name, gradient in gradients.items():
        memory[name] += gradient**2
        weights[name] -= learning_rate * gradient / np.sqrt(memory[name] + 1e-8)


def draw(
    cell: str, weights: Weights, rng: np.random.Generator, length: int, start: int = -1,
    end: int | None = None, temperature: float = 1.0, states: States | None = None,
) -> list[int]:
    """Samples up to `length` tokens after `start`; stops before the token `end`."""
    states = states or zero_states(cell, weights["Wya"].shape[1], 1)
    drawn, token = [], start
    for _ in range(length):
        x = one_hot([token], len(weights["by"]))[:, :, 0]
        states, _ = CELLS[cell].forward(x, states, weights)
        p = softmax((weights["Wya"] @ states[0] + weights["by"])[:, 0] / temperature)
        token = int(rng.choice(len(p), p=p))
        if token == end:
            break
        drawn.append(token)
    return drawn


class Store(tf.Module):
    """Copies of NumPy weights as variables, which checkpoints can hold."""

    def __init__(self, weights: Weights):
        """Creates a variable for each array."""
        super().__init__()
        self.arrays = {name: tf.Variable(value) for name, value in weights.items()}

    def read(self) -> Weights:
        """Returns new arrays with the values of the variables."""
        return {name: variable.numpy().copy() for name, variable in self.arrays.items()}

    def write(self, weights: Weights) -> None:
        """Assigns the arrays to the variables."""
        for name, value in weights.items():
            self.arrays[name].assign(value)


def keras_layer(cell: str, weights: Weights) -> keras.layers.RNN:
    """Returns the layer of Keras, in float64, with the weights of a cell without variants.

    Keras has rows for examples, its LSTM the gates in the order i, f, c, o, and its GRU keeps the
    state where z is 1, so that W and b of z change their sign.
    """
    options = {"return_sequences": True, "dtype": "float64"}
    if cell == "rnn":
        size, n_x = weights["Wax"].shape
        layer = keras.layers.SimpleRNN(size, **options)
        arrays = [weights["Wax"].T, weights["Waa"].T, weights["ba"][:, 0]]
    else:
        order = "ifco" if cell == "lstm" else GATES[cell]
        size = len(weights["b" + order[0]])
        signs = [-1.0 if gate == "z" else 1.0 for gate in order]
        kernel = np.concatenate([s * weights["W" + g].T for s, g in
                                 zip(signs, order, strict=True)], axis=1)
        bias = np.concatenate([s * weights["b" + g][:, 0] for s, g in
                               zip(signs, order, strict=True)])
        n_x = len(kernel) - size
        layer = (keras.layers.LSTM(size, **options) if cell == "lstm" else
                 keras.layers.GRU(size, reset_after=False, **options))
        arrays = [kernel[size:], kernel[:size], bias]
    layer.build((None, None, n_x))
    layer.set_weights(arrays)
    return layer
