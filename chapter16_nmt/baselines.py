"""Translations without a network, which a network must beat."""

from collections import Counter
from collections.abc import Sequence

Sentences = Sequence[Sequence[str]]


def most_frequent(targets: Sentences) -> list[str]:
    """Returns the target sentence that is most frequent in training."""
    return list(Counter(map(tuple, targets)).most_common(1)[0][0])


class Dictionary:
    """Translates word by word, by the words that occur together in training.

    The translation of a source word is the target word with the highest Dice coefficient,
    2 · pairs with both / (pairs with the one + pairs with the other) (Smadja et al. 1996).
    """

    def __init__(self, sources: Sentences, targets: Sentences):
        """Counts words, and pairs of words, once in each pair of sentences."""
        ours, theirs, both = Counter(), Counter(), Counter()
        for source, target in zip(sources, targets, strict=True):
            ours.update(words := set(source))
            theirs.update(others := set(target))
            both.update((word, other) for word in words for other in others)
        best: dict[str, tuple[float, str]] = {}
        for (word, other), count in both.items():
            score = 2 * count / (ours[word] + theirs[other])
            # Of equal scores the later word by the alphabet: a result that can be repeated.
            best[word] = max(best.get(word, (0.0, "")), (score, other))
        self._entries = {word: other for word, (_, other) in best.items()}

    def translate(self, source: Sequence[str]) -> list[str]:
        """Replaces known words; unknown ones stay."""
        return [self._entries.get(word, word) for word in source]


def translations(
    sources: Sentences, train_sources: Sentences, train_targets: Sentences
) -> dict[str, list[list[str]]]:
    """Returns the translations of all baselines, by name, as tokens.

    Args:
        sources: sentences to translate.
        train_sources: of training.
        train_targets: of training.
    """
    frequent, dictionary = most_frequent(train_targets), Dictionary(train_sources, train_targets)
    return {"copy": [list(source) for source in sources],
            "most_frequent": [frequent for _ in sources],
            "dictionary": [dictionary.translate(source) for source in sources]}
