"""Chapter 13: the laws against the reference, the mask to the last bit; texts; in and out."""

import argparse
import gzip
import io
import json
import re
import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from chapter13_sequence_classification import (
    baseline,
    data,
    eval,
    export,
    inference,
    laws,
    predict,
    texts,
    train,
    train_texts,
    words,
)
from chapter13_sequence_classification.model import (
    add_pairs,
    build_model,
    build_text_model,
)
from common import checkpoint_files, cli, files, rundir
from common.errors import UserError
from common.text import build_vocabulary

CHAPTER = "chapter13_sequence_classification"
TINY = ["--lstm_size", "8", "--batch_size", "8", "--schedule", "constant", "--log_every", "1",
        "--eval_every", "4"]


def flags(**changes):
    settled = {"dataset": "numbers", "seed": 3, "num_features": 1, "num_classes": 2,
               "max_stride": 1, "batch_size": 16, "fresh": False, "augment": False}
    return argparse.Namespace(**(settled | changes))


def draw(*key):
    return data.Split(*laws.generate(*key))


def numbers_of(split):
    """The whole numbers of each sequence without its filling: int arrays (steps, features)."""
    return [np.rint(x[:n] * laws.MAX_VALUE).astype(int)
            for x, n in zip(split.sequences, split.lengths, strict=True)]


def test_the_books_generator_has_the_books_constants():
    split = draw(20_000, (0, 0), 1, 2, 1)
    assert split.sequences.shape == (20_000, 20, 1) and split.sequences.dtype == np.float32
    assert np.unique(split.lengths).tolist() == list(range(3, 21))
    assert np.bincount(split.lengths)[3:].min() > 0.9 * 20_000 / 18
    assert split.labels.mean() == pytest.approx(0.5, abs=0.02)
    assert laws.class_names(2) == ["linear", "random"]
    sequences = numbers_of(split)
    linear = [x for x, label in zip(sequences, split.labels, strict=True) if label == 0]
    random = np.concatenate([x for x, y in zip(sequences, split.labels, strict=True) if y == 1])
    assert all((np.diff(x, axis=0) == 1).all() for x in linear)
    assert min(x[0, 0] for x in linear) == 0
    assert max(x[0, 0] + len(x) for x in linear) == 1000  # a start is at most 1000 - length
    assert random.min() == 0 and random.max() == 1000
    assert random.mean() == pytest.approx(500, abs=5)
    filling = ~laws.steps_of(split.lengths)
    assert filling.any() and not split.sequences[filling].any()


def test_every_law_holds_in_every_feature():
    split = draw(3000, (1,), 2, 5, 10)
    assert np.bincount(split.labels).min() > 500
    by_name = {name: [] for name in laws.class_names(5)}
    for x, label in zip(numbers_of(split), split.labels, strict=True):
        by_name[laws.class_names(5)[label]].append(x)
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
    splits = data.load(flags()).splits
    assert {name: len(s.labels) for name, s in splits.items()} == {
        "train": 1000, "validation": 500, "test": 5000}
    random = {name: {x.tobytes() for x in split.sequences[split.labels == 1]}
              for name, split in splits.items()}
    assert not random["train"] & random["test"] and not random["train"] & random["validation"]
    whole = data.digest(data.load(flags()))
    assert whole == data.digest(data.load(flags()))
    assert whole != data.digest(data.load(flags(seed=4)))


@pytest.mark.parametrize("options", [{}, {"augment": True}, {"fresh": True},
                                     {"fresh": True, "augment": True, "num_features": 2}])
def test_the_training_stream_starts_anywhere(options):
    args = flags(**options)
    split = data.load(args).splits["train"]
    whole = list(data.number_batches(args, split).take(6))
    late = list(data.number_batches(args, split, start_step=4).take(2))
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
    splits = data.load(args).splits
    (sequences, lengths), labels = next(iter(data.number_batches(args, splits["train"])))
    fresh = data.Split(sequences.numpy(), lengths.numpy(), labels.numpy())
    assert all((np.diff(x, axis=0) == 1).all() == (label == 0)
               for x, label in zip(numbers_of(fresh), fresh.labels, strict=True))
    random = {x.tobytes() for x in fresh.sequences[fresh.labels == 1]}
    assert not any(random & {x.tobytes() for x in split.sequences} for split in splits.values())


def test_parts_are_parts_of_every_length_and_place():
    lengths = np.concatenate([np.arange(3, 21), np.full(3000, 20)])
    steps = np.arange(1, 21, dtype=np.float32)  # the number tells the step it came from
    whole = np.where(laws.steps_of(lengths), steps[:, None], 0)
    key = tf.constant([3, 4], tf.int64)
    parts, found = laws.random_crop(tf.constant(whole), tf.constant(lengths), key)
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
    split = draw(23, (5,), 1, 2, 1)
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
    """And each sequence alone, without padding or mask, gives what it gives in the batch.

    A product of one row may be summed in another order than that of many: equal to rounding.
    """
    model = shaken_model(num_features, 3)
    split = draw(25, (6,), num_features, 3, 1)
    call = tf.function(model, reduce_retracing=True) if compiled else model
    padded = call((tf.constant(split.sequences), tf.constant(split.lengths))).numpy()
    noise = np.where(laws.steps_of(split.lengths), split.sequences, np.float32(1e6))
    noisy = call((tf.constant(noise), tf.constant(split.lengths))).numpy()
    longer = np.pad(split.sequences, ((0, 0), (0, 9), (0, 0)))
    assert (noisy == padded).all()
    assert (call((tf.constant(longer), tf.constant(split.lengths))).numpy() == padded).all()
    for sequence, length, expected in zip(split.sequences, split.lengths, padded, strict=True):
        alone = tf.constant(sequence[None, :length])
        unmasked = model.classifier(model.reader.layers[0](alone)).numpy()
        masked = call((alone, tf.constant([length]))).numpy()
        assert (unmasked == masked).all()
        np.testing.assert_allclose(masked[0], expected, rtol=1e-5, atol=1e-6)


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
    (lstm,) = model.reader.layers
    np.testing.assert_array_equal(
        lstm.cell.bias.numpy(), np.repeat([0, 1, 0, 0], lstm.units))  # forget bias 1
    split = draw(16, (7,), 1, 2, 1)
    with tf.GradientTape() as tape:
        logits = model((tf.constant(split.sequences), tf.constant(split.lengths)))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(split.labels, logits)
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert float(tf.norm(gradient)) > 0


def test_an_lstm_by_hand_gives_the_same():
    model = shaken_model(2, 3)
    (lstm,) = model.reader.layers
    kernel, recurrent, bias = (v.numpy().astype(np.float64) for v in lstm.cell.weights)
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
    found = inference.score(logits, np.array([0, 0, 0]))
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
        path = checkpoint_files.latest(rundir.runs_dir() / CHAPTER / name / "checkpoints")
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
    monkeypatch.setattr(predict, "BATCH_SIZE", 1)
    _, apart = say(capfd, "--json", "--file", str(path))
    for one, line in zip((first, second), apart.out.splitlines(), strict=True):
        assert one["probabilities"] == pytest.approx(json.loads(line)["probabilities"])
    path.write_bytes("7 8\u20289\r\n5 6\r\n".encode())  # a line separator that ends no line
    assert predict.read_lines(str(path)) == ["7 8\u20289", "5 6"]
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert first["label"] == max(first["probabilities"], key=first["probabilities"].get)


def test_what_training_never_showed_is_said_to_be_so(capfd):
    trained()
    for numbers in ("7 8", "7 8 -9", "7 8 1001", " ".join(map(str, range(21)))):
        status, said = say(capfd, *numbers.split())
        assert status == 0 and f"unlike any training sequence: {numbers}" in said.err


BAD_LINES = {
    b"7 8 9\n7 8 nine\n": "line 2: nine is not a number",
    b"7 8 9\n7 inf 9\n": "line 2: inf is not a number",
    b"7 8 9\n1,2 3,4\n": "line 2: step 1,2 has size 2, the model expects 1",
    b"7 8 9\n7 8,\n": "line 2: step 8, has size 2",
    b"7 8 9\n\n7 8 9\n": "line 2 is empty",
    b"": "is empty",
    b" \n\n": "is empty",
    b"7 8 \xff\n": "is not UTF-8: byte 0xff",
}


def test_bad_lines_are_named(tmp_path, capfd):
    trained()
    path = tmp_path / "lines.txt"
    for content, says in BAD_LINES.items():
        path.write_bytes(content)
        status, said = say(capfd, "--file", str(path))
        assert status == 2 and not said.out
        error, hint = said.err.strip().splitlines()[-2:]
        assert error.startswith("error: ") and says in error and hint.startswith("hint: ")


def test_vectors_have_as_many_numbers_as_the_model_takes(capfd):
    trained("--num_features", "2")
    assert say(capfd, "7,90", "8,91", "9,92")[0] == 0
    status, said = say(capfd, "7,90", "8")
    assert status == 2 and "the sequence: step 8 has size 1, the model expects 2" in said.err


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
        with pytest.raises(tf.errors.InvalidArgumentError, match="lengths must be from 1 to"):
            classify(sequences=tf.zeros((1, 3, 1)), lengths=tf.constant(lengths, tf.int64))


def test_names_in_results_are_those_of_the_readme():
    text = (files.ROOT / CHAPTER / "README.md").read_text(encoding="utf-8")
    for preset in train.PRESETS:
        assert f"| `{preset}` |" in text and f'"numbers-lstm64-{preset}"' in text
    for preset in train_texts.PRESETS:
        assert f"| `{preset}` |" in text and re.search(rf'"\w+-\w+-{preset}"', text)


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


def text_model(**changes):
    settled = {"num_words": 9, "num_classes": 3, "embedding_size": 4, "num_filters": 5, "seed": 1,
               "cell": "lstm", "lstm_size": 6, "num_layers": 1, "bidirectional": False,
               "pool": "last"}
    return build_text_model(**(settled | changes))


READERS = [
    {}, {"cell": "gru", "num_layers": 2}, {"cell": "rnn", "bidirectional": True},
    {"bidirectional": True, "pool": "max", "num_layers": 2}, {"model": "conv"},
    {"model": "bag"}, {"model": "bag", "num_buckets": 7},
]


@pytest.mark.parametrize("options", READERS, ids=str)
def test_what_stands_behind_the_end_changes_no_reader(options):
    model = text_model(**options, dropout=0.5)
    tokens = np.random.default_rng(0).integers(0, 9, (6, 12), np.int32)
    lengths = np.array([1, 2, 5, 12, 11, 3])
    logits = model((tf.constant(tokens), tf.constant(lengths)), training=False).numpy()
    filled = np.where(np.arange(12) < lengths[:, None], tokens, 8).astype(np.int32)
    longer = np.pad(filled, ((0, 0), (0, 4)))
    again = model((tf.constant(longer), tf.constant(lengths)), training=False).numpy()
    np.testing.assert_allclose(again, logits, atol=1e-6)
    for row, length, expected in zip(tokens, lengths, logits, strict=True):
        alone = model((tf.constant(row[None, :length]), tf.constant([length])), training=False)
        np.testing.assert_allclose(alone[0], expected, atol=1e-6)


@pytest.mark.parametrize("options", [*READERS, {"freeze_embedding": True}], ids=str)
def test_every_weight_of_a_text_model_learns_but_frozen_vectors(options):
    model = text_model(**options, dropout=0.2)
    tokens = tf.constant(np.arange(24, dtype=np.int32).reshape(3, 8) % 9)
    with tf.GradientTape() as tape:
        logits = model((tokens, tf.constant([8, 8, 8])), training=True)
        labels = tf.constant([0, 1, 2])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(float(tf.norm(tf.convert_to_tensor(g))) > 0 for g in gradients)
    frozen = options.get("freeze_embedding", False)
    assert any(v is model.embedding.embeddings for v in model.trainable_variables) != frozen


def test_convolutions_against_loops():
    model = text_model(model="conv")
    vectors = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    found = model.reader(tf.constant(vectors[None]), tf.constant([[True] * 5 + [False]])).numpy()[0]
    expected = []
    for layer in model.reader.filters:
        kernel, bias = (v.numpy() for v in layer.weights)  # (span, 4, 5), (5,)
        before, after = (len(kernel) - 1) // 2, len(kernel) // 2
        padded = np.pad(vectors[:5], ((before, after + 1), (0, 0)))
        answers = [(padded[i : i + len(kernel), :, None] * kernel).sum((0, 1)) + bias
                   for i in range(5)]
        expected += list(np.maximum(np.max(answers, axis=0), 0))
    assert [layer.kernel.shape[0] for layer in model.reader.filters] == [3, 4, 5]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_bag_is_a_mean_and_pairs_know_the_order():
    bag = text_model(model="bag").reader
    steps = tf.constant([[[1.0, 2, 3, 4], [3, 4, 5, 6], [9, 9, 9, 9]]])
    np.testing.assert_allclose(bag(steps, tf.constant([[True, True, False]])), [[2, 3, 4, 5]])
    tokens, mask = add_pairs(
        tf.constant([[3, 5, 0], [5, 3, 5]]), tf.constant([[True, True, False], [True] * 3]), 9, 97)
    assert tokens[:, :3].numpy().tolist() == [[3, 5, 0], [5, 3, 5]]
    assert mask.numpy().tolist() == [[True, True, False, True, False], [True] * 5]
    assert tokens[0, 3] == tokens[1, 4] != tokens[1, 3]  # 3 5 twice, 5 3 is another
    assert ((tokens[:, 3:] >= 9) & (tokens[:, 3:] < 9 + 97)).numpy().all()


def test_texts_are_cut_into_words_or_characters():
    def cut(text, level):
        return [token.decode() for token in words.tokenize(tf.constant([text]), level)[0].numpy()]

    assert cut("It's GOOD,\u3000isn't_it? Élan 2x", "word") == [
        "it", "s", "good", "isn", "t_it", "élan", "2x"]
    assert cut("房间 很大。\n", "word") == ["房间", "很大"]
    assert cut("房间 Ok！", "char") == ["房", "间", "o", "k"]
    assert cut("हिन्दी E\u0301té", "char") == ["हि", "न्", "दी", "e\u0301", "t", "é"]  # as in 14
    assert cut("...", "word") == cut("", "char") == []


def test_words_are_numbered_by_frequency_and_the_rest_is_one():
    counts = words.count_tokens(["b a a", "a c b d"], "word")
    assert counts == {"a": 3, "b": 2, "c": 1, "d": 1}
    vocabulary = build_vocabulary(counts, 4)
    assert vocabulary == ["UNK", "a", "b", "c"]
    encoder = words.Encoder(vocabulary, "word", 3)
    tokens, lengths = encoder.encode_all(["b A zzz", "!", "c c c a"])
    assert tokens.tolist() == [[2, 1, 0], [0, 0, 0], [3, 3, 3]] and tokens.dtype == np.int32
    assert lengths.tolist() == [3, 1, 3] and lengths.dtype == np.int64


def write_vectors(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def fake_newsgroups(folder):
    with tarfile.open(folder / "20news-bydate.tar.gz", "w:gz") as archive:
        for split, count in (("train", 20), ("test", 4)):
            for number in range(count):
                raw = f"Subject: caf\xe9 {number}".encode("latin-1")
                info = tarfile.TarInfo(f"20news-bydate-{split}/sci.{'ab'[number % 2]}/{number}")
                info.size = len(raw)
                archive.addfile(info, io.BytesIO(raw))
    return (18, 2, 4), ["sci.a", "sci.b"], "Subject: caf\xe9"


def fake_mr(folder):
    for kind, count in (("neg", 10), ("pos", 20)):
        lines = [f"{kind} caf\xe9\x85 {number} \n" for number in range(count)]
        (folder / f"rt-polarity.{kind}").write_text("".join(lines), encoding="latin-1")
    return (24, 3, 3), ["negative", "positive"], "caf\xe9\x85"


def fake_sst2(folder):
    for name, count in (("train", 12), ("dev", 4), ("test", 6)):
        lines = [f"{number % 2} a  fine {name} {number}\n" for number in range(count)]
        (folder / f"stsa.binary.{name}").write_text("".join(lines), encoding="utf-8")
    return (12, 4, 6), ["negative", "positive"], "a  fine train"


def fake_thucnews(folder):
    (folder / "class.txt").write_text("sports\ngame\n", encoding="utf-8")
    for name, count in (("dev", 20), ("test", 5)):
        lines = [f"标题 {number}\t{number % 2}\n" for number in range(count)]
        (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    return (18, 2, 5), ["game", "sports"], "标题"


def fake_chnsenticorp(folder):
    rows = "".join(f'{number % 2},"房间,""大"" {number}"\n' for number in range(20))
    raw = gzip.compress(("\ufefflabel,review\n" + rows + "0,\n").encode())
    (folder / "ChnSentiCorp_htl_all.csv.gz").write_bytes(raw)
    return (16, 2, 2), ["negative", "positive"], '房间,"大"'


@pytest.mark.parametrize("fake", [fake_newsgroups, fake_mr, fake_sst2, fake_thucnews,
                                  fake_chnsenticorp])
def test_published_layouts_are_read(fake, tmp_path):
    sizes, class_names, start = fake(tmp_path)
    dataset = fake.__name__.removeprefix("fake_")
    corpus = texts.load(dataset, None, str(tmp_path))
    assert tuple(len(corpus.texts[name]) for name in ("train", "validation", "test")) == sizes
    assert corpus.class_names == class_names
    assert start in corpus.texts["train"][0]
    numbers = {name: [int(text.split()[-1]) for text in split]
               for name, split in corpus.texts.items()}
    if dataset == "mr":  # the file decides the class
        assert all(text.startswith(class_names[label][:3])
                   for name in numbers
                   for text, label in zip(corpus.texts[name], corpus.labels[name], strict=True))
    else:
        odd = {"thucnews": 0}.get(dataset, 1)  # class 1, sports, comes second by its name
        assert all((number % 2 == odd) == (label == 1) for name in numbers
                   for number, label in zip(numbers[name], corpus.labels[name], strict=True))
    assert texts.load(dataset, None, str(tmp_path)).texts == corpus.texts  # the same split


def test_own_texts_come_as_lines_and_tables(tmp_path):
    bodies = {"a.txt": "{} some, text {}\n", "a.tsv": "{}\tsome, text {}\n",
              "a.csv": '{},"some, text {}"\n'}
    found = []
    for name, body in bodies.items():
        text = "".join(body.format("yes" if i % 3 else "no", i) for i in range(30))
        (tmp_path / name).write_text("label,text\n" * (name == "a.csv") + text, encoding="utf-8")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        found += [texts.load("file", str(tmp_path / n), None) for n in (name, f"{name}.gz")]
    assert found[0].class_names == ["no", "yes"] and len(found[0].texts["train"]) == 24
    assert sum(len(split) for split in found[0].texts.values()) == 30
    assert all(corpus.texts == found[0].texts for corpus in found)
    together = {text for split in found[0].texts.values() for text in split}
    assert together == {f"some, text {i}" for i in range(30)}  # each in one split


def own(tmp_path, head, row, count=30, name="a.csv", **options):
    """Loads `count` rows, of which every third has the label "no"."""
    body = "".join(row.format(label="yes" if i % 3 else "no", i=i) for i in range(count))
    (tmp_path / name).write_text(head + body, encoding="utf-8")
    return texts.load("file", str(tmp_path / name), None, **options)


@pytest.mark.parametrize(("head", "row", "options"), [
    ("label,text\n", "{label},some {i}\n", {}),
    ("text,label\n", "some {i},{label}\n", {}),
    ("Review,Sentiment\n", "some {i},{label}\n", {}),
    ("v1,v2,,,\n", '{label},"some {i}",,,\n', {}),
    ("id,label,text\n", "{i},{label},some {i}\n", {}),
    ("标签,内容\n", "{label},some {i}\n", {}),
    ("\ufeff\n\nlabel;text\n", "{label};some {i}\n", {}),
    ("words,label\n", "some {i},{label}\n", {}),  # one known name of two columns
    ("id,grade,words\n", "{i},{label},some {i}\n",
     {"label_column": "Grade", "text_column": "words"}),
    ("category,sentiment,review,title\n", "food, {label},  some {i}, other\n",
     {"label_column": "sentiment"}),
    ("", "{i},some {i},{label}\n", {"label_column": "3", "text_column": "2"}),
    ("", "some {i},{label}\n", {"label_column": "2"}),
])
@pytest.mark.parametrize("name", ["a.csv", "名 字.tsv"])
def test_columns_are_known_by_their_names(head, row, options, name, tmp_path):
    if name.endswith("tsv"):
        head, row = (part.replace(",", "\t").replace(";", "\t") for part in (head, row))
        row = row.replace('"', "")
    corpus = own(tmp_path, head, row, name=name, **options)
    assert corpus.class_names == ["no", "yes"]
    together = [text for split in corpus.texts.values() for text in split]
    assert sorted(together) == sorted(f"some {i}" for i in range(30))


def test_every_split_of_a_file_has_texts_of_every_class(tmp_path):
    lines = ["rare one", "rare two", "rare three"] + [f"many {i}" for i in range(40)]
    (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    corpus = texts.load("file", str(tmp_path / "a.txt"), None)
    counts = {name: np.bincount(labels).tolist() for name, labels in corpus.labels.items()}
    assert counts == {"train": [32, 1], "validation": [4, 1], "test": [4, 1]}


@pytest.mark.parametrize(("count", "typed", "expected"), [
    (1000, {}, (600, 100)), (100_000, {}, (15_625, 520)),
    (100_000, {"max_steps": 600}, (600, 520))])
def test_own_texts_are_trained_for_ten_epochs(count, typed, expected):
    args = argparse.Namespace(max_steps=600, eval_every=100, batch_size=64, max_tokens=400,
                              typed=typed)
    train_texts.fit_to_texts(args, count)
    assert (args.max_steps, args.eval_every) == expected


def test_a_test_set_of_ones_own(tmp_path):
    test = tmp_path / "test.tsv"
    test.write_text("text\tlabel\nsome a\tno\n", encoding="utf-8")
    corpus = own(tmp_path, "label,text\n", "{label},some {i}\n", 10, test_file=str(test))
    assert corpus.texts["test"] == ["some a"] and len(corpus.texts["validation"]) == 2
    for raw, says in (("label\ttext\nmaybe\ta\n", "class maybe of the test set has no training"),
                      ("label\ttext\n", "test.tsv has no texts")):
        test.write_text(raw, encoding="utf-8")
        with pytest.raises(UserError, match=says):
            own(tmp_path, "label,text\n", "{label},some {i}\n", test_file=str(test))
    with pytest.raises(UserError, match="has no column grade; its first row is label, text"):
        own(tmp_path, "label,text\n", "{label},some {i}\n", label_column="grade")
    with pytest.raises(UserError, match="which columns"):
        own(tmp_path, "label,text\n", "{label},some {i}\n", label_column="2")
    with pytest.raises(UserError, match=r"grade is given for --dataset mr"):
        texts.load("mr", None, str(tmp_path), label_column="grade")
    with pytest.raises(UserError, match="has no columns"):
        own(tmp_path, "", "{label} some {i}\n", name="a.txt", text_column="2")


def test_the_language_is_that_of_the_training_texts(tmp_path):
    pytest.importorskip("jieba")
    args = cli.resolve(train_texts.build_parser(), ["--dataset", "file", "--input_file",
                                                    str(tmp_path / "a.csv")])
    own(tmp_path, "标签,内容\n", "{label},房间很大很干净\n")
    task = data.load(args)
    assert task.language == "zh" and task.vocabulary[1:] == ["干净", "很", "很大", "房间"]
    own(tmp_path, "", "{label},it was 很 clean\n")
    assert data.load(args).language == "en"


@pytest.mark.parametrize(("name", "content", "says"), [
    ("a.txt", b"yes fine\nno\n", "line 2: 'no' is not a label and a text separated by a space"),
    ("a.tsv", b"yes\tfine\nno\ta\tb\n", "line 2: 3 fields instead of 2"),
    ("a.tsv", b"yes\tfine\nno\t \n", "line 2 has no text"),
    ("a.csv", b"yes,fine\nno,well, yes\n", "line 2: 3 fields instead of 2"),
    ("a.csv", b"yes,fine\nno,\n", "line 2 has no text"),
    ("a.csv", b"id,text,label\n1,fine, \n", "line 2 has no label"),
    ("a.csv", b'yes,fine\nno,"well\n', "line 2: unexpected end of data"),
    ("a.txt", b"", "0 classes"),
    ("a.txt", b"yes fine\nyes well\n", "texts of 1 classes yes"),
    ("a.txt", b"yes fine\nno bad\n", "has 2 texts"),
    ("a.txt", b"yes \xff\n", "is not UTF-8: byte 0xff at offset 4"),
    ("a.txt.gz", b"yes fine\n", "cannot read"),
    ("a.txt", b"yes !\nno ?\n" * 10, "contain no words"),
    ("a.txt", b"yes fine\n" * 19 + b"no bad\n", "class no has 1 of the 3 texts that its splits"),
    ("a.txt", b"a fine day\nthe bad end\nso it goes\nI see\nwell done\n" * 2, "such as 'a'"),
    ("a.csv", b"good film,1\nbad one,0\nso so,0\nbest of,1\nwell,1\nno,0\n" * 2, "6 different"),
    ("a.csv", b"category,sentiment,review\nfood,1,good\n",
     "2 columns for --label_column: category, sentiment"),
    ("a.csv", b"text,label,text\na,1,good\n", "2 columns for --text_column: text, text"),
    ("a.csv", b"id,stars,words\n1,2,good\n", "which columns are label and text.*id, stars, words"),
])
def test_bad_texts_are_named_and_leave_nothing(name, content, says, tmp_path, capfd):
    path = tmp_path / name
    path.write_bytes(content)
    assert train_texts.main(["--dataset", "file", "--input_file", str(path)]) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ")
    assert re.search(says, error), error
    assert not (rundir.runs_dir() / CHAPTER).exists()


def test_the_hint_fits_what_a_row_lacks(tmp_path):
    for row, hint in (("no,well, yes", "quote texts"), ("no", "complete"), ("no,", "complete")):
        with pytest.raises(UserError) as stop:
            own(tmp_path, f"label,text\n{row}\n", "")
        assert stop.value.hint.startswith(hint)


def test_damaged_published_files_are_named(tmp_path):
    fake_sst2(tmp_path)
    with (tmp_path / "stsa.binary.dev").open("a") as file:
        file.write("7 strange\n")
    with pytest.raises(UserError, match=r"stsa.binary.dev, line 5: 7 is not a class from 0 to 1"):
        texts.load("sst2", None, str(tmp_path))
    (tmp_path / "20news-bydate.tar.gz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="is not the archive of newsgroups"):
        texts.load("newsgroups", None, str(tmp_path))
    with pytest.raises(UserError, match=r"has no ChnSentiCorp_htl_all\.csv"):
        texts.load("chnsenticorp", None, str(tmp_path))


@pytest.mark.parametrize(("script", "argv", "says"), [
    (train, ["--dataset", "modules"], "--dataset"),
    (train, ["--model", "conv"], "--model"),
    (train_texts, ["--num_classes", "3"], "--num_classes"),
    (train_texts, ["--dataset", "numbers"], "'numbers'"),
    (train_texts, ["--dataset", "file"], "--dataset file with no --input_file"),
    (train_texts, ["--input_file", "a.txt"], "--dataset modules with --input_file"),
    (train_texts, ["--lstm_size", "9"], "--lstm_size 9 has no effect with --model conv"),
    (train_texts, ["--preset", "mr", "--num_filters", "9"], "--num_filters 9 has no effect with "),
    (train_texts, ["--freeze_embedding"], "would freeze random vectors"),
    (train_texts, ["--vocabulary_size", "1"], "--vocabulary_size: 1 is not at least 2"),
])
def test_flags_without_effect_are_refused(script, argv, says, capfd):
    assert script.main(argv) == 2
    assert says in capfd.readouterr().err
    assert not (rundir.runs_dir() / CHAPTER).exists()


@pytest.mark.slow
def test_the_standard_library_gives_texts_of_every_topic():
    corpus = texts.load("modules", None, None)
    assert corpus.class_names == sorted(texts.TOPICS)
    together = [text for split in corpus.texts.values() for text in split]
    assert len(together) == len(set(together)) > 2000
    assert min(np.bincount(corpus.labels["train"])) > 100
    modules = [module for topic in texts.TOPICS.values() for module in topic.split()]
    assert len(modules) == len(set(modules))


def test_the_baseline_tells_words_apart_and_is_scored_on_the_test_split():
    splits = {"train": ["good film", "bad film", "so good", "so bad"] * 3,
              "validation": ["good", "bad"], "test": ["good", "bad", "film bad", "bad so"]}
    labels = {name: np.array(["bad" in text for text in split], np.int64)
              for name, split in splits.items()}
    labels["test"][3] = 0  # a mistake that nobody can avoid
    for level in ("word", "char"):
        found = baseline.score_tfidf(splits, labels, level)
        assert found["accuracy"] == 0.75 and found["examples"] == 4


def test_the_baseline_has_the_words_of_the_network():
    texts = ["हिन्दी भाषा", "Vie\u0323\u0302t Nam, isn't_it", "می‌خواهم"]
    assert list(baseline.build_vectorizer("word").fit(texts).vocabulary_) == list(
        words.count_tokens(texts, "word"))


TINY_TEXTS = ["--dataset", "file", "--embedding_size", "4", "--max_tokens", "6",
              "--batch_size", "8", "--log_every", "1", "--eval_every", "4",
              "--learning_rate", "0.05", "--schedule", "constant"]


@pytest.fixture
def fruits(tmp_path):
    """Texts whose class one word tells."""
    lines = [f"{name} I ate {article} {name}, number {i}\n" for i in range(40)
             for article, name in (("an", "apple"), ("a", "pear"))]
    path = tmp_path / "fruits.txt"
    path.write_text("".join(lines), encoding="utf-8")
    return ["--input_file", str(path)]


@pytest.mark.parametrize("options", [
    ["--model", "recurrent", "--lstm_size", "4", "--bidirectional", "--pool", "max"],
    pytest.param(["--model", "bag", "--num_buckets", "16", "--level", "char", "--max_tokens", "30"],
                 marks=pytest.mark.slow),
])
def test_texts_go_in_and_labels_come_out(options, fruits, tmp_path, capfd):
    vectors = write_vectors(tmp_path / "v.txt", "1 4\napple 1 0 0 1\n")
    assert train_texts.main([*TINY_TEXTS, *fruits, *options, "--max_steps", "60", "--name", "run",
                             "--embedding_file", str(vectors)]) == 0
    run = rundir.runs_dir() / CHAPTER / "run"
    known = 0 if "char" in options else 1
    said = capfd.readouterr().out
    assert f"{known} of " in said and f"predict.py --run_dir {run} " in said
    (tmp_path / "moved").mkdir()
    moved = Path(fruits[1]).rename(tmp_path / "moved" / "fruits.txt")
    assert eval.main(["--name", "run", "--input_file", str(moved)]) == 0
    result = json.loads((run / "eval.json").read_text(encoding="utf-8"))
    assert result["dataset"] == "fruits" and result["metrics"]["test"]["examples"] == 8
    assert result["metrics"]["test"]["accuracy"] == result["metrics"]["tfidf"]["accuracy"] == 1
    assert (run / "mistakes.txt").read_text() == "" and (run / "confusion.png").exists()
    assert export.main(["--name", "run"]) == 0
    classify = tf.saved_model.load(str(run / "export" / "1")).signatures["serving_default"]
    asked = ["An APPLE!", "i ate a pear", "?"]
    answer = classify(texts=tf.constant(asked))
    assert [label.decode() for label in answer["labels"].numpy()[:2]] == ["apple", "pear"]
    path = tmp_path / "asked.txt"
    path.write_text("\n".join(asked), encoding="utf-8")
    status, said = say(capfd, "--json", "--file", str(path))
    found = [json.loads(line) for line in said.out.splitlines()]
    assert status == 0 and [line["text"] for line in found] == asked
    np.testing.assert_allclose([list(line["probabilities"].values()) for line in found],
                               answer["probabilities"], atol=1e-6)
    assert "unlike any training sequence: ?" in said.err and said.err.count("unlike") == 1


def test_a_resumed_run_on_texts_equals_a_whole_one(fruits, tmp_path, capfd):
    options = [*TINY_TEXTS, *fruits, "--model", "conv", "--num_filters", "4", "--embedding_file",
               str(write_vectors(tmp_path / "v.txt", "1 4\npear 1 0 0 1\n"))]
    assert train_texts.main([*options, "--max_steps", "6", "--name", "whole"]) == 0
    assert train_texts.main([*options, "--max_steps", "3", "--name", "parts"]) == 0
    assert train_texts.main(["--name", "parts", "--max_steps", "6"]) == 0
    whole, parts = (rundir.runs_dir() / CHAPTER / name / "metrics.jsonl"
                    for name in ("whole", "parts"))
    last = [path.read_text().splitlines()[-2:] for path in (whole, parts)]
    assert last[0] == last[1] and '"step": 6' in last[0][0]


@pytest.mark.parametrize(("dataset", "place", "sizes", "num_classes"), [
    ("newsgroups", ".", (10183, 1131, 7532), 20), ("mr", "mr", (8530, 1066, 1066), 2),
    ("sst2", "sst2", (6920, 872, 1821), 2), ("thucnews", "thucnews_title", (9000, 1000, 10000), 10),
    ("chnsenticorp", ".", (6213, 776, 776), 2),
])
def test_real_sets_have_their_published_sizes(dataset, place, sizes, num_classes, real_data):
    corpus = texts.load(dataset, None, str(real_data(f"text_classification/{place}")))
    assert tuple(len(corpus.texts[name]) for name in ("train", "validation", "test")) == sizes
    assert len(corpus.class_names) == num_classes
