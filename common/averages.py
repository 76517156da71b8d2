"""Moving averages of weights: a copy of a network that follows it slowly, and is evaluated.

The average of the last weights of a training is better than the last ones (Polyak and Juditsky
1992).
"""

from collections.abc import Sequence

import keras
import tensorflow as tf


def copy(network: keras.Model) -> keras.Model:
    """Returns a copy of a network with the same weights."""
    copied = keras.models.clone_model(network)
    copied.set_weights(network.get_weights())
    return copied


def update(
    averages: Sequence[keras.Variable], variables: Sequence[keras.Variable], step: tf.Tensor,
    decay: float,
) -> None:
    """Moves averages towards variables: average ← keep · average + (1 - keep) · variable.

    `keep` is `decay`, and at step n at most (1 + n) / (10 + n), as TensorFlow 1's, so that random
    initial weights are soon forgotten.

    Args:
        averages: what is moved.
        variables: of the same shapes, in the same order.
        step: number of the step, from 0.
        decay: from 0 to below 1.
    """
    step = tf.cast(step, tf.float32)
    keep = tf.minimum(decay, (1 + step) / (10 + step))
    for average, variable in zip(averages, variables, strict=True):
        average.assign(average + (1 - keep) * (variable - average))
