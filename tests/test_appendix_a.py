"""Recurrent cells in NumPy: gradients, Keras' numbers, the models of names and of a text."""

import json
import math

import keras
import numpy as np
import pytest

from appendix_a_numpy_rnn import data, eval, min_char_rnn, model, sample, train, vanishing
from appendix_a_numpy_rnn.cells import (
    init_weights,
    sequence_backward,
    sequence_forward,
    zero_states,
)
from appendix_a_numpy_rnn.gradient_check import relative_errors
from common import rundir
from common.errors import UserError

N_X, N_A, M, T = 3, 4, 2, 5
VARIANTS = ["rnn", "lstm", "lstm peephole", "lstm coupled", "lstm peephole coupled", "gru",
            "gru minimal"]


def build(variant, seed=0):
    cell, *kinds = variant.split()
    rng = np.random.default_rng(seed)
    weights = init_weights(cell, N_X, N_A, rng, 0.5)
    for name in weights:
        if name.startswith("b"):
            weights[name] = rng.normal(size=weights[name].shape)
    if "peephole" in kinds:
        weights |= {"p" + gate: rng.normal(size=(N_A, 1)) for gate in "fio"}
    if "coupled" in kinds:
        weights = {k: v for k, v in weights.items() if k not in ("Wi", "bi", "pi")}
    if "minimal" in kinds:
        weights = {k: v for k, v in weights.items() if k not in ("Wr", "br")}
    states = tuple(rng.normal(size=state.shape) for state in zero_states(cell, N_A, M))
    return cell, weights, rng.normal(size=(N_X, M, T)), states, rng


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_gradient_equals_central_differences(variant):
    cell, weights, x, states, rng = build(variant)
    d_outputs = rng.normal(size=(N_A, M, T))
    d_ends = tuple(rng.normal(size=state.shape) for state in states)

    def loss():
        outputs, ends, _ = sequence_forward(cell, x, states, weights)
        return (outputs * d_outputs).sum() + sum((e * d).sum() for e, d in
                                                 zip(ends, d_ends, strict=True))

    _, _, caches = sequence_forward(cell, x, states, weights)
    dx, d_states, gradients = sequence_backward(cell, d_outputs, d_ends, caches, weights)
    arrays = weights | {"x": x} | {f"state{i}": s for i, s in enumerate(states)}
    found = gradients | {"x": dx} | {f"state{i}": d for i, d in enumerate(d_states)}
    errors = relative_errors(loss, arrays, found)
    assert max(errors.values()) < 1e-6, errors
    wrong = {name: 1.001 * value for name, value in found.items()}
    assert min(relative_errors(loss, arrays, wrong).values()) > 1e-4


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_keras_gives_the_same_outputs(cell):
    _, weights, x, _, _ = build(cell)
    outputs, _, _ = sequence_forward(cell, x, zero_states(cell, N_A, M), weights)
    expected = model.keras_layer(cell, weights)(x.transpose(1, 2, 0))
    np.testing.assert_allclose(outputs.transpose(1, 2, 0), expected, atol=1e-6)


class Variant(keras.layers.Layer):
    """A cell of Keras with the variants that Keras does not have."""

    def __init__(self, variant, w):
        super().__init__(dtype="float64")
        self.variant, self.w = variant, w
        self.state_size = [N_A, N_A] if variant.startswith("lstm") else [N_A]
        self.output_size = N_A

    def call(self, x, states):
        ops, w = keras.ops, self.w

        def affine(gate, inputs):
            return ops.matmul(inputs, w["W" + gate].T) + w["b" + gate].T

        if self.variant == "gru minimal":
            (h,) = states
            z = ops.sigmoid(affine("z", ops.concatenate([h, x], axis=1)))
            new = ops.tanh(affine("h", ops.concatenate([z * h, x], axis=1)))
            h = h + z * (new - h)
            return h, [h]
        a, c = states
        inputs = ops.concatenate([a, x], axis=1)
        p = {gate: w["p" + gate].T if "p" + gate in w else 0.0 for gate in "fio"}
        f = ops.sigmoid(affine("f", inputs) + p["f"] * c)
        i = 1 - f if "coupled" in self.variant else ops.sigmoid(affine("i", inputs) + p["i"] * c)
        c = f * c + i * ops.tanh(affine("c", inputs))
        a = ops.sigmoid(affine("o", inputs) + p["o"] * c) * ops.tanh(c)
        return a, [a, c]


@pytest.mark.parametrize("variant", [v for v in VARIANTS if " " in v])
def test_variants_equal_a_cell_in_keras(variant):
    cell, weights, x, _, _ = build(variant)
    outputs, _, _ = sequence_forward(cell, x, zero_states(cell, N_A, M), weights)
    layer = keras.layers.RNN(Variant(variant, weights), return_sequences=True, dtype="float64")
    np.testing.assert_allclose(outputs.transpose(1, 2, 0), layer(x.transpose(1, 2, 0)), atol=1e-6)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_gradients_of_the_language_model(cell):
    weights = model.build_weights(cell, 5, 4, np.random.default_rng(1))
    weights = {name: 30 * value for name, value in weights.items()}
    inputs, targets, states = [-1, 2, 4, 1], [2, 4, 1, 0], zero_states(cell, 4, 1)

    def loss():
        return model.loss_and_gradients(cell, weights, inputs, targets, states)[0]

    _, gradients, _ = model.loss_and_gradients(cell, weights, inputs, targets, states)
    assert max(relative_errors(loss, weights, gradients).values()) < 1e-6


@pytest.mark.parametrize(("size", "nats"), [(27, 3.2958), (8000, 8.9872)])
def test_an_untrained_model_predicts_every_symbol_alike(size, nats):
    weights = model.build_weights("rnn", size, 10, np.random.default_rng(0))
    loss, _, _ = model.loss_and_gradients("rnn", weights, [-1], [3], zero_states("rnn", 10, 1))
    assert loss == pytest.approx(nats, abs=1e-3) == pytest.approx(math.log(size), abs=1e-3)


def test_updates_and_clipping_by_hand():
    weights, memory = {"w": np.array([1.0, 1.0])}, {"w": np.zeros(2)}
    gradients = {"w": np.array([7.0, -8.0])}
    model.clip(gradients, 5)
    assert gradients["w"].tolist() == [5, -5]
    model.sgd(weights, gradients, 0.1)
    np.testing.assert_allclose(weights["w"], [0.5, 1.5])
    model.adagrad(weights, gradients, memory, 0.1)
    np.testing.assert_allclose(weights["w"], [0.4, 1.6], atol=1e-6)
    assert memory["w"].tolist() == [25, 25]


def test_gradients_of_an_lstm_with_open_gates_reach_further():
    norms = vanishing.curves(0)
    assert norms["RNN, spectral radius 0.5"][50] < 1e-12
    assert norms["LSTM, forget bias 3"][50] > 1e-3
    assert norms["LSTM, forget bias 3"][50] > 1e6 * norms["LSTM, forget bias 0"][50]


def test_hello(capsys):
    assert min_char_rnn.main(["--max_steps", "300"]) == 0
    rows = capsys.readouterr().out.splitlines()[-4:]
    chars = sorted(set("hello"))
    for row, following in zip(rows, "ello", strict=True):
        probabilities = [float(value) for value in row.split()[2:]]
        assert probabilities[chars.index(following)] > 0.9


def test_flags_without_effect_are_refused(capsys):
    for main, argv, says in (
            (train.main, ["--data_dir", "."], "has no effect with --dataset file"),
            (train.main, ["--dataset", "dinos", "--input_file", "a"], "with --dataset dinos"),
            (min_char_rnn.main, ["--text", "ab", "--input_file", "a"], "not allowed with")):
        assert main(argv) == 2
        assert says in capsys.readouterr().err


def test_names_with_empty_lines_and_capitals(capsys):
    assert data.parse("Ana\n\n  BOB \nana\n", "list") == ["ana", "bob"]
    assert "2 empty or repeated" in capsys.readouterr().err
    for text, says in (("\n\n", "0 names"), ("a\n" + "b" * 60, "line 2 has 60")):
        with pytest.raises(UserError, match=says):
            data.parse(text, "list")


def test_every_epoch_has_every_name_once():
    names = list("abcdefg")
    epochs = [[data.name_of_step(names, 0, 7 * e + i + 1) for i in range(7)] for e in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == names
    assert epochs[0] != epochs[1]


@pytest.mark.slow
def test_a_short_training_learns_and_samples(capsys):
    assert train.main(["--name", "a", "--max_steps", "1500", "--hidden_size", "20"]) == 0
    assert eval.main(["--name", "a"]) == 0
    assert sample.main(["--name", "a", "--num_samples", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 3
    run = rundir.runs_dir() / "appendix_a_numpy_rnn" / "a"
    metrics = json.loads((run / "eval.json").read_text("utf-8"))["metrics"]
    nats = {split: scores["nats_per_char"] for split, scores in metrics.items()}
    assert nats["validation"] < nats["unigram"] < math.log(27)


def test_the_shipped_names_are_invented(real_data):
    published = set(data.parse(real_data("char_rnn/dinos.txt").read_text("utf-8"), "dinos"))
    ours = set(data.parse(data.SAMPLE.read_text("utf-8"), "names"))
    assert len(ours) == 400 and len(published) == 1610
    assert not ours & published
