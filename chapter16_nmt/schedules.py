"""Learning rates by step."""

import argparse

import keras
import tensorflow as tf


class Decay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant learning rate, from some step on multiplied by a factor at fixed distances."""

    def __init__(self, rate: float, warmup_steps: int, start: int, distance: int, factor: float):
        """Sets the schedule.

        Args:
            rate: learning rate before the first decay.
            warmup_steps: in which it rises linearly from 0.
            start: steps before the first distance begins.
            distance: steps between two decays.
            factor: of the learning rate at each decay.
        """
        self.rate, self.warmup_steps, self.start = rate, warmup_steps, start
        self.distance, self.factor = distance, factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns rate · factor^floor((step − start) / distance), times (step + 1) / warmup."""
        step = tf.cast(step, tf.float32)
        decays = tf.maximum(0.0, tf.floor((step - self.start) / self.distance))
        rate = self.rate * self.factor**decays
        return rate * tf.minimum(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else rate


def learning_rate(args: argparse.Namespace) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate that the flags name, as a function of the step."""
    if args.schedule == "decay":
        return Decay(args.learning_rate, args.warmup_steps, args.start_decay_step,
                     args.decay_steps, args.decay_factor)
    warmup = min(args.warmup_steps, args.max_steps - 1)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else args.learning_rate, args.max_steps - warmup,
        warmup_target=args.learning_rate if warmup else None, warmup_steps=warmup)
