"""Sentence pairs as batches of token ids: data sets, vocabularies, buckets, the training stream.

    python data.py                                            # sentences of a grammar
    python data.py --dataset files --data_dir FOLDER --src en --tgt zh

FOLDER has train.en, train.zh, dev.en … and vocab.en, vocab.zh, as prepare.py writes them: one
sentence a line, its tokens between spaces; line k of train.zh translates line k of train.en. Prints
the numbers of sentences and one batch.
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from chapter16_nmt import corpus, grammar
from chapter16_nmt.corpus import END_ID, START_ID, UNKNOWN_ID, Corpus
from chapter16_nmt.tokens import Tokenization, tokenize
from common import cli, files
from common.errors import UserError, exit_status

GRAMMAR = {"train": 8000, "dev": 300, "test": 500}  # sentences that are drawn
LEAST_SHARED = 0.5  # of the target's tokens in a vocabulary of both sides
BUCKET_WIDTH = 10  # lengths that share a bucket if sources have no limit, as in the original
FILE_FLAGS = ("data_dir", "train_prefix", "dev_prefix", "test_prefix", "vocab_prefix")

OFFLINE = {"grammar": "English sentences and their Chinese translations, drawn from a grammar of "
                      "this project",
           "files": "files that `prepare.py` wrote, in `--data_dir`"}
SOURCES = {
    "vi-en": files.Source(
        "The book's first data set is that of IWSLT'15: 133,317 sentence pairs of TED talks, with "
        "tst2012 and tst2013. Stanford's page [iwslt15.en-vi](https://nlp.stanford.edu/projects/"
        "nmt/data/iwslt15.en-vi/) had train.en, train.vi, vocab.en, vocab.vi, tst2012.en …; "
        "[stefan-it/nmt-en-vi](https://github.com/stefan-it/nmt-en-vi) keeps a copy", ()),
    "en-zh": files.Source(
        "The book's second data set: 100,000 pairs of the sample of NiuTrans, from the book's file "
        "share; its test files are a copy of its dev files. A freely available one: 29,155 pairs "
        "of Tatoeba (CC BY 2.0 FR), [cmn-eng.zip](https://www.manythings.org/anki/cmn-eng.zip). "
        "`prepare.py` makes the files of this folder", ()),
}


class Split(NamedTuple):
    """Sentence pairs as ids.

    Attributes:
        source: ids of each source; in training, cut to the longest allowed.
        target: the same of each target, without start and end symbols.
        sources: the tokens of each source, whole.
        references: the tokens of each target, whole.
        counts: how many pairs were `empty` or `cut`.
    """

    source: list[list[int]]
    target: list[list[int]]
    sources: list[list[str]]
    references: list[list[str]]
    counts: dict[str, int]


class Data(NamedTuple):
    """A data set.

    Attributes:
        splits: "train", "dev" and, if there is one, "test".
        vocabularies: of source and target.
        tokenizations: how both sides were tokenized.
        sha256: of the pairs of training and dev, and of the vocabularies.
    """

    splits: dict[str, Split]
    vocabularies: tuple[list[str], list[str]]
    tokenizations: tuple[Tokenization, Tokenization]
    sha256: str


class Batch(NamedTuple):
    """A batch of pairs, padded.

    Attributes:
        source: int32 of shape (batch, source width), 0 behind the end.
        source_mask: where it is a token, bool of the same shape.
        inputs: the start symbol and the target, int32 of shape (batch, target width).
        outputs: the target and the end symbol, of the same shape.
        target_mask: where `outputs` counts.
    """

    source: np.ndarray
    source_mask: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    target_mask: np.ndarray


IDS, MASK = (tf.TensorSpec((None, None), dtype) for dtype in (tf.int32, tf.bool))
BATCH = Batch(IDS, MASK, IDS, IDS, MASK)  # shapes and types, of any sizes


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the data; most have the names of the original."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="grammar",
                       help="grammar: sentences of a grammar; files: parallel files")
    group.add_argument("--data_dir", type=cli.path,
                       help="folder that prepare.py wrote (default: data/SRC-TGT)")
    group.add_argument("--src", default="en", help="suffix of the source files")
    group.add_argument("--tgt", default="zh", help="suffix of the target files")
    for name in ("train", "dev", "test", "vocab"):
        group.add_argument(f"--{name}_prefix", type=cli.path,
                           help=f"{name} files without suffix (default: {name} in the folder)")
    group.add_argument("--share_vocab", action=argparse.BooleanOptionalAction, default=False,
                       help="use the source's vocabulary, and one embedding, for both sides")
    group.add_argument("--bpe_delimiter", default="",
                       help="ends the parts of words in the files, such as @@; parts are joined "
                            "before scoring")
    group.add_argument("--src_max_len", type=cli.positive_int, default=50,
                       help="longer sources are cut in training")
    group.add_argument("--tgt_max_len", type=cli.positive_int, default=50,
                       help="longer targets are cut in training")
    group.add_argument("--source_reverse", action=argparse.BooleanOptionalAction, default=False,
                       help="read sources from the last token to the first")
    group.add_argument("--num_buckets", type=cli.positive_int, default=5,
                       help="groups of sentences of similar lengths")
    group.add_argument("--batch_size", type=cli.size, default=128, help="sentence pairs per batch")
    group.add_argument("--batch_tokens", type=cli.non_negative_int, default=0,
                       help="at most so many tokens of a side per batch, with padding, instead of "
                            "--batch_size pairs; 0: off")


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect."""
    if args.dataset == "grammar":
        cli.refuse_idle(args, ["bpe_delimiter", *FILE_FLAGS], "--dataset grammar")
        if {args.src, args.tgt} != {"en", "zh"}:
            raise UserError(f"--src {args.src} --tgt {args.tgt} with --dataset grammar, which has "
                            "en and zh", "give --src zh --tgt en, or --dataset files")
    if args.batch_tokens:
        cli.refuse_idle(args, ["batch_size"], f"--batch_tokens {args.batch_tokens}")


def encode(
    pairs: Corpus, vocabularies: Sequence[Sequence[str]], limits: tuple[int, int], training: bool,
    reverse: bool = False,
) -> Split:
    """Encodes sentences.

    Args:
        pairs: the tokens.
        vocabularies: of source and target.
        limits: most tokens of a source and of a target in training.
        training: whether pairs with an empty side are left out, and sentences are cut.
        reverse: whether sources are reversed.
    """
    tables = [{token: i for i, token in enumerate(vocabulary)} for vocabulary in vocabularies]
    split = Split([], [], [], [], {"empty": 0, "cut": 0})
    for both in zip(*pairs, strict=True):
        split.counts["empty"] += not all(both)
        if training and not all(both):
            continue
        source, target = ([table.get(token, UNKNOWN_ID) for token in tokens]
                          for table, tokens in zip(tables, both, strict=True))
        split.counts["cut"] += training and (len(source) > limits[0] or len(target) > limits[1])
        source = source[: limits[0]] if training else source
        split.source.append(source[::-1] if reverse else source)
        split.target.append(target[: limits[1]] if training else target)
        split.sources.append(both[0])
        split.references.append(both[1])
    return split


def read_grammar(
    source: str = "en"
) -> tuple[dict[str, Corpus], tuple[Tokenization, Tokenization]]:
    """Returns the sentences of the grammar by split; no test sentence occurs in training.

    Args:
        source: the language to translate from, en or zh.
    """
    ways = Tokenization("en", "char", lowercase=True), Tokenization("zh", "char")
    sides = (0, 1) if source == "en" else (1, 0)
    drawn = grammar.sentences(sum(GRAMMAR.values()), seed=0)
    found, start = {}, 0
    for name in reversed(GRAMMAR):
        pairs = drawn[start : start + GRAMMAR[name]]
        start += len(pairs)
        found[name] = Corpus(*([tokenize(pair[side], ways[side]) for pair in pairs]
                               for side in sides))
    return {name: found[name] for name in GRAMMAR}, tuple(ways[side] for side in sides)


def prefix(args: argparse.Namespace, name: str) -> str:
    """Returns the path of some files without their suffixes."""
    folder = args.data_dir or files.default_dir(f"{args.src}-{args.tgt}")
    return getattr(args, f"{name}_prefix") or str(Path(folder) / name)


def read_files(
    args: argparse.Namespace
) -> tuple[dict[str, Corpus], list[list[str]], tuple[Tokenization, Tokenization]]:
    """Reads parallel files and vocabularies.

    Raises:
        UserError: a file is missing or damaged, or the files do not fit each other.
    """
    train = Path(f"{prefix(args, 'train')}.{args.src}")
    if not train.is_file():
        raise UserError(f"there is no {train}", "python prepare.py prepares files of your own; "
                        "--data_dir names the folder, --src and --tgt the suffixes")
    names = ["train", "dev"]
    if args.test_prefix or Path(f"{prefix(args, 'test')}.{args.src}").is_file():
        names.append("test")
    found = {name: Corpus(*([line.split() for line in lines] for lines in
                            corpus.read_pair(prefix(args, name), args.src, args.tgt)))
             for name in names}
    vocabularies = [corpus.read_vocabulary(Path(f"{prefix(args, 'vocab')}.{language}"))
                    for language in (args.src, args.src if args.share_vocab else args.tgt)]
    ways = corpus.read_tokenizations(train.parent, args.src, args.tgt)
    return found, vocabularies, tuple(way._replace(delimiter=args.bpe_delimiter) for way in ways)


def load(args: argparse.Namespace) -> Data:
    """Loads the data set that the flags name.

    Raises:
        UserError: a file is missing or damaged, or no pair is left.
    """
    if args.dataset == "grammar":
        found, ways = read_grammar(args.src)
        vocabularies = [corpus.build_vocabulary(side) for side in found["train"]]
        if args.share_vocab:
            vocabularies = [corpus.build_vocabulary(itertools.chain(*found["train"]))] * 2
    else:
        found, vocabularies, ways = read_files(args)
    limits = args.src_max_len, args.tgt_max_len
    splits = {name: encode(pairs, vocabularies, limits, name == "train", args.source_reverse)
              for name, pairs in found.items()}
    for name, split in splits.items():
        if not split.source:
            raise UserError(f"no pair of sentences is left in {name}", "give other files")
    covered = 1 - unknown_share(splits["train"].target)
    if args.share_vocab and covered < LEAST_SHARED:
        raise UserError(f"--share_vocab: vocab.{args.src} has {covered:.0%} of the target's tokens",
                        "omit it, or prepare the files with prepare.py --share_vocab")
    texts = [*found["train"], *found["dev"], vocabularies]
    digest = files.sha256(*("\n".join(" ".join(tokens) for tokens in text).encode()
                            for text in texts))
    return Data(splits, tuple(vocabularies), ways, digest)


def unknown_share(sentences: Sequence[Sequence[int]]) -> float:
    """Returns the share of tokens outside the vocabulary."""
    unknown = sum(tokens.count(UNKNOWN_ID) for tokens in sentences)
    return unknown / max(1, sum(map(len, sentences)))


def bucket_width(num_buckets: int, src_max_len: int | None) -> int:
    """Returns the number of lengths that share a bucket (the original's rule)."""
    return (src_max_len + num_buckets - 1) // num_buckets if src_max_len else BUCKET_WIDTH


def bucket_ids(
    source_lengths: np.ndarray, target_lengths: np.ndarray, num_buckets: int,
    src_max_len: int | None,
) -> np.ndarray:
    """Returns the bucket of each pair, from 0 to num_buckets.

    The rule is the original's, whose lengths of targets have a special token more.

    Args:
        source_lengths: int of shape (pairs,).
        target_lengths: the same of the targets.
        num_buckets: 1 puts all pairs into one.
        src_max_len: longest source; None for any.
    """
    longest = np.maximum(source_lengths, target_lengths)
    if num_buckets < 2:
        return np.zeros_like(longest)
    return np.minimum(num_buckets, longest // bucket_width(num_buckets, src_max_len))


def pad(split: Split, chosen: Sequence[int]) -> Batch:
    """Returns some pairs as a batch, padded to the longest of them."""
    source_width = max(1, max(len(split.source[i]) for i in chosen))
    source = np.zeros((len(chosen), source_width), np.int32)
    inputs = np.full((len(chosen), max(len(split.target[i]) for i in chosen) + 1), END_ID, np.int32)
    outputs, source_mask, target_mask = inputs.copy(), source > 0, np.zeros(inputs.shape, bool)
    for row, i in enumerate(chosen):
        s, t = split.source[i], split.target[i]
        source[row, : len(s)], source_mask[row, : len(s)] = s, True
        inputs[row, : len(t) + 1], outputs[row, : len(t)] = [START_ID, *t], t
        target_mask[row, : len(t) + 1] = True
    return Batch(source, source_mask, inputs, outputs, target_mask)


class Batches:
    """The batches of training: batch k is a pure function of (seed, k).

    Each epoch shuffles the pairs of each bucket, fills batches with pairs of one bucket, so that
    little is padding, and shuffles the batches.
    """

    def __init__(self, split: Split, args: argparse.Namespace):
        """Assigns the pairs to buckets.

        Args:
            split: the pairs.
            args: the flags `num_buckets`, `src_max_len`, `batch_size`, `batch_tokens`, `seed`.
        """
        self.split, self.seed = split, args.seed
        lengths = (np.array([len(tokens) for tokens in side])
                   for side in (split.source, split.target))
        buckets = bucket_ids(*lengths, args.num_buckets, args.src_max_len)
        self.buckets = []
        for bucket in np.unique(buckets):
            members = np.flatnonzero(buckets == bucket)
            longest = max(max(len(split.source[i]), len(split.target[i]) + 1) for i in members)
            size = max(1, args.batch_tokens // longest) if args.batch_tokens else args.batch_size
            self.buckets.append((members, size))

    def __len__(self) -> int:
        """Returns the number of batches in an epoch, which is the same in all epochs."""
        return sum(-(-len(members) // size) for members, size in self.buckets)

    def epoch(self, number: int) -> list[np.ndarray]:
        """Returns the numbers of the pairs in each batch of an epoch."""
        rng = np.random.default_rng([self.seed, number])
        found = []
        for members, size in self.buckets:
            order = rng.permutation(members)
            found += [order[start : start + size] for start in range(0, len(order), size)]
        return [found[i] for i in rng.permutation(len(found))]

    def start_at(self, step: int) -> Iterator[Batch]:
        """Yields batches without end, the first after `step` updates."""
        number, skip = divmod(step, len(self))
        while True:
            for chosen in self.epoch(number)[skip:]:
                yield pad(self.split, chosen)
            number, skip = number + 1, 0


def in_order_of_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yields the numbers of all sentences, in batches of similar lengths."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def describe(data: Data) -> str:
    """Returns lines on the splits and the vocabularies of a data set."""
    lines = []
    for name, split in data.splits.items():
        unknown = unknown_share(split.source)
        lines.append(f"{name}: {len(split.source):,} pairs, {split.counts['empty']:,} with an empty"
                     f" side, {split.counts['cut']:,} cut; {unknown:.1%} of the source's tokens "
                     "are unknown")
    sizes = " and ".join(f"{len(vocabulary):,}" for vocabulary in data.vocabularies)
    return "\n".join([*lines, f"vocabularies: {sizes} tokens"])


def build_parser() -> cli.Parser:
    """Returns the parser of `python data.py`."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the batches")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the numbers of sentences and the first batch of training."""
    def show() -> None:
        parser = build_parser()
        args = parser.parse_args(argv)
        args.typed = cli.typed_flags(parser, argv)
        check_flags(args)
        data = load(args)
        print(describe(data))
        batches = Batches(data.splits["train"], args)
        for members, size in batches.buckets:
            print(f"bucket of {len(members):,} pairs, {size} per batch")
        batch = next(batches.start_at(0))
        print(f"the first batch: source {batch.source.shape}, target {batch.outputs.shape}")
        for row in range(min(3, len(batch.source))):
            source, target = batch.source[row], batch.outputs[row]
            print(" ".join(data.vocabularies[0][i] for i in source[batch.source_mask[row]]))
            print("   ", " ".join(data.vocabularies[1][i] for i in target if i != END_ID))

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
