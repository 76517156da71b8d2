"""Lists of names for the NumPy language model: one name per line.

    python data.py                       # the shipped invented names
    python data.py --input_file mine.txt

Names are lower-cased, empty lines and repeated names left out. The network reads a zero vector and
then the letters of a name; it predicts the letters and then the newline.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import cli, files
from common.errors import UserError, exit_status
from common.text import read_text

SAMPLE = Path(__file__).parent / "names.txt"
MAX_LENGTH = 50  # characters per name
END = 0  # the token of the newline

OFFLINE = {"file": "the file given by `--input_file`, by default names.txt: 400 names that this "
                   "project invented"}
GITHUB = "https://raw.githubusercontent.com/"
SOURCES = {
    "dinos": files.Source(
        "Names of dinosaurs: 1,624 lines, 21 kB; no licence stated",
        (files.File(
            "dinos.txt",
            "a33bf26647c6735cac142984e2a29995af746e2961811ade39035fcfb9fe8b0f",
            (f"{GITHUB}swiftgurmeet/keras-dinosaur-names/master/dinos.txt",),
        ),),
    ),
}


class Names(NamedTuple):
    """A list of names and its symbols, of which the first is the newline."""

    vocabulary: list[str]
    train: list[str]
    held_out: list[str]
    sha256: str

    def pair(self, name: str) -> tuple[list[int], list[int]]:
        """Returns inputs and targets of a name: [-1, letters] and [letters, newline]."""
        tokens = [self.vocabulary.index(letter) for letter in name]
        return [-1, *tokens], [*tokens, END]


def parse(text: str, source: str) -> list[str]:
    """Returns the distinct names of a text, in lower case.

    Raises:
        UserError: there are fewer than two names, or one is too long.
    """
    lines = [line.strip().lower() for line in text.splitlines()]
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LENGTH:
            raise UserError(f"{source}, line {number} has {len(line)} characters, a name has at "
                            f"most {MAX_LENGTH}", "give one name per line")
    names = list(dict.fromkeys(filter(None, lines)))
    if len(names) < 2:
        raise UserError(f"{source} has {len(names)} names", "give one name per line, at least two")
    if left_out := len(lines) - len(names):
        print(f"{source}: {left_out} empty or repeated lines left out", file=sys.stderr)
    return names


def load(flags: argparse.Namespace) -> Names:
    """Loads the list that the flags of `add_flags` select; holds out a share of it."""
    idle = "input_file" if flags.dataset in SOURCES else "data_dir"
    if value := vars(flags)[idle]:
        raise UserError(f"--{idle} {value} has no effect with --dataset {flags.dataset}", "omit it")
    path = Path(flags.input_file or SAMPLE)
    if flags.dataset in SOURCES:
        (file,) = SOURCES[flags.dataset].files
        folder = Path(flags.data_dir or files.default_dir(flags.dataset))
        path = files.fetch(folder / file.name, file.urls, file.sha256)
    text = read_text(path)
    names = parse(text, str(path))
    order = np.random.default_rng(0).permutation(len(names))  # the same split for every seed
    held_out = min(round(flags.held_out * len(names)), len(names) - 1)
    vocabulary = ["\n", *sorted(set("".join(names)))]
    shuffled = [names[i] for i in order]
    return Names(vocabulary, shuffled[held_out:], shuffled[:held_out], files.sha256(text.encode()))


def name_of_step(names: Sequence[str], seed: int, step: int) -> str:
    """Returns the training name of a step, counted from 1: every epoch is another permutation."""
    epoch, position = divmod(step - 1, len(names))
    return names[np.random.default_rng([seed, epoch]).permutation(len(names))[position]]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the list."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=[*OFFLINE, *SOURCES], default="file",
                       help="file: --input_file; dinos is downloaded once")
    group.add_argument("--input_file", type=cli.path,
                       help="UTF-8 text, one name per line (default: names.txt)")
    group.add_argument("--data_dir", type=cli.path, help="folder of a downloaded list "
                       "(default: data/<dataset> in the repository)")
    group.add_argument("--held_out", type=cli.number(float, 0, 0.5, "a number from 0 to 0.5"),
                       default=0.1, help="share of the names that is not trained on")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the size of the list, its symbols and one pair of inputs and targets."""
    def show() -> None:
        names = load(build_parser().parse_args(argv))
        print(f"{len(names.train):,} names for training, {len(names.held_out):,} held out")
        print(f"{len(names.vocabulary)} symbols: {''.join(names.vocabulary)!r}")
        inputs, targets = names.pair(names.train[0])
        print(f"{names.train[0]}\ninputs  {inputs}\ntargets {targets}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
