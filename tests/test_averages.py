"""Moving averages of weights."""

import keras
import numpy as np
import tensorflow as tf

from common import averages


def test_a_copy_has_the_same_weights_and_is_independent():
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    copied = averages.copy(network)
    before = copied.get_weights()
    assert np.array_equal(before[0], network.get_weights()[0])
    network.weights[0].assign_add(tf.ones((3, 2)))
    assert np.array_equal(copied.get_weights()[0], before[0])


def test_averages_begin_fast_and_then_follow_slowly():
    average, variable = tf.Variable(0.0), tf.Variable(1.0)
    averages.update([average], [variable], tf.constant(0, tf.int64), 0.9999)
    assert np.isclose(average, 0.9)  # keeps (1 + 0) / (10 + 0)
    averages.update([average], [variable], tf.constant(10**6, tf.int64), 0.75)
    assert np.isclose(average, 0.75 * 0.9 + 0.25)
