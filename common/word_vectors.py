"""Initializes an embedding from a file of word vectors, such as chapter 14 exports."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from common.errors import UserError
from common.text import read_text


def read_vectors(path: Path, size: int) -> dict[str, np.ndarray]:
    """Reads word vectors in the text format of word2vec.

    Args:
        path: a file with a header line `words size`, then one line per word: the word and the
            components of its vector.
        size: expected dimension of the vectors.

    Returns:
        The vector of each word, float32 of shape (size,).

    Raises:
        UserError: the file cannot be read, has another format or vectors of another dimension.
    """
    hint = "give a file in word2vec's text format, such as export/vectors.txt of chapter 14"
    head, *lines = read_text(path).rstrip().split("\n")
    try:
        count, found = map(int, head.split())
    except ValueError as error:  # an empty file, or another first line
        raise UserError(f"{path} does not begin with two counts", hint) from error
    if found != size:
        raise UserError(f"{path} has vectors of dimension {found}, --embedding_size is {size}",
                        f"set --embedding_size {found}")
    if count != len(lines):
        raise UserError(f"{path} announces {count:,} vectors and has {len(lines):,}", hint)
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
    """Sets the rows of an embedding to the vectors in a file, where it has them.

    Prints the number of words found. The others keep their initial values.

    Args:
        embedding: built, with the dimension of the vectors.
        vocabulary: the words in the order of their ids.
        path: see `read_vectors`.

    Raises:
        UserError: see `read_vectors`.
    """
    vectors = read_vectors(path, embedding.output_dim)
    known = [i for i, word in enumerate(vocabulary) if word in vectors]
    matrix = embedding.embeddings.numpy()
    for i in known:
        matrix[i] = vectors[vocabulary[i]]
    embedding.embeddings.assign(matrix)
    print(f"{path}: {len(known):,} of {len(vocabulary):,} words")
