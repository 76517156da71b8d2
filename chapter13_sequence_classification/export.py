"""Exports a trained classifier as a SavedModel that takes numbers as they are.

    python export.py

One signature:

serving_default  sequences: float32 (count, time, num_features), each filled up to the longest one
                 with anything; lengths: int64 (count,), from 1 to time -> labels, probabilities
"""

import argparse
from collections.abc import Sequence

import tensorflow as tf

from chapter13_sequence_classification import data
from chapter13_sequence_classification.eval import load_run
from common import cli, export

CHAPTER = "chapter13_sequence_classification"


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and tries it in a process of its own."""
    model, names = load_run(args, flags)

    def classify(sequences: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        time = tf.shape(sequences, tf.int64)[1]
        fits = tf.reduce_all((lengths >= 1) & (lengths <= time))
        tf.debugging.Assert(fits, ["lengths go from 1 to", time, "here they are", lengths])
        logits = model((sequences / data.MAX_VALUE, lengths), training=False)
        labels = tf.gather(tf.constant(names), tf.argmax(logits, axis=1))
        return {"labels": labels, "probabilities": tf.nn.softmax(logits)}

    test = data.load_flags(flags)["test"]
    folder = export.write(
        args.run_dir,
        model,
        {
            "serving_default": (classify, {
                "sequences": tf.TensorSpec((None, None, flags.num_features), tf.float32),
                "lengths": tf.TensorSpec((None,), tf.int64),
            }),
        },
        {"serving_default": {"sequences": test.sequences[:50] * data.MAX_VALUE,
                             "lengths": test.lengths[:50]}},
        {"labels": names, "sequences": f"numbers in [0, {data.MAX_VALUE}]"},
    )
    print(f"{folder}: written, and agrees with the model in a process of its own")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__doc__, "export.py")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
