"""The baseline for texts: logistic regression on TF-IDF features, from scikit-learn."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from common.words import runs_of

STRENGTHS = (1.0, 10.0)  # inverse L2 regularization strengths C, chosen by validation accuracy


def build_vectorizer(level: str) -> TfidfVectorizer:
    """Returns the features: words as in words.py, or characters and their bigrams."""
    if level == "char":
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
    return TfidfVectorizer(token_pattern=runs_of(r"\w").pattern)


def score_tfidf(
    texts: Mapping[str, Sequence[str]], labels: Mapping[str, np.ndarray], level: str
) -> dict[str, float]:
    """Returns the test accuracy of logistic regression on TF-IDF features.

    The features cover the whole texts and all their words. At the character level they include
    character bigrams.

    Args:
        texts: texts by split, with words separated by spaces.
        labels: labels by split, int64 (texts,).
        level: "word" or "char".
    """
    vectorizer = build_vectorizer(level)
    weights = {"train": vectorizer.fit_transform(texts["train"])}
    weights |= {name: vectorizer.transform(texts[name]) for name in ("validation", "test")}
    fits = [LogisticRegression(C=strength, max_iter=300).fit(weights["train"], labels["train"])
            for strength in STRENGTHS]
    accuracies = [fit.score(weights["validation"], labels["validation"]) for fit in fits]
    chosen = int(np.argmax(accuracies))
    return {"accuracy": float(fits[chosen].score(weights["test"], labels["test"])),
            "examples": len(labels["test"]), "strength": STRENGTHS[chosen]}
