"""Sentence pairs as batches of ids: data sets, buckets, the training stream.

    python data.py                                            # sentences of a grammar, drawn
    python data.py --dataset files --data_dir FOLDER --src en --tgt zh

FOLDER has train.en, train.zh, dev.en … and vocab.en, vocab.zh, as prepare.py writes them, one
sentence a line, its tokens between spaces. Prints the numbers of sentences and one batch.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chapter16_nmt import corpus, grammar
from chapter16_nmt.corpus import END_ID, START_ID, UNKNOWN_ID, Corpus
from chapter16_nmt.tokens import Division, divide
from common import cli, files
from common.errors import UserError, exit_status

GRAMMAR = {"train": 8000, "dev": 300, "test": 500}  # sentences drawn of each split
BUCKET_WIDTH = 10  # of sources without a limit, as in the original

OFFLINE = {"grammar": "English sentences and their Chinese translations, from a grammar",
           "files": "files that prepare.py wrote, in `--data_dir`"}
SOURCES = {
    "IWSLT'15 English-Vietnamese": files.Source(
        "The book's first data set: 133,317 sentence pairs of TED talks, tst2012 and tst2013. "
        "Stanford's pages had it as [iwslt15.en-vi](https://nlp.stanford.edu/projects/nmt/data/"
        "iwslt15.en-vi/): train.en, train.vi, tst2012.en … "
        "([stefan-it/nmt-en-vi](https://github.com/stefan-it/nmt-en-vi) keeps a copy)", ()),
    "NiuTrans": files.Source(
        "The book's English-Chinese data set: 100,000 pairs of the sample of NiuTrans, in the "
        "book's file share. Its test files are a copy of its dev files", ()),
    "Tatoeba": files.Source(
        "29,155 English-Chinese pairs (CC BY 2.0 FR), [cmn-eng.zip](https://www.manythings.org/"
        "anki/cmn-eng.zip)", ()),
}


class Split(NamedTuple):
    """Sentence pairs as ids.

    Attributes:
        source: ids of each source, cut to the longest allowed.
        target: ids of each target, without start and end symbols.
        references: the tokens of each target, whole.
        numbers: the line of each pair in its files.
    """

    source: list[list[int]]
    target: list[list[int]]
    references: list[list[str]]
    numbers: list[int]


class Data(NamedTuple):
    """A data set.

    Attributes:
        splits: "train", "dev" and, if there is one, "test".
        vocabularies: of source and target.
        divisions: how both sides were divided into tokens.
        digest: sha256 of all sentences and vocabularies.
    """

    splits: dict[str, Split]
    vocabularies: tuple[list[str], list[str]]
    divisions: tuple[Division, Division]
    digest: str


class Batch(NamedTuple):
    """A batch of pairs, padded to the width of their bucket.

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


def encode(
    pairs: Corpus, vocabularies: Sequence[Sequence[str]], limits: tuple[int | None, int | None],
    training: bool,
) -> tuple[Split, dict[str, int]]:
    """Encodes sentences.

    Args:
        pairs: the tokens.
        vocabularies: of source and target.
        limits: most tokens of a source and of a target; None: any.
        training: whether pairs with an empty side are left out, and targets cut.

    Returns:
        The pairs, and how many were `empty` or `cut`.
    """
    ids = [{token: i for i, token in enumerate(vocabulary)} for vocabulary in vocabularies]
    split, counts = Split([], [], [], []), {"empty": 0, "cut": 0}
    for number, both in enumerate(zip(*pairs, strict=True)):
        if training and not all(both):
            counts["empty"] += 1
            continue
        source, target = ([table.get(token, UNKNOWN_ID) for token in tokens]
                          for table, tokens in zip(ids, both, strict=True))
        longest = limits if training else (limits[0], None)
        counts["cut"] += any(limit is not None and len(side) > limit
                             for limit, side in zip(longest, (source, target), strict=True))
        split.source.append(source[: longest[0]])
        split.target.append(target[: longest[1]])
        split.references.append(both[1])
        split.numbers.append(number)
    return split, counts


def bucket_ids(split: Split, num_buckets: int, src_max_len: int | None) -> np.ndarray:
    """Returns the bucket of each pair: pairs of similar lengths share one (the original's rule).

    Args:
        split: the pairs.
        num_buckets: 1 puts all into one.
        src_max_len: longest source; None for any.

    Returns:
        int of shape (pairs,), from 0 to num_buckets.
    """
    if num_buckets < 2:
        return np.zeros(len(split.source), int)
    width = bucket_width(num_buckets, src_max_len)
    longest = np.array([[len(s), len(t)] for s, t in zip(split.source, split.target, strict=True)])
    return np.minimum(num_buckets, longest.max(axis=1) // width)


def bucket_width(num_buckets: int, src_max_len: int | None) -> int:
    """Returns the number of lengths that share a bucket."""
    return (src_max_len + num_buckets - 1) // num_buckets if src_max_len else BUCKET_WIDTH


def pad(split: Split, chosen: Sequence[int], multiple: int) -> Batch:
    """Returns a batch, padded to a multiple: few widths make few graphs.

    Args:
        split: the pairs.
        chosen: their numbers.
        multiple: of the widths.
    """
    def width(longest: int) -> int:
        return max(1, -(-longest // multiple)) * multiple

    sources, targets = ([side[i] for i in chosen] for side in (split.source, split.target))
    source = np.zeros((len(chosen), width(max(map(len, sources)))), np.int32)
    inputs = np.full((len(chosen), width(max(map(len, targets)) + 1)), END_ID, np.int32)
    outputs, mask = inputs.copy(), np.zeros(inputs.shape, bool)
    source_mask = np.zeros(source.shape, bool)
    for row, (s, t) in enumerate(zip(sources, targets, strict=True)):
        source[row, : len(s)], source_mask[row, : len(s)] = s, True
        inputs[row, : len(t) + 1] = [START_ID, *t]
        outputs[row, : len(t)] = t
        mask[row, : len(t) + 1] = True
    return Batch(source, source_mask, inputs, outputs, mask)


class Batches:
    """The batches of training: batch k is a pure function of (seed, k).

    Each epoch shuffles the pairs, fills batches of pairs of one bucket, and shuffles the batches.
    """

    def __init__(self, split: Split, args: argparse.Namespace):
        """Divides the pairs into buckets.

        Args:
            split: the pairs.
            args: the flags `num_buckets`, `src_max_len`, `batch_size`, `batch_tokens`, `seed`.
        """
        self.split, self.seed = split, args.seed
        buckets = bucket_ids(split, args.num_buckets, args.src_max_len)
        self.multiple = max(1, bucket_width(args.num_buckets, args.src_max_len) // 2)
        self.members = [np.flatnonzero(buckets == b) for b in np.unique(buckets)]
        self.sizes = [self.size_of(members, args) for members in self.members]

    def size_of(self, members: np.ndarray, args: argparse.Namespace) -> int:
        """Returns the pairs in a batch of a bucket: `batch_size`, or what makes `batch_tokens`."""
        if not args.batch_tokens:
            return args.batch_size
        longest = max(max(len(self.split.source[i]), len(self.split.target[i]) + 1)
                      for i in members)
        return max(1, args.batch_tokens // longest)

    def __len__(self) -> int:
        """Returns the batches of an epoch, the same in all of them."""
        return sum(-(-len(members) // size)
                   for members, size in zip(self.members, self.sizes, strict=True))

    def epoch(self, number: int) -> list[np.ndarray]:
        """Returns the numbers of the pairs in each batch of an epoch."""
        rng = np.random.default_rng([self.seed, number])
        found = []
        for members, size in zip(self.members, self.sizes, strict=True):
            order = rng.permutation(members)
            found += [order[start : start + size] for start in range(0, len(order), size)]
        return [found[i] for i in rng.permutation(len(found))]

    def start_at(self, step: int) -> Iterator[Batch]:
        """Yields batches without end, the first after `step` updates."""
        number, skip = divmod(step, len(self))
        while True:
            for chosen in self.epoch(number)[skip:]:
                yield pad(self.split, chosen, self.multiple)
            number, skip = number + 1, 0


def in_order_of_length(split: Split, batch_size: int) -> Iterator[list[int]]:
    """Yields the numbers of all pairs, in batches of similar lengths, for evaluation."""
    order = sorted(range(len(split.source)),
                   key=lambda i: (len(split.source[i]), len(split.target[i]), i))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
