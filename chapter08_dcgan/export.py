"""Exports the generator of a run as a SavedModel.

    python export.py

Two signatures:

serving_default  z: float32 (count, z_dim) in [-1, 1]              -> images: uint8
numbered         seed: int64 (count,), numbers: int64 (count,)     -> images: uint8

Images have the shape (count, height, width, channels). Those of `numbered` are generate.py's, by
its --seed and their numbers. Both signatures of a conditional generator have a second input,
labels: int64 (count,).
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter08_dcgan.inference import load_run, numbered_z
from chapter08_dcgan.model import draw_z, to_uint8
from common import cli, export


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    run = load_run(args, flags)
    classes = len(run.names)

    def serve(z: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        checks = [tf.debugging.Assert(tf.reduce_all((wanted >= 0) & (wanted < classes)),
                                      [f"labels are 0 to {classes - 1}, not", wanted])
                  for wanted in labels]
        with tf.control_dependencies(checks):
            one_hot = [tf.one_hot(wanted, classes) for wanted in labels]
        return {"images": to_uint8(run.generator([z, *one_hot], training=False), run.low)}

    def numbered(
        seed: tf.Tensor, numbers: tf.Tensor, *labels: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return serve(draw_z(seed, numbers, run.z_dim), *labels)

    vector = tf.TensorSpec((None,), tf.int64)
    labelled = {"labels": vector} if classes else {}
    wanted = {"labels": np.arange(3) % classes} if classes else {}
    export.write(
        args.run_dir,
        run.generator,
        {
            "serving_default": (serve, {"z": tf.TensorSpec((None, run.z_dim)), **labelled}),
            "numbered": (numbered, {"seed": vector, "numbers": vector, **labelled}),
        },
        {"serving_default": {"z": numbered_z(1, 3, run.z_dim), **wanted},
         "numbered": {"seed": np.arange(1, 4), "numbers": np.arange(3), **wanted}},
        {"labels": list(run.names), "z": "uniform in [-1, 1]"},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
