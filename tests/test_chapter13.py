"""Chapter 13: the laws against the reference, the mask to the last bit, numbers in and out."""

import argparse
import io
import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from chapter13_sequence_classification import data, eval, export, predict, train
from chapter13_sequence_classification.model import build_model
from common import rundir

CHAPTER = "chapter13_sequence_classification"
TINY = ["--lstm_size", "8", "--batch_size", "8", "--schedule", "constant", "--log_every", "1",
        "--eval_every", "4"]


def flags(**changes):
    settled = {"seed": 3, "num_features": 1, "num_classes": 2, "max_stride": 1, "batch_size": 16,
               "fresh": False, "augment": False}
    return argparse.Namespace(**(settled | changes))


def numbers_of(split):
    """The whole numbers of each sequence without its filling: int arrays (steps, features)."""
    return [np.rint(x[:n] * data.MAX_VALUE).astype(int)
            for x, n in zip(split.sequences, split.lengths, strict=True)]


def test_the_books_generator_has_the_books_constants():
    split = data.generate(20_000, (0, 0), 1, 2, 1)
    assert split.sequences.shape == (20_000, 20, 1) and split.sequences.dtype == np.float32
    assert np.unique(split.lengths).tolist() == list(range(3, 21))
    assert np.bincount(split.lengths)[3:].min() > 0.9 * 20_000 / 18
    assert split.labels.mean() == pytest.approx(0.5, abs=0.02)
    assert data.class_names(2) == ["linear", "random"]
    sequences = numbers_of(split)
    linear = [x for x, label in zip(sequences, split.labels, strict=True) if label == 0]
    random = np.concatenate([x for x, y in zip(sequences, split.labels, strict=True) if y == 1])
    assert all((np.diff(x, axis=0) == 1).all() for x in linear)
    assert min(x[0, 0] for x in linear) == 0
    assert max(x[0, 0] + len(x) for x in linear) == 1000  # a start is at most 1000 - length
    assert random.min() == 0 and random.max() == 1000
    assert random.mean() == pytest.approx(500, abs=5)
    filling = ~data.steps_of(split.lengths)
    assert filling.any() and not split.sequences[filling].any()


def test_every_law_holds_in_every_feature():
    split = data.generate(3000, (1,), 2, 5, 10)
    assert np.bincount(split.labels).min() > 500
    by_name = {name: [] for name in data.class_names(5)}
    for x, label in zip(numbers_of(split), split.labels, strict=True):
        by_name[data.class_names(5)[label]].append(x)
        assert x.min() >= 0 and x.max() <= 1000
    strides = {int(s) for x in by_name["linear"] for s in np.diff(x, axis=0).ravel()}
    assert strides == set(range(1, 11))
    assert all((np.diff(x, 2, axis=0) == 0).all() for x in by_name["linear"])
    assert any((np.diff(x, axis=0)[0] != np.diff(x, axis=0)[0, 0]).any()
               for x in by_name["linear"])  # each feature has a stride of its own
    assert all((np.diff(x, axis=0) >= 0).all() for x in by_name["rising"])
    assert all((np.diff(x, axis=0) <= 0).all() for x in by_name["falling"])
    assert all((x[2:] == x[:-2]).all() for x in by_name["alternating"])
    means = [np.concatenate(by_name[name]).mean() for name in ("rising", "falling", "alternating")]
    np.testing.assert_allclose(means, 500, atol=20)


def test_splits_have_their_sizes_and_share_nothing_but_chance():
    splits = data.load_flags(flags())
    assert {name: len(s.labels) for name, s in splits.items()} == {
        "train": 1000, "validation": 500, "test": 5000}
    random = {name: {x.tobytes() for x in split.sequences[split.labels == 1]}
              for name, split in splits.items()}
    assert not random["train"] & random["test"] and not random["train"] & random["validation"]
    assert data.digest(splits) == data.digest(data.load_flags(flags()))
    assert data.digest(splits) != data.digest(data.load_flags(flags(seed=4)))


@pytest.mark.parametrize("options", [{}, {"augment": True}, {"fresh": True},
                                     {"fresh": True, "augment": True, "num_features": 2}])
def test_the_training_stream_starts_anywhere(options):
    args = flags(**options)
    split = data.load_flags(args)["train"]
    whole = list(data.training_batches(args, split).take(6))
    late = list(data.training_batches(args, split, start_step=4).take(2))
    for expected, found in zip(whole[4:], late, strict=True):
        for a, b in zip(*map(tf.nest.flatten, (expected, found)), strict=True):
            np.testing.assert_array_equal(a, b)
    (sequences, lengths), labels = whole[0]
    assert sequences.shape == (16, 20, args.num_features) and sequences.dtype == tf.float32
    assert lengths.shape == labels.shape == (16,)
    seen = {x.tobytes() for (batch, _), _ in whole for x in batch.numpy()}
    known = {x.tobytes() for x in split.sequences}
    assert seen <= known if not options else len(seen & known) < len(seen)


def test_fresh_sequences_are_of_the_same_kind_and_not_the_splits_own():
    args = flags(fresh=True, batch_size=1000)
    splits = data.load_flags(args)
    (sequences, lengths), labels = next(iter(data.training_batches(args, splits["train"])))
    fresh = data.Split(sequences.numpy(), lengths.numpy(), labels.numpy())
    assert all((np.diff(x, axis=0) == 1).all() == (label == 0)
               for x, label in zip(numbers_of(fresh), fresh.labels, strict=True))
    random = {x.tobytes() for x in fresh.sequences[fresh.labels == 1]}
    assert not any(random & {x.tobytes() for x in split.sequences} for split in splits.values())


def test_parts_are_parts_of_every_length_and_place():
    lengths = np.concatenate([np.arange(3, 21), np.full(3000, 20)])
    steps = np.arange(1, 21, dtype=np.float32)  # the number tells the step it came from
    whole = np.where(data.steps_of(lengths), steps[:, None], 0)
    parts, found = data.cut(tf.constant(whole), tf.constant(lengths), tf.constant([3, 4], tf.int64))
    parts, found = parts.numpy(), found.numpy()
    for part, length, original in zip(parts[..., 0], found, lengths, strict=True):
        assert 3 <= length <= original
        first = int(part[0])
        assert 1 <= first <= original - length + 1
        np.testing.assert_array_equal(part[:length], np.arange(first, first + length))
        assert not part[length:].any()
    longest = lengths == 20
    assert set(found[longest]) == set(range(3, 21))
    assert {1, 18} <= set(parts[longest][:, 0, 0].astype(int))


def test_evaluation_shows_each_sequence_once_in_order():
    split = data.generate(23, (5,), 1, 2, 1)
    batches = list(data.evaluation_batches(split, batch_size=10))
    assert [len(labels) for _, labels in batches] == [10, 10, 3]
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), split.labels)
    np.testing.assert_array_equal(np.concatenate([x for (x, _), _ in batches]), split.sequences)


def shaken_model(num_features=1, num_classes=2):
    """A network whose weights are all different from their first values."""
    model = build_model(num_features, num_classes, seed=1)
    for number, variable in enumerate(model.trainable_variables):
        variable.assign_add(0.3 * tf.random.stateless_normal(variable.shape, (7, number)))
    return model


@pytest.mark.parametrize(("num_features", "compiled"), [(1, False), (1, True), (3, True)])
def test_padding_changes_nothing_to_the_last_bit(num_features, compiled):
    """Against the same sequence alone and unpadded, with neither mask nor length in sight."""
    model = shaken_model(num_features, 3)
    split = data.generate(25, (6,), num_features, 3, 1)
    call = tf.function(model, reduce_retracing=True) if compiled else model
    padded = call((tf.constant(split.sequences), tf.constant(split.lengths))).numpy()
    noise = np.where(data.steps_of(split.lengths), split.sequences, np.float32(1e6))
    noisy = call((tf.constant(noise), tf.constant(split.lengths))).numpy()
    longer = np.pad(split.sequences, ((0, 0), (0, 9), (0, 0)))
    assert (noisy == padded).all()
    assert (call((tf.constant(longer), tf.constant(split.lengths))).numpy() == padded).all()
    for sequence, length, expected in zip(split.sequences, split.lengths, padded, strict=True):
        alone = tf.constant(sequence[None, :length])
        unmasked = model.classifier(model.lstm(alone)).numpy()
        masked = call((alone, tf.constant([length]))).numpy()
        assert (unmasked[0] == expected).all() and (masked[0] == expected).all()


def test_the_state_after_the_end_gets_no_gradient():
    model = shaken_model()
    sequences = tf.random.stateless_uniform((2, 8, 1), (1, 2))
    with tf.GradientTape() as tape:
        tape.watch(sequences)
        loss = tf.reduce_sum(model((sequences, tf.constant([3, 8]))))
    gradient = tape.gradient(loss, sequences).numpy()[..., 0]
    assert (gradient[0, :3] != 0).all() and not gradient[0, 3:].any()
    assert (gradient[1] != 0).all()


def test_the_network_is_the_books_and_every_weight_learns():
    model = build_model()
    assert model.count_params() == 17_026
    classifier = build_model(num_classes=500).classifier  # weights N(0, 1), as in the book
    assert classifier.kernel.numpy().std() == pytest.approx(1, abs=0.03)
    assert classifier.bias.numpy().std() == pytest.approx(1, abs=0.1)
    size = model.lstm.units
    np.testing.assert_array_equal(
        model.lstm.cell.bias.numpy(), np.repeat([0, 1, 0, 0], size))  # forget bias 1
    split = data.generate(16, (7,), 1, 2, 1)
    with tf.GradientTape() as tape:
        logits = model((tf.constant(split.sequences), tf.constant(split.lengths)))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(split.labels, logits)
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert float(tf.norm(gradient)) > 0


def test_an_lstm_by_hand_gives_the_same():
    model = shaken_model(2, 3)
    kernel, recurrent, bias = (v.numpy().astype(np.float64) for v in model.lstm.cell.weights)
    sequence = np.random.default_rng(0).random((5, 2))
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    h = c = np.zeros(64)
    for x in sequence:
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    expected = h @ model.classifier.kernel.numpy() + model.classifier.bias.numpy()
    padded = np.pad(sequence, ((0, 4), (0, 0)))[None].astype(np.float32)
    np.testing.assert_allclose(
        model((tf.constant(padded), tf.constant([5])))[0], expected, rtol=1e-5, atol=1e-5)


def test_scores_against_a_hand_table():
    logits = np.array([[0.0, 0.0], [np.log(3), 0.0], [0.0, np.log(3)]], np.float32)
    found = eval.score(logits, np.array([0, 0, 0]))
    assert found == {"loss": pytest.approx((np.log(2) + np.log(4 / 3) + np.log(4)) / 3),
                     "accuracy": pytest.approx(2 / 3), "examples": 3}
    split = data.Split(np.zeros((3, 20, 1)), np.array([3, 3, 7]), np.array([0, 1, 0]))
    assert eval.accuracy_by_length(split, logits) == {"3": 0.5, "7": 0.0}


def trained(*argv):
    assert train.main([*TINY, "--max_steps", "4", "--name", "run", *argv]) == 0
    return rundir.runs_dir() / CHAPTER / "run"


@pytest.mark.parametrize("options", [["--fresh"], ["--optimizer", "sgd", "--no-augment"]])
def test_a_resumed_run_equals_a_whole_one(options, capfd):
    """The contract's test interrupts the default run; these are the other streams."""
    assert train.main([*TINY, *options, "--max_steps", "6", "--name", "whole"]) == 0
    assert train.main([*TINY, *options, "--max_steps", "3", "--name", "parts"]) == 0
    assert train.main(["--name", "parts", "--max_steps", "6"]) == 0
    states = []
    for name in ("whole", "parts"):
        path = rundir.newest_checkpoint(rundir.runs_dir() / CHAPTER / name / "checkpoints")
        reader = tf.train.load_checkpoint(path)
        states.append({n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()
                       if n.startswith(("model", "optimizer"))})
    assert len(states[0]) > 5 and states[0].keys() == states[1].keys()
    assert all((states[0][n] == states[1][n]).all() for n in states[0])


def test_eval_scores_the_test_split_and_draws_it(capfd):
    run = trained("--num_classes", "3", "--num_features", "2")
    assert eval.main(["--name", "run"]) == 0
    result = json.loads((run / "eval.json").read_text(encoding="utf-8"))
    assert result["metrics"]["test"]["examples"] == 5000
    assert result["metrics"]["validation"]["examples"] == 500
    assert list(result["details"]["accuracy_by_length"]) == [str(n) for n in range(3, 21)]
    assert {path.name for path in run.glob("*.png")} == {
        "confusion.png", "lengths.png", "mistakes.png"}


def say(capfd, *argv):
    capfd.readouterr()
    status = predict.main(["--name", "run", *argv])
    return status, capfd.readouterr()


def test_predict_reads_numbers_from_the_line_a_file_and_stdin(tmp_path, capfd, monkeypatch):
    trained()
    status, said = say(capfd, "7", "8", "9")
    assert status == 0 and said.out.startswith("7 8 9: ") and said.out.count("%") == 2
    assert "unlike" not in said.err
    text = "7 8 9\n528 3.5 961 77 1000\n"
    path = tmp_path / "lines.txt"
    path.write_text(text, encoding="utf-8")
    _, from_file = say(capfd, "--json", "--file", str(path))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    _, from_stdin = say(capfd, "--json", "--file", "-")
    _, alone = say(capfd, "--json", "7", "8", "9")
    assert from_file.out == from_stdin.out
    first, second = map(json.loads, from_file.out.splitlines())
    assert first["probabilities"] == pytest.approx(json.loads(alone.out)["probabilities"])
    assert second["sequence"] == [[528.0], [3.5], [961.0], [77.0], [1000.0]]
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert first["label"] == max(first["probabilities"], key=first["probabilities"].get)


@pytest.mark.parametrize("numbers", [["7", "8"], ["7", "8", "-9"], ["7", "8", "1001"],
                                     [str(n) for n in range(21)]])
def test_what_training_never_showed_is_said_to_be_so(numbers, capfd):
    trained()
    status, said = say(capfd, *numbers)
    assert status == 0 and f"unlike any training sequence: {' '.join(numbers)}" in said.err


@pytest.mark.parametrize(("content", "says"), [
    (b"7 8 9\n7 8 nine\n", "line 2: nine is not a number"),
    (b"7 8 9\n7 inf 9\n", "line 2: inf is not a number"),
    (b"7 8 9\n1,2 3,4\n", "line 2: 1,2 is a step of size 2, the model takes 1"),
    (b"7 8 9\n7 8,\n", "line 2: 8, is a step of size 2"),
    (b"7 8 9\n\n7 8 9\n", "line 2 is empty"),
    (b"", "is empty"),
    (b" \n\n", "is empty"),
    (b"7 8 \xff\n", "is not UTF-8 text"),
])
def test_bad_lines_are_named(content, says, tmp_path, capfd):
    trained()
    path = tmp_path / "lines.txt"
    path.write_bytes(content)
    status, said = say(capfd, "--file", str(path))
    assert status == 2 and not said.out
    error, hint = said.err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and says in error and hint.startswith("hint: ")


def test_vectors_have_as_many_numbers_as_the_model_takes(capfd):
    trained("--num_features", "2")
    assert say(capfd, "7,90", "8,91", "9,92")[0] == 0
    status, said = say(capfd, "7,90", "8")
    assert status == 2 and "the sequence: 8 is a step of size 1, the model takes 2" in said.err


def test_numbers_come_from_one_place(tmp_path, capfd):
    trained()
    for argv, says in (([], "no numbers are given"), (["7", "--file", "a.txt"], "both numbers"),
                       (["--file", str(tmp_path / "absent")], "cannot read")):
        status, said = say(capfd, *argv)
        assert status == 2 and says in said.err


def test_flags_out_of_range_leave_nothing(capfd):
    for argv, says in ((["--num_classes", "1"], "1 is not a number of classes from 2 to 5"),
                       (["--num_classes", "6"], "6 is not a number of classes"),
                       (["--max_stride", "51"], "51 is not a stride from 1 to 50"),
                       (["--max_stride", "0"], "0 is not a stride"),
                       (["--num_features", "0"], "0 is not a whole number")):
        assert train.main(argv) == 2
        assert says in capfd.readouterr().err
    assert not (rundir.runs_dir() / CHAPTER).exists()


def test_the_export_takes_one_sequence_and_many(capfd):
    run = trained("--num_classes", "3")
    assert export.main(["--name", "run"]) == 0
    classify = tf.saved_model.load(str(run / "export" / "1")).signatures["serving_default"]
    ragged = tf.ragged.constant([[7, 8, 9, 10], [528, 3, 961], list(range(100, 130))], tf.float32)
    many = classify(sequences=ragged.to_tensor()[..., None], lengths=ragged.row_lengths())
    assert many["probabilities"].shape == (3, 3)
    for i in range(3):
        one = classify(sequences=ragged[i][None, :, None], lengths=ragged.row_lengths()[i : i + 1])
        np.testing.assert_allclose(one["probabilities"][0], many["probabilities"][i], atol=1e-6)
        assert one["labels"][0] == many["labels"][i]
    _, said = say(capfd, "--json", "7", "8", "9", "10")
    answer = json.loads(said.out)
    assert answer["label"] == many["labels"][0].numpy().decode()
    np.testing.assert_allclose(
        list(answer["probabilities"].values()), many["probabilities"][0], atol=1e-6)
    for lengths in ([0], [4]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="lengths go from 1 to"):
            classify(sequences=tf.zeros((1, 3, 1)), lengths=tf.constant(lengths, tf.int64))


def test_names_in_results_are_those_of_the_readme():
    text = (rundir.ROOT / CHAPTER / "README.md").read_text(encoding="utf-8")
    for preset in train.PRESETS:
        assert f'"numbers-lstm64-{preset}"' in text


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--num_classes", "5", "--num_features", "2"]])
def test_a_few_sequences_are_learnt_by_heart(options, monkeypatch, capfd):
    monkeypatch.setitem(data.SIZES, "train", 12)
    assert train.main(["--max_steps", "250", "--learning_rate", "0.01", "--no-augment",
                       "--schedule", "constant", "--batch_size", "12", "--log_every", "50",
                       "--name", "few", *options]) == 0
    lines = (rundir.runs_dir() / CHAPTER / "few" / "metrics.jsonl").read_text().splitlines()
    last = [json.loads(line) for line in lines if '"train"' in line][-1]
    assert last["accuracy"] > 0.95 and last["loss"] < 0.25


@pytest.mark.slow
def test_the_demo_learns_the_task(capfd):
    assert train.main(["--max_steps", "600", "--name", "short"]) == 0
    assert eval.main(["--name", "short"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["accuracy"] > 0.96
