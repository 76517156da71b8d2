"""Scores of captions: BLEU-1 to BLEU-4, CIDEr-D, exact match, distinct captions.

Captions and references are lists of words. A picture has one or more references.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from chapter16_nmt.metrics import MAX_ORDER, ngrams
from common.intervals import with_interval

SIGMA = 6.0  # words; of CIDEr-D's penalty of other lengths
SCALE = 10.0  # of CIDEr-D
MOST_EXCHANGES = 300  # other pictures whose captions are compared with the references of one
ORDERS = range(1, MAX_ORDER + 1)

Words = Sequence[str]
References = Sequence[Words]


def bleu_statistics(captions: Sequence[Words], references: Sequence[References]) -> np.ndarray:
    """Counts what BLEU with several references is made of, for each caption.

    An n-gram counts at most as often as in the reference that has it most often; the reference
    length is that of the reference that is closest in length, the shorter one of two.

    Returns:
        float64 of shape (captions, 2 · MAX_ORDER + 2): matching n-grams, all n-grams, and lengths
        of caption and reference.
    """
    rows = []
    for caption, some in zip(captions, references, strict=True):
        matches, possible = [], []
        for order in ORDERS:
            found, most = ngrams(caption, order), Counter()
            for reference in some:
                most |= ngrams(reference, order)
            matches.append((found & most).total())
            possible.append(found.total())
        closest = min((len(reference) for reference in some),
                      key=lambda length: (abs(length - len(caption)), length))
        rows.append([*matches, *possible, len(caption), closest])
    return np.array(rows, np.float64).reshape(-1, 2 * MAX_ORDER + 2)


def bleu(sums: np.ndarray) -> dict[str, float]:
    """Computes BLEU-1 to BLEU-4 (Papineni et al. 2002), from 0 to 1.

    Args:
        sums: the sum of `bleu_statistics` over all captions.
    """
    matches, possible = sums[:MAX_ORDER], sums[MAX_ORDER : 2 * MAX_ORDER]
    length, closest = sums[-2:]
    penalty = math.exp(min(0.0, 1 - closest / length)) if length else 0.0
    precisions = matches / np.maximum(possible, 1)
    with np.errstate(divide="ignore"):
        logs = np.log(precisions)
    return {f"bleu_{order}": float(penalty * np.exp(logs[:order].mean())) for order in ORDERS}


class Cider:
    """CIDEr-D (Vedantam et al. 2015): tf-idf-weighted n-grams that a caption and references share.

    An n-gram counts by how few pictures have it in their references. For each order n from 1 to 4,
    the similarity of a caption c and a reference r is

        exp(−(|c| − |r|)² / 2σ²) · Σ_w min(c_w, r_w) r_w / (‖c‖ ‖r‖)

    where c_w is the number of the n-gram w in c times log(pictures / pictures with w). CIDEr-D is
    ten times the mean over the orders and the references.
    """

    def __init__(self, corpus: Sequence[References]):
        """Counts in how many pictures each n-gram occurs.

        Args:
            corpus: references of each picture.
        """
        self.frequency: Counter = Counter()
        for some in corpus:
            self.frequency.update({gram for reference in some for order in ORDERS
                                   for gram in ngrams(reference, order)})
        self.log_count = math.log(max(2, len(corpus)))
        self._known: dict[tuple[str, ...], list[tuple[dict, float]]] = {}

    def vectors(self, words: Words) -> list[tuple[dict[tuple[str, ...], float], float]]:
        """Returns the tf-idf vector of each order and its norm; each caption's are kept."""
        if (key := tuple(words)) not in self._known:
            found = self._weigh(words)
            self._known[key] = [(vector, math.hypot(*vector.values())) for vector in found]
        return self._known[key]

    def _weigh(self, words: Words) -> list[dict[tuple[str, ...], float]]:
        return [{gram: count * (self.log_count - math.log(max(1, self.frequency[gram])))
                 for gram, count in ngrams(words, order).items()} for order in ORDERS]

    def similarity(self, caption: Words, reference: Words) -> float:
        """Returns CIDEr-D of a caption with one reference."""
        gap = len(caption) - len(reference)
        total = 0.0
        for (ours, norm), (theirs, other) in zip(self.vectors(caption), self.vectors(reference),
                                                 strict=True):
            norms = norm * other
            common = sum(min(value, theirs[gram]) * theirs[gram]
                         for gram, value in ours.items() if gram in theirs)
            total += common / norms if norms else 0.0
        return SCALE * math.exp(-(gap**2) / (2 * SIGMA**2)) * total / MAX_ORDER

    def score(self, caption: Words, references: References) -> float:
        """Returns CIDEr-D of a caption with its references."""
        return float(np.mean([self.similarity(caption, reference) for reference in references]))

    def scores(self, captions: Sequence[Words], references: Sequence[References]) -> np.ndarray:
        """Returns the score of each caption with the references of its picture."""
        return np.array([self.score(*pair) for pair in zip(captions, references, strict=True)])


def score(captions: Sequence[Words], references: Sequence[References], cider: Cider
          ) -> dict[str, float]:
    """Returns all scores of some captions.

    `exact_match` is the share that equals a reference, `distinct` the share of different captions.
    """
    exact = np.array([list(caption) in [list(words) for words in some]
                      for caption, some in zip(captions, references, strict=True)], float)
    return {**with_interval("cider", cider.scores(captions, references)),
            **bleu(bleu_statistics(captions, references).sum(axis=0)),
            **with_interval("exact_match", exact),
            "distinct": len({tuple(caption) for caption in captions}) / len(captions)}


def shuffled_cider(captions: Sequence[Words], references: Sequence[References], cider: Cider
                   ) -> np.ndarray:
    """Returns CIDEr-D of other pictures' captions with the references of each picture.

    It is the mean over all other pictures, of many the next ones: what captions score whose
    pictures were exchanged.
    """
    count = len(captions)
    shifts = range(1, min(count, MOST_EXCHANGES + 1))
    return np.array([np.mean([cider.score(captions[(row + shift) % count], some)
                              for shift in shifts]) for row, some in enumerate(references)])
