"""Losses of generator and discriminator (book, section 8.1).

Logits have the shape (batch, 1); a discriminator's probability that an image is real is
sigmoid(logits).
"""

import tensorflow as tf


def mean_cross_entropy(logits: tf.Tensor, target: float) -> tf.Tensor:
    """Returns the mean binary cross-entropy of logits with the same target for all images."""
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(
        labels=target * tf.ones_like(logits), logits=logits))


def d_losses(real: tf.Tensor, fake: tf.Tensor, kind: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the two parts of the discriminator's loss.

    Args:
        real: logits of real images.
        fake: logits of generated images.
        kind: "gan", the cross-entropy of Goodfellow et al. (2014), 2 ln 2 at logits of 0; or
            "hinge" (Lim & Ye 2017), which stops at a margin of 1.

    Returns:
        The losses of the real and of the generated images.
    """
    if kind == "hinge":
        return tf.reduce_mean(tf.nn.relu(1 - real)), tf.reduce_mean(tf.nn.relu(1 + fake))
    return mean_cross_entropy(real, 1.0), mean_cross_entropy(fake, 0.0)


def g_loss(fake: tf.Tensor, kind: str) -> tf.Tensor:
    """Computes the generator's loss.

    With "gan" it is -log D(G(z)), which does not saturate, not log(1 - D(G(z))) of the minimax
    game: that one has almost no gradient while the discriminator wins.
    """
    return -tf.reduce_mean(fake) if kind == "hinge" else mean_cross_entropy(fake, 1.0)


def gradient_penalty(gradients: tf.Tensor) -> tf.Tensor:
    """Computes R1 (Mescheder et al. 2018), halved: the mean of |dD/dx|² over real images.

    Args:
        gradients: of the sum of the logits, by the images: (batch, height, width, channels).
    """
    return 0.5 * tf.reduce_mean(tf.reduce_sum(gradients**2, axis=(1, 2, 3)))
