"""Word vectors: skip-gram and CBOW, trained by noise-contrastive estimation (NCE).

Skip-gram and CBOW: Mikolov et al. 2013a, arXiv:1301.3781. NCE: Gutmann & Hyvärinen 2010, for
words Mnih & Kavukcuoglu 2013. A softmax over the vocabulary would touch every word at every step;
NCE asks only whether a word comes from the text or from a noise distribution, for the true word
and a few drawn ones, so that a step touches the rows of its own words and no others.
"""

import math

import tensorflow as tf


class Word2Vec(tf.Module):
    """Two vectors a word, one as input and one as output, and a bias.

    With 50,000 words and 128 numbers each, the book's sizes, 12,850,000 parameters.
    """

    def __init__(
        self, vocabulary_size: int, embedding_size: int, seed: int = 0, small: bool = False
    ):
        """Draws the first values.

        Args:
            vocabulary_size: words.
            embedding_size: numbers a vector.
            seed: decides the first values.
            small: as word2vec.c does, from ±1/2 / embedding_size and zeros for the output; rare
                words, which learn little, then keep little of them. False: as the book does.
        """
        super().__init__()
        shape = (vocabulary_size, embedding_size)
        bound = 0.5 / embedding_size if small else 1.0
        self.embeddings = tf.Variable(tf.random.stateless_uniform(shape, (seed, 0), -bound, bound))
        self.nce_weights = tf.Variable(tf.zeros(shape) if small else (
            tf.random.stateless_truncated_normal(
                shape, (seed, 1), stddev=1 / math.sqrt(embedding_size))))
        self.nce_biases = tf.Variable(tf.zeros(vocabulary_size))

    def hidden(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of words, or for CBOW the mean over each row of words.

        Args:
            inputs: int32 of shape (batch,) or (batch, words).

        Returns:
            float32 of shape (batch, embedding_size).
        """
        vectors = tf.gather(self.embeddings, inputs)
        return tf.reduce_mean(vectors, axis=1) if inputs.shape.rank == 2 else vectors


def noise_probability(words: tf.Tensor, vocabulary_size: int) -> tf.Tensor:
    """Returns P(k) = ln((k + 2) / (k + 1)) / ln(V + 1), about Zipf's law for words by rank."""
    k = tf.cast(words, tf.float64)
    return tf.math.log((k + 2) / (k + 1)) / math.log(vocabulary_size + 1)


def sample_noise(
    key: tf.Tensor, num_sampled: int, vocabulary_size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws different words from the log-uniform distribution.

    TensorFlow's own sampler draws in the same way, but from a state that no checkpoint holds.

    Args:
        key: int64 of shape (2,): the same key gives the same words.
        num_sampled: how many, at most `vocabulary_size`.
        vocabulary_size: words are drawn from [0, vocabulary_size).

    Returns:
        int32 of shape (num_sampled,) in the order they came up, and how many draws it took until
        they were different, an int32 scalar.
    """
    draws = tf.zeros([0], tf.int32)
    words, places = tf.unique(draws)
    block = 0
    while tf.size(words) < num_sampled:
        tf.autograph.experimental.set_loop_options(shape_invariants=[
            (draws, tf.TensorShape([None])), (words, tf.TensorShape([None])),
            (places, tf.TensorShape([None]))])
        block_key = tf.random.experimental.stateless_fold_in(key, block)
        uniform = tf.random.stateless_uniform([2 * num_sampled], block_key, dtype=tf.float64)
        # The inverse of the distribution function ln(k + 1) / ln(V + 1).
        drawn = tf.cast(tf.exp(uniform * math.log(vocabulary_size + 1)), tf.int32) - 1
        draws = tf.concat([draws, tf.minimum(drawn, vocabulary_size - 1)], axis=0)
        words, places = tf.unique(draws)  # both in the order of the draws
        block += 1
    last = tf.argmax(tf.cast(tf.equal(places, num_sampled - 1), tf.int32), output_type=tf.int32)
    return tf.ensure_shape(words[:num_sampled], [num_sampled]), last + 1


def expected_count(words: tf.Tensor, tries: tf.Tensor, vocabulary_size: int) -> tf.Tensor:
    """Returns the probability that a word is among the different ones of `tries` draws.

    1 - (1 - P)^tries, in float32 of the shape of `words`; written so that it does not round to 0.
    """
    probability = noise_probability(words, vocabulary_size)
    draws = tf.cast(tries, tf.float64)
    return tf.cast(-tf.math.expm1(draws * tf.math.log1p(-probability)), tf.float32)


def nce_loss(
    model: Word2Vec, hidden: tf.Tensor, labels: tf.Tensor, noise: tf.Tensor, tries: tf.Tensor
) -> tf.Tensor:
    """Returns the NCE loss of each example, in nats (`tf.nn.nce_loss` written out).

    The chance that a word w comes from the text is σ(score - ln E(w)), where E(w) is how often
    the noise gives it. All examples of a batch share the noise words; one that happens to be the
    label stays.

    Args:
        model: holds the output vectors and biases.
        hidden: float32 of shape (batch, embedding_size).
        labels: the true words, int32 of shape (batch,).
        noise: the noise words, int32 of shape (num_sampled,).
        tries: draws that they took, see `sample_noise`.

    Returns:
        float32 of shape (batch,).
    """
    words = tf.concat([labels, noise], axis=0)  # looked up at once: one sparse gradient each
    batch_size = tf.size(labels)
    vocabulary_size = model.nce_biases.shape[0]
    weights = tf.gather(model.nce_weights, words)
    offsets = tf.gather(model.nce_biases, words)
    offsets -= tf.math.log(expected_count(words, tries, vocabulary_size))
    true_logits = tf.reduce_sum(hidden * weights[:batch_size], axis=1) + offsets[:batch_size]
    noise_logits = tf.matmul(hidden, weights[batch_size:], transpose_b=True)
    noise_logits += offsets[batch_size:]  # (batch, num_sampled)
    return tf.nn.softplus(-true_logits) + tf.reduce_sum(tf.nn.softplus(noise_logits), axis=1)
