"""Chapter 16: metrics, attention, cells, search, data, and the scripts around them."""

import argparse
import io
import itertools
import json
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chapter16_nmt import (
    attention,
    baselines,
    beam_search,
    cells,
    corpus,
    data,
    export,
    flags,
    grammar,
    inference,
    metrics,
    model,
    pictures,
    prepare,
    tokens,
    train,
    transformer,
    translate,
)
from chapter16_nmt.corpus import Corpus
from chapter16_nmt.decoding import Decoding
from chapter16_nmt.normal_form import Compose
from chapter16_nmt.schedules import learning_rate
from chapter16_nmt.tokens import Tokenization
from common import cli, rundir
from common.errors import UserError

TESTDATA = "book/chapter_16/nmt/testdata"
CHAR = Tokenization("en", "char", lowercase=True)


def arrays(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) * scale


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# Metrics


def original(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [line.strip().replace("@@ ", "").split(" ") for line in lines]


def test_scores_are_those_of_the_originals_scripts(real_data):
    found, references = (original(real_data(f"{TESTDATA}/{name}"))
                         for name in ("deen_output", "deen_ref_bpe"))
    assert metrics.corpus_bleu(found, references) == pytest.approx(22.585508457350354, abs=1e-9)
    assert metrics.rouge_l(found, references) == pytest.approx(50.842978, abs=1e-6)
    answers, labels = (original(real_data(f"{TESTDATA}/{name}"))
                       for name in ("pred_output", "label_ref"))
    assert metrics.accuracy(answers, labels) == pytest.approx(60.0)


def test_bleu_of_a_sentence_is_that_of_a_hand_table():
    found, reference = ["the cat sat on a mat".split()], ["the cat sat on the mat today".split()]
    # Precisions 5/6, 3/5, 2/4, 1/3; six words for seven.
    expected = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25 * np.exp(1 - 7 / 6)
    assert metrics.corpus_bleu(found, reference) == pytest.approx(expected)
    assert metrics.corpus_bleu([["a", "a"]], [["a", "b"]]) == 0.0  # no common 4-gram
    assert metrics.corpus_bleu([[]], [["a"]]) == 0.0
    # A repeated word counts as often as in the reference.
    assert metrics.bleu_statistics([["the"] * 4], [["the", "cat"]])[0, 0] == 1


def test_a_paired_interval_sees_what_single_ones_do_not():
    rng = np.random.default_rng(0)
    references = [list(map(str, rng.integers(0, 9, 12))) for _ in range(60)]
    worse = [[*words[:9], "x", *words[10:]] for words in references]
    better = [words if i % 3 else worse[i] for i, words in enumerate(references)]
    assert metrics.paired_difference(worse, worse, references) == (0.0, 0.0, 0.0)
    difference = metrics.paired_difference(better, worse, references)
    assert 0 < difference.low < difference.value < difference.high
    interval = metrics.bleu_interval(better, references)
    assert interval.low < interval.value < interval.high


def test_rouge_l_is_the_longest_common_subsequence():
    assert metrics.longest_common_subsequence("a b c d".split(), "b x d a".split()) == 2
    assert metrics.rouge_l([["a", "b"]], [["a", "b"]]) == pytest.approx(100)
    # Recall 1/2, precision 1/1, beta 2: F = (1 + 4) · 1/2 / (1/2 + 4).
    assert metrics.rouge_l([["a"]], [["a", "b"]]) == pytest.approx(100 * 2.5 / 4.5)


def test_sacrebleu_tokenizes_by_language():
    scores, signatures = metrics.sacrebleu_scores(["我是人。"], ["我是人。"], "zh")
    assert scores == {"sacrebleu": pytest.approx(100), "chrf": pytest.approx(100)}
    assert "tok:zh" in signatures["sacrebleu"]
    for language, tokenizer in (("en", "13a"), ("zh-CN", "zh"), ("th", "char"), ("ko", "char")):
        _, signatures = metrics.sacrebleu_scores(["a b c d"], ["a b c d"], language)
        assert f"tok:{tokenizer}" in signatures["sacrebleu"]


def test_baselines():
    sources = [["a", "cat"], ["a", "dog"], ["the", "dog"], ["a", "cat"]]
    targets = [["一", "猫"], ["一", "狗"], ["那", "狗"], ["一", "猫"]]
    found = baselines.translations([["the", "cat", "zebra"]], sources, targets, Tokenization("zh"))
    assert found == {"copy": [["the", "cat", "zebra"]], "most_frequent": [["一", "猫"]],
                     "dictionary": [["那", "猫", "zebra"]]}


def test_a_dictionary_of_characters_has_whole_words(monkeypatch):
    sources = [["the", "teacher", "eats"], ["the", "cook", "eats"], ["my", "teacher", "sings"],
               ["the", "boy", "sleeps"]]
    targets = [list("那老师吃"), list("那厨子吃"), list("我老师唱"), list("那孩睡")]
    char = Tokenization("zh", "char")
    assert baselines.translations([["eats", "teacher"]], sources, targets, char)["dictionary"] == [
        list("吃老师")]
    monkeypatch.setattr(baselines, "MAX_PAIRS", 1)  # the first pair alone: all is equally frequent
    assert baselines.translations([["cook"]], sources, targets, char)["dictionary"] == [["cook"]]


# Attention, cells, networks


@pytest.mark.parametrize("kind", attention.KINDS)
def test_scores_are_those_of_numpy(kind):
    layer = attention.Attention(kind, 4, 6, 4, lambda: keras.initializers.RandomNormal(seed=1))
    values, query = arrays(2, 3, 6), arrays(2, 4, seed=1)
    memory = layer.read(tf.constant(values), tf.constant([[True] * 3, [True, False, True]]))
    keys = values @ layer.memory_kernel.numpy()
    np.testing.assert_allclose(memory.keys, keys, rtol=1e-5)
    if "luong" in kind:
        if kind == attention.SCALED:
            layer.scale.assign(1.7)
        expected = np.einsum("bu,btu->bt", query, keys) * (1.7 if kind == attention.SCALED else 1)
    else:
        hidden, v = (query @ layer.query_kernel.numpy())[:, None] + keys, layer.v.numpy()
        if kind == attention.NORMALIZED:
            assert float(layer.g.value) == pytest.approx(4**-0.5)
            layer.bias.assign(arrays(4, seed=2))
            hidden, v = hidden + layer.bias.numpy(), 4**-0.5 * v / np.linalg.norm(v)
        expected = np.tanh(hidden) @ v
    np.testing.assert_allclose(layer.scores(query, memory.keys), expected, rtol=1e-4, atol=1e-6)
    weights = layer.attend(tf.constant(query), memory).numpy()
    assert weights[1, 1] == 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights[0], softmax(expected[0]), rtol=1e-4)
    np.testing.assert_allclose(weights[1, [0, 2]], softmax(expected[1, [0, 2]]), rtol=1e-4)
    np.testing.assert_allclose(attention.context(tf.constant(weights), memory),
                               np.einsum("bt,btd->bd", weights, values), rtol=1e-4, atol=1e-6)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("unit_type", cells.UNIT_TYPES)
def test_a_step_is_that_of_numpy(unit_type):
    cell = cells.Cell(unit_type, 3, 4, 0.5, lambda: keras.initializers.RandomNormal(seed=2), "c")
    x, h, c = arrays(2, 3), arrays(2, 4, seed=1), arrays(2, 4, seed=2)
    kernel, recurrent = cell.kernel.numpy(), cell.recurrent_kernel.numpy()
    found = cell.step(cell.project(tf.constant(x)), [h] if unit_type == "gru" else [h, c])

    def normal(row: np.ndarray) -> np.ndarray:
        return (row - row.mean(1, keepdims=True)) / np.sqrt(row.var(1, keepdims=True) + 1e-6)

    if unit_type == "gru":
        r, u = np.split(sigmoid(x @ kernel[:, :8] + h @ recurrent[:, :8] + 1), 2, axis=1)
        candidate = np.tanh(x @ kernel[:, 8:] + (r * h) @ recurrent[:, 8:])
        expected = [u * h + (1 - u) * candidate]
    else:
        gates = np.split(x @ kernel + h @ recurrent, 4, axis=1)
        scale = normal if unit_type == "layer_norm_lstm" else np.asarray
        i, g, f, o = map(scale, gates)
        c = scale(sigmoid(f + 0.5) * c + sigmoid(i) * np.tanh(g))
        expected = [sigmoid(o) * np.tanh(c), c]
    for ours, numpys in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, numpys, rtol=1e-4, atol=1e-6)


def test_padding_neither_moves_the_state_nor_gives_outputs():
    cell = cells.Cell("lstm", 3, 4, 1.0, lambda: keras.initializers.RandomNormal(seed=3), "c")
    x = arrays(5, 2, 3)
    mask = np.arange(5)[:, None] < np.array([5, 2])
    for reverse in (False, True):
        outputs, end = cells.run_cell(cell, tf.constant(x), tf.constant(mask), cell.zero_state(2),
                                 reverse)
        alone, alone_end = cells.run_cell(cell, tf.constant(x[:2, 1:]), tf.fill((2, 1), True),
                                     cell.zero_state(1), reverse)
        np.testing.assert_allclose(outputs[:2, 1:], alone, atol=1e-6)
        np.testing.assert_allclose(end[0][1:], alone_end[0], atol=1e-6)
        assert not np.any(outputs[2:, 1])


NETWORKS = {
    "plain": model.Layers(num_units=6, unit_type="gru"),
    "context": model.Layers(num_units=6, context="every_step", unit_type="layer_norm_lstm"),
    "context_bi": model.Layers(num_units=6, context="every_step", encoder_type="bi"),
    "bi": model.Layers(num_units=6, num_layers=4, encoder_type="bi", attention="luong",
                       residual=True, tie_embeddings=True),
    "gnmt": model.Layers(num_units=6, num_layers=3, encoder_type="gnmt", residual=True,
                         attention="normed_bahdanau", attention_architecture="gnmt"),
    "gnmt_v2": model.Layers(num_units=6, num_layers=3, attention="bahdanau", share_vocab=True,
                            attention_architecture="gnmt_v2", pass_hidden_state=False),
    "luong": model.Layers(num_units=6, attention="scaled_luong"),
    "transformer": transformer.Sizes(num_units=6, num_heads=2, tie_embeddings=True),
    "shared": transformer.Sizes(num_units=6, num_heads=3, num_layers=1, share_vocab=True),
}


def network(name: str):
    if isinstance(NETWORKS[name], transformer.Sizes):
        return transformer.Transformer(NETWORKS[name], 20, 20, seed=1)
    return model.Translator(NETWORKS[name], 20, 20, init_weight=0.5, seed=1)


@pytest.mark.parametrize("name", ["luong", "transformer"])
def test_known_words_start_from_the_vectors_of_a_file(name, tmp_path, capsys):
    net, path = network(name), tmp_path / "vectors.txt"
    vectors = {"cat": arrays(6), "no word": arrays(6, seed=1)}
    path.write_text("2 6\n" + "\n".join(f"{word.replace(' ', '_')} {' '.join(map(str, vector))}"
                                        for word, vector in vectors.items()), encoding="utf-8")
    words = [[*corpus.SPECIAL, *(f"{side}{i}" for i in range(16)), "cat"] for side in "st"]
    before = net.target_embedding.embeddings.numpy().copy()
    args = argparse.Namespace(run_dir=tmp_path, src_embedding_file=None,
                              tgt_embedding_file=str(path))
    train.start_embeddings(args, net, words)
    after = net.target_embedding.embeddings.numpy()
    np.testing.assert_allclose(after[19], vectors["cat"], rtol=1e-6)
    np.testing.assert_array_equal(after[:19], before[:19])
    assert "1 of 20 words" in capsys.readouterr().out
    args.src_embedding_file = str(path)
    path.write_text("1 5\ncat 1 2 3 4 5\n", encoding="utf-8")
    with pytest.raises(UserError, match="dimension 5, --num_units is 6"):
        train.start_embeddings(args, net, words)


def batch_of(lengths: list[tuple[int, int]], seed: int = 0) -> data.Batch:
    rngs = [np.random.default_rng([seed, i]) for i in range(len(lengths))]
    split = data.Split(
        *([list(rng.integers(3, 20, pair[side])) for rng, pair in zip(rngs, lengths, strict=True)]
          for side in (0, 1)), [], [], {})
    return data.pad(split, range(len(lengths)))


def logits_of(net: keras.Model, batch: data.Batch, training: bool = False) -> tf.Tensor:
    return net(batch.source, batch.source_mask, batch.inputs, batch.target_mask, training=training)


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_never_changes_a_loss_and_all_weights_learn(name):
    net = network(name)
    both, first = batch_of([(3, 2), (7, 6)]), batch_of([(3, 2)])
    assert both.source.shape[1] > first.source.shape[1]
    np.testing.assert_allclose(logits_of(net, both)[:3], logits_of(net, first), atol=1e-5)
    with tf.GradientTape() as tape:
        words = tf.boolean_mask(both.outputs, both.target_mask)
        loss, _ = model.cross_entropy(logits_of(net, both, True), words, 0.1)
    gradients = tape.gradient(loss, net.trainable_variables)
    unused = [variable.path for variable, gradient in
              zip(net.trainable_variables, gradients, strict=True)
              if gradient is None or not np.any(tf.convert_to_tensor(gradient))]
    assert unused == []


@pytest.mark.parametrize("name", ["plain", "luong", "gnmt"])
def test_a_word_depends_on_earlier_words_only(name):
    net = network(name)
    batch = batch_of([(4, 5)])
    state, memory = net.encode(batch.source, batch.source_mask)
    embedded = tf.constant(arrays(6, 1, 6))
    with tf.GradientTape() as tape:
        tape.watch(embedded)
        output = net.decoder.run(embedded, state, memory, training=False)[3]
    sizes = np.abs(tape.gradient(output, embedded)).sum(axis=(1, 2))
    assert (sizes[:4] > 0).all() and (sizes[4:] == 0).all()


def test_a_transformer_does_not_look_ahead():
    net, batch = network("transformer"), batch_of([(4, 5)])
    before = logits_of(net, batch).numpy()
    batch.inputs[0, 3] = 3 + batch.inputs[0, 3] % 10
    changed = np.abs(logits_of(net, batch).numpy() - before).max(axis=1)
    assert (changed[:3] < 1e-6).all() and (changed[3:] > 1e-4).all()


def test_heads_are_those_of_numpy():
    q, k, v = arrays(2, 3, 4), arrays(2, 5, 4, seed=1), arrays(2, 5, 4, seed=2)
    mask = np.arange(5) < np.array([[5], [3]])
    found, weights = transformer.attend(q, k, v, tf.constant(mask[:, None]), 2)
    expected, mean = [], 0
    for part in (slice(0, 2), slice(2, 4)):
        scores = np.where(mask[:, None], q[..., part] @ k[..., part].swapaxes(1, 2) / 2**0.5, -1e9)
        expected.append(softmax(scores) @ v[..., part])
        mean = mean + softmax(scores) / 2
    np.testing.assert_allclose(found, np.concatenate(expected, -1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weights, mean, rtol=1e-4, atol=1e-6)
    assert not np.any(weights[1, :, 3:])
    table = transformer.positions(2, 3, 4).numpy()
    np.testing.assert_allclose(table[1], [np.sin(3), np.sin(0.03), np.cos(3), np.cos(0.03)],
                               rtol=1e-5)


@pytest.mark.slow
def test_the_steps_of_a_search_are_those_of_training():
    for name in NETWORKS:
        net = network(name)
        batch = batch_of([(4, 5), (6, 5)])
        state, memory = net.encode(batch.source, batch.source_mask)
        found = []
        for words in batch.inputs.T:
            logits, state, _ = net.step(tf.constant(words), state, memory)
            found.append(logits)
        np.testing.assert_allclose(tf.reshape(tf.stack(found, 1), (-1, 20)),
                                   logits_of(net, batch), atol=1e-5)


def test_label_smoothing_is_that_of_numpy():
    logits, words = arrays(3, 5), np.array([1, 4, 0])
    log_probs = np.log(softmax(logits))
    target = np.full((3, 5), 0.2 / 5)
    target[range(3), words] += 0.8
    loss, nats = model.cross_entropy(tf.constant(logits), tf.constant(words), 0.2)
    assert float(loss) == pytest.approx(-(target * log_probs).sum(), rel=1e-5)
    assert float(nats) == pytest.approx(-log_probs[range(3), words].sum(), rel=1e-5)


def rates(steps: list[int], **changed) -> list[float]:
    values = {"learning_rate": 1.0, "warmup_steps": 0, "start_decay_step": 0, "decay_steps": 10000,
              "decay_factor": 0.98, "schedule": "decay", "max_steps": 12000}
    schedule = learning_rate(argparse.Namespace(**values | changed))
    return [float(schedule(step)) for step in steps]


def test_learning_rates_are_those_of_the_original():
    assert rates([0, 9999, 10000, 20000]) == pytest.approx([1, 1, 0.98, 0.98**2])
    iwslt15 = train.PRESETS["iwslt15"]
    half = {name: iwslt15[name] for name in ("start_decay_step", "decay_steps", "decay_factor")}
    assert rates([0, 8999, 9000, 11000, 11999], **half) == pytest.approx([1, 1, 0.5, 0.125, 0.125])
    assert rates([0, 3, 9], warmup_steps=4, learning_rate=2.0) == pytest.approx([0.5, 2, 2])
    cosine = rates([0, 4, 6, 8], schedule="cosine", warmup_steps=4, max_steps=8)
    assert cosine == pytest.approx([0, 1, 0.5, 0], abs=1e-6)


@pytest.mark.parametrize(("argv", "rate"), [
    ([], 0.002), (["--optimizer", "sgd"], 1.0), (["--preset", "book"], 1.0),
    (["--preset", "book", "--optimizer", "adam"], 0.002), (["--model", "transformer"], 0.001),
    (["--preset", "best_zh_transformer"], 0.001),
    (["--preset", "best_vi", "--learning_rate", "0.5"], 0.5)])
def test_the_learning_rate_follows_the_optimizer(argv, rate):
    args = cli.resolve(train.build_parser(), argv)
    assert (args.learning_rate or flags.default_rate(args)) == rate


# Search


def markov(table: np.ndarray):
    """Returns a step whose logits depend on the sentence, the last token and all before it."""
    def step(words, state):
        logits = tf.gather_nd(tf.constant(table), tf.stack([state["sentence"], words], 1))
        history = tf.concat([state["history"][:, 1:], tf.cast(words[:, None], tf.float32)], 1)
        return logits + 0.3 * state["history"], state | {"history": history}, history

    count, size = table.shape[:2]
    return step, {"sentence": tf.range(count), "history": tf.zeros((count, size))}


def all_sequences(table: np.ndarray, sentence: int, limit: int, weight: float):
    """Returns the scores of all sequences that end, the best first."""
    size, found = table.shape[1], []
    for length in range(1, limit + 1):
        for words in itertools.product(range(size), repeat=length):
            if words[-1] != 1 or 1 in words[:-1]:
                continue
            history, last, total = np.zeros(size), 0, 0.0
            for word in words:
                total += np.log(softmax(table[sentence, last] + 0.3 * history))[word]
                history, last = np.append(history[1:], last), word
            found.append((total / ((5 + length) / 6) ** weight, words))
    return sorted(found, reverse=True)


def search(table: np.ndarray, limits: list[int], width: int, weight: float = 0.7):
    step, state = markov(table)
    return beam_search.search(step, state, tf.constant(len(limits)), tf.constant(limits), width, 0,
                              1, lambda lengths: beam_search.length_penalty(lengths, weight))


def test_a_wide_beam_finds_the_best_of_all_sequences():
    table, limits = arrays(3, 4, 4, scale=2), [4, 2, 4]
    found = search(table, limits, 64)
    for sentence, limit in enumerate(limits):
        expected = all_sequences(table, sentence, limit, 0.7)[:5]
        for place, (score, words) in enumerate(expected):
            length = int(found.lengths[sentence, place])
            assert tuple(found.tokens[sentence, place, :length].numpy()) == words
            assert float(found.scores[sentence, place]) == pytest.approx(score, abs=1e-4)
    # What the step gave for each token is kept with it.
    history = found.kept[0, 0, int(found.lengths[0, 0]) - 1].numpy()
    before = [0, *found.tokens[0, 0, : int(found.lengths[0, 0]) - 1].numpy()]
    assert history[-len(before):].tolist() == before


def narrow_search(table: np.ndarray, sentence: int, limit: int, width: int, weight: float):
    """A beam search that continues each sequence by all tokens; the best that end, with scores.

    A sequence may end where the end symbol is among its `width` most probable tokens.
    """
    size = table.shape[1]
    alive, done = [(0.0, (), np.zeros(size), 0)], []
    for _ in range(limit):
        grown = []
        for total, words, history, last in alive:
            log_probs = np.log(softmax(table[sentence, last] + 0.3 * history))
            may_end = np.argsort(-log_probs).tolist().index(1) < width
            grown += [(total + log_probs[word], (*words, word), np.append(history[1:], last), word)
                      for word in range(size) if word != 1 or may_end]
        done += [(total / ((5 + len(words)) / 6) ** weight, words)
                 for total, words, _, last in grown if last == 1]
        alive = sorted((row for row in grown if row[3] != 1), key=lambda row: -row[0])[:width]
    return sorted(done, reverse=True)[:width]


@pytest.mark.parametrize("width", [2, 3, 4])
def test_a_narrow_beam_holds_the_best_continuations(width):
    table, limits = arrays(12, 5, 5, seed=width, scale=2), [5] * 12
    found = search(table, limits, width, 1.5)
    for sentence, limit in enumerate(limits):
        expected = narrow_search(table, sentence, limit, width, 1.5)
        for place, (score, words) in enumerate(expected):
            length = int(found.lengths[sentence, place])
            assert tuple(found.tokens[sentence, place, :length].numpy()) == words
            assert float(found.scores[sentence, place]) == pytest.approx(score, abs=1e-4)


def test_impossible_sequences_are_not_returned():
    """Of two tokens a beam of 64 has few sequences; the rest stays empty."""
    found = search(arrays(2, 2, 2), [9, 9], 64, 1.5)
    assert (found.scores.numpy() > beam_search.NEVER / 2).sum(axis=1).tolist() == [9, 9]


def test_the_attention_of_a_long_sentence_is_drawn(tmp_path):
    words = ["w" * 10_000, *("word" for _ in range(899))]
    pictures.draw_attention(words, words, np.full((901, 900), 0.5), tmp_path / "long.png")
    with Image.open(tmp_path / "long.png") as image:
        assert max(image.size) < 4000


def test_a_beam_of_width_one_is_greedy():
    table, limits = arrays(5, 6, 6, seed=4, scale=2), [7, 3, 7, 5, 7]
    found = search(table, limits, 1)
    for sentence, limit in enumerate(limits):
        history, last, words = np.zeros(6, np.float32), 0, []
        while len(words) < limit and last != 1:
            word = int(np.argmax(table[sentence, last] + 0.3 * history))
            history, last = np.append(history[1:], last), word
            words.append(word)
        length = int(found.lengths[sentence, 0])
        assert found.tokens[sentence, 0, :length].numpy().tolist() == words


def test_length_penalty():
    assert float(beam_search.length_penalty(tf.constant(7), 0.0)) == 1.0
    assert float(beam_search.length_penalty(tf.constant(7), 1.0)) == pytest.approx(2.0)


# Tokens, files


def test_both_forms_of_a_contraction_become_one():
    space = Tokenization("en", "space")
    treebank = tokens.tokenize("They do n't say \" no \" .", space)
    escaped = tokens.tokenize("They don &apos;t say &quot; no &quot; .", space)
    assert treebank == escaped == ["They", "don", "'t", "say", '"', "no", '"', "."]


def test_the_real_files_come_to_one_form(real_data):
    space = Tokenization("en", "space")
    for name in ("train.evb.en", "tst2013.en"):
        lines = corpus.read_lines(real_data(f"nmt/en-vi/{name}"))[:3000]
        words = [word for line in lines for word in tokens.tokenize(line, space)]
        assert words.count("'t") > 10 and words.count("n't") == 0
        assert not any(word.endswith(";") and word.startswith("&") for word in words)


@pytest.mark.parametrize(("text", "how", "expected"), [
    ("我是Tom Smith，25岁。", Tokenization("zh", "char"),
     ["我", "是", "Tom", "Smith", "，", "25", "岁", "。"]),
    ("I can't go.", Tokenization("en", "moses"), ["I", "can", "'t", "go", "."]),
    ("我来到北京", Tokenization("zh", "jieba"), ["我", "来到", "北京"]),
    ("Tom, 我来到北京", Tokenization("zh", "jieba"), ["Tom", ",", "␣", "我", "来到", "北京"]),
    ("Hello, Tom", CHAR._replace(lowercase=False), ["Hello", ",", "␣", "Tom"]),
    ("он 5", Tokenization("ru", "char"), ["о", "н", "␣", "5"]),
    ("as &quot; it is", Tokenization("en"), ["as", "&quot;", "it", "is"]),
])
def test_sentences_are_tokenized_and_joined(text, how, expected):
    assert tokens.tokenize(text, how) == expected
    assert tokens.join(expected, how) == text


def test_scores_do_not_count_spaces():
    how = Tokenization("en", "char")
    assert tokens.join_parts(["Hello", ",", "␣", "Tom"], how) == ["Hello", ",", "Tom"]


def test_the_default_level_fits_the_language():
    levels = {language: tokens.default_level(language) for language in
              ("en", "de", "zh", "zh-CN", "ja", "vi", "xx")}
    assert levels == {"en": "moses", "de": "moses", "zh": "char", "zh-CN": "char", "ja": "char",
                      "vi": "space", "xx": "space"}


def test_parts_of_words_are_joined(tmp_path):
    assert tokens.join(["un@@", "do", "it@@"], Tokenization("en", delimiter="@@")) == "undo it"
    sentences = [text.split() for text, _ in grammar.sentences(200, seed=1)]
    path = tmp_path / "subwords.model"
    tokens.learn_subwords(sentences, 120, path)
    how = Tokenization("en", "space", subwords=str(path))
    parts = tokens.tokenize("The teachers repaired a bicycle .", how)
    assert len(parts) > 6 and tokens.join(parts, how) == "The teachers repaired a bicycle ."
    with pytest.raises(UserError, match="cannot learn"):
        tokens.learn_subwords([["a"]], 5000, path)
    with pytest.raises(UserError, match="no model of SentencePiece"):
        tokens.tokenize("a", how._replace(subwords=str(tmp_path / "none")))


def test_subwords_alter_no_character(tmp_path):
    text, path = "你好，世界…… ½ ™", tmp_path / "subwords.model"
    tokens.learn_subwords([text.split()] * 9, 14, path)
    how = Tokenization("zh", "space", subwords=str(path))
    assert tokens.join(tokens.tokenize(text, how), how) == text


def test_a_word_of_ten_thousand_letters_is_cut(tmp_path):
    how, word = Tokenization("en", "space"), "xy" * 5000
    assert tokens.tokenize(word, how) == [word[: tokens.LONGEST]]
    tokens.learn_subwords([["x", "y", "z"]], 5, tmp_path / "subwords.model")
    how = how._replace(subwords=str(tmp_path / "subwords.model"))
    assert len(tokens.tokenize(word, how)) <= tokens.LONGEST + 1


def test_a_language_without_rules_is_refused():
    with pytest.raises(UserError, match="no rules for the language vi"):
        tokens.check_language(Tokenization("vi", "moses"))
    tokens.check_language(Tokenization("vi", "space"))


def test_vocabularies(tmp_path):
    assert corpus.build_vocabulary([["b", "a", "b"], ["c", "a"]], min_count=2) == [
        *corpus.SPECIAL, "a", "b"]
    path = tmp_path / "vocab.en"
    path.write_text("a\nb\n", encoding="utf-8")
    assert corpus.read_vocabulary(path) == [*corpus.SPECIAL, "a", "b"]
    path.write_text("<unk>\n<s>\n</s>\na\na\n", encoding="utf-8")
    with pytest.raises(UserError, match="'a'"):
        corpus.read_vocabulary(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="empty"):
        corpus.read_vocabulary(path)


def test_lines_end_at_line_feeds_only(tmp_path):
    path = tmp_path / "a.en"
    path.write_bytes("one\u2028still one\r\ntwo\n\n".encode())
    assert corpus.read_lines(path) == ["one\u2028still one", "two", ""]


def write(folder: Path, name: str, english: list[str], chinese: list[str]) -> None:
    for language, lines in (("en", english), ("zh", chinese)):
        (folder / f"{name}.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")


def raw_files(folder: Path) -> list[str]:
    write(folder, "raw", ["A cat &amp; a dog.", "A cat.", "", "It is new.", "Cats eat."],
          ["猫和狗。", "猫。", "空。", "它是新的。", "猫吃。"])
    write(folder, "held", ["A cat."], ["一只猫。"])
    return raw_flags(folder)


def raw_flags(folder: Path) -> list[str]:
    return ["--src", "en", "--tgt", "zh", "--src_level", "moses", "--tgt_level", "char",
            "--train_prefix", str(folder / "raw"), "--dev_prefix", str(folder / "held"),
            "--output_dir", str(folder / "out")]


def test_prepared_files_can_be_trained_on(tmp_path, capsys):
    flags = raw_files(tmp_path)
    assert prepare.main([*flags, "--lowercase"]) == 0
    assert "1 pairs that share a side" in capsys.readouterr().out
    out = tmp_path / "out"
    assert corpus.read_lines(out / "train.en")[0] == "a cat & a dog ."
    assert corpus.read_lines(out / "train.zh") == ["猫 和 狗 。", "它 是 新 的 。", "猫 吃 。"]
    loaded = data.load(data_flags("--dataset", "files", "--data_dir", str(out)))
    assert len(loaded.splits["train"].source) == 3 and "test" not in loaded.splits
    assert loaded.tokenizations == (
        Tokenization("en", "moses", True), Tokenization("zh", "char", True))
    files = ["--dataset", "files", "--data_dir", str(out), "--share_vocab"]
    with pytest.raises(UserError, match="has 0% of the target's tokens"):
        data.load(data_flags(*files))
    assert prepare.main([*flags, "--share_vocab"]) == 0
    shared = data.load(data_flags(*files))
    assert shared.vocabularies[0] == shared.vocabularies[1]
    assert corpus.UNKNOWN_ID not in itertools.chain(*shared.splits["train"].target)


def test_both_languages_can_share_sub_words(tmp_path):
    pairs = grammar.sentences(60, seed=1)
    write(tmp_path, "raw", *zip(*pairs[8:], strict=True))
    write(tmp_path, "held", *zip(*pairs[:8], strict=True))
    flags = raw_flags(tmp_path)
    assert prepare.main([*flags, "--subwords", "400", "--share_vocab"]) == 0
    out = tmp_path / "out"
    how, other = corpus.read_tokenizations(out, "en", "zh")
    assert how.subwords == other.subwords == str(out / "subwords.model")
    assert corpus.read_lines(out / "vocab.en") == corpus.read_lines(out / "vocab.zh")
    assert tokens.join(tokens.tokenize(pairs[0][1], other), other) == pairs[0][1]


def test_prepare_replaces_its_own_files_only(tmp_path, capsys):
    flags, out = raw_files(tmp_path), tmp_path / "out"
    assert prepare.main([*flags, "--test_prefix", str(tmp_path / "held"), "--subwords", "20"]) == 0
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    assert (out / "subwords.en.model").exists() and (out / "test.zh").exists()
    assert prepare.main(flags) == 0
    assert {path.name for path in out.iterdir()} == {
        "train.en", "train.zh", "dev.en", "dev.zh", "vocab.en", "vocab.zh", "tokenization.json",
        "prepared.json", "notes.txt"}
    (out / "prepared.json").unlink()
    fails(prepare.main, flags, "has a dev.en that prepare.py has not written", capsys)
    before = (tmp_path / "raw.en").read_bytes()
    fails(prepare.main, [*flags, "--output_dir", str(tmp_path)], "is the folder of the raw files",
          capsys)
    assert (tmp_path / "raw.en").read_bytes() == before


def test_splits_share_no_source(tmp_path):
    pairs = [(f"s{i % 30}", f"t{i}") for i in range(90)]
    found = prepare.split_pairs(pairs, 5, seed=0)
    sides = {name: {source for source, _ in part} for name, part in found.items()}
    assert len(sides["dev"]) == len(sides["test"]) == 5
    assert sum(map(len, sides.values())) == 30 == len(set.union(*sides.values()))
    cased = prepare.split_pairs([(f"{'sS'[i // 30]}{i % 30}", "t") for i in range(60)], 5, 0, True)
    lower = [{source.lower() for source, _ in part} for part in cased.values()]
    assert sum(map(len, lower)) == 30 == len(set.union(*lower))


def test_sentences_that_differ_in_case_are_leaks_of_lowercase_text():
    train, held_out = [("A cat", "x"), ("a dog", "y")], [("a CAT", "z")]
    assert prepare.without_leaks(train, held_out, lowercase=True) == train[1:]
    assert prepare.without_leaks(train, held_out) == train


def test_prepare_chooses_levels_by_language(tmp_path):
    raw_files(tmp_path)
    assert prepare.main(["--src", "en", "--tgt", "zh", "--train_prefix", str(tmp_path / "raw"),
                         "--dev_prefix", str(tmp_path / "held"),
                         "--output_dir", str(tmp_path / "out")]) == 0
    assert corpus.read_lines(tmp_path / "out/train.en")[0] == "A cat & a dog ."
    assert corpus.read_lines(tmp_path / "out/train.zh")[0] == "猫 和 狗 。"


def fails(main, argv: list[str], says: str, capsys) -> None:
    capsys.readouterr()
    assert main(argv) == 2
    error, hint = capsys.readouterr().err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and says in error and hint.startswith("hint: "), error


def test_bad_files_are_refused(tmp_path, capsys):
    flags = raw_files(tmp_path)
    fails(prepare.main, [*flags, "--tgt_level", "moses"], "no rules for the language zh", capsys)
    fails(prepare.main, [*flags, "--split", "2"], "--split makes dev", capsys)
    fails(prepare.main, [*flags, "--subwords", "9999"], "cannot learn 9999 sub-words", capsys)
    (tmp_path / "raw.zh").write_text("猫\n", encoding="utf-8")
    fails(prepare.main, flags, "raw.en has 5 lines", capsys)
    (tmp_path / "raw.zh").write_bytes("猫和狗在一起\n".encode("gb18030") * 5)
    fails(prepare.main, flags, "not UTF-8", capsys)
    files = ["--dataset", "files", "--data_dir", str(tmp_path)]
    fails(train.main, files, "train.en", capsys)
    fails(train.main, ["--src", "de"], "--src de --tgt zh with --dataset grammar", capsys)
    fails(train.main, ["--data_dir", str(tmp_path)], "--data_dir", capsys)
    write(tmp_path, "train", [""], [""])
    write(tmp_path, "dev", ["a"], ["b"])
    write(tmp_path, "vocab", ["a"], ["b"])
    fails(train.main, files, "no pair of sentences is left in train", capsys)
    write(tmp_path, "train", ["a"], ["b"])
    for language in ("en", "zh"):
        (tmp_path / f"test.{language}").write_text("", encoding="utf-8")
    fails(train.main, files, "no pair of sentences is left in test", capsys)


# Data


def data_flags(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    data.add_flags(parser)
    return argparse.Namespace(**vars(parser.parse_args(argv)), seed=3)


def test_the_grammar_is_a_function_and_test_sentences_are_new():
    drawn = grammar.sentences(3000, seed=0)
    assert len(dict(drawn)) == 3000
    assert len({word for text, _ in drawn for word in tokens.tokenize(text, CHAR)}) >= 200
    parts = data.read_grammar()[0]
    assert {name: len(pairs.source) for name, pairs in parts.items()} == data.GRAMMAR
    known = set(map(tuple, parts["train"].source))
    assert not known & set(map(tuple, [*parts["test"].source, *parts["dev"].source]))
    back, ways = data.read_grammar("zh")
    assert back["dev"].source == parts["dev"].target and back["dev"].target == parts["dev"].source
    assert [way.language for way in ways] == ["zh", "en"]


def test_each_sentence_of_the_grammar_has_one_translation():
    rng, found = np.random.default_rng(3), {}
    for _ in range(30_000):
        english, chinese = grammar.sentence(rng)
        assert found.setdefault(english, chinese) == chinese
    written = "".join(found.values())
    results = [grammar.VERBS[number][4] for number in grammar.RESULTS]
    assert all(verb in written for verb in results)
    for verb in results:  # what has been done at once is not being done
        assert not any(f"{before}{verb}" in written for before in ("正在", "在", "不"))
    assert not any(f"{grammar.VERBS[number][4]}了" in written for number in grammar.STATES)


def test_dropped_cut_and_empty_sentences_are_counted():
    pairs = Corpus([["a", "b", "c"], [], ["a"]], [["x"], ["x"], ["x"] * 5])
    vocabularies = [*corpus.SPECIAL, "a", "b"], [*corpus.SPECIAL, "x"]
    training = data.encode(pairs, vocabularies, (2, 4), training=True)
    assert training.counts == {"empty": 1, "cut": 2}
    assert training.source == [[3, 4], [3]] and training.target == [[3], [3] * 4]
    test = data.encode(pairs, vocabularies, (2, 4), training=False, reverse=True)
    assert test.counts == {"empty": 1, "cut": 0}
    assert test.source == [[0, 4, 3], [], [3]] and test.target[2] == [3] * 5
    unknown = data.encode(Corpus([["q", "a"]], [["x"]]), vocabularies, (9, 9), training=False)
    assert unknown.source == [[corpus.UNKNOWN_ID, 3]]


def test_buckets_are_those_of_the_original():
    lengths = np.array([0, 9, 10, 49, 50, 200])
    zeros = np.zeros(6, int)
    assert data.bucket_ids(lengths, zeros, 5, 50).tolist() == [0, 0, 1, 4, 5, 5]
    assert data.bucket_ids(zeros, lengths, 5, 50).tolist() == [0, 0, 1, 4, 5, 5]
    assert data.bucket_ids(lengths, zeros, 5, None).tolist() == [0, 0, 1, 4, 5, 5]
    assert data.bucket_ids(lengths, zeros, 5, 22).tolist() == [0, 1, 2, 5, 5, 5]
    assert data.bucket_ids(lengths, zeros, 1, 50).tolist() == [0] * 6


@pytest.mark.parametrize("flags", [["--batch_size", "4"], ["--batch_tokens", "60"]])
def test_an_epoch_has_every_pair_once_and_batches_resume(flags):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, (50, 2))
    split = data.Split([[int(i)] * a for i, (a, _) in enumerate(lengths, 3)],
                       [[4] * b for _, b in lengths], [], [], {})
    args = data_flags(*flags)
    batches = data.Batches(split, args)
    first, second = batches.epoch(0), batches.epoch(1)
    assert len(first) == len(second) == len(batches)
    assert sorted(np.concatenate(first)) == list(range(50))
    assert [list(x) for x in first] != [list(x) for x in second]
    whole = list(itertools.islice(batches.start_at(0), len(batches) + 5))
    late = list(itertools.islice(data.Batches(split, args).start_at(len(batches) + 2), 3))
    for a, b in zip(whole[-3:], late, strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))
    for batch in whole:
        assert batch.source_mask.sum(axis=1).min() > 0
        if args.batch_tokens:
            assert max(batch.source.size, batch.outputs.size) <= 60
    assert whole[0].inputs[0, 0] == corpus.START_ID
    row = whole[0]
    ends = row.target_mask.sum(axis=1) - 1
    assert (row.outputs[range(len(ends)), ends] == corpus.END_ID).all()


# A trained run


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run on sixty sentences, long enough to have learned most of them."""
    run = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "GRAMMAR", {"train": 12, "dev": 4, "test": 4})
        assert train.main(["--num_units", "32", "--batch_size", "6", "--max_steps", "150",
                           "--eval_every", "75", "--save_every", "50", "--dropout", "0",
                           "--learning_rate", "0.01", "--warmup_steps", "5", "--schedule", "decay",
                           "--num_buckets", "1",
                           "--metrics", "bleu,rouge", "--run_dir", str(run)]) == 0
    return run


def load(run: Path, **changed) -> inference.Run:
    args = SimpleNamespace(**{"run_dir": run, "checkpoint": "latest", "metric": None, "typed": {}}
                           | changed)
    flags = argparse.Namespace(**rundir.read_config(run)["flags"])
    return inference.load_run(args, flags, changed.get("average", 1))


def train_pairs() -> list[tuple[str, str]]:
    return grammar.sentences(20, seed=0)[8:]


@pytest.mark.slow
def test_a_few_sentences_are_learned(trained):
    run = load(trained)
    english, chinese = zip(*train_pairs(), strict=True)
    found, _ = inference.Translate(run).texts(english, Decoding())
    right = [tokens.join(best.tokens, run.tokenizations[1]) == text
             for (best, *_), text in zip(found, chinese, strict=True)]
    assert sum(right) >= 10
    record = (trained / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    assert {"bleu", "rouge", "perplexity"} <= json.loads(record).keys()
    assert list((trained / "samples").glob("*.png")) and list((trained / "samples").glob("*.txt"))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 4])
def test_a_translation_does_not_depend_on_its_batch(trained, width):
    run = load(trained)
    translator = inference.Translate(run)
    sources = [tokens.tokenize(text, run.tokenizations[0]) for text, _ in
               [*train_pairs()[:9], *grammar.sentences(9, seed=5)]]
    how = Decoding(beam_width=width, length_penalty_weight=1.0, nbest=width, attention=True)
    whole = translator.sentences(sources, how)
    single = translator.sentences(sources, how._replace(batch_size=1))
    order = np.random.default_rng(0).permutation(len(sources))
    shuffled = translator.sentences([sources[i] for i in order], how._replace(batch_size=5))
    for i, translations in enumerate(whole):
        for others in (single[i], shuffled[list(order).index(i)]):
            for one, other in zip(translations, others, strict=True):
                assert one.tokens == other.tokens
                assert one.score == pytest.approx(other.score, abs=1e-4)
                np.testing.assert_allclose(one.attention, other.attention, atol=1e-4)
        assert translations[0].attention.shape[1] == len(sources[i])
        np.testing.assert_allclose(translations[0].attention.sum(axis=1), 1, atol=1e-5)
    # A network that reads from the last token to the first sees the reversed sentence.
    run.flags.source_reverse = True
    mirrored = translator.sentences([source[::-1] for source in sources], how)
    run.flags.source_reverse = False
    for translations, others in zip(whole, mirrored, strict=True):
        assert translations[0].tokens == others[0].tokens
        np.testing.assert_allclose(translations[0].attention, others[0].attention[:, ::-1],
                                   atol=1e-4)
    # Asking for fewer does not change the best.
    best = translator.sentences(sources, how._replace(nbest=1, attention=False))
    assert [a.tokens for a, *_ in best] == [a.tokens for a, *_ in whole]


def rows(texts: list[str], width: int, weight: float) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The inputs of an export's signature."""
    count = len(texts)
    return tf.constant(texts, tf.string), tf.fill((count,), width), tf.fill((count,), weight)


@pytest.mark.slow
def test_a_transformer_is_searched_and_exported_alike():
    words = [*corpus.SPECIAL, *"abcdefghijklmnopq"]
    flags = train.build_parser().parse_args(["--model", "transformer"])
    run = inference.Run(network("shared"), (words, words), (Tokenization("en"),) * 2, flags)
    texts = ["a b c d", "q", "e f g a b c d h", ""]
    translator, how = inference.Translate(run), Decoding(3, 1.0, nbest=3, attention=True)
    whole, sources = translator.texts(texts, how)
    single, _ = translator.texts(texts, how._replace(batch_size=1))
    for i, source in enumerate(sources):
        for one, other in zip(whole[i], single[i], strict=True):
            assert one.tokens == other.tokens
            assert one.score == pytest.approx(other.score, abs=1e-4)
        if source:
            assert 1 <= len(whole[i]) <= 3 and whole[i][0].attention.shape[1] == len(source)
            np.testing.assert_allclose(whole[i][0].attention.sum(axis=1), 1, atol=1e-5)
    found = export.Translator(run).translate(*rows(texts, 3, 1.0))["translations"]
    assert [text.decode() for text in found.numpy()] == [
        " ".join(best.tokens) for best, *_ in whole]


@pytest.mark.slow
def test_samples_depend_on_the_seed_and_the_number_only(trained):
    run = load(trained)
    translator, source = inference.Translate(run), tokens.tokenize("the cook eats.", CHAR)
    how = Decoding(temperature=1.5, seed=1, length_penalty_weight=1.0)
    alone = translator.sentences([source], how, [7])[0][0]
    among = translator.sentences([["a", "cat"], source, []], how, [1, 7, 9])[1][0]
    assert among.tokens == alone.tokens and among.score == pytest.approx(alone.score, abs=1e-4)
    # Equal sentences get different samples, of different numbers and of different seeds.
    several = [best.tokens for best, *_ in translator.sentences([source] * 6, how)]
    assert len(set(map(tuple, several))) > 1 and several[0] != alone.tokens
    seeds = {tuple(translator.sentences([source], how._replace(seed=seed))[0][0].tokens)
             for seed in range(6)}
    assert len(seeds) > 1


@pytest.mark.slow
def test_the_score_of_a_sample_is_its_probability(trained):
    run = load(trained)
    source = tokens.tokenize("the cook eats.", CHAR)
    how = Decoding(temperature=1.5, attention=True)
    found, *_ = inference.Translate(run).sentences([source], how)[0]
    ids = [[vocabulary.index(token) if token in vocabulary else 0 for token in words]
           for vocabulary, words in zip(run.vocabularies, (source, found.tokens), strict=True)]
    batch = data.pad(data.Split([ids[0]], [ids[1]], [], [], {}), [0])
    words = tf.boolean_mask(batch.outputs, batch.target_mask)
    nats = float(model.cross_entropy(logits_of(run.model, batch), words)[1])
    assert len(found.attention) == len(found.tokens) + 1  # it has ended within the limit
    assert found.score == pytest.approx(-nats, abs=1e-3)
    np.testing.assert_allclose(found.attention.sum(axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_weights_of_several_checkpoints_are_averaged(trained):
    mean = load(trained, average=3).model.get_weights()
    each = [load(trained, checkpoint=step).model.get_weights() for step in ("50", "100", "150")]
    for found, *parts in zip(mean, *each, strict=True):
        if found.dtype == np.float32:
            np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1e-6)
    with pytest.raises(UserError, match="3 regular checkpoints, not 4"):
        load(trained, average=4)  # beside them is that of the first update
    load(trained, metric="rouge")
    with pytest.raises(UserError, match="without accuracy"):
        load(trained, metric="accuracy")
    with pytest.raises(UserError, match="--metric rouge with --average 3"):
        load(trained, metric="rouge", average=3)


@pytest.mark.slow
def test_the_export_translates_as_translate_does(trained):
    run = load(trained)
    held = export.Translator(run)
    texts = [*(text for text, _ in train_pairs()[:5]), "", "  ", "Two&quot;CATS, do n't"]
    found = held.translate(*rows(texts, 3, 1.0))
    how = Decoding(beam_width=3, length_penalty_weight=1.0, nbest=3)
    expected, _ = inference.Translate(run).texts(texts, how)
    assert [text.decode() for text in found["translations"].numpy()] == [
        tokens.join(best.tokens, run.tokenizations[1]) for best, *_ in expected]
    np.testing.assert_allclose(found["scores"], [best.score for best, *_ in expected], atol=1e-4)
    assert held.translate(*rows([], 3, 1.0))["translations"].shape == (0,)
    # Both see whole sentences, longer than those of training, and both can cut them.
    long, limit = " ".join(["the cook eats an egg"] * 14), run.flags.src_max_len + 5
    assert len(tokens.tokenize(long, run.tokenizations[0])) > limit > run.flags.src_max_len
    seen = {}
    for most in (None, 5):
        (whole,), _ = inference.Translate(run).texts([long], how._replace(src_max_len=most))
        there = export.Translator(run, most).translate(*rows([long], 3, 1.0))
        seen[most] = there["translations"].numpy()[0].decode()
        assert seen[most] == tokens.join(whole[0].tokens, run.tokenizations[1])
        np.testing.assert_allclose(there["scores"][0], whole[0].score, atol=1e-4)
    assert seen[None] != seen[5]
    several = held.nbest(*rows(texts[:1], 3, 1.0))["translations"].numpy()[0]
    assert [text.decode() for text in several] == [
        tokens.join(one.tokens, run.tokenizations[1]) for one in expected[0]]


@pytest.mark.parametrize("how", [CHAR, Tokenization("zh", "char"), Tokenization("en", "space"),
                                 Tokenization("en"), Tokenization("ru", "char", lowercase=True),
                                 Tokenization("vi", "char"), Tokenization("de", delimiter="++")])
def test_the_graph_tokenizes_and_joins_as_python_does(how):
    texts = ["I don't know, Tom!", "我是Tom Smith，25岁。", " a  b\u3000c ", "&lt;do n't&gt; É", "",
             "Я люблю, тебя.", "The dogs' house: 3.5 m, 我 们 a", "été n't &amp;quot;x&nbsp;&#91;",
             "Cafe\u0301 e\u0323\u0302 e\u0302\u0323 x\u0302 \u1112\u1161\u11ab \u212b",
             "&eacute; &#233;", "a\x85b\x0bc\x1cd\u2028e", "Thế hệ++ mới+"]
    found = [[word.decode() for word in words] for words in
             export.tokenize(tf.constant(texts), how, Compose()).to_list()]
    assert found == [tokens.tokenize(text, how) for text in texts]
    joined = [text.decode() for text in export.join(tf.ragged.constant(found), how).numpy()]
    assert joined == [tokens.join(words, how) for words in found]
    if how.level == "char":  # nothing is lost
        assert joined == [tokens.clean(text, how.lowercase) for text in texts]


def test_letters_are_composed_as_in_the_standard():
    letters = [letter for letter in map(chr, range(0x30000))
               if not unicodedata.is_normalized("NFD", letter)]
    texts = [f"a{unicodedata.normalize('NFD', letter)}b" for letter in letters]
    found = [text.decode() for text in Compose()(tf.constant(texts)).numpy()]
    assert found == [unicodedata.normalize("NFC", text) for text in texts]
    assert Compose()(tf.constant([], tf.string)).shape == (0,)


@pytest.mark.slow
def test_translate_reads_files_stdin_and_lines(trained, tmp_path, capsys, monkeypatch):
    run = ["--run_dir", str(trained)]
    file, out = tmp_path / "in.en", tmp_path / "out.zh"
    texts = [text for text, _ in train_pairs()[:2]]
    file.write_text("\n".join([texts[0], "", "zebra " * 60, texts[1]]) + "\n", encoding="utf-8")
    assert translate.main([*run, "--input_file", str(file), "--output_file", str(out),
                           "--attention_png", str(tmp_path / "a.png"),
                           "--src_max_len_infer", "50"]) == 0
    assert "4 sentences: 1 empty, 1 cut to 50 tokens, 50 tokens unknown" in capsys.readouterr().err
    lines = corpus.read_lines(out)
    assert len(lines) == 4 and lines[0] and not lines[1] and (tmp_path / "a.png").is_file()
    line = [*run, "--input_file", str(file), "--inference_list", "4"]
    assert translate.main(line) == 0
    assert capsys.readouterr().out.splitlines() == [lines[3]]
    assert translate.main([*line, "--nbest", "2", "--beam_width", "3"]) == 0
    printed = [row.split("\t") for row in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in printed] == ["4", "4"] and printed[0][1] != printed[1][1]
    assert float(printed[0][2]) >= float(printed[1][2])
    assert translate.main([*run, "--input_file", str(file)]) == 0
    assert "4 sentences: 1 empty, 60 tokens unknown" in capsys.readouterr().err
    assert translate.main([*line, "--nbest", "3"]) == 0
    alone = capsys.readouterr().out
    assert translate.main([*line, "--nbest", "3", "--beam_width", "3"]) == 0
    assert capsys.readouterr().out == alone and alone.count("\n") == 3
    assert translate.main([*run, "--input_file", str(file), "--ref_file", str(out),
                           "--src_max_len_infer", "50"]) == 0
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert scores["bleu"] == pytest.approx(100)
    assert translate.main([*line, "--ref_file", str(out)]) == 0  # line 4 of both files
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert scores["bleu"] == pytest.approx(100)
    def type_in(written: bytes) -> None:
        stdin = SimpleNamespace(buffer=io.BytesIO(written), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", stdin)

    type_in(f"{texts[0]}\u2028\n".encode())
    assert translate.main([*run, "--input_file", "-", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["source"] == f"{texts[0]}\u2028" and answer["translations"][0]["text"] == lines[0]
    type_in(f"{texts[0]}\n\n".encode())
    assert translate.main([*run, "--interactive"]) == 0
    assert capsys.readouterr().out.splitlines() == [lines[0], ""]
    type_in(b"\xff\xfe\n")
    fails(translate.main, [*run, "--interactive"], "stdin", capsys)


@pytest.mark.slow
def test_bad_use_of_translate_is_refused(trained, tmp_path, capsys, monkeypatch):
    run = ["--run_dir", str(trained), "a cat"]
    fails(translate.main, run[:2], "no sentence to translate", capsys)
    fails(translate.main, [*run, "--nbest", "3", "--beam_width", "2"],
          "--nbest 3 of a beam of width 2", capsys)
    fails(translate.main, [*run, "--inference_list", "2"], "--inference_list 2", capsys)
    fails(translate.main, [*run, "--sampling_temperature", "1", "--beam_width", "2"],
          "--sampling_temperature", capsys)
    file = tmp_path / "refs"
    file.write_text("a\nb\n", encoding="utf-8")
    fails(translate.main, [*run, "--ref_file", str(file)], "2 lines, there are 1 sentences", capsys)
    fails(translate.main, [*run, "--input_file", str(file)], "both", capsys)
    fails(translate.main, [*run, "--interactive"], "both sentences and --interactive", capsys)
    for idle in (["--ref_file", str(file)], ["--inference_list", "1"], ["--json"]):
        fails(translate.main, [*run[:2], "--interactive", *idle], "has no effect with", capsys)
    fails(translate.main, [*run, "--seed", "3"], "--seed 3 has no effect", capsys)
    fails(translate.main, [*run, "--sampling_temperature", "1", "--nbest", "2"], "--nbest 2",
          capsys)
    fails(translate.main, [*run, "--average", "2", "--checkpoint", "50"],
          "--checkpoint 50 has no effect with --average 2", capsys)
    fails(translate.main, [*run, "--metric", "rouge", "--checkpoint", "best"],
          "--checkpoint best has no effect with --metric rouge", capsys)
    for png in ("a.foo", "none/a.png"):
        fails(translate.main, [*run, "--attention_png", str(tmp_path / png)], png, capsys)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))  # closed
    fails(translate.main, [*run[:2], "--input_file", "-"], "no sentence to translate", capsys)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\xff\xfe\xff")))
    fails(translate.main, [*run[:2], "--input_file", "-"], "stdin", capsys)


def test_unknown_words_are_replaced_by_what_was_attended_to():
    weights = np.array([[0.1, 0.9], [0.7, 0.3], [0.5, 0.5]])
    found = inference.Translation(["<unk>", "x"], 0.0, weights)
    assert inference.replace_unknown(found, ["a", "Tom"]) == ["Tom", "x"]


@pytest.mark.parametrize(("argv", "says"), [
    (["--num_layers", "3"], "cannot be halved"),
    (["--attention", "none", "--no-pass_hidden_state"], "leaves nothing of the source"),
    (["--context", "every_step"], "--context every_step has no effect"),
    (["--unit_type", "gru", "--forget_bias", "0"], "--forget_bias 0.0 has no effect"),
    (["--init_op", "glorot_normal", "--init_weight", "1"], "--init_weight"),
    (["--decay_factor", "0.5"], "--decay_factor 0.5 has no effect with --schedule cosine"),
    (["--batch_tokens", "900", "--batch_size", "3"], "--batch_size 3 has no effect"),
    (["--metrics", "bleu,meteor"], "meteor"),
    (["--metrics", "bleu,bleu"], "twice"),
    (["--encoder_type", "gnmt", "--num_layers", "1"], "two layers"),
    (["--residual", "--encoder_type", "uni", "--num_layers", "1"], "--residual has no effect"),
    (["--residual", "--encoder_type", "gnmt"], "--residual has no effect"),
    (["--share_vocab", "--tgt_embedding_file", "x"], "has no effect with --share_vocab"),
    (["--num_heads", "2"], "--num_heads 2 has no effect with --model rnn"),
    (["--model", "transformer", "--attention", "luong"], "--attention luong has no effect"),
    (["--model", "transformer", "--num_units", "30"], "--num_heads 4"),
])
def test_flags_that_contradict_each_other_are_refused(argv, says, capsys):
    fails(train.main, argv, says, capsys)


@pytest.mark.slow
def test_training_stops_early_and_stays_stopped(runs, monkeypatch, capsys):
    monkeypatch.setattr(data, "GRAMMAR", {"train": 16, "dev": 4, "test": 4})
    monkeypatch.setitem(train.METRICS, "bleu", lambda *_: 1.0)
    flags = ["--num_units", "8", "--num_layers", "1", "--encoder_type", "uni", "--batch_size", "8",
             "--max_steps", "50", "--eval_every", "2", "--patience", "2", "--name", "run"]
    assert train.main(flags) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["step"] == 6
    fails(train.main, ["--name", "run"], "has stopped early", capsys)
