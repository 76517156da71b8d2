"""Tunes for the jazz network: MIDI files as grammar tokens, and windows of them.

    python data.py                                         # the composed tune
    python data.py --dataset file --input_file tune.mid    # a MIDI file, or a folder of them

The last tenth of the measures of each tune is held out. Training windows have `--window` values and
begin at evenly spaced places, or at every place.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from appendix_b_jazz import compose
from appendix_b_jazz.grammar import Piece, encode, to_piece
from appendix_b_jazz.midi import read_midi
from common import cli, files, inputs
from common.errors import UserError, exit_status
from common.text import build_vocabulary

UNKNOWN = "UNK"  # the last value: rare tokens of the training measures, new ones of the others
HELD_OUT = 0.1
SUFFIXES = ".mid", ".midi"

OFFLINE = {"tune": "a blues of 108 measures that this project composed by rules",
           "file": "the MIDI file, or the folder of MIDI files, given by `--input_file`"}
SOURCES: dict[str, files.Source] = {}


class Tune(NamedTuple):
    """A piece and its token ids, int32; those before `split` are trained on."""

    piece: Piece
    ids: np.ndarray
    split: int


class Corpus(NamedTuple):
    """Tunes of one vocabulary, of which the last value stands for unknown tokens."""

    tunes: list[Tune]
    vocabulary: list[str]
    sha256: str


def read_pieces(flags: argparse.Namespace) -> tuple[list[Piece], str]:
    """Reads the tunes that the flags select; returns them and the sha256 of their files.

    Raises:
        UserError: nothing can be read. Files of a folder that cannot be read are left out.
    """
    if (flags.dataset == "file") != bool(flags.input_file):
        raise UserError(f"--dataset {flags.dataset} with --input_file {flags.input_file}",
                        "give --dataset file --input_file FILE, or neither")
    if flags.dataset == "tune":
        piece = compose.compose()
        return [piece], files.sha256(repr(piece).encode())
    path = Path(flags.input_file)
    if not path.is_dir():
        return [to_piece(read_midi(path))], files.sha256(path.read_bytes())
    pieces, digest = [], []
    for file in sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES):
        try:
            pieces.append(to_piece(read_midi(file)))
            digest.append(file.read_bytes())
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)
    if not pieces:
        raise UserError(f"{path} has no MIDI files that can be read", "give a folder of .mid files")
    return pieces, files.sha256(*digest)


def load(flags: argparse.Namespace, vocabulary: list[str] | None = None) -> Corpus:
    """Loads the tunes; the vocabulary, if none is given, is that of the training measures.

    With `--min_count 1` all tokens have a value, those of the held-out measures too, as in the
    source; else tokens that are rarer in the training measures share the last value.
    """
    pieces, digest = read_pieces(flags)
    encoded = []
    for piece in pieces:
        tokens, measures = encode(piece)
        last = measures[-1] + 1
        first_held_out = last - max(1, round(HELD_OUT * last))
        encoded.append((tokens, int(np.searchsorted(measures, first_held_out))))
    if vocabulary is None:
        seen = [token for tokens, split in encoded
                for token in (tokens if flags.min_count == 1 else tokens[:split])]
        counts = Counter(seen)
        vocabulary = [token for token in build_vocabulary(counts, len(counts), special=())
                      if counts[token] >= flags.min_count]
        if not vocabulary:
            raise UserError(f"no token occurs {flags.min_count} times in the training measures",
                            "lower --min_count")
    ids = {token: i for i, token in enumerate(vocabulary)}
    tunes = [Tune(piece, np.array([ids.get(token, len(ids)) for token in tokens], np.int32), split)
             for piece, (tokens, split) in zip(pieces, encoded, strict=True)]
    return Corpus(tunes, vocabulary, digest)


def windows(corpus: Corpus, window: int, num_windows: int) -> np.ndarray:
    """Returns training windows, int32 of shape (windows, window + 1): inputs and targets overlap.

    Args:
        corpus: the tunes.
        window: values of a window.
        num_windows: number of windows, evenly spaced over all places; 0 for every place.

    Raises:
        UserError: no tune is long enough.
    """
    found = [tune.ids[i : i + window + 1] for tune in corpus.tunes
             for i in range(tune.split - window)]
    if not found:
        longest = max(tune.split for tune in corpus.tunes)
        raise UserError(f"the longest tune has {longest} values to train on, --window is {window}",
                        f"give longer tunes, or --window {max(1, longest - 1)} or less")
    if num_windows:
        found = [found[i] for i in np.linspace(0, len(found) - 1, num_windows).astype(int)]
    return np.stack(found)


def training_batches(
    windows: np.ndarray, batch_size: int, seed: int, start_step: int
) -> tf.data.Dataset:
    """Returns an infinite stream of windows, a pure function of (seed, step)."""
    table = tf.constant(windows)
    indices = inputs.index_batches(len(windows), batch_size, seed, start_step)
    return inputs.finish(indices.map(lambda step, chosen: tf.gather(table, chosen)))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of tunes and windows."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="tune",
                       help="tune: composed for this project; file: --input_file")
    group.add_argument("--input_file", type=cli.path, help="a MIDI file, or a folder of them")
    group.add_argument("--min_count", type=cli.size, default=1,
                       help="rarer tokens share one value; 1: every token has its own")
    group.add_argument("--window", type=cli.size, default=30, help="values of a window")
    group.add_argument("--num_windows", type=cli.non_negative_int, default=0,
                       help="number of training windows; 0: one at every place")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the number of tunes, values and windows, and the first measures."""
    def show() -> None:
        args = build_parser().parse_args(argv)
        corpus = load(args)
        count = sum(len(tune.ids) for tune in corpus.tunes)
        print(f"{len(corpus.tunes)} tunes, {count:,} tokens, {len(corpus.vocabulary)} values, "
              f"{len(windows(corpus, args.window, args.num_windows)):,} windows")
        piece = corpus.tunes[0].piece
        print("chords:", *piece.chords[:12])
        print("tokens:", *encode(piece)[0][:30])

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
