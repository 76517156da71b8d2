"""Starts an embedding from word vectors in a file, such as chapter 14 exports."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from common.errors import UserError
from common.text import read_text


def read_vectors(path: Path, size: int) -> dict[str, np.ndarray]:
    """Reads word vectors in the text format of word2vec.

    Args:
        path: a first line `words size`, then a line a word: it, and its numbers.
        size: what the vectors' length must be.

    Returns:
        float32 of shape (size,) by word.

    Raises:
        UserError: the file cannot be read, is of another form, or its vectors of another length.
    """
    hint = "give a file in the text format of word2vec, such as chapter 14's export/vectors.txt"
    head, *lines = read_text(path).rstrip().split("\n")
    try:
        count, found = map(int, head.split())
    except ValueError as error:  # an empty file, or another first line
        raise UserError(f"{path} does not begin with two counts", hint) from error
    if found != size:
        raise UserError(f"the vectors in {path} have {found} numbers, --embedding_size is {size}",
                        f"give --embedding_size {found}")
    if count != len(lines):
        raise UserError(f"{path} should hold {count:,} vectors and has {len(lines):,} lines", hint)
    vectors = {}
    for number, line in enumerate(lines, 2):
        word, *values = line.rstrip().split(" ")
        try:
            vectors[word] = np.array(values, np.float32)
        except ValueError:
            values = []
        if len(values) != size or not np.isfinite(vectors[word]).all():
            raise UserError(f"{path}, line {number}: not a word and {size} numbers", hint)
    return vectors


def start_embedding(
    embedding: keras.layers.Embedding, vocabulary: Sequence[str], path: Path
) -> None:
    """Gives words the vectors of a file, and says how many; all others keep their own.

    Args:
        embedding: built, of the vectors' size.
        vocabulary: the words in the order of their numbers.
        path: see `read_vectors`.

    Raises:
        UserError: see `read_vectors`.
    """
    vectors = read_vectors(path, embedding.output_dim)
    known = [number for number, word in enumerate(vocabulary) if word in vectors]
    matrix = embedding.embeddings.numpy()
    for number in known:
        matrix[number] = vectors[vocabulary[number]]
    embedding.embeddings.assign(matrix)
    print(f"{path}: {len(known):,} of {len(vocabulary):,} words")
