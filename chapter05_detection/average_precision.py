"""Average precision of detections, by the rules of VOC 2007, VOC 2010 and COCO.

Detections with equal scores count as one group: only the ends of groups are points of the curve, so
that the order in which they happen to be listed has no effect.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from chapter05_detection.boxes import iou_numpy

COCO_THRESHOLDS = tuple(np.arange(50, 100, 5) / 100)  # IoU .5, .55 … .95
RECALLS = np.linspace(0, 1, 101)  # at which COCO samples the curve


class Truth(NamedTuple):
    """The true boxes of one image.

    Attributes:
        boxes: float of shape (n, 4).
        classes: int of shape (n,), from 0.
        difficult: bool of shape (n,); such boxes count neither as found nor as missed.
    """

    boxes: np.ndarray
    classes: np.ndarray
    difficult: np.ndarray


class Detections(NamedTuple):
    """The detections of one image: boxes (n, 4), scores (n,) and classes (n,) from 0."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class Marks(NamedTuple):
    """All detections of one class, marked as hits or not.

    Attributes:
        images: the image of each detection, int of shape (n,).
        scores: float of shape (n,).
        hits: bool of shape (n,).
        positives: number of true boxes of each image, int of shape (images,).
    """

    images: np.ndarray
    scores: np.ndarray
    hits: np.ndarray
    positives: np.ndarray


def mark_image(
    truth: Truth, boxes: np.ndarray, scores: np.ndarray, threshold: float, rule: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Marks the detections of one class in one image.

    Args:
        truth: the true boxes of this class.
        boxes: of the detections, float of shape (n, 4).
        scores: of shape (n,).
        threshold: smallest IoU of a hit.
        rule: "voc": a detection is compared with the box that it overlaps most, and misses if that
            one is taken. "coco": with the one that it overlaps most of those that are left.

    Returns:
        The order of the detections; for each in that order, whether it is a hit, and whether it
        counts at all. Those on difficult boxes do not.
    """
    overlap = iou_numpy(boxes, truth.boxes)
    order = np.lexsort((-overlap.max(axis=1, initial=0), -scores))
    taken = np.zeros(len(truth.boxes), bool)
    hits, counts = np.zeros(len(boxes), bool), np.ones(len(boxes), bool)
    # Detections that overlap no box enough are misses.
    for place in np.flatnonzero(overlap.max(axis=1, initial=0)[order] >= threshold):
        candidates = overlap[order[place]].copy()
        if rule == "coco":
            free = ~taken & ~truth.difficult & (candidates >= threshold)
            candidates[~free & (free.any() | taken)] = -1
        best = int(candidates.argmax())
        if candidates[best] < threshold:
            continue
        if truth.difficult[best]:
            counts[place] = False
        elif not taken[best]:
            hits[place] = taken[best] = True
    return order, hits, counts


def mark(
    truths: Sequence[Truth], found: Sequence[Detections], label: int, threshold: float,
    rule: str = "voc",
) -> Marks:
    """Marks all detections of a class in all images; see `mark_image`."""
    images, scores, hits, positives = [], [], [], []
    for number, (truth, detections) in enumerate(zip(truths, found, strict=True)):
        real, ours = truth.classes == label, detections.classes == label
        of_class = Truth(truth.boxes[real], truth.classes[real], truth.difficult[real])
        order, is_hit, counts = mark_image(of_class, detections.boxes[ours],
                                           detections.scores[ours], threshold, rule)
        images.append(np.full(counts.sum(), number))
        scores.append(detections.scores[ours][order][counts])
        hits.append(is_hit[counts])
        positives.append(np.sum(~of_class.difficult))
    return Marks(*map(np.concatenate, (images, scores, hits)), np.array(positives))


def join(parts: Sequence[Marks]) -> Marks:
    """Returns the marks of several classes as if they were one."""
    columns = (np.concatenate(column) for column in list(zip(*parts, strict=True))[:3])
    return Marks(*columns, np.sum([part.positives for part in parts], axis=0))


def precision_recall(
    marks: Marks, copies: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns recall, precision and score at the end of each group of equal scores.

    Args:
        marks: of one class, or of several.
        copies: how often each image counts, int of shape (images,); of a bootstrap sample.
    """
    copies = np.ones(len(marks.positives), int) if copies is None else copies
    order = np.argsort(-marks.scores, kind="stable")
    scores, weights = marks.scores[order], copies[marks.images[order]]
    hits, total = np.cumsum(weights * marks.hits[order]), np.cumsum(weights)
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1) if len(scores) else []
    ends = np.array(ends, int)
    ends = ends[total[ends] > 0]
    positives = copies @ marks.positives
    return hits[ends] / max(positives, 1), hits[ends] / total[ends], scores[ends]


def area(recall: np.ndarray, precision: np.ndarray) -> float:
    """Returns the area below the envelope of the curve: VOC from 2010, and the original."""
    recall = np.concatenate([[0], recall])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))


def eleven_points(recall: np.ndarray, precision: np.ndarray) -> float:
    """Returns the mean of the highest precision at a recall of at least 0, .1 … 1: VOC 2007."""
    return float(np.mean([precision[recall >= point - 1e-12].max(initial=0)
                          for point in np.arange(11) / 10]))


def hundred_points(recall: np.ndarray, precision: np.ndarray) -> float:
    """Returns the mean of the envelope at 101 recalls: COCO."""
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    return float(envelope[np.searchsorted(recall, RECALLS)].mean())


def mean_precision(
    classes: Sequence[Marks], rule: Callable[[np.ndarray, np.ndarray], float] = area,
    copies: np.ndarray | None = None,
) -> float:
    """Returns the mean of the average precisions of all classes that have a true box; 0 if none."""
    values = [rule(*precision_recall(marks, copies)[:2]) for marks in classes
              if (marks.positives.sum() if copies is None else copies @ marks.positives)]
    return float(np.mean(values)) if values else 0.0


class Evaluation:
    """The marks of all classes at all thresholds, from which every score is computed."""

    def __init__(
        self, truths: Sequence[Truth], found: Sequence[Detections], num_classes: int
    ):
        """Marks all detections; `truths` and `found` are of the same images."""
        self.num_images, labels = len(truths), range(num_classes)
        self.voc = [mark(truths, found, label, 0.5) for label in labels]
        self.coco = [[mark(truths, found, label, threshold, "coco") for label in labels]
                     for threshold in COCO_THRESHOLDS]

    def scores(self, copies: np.ndarray | None = None) -> dict[str, float]:
        """Returns AP at IoU .5 by both rules of VOC, and COCO's mean over thresholds."""
        over = [mean_precision(classes, hundred_points, copies) for classes in self.coco]
        return {"map": float(np.mean(over)), "ap_50": mean_precision(self.voc, area, copies),
                "ap_50_voc07": mean_precision(self.voc, eleven_points, copies)}

    def by_class(self) -> list[dict[str, float]]:
        """Returns AP at .5, mAP and the number of true boxes of each class."""
        return [{"ap_50": mean_precision([marks]),
                 "map": float(np.mean([mean_precision([level[label]], hundred_points)
                                       for level in self.coco])),
                 "boxes": int(marks.positives.sum())}
                for label, marks in enumerate(self.voc)]

    def intervals(self, samples: int = 500, seed: int = 0) -> dict[str, float]:
        """Returns the 95 % bootstrap intervals of the scores: images are drawn with replacement."""
        rng = np.random.default_rng(seed)
        drawn = [self.scores(rng.multinomial(self.num_images, np.full(self.num_images,
                                                                      1 / self.num_images)))
                 for _ in range(samples)]
        ends = {}
        for name in ("map", "ap_50"):
            low, high = np.quantile([scores[name] for scores in drawn], (0.025, 0.975))
            ends |= {f"{name}_low": float(low), f"{name}_high": float(high)}
        return ends

    def best_threshold(self) -> tuple[float, float]:
        """Returns the score threshold with the highest F1 over all classes, and that F1."""
        recall, precision, scores = precision_recall(join(self.voc))
        if not len(scores):
            return 0.5, 0.0
        f1 = f1_score(recall, precision)
        return float(scores[f1.argmax()]), float(f1.max())


def f1_score(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Returns the harmonic means of recall and precision; 0 where both are 0."""
    return 2 * recall * precision / np.maximum(recall + precision, 1e-12)


def confusion(
    truths: Sequence[Truth], found: Sequence[Detections], num_classes: int, threshold: float,
    min_iou: float = 0.5,
) -> np.ndarray:
    """Returns the confusion matrix with background as last row and column.

    Within an image, pairs of true and detected boxes of any class are matched by overlap, the
    highest first. True boxes without a partner are found as background, detections without one are
    background taken for an object.

    Args:
        truths: the true boxes of each image; difficult ones are included.
        found: the detections of each image.
        num_classes: number of classes.
        threshold: smallest score of a detection that counts.
        min_iou: smallest overlap of a pair.

    Returns:
        int of shape (num_classes + 1, num_classes + 1): rows are true, columns predicted.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), int)
    for truth, detections in zip(truths, found, strict=True):
        shown = detections.scores >= threshold
        predicted = detections.classes[shown]
        overlap = iou_numpy(truth.boxes, detections.boxes[shown])
        missed, extra = set(range(len(truth.classes))), set(range(len(predicted)))
        for flat in np.argsort(-overlap, axis=None, kind="stable"):
            i, j = np.unravel_index(flat, overlap.shape)
            if overlap[i, j] < min_iou:
                break
            if i in missed and j in extra:
                matrix[truth.classes[i], predicted[j]] += 1
                missed.remove(i)
                extra.remove(j)
        for i in missed:
            matrix[truth.classes[i], num_classes] += 1
        for j in extra:
            matrix[num_classes, predicted[j]] += 1
    return matrix
