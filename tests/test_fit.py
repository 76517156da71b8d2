"""`model.fit` logs, validates, stops and resumes like a loop."""

import argparse
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    DATA,
    LOG_EVERY,
    MAX_STEPS,
    assert_same_end,
    build_net,
    deterministic,
    send,
    stream,
    values,
)

from common import checkpoint, results
from common.errors import Interrupted
from common.fit import Fit


class StoppingFit(Fit):
    stop_at = None

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.state.step) + 1 == self.stop_at:
            send()


def fit_net(run, stop_at=None, eval_every=5, patience=MAX_STEPS, known=True):
    model = build_net(1, seed=1)
    error = keras.metrics.MeanAbsoluteError(name="error")
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=[error])
    args = argparse.Namespace(max_steps=MAX_STEPS, save_every=6, log_every=LOG_EVERY,
                              eval_every=eval_every)
    fit = StoppingFit(model, run, args, [error] if known else [])
    fit.stop_at = stop_at

    def evaluate(step):
        spread = float(tf.math.reduce_std(model(DATA, training=False)))
        fit.monitor.scalars(step, {"spread": spread}, "val")
        if step >= patience:
            return True

    fit.run(stream(int(fit.state.step)), evaluate)
    return values(model, model.optimizer)


@deterministic()
def test_fit_stopped_inside_a_window_resumes_to_the_last_bit(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = fit_net(whole)
    for step in (7, 11):
        assert step % LOG_EVERY
        with pytest.raises(Interrupted, match=f"step {step};"):
            fit_net(cut, stop_at=step)
    assert_same_end(whole, cut, expected, fit_net(cut))


def test_fit_needs_all_compiled_metrics(tmp_path):
    with pytest.raises(ValueError, match="Fit needs all the metrics given to compile"):
        fit_net(tmp_path, known=False)
    assert checkpoint.choose(tmp_path, "latest") is None


def test_fit_ends_early_and_saves(tmp_path):
    fit_net(tmp_path, patience=10)
    checkpoint.load(tmp_path, "latest", model=build_net(1, seed=5))
    assert results.usage(tmp_path, "latest")["checkpoint_step"] == 10


@deterministic()
def test_fit_logs_whole_windows_and_the_learning_rate(tmp_path):
    logged = []
    for eval_every in (5, MAX_STEPS):
        run = tmp_path / str(eval_every)
        fit_net(run, eval_every=eval_every)
        lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        logged.append([line for line in lines if line["split"] == "train"])
    often, seldom = logged
    assert often == seldom and len(often) == MAX_STEPS // LOG_EVERY
    for line in often:
        assert set(line) == {"step", "split", "loss", "error", "learning_rate"}
        assert line["learning_rate"] == np.float32(0.01)
