"""Melodies as grammar tokens over chords, and back.

A token names what a note is to the chord of its measure, its duration in sixteenths, and the
interval in semitones from the note before: C4+3 is a chord tone, S a tone of the chord's scale, X
any other; R2 is a rest. Over the same chords tokens give the melody back. Over others, each note is
moved to the nearest pitch of its kind: the tune follows the chords.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from appendix_b_jazz.midi import Note, Score

MAX_DURATION, MAX_INTERVAL = 16, 12  # sixteenths; semitones
LOWEST, HIGHEST, START = 48, 88, 67  # pitches of a melody that is written; the first reference
KINDS = {"": ((0, 4, 7), (0, 2, 4, 5, 7, 9, 11)),  # chord tones and scale, from the root
         "m": ((0, 3, 7), (0, 2, 3, 5, 7, 9, 10)),
         "7": ((0, 4, 7, 10), (0, 2, 4, 5, 7, 9, 10))}
ROOTS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
TOKEN = re.compile(r"(R)(\d+)|([CSX])(\d+)([+-]\d+)")


class Chord(NamedTuple):
    """A chord: its root as pitch class, and a key of KINDS."""

    root: int
    kind: str

    def kind_of(self, pitch: int) -> str:
        """Returns C, S or X."""
        tones, scale = KINDS[self.kind]
        interval = (pitch - self.root) % 12
        return "C" if interval in tones else "S" if interval in scale else "X"

    def __str__(self) -> str:
        """Returns the usual name, such as Bb7."""
        return ROOTS[self.root] + self.kind

    def notes(self, start: int, duration: int) -> list[Note]:
        """Returns the chord as notes below the melody."""
        return [Note(start, duration, 36 + self.root + tone) for tone in KINDS[self.kind][0]]


class Piece(NamedTuple):
    """A melody with a chord for each measure."""

    melody: list[Note]
    chords: list[Chord]
    measure: int  # sixteenths
    beats_per_minute: float


def monophonic(notes: Sequence[Note]) -> list[Note]:
    """Returns the highest note of each time, each cut where the next begins."""
    highest = {note.start: note for note in sorted(notes, key=lambda note: note.pitch)}
    line = [highest[start] for start in sorted(highest)]
    ends = [note.start for note in line[1:]] + [line[-1].start + line[-1].duration]
    return [note._replace(duration=min(note.duration, end - note.start))
            for note, end in zip(line, ends, strict=True)]


def to_piece(score: Score) -> Piece:
    """Chooses the melody of a score, and a chord for each measure.

    The melody is the track with most notes of its highest line, unless it is mostly chords; the
    chord is the one that shares most of the sounding time of all other notes.
    """
    lines = [monophonic(notes) for notes in score.tracks]
    worth = [len(line) ** 2 / len(notes) for line, notes in
             zip(lines, score.tracks, strict=True)]
    chosen = int(np.argmax(worth))
    melody = lines[chosen]
    others = [note for i, notes in enumerate(score.tracks) if i != chosen for note in notes]
    first = melody[0].start // score.measure * score.measure
    end = melody[-1].start + melody[-1].duration
    weights = np.zeros((-(-(end - first) // score.measure), 12))
    for note in others or melody:
        for time in range(note.start, note.start + note.duration):
            if first <= time < end:
                weights[(time - first) // score.measure, note.pitch % 12] += 1
    chords: list[Chord] = []
    for row in weights:  # a silent measure keeps the chord before
        chords.append(best_chord(row) if row.any() or not chords else chords[-1])
    melody = [note._replace(start=note.start - first) for note in melody]
    return Piece(melody, chords, score.measure, score.beats_per_minute)


def best_chord(weights: np.ndarray) -> Chord:
    """Returns the chord whose tones sound longest; fewer tones, then the heavier root, win ties."""
    candidates = [Chord(root, kind) for kind in KINDS for root in range(12)]
    return max(candidates, key=lambda chord: (
        sum(weights[(chord.root + tone) % 12] for tone in KINDS[chord.kind][0])
        - 0.1 * weights.sum() * len(KINDS[chord.kind][0]), weights[chord.root]))


def encode(piece: Piece) -> tuple[list[str], list[int]]:
    """Returns the tokens of a melody and the measure in which each begins."""
    tokens, measures, now, previous = [], [], 0, START
    for note in piece.melody:
        while now < note.start:
            rest = min(note.start - now, MAX_DURATION)
            tokens.append(f"R{rest}")
            measures.append(now // piece.measure)
            now += rest
        interval = note.pitch - previous
        interval -= 12 * int(np.fix(interval / (MAX_INTERVAL + 1)))  # wider leaps lose octaves
        kind = piece.chords[note.start // piece.measure].kind_of(note.pitch)
        duration = min(note.duration, MAX_DURATION)
        tokens.append(f"{kind}{duration}{interval:+d}")
        measures.append(note.start // piece.measure)
        now, previous = note.start + duration, note.pitch
    return tokens, measures


def decode(tokens: Sequence[str], chords: Sequence[Chord], measure: int) -> list[Note]:
    """Returns the notes of tokens over chords, until the last chord ends."""
    notes, now, previous, end = [], 0, START, len(chords) * measure
    for token in tokens:
        if now >= end:
            break
        rest, length, kind, duration, interval = TOKEN.fullmatch(token).groups()
        if rest:
            now += int(length)
            continue
        wanted = previous + int(interval)
        allowed = [pitch for pitch in range(LOWEST, HIGHEST + 1)
                   if chords[now // measure].kind_of(pitch) == kind]
        pitch = min(allowed, key=lambda pitch: (abs(pitch - wanted), pitch))
        notes.append(Note(now, min(int(duration), end - now), pitch))
        now, previous = now + int(duration), pitch
    return notes


def clean(notes: Sequence[Note]) -> list[Note]:
    """Joins a note of one sixteenth that repeats the one before to it, as the source prunes."""
    kept: list[Note] = []
    for note in notes:
        if kept and note.duration == 1 and note.pitch == kept[-1].pitch and (
                kept[-1].start + kept[-1].duration == note.start):
            kept[-1] = kept[-1]._replace(duration=kept[-1].duration + 1)
        else:
            kept.append(note)
    return kept
