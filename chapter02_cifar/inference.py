"""The classifier of a run, and what every script that uses one needs."""

import argparse
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from chapter02_cifar import data
from chapter02_cifar.model import build_model, mirrored
from common import checkpoint, rundir


def add_mirror_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--mirror`, which `load_run` reads."""
    parser.add_argument("--mirror", action=argparse.BooleanOptionalAction, default=False,
                        help="look at each picture and at its mirror image; takes twice as long")


def load_run(
    args: argparse.Namespace, flags: argparse.Namespace
) -> tuple[keras.Model, tuple[str, ...]]:
    """Rebuilds the classifier of a run, with the running averages of its weights.

    With `--mirror`, it takes the mean over a picture and its mirror image.

    Returns:
        The model, and the names of its classes.
    """
    names = tuple(rundir.read_config(args.run_dir)["class_names"])
    model = build_model(flags.model, len(names))
    checkpoint.load(args.run_dir, args.checkpoint, averages=model)
    return mirrored(model) if args.mirror else model, names


def make_score(model: keras.Model) -> Callable[[data.Split], dict[str, float]]:
    """Returns a function that scores a split with a model, every picture once."""

    @tf.function
    def score_batch(pictures: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(pictures, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        hits = tf.equal(tf.argmax(logits, axis=1), labels)
        return tf.reduce_sum(losses), tf.math.count_nonzero(hits)

    def score(split: data.Split) -> dict[str, float]:
        nats, hits, examples = 0.0, 0, 0
        for pictures, labels in data.evaluation_batches(split, model.input_shape[1]):
            batch_nats, batch_hits = score_batch(pictures, labels)
            nats, hits = nats + float(batch_nats), hits + int(batch_hits)
            examples += len(labels)
        return {"loss": nats / examples, "accuracy": hits / examples, "examples": examples}

    return score


def predict(model: keras.Model, split: data.Split) -> np.ndarray:
    """Returns the probabilities a model gives, float32 of shape (count, classes)."""
    batches = (tf.nn.softmax(model(pictures, training=False))
               for pictures, _ in data.evaluation_batches(split, model.input_shape[1]))
    return np.concatenate([batch.numpy() for batch in batches])
