"""Notes from and to MIDI files, as WAV and as a picture."""

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

from common import figures
from common.errors import UserError
from common.figures import plt

STEPS_PER_BEAT = 4  # time is counted in sixteenths
DRUMS = 9  # MIDI channel
SAMPLE_RATE = 22050  # Hz of the WAV file
HARMONICS = (1.0, 0.5, 0.25, 0.12, 0.06)  # amplitudes of the additive synthesis


class Note(NamedTuple):
    """A note: start and duration in sixteenths, pitch as MIDI number (60 is middle C)."""

    start: int
    duration: int
    pitch: int


class Score(NamedTuple):
    """The notes of a MIDI file, track by track."""

    tracks: list[list[Note]]  # each channel of each track that has notes, without drums
    measure: int  # sixteenths
    beats_per_minute: float


def read_midi(path: Path) -> Score:
    """Reads a MIDI file. Times are in beats, so that changes of the tempo do not matter.

    Raises:
        UserError: it cannot be read, or has no notes.
    """
    try:
        file = mido.MidiFile(path)
    except (OSError, EOFError, ValueError, KeyError, IndexError, mido.KeySignatureError) as error:
        raise UserError(f"cannot read {path}: {error or 'it ends too early'}",
                        "give a Standard MIDI File (.mid)") from error
    if file.type == 2 or file.ticks_per_beat <= 0 or file.ticks_per_beat >= 2**15:
        raise UserError(f"{path} is of type {file.type}, {file.ticks_per_beat} ticks per beat",
                        "save it as type 0 or 1, with ticks per beat")
    measure, tempo, tracks = None, None, []
    for track in file.tracks:
        # A file of type 0 has all instruments in one track, told apart by their channels.
        channels, now, held = {}, 0, {}
        for message in track:
            now += message.time
            if message.type == "time_signature" and measure is None:
                measure = 4 * STEPS_PER_BEAT * message.numerator // message.denominator
            elif message.type == "set_tempo" and tempo is None:
                tempo = message.tempo
            elif message.type in ("note_on", "note_off") and message.channel != DRUMS:
                key = message.channel, message.note
                if key in held:
                    channels.setdefault(message.channel, []).append(
                        (held.pop(key), now, message.note))
                if message.type == "note_on" and message.velocity:
                    held[key] = now
        scale = STEPS_PER_BEAT / file.ticks_per_beat
        for _, notes in sorted(channels.items()):
            tracks.append(sorted(
                Note(round(a * scale), max(1, round(b * scale) - round(a * scale)), pitch)
                for a, b, pitch in notes))
    if not tracks:
        raise UserError(f"{path} has no notes", "give a file with notes (drums do not count)")
    beats_per_minute = mido.tempo2bpm(tempo or 500_000)
    return Score(tracks, max(1, measure or 4 * STEPS_PER_BEAT), beats_per_minute)


def write_midi(path: Path, tracks: Sequence[Sequence[Note]], beats_per_minute: float) -> None:
    """Writes notes as a MIDI file of type 1, a track each."""
    file = mido.MidiFile(ticks_per_beat=480)
    scale = file.ticks_per_beat // STEPS_PER_BEAT
    for number, notes in enumerate(tracks):
        track = mido.MidiTrack()
        file.tracks.append(track)
        if number == 0:
            track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(beats_per_minute)))
        # Notes end before others of the same time begin.
        events = sorted([(note.start * scale, 1, note.pitch) for note in notes]
                        + [((note.start + note.duration) * scale, 0, note.pitch) for note in notes])
        now = 0
        for time, on, pitch in events:
            velocity = (96 if number == 0 else 56) * on
            track.append(mido.Message("note_on", channel=number, note=pitch, velocity=velocity,
                                      time=time - now))
            now = time
    file.save(path)


def synthesize(tracks: Sequence[Sequence[Note]], beats_per_minute: float) -> np.ndarray:
    """Returns the sound of notes, float32 in [-1, 1] of shape (samples,).

    A note is a sum of five harmonics that decays exponentially, with an attack of 10 ms.
    """
    seconds = 60 / beats_per_minute / STEPS_PER_BEAT
    end = max((note.start + note.duration for notes in tracks for note in notes), default=1)
    sound = np.zeros(int((end * seconds + 0.5) * SAMPLE_RATE) + 1)
    for number, notes in enumerate(tracks):
        for note in notes:
            t = np.arange(int((note.duration * seconds + 0.1) * SAMPLE_RATE)) / SAMPLE_RATE
            envelope = np.minimum(t / 0.01, 1) * np.exp(-3 * t)
            envelope *= np.minimum((t[-1] - t) / 0.1, 1)  # released within .1 s
            frequency = 440 * 2 ** ((note.pitch - 69) / 12)
            tone = sum(amplitude * np.sin(2 * np.pi * k * frequency * t)
                       for k, amplitude in enumerate(HARMONICS, 1)
                       if k * frequency < SAMPLE_RATE / 2)
            first = int(note.start * seconds * SAMPLE_RATE)
            sound[first : first + len(t)] += (1.0 if number == 0 else 0.4) * envelope * tone
    return (0.9 * sound / max(np.abs(sound).max(), 1e-9)).astype(np.float32)


def write_wav(path: Path, sound: np.ndarray) -> None:
    """Writes a sound of `synthesize` as 16-bit WAV, one channel."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((32767 * sound).astype("<i2").tobytes())


def draw_piano_roll(
    png: Path, tracks: Sequence[Sequence[Note]], measure: int, names: Sequence[str]
) -> None:
    """Draws notes as bars: time in measures to the right, pitch upwards."""
    figure, axes = plt.subplots(figsize=(10, 4))
    for number, (notes, name) in enumerate(zip(tracks, names, strict=True)):
        axes.barh([note.pitch for note in notes], [note.duration / measure for note in notes],
                  left=[note.start / measure for note in notes], height=0.9,
                  color=f"C{number}", label=name, edgecolor="white", linewidth=0.3)
    axes.set(xlabel="measure", ylabel="pitch (60 is middle C)")
    axes.grid(axis="x", alpha=0.4)
    axes.legend()
    figures.save_figure(png, figure)
