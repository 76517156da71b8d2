"""Loads a finished run; scores and samples names with its weights."""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from appendix_a_numpy_rnn import data
from appendix_a_numpy_rnn.cells import Weights, sequence_forward, zero_states
from appendix_a_numpy_rnn.model import Store, build_weights, draw, one_hot, softmax
from common import checkpoint, files


class Run(NamedTuple):
    """A trained model: weights, symbols, and the variables that hold the weights."""

    weights: Weights
    vocabulary: list[str]
    store: Store


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Loads the weights of a run.

    Args:
        args: the calling script's arguments, of which `run_dir` and `checkpoint` are used.
        flags: the flags that the run was trained with.
    """
    vocabulary = files.read_json(args.run_dir / "vocabulary.json")
    store = Store(build_weights(flags.cell, len(vocabulary), flags.hidden_size,
                                np.random.default_rng(0)))
    checkpoint.load(args.run_dir, args.checkpoint, model=store)
    return Run(store.read(), vocabulary, store)


def score(
    cell: str, weights: Weights, names: data.Names, scored: Sequence[str]
) -> dict[str, float]:
    """Returns the mean cross-entropy of names, each with its newline."""
    nats = count = 0
    for name in scored:
        inputs, targets = names.pair(name)
        states = zero_states(cell, weights["Wya"].shape[1], 1)
        a, _, _ = sequence_forward(cell, one_hot(inputs, len(names.vocabulary)), states, weights)
        p = softmax(weights["Wya"] @ a[:, 0] + weights["by"])
        nats -= np.log(p[targets, np.arange(len(targets))]).sum()
        count += len(targets)
    return {"nats_per_char": float(nats / count), "chars": count, "names": len(scored)}


def sample_names(
    cell: str, weights: Weights, vocabulary: Sequence[str], count: int, rng: np.random.Generator,
    temperature: float = 1.0,
) -> list[str]:
    """Samples names of at most 50 characters."""
    return ["".join(vocabulary[token] for token in draw(
        cell, weights, rng, data.MAX_LENGTH, end=data.END, temperature=temperature))
        for _ in range(count)]
