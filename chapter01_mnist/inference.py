"""Restores the classifier of a run, predicts and scores."""

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
    """Returns the classifier of a run with its trained weights, and the names of its classes."""
    model = build_model(flags.model)
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return model, data.label_names(flags.dataset)


def make_score(model: Classifier) -> Callable[[data.Split], dict[str, float]]:
    """Returns a function that computes loss and accuracy of a model on a whole split."""

    @tf.function
    def score_batch(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(images, training=False)
        hits = tf.equal(tf.argmax(logits, axis=1), labels)
        return tf.reduce_sum(cross_entropy(labels, logits)), tf.math.count_nonzero(hits)

    def score(split: data.Split) -> dict[str, float]:
        loss, hits, examples = 0.0, 0, 0
        for images, labels in data.evaluation_batches(split):
            batch_loss, batch_hits = score_batch(images, labels)
            loss, hits = loss + float(batch_loss), hits + int(batch_hits)
            examples += len(labels)
        return {"loss": loss / examples, "accuracy": hits / examples, "examples": examples}

    return score


def predict(model: Classifier, split: data.Split) -> np.ndarray:
    """Returns the predicted probabilities of a split, float32 of shape (examples, 10)."""
    batches = (tf.nn.softmax(model(images, training=False))
               for images, _ in data.evaluation_batches(split))
    return np.concatenate([batch.numpy() for batch in batches])
