"""Exports a trained model as a SavedModel that maps a history to a forecast.

    python export.py

One signature; the normalisation is part of the SavedModel:

serving_default  times: int64 (count, history), consecutive step numbers; values: float32 (count,
                 history, features), in the units of the series, NaN where missing; horizon: int32
                 (count,), the same in all rows; with exogenous columns also exogenous: float32
                 (count, history + horizon, columns)
                 -> mean, sigma: float32 (count, horizon, features)

Values, exogenous values and means are float64 if a float32 is too coarse for their large numbers.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter15_time_series.inference import load_run
from common import cli, export

HISTORY, HORIZON = 200, 25  # steps of the example that the export is checked with


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run, and checks it in another process."""
    model, series = load_run(args, flags, same=False)
    features = model.num_features
    shift = np.array(series.shift or [0.0] * (features + model.num_exogenous))
    kind = tf.float64 if series.shift else tf.float32

    def serve(
        times: tf.Tensor, values: tf.Tensor, horizon: tf.Tensor, exogenous: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        horizon = export.same_in_all("horizon", horizon, 1)
        least = max(1, model.num_inputs)
        tf.debugging.assert_greater_equal(tf.shape(values)[1], least,
                                          f"values must have at least {least} steps")
        if exogenous is None:
            exogenous = tf.zeros((tf.shape(values)[0], tf.shape(values)[1] + horizon, 0), kind)
        if series.shift:
            values = tf.cast(values - shift[:features], tf.float32)
            exogenous = tf.cast(exogenous - shift[features:], tf.float32)
        if model.log:
            tf.debugging.Assert(tf.reduce_all((values > 0) | tf.math.is_nan(values)),
                                ["values must be above 0: the model has seen their logarithms"])
        mean, sigma = model.forecast(times, exogenous, values, horizon)
        if series.shift:
            mean = tf.cast(mean, kind) + shift[:features]
        return {"mean": mean, "sigma": sigma}

    specs = {
        "times": tf.TensorSpec((None, None), tf.int64),
        "values": tf.TensorSpec((None, None, features), kind),
        "horizon": tf.TensorSpec((None,), tf.int32),
    }
    end, history = len(series.values), max(HISTORY, model.num_inputs)
    values = (series.values + shift[:features]).astype(kind.as_numpy_dtype)
    example = {"times": series.times(0, end)[None, -history:],
               "values": values[None, -history:], "horizon": [HORIZON]}
    if model.num_exogenous:
        specs["exogenous"] = tf.TensorSpec((None, None, model.num_exogenous), kind)
        exogenous = (series.exogenous + shift[features:]).astype(kind.as_numpy_dtype)
        known = exogenous[:end][-history:]
        example["exogenous"] = np.concatenate([known, np.repeat(known[-1:], HORIZON, axis=0)])[None]
    first = series.labels(0, 1)[0]
    export.write(
        args.run_dir, model, {"serving_default": (serve, specs)}, {"serving_default": example},
        {"features": series.names, "history": f"at least {max(1, model.num_inputs)} steps",
         "times": f"{series.first} is {first}, the first step of the data, each step of "
                  f"{series.grid} adds 1"},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__, data=("data_dir", "input_file"))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
