"""Texts and vocabularies: reading files, and encoding tokens in Python and inside a graph.

Tokens outside a vocabulary follow one rule: `encode` and `lookup_table` give them the id `unknown`.
The default is 0, the position of `UNKNOWN` in the list of `build_vocabulary`. For a vocabulary
without that entry, as in chapter 12, pass `unknown=len(vocabulary)`, the id after its last token.
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

UNKNOWN = "UNK"  # the entry for all tokens outside the vocabulary, named as in word2vec
ZIP_MAGIC = {b"PK\x03\x04", b"PK\x05\x06"}  # of a zip archive with files, of an empty one
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """Reads a text file: plain, gzipped (`.gz`) or the only file of a zip archive.

    Args:
        path: path of the file.
        encoding: by default UTF-8, with or without a byte order mark.

    Raises:
        UserError: the file is missing, damaged or has another encoding.
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
    """Returns the content of the only file in a zip archive.

    Raises:
        UserError: the archive is damaged or encrypted, or does not hold exactly one file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if len(names) != 1:
                raise UserError(f"{path} holds {len(names)} files",
                                "give a zip archive with one text file")
            return archive.read(names[0])
    except DAMAGED_ZIP as error:
        raise UserError(f"{path} is a damaged zip archive ({error})",
                        "download or create it again") from error


def decode(raw: bytes, name: str, encoding: str = "utf-8-sig") -> str:
    """Decodes the bytes of a text; `name` is their source, for error messages.

    Raises:
        UserError: the bytes are not valid in this encoding.
    """
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is not UTF-8: byte {raw[error.start]:#04x} at offset {error.start}",
            "convert the text first, e.g. iconv -f GB18030 -t UTF-8 OLD > NEW",
        ) from error


def docstrings(path: Path) -> Iterator[str]:
    """Yields all non-empty docstrings of a Python source file."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield text


def build_vocabulary(
    tokens: Iterable[str] | Mapping[str, int], size: int, special: Sequence[str] = (UNKNOWN,)
) -> list[str]:
    """Returns the special tokens, then the most frequent tokens in descending order of frequency.

    Args:
        tokens: the tokens of the training text, or the frequency of each.
        size: maximum number of entries, including the special tokens.
        special: the first entries. By default the first is `UNKNOWN`, which stands for all unknown
            tokens; without it, see `encode`.
    """
    counts = Counter(tokens)
    ranked = sorted(counts.keys() - set(special), key=lambda token: (-counts[token], token))
    return [*special, *ranked[: size - len(special)]]


def encode(tokens: Sequence[str], vocabulary: Sequence[str], unknown: int = 0) -> np.ndarray:
    """Encodes tokens as their ids in the vocabulary, int32 of shape (tokens,).

    Args:
        tokens: words, or the characters of a string.
        vocabulary: the tokens in the order of their ids.
        unknown: id of all other tokens; `len(vocabulary)` if the vocabulary has no entry for them.
    """
    ids = dict(zip(vocabulary, itertools.count(), strict=False))
    # map, get and fromiter loop in C, which matters for text8 with its 17 million words.
    return np.fromiter(map(ids.get, tokens, itertools.repeat(unknown)), np.int32, len(tokens))


def lookup_table(vocabulary: Sequence[str], unknown: int = 0) -> tf.lookup.StaticHashTable:
    """Returns a table from tokens (string) to ids (int32): `encode` for graphs and SavedModels."""
    ids = tf.range(len(vocabulary), dtype=tf.int32)
    entries = tf.lookup.KeyValueTensorInitializer(tf.constant(vocabulary), ids)
    return tf.lookup.StaticHashTable(entries, default_value=unknown)
