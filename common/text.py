"""Texts and vocabularies: reading files, and encoding tokens in Python and inside a graph.

Tokens outside a vocabulary follow one rule: `encode` and `lookup_table` give them the id `unknown`.
The default is 0, the position of `UNKNOWN` in the list of `build_vocabulary`. For a vocabulary
without that entry, as in chapter 12, pass `unknown=len(vocabulary)`, the id after its last token.
"""

import argparse
import ast
import codecs
import gzip
import itertools
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import tensorflow as tf

from common import cli
from common.errors import UserError

UNKNOWN = "UNK"  # the entry for all tokens outside the vocabulary, named as in word2vec
ZIP_MAGIC = {b"PK\x03\x04", b"PK\x05\x06"}  # of a zip archive with files, of an empty one
# What damaged gzip and zip files raise; zipfile.lzma is None in a Python built without it.
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError,
           UnicodeDecodeError, getattr(zipfile.lzma, "LZMAError", zlib.error))
OF_MAC = ("._", ".DS_Store")  # begin the names of files that a Mac adds to archives
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
MAX_UNPACKED_MB = 1024  # of a gzip or zip file: a small one can unpack to more than the memory

# Encodings by their byte order marks; that of UTF-32 begins with that of UTF-16.
MARKED = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
          codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Other encodings, characters that are frequent in the languages written in them, and the least
# share of these: high where a byte is a letter, because other alphabets have the same bytes.
CHINESE = "的一是不了人在有我，。这中大来上国个们为這來國個們為時說會後過學裡開著"
CYRILLIC = "оеаинтсрвл"
ENCODINGS = {"GB18030": (CHINESE, 0.05), "BIG5": (CHINESE, 0.05),
             "SHIFT_JIS": ("のにはをたがで、。ーンスルトラ", 0.05), "KOI8-R": (CYRILLIC, 0.45),
             "WINDOWS-1251": (CYRILLIC, 0.45), "WINDOWS-1252": ("éèàüöäñóíáçãêßåæ’“”", 0.5),
             "UTF-16LE": (CHINESE + "etaoin", 0.05), "UTF-16BE": (CHINESE + "etaoin", 0.05)}
ALPHABETS = {"KOI8-R", "WINDOWS-1251"}  # with words of these bytes; Latin has single ones
HIGH_BYTES = re.compile(rb"[\x80-\xff]+")  # that are not ASCII
SAMPLE_BYTES = 100_000  # enough to tell the encoding


def add_unpacked_flag(parser: argparse.ArgumentParser) -> None:
    """Adds the flag for the limit of `read_text` to a parser or a group."""
    parser.add_argument("--max_unpacked_mb", type=cli.positive_int, default=MAX_UNPACKED_MB,
                        help="maximum size of an unpacked gzip or zip file in MB")


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for reading: plain, gzipped or the only file of a zip archive.

    Raises:
        UserError: the file is missing or damaged, or cannot be read to its end; the archive does
            not hold exactly one file, or is encrypted.
    """
    with damage_named(path), ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        magic = file.peek(4)[:4]
        if magic in ZIP_MAGIC:
            archive = stack.enter_context(zipfile.ZipFile(file))
            file = stack.enter_context(archive.open(only_file(archive, path)))
        elif path.suffix == ".gz" or magic[:2] == b"\x1f\x8b":
            file = stack.enter_context(gzip.GzipFile(fileobj=file))
        yield file


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns errors of reading a file into a UserError with its path."""
    try:
        yield
    except DAMAGED as error:
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}",
                        "check the path; if it is right, download or create the file again"
                        ) from error


def only_file(archive: zipfile.ZipFile, path: Path) -> str:
    """Returns the name of the only file in a zip archive.

    Raises:
        UserError: the archive has no file, or several.
    """
    names = [info.filename for info in archive.infolist()
             if not info.is_dir() and not Path(info.filename).name.startswith(OF_MAC)]
    if len(names) != 1:
        raise UserError(f"{path} holds {len(names)} files", "give a zip archive with one text file")
    return names[0]


def extension(path: Path) -> str:
    """Returns the extension of a file in lower case; of a packed file, that of its content."""
    if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        with damage_named(path), zipfile.ZipFile(path) as archive:
            path = Path(only_file(archive, path))
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def read_text(
    path: Path, encoding: str = "utf-8-sig", max_unpacked_mb: int = MAX_UNPACKED_MB
) -> str:
    """Reads a text file: plain, gzipped or the only file of a zip archive.

    Args:
        path: path of the file.
        encoding: by default that of the byte order mark, or UTF-8 without one.
        max_unpacked_mb: maximum size of an unpacked file in MB.

    Raises:
        UserError: the file is missing or damaged, unpacks to more than the limit, or has another
            encoding.
    """
    limit = max_unpacked_mb * 2**20
    with open_bytes(path) as file:
        packed = isinstance(file, gzip.GzipFile | zipfile.ZipExtFile)
        raw = file.read(limit + 1 if packed else -1)
    if packed and len(raw) > limit:
        raise UserError(f"{path} unpacks to more than {max_unpacked_mb} MB",
                        "if you trust it, raise --max_unpacked_mb, or unpack it first")
    return decode(raw, str(path), encoding)


def decode(raw: bytes, name: str, encoding: str = "utf-8-sig") -> str:
    """Decodes the bytes of a text; `name` is their source, for error messages.

    Raises:
        UserError: the bytes are not valid in this encoding, or not a text.
    """
    if encoding == "utf-8-sig":
        encoding = next((known for mark, known in MARKED.items() if raw.startswith(mark)), encoding)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is not {encoding.upper().removesuffix('-SIG')}: byte {raw[error.start]:#04x} "
            f"at offset {error.start}", how_to_convert(raw, error.start)) from error
    if (count := text.count("\0")) > len(text) / 100:
        raise UserError(f"{name} is not a text: it has {count:,} NUL characters",
                        how_to_convert(raw, 0))
    return text


def how_to_convert(raw: bytes, start: int) -> str:
    """Returns the command that converts a text to UTF-8, judged from its bytes at `start`."""
    around = raw[max(0, start - SAMPLE_BYTES) : start + SAMPLE_BYTES].decode("utf-8", "replace")
    if around.count("\ufffd") < sum(char > "\x7f" for char in around) / 50:
        return "parts are damaged; to leave them out: iconv -c -f UTF-8 -t UTF-8 OLD > NEW"
    likely = of_byte_pairs(raw[start:][:SAMPLE_BYTES])
    likely = likely or of_frequent_characters(raw[start - start % 4 :][:SAMPLE_BYTES])
    if likely is None:
        return ("if it is a text, convert it: iconv -f ENCODING -t UTF-8 OLD > NEW, where ENCODING "
                "is GB18030 for Chinese, WINDOWS-1252 for Western European languages")
    return f"it may be {likely}: iconv -f {likely} -t UTF-8 OLD > NEW"


def of_byte_pairs(sample: bytes) -> str | None:
    """Returns the encoding of a text whose frequent characters are pairs of bytes above 0xa0."""
    runs = HIGH_BYTES.findall(sample)
    firsts = Counter(b"".join(run[::2] for run in runs))

    def share(low: int, high: int) -> float:
        return sum(firsts[byte] for byte in range(low, high + 1)) / max(1, firsts.total())

    # In all three, punctuation begins with a1 to a3, and the frequent characters with b0 to d7.
    if sum(len(run) % 2 for run in runs) > len(runs) / 10 or share(0xA1, 0xD7) < 0.65:
        return None
    if share(0xA4, 0xA5) > 0.2:  # kana
        return "EUC-JP"
    return "EUC-KR" if share(0xB0, 0xC8) > 0.8 and len(firsts) > 5 else "GB18030"  # Hangul


def of_frequent_characters(sample: bytes) -> str | None:
    """Returns the encoding in which a text has most frequent characters, None if all have few."""
    runs, scores = HIGH_BYTES.findall(sample), {}
    latin = sum(map(len, runs)) < 2 * len(runs)
    for encoding, (frequent, least) in ENCODINGS.items():
        if encoding in (ALPHABETS if latin else {"WINDOWS-1252"}):
            continue
        text = sample.decode(encoding, "replace")
        letters = sum(char > "\x7f" or char in frequent for char in text)
        score = sum(map(text.count, frequent)) / max(letters, 1)
        scores[encoding] = score if score >= least else 0
    likely = max(scores, key=scores.get)
    return likely if scores[likely] else None


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
