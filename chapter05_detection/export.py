"""Exports a detector as a SavedModel with the names of the Object Detection API.

    python export.py

Three signatures, each with one argument called `inputs`:

serving_default              image_tensor: uint8 (count, height, width, 3), any size
encoded_image_string_tensor  strings of PNG, JPEG, BMP or GIF bytes; of any size each, or with a
                             keep_aspect_ratio_resizer all of one size
tf_example                   serialized tf.train.Example with image/encoded

All return detection_boxes: float32 (count, k, 4), (ymin, xmin, ymax, xmax) in fractions of the
image; detection_scores (count, k), falling; detection_classes (count, k), ids of the label map as
float32; num_detections (count,), how many of the k rows are in use.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from chapter05_detection import data
from chapter05_detection.inference import Detector, load_run, spatial
from common import cli, export, images

Outputs = dict[str, tf.Tensor]


def make_answer(detector: Detector) -> Callable[[tf.Tensor], Outputs]:
    """Returns a function from resized images to outputs with the API's names."""
    ids = tf.constant(detector.labels.ids, tf.float32)

    def answer(batch: tf.Tensor) -> Outputs:
        found = detector.detect(batch)
        in_use = tf.range(tf.shape(found["boxes"])[1])[None] < found["counts"][:, None]
        classes = tf.gather(ids, tf.cast(found["classes"], tf.int32))
        return {"detection_boxes": found["boxes"], "detection_scores": found["scores"],
                "detection_classes": tf.where(in_use, classes, 0.0),
                "num_detections": tf.cast(found["counts"], tf.float32)}

    return export.allow_empty(answer)


def make_signatures(detector: Detector) -> dict[str, tuple[Callable[..., Outputs], dict]]:
    """Returns the three signatures and the specs of their inputs."""
    answer, resizer = make_answer(detector), detector.pipeline["image_resizer"]
    resized = tf.TensorSpec((*spatial(detector.pipeline), 3))

    def resize(image: tf.Tensor) -> tf.Tensor:
        return data.resized(image, resizer)

    def of_tensors(inputs: tf.Tensor) -> Outputs:
        # Images of one size: they have one size after the resizer too.
        return answer(tf.map_fn(resize, tf.cast(inputs, tf.float32), fn_output_signature=resized))

    def of_strings(inputs: tf.Tensor) -> Outputs:
        return answer(tf.map_fn(lambda encoded: resize(images.decode_on_white(encoded)), inputs,
                                fn_output_signature=resized))

    def of_examples(inputs: tf.Tensor) -> Outputs:
        key = "image/encoded"
        parsed = tf.io.parse_example(inputs, {key: tf.io.FixedLenFeature((), tf.string)})
        return of_strings(parsed[key])

    strings = {"inputs": tf.TensorSpec((None,), tf.string)}
    return {"serving_default": (of_tensors, {"inputs": tf.TensorSpec((None, None, None, 3),
                                                                     tf.uint8)}),
            "encoded_image_string_tensor": (of_strings, strings),
            "tf_example": (of_examples, strings)}


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    detector = load_run(args, flags)
    module = tf.Module()
    module.models = list(detector.models.values())
    picture = tf.random.stateless_uniform((90, 120, 3), (0, 1), 0, 256, tf.int32)
    picture = tf.cast(picture, tf.uint8).numpy()
    encoded = tf.io.encode_jpeg(picture).numpy()
    example = tf.train.Example(features=tf.train.Features(feature={
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))}))
    export.write(
        args.run_dir, module, make_signatures(detector),
        {"serving_default": {"inputs": np.stack([picture])},
         "encoded_image_string_tensor": {"inputs": tf.constant([encoded])},
         "tf_example": {"inputs": tf.constant([example.SerializeToString()])}},
        {"classes": dict(zip(map(str, detector.labels.ids), detector.labels.names, strict=True)),
         "pipeline": detector.pipeline})


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__, checkpoint="latest")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
