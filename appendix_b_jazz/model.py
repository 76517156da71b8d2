"""The network: an LSTM and a softmax, as a training model of a window and as a model of a step."""

from typing import NamedTuple

import keras
import tensorflow as tf


class Improviser(NamedTuple):
    """Two models of the same layers, and so of the same weights.

    `training` maps one-hot windows (batch, steps, values), of 30 steps in the source, and the first
    states a and c, each (batch, size), to logits (batch, steps, values). `step` maps a one-hot
    value (batch, 1, values) and states to logits (batch, values) and the next states.
    """

    training: keras.Model
    step: keras.Model
    size: int
    num_values: int


def build_model(
    num_values: int, size: int = 64, dropout: float = 0.0, seed: int = 0
) -> Improviser:
    """Builds the network of the source: an LSTM of 64 units, softmax at each step."""
    keras.utils.set_random_seed(seed)
    lstm = keras.layers.LSTM(size, return_sequences=True, return_state=True)
    drop = keras.layers.Dropout(dropout, seed=seed)
    dense = keras.layers.Dense(num_values)
    states = [keras.Input((size,), name=name) for name in ("a", "c")]
    x = keras.Input((None, num_values), name="window")
    outputs, *_ = lstm(x, initial_state=states)
    training = keras.Model([x, *states], dense(drop(outputs)))
    x = keras.Input((1, num_values), name="value")
    outputs, *ends = lstm(x, initial_state=states)
    step = keras.Model([x, *states], [dense(outputs[:, 0]), *ends])
    return Improviser(training, step, size, num_values)


def window_loss(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns the mean cross-entropy in nats of targets (batch, steps)."""
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits))


def improvise(
    model: Improviser, first: tf.Tensor, length: tf.Tensor, temperature: tf.Tensor,
    seed: tf.Tensor, forbidden: int,
) -> tf.Tensor:
    """Samples values: each is the next input.

    Args:
        model: the network.
        first: int32, the value before the first.
        length: int32, number of values.
        temperature: 0 takes the most probable value, as the source does.
        seed: int32, of the sampling.
        forbidden: a value that is never taken, the unknown one.

    Returns:
        int32 of shape (length,).
    """
    a = c = tf.zeros((1, model.size))
    value, values = first, tf.TensorArray(tf.int32, size=length)
    allowed = tf.range(model.num_values) != forbidden
    for position in tf.range(length):
        x = tf.one_hot(value, model.num_values)[None, None]
        logits, a, c = model.step([x, a, c], training=False)
        logits = tf.where(allowed, logits[0], -float("inf"))
        drawn = tf.random.stateless_categorical(
            logits[None] / tf.maximum(temperature, 1e-6), 1, tf.stack([seed, position]),
            tf.int32)[0, 0]
        value = tf.where(temperature > 0, drawn, tf.argmax(logits, output_type=tf.int32))
        values = values.write(position, value)
    return values.stack()
