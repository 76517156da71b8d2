"""Evaluates a trained model on the training, validation and test part of its series.

    python eval.py                  # the latest run
    python eval.py --name lstm --publish

one_step_rmse        each value is predicted one step ahead, from true values
teacher_forced_rmse  whole output windows are predicted from true values (the book's evaluation)
rolled_out_rmse      the test part is predicted from the steps before it, feeding predictions back

The first and the last are also computed for two forecasts without a model: `last_value` repeats
the last value, `seasonal_naive` the last season.

Forecasts from every origin in the test part (rolling-origin evaluation), of very long series from
evenly spaced ones:

season  `--season` steps ahead, scored as in scores.py, beside two baselines
window  one output window ahead; errors in normalised units

For the two formulas also: the error on 20 new draws of the noise, and the error of a roll-out of
250 steps against the formula without noise. Writes eval.json and predict_result.png into the run
folder.
"""

import argparse
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter15_time_series import data
from chapter15_time_series.base_model import NUM_PATHS, Forecaster
from chapter15_time_series.inference import (
    NUM_STEPS,
    forecast_series,
    load_run,
    make_follow,
    plot_horizon,
)
from chapter15_time_series.plots import draw_forecast
from chapter15_time_series.scores import (
    BASELINES,
    cut,
    mae,
    rmse,
    score,
    score_baseline,
    score_naive,
    season_errors,
    thin,
)
from common import cli, results

NUM_DRAWS, FIRST_DRAW = 20, 1_000_000  # seeds of the new noise, far from those of runs
ORIGINS = 16  # forecasts per batch, fewer if
MAX_VALUES = 2**22  # values of all their sampled paths are not enough


def rolling(
    model: Forecaster, series: data.Series, origins: np.ndarray, horizon: int, history: int
) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts `horizon` steps from every origin, given the `history` steps before it.

    Returns:
        Mean and standard deviation, float32 of shape (origins, horizon, features).
    """
    predict, found = tf.function(model.forecast, reduce_retracing=True), []
    ahead = -(-horizon // model.num_outputs) * model.num_outputs  # to the last window's end
    last = len(series.exogenous) - 1
    paths = NUM_PATHS + 1 if horizon > model.num_outputs else 1
    values_each = paths * max(horizon, history) * model.num_features
    batch_size = min(max(1, MAX_VALUES // values_each), ORIGINS)
    for some in np.array_split(origins, math.ceil(len(origins) / batch_size)):
        times = series.first + some[:, None] + np.arange(-history, 0)
        exogenous = series.exogenous[np.minimum(some[:, None] + np.arange(-history, ahead), last)]
        values = cut(series.values, some, -history, 0)
        found.append([x.numpy() for x in predict(times, exogenous, values, tf.constant(horizon))])
    mean, sigma = zip(*found, strict=True)
    return np.concatenate(mean), np.concatenate(sigma)


def steps_per_season(flags: argparse.Namespace) -> int:
    """Returns the season of a run, 0 if it has none."""
    return flags.season or int((flags.periodicities or "0").split(",")[0])


def score_origins(
    model: Forecaster, series: data.Series, parts: data.Parts, flags: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Scores forecasts from every origin in the test part, or from evenly spaced ones.

    Scores that need longer parts are omitted: `season` needs two seasons of training data, which
    must differ, since MASE divides by their difference.

    Returns:
        "season", one entry per baseline, and "window"; see the docstring of this file.
    """
    history = min(model.num_inputs or flags.window_size, parts.test)
    season, features = steps_per_season(flags), model.num_features
    metrics = {}
    origins = thin(np.arange(parts.test, parts.end - season + 1), max(1, season) * features)
    long_enough = season and len(origins) and parts.validation >= 2 * season
    if long_enough and (unit := season_errors(series.values[: parts.validation], season)).min() > 0:
        targets = cut(series.values, origins, 0, season)
        forecasts = rolling(model, series, origins, season, history)
        metrics = {name: score_baseline(baseline, series.values, parts.validation, origins, season)
                   for name, baseline in BASELINES.items()}
        metrics["season"] = score(targets, *forecasts, unit, model.log) | {"origins": len(origins)}
    origins = np.arange(parts.test, parts.end - model.num_outputs + 1)
    origins = thin(origins, model.num_outputs * features)
    if len(origins):
        means, _ = rolling(model, series, origins, model.num_outputs, history)
        targets = np.asarray(model.normalise(cut(series.values, origins, 0, model.num_outputs)))
        means = np.asarray(model.normalise(means))
        metrics["window"] = {"mse": rmse(targets, means) ** 2, "mae": mae(targets, means),
                             "windows": len(origins)}
    return metrics


def score_parts(
    model: Forecaster, series: data.Series, parts: data.Parts, rolled_out: np.ndarray
) -> dict[str, dict[str, float]]:
    """Scores every part of the series, each known value once.

    Args:
        model: the model.
        series: the series.
        parts: its split.
        rolled_out: means of the forecast from the test part on.
    """
    follow, metrics = make_follow(model), {}
    means = {name: model.restore(follow(series, parts.end, ahead))[0].numpy()
             for name, ahead in (("one_step", 1), ("teacher_forced", model.num_outputs))}
    for part, (start, stop) in parts.spans().items():
        targets = series.values[start:stop]
        scores = {f"{name}_rmse": rmse(targets, x[start:stop]) for name, x in means.items()}
        if part == "test":
            scores["rolled_out_rmse"] = rmse(targets, rolled_out[: stop - start])
        predicted = np.isfinite(targets + means["one_step"][start:stop]).any(axis=1)
        metrics[part] = {**scores, "steps": int(predicted.sum())}
    return metrics


def score_noise(
    model: Forecaster, dataset: str, parts: data.Parts, rolled_out: np.ndarray
) -> dict[str, dict[str, float]]:
    """Scores the model of a formula on new noise, and its roll-out against the noiseless formula.

    Returns:
        "fresh" and, for the steps of the test part, "fresh_test": the error one step ahead and its
        ratio to the standard deviation of the noise; "noiseless": the error of the roll-out.
    """
    follow, errors = make_follow(model), []
    for draw_seed in range(FIRST_DRAW, FIRST_DRAW + NUM_DRAWS):
        series = data.generate(dataset, draw_seed)
        means, _ = model.restore(follow(series, parts.end))
        errors.append(series.values - means.numpy())
    spans = {"fresh": slice(0, parts.test), "fresh_test": slice(parts.test, parts.end)}
    rmses = {name: rmse(np.stack(errors)[:, span], 0) for name, span in spans.items()
             if span.start < span.stop}
    metrics = {name: {"one_step_rmse": value, "noise_ratio": value / data.NOISE_FLOOR}
               for name, value in rmses.items()}
    truth = data.FORMULAS[dataset](np.arange(parts.test, parts.test + NUM_STEPS))[:, None]
    return metrics | {"noiseless": {"rolled_out_rmse": rmse(truth, rolled_out[:NUM_STEPS])}}


def score_without_model(
    series: data.Series, parts: data.Parts, season: int
) -> dict[str, dict[str, float]]:
    """Scores the last value and the last season as forecasts of the last part of the series."""
    start, stop = list(parts.spans().values())[-1]
    lags = {"last_value": 1} | ({"seasonal_naive": season} if 1 < season < stop else {})
    return {name: score_naive(series.values, start, stop, lag) for name, lag in lags.items()}


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run; writes eval.json and predict_result.png; returns the main scores."""
    model, series = load_run(args, flags)
    parts = data.split(series, flags)
    rolled_out = forecast_series(model, series, parts.test, plot_horizon(parts, flags))
    name, metrics = data.source(flags), {}
    if data.is_formula(flags):
        metrics = score_noise(model, name, parts, rolled_out[0])
    naive = score_without_model(series, parts, steps_per_season(flags))
    metrics |= score_origins(model, series, parts, flags)
    metrics |= {key: metrics.get(key, {}) | scores for key, scores in naive.items()}
    metrics |= score_parts(model, series, parts, rolled_out[0])
    # Scores of which no value is known are left out.
    metrics = {key: {score: value for score, value in scores.items() if math.isfinite(value)}
               for key, scores in metrics.items()}
    one_step, _ = model.restore(make_follow(model)(series, parts.end))
    png = args.run_dir / "predict_result.png"
    draw_forecast(png, series, parts.test, rolled_out, parts.test, one_step.numpy(), model.log)
    results.write(args, name, f"{flags.model}-{flags.preset}", metrics)
    return report(f"{flags.model} on {name}", metrics, list(naive), png)


def report(
    title: str, metrics: dict[str, dict[str, float]], naive: Sequence[str], png: Path
) -> dict[str, float]:
    """Prints the scores of the last part beside those of the baselines; returns the main ones."""
    def words(scores: dict[str, float]) -> str:
        return ", ".join(f"{key} {value:.4g}" for key, value in scores.items())

    part, scores = list(metrics.items())[-1]
    print(f"{title}, {part} part: {words(scores)}; see {png}")
    for name in naive:
        shown = {key: metrics[name][key] for key in scores if key in metrics[name]}
        print(f"without a model, {name.replace('_', ' ')}: {words(shown)}")
    if "season" in metrics:
        baselines = ", ".join(f"{baseline.replace('_', ' ')} {metrics[baseline]['mase']:.3g}"
                              for baseline in BASELINES)
        season = metrics["season"]
        print(f"one season from each of {season['origins']:,} origins: MASE {season['mase']:.3g} "
              f"({baselines}); coverage of the 90 % interval {season['coverage']:.1%}")
        scores = scores | {key: season[key] for key in ("mase", "coverage")}
    return scores


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=("data_dir", "input_file"))
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    with warnings.catch_warnings():  # the mean of no known value is NaN
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
