"""Scores a trained forecaster, part by part of its series.

    python eval.py                  # the newest run
    python eval.py --name lstm --publish

one_step_rmse        each value predicted from the true values before it
teacher_forced_rmse  the same, as far ahead as the model predicts at once (the book's evaluation)
rolled_out_rmse      all predicted from before the test part, predictions fed back

Then forecasts from every step of the test part that leaves room for them:

season  of `--season` steps, scored as in scores.py, beside two simple ones of the same steps
window  of as many as the model predicts at once; errors in normalised units

For the two formulas also: 20 draws of fresh noise, and the rolled out 250 steps against the formula
without noise. Writes eval.json and predict_result.png into the run folder.
"""

import argparse
import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter15_time_series import data
from chapter15_time_series.base_model import Forecaster
from chapter15_time_series.inference import (
    NUM_STEPS,
    draw_forecast,
    forecast_series,
    load_run,
    make_follow,
    picture_steps,
)
from chapter15_time_series.scores import (
    BASELINES,
    cut,
    mae,
    rmse,
    score,
    score_baseline,
    season_errors,
)
from common import cli, results

NUM_DRAWS, FIRST_DRAW = 20, 1_000_000  # seeds of the fresh noise, far from those of runs
ORIGINS = 16  # forecasts at a time: each may have hundreds of sampled paths


def rolling(
    model: Forecaster, series: data.Series, origins: np.ndarray, horizon: int, history: int
) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts `horizon` steps from every origin, knowing `history` steps before it.

    Returns:
        Mean and standard deviation, float32 of shape (origins, horizon, features).
    """
    predict, found = tf.function(model.forecast, reduce_retracing=True), []
    ahead = -(-horizon // model.num_outputs) * model.num_outputs  # to the last window's end
    last = len(series.exogenous) - 1
    for some in np.array_split(origins, math.ceil(len(origins) / ORIGINS)):
        times = series.first + some[:, None] + np.arange(-history, 0)
        exogenous = series.exogenous[np.minimum(some[:, None] + np.arange(-history, ahead), last)]
        values = cut(series.values, some, -history, 0)
        found.append([x.numpy() for x in predict(times, exogenous, values, tf.constant(horizon))])
    mean, sigma = zip(*found, strict=True)
    return np.concatenate(mean), np.concatenate(sigma)


def score_origins(
    model: Forecaster, series: data.Series, parts: data.Parts, flags: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Scores forecasts from every step of the test part; see the head of this file.

    Left out is what the parts are too short for: `season` needs two seasons of training, and ones
    that differ, since MASE divides by that.
    """
    history = min(model.num_inputs or flags.window_size, parts.test)
    season = flags.season or int((flags.periodicities or "0").split(",")[0])
    metrics = {}
    origins = np.arange(parts.test, parts.end - season + 1)
    long_enough = season and len(origins) and parts.validation >= 2 * season
    if long_enough and (unit := season_errors(series.values[: parts.validation], season)).all():
        targets = cut(series.values, origins, 0, season)
        forecasts = rolling(model, series, origins, season, history)
        metrics = {name: score_baseline(baseline, series.values, parts.validation, origins, season)
                   for name, baseline in BASELINES.items()}
        metrics["season"] = score(targets, *forecasts, unit) | {"origins": len(origins)}
    origins = np.arange(parts.test, parts.end - model.num_outputs + 1)
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
    """Scores every part, each of its known values once.

    Args:
        model: the model.
        series: the series.
        parts: of it.
        rolled_out: means from the test part on.
    """
    follow, metrics = make_follow(model), {}
    means = {name: model.restore(follow(series, parts.end, ahead))[0].numpy()
             for name, ahead in (("one_step", 1), ("teacher_forced", model.num_outputs))}
    for part, (start, stop) in parts.spans().items():
        targets = series.values[start:stop]
        scores = {f"{name}_rmse": rmse(targets, x[start:stop]) for name, x in means.items()}
        if part == "test":
            scores["rolled_out_rmse"] = rmse(targets, rolled_out[: stop - start])
        predicted = np.isfinite(targets + means["one_step"][start:stop]).all(axis=1)
        metrics[part] = {**scores, "steps": int(predicted.sum())}
    return metrics


def score_noise(
    model: Forecaster, dataset: str, parts: data.Parts, rolled_out: np.ndarray
) -> dict[str, dict[str, float]]:
    """Scores a formula's model on fresh noise, and its roll-out on none at all.

    Returns:
        "fresh" and, behind the start of the test part, "fresh_test": the error one step ahead and
        its ratio to the noise's own; "noiseless": the error of the roll-out.
    """
    follow, errors = make_follow(model), []
    for draw_seed in range(FIRST_DRAW, FIRST_DRAW + NUM_DRAWS):
        series = data.generate(dataset, draw_seed)
        means, _ = model.restore(follow(series, parts.end))
        errors.append(series.values - means.numpy())
    spans = {"fresh": slice(0, parts.test), "fresh_test": slice(parts.test, parts.end)}
    scores = {name: rmse(np.stack(errors)[:, span], 0) for name, span in spans.items()
              if span.start < span.stop}
    metrics = {name: {"one_step_rmse": score, "noise_ratio": score / data.NOISE_FLOOR}
               for name, score in scores.items()}
    truth = data.FORMULAS[dataset](np.arange(parts.test, parts.test + NUM_STEPS))[:, None]
    return metrics | {"noiseless": {"rolled_out_rmse": rmse(truth, rolled_out[:NUM_STEPS])}}


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Scores all parts, writes eval.json and the picture."""
    model, series = load_run(args, flags)
    parts = data.split(series, flags)
    rolled_out = forecast_series(model, series, parts.test, picture_steps(parts, flags))
    name, metrics = data.source(flags), {}
    if data.is_formula(flags):
        metrics = score_noise(model, name, parts, rolled_out[0])
    metrics |= score_origins(model, series, parts, flags)
    metrics |= score_parts(model, series, parts, rolled_out[0])
    followed, _ = model.restore(make_follow(model)(series, parts.end))
    png = args.run_dir / "predict_result.png"
    draw_forecast(png, series, parts.test, rolled_out, parts.test, followed.numpy())
    results.write(args, name, f"{flags.model}-{flags.preset}", metrics)
    part, scores = list(metrics.items())[-1]
    shown = ", ".join(f"{key} {value:.4g}" for key, value in scores.items())
    print(f"{flags.model} on {name}, {part} part: {shown}; see {png}")
    if "season" in metrics:
        told = ", ".join(f"{other.replace('_', ' ')} {metrics[other]['mase']:.3g}"
                         for other in BASELINES)
        season = metrics["season"]
        print(f"one season from each of {season['origins']:,} steps: MASE {season['mase']:.3g}; "
              f"{told}; the 90 % band holds {season['coverage']:.1%}")
        scores = scores | {key: season[key] for key in ("mase", "coverage")}
    return scores


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
