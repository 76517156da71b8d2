"""Loads a finished run; scores tunes and improvises over chords."""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from appendix_b_jazz.data import Corpus, Tune
from appendix_b_jazz.grammar import Chord, clean, decode
from appendix_b_jazz.midi import Note
from appendix_b_jazz.model import Improviser, build_model, improvise
from common import checkpoint, files


class Run(NamedTuple):
    """A trained network and its vocabulary."""

    model: Improviser
    vocabulary: list[str]


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Rebuilds the network of a run and loads its weights."""
    vocabulary = files.read_json(args.run_dir / "vocabulary.json")
    model = build_model(len(vocabulary) + 1, flags.lstm_size)
    checkpoint.load(args.run_dir, args.checkpoint, model=model.training)
    return Run(model, vocabulary)


def held_out_nats(model: Improviser, tunes: Sequence[Tune]) -> np.ndarray:
    """Returns -ln p of every held-out token, after all tokens before it; float32 (tokens,).

    The first token of a tune is never scored.
    """
    longest = max(len(tune.ids) for tune in tunes)
    ids = np.stack([np.pad(tune.ids, (0, longest - len(tune.ids))) for tune in tunes])
    zeros = tf.zeros((len(tunes), model.size))
    x = tf.one_hot(ids[:, :-1], model.num_values)  # what is padded comes last: it is not seen
    logits = tf.function(model.training)([x, zeros, zeros], training=False)
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids[:, 1:], logits=logits).numpy()
    return np.concatenate([row[max(tune.split, 1) - 1 : len(tune.ids) - 1]
                           for row, tune in zip(nats, tunes, strict=True)])


def solo(
    model: Improviser, corpus: Corpus, chords: Sequence[Chord], measure: int, temperature: float,
    seed: int,
) -> tuple[list[Note], list[Note]]:
    """Returns an improvised melody and the chords below it."""
    length = measure * len(chords)  # enough even for sixteenths
    ids = tf.function(improvise)(
        model, tf.constant(int(corpus.tunes[0].ids[0])), tf.constant(length),
        tf.constant(temperature), tf.constant(seed % 2**31), len(corpus.vocabulary)).numpy()
    melody = clean(decode([corpus.vocabulary[i] for i in ids], chords, measure))
    below = [note for i, chord in enumerate(chords) for note in chord.notes(i * measure, measure)]
    return melody, below
