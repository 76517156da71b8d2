"""What is done with word vectors: looking up, nearest words, files that others read."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tensorboard.plugins import projector

from common.errors import UserError

# Book, section 14.2: of 16 of the 100 most frequent words the 8 nearest are shown.
NUM_VALID, VALID_WINDOW, NUM_NEAREST = 16, 100, 8
NUM_SPELLINGS = 5  # offered for a word that is not in the vocabulary


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Scales each row to length 1, so that a product of two is their cosine."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def number_of(word: str, vocabulary: Sequence[str]) -> int:
    """Returns a word's number; upper case is looked up as lower.

    Raises:
        UserError: the word is not in the vocabulary; the nearest spellings are offered.
    """
    known = vocabulary[1:]
    if (lowered := word.lower()) not in known:
        near = difflib.get_close_matches(lowered, known, NUM_SPELLINGS, cutoff=0.5)
        raise UserError(
            f"{word!r} is not among the {len(known):,} words of the vocabulary",
            f"try {', '.join(near or known[:NUM_SPELLINGS])}",
        )
    return vocabulary.index(lowered)


def cosines(unit: np.ndarray, queries: np.ndarray, excluded: np.ndarray) -> np.ndarray:
    """Returns the cosine of each query with each word, -inf for what is no answer.

    Args:
        unit: all word vectors, of length 1, of shape (words, size).
        queries: vectors of length 1, of shape (queries, size).
        excluded: numbers of words that may not come up, of shape (queries, any); UNK never does.
    """
    products = queries @ unit.T  # (queries, words)
    products[:, 0] = -np.inf
    np.put_along_axis(products, excluded, -np.inf, axis=1)
    return products


def nearest(
    unit: np.ndarray, queries: np.ndarray, excluded: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers of the nearest words and their cosines, each of shape (queries, count).

    Arguments as in `cosines`; fewer come back where the vocabulary has fewer.
    """
    products = cosines(unit, queries, excluded)
    order = np.argsort(-products, axis=1, kind="stable")
    numbers = order[:, : min(count, len(unit) - 1 - excluded.shape[1])]
    return numbers, np.take_along_axis(products, numbers, axis=1)


def choose_valid_words(vocabulary_size: int, seed: int) -> np.ndarray:
    """Returns the numbers of the words whose neighbours are watched, in the order of frequency."""
    frequent = np.arange(1, min(VALID_WINDOW, vocabulary_size - 1) + 1)
    count = min(NUM_VALID, len(frequent))
    return np.sort(np.random.default_rng(seed).choice(frequent, count, replace=False))


def neighbours(
    vectors: np.ndarray, words: np.ndarray, vocabulary: Sequence[str]
) -> dict[str, list[str]]:
    """Returns the words nearest to some words, which are given by their numbers."""
    unit = normalise(vectors)
    numbers, _ = nearest(unit, unit[words], words[:, None], NUM_NEAREST)
    return {vocabulary[word]: [vocabulary[i] for i in row]
            for word, row in zip(words, numbers, strict=True)}


def show_neighbours(found: dict[str, list[str]]) -> str:
    """Returns a line for each word, with its nearest ones."""
    width = max(map(len, found))
    return "\n".join(f"{word:>{width}}: {', '.join(near)}" for word, near in found.items())


def format_rows(vectors: np.ndarray, separator: str) -> Iterator[str]:
    """Yields each vector as text, six digits a number."""
    for row in vectors.tolist():
        yield separator.join(f"{number:.6g}" for number in row)


def save_word2vec(path: Path, vectors: np.ndarray, vocabulary: Sequence[str]) -> None:
    """Writes the text format of the original word2vec, which gensim and others read.

    A line with the number of words and of dimensions, then a line for each word.
    """
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(f"{vectors.shape[0]} {vectors.shape[1]}\n")
        for word, numbers in zip(vocabulary, format_rows(vectors, " "), strict=True):
            file.write(f"{word} {numbers}\n")
    part.replace(path)


def save_projector(folder: Path, vectors: np.ndarray, vocabulary: Sequence[str]) -> None:
    """Writes what TensorBoard's projector shows: vectors.tsv, labels.tsv, a configuration.

    Args:
        folder: a folder that holds a run's events: TensorBoard looks into no others.
        vectors: float32 of shape (words, size).
        vocabulary: the word of each row.
    """
    with (folder / "vectors.tsv").open("w", encoding="utf-8") as file:
        file.writelines(f"{numbers}\n" for numbers in format_rows(vectors, "\t"))
    (folder / "labels.tsv").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    config = projector.ProjectorConfig()
    config.embeddings.add(tensor_name="word vectors", tensor_path="vectors.tsv",
                          metadata_path="labels.tsv")
    projector.visualize_embeddings(str(folder), config)
