"""Loads a finished run, and predicts and evaluates with its classifier."""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from chapter13_sequence_classification import data
from chapter13_sequence_classification.model import SequenceClassifier, build_for
from common import checkpoint, files, rundir


class Run(NamedTuple):
    """A trained classifier, the names of its classes and, for texts, its vocabulary."""

    model: SequenceClassifier
    class_names: list[str]
    vocabulary: list[str] | None


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Rebuilds the classifier of a run and loads its trained weights.

    Args:
        args: the calling script's arguments, of which `run_dir` and `checkpoint` are used.
        flags: the flags that the run was trained with.
    """
    names = rundir.read_config(args.run_dir)["class_names"]
    vocabulary = None
    if flags.dataset != data.NUMBERS:
        vocabulary = files.read_json(args.run_dir / "vocabulary.json")
    model = build_for(flags, len(names), len(vocabulary or []))
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return Run(model, names, vocabulary)


def make_predict(model: SequenceClassifier) -> Callable[[data.Split], np.ndarray]:
    """Returns a function that computes the logits of a split, float32 (count, num_classes)."""

    @tf.function
    def logits(sequences: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        return model((sequences, lengths), training=False)

    def predict(split: data.Split) -> np.ndarray:
        return np.concatenate([logits(*batch) for batch, _ in data.evaluation_batches(split)])

    return predict


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns the mean cross-entropy in nats, the accuracy and the number of examples."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    hits = logits.argmax(axis=1) == labels
    return {"loss": float(np.mean(losses)), "accuracy": float(hits.mean()),
            "examples": len(labels)}
