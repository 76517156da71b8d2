"""The losses of CycleGAN, as pure functions of a discriminator's outputs and of images.

The adversarial losses are those of the original: least squares (Mao et al. 2017) with .9 in the
place of 1 for real images, or the cross-entropy, halved. The original takes the logarithm of
probabilities, with 1e-12 added; from logits the same loss is exact.
"""

import tensorflow as tf

REAL = 0.9  # what D is to answer to a real image, in least squares


def discriminator_loss(real: tf.Tensor, fake: tf.Tensor, least_squares: bool = True) -> tf.Tensor:
    """Computes the loss of a discriminator.

    Args:
        real: its outputs for real images, of shape (batch, height, width, 1).
        fake: its outputs for translated images, of the same shape.
        least_squares: whether outputs are answers, or logits.

    Returns:
        A scalar. Least squares: .2025 if D answers .45 everywhere, the best it can if it cannot
        tell the images apart. Cross-entropy: ln 2 = .693 at logits of 0.
    """
    if least_squares:
        loss = tf.reduce_mean(tf.square(real - REAL)) + tf.reduce_mean(tf.square(fake))
    else:
        loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
    return loss / 2


def generator_loss(fake: tf.Tensor, least_squares: bool = True) -> tf.Tensor:
    """Computes the loss of a generator whose images are to be taken for real.

    Returns:
        A scalar. Least squares: 0 if D answers .9 everywhere. Cross-entropy: ln 2 / 2 = .347 at
        logits of 0.
    """
    if least_squares:
        return tf.reduce_mean(tf.square(fake - REAL))
    return tf.reduce_mean(tf.nn.softplus(-fake)) / 2


def cycle_loss(
    x: tf.Tensor, back_x: tf.Tensor, y: tf.Tensor, back_y: tf.Tensor, lambda1: float,
    lambda2: float,
) -> tf.Tensor:
    """Computes λ1 · mean |F(G(x)) - x| + λ2 · mean |G(F(y)) - y| (equation 2 of the paper).

    Args:
        x: images of the first domain, in [-1, 1].
        back_x: F(G(x)).
        y: images of the second domain.
        back_y: G(F(y)).
        lambda1: weight of the cycle X → Y → X.
        lambda2: weight of the cycle Y → X → Y.
    """
    return lambda1 * mean_difference(back_x, x) + lambda2 * mean_difference(back_y, y)


def mean_difference(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Computes the mean absolute difference."""
    return tf.reduce_mean(tf.abs(a - b))
