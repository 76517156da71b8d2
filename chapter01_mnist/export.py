"""Exports a trained classifier as a SavedModel that accepts encoded images.

    python export.py

The signatures:

serving_default  images: uint8 (batch, 28, 28), light ink on 0 -> labels, probabilities
pictures         encoded: PNG, JPEG, BMP or GIF bytes, of any size, dark on light or light on dark
                 -> the same outputs
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter01_mnist import data
from chapter01_mnist.inference import load_run
from common import cli, export, images


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in another process."""
    model, names = load_run(args, flags)
    centre = flags.dataset != "fashion_mnist"

    @export.allow_empty
    def classify(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.nn.softmax(model(data.scale(batch), training=False))
        labels = tf.gather(tf.constant(names), tf.argmax(probabilities, axis=1))
        return {"labels": labels, "probabilities": probabilities}

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return data.prepare_image(images.decode_on_white(encoded), centre)

    prepared = tf.TensorSpec((data.SIZE, data.SIZE), tf.uint8)
    digits = data.load_digits()["test"].images[:8]
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
        {"labels": names, "images": "uint8 in [0, 255], light ink on 0"},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
