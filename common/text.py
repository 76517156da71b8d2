"""Texts and vocabularies: reading files, and tokens as numbers, in Python and inside a graph.

One rule for all tokens outside a vocabulary: `encode` and `lookup_table` give them the number
`unknown`. The default is 0, where `build_vocabulary` puts `UNKNOWN`. A vocabulary without that
entry, as in chapter 12, takes `unknown=len(vocabulary)`, the number after its last token.
"""

import ast
import gzip
import io
import itertools
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from common.errors import UserError

UNKNOWN = "UNK"  # word2vec's name for all tokens outside the vocabulary
ZIP_MAGIC = {b"PK\x03\x04", b"PK\x05\x06"}  # of a zip with files, of an empty one
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """Reads a text file, plain, gzipped (`.gz`) or the only file of a zip.

    Args:
        path: the file.
        encoding: the default is UTF-8 with or without a byte order mark.

    Raises:
        UserError: the file is missing or damaged, or has another encoding.
    """
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:  # a damaged gzip raises any of the three
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}",
                        "check the path") from error
    return decode(_unzip(raw, path) if raw[:4] in ZIP_MAGIC else raw, str(path), encoding)


def _unzip(raw: bytes, path: Path) -> bytes:
    """Returns the content of the only file in a zip.

    Raises:
        UserError: the zip is damaged or encrypted, or holds no file or several.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if len(names) != 1:
                raise UserError(f"{path} holds {len(names)} files", "give a zip of one text")
            return archive.read(names[0])
    except DAMAGED_ZIP as error:
        raise UserError(f"{path} is a damaged zip ({error})", "get or make it once more") from error


def decode(raw: bytes, name: str, encoding: str = "utf-8-sig") -> str:
    """Decodes the bytes of a text; `name` says in errors where they come from.

    Raises:
        UserError: the bytes are not of this encoding.
    """
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is not UTF-8: byte {raw[error.start]:#04x} at offset {error.start}",
            "convert the text first, e.g. iconv -f GB18030 -t UTF-8 OLD > NEW",
        ) from error


def docstrings(path: Path) -> Iterator[str]:
    """Yields all docstrings of a Python source that are not empty."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield text


def build_vocabulary(
    tokens: Iterable[str] | Mapping[str, int], size: int, special: Sequence[str] = (UNKNOWN,)
) -> list[str]:
    """Returns special tokens, then the most frequent ones by descending count.

    Args:
        tokens: of the training text, or how often it has each.
        size: largest number of entries, the special ones included.
        special: the first entries. The default leads with `UNKNOWN`, which encodes all unknown
            tokens; with none, see `encode`.
    """
    counts = Counter(tokens)
    ranked = sorted(counts.keys() - set(special), key=lambda token: (-counts[token], token))
    return [*special, *ranked[: size - len(special)]]


def encode(tokens: Sequence[str], vocabulary: Sequence[str], unknown: int = 0) -> np.ndarray:
    """Turns tokens into their numbers in the vocabulary, int32 of shape (tokens,).

    Args:
        tokens: words, or the characters of a string.
        vocabulary: the tokens in the order of their numbers.
        unknown: number of all other tokens. `len(vocabulary)` where the vocabulary has no entry for
            them.
    """
    numbers = dict(zip(vocabulary, itertools.count(), strict=False))
    # map, get and fromiter are loops in C: text8 has 17 million words.
    return np.fromiter(map(numbers.get, tokens, itertools.repeat(unknown)), np.int32, len(tokens))


def lookup_table(vocabulary: Sequence[str], unknown: int = 0) -> tf.lookup.StaticHashTable:
    """Returns `encode` for a graph: a table from string to int32 that a SavedModel can hold."""
    numbers = tf.range(len(vocabulary), dtype=tf.int32)
    entries = tf.lookup.KeyValueTensorInitializer(tf.constant(vocabulary), numbers)
    return tf.lookup.StaticHashTable(entries, default_value=unknown)
