"""Text for the character RNN: where it comes from, its vocabulary, its windows.

    python data.py --input_file poetry.txt     # vocabulary, split and one batch

The last tenth of a text is held out. The rest is cut into `num_seqs` rows that are read side by
side, window after window, so that a window really goes on where the one before it in its row
ended, and the network's state can be carried from one to the next.
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
from common.text import build_vocabulary, encode, read_text

SAMPLE = Path(__file__).parent / "poetry.txt"
HELD_OUT = 0.1
UNKNOWN = "�"  # how the one number for all tokens outside the vocabulary is shown
SENTENCE_END = "\n"  # the mark after a sentence, when tokens are words


OFFLINE = {
    "file": "the file that `--input_file` names; without one poetry.txt, 5,500 couplets",
    "stdlib": "the sources of Python's own standard library",
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
    """A text made ready: its vocabulary, and its tokens as int32 of shape (tokens,)."""

    vocabulary: list[str]  # without an entry for unknown tokens: their number is its length
    tokens: np.ndarray  # to train on
    held_out: np.ndarray  # led by the last training token, from which the first one is predicted
    sha256: str


def standard_library() -> str:
    """Joins the sources of all top-level modules of this Python's standard library."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return "\n".join(module.read_text(encoding="utf-8") for module in modules)


def load_text(dataset: str, input_file: str | None, data_dir: str | None) -> str:
    """Returns the text that the flags of the same names mean.

    Raises:
        UserError: it cannot be read, neither found nor fetched, or empty; or the flags name two
            texts.
    """
    if input_file and dataset != "file":
        raise UserError(f"both --dataset {dataset} and --input_file {input_file}", "give one")
    if dataset == "stdlib":
        return standard_library()
    if dataset in SOURCES:
        (file,) = SOURCES[dataset].files
        folder = Path(data_dir or files.default_dir(dataset))
        path = files.fetch(folder / file.name, file.urls, file.sha256)
    else:
        path = Path(input_file or SAMPLE)
    if not (text := read_text(path)):
        raise UserError(f"{path} is empty", "give a text of some thousand characters")
    return text.replace("\r\n", "\n")


def tokenize(text: str, level: str) -> Sequence[str]:
    """Cuts a text into characters, or into words with a mark after each sentence.

    Words are NLTK's (Penn Treebank rules); sentences too, by abbreviations found in the text
    itself, so that nothing need be downloaded.
    """
    if level == "char":
        return text
    words = nltk.tokenize.TreebankWordTokenizer()
    sentences = nltk.tokenize.PunktSentenceTokenizer(text).tokenize(text)
    return [word for sentence in sentences for word in (*words.tokenize(sentence), SENTENCE_END)]


def join(level: str) -> Callable[[str], str]:
    """Returns a function from a token to what is written for it when tokens follow each other."""
    if level == "char":
        return lambda char: char
    return lambda word: word if word == SENTENCE_END else f"{word} "


def prepare(text: str, level: str, max_vocab: int) -> Corpus:
    """Cuts a text into tokens, numbers them and holds the last tenth out.

    The vocabulary is that of the training part: what is held out must not shape it.
    """
    tokens = tokenize(text, level)
    border = len(tokens) - max(1, int(len(tokens) * HELD_OUT))
    vocabulary = build_vocabulary(tokens[:border], max_vocab, special=())
    numbers = encode(tokens, vocabulary, unknown=len(vocabulary))
    digest = files.sha256(text.encode())
    return Corpus(vocabulary, numbers[:border], numbers[max(0, border - 1) :], digest)


def fit_num_seqs(num_tokens: int, num_seqs: int, num_steps: int) -> int:
    """Returns how many rows a text gives: `num_seqs`, or fewer where it is short.

    Raises:
        UserError: it is too short for one row.
    """
    fitting = min(num_seqs, num_tokens // num_steps - 1)  # one window's room for the offsets
    if fitting < 1:
        raise UserError(
            f"the text has {num_tokens} characters to train on, one row needs {2 * num_steps}",
            f"give a longer text, or --num_steps {max(1, num_tokens // 2)} or less",
        )
    if fitting < num_seqs:
        print(f"a short text: num_seqs lowered from {num_seqs} to {fitting}", file=sys.stderr)
    return fitting


def windows_per_epoch(num_tokens: int, num_seqs: int, num_steps: int) -> int:
    """Returns how many windows a row has, the steps of one epoch."""
    return (num_tokens - num_steps) // num_seqs // num_steps


def training_batches(
    tokens: np.ndarray, num_seqs: int, num_steps: int, seed: int, start_step: int = 0
) -> tf.data.Dataset:
    """Makes the endless stream of windows; window k is a pure function of (seed, k).

    Row r continues from window to window; the characters of an epoch start at another offset
    than the last one's, so that the borders between windows move.

    Args:
        tokens: int32 of shape (characters,).
        num_seqs: rows read side by side.
        num_steps: characters a window.
        seed: decides the offsets.
        start_step: the restored step.

    Returns:
        Elements `(inputs, targets, fresh)`: int32 of shape (num_seqs, num_steps) twice, the
        second one character later, and whether the rows start anew (nothing to carry over).
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
    """Makes the stream that scores each of tokens[1:] exactly once.

    Args:
        tokens: int32 of shape (characters,).
        num_seqs: rows; with 1 every character is predicted from all before it.
        num_steps: characters a window.

    Returns:
        Elements `(inputs, targets, weights)` of shape (num_seqs, num_steps) in the order of the
        rows; weights are 0 where the last window or row is only filled up, else 1.
    """
    count = len(tokens) - 1
    windows = -(-count // (num_seqs * num_steps))
    size = num_seqs * windows * num_steps

    def rows(values: np.ndarray) -> np.ndarray:
        filled = np.zeros(size, values.dtype)
        filled[:count] = values
        return filled.reshape(num_seqs, windows, num_steps).transpose(1, 0, 2)

    parts = tokens[:-1], tokens[1:], np.ones(count, np.float32)
    return inputs.finish(tf.data.Dataset.from_tensor_slices(tuple(map(rows, parts))))


def load(flags: argparse.Namespace) -> Corpus:
    """Loads what the flags of `add_flags` mean."""
    text = load_text(flags.dataset, flags.input_file, flags.data_dir)
    return prepare(text, flags.level, flags.max_vocab)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say which text is read and how."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=[*OFFLINE, *SOURCES], default="file",
                       help="file: --input_file; stdlib: Python's own sources; else fetched once")
    group.add_argument("--input_file", type=cli.path,
                       help="a UTF-8 text, plain, gzipped or zipped (default: poetry.txt)")
    group.add_argument("--data_dir", type=cli.path, help="where a fetched text lies "
                       "(default: data/<dataset> in the repository)")
    group.add_argument("--level", choices=["char", "word"], default="char",
                       help="what the network reads and writes")
    group.add_argument("--max_vocab", type=cli.positive_int, default=3500,
                       help="tokens kept, by frequency; the others share one number (for words "
                            "8000 is usual)")
    group.add_argument("--num_seqs", type=cli.positive_int, default=100, help="rows a batch")
    group.add_argument("--num_steps", type=cli.positive_int, default=100, help="characters a row")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Shows what the network would be given."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        vocabulary, tokens, held_out, _ = load(args)
        num_seqs = fit_num_seqs(len(tokens), args.num_seqs, args.num_steps)
        unknown = np.mean(held_out[1:] == len(vocabulary))
        print(f"{len(tokens):,} {args.level}s to train on, {len(held_out) - 1:,} held out")
        print(f"{len(vocabulary):,} in the vocabulary, the ten most frequent {vocabulary[:10]}")
        print(f"{unknown:.3%} of the held-out {args.level}s are unknown")
        names = np.array([join(args.level)(token) for token in (*vocabulary, UNKNOWN)])
        for batch in training_batches(tokens, num_seqs, args.num_steps, seed=0).take(1):
            for name, rows in zip(("inputs", "targets"), batch, strict=False):
                print(f"{name} {tuple(rows.shape)}, row 0: {''.join(names[rows[0].numpy()])!r}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
