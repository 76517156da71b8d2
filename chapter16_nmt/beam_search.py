"""Beam search: the most probable sequences of a decoder, step by step, in the graph.

A beam holds the best `width` hypotheses of each sentence. At each step every hypothesis is extended
by its `width` most probable tokens; the best extensions stay, and those that end leave the beam.
A sentence is finished when nothing in its beam can become better than the worst of its `width` best
complete sequences; it then leaves the batch, and the others go on. Greedy search is the beam of
width 1. Chapter 17 uses this file too.
"""

from collections.abc import Callable
from functools import partial
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


class Rules(NamedTuple):
    """What holds for all sentences of a search; the arguments of `search` of the same names."""

    step: Step
    limits: tf.Tensor
    width: int | tf.Tensor
    start: int
    end: int
    penalty: Callable[[tf.Tensor], tf.Tensor]

    def score(self, log_probs: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Returns what complete sequences are compared by."""
        return log_probs / self.penalty(tf.cast(lengths, tf.float32))


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
    rules = Rules(step, limits, width, start, end, penalty)
    longest = tf.reduce_max(limits)
    # One step with the start symbol: how many numbers per row does `step` keep?
    like = step(tf.fill((batch,), start), state)[2]
    empty = Sequences(
        tokens=tf.fill((batch, width, longest), end),
        lengths=tf.zeros((batch, width), tf.int32),
        log_probs=tf.fill((batch, width), NEVER),
        scores=tf.fill((batch, width), NEVER),
        kept=tf.zeros(tf.concat([[batch, width, longest], tf.shape(like)[1:]], 0), like.dtype))
    # Each sentence begins with one sequence; the others of its beam are impossible.
    alive = empty._replace(log_probs=tf.tile(tf.where(tf.range(width) == 0, 0.0, NEVER)[None],
                                             (batch, 1)))
    state = rows_of(state, tf.repeat(tf.range(batch), width))
    open_sequences = tf.nest.map_structure(open_shape, empty)
    *_, results = tf.while_loop(
        lambda time, sentences, *_: (time < longest) & (tf.size(sentences) > 0),
        partial(advance, rules),
        (tf.constant(0), tf.range(batch), state, alive, empty, empty),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]),
                          tf.nest.map_structure(open_shape, state), *[open_sequences] * 3))
    return results


def advance(
    rules: Rules, time: tf.Tensor, sentences: tf.Tensor, state: Any, alive: Sequences,
    done: Sequences, results: Sequences,
) -> tuple[tf.Tensor, tf.Tensor, Any, Sequences, Sequences, Sequences]:
    """Adds one token to all sequences, and takes finished sentences out of the batch.

    Args:
        rules: see `Rules`.
        time: number of the token, from 0.
        sentences: which sentences are still in the batch, of shape (remaining,).
        state: of the decoder, one row for each sequence in their beams.
        alive: their beams.
        done: their best complete sequences.
        results: the best sequences of all finished sentences.
    """
    width, count = rules.width, tf.size(sentences)
    grown, origin, state = extend(rules, time, state, alive)
    # Those that end compete with those that ended before, the others stay in the beam.
    ended = grown.tokens[:, :, time] == rules.end
    scores = rules.score(grown.log_probs, grown.lengths)
    possible = grown.log_probs > NEVER / 2  # a penalty makes little of NEVER
    done = better(done, grown, tf.where(ended & possible, scores, NEVER), width)
    alive, order = choose(grown, tf.where(ended, NEVER, grown.log_probs), width)
    parents = tf.gather(origin, order, axis=1, batch_dims=1)
    state = rows_of(state, tf.reshape(parents + width * tf.range(count)[:, None], (-1,)))
    # A log-probability only falls: the best of the beam can at most get the score `bound`.
    limit, best = tf.gather(rules.limits, sentences), alive.log_probs[:, 0]
    bound = tf.maximum(rules.score(best, tf.fill((count,), time + 1)), rules.score(best, limit))
    finished = (time + 1 >= limit) | (bound <= tf.reduce_min(done.scores, axis=1))
    results = store(results, sentences, finished,
                    alive._replace(scores=tf.where(
                        alive.log_probs > NEVER / 2,
                        rules.score(alive.log_probs, alive.lengths), NEVER)), done)
    # The other sentences go on.
    stay = tf.where(~finished)[:, 0]
    rows = tf.reshape(tf.cast(stay[:, None], tf.int32) * width + tf.range(width), (-1,))
    return (time + 1, tf.gather(sentences, stay), rows_of(state, rows),
            Sequences(*rows_of(tuple(alive), stay)), Sequences(*rows_of(tuple(done), stay)),
            results)


def extend(
    rules: Rules, time: tf.Tensor, state: Any, alive: Sequences
) -> tuple[Sequences, tf.Tensor, Any]:
    """Continues each sequence of the beams by its most probable tokens.

    These are `width`, and one more, because one of them may be the end symbol: `width` remain that
    may all stay in the beam. The end symbol itself must be among the first `width`, as in the
    original of chapter 17. A beam of width 1 is greedy, and takes the most probable token alone.

    Returns:
        The continued sequences, (remaining, width · tokens), which sequence of the beam each
        continues, of the same shape, and the decoder's new state.
    """
    width, count = rules.width, tf.shape(alive.tokens)[0]
    last = tf.where(time == 0, rules.start, alive.tokens[:, :, tf.maximum(time - 1, 0)])
    logits, state, kept = rules.step(tf.reshape(last, (-1,)), state)
    choices = tf.minimum(width + tf.cast(width > 1, tf.int32), tf.shape(logits)[1])
    log_probs, token = tf.math.top_k(tf.nn.log_softmax(logits), choices)
    too_late = (tf.range(choices) >= width) & (token == rules.end)
    log_probs = tf.where(too_late, NEVER, log_probs)
    total = alive.log_probs[:, :, None] + tf.reshape(log_probs, (count, width, choices))
    origin = tf.tile(tf.repeat(tf.range(width), choices)[None], (count, 1))
    kept = tf.reshape(kept, tf.concat([[count, width], tf.shape(kept)[1:]], 0))
    grown = grow(alive, origin, tf.reshape(token, (count, -1)), tf.reshape(total, (count, -1)),
                 kept, time)
    return grown, origin, state


def store(
    results: Sequences, sentences: tf.Tensor, finished: tf.Tensor, alive: Sequences, done: Sequences
) -> Sequences:
    """Writes the sequences of finished sentences; of the beam where nothing has ended."""
    whole = done.scores[:, :1] > NEVER / 2
    final = Sequences(*(tf.where(broadcast(whole, part), part, other)
                        for part, other in zip(done, alive, strict=True)))
    gone = tf.boolean_mask(sentences, finished)[:, None]
    return Sequences(*(tf.tensor_scatter_nd_update(result, gone, tf.boolean_mask(part, finished))
                       for result, part in zip(results, final, strict=True)))


def broadcast(condition: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
    """Returns a condition of shape (batch, 1) with as many dimensions as a tensor."""
    return tf.reshape(condition, tf.concat(
        [[-1, 1], tf.ones(tf.rank(part) - 2, tf.int32)], 0))


def open_shape(tensor: tf.Tensor) -> tf.TensorShape:
    """Returns the shape of a tensor of which all dimensions but the last one may change."""
    last = tensor.shape[1:][-1:]
    return tf.TensorShape([None] * (tensor.shape.rank - len(last)) + [*last])


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
