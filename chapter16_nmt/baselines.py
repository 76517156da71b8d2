"""Translations without a network, which a network must beat."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from scipy.sparse import csr_array

from chapter16_nmt.metrics import ngrams
from chapter16_nmt.tokens import Tokenization

MAX_PAIRS = 30_000  # of training, from which the dictionary is made
LONGEST = 4  # characters or sub-words of an entry

Sentences = Sequence[Sequence[str]]


def most_frequent(targets: Sentences) -> list[str]:
    """Returns the target sentence that is most frequent in training."""
    return list(Counter(map(tuple, targets)).most_common(1)[0][0])


def entries_of(target: Sequence[str], longest: int) -> set[tuple[str, ...]]:
    """Returns what of a target sentence may be the translation of a word: its n-grams."""
    return {entry for order in range(1, longest + 1) for entry in ngrams(target, order)}


def incidence(rows: Iterable[Iterable[Hashable]], columns: Sequence[Hashable]) -> csr_array:
    """Returns a sparse matrix of which rows have which columns, 1 where they do."""
    index = {column: i for i, column in enumerate(columns)}
    found, ends = [], [0]
    for row in rows:
        found += [index[item] for item in row if item in index]
        ends.append(len(found))
    return csr_array((np.ones(len(found), np.float32), np.array(found, np.int32), ends),
                     (len(ends) - 1, len(columns)))


def sums(matrix: csr_array) -> np.ndarray:
    """Returns the sums of the columns of a sparse matrix."""
    return np.asarray(matrix.sum(axis=0)).ravel()


class Dictionary:
    """Translates word by word, in the order of the source.

    The translation of a source word is the n-gram of target tokens with the highest Dice
    coefficient, 2 · pairs with both / (pairs with the one + pairs with the other) (Smadja et al.
    1996). Of equal ones the longest is taken: 老师 for `teacher`, not 老.
    """

    def __init__(
        self, words: Iterable[str], sources: Sentences, targets: Sentences, longest: int = 1
    ):
        """Counts pairs of sentences with a word, an n-gram, and both.

        Args:
            words: those that will be translated.
            sources: tokens of training.
            targets: the same of the targets.
            longest: tokens of an n-gram; 1 if they are words.
        """
        pairs_with = Counter(entry for target in targets for entry in entries_of(target, longest))
        # Of equal scores the last is taken: the longest entry, then the last of the alphabet. An
        # n-gram that occurs once says nothing.
        entries = sorted((entry for entry, count in pairs_with.items()
                          if count > 1 or len(entry) == 1), key=lambda entry: (len(entry), entry))
        words = sorted(set(words))
        ours = incidence(map(set, sources), words)
        theirs = incidence((entries_of(target, longest) for target in targets), entries)
        both, our_sums, their_sums = (ours.T @ theirs).tocsr(), sums(ours), sums(theirs)
        self._entries = {}
        for row, word in enumerate(words):
            part = slice(*both.indptr[row : row + 2])
            columns = both.indices[part]
            if len(columns):
                dice = 2 * both.data[part] / (our_sums[row] + their_sums[columns])
                self._entries[word] = entries[columns[dice == dice.max()].max()]

    def translate(self, source: Sequence[str]) -> list[str]:
        """Replaces known words; unknown ones stay."""
        return [token for word in source for token in self._entries.get(word, (word,))]


def translations(
    sources: Sentences, train_sources: Sentences, train_targets: Sentences, how: Tokenization
) -> dict[str, list[list[str]]]:
    """Returns the translations of all baselines, by name, as tokens.

    Args:
        sources: sentences to translate.
        train_sources: of training; the dictionary is made from at most MAX_PAIRS, evenly spaced.
        train_targets: of training.
        how: how the target was tokenized.
    """
    frequent, step = most_frequent(train_targets), -(-len(train_sources) // MAX_PAIRS)
    parts = how.level == "char" or how.subwords or how.delimiter
    dictionary = Dictionary((word for source in sources for word in source), train_sources[::step],
                            train_targets[::step], LONGEST if parts else 1)
    return {"copy": [list(source) for source in sources],
            "most_frequent": [frequent for _ in sources],
            "dictionary": [dictionary.translate(source) for source in sources]}
