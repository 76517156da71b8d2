"""Exports a trained network as a SavedModel that stylizes images of any size.

    python export.py

Two signatures:

serving_default  images: uint8 (count, height, width, 3)         -> stylized: uint8, the same shape
pictures         encoded: strings of PNG, JPEG, BMP or GIF bytes -> stylized_bytes: strings of PNG

A run of several styles has a second input in both, styles: float32 (count, number of styles), the
weights of the styles for each image. Their sum is 1.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter07_style_transfer import mixture, styles
from chapter07_style_transfer.inference import load_run
from chapter07_style_transfer.model import MIN_SIZE, stylize
from common import cli, export, images


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    generator = load_run(args, flags)

    def to_uint8(pictures: tf.Tensor, *style: tf.Tensor) -> tf.Tensor:
        generated = stylize(generator, tf.cast(pictures, tf.float32), *style)
        return tf.cast(tf.round(generated), tf.uint8)

    def serve(pictures: tf.Tensor, *style: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"stylized": to_uint8(pictures, *style)}

    def one(inputs: tuple[tf.Tensor, ...]) -> tf.Tensor:  # sizes differ: one after the other
        encoded, *style = inputs
        picture = images.decode_on_white(encoded)[None]
        return tf.io.encode_png(to_uint8(picture, *[weights[None] for weights in style])[0])

    def serve_encoded(encoded: tf.Tensor, *style: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"stylized_bytes": tf.map_fn(one, (encoded, *style), fn_output_signature=tf.string)}

    drawn = [styles.draw(name)[: 60 + 3 * i, :81] for i, name in enumerate(styles.STYLES)]
    encoded = tf.stack([tf.io.encode_png(picture) for picture in drawn])
    known = mixture.names(flags.style_image)
    several = {"styles": tf.TensorSpec((None, len(known)))} if len(known) > 1 else {}
    mixed = np.full((len(drawn), len(known)), 1 / len(known), np.float32)

    def example(name: str, value: np.ndarray | tf.Tensor) -> dict[str, np.ndarray | tf.Tensor]:
        return {name: value, **{styles: mixed[: len(value)] for styles in several}}

    export.write(
        args.run_dir,
        generator,
        {
            "serving_default": (
                serve, {"images": tf.TensorSpec((None, None, None, 3), tf.uint8), **several}),
            "pictures": (serve_encoded, {"encoded": tf.TensorSpec((None,), tf.string), **several}),
        },
        {"serving_default": example("images", np.stack([drawn[0], drawn[0][::-1]])),
         "pictures": example("encoded", encoded)},
        {"names_of_styles": known,
         "images": f"uint8 in [0, 255], red, green, blue; at least {MIN_SIZE} pixels a side"},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
