"""Exports a trained classifier as a SavedModel that takes raw or encoded images.

    python export.py
    python export.py --format onnx       # or litert: for programs without TensorFlow

Two signatures:

serving_default  images: uint8 (count, size, size, 3) at the network's size -> labels, probabilities
pictures         encoded: strings of PNG, JPEG, BMP or GIF bytes, any size -> the same

The files of other formats take images, and give probabilities; signature.json has the labels.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter03_finetune import augmentation, textures
from chapter03_finetune.inference import load_run
from common import cli, export, formats, images


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    if args.format in formats.FORMATS:
        flags.precision = "float32"  # as the weights are; the converters have no bfloat16
    model, names = load_run(args, flags)
    size = model.input_shape[1]

    def predict(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(tf.cast(pictures, tf.float32), training=False)
        return {"probabilities": tf.nn.softmax(logits)}

    @export.allow_empty
    def classify(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = predict(pictures)
        labels = tf.gather(tf.constant(names), tf.argmax(outputs["probabilities"], axis=1))
        return {"labels": labels, **outputs}

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return augmentation.centre(images.decode_on_white(encoded), size)

    rng = np.random.default_rng(0)
    drawn = [textures.draw(kind, rng) for kind in textures.KINDS]
    resized = tf.cast(tf.image.resize(np.stack(drawn), (size, size)), tf.uint8)
    about = {"labels": names, "images": "uint8 in [0, 255], red, green, blue"}
    if args.format in formats.FORMATS:
        formats.write(args.run_dir, args.format, model, predict, {"images": resized.numpy()}, about)
        return
    encoded = tf.stack([tf.io.encode_jpeg(drawn[0]),
                        *[tf.io.encode_png(picture[:100]) for picture in drawn]])
    image = tf.TensorSpec((size, size, 3), tf.float32)
    image_spec = tf.TensorSpec((None, size, size, 3), tf.uint8)
    export.write(
        args.run_dir,
        model,
        {
            "serving_default": (classify, {"images": image_spec}),
            "pictures": export.encoded_images(classify, decode, image),
        },
        {"serving_default": {"images": resized}, "pictures": {"encoded": encoded}},
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
