"""Computes word analogies by vector arithmetic: king - man + woman.

    python analogy.py tuple                     # the nearest words of one word
    python analogy.py strings - string + list
    python analogy.py --name skipgram --num_nearest 3 --json -- list - lists + string

Vectors of length 1 are added and subtracted. The answers are the words with the largest cosine to
the result, excluding the given words (Mikolov et al. 2013b).
"""

import argparse
import json
from collections.abc import Sequence

import numpy as np

from chapter14_word2vec import vectors
from chapter14_word2vec.inference import load_run
from common import cli
from common.errors import UserError


def parse(expression: str) -> list[tuple[int, str]]:
    """Parses `king - man + woman` into [(1, king), (-1, man), (1, woman)].

    Raises:
        UserError: words and signs do not alternate.
    """
    parts = expression.split()
    signs, words = ["+", *parts[1::2]], parts[::2]
    if len(signs) != len(words) or not {*signs} <= {"+", "-"} or {*words} & {"+", "-"}:
        raise UserError(f"{expression!r} is not a sum of words",
                        "separate words by + or -, with spaces around the signs")
    return [(1 if sign == "+" else -1, word) for sign, word in zip(signs, words, strict=True)]


def calculate(
    terms: Sequence[tuple[int, str]], matrix: np.ndarray, vocabulary: Sequence[str], count: int
) -> dict[str, float]:
    """Returns the nearest words of a sum of words, with their cosines.

    Raises:
        UserError: a word is not in the vocabulary, or the sum is 0.
    """
    unit = vectors.normalise(matrix)
    ids = np.array([vectors.word_id(word, vocabulary) for _, word in terms])
    total = np.array([sign for sign, _ in terms]) @ unit[ids]
    if np.linalg.norm(total) < 1e-6:
        raise UserError("the words cancel out", "omit one of them")
    near, cosines = vectors.nearest(unit, vectors.normalise(total[None]), ids[None], count)
    return {vocabulary[i]: float(cosine) for i, cosine in zip(near[0], cosines[0], strict=True)}


def answer(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Prints the nearest words of the result."""
    terms = parse(" ".join(args.expression))
    matrix, vocabulary = load_run(args, flags)
    found = calculate(terms, matrix, vocabulary, args.num_nearest)
    if args.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print("\n".join(f"{cosine:.3f}  {word}" for word, cosine in found.items()))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    parser.add_argument("expression", nargs="+", metavar="WORD",
                        help="words, separated by + or -")
    parser.add_argument("--num_nearest", type=cli.size, default=8,
                        help="number of words to print")
    parser.add_argument("--json", action=argparse.BooleanOptionalAction, default=False,
                        help="print a JSON object that maps words to cosines")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(answer, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
