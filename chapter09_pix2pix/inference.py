"""The networks of a run, and what a finished one makes of images of any size."""

import argparse
import secrets
import sys
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from chapter09_pix2pix import data, lab
from chapter09_pix2pix.model import (
    BatchNormalization,
    build_discriminator,
    build_generator,
    depth_of,
    norm_of,
)
from common import checkpoint, cli
from common.errors import UserError

BATCH = 8  # images at once, in evaluation
MAX_PIXELS = 4_000_000  # of an image that passes through a network as a whole

Apply = Callable[[tf.Tensor], tf.Tensor]  # from inputs to outputs, both in [-1, 1]


def build(flags: argparse.Namespace) -> keras.Model:
    """Builds the generator that the flags of train.py describe, with random weights."""
    keras.config.set_dtype_policy(
        "mixed_bfloat16" if flags.precision == "bfloat16" else flags.precision)
    return build_generator(flags.netG, flags.crop_size, *data.channels(flags), flags.ngf,
                           norm_of(flags.norm, flags.batch_size), flags.dropout, flags.max_width,
                           flags.seed)


def build_judge(flags: argparse.Namespace) -> keras.Model:
    """Builds the discriminator of a run, with random weights."""
    return build_discriminator(flags.netD, flags.crop_size, sum(data.channels(flags)), flags.ndf,
                               norm_of(flags.norm, flags.batch_size), flags.seed + 1)


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> keras.Model:
    """Rebuilds the generator of a run with its trained weights: their average, if it has one."""
    generator = build(flags)
    name = "averaged" if flags.ema_decay else "generator"
    checkpoint.load(args.run_dir, args.checkpoint, **{name: generator})
    return generator


def keep_statistics(generator: keras.Model) -> None:
    """Keeps the moving averages of batch normalization, whatever passes through in training mode.

    The original normalizes by the statistics of the test batch; doing so must not change the model.
    """
    for layer in generator.layers:
        if isinstance(layer, BatchNormalization):
            layer.momentum = 1.0


def is_random(generator: keras.Model) -> bool:
    """Returns whether the original's mode differs: by dropout, or by statistics of the image."""
    return any(isinstance(layer, BatchNormalization | keras.layers.Dropout)
               for layer in generator.layers)


def seed_noise(generator: keras.Model, seed: int) -> None:
    """Seeds the dropout of the original's mode."""
    for number, layer in enumerate(generator.layers):
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign([seed, number])


def open_original_mode(args: argparse.Namespace, generator: keras.Model) -> None:
    """Prepares a generator for the flags `original_mode` and `seed` of a script.

    Raises:
        UserError: `--seed` without `--original_mode`.
    """
    if args.seed is not None and not args.original_mode:
        raise UserError(f"--seed {args.seed} has no effect without --original_mode", "omit it")
    if args.original_mode and not is_random(generator):
        print("--original_mode has no effect: the network has neither dropout nor batch "
              "normalization", file=sys.stderr)
    seed_noise(generator, secrets.randbits(32) if args.seed is None else args.seed)


def add_mode_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the original's mode."""
    parser.add_argument("--original_mode", action=argparse.BooleanOptionalAction, default=False,
                        help="dropout, and the statistics of each image, as the original: another "
                             "output at each call")
    parser.add_argument("--seed", type=cli.seed,
                        help="of the dropout of --original_mode (default: a new one)")


def mirror_to(images: tf.Tensor, multiple: int) -> tf.Tensor:
    """Continues images by mirroring on the right and below, until a multiple divides their sides.

    Args:
        images: of shape (batch, height, width, channels), of any size.
        multiple: of the sides.
    """
    for axis in (1, 2):
        length = tf.shape(images)[axis]
        places = tf.range(-(-length // multiple) * multiple) % (2 * length)
        images = tf.gather(images, tf.minimum(places, 2 * length - 1 - places), axis=axis)
    return images


def make_apply(
    generator: keras.Model, flags: argparse.Namespace, original_mode: bool = False
) -> Apply:
    """Returns a function that applies a generator to inputs of any size.

    It is deterministic: without dropout, and batch normalization by its moving averages. In the
    original's mode it has dropout, and batch normalization by the statistics of each image: the
    outputs differ at each call.

    Args:
        generator: of `load_run`.
        flags: of the run.
        original_mode: whether to use that mode.
    """
    multiple = 2 ** depth_of(flags.netG, flags.crop_size)
    if original_mode:
        keep_statistics(generator)

    def apply(inputs: tf.Tensor) -> tf.Tensor:
        height, width = tf.shape(inputs)[1], tf.shape(inputs)[2]
        padded = mirror_to(inputs, multiple)
        return generator(padded, training=original_mode)[:, :height, :width]

    return apply


def make_predict(
    generator: keras.Model, flags: argparse.Namespace, original_mode: bool = False
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a compiled function from many inputs to outputs: arrays in [-1, 1].

    In the original's mode images pass one by one.
    """
    apply = make_apply(generator, flags, original_mode)
    run = tf.function(apply, input_signature=[
        tf.TensorSpec((None, None, None, data.channels(flags)[0]))])
    size = 1 if original_mode else BATCH

    def predict(inputs: np.ndarray) -> np.ndarray:
        parts = [inputs[i : i + size] for i in range(0, len(inputs), size)]
        return np.concatenate([run(tf.constant(part)).numpy() for part in parts])

    return predict


def make_translate(
    apply: Apply, flags: argparse.Namespace, saturation: float = 1.0
) -> Apply:
    """Returns a function from pictures to pictures of the same size, for use in graphs.

    Colouring predicts a and b at the size that the network was trained on, and joins them with the
    lightness at full size.

    Args:
        apply: of `make_apply`.
        flags: of the run.
        saturation: factor of the a and b that are predicted.

    Returns:
        A function from and to uint8 of shape (batch, height, width, 3).
    """
    size = flags.crop_size

    def colour(scaled: tf.Tensor) -> tf.Tensor:
        lightness, _ = lab.split(scaled)
        ab = apply(tf.image.resize(lightness, (size, size), method="area"))
        return lab.join(lightness, saturation * tf.image.resize(ab, tf.shape(scaled)[1:3]))

    def lighten(scaled: tf.Tensor) -> tf.Tensor:
        _, ab = lab.split(scaled)
        return lab.join(apply(ab), ab)

    def translate(pictures: tf.Tensor) -> tf.Tensor:
        scaled = tf.cast(pictures, tf.float32) / 127.5 - 1
        if flags.lab_colorization:
            outputs = (colour if flags.which_direction == "AtoB" else lighten)(scaled)
        else:
            outputs = apply(scaled)
        pixels = tf.clip_by_value((outputs + 1) * 127.5, 0.0, 255.0)
        return tf.cast(tf.round(pixels), tf.uint8)

    return translate


def make_transform(
    generator: keras.Model, flags: argparse.Namespace, original_mode: bool = False,
    saturation: float = 1.0,
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a compiled function from one picture to another, uint8 (height, width, 3).

    It raises UserError for an image of more than MAX_PIXELS, unless it colours. An image passes
    through the network as a whole, because each output depends on all of it: memory grows with it.
    """
    apply = make_apply(generator, flags, original_mode)
    translate = tf.function(make_translate(apply, flags, saturation),
                            input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
    colours = flags.lab_colorization and flags.which_direction == "AtoB"

    def transform(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        if height * width > MAX_PIXELS and not colours:
            raise UserError(f"an image has {width} x {height} pixels",
                            f"resize it to at most {MAX_PIXELS:,} pixels")
        return translate(tf.constant(picture[None]))[0].numpy()

    return transform
