"""The convolution layer: one image as two halves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from common import convolution
from common.convolution import SplitConv2D


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
@pytest.mark.parametrize("side", [(16, 18), (13, 12), (7, 7), (4, 5)])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [
    (3, 1, "valid"), (3, 1, "same"), (3, 2, "same"), (4, 1, "same"), (4, 2, "same"),
    (4, 3, "valid"), ((2, 4), (1, 2), "same"), ((4, 1), (2, 1), "valid")])
def test_a_convolution_in_halves_is_that_of_keras(side, kernel, stride, padding, monkeypatch):
    halves, calls = convolution.convolve_halves, []
    monkeypatch.setattr(convolution, "convolve_halves",
                        lambda *given: calls.append(given) or halves(*given))
    ours = SplitConv2D(5, kernel, stride, padding, bias_initializer="ones")
    theirs = keras.layers.Conv2D(5, kernel, stride, padding)
    found = []
    image = tf.constant(np.random.default_rng(0).normal(size=(1, *side, 3)), tf.float32)
    for layer in (ours, theirs):
        layer.build(image.shape)
        layer.set_weights(ours.get_weights())
        with tf.GradientTape() as tape:
            tape.watch(image)
            output = layer(image)
            loss = tf.reduce_sum(output**2)
        found.append([output, *tape.gradient(loss, [image, *layer.trainable_variables])])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)
    assert len(calls) == 1
    # Of any size, of one pixel too; a batch is not split.
    any_size = tf.function(ours, input_signature=[tf.TensorSpec((1, None, None, 3))])
    np.testing.assert_allclose(any_size(image), found[0][0], rtol=1e-4, atol=1e-4)
    if padding == "same":
        np.testing.assert_allclose(any_size(image[:, :1, :1]), theirs(image[:, :1, :1]), rtol=1e-4,
                                   atol=1e-4)
    two_images = tf.concat([image, image[:, ::-1]], axis=0)
    calls.clear()
    np.testing.assert_allclose(ours(two_images)[:1], found[0][0], rtol=1e-4, atol=1e-4)
    assert not calls
