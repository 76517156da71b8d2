"""The attribute vector: which words are probably in the caption of a picture.

A linear model predicts, for each of the most frequent words that say something, the share of the
picture's captions that have it (Wu et al. 2016 train a network for this, with the logistic loss for
each word; a few hundred pictures are enough for a regularised linear one only). The decoder sees
this vector in the place of the picture, so that it can be trained on captions without pictures: see
`Errors`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FOLDS = 5
PENALTIES = tuple(10.0 ** np.arange(0, 6.5, 0.5))  # of the ridge regression, times the variance
# Frequent words that say nothing about the picture.
STOP_WORDS = frozenset(
    "a an the and or of in on at with to is are was were be being been by for from into onto out "
    "up down off over under as it its his her their him them he she they that this these those "
    "there while who which some one two another each other through near next has have".split())


class Linear(NamedTuple):
    """A linear model: features · kernel + bias, of shapes (channels, attributes), (attributes,)."""

    kernel: np.ndarray
    bias: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Returns predictions of shape (pictures, attributes)."""
        return features @ self.kernel + self.bias


class Errors(NamedTuple):
    """How a detector errs: predicted = offset + slope · true + one of its residuals.

    For captions without a picture, the vector that a detector would have predicted is drawn from
    this model: the decoder then meets in training what it meets later.

    Attributes:
        offset: of shape (attributes,).
        slope: of the same shape.
        residuals: of each training picture, of shape (pictures, attributes).
    """

    offset: np.ndarray
    slope: np.ndarray
    residuals: np.ndarray

    def draw(self, true: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns vectors as a detector would predict them, of the shape of `true`."""
        rows = rng.integers(len(self.residuals), size=len(true))
        return np.float32(self.offset + self.slope * true + self.residuals[rows])


def choose_words(captions: Sequence[Sequence[Sequence[str]]], vocabulary: Sequence[str],
                 count: int) -> list[str]:
    """Returns the words that occur in most pictures' captions, without those that say nothing."""
    seen = Counter(word for some in captions for word in {w for words in some for w in words})
    known = set(vocabulary[3:]) - STOP_WORDS
    return sorted((word for word in seen if word in known),
                  key=lambda word: (-seen[word], word))[:count]


def shares(captions: Sequence[Sequence[Sequence[str]]], words: Sequence[str]) -> np.ndarray:
    """Returns the share of each picture's captions that have a word, (pictures, words)."""
    place = {word: number for number, word in enumerate(words)}
    found = np.zeros((len(captions), len(words)), np.float32)
    for row, some in enumerate(captions):
        for caption in some:
            found[row, [place[word] for word in set(caption) if word in place]] += 1 / len(some)
    return found


def fit_ridge(features: np.ndarray, targets: np.ndarray, penalty: float) -> Linear:
    """Minimises ‖X K + b − T‖² + penalty · σ² ‖K‖², where σ² is the mean variance of X's columns.

    It is solved in the space of the pictures or of the channels, whichever are fewer.
    """
    mean, level = features.mean(axis=0, dtype=np.float64), targets.mean(axis=0, dtype=np.float64)
    centred = features - mean
    weight = penalty * centred.var()
    if len(features) <= features.shape[1]:
        gram = centred @ centred.T + weight * np.eye(len(features))
        kernel = centred.T @ np.linalg.solve(gram, targets - level)
    else:
        gram = centred.T @ centred + weight * np.eye(features.shape[1])
        kernel = np.linalg.solve(gram, centred.T @ (targets - level))
    return Linear(np.float32(kernel), np.float32(level - mean @ kernel))


def out_of_fold(features: np.ndarray, targets: np.ndarray, penalty: float) -> np.ndarray:
    """Predicts each picture by a model that was fitted without the picture's fold."""
    folds, found = np.arange(len(features)) % min(FOLDS, len(features)), np.zeros_like(targets)
    for fold in np.unique(folds):
        left = folds == fold
        found[left] = fit_ridge(features[~left], targets[~left], penalty).predict(features[left])
    return found


def fit_detector(features: np.ndarray, targets: np.ndarray) -> tuple[Linear, np.ndarray, Errors]:
    """Fits a detector with the penalty that is best on left-out folds.

    Args:
        features: mean feature vectors of the training pictures, of shape (pictures, channels).
        targets: of `shares`.

    Returns:
        The detector of all pictures, its out-of-fold predictions, and how it errs.
    """
    predictions = [out_of_fold(features, targets, penalty) for penalty in PENALTIES]
    best = int(np.argmin([np.mean((found - targets) ** 2) for found in predictions]))
    found = predictions[best]
    mean, level = found.mean(axis=0), targets.mean(axis=0)
    spread = targets.var(axis=0)
    slope = np.mean((found - mean) * (targets - level), axis=0) / np.maximum(spread, 1e-6)
    slope = np.clip(slope, 0, 1)
    offset = mean - slope * level
    errors = Errors(offset, slope, found - offset - slope * targets)
    return fit_ridge(features, targets, PENALTIES[best]), np.float32(found), errors
