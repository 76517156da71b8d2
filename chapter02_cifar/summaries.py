"""What the original draws in TensorBoard besides numbers: activations, weights, gradients."""

import keras
import tensorflow as tf

from chapter02_cifar.augmentations import stretch
from common.monitor import Monitor

LAYERS = keras.layers.Conv2D, keras.layers.Dense, keras.layers.ReLU


def write(
    monitor: Monitor, step: int, model: keras.Model, images: tf.Tensor, labels: tf.Tensor
) -> None:
    """Writes histograms for one batch to TensorBoard, under the original's tags.

    Of each layer `<layer>/activations`, and as `<layer>/sparsity` the share of them that is 0; of
    each variable its values and, as `<variable>/gradients`, the gradient of the cross-entropy.

    Args:
        monitor: of the run.
        step: of the model.
        model: one of the networks of model.py.
        images: float32 of shape (count, size, size, 3), standardised.
        labels: int64 of shape (count,).
    """
    layers = [layer for layer in model.layers if isinstance(layer, LAYERS)]
    network = keras.Model(model.inputs, [layer.output for layer in layers])
    with tf.GradientTape() as tape:
        activations = tf.nest.flatten(network(images, training=False))
        logits = tf.cast(activations[-1], tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, model.trainable_variables)
    with monitor.writer("train").as_default(step):
        tf.summary.image("images", stretch(images[:4]), max_outputs=4)
        for layer, values in zip(layers, activations, strict=True):
            tf.summary.histogram(f"{layer.name}/activations", values)
            tf.summary.scalar(f"{layer.name}/sparsity", tf.math.zero_fraction(values))
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            tf.summary.histogram(variable.path, variable)
            tf.summary.histogram(f"{variable.path}/gradients", gradient)
