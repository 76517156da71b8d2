"""Evaluates the greedy policy of a run, and compares it with the optimal policy, as in chapter 18.

    python eval.py                  # the latest run
    python eval.py --name traps --publish

Writes eval.json and optimum.png, both policies side by side, into the run folder.
"""

from collections.abc import Sequence

from chapter18_q_learning.eval import evaluate
from common import cli, results


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
