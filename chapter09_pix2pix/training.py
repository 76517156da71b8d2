"""What surrounds the loop of train.py: averages of the weights, validation, signs of trouble."""

import argparse
import sys
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from chapter09_pix2pix import data
from chapter09_pix2pix.data import Data
from chapter09_pix2pix.inference import make_predict
from chapter09_pix2pix.model import BatchNormalization
from common import averages, image_metrics, images
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor

SHOWN = 8  # pairs of a sample sheet
MAX_VALIDATION = 100  # pairs
WARM_UP = 100  # steps before outputs of one colour are a sign of trouble
ONE_COLOUR = 2e-3  # standard deviation of the outputs within an image, of [-1, 1]
WON = 0.03  # loss of a discriminator that tells all pairs apart


def make_averaging(
    generator: keras.Model, averaged: keras.Model, decay: float
) -> Callable[[tf.Variable, tf.Tensor], None]:
    """Returns a function that moves the averages of the trainable weights after each step.

    Batch normalization needs statistics of what the averaged weights make of the inputs: these pass
    through them too.
    """
    normalized = any(isinstance(layer, BatchNormalization) for layer in averaged.layers)

    @tf.function
    def update(step: tf.Variable, inputs: tf.Tensor) -> None:
        averages.update(averaged.trainable_variables, generator.trainable_variables, step, decay)
        if normalized:
            averaged(inputs, training=True)

    return update


def spread(outputs: tf.Tensor) -> tf.Tensor:
    """Returns the standard deviation of outputs within each image, averaged."""
    return tf.reduce_mean(tf.math.reduce_std(outputs, axis=(1, 2)))


def check_health(
    step: int, logged: Mapping[str, tf.Tensor], args: argparse.Namespace, told: set[str]
) -> None:
    """Stops on outputs of one colour; warns once of a discriminator that has won.

    Args:
        step: of training.
        logged: what the train step returns.
        args: flags of the run.
        told: the warnings that were given; extended.

    Raises:
        UserError: all outputs are of one colour. In colouring this is a warning, because grey is
            where colours begin.
    """
    def warn(what: str) -> None:
        if what not in told:
            told.add(what)
            print(f"warning: step {step}: {what}", file=sys.stderr)

    if step > WARM_UP and float(logged["output_spread"]) < ONE_COLOUR:
        if not args.lab_colorization:
            raise UserError(
                f"the outputs are of one colour at step {step}",
                "start a new run with a lower --learning_rate, or a higher --l1_weight")
        warn("the outputs are of one colour: if they stay so, lower --learning_rate")
    if step > WARM_UP and float(logged.get("discriminator_loss", 1.0)) < WON:
        warn("the discriminator tells all pairs apart, and teaches the generator nothing: lower "
             "--ndf, take a smaller --netD, or raise --l1_weight")


def make_validate(
    args: argparse.Namespace, generator: keras.Model, found: Data, state: TrainState,
    monitor: Monitor,
) -> Callable[[int], dict[str, float]]:
    """Returns a function that evaluates the validation pairs, and keeps the best weights.

    It keeps none if `--select` is none, or if they would be chosen on the test pairs. It also draws
    a sheet: inputs, outputs and targets of the same pairs each time.

    Args:
        args: flags of the run.
        generator: whose weights are evaluated.
        found: the data set.
        state: of the run.
        monitor: of the run.
    """
    predict = make_predict(generator, args)
    inputs, targets = data.read_some(found.validation, args, MAX_VALIDATION)
    shown, wanted = data.show_inputs(inputs, args), data.to_rgb(inputs, targets, args)

    def validate(step: int) -> dict[str, float]:
        made = data.to_rgb(inputs, predict(inputs), args)
        scores = {name: float(values.mean())
                  for name, values in image_metrics.score(made, wanted).items()}
        monitor.scalars(step, scores, "val")
        if args.select != "none" and not found.validation_is_test:
            state.save_if_best(scores[args.select], highest=args.select != "l1")
        rows = {"inputs": shown, "outputs": made, "targets": wanted}
        for name, pictures in rows.items():
            monitor.images(step, name, np.uint8(pictures[:SHOWN].round()), "val")
        sheet = np.uint8(np.concatenate([pictures[:SHOWN] for pictures in rows.values()]).round())
        images.write_png(args.run_dir / "samples" / f"{step:07d}.png",
                         images.grid(sheet, min(SHOWN, len(inputs))))
        return scores

    return validate
