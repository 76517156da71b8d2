"""Operations on word vectors: lookup, nearest neighbours, and files for other programs."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tensorboard.plugins import projector

from common.errors import UserError

# Book, section 14.3.4: the 8 nearest words of 16 of the 100 most frequent words.
NUM_VALID, VALID_WINDOW, NUM_NEAREST = 16, 100, 8
NUM_SPELLINGS = 5  # suggestions for a word that is not in the vocabulary


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Scales each row to length 1, so that the dot product of two rows is their cosine."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def word_id(word: str, vocabulary: Sequence[str]) -> int:
    """Returns the id of a word, which is looked up in lower case.

    Raises:
        UserError: the word is not in the vocabulary; suggests similar spellings.
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
    """Returns the cosine of each query with each word, -inf for UNK and excluded words.

    Args:
        unit: all word vectors, of length 1, of shape (words, size).
        queries: vectors of length 1, of shape (queries, size).
        excluded: ids of words that cannot be the answer, of shape (queries, any).
    """
    products = queries @ unit.T  # (queries, words)
    products[:, 0] = -np.inf
    np.put_along_axis(products, excluded, -np.inf, axis=1)
    return products


def nearest(
    unit: np.ndarray, queries: np.ndarray, excluded: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids of the nearest words and their cosines, each of shape (queries, count).

    The arguments are those of `cosines`. With a small vocabulary the result has fewer columns.
    """
    products = cosines(unit, queries, excluded)
    order = np.argsort(-products, axis=1, kind="stable")
    ids = order[:, : min(count, len(unit) - 1 - excluded.shape[1])]
    return ids, np.take_along_axis(products, ids, axis=1)


def choose_valid_words(vocabulary_size: int, seed: int) -> np.ndarray:
    """Returns the ids of the validation words, drawn from the most frequent, in ascending order."""
    frequent = np.arange(1, min(VALID_WINDOW, vocabulary_size - 1) + 1)
    count = min(NUM_VALID, len(frequent))
    return np.sort(np.random.default_rng(seed).choice(frequent, count, replace=False))


def neighbours(
    vectors: np.ndarray, words: np.ndarray, vocabulary: Sequence[str]
) -> dict[str, list[str]]:
    """Returns the nearest words of some words, which are given by their ids."""
    unit = normalise(vectors)
    ids, _ = nearest(unit, unit[words], words[:, None], NUM_NEAREST)
    return {vocabulary[word]: [vocabulary[i] for i in row]
            for word, row in zip(words, ids, strict=True)}


def show_neighbours(found: dict[str, list[str]]) -> str:
    """Formats one line per word, with its nearest words."""
    width = max(map(len, found))
    return "\n".join(f"{word:>{width}}: {', '.join(near)}" for word, near in found.items())


def format_rows(vectors: np.ndarray, separator: str) -> Iterator[str]:
    """Yields each vector as text, with six significant digits per component."""
    for row in vectors.tolist():
        yield separator.join(f"{number:.6g}" for number in row)


def save_word2vec(path: Path, vectors: np.ndarray, vocabulary: Sequence[str]) -> None:
    """Writes vectors in the text format of the original word2vec, which gensim and others read.

    The first line holds the number of words and the embedding dimension; one line per word follows.
    """
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(f"{vectors.shape[0]} {vectors.shape[1]}\n")
        for word, numbers in zip(vocabulary, format_rows(vectors, " "), strict=True):
            file.write(f"{word} {numbers}\n")
    part.replace(path)


def save_projector(folder: Path, vectors: np.ndarray, vocabulary: Sequence[str]) -> None:
    """Writes the files of TensorBoard's projector: vectors.tsv, labels.tsv, a configuration.

    Args:
        folder: a folder that holds event files; TensorBoard does not search other folders.
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
