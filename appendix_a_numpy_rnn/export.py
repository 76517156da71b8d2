"""Exports a model of names as a SavedModel, made of the Keras layer with the same weights.

    python export.py

serving_default  tokens: int32 (batch, time), -1 before the first letter -> probabilities: float64
                 (batch, time, symbols) of the next symbol at every position
"""

import argparse
from collections.abc import Sequence

import tensorflow as tf

from appendix_a_numpy_rnn.inference import load_run
from appendix_a_numpy_rnn.model import cell_weights, keras_layer
from common import cli, export


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    run = load_run(args, flags)
    holder = tf.Module()
    holder.layer = keras_layer(flags.cell, cell_weights(run.weights))
    holder.kernel = tf.Variable(run.weights["Wya"].T)
    holder.bias = tf.Variable(run.weights["by"][:, 0])
    size = len(run.vocabulary)

    def predict(tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = holder.layer(tf.one_hot(tokens, size, dtype=tf.float64), training=False)
        return {"probabilities": tf.nn.softmax(outputs @ holder.kernel + holder.bias)}

    export.write(
        args.run_dir, holder,
        {"serving_default": (predict, {"tokens": tf.TensorSpec((None, None), tf.int32)})},
        {"serving_default": {"tokens": tf.constant([[-1, 1, 2, 3]])}},
        {"vocabulary": run.vocabulary},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
