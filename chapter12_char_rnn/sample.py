"""Lets a trained character RNN write.

    python sample.py --start_string 春 --max_length 60
    python sample.py --name shakespeare --temperature 0.8 --top_k 0 --num_samples 3
    python sample.py --interactive          # type a first line, the model goes on
    python sample.py --acrostic 春夏秋冬      # a poem whose verses begin with these

Each character costs one step of the network, and is printed as soon as it is drawn.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence

from chapter12_char_rnn.inference import load_run, make_generator
from common import cli
from common.errors import UserError

VERSE_ENDS = "，。"  # of the first and the second verse of a couplet
MAX_VERSE = 12  # characters after which an acrostic goes on, whatever the model wrote


def build_parser() -> cli.Parser:
    """Returns the parser; flags that the book has keep its names."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--start_string", default="", help="what the text begins with")
    parser.add_argument("--max_length", type=cli.positive_int, default=30, help="characters to add")
    parser.add_argument("--temperature", type=cli.positive_float, default=1.0,
                        help="below 1 plays safe, above 1 dares more")
    parser.add_argument("--top_k", type=cli.non_negative_int, default=5,
                        help="draw among the k most probable characters, 0 for all")
    parser.add_argument("--top_p", type=cli.from_0_to_1, default=1.0,
                        help="draw among the most probable characters that sum to p")
    parser.add_argument("--greedy", action=argparse.BooleanOptionalAction, default=False,
                        help="always take the most probable character")
    parser.add_argument("--num_samples", type=cli.positive_int, default=1, help="texts to write")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the drawing")
    parser.add_argument("--interactive", action=argparse.BooleanOptionalAction, default=False,
                        help="read first lines from the keyboard")
    parser.add_argument("--acrostic", default="", help="for couplets: the verses' first characters")
    parser.add_argument("--json", action=argparse.BooleanOptionalAction, default=False,
                        help="print a JSON list of texts instead")
    return parser


def sample(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Prints the texts as they are made."""
    if (args.interactive and args.json) or (args.acrostic and args.start_string):
        raise UserError("--interactive with --json, or --acrostic with --start_string",
                        "give one of the two")
    model, vocabulary = load_run(args, flags)
    generate = make_generator(model, vocabulary, flags.level)
    top_k = 1 if args.greedy else args.top_k

    def write(start: str, seed: int) -> str:
        def go_on(start: str, length: int) -> Iterator[str]:
            return generate(start, length, args.temperature, top_k, args.top_p, seed)

        text = start + " " * (flags.level == "word" and start != "")
        if args.acrostic:
            following = write_acrostic(args.acrostic, vocabulary, go_on)
        else:
            following = go_on(start, args.max_length)
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
    acrostic: str, vocabulary: Sequence[str], go_on: Callable[[str, int], Iterator[str]]
) -> Iterator[str]:
    """Yields a poem whose verses begin with given characters.

    Raises:
        UserError: the model does not write verses, or does not know one of the characters.
    """
    if missing := sorted({"\n", *VERSE_ENDS, *acrostic} - set(vocabulary)):
        raise UserError(
            f"this model has no {' '.join(map(repr, missing))} to write an acrostic with",
            "take a run on couplets, and characters of its poems",
        )
    text = ""
    for first in acrostic:
        yield first
        text += first
        for char in go_on(text, MAX_VERSE):
            yield char
            text += char
            if char in VERSE_ENDS:
                break
        if text[-1] == VERSE_ENDS[-1]:
            yield "\n"
            text += "\n"


def converse(write: Callable[[str, int], str], seed: int) -> None:
    """Goes on from each line that is typed, until an empty one or the end of the input."""
    while True:
        print("first line (empty to leave): ", end="", file=sys.stderr, flush=True)
        if not (line := sys.stdin.readline().rstrip("\n")):
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
