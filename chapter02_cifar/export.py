"""Exports a trained classifier as a SavedModel that takes raw or encoded images.

    python export.py
    python export.py --format onnx       # or litert: for programs without TensorFlow

Two signatures:

serving_default  images: uint8 (count, 32, 32, 3) -> labels, probabilities
pictures         encoded: strings of PNG, JPEG, BMP or GIF bytes, any size -> the same

The files of other formats take images, and give probabilities; signature.json has the labels.
"""

import argparse
from collections.abc import Sequence

import tensorflow as tf

from chapter02_cifar import data, shapes
from chapter02_cifar.augmentations import centre
from chapter02_cifar.inference import add_mirror_flag, load_run
from common import cli, export, formats, images


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    model, names = load_run(args, flags)
    size = model.input_shape[1]

    def predict(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(centre(pictures, size), training=False)
        return {"probabilities": tf.nn.softmax(logits)}

    @export.allow_empty
    def classify(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = predict(pictures)
        labels = tf.gather(tf.constant(names), tf.argmax(outputs["probabilities"], axis=1))
        return {"labels": labels, **outputs}

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return data.fit_picture(images.decode_on_white(encoded))

    image = tf.TensorSpec((data.SIZE, data.SIZE, 3), tf.uint8)
    about = {"labels": names, "images": "uint8 in [0, 255], red, green, blue"}
    drawn, _ = shapes.draw(8, seed=2)
    if args.format in formats.FORMATS:
        formats.write(args.run_dir, args.format, model, predict, {"images": drawn}, about)
        return
    wide = tf.repeat(drawn, 3, axis=2)
    transparent = tf.concat([wide[:1], wide[:1, ..., :1]], axis=-1)
    encoded = tf.stack([tf.io.encode_jpeg(wide[0]),
                        *map(tf.io.encode_png, (*wide, *transparent))])
    export.write(
        args.run_dir,
        model,
        {
            "serving_default": (classify, {"images": tf.TensorSpec((None, 32, 32, 3), tf.uint8)}),
            "pictures": export.encoded_images(classify, decode, image),
        },
        {"serving_default": {"images": drawn}, "pictures": {"encoded": encoded}},
        about,
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    add_mirror_flag(parser)
    formats.add_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
