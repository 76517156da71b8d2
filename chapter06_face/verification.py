"""Face verification: whether two images show one person, by the distance of their embeddings.

Distances are squared distances of embeddings of length 1, in [0, 4]. The protocol is that of LFW
(Huang et al. 2007) as the original implements it: thresholds are chosen on nine folds and scored on
the tenth.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sklearn.metrics

from common.errors import UserError

THRESHOLDS = np.arange(0, 4, 0.01)  # for the accuracy
FINE_THRESHOLDS = np.arange(0, 4, 0.001)  # for the rate at a given rate of false accepts
PIECE = 100_000  # pairs whose distances are computed together


class Pairs(NamedTuple):
    """Pairs of images, by their numbers.

    Attributes:
        first: int of shape (pairs,).
        second: int of shape (pairs,).
        same: whether both show one person, bool of shape (pairs,).
    """

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray


def all_pairs(people: np.ndarray) -> Pairs:
    """Returns all pairs of images; `people` is the person in each, of shape (images,)."""
    first, second = np.triu_indices(len(people), 1)
    return Pairs(first, second, people[first] == people[second])


def balanced_pairs(people: np.ndarray, count: int, seed: int) -> Pairs:
    """Returns up to `count` pairs of one person and as many of two, drawn at random, in turn."""
    rng, pairs = np.random.default_rng(seed), all_pairs(people)
    same, other = np.flatnonzero(pairs.same), np.flatnonzero(~pairs.same)
    count = min(count, len(same), len(other))
    chosen = np.stack([rng.choice(same, count, replace=False),
                       rng.choice(other, count, replace=False)], axis=1).ravel()
    return Pairs(*(column[chosen] for column in pairs))


def squared_distances(embeddings: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Returns the squared distance of each pair, of shape (pairs,)."""
    # Piece by piece: the pairs of a few thousand images are millions.
    pieces = [np.sum((embeddings[first] - embeddings[second]) ** 2, axis=1) for first, second in
              zip(*(np.array_split(numbers, len(numbers) // PIECE + 1)
                    for numbers in (pairs.first, pairs.second)), strict=True)]
    return np.concatenate(pieces)


def count_below(distances: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns how many distances are below each threshold, of shape (thresholds,)."""
    return np.searchsorted(np.sort(distances), thresholds)


def accuracies(distances: np.ndarray, same: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns the share of pairs that each threshold answers correctly: below it, one person."""
    accepted, false = (count_below(distances[chosen], thresholds) for chosen in (same, ~same))
    return (accepted + np.count_nonzero(~same) - false) / len(same)


def accept_rates(
    distances: np.ndarray, same: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the shares of pairs of one person (VAL), and of two (FAR), below each threshold.

    A share of no pairs is 0.
    """
    accepted, false = (count_below(distances[chosen], thresholds) / max(1, chosen.sum())
                       for chosen in (same, ~same))
    return accepted, false


def threshold_at(distances: np.ndarray, same: np.ndarray, far: float) -> float:
    """Returns the smallest threshold at which a share of `far` pairs of two people is accepted.

    It is interpolated linearly between FINE_THRESHOLDS, as in the original; 0 if even the smallest
    accepts more.
    """
    _, rates = accept_rates(distances, same, FINE_THRESHOLDS)
    if rates.max() < far:
        return float(FINE_THRESHOLDS[-1])
    rates, first = np.unique(rates, return_index=True)
    return float(np.interp(far, rates, FINE_THRESHOLDS[first]))


def folds(count: int, num_folds: int) -> list[np.ndarray]:
    """Returns the numbers of the pairs of each fold, in their order (scikit-learn's KFold)."""
    return np.array_split(np.arange(count), num_folds)


def evaluate(
    distances: np.ndarray, same: np.ndarray, num_folds: int = 10, far: float = 1e-3
) -> dict[str, float]:
    """Returns the scores of LFW's protocol.

    Args:
        distances: squared, of shape (pairs,).
        same: whether each pair is of one person.
        num_folds: number of folds of successive pairs.
        far: rate of false accepts at which `val` is given.

    Returns:
        `accuracy` with `accuracy_std` over the folds, `val` with `val_std` at the measured rate
        `far`, the area under the ROC curve `auc`, and the equal error rate `eer`.

    Raises:
        UserError: a fold would have no pairs, or all pairs are of one kind.
    """
    if len(same) < num_folds:
        raise UserError(f"{len(same)} pairs cannot make {num_folds} folds", "give more pairs, or "
                        "fewer folds")
    if same.all() or not same.any():
        raise UserError("all pairs are of one person, or all are of two", "give pairs of both")
    scores = []
    for fold in folds(len(same), num_folds):
        rest = np.setdiff1d(np.arange(len(same)), fold)
        best = THRESHOLDS[np.argmax(accuracies(distances[rest], same[rest], THRESHOLDS))]
        limit = threshold_at(distances[rest], same[rest], far)
        accept, false = accept_rates(distances[fold], same[fold], np.array([limit]))
        scores.append((accuracies(distances[fold], same[fold], np.array([best]))[0], accept[0],
                       false[0]))
    (accuracy, val, rate), (accuracy_std, val_std, _) = np.mean(scores, 0), np.std(scores, 0)
    return {"accuracy": float(accuracy), "accuracy_std": float(accuracy_std), "val": float(val),
            "val_std": float(val_std), "far": float(rate), **roc_scores(distances, same),
            "pairs": len(same)}


def roc_scores(distances: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """Returns the area under the ROC curve and the equal error rate."""
    false, true, _ = sklearn.metrics.roc_curve(same, -distances, drop_intermediate=False)
    return {"auc": float(sklearn.metrics.auc(false, true)), "eer": crossing(false, true)}


def crossing(false: np.ndarray, true: np.ndarray) -> float:
    """Returns the equal error rate of an ROC curve.

    It is where the rate of false accepts, which rises, crosses that of false rejects, which falls.

    Args:
        false: shares of pairs of two people that are accepted, ascending.
        true: shares of pairs of one person that are accepted, at the same thresholds.
    """
    gap = false - (1 - true)
    after = int(np.argmax(gap >= 0))
    before = max(after - 1, 0)
    span = gap[after] - gap[before]
    part = -gap[before] / span if span else 0.0
    return float(false[before] + part * (false[after] - false[before]))


def bootstrap_interval(
    distances: np.ndarray, people: np.ndarray, seed: int = 0, samples: int = 200
) -> tuple[float, float]:
    """Returns the 95 % interval of the equal error rate over bootstrap samples of people.

    Pairs of the same images depend on each other: not pairs but people are drawn, with replacement.
    A pair of one person counts as often as the person was drawn, a pair of two as often as both
    were together: the product.

    Args:
        distances: of all pairs, as `all_pairs` orders them.
        people: the person in each image, of shape (images,).
        seed: of the samples.
        samples: how many.
    """
    rng, pairs, found = np.random.default_rng(seed), all_pairs(people), []
    order = np.argsort(distances, kind="stable")
    first, second, same = people[pairs.first[order]], people[pairs.second[order]], pairs.same[order]
    names, count = np.unique(people), int(people.max()) + 1
    for _ in range(samples):
        drawn = np.bincount(rng.choice(names, len(names)), minlength=count)
        accepted = np.cumsum(drawn[first] * same)
        false = np.cumsum(drawn[first] * drawn[second] * ~same)
        if accepted[-1] and false[-1]:
            found.append(crossing(false / false[-1], accepted / accepted[-1]))
    return (float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))) if found else (
        0.0, 1.0)


def best_threshold(distances: np.ndarray, same: np.ndarray) -> float:
    """Returns the threshold with the highest balanced accuracy."""
    accept, false = accept_rates(distances, same, FINE_THRESHOLDS)
    return float(FINE_THRESHOLDS[np.argmax(accept - false)])


def normalize(features: np.ndarray, mean: np.ndarray | float = 0.0) -> np.ndarray:
    """Returns features minus a mean, divided by their length, of shape (images, size)."""
    centred = features - mean
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-10)


def names_of(people: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the people in alphabetical order, and the number of each photograph's person."""
    names, numbers = np.unique(np.array(people), return_inverse=True)
    return tuple(map(str, names)), numbers.astype(np.int64)
