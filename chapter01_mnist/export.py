"""Exports a trained classifier as a SavedModel that accepts encoded images.

    python export.py
    python export.py --format onnx       # or litert: for programs without TensorFlow

The signatures:

serving_default  images: uint8 (batch, 28, 28), light ink on 0 -> labels, probabilities
pictures         encoded: PNG, JPEG, BMP or GIF bytes, of any size, dark on light or light on dark
                 -> the same outputs

The files of other formats take images, and give probabilities; signature.json has the labels.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter01_mnist import data
from chapter01_mnist.inference import load_run
from common import cli, export, formats, images


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in another process."""
    model, names = load_run(args, flags)
    centre = flags.dataset != "fashion_mnist"

    def predict(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": tf.nn.softmax(model(data.scale(batch), training=False))}

    @export.allow_empty
    def classify(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = predict(batch)
        labels = tf.gather(tf.constant(names), tf.argmax(outputs["probabilities"], axis=1))
        return {"labels": labels, **outputs}

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return data.prepare_image(images.decode_on_white(encoded), centre)

    prepared = tf.TensorSpec((data.SIZE, data.SIZE), tf.uint8)
    about = {"labels": names, "images": "uint8 in [0, 255], light ink on 0"}
    digits = data.load_digits()["test"].images[:8]
    if args.format in formats.FORMATS:
        formats.write(args.run_dir, args.format, model, predict, {"images": digits}, about)
        return
    large = np.kron(digits, np.ones((1, 5, 5), np.uint8))[..., None]
    transparent = np.concatenate([0 * large[:1], large[:1]], axis=-1)  # black on alpha 0
    encoded = tf.stack([tf.io.encode_jpeg(255 - large[0]),
                        *map(tf.io.encode_png, (*(255 - large), *transparent))])
    export.write(
        args.run_dir,
        model,
        {
            "serving_default": (classify, {"images": tf.TensorSpec((None, 28, 28), tf.uint8)}),
            "pictures": export.encoded_images(classify, decode, prepared),
        },
        {"serving_default": {"images": digits}, "pictures": {"encoded": encoded}},
        about,
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    formats.add_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
