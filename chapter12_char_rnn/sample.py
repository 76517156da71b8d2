"""Generates text with a trained character RNN.

    python sample.py --start_string 春 --max_length 60
    python sample.py --name shakespeare --temperature 0.8 --top_k 0 --num_samples 3
    python sample.py --interactive          # type a first line, the model continues it
    python sample.py --acrostic 春夏秋冬      # a poem whose verses begin with these characters

Each character takes one step of the network and is printed as soon as it is sampled.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence

from chapter12_char_rnn.inference import load_run, make_generator
from common import cli
from common.errors import UserError

VERSE_ENDS = "，。"  # of the first and the second verse of a couplet
MAX_VERSE = 12  # characters after which a verse of an acrostic ends in any case


def build_parser() -> cli.Parser:
    """Returns the parser; flags of the book's script keep their names."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--start_string", default="", help="beginning of the text")
    parser.add_argument("--max_length", type=cli.positive_int, default=30,
                        help="number of tokens to generate")
    parser.add_argument("--temperature", type=cli.positive_float, default=1.0,
                        help="sampling temperature; below 1 is more conservative, above 1 more "
                             "diverse")
    parser.add_argument("--top_k", type=cli.non_negative_int, default=5,
                        help="sample among the k most probable tokens; 0: all")
    parser.add_argument("--top_p", type=cli.from_0_to_1, default=1.0,
                        help="nucleus sampling: sample among the most probable tokens whose "
                             "probabilities sum to p")
    parser.add_argument("--greedy", action=argparse.BooleanOptionalAction, default=False,
                        help="always choose the most probable token")
    parser.add_argument("--num_samples", type=cli.size, default=1,
                        help="number of texts")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the sampling")
    parser.add_argument("--interactive", action=argparse.BooleanOptionalAction, default=False,
                        help="read start strings from standard input")
    parser.add_argument("--acrostic", default="",
                        help="first characters of the verses of a poem, for models of couplets")
    parser.add_argument("--json", action=argparse.BooleanOptionalAction, default=False,
                        help="print the texts as a JSON list")
    return parser


def sample(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Generates the texts and prints them as they grow."""
    if (args.interactive and args.json) or (args.acrostic and args.start_string):
        raise UserError("--interactive with --json, or --acrostic with --start_string",
                        "give only one of the two")
    model, vocabulary = load_run(args, flags)
    generate = make_generator(model, vocabulary, flags.level)
    top_k = 1 if args.greedy else args.top_k

    def write(start: str, seed: int) -> str:
        def extend(start: str, length: int) -> Iterator[str]:
            return generate(start, length, args.temperature, top_k, args.top_p, seed)

        text = start + " " * (flags.level == "word" and start != "")
        if args.acrostic:
            following = write_acrostic(args.acrostic, vocabulary, extend)
        else:
            following = extend(start, args.max_length)
        show(text)
        for char in following:
            text += char
            show(char)
        show("\n")
        return text

    def show(text: str) -> None:
        if not args.json:
            print(text, end="", flush=True)

    if args.interactive:
        converse(write, args.seed)
        return
    texts = []
    for number in range(args.num_samples):
        if number:
            show("\n")
        texts.append(write(args.start_string, args.seed + number))
    if args.json:
        print(json.dumps(texts, ensure_ascii=False))


def write_acrostic(
    acrostic: str, vocabulary: Sequence[str], extend: Callable[[str, int], Iterator[str]]
) -> Iterator[str]:
    """Yields the characters of a poem whose verses begin with the given characters.

    Raises:
        UserError: verse punctuation or one of the characters is not in the vocabulary.
    """
    if missing := sorted({"\n", *VERSE_ENDS, *acrostic} - set(vocabulary)):
        raise UserError(
            f"not in the model's vocabulary: {' '.join(map(repr, missing))}",
            "use a run trained on couplets, and characters of its text",
        )
    text = ""
    for first in acrostic:
        yield first
        text += first
        for char in extend(text, MAX_VERSE):
            yield char
            text += char
            if char in VERSE_ENDS:
                break
        if text[-1] == VERSE_ENDS[-1]:
            yield "\n"
            text += "\n"


def converse(write: Callable[[str, int], str], seed: int) -> None:
    """Continues each line read from standard input, until an empty line or the end of the input."""
    while True:
        print("first line (empty to quit): ", end="", file=sys.stderr, flush=True)
        if not (line := sys.stdin.readline().rstrip("\r\n")):
            return
        try:
            write(line, seed)
        except UserError as error:
            print(f"{error}; {error.hint}", file=sys.stderr)
        seed += 1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(sample, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
