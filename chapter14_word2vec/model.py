"""Word vectors: skip-gram and CBOW, trained by noise-contrastive estimation (NCE).

Skip-gram and CBOW: Mikolov et al. 2013a, arXiv:1301.3781. NCE: Gutmann & Hyvärinen 2010, for
words Mnih & Kavukcuoglu 2013. A softmax over the vocabulary would update every row at every step.
NCE trains a binary classifier instead: does a word come from the text or from a noise distribution?
It is asked for the true word and a few sampled noise words, so that a step updates only their rows.
"""

import math

import tensorflow as tf


class Word2Vec(tf.Module):
    """An input embedding, an output embedding and an output bias per word.

    With the book's 50,000 words and 128 dimensions it has 12,850,000 parameters.
    """

    def __init__(
        self, vocabulary_size: int, embedding_size: int, seed: int = 0, small: bool = False
    ):
        """Draws the initial weights.

        Args:
            vocabulary_size: number of words, UNK included.
            embedding_size: embedding dimension.
            seed: determines the initial weights.
            small: initialize as word2vec.c does: input embeddings uniform in ±0.5 / embedding_size,
                output embeddings 0, so that rare words, which get few updates, keep little of
                their random start. False: initialize as the book does.
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
        """Returns the embeddings of words, or for CBOW their mean over each row of words.

        Args:
            inputs: int32 of shape (batch,) or (batch, words).

        Returns:
            float32 of shape (batch, embedding_size).
        """
        vectors = tf.gather(self.embeddings, inputs)
        return tf.reduce_mean(vectors, axis=1) if inputs.shape.rank == 2 else vectors


def noise_probability(words: tf.Tensor, vocabulary_size: int) -> tf.Tensor:
    """Returns P(k) = ln((k + 2) / (k + 1)) / ln(V + 1), approximately Zipf's law by rank."""
    k = tf.cast(words, tf.float64)
    return tf.math.log((k + 2) / (k + 1)) / math.log(vocabulary_size + 1)


def sample_noise(
    key: tf.Tensor, num_sampled: int, vocabulary_size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws distinct words from the log-uniform distribution.

    TensorFlow's own sampler does the same, but its random state cannot be saved in a checkpoint.

    Args:
        key: random key, int64 of shape (2,); the same key gives the same words.
        num_sampled: number of words, at most `vocabulary_size`.
        vocabulary_size: words are drawn from [0, vocabulary_size).

    Returns:
        The words in the order drawn, int32 of shape (num_sampled,), and the number of draws that
        it took to get that many distinct words, an int32 scalar.
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
        # Inverse transform sampling: the distribution function is ln(k + 1) / ln(V + 1).
        drawn = tf.cast(tf.exp(uniform * math.log(vocabulary_size + 1)), tf.int32) - 1
        draws = tf.concat([draws, tf.minimum(drawn, vocabulary_size - 1)], axis=0)
        words, places = tf.unique(draws)  # both in the order drawn
        block += 1
    last = tf.argmax(tf.cast(tf.equal(places, num_sampled - 1), tf.int32), output_type=tf.int32)
    return tf.ensure_shape(words[:num_sampled], [num_sampled]), last + 1


def expected_count(words: tf.Tensor, tries: tf.Tensor, vocabulary_size: int) -> tf.Tensor:
    """Returns the probability that a word is among the distinct words of `tries` draws.

    This is 1 - (1 - P)^tries, float32 of the shape of `words`, computed without rounding to 0.
    """
    probability = noise_probability(words, vocabulary_size)
    draws = tf.cast(tries, tf.float64)
    return tf.cast(-tf.math.expm1(draws * tf.math.log1p(-probability)), tf.float32)


def nce_loss(
    model: Word2Vec, hidden: tf.Tensor, labels: tf.Tensor, noise: tf.Tensor, tries: tf.Tensor
) -> tf.Tensor:
    """Returns the NCE loss of each example, in nats (`tf.nn.nce_loss` written out).

    The probability that a word w comes from the text is σ(score - ln E(w)), where E(w) is its
    expected count in the noise. All examples of a batch share the noise words. A noise word that
    equals the label is not removed.

    Args:
        model: holds the output embeddings and biases.
        hidden: float32 of shape (batch, embedding_size).
        labels: the true words, int32 of shape (batch,).
        noise: the noise words, int32 of shape (num_sampled,).
        tries: the number of draws for the noise words, see `sample_noise`.

    Returns:
        float32 of shape (batch,).
    """
    words = tf.concat([labels, noise], axis=0)  # one lookup, so one sparse gradient per variable
    batch_size = tf.size(labels)
    vocabulary_size = model.nce_biases.shape[0]
    weights = tf.gather(model.nce_weights, words)
    offsets = tf.gather(model.nce_biases, words)
    offsets -= tf.math.log(expected_count(words, tries, vocabulary_size))
    true_logits = tf.reduce_sum(hidden * weights[:batch_size], axis=1) + offsets[:batch_size]
    noise_logits = tf.matmul(hidden, weights[batch_size:], transpose_b=True)
    noise_logits += offsets[batch_size:]  # (batch, num_sampled)
    return tf.nn.softplus(-true_logits) + tf.reduce_sum(tf.nn.softplus(noise_logits), axis=1)
