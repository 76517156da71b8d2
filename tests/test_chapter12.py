"""Chapter 12: the cells against Keras, the windows against the text, sampling against its rules."""

import argparse
import io
import itertools
import json
import math
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from chapter12_char_rnn import data, eval, export, inference, sample, train, visualize
from chapter12_char_rnn.model import CELLS, build_model, filter_logits, token_losses
from common import cli, files, rundir
from common.text import build_vocabulary, encode, read_text
from tools import compose_poetry

ROOT = Path(__file__).resolve().parent.parent
TINY = ["--num_seqs", "4", "--num_steps", "6", "--lstm_size", "8", "--embedding_size", "4",
        "--sample_length", "5", "--eval_every", "10"]


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog.\n" * 40, encoding="utf-8")
    return path


def test_parameter_count_is_the_books():
    assert build_model(3501, 128, 2, embedding_size=128).count_params() == 1_162_925


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_long_window_is_a_loop_over_pieces(cell, monkeypatch):
    model = build_model(11, lstm_size=7, cell=cell, seed=3)
    tokens = tf.random.stateless_uniform((2, 9), (1, 2), 0, 11, tf.int32)

    def run():
        with tf.GradientTape() as tape:
            logits, ends = tf.function(model)(tokens, model.initial_states(2))
            loss = tf.reduce_sum(logits**2)
        gradients = tape.gradient(loss, model.trainable_variables)
        return tf.nest.flatten((logits, ends, list(map(tf.convert_to_tensor, gradients))))

    whole = run()
    monkeypatch.setattr("chapter12_char_rnn.model.MAX_UNROLLED", 8)
    for piece in (4, 3):  # with and without a rest
        monkeypatch.setattr("chapter12_char_rnn.model.PIECE", piece)
        for expected, found in zip(whole, run(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("embedding_size", [None, 5])
def test_the_written_out_loop_equals_keras_layers(cell, embedding_size):
    options = {"lstm_size": 7, "embedding_size": embedding_size, "cell": cell, "seed": 3}
    ours, keras_own = (build_model(11, **options, fused=fused) for fused in (False, True))
    tokens = tf.random.stateless_uniform((3, 9), (1, 2), 0, 11, tf.int32)
    states = tf.nest.map_structure(
        lambda zeros: zeros + tf.random.stateless_normal(zeros.shape, (3, 4)),
        ours.initial_states(3))
    for a, b in zip(ours.weights, keras_own.weights, strict=True):
        a.assign(b + 0.1 * tf.random.stateless_normal(b.shape, (5, 6)))
        b.assign(a)

    @tf.function
    def results(model):
        with tf.GradientTape() as tape:
            logits, ends = model(tokens, states)
            loss = tf.reduce_mean(token_losses(logits, tokens))
        gradients = tape.gradient(loss, model.trainable_variables)
        return logits, ends, [tf.convert_to_tensor(gradient) for gradient in gradients]

    for a, b in zip(*map(tf.nest.flatten, map(results, (ours, keras_own))), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_an_lstm_step_against_numpy():
    rng = np.random.default_rng(0)
    model = build_model(5, lstm_size=3, num_layers=1)
    cell = model.recurrent[0].cell
    kernel, recurrent, bias = (rng.normal(size=v.shape) for v in cell.weights)
    for variable, value in zip(cell.weights, (kernel, recurrent, bias), strict=True):
        variable.assign(value)
    h, c = rng.normal(size=(2, 1, 3))
    i, f, g, o = np.split(kernel[4] + h[0] @ recurrent + bias, 4)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    c_next = sigmoid(f) * c[0] + sigmoid(i) * np.tanh(g)
    h_next = sigmoid(o) * np.tanh(c_next)
    _, [[h_found, c_found]] = model(tf.constant([[4]]), [[tf.constant(h, tf.float32),
                                                          tf.constant(c, tf.float32)]])
    np.testing.assert_allclose(h_found[0], h_next, atol=1e-6)
    np.testing.assert_allclose(c_found[0], c_next, atol=1e-6)


def test_forget_bias_is_one_at_first():
    bias = build_model(5, lstm_size=3).recurrent[0].cell.bias.numpy()
    np.testing.assert_array_equal(bias, [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])


def test_a_text_in_pieces_with_the_state_carried_equals_the_text_whole():
    model = build_model(9, lstm_size=6, seed=1)
    tokens = tf.random.stateless_uniform((2, 12), (1, 1), 0, 9, tf.int32)
    whole, _ = model(tokens, model.initial_states(2))
    states, parts = model.initial_states(2), []
    for part in tf.split(tokens, 4, axis=1):
        logits, states = model(part, states)
        parts.append(logits)
    np.testing.assert_allclose(whole, tf.concat(parts, axis=1), atol=1e-6)


def test_bfloat16_is_near_float32():
    models = [build_model(9, lstm_size=16, precision=p) for p in ("float32", "bfloat16")]
    tokens = tf.random.stateless_uniform((2, 12), (1, 1), 0, 9, tf.int32)
    a, b = (model(tokens, model.initial_states(2))[0] for model in models)
    np.testing.assert_allclose(a, b, atol=0.02)
    assert a.dtype == b.dtype == tf.float32


def test_every_weight_gets_a_gradient_and_a_step_moves_it(text_file):
    model = build_model(9, lstm_size=6, embedding_size=4, keep_prob=0.8, seed=1)
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)
    carried = tf.nest.map_structure(tf.Variable, model.initial_states(2))
    before = [v.numpy() for v in model.trainable_variables]
    tokens = tf.random.stateless_uniform((2, 8), (1, 1), 0, 9, tf.int32)
    step = train.make_train_step(model, optimizer, carried)
    loss, norm = step(tokens[:, :-1], tokens[:, 1:], tf.constant(False))
    assert float(loss) == pytest.approx(math.log(9), abs=0.3) and 0 < float(norm)
    for old, variable in zip(before, model.trainable_variables, strict=True):
        assert np.abs(variable.numpy() - old).max() > 0, variable.path
    assert all(np.abs(v.numpy()).max() > 0 for v in tf.nest.flatten(carried))


def test_a_fresh_window_forgets_what_was_carried():
    model = build_model(9, lstm_size=6, keep_prob=1.0, seed=1)
    optimizer = keras.optimizers.SGD(1e-9)
    optimizer.build(model.trainable_variables)
    carried = tf.nest.map_structure(
        lambda zeros: tf.Variable(zeros + 0.5), model.initial_states(2))
    step = train.make_train_step(model, optimizer, carried)
    tokens = tf.random.stateless_uniform((2, 8), (1, 1), 0, 9, tf.int32)
    losses = [float(step(tokens[:, :-1], tokens[:, 1:], tf.constant(fresh))[0])
              for fresh in (False, True, True)]
    assert losses[0] != losses[1] == pytest.approx(losses[2], abs=1e-6)


def test_gradients_are_clipped_by_their_norm_with_repeated_rows_summed():
    """A kernel row looked up n times has n partial gradients; only their sum has a norm."""
    model = build_model(4, lstm_size=5, num_layers=1)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    carried = tf.nest.map_structure(tf.Variable, model.initial_states(1))
    inputs, targets = tf.zeros((1, 6), tf.int32), tf.ones((1, 6), tf.int32)
    with tf.GradientTape() as tape:
        logits, _ = model(inputs, model.initial_states(1))
        loss = tf.reduce_mean(token_losses(logits, targets))
    dense = [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_variables)]
    _, norm = train.make_train_step(model, optimizer, carried)(inputs, targets, tf.constant(True))
    assert float(norm) == pytest.approx(float(tf.linalg.global_norm(dense)), rel=1e-5)


def test_windows_continue_and_targets_are_the_true_next_characters():
    tokens = np.arange(103, dtype=np.int32)
    windows = data.windows_per_epoch(len(tokens), 3, 5)
    batches = list(data.training_batches(tokens, 3, 5, seed=1).take(2 * windows))
    for inputs, targets, _ in batches:
        np.testing.assert_array_equal(targets, inputs + 1)
    for (a, _, _), (b, _, fresh) in itertools.pairwise(batches):
        if not fresh:
            np.testing.assert_array_equal(b[:, 0], a[:, -1] + 1)
    assert [bool(fresh) for *_, fresh in batches] == ([True] + [False] * (windows - 1)) * 2
    epoch = np.concatenate([b[0].numpy() for b in batches[:windows]]).ravel()
    assert len(set(epoch)) == len(epoch) == 3 * 5 * windows
    late = list(data.training_batches(tokens, 3, 5, seed=1, start_step=4).take(3))
    for expected, found in zip(batches[4:7], late, strict=True):
        np.testing.assert_array_equal(expected[0], found[0])


@pytest.mark.parametrize("num_tokens", [10, 11, 37, 100])
def test_short_texts_get_fewer_rows_that_stay_inside(num_tokens, capfd):
    rows = data.fit_num_seqs(num_tokens, 50, 5)
    assert "lowered from 50" in capfd.readouterr().err
    tokens = np.arange(num_tokens, dtype=np.int32)
    for inputs, targets, _ in data.training_batches(tokens, rows, 5, seed=0).take(30):
        np.testing.assert_array_equal(targets, inputs + 1)  # tf.gather would give 0 outside


@pytest.mark.parametrize(("num_seqs", "num_steps"), [(1, 7), (3, 4), (8, 5)])
def test_each_held_out_character_is_scored_once(num_seqs, num_steps):
    tokens = np.arange(1, 41, dtype=np.int32)
    scored = []
    for inputs, targets, weights in data.evaluation_batches(tokens, num_seqs, num_steps):
        assert inputs.shape == (num_seqs, num_steps)
        scored += targets.numpy()[weights.numpy() == 1].tolist()
        np.testing.assert_array_equal((targets - inputs).numpy()[weights.numpy() == 1], 1)
    assert sorted(scored) == list(range(2, 41))


def test_scoring_does_not_depend_on_the_window():
    model = build_model(9, lstm_size=6, seed=1)
    tokens = np.random.default_rng(0).integers(0, 9, 50).astype(np.int32)
    score = inference.make_score(model)
    scores = [score(tokens, 1, num_steps) for num_steps in (49, 7, 10)]
    logits, _ = model(tokens[None, :-1], model.initial_states(1))
    expected = float(tf.reduce_mean(token_losses(logits, tokens[None, 1:])))
    for found in scores:
        assert found["nats_per_char"] == pytest.approx(expected, abs=1e-5)
        assert found["chars"] == 49
        assert found["perplexity"] == pytest.approx(math.exp(expected), rel=1e-5)
        assert found["bits_per_char"] == pytest.approx(expected / math.log(2), rel=1e-5)


def test_the_number_after_the_vocabulary_is_that_of_unknown_characters():
    corpus = data.prepare("abracadabra" * 9 + "bar𝒳!", "char", 3)
    assert corpus.vocabulary == ["a", "b", "r"]
    assert corpus.held_out[-5:].tolist() == [1, 0, 2, 3, 3]


def test_the_held_out_tenth_shapes_no_vocabulary():
    corpus = data.prepare("a" * 90 + "b" * 10, "char", 100)
    assert corpus.vocabulary == ["a"] and len(corpus.tokens) == 90
    assert corpus.held_out.tolist() == [0] + [1] * 10


def kept(probabilities, **options):
    settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} | options
    logits = tf.math.log(tf.constant([probabilities]))
    return tf.nn.softmax(filter_logits(logits, **settings))[0].numpy()


def test_sampling_rules_against_hand_tables():
    p = [0.4, 0.1, 0.3, 0.15, 0.05]  # the last is the unknown character
    known = np.array(p[:4]) / sum(p[:4])
    np.testing.assert_allclose(kept(p), [*known, 0], atol=1e-6)
    np.testing.assert_allclose(kept(p, top_k=2), [4 / 7, 0, 3 / 7, 0, 0], atol=1e-6)
    np.testing.assert_allclose(kept(p, top_k=1), [1, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(kept(p, top_p=0.7), [4 / 7, 0, 3 / 7, 0, 0], atol=1e-6)
    np.testing.assert_allclose(kept(p, top_p=0.0), [1, 0, 0, 0, 0], atol=1e-6)
    cold = known**2 / sum(known**2)
    np.testing.assert_allclose(kept(p, temperature=0.5), [*cold, 0], atol=1e-6)
    assert kept([0.01, 0.01, 0.98]).tolist() == [0.5, 0.5, 0]


def test_ties_leave_exactly_k():
    assert (kept([0.25, 0.25, 0.25, 0.25], top_k=2) > 0).sum() == 2


def trained(text_file, *argv):
    assert train.main(["--input_file", str(text_file), *TINY, "--max_steps", "20",
                       "--name", "run", *argv]) == 0
    return rundir.runs_dir() / "chapter12_char_rnn" / "run"


def run_sample(capfd, *argv):
    capfd.readouterr()
    status = sample.main([*argv])
    return status, capfd.readouterr()


def test_sampling_is_seeded_and_of_the_length_asked(text_file, capfd):
    trained(text_file)
    texts = []
    for argv in (["--seed", "1"], ["--seed", "1"], ["--seed", "2"], ["--greedy"],
                 ["--greedy", "--seed", "5"]):
        status, said = run_sample(capfd, "--start_string", "the", "--max_length", "30",
                                  "--top_k", "0", "--json", *argv)
        assert status == 0
        texts += json.loads(said.out)
    assert texts[0] == texts[1] != texts[2] and texts[3] == texts[4]
    assert all(len(text) == 33 and text.startswith("the") for text in texts)
    status, said = run_sample(capfd, "--num_samples", "2", "--max_length", "8", "--json")
    assert [len(text) for text in json.loads(said.out)] == [8, 8]


def test_unknown_start_characters_are_named(text_file, capfd):
    trained(text_file)
    status, said = run_sample(capfd, "--start_string", "thé ß")
    assert status == 2 and "'ß'" in said.err and "'é'" in said.err and not said.out


def test_interactive_continues_after_an_error(text_file, capfd, monkeypatch):
    trained(text_file)
    monkeypatch.setattr(sys, "stdin", io.StringIO("the\r\n春\nfox\r\n\r\n", newline="\n"))
    status, said = run_sample(capfd, "--interactive", "--max_length", "4")
    assert status == 0 and "'春'" in said.err
    assert said.out.startswith("the") and "\nfox" in said.out


def test_the_unknown_character_is_never_written(text_file, capfd):
    trained(text_file, "--max_vocab", "3")
    _, said = run_sample(capfd, "--max_length", "200", "--top_k", "0", "--temperature", "3",
                         "--json")
    assert data.UNKNOWN not in said.out and len(set(json.loads(said.out)[0])) == 3


@pytest.mark.parametrize(("content", "says"), [
    (b"", "is empty"),
    ("春".encode("gb18030") * 99, "not UTF-8: byte 0xb4 at offset 0"),
    (b"abc" * 40 + b"\xff", "byte 0xff at offset 120"),
    (b"too short", "one row needs 12"),
])
def test_bad_texts_are_named_and_leave_nothing(content, says, tmp_path, capfd):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    assert train.main(["--input_file", str(path), *TINY]) == 2
    assert says in capfd.readouterr().err
    assert not (rundir.runs_dir() / "chapter12_char_rnn").exists()
    assert train.main(["--input_file", str(tmp_path / "absent.txt")]) == 2


def test_another_text_continues_an_earlier_run_in_its_vocabulary(text_file, tmp_path, capfd):
    first = trained(text_file)
    other = tmp_path / "other.txt"
    other.write_text("zebras jump over 7 dogs.\n" * 40, encoding="utf-8")
    new = ["--input_file", str(other), *TINY, "--max_steps", "1", "--name", "second"]
    assert train.main([*new, "--init_from", "run", "--max_vocab", "9"]) == 2
    assert "--max_vocab 9 has no effect with --init_from run" in capfd.readouterr().err
    assert train.main([*new, "--init_from", "run", "--level", "word"]) == 2
    assert "was trained with --level char" in capfd.readouterr().err
    assert train.main([*new, "--init_from", "run"]) == 0
    second = first.with_name("second")
    assert (second / "vocabulary.json").read_bytes() == (first / "vocabulary.json").read_bytes()
    shutil.rmtree(first)  # it is not needed any more
    assert train.main(["--name", "second", "--max_steps", "2"]) == 0
    assert eval.main(["--name", "second"]) == 0
    # "7" has no entry in the vocabulary.
    share = files.read_json(second / "eval.json")["metrics"]["validation"]["unknown_share"]
    assert share == pytest.approx(1 / 25, abs=0.01)


def test_a_run_of_an_earlier_version_is_evaluated(text_file):
    run = trained(text_file)
    config = files.read_json(run / "config.json")
    for flag in ("max_unpacked_mb", "init_from"):  # younger than the run
        del config["flags"][flag]
    del config["digest"]
    files.write_json(run / "config.json", config)
    assert eval.main(["--name", "run"]) == 0
    assert train.main(["--name", "run", "--max_steps", "21"]) == 0


def test_a_changed_text_is_not_resumed(text_file, capfd):
    trained(text_file)
    text_file.write_text("another text entirely " * 40, encoding="utf-8")
    assert train.main(["--name", "run", "--max_steps", "30"]) == 2
    assert "has changed" in capfd.readouterr().err
    assert eval.main(["--name", "run"]) == 2


def test_the_standard_library_is_a_text():
    text = data.standard_library()
    assert len(text) > 1_000_000 and "def " in text


def test_words_and_sentence_marks_need_no_download():
    tokens = data.tokenize("The dog runs. It doesn't stop!", "word")
    assert tokens == ["The", "dog", "runs", ".", "\n", "It", "does", "n't", "stop", "!", "\n"]
    assert data.tokenize("", "word") == []


def test_a_network_of_words_trains_samples_and_exports(text_file, capfd):
    text_file.write_text("The quick brown fox jumps over the lazy dog.\n" * 40, encoding="utf-8")
    run = trained(text_file, "--level", "word", "--max_steps", "120", "--learning_rate", "0.02",
                  "--train_keep_prob", "1", "--lstm_size", "32")
    assert eval.main(["--name", "run"]) == 0
    metrics = json.loads((run / "eval.json").read_text())["metrics"]["validation"]
    assert metrics["words"] == 44  # 40 lines of ten words and a mark, a tenth is held out
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["nats_per_word"]))
    _, said = run_sample(capfd, "--start_string", "The quick", "--greedy", "--max_length", "4")
    assert said.out.startswith("The quick brown fox jumps over")
    status, said = run_sample(capfd, "--start_string", "The slow")
    assert status == 2 and "'slow'" in said.err
    assert export.main(["--name", "run"]) == 0
    loaded = tf.saved_model.load(str(run / "export" / "1")).signatures["serving_default"]
    said = loaded(start_string=tf.constant(["The quick"]), length=tf.constant([4]),
                  temperature=tf.constant([0.0]), seed=tf.constant([0]))["text"]
    assert said.numpy()[0].decode().startswith("The quick brown fox jumps over")


def test_word_vectors_of_a_file_are_a_start_or_stay(text_file, tmp_path, capfd):
    path = tmp_path / "vectors.txt"
    path.write_text("1 4\nfox 1 -2 0 0.5\n", encoding="utf-8")
    options = ["--level", "word", "--use_embedding", "--embedding_size", "4",
               "--embedding_file", str(path)]
    for frozen, name in ((True, "frozen"), (False, "trained")):
        trained(text_file, *options, *["--freeze_embedding"] * frozen, "--name", name)
        assert f"{path}: 1 of " in capfd.readouterr().out
        run = rundir.runs_dir() / "chapter12_char_rnn" / name
        flags = argparse.Namespace(**rundir.read_config(run, "chapter12_char_rnn")["flags"])
        args = argparse.Namespace(run_dir=run, checkpoint="latest")
        model, vocabulary = inference.load_run(args, flags)
        row = model.embedding.embeddings.numpy()[vocabulary.index("fox")]
        assert (row.tolist() == [1, -2, 0, 0.5]) == frozen
    path.unlink()  # a resumed run does not need it
    assert train.main(["--name", "trained", "--max_steps", "22"]) == 0
    for flags, says in ((options, f"cannot read {path}"),
                        (["--freeze_embedding"], "would freeze random vectors"),
                        (["--no-use_embedding"], "--embedding_size 4 has no effect with --no-use"),
                        ([*options[-2:], "--no-use_embedding"], "without --use_emb")):
        assert train.main(["--input_file", str(text_file), *TINY, *flags]) == 2
        assert says in capfd.readouterr().err


def test_the_export_writes_what_sample_writes(text_file, capfd):
    run = trained(text_file, "--cell", "gru")
    assert export.main(["--name", "run"]) == 0
    _, said = run_sample(capfd, "--start_string", "dog", "--greedy", "--max_length", "20",
                         "--json")
    signatures = tf.saved_model.load(str(run / "export" / "1")).signatures
    texts = signatures["serving_default"](
        start_string=tf.constant(["dog", "", "dog", "dog", "dog"]),
        length=tf.constant([20, 15, 5, 20, 20]), temperature=tf.constant([0, 0, 0, 9.0, 9.0]),
        seed=tf.constant([0, 0, 1, 1, 2]))["text"].numpy()
    greedy, empty, short, one, two = (text.decode() for text in texts)
    assert greedy == json.loads(said.out)[0]
    assert len(empty) == 15 and short == greedy[:8]
    assert len({greedy, one, two}) == 3  # each row has its temperature and its seed
    none = signatures["serving_default"](
        start_string=tf.constant([], tf.string), length=tf.constant([], tf.int32),
        temperature=tf.constant([], tf.float32), seed=tf.constant([], tf.int32))["text"]
    assert none.shape == (0,)
    states = {f"layer{i}_state0": tf.zeros((2, 8)) for i in range(2)}
    outputs = signatures["step"](tokens=tf.constant([0, 1]), **states)
    np.testing.assert_allclose(tf.reduce_sum(outputs["probabilities"], axis=1), 1, atol=1e-5)


def test_an_acrostic_begins_its_verses_as_told(text_file, capfd):
    verses = {"春": "风吹细雨，明", "明": "月照高楼。\n秋",
              "秋": "水连天远，", "寒": "山入夜深。\n"}
    seen = []

    def extend(text, length):
        seen.append(text)
        return iter(verses[text[-1]][:length])

    poem = "春风吹细雨，明月照高楼。\n秋水连天远，寒山入夜深。\n"
    vocabulary = sorted(set(poem))
    assert "".join(sample.write_acrostic("春明秋寒", vocabulary, extend)) == poem
    assert seen == ["春", "春风吹细雨，明", "春风吹细雨，明月照高楼。\n秋",
                    "春风吹细雨，明月照高楼。\n秋水连天远，寒"]
    trained(text_file)
    status, said = run_sample(capfd, "--acrostic", "春X")
    assert status == 2 and "'春'" in said.err
    assert run_sample(capfd, "--acrostic", "a", "--start_string", "b")[0] == 2


def test_a_cell_is_shown(text_file, capfd):
    run = trained(text_file)
    assert visualize.main(["--length", "50", "--layer", "2", "--unit", "3"]) == 0
    page = (run / "visualization.html").read_text(encoding="utf-8")
    assert page.count("<span") == 50 and "step 20" in page and "layer 2, unit 3" in page
    named = run.rename(run.with_name("<img src=x onerror=alert(1)>"))
    assert visualize.main(["--run_dir", str(named), "--length", "5"]) == 0
    page = (named / "visualization.html").read_text(encoding="utf-8")
    assert "<title>&lt;img src=x" in page and "<h1>&lt;img src=x" in page and "<img" not in page
    assert visualize.main(["--layer", "3"]) == 2 and visualize.main(["--unit", "8"]) == 2
    assert "there is no layer 3" in capfd.readouterr().err


def test_couplet_form():
    good, bad = "春风吹细雨，明月照高楼。", "春风吹雨，明月照高楼。"
    assert eval.couplet_form([f"\n{good}\n{bad}\n{good}\n春风"]) == {
        "couplet_form": 2 / 3, "couplet_lines": 3}


def test_a_learnt_text_is_written_from_memory(tmp_path, capfd):
    path = tmp_path / "abc.txt"
    path.write_text("abcdefgh\n" * 60, encoding="utf-8")
    assert train.main(["--input_file", str(path), *TINY, "--lstm_size", "24", "--max_steps",
                       "250", "--learning_rate", "0.02", "--train_keep_prob", "1",
                       "--eval_every", "250", "--name", "memory"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["nats_per_char"] < 0.4
    _, said = run_sample(capfd, "--start_string", "abc", "--greedy", "--max_length", "15")
    assert said.out == "abcdefgh\nabcdefgh\n\n"


def test_the_shipped_poems_are_the_composers():
    text = read_text(data.SAMPLE)
    lines = text.splitlines()
    assert len(text) >= 60_000 and len(set(text)) <= 900 and len(set(lines)) == len(lines)
    assert all(eval.COUPLET.fullmatch(line) for line in lines)
    assert compose_poetry.compose() == text


def test_real_texts_have_their_published_sizes(real_data):
    shakespeare = read_text(real_data("char_rnn/shakespeare.txt"))
    assert (len(shakespeare), len(set(shakespeare))) == (1_115_394, 65)
    digest = files.sha256(shakespeare.encode())
    assert digest == data.SOURCES["shakespeare"].files[0].sha256
    tang = read_text(real_data("book/chapter_12/data/poetry.txt"))
    assert (len(tang), len(set(tang))) == (942_681, 5_387)
    assert files.sha256(tang.encode()) == data.SOURCES["tang"].files[0].sha256
    vocabulary = build_vocabulary(tang, 3500, special=())
    known = np.mean(encode(tang, vocabulary, unknown=3500) < 3500)
    assert known == pytest.approx(0.99525, abs=1e-5)


@pytest.mark.slow
def test_shakespeare_is_learnt_a_little(real_data, capfd):
    path = real_data("char_rnn/shakespeare.txt")
    assert train.main(["--preset", "book_shakespeare", "--input_file", str(path),
                       "--max_steps", "150", "--eval_every", "150", "--name", "bard"]) == 0
    scores = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert scores["chars"] == 111_539
    assert scores["nats_per_char"] < 2.5  # the text's letter frequencies alone give 3.31


def test_texts_without_lines_get_no_line_before_their_start():
    assert inference.encode_start("ab", ["b", "a", "\n"]).tolist() == [2, 1, 0]
    assert inference.encode_start("", ["b", "a", "\n"]).tolist() == [2]
    assert inference.encode_start("ab", ["b", "a"]).tolist() == [1, 0]
    assert inference.encode_start("", ["b", "a"]).tolist() == [0]


def test_two_texts_at_once_are_refused(text_file, capfd):
    assert train.main(["--dataset", "tang", "--input_file", str(text_file)]) == 2
    assert "both --dataset tang" in capfd.readouterr().err


def test_the_best_preset_warms_up_and_ends_at_zero():
    parser = train.build_parser()
    args = cli.resolve(parser, ["--preset", "best"])
    rate = train.learning_rate(args)
    assert float(rate(0)) == 0
    assert float(rate(train.WARMUP_STEPS)) == pytest.approx(args.learning_rate)
    assert float(rate(args.max_steps)) == pytest.approx(0, abs=1e-8)


@pytest.mark.slow
def test_the_best_known_command_works_as_typed(runs):
    command = f"cd chapter12 && {shlex.quote(sys.executable)} train.py --input_file poetry.txt "
    done = subprocess.run(command + shlex.join([*TINY, "--max_steps", "2"]), shell=True,
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["chars"] > 6000
    assert list((runs / "chapter12_char_rnn").glob("*-demo/checkpoints/ckpt-2.index"))
