"""The search for translations in a graph: greedy, by beam, or by sampling."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from chapter16_nmt import beam_search
from chapter16_nmt.corpus import END_ID, START_ID


def gumbel(size: tf.Tensor, numbers: tf.Tensor, time: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws noise for logits, whose most probable token is then a sample (Gumbel 1954).

    It depends on the seed, on the number of the sentence and on that of the token, and so not on
    the other sentences of the batch.

    Args:
        size: of the vocabulary.
        numbers: of the sentences, of shape (rows,).
        time: number of the token.
        seed: of the samples.

    Returns:
        Noise of shape (rows, size).
    """
    def of_sentence(number: tf.Tensor) -> tf.Tensor:
        fold_in = tf.random.experimental.stateless_fold_in
        key = fold_in(fold_in(tf.stack([seed, 0]), number), time)
        return tf.random.stateless_uniform(size[None], key, minval=1e-20)

    uniform = tf.map_fn(of_sentence, numbers, fn_output_signature=tf.float32)
    return -tf.math.log(-tf.math.log(uniform))


def make_search(
    model: keras.Model, attention: bool, sampling: bool
) -> Callable[..., beam_search.Sequences]:
    """Returns the search.

    Args:
        model: the network.
        attention: whether the attention weights are kept.
        sampling: whether tokens are drawn; `width` is then 1, and the graph uses `temperature`,
            `seed` and `numbers`.
    """
    @tf.function(autograph=False, input_signature=[
        tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.bool),
        tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32),
        tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.int32),
        tf.TensorSpec((None,), tf.int32)])
    def search(source, mask, most, width, weight, temperature, seed, numbers):
        state, memory = model.encode(source, mask)

        def step(tokens: tf.Tensor, state: dict[str, Any]):
            logits, decoder, weights = model.step(tokens, state["decoder"], state["memory"] or None)
            kept = weights if attention else tf.zeros((tf.size(tokens), 1))
            if sampling:
                noise = gumbel(tf.shape(logits)[1], state["number"], state["time"][0], seed)
                drawn = logits / temperature + noise
                # The search takes the maximum of what is drawn; the score is that of the network.
                log_probs = tf.gather(tf.nn.log_softmax(logits), tf.argmax(drawn, axis=1),
                                      batch_dims=1)
                logits, kept = drawn, tf.concat([kept, log_probs[:, None]], axis=1)
            return logits, state | {"decoder": decoder, "time": state["time"] + 1}, kept

        state = {"decoder": state, "memory": memory or (), "number": numbers,
                 "time": tf.zeros_like(numbers)}
        found = beam_search.search(
            step, state, tf.shape(source)[0], most, width, START_ID, END_ID,
            lambda lengths: beam_search.length_penalty(lengths, weight))
        if not sampling:
            return found
        log_probs = tf.reduce_sum(found.kept[..., -1], axis=2)  # 0 after the end
        return found._replace(
            kept=found.kept[..., :-1], log_probs=log_probs,
            scores=log_probs / beam_search.length_penalty(found.lengths, weight))

    return search
