"""Classifies number sequences or texts.

    python predict.py 7 8 9 10
    python predict.py --file sequences.txt --json     # one sequence per line
    printf '7 8 9\\n528 3 961 77\\n' | python predict.py --file -
    python predict.py 7,90 8,91 9,92                  # with a run of --num_features 2
    python predict.py "Return a new socket object."   # with a run of train_texts.py

Steps are separated by spaces, the numbers of one step by commas. Sequences may have any length,
but networks are trained on 3 to 20 steps of numbers from 0 to 1000.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter13_sequence_classification import data, laws, words
from chapter13_sequence_classification.inference import load_run
from common import cli
from common.errors import UserError
from common.text import decode, read_text
from common.words import segment

BATCH_SIZE = 500
NUM_SHOWN = 5  # most probable classes to print; --json prints all


def read_step(text: str, num_features: int, where: str) -> list[float]:
    """Parses the numbers of one step.

    Raises:
        UserError: there are more or fewer than `num_features`, or one is not a number.
    """
    words = text.split(",")
    if len(words) != num_features:
        raise UserError(
            f"{where}: step {text} has size {len(words)}, the model expects {num_features}",
            "separate steps by spaces, and the numbers of one step by commas")
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise UserError(f"{where}: {text} is not a number", "give numbers such as 7 or 0.5")
    return numbers


def read_lines(file: str) -> list[str]:
    """Reads the lines of a file, or of stdin for "-".

    Raises:
        UserError: the file cannot be read, is not UTF-8, or is empty.
    """
    from_stdin = file == "-"
    text = decode(sys.stdin.buffer.read(), "stdin") if from_stdin else read_text(Path(file))
    if not text.strip():
        raise UserError(f"{'stdin' if from_stdin else file} is empty",
                        "give a text file with one sequence per line")
    return [line.rstrip("\r") for line in text.rstrip().split("\n")]  # see texts.lines_of


def read_sequences(lines: Sequence[str], num_features: int, file: str | None) -> list[np.ndarray]:
    """Parses one sequence per line.

    Returns:
        Arrays of shape (steps, num_features).

    Raises:
        UserError: a line is empty, or has a step of another size or that is not a number.
    """
    sequences = []
    for number, line in enumerate(lines, 1):
        where = f"{file}, line {number}" if file else "the sequence"
        if not (words := line.split()):
            raise UserError(f"{where} is empty", "give at least one step per line")
        sequences.append(np.array([read_step(word, num_features, where) for word in words]))
    return sequences


def pad(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pads sequences with zeros to the length of the longest.

    Returns:
        The inputs of the network: float32 (count, time, num_features), and lengths, int64 (count,).
    """
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.zeros((len(sequences), lengths.max(), sequences[0].shape[1]))
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return laws.scale(padded), lengths


def is_out_of_range(sequence: np.ndarray) -> bool:
    """Returns whether the length or a number is outside the range of the training sequences."""
    return not (laws.MIN_LENGTH <= len(sequence) <= laws.MAX_LENGTH
                and 0 <= sequence.min() and sequence.max() <= laws.MAX_VALUE)


def encode_texts(
    lines: Sequence[str], flags: argparse.Namespace, vocabulary: Sequence[str]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Encodes texts as the inputs of the network: token ids and lengths."""
    segmented = segment(lines, flags.language, flags.level)
    return words.Encoder(vocabulary, flags.level, flags.max_tokens).encode(tf.constant(segmented))


def predict(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Classifies sequences with the network of a run and prints the probabilities."""
    of_numbers = flags.dataset == data.NUMBERS
    kind, example = ("numbers", "7 8 9 10") if of_numbers else ("texts", '"a text"')
    if args.steps and args.file:
        raise UserError(f"both {kind} and --file {args.file} are given",
                        "give only one of them")
    if not (args.steps or args.file):
        raise UserError(f"no {kind} are given", f"give {kind}, such as {example}, or --file FILE")
    lines = read_lines(args.file) if args.file else [" ".join(args.steps)]
    model, names, vocabulary = load_run(args, flags)
    if vocabulary is None:
        sequences = read_sequences(lines, flags.num_features, args.file)
        inputs, unusual = pad(sequences), map(is_out_of_range, sequences)
        read = [{"sequence": sequence.tolist()} for sequence in sequences]
    else:
        inputs = encode_texts(lines, flags, vocabulary)
        unusual = ~np.any(inputs[0], axis=1)  # all tokens are unknown
        read = [{"text": line} for line in lines]
    probabilities = np.concatenate([
        tf.nn.softmax(model(tuple(x[start : start + BATCH_SIZE] for x in inputs), training=False))
        for start in range(0, len(lines), BATCH_SIZE)])
    for line, is_unusual, shown, row in zip(lines, unusual, read, probabilities, strict=True):
        if is_unusual:
            print(f"unlike any training sequence: {line}", file=sys.stderr)
        best = np.argsort(-row, kind="stable")
        if args.json:
            named = {name: float(p) for name, p in zip(names, row, strict=True)}
            print(json.dumps(shown | {"label": names[best[0]], "probabilities": named},
                             ensure_ascii=False))
        else:
            print(f"{line}: {names[best[0]]}   "
                  + "  ".join(f"{names[i]} {row[i]:.1%}" for i in best[:NUM_SHOWN]))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP",
                        help="steps of one sequence, or a text")
    parser.add_argument("--file", help="file with one sequence or text per line; - is stdin")
    parser.add_argument("--json", action=argparse.BooleanOptionalAction, default=False,
                        help="print one JSON object per sequence, with all probabilities")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(predict, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
