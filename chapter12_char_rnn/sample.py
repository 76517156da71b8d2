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
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter12_char_rnn import data
from chapter12_char_rnn.model import CharRNN, State, build_model, filter_logits, model_flags
from common import checkpoint, cli, rundir
from common.errors import UserError
from common.text import encode

CHAPTER = "chapter12_char_rnn"
VERSE_ENDS = "，。"  # of the first and the second verse of a couplet
MAX_VERSE = 12  # characters after which an acrostic goes on, whatever the model wrote


def load_run(run_dir: Path, flags: argparse.Namespace, which: str) -> tuple[CharRNN, list[str]]:
    """Rebuilds the network of a run with its trained weights; returns it and its vocabulary."""
    vocabulary = rundir.read_json(run_dir / "vocabulary.json")
    model = build_model(**model_flags(flags, len(vocabulary)))
    checkpoint.load(run_dir, which, model=model)
    return model, vocabulary


def make_generator(
    model: CharRNN, vocabulary: Sequence[str], level: str = "char"
) -> Callable[..., Iterator[str]]:
    """Returns a function that writes text with a model; its graph is traced once."""
    written = [data.join(level)(token) for token in vocabulary]

    @tf.function(reduce_retracing=True)
    def next_token(
        token: tf.Tensor, states: list[State], draw: tf.Tensor, settings: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[State]]:
        logits, states = model(token[None, None], states, training=False)
        logits = filter_logits(logits[:, 0], *settings)
        return tf.random.stateless_categorical(logits, 1, draw, tf.int32)[0, 0], states

    def generate(
        start_string: str,
        length: int,
        temperature: float = 1.0,
        top_k: int = 5,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Returns the characters that follow `start_string`, drawn as they are asked for.

        Args:
            start_string: what the text begins with, after a new line.
            length: how many characters to draw.
            temperature: see `filter_logits`.
            top_k: see `filter_logits`; 1 is greedy.
            top_p: see `filter_logits`.
            seed: the same seed gives the same text.

        Raises:
            UserError: characters of `start_string` are not in the vocabulary.
        """
        tokens = encode_start(start_string, vocabulary, level)
        settings = [tf.constant(value) for value in (temperature, top_k, top_p)]
        return draw_tokens(tokens, length, settings, seed)

    def draw_tokens(
        tokens: np.ndarray, length: int, settings: list[tf.Tensor], seed: int
    ) -> Iterator[str]:
        states = model.initial_states(1)
        for position, token in enumerate(tokens):
            draw = tf.constant([seed, position])
            drawn, states = next_token(tf.constant(token), states, draw, settings)
        for position in range(len(tokens), len(tokens) + length):
            yield written[int(drawn)]
            drawn, states = next_token(drawn, states, tf.constant([seed, position]), settings)

    return generate


def encode_start(start_string: str, vocabulary: Sequence[str], level: str = "char") -> np.ndarray:
    """Returns the tokens a text begins with, at least one: a new line, then `start_string`.

    The new line puts the network where texts begin; without it a first verse may lack a character.

    Raises:
        UserError: tokens that the network has never seen.
    """
    tokens = start_string if level == "char" else data.tokenize(start_string, level)[:-1]
    if unknown := sorted(set(tokens) - set(vocabulary)):
        raise UserError(
            f"the model does not know {' '.join(map(repr, unknown))}",
            f"use {level}s of its text, such as {' '.join(map(repr, vocabulary[:20]))}",
        )
    if "\n" in vocabulary:
        tokens = ["\n", *tokens]
    return encode(tokens or vocabulary[:1], vocabulary)


def build_parser() -> cli.Parser:
    """Returns the parser; flags that the book has keep its names."""
    parser = cli.verb_parser(__doc__, "sample.py")
    parser.add_argument("--start_string", default="", help="what the text begins with")
    parser.add_argument("--max_length", type=cli.positive_int, default=30, help="characters to add")
    parser.add_argument("--temperature", type=cli.positive_float, default=1.0,
                        help="below 1 plays safe, above 1 dares more")
    parser.add_argument("--top_k", type=cli.non_negative_int, default=5,
                        help="draw among the k most probable characters, 0 for all")
    parser.add_argument("--top_p", type=cli.fraction, default=1.0,
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
    model, vocabulary = load_run(args.run_dir, flags, args.checkpoint)
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
    return cli.run_verb(sample, build_parser(), CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
