"""Recurrent cells in NumPy, forward and backward, and whole sequences of them.

Columns are examples: an input is (n_x, m), a state (n_a, m), a sequence (n_x, m, T). The gates of
the LSTM and the GRU act on [a; x], the state above the input. A cell has the variants that its
weights have: an LSTM with pf, pi, po has peepholes (Gers & Schmidhuber 2000), one without Wi has
coupled gates (i = 1 - f), and a GRU without Wr is a minimal gated unit (Zhou et al. 2016).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Weights = dict[str, np.ndarray]
States = tuple[np.ndarray, ...]  # the first is the output a, or h, of shape (n_a, m)


class Cell(NamedTuple):
    """A kind of recurrent cell."""

    forward: Callable[[np.ndarray, States, Weights], tuple[States, Any]]
    backward: Callable[[States, Any, Weights, Weights], tuple[np.ndarray, States]]
    num_states: int


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Returns σ(z), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def add_gate(gradients: Weights, gate: str, dz: np.ndarray, inputs: np.ndarray) -> None:
    """Adds the gradients of W and b of one gate, whose pre-activation W·inputs + b has dz."""
    gradients["W" + gate] += dz @ inputs.T
    gradients["b" + gate] += dz.sum(axis=1, keepdims=True)


def rnn_forward(x: np.ndarray, states: States, w: Weights) -> tuple[States, Any]:
    """Computes a = tanh(Wax·x + Waa·a_prev + ba)."""
    (a_prev,) = states
    a = np.tanh(w["Wax"] @ x + w["Waa"] @ a_prev + w["ba"])
    return (a,), (x, a_prev, a)


def rnn_backward(
    d_states: States, cache: Any, w: Weights, gradients: Weights
) -> tuple[np.ndarray, States]:
    """Returns the gradients of the input and the previous state; adds those of the weights."""
    (da,), (x, a_prev, a) = d_states, cache
    dz = (1 - a**2) * da  # through tanh
    gradients["Wax"] += dz @ x.T
    gradients["Waa"] += dz @ a_prev.T
    gradients["ba"] += dz.sum(axis=1, keepdims=True)
    return w["Wax"].T @ dz, (w["Waa"].T @ dz,)


def lstm_forward(x: np.ndarray, states: States, w: Weights) -> tuple[States, Any]:
    """Computes c = f·c_prev + i·tanh(Wc·[a_prev; x] + bc) and a = o·tanh(c).

    The gates f, i and o are σ(W·[a_prev; x] + b); with peepholes f and i also see c_prev, o sees c.
    """
    a_prev, c_prev = states
    inputs = np.concatenate([a_prev, x])  # (n_a + n_x, m)

    def gate(name: str, peep: np.ndarray) -> np.ndarray:
        z = w["W" + name] @ inputs + w["b" + name]
        return sigmoid(z + w["p" + name] * peep if "p" + name in w else z)

    f = gate("f", c_prev)
    i = gate("i", c_prev) if "Wi" in w else 1 - f
    candidate = np.tanh(w["Wc"] @ inputs + w["bc"])
    c = f * c_prev + i * candidate
    o = gate("o", c)
    return (o * np.tanh(c), c), (inputs, c_prev, f, i, candidate, c, o)


def lstm_backward(
    d_states: States, cache: Any, w: Weights, gradients: Weights
) -> tuple[np.ndarray, States]:
    """Returns the gradients of the input and of (a_prev, c_prev); adds those of the weights."""
    da, dc = d_states
    inputs, c_prev, f, i, candidate, c, o = cache
    d_inputs, size = np.zeros_like(inputs), len(c)

    def through(name: str, dz: np.ndarray) -> None:
        add_gate(gradients, name, dz, inputs)
        d_inputs[:] += w["W" + name].T @ dz

    def peephole(name: str, dz: np.ndarray, peep: np.ndarray) -> np.ndarray | float:
        if "p" + name not in w:
            return 0.0
        gradients["p" + name] += (dz * peep).sum(axis=1, keepdims=True)
        return w["p" + name] * dz

    # The output gate, then the cell: its gradient comes from a, from o's peephole and from later.
    dzo = da * np.tanh(c) * o * (1 - o)
    through("o", dzo)
    dc = dc + da * o * (1 - np.tanh(c) ** 2) + peephole("o", dzo, c)
    through("c", dc * i * (1 - candidate**2))
    # Along the additive path the gradient is only multiplied by f: it need not vanish.
    df, di, dc_prev = dc * c_prev, dc * candidate, dc * f
    if "Wi" in w:
        dzi = di * i * (1 - i)
        through("i", dzi)
        dc_prev += peephole("i", dzi, c_prev)
    else:
        df = df - di  # i = 1 - f
    dzf = df * f * (1 - f)
    through("f", dzf)
    dc_prev += peephole("f", dzf, c_prev)
    return d_inputs[size:], (d_inputs[:size], dc_prev)


def gru_forward(x: np.ndarray, states: States, w: Weights) -> tuple[States, Any]:
    """Computes h = (1 - z)·h_prev + z·tanh(Wh·[r·h_prev; x] + bh), with gates z and r."""
    (h_prev,) = states
    inputs = np.concatenate([h_prev, x])
    z = sigmoid(w["Wz"] @ inputs + w["bz"])
    r = sigmoid(w["Wr"] @ inputs + w["br"]) if "Wr" in w else z
    reset = np.concatenate([r * h_prev, x])
    candidate = np.tanh(w["Wh"] @ reset + w["bh"])
    return ((1 - z) * h_prev + z * candidate,), (inputs, h_prev, z, r, reset, candidate)


def gru_backward(
    d_states: States, cache: Any, w: Weights, gradients: Weights
) -> tuple[np.ndarray, States]:
    """Returns the gradients of the input and the previous state; adds those of the weights."""
    (dh,), (inputs, h_prev, z, r, reset, candidate) = d_states, cache
    size = len(h_prev)
    dz_candidate = dh * z * (1 - candidate**2)
    add_gate(gradients, "h", dz_candidate, reset)
    d_reset = w["Wh"].T @ dz_candidate
    dz, dr = dh * (candidate - h_prev), d_reset[:size] * h_prev
    d_inputs = np.concatenate([dh * (1 - z) + d_reset[:size] * r, d_reset[size:]])
    if "Wr" in w:
        dzr = dr * r * (1 - r)
        add_gate(gradients, "r", dzr, inputs)
        d_inputs += w["Wr"].T @ dzr
    else:
        dz = dz + dr  # one gate for both
    dzz = dz * z * (1 - z)
    add_gate(gradients, "z", dzz, inputs)
    d_inputs += w["Wz"].T @ dzz
    return d_inputs[size:], (d_inputs[:size],)


CELLS = {
    "rnn": Cell(rnn_forward, rnn_backward, 1),
    "lstm": Cell(lstm_forward, lstm_backward, 2),
    "gru": Cell(gru_forward, gru_backward, 1),
}
GATES = {"lstm": "fico", "gru": "zrh"}


def init_weights(
    cell: str, n_x: int, n_a: int, rng: np.random.Generator, scale: float = 0.01
) -> Weights:
    """Returns float64 weights of a cell, normal with this standard deviation; biases are 0."""
    def normal(columns: int) -> np.ndarray:
        return scale * rng.standard_normal((n_a, columns))

    if cell == "rnn":
        return {"Wax": normal(n_x), "Waa": normal(n_a), "ba": np.zeros((n_a, 1))}
    weights = {"W" + gate: normal(n_a + n_x) for gate in GATES[cell]}
    return weights | {"b" + gate: np.zeros((n_a, 1)) for gate in GATES[cell]}


def zero_states(cell: str, n_a: int, m: int) -> States:
    """Returns the states before the first step."""
    return tuple(np.zeros((n_a, m)) for _ in range(CELLS[cell].num_states))


def sequence_forward(
    cell: str, x: np.ndarray, states: States, w: Weights
) -> tuple[np.ndarray, States, list[Any]]:
    """Runs a cell over a sequence.

    Args:
        cell: a key of CELLS.
        x: inputs of shape (n_x, m, T).
        states: before the first step.
        w: weights of the cell.

    Returns:
        Outputs of shape (n_a, m, T), the states after the last step, and the caches of all steps.
    """
    outputs, caches = [], []
    for t in range(x.shape[2]):
        states, cache = CELLS[cell].forward(x[:, :, t], states, w)
        outputs.append(states[0])
        caches.append(cache)
    return np.stack(outputs, axis=2), states, caches


def sequence_backward(
    cell: str, d_outputs: np.ndarray, d_states: States, caches: list[Any], w: Weights
) -> tuple[np.ndarray, States, Weights]:
    """Propagates gradients back through time.

    Args:
        cell: a key of CELLS.
        d_outputs: gradients of the outputs, of shape (n_a, m, T).
        d_states: gradients of the states after the last step, from beyond the sequence.
        caches: of `sequence_forward`.
        w: weights of the cell.

    Returns:
        Gradients of the inputs (n_x, m, T), of the first states, and of the weights.
    """
    gradients = {name: np.zeros_like(value) for name, value in w.items()}
    d_inputs = []
    for t in reversed(range(len(caches))):
        d_states = (d_states[0] + d_outputs[:, :, t], *d_states[1:])
        dx, d_states = CELLS[cell].backward(d_states, caches[t], w, gradients)
        d_inputs.append(dx)
    return np.stack(d_inputs[::-1], axis=2), d_states, gradients
