"""Scores of translations: BLEU, ROUGE-L and accuracy as in the original; intervals by resampling.

Translations and references are lists of tokens here; `sacrebleu_scores` takes whole sentences. All
scores go from 0 to 100.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sacrebleu.metrics import BLEU, CHRF

from chapter16_nmt.tokens import UNSPACED, main_language

MAX_ORDER = 4  # words of the longest n-grams of BLEU
RESAMPLES = 1000
CHINESE = {"zh", "cn", "cmn", "yue"}
TINY = 1e-12  # of the original's ROUGE, against a division by 0

Tokens = Sequence[str]


def ngrams(tokens: Tokens, order: int) -> Counter:
    """Counts the n-grams of a sentence."""
    return Counter(tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1))


def bleu_statistics(translations: Sequence[Tokens], references: Sequence[Tokens]) -> np.ndarray:
    """Counts what BLEU is made of, for each sentence.

    Returns:
        int64 of shape (sentences, 2 · MAX_ORDER + 2): n-grams that both have, n-grams of the
        translation, and the lengths of translation and reference.
    """
    rows = []
    for translation, reference in zip(translations, references, strict=True):
        matches, possible = [], []
        for order in range(1, MAX_ORDER + 1):
            found = ngrams(translation, order)
            matches.append((found & ngrams(reference, order)).total())
            possible.append(found.total())
        rows.append([*matches, *possible, len(translation), len(reference)])
    return np.array(rows, np.int64).reshape(-1, 2 * MAX_ORDER + 2)


def bleu_of(sums: np.ndarray) -> np.ndarray:
    """Computes BLEU (Papineni et al. 2002) from sums of `bleu_statistics`.

    It is the geometric mean of the precisions of 1- to 4-grams, times the brevity penalty
    exp(1 − reference length / length) of translations that are too short. Without smoothing, it is
    0 if there is no common 4-gram.

    Args:
        sums: of shape (…, 2 · MAX_ORDER + 2).

    Returns:
        BLEU of shape (…).
    """
    matches, possible = sums[..., :MAX_ORDER], sums[..., MAX_ORDER : 2 * MAX_ORDER]
    length, reference_length = sums[..., -2], sums[..., -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(possible > 0, matches / possible, 0.0)
        mean = np.exp(np.log(precisions).mean(axis=-1))
        penalty = np.where(length > reference_length, 1.0, np.exp(1 - reference_length / length))
    return 100 * np.where(length > 0, mean * penalty, 0.0)


def corpus_bleu(translations: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    """Computes the BLEU of all translations together, as the original's bleu.py does."""
    return float(bleu_of(bleu_statistics(translations, references).sum(axis=0)))


def longest_common_subsequence(first: Tokens, second: Tokens) -> int:
    """Returns the length of the longest sequence that both have, perhaps with gaps."""
    row = [0] * (len(second) + 1)
    for token in first:
        before = row
        row = [0]
        for place, other in enumerate(second):
            row.append(before[place] + 1 if token == other else max(row[place], before[place + 1]))
    return row[-1]


def rouge_l(translations: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    """Computes the mean F score of ROUGE-L (Lin 2004), as the original's rouge.py does."""
    scores = []
    for translation, reference in zip(translations, references, strict=True):
        common = longest_common_subsequence(translation, reference)
        recall, precision = (common / max(1, len(tokens)) for tokens in (reference, translation))
        beta = precision / (recall + TINY)
        weighted = (1 + beta**2) * recall * precision
        scores.append(weighted / (recall + beta**2 * precision + TINY))
    return 100 * float(np.mean(scores))


def accuracy(translations: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    """Returns the share of translations that equal their reference."""
    return 100 * float(np.mean([list(translation) == list(reference) for translation, reference in
                                zip(translations, references, strict=True)]))


METRICS = {"bleu": corpus_bleu, "rouge": rouge_l, "accuracy": accuracy}


class Interval(NamedTuple):
    """A value, and the bounds between which 95 % of the resampled values are."""

    value: float
    low: float
    high: float


def resampled(statistics: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns the BLEU of RESAMPLES test sets, drawn from the sentences with replacement.

    With the same seed and number of sentences, the draws are the same.
    """
    count = len(statistics)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return bleu_of(draws @ statistics)


def bounds(value: float, values: np.ndarray) -> Interval:
    """Returns a value and the 95 % interval of its resampled values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def bleu_interval(translations: Sequence[Tokens], references: Sequence[Tokens]) -> Interval:
    """Returns BLEU with its bootstrap interval."""
    statistics = bleu_statistics(translations, references)
    return bounds(float(bleu_of(statistics.sum(axis=0))), resampled(statistics))


def paired_difference(
    ours: Sequence[Tokens], theirs: Sequence[Tokens], references: Sequence[Tokens]
) -> Interval:
    """Returns the BLEU of `ours` minus that of `theirs` with its paired interval (Koehn 2004).

    Each resampled test set has the same sentences for both.
    """
    both = [bleu_statistics(translations, references) for translations in (ours, theirs)]
    value = float(bleu_of(both[0].sum(axis=0)) - bleu_of(both[1].sum(axis=0)))
    return bounds(value, resampled(both[0]) - resampled(both[1]))


def sacrebleu_scores(
    translations: Sequence[str], references: Sequence[str], language: str
) -> tuple[dict[str, float], dict[str, str]]:
    """Returns BLEU and chrF of whole sentences by the library sacrebleu, and their signatures.

    Args:
        translations: the sentences, joined as a reader expects them.
        references: the same of the references.
        language: of the target, which decides how sacrebleu tokenizes sentences: Chinese by its
            rules, Korean and languages without spaces into characters, others by "13a".
    """
    language = main_language(language)
    tokenizer = "zh" if language in CHINESE else "char" if language in UNSPACED | {"ko"} else "13a"
    scorers = {"sacrebleu": BLEU(tokenize=tokenizer), "chrf": CHRF()}
    scores = {name: scorer.corpus_score(list(translations), [list(references)]).score
              for name, scorer in scorers.items()}
    return scores, {name: str(scorer.get_signature()) for name, scorer in scorers.items()}
