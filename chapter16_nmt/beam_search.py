"""Beam search: the most probable sequences of a decoder, step by step, in the graph.

A beam holds the best `width` beginnings of each sentence. At each step every beginning is continued
by its `width` most probable tokens; the best continuations stay, and those that end leave the beam.
A sentence is finished when nothing in its beam can become better than the worst of its `width` best
complete sequences; it then leaves the batch, and the others go on. Greedy search is the beam of
width 1. Chapter 17 uses this file too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

NEVER = -1e9  # log-probability of what must not be chosen

# From tokens (rows,) and the state to logits (rows, vocabulary), the new state, and something per
# row to keep for each token, such as attention weights (rows, anything).
Step = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any, tf.Tensor]]


class Sequences(NamedTuple):
    """The best sequences of each sentence, the best first.

    Attributes:
        tokens: int32 of shape (batch, width, time), without the start symbol; after the end symbol
            there are more of it.
        lengths: number of tokens with the end symbol, of shape (batch, width).
        log_probs: sum of the tokens' log-probabilities, of shape (batch, width).
        scores: log_probs divided by the length penalty; NEVER where there is no sequence.
        kept: what `Step` gave for each token, of shape (batch, width, time, …).
    """

    tokens: tf.Tensor
    lengths: tf.Tensor
    log_probs: tf.Tensor
    scores: tf.Tensor
    kept: tf.Tensor


def length_penalty(lengths: tf.Tensor, weight: float | tf.Tensor) -> tf.Tensor:
    """Returns ((5 + length) / 6)^weight (Wu et al. 2016, eq. 14); 1 if the weight is 0."""
    return ((5 + tf.cast(lengths, tf.float32)) / 6) ** weight


def rows_of(state: Any, rows: tf.Tensor) -> Any:
    """Returns some rows of all tensors of a state."""
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), state)


def search(
    step: Step,
    state: Any,
    batch: tf.Tensor,
    limits: tf.Tensor,
    width: int | tf.Tensor,
    start: int,
    end: int,
    penalty: Callable[[tf.Tensor], tf.Tensor] = tf.ones_like,
) -> Sequences:
    """Searches the best sequences of a batch of sentences.

    Args:
        step: the decoder.
        state: before the first token, each tensor of shape (batch, …).
        batch: number of sentences.
        limits: most tokens of each sentence, with the end symbol, int32 of shape (batch,); what has
            not ended there is returned as it is if nothing has ended.
        width: of the beam.
        start: the token that begins a sentence.
        end: the token that ends it.
        penalty: from lengths, as float32, to the numbers that log-probabilities are divided by to
            give scores; monotonic.
    """
    longest = tf.reduce_max(limits)
    # One step with the start symbol: how many numbers per row does `step` keep?
    like = step(tf.fill((batch,), start), state)[2]
    inner = tf.shape(like)[1:]
    empty = Sequences(
        tokens=tf.fill((batch, width, longest), end),
        lengths=tf.zeros((batch, width), tf.int32),
        log_probs=tf.fill((batch, width), NEVER),
        scores=tf.fill((batch, width), NEVER),
        kept=tf.zeros(tf.concat([[batch, width, longest], inner], 0), like.dtype))
    # Each sentence begins with one sequence; the others of its beam are impossible.
    alive = empty._replace(log_probs=tf.tile(tf.where(tf.range(width) == 0, 0.0, NEVER)[None],
                                             (batch, 1)))
    rows = tf.repeat(tf.range(batch), width)
    loop = (tf.constant(0), tf.range(batch), rows_of(state, rows), alive, empty, empty)

    def going(time: tf.Tensor, sentences: tf.Tensor, *_: Any) -> tf.Tensor:
        return (time < longest) & (tf.size(sentences) > 0)

    def score(log_probs: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        return log_probs / penalty(tf.cast(lengths, tf.float32))

    def body(time, sentences, state, alive, done, results):
        count = tf.size(sentences)
        last = tf.where(time == 0, start, alive.tokens[:, :, tf.maximum(time - 1, 0)])
        logits, state, kept = step(tf.reshape(last, (-1,)), state)
        # Each beginning is continued by its most probable tokens.
        choices = tf.minimum(width, tf.shape(logits)[1])
        log_probs, token = tf.math.top_k(tf.nn.log_softmax(logits), choices)
        total = alive.log_probs[:, :, None] + tf.reshape(log_probs, (count, width, choices))
        origin = tf.tile(tf.repeat(tf.range(width), choices)[None], (count, 1))
        kept = tf.reshape(kept, tf.concat([[count, width], inner], 0))
        grown = grow(alive, origin, tf.reshape(token, (count, -1)),
                     tf.reshape(total, (count, -1)), kept, time)
        # Those that end compete with those that ended before, the others go on.
        ended = grown.tokens[:, :, time] == end
        scores = score(grown.log_probs, grown.lengths)
        done = better(done, grown, tf.where(ended, scores, NEVER), width)
        alive, order = choose(grown, tf.where(ended, NEVER, grown.log_probs), width)
        parents = tf.gather(origin, order, axis=1, batch_dims=1)
        state = rows_of(state, tf.reshape(parents + width * tf.range(count)[:, None], (-1,)))
        # A log-probability only falls: the best of the beam can at most get this score.
        limit, best = tf.gather(limits, sentences), alive.log_probs[:, 0]
        bound = tf.maximum(score(best, tf.fill((count,), time + 1)), score(best, limit))
        finished = (time + 1 >= limit) | (bound <= tf.reduce_min(done.scores, axis=1))
        # Where nothing has ended at the limit, the beam itself is the result.
        whole = done.scores[:, :1] > NEVER / 2
        unfinished = alive._replace(scores=score(alive.log_probs, alive.lengths))
        final = Sequences(*(tf.where(broadcast(whole, part), part, other)
                            for part, other in zip(done, unfinished, strict=True)))
        gone = tf.boolean_mask(sentences, finished)[:, None]
        results = Sequences(*(tf.tensor_scatter_nd_update(
            result, gone, tf.boolean_mask(part, finished))
            for result, part in zip(results, final, strict=True)))
        stay = tf.where(~finished)[:, 0]
        rows = tf.cast(stay[:, None], tf.int32) * width + tf.range(width)
        return (time + 1, tf.gather(sentences, stay), rows_of(state, tf.reshape(rows, (-1,))),
                Sequences(*rows_of(tuple(alive), stay)), Sequences(*rows_of(tuple(done), stay)),
                results)

    *_, results = tf.while_loop(
        going, body, loop,
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]),
                          tf.nest.map_structure(open_shape, loop[2]),
                          tf.nest.map_structure(open_shape, alive),
                          tf.nest.map_structure(open_shape, empty),
                          tf.nest.map_structure(open_shape, empty)))
    return results


def broadcast(condition: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
    """Returns a condition of shape (batch, 1) with as many dimensions as a tensor."""
    return tf.reshape(condition, tf.concat(
        [[-1, 1], tf.ones(tf.rank(part) - 2, tf.int32)], 0))


def open_shape(tensor: tf.Tensor) -> tf.TensorShape:
    """Returns the shape of a tensor whose first dimension changes."""
    return tf.TensorShape([None, *tensor.shape[1:]])


def grow(
    alive: Sequences, origin: tf.Tensor, token: tf.Tensor, log_probs: tf.Tensor, kept: tf.Tensor,
    time: tf.Tensor,
) -> Sequences:
    """Returns continued sequences.

    Args:
        alive: the beam.
        origin: which of its sequences each continues, of shape (batch, continuations).
        token: by which token.
        log_probs: of the continued sequences.
        kept: of each sequence in the beam, of shape (batch, width, …).
        time: number of the new token, from 0.
    """
    taken = Sequences(*(tf.gather(part, origin, axis=1, batch_dims=1) for part in alive))
    here = tf.range(tf.shape(taken.tokens)[2]) == time
    tokens = tf.where(here, token[:, :, None], taken.tokens)
    new = tf.gather(kept, origin, axis=1, batch_dims=1)[:, :, None]
    here = tf.reshape(here, tf.concat([[1, 1, -1], tf.ones(tf.rank(kept) - 2, tf.int32)], 0))
    return Sequences(tokens, tf.fill(tf.shape(token), time + 1), log_probs, log_probs,
                     tf.where(here, new, taken.kept))


def choose(
    sequences: Sequences, scores: tf.Tensor, width: int | tf.Tensor
) -> tuple[Sequences, tf.Tensor]:
    """Returns the best sequences by a score, and where they were, of shape (batch, width)."""
    best, order = tf.math.top_k(scores, width)
    taken = Sequences(*(tf.gather(part, order, axis=1, batch_dims=1) for part in sequences))
    return taken._replace(log_probs=tf.where(best > NEVER / 2, taken.log_probs, NEVER),
                          scores=best), order


def better(
    done: Sequences, grown: Sequences, scores: tf.Tensor, width: int | tf.Tensor
) -> Sequences:
    """Returns the best of those that ended before and of those that end now."""
    both = Sequences(*(tf.concat(parts, axis=1) for parts in zip(done, grown, strict=True)))
    return choose(both, tf.concat([done.scores, scores], axis=1), width)[0]
