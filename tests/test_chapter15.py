"""Chapter 15: features and losses by hand, roll-out step by step, files and missing values."""

import csv
import functools
import gzip
import json
import math
import os
import signal
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from chapter15_time_series import data, eval, export, forecast, inference, scores, train
from chapter15_time_series.base_model import carry_forward
from chapter15_time_series.dates import read_times
from chapter15_time_series.grid import Grid, find_grid
from chapter15_time_series.model import (
    LOSSES,
    build_model,
    moving_average,
    normal_likelihood,
    squared,
    time_features,
)
from chapter15_time_series.series import Layout, Series, read_csv
from chapter15_time_series.settings import apply_settings, settings_for
from common import checkpoint, files, rundir
from common.errors import UserError

NAN = math.nan
TINY_LSTM = ["--model", "lstm", "--dataset", "three_waves", "--num_units", "4", "--window_size",
             "8", "--batch_size", "4", "--loss", "squared", "--eval_every", "4", "--log_every", "2"]


def random_weights(model, scale=0.3, seed=0):
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(scale * rng.normal(size=variable.shape))
    return model


def small(kind, features=1, exogenous=0, **options):
    model = build_model(features, exogenous, kind, input_window_size=4, output_window_size=3,
                        num_units=5, **({"periodicities": "7,5"} | options))
    return random_weights(model)


def clip(outputs):
    """Keeps the second half of each row, logarithms of variances, in bounds."""
    means, log_variances = np.split(outputs, 2, axis=-1)
    return np.concatenate([means, log_variances.clip(math.log(1e-5), math.log(4))], axis=-1)


def nothing(*shape):
    """Exogenous values without any column."""
    return np.zeros((*shape, 0), np.float32)


def normal(shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_the_books_formulas():
    np.testing.assert_allclose(data.sine_trend(np.array([0, 50, 100, 150, 999])),
                               [0, 1.25, 0.5, -0.25, math.sin(9.99 * math.pi) + 4.995])
    np.testing.assert_allclose(data.three_waves(np.array([0, 12.5, 25, 50])),
                               [1, math.sqrt(2) + 1, 1, -1], atol=1e-9)
    series = data.generate("sine_trend", seed=3)
    noise = series.values[:, 0] - data.sine_trend(np.arange(1000))
    assert series.values.shape == (1000, 1) and series.first == 0
    assert abs(noise).max() <= 0.2 + 1e-6
    assert noise.std() == pytest.approx(data.NOISE_FLOOR, rel=0.05)
    assert data.NOISE_FLOOR == pytest.approx(0.1155, abs=1e-4)
    np.testing.assert_array_equal(series.values, data.generate("sine_trend", seed=3).values)
    assert (series.values != data.generate("sine_trend", seed=4).values).mean() > 0.99


def test_time_buckets_against_a_hand_table():
    times = tf.constant([[0, 30, 199, 230]], tf.int64)  # places 0, 1.5, 9.95 and again 1.5
    found = time_features(times, [200])[0, :, 0].numpy()
    expected = np.zeros((4, 10))
    expected[1, 1] = expected[3, 1] = 0.5
    expected[2, 9] = 0.95
    np.testing.assert_allclose(found, expected, atol=1e-5)
    both = time_features(times, [200, 7])
    assert both.shape == (1, 4, 2, 10)
    np.testing.assert_allclose(both[0, 1, 1, 2], 30 % 7 * 10 / 7 - 2, atol=1e-5)


@pytest.mark.parametrize(("features", "exogenous"), [(1, 0), (2, 0), (2, 3)])
def test_the_autoregressive_model_against_numpy(features, exogenous):
    model = small("ar", features, exogenous)
    times = np.array([[10, 11, 12, 13, 14, 15, 16], [3, 4, 5, 6, 7, 8, 9]])
    values, outside = normal((2, 7, features)), normal((2, 7, exogenous), seed=2)
    kernel, bias = (variable.numpy() for variable in model.trainable_variables)
    for row in range(2):
        buckets = []
        for time in times[row]:
            for period in (7, 5):
                place = time % period * 10 / period
                buckets += [place - i if 0 <= place - i < 1 else 0 for i in range(10)]
        inputs = np.concatenate([values[row, :4].ravel(), buckets, outside[row].ravel()])
        outputs = clip((inputs @ kernel + bias).reshape(3, 2 * features))
        found = model((times, outside, values))[row]
        np.testing.assert_allclose(found, outputs, atol=1e-5)
    later = values.copy()
    later[:, 4:] = 99  # what is to be predicted must not be looked at
    np.testing.assert_array_equal(model((times, outside, later)), model((times, outside, values)))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("features", "exogenous"), [(1, 0), (3, 2)])
def test_dlinear_against_numpy(features, exogenous, loss):
    """Trend and remainder of 30 steps, each feature by itself with the same weights."""
    model = build_model(features, exogenous, "dlinear", 30, 4, loss=loss)
    random_weights(model)
    values, outside = normal((2, 34, features)), normal((2, 34, exogenous), seed=2)
    trend_kernel, trend_bias, kernel, bias, *rest = (v.numpy() for v in model.trainable_variables)
    parts = 2 if loss == "normal_likelihood" else 1
    for row in range(2):
        for feature in range(features):
            inputs = values[row, :30, feature]
            padded = np.concatenate([[inputs[0]] * 12, inputs, [inputs[-1]] * 12])
            trend = np.array([padded[i : i + 25].mean() for i in range(30)])
            outputs = trend @ trend_kernel + trend_bias + (inputs - trend) @ kernel + bias
            found = model((None, outside, values))[row].numpy()[:, feature::features]
            for part in range(parts):
                expected = outputs[4 * part : 4 * part + 4]
                if exogenous:
                    column = part * features + feature
                    expected = expected + outside[row, 30:] @ rest[0][:, column] + rest[1][column]
                if part:
                    expected = expected.clip(math.log(1e-5), math.log(4))
                np.testing.assert_allclose(found[:, part], expected, atol=1e-4)
    later = values.copy()
    later[:, 30:] = 99  # what is to be predicted must not be looked at
    np.testing.assert_array_equal(model((None, outside, later)), model((None, outside, values)))


def test_moving_averages_by_hand():
    values = tf.constant([[[0.0], [3.0], [6.0], [0.0]]])
    np.testing.assert_allclose(moving_average(values, 3)[0, :, 0], [1, 3, 3, 2])


@pytest.mark.parametrize(("options", "parameters"), [
    ({"periodicities": "200"}, (30 + 40 * 10) * 20 + 20),
    ({"periodicities": "200", "loss": "squared"}, (30 + 40 * 10) * 10 + 10),
    ({"periodicities": None, "num_features": 5}, 150 * 100 + 100),
    ({"model": "lstm", "loss": "squared"}, 4 * 128 * (1 + 128 + 1) + 129),
    ({"model": "lstm", "num_features": 5}, 4 * 128 * (5 + 128 + 1) + 1290),
    ({"model": "lstm", "num_exogenous": 2, "loss": "squared"}, 4 * 128 * (3 + 128 + 1) + 129),
    ({"model": "dlinear", "num_features": 5, "loss": "squared"}, 2 * (30 * 10 + 10)),
])
def test_parameter_counts(options, parameters):
    model = build_model(**({"num_features": 1} | options))
    assert sum(int(tf.size(v)) for v in model.trainable_variables) == parameters


def test_losses_by_hand():
    targets = tf.constant([[[1.0, 0.0], [NAN, 4.0]]])
    predictions = tf.constant([[[0.0, 0.0, 0.0, math.log(4)], [7.0, 1.0, 0.0, math.log(9)]]])
    nats = [0.5, math.log(2), math.log(3) + 0.5]  # errors 1, 0, 3 of deviations 1, 2, 3
    expected = 0.5 * math.log(2 * math.pi) + sum(nats) / 3
    assert float(normal_likelihood(targets, predictions)) == pytest.approx(expected, abs=1e-6)
    assert float(squared(targets, predictions)) == pytest.approx((1 + 0 + 9) / 3)


@pytest.mark.parametrize(("bias", "variance"), [(-50.0, 1e-5), (50.0, 4.0)])
def test_no_variance_is_predicted_beyond_the_bounds(bias, variance):
    model = small("ar")
    model.linear.bias.assign(tf.fill(model.linear.bias.shape, bias))
    inputs = tf.zeros((1, 7), tf.int64), nothing(1, 7), tf.zeros((1, 7, 1))
    np.testing.assert_allclose(model(inputs)[..., 1], math.log(variance), rtol=1e-6)


def test_missing_inputs_become_the_last_known_ones():
    values = tf.constant([[NAN, 1, NAN, NAN, 2], [3, NAN, 5, 6, NAN]])
    expected = [[0, 1, 1, 1, 2], [3, 3, 5, 6, 6]]
    np.testing.assert_array_equal(carry_forward(values[..., None])[..., 0], expected)
    columns = tf.transpose(values)[None]  # each column by itself
    np.testing.assert_array_equal(carry_forward(columns)[0], np.transpose(expected))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["ar", "lstm", "dlinear"])
def test_every_weight_gets_a_gradient_across_a_gap(kind, loss):
    model = small(kind, 2, 3, loss=loss)
    times, values = tf.constant([range(5, 12)], tf.int64), normal((1, 7, 2))
    values[:, [2, 5]] = NAN
    with tf.GradientTape() as tape:
        predictions = model((times, normal((1, 7, 3), seed=2), values))
        loss_value = LOSSES[loss](values[:, model.num_inputs :], predictions)
    assert np.isfinite(loss_value)
    gradients = tape.gradient(loss_value, model.trainable_variables)
    assert all(0 < float(tf.norm(gradient)) < 1e6 for gradient in gradients)
    expected = {"ar": 2, "lstm": 5, "dlinear": 6}[kind]
    assert len(gradients) == len(model.trainable_variables) == expected


def lstm_by_hand(model, values, outside):
    """Filters (steps, features) in NumPy: the original's imputation, prediction and filtering."""
    cell = model.filter.cell
    kernel, recurrent, bias = (v.numpy() for v in cell.lstm.weights)
    out_kernel, out_bias = (v.numpy() for v in cell.linear.weights)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    h, c, last, outputs = np.zeros(5), np.zeros(5), np.zeros(values.shape[1]), []
    for value, seen in zip(values, outside, strict=True):
        i, f, g, o = np.split(np.concatenate([last, seen]) @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(clip(h @ out_kernel + out_bias))
        last = np.where(np.isnan(value), outputs[-1][: values.shape[1]], value)
    return np.array(outputs)


@pytest.mark.parametrize(("features", "exogenous"), [(1, 0), (3, 2)])
def test_filtering_equals_step_by_step_and_gaps_take_the_prediction(features, exogenous):
    model = small("lstm", features, exogenous)
    values, outside = normal((9, features)), normal((9, exogenous), seed=2)
    values[[3, 4, 8]] = values[6, 0] = NAN
    found = model((tf.zeros((1, 9), tf.int64), outside[None], values[None]))[0]
    np.testing.assert_allclose(found, lstm_by_hand(model, values, outside), atol=1e-5)


def test_the_autoregressive_model_follows_a_series_in_both_ways():
    model = small("ar", 1, 2)
    times, values, outside = np.arange(3, 23), normal((20, 1)), normal((20, 2), seed=2)
    one, three = (model.follow(times, outside, values, ahead).numpy() for ahead in (1, 3))
    assert np.isnan(one[:4]).all() and np.isnan(three[:4]).all()
    for step in range(4, 20):
        for found, first in ((one, step), (three, 4 + (step - 4) // 3 * 3)):
            steps = np.arange(first - 4, first + 3)[None]
            seen = outside[np.minimum(steps, 19)]  # beyond the end the last ones stay
            window = model((times[0] + steps, seen, values[None, first - 4 : first]))
            np.testing.assert_allclose(found[step], window[0, step - first], atol=1e-6)


@pytest.mark.parametrize("exogenous", [0, 2])
@pytest.mark.parametrize("kind", ["ar", "lstm", "dlinear"])
def test_rolling_out_feeds_means_back(kind, exogenous):
    model = small(kind, 2, exogenous)
    times, values = np.arange(50, 62)[None], 2 + normal((1, 12, 2))
    outside = 5 + 3 * normal((1, 20, exogenous), seed=2)
    model.set_scale(np.array([[1.0, 5.0], [3.0, 9.0]]), np.tile([[2.0], [8.0]], exogenous))
    known, seen = np.asarray(model.normalise(values))[0], (outside[0] - 5) / 3
    for _ in range(8):
        if kind == "lstm":
            missing = np.vstack([known, [[NAN, NAN]]])
            known = np.vstack([known, lstm_by_hand(model, missing, seen[: len(missing)])[-1, :2]])
        else:  # windows of three
            if not (len(known) - 12) % 3:
                steps = np.arange(len(known) - 4, len(known) + 3)[None]
                window = (50 + steps, seen[np.minimum(steps, 19)], known[None, -4:])
                means = model(window)[0, :, :2]
            known = np.vstack([known, means[(len(known) - 12) % 3]])
    mean, sigma = tf.function(model.forecast)(times, outside, values, tf.constant(8))
    expected = known[12:] * [1, 2] + [2, 7]
    np.testing.assert_allclose(mean[0], expected, atol=5e-5)
    assert mean.shape == sigma.shape == (1, 8, 2) and (sigma.numpy() > 0).all()


def test_a_forecast_of_one_window_has_the_predicted_deviation():
    model = small("ar")
    times, values = np.arange(4)[None], normal((1, 4, 1))
    _, sigma = model.forecast(times, nothing(1, 7), values, tf.constant(3))
    log_variances = model((np.arange(7)[None], nothing(1, 7), values))[..., 1:]
    np.testing.assert_allclose(sigma, np.exp(0.5 * log_variances), rtol=1e-5)


def test_the_deviation_of_a_roll_out_is_that_of_the_process():
    """For x' = .8 x + e of deviation s: s² (1 + .64 + ... ) after as many steps."""
    model = build_model(1, input_window_size=1, output_window_size=1)
    model.linear.kernel.assign([[0.8, 0.0]])
    model.linear.bias.assign([0.0, 2 * math.log(0.5)])
    mean, sigma = model.forecast(np.array([[4]]), nothing(1, 13), tf.constant([[[2.0]]]), 12)
    np.testing.assert_allclose(mean[0, :, 0], 2 * 0.8 ** np.arange(1, 13), rtol=1e-5)
    expected = 0.5 * np.sqrt(np.cumsum(0.64 ** np.arange(12)))
    assert float(sigma[0, 0, 0]) == pytest.approx(0.5, rel=1e-5)
    np.testing.assert_allclose(sigma[0, :, 0], expected, rtol=0.12)


def test_values_are_normalised_by_the_standard_deviation():
    model = small("lstm", 2, 1)
    model.set_scale(np.array([[0.0, 7.0], [NAN, NAN], [8.0, 7.0]]), np.array([[1.0], [5.0]]))
    np.testing.assert_allclose(model.normalise(np.array([[8.0, 7.0]])), [[1, 0]])
    mean, sigma = model.restore(tf.constant([[1.0, 0.0, 0.0, math.log(4)]]))
    np.testing.assert_allclose(mean, [[8, 7]])
    np.testing.assert_allclose(sigma, [[4, 2]])
    outside = model.normalise_exogenous(tf.constant([[[5.0], [NAN], [1.0]]]))
    np.testing.assert_allclose(outside[0, :, 0], [1, 1, -1])


def test_logarithms_are_modelled_and_forecasts_are_log_normal():
    """Median and standard deviation of e^N(μ, σ²) against samples."""
    model = build_model(1, 0, "ar", 2, 1, loss="squared", log=True)
    values = np.float32([[1.0], [np.e**2], [np.e**4]])
    model.set_scale(values, np.zeros((3, 0)))
    np.testing.assert_allclose(model.location, [2], rtol=1e-6)
    np.testing.assert_allclose(model.normalise(values)[:, 0], [-1.5**0.5, 0, 1.5**0.5], atol=1e-6)
    sigma = 0.3
    normal = 1.7 + sigma * np.random.default_rng(0).normal(size=1_000_000)
    scale = float(model.scale[0])
    median, deviation = model.in_units(tf.constant([(1.7 - 2) / scale]),
                                       tf.constant([sigma / scale]))
    np.testing.assert_allclose(median, np.median(np.exp(normal)), rtol=2e-3)
    np.testing.assert_allclose(deviation, np.exp(normal).std(), rtol=5e-3)


def test_the_interval_of_a_log_normal_forecast_has_90_percent():
    values = 5 * np.exp(0.6 * np.random.default_rng(0).normal(size=1_000_000))
    low, high = scores.interval(np.median(values), values.std(), log=True)
    assert low > 0
    assert np.mean(values < low) == pytest.approx(0.05, abs=0.002)
    assert np.mean(values > high) == pytest.approx(0.05, abs=0.002)


def test_the_season_of_other_models_is_that_of_the_series(capfd):
    args = train.build_parser().parse_args(["--model", "dlinear", "--dataset", "etth1"])
    vars(args).update(train.PRESETS["demo"], dataset="etth1", model="dlinear", typed={})
    values = np.sin(2 * np.pi * np.arange(400)[:, None] / 7).astype(np.float32)
    apply_settings(args, Series(values, ["x"], 0, nothing(400), Grid("D", 1)))
    assert eval.steps_per_season(args) == 7
    assert "periodicities" not in capfd.readouterr().out


def test_values_without_a_logarithm_are_refused(tmp_path, capfd):
    file = tmp_path / "a.csv"
    file.write_text("step,a,b\n" + "".join(f"{n},{n + 1},{n - 30}\n" for n in range(99)),
                    encoding="utf-8")
    assert train.main(["--input_file", str(file), "--log"]) == 2
    assert "--log needs values above 0, but b has -30" in capfd.readouterr().err
    assert train.main(["--input_file", str(file), "--log", "--value_columns", "a", "--max_steps",
                       "2", "--name", "a"]) == 0
    assert forecast.main(["--name", "a", "--steps", "3"]) == 0
    _, *rows = (run_dir("a") / "forecast.csv").read_text(encoding="utf-8-sig").splitlines()
    # Untrained windows relative to their last input repeat it.
    assert float(rows[0].split(",")[1]) == pytest.approx(99, rel=0.1)
    assert eval.main(["--name", "a"]) == 0 and export.main(["--name", "a"]) == 0
    served = tf.saved_model.load(str(run_dir("a") / "export" / "1"))
    steps = {"times": tf.range(9, dtype=tf.int64)[None], "horizon": tf.constant([2])}
    forecast_of = functools.partial(served.signatures["serving_default"], **steps)
    known, zero = (tf.constant([[1.0, value, *range(2, 9)]])[..., None] for value in (NAN, 0.0))
    assert forecast_of(values=known)["mean"].shape == (1, 2, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="values must be above 0"):
        forecast_of(values=zero)
    file.write_text(file.read_text(encoding="utf-8") + "99,0,0\n", encoding="utf-8")
    assert forecast.main(["--name", "a", "--steps", "3"]) == 2
    assert "--log needs values above 0, but a has 0" in capfd.readouterr().err


def test_residuals_are_measured_for_each_step_ahead():
    model = small("ar", loss="squared")  # three steps at once
    errors = np.array([1, 2, NAN, 3, NAN, NAN, 5.0])[:, None]
    model.set_residuals(errors)
    pooled = (1 + 4 + 9 + 25) / 4
    expected = [(1 + 9 + 25 + pooled) / 4, (4 + pooled) / 2, pooled]
    np.testing.assert_allclose(np.exp(model.log_residuals[:, 0]), expected, rtol=1e-5)


def test_windows_are_runs_of_the_series_each_once_an_epoch():
    times, values = np.arange(100, 130), np.arange(30, dtype=np.float32)[:, None]
    columns = times, np.tile(-values, 2), values
    batches = list(data.training_batches(*columns, 8, 4, seed=1).take(12))
    starts = []
    for window_times, outside, window_values in batches:
        assert window_times.shape == (4, 8) and window_values.shape == (4, 8, 1)
        np.testing.assert_array_equal(outside, np.tile(-window_values, 2))
        np.testing.assert_array_equal(np.diff(window_times), 1)
        np.testing.assert_array_equal(window_values[..., 0], window_times - 100)
        starts += window_times[:, 0].numpy().tolist()
    assert sorted(starts[:23]) == sorted(starts[23:46]) == list(range(100, 123))
    assert starts[:23] != starts[23:46]
    late = list(data.training_batches(*columns, 8, 4, seed=1, start_step=5).take(3))
    for expected, found in zip(batches[5:8], late, strict=True):
        np.testing.assert_array_equal(expected[0], found[0])


def test_parts_are_cut_in_time_order():
    series = data.generate("sine_trend", 0)
    cut = {argv: data.split(series, train.build_parser().parse_args(argv.split()))
           for argv in ("", "--part_steps 500,200,100", "--test_share 0 --validation_share 0")}
    assert [tuple(parts) for parts in cut.values()] == [
        (720, 800, 1000), (500, 700, 800), (1000, 1000, 1000)]


def test_windows_begin_and_end_on_known_steps():
    values = np.ones((8, 2), np.float32)
    values[2] = NAN
    values[4, 0] = NAN
    assert data.window_starts(values, 3).tolist() == [1, 3, 4, 5]
    for size in (9, 10, 40):
        with pytest.raises(UserError, match="8 training steps, 7 of them known, contain no window"):
            data.window_starts(values, size)


def write(tmp_path, text, name="series.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_csv_file_without_header_and_with_gaps(tmp_path):
    series = read_csv(write(tmp_path, "7,1,10\n9,2,20\n\n15,3,30\n"))
    assert (series.names, series.first, series.grid) == (["1", "2"], 3, Grid(step=2, offset=1))
    np.testing.assert_array_equal(
        series.values, [[1, 10], [2, 20], [NAN, NAN], [NAN, NAN], [3, 30]])
    np.testing.assert_array_equal(series.labels(0, 6), [7, 9, 11, 13, 15, 17])
    chosen = read_csv(series_path := tmp_path / "series.csv", "0", "2")
    assert chosen.names == ["2"] and chosen.values.shape == (5, 1)
    assert read_csv(series_path, "1", "2,0").names == ["2", "0"]


@pytest.mark.parametrize(("rows", "labels"), [
    (["2024-01,1", "2024-02,2", "2024-05,5"],
     ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06"]),
    (["2023-11-01,1", "2023-12-01,2", "2024-03-01,3"],
     ["2023-11-01", "2023-12-01", "2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"]),
    (["2024-02-27,1", "2024-02-28,2", "2024-03-01,3"],
     ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"]),
    (["2024-01-01 00:15:00,1", "2024-01-01 01:15:00,2"],
     ["2024-01-01T00:15:00", "2024-01-01T01:15:00", "2024-01-01T02:15:00"]),
])
def test_dates_become_steps_and_steps_dates(tmp_path, rows, labels):
    series = read_csv(write(tmp_path, "\n".join(["\ufeffdate,x", *rows])))
    assert series.names == ["x"] and len(series.values) == len(labels) - 1
    assert [str(label) for label in series.labels(0, len(labels))] == labels
    times = series.times(0, len(labels))
    np.testing.assert_array_equal(np.diff(times), 1)


def dates(*cells):
    """The readings of a column of times."""
    return read_times(Path("series.csv"), list(enumerate(cells, 1)))


@pytest.mark.parametrize(("cells", "expected"), [
    (["1970-01-01", "1970-02-01"], ["1970-01-01", "1970-02-01"]),
    (["20170101", "20170102"], ["2017-01-01", "2017-01-02"]),
    (["201712", "201801"], ["2017-12", "2018-01"]),
    (["20170131.0", "20170201.0"], ["2017-01-31", "2017-02-01"]),  # floats of a data frame
    (["201712.", "201801.00"], ["2017-12", "2018-01"]),
    (["2017010123.0", "2017010200"], ["2017-01-01T23:00", "2017-01-02T00:00"]),
    (["20170131.0", "20170132.0"], ["20170131", "20170132"]),
    (["2017010123", "2017010124"], ["2017-01-01T23:00", "2017-01-02T00:00"]),
    (["20170101 0:30", "20170101 1:30"], ["2017-01-01T00:30", "2017-01-01T01:30"]),
    (["20170101T003015", "20170101T003016"], ["2017-01-01T00:30:15", "2017-01-01T00:30:16"]),
    (["2020/1/9", "2020/1/10"], ["2020-01-09", "2020-01-10"]),
    (["2020.12.31"], ["2020-12-31"]),
    (["2024年1月", "2024年2月"], ["2024-01", "2024-02"]),
    (["2024年1月31日 8:05"], ["2024-01-31T08:05"]),
    (["31.1.2020", "1.2.2020"], ["2020-01-31", "2020-02-01"]),
    (["1/2/2020", "1/13/2020"], ["2020-01-02", "2020-01-13"]),
    (["1/2/2020 12:00 AM", "1/13/2020 1:30 pm"], ["2020-01-02T00:00", "2020-01-13T13:30"]),
    (["31-Dec-2020", "1-Jan-2021"], ["2020-12-31", "2021-01-01"]),
    (["January 5, 2021"], ["2021-01-05"]),
    (["Sep 2020", "Oct 2020"], ["2020-09", "2020-10"]),
    (["2020Q4", "2021-Q1"], ["2020-10", "2021-01"]),
    (["2020-W53", "2021-W01"], ["2020-12-28", "2021-01-04"]),
    (["2024-01-01T00:00:00.25"], ["2024-01-01T00:00:00.250"]),
    (["2024-01-01 00:00:00Z"], ["2024-01-01T00:00:00"]),
    (["2024-01-01 00:00+08:00"], ["2024-01-01T00:00"]),
    (["2024-03-31T01:00+01", "2024-03-31T03:00+02"], ["2024-03-31T00:00", "2024-03-31T01:00"]),
    (["2024-03-31T00:00+01", "2024-04-01T00:00+02"], ["2024-03-31T00:00", "2024-04-01T00:00"]),
    (["20170131", "20170132"], ["20170131", "20170132"]),  # a counter
    (["2017", "2018"], ["2017", "2018"]),
    (["-3", "5.0"], ["-3", "5"]),
    (["1700000000", "1700003600"], ["2023-11-14T22:13:20", "2023-11-14T23:13:20"]),
    (["1704067200.0", "1704153600.0"], ["2024-01-01", "2024-01-02"]),  # also of a data frame
    (["1704067200000", "1704070800000"], ["2024-01-01T00:00", "2024-01-01T01:00"]),
    (["1704067200250", "1704067200500"], ["2024-01-01T00:00:00.250", "2024-01-01T00:00:00.500"]),
    (["999993600", "1000080000"], ["2001-09-09", "2001-09-10"]),  # 9 digits, then 10
    (["1000080000", "999993600"], ["2001-09-10", "2001-09-09"]),  # the latest first
    (["999999999", "999999998"], ["999999999", "999999998"]),
    (["1", "1700000000"], ["1", "1700000000"]),
    (["4102444799", "4102444800"], ["4102444799", "4102444800"]),  # the second is in 2100
    (["-1700000000", "-170000000"], ["-1700000000", "-170000000"]),
])
def test_dates_in_the_forms_that_people_write(cells, expected):
    (times,) = dates(*cells)
    assert [str(time) for time in times] == expected


@pytest.mark.parametrize("cells", [
    ["2024-02-30"], ["20170101", "20170201", "20170229"], ["2024-01-01 25:00"], ["24-01-01"],
    ["2024-01-01 13:00 PM"], ["31/31/2024"], ["0.5"], ["1e3"], ["", "1"], ["2024-01-01", "2"],
    ["2024-01-01 00:00Z", "2024-01-02 00:00"], [str(2**62)], ["20170101.0", "20170102.5"],
    ["Jan 32, 2020"], ["2020Q5"],
])
def test_other_times_are_refused(cells):
    with pytest.raises(UserError, match=r"is not|is neither"):
        dates(*cells)


def days(first, *steps):
    return np.datetime64(first) + np.cumsum([0, *steps])


@pytest.mark.parametrize(("times", "name", "numbers", "ahead"), [
    (days("2024-01-31", 29, 31, 61), "1 month (last day)", [0, 1, 2, 4], "2024-06-30"),
    (days("2024-01-15", 31, 29), "1 month (day 15)", [0, 1, 2], "2024-04-15"),
    (days("2024-01-30", 30, 30), "1 month (day 30)", [0, 1, 2], "2024-04-30"),
    (days("2024-01-31", 29, 29), "1 month (last weekday)", [0, 1, 2], "2024-04-30"),
    (days("2024-01-01", 31, 29, 31, 30, 33), "1 month (first weekday)", [0, 1, 2, 3, 4, 5],
     "2024-07-01"),
    (days("2024-01-14", 32, 27, 31), "1 month", [0, 1, 2, 3], "2024-05"),
    (days("2023-12-31", 91, 91, 92), "3 months (last day)", [0, 1, 2, 3], "2024-12-31"),
    (days("1999-01-01", 365, 366, 365), "12 months (day 1)", [0, 1, 2, 3], "2003-01-01"),
    (days("2024-01-04", 1, 3, 1, 1), "1 business day", [0, 1, 2, 3, 4], "2024-01-11"),
    (days("2024-01-01", 7, 7, 14), "7 days", [0, 1, 2, 4], "2024-02-05"),
    (days("2024-01-05", 7, 7, 6, 8, 7), "7 days", [0, 1, 2, 3, 4, 5], "2024-02-16"),
    (days("2024-01-01", 1, 1), "1 day", [0, 1, 2], "2024-01-04"),
    (days("2024-01-01T00:00:02", 595, 607, 596, 1205), "10 minutes", [0, 1, 2, 3, 5],
     "2024-01-01T01:00:02"),
    (np.array([7, 9, 15]), "2 units", [0, 1, 4], "17"),
])
def test_the_steps_of_a_grid_are_those_of_the_calendar(times, name, numbers, ahead):
    grid = find_grid(times)
    found = grid.numbers(times)
    assert str(grid) == name and (found - found[0]).tolist() == numbers
    assert str(grid.labels(found[-1:] + 1)[0]) == ahead and grid.holds(times).all()


def test_periods_are_those_of_the_day_the_week_and_the_year():
    assert [Grid(*grid).periods(size) for grid, size in [
        (("M",), 36), (("M",), 35), (("M", 3), 36), (("M", 12), 99), (("D",), 99), (("D",), 1095),
        (("D", 7), 200), (("B",), 99), (("s", 3600), 600), (("m", 7), 9999), (("",), 9999),
    ]] == [[12], [], [4], [], [7], [7, 365], [52], [5], [24, 168], [1440], []]

@pytest.mark.parametrize(("content", "names", "values"), [
    ("Datum;Wert\n1.2.2024;112,5\n2.2.2024;1.113,25\n4.2.2024;-7\n", ["Wert"],
     [[112.5], [1113.25], [NAN], [-7]]),
    ('1,"112,5"\n2,"0,25"\n', ["1"], [[112.5], [0.25]]),
    ('1,"1,112"\n2,"1,113.5"\n', ["1"], [[1112], [1113.5]]),
    ("t\tx y\n1\t5\n2\t6\n", ["x y"], [[5], [6]]),
    ("日期,销量\n2024年1月,5\n2024年2月,6\n".encode("gb18030"), ["销量"], [[5], [6]]),
    ("日期,销量\n1,5\n2,6\n".encode("utf-16"), ["销量"], [[5], [6]]),
    ("日期,销量\n1,5\n2,6\n".encode("utf-16-be"), ["销量"], [[5], [6]]),
    ("t,x\n1,5\n2,6\n".encode("utf-16-le"), ["x"], [[5], [6]]),
    ("日期,销量\n1,5\n2,6\n".encode("utf-32"), ["销量"], [[5], [6]]),
    ("日期,销量\n1,5\n2,6\n".encode("utf-8-sig"), ["销量"], [[5], [6]]),
    (gzip.compress("日期,销量\n1,5\n2,6\n".encode("gb18030"), mtime=0), ["销量"], [[5], [6]]),
    ("jour,température\n1,5\n2,6\n".encode("latin-1"), ["température"], [[5], [6]]),
    (gzip.compress(b"t,x\n1,5\n2,6\n", mtime=0), ["x"], [[5], [6]]),
    ("day,x\n2024-01-03,7\n2024-01-02,6\n2024-01-01,5\n", ["x"], [[5], [6], [7]]),
    ("t,x,y\n1,,4\n2,5,NA\n3,.,\n4,6,7\n", ["x", "y"], [[NAN, 4], [5, NAN], [NAN, NAN], [6, 7]]),
    ("x\n5\n6\n", ["x"], [[5], [6]]),
    ("t,,x,x\n1,2,3,4\n", ["1", "x", "x.3"], [[2, 3, 4]]),
])
def test_files_as_people_have_them(tmp_path, content, names, values):
    series = read_csv(write(tmp_path, content, "my 数据.csv"))
    assert series.names == names
    np.testing.assert_array_equal(series.values, np.float32(values))


def test_the_limit_of_unpacking_is_a_flag_that_old_runs_lack(tmp_path):
    path = write(tmp_path, gzip.compress(b"t,x\n1,5\n2,6\n" + b"\n" * 2**20))
    flags = data.build_parser().parse_args(["--input_file", str(path), "--max_unpacked_mb", "1"])
    with pytest.raises(UserError, match="unpacks to more than 1 MB") as stop:
        data.load(flags)
    assert "raise --max_unpacked_mb" in stop.value.hint
    del flags.max_unpacked_mb
    assert data.load(flags).values.tolist() == [[5], [6]]
    path.write_bytes(gzip.decompress(path.read_bytes()))  # a plain file has no limit
    assert read_csv(path, max_unpacked_mb=1).values.tolist() == [[5], [6]]


def test_a_file_without_times_is_counted(tmp_path):
    path = write(tmp_path, "a,b\n2,5\n1,6\n")
    series = read_csv(path, "none")
    assert series.names == ["a", "b"] and series.labels(0, 3).tolist() == [0, 1, 2]


def test_large_numbers_keep_their_differences(tmp_path):
    path = write(tmp_path, "".join(f"{i},{1.7e9 + i},{5 + i}\n" for i in range(120)))
    series = read_csv(path, exogenous_columns="2")
    assert series.values.std() == pytest.approx(np.arange(120).std(), rel=1e-6)
    np.testing.assert_array_equal(series.restore(series.values)[:, 0], 1.7e9 + np.arange(120))
    assert series.exogenous[0, 0] == 5
    later = write(tmp_path, "".join(f"{i},{1.7e9 + i},5\n" for i in range(100, 130)), "later.csv")
    found = read_csv(later, layout=Layout(**series.layout()))
    np.testing.assert_array_equal(found.restore(found.values)[:, 0], 1.7e9 + np.arange(100, 130))
    np.testing.assert_array_equal(found.values[:, 0], np.arange(100, 130))
    small = read_csv(write(tmp_path, "1,20.5\n2,21\n", "small.csv"))
    assert not small.shift and small.digest() == files.sha256(
        small.values, small.exogenous, repr((["1"], 1, 1, 0, "")).encode())


def test_a_later_history_lies_on_the_grid_of_the_earlier_one(tmp_path):
    """Its times alone would have another step: two quarter ends are also half-year ends."""
    series = read_csv(write(tmp_path, "d,x\n2023-03-31,1\n2023-06-30,2\n2023-09-30,3\n"))
    layout = Layout(**series.layout())
    later = read_csv(write(tmp_path, "d,x,new\n2023-06-30,2,9\n2023-12-31,4,9\n"), layout=layout)
    assert later.names == ["x"] and later.first == series.first + 1 and len(later.values) == 3
    assert str(later.labels(2, 4)[-1]) == "2024-03-31"
    with pytest.raises(UserError, match="line 2: time 2024-01-31 does not lie on the grid"):
        read_csv(write(tmp_path, "d,x\n2024-01-31,2\n"), layout=layout)
    with pytest.raises(UserError, match="has no column x"):
        read_csv(write(tmp_path, "d,y\n2023-12-31,2\n"), layout=layout)


def test_times_since_1970_are_units_for_a_run_that_read_them_so(tmp_path):
    path = write(tmp_path, "".join(f"{1704067200 + 3600 * i},{i}\n" for i in range(5)))
    series = read_csv(path)
    assert series.grid == Grid("m", 60) and read_csv(path, layout=Layout(**series.layout()))
    old = Layout(Grid(step=3600), ["1"], [], [])
    assert read_csv(path, layout=old).labels(1, 2).tolist() == [1704070800]


def test_exogenous_columns_may_go_on_where_the_values_end(tmp_path):
    path = write(tmp_path, "day,sold,price,open\n1,10,2,1\n2,11,3,1\n4,12,4,0\n5,,5,1\n6,,6,0\n")
    series = read_csv(path, exogenous_columns="price, open")
    assert series.names == ["sold"]
    np.testing.assert_array_equal(series.values, [[10], [11], [NAN], [12]])
    np.testing.assert_array_equal(
        series.exogenous, [[2, 1], [3, 1], [NAN, NAN], [4, 0], [5, 1], [6, 0]])
    other = read_csv(path, value_columns="price")
    assert other.values.shape == (6, 1) and other.exogenous.shape == (6, 0)
    path.write_text(path.read_text().replace("5,,5", "5,,"))
    with pytest.raises(UserError, match="line 5: the value of column price is missing"):
        read_csv(path, exogenous_columns="price,open")
    assert series.digest() != series._replace(exogenous=-series.exogenous).digest()


GOOD = "".join(f"{i},{i % 7}\n" for i in range(60))


@pytest.mark.parametrize(("content", "argv", "says"), [
    ("", [], "is empty"),
    ("time,x\n", [], "is empty below its header"),
    (GOOD + "60,1,2\n", [], "line 61: 3 columns, but line 1 has 2"),
    ("".join(f"{i},\n" for i in range(60)), [], "has no values in column 1"),
    (GOOD + "60,many\n", [], "line 61: the value of column 1 is 'many', not a number"),
    (GOOD + "60,inf\n", [], "line 61: the value of column 1 is 'inf', too large"),
    (GOOD + "60,1e99\n", [], "line 61: the value of column 1 is '1e99'"),
    (GOOD + "59,1\n", [], "line 61: time 59 is a duplicate"),
    (GOOD + "30,1\n", [], "line 61: time 30 is before 59"),
    (GOOD + "60.5,1\n", [], "line 61: time '60.5' is not a whole number"),
    (GOOD + "99999999,1\n", [], "61 times are spread over 100,000,000 steps"),
    (GOOD, ["--value_columns", "OT"], "has no column OT"),
    (GOOD, ["--time_column", "2"], "has no column 2"),
    (GOOD, ["--value_columns", "0"], "time column 0, value columns 0"),
    (GOOD, ["--exogenous_columns", "1"], "value columns none"),
    (GOOD, ["--value_columns", "1", "--exogenous_columns", "1"], "exogenous columns 1"),
    (GOOD, ["--exogenous_columns", "price"], "has no column price"),
    (GOOD, ["--part_steps", "50,8,3"], "takes 61 steps, but the series has 60"),
    ("0,1\n", [], "1 training steps, 1 of them known, contain no window of 2"),
    ("date,x\n2024-01-01,1\n2024-13-01,2\n", [], "line 3: time '2024-13-01' is not a date"),
    ("date,x\n2024-01-01,1\n5,2\n", [], "line 3: time '5' is not a date"),
    (b"0,\xff\n", [], "line 1: the value of column 1 is 'ÿ', not a number"),
    (b"\x00\x01\x02\xff" * 99, [], "is not a text"),
    ("日期,销量\n".encode() + b"\xe9\n1,2\n", [], "is not"),  # one damaged byte
    (b"PK\x03\x04", [], "cannot read"),
    (gzip.compress(GOOD.encode(), mtime=0)[:-9], [], "cannot read"),
    (gzip.compress(GOOD.encode(), mtime=0)[:20] + b"?" * 90, [], "cannot read"),
    ("20170131,1\n20170201,1\n20170229,2\n", [], "line 3: time '20170229' is not a date such as"),
    ("170131,1\n170201,1\n170202,2\n", [], "seem to be dates without the century"),
    ("1/2/20,1\n", [], "time '1/2/20' is neither a whole number nor a date"),
    ("d,x\n1/2/2020,1\n2/3/2020,1\n", [], "day and month cannot be told apart"),
    ("d,x\n2020-01-01,1\n2020-01-03,1\n2021-03-01,1\n", [], "3 times are spread over"),
])
def test_bad_files_are_named_with_the_line_and_leave_nothing(content, argv, says, tmp_path, capfd):
    path = write(tmp_path, content)
    shares = [] if "--part_steps" in argv else ["--test_share", "0", "--validation_share", "0"]
    assert train.main(["--input_file", str(path), *shares, *argv]) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ")
    assert says in error, error
    assert not (rundir.runs_dir() / "chapter15_time_series").exists()


@pytest.mark.parametrize(("argv", "says"), [
    (["--dataset", "three_waves", "--input_file", "a.csv"], "both --dataset three_waves and"),
    (["--value_columns", "1"], "sine_trend is generated by a formula"),
    (["--input_file", "absent.csv"], "cannot read"),
    (["--exogenous_columns", "1"], "sine_trend is generated by a formula"),
    (["--part_steps", "12,4"], "12,4 is not three numbers"),
    (["--part_steps", "12,0,4"], "0 is not a whole number of at least 1"),
    (["--periodicities", "12,0"], "0 is not a whole number of at least 1"),
    (["--periodicities", "12,"], "is not a whole number of at least 1"),
    (["--test_share", "1"], "0 training steps"),
    (["--model", "lstm", "--l2", "3"], "--l2 3.0 has no effect with --model lstm"),
    (["--window_size", "7"], "--window_size 7 has no effect with --model ar"),
    (["--preset", "etth1", "--periodicities", "7"],
     "--periodicities 7 has no effect with --model dlinear --season 24"),
    (["--input_file", "a.csv", "--data_dir", "data"], "has no effect with --input_file"),
    (["--preset", "etth1", "--test_share", "0.5"], "--test_share 0.5 has no effect with --part"),
    (["--preset", "book_csv", "--dataset", "airline", "--input_file", "a.csv"], "both --dataset"),
    (["--refit", "--test_share", "0.5"], "--test_share 0.5 has no effect with --refit"),
    (["--model", "lstm", "--subtract_last"], "--subtract_last has no effect with --model lstm"),
    (["--learning_rate", "nan"], "nan is not a number"),
    (["--l2", "inf"], "inf is not a number"),
    (["--input_window_size", "99999"], "contain no window of"),
    (["--num_units", "9999999999"], "9999999999 is not a whole number from 1 to"),
])
def test_bad_flags(argv, says, capfd):
    assert train.main(argv) == 2
    assert says in capfd.readouterr().err


def run_dir(name):
    return rundir.runs_dir() / "chapter15_time_series" / name


def load_run(name, flags, which="best"):
    return inference.load_run(Namespace(run_dir=run_dir(name), checkpoint=which), flags)


def checkpoint_of(run):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run / "checkpoints")))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
            if "_seconds" not in name and not name.startswith(("_CHECK", "save_counter"))}


def test_an_lstm_run_is_resumed_to_the_last_bit(monkeypatch):
    """With measured residuals, which are weights that no gradient moves."""
    tf.config.experimental.enable_op_determinism()
    end_step = checkpoint.TrainState.end_step

    def stop_after_5(self, *args):
        if int(self.step) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        end_step(self, *args)

    assert train.main([*TINY_LSTM, "--max_steps", "8", "--name", "whole"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.TrainState, "end_step", stop_after_5)
        assert train.main([*TINY_LSTM, "--max_steps", "8", "--name", "parts"]) == 130
    assert train.main(["--name", "parts"]) == 0
    whole, parts = (checkpoint_of(run_dir(name)) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name], err_msg=name)
    lines = [(run_dir(name) / "metrics.jsonl").read_bytes() for name in ("whole", "parts")]
    assert lines[0] == lines[1]


def test_export_forecast_and_gaps_agree(tmp_path, capfd):
    steps = [i for i in range(120) if i % 11]
    rows = "".join(f"2020-{1 + i // 28:02d}-{1 + i % 28:02d},{math.sin(i / 3):.4f},{i}\n"
                   for i in steps if i < 28)
    rows = "day,a,b\n" + rows
    path = write(tmp_path, rows)
    assert train.main(["--input_file", str(path), "--input_window_size", "5",
                       "--output_window_size", "2", "--periodicities", "7", "--max_steps", "5",
                       "--eval_every", "5", "--name", "gaps"]) == 0
    assert forecast.main(["--steps", "9"]) == 0
    assert (run_dir("gaps") / "forecast.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (run_dir("gaps") / "forecast.csv").open(encoding="utf-8-sig") as file:
        head, *lines = csv.reader(file)
    assert head == ["time", "a_mean", "a_sigma", "b_mean", "b_sigma"]
    assert read_csv(run_dir("gaps") / "forecast.csv", "time").names == head[1:]
    assert [line[0] for line in lines[:2]] == ["2020-01-29", "2020-01-30"] and len(lines) == 9
    written = np.array([line[1:] for line in lines], float)
    assert (run_dir("gaps") / "forecast.png").stat().st_size > 5000
    assert export.main([]) == 0
    call = tf.saved_model.load(str(run_dir("gaps") / "export/1")).signatures["serving_default"]
    series = read_csv(path)
    assert np.isnan(series.values).any()
    answer = call(times=series.times(0, len(series.values))[None], values=series.values[None],
                  horizon=tf.constant([9]))
    assert sorted(answer) == ["mean", "sigma"]
    np.testing.assert_allclose(written[:, ::2], answer["mean"][0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(written[:, 1::2], answer["sigma"][0], rtol=1e-4, atol=1e-4)
    assert eval.main([]) == 0
    scores = json.loads((run_dir("gaps") / "eval.json").read_text())["metrics"]
    known = np.isfinite(series.values).all(axis=1)
    parts = ("train", "validation", "test")
    assert sum(scores[part]["steps"] for part in parts) == known[5:].sum()


def test_eval_scores_each_part_from_its_own_past(capfd):
    assert train.main(["--periodicities", "200", "--max_steps", "3", "--name", "ar"]) == 0
    assert eval.main(["--name", "ar"]) == 0
    metrics = json.loads((run_dir("ar") / "eval.json").read_text())["metrics"]
    counts = {"train": 720 - 30, "validation": 80, "test": 200}
    assert {name: metrics[name]["steps"] for name in counts} == counts
    flags = train.build_parser().parse_args(["--periodicities", "200"])
    model, series = load_run("ar", flags)
    mean, _ = inference.forecast_series(model, series, 800, 250)
    assert metrics["test"]["rolled_out_rmse"] == pytest.approx(
        eval.rmse(series.values[800:], mean[:200]))
    truth = data.sine_trend(np.arange(800, 1050))[:, None]
    assert metrics["noiseless"]["rolled_out_rmse"] == pytest.approx(eval.rmse(truth, mean))
    assert metrics["fresh"]["noise_ratio"] == pytest.approx(
        metrics["fresh"]["one_step_rmse"] / 0.11547, rel=1e-4)
    later = series._replace(values=np.concatenate([series.values[:800], 0 * series.values[800:]]))
    np.testing.assert_array_equal(inference.forecast_series(model, later, 800, 20)[0], mean[:20])


def test_squared_loss_measures_its_residuals_on_the_validation_part(capfd):
    argv = ["--loss", "squared", "--periodicities", "200", "--max_steps", "4", "--eval_every", "4"]
    for name, part, *shares in (("held", slice(720, 800)), ("odd", slice(723, 800), "--part_steps",
                                                            "723,77,200"),
                                ("all", slice(30, 800), "--validation_share", "0")):
        assert train.main([*argv, *shares, "--name", name]) == 0
        model, series = load_run(name, train.build_parser().parse_args(argv), "latest")
        predictions = inference.make_follow(model)(series, 800, 10)[part, :1]
        errors = (np.asarray(model.normalise(series.values[part])) - predictions) ** 2
        # Windows begin at steps 30, 40, …: the part "odd" with step 3 of one.
        steps = (np.arange(part.start, part.stop) - 30) % 10
        expected = [(errors[steps == ahead, 0].sum() + errors.mean()) / (
            (steps == ahead).sum() + 1) for ahead in range(10)]
        np.testing.assert_allclose(np.exp(model.log_residuals[:, 0]), expected, rtol=1e-3)


def test_simple_forecasts_and_scores_by_hand():
    values = np.array([1, 2, 3, 5, 8, NAN, 1.0])[:, None]
    filled, origins = scores.fill(values), np.array([2, 4])
    np.testing.assert_array_equal(filled[:, 0], [1, 2, 3, 5, 8, 8, 1])
    np.testing.assert_array_equal(
        scores.seasonal_naive(filled, origins, 3, 2)[..., 0], [[1, 2, 1], [3, 5, 3]])
    np.testing.assert_array_equal(
        scores.season_mean(filled, origins, 3, 2)[..., 0], [[1.5] * 3, [4] * 3])
    unit = scores.season_errors(values[:5], 2)  # |3-1|, |5-2|, |8-3|
    np.testing.assert_allclose(unit, [10 / 3])
    targets, means = scores.cut(values, origins, 0, 3), np.zeros((2, 3, 1))
    np.testing.assert_array_equal(targets[..., 0], [[3, 5, 8], [8, NAN, 1]])
    found = scores.score(targets, means, np.array([[2.0], [4.0], [4.0]]), unit)
    assert found["mae"] == 5 and found["mase"] == pytest.approx(1.5)
    assert found["rmse"] == pytest.approx(math.sqrt((9 + 25 + 64 + 64 + 1) / 5))
    assert found["coverage"] == pytest.approx(3 / 5)  # 3 and 8 of band 3.29, 5, 8 and 1 of 6.58


def test_mase_is_the_mean_over_features_each_in_its_own_unit():
    targets, means = np.zeros((1, 2, 2)), np.array([[[1.0, 10.0], [3.0, 50.0]]])
    assert scores.score(targets, means, np.ones(2), np.array([2.0, 10.0]))["mase"] == 2


def test_baselines_know_their_training_errors():
    """A season of four that rises by 1 in the training part, then by 2: beyond 1.645 times 1."""
    levels = np.array([0.0, 1, 2, 3, 4, 5, 7, 9, 11])
    rising = (np.tile([3.0, 1.0, 4.0, 1.0], 9) + np.repeat(levels, 4))[:, None]
    for origins, error in ((np.array([20]), 1), (np.arange(24, 33), 2)):
        found = scores.score_baseline(scores.seasonal_naive, rising, 24, origins, 4)
        assert found == pytest.approx(
            {"mae": error, "rmse": error, "mase": error, "coverage": float(error == 1)})


def test_rolling_forecasts_know_only_what_came_before(capfd):
    assert train.main(["--dataset", "three_waves", "--periodicities", "50", "--max_steps", "3",
                       "--name", "rolling"]) == 0
    assert eval.main(["--name", "rolling"]) == 0
    metrics = json.loads((run_dir("rolling") / "eval.json").read_text())["metrics"]
    flags = train.build_parser().parse_args(["--dataset", "three_waves", "--periodicities", "50"])
    model, series = load_run("rolling", flags)
    assert metrics["season"]["origins"] == 151 and metrics["window"]["windows"] == 191
    origins = np.arange(800, 951)
    mean, _ = eval.rolling(model, series, origins, 50, 30)
    for i in (0, 150):
        start = origins[i]
        alone = series._replace(values=series.values[:start], exogenous=nothing(start))
        expected, _ = inference.forecast_series(model, alone, int(start), 50)
        np.testing.assert_allclose(mean[i], expected, atol=1e-5)
    error = np.abs(scores.cut(series.values, origins, 0, 50) - mean).mean()
    unit = np.abs(series.values[50:720] - series.values[:670]).mean()
    assert metrics["season"]["mase"] == pytest.approx(error / unit, rel=1e-4)
    one, _ = eval.rolling(model, series, np.arange(800, 991), 10, 30)
    errors = (scores.cut(series.values, np.arange(800, 991), 0, 10) - one) / model.scale.numpy()
    assert metrics["window"]["mse"] == pytest.approx((errors**2).mean(), rel=1e-4)


@pytest.mark.parametrize("kind", ["ar", "lstm", "dlinear"])
def test_predictions_in_blocks_are_those_of_the_whole_series(kind, monkeypatch):
    model = small(kind, 1, 2, loss="squared")
    series = Series(normal((50, 1)), ["x"], 3, normal((55, 2), seed=2))
    for ahead in (1, 3):
        whole = inference.make_follow(model)(series, 47, ahead)
        monkeypatch.setattr(inference, "MAX_INPUTS", 4 * 5)
        blocks = inference.make_follow(model)(series, 47, ahead)
        monkeypatch.undo()
        np.testing.assert_allclose(blocks, whole, atol=1e-6)
        assert whole.shape == (47, 2) and np.isfinite(whole[4:]).all()


def test_windows_relative_to_their_last_input():
    """Untrained, the last input is the forecast; trained, it is added to the differences."""
    times, values = np.arange(7)[None], normal((1, 7, 2))
    values[0, 3, 1] = NAN
    for kind in ("ar", "dlinear"):
        model = build_model(2, 0, kind, 4, 3, loss="squared", subtract_last=True)
        means = model((times, nothing(1, 7), values))[..., :2]
        np.testing.assert_array_equal(means[0], [[values[0, 3, 0], values[0, 2, 1]]] * 3)
        random_weights(model)
        moved = model((times, nothing(1, 7), values + 5))[..., :2]
        np.testing.assert_allclose(moved, model((times, nothing(1, 7), values))[..., :2] + 5,
                                   atol=1e-5)


@pytest.mark.parametrize(("grid", "steps", "expected"), [
    (("M",), 144, {"periodicities": "12", "input_window_size": 30, "output_window_size": 4}),
    (("M", 12), 40, {"periodicities": "", "input_window_size": 2, "output_window_size": 1}),
    (("D", 7), 300, {"periodicities": "52", "input_window_size": 52, "output_window_size": 10}),
    (("D",), 50, {"periodicities": "7", "input_window_size": 12, "output_window_size": 1}),
    (("",), 3, {"periodicities": "", "input_window_size": 1, "output_window_size": 1}),
])
def test_settings_fit_the_steps_and_the_length_of_a_file(grid, steps, expected):
    found = settings_for(Series(np.zeros((steps, 1)), ["x"], 0, nothing(steps), Grid(*grid)))
    assert {flag: found[flag] for flag in expected} == expected


def test_naive_forecasts_by_hand():
    values = np.array([1, 2, 4, NAN, 8, 5.0])[:, None]
    found = scores.score_naive(values, 2, 6, 1)  # of 4, 8, 5 as 2, 4, 8; and all as 2
    assert found["one_step_rmse"] == pytest.approx(math.sqrt((4 + 16 + 9) / 3))
    assert found["rolled_out_rmse"] == pytest.approx(math.sqrt((4 + 36 + 9) / 3))
    seasonal = scores.score_naive(values, 2, 6, 2)  # of 4, 8, 5 as 1, 4, 4; and as 1, 1, 2
    assert seasonal["one_step_rmse"] == pytest.approx(math.sqrt((9 + 16 + 1) / 3))
    assert seasonal["rolled_out_rmse"] == pytest.approx(math.sqrt((9 + 49 + 9) / 3))
    assert "rolled_out_rmse" not in scores.score_naive(values, 0, 6, 2)


def test_origins_are_thinned_evenly(monkeypatch):
    origins = np.arange(100, 200)
    assert scores.thin(origins, 7) is origins
    monkeypatch.setattr(scores, "MAX_TARGETS", 40)
    assert scores.thin(origins, 10).tolist() == [100, 133, 166, 199]

@pytest.mark.parametrize(("gap", "part"), [((100, 160), "validation"), ((160, 200), "test")])
def test_a_part_without_known_steps_is_refused(tmp_path, gap, part, capfd):
    rows = [f"{i},{i % 7}" for i in range(260) if not gap[0] <= i < gap[1]]
    path = write(tmp_path, "\n".join(["time,value", *rows]))
    argv = ["--input_file", str(path), "--part_steps", "100,60,40", "--periodicities", "7"]
    assert train.main(argv) == 2
    said = f"error: all values of the {part} part, steps {gap[0]} to {gap[1]}, are missing"
    assert said in capfd.readouterr().err
    assert not (rundir.runs_dir() / "chapter15_time_series").exists()


def test_a_file_takes_the_place_of_the_presets_series_and_needs_no_periods(tmp_path, capfd):
    path = write(tmp_path, "\n".join(f"{i},{i % 7}" for i in range(200)))
    argv = ["--input_file", str(path), "--max_steps", "1"]
    assert train.main(["--preset", "book_csv", *argv, "--name", "book"]) == 0
    assert "with periods of 100 steps" in capfd.readouterr().out
    assert train.main([*argv, "--periodicities", "none", "--name", "none"]) == 0
    assert "periods" not in capfd.readouterr().out
    for name, periods in (("book", "100"), ("none", "")):
        flags = rundir.read_config(run_dir(name), "chapter15_time_series")["flags"]
        assert flags["dataset"] is None and flags["periodicities"] == periods
    assert eval.main(["--name", "none"]) == 0


def test_exogenous_columns_from_file_to_forecast_and_export(tmp_path, capfd):
    """The value is the price two rows up: only who looks at the price can know it."""
    rng = np.random.default_rng(0)
    price = rng.normal(size=130)
    rows = [f"{i},{price[i] * 3 + 7 if i < 120 else ''},{price[i]}" for i in range(130)]
    path = write(tmp_path, "\n".join(["time,sold,price", *rows]))
    argv = ["--input_file", str(path), "--exogenous_columns", "price", "--loss", "squared",
            "--learning_rate", ".05", "--max_steps", "150", "--eval_every", "150"]
    windows = ["--input_window_size", "4", "--output_window_size", "2"]
    for kind in ("ar", "lstm", "dlinear"):
        window = ["--window_size", "12", "--num_units", "8"] if kind == "lstm" else windows
        assert train.main([*argv, *window, "--model", kind, "--name", kind]) == 0
        assert forecast.main(["--name", kind, "--steps", "10"]) == 0
        with (run_dir(kind) / "forecast.csv").open(encoding="utf-8-sig") as file:
            found = np.array([row["sold_mean"] for row in csv.DictReader(file)], float)
        assert np.corrcoef(found, price[120:])[0, 1] > 0.95, kind
        assert forecast.main(["--name", kind, "--steps", "7"]) == 0  # ends within a window
        with (run_dir(kind) / "forecast.csv").open(encoding="utf-8-sig") as file:
            fewer = np.array([row["sold_mean"] for row in csv.DictReader(file)], float)
        np.testing.assert_allclose(fewer, found[:7], rtol=1e-5)
    assert forecast.main(["--name", "ar", "--steps", "10"]) == 0
    assert forecast.main(["--name", "ar", "--steps", "11"]) == 2
    said = capfd.readouterr().err
    assert "--steps 11 needs price for 11 steps after 119, but the file has 10" in said
    assert eval.main(["--name", "ar"]) == 0
    assert export.main(["--name", "ar"]) == 0
    call = tf.saved_model.load(str(run_dir("ar") / "export/1")).signatures["serving_default"]
    series = read_csv(path, exogenous_columns="price")
    answer = call(times=series.times(0, 120)[None], values=series.values[None],
                  exogenous=series.exogenous[None], horizon=tf.constant([10]))
    with (run_dir("ar") / "forecast.csv").open(encoding="utf-8-sig") as file:
        found = np.array([row["sold_mean"] for row in csv.DictReader(file)], float)
    np.testing.assert_allclose(answer["mean"][0, :, 0], found, rtol=1e-4)


def test_a_run_of_ones_own_file_from_settings_to_refit(tmp_path, capfd):
    """Month ends with gaps in each column, a Chinese name and one that is no formula."""
    ends = (np.datetime64("2015-02") + np.arange(72)).astype("datetime64[D]") - 1
    rows = [f"{day},{'' if i % 9 == 4 else 1.7e9 + i + i % 12},{'' if i % 7 == 3 else i % 12}"
            for i, day in enumerate(ends)]
    path = write(tmp_path, "\n".join(["日期,销量,a$^$", *rows[:70]]), "my 数据.csv")
    argv = ["--input_file", str(path), "--max_steps", "2", "--name"]
    assert train.main([*argv, "own"]) == 0
    assert "70 steps of 1 month (last day); settings for them" in capfd.readouterr().out
    flags = rundir.read_config(run_dir("own"))["flags"]
    assert flags["periodicities"] == "12" and flags["subtract_last"] and flags["max_steps"] == 2
    assert eval.main([]) == 0
    said = capfd.readouterr().out
    assert "without a model, last value: one_step_rmse" in said and "seasonal naive" in said
    metrics = json.loads((run_dir("own") / "eval.json").read_text())["metrics"]
    assert metrics["last_value"]["rolled_out_rmse"] < 30 and metrics["test"]["steps"] == 14
    assert export.main([]) == 0
    # A row is appended: the run's file is read again, or another file.
    path.write_text("\n".join(["日期,销量,a$^$", *rows[:71]]))
    assert forecast.main(["--steps", "3"]) == 0
    assert "has changed since the training" in capfd.readouterr().err
    with (run_dir("own") / "forecast.csv").open(encoding="utf-8-sig") as file:
        first, *_, last = csv.DictReader(file)
    assert [first["time"], last["time"]] == ["2020-12-31", "2021-02-28"]
    assert abs(float(first["销量_mean"]) - 1.7e9 - 76) < 30
    later = write(tmp_path, "\n".join(["日期,销量,a$^$", *rows[:72]]), "later.csv")
    assert forecast.main(["--input_file", str(later)]) == 0
    with (run_dir("own") / "forecast.csv").open(encoding="utf-8-sig") as file:
        first, *others = csv.DictReader(file)
    assert first["time"] == "2021-01-31" and len(others) == 72 // 5 - 1
    short = write(tmp_path, "\n".join(["日期,销量,a$^$", *rows[:9]]), "short.csv")
    assert forecast.main(["--input_file", str(short)]) == 2
    assert "the history has 9 steps, but a window has 17 inputs" in capfd.readouterr().err
    assert eval.main([]) == 2
    assert "has changed" in capfd.readouterr().err
    assert train.main([*argv, "all", "--refit"]) == 0
    assert "on 71 of 71 steps" in capfd.readouterr().out
    assert forecast.main(["--steps", "100001"]) == 2
    assert forecast.main(["--steps", "99999"]) == 2
    assert "end in 10354" in capfd.readouterr().err

def test_the_books_files(real_data):
    folder = "book/chapter_15/data"
    one = read_csv(real_data(f"{folder}/period_trend.csv"))
    assert one.values.shape == (500, 1) and one.labels(0, 500)[[0, -1]].tolist() == [1, 500]
    assert one.values.mean() == pytest.approx(25.05, abs=0.005)
    assert one.values.var() == pytest.approx(205.7, abs=0.05)
    five = read_csv(real_data(f"{folder}/multivariate_periods.csv"))
    assert five.values.shape == (100, 5) and not np.isnan(five.values).any()
    for name in ("period_trend", "multivariate_periods"):
        (file,) = data.SOURCES[name].files
        assert files.sha256(real_data(f"{folder}/{name}.csv").read_bytes()) == file.sha256
    for name in ("airline", "temperatures", "etth1"):
        (file,) = data.SOURCES[name].files
        assert files.sha256(real_data(f"time_series/{file.name}").read_bytes()) == file.sha256


def test_other_published_series(real_data):
    airline = read_csv(real_data("time_series/airline-passengers.csv"))
    assert airline.values.shape == (144, 1) and str(airline.labels(0, 144)[-1]) == "1960-12"
    cold = read_csv(real_data("time_series/daily-min-temperatures.csv"))
    missing = np.flatnonzero(np.isnan(cold.values[:, 0]))
    assert len(cold.values) == 3650 + len(missing)
    assert [str(cold.labels(i, i + 1)[0]) for i in missing] == ["1984-12-31", "1988-12-31"]
    hourly = read_csv(real_data("time_series/ETTh1.csv"), "date", "OT,HUFL")
    assert hourly.values.shape == (17_420, 2) and hourly.names == ["OT", "HUFL"]
    assert hourly.grid == Grid("s", 3600) and str(hourly.labels(1, 2)[0]) == "2016-07-01T01:00:00"


def test_a_published_series_without_a_preset_has_settings_that_fit_it(real_data, capfd):
    folder = real_data("time_series/airline-passengers.csv").parent
    argv = ["--data_dir", str(folder), "--max_steps", "1"]
    assert train.main(["--dataset", "airline", *argv, "--l2", "0.5", "--name", "fits"]) == 0
    said = capfd.readouterr().out
    assert "144 steps of 1 month" in said and "the book's run" not in said
    flags = rundir.read_config(run_dir("fits"))["flags"]
    assert (flags["periodicities"], flags["batch_size"], flags["l2"]) == ("12", 32, 0.5)
    assert train.main(["--preset", "airline", *argv, "--name", "preset"]) == 0
    assert "settings for them" not in capfd.readouterr().out
    flags = rundir.read_config(run_dir("preset"))["flags"]
    assert flags.items() >= (train.PRESETS["airline"] | {"batch_size": 32, "max_steps": 1}).items()


@pytest.mark.slow
def test_the_demo_errs_a_tenth_more_than_the_noise_at_most(capfd):
    assert train.main(["--name", "demo"]) == 0
    assert eval.main(["--name", "demo"]) == 0
    metrics = json.loads((run_dir("demo") / "eval.json").read_text())["metrics"]
    assert 1 < metrics["fresh"]["noise_ratio"] <= 1.10
    assert metrics["noiseless"]["rolled_out_rmse"] <= 0.15


def test_reading_shows_batches_as_the_books_scripts_do(capfd):
    assert data.main(["--batch_size", "2", "--window_size", "10"]) == 0
    said = capfd.readouterr().out
    assert "1,000 steps from 0 to 999, 0 of them missing" in said
    assert "times (2, 10)" in said and "values (2, 10, 1)" in said
    assert (rundir.runs_dir() / "chapter15_time_series" / "sine_trend.png").is_file()
