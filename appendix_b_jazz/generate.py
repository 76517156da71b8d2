"""Improvises over chords: a MIDI file, a WAV file and a piano roll in the run folder.

    python generate.py
    python generate.py --temperature 0.7 --measures 16 --seed 3
    python generate.py --temperature 0            # always the most probable value

The chords are those of the first tune of the run's data.
"""

import argparse
from collections.abc import Sequence

from appendix_b_jazz import data
from appendix_b_jazz.inference import load_run, solo
from appendix_b_jazz.midi import draw_piano_roll, synthesize, write_midi, write_wav
from common import cli


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["input_file"])
    parser.add_argument("--temperature", type=cli.non_negative_float, default=1.0,
                        help="below 1 is more conservative; 0 takes the most probable value")
    parser.add_argument("--measures", type=cli.number(int, 1, 500, "a whole number from 1 to 500"),
                        default=12, help="measures, over the first chords of the first tune")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the sampling")
    return parser


def generate(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes solo.mid, solo.wav and solo.png."""
    run = load_run(args, flags)
    corpus = data.load(flags, run.vocabulary)
    piece = corpus.tunes[0].piece
    chords = [piece.chords[i % len(piece.chords)] for i in range(args.measures)]
    tracks = solo(run.model, corpus, chords, piece.measure, args.temperature, args.seed)
    write_midi(args.run_dir / "solo.mid", tracks, piece.beats_per_minute)
    write_wav(args.run_dir / "solo.wav", synthesize(tracks, piece.beats_per_minute))
    draw_piano_roll(args.run_dir / "solo.png", tracks, piece.measure, ["solo", "chords"])
    print("chords:", *chords)
    print(f"{len(tracks[0])} notes: {args.run_dir}/solo.mid, solo.wav and solo.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(generate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
