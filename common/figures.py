"""Saves matplotlib figures as PNG; draws the mistakes and confusion matrix of a classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import sklearn.metrics


def save_figure(path: Path, figure: Any) -> None:
    """Writes a matplotlib figure as PNG and closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def worst_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, count: int = 40
) -> np.ndarray:
    """Returns the indices of the misclassified examples, highest confidence first.

    Args:
        labels: the true classes, of shape (examples,).
        probabilities: predicted probabilities, of shape (examples, classes).
        count: maximum number of indices.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]


def draw_mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    png: Path,
) -> None:
    """Draws the misclassified images with the highest confidence, see `worst_mistakes`.

    Args:
        images: uint8 of shape (examples, height, width) or (examples, height, width, 3).
        labels: the true classes, of shape (examples,).
        probabilities: predicted probabilities, of shape (examples, classes).
        names: names of the classes.
        png: file to write.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = worst_mistakes(labels, probabilities)
    rows = max(1, -(-len(wrong) // 10))
    figure, axes = plt.subplots(rows, 10, figsize=(11, 1.4 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, i in zip(axes.flat, wrong, strict=False):
        axis.imshow(images[i], cmap="gray_r")
        name, confidence = names[predicted[i]], probabilities[i, predicted[i]]
        axis.set_title(f"{name}: {confidence:.0%}\nis {names[labels[i]]}", fontsize=7)
    if not len(wrong):
        axes[0, 0].text(0, 0.5, "no mistakes")
    save_figure(png, figure)


def draw_confusion(
    labels: np.ndarray, predicted: np.ndarray, names: Sequence[str], png: Path
) -> None:
    """Draws the confusion matrix of true and predicted classes."""
    figure, axes = plt.subplots(figsize=(7, 6))
    sklearn.metrics.ConfusionMatrixDisplay.from_predictions(
        labels, predicted, labels=range(len(names)), display_labels=names, cmap="Blues",
        colorbar=False, xticks_rotation=90 if max(map(len, names)) > 1 else 0, ax=axes,
    )
    axes.set(xlabel="predicted", ylabel="true")
    save_figure(png, figure)
