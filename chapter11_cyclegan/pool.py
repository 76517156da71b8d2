"""The pool of earlier images that a discriminator sees (Shrivastava et al. 2017).

A discriminator that sees only the newest images forgets what it held against earlier ones, and the
training oscillates.
"""

import tensorflow as tf


class ImagePool(tf.Module):
    """Keeps up to `size` images; a checkpoint holds them, so that a run resumes bit for bit."""

    def __init__(self, size: int, shape: tuple[int, int, int]):
        """Creates an empty pool.

        Args:
            size: number of images; 0: none are kept.
            shape: (height, width, channels) of an image.
        """
        super().__init__()
        self.size = size
        self.images = tf.Variable(tf.zeros((max(size, 1), *shape)), trainable=False)
        self.count = tf.Variable(0, dtype=tf.int32, trainable=False)

    def query(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns as many images: new ones until the pool is full, then about half old ones.

        With a probability of one half an image is exchanged for one of the pool, drawn at random.

        Args:
            images: new ones, of shape (batch, height, width, channels).
            seed: of the random numbers, int64 of shape (2,).
        """
        if not self.size:
            return images
        draws = tf.random.stateless_uniform((len(images), 2), seed)
        return tf.stack([self._one(image, draws[i]) for i, image in enumerate(tf.unstack(images))])

    def _one(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Returns an image for a new one, by two random numbers in [0, 1)."""
        full = self.count >= self.size
        drawn = tf.cast(draws[1] * self.size, tf.int32)
        place = tf.where(full, drawn, self.count)
        kept, exchanged = tf.gather(self.images, place), full & (draws[0] > 0.5)
        stored = tf.where(~full | exchanged, image, kept)
        self.images.scatter_update(tf.IndexedSlices(stored, place))
        self.count.assign(tf.minimum(self.count + 1, self.size))
        return tf.where(exchanged, kept, image)
