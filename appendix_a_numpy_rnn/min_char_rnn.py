"""Trains the minimal character RNN on a text: no run folder, only the algorithm.

    python min_char_rnn.py                               # "hello": after h e, after e l ...
    python min_char_rnn.py --input_file train.py --hidden_size 100 --seq_length 25

Adagrad, clipping by value at 5, and the state carried from window to window, as in the short
program by Karpathy (2015) that made character RNNs popular. Prints a sample every `--sample_every`
steps; for a text of at most 20 characters, the probabilities of the next character at every
position.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from appendix_a_numpy_rnn.cells import sequence_forward, zero_states
from appendix_a_numpy_rnn.model import (
    adagrad,
    build_weights,
    clip,
    draw,
    loss_and_gradients,
    one_hot,
    softmax,
)
from common import cli
from common.errors import UserError, exit_status
from common.text import read_text

CLIP_VALUE = 5.0
SHORT = 20  # characters of a text whose predictions are shown as a table


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--text", default="hello", help="the text itself")
    source.add_argument("--input_file", type=cli.path, help="a UTF-8 text in place of --text")
    parser.add_argument("--hidden_size", type=cli.size, default=16, help="size of the state")
    parser.add_argument("--seq_length", type=cli.size, default=25, help="characters per window")
    parser.add_argument("--learning_rate", type=cli.positive_float, default=0.1,
                        help="learning rate of Adagrad")
    parser.add_argument("--max_steps", type=cli.positive_int, default=300, help="windows")
    parser.add_argument("--sample_every", type=cli.positive_int, default=100,
                        help="steps between samples of 200 characters")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of all random numbers")
    return parser


def train(args: argparse.Namespace) -> None:
    """Trains and prints samples."""
    text = read_text(Path(args.input_file)) if args.input_file else args.text
    if len(text) < 2:
        raise UserError(f"the text has {len(text)} characters", "give at least two")
    chars = sorted(set(text))
    tokens = [chars.index(char) for char in text]
    rng = np.random.default_rng(args.seed)
    weights = build_weights("rnn", len(chars), args.hidden_size, rng)
    memory = {name: np.zeros_like(value) for name, value in weights.items()}
    smoothed, position = math.log(len(chars)), 0
    for step in range(1, args.max_steps + 1):
        # Start again from a zero state at the end of the text.
        if step == 1 or position + 1 >= len(tokens):
            states, position = zero_states("rnn", args.hidden_size, 1), 0
        window = tokens[position : position + args.seq_length + 1]
        loss, gradients, states = loss_and_gradients(
            "rnn", weights, window[:-1], window[1:], states)
        clip(gradients, CLIP_VALUE)
        adagrad(weights, gradients, memory, args.learning_rate)
        smoothed = 0.99 * smoothed + 0.01 * loss / (len(window) - 1)
        position += args.seq_length
        if step % args.sample_every == 0 or step == args.max_steps:
            print(f"step {step}: {smoothed:.3f} nats per character")
            if len(text) > SHORT:
                drawn = draw("rnn", weights, rng, 200, start=window[0])
                print("".join(chars[token] for token in drawn), end="\n\n")
    if len(text) <= SHORT:
        show_predictions(chars, tokens, weights)


def show_predictions(chars: Sequence[str], tokens: Sequence[int], weights: dict) -> None:
    """Prints the probability of every character after each prefix of the text."""
    x = one_hot(tokens[:-1], len(chars))
    a, _, _ = sequence_forward("rnn", x, zero_states("rnn", weights["Wya"].shape[1], 1), weights)
    p = softmax(weights["Wya"] @ a[:, 0] + weights["by"])
    print("after  next  " + "  ".join(f"{char!r:>5}" for char in chars))
    for t, token in enumerate(tokens[:-1]):
        print(f"{chars[token]!r:>5} {chars[tokens[t + 1]]!r:>5}  "
              + "  ".join(f"{value:5.3f}" for value in p[:, t]))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: train(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
