"""Scores a trained forecaster, part by part of its series.

    python eval.py                  # the newest run
    python eval.py --name lstm --publish

one_step_rmse        each value predicted from the true values before it
teacher_forced_rmse  the same, as far ahead as the model predicts at once (the book's evaluation)
rolled_out_rmse      all predicted from before the test part, predictions fed back

All in the units of the series. For the two formulas also: 20 draws of fresh noise, and the rolled
out 250 steps against the formula without noise. Writes eval.json and predict_result.png into the
run folder.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from chapter15_time_series import data
from chapter15_time_series.forecast import NUM_STEPS, draw, load_run, roll_out
from chapter15_time_series.model import Forecaster
from common import cli, results

CHAPTER = "chapter15_time_series"
NUM_DRAWS, FIRST_DRAW = 20, 1_000_000  # seeds of the fresh noise, far from those of runs


def make_follow(model: Forecaster) -> Callable[[data.Series, int, int], np.ndarray]:
    """Returns a function that predicts a series from true values; its graph is traced once."""
    predict = tf.function(model.follow)

    def follow(series: data.Series, stop: int, ahead: int = 1) -> np.ndarray:
        """Predicts the steps up to `stop`; see `ARModel.follow`, also for what is returned."""
        values = tf.convert_to_tensor(model.normalise(series.values[:stop]))
        return predict(tf.constant(series.times(0, stop)), values, ahead).numpy()

    return follow


def rmse(targets: np.ndarray, means: np.ndarray) -> float:
    """Returns the root of the mean squared error where both are known."""
    return float(np.sqrt(np.nanmean(np.square(targets - means, dtype=np.float64))))


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
    model, series = load_run(args.run_dir, flags, args.checkpoint)
    parts = data.split(series, flags.validation_share, flags.test_share)
    steps = max(NUM_STEPS, parts.end - parts.test)
    rolled_out = roll_out(model, series, parts.test, steps)
    metrics = {}
    if (name := data.source(flags)) in data.FORMULAS and not flags.input_file:
        metrics = score_noise(model, name, parts, rolled_out[0])
    metrics |= score_parts(model, series, parts, rolled_out[0])
    followed, _ = model.restore(make_follow(model)(series, parts.end))
    png = args.run_dir / "predict_result.png"
    draw(png, series, parts.test, rolled_out, parts.test, followed.numpy())
    results.write(args, CHAPTER, name, f"{flags.model}-{flags.preset}", metrics)
    part, scores = list(metrics.items())[-1]
    shown = ", ".join(f"{key} {value:.4g}" for key, value in scores.items())
    print(f"{flags.model} on {name}, {part} part: {shown}; see {png}")
    return scores


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__doc__, "eval.py")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
