"""Exports a network of tunes as a SavedModel with the sampling loop inside.

    python export.py

serving_default  first, length, temperature (0: the most probable value), seed, each (count,)
                 -> tokens: strings (count, longest), "" after the end of a shorter tune
"""

import argparse
from collections.abc import Sequence

import tensorflow as tf

from appendix_b_jazz.data import UNKNOWN
from appendix_b_jazz.inference import load_run
from appendix_b_jazz.model import improvise
from common import cli, export


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    model, vocabulary = load_run(args, flags)
    holder = tf.Module()
    holder.step = model.step
    names = tf.constant([*vocabulary, UNKNOWN])

    def play_one(row: tuple[tf.Tensor, ...]) -> tf.Tensor:  # lengths differ: one after the other
        return tf.gather(names, improvise(model, *row, len(vocabulary)))

    def play(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        tune = tf.RaggedTensorSpec((None,), tf.string)
        tunes = tf.map_fn(play_one, inputs, fn_output_signature=tune)
        return {"tokens": tunes.to_tensor("")}

    integers = tf.TensorSpec((None,), tf.int32)
    specs = {"first": integers, "length": integers, "temperature": tf.TensorSpec((None,)),
             "seed": integers}
    example = {"first": [0, 1], "length": [20, 5], "temperature": [0.0, 0.0], "seed": [0, 0]}
    export.write(args.run_dir, holder, {"serving_default": (play, specs)},
                 {"serving_default": example}, {"vocabulary": vocabulary})


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
