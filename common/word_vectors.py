"""Initializes an embedding from a file of word vectors, such as chapter 14 exports."""

import codecs
import itertools
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import keras
import numpy as np

from common.errors import UserError
from common.text import extension, open_bytes

MAX_LINE = 2**20  # bytes; no vector is longer
MAX_WORD = 1000  # bytes


def read_vectors(
    path: Path, size: int, words: Collection[str], flag: str = "embedding_size"
) -> dict[str, np.ndarray]:
    """Reads the vectors of the given words; files may hold millions of others.

    Args:
        path: a file, plain, gzipped or zipped, in word2vec's text format: a header line
            `words size`, then one line per word, the word and the components of its vector. Also
            without the header, as GloVe has it, or in word2vec's binary format (`.bin`).
        size: expected dimension of the vectors.
        words: the words to look for.
        flag: that sets the dimension, for the message.

    Returns:
        The vector of each word that the file has, float32 of shape (size,).

    Raises:
        UserError: the file cannot be read, has another format or vectors of another dimension.
    """
    hint = "give a file in word2vec's text format, such as export/vectors.txt of chapter 14"
    wanted = {word.encode(): word for word in words}
    vectors, number, strange = {}, 0, 0
    with open_bytes(path) as file:
        first = file.readline(MAX_LINE).removeprefix(codecs.BOM_UTF8)
        counts = read_header(first)
        found = counts[1] if counts else len(first.split()) - 1
        if found < 1:
            raise UserError(f"{path} does not begin with two counts, or a word and numbers", hint)
        if found != size:
            raise UserError(f"{path} has vectors of dimension {found}, --{flag} is {size}",
                            f"set --{flag} {found}")
        if counts and extension(path) == ".bin":
            rows = binary_rows(file, size)
        else:
            lines = iter(lambda: file.readline(MAX_LINE), b"")
            rows = text_rows(lines if counts else itertools.chain([first], lines), wanted)
        for number, (word, values) in enumerate(rows, 1):
            strange += word.decode("utf-8", "ignore").encode() != word
            if word not in wanted or len(values) > size:  # GloVe has words with spaces in them
                continue
            try:
                vector = np.array(values, np.float32)
            except ValueError:
                vector = np.empty(0)
            if len(vector) != size or not np.isfinite(vector).all():
                raise UserError(f"{path}, line {number + bool(counts)}: not a word and {size} "
                                "numbers", hint)
            vectors[wanted[word]] = vector
    if counts and number != counts[0]:
        raise UserError(f"{path} announces {counts[0]:,} vectors and has {number:,}", hint)
    if strange:
        print(f"{path}: {strange:,} of {number:,} words are not UTF-8 and ignored", file=sys.stderr)
    return vectors


def read_header(line: bytes) -> tuple[int, int] | None:
    """Returns the number of words and their dimension, None if the line is not a header."""
    try:
        count, size = map(int, line.split())
    except ValueError:
        return None
    return count, size


def text_rows(
    lines: Iterable[bytes], wanted: Collection[bytes]
) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yields each word and, if it is wanted, the numbers of its line."""
    for line in lines:
        word, *rest = line.split(None, 1) or [b""]
        if word:
            yield word, b"".join(rest).split() if word in wanted else []


def binary_rows(file: IO[bytes], size: int) -> Iterator[tuple[bytes, np.ndarray]]:
    """Yields each word and its vector: the word, a space, and `size` numbers of four bytes."""
    while True:
        word = bytearray()
        while (byte := file.read(1)) not in (b"", b" ") and len(word) < MAX_WORD:
            word += byte
        raw = file.read(4 * size)
        if len(raw) < 4 * size:
            return
        yield bytes(word.lstrip(b"\n")), np.frombuffer(raw, "<f4")


def start_embedding(
    embedding: keras.layers.Embedding, vocabulary: Sequence[str], path: Path,
    flag: str = "embedding_size",
) -> None:
    """Sets the rows of an embedding to the vectors in a file, where it has them.

    Prints the number of words found. The others keep their initial values.

    Args:
        embedding: built, with the dimension of the vectors.
        vocabulary: the words in the order of their ids.
        path: see `read_vectors`.
        flag: see `read_vectors`.

    Raises:
        UserError: see `read_vectors`.
    """
    vectors = read_vectors(path, embedding.output_dim, vocabulary, flag)
    known = [i for i, word in enumerate(vocabulary) if word in vectors]
    matrix = embedding.embeddings.numpy()
    for i in known:
        matrix[i] = vectors[vocabulary[i]]
    embedding.embeddings.assign(matrix)
    print(f"{path}: {len(known):,} of {len(vocabulary):,} words")
