"""Exports a trained network as a SavedModel that enlarges pictures of any size.

    python export.py

Two signatures:

serving_default  images: uint8 (count, height, width, 3)         -> enlarged: uint8
pictures         encoded: strings of PNG, JPEG, BMP or GIF bytes -> enlarged_bytes: strings of PNG

The sides of the results are `factor` times as long. A picture passes through the network as a
whole, so memory grows with it: upscale.py works in tiles.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter10_super_resolution import drawn
from chapter10_super_resolution.inference import load_run
from chapter10_super_resolution.model import enlarge, to_uint8
from common import cli, export, images

SIZE = 48  # of the drawn pictures that the export is verified on


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    network = load_run(args, flags)

    def run(pictures: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(pictures, tf.float32)
        return to_uint8(enlarge(network, pixels, flags.factor, training=False))

    def serve(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"enlarged": run(pictures)}

    def one(encoded: tf.Tensor) -> tf.Tensor:  # sizes differ: one after the other
        return tf.io.encode_png(run(images.decode_on_white(encoded)[None])[0])

    def serve_encoded(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"enlarged_bytes": tf.map_fn(one, encoded, fn_output_signature=tf.string)}

    drawings = np.stack([drawn.draw_picture(i, SIZE) for i in range(2)])
    odd = tf.stack([tf.io.encode_png(drawing[: SIZE - 7 * i, :41])
                    for i, drawing in enumerate(drawings)])
    export.write(
        args.run_dir,
        network,
        {"serving_default": (export.allow_empty(serve),
                             {"images": tf.TensorSpec((None, None, None, 3), tf.uint8)}),
         "pictures": (serve_encoded, {"encoded": tf.TensorSpec((None,), tf.string)})},
        {"serving_default": {"images": drawings}, "pictures": {"encoded": odd}},
        {"images": "uint8 in [0, 255], red, green, blue", "factor": flags.factor,
         "degradation": flags.degradation},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
