"""Prepares parallel files for training: tokens, sub-words, vocabularies.

    python prepare.py --train_prefix raw/train --dev_prefix raw/dev --test_prefix raw/test \\
        --src en --tgt zh --src_level moses --tgt_level char --lowercase --output_dir en_zh
    python prepare.py --train_prefix raw/all --split 1000 --src de --tgt en --subwords 8000 \\
        --output_dir de_en
    python train.py --preset best_zh --data_dir en_zh

raw/train.en and raw/train.zh have one sentence a line, line k of one the translation of line k of
the other. The output has train, dev and test, tokenized, vocab.en and vocab.zh, and
tokenization.json, by which translate.py tokenizes and joins sentences in the same way. Entities
such as &quot; are replaced, in all files alike. Pairs of training with an empty side are left out,
and so are those of which one side is in dev or test. Without a level, languages that are written
without spaces are split into characters, those that Moses' tokenizer has rules for by these, and
others at spaces. What an earlier call has written to the output folder is replaced.
"""

import argparse
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from chapter16_nmt import corpus
from chapter16_nmt.corpus import Corpus
from chapter16_nmt.tokens import (
    LEVELS,
    Tokenization,
    check_language,
    clean,
    default_level,
    learn_subwords,
    tokenize,
)
from common import cli, files
from common.errors import UserError, exit_status

SPLITS = ("train", "dev", "test")
MANIFEST = "prepared.json"  # in a prepared folder: the names of its files


def split_pairs(
    pairs: Sequence[tuple[str, str]], held_out: int, seed: int, lowercase: bool = False
) -> dict[str, list[tuple[str, str]]]:
    """Splits pairs into train, dev and test by distinct sources.

    Args:
        pairs: raw sentences.
        held_out: pairs of dev, and as many of test.
        seed: of the split.
        lowercase: whether sources that differ in case only are the same.

    Raises:
        UserError: there are too few.
    """
    sources = sorted({clean(source, lowercase) for source, _ in pairs})
    if len(sources) < 3 * held_out:
        raise UserError(f"{len(sources):,} different sentences cannot give {held_out:,} to dev and "
                        "as many to test", "lower --split")
    order = np.random.default_rng(seed).permutation(len(sources))
    part = {sources[i]: "dev" if place < held_out else "test" if place < 2 * held_out else "train"
            for place, i in enumerate(order)}
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in SPLITS}
    for pair in pairs:
        found[part[clean(pair[0], lowercase)]].append(pair)
    return found


def read_raw(args: argparse.Namespace) -> dict[str, list[tuple[str, str]]]:
    """Reads all raw files, by split.

    Raises:
        UserError: a file cannot be read, or flags are missing.
    """
    train = list(zip(*corpus.read_pair(args.train_prefix, args.src, args.tgt), strict=True))
    if args.split:
        if args.dev_prefix or args.test_prefix:
            raise UserError("--split makes dev and test of the training files",
                            "omit it, or --dev_prefix and --test_prefix")
        return split_pairs(train, args.split, args.seed, args.lowercase)
    if not args.dev_prefix:
        raise UserError("--dev_prefix is missing", "give it, or --split N")
    found = {"train": train}
    for name in SPLITS[1:]:
        if prefix := getattr(args, f"{name}_prefix"):
            found[name] = list(zip(*corpus.read_pair(prefix, args.src, args.tgt), strict=True))
    return found


def without_leaks(
    train: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]], lowercase: bool = False
) -> list[tuple[str, str]]:
    """Returns the pairs of training without those of which one side is among others."""
    seen = [{clean(pair[side], lowercase) for pair in others} for side in (0, 1)]
    return [pair for pair in train
            if not any(clean(pair[side], lowercase) in seen[side] for side in (0, 1))]


def tokenize_all(
    pairs: Sequence[tuple[str, str]], ways: Sequence[Tokenization], name: str
) -> Corpus:
    """Tokenizes all sentences of a split."""
    bar = tqdm(pairs, name, unit="pair", disable=None)
    rows = [[tokenize(text, how) for text, how in zip(pair, ways, strict=True)] for pair in bar]
    return Corpus([row[0] for row in rows], [row[1] for row in rows])


def check_output(output: Path, raw_files: Collection[str], names: Collection[str]) -> None:
    """Raises UserError if files would be overwritten that prepare.py has not written.

    Args:
        output: the prepared folder.
        raw_files: prefixes of the raw files.
        names: of the files to write.
    """
    if output in {Path(prefix).parent for prefix in raw_files}:
        raise UserError(f"--output_dir {output} is the folder of the raw files",
                        "name another folder")
    foreign = [name for name in sorted(set(names) - set(written_before(output)))
               if (output / name).exists()]
    if foreign:
        raise UserError(f"{output} has a {foreign[0]} that prepare.py has not written",
                        "name another --output_dir, or move the file")


def written_before(output: Path) -> list[str]:
    """Returns the names of the files that an earlier call has written to a folder."""
    manifest = output / MANIFEST
    return files.read_json(manifest, f"delete {manifest}") if manifest.is_file() else []


def replace_files(output: Path, new: Path) -> None:
    """Moves all files of `new` to a folder, in the place of those of an earlier call."""
    output.mkdir(exist_ok=True)
    for name in written_before(output):
        (output / name).unlink(missing_ok=True)
    moved = sorted(new.iterdir())
    # First: a call that is killed before the files are moved does not leave them to nobody.
    files.write_json(output / MANIFEST, [path.name for path in moved])
    for path in moved:
        path.replace(output / path.name)


def with_subwords(
    ways: Sequence[Tokenization], train: Corpus, args: argparse.Namespace, folder: Path
) -> list[Tokenization]:
    """Learns the sub-words of each side, or of both together with `--share_vocab`."""
    if args.share_vocab:
        sides = {folder / "subwords.model": [*train.source, *train.target]}
    else:
        sides = {folder / f"subwords.{how.language}.model": sentences
                 for how, sentences in zip(ways, train, strict=True)}
    for path, sentences in sides.items():
        learn_subwords(sentences, args.subwords, path)
    paths = list(sides) * (2 if args.share_vocab else 1)
    return [how._replace(subwords=str(path)) for how, path in zip(ways, paths, strict=True)]


def write_prepared(
    raw: dict[str, list[tuple[str, str]]], ways: Sequence[Tokenization], args: argparse.Namespace,
    folder: Path,
) -> None:
    """Writes tokenized files, vocabularies and tokenization.json to a folder."""
    languages = args.src, args.tgt
    if args.subwords:
        train = tokenize_all(raw["train"], ways, "train")
        ways = with_subwords(ways, train, args, folder)
    for name, pairs in raw.items():
        tokenized = tokenize_all(pairs, ways, name)
        for language, sentences in zip(languages, tokenized, strict=True):
            corpus.write_lines(folder / f"{name}.{language}", map(" ".join, sentences))
        if name == "train":
            both = [*tokenized.source, *tokenized.target]
            for language, sentences in zip(languages, tokenized, strict=True):
                vocabulary = corpus.build_vocabulary(both if args.share_vocab else sentences,
                                                     args.min_count, args.max_vocab)
                corpus.write_lines(folder / f"vocab.{language}", vocabulary)
                print(f"vocab.{language}: {len(vocabulary):,} tokens")
    files.write_json(folder / corpus.TOKENIZATION, {
        how.language: how._asdict() | {"subwords": Path(how.subwords).name if how.subwords else ""}
        for how in ways})


def prepare(args: argparse.Namespace) -> None:
    """Writes the prepared folder."""
    output = Path(args.output_dir)
    ways = [Tokenization(language, level or default_level(language), args.lowercase)
            for language, level in ((args.src, args.src_level), (args.tgt, args.tgt_level))]
    for how in ways:
        check_language(how)
    raw = read_raw(args)
    names = [f"{name}.{how.language}" for name in (*raw, "vocab") for how in ways]
    prefixes = [vars(args)[f"{name}_prefix"] for name in SPLITS]
    models = [f"subwords.{kind}" for kind in ("model", "vocab")] if args.share_vocab else [
        f"subwords.{how.language}.{kind}" for how in ways for kind in ("model", "vocab")]
    check_output(output, filter(None, prefixes),
                 [*names, corpus.TOKENIZATION, *(models if args.subwords else ())])
    whole = len(raw["train"])
    held_out = [pair for name in SPLITS[1:] for pair in raw.get(name, [])]
    raw["train"] = without_leaks(raw["train"], held_out, args.lowercase)
    leaks = whole - len(raw["train"])
    raw["train"] = [pair for pair in raw["train"] if all(clean(side) for side in pair)]
    empty = whole - leaks - len(raw["train"])
    if not raw["train"]:
        raise UserError(f"no pair of {args.train_prefix} is left", "give other training files")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        write_prepared(raw, ways, args, Path(folder))
        replace_files(output, Path(folder))
    counts = ", ".join(f"{len(pairs):,} pairs {name}" for name, pairs in raw.items())
    print(f"{counts}: {output}. Left out of training: {leaks:,} pairs that share a side with dev "
          f"or test, {empty:,} with an empty side")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--src", required=True, help="suffix of the source files")
    parser.add_argument("--tgt", required=True, help="suffix of the target files")
    for name in SPLITS:
        parser.add_argument(f"--{name}_prefix", type=cli.path, required=name == "train",
                            help=f"files of {name}, without the suffixes")
    parser.add_argument("--split", type=cli.positive_int, metavar="N",
                        help="hold N pairs out for dev, and N for test")
    parser.add_argument("--output_dir", type=cli.path, required=True, help="the prepared folder")
    for name, side in (("src", "source"), ("tgt", "target")):
        parser.add_argument(f"--{name}_level", choices=LEVELS,
                            help=f"tokens of the {side}: space: as they are; moses: words and "
                                 "punctuation; char: characters; jieba: Chinese words (default: by "
                                 "the language)")
    parser.add_argument("--lowercase", action=argparse.BooleanOptionalAction, default=False,
                        help="lowercase the text")
    parser.add_argument("--subwords", type=cli.non_negative_int, default=0, metavar="SIZE",
                        help="learn so many sub-words of each language (byte-pair encoding); 0: "
                             "whole tokens")
    parser.add_argument("--share_vocab", action=argparse.BooleanOptionalAction, default=False,
                        help="give both languages one vocabulary and the same sub-words, for "
                             "train.py --share_vocab")
    parser.add_argument("--min_count", type=cli.positive_int, default=1,
                        help="rarer tokens are left out of the vocabularies")
    parser.add_argument("--max_vocab", type=cli.number(int, 4, 10_000_000, "a whole number from 4 "
                                                       "to 10000000"),
                        help="most tokens of a vocabulary, with three special ones")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of --split")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: prepare(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
