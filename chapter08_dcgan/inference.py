"""The generator of a finished run, and images of it."""

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from chapter08_dcgan.model import Networks, Shape, build, draw_z, to_uint8
from common import checkpoint, cli, rundir
from common.errors import UserError

BATCH = 64

Generate = Callable[[np.ndarray, Sequence[int]], np.ndarray]


class Run(NamedTuple):
    """A finished run.

    Attributes:
        generator: from `[z]` or `[z, labels]` to images in [low, 1].
        low: the value of black.
        names: of the labels of a conditional generator, else empty.
        shape: of the images.
        z_dim: length of z.
        generate: see `make_generate`.
    """

    generator: keras.Model
    low: float
    names: tuple[str, ...]
    shape: Shape
    z_dim: int
    generate: Generate


def build_networks(flags: argparse.Namespace, shape: Shape) -> Networks:
    """Builds the networks that the flags of train.py describe, with random weights."""
    return build(flags.model, shape, flags.seed, flags.z_dim, flags.width)


def make_generate(generator: keras.Model, low: float, classes: int) -> Generate:
    """Returns a function from z and labels to images.

    It takes z, float32 of shape (count, z_dim), and labels, of shape (count,), which an
    unconditional generator ignores. It returns uint8 of shape (count, height, width, channels).
    """
    @tf.function(reduce_retracing=True)
    def call(z: tf.Tensor, *labels: tf.Tensor) -> tf.Tensor:
        return to_uint8(generator([z, *labels], training=False), low)

    def generate(z: np.ndarray, labels: Sequence[int]) -> np.ndarray:
        inputs = [np.asarray(z, np.float32)]
        inputs += [np.eye(classes, dtype=np.float32)[np.asarray(labels)]] if classes else []
        return np.concatenate([call(*[tf.constant(part[i : i + BATCH]) for part in inputs]).numpy()
                               for i in range(0, len(z), BATCH)])

    return generate


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Rebuilds the generator of a run with its trained weights, or their moving averages.

    Sets `flags.typed`, since nothing of a finished run is typed.
    """
    flags.typed = {}
    config = rundir.read_config(args.run_dir)
    shape = Shape(*config["shape"])
    networks = build_networks(flags, shape)
    name = "averaged" if flags.ema_decay else "generator"
    checkpoint.load(args.run_dir, args.checkpoint, **{name: networks.generator})
    names = tuple(config["class_names"]) if shape.classes else ()
    generate = make_generate(networks.generator, networks.low, shape.classes)
    return Run(networks.generator, networks.low, names, shape, flags.z_dim, generate)


def numbered_z(seed: int, count: int, z_dim: int, first: int = 0) -> np.ndarray:
    """Returns z of the images `first` ... of a seed, float32 of shape (count, z_dim)."""
    numbers = tf.range(first, first + count, dtype=tf.int64)
    return draw_z(tf.constant(seed, tf.int64), numbers, z_dim).numpy()


def numbers(text: str) -> tuple[int, ...]:
    """Returns comma-separated numbers of images (argparse `type`)."""
    return tuple(cli.non_negative_int(part) for part in text.split(","))


def in_turn(count: int, classes: int) -> np.ndarray:
    """Returns the labels 0, 1, 2, ... and again 0, of shape (count,)."""
    return np.arange(count) % max(1, classes)


def fixed_inputs(
    flags: argparse.Namespace, count: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the z and labels with which a training shows and measures its progress."""
    return numbered_z(flags.seed, count, flags.z_dim), in_turn(count, classes)


def choose_labels(run: Run, label: str | None, count: int) -> np.ndarray:
    """Returns labels of shape (count,): the given one, by name or number, or all in turn.

    Raises:
        UserError: there is no such label, or the run has none.
    """
    if label is None:
        return in_turn(count, len(run.names))
    if not run.names:
        raise UserError(f"--label {label}, but this run was trained without labels",
                        "omit it, or train with --conditional")
    if label in run.names:
        return np.full(count, run.names.index(label))
    if not label.isdecimal() or int(label) >= len(run.names):
        raise UserError(f"--label {label} is none of {', '.join(run.names)}",
                        f"give one of them, or a number from 0 to {len(run.names) - 1}")
    return np.full(count, int(label))
