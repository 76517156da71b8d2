"""What both training loops share: the learning rate, the averages, sheets and scores."""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from chapter11_cyclegan import data
from chapter11_cyclegan.health import Watch
from chapter11_cyclegan.inference import GENERATORS, directions_of, make_predict
from chapter11_cyclegan.judge import Judge, check_enough, open_judge
from common import averages, images, kernel_distance
from common.checkpoint import TrainState
from common.monitor import Monitor

SEEN = 100  # training images of each domain that are translated at each evaluation
ON_SHEET = 6
EPSILON = 1e-8  # of Adam, as in TensorFlow 1


class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate for half of the steps, which then falls linearly to 0 (book's code)."""

    def __init__(self, rate: float, max_steps: int):
        """Stores the rate and the number of steps in all."""
        self.rate, self.max_steps = rate, max_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of a step, counted from 0."""
        left = (self.max_steps - tf.cast(step, tf.float32)) / (self.max_steps / 2)
        return self.rate * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self) -> dict[str, float]:
        """Returns the arguments."""
        return {"rate": self.rate, "max_steps": self.max_steps}


def make_optimizer(args: argparse.Namespace) -> keras.Optimizer:
    """Returns Adam with the rate, the schedule and the beta1 of the flags."""
    rate = args.learning_rate
    if args.schedule == "linear":
        rate = LinearDecay(rate, args.max_steps)
    return keras.optimizers.Adam(rate, args.beta1, epsilon=EPSILON)


def make_averaging(
    generators: dict[str, keras.Model], averaged: dict[str, keras.Model], decay: float
) -> Callable[[tf.Variable], None]:
    """Returns a function of the step that moves the averages of the weights of the generators."""
    @tf.function
    def update(step: tf.Variable) -> None:
        for network, average in zip(generators.values(), averaged.values(), strict=True):
            averages.update(average.weights, network.weights, step, decay)

    return update


class Probe(NamedTuple):
    """What each evaluation of a training translates.

    Attributes:
        pictures: training images of X and of Y, uint8 of shape (count, size, size, 3).
        judge: of `--judge`, or None.
    """

    pictures: list[np.ndarray]
    judge: Judge | None


def open_probe(args: argparse.Namespace, train: data.Split) -> Probe:
    """Reads the images and the network of `--judge`, before a run folder is made.

    Raises:
        UserError: the file cannot be used, or there are too few images.
    """
    pictures = [data.read_all(domain, args.image_size, SEEN)[1] for domain in train]
    if args.judge:
        check_enough(min(map(len, pictures)))
    return Probe(pictures, open_judge(args.judge) if args.judge else None)


def make_measure(
    args: argparse.Namespace, generators: dict[str, keras.Model], probe: Probe,
    state: TrainState, monitor: Monitor, watch: Watch,
) -> Callable[[int], dict[str, float]]:
    """Returns a function of the step that translates training images, always the same.

    It draws a sheet (images, translations, and back again, for both domains), logs scores, and with
    `--judge` keeps the weights of the lowest kernel distance. There are no targets that the
    generators could have learnt by heart.

    Args:
        args: flags of the run.
        generators: whose weights are measured, G and F.
        probe: of `open_probe`.
        state: of the run.
        monitor: of the run.
        watch: warns of trouble.
    """
    pictures, judge = probe
    inputs = [data.scale(part) for part in pictures]
    directions = directions_of(args)
    translators = {direction: make_predict(network) for direction, network in
                   zip(directions, generators.values(), strict=True)}
    # The targets of G are images of Y, those of F images of X.
    compare = [kernel_distance.make_estimates(judge(part))
               for part in reversed(pictures)] if judge else []

    def measure(step: int) -> dict[str, float]:
        scores: dict[str, float] = {}
        rows: dict[str, np.ndarray] = {}
        for direction, there in translators.items():
            i = list(GENERATORS).index(direction)
            made = there(inputs[i])
            found = watch.translations(step, GENERATORS[direction], inputs[i], made)
            found["change_l1"] = float(np.abs(made - inputs[i]).mean())
            if judge:
                found["kid"] = float(compare[i](judge(data.to_uint8(made)))[0])
            scores |= {f"{direction}/{name}": value for name, value in found.items()}
            name = direction[0]  # the original's names of pictures
            rows |= {f"{name}/_input": inputs[i], f"{name}/generated": made}
            for back in (other for key, other in translators.items() if key != direction):
                rows[f"{name}/reconstruction"] = back(made[:ON_SHEET])
        monitor.scalars(step, scores, "val")
        count = min(ON_SHEET, *map(len, inputs))
        shown = {name: data.to_uint8(row[:count]) for name, row in rows.items()}
        for name, row in shown.items():
            monitor.images(step, name, row, "val")
        images.write_png(args.run_dir / "samples" / f"{step:07d}.png",
                         images.grid(np.concatenate(list(shown.values())), count))
        if judge:
            state.save_if_best(sum(scores[f"{direction}/kid"] for direction in directions))
        return scores

    return measure
