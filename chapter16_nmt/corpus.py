"""Parallel files: two files whose lines are translations of each other, and vocabularies."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from chapter16_nmt.tokens import Tokenization
from common import files
from common.errors import UserError
from common.text import read_text

UNKNOWN, START, END = "<unk>", "<s>", "</s>"  # the first entries of every vocabulary
SPECIAL = (UNKNOWN, START, END)
UNKNOWN_ID, START_ID, END_ID = range(3)
TOKENIZATION = "tokenization.json"  # in a prepared folder: how its files were tokenized


class Corpus(NamedTuple):
    """Pairs of sentences, as tokens."""

    source: list[list[str]]
    target: list[list[str]]


def read_lines(path: Path) -> list[str]:
    """Reads the lines of a text file: plain, gzipped or zipped."""
    return split_lines(read_text(path))


def split_lines(text: str) -> list[str]:
    """Splits a text at line feeds.

    Other separators of Unicode, which `str.splitlines` knows too, occur inside sentences and would
    shift all that follow.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def read_pair(prefix: str, source: str, target: str) -> tuple[list[str], list[str]]:
    """Reads PREFIX.source and PREFIX.target.

    Raises:
        UserError: a file cannot be read, or they have different numbers of lines.
    """
    paths = [Path(f"{prefix}.{language}") for language in (source, target)]
    both = [read_lines(path) for path in paths]
    if len(both[0]) != len(both[1]):
        raise UserError(f"{paths[0]} has {len(both[0]):,} lines, {paths[1]} {len(both[1]):,}",
                        "line k of one file must be the translation of line k of the other")
    return both[0], both[1]


def build_vocabulary(
    sentences: Iterable[Sequence[str]], min_count: int = 1, size: int | None = None
) -> list[str]:
    """Returns the special tokens and the most frequent others, by frequency, then by the alphabet.

    Args:
        sentences: tokens.
        min_count: rarer tokens are left out.
        size: most entries.
    """
    counts = Counter(token for sentence in sentences for token in sentence)
    kept = sorted((token for token, count in counts.items()
                   if count >= min_count and token not in SPECIAL),
                  key=lambda token: (-counts[token], token))
    return [*SPECIAL, *kept][:size]


def read_vocabulary(path: Path) -> list[str]:
    """Reads a vocabulary, one token a line; the special tokens are put first if they are not.

    Raises:
        UserError: a token occurs twice, or the file is empty.
    """
    tokens = [line.strip() for line in read_lines(path)]
    while tokens and not tokens[-1]:
        tokens.pop()
    if not tokens:
        raise UserError(f"{path} is empty", "python prepare.py writes vocabularies")
    if tuple(tokens[:3]) != SPECIAL:
        tokens = [*SPECIAL, *tokens]
    twice = [token for token, count in Counter(tokens).items() if count > 1]
    if twice:
        raise UserError(f"{path} has {len(twice)} tokens more than once, such as {twice[0]!r}",
                        "python prepare.py writes vocabularies")
    return tokens


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes lines to a file that appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
    part.replace(path)


def read_tokenizations(folder: Path, source: str, target: str) -> tuple[Tokenization, Tokenization]:
    """Returns how prepare.py tokenized the files of a folder; as they are if it did not."""
    path = folder / TOKENIZATION
    known = files.read_json(path) if path.is_file() else {}
    found = []
    for language in (source, target):
        how = Tokenization(**{"language": language} | known.get(language, {}))
        if how.subwords:  # beside the files, wherever the folder lies now
            how = how._replace(subwords=str(folder / Path(how.subwords).name))
        found.append(how)
    return found[0], found[1]
