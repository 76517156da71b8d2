"""Exports a dream as a SavedModel: it dreams the same layer on other pictures.

    python export.py

Two signatures, with the octaves and the loop inside the graph:

serving_default  images: uint8 (count, height, width, 3); steps: int32 (count,), per octave;
                 step_size: float32 (count,), in units of pixel values -> images: uint8
pictures         encoded: strings of PNG, JPEG, BMP or GIF bytes, any size; steps; step_size
                 -> images_bytes: strings of PNG bytes
"""

import argparse
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from chapter04_deepdream import data, flags, pyramid
from chapter04_deepdream.ascent import Step
from chapter04_deepdream.inference import load_run
from common import cli, export, images

EXAMPLE_SIZE = 64


def smallest_side(step: Step) -> int:
    """Returns the smallest side in pixels of a square picture for which the objective has a value.

    Below it, poolings and convolutions have nothing left to read.
    """
    for side in itertools.count(1):
        try:
            _, values, _ = step(tf.ones((1, side, side, 3)), tf.constant([0, 1], tf.int64), 1.0)
        except (tf.errors.AbortedError, tf.errors.InvalidArgumentError):
            continue
        if np.isfinite(values).all():
            return side


def make_dream(
    step: Step, settings: argparse.Namespace, least: int
) -> Callable[..., tf.Tensor]:
    """Returns the whole training as one function, with the octaves and the seed of a run.

    It maps a start picture, float32 of shape (1, height, width, 3), the number of steps per octave
    and the step size to the finished picture. It refuses a picture whose smallest octave has a side
    of less than `least` pixels.
    """
    growing = flags.growing(settings)

    def dream(start: tf.Tensor, steps: tf.Tensor, step_size: tf.Tensor) -> tf.Tensor:
        sizes = pyramid.octave_sizes(tf.shape(start)[1:3], settings.octaves,
                                     settings.octave_scale, growing)
        tf.debugging.assert_greater_equal(
            tf.reduce_min(sizes[0]), least,
            f"the smallest octave of the picture has a side of less than {least} pixels, where "
            f"{settings.layer} has no value: give a larger picture")
        picture = start
        for octave in range(settings.octaves):
            picture = pyramid.enter_octave(picture, start, sizes, octave, growing)
            for number in tf.range(octave * steps + 1, (octave + 1) * steps + 1):
                tf.autograph.experimental.set_loop_options(
                    shape_invariants=[(picture, tf.TensorShape((None, None, None, 3)))])
                key = tf.stack([tf.constant(settings.seed, tf.int64), tf.cast(number, tf.int64)])
                picture, _, _ = step(picture, key, step_size)
        return picture

    return dream


def export_run(args: argparse.Namespace, settings: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    run = load_run(args, settings)
    least = smallest_side(run.step)
    dream = make_dream(run.step, settings, least)

    def one(row: tuple[tf.Tensor, ...]) -> tf.Tensor:  # a picture at a time, as in training
        image, steps, step_size = row
        pixels = dream(tf.cast(image[None], tf.float32), steps, step_size)[0]
        return tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)

    def one_encoded(row: tuple[tf.Tensor, ...]) -> tf.Tensor:
        encoded, *numbers = row
        return tf.io.encode_png(one((images.decode_on_white(encoded), *numbers)))

    def serve(pictures: tf.Tensor, *numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        dreamt = tf.TensorSpec((None, None, 3), tf.uint8)
        return {"images": tf.map_fn(one, (pictures, *numbers), fn_output_signature=dreamt)}

    def serve_encoded(encoded: tf.Tensor, *numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images_bytes": tf.map_fn(one_encoded, (encoded, *numbers),
                                          fn_output_signature=tf.string)}

    numbers = {"steps": tf.TensorSpec((None,), tf.int32), "step_size": tf.TensorSpec((None,))}
    reduction = 1 if flags.growing(settings) else settings.octave_scale ** (settings.octaves - 1)
    width = 1.5 * (least + 1) * reduction  # flower is 1.5 times as wide as high
    size = max(EXAMPLE_SIZE, math.ceil(width))
    picture = tf.constant(data.to_uint8(data.load("flower", size)))
    few = {"steps": [2, 1], "step_size": [settings.step_size, settings.step_size / 2]}
    export.write(
        args.run_dir,
        run.extractor,
        {"serving_default": (
            serve, {"images": tf.TensorSpec((None, None, None, 3), tf.uint8), **numbers}),
         "pictures": (serve_encoded, {"encoded": tf.TensorSpec((None,), tf.string), **numbers})},
        {"serving_default": {"images": tf.stack([picture, picture[::-1]]), **few},
         "pictures": {"encoded": tf.stack([tf.io.encode_png(picture),
                                           tf.io.encode_png(tf.transpose(picture, (1, 0, 2)))]),
                      **few}},
        {"layer": settings.layer, "channel": settings.channel, "octaves": settings.octaves,
         "octave_scale": settings.octave_scale, "steps": settings.iterations,
         "step_size": settings.step_size, "least_side_of_smallest_octave": least},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__, checkpoint="latest", data=flags.FILES)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
