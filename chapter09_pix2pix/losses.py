"""The losses of pix2pix, as pure functions of logits and images.

The original takes the logarithm of probabilities, with 1e-12 added; from logits the same loss is
exact, and its gradient does not vanish where a probability is rounded to 0 or 1.
"""

import tensorflow as tf


def discriminator_loss(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Computes the mean of -(log D(real) + log(1 - D(fake))) over all patches.

    Args:
        real_logits: logits of the pairs (input, target), of shape (batch, height, width, 1).
        fake_logits: logits of the pairs (input, output), of the same shape.

    Returns:
        A scalar; 2 ln 2 = 1.386 if D is .5 everywhere.
    """
    return tf.reduce_mean(tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits))


def generator_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """Computes the mean of -log D(fake) over all patches; ln 2 = .693 if D is .5 everywhere."""
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def pixel_loss(outputs: tf.Tensor, targets: tf.Tensor, kind: str) -> tf.Tensor:
    """Computes the mean absolute ("l1") or squared ("l2") difference, images in [-1, 1]."""
    difference = targets - outputs
    return tf.reduce_mean(tf.abs(difference) if kind == "l1" else tf.square(difference))
