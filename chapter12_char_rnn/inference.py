"""What every script needs of a finished run: its network, how it scores and how it writes."""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter12_char_rnn import data
from chapter12_char_rnn.model import (
    CharRNN,
    State,
    build_model,
    filter_logits,
    model_flags,
    token_losses,
)
from common import checkpoint, files
from common.errors import UserError
from common.text import encode


class Run(NamedTuple):
    """A trained network, and the token of each of its numbers but the last, the unknown one's."""

    model: CharRNN
    vocabulary: list[str]


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Rebuilds the network of a run with its trained weights.

    Args:
        args: a verb's arguments: `run_dir` and `checkpoint`.
        flags: those the run was trained with.
    """
    vocabulary = files.read_json(args.run_dir / "vocabulary.json")
    model = build_model(**model_flags(flags, len(vocabulary)))
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return Run(model, vocabulary)


def make_score(model: CharRNN, level: str = "char") -> Callable[..., dict[str, float]]:
    """Returns a function that scores tokens with a model; its graph is traced once per shape."""

    @tf.function
    def score_window(
        inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, states: list[State]
    ) -> tuple[tf.Tensor, list[State]]:
        logits, states = model(inputs, states, training=False)
        return tf.reduce_sum(weights * token_losses(logits, targets)), states

    def score(tokens: np.ndarray, num_seqs: int, num_steps: int) -> dict[str, float]:
        """Scores each of tokens[1:] once, in nats and bits a character (or word).

        Args:
            tokens: int32 of shape (characters,).
            num_seqs: rows read side by side, each beginning with an empty state. 1 is exact;
                more are faster and a little too pessimistic.
            num_steps: characters a window.
        """
        states, nats, count = model.initial_states(num_seqs), 0.0, 0
        batches = data.evaluation_batches(tokens, num_seqs, num_steps)
        for inputs, targets, weights in tqdm(batches, unit="window", leave=False, disable=None):
            window_nats, states = score_window(inputs, targets, weights, states)
            nats += float(window_nats)
            count += int(tf.reduce_sum(weights))
        return {
            f"nats_per_{level}": nats / count,
            f"bits_per_{level}": nats / count / math.log(2),
            "perplexity": float(np.exp(nats / count)),
            f"{level}s": count,
        }

    return score


def make_generator(
    model: CharRNN, vocabulary: Sequence[str], level: str = "char"
) -> Callable[..., Iterator[str]]:
    """Returns a function that writes text with a model; its graph is traced once."""
    written = [data.join(level)(token) for token in vocabulary]

    @tf.function(reduce_retracing=True)
    def next_token(
        token: tf.Tensor, states: list[State], draw: tf.Tensor, settings: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[State]]:
        logits, states = model(token[None, None], states, training=False)
        logits = filter_logits(logits[:, 0], *settings)
        return tf.random.stateless_categorical(logits, 1, draw, tf.int32)[0, 0], states

    def generate(
        start_string: str,
        length: int,
        temperature: float = 1.0,
        top_k: int = 5,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Returns the characters that follow `start_string`, drawn as they are asked for.

        Args:
            start_string: what the text begins with, after a new line.
            length: how many characters to draw.
            temperature: see `filter_logits`.
            top_k: see `filter_logits`; 1 is greedy.
            top_p: see `filter_logits`.
            seed: the same seed gives the same text.

        Raises:
            UserError: characters of `start_string` are not in the vocabulary.
        """
        tokens = encode_start(start_string, vocabulary, level)
        settings = [tf.constant(value) for value in (temperature, top_k, top_p)]
        return draw_tokens(tokens, length, settings, seed)

    def draw_tokens(
        tokens: np.ndarray, length: int, settings: list[tf.Tensor], seed: int
    ) -> Iterator[str]:
        states = model.initial_states(1)
        for position, token in enumerate(tokens):
            draw = tf.constant([seed, position])
            drawn, states = next_token(tf.constant(token), states, draw, settings)
        for position in range(len(tokens), len(tokens) + length):
            yield written[int(drawn)]
            drawn, states = next_token(drawn, states, tf.constant([seed, position]), settings)

    return generate


def encode_start(start_string: str, vocabulary: Sequence[str], level: str = "char") -> np.ndarray:
    """Returns the tokens a text begins with, at least one: a new line, then `start_string`.

    The new line puts the network where texts begin; without it a first verse may lack a character.

    Raises:
        UserError: tokens that the network has never seen.
    """
    tokens = start_string if level == "char" else data.tokenize(start_string, level)[:-1]
    if unknown := sorted(set(tokens) - set(vocabulary)):
        raise UserError(
            f"the model does not know {' '.join(map(repr, unknown))}",
            f"use {level}s of its text, such as {' '.join(map(repr, vocabulary[:20]))}",
        )
    if "\n" in vocabulary:
        tokens = ["\n", *tokens]
    return encode(tokens or vocabulary[:1], vocabulary)
