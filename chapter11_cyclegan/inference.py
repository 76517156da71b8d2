"""The networks of a run, and what a finished one makes of images of any size."""

import argparse
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from chapter09_pix2pix.inference import mirror_to
from chapter11_cyclegan.model import build_discriminator, build_generator
from common import checkpoint
from common.errors import UserError

BATCH = 8  # images at once, in evaluation
MULTIPLE = 4  # of the sides of what a generator takes
LEAST = 8  # pixels of a side, or mirroring has nothing to mirror
MAX_PIXELS = 4_000_000  # of an image, which passes through a network as a whole
GENERATORS = {"XtoY": "G", "YtoX": "F"}  # by direction

Apply = Callable[[tf.Tensor], tf.Tensor]  # from and to images in [-1, 1]


def directions_of(flags: argparse.Namespace) -> list[str]:
    """Returns the directions of a run: both, or the one of CUT."""
    return [vars(flags)["direction"]] if "direction" in vars(flags) else list(GENERATORS)


def choose_direction(args: argparse.Namespace, flags: argparse.Namespace) -> str:
    """Returns the direction that a script asks for, or the first of the run.

    Raises:
        UserError: the run is one of CUT in the other direction.
    """
    there = directions_of(flags)
    if args.direction and args.direction not in there:
        raise UserError(f"the run translates {there[0]}, not {args.direction}",
                        "name another run, or omit --direction")
    return args.direction or there[0]


def build_generators(flags: argparse.Namespace) -> dict[str, keras.Model]:
    """Builds G (X to Y) and F (Y to X), or the one of a run of CUT, with random weights."""
    keras.config.set_dtype_policy(
        "mixed_bfloat16" if flags.precision == "bfloat16" else flags.precision)
    return {GENERATORS[direction]: build_generator(
        GENERATORS[direction], flags.ngf, flags.blocks, flags.norm, flags.upsample,
        flags.identity_start, 4 * flags.seed + i)
        for i, direction in enumerate(directions_of(flags))}


def build_discriminators(flags: argparse.Namespace) -> dict[str, keras.Model]:
    """Builds D_X and D_Y, which judge images of their domain, with random weights.

    A run of CUT has the one of its target domain.
    """
    names = sorted(f"D_{direction[-1]}" for direction in directions_of(flags))
    return {name: build_discriminator(name, flags.netD, flags.ndf, flags.norm, 4 * flags.seed + i)
            for i, name in enumerate(names, 2)}


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, keras.Model]:
    """Rebuilds the generators of a run with their trained weights, or the averages of these.

    Returns:
        The generators by direction, XtoY and YtoX; of a run of CUT one.
    """
    generators = build_generators(flags)
    prefix = "averaged_" if flags.ema_decay else ""
    checkpoint.load(args.run_dir, args.checkpoint,
                    **{prefix + name: network for name, network in generators.items()})
    return {direction: generators[GENERATORS[direction]] for direction in directions_of(flags)}


def make_apply(generator: keras.Model) -> Apply:
    """Returns a function that applies a generator to images of any size.

    Sides that are no multiple of 4 are continued by mirroring, and cut again.
    """
    def apply(images: tf.Tensor) -> tf.Tensor:
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        large = mirror_to(images, MULTIPLE)
        large = tf.cond(tf.minimum(height, width) < LEAST, lambda: mirror_to(large, LEAST),
                        lambda: large)
        return generator(large, training=False)[:, :height, :width]

    return apply


def make_predict(generator: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a compiled function from many images to translations: float32 in [-1, 1]."""
    run = tf.function(make_apply(generator),
                      input_signature=[tf.TensorSpec((None, None, None, 3))])
    return lambda images: np.concatenate([
        run(tf.constant(images[i : i + BATCH])).numpy() for i in range(0, len(images), BATCH)])


def make_translate(generator: keras.Model) -> Apply:
    """Returns a function from and to uint8 of shape (batch, height, width, 3), for graphs."""
    apply = make_apply(generator)

    def translate(pictures: tf.Tensor) -> tf.Tensor:
        outputs = apply(tf.cast(pictures, tf.float32) / 127.5 - 1)
        return tf.cast(tf.round(tf.clip_by_value((outputs + 1) * 127.5, 0.0, 255.0)), tf.uint8)

    return translate


def check_size(height: int, width: int) -> None:
    """Raises UserError if an image is too large to pass through a network as a whole."""
    if height * width > MAX_PIXELS:
        raise UserError(f"an image has {width} x {height} pixels",
                        f"resize it to at most {MAX_PIXELS:,} pixels, or give a smaller --size")


def make_transform(
    generator: keras.Model, size: int | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a compiled function from one picture to another, uint8 (height, width, 3).

    An image passes through the network as a whole, because instance normalization makes each output
    depend on all of it: memory grows with it.

    Args:
        generator: of `load_run`.
        size: pixels to which the shorter side is resized; None: none.

    Raises:
        UserError: by the function, for an image of more than MAX_PIXELS.
    """
    translate = tf.function(make_translate(generator),
                            input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8)])

    def transform(picture: np.ndarray) -> np.ndarray:
        if size:
            sides = np.array(picture.shape[:2])
            sides = np.maximum(1, np.rint(sides * size / sides.min())).astype(int)
            check_size(*sides)
            resized = tf.image.resize(picture, sides, antialias=True)
            picture = np.uint8(np.clip(np.rint(resized.numpy()), 0, 255))
        check_size(*picture.shape[:2])
        return translate(tf.constant(picture[None]))[0].numpy()

    return transform
