"""Exports the learned table as a SavedModel: states in, greedy actions and their values out.

    python export.py

One signature, that of chapter 18:

serving_default  states: int64 (count,), row · columns + column of the map -> actions: int64
                 (count,), 0 up, 1 down, 2 left, 3 right; values: float64 (count, 4)
"""

from collections.abc import Sequence

from chapter18_q_learning.export import export_run
from common import cli


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__, checkpoint="latest")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
