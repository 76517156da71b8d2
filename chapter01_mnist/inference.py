"""The classifier of a run, and what every script that uses one needs."""

import argparse
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from chapter01_mnist import data
from chapter01_mnist.model import SoftmaxRegression, build_model, cross_entropy
from common import checkpoint

Classifier = SoftmaxRegression | keras.Sequential


def load_run(
    args: argparse.Namespace, flags: argparse.Namespace
) -> tuple[Classifier, tuple[str, ...]]:
    """Rebuilds the classifier of a run with its trained weights; also returns its labels."""
    model = build_model(flags.model)
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return model, data.label_names(flags.dataset)


def make_score(model: Classifier) -> Callable[[data.Split], dict[str, float]]:
    """Returns a function that scores a split with a model, every picture once."""

    @tf.function
    def score_batch(pictures: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(pictures, training=False)
        hits = tf.equal(tf.argmax(logits, axis=1), labels)
        return tf.reduce_sum(cross_entropy(labels, logits)), tf.math.count_nonzero(hits)

    def score(split: data.Split) -> dict[str, float]:
        nats, hits, examples = 0.0, 0, 0
        for pictures, labels in data.evaluation_batches(split):
            batch_nats, batch_hits = score_batch(pictures, labels)
            nats, hits = nats + float(batch_nats), hits + int(batch_hits)
            examples += len(labels)
        return {"loss": nats / examples, "accuracy": hits / examples, "examples": examples}

    return score


def predict(model: Classifier, split: data.Split) -> np.ndarray:
    """Returns the probabilities a model gives, float32 of shape (count, 10)."""
    batches = (tf.nn.softmax(model(pictures, training=False))
               for pictures, _ in data.evaluation_batches(split))
    return np.concatenate([batch.numpy() for batch in batches])
