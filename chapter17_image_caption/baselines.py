"""Captions without a network that writes: the most frequent one, and those of similar pictures."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from chapter17_image_caption.data import Captions
from chapter17_image_caption.metrics import Cider

NEIGHBOURS = 10  # pictures whose captions vote for a consensus


def most_frequent(captions: Sequence[Captions]) -> list[str]:
    """Returns the most frequent training caption, of equally frequent ones the alphabet's first."""
    counts = Counter(tuple(words) for some in captions for words in some)
    most = max(counts.values())
    return list(min(words for words, count in counts.items() if count == most))


def nearest(features: np.ndarray, training: np.ndarray, count: int) -> np.ndarray:
    """Returns the most similar training pictures by the cosine, the nearest first.

    Features are centred by the mean of the training pictures.

    Args:
        features: mean feature vectors of shape (pictures, channels).
        training: the same of the training pictures.
        count: of neighbours.

    Returns:
        Indices of shape (pictures, count).
    """
    mean = training.mean(axis=0)

    def unit(vectors: np.ndarray) -> np.ndarray:
        centred = vectors - mean
        return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)

    return np.argsort(-unit(features) @ unit(training).T, axis=1, kind="stable")[:, :count]


def consensus(candidates: Captions, cider: Cider) -> list[str]:
    """Returns the caption that is most similar to all others (Devlin et al. 2015), by CIDEr-D."""
    scores = [sum(cider.similarity(words, other) for j, other in enumerate(candidates) if i != j)
              for i, words in enumerate(candidates)]
    return candidates[int(np.argmax(scores))]


def captions_of(features: np.ndarray, training: np.ndarray, captions: Sequence[Captions]
                ) -> dict[str, list[list[str]]]:
    """Returns the captions of all baselines, by name.

    Args:
        features: mean feature vectors of the pictures.
        training: the same of the training pictures.
        captions: of the training pictures.
    """
    cider, found = Cider(captions), nearest(features, training, NEIGHBOURS)
    return {"most_frequent": [most_frequent(captions)] * len(features),
            "nearest": [captions[row[0]][0] for row in found],
            "consensus": [consensus([words for i in row for words in captions[i]], cider)
                          for row in found]}
