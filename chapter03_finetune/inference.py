"""The classifier of a finished run, its predictions and its scores."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from chapter03_finetune import data
from chapter03_finetune.model import build_model, compile_logits
from common import checkpoint, figures, pretrained, rundir


def build_classifier(flags: argparse.Namespace, num_classes: int) -> keras.Model:
    """Builds the classifier that the flags of train.py describe, with random weights.

    Weights are float32. With `--precision bfloat16` the network up to the mean over all places
    computes in bfloat16; the mean and the new layer always compute in float32.

    Raises:
        ValueError: see `pretrained.build_backbone`.
    """
    keras.utils.set_random_seed(flags.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(
        "mixed_bfloat16" if flags.precision == "bfloat16" else flags.precision)
    try:
        backbone = pretrained.build_backbone(flags.model_name, flags.image_size, flags.alpha)
    finally:
        keras.config.set_dtype_policy(before)
    return build_model(backbone, num_classes, flags.keep_prob, flags.seed)


def load_run(
    args: argparse.Namespace, flags: argparse.Namespace
) -> tuple[keras.Model, tuple[str, ...]]:
    """Rebuilds the classifier of a run with its trained weights.

    Returns:
        The model, and the names of its classes.
    """
    names = tuple(rundir.read_config(args.run_dir)["class_names"])
    model = build_classifier(flags, len(names))
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return model, names


def make_predict(model: keras.Model) -> Callable[[data.Split], np.ndarray]:
    """Returns a function that computes the logits of a split, float32 of (count, classes)."""
    logits = compile_logits(model)

    def predict(split: data.Split) -> np.ndarray:
        batches = data.evaluation_batches(split, model.input_shape[1])
        return np.concatenate([logits(images) for images, _ in batches])

    return predict


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Computes the scores of predictions.

    Args:
        logits: float32 of shape (count, classes).
        labels: int64 of shape (count,).

    Returns:
        loss, the mean cross-entropy in nats, and accuracy; balanced_loss and balanced_accuracy, the
        means over the classes that occur of each class's loss and accuracy; the number of examples.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits).numpy()
    hits = logits.argmax(axis=1) == labels
    classes = [labels == label for label in np.unique(labels)]
    return {"loss": float(np.mean(losses)), "accuracy": float(hits.mean()),
            "balanced_loss": float(np.mean([losses[of].mean() for of in classes])),
            "balanced_accuracy": float(np.mean([hits[of].mean() for of in classes])),
            "examples": len(labels)}


def draw_mistakes(
    split: data.Split, logits: np.ndarray, names: Sequence[str], png: Path
) -> None:
    """Draws the misclassified images of a split, the most confident errors first."""
    probabilities = tf.nn.softmax(logits).numpy()
    worst = figures.worst_mistakes(split.labels, probabilities)
    figures.draw_mistakes(data.thumbnails(split.encoded[worst]), split.labels[worst],
                         probabilities[worst], names, png)
