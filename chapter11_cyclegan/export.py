"""Exports the generators of a run as one SavedModel that takes images of any size.

    python export.py

Signatures of both directions:

XtoY, YtoX                    images: uint8 (count, height, width, 3) -> outputs: uint8, the same
encoded_XtoY, encoded_YtoX    encoded: strings of PNG, JPEG, BMP or GIF -> outputs_bytes: PNG, or
                              JPEG with --output_filetype jpeg, which the original writes

serving_default is XtoY. A run of train_cut.py has one direction, which is also the default. Sides
that are no multiple of 4 are continued by mirroring, and cut again.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter11_cyclegan import drawn
from chapter11_cyclegan.inference import GENERATORS, load_run, make_translate
from common import cli, export, images

JPEG_QUALITY = 95


def signatures_of(
    translate: Callable[[tf.Tensor], tf.Tensor], filetype: str
) -> tuple[Callable[..., dict[str, tf.Tensor]], Callable[..., dict[str, tf.Tensor]]]:
    """Returns functions of images and of encoded images."""
    def encode(picture: tf.Tensor) -> tf.Tensor:
        if filetype == "jpeg":
            return tf.io.encode_jpeg(picture, quality=JPEG_QUALITY)
        return tf.io.encode_png(picture)

    def serve(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": translate(pictures)}

    def one(encoded: tf.Tensor) -> tf.Tensor:  # sizes differ: one after the other
        picture = tf.cast(images.decode_on_white(encoded), tf.uint8)
        return encode(translate(picture[None])[0])

    def serve_encoded(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs_bytes": tf.map_fn(one, encoded, fn_output_signature=tf.string)}

    return serve, serve_encoded


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    generators = load_run(args, flags)
    size, calls, examples = flags.image_size, {}, {}
    scenes = dict(zip(GENERATORS, drawn.draw_scenes(0, 2, size), strict=True))
    for direction, generator in generators.items():
        serve, serve_encoded = signatures_of(make_translate(generator), args.output_filetype)
        odd = [tf.io.encode_png(picture[: size // 2 + 3, : size // 2 + 8])
               for picture in scenes[direction]]
        calls[direction] = serve, {"images": tf.TensorSpec((None, None, None, 3), tf.uint8)}
        calls[f"encoded_{direction}"] = (
            serve_encoded, {"encoded": tf.TensorSpec((None,), tf.string)})
        examples[direction] = {"images": np.stack(scenes[direction])}
        examples[f"encoded_{direction}"] = {"encoded": tf.stack(odd)}
    first = next(iter(generators))
    calls["serving_default"], examples["serving_default"] = calls[first], examples[first]
    inputs = [keras.Input((None, None, 3)) for _ in generators]
    both = keras.Model(inputs, [network(image) for network, image in
                                zip(generators.values(), inputs, strict=True)])
    export.write(args.run_dir, both, calls, examples,
                 {"images": "uint8 in [0, 255], red, green, blue", "image_size": size,
                  "output_filetype": args.output_filetype})


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
