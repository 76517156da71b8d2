"""Invents names with a trained model.

    python sample.py --num_samples 20 --temperature 0.8

A name has at most 50 characters.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from appendix_a_numpy_rnn.inference import load_run, sample_names
from common import cli


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--num_samples", type=cli.size, default=7, help="number of names")
    parser.add_argument("--temperature", type=cli.positive_float, default=1.0,
                        help="below 1 is more conservative, above 1 more diverse")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the sampling")
    return parser


def sample(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Prints names, one per line."""
    run = load_run(args, flags)
    print(*sample_names(flags.cell, run.weights, run.vocabulary, args.num_samples,
                        np.random.default_rng(args.seed), args.temperature), sep="\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(sample, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
