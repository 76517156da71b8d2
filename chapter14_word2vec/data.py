"""Text for word2vec: its sources, its vocabulary, and the stream of training examples.

    python data.py                                # Python's own documentation
    python data.py --input_file text8.zip         # any UTF-8 text, or a zip of one
    python data.py --input_file 红楼梦.txt          # Chinese, segmented; or --level char
    python data.py --skip_window 5 --num_skips 4  # a wider window
    python data.py --loss negative_sampling       # rows of text instead of word pairs

Words are sequences of lower-case letters, as in text8, with their marks; Chinese is segmented by
jieba. The most frequent words get the ids from 1 on, in order of frequency; id 0, `UNK`, stands for
all others.
"""

import argparse
import functools
import itertools
import re
import sysconfig
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from chapter14_word2vec.examples import Examples, cbow_examples, passages, skipgram_examples
from chapter14_word2vec.negative_sampling import keep_probability
from common import cli, files, inputs
from common.errors import UserError, exit_status
from common.text import (
    MAX_UNPACKED_MB,
    UNKNOWN,
    add_unpacked_flag,
    build_vocabulary,
    docstrings,
    encode,
    read_text,
)
from common.words import MARKS, language_of, runs_of, segment

WORD, CHARACTER = runs_of(r"[^\W\d_]"), re.compile(f"[^\\W\\d_][{MARKS}]*")
TEXT8 = "http://mattmahoney.net/dc/text8.zip"
EXCLUDED = {"idlelib", "lib2to3", "site-packages", "test", "tests"}  # folders of the library

OFFLINE = {
    "stdlib": "the English text of Python's documentation and docstrings, 300,000 words",
    "text8": f"needs text8.zip (31,344,016 bytes, from <{TEXT8}>) in `data/text8/` or "
             "`--data_dir`; `--input_file` reads any other text or zip",
}
SOURCES: dict[str, files.Source] = {}


class Corpus(NamedTuple):
    """A tokenized text: the vocabulary, `UNK` first, the ids, int32 (words,), and the language."""

    vocabulary: list[str]
    tokens: np.ndarray
    sha256: str
    language: str = "en"

    def counts(self) -> np.ndarray:
        """Returns the frequency of each word of the vocabulary in the text."""
        return np.bincount(self.tokens, minlength=len(self.vocabulary))


@functools.cache
def standard_library() -> str:
    """Returns Python's language reference and the docstrings of its standard library as one text.

    Doctests are removed, since they are not English.
    """
    library = Path(sysconfig.get_path("stdlib"))
    modules = (path for path in sorted(library.rglob("*.py"))
               if not EXCLUDED & set(path.relative_to(library).parts))
    pieces = [*topics.values(), *itertools.chain.from_iterable(map(docstrings, modules))]
    lines = (line for piece in pieces for line in piece.splitlines())
    return "\n".join(line for line in lines if not line.lstrip().startswith((">>>", "...")))


def load_text(
    dataset: str, input_file: str | None, data_dir: str | None,
    max_unpacked_mb: int = MAX_UNPACKED_MB,
) -> str:
    """Returns the text that the flags of the same names select.

    Raises:
        UserError: the file is missing or cannot be read.
    """
    if input_file:
        return read_text(Path(input_file), max_unpacked_mb=max_unpacked_mb)
    if dataset == "stdlib":
        return standard_library()
    folder = Path(data_dir or files.default_dir(dataset))
    (path,) = files.check_files(folder, [f"{dataset}.zip"], f"put {TEXT8} there, or work offline: "
                                 "--dataset stdlib")
    return read_text(path, max_unpacked_mb=max_unpacked_mb)


def prepare(
    text: str, vocabulary_size: int, language: str | None = None, level: str = "word"
) -> Corpus:
    """Splits a text into words, builds the vocabulary, and maps the words to ids.

    Args:
        text: any text.
        vocabulary_size: number of words with an id, UNK included.
        language: "zh" for a Chinese text, which is segmented, or "en"; by default that of the text.
        level: "word", or "char" for letters in place of words.

    Raises:
        UserError: the text has no words, or fewer different words than the vocabulary; or it has to
            be segmented and jieba is not installed.
    """
    language = language or language_of(text)
    (segmented,) = segment([text], language, level)
    words = (WORD if level == "word" else CHARACTER).findall(segmented.lower())
    counts = Counter(words)
    if not words:
        raise UserError("the text has no words", "give a text of at least some thousand words")
    if vocabulary_size > len(counts) + 1:
        raise UserError(
            f"a vocabulary of {vocabulary_size} is too large for {len(counts)} different words",
            f"give --vocabulary_size {len(counts) + 1} or less, which includes {UNKNOWN}",
        )
    vocabulary = build_vocabulary(counts, vocabulary_size)
    return Corpus(vocabulary, encode(words, vocabulary), files.sha256(text.encode()), language)


def check_windows(
    num_tokens: int, loss: str, model: str, batch_size: int, skip_window: int, num_skips: int
) -> None:
    """Raises UserError if the flags of these names do not fit each other or the text."""
    span = 2 * skip_window + 1
    if num_tokens < span:
        raise UserError(f"the text has {num_tokens} words, but a window of --skip_window "
                        f"{skip_window} spans {span}",
                        "give a longer text, or a smaller --skip_window")
    if loss == "negative_sampling" or model == "cbow":
        return  # they use all context words of a window
    if num_skips > 2 * skip_window:
        raise UserError(f"--num_skips {num_skips} is more than the {2 * skip_window} context words "
                        "of a window", f"give --num_skips {2 * skip_window} or less")
    if batch_size % num_skips:
        raise UserError(f"--batch_size {batch_size} is not a multiple of --num_skips {num_skips}",
                        f"give --batch_size {(batch_size // num_skips + 1) * num_skips}")


def training_batches(
    tokens: np.ndarray,
    model: str,
    batch_size: int,
    skip_window: int,
    num_skips: int,
    seed: int,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Returns the endless stream of training examples; batch k is a pure function of (seed, k).

    Args:
        tokens: ids of the text, int32 of shape (words,).
        model: "skipgram" or "cbow".
        batch_size: examples per batch.
        skip_window: context words on each side of a centre word.
        num_skips: examples per centre word, for skip-gram only.
        seed: determines which context words are drawn.
        start_step: the restored step; the stream starts with this batch.

    Returns:
        Elements `(inputs, labels)`, int32: inputs of shape (batch_size,) for skip-gram,
        (batch_size, 2 * skip_window) for CBOW, labels of shape (batch_size,).
    """
    text = tf.constant(tokens)
    if model == "skipgram":
        examples = skipgram_examples(text, batch_size, skip_window, num_skips, seed)
    else:
        examples = cbow_examples(text, batch_size, skip_window)
    return stream(examples, start_step)


def stream(examples: Examples, start_step: int) -> tf.data.Dataset:
    """Returns the endless stream of the batches k = start_step, start_step + 1, ..."""
    return inputs.finish(tf.data.Dataset.counter(start_step, dtype=tf.int64).map(examples))


def load(flags: argparse.Namespace) -> Corpus:
    """Loads the text that the flags of `add_flags` select, and checks these flags.

    Raises:
        UserError: the flags do not fit each other, or the text cannot be read.
    """
    if flags.loss == "negative_sampling" and flags.model != "skipgram":
        raise UserError(f"--loss negative_sampling trains skip-gram only, not {flags.model}",
                        "omit --model, or give --loss nce")
    if flags.loss == "nce" and flags.subsample:
        raise UserError(f"--subsample {flags.subsample} has no effect with --loss nce",
                        "omit it, or give --loss negative_sampling")
    text = load_text(flags.dataset, flags.input_file, flags.data_dir, flags.max_unpacked_mb)
    corpus = prepare(text, flags.vocabulary_size, flags.language, flags.level)
    check_windows(len(corpus.tokens), flags.loss, flags.model, flags.batch_size,
                  flags.skip_window, flags.num_skips)
    return corpus


def batches_of(corpus: Corpus, flags: argparse.Namespace, start_step: int = 0) -> tf.data.Dataset:
    """Returns the stream of training batches that the flags of `add_flags` select."""
    if flags.loss == "negative_sampling":
        keep = keep_probability(corpus.counts(), flags.subsample)
        examples = passages(tf.constant(corpus.tokens), tf.constant(keep), flags.batch_size,
                            flags.skip_window, flags.seed)
        return stream(examples, start_step)
    return training_batches(corpus.tokens, flags.model, flags.batch_size, flags.skip_window,
                            flags.num_skips, flags.seed, start_step)


def source_name(flags: argparse.Namespace) -> str:
    """Returns the name of the text in results/."""
    return Path(flags.input_file).stem if flags.input_file else flags.dataset


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that select the text and the training examples."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="stdlib",
                       help="stdlib: Python's own documentation; text8: text8.zip in --data_dir")
    group.add_argument("--input_file", type=cli.path,
                       help="a UTF-8 text, plain, gzipped or zipped, instead of --dataset")
    group.add_argument("--data_dir", type=cli.path, help="folder of text8.zip (default: "
                       "data/text8 in the repository)")
    add_unpacked_flag(group)
    group.add_argument("--language", choices=["en", "zh"],
                       help="zh: words segmented by jieba; en: words between spaces and "
                            "punctuation (default: that of the text)")
    group.add_argument("--level", choices=["word", "char"], default="word",
                       help="char: vectors of characters instead of words")
    group.add_argument("--vocabulary_size", default=5000,
                       type=cli.number(int, 3, 2**31 - 1, "a whole number of at least 3"),
                       help="vocabulary size, UNK included")
    group.add_argument("--model", choices=["skipgram", "cbow"], default="skipgram",
                       help="skipgram: predict the context words from the centre word; "
                            "cbow: the centre word from its context")
    group.add_argument("--loss", choices=["nce", "negative_sampling"], default="nce",
                       help="nce: the book's loss, on word pairs; negative_sampling: skip-gram on "
                            "rows of text, many times faster")
    group.add_argument("--subsample", type=cli.from_0_to_1, default=0.0,
                       help="negative_sampling: threshold of subsampling, the relative frequency "
                            "above which words are randomly dropped (0.001 in word2vec); 0: off")
    group.add_argument("--skip_window", type=cli.size, default=1,
                       help="context words on each side of a word")
    group.add_argument("--num_skips", type=cli.size, default=2,
                       help="skip-gram with nce: context words drawn per centre word")
    group.add_argument("--batch_size", type=cli.size, default=128,
                       help="examples per batch; for negative_sampling, words of the text")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of all random numbers")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the first training examples, as the book's script does."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        corpus = load(args)
        names = np.array(corpus.vocabulary)
        print(f"{len(corpus.tokens):,} {args.level}s, {len(names):,} of them in the vocabulary, "
              f"{np.mean(corpus.tokens == 0):.1%} of the text is {UNKNOWN}")
        print(f"the most frequent: {' '.join(names[1:11])}")
        print(f"the text begins: {' '.join(names[corpus.tokens[:10]])}")
        for examples, labels in batches_of(corpus, args).take(1):
            for words, label in zip(names[examples[:8]], names[labels[:8]], strict=True):
                print(f"{' '.join(np.atleast_1d(words))} -> {' '.join(np.atleast_1d(label))}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
