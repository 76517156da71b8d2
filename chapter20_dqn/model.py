"""Q-networks, their targets and their loss."""

from collections.abc import Callable, Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf

# Filters, kernel size and stride of each convolution, and units of the dense layer after them.
HEADERS = {
    "nips": (((16, 8, 4), (32, 4, 2)), 256),  # Mnih et al. 2013
    "nature": (((32, 8, 4), (64, 4, 2), (64, 3, 1)), 512),  # Mnih et al. 2015
}
HEAD_UNITS = 512  # of each stream of a convolutional dueling network
BIAS = 0.1  # initial value, as in the original


def scale_gradient(x: keras.KerasTensor, factor: float) -> keras.KerasTensor:
    """Returns x, whose gradient is multiplied by a factor."""
    return factor * x + (1 - factor) * keras.ops.stop_gradient(x)


def build_q_network(
    state_shape: Sequence[int],
    dtype: str,
    num_actions: int,
    header: str = "nips",
    output: str = "normal",
    mlp_units: Sequence[int] = (50, 50, 50),
    mlp_activation: str = "sigmoid",
    seed: int = 0,
) -> keras.Model:
    """Builds a Q-network (section 20.3).

    Args:
        state_shape: (history_length, height, width) for "nips" and "nature", with frames in
            [0, 255]; (history_length, n) for "mlp".
        dtype: of states.
        num_actions: number of actions.
        header: a key of `HEADERS`, or "mlp".
        output: "normal"; "dueling", separate streams for the value of the state and the advantage
            of each action behind the hidden layer, as in the book; or, but for "mlp",
            "dueling_wang", streams from the convolutions on (Wang et al. 2016, § 4.2).
        mlp_units: units per hidden layer of "mlp".
        mlp_activation: activation of its hidden layers.
        seed: of the initial weights.

    Returns:
        A model from (batch, *state_shape) to float32 (batch, num_actions).
    """
    activation = mlp_activation if header == "mlp" else "relu"
    seeds = iter(range(seed, seed + 100))

    def options(activation: str | None) -> dict:
        return {"activation": activation, "bias_initializer": keras.initializers.Constant(BIAS),
                "kernel_initializer": keras.initializers.GlorotUniform(next(seeds))}

    def dense(units: int, name: str, activation: str | None = activation) -> keras.layers.Dense:
        return keras.layers.Dense(units, name=name, **options(activation))

    states = x = keras.Input(state_shape, dtype=dtype, name="states")
    if header == "mlp":
        x = keras.layers.Flatten()(x)
        for number, units in enumerate(mlp_units):
            x = dense(units, f"hidden{number}")(x)
        head_units = mlp_units[-1] // 2
    else:
        convolutions, units = HEADERS[header]
        x = keras.layers.Rescaling(1 / 255)(x)
        x = keras.layers.Permute((2, 3, 1))(x)  # (batch, height, width, history_length)
        for filters, kernel, stride in convolutions:
            x = keras.layers.Conv2D(filters, kernel, stride, **options("relu"))(x)
        x, head_units = keras.layers.Flatten()(x), HEAD_UNITS
        x = (scale_gradient(x, 2**-0.5) if output == "dueling_wang"
             else dense(units, "hidden")(x))
    if output == "normal":
        return keras.Model(states, dense(num_actions, "q", None)(x), name="q_network")
    value = dense(1, "value", None)(dense(head_units, "value_hidden")(x))
    advantage = dense(num_actions, "advantage", None)(dense(head_units, "advantage_hidden")(x))
    # Advantages have mean 0: else V and A are not identifiable (Wang et al. 2016, equation 9).
    q = value + advantage - keras.ops.mean(advantage, axis=1, keepdims=True)
    return keras.Model(states, q, name="q_network")


def td_targets(
    rewards: tf.Tensor,
    discounts: tf.Tensor,
    next_target_q: tf.Tensor,
    next_online_q: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns the TD targets of the actions taken, float32 of shape (batch,).

    y = r + discount · Q_target(s', a') with

        a' = argmax Q_target(s', ·)    (Mnih et al. 2015)
        a' = argmax Q_online(s', ·)    (double Q-learning, van Hasselt et al. 2016)

    Args:
        rewards: float32 of shape (batch,).
        discounts: float32 of shape (batch,): γ, or γⁿ for n-step returns; 0 at a terminal
            state.
        next_target_q: Q_target(s', ·), float32 of shape (batch, num_actions).
        next_online_q: Q_online(s', ·), of the same shape; for double Q-learning.
    """
    selecting = next_target_q if next_online_q is None else next_online_q
    best = tf.argmax(selecting, axis=1)  # (batch,)
    next_values = tf.gather(next_target_q, best, axis=1, batch_dims=1)  # (batch,)
    return rewards + discounts * next_values


def huber(errors: tf.Tensor) -> tf.Tensor:
    """Returns the Huber loss: e²/2 where |e| ≤ 1, else |e| - 1/2; no gradient exceeds 1."""
    size = tf.abs(errors)
    return tf.where(size <= 1, errors**2 / 2, size - 0.5)


def make_q_function(
    network: keras.Model, header: str
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[], None]]:
    """Returns a fast function for the Q values of a few states, and one that refreshes it.

    An "mlp" is computed in NumPy from a copy of the weights: calling TensorFlow takes longer than
    its few matrix products. `model.predict` is made for large batches and slower still.

    Args:
        network: from `build_q_network`.
        header: the network's header.

    Returns:
        A function from states to Q values, float32 (count, num_actions); and a function to be
        called after every update of the network.
    """
    if header != "mlp":
        signature = tf.TensorSpec(network.input_shape, network.inputs[0].dtype)
        in_graph = tf.function(partial(network, training=False)).get_concrete_function(signature)
        return lambda states: in_graph(tf.constant(states)).numpy(), lambda: None
    layers: dict[str, list[np.ndarray]] = {}
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    activation = dense[0].activation.__name__

    def read(variable: tf.Variable) -> np.ndarray:  # as variable.numpy(), three times as fast
        return tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype).numpy()

    def refresh() -> None:
        layers.update({layer.name: [read(w.value) for w in layer.weights] for layer in dense})

    refresh()
    return partial(mlp_in_numpy, layers, activation), refresh


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


def mlp_in_numpy(
    layers: dict[str, list[np.ndarray]], activation: str, states: np.ndarray
) -> np.ndarray:
    """Computes the Q values of an "mlp" network, float32 of shape (count, num_actions).

    Args:
        layers: kernel and bias of each layer, by the layer's name in `build_q_network`.
        activation: of the hidden layers, a key of `ACTIVATIONS`.
        states: of shape (count, history_length, n).
    """
    def linear(name: str, x: np.ndarray) -> np.ndarray:
        kernel, bias = layers[name]
        return x @ kernel + bias

    act, x = ACTIVATIONS[activation], states.reshape(len(states), -1)
    for number in range(sum(name.startswith("hidden") for name in layers)):
        x = act(linear(f"hidden{number}", x))
    if "q" in layers:
        return linear("q", x)
    value = linear("value", act(linear("value_hidden", x)))
    advantage = linear("advantage", act(linear("advantage_hidden", x)))
    return value + advantage - advantage.mean(axis=1, keepdims=True)
