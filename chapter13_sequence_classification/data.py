"""Number sequences and texts: splits and batches.

    python data.py                                             # the book's two classes
    python data.py --num_classes 5 --max_stride 10             # five classes, longer strides
    python data.py --num_features 3                            # three numbers per step
    python data.py --dataset modules                           # texts

Prints a sequence of each class, and the shapes of the splits and of one batch.
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from chapter13_sequence_classification import laws, texts, words
from common import cli, files, inputs
from common.errors import UserError, exit_status
from common.text import MAX_UNPACKED_MB, add_unpacked_flag, build_vocabulary
from common.words import language_of, segment

# The book trains on 1,000 sequences and tests on 500. Here the 500 are the validation set.
SIZES = {"train": 1000, "validation": 500, "test": 5000}
FRESH = len(SIZES)  # random key of the --fresh stream; the splits have the keys 0, 1, 2
NUMBERS = "numbers"  # the data set that does not consist of texts

OFFLINE = {
    NUMBERS: "sequences of 3 to 20 numbers, generated from `--seed` by the laws in laws.py",
    **texts.OFFLINE,
}
SOURCES = texts.SOURCES


class Split(NamedTuple):
    """Padded sequences, their lengths and their labels.

    Sequences are float32 (count, 20, num_features) in [0, 1] for numbers, and token ids, int32
    (count, max_tokens), for texts; both are padded with zeros. Lengths (in steps) and labels are
    int64 (count,).
    """

    sequences: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray


class Task(NamedTuple):
    """A classification task: the splits, the class names and, for texts, vocabulary and language.

    `texts` holds the texts of each split, with words separated by spaces.
    """

    splits: dict[str, Split]
    class_names: list[str]
    vocabulary: list[str] | None = None
    texts: dict[str, list[str]] | None = None
    language: str | None = None


def load(flags: argparse.Namespace) -> Task:
    """Generates or reads the splits "train", "validation" and "test" selected by a run's flags.

    Raises:
        UserError: the texts cannot be read.
    """
    if flags.dataset != NUMBERS:
        return load_texts(flags)
    splits = {
        name: Split(*laws.generate(count, (flags.seed, number), *sizes(flags)))
        for number, (name, count) in enumerate(SIZES.items())
    }
    return Task(splits, laws.class_names(flags.num_classes))


def sizes(flags: argparse.Namespace) -> tuple[int, int, int]:
    """Returns the last arguments of `laws.generate` from a run's flags."""
    return flags.num_features, flags.num_classes, flags.max_stride


def load_texts(flags: argparse.Namespace) -> Task:
    """Reads texts and encodes them with the vocabulary of the training split."""
    given = vars(flags)  # runs of earlier versions lack the last four
    corpus = texts.load(flags.dataset, flags.input_file, flags.data_dir, given.get("test_file"),
                        given.get("label_column"), given.get("text_column"),
                        given.get("max_unpacked_mb", MAX_UNPACKED_MB))
    language = flags.language or language_of("\n".join(corpus.texts["train"]))
    segmented = {name: segment(split, language, flags.level)
                 for name, split in corpus.texts.items()}
    counts = words.count_tokens(segmented["train"], flags.level)
    vocabulary = build_vocabulary(counts, flags.vocabulary_size)
    if len(vocabulary) == 1:
        raise UserError("the training texts contain no words",
                        "give texts with letters or digits")
    encoder = words.Encoder(vocabulary, flags.level, flags.max_tokens)
    splits = {name: Split(*encoder.encode_all(split), corpus.labels[name])
              for name, split in segmented.items()}
    return Task(splits, corpus.class_names, vocabulary, segmented, language)


def digest(task: Task) -> str:
    """Returns the SHA-256 of all sequences, lengths and labels, and of the vocabulary."""
    arrays = [array for split in task.splits.values() for array in split]
    return files.sha256(*arrays, "\n".join(task.vocabulary or []).encode())


def fresh_rows(flags: argparse.Namespace, start_step: int) -> tf.data.Dataset:
    """Returns an infinite stream of newly generated number sequences.

    Returns:
        Elements `(step, sequences, lengths, labels)`.
    """

    def batches() -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        for step in itertools.count(start_step):
            yield step, *laws.generate(flags.batch_size, (flags.seed, FRESH, step), *sizes(flags))

    count = tf.TensorSpec((flags.batch_size,), tf.int64)
    sequences = tf.TensorSpec((flags.batch_size, laws.MAX_LENGTH, flags.num_features), tf.float32)
    step = tf.TensorSpec((), tf.int64)
    return tf.data.Dataset.from_generator(
        batches, output_signature=(step, sequences, count, count))


def shuffled_rows(flags: argparse.Namespace, split: Split, start_step: int) -> tf.data.Dataset:
    """Returns an infinite stream of a split's sequences, shuffled anew in every epoch.

    Returns:
        Elements `(step, sequences, lengths, labels)`.
    """
    arrays = [tf.constant(array) for array in split]

    def look_up(step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return step, *(tf.gather(array, chosen) for array in arrays)

    return inputs.index_batches(
        len(split.labels), flags.batch_size, flags.seed, start_step).map(look_up)


def number_batches(flags: argparse.Namespace, split: Split, start_step: int = 0) -> tf.data.Dataset:
    """Returns the training stream of numbers; batch k is a pure function of (seed, k).

    Args:
        flags: `batch_size`, `seed`, `fresh`, `augment`, and those of `add_number_flags`.
        split: the training split; not used with `flags.fresh`.
        start_step: the restored step.

    Returns:
        Elements `((sequences, lengths), labels)` of `batch_size` sequences; see `Split`.
    """

    def batch(
        step: tf.Tensor, sequences: tf.Tensor, lengths: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        if flags.augment:
            key = tf.stack([tf.cast(flags.seed, tf.int64), step])
            sequences, lengths = laws.random_crop(sequences, lengths, key)
        return (sequences, lengths), labels

    rows = (fresh_rows(flags, start_step) if flags.fresh
            else shuffled_rows(flags, split, start_step))
    return inputs.finish(rows.map(batch))


def text_batches(flags: argparse.Namespace, split: Split, start_step: int = 0) -> tf.data.Dataset:
    """Returns the training stream of texts, in the form of `number_batches`."""
    rows = shuffled_rows(flags, split, start_step)
    return inputs.finish(
        rows.map(lambda step, sequences, lengths, labels: ((sequences, lengths), labels)))


def evaluation_batches(split: Split, batch_size: int = 500) -> tf.data.Dataset:
    """Returns a stream with each sequence of a split exactly once, in order."""
    sequences, lengths, labels = split
    rows = tf.data.Dataset.from_tensor_slices(((sequences, lengths), labels))
    return inputs.finish(rows, batch_size)


def add_number_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the number sequences."""
    group = parser.add_argument_group("numbers")
    group.add_argument("--num_features", type=cli.size, default=1, help="numbers per step")
    known = len(laws.LAWS)
    group.add_argument(
        "--num_classes", default=2,
        type=cli.number(int, 2, known, f"a number of classes from 2 to {known}"),
        help=f"number of classes, taken in this order: {', '.join(laws.class_names(known))}")
    group.add_argument(
        "--max_stride", default=1,
        type=cli.number(int, 1, laws.MAX_STRIDE, f"a stride from 1 to {laws.MAX_STRIDE}"),
        help="maximum stride of linear sequences; strides are drawn from 1 to this")


def add_text_flags(parser: argparse.ArgumentParser, default: str, *others: str) -> None:
    """Adds the flags of the texts and their tokens.

    Args:
        parser: the parser to extend.
        default: default value of `--dataset`.
        *others: choices of `--dataset` besides the text data sets.
    """
    group = parser.add_argument_group("texts")
    group.add_argument("--dataset", choices=[*others, *texts.READERS, "file"], default=default,
                       help="data set; docs/datasets.md describes each")
    group.add_argument("--input_file", type=cli.path,
                       help="your own labelled texts, with --dataset file: .csv, .tsv or lines")
    group.add_argument("--test_file", type=cli.path,
                       help="your own test set (default: a tenth of each class of --input_file)")
    group.add_argument("--label_column", help="name or number, from 1, of the labels' column in a "
                                              "table (default: a usual name)")
    group.add_argument("--text_column", help="likewise, of the texts' column")
    add_unpacked_flag(group)
    group.add_argument("--data_dir", type=cli.path,
                       help="folder of a published data set (default: data/<dataset>)")
    group.add_argument("--language", choices=["en", "zh"],
                       help="word segmentation: zh with jieba; en at spaces and punctuation "
                            "(default: that of the training texts)")
    group.add_argument("--level", choices=["word", "char"], default="word",
                       help="unit of the tokens; char needs no word segmentation")
    group.add_argument("--vocabulary_size", type=cli.number(int, 2, 2**31 - 1, "at least 2"),
                       default=20000, help="size of the vocabulary; all less frequent tokens share "
                                           "one id")
    group.add_argument("--max_tokens", type=cli.size, default=400,
                       help="maximum length of a text in tokens; longer texts are truncated")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_number_flags(parser)
    add_text_flags(parser, NUMBERS, NUMBERS)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the number sequences")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the splits, an example of each class and one batch."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        splits, class_names, vocabulary, *_ = load(args)
        for name, split in splits.items():
            print(f"{name}: sequences {split.sequences.shape} {split.sequences.dtype}, "
                  f"examples per class {np.bincount(split.labels)}")
        if vocabulary:
            print(f"vocabulary of {len(vocabulary):,}: {' '.join(vocabulary[:12])} ...")
        for label, name in enumerate(class_names):
            first = int(np.argmax(splits["train"].labels == label))
            sequence = splits["train"].sequences[first, : splits["train"].lengths[first]]
            shown = [vocabulary[n] for n in sequence[:12]] if vocabulary else laws.show(sequence)
            print(f"{name}: {' '.join(shown)}")
        for (sequences, lengths), labels in evaluation_batches(splits["test"], 5).take(1):
            print(f"one batch: {tuple(sequences.shape)}, lengths {lengths.numpy()}, "
                  f"labels {labels.numpy()}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
