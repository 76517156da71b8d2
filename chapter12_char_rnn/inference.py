"""Loads a finished run, and evaluates or generates text with its network."""

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
    """A trained network and its vocabulary, in which the last id (unknown) has no entry."""

    model: CharRNN
    vocabulary: list[str]


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Rebuilds the network of a run and loads its trained weights.

    Args:
        args: the calling script's arguments, of which `run_dir` and `checkpoint` are used.
        flags: the flags that the run was trained with.
    """
    vocabulary = files.read_json(args.run_dir / "vocabulary.json")
    model = build_model(**model_flags(flags, len(vocabulary)))
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return Run(model, vocabulary)


def make_score(model: CharRNN, level: str = "char") -> Callable[..., dict[str, float]]:
    """Returns a function that evaluates a model on tokens; its graph is traced once per shape."""

    @tf.function
    def score_window(
        inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, states: list[State]
    ) -> tuple[tf.Tensor, list[State]]:
        logits, states = model(inputs, states, training=False)
        return tf.reduce_sum(weights * token_losses(logits, targets)), states

    def score(tokens: np.ndarray, num_seqs: int, num_steps: int) -> dict[str, float]:
        """Computes the mean cross-entropy of tokens[1:], each counted once, and its perplexity.

        Args:
            tokens: int32 of shape (tokens,).
            num_seqs: rows per batch, each starting from a zero state. 1 is exact; more are faster
                and slightly overestimate the loss.
            num_steps: tokens per window.
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
    """Returns a function that generates text with a model; its graph is traced once."""
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
        """Returns an iterator over the tokens sampled after `start_string`.

        Args:
            start_string: beginning of the text; a newline is put before it.
            length: number of tokens to sample.
            temperature: see `filter_logits`.
            top_k: see `filter_logits`; 1 is greedy decoding.
            top_p: see `filter_logits`.
            seed: seed of the sampling; the same seed gives the same text.

        Raises:
            UserError: `start_string` has tokens outside the vocabulary.
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
    """Returns the ids of a newline (if the model knows it) and of `start_string`; at least one id.

    The newline marks the start of a line; without it a first verse may lack a character.

    Raises:
        UserError: `start_string` has tokens outside the vocabulary.
    """
    tokens = start_string if level == "char" else data.tokenize(start_string, level)[:-1]
    if unknown := sorted(set(tokens) - set(vocabulary)):
        raise UserError(
            f"not in the model's vocabulary: {' '.join(map(repr, unknown))}",
            f"use {level}s of the training text, such as {' '.join(map(repr, vocabulary[:20]))}",
        )
    if "\n" in vocabulary:
        tokens = ["\n", *tokens]
    return encode(tokens or vocabulary[:1], vocabulary)
