"""The classifier of a finished run, its predictions and its scores."""

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
                        help="average the logits of each image and its mirror image; takes twice "
                             "as long")


def load_run(
    args: argparse.Namespace, flags: argparse.Namespace
) -> tuple[keras.Model, tuple[str, ...]]:
    """Rebuilds the classifier of a run, with the moving averages of its weights.

    With `--mirror`, it averages the logits of each image and its mirror image.

    Returns:
        The model, and the names of its classes.
    """
    names = tuple(rundir.read_config(args.run_dir)["class_names"])
    model = build_model(flags.model, len(names))
    checkpoint.load(args.run_dir, args.checkpoint, averages=model)
    return mirrored(model) if args.mirror else model, names


def make_score(model: keras.Model) -> Callable[[data.Split], dict[str, float]]:
    """Returns a function that computes the loss in nats and the accuracy on a split."""

    @tf.function
    def score_batch(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(images, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        hits = tf.equal(tf.argmax(logits, axis=1), labels)
        return tf.reduce_sum(losses), tf.math.count_nonzero(hits)

    def score(split: data.Split) -> dict[str, float]:
        nats, hits, examples = 0.0, 0, 0
        for images, labels in data.evaluation_batches(split, model.input_shape[1]):
            batch_nats, batch_hits = score_batch(images, labels)
            nats, hits = nats + float(batch_nats), hits + int(batch_hits)
            examples += len(labels)
        return {"loss": nats / examples, "accuracy": hits / examples, "examples": examples}

    return score


def predict(model: keras.Model, split: data.Split) -> np.ndarray:
    """Returns the class probabilities of a split, float32 of shape (count, classes)."""
    batches = (tf.nn.softmax(model(images, training=False))
               for images, _ in data.evaluation_batches(split, model.input_shape[1]))
    return np.concatenate([batch.numpy() for batch in batches])
