"""Exports an embedder as a SavedModel that takes aligned faces, or the cascade of MTCNN.

    python export.py

Two signatures:

serving_default  images: uint8 (count, size, size, 3) at the network's size -> embeddings
faces            encoded: strings of PNG, JPEG, BMP or GIF bytes, any size -> the same

Embeddings have length 1; signature.json has the distances of thresholds.json. A run of
train_mtcnn.py has one signature:

serving_default  images: uint8 (count, height, width, 3) -> boxes, scores, landmarks, image
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter06_face import cartoon, cascade, data, inference, mtcnn
from chapter06_face.model import embed
from common import checkpoint, cli, export, files, images


def export_detector(args: argparse.Namespace) -> None:
    """Writes the cascade of a run of train_mtcnn.py."""
    networks = mtcnn.build()
    checkpoint.load(args.run_dir, args.checkpoint, **networks)
    run = cascade.make_cascade(networks)
    module = tf.Module()
    module.networks = list(networks.values())
    scene = cartoon.draw_scene(np.random.default_rng(3)).image
    export.write(args.run_dir, module,
                 {"serving_default": (run, {"images": tf.TensorSpec((None, None, None, 3),
                                                                    tf.uint8)})},
                 {"serving_default": {"images": np.stack([scene, scene[:, ::-1]])}},
                 {"boxes": "ymin, xmin, ymax, xmax in pixels; image: the number of the image"})


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    if "steps_per_network" in vars(flags):
        return export_detector(args)
    network = inference.build_embedder(flags)
    checkpoint.load(args.run_dir, args.checkpoint, averaged=network)
    size, load_size = flags.image_size, data.load_size(flags)

    @export.allow_empty
    def call(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embeddings": embed(network(tf.cast(pictures, tf.float32), training=False))}

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        face = tf.image.resize(images.decode_on_white(encoded), (load_size, load_size),
                               antialias=True)
        return tf.image.resize_with_crop_or_pad(face, size, size)

    drawn, _ = cartoon.draw_people(3, 1, size, 1)
    encoded = tf.stack([tf.io.encode_jpeg(drawn[0]),
                        *[tf.io.encode_png(picture[: size // 2]) for picture in drawn]])
    image_spec = tf.TensorSpec((None, size, size, 3), tf.uint8)
    path = args.run_dir / inference.THRESHOLDS
    thresholds = files.read_json(path) if path.is_file() else {}
    export.write(
        args.run_dir,
        network,
        {
            "serving_default": (call, {"images": image_spec}),
            "faces": export.encoded_images(call, decode,
                                           tf.TensorSpec((size, size, 3), tf.float32)),
        },
        {"serving_default": {"images": drawn.astype(np.uint8)}, "faces": {"encoded": encoded}},
        {"images": "uint8 in [0, 255], red, green, blue; aligned faces",
         "alignment": inference.alignment_of(args.run_dir, flags)._asdict(),
         "drawn": flags.dataset == "cartoon",
         "thresholds": thresholds},
    )
    return None


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__, checkpoint="latest")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
