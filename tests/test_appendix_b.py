"""Jazz: MIDI files, grammar tokens, the two models of the same weights, sound and pictures."""

import json
import math
import wave

import mido
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from appendix_b_jazz import compose, data, eval, generate, train
from appendix_b_jazz.grammar import (
    Chord,
    best_chord,
    clean,
    decode,
    encode,
    monophonic,
    to_piece,
)
from appendix_b_jazz.midi import (
    SAMPLE_RATE,
    Note,
    Score,
    read_midi,
    synthesize,
    write_midi,
)
from appendix_b_jazz.model import build_model, improvise, window_loss
from common import rundir
from common.errors import UserError

MELODY = [Note(0, 4, 60), Note(4, 2, 64), Note(8, 8, 67)]
CHORDS = [Note(0, 16, 48), Note(0, 16, 52), Note(0, 16, 55)]


def flags(*argv):
    return train.build_parser().parse_args(list(argv))


def test_a_midi_file_is_read_as_it_was_written(tmp_path):
    write_midi(tmp_path / "a.mid", [MELODY, CHORDS], 132)
    score = read_midi(tmp_path / "a.mid")
    assert score.tracks == [MELODY, CHORDS]
    assert score.measure == 16 and score.beats_per_minute == pytest.approx(132, abs=0.01)


def test_changes_of_tempo_move_no_note(tmp_path):
    write_midi(tmp_path / "a.mid", [MELODY], 120)
    file = mido.MidiFile(tmp_path / "a.mid")
    file.tracks[0].insert(3, mido.MetaMessage("set_tempo", tempo=1, time=0))
    file.tracks[0].insert(5, mido.MetaMessage("set_tempo", tempo=2**24 - 1, time=0))
    file.save(tmp_path / "b.mid")
    assert read_midi(tmp_path / "b.mid") == read_midi(tmp_path / "a.mid")


def test_one_track_is_melody_and_chords(tmp_path):
    write_midi(tmp_path / "a.mid", [MELODY], 120)
    piece = to_piece(read_midi(tmp_path / "a.mid"))
    assert piece.melody == MELODY and [str(chord) for chord in piece.chords] == ["C"]


def test_channels_of_one_track_are_instruments(tmp_path):
    write_midi(tmp_path / "a.mid", [MELODY, CHORDS], 120)
    file = mido.MidiFile(tmp_path / "a.mid")  # a channel for each track
    file.tracks, file.type = [mido.merge_tracks(file.tracks)], 0
    file.save(tmp_path / "b.MID")
    assert read_midi(tmp_path / "b.MID").tracks == [MELODY, CHORDS]


def test_bad_midi_files(tmp_path):
    write_midi(tmp_path / "empty.mid", [[]], 120)
    with pytest.raises(UserError, match="has no notes"):
        read_midi(tmp_path / "empty.mid")
    for content in (b"", b"not a MIDI file", (tmp_path / "empty.mid").read_bytes()[:20]):
        (tmp_path / "bad.mid").write_bytes(content)
        with pytest.raises(UserError, match="cannot read"):
            read_midi(tmp_path / "bad.mid")
    write_midi(tmp_path / "key.mid", [MELODY], 120)
    content, key = (tmp_path / "key.mid").read_bytes(), b"\x00\xff\x59\x02\x09\x05"  # 9 sharps
    start = content.index(b"MTrk") + 4
    length = int.from_bytes(content[start : start + 4], "big") + len(key)
    (tmp_path / "key.mid").write_bytes(
        content[:start] + length.to_bytes(4, "big") + key + content[start + 4 :])
    with pytest.raises(UserError, match="Could not decode key"):
        read_midi(tmp_path / "key.mid")


def test_main_ends_with_two_lines(tmp_path, capsys):
    write_midi(tmp_path / "empty.mid", [[]], 120)
    write_midi(tmp_path / "short.mid", [MELODY], 120)
    for words, says in ((["--input_file", str(tmp_path / "empty.mid")], "--dataset tune with"),
                        (["--dataset", "file", "--input_file", str(tmp_path / "empty.mid")],
                         "has no notes"),
                        (["--dataset", "file", "--input_file", str(tmp_path / "short.mid")],
                         "the longest tune has"),
                        (["--min_count", "1000"], "no token occurs 1000 times")):
        assert train.main(words) == 2
        error, hint = capsys.readouterr().err.splitlines()[-2:]
        assert error.startswith("error: ") and says in error and hint.startswith("hint: ")


def test_chords_by_hand():
    weights = np.zeros(12)
    weights[[2, 5, 9]] = 4  # D F A
    assert str(best_chord(weights)) == "Dm"
    weights = np.zeros(12)
    weights[[7, 11, 2, 5]] = 4  # G B D F
    assert str(best_chord(weights)) == "G7"
    assert [Chord(0, "").kind_of(pitch) for pitch in (60, 62, 63)] == ["C", "S", "X"]


def test_tokens_by_hand():
    piece = to_piece(Score([MELODY, CHORDS], 16, 120))
    tokens, measures = encode(piece)
    assert tokens == ["C4-7", "C2+4", "R2", "C8+3"]
    assert measures == [0, 0, 0, 0]
    assert decode(tokens, piece.chords, 16) == MELODY
    # Over D minor every chord tone becomes the nearest of D F A.
    assert [note.pitch for note in decode(tokens, [Chord(2, "m")], 16)] == [62, 65, 69]


def test_the_composed_tune_has_the_sizes_of_the_source_and_survives_tokens():
    piece = compose.compose()
    tokens, _ = encode(piece)
    assert len(set(tokens)) == 78
    # A leap beyond an octave, between two choruses, comes back an octave smaller; what follows is
    # an octave off, as far as the range allows.
    back = decode(tokens, piece.chords, piece.measure)
    assert [n[:2] for n in back] == [n[:2] for n in piece.melody]
    pitches = [note.pitch for note in piece.melody]
    leap = next(i for i in range(1, len(pitches)) if abs(pitches[i] - pitches[i - 1]) > 12)
    assert leap > 200 and back[:leap] == piece.melody[:leap]
    corpus = data.load(flags())
    windows = data.windows(corpus, 30, 60)
    assert windows.shape == (60, 31) and len(corpus.vocabulary) == 78
    assert (windows < 78).all()
    batch = next(iter(data.training_batches(windows, 60, 0, 0)))
    assert sorted(map(tuple, batch.numpy())) == sorted(map(tuple, windows))


def test_the_highest_line():
    assert monophonic([Note(0, 8, 60), Note(0, 8, 67), Note(4, 2, 65)]) == [
        Note(0, 4, 67), Note(4, 2, 65)]


def test_repeated_sixteenths_are_joined():
    notes = [Note(0, 2, 60), Note(2, 1, 60), Note(3, 1, 62), Note(6, 1, 62)]
    assert clean(notes) == [Note(0, 3, 60), Note(3, 1, 62), Note(6, 1, 62)]


def test_both_models_have_the_same_weights_and_outputs():
    model = build_model(7, size=6)
    assert model.training.count_params() == model.step.count_params() == 4 * 6 * (7 + 6 + 1) + 49
    x = tf.one_hot([[0, 3, 6, 2, 1]], 7)
    a = c = tf.random.stateless_normal((1, 6), (1, 2))
    whole = model.training([x, a, c], training=False)
    for t in range(5):
        logits, a, c = model.step([x[:, t : t + 1], a, c], training=False)
        np.testing.assert_allclose(logits, whole[:, t], atol=1e-5)


def test_the_loss_of_equal_logits():
    assert float(window_loss(tf.zeros((2, 30, 78)), tf.zeros((2, 30), tf.int32))) == (
        pytest.approx(math.log(78), abs=1e-5))


def test_temperature_zero_feeds_back_the_most_probable_value():
    model = build_model(5, size=4, seed=1)
    played = improvise(model, tf.constant(2), tf.constant(6), tf.constant(0.0), tf.constant(0), 4)
    value, a, c = 2, tf.zeros((1, 4)), tf.zeros((1, 4))
    for found in played.numpy():
        logits, a, c = model.step([tf.one_hot([[value]], 5), a, c], training=False)
        value = int(np.argmax(logits[0, :4]))
        assert found == value


def test_the_sound_has_the_frequency_of_its_note():
    sound = synthesize([[Note(0, 16, 69)]], 60)  # A, 440 Hz, four seconds
    spectrum = np.abs(np.fft.rfft(sound[:SAMPLE_RATE]))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert np.abs(sound).max() == pytest.approx(0.9, abs=1e-3)


def test_a_bigram_by_hand():
    piece = compose.compose()
    tune = data.Tune(piece, np.array([0, 1, 0, 1, 0, 1], np.int32), 4)
    nats = eval.count_nats(data.Corpus([tune], ["a", "b"], ""))
    # Counts 2, 2, 0 plus one of seven; a is followed by b twice, b by a once.
    np.testing.assert_allclose(np.exp(-nats["unigram"]), [3 / 7, 3 / 7])
    np.testing.assert_allclose(np.exp(-nats["bigram"]), [(1 + 3 / 7) / 2, (2 + 3 / 7) / 3])


@pytest.mark.slow
def test_training_learns_and_a_solo_is_written(capsys):
    assert train.main(["--name", "a", "--max_steps", "60", "--eval_every", "60"]) == 0
    assert eval.main(["--name", "a"]) == 0
    assert generate.main(["--name", "a", "--measures", "4"]) == 0
    run = rundir.runs_dir() / "appendix_b_jazz" / "a"
    metrics = json.loads((run / "eval.json").read_text("utf-8"))["metrics"]
    assert metrics["validation"]["perplexity"] < metrics["unigram"]["perplexity"] < 78
    assert metrics["validation"]["tokens"] == metrics["bigram"]["tokens"] > 20
    melody, chords = read_midi(run / "solo.mid").tracks
    assert melody and len(chords) == 4 * 4
    with wave.open(str(run / "solo.wav")) as file:
        assert file.getframerate() == SAMPLE_RATE and file.getnframes() > SAMPLE_RATE
    assert Image.open(run / "solo.png").size[0] > 500


@pytest.mark.slow
def test_real_files(real_data):
    corpus = data.load(flags("--dataset", "file", "--min_count", "2", "--input_file",
                             str(real_data("midi/nottingham"))))
    assert len(corpus.tunes) == 60
    for tune in corpus.tunes:
        assert 0 < tune.split < len(tune.ids)
    piece = to_piece(read_midi(real_data("midi/original_metheny.mid")))
    assert len(piece.melody) > 300
