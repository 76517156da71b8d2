"""Text for the character RNN: sources, vocabulary, and contiguous training windows.

    python data.py --input_file poetry.txt     # vocabulary, split and one batch

The last tenth of a text is held out. The rest is split into `num_seqs` contiguous rows, which form
a batch, and each row into windows of `num_steps` tokens. Consecutive batches hold consecutive
windows, so the recurrent state can be carried from one batch to the next.
"""

import argparse
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import nltk
import numpy as np
import tensorflow as tf

from common import cli, files, inputs
from common.errors import UserError, exit_status
from common.text import (
    MAX_UNPACKED_MB,
    add_unpacked_flag,
    build_vocabulary,
    encode,
    read_text,
)

SAMPLE = Path(__file__).parent / "poetry.txt"
HELD_OUT = 0.1
UNKNOWN = "�"  # stands for tokens outside the vocabulary when text is shown
SENTENCE_END = "\n"  # token after each sentence at the word level

OFFLINE = {
    "file": "the file given by `--input_file`, by default poetry.txt (5,500 couplets)",
    "stdlib": "the source code of Python's standard library",
}
GITHUB = "https://raw.githubusercontent.com/"
SOURCES = {
    "shakespeare": files.Source(
        "Tiny Shakespeare: 1,115,394 characters, 65 distinct, 1.1 MB; public domain",
        (files.File(
            "shakespeare.txt",
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            (f"{GITHUB}karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
        ),),
    ),
    "tang": files.Source(
        "The book's Tang poems: 942,681 characters, 5,387 distinct, 2.7 MB; no licence stated",
        (files.File(
            "poetry.txt",
            "ffc4d1112de038bc26cd0271ef3094fe9bae98e36c72537f4997959dec167154",
            (f"{GITHUB}hzy46/Deep-Learning-21-Examples/master/chapter_12/data/poetry.txt",),
        ),),
    ),
}


class Corpus(NamedTuple):
    """A tokenized text: its vocabulary, and its token ids as int32 arrays of shape (tokens,)."""

    vocabulary: list[str]  # has no entry for unknown tokens: their id is its length
    tokens: np.ndarray  # training set
    held_out: np.ndarray  # held-out set, after the training token that predicts its first token
    sha256: str


def standard_library() -> str:
    """Concatenates the source code of all top-level modules of Python's standard library."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return "\n".join(module.read_text(encoding="utf-8") for module in modules)


def load_text(
    dataset: str, input_file: str | None, data_dir: str | None,
    max_unpacked_mb: int = MAX_UNPACKED_MB,
) -> str:
    """Reads the text selected by the flags of the same names, downloading it if necessary.

    Raises:
        UserError: the text is missing, unreadable or empty, or the flags select two texts.
    """
    if input_file and dataset != "file":
        raise UserError(f"both --dataset {dataset} and --input_file {input_file}",
                        "give only one of them")
    if dataset == "stdlib":
        return standard_library()
    if dataset in SOURCES:
        (file,) = SOURCES[dataset].files
        folder = Path(data_dir or files.default_dir(dataset))
        path = files.fetch(folder / file.name, file.urls, file.sha256)
    else:
        path = Path(input_file or SAMPLE)
    if not (text := read_text(path, max_unpacked_mb=max_unpacked_mb)):
        raise UserError(f"{path} is empty", "give a text of at least a few thousand characters")
    return text.replace("\r\n", "\n")


def tokenize(text: str, level: str) -> Sequence[str]:
    """Splits a text into characters, or into words with an end token after each sentence.

    Words follow NLTK's Penn Treebank rules. The Punkt sentence tokenizer is trained on the text
    itself, so that no model has to be downloaded.
    """
    if level == "char":
        return text
    words = nltk.tokenize.TreebankWordTokenizer()
    sentences = nltk.tokenize.PunktSentenceTokenizer(text).tokenize(text)
    return [word for sentence in sentences for word in (*words.tokenize(sentence), SENTENCE_END)]


def join(level: str) -> Callable[[str], str]:
    """Returns a function that turns a token into the string to append to the text so far."""
    if level == "char":
        return lambda char: char
    return lambda word: word if word == SENTENCE_END else f"{word} "


def prepare(
    text: str, level: str, max_vocab: int, vocabulary: list[str] | None = None
) -> Corpus:
    """Tokenizes and encodes a text, and splits off the last tenth as the held-out set.

    The vocabulary, if none is given, is built from the training set only.
    """
    tokens = tokenize(text, level)
    split = len(tokens) - max(1, int(len(tokens) * HELD_OUT))
    if vocabulary is None:
        vocabulary = build_vocabulary(tokens[:split], max_vocab, special=())
    ids = encode(tokens, vocabulary, unknown=len(vocabulary))
    digest = files.sha256(text.encode())
    return Corpus(vocabulary, ids[:split], ids[max(0, split - 1) :], digest)


def fit_num_seqs(num_tokens: int, num_seqs: int, num_steps: int) -> int:
    """Returns the number of rows of a batch: `num_seqs`, or fewer if the text is short.

    Raises:
        UserError: the text is too short for one row.
    """
    fitting = min(num_seqs, num_tokens // num_steps - 1)  # one window is left for the offsets
    if fitting < 1:
        raise UserError(
            f"the training text has {num_tokens} tokens, one row needs {2 * num_steps}",
            f"give a longer text, or reduce --num_steps to {max(1, num_tokens // 2)} or less",
        )
    if fitting < num_seqs:
        print(f"short text: num_seqs lowered from {num_seqs} to {fitting}", file=sys.stderr)
    return fitting


def windows_per_epoch(num_tokens: int, num_seqs: int, num_steps: int) -> int:
    """Returns the number of windows per row, which is the number of steps per epoch."""
    return (num_tokens - num_steps) // num_seqs // num_steps


def training_batches(
    tokens: np.ndarray, num_seqs: int, num_steps: int, seed: int, start_step: int = 0
) -> tf.data.Dataset:
    """Returns an infinite stream of training batches; batch k is a pure function of (seed, k).

    Each row continues from batch to batch. Every epoch starts at a random offset, so that the
    boundaries between windows differ from epoch to epoch.

    Args:
        tokens: int32 of shape (tokens,).
        num_seqs: rows per batch.
        num_steps: tokens per window.
        seed: seed of the offsets.
        start_step: the restored step.

    Returns:
        Elements `(inputs, targets, fresh)`: `inputs` and `targets` are int32 of shape (num_seqs,
        num_steps), targets being shifted by one token; `fresh` is a bool scalar, True if the batch
        starts an epoch, so that the state must be reset.
    """
    windows = windows_per_epoch(len(tokens), num_seqs, num_steps)
    row_length = windows * num_steps
    text = tf.constant(tokens)

    def window(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        epoch, number = step // windows, step % windows
        offset = tf.random.stateless_uniform(
            [], tf.stack([tf.cast(seed, tf.int64), epoch]), 0, num_steps, tf.int64
        )
        rows = offset + tf.range(num_seqs, dtype=tf.int64) * row_length + number * num_steps
        chars = tf.gather(text, rows[:, None] + tf.range(num_steps + 1, dtype=tf.int64))
        chars = tf.ensure_shape(chars, (num_seqs, num_steps + 1))
        return chars[:, :-1], chars[:, 1:], number == 0

    return inputs.finish(tf.data.Dataset.counter(start_step, dtype=tf.int64).map(window))


def evaluation_batches(tokens: np.ndarray, num_seqs: int, num_steps: int) -> tf.data.Dataset:
    """Returns a stream in which each of tokens[1:] is a target exactly once.

    Args:
        tokens: int32 of shape (tokens,).
        num_seqs: rows per batch; with 1, every token is predicted from all tokens before it.
        num_steps: tokens per window.

    Returns:
        Elements `(inputs, targets, weights)`, each of shape (num_seqs, num_steps), in the order of
        the text; weights are 0 for padding, else 1.
    """
    count = len(tokens) - 1
    windows = -(-count // (num_seqs * num_steps))
    size = num_seqs * windows * num_steps

    def rows(values: np.ndarray) -> np.ndarray:
        padded = np.zeros(size, values.dtype)
        padded[:count] = values
        return padded.reshape(num_seqs, windows, num_steps).transpose(1, 0, 2)

    parts = tokens[:-1], tokens[1:], np.ones(count, np.float32)
    return inputs.finish(tf.data.Dataset.from_tensor_slices(tuple(map(rows, parts))))


def load(flags: argparse.Namespace, vocabulary: list[str] | None = None) -> Corpus:
    """Loads the text selected by the flags of `add_flags`; see `prepare` for `vocabulary`."""
    limit = vars(flags).get("max_unpacked_mb", MAX_UNPACKED_MB)  # older runs lack it
    text = load_text(flags.dataset, flags.input_file, flags.data_dir, limit)
    return prepare(text, flags.level, flags.max_vocab, vocabulary)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the data set, the tokens and the batches."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=[*OFFLINE, *SOURCES], default="file",
                       help="file: --input_file; stdlib: Python's standard library; the others "
                            "are downloaded once")
    group.add_argument("--input_file", type=cli.path,
                       help="UTF-8 text, plain, gzipped or zipped (default: poetry.txt)")
    group.add_argument("--data_dir", type=cli.path, help="folder of a downloaded text "
                       "(default: data/<dataset> in the repository)")
    add_unpacked_flag(group)
    group.add_argument("--level", choices=["char", "word"], default="char",
                       help="unit of the tokens")
    group.add_argument("--max_vocab", type=cli.size, default=3500,
                       help="vocabulary size; all less frequent tokens share one id (8000 is usual "
                            "for words)")
    group.add_argument("--num_seqs", type=cli.size, default=100,
                       help="batch size: rows of the text per batch")
    group.add_argument("--num_steps", type=cli.size, default=100,
                       help="tokens per row of a batch")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the vocabulary, the split and one batch."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        vocabulary, tokens, held_out, _ = load(args)
        num_seqs = fit_num_seqs(len(tokens), args.num_seqs, args.num_steps)
        unknown = np.mean(held_out[1:] == len(vocabulary))
        print(f"{len(tokens):,} {args.level}s for training, {len(held_out) - 1:,} held out")
        print(f"vocabulary of {len(vocabulary):,}; the ten most frequent: {vocabulary[:10]}")
        print(f"{unknown:.3%} of the held-out {args.level}s are unknown")
        names = np.array([join(args.level)(token) for token in (*vocabulary, UNKNOWN)])
        for batch in training_batches(tokens, num_seqs, args.num_steps, seed=0).take(1):
            for name, rows in zip(("inputs", "targets"), batch, strict=False):
                print(f"{name} {tuple(rows.shape)}, row 0: {''.join(names[rows[0].numpy()])!r}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
