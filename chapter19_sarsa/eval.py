"""Compares what an agent has learnt with the best that is possible, as chapter 18's eval.py.

    python eval.py                  # the newest run
    python eval.py --name traps --publish

Writes eval.json and optimum.png, both policies side by side, into the run folder.
"""

import argparse
from collections.abc import Sequence

from chapter18_q_learning import eval as chapter18
from common import cli, results

CHAPTER = "chapter19_sarsa"


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Scores the table of a run, writes eval.json and the picture."""
    return chapter18.evaluate(args, flags, CHAPTER)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__doc__, "eval.py", checkpoint="latest")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
