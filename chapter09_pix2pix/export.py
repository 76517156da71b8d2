"""Exports a trained generator as a SavedModel that takes images of any size.

    python export.py

Two signatures:

serving_default  images: uint8 (count, height, width, 3)         -> outputs: uint8, the same shape
pictures         encoded: strings of PNG, JPEG, BMP or GIF bytes -> outputs_bytes: strings of PNG

Sides that are no multiple of what the generator needs are continued by mirroring, and the output is
cut to the size of the input. Colouring predicts a and b at the size of training, and keeps the
lightness at full size. The outputs are deterministic.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter09_pix2pix import drawn
from chapter09_pix2pix.inference import load_run, make_apply, make_translate
from common import cli, export, images

JPEG_QUALITY = 80  # the original's


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    generator = load_run(args, flags)
    translate = make_translate(make_apply(generator, flags), flags)

    def encode(picture: tf.Tensor) -> tf.Tensor:
        if args.output_filetype == "jpeg":
            return tf.io.encode_jpeg(picture, quality=JPEG_QUALITY)
        return tf.io.encode_png(picture)

    def serve(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": translate(pictures)}

    def one(encoded: tf.Tensor) -> tf.Tensor:  # sizes differ: one after the other
        picture = tf.cast(images.decode_on_white(encoded), tf.uint8)
        return encode(translate(picture[None])[0])

    def serve_encoded(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs_bytes": tf.map_fn(one, encoded, fn_output_signature=tf.string)}

    size = flags.crop_size
    half = slice(0, 3) if flags.which_direction == "AtoB" else slice(3, 6)
    drawings = np.stack([drawn.draw_facade(i, size)[..., half] for i in range(2)])
    odd = [tf.io.encode_png(picture[: size // 2 + 3, : size // 2 + 8]) for picture in drawings]
    export.write(
        args.run_dir,
        generator,
        {"serving_default": (
            serve, {"images": tf.TensorSpec((None, None, None, 3), tf.uint8)}),
         "pictures": (serve_encoded, {"encoded": tf.TensorSpec((None,), tf.string)})},
        {"serving_default": {"images": drawings}, "pictures": {"encoded": tf.stack(odd)}},
        {"images": "uint8 in [0, 255], red, green, blue", "crop_size": size,
         "which_direction": flags.which_direction, "lab_colorization": flags.lab_colorization,
         "output_filetype": args.output_filetype},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--output_filetype", choices=["png", "jpeg"], default="png",
                        help="format of the encoded outputs")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
