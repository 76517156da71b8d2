"""Chapter 14: examples against a slow loop, losses against formulas, analogies by hand."""

import argparse
import json
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import werkzeug.test
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.projector import projector_plugin

from chapter14_word2vec import analogy, data, eval, examples, export, inference, train, vectors
from chapter14_word2vec.model import (
    Word2Vec,
    expected_count,
    nce_loss,
    noise_probability,
    sample_noise,
)
from chapter14_word2vec.negative_sampling import (
    NOISE,
    ROW,
    closeness,
    cumulative_noise,
    draw_noise,
    keep_probability,
    negative_sampling_loss,
)
from common import checkpoint, files, rundir
from common.errors import UserError
from common.text import read_text

TINY = ["--preset", "book", "--vocabulary_size", "30", "--embedding_size", "6",
        "--num_sampled", "4", "--batch_size", "8", "--max_steps", "20"]
SENTENCES = ("the king rules the land", "the queen rules the sea", "a man sails to the land",
             "a woman sails to the sea", "kings and queens rule over men and women",
             "every dog chases some other cat near this old stone house")


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(SENTENCES * 20), encoding="utf-8")
    return path


def trained(text_file, *argv, name="run"):
    assert train.main(["--input_file", str(text_file), *TINY, "--name", name, *argv]) == 0
    return rundir.runs_dir() / "chapter14_word2vec" / name


def load_run(run, *flags):
    args = argparse.Namespace(run_dir=run, checkpoint="latest")
    return inference.load_run(args, train.build_parser().parse_args([*flags]))


def windows(tokens, skip_window):
    """The plain reference: each whole window's centre and neighbours, word by word."""
    found = []
    for centre in range(skip_window, len(tokens) - skip_window):
        neighbours = [tokens[centre + o] for o in range(-skip_window, skip_window + 1) if o]
        found.append((tokens[centre], neighbours))
    return found


@pytest.mark.parametrize(("skip_window", "num_skips"), [(1, 1), (1, 2), (2, 2), (3, 4), (2, 4)])
def test_skip_gram_pairs_against_a_slow_loop(skip_window, num_skips):
    tokens = np.arange(100, 123, dtype=np.int32)
    expected = windows(tokens, skip_window)
    batch_size, batches = 4 * num_skips, 9  # reaches into the second round
    stream = data.training_batches(tokens, "skipgram", batch_size, skip_window, num_skips, seed=3)
    pairs = []
    for centres, labels in stream.take(batches):
        assert centres.shape == labels.shape == (batch_size,)
        pairs += zip(centres.numpy().tolist(), labels.numpy().tolist(), strict=True)
    for i in range(4 * batches):
        centre, neighbours = expected[i % len(expected)]
        group = pairs[i * num_skips : (i + 1) * num_skips]
        assert {word for word, _ in group} == {centre}
        labels = [label for _, label in group]
        assert len(set(labels)) == num_skips and set(labels) <= set(neighbours)


def test_every_neighbour_is_drawn_equally_often():
    tokens = np.arange(7, dtype=np.int32)  # with a window of 3, the only centre is 3
    labels = [batch[1].numpy() for batch in
              data.training_batches(tokens, "skipgram", 64, 3, 2, seed=0).take(50)]
    counts = np.bincount(np.concatenate(labels), minlength=7)
    assert counts[3] == 0 and counts.sum() == 3200
    np.testing.assert_allclose(counts[[0, 1, 2, 4, 5, 6]], 3200 / 6, rtol=0.15)


@pytest.mark.parametrize("skip_window", [1, 2])
def test_cbow_examples_against_a_slow_loop(skip_window):
    tokens = np.random.default_rng(0).integers(0, 50, 17).astype(np.int32)
    expected = windows(tokens, skip_window)
    found = []
    for inputs, labels in data.training_batches(tokens, "cbow", 5, skip_window, 9, seed=0).take(6):
        assert inputs.shape == (5, 2 * skip_window) and labels.shape == (5,)
        found += zip(labels.numpy().tolist(), inputs.numpy().tolist(), strict=True)
    assert found == [(c, n) for c, n in (expected[i % len(expected)] for i in range(30))]


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_batch_k_depends_on_the_seed_and_k_alone(model):
    tokens = np.random.default_rng(1).integers(0, 1000, 200).astype(np.int32)
    def stream(seed, start):
        batches = data.training_batches(tokens, model, 8, 3, 4, seed, start).take(12 - start)
        return [(inputs.numpy(), labels.numpy()) for inputs, labels in batches]
    whole, late, other = stream(5, 0), stream(5, 7), stream(6, 0)
    for expected, got in zip(whole[7:], late, strict=True):
        np.testing.assert_array_equal(expected[0], got[0])
        np.testing.assert_array_equal(expected[1], got[1])
    same = all((a[1] == b[1]).all() for a, b in zip(whole, other, strict=True))
    assert same == (model == "cbow")  # CBOW draws nothing


def test_the_noise_distribution_is_the_books():
    p = noise_probability(tf.range(50000), 50000).numpy()
    np.testing.assert_allclose(p[[0, 1, 49999]], [0.0640629, 0.0374744, 1.848445e-6], rtol=1e-5)
    assert p.sum() == pytest.approx(1, abs=1e-9)


def test_expected_counts_are_tensorflows_own():
    sampler = tf.random.log_uniform_candidate_sampler([[7]], 1, 64, True, 5000, seed=1)
    words, _, counts = (part.numpy() for part in sampler)
    p = noise_probability(tf.constant(words), 5000).numpy()
    tries = np.log1p(-counts.astype(float)) / np.log1p(-p)  # from count = 1 - (1 - p)^tries
    found = expected_count(tf.constant(words), tf.constant(round(tries.mean())), 5000)
    assert round(tries.mean()) >= 64
    np.testing.assert_allclose(found, counts, rtol=1e-4)


def test_noise_words_differ_and_their_draws_are_counted():
    counts, tries = np.zeros(40), []
    sample = tf.function(sample_noise)
    for step in range(400):
        key = tf.constant([3, step], tf.int64)
        words, drawn = sample(key, 8, 40)
        assert len(set(words.numpy().tolist())) == 8 and drawn >= 8
        counts[words.numpy()] += 1
        tries.append(int(drawn))
    expected = np.mean([expected_count(tf.range(40), tf.constant(t), 40) for t in tries], axis=0)
    np.testing.assert_allclose(counts / 400, expected, atol=0.08)
    again, _ = sample_noise(tf.constant([3, 399], tf.int64), 8, 40)
    np.testing.assert_array_equal(again, words)


def test_the_whole_vocabulary_can_be_the_noise():
    words, tries = sample_noise(tf.constant([0, 1], tf.int64), 30, 30)
    assert sorted(words.numpy()) == list(range(30)) and tries > 30


def random_case(seed=0, vocabulary_size=20, size=5, batch=4):
    model = Word2Vec(vocabulary_size, size, seed)
    rng = np.random.default_rng(seed)
    model.nce_biases.assign(rng.normal(size=vocabulary_size))
    labels = tf.constant(rng.integers(0, vocabulary_size, batch), tf.int32)
    hidden = tf.constant(rng.normal(size=(batch, size)), tf.float32)
    noise, tries = sample_noise(tf.constant([seed, 1], tf.int64), 6, vocabulary_size)
    return model, hidden, labels, noise, tries


def test_nce_loss_against_the_formula_in_numpy():
    model, hidden, labels, noise, tries = random_case()
    weights, biases, h = model.nce_weights.numpy(), model.nce_biases.numpy(), hidden.numpy()
    p = np.log((np.arange(20) + 2) / (np.arange(20) + 1)) / np.log(21)
    count = 1 - (1 - p) ** int(tries)
    log_sigmoid = lambda x: -np.log1p(np.exp(-x))  # noqa: E731
    expected = []
    for vector, label in zip(h, labels.numpy(), strict=True):
        true = vector @ weights[label] + biases[label] - np.log(count[label])
        others = [vector @ weights[w] + biases[w] - np.log(count[w]) for w in noise.numpy()]
        expected.append(-log_sigmoid(true) - sum(log_sigmoid(-score) for score in others))
    np.testing.assert_allclose(nce_loss(model, hidden, labels, noise, tries), expected, rtol=1e-4)


def test_nce_loss_is_tensorflows():
    model, hidden, labels, noise, tries = random_case(1)
    counts = [expected_count(words, tries, 20) for words in (labels[:, None], noise)]
    library = tf.nn.nce_loss(
        model.nce_weights, model.nce_biases, tf.cast(labels, tf.int64)[:, None], hidden, 6, 20,
        sampled_values=(tf.cast(noise, tf.int64), *counts))
    np.testing.assert_allclose(nce_loss(model, hidden, labels, noise, tries), library, rtol=1e-5)


def test_first_values_and_parameters_are_the_books():
    model = Word2Vec(2000, 128)
    embeddings, weights = model.embeddings.numpy(), model.nce_weights.numpy()
    assert -1 <= embeddings.min() < -0.99 and 0.99 < embeddings.max() <= 1
    assert abs(weights).max() <= 2 / np.sqrt(128) + 1e-6  # cut off at two standard deviations
    assert weights.std() == pytest.approx(0.88 / np.sqrt(128), rel=0.01)
    assert not model.nce_biases.numpy().any()
    shapes = [variable.shape for variable in Word2Vec(50000, 128).trainable_variables]
    assert sum(shape.num_elements() for shape in shapes) == 12_850_000


def test_small_first_values_are_those_of_word2vec():
    model = Word2Vec(2000, 50, small=True)
    embeddings = model.embeddings.numpy()
    assert -0.01 <= embeddings.min() < -0.0099 and 0.0099 < embeddings.max() <= 0.01
    assert not model.nce_weights.numpy().any()


def nce_step(model, window, num_sampled, learning_rate, seed):
    corpus = data.Corpus([str(i) for i in range(200)], np.arange(200), "")
    flags = train.build_parser().parse_args(["--num_sampled", str(num_sampled)])
    loss = train.make_loss(model, corpus, flags)
    return train.make_train_step(model, [], window, loss, lambda step: learning_rate, seed)


@pytest.mark.parametrize("examples", [[3, 5, 3, 9], [[3, 5], [5, 5], [9, 2], [3, 7]]])
def test_a_step_touches_the_rows_of_its_own_words_and_no_others(examples):
    model, window = Word2Vec(200, 4, seed=1), tf.Variable(tf.zeros(2))
    before = [variable.numpy() for variable in model.trainable_variables]
    labels, step = tf.constant([11, 12, 11, 13]), tf.constant(6, tf.int64)
    nce_step(model, window, 5, 0.5, seed=2)(tf.constant(examples), labels, step)
    noise, tries = sample_noise(tf.stack([tf.constant(2, tf.int64), step]), 5, 200)
    output_rows = {11, 12, 13, *noise.numpy().tolist()}
    rows = {}
    for old, variable in zip(before, model.trainable_variables, strict=True):
        moved = np.flatnonzero((old != variable.numpy()).reshape(200, -1).any(axis=1))
        rows[variable.ref()] = set(moved.tolist())
    assert rows[model.embeddings.ref()] == set(np.ravel(examples).tolist())
    assert rows[model.nce_weights.ref()] == rows[model.nce_biases.ref()] == output_rows
    fresh = Word2Vec(200, 4, seed=1)
    with tf.GradientTape() as tape:
        hidden = fresh.hidden(tf.constant(examples))
        loss = tf.reduce_mean(nce_loss(fresh, hidden, labels, noise, tries))
    gradients = tape.gradient(loss, fresh.trainable_variables)
    for variable, gradient, now in zip(fresh.trainable_variables, gradients,
                                       model.trainable_variables, strict=True):
        assert isinstance(gradient, tf.IndexedSlices)  # dense: a product over the vocabulary
        expected = variable - 0.5 * tf.convert_to_tensor(gradient)  # repeated rows summed
        np.testing.assert_allclose(now, expected, atol=1e-6)
    assert window.numpy() == pytest.approx([float(loss), 1])


def test_keep_probability_by_hand():
    keep = keep_probability(np.array([50, 90, 9, 1]), 0.04)
    assert keep[0] == 0  # UNK is no word
    np.testing.assert_allclose(keep[1], np.sqrt(0.04 / 0.9) + 0.04 / 0.9, rtol=1e-6)
    np.testing.assert_allclose(keep[2:], [1, 1])  # √(.04 / .09) + .04 / .09 = 1.11
    assert keep_probability(np.array([50, 90, 9, 1]), 0).tolist() == [0, 1, 1, 1]


def test_negative_noise_follows_counts_to_the_power_of_three_quarters():
    cumulative = tf.constant(cumulative_noise(np.array([99, 16, 1, 81])))
    np.testing.assert_allclose(cumulative, [0, 8 / 36, 9 / 36, 1], rtol=1e-12)
    words = draw_noise(tf.constant([3, 1], tf.int64), 500, cumulative).numpy()
    assert words.shape == (500, NOISE)
    np.testing.assert_allclose(np.bincount(words.ravel()) / words.size,
                               [0, 8 / 36, 1 / 36, 27 / 36], atol=0.01)
    again = draw_noise(tf.constant([3, 1], tf.int64), 500, cumulative)
    other = draw_noise(tf.constant([3, 2], tf.int64), 500, cumulative)
    assert (again == words).numpy().all() and (other != words).numpy().any()


def test_closeness_is_what_windows_of_random_reach_give():
    row, skip_window = 4, 3
    expected = np.zeros((row, row + 2 * skip_window))
    for reach in range(1, skip_window + 1):
        for centre in range(row):
            for neighbour in range(row + 2 * skip_window):
                if 0 < abs(neighbour - skip_window - centre) <= reach:
                    expected[centre, neighbour] += 1 / skip_window
    np.testing.assert_allclose(closeness(row, skip_window), expected, rtol=1e-6)


def test_negative_sampling_loss_against_a_slow_loop():
    rng, w = np.random.default_rng(0), 2
    model = Word2Vec(30, 5, seed=4)
    neighbours = rng.integers(0, 30, (2, ROW + 2 * w)).astype(np.int32)
    neighbours[1, 20:] = 0  # the end of a passage
    noise = rng.integers(1, 30, (2, NOISE)).astype(np.int32)
    e, o = model.embeddings.numpy().astype(float), model.nce_weights.numpy().astype(float)
    softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731
    total = pairs = 0
    for text, others in zip(neighbours, noise, strict=True):
        for i in range(w, ROW + w):
            for j in range(i - w, i + w + 1):
                if i == j or 0 in (text[i], text[j]):
                    continue
                weight = (w + 1 - abs(i - j)) / w
                own = softplus(e[text[i]] @ o[others].T).sum() * 7 / NOISE
                total += weight * (softplus(-e[text[i]] @ o[text[j]]) + own)
                pairs += weight
    loss = negative_sampling_loss(model, neighbours[:, w:-w], tf.constant(neighbours), noise, 7)
    assert 50 < pairs < 200
    np.testing.assert_allclose(loss, total / pairs, rtol=1e-5)


def test_passages_are_the_text_without_what_is_left_out():
    tokens = np.arange(1, 101, dtype=np.int32)
    keep = np.ones(101, np.float32)
    keep[[0, 20, 40]] = 0
    batch = examples.passages(tf.constant(tokens), tf.constant(keep), 70, 3, seed=0)
    kept = [word for word in range(1, 71) if word not in (20, 40)]
    centres, neighbours = batch(tf.constant(0, tf.int64))
    assert centres.shape == (3, ROW) and neighbours.shape == (3, ROW + 6)  # 68 words in rows of 32
    whole = np.array([0, 0, 0, *kept] + [0] * (3 * ROW - 68 + 3))
    np.testing.assert_array_equal(np.ravel(centres), whole[3:-3])
    for row in range(3):
        np.testing.assert_array_equal(neighbours[row], whole[row * ROW : row * ROW + ROW + 6])
    centres, _ = batch(tf.constant(1, tf.int64))  # 71 to 100, and on from the beginning
    again = [*range(71, 101), *(word for word in range(1, 41) if word not in (20, 40))]
    assert centres.numpy().ravel()[: len(again)].tolist() == again


def test_each_pass_leaves_out_other_words():
    tokens = np.ones(64, np.int32)
    batch = examples.passages(tf.constant(tokens), tf.constant([0.0, 0.5]), 64, 1, seed=0)
    kept = [int(tf.math.count_nonzero(batch(tf.constant(k, tf.int64))[0])) for k in range(200)]
    assert len(set(kept)) > 5 and np.mean(kept) == pytest.approx(32, abs=1.5)
    empty = examples.passages(tf.constant(tokens), tf.constant([0.0, 0.0]), 64, 1, seed=0)
    centres, neighbours = empty(tf.constant(0, tf.int64))
    noise = tf.zeros((0, NOISE), tf.int32)
    assert centres.shape[0] == 0
    assert negative_sampling_loss(Word2Vec(2, 4), centres, neighbours, noise, 5) == 0


def test_adagrad_by_hand():
    squares = tf.Variable([[0.0], [1.0], [0.0]])
    gradient = tf.IndexedSlices(tf.constant([[3.0, 1.0], [2.0, 4.0], [0.0, 0.0], [1.0, 1.0]]),
                                tf.constant([1, 0, 2, 1]))
    change = train.adagrad(gradient, squares)
    # Mean squares 5, 10, 0, 1; row 1 has 1 + 5 + 1 in all; no row is divided by 0.
    np.testing.assert_allclose(squares, [[10], [7], [0]])
    np.testing.assert_allclose(
        change, np.array([[3, 1], [2, 4], [0, 0], [1, 1]]) / np.sqrt([[7], [10], [1], [7]]),
        rtol=1e-6)
    bias = train.adagrad(tf.IndexedSlices(tf.constant([4.0]), tf.constant([0])),
                         tf.Variable([9.0, 0.0]))
    np.testing.assert_allclose(bias, [0.8])


FAST = ["--loss", "negative_sampling", "--optimizer", "adagrad", "--learning_rate", "0.2",
        "--subsample", "0.01", "--schedule", "linear"]


def test_the_rate_stays_or_falls_to_zero():
    for schedule, rates in (("constant", [0.2, 0.2, 0.2]), ("linear", [0.2, 0.1, 0.0])):
        flags = train.build_parser().parse_args([*FAST, "--schedule", schedule, "--max_steps", "8"])
        rate = train.make_schedule(flags)
        np.testing.assert_allclose([rate(tf.constant(step, tf.int64)) for step in (0, 4, 8)], rates)


def test_a_fast_step_touches_its_own_rows_and_lowers_its_loss():
    model, window = Word2Vec(200, 8, small=True), tf.Variable(tf.zeros(2))
    corpus = data.Corpus([str(i) for i in range(200)], np.arange(200), "")
    flags = train.build_parser().parse_args([*FAST, "--num_sampled", "5"])
    step = train.make_train_step(model, train.make_squares(model), window,
                                 train.make_loss(model, corpus, flags),
                                 train.make_schedule(flags), seed=0)
    neighbours = np.random.default_rng(0).integers(10, 60, (3, ROW + 2)).astype(np.int32)
    before, losses = model.embeddings.numpy(), []
    for number in range(20):
        step(tf.constant(neighbours[:, 1:-1]), tf.constant(neighbours),
             tf.constant(number, tf.int64))
        losses.append(float(window[0]))
        window.assign([0, 0])
    moved = np.flatnonzero((before != model.embeddings.numpy()).any(axis=1))
    assert set(moved.tolist()) == set(neighbours[:, 1:-1].ravel().tolist())
    assert losses[0] == pytest.approx(6 * np.log(2), rel=1e-3)  # all scores are 0
    assert losses[-1] < 0.8 * losses[0]
    assert not model.nce_biases.numpy().any()


def test_cbow_takes_the_mean_of_its_neighbours():
    model = Word2Vec(9, 4)
    e = model.embeddings.numpy()
    np.testing.assert_allclose(model.hidden(tf.constant([[1, 2, 2, 5]])),
                               [(e[1] + 2 * e[2] + e[5]) / 4], rtol=1e-5)
    np.testing.assert_array_equal(model.hidden(tf.constant([4, 1])), e[[4, 1]])


@pytest.mark.parametrize("flags", [
    ["--model", "skipgram"], ["--model", "cbow"],
    [*FAST, "--subsample", "0", "--batch_size", "256", "--num_sampled", "5"]])
def test_words_with_the_same_neighbours_get_near_vectors(flags, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "days.txt"
    path.write_text(" ".join(
        f"{rng.choice(['cold', 'warm'])} {rng.choice(['monday', 'friday'])} "
        f"{rng.choice(['came', 'went'])} {rng.choice(['red', 'blue'])} "
        f"{rng.choice(['cars', 'bikes'])} {rng.choice(['drove', 'raced'])}"
        for _ in range(500)), encoding="utf-8")
    trained(path, "--vocabulary_size", "13", "--embedding_size", "16", "--max_steps", "1500",
            *flags)
    matrix, vocabulary = load_run(
        rundir.runs_dir() / "chapter14_word2vec" / "run", "--embedding_size", "16")
    twins = {"monday": "friday", "red": "blue", "cars": "bikes", "came": "went"}
    for word, twin in twins.items():
        found = analogy.calculate([(1, word)], matrix, vocabulary, 1)
        assert list(found) == [twin]


@pytest.mark.parametrize("more", [[], FAST], ids=["nce", "negative_sampling"])
def test_interrupted_between_two_log_lines_nothing_is_lost(more, text_file, monkeypatch):
    """The mean loss of a window that a stop cuts in two is that of the whole window."""
    flags = ("--log_every", "4", "--eval_every", "7", "--max_steps", "21", *more)
    whole = trained(text_file, *flags, name="whole")
    with monkeypatch.context() as patch:
        steps = checkpoint.TrainState.end_step

        def stop_at_6(self, max_steps, save_every, stop):
            if int(self.step) == 6:
                stop.set()
            steps(self, max_steps, save_every, stop)

        patch.setattr(checkpoint.TrainState, "end_step", stop_at_6)
        assert train.main(["--input_file", str(text_file), *TINY, *flags, "--name", "parts"]) == 130
    assert train.main(["--name", "parts"]) == 0
    parts = whole.with_name("parts")
    assert (whole / "metrics.jsonl").read_bytes() == (parts / "metrics.jsonl").read_bytes()
    for name in ("tb/train/vectors.tsv", "samples/0000014.txt", "vocabulary.json"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


def test_vocabulary_by_count_with_unk_first():
    corpus = data.prepare("B a c! a-b; A d's\nx1y 2", 4)
    assert corpus.vocabulary == ["UNK", "a", "b", "c"]
    assert corpus.tokens.tolist() == [2, 1, 3, 1, 2, 1, 0, 0, 0, 0]  # d s x y are unknown


@pytest.mark.parametrize(("text", "options", "words"), [
    ("हिन्दी हिन्दी Vie\u0323\u0302t", {}, ["हिन्दी", "vie\u0323\u0302t"]),
    ("红楼梦。房间很大，很干净", {}, ["红楼梦", "房间", "很大", "很", "干净"]),
    ("红楼梦 OK 1", {"level": "char"}, ["红", "楼", "梦", "o", "k"]),
    ("红楼梦，红楼", {"language": "en"}, ["红楼梦", "红楼"]),
    ("हिन्दी", {"level": "char"}, ["हि", "न्", "दी"]),
])
def test_words_of_other_languages(text, options, words):
    pytest.importorskip("jieba")
    corpus = data.prepare(text * 9, 3, **options)
    assert corpus.language == options.get("language", "zh" if "红" in text else "en")
    corpus = data.prepare(text, len(set(words)) + 1, **options)
    assert {corpus.vocabulary[i] for i in corpus.tokens} == set(words)


def test_text8_form_is_left_as_it_is():
    text = " anarchism originated as a term of abuse one nine two"
    assert data.WORD.findall(text) == text.split()


def test_the_standard_library_is_english():
    text = data.standard_library()
    assert not any(line.lstrip().startswith((">>>", "...")) for line in text.splitlines())
    counts = np.bincount(data.prepare(text, 4000).tokens)
    assert counts.sum() > 200_000 and counts[1] > 10_000  # "the"
    assert counts[0] < 0.05 * counts.sum()


def test_a_zip_is_read_as_its_text(tmp_path):
    path = tmp_path / "text8.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("text8", "one two three")
    assert data.load_text("text8", None, str(tmp_path)) == "one two three"


def bad_files(folder):
    """Yields (file, what the message says)."""
    whole = folder / "whole.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("text8", " ".join(f"w{i}" for i in range(4000)))
    content = whole.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    with zipfile.ZipFile(folder / "two.zip", "w") as archive:
        archive.writestr("a", "one")
        archive.writestr("b", "two")
    with zipfile.ZipFile(folder / "latin.zip", "w") as archive:
        archive.writestr("a", "caf\xe9".encode("latin-1"))
    for name, raw, says in (
        ("empty.txt", b"", "has no words"),
        ("digits.txt", b"1 2 3 -- 4", "has no words"),
        ("gb.txt", "春".encode("gb18030") * 99, "not UTF-8: byte 0xb4 at offset 0"),
        ("torn.zip", content[: len(content) // 2], "cannot read"),
        ("flipped.zip", bytes(flipped), "cannot read"),
        ("two.zip", None, "holds 2 files"),
        ("latin.zip", None, "not UTF-8: byte 0xe9 at offset 3"),
        ("absent.txt", None, "cannot read"),
        ("few.txt", b"only five different words here", "a vocabulary of 30 is too large for 5"),
    ):
        if raw is not None:
            (folder / name).write_bytes(raw)
        yield folder / name, says


def test_bad_texts_are_named_and_leave_nothing(tmp_path, capfd):
    for path, says in bad_files(tmp_path):
        assert train.main(["--input_file", str(path), *TINY]) == 2
        error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
        assert error.startswith("error: ") and says in error and hint.startswith("hint: ")
    assert not (rundir.runs_dir() / "chapter14_word2vec").exists()


def test_flags_that_do_not_fit_are_named(text_file, tmp_path, capfd):
    for argv, says in (
        (["--skip_window", "900"], "spans 1801"),
        (["--skip_window", "1", "--num_skips", "3"], "more than the 2 context words"),
        (["--skip_window", "2", "--num_skips", "3"], "not a multiple of --num_skips 3"),
        (["--num_sampled", "31"], "more than the vocabulary's 30"),
        (["--vocabulary_size", "2"], "2 is not a whole number of at least 3"),
        (["--loss", "negative_sampling", "--model", "cbow"], "trains skip-gram only, not cbow"),
        (["--model", "cbow", "--skip_window", "2", "--num_skips", "4", "--batch_size", "8"],
         "--num_skips 4 has no effect with --model cbow"),
        (["--subsample", "0.001"], "--subsample 0.001 has no effect with --loss nce"),
        ([*FAST, "--skip_window", "900"], "spans 1801"),
    ):
        assert train.main(["--input_file", str(text_file), *TINY, *argv]) == 2
        assert says in capfd.readouterr().err
    assert train.main(["--preset", "book", "--data_dir", str(tmp_path)]) == 2
    said = capfd.readouterr().err
    assert "has no text8.zip" in said and data.TEXT8 in said
    assert not (rundir.runs_dir() / "chapter14_word2vec").exists()


# The first number tells who is royal, the second and third who is male or female.
WORDS = ["UNK", "king", "queen", "man", "woman", "apple"]
MATRIX = np.array([[1, 1, 0, 0], [9, 1, 0, 0], [9, 0, 1, 0], [1, 2, 0, 0], [1, 0, 2, 0],
                   [0, 0, 0, 5]], np.float32)


def test_analogies_against_hand_sums():
    unit = MATRIX / np.linalg.norm(MATRIX, axis=1, keepdims=True)
    total = unit[1] - unit[3] + unit[4]
    expected = float(unit[2] @ total / np.linalg.norm(total))
    terms = analogy.parse("king - Man + woman")
    assert terms == [(1, "king"), (-1, "Man"), (1, "woman")]
    found = analogy.calculate(terms, MATRIX, WORDS, 9)
    assert list(found) == ["queen", "apple"]  # neither UNK nor the given words
    assert found["queen"] == pytest.approx(expected, rel=1e-5)
    assert found["apple"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "expression", ["king -", "- king", "king man", "king + + man", "king man +"])
def test_what_is_no_sum_of_words_is_refused(expression):
    with pytest.raises(UserError, match="not a sum of words"):
        analogy.parse(expression)


def test_words_that_cancel_out_are_refused():
    with pytest.raises(UserError, match="cancel out"):
        analogy.calculate(analogy.parse("king - king"), MATRIX, WORDS, 3)


def test_unknown_words_get_the_nearest_spellings(text_file, capfd):
    trained(text_file)
    capfd.readouterr()
    assert analogy.main(["quen"]) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert "'quen' is not among the 29 words" in error and hint.startswith("hint: try queen")
    assert analogy.main(["king", "-", "man", "+", "womann"]) == 2
    assert "try woman" in capfd.readouterr().err
    assert analogy.main(["UNK"]) == 2
    assert analogy.main(["king", "-", "man", "+", "woman", "--json", "--num_nearest", "3"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert len(found) == 3 and not {"king", "man", "woman", "UNK"} & found.keys()
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_questions_are_read_and_scored_by_section(tmp_path):
    path = tmp_path / "questions.txt"
    path.write_text(": royal\nMan King woman QUEEN\nman king apple queen\n\n"
                    ": unknown\nking queen man zebra\n", encoding="utf-8")
    questions = eval.read_questions(path)
    assert questions[0] == eval.Question("royal", ("man", "king", "woman", "queen"))
    overall, sections = eval.score_analogies(vectors.normalise(MATRIX), WORDS, questions)
    assert sections["royal"] == {"analogy_accuracy": 1.0, "questions": 2, "questions_asked": 2}
    assert sections["unknown"] == {"questions": 1, "questions_asked": 0}
    assert overall == {"analogy_accuracy": 1.0, "questions": 3, "questions_asked": 2}
    path.write_text(": royal\nman king woman queen\nman king woman\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"line 3 of .* has 3 words, not 4"):
        eval.read_questions(path)
    path.write_text(": royal\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no questions"):
        eval.read_questions(path)


def test_many_questions_give_what_one_by_one_gives():
    rng = np.random.default_rng(0)
    unit = vectors.normalise(rng.normal(size=(40, 8)))
    vocabulary = ["UNK", *(f"w{i}" for i in range(1, 40))]
    numbers = [rng.choice(np.arange(1, 40), 4, replace=False) for _ in range(700)]
    questions = [eval.Question("all", tuple(f"w{i}" for i in row)) for row in numbers]
    right = 0
    for a, b, c, d in numbers:
        scores = unit @ (unit[b] - unit[a] + unit[c])
        scores[[0, a, b, c]] = -9
        right += scores.argmax() == d
    overall, _ = eval.score_analogies(unit, vocabulary, questions)
    assert right > 0 and overall["analogy_accuracy"] == pytest.approx(right / 700)


def test_similarities_are_ranked_as_by_hand(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("Word 1,Word 2,Human (mean)\nking,queen,9\nking,Woman,6\nking,apple,7.5\n"
                    "king,zebra,1\n", encoding="utf-8")
    pairs = eval.read_pairs(path)
    assert pairs[1] == eval.Pair(("king", "woman"), 6.0) and len(pairs) == 4
    scores = eval.score_similarity(vectors.normalise(MATRIX), WORDS, pairs)
    # Ranks of the cosines 3, 2, 1; of the judgements 3, 1, 2: 1 - 6 (0 + 1 + 1) / (3 * 8).
    assert scores == {"spearman": pytest.approx(0.5), "pairs": 4, "pairs_scored": 3}
    for line, says in (("king\tman\thigh", r"line 3 of .*high"), ("king\tman\tnan", "line 3"),
                       ("king\tman", "line 3"), ("king\tman\t9", "2 pairs of words, all with")):
        path.write_text(f"# a comment\nking\tqueen\t9\n{line}\n", encoding="utf-8")
        with pytest.raises(UserError, match=says):
            eval.read_pairs(path)
    path.write_text("king\tzebra\t9\nking\tman\t1\n", encoding="utf-8")
    assert eval.score_similarity(vectors.normalise(MATRIX), WORDS, eval.read_pairs(path)) == {
        "pairs": 2, "pairs_scored": 1}


def test_eval_takes_files_of_questions_and_similarities(text_file, tmp_path, capfd):
    run = trained(text_file)
    questions, pairs = tmp_path / "questions.txt", tmp_path / "pairs.tsv"
    questions.write_text(": kind\nking queen man woman\nking queen dog zebra\n", encoding="utf-8")
    pairs.write_text("king\tqueen\t8\nking\tland\t3\nking\tsea\t2\n", encoding="utf-8")
    assert eval.main(["--questions", str(questions), "--similarity", str(pairs)]) == 0
    assert "best" not in capfd.readouterr().err
    result = json.loads((run / "eval.json").read_text(encoding="utf-8"))
    assert result["metrics"]["analogies"]["questions_asked"] == 1
    assert result["metrics"]["similarity"]["pairs_scored"] == 3
    assert -1 <= result["metrics"]["similarity"]["spearman"] <= 1
    words = files.read_json(run / "vocabulary.json")
    near = result["details"]["neighbours"]
    assert near.keys() <= set(words[1:]) and all(len(set(row)) == 8 for row in near.values())
    assert (run / "tsne.png").stat().st_size > 1000
    questions.write_text("king queen man\n", encoding="utf-8")
    assert eval.main(["--questions", str(questions)]) == 2
    assert "line 1" in capfd.readouterr().err


def test_the_smallest_vocabulary_goes_all_the_way(text_file):
    trained(text_file, "--vocabulary_size", "3", "--num_sampled", "3", "--embedding_size", "2")
    assert eval.main([]) == 0 and export.main([]) == 0


def test_the_shipped_questions_are_in_the_documentation():
    questions = eval.read_questions(eval.QUESTIONS)
    vocabulary = data.prepare(
        data.standard_library(), train.PRESETS["demo"]["vocabulary_size"]).vocabulary
    asked = eval.known([question.words for question in questions], vocabulary)
    assert len(questions) > 500 and asked.mean() > 0.9


def test_the_word2vec_file_holds_the_vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    matrix = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    vectors.save_word2vec(path, matrix, WORDS)
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    assert head == "6 4" and [line.split()[0] for line in lines] == WORDS
    read = np.array([line.split()[1:] for line in lines], float)
    np.testing.assert_allclose(read, matrix, rtol=1e-5)
    assert not list(tmp_path.glob("*.part"))


def test_gensim_reads_the_word2vec_file(tmp_path):
    gensim = pytest.importorskip("gensim", reason="gensim is not installed")
    path = tmp_path / "vectors.txt"
    vectors.save_word2vec(path, MATRIX, WORDS)
    loaded = gensim.models.KeyedVectors.load_word2vec_format(str(path))
    assert loaded.index_to_key == WORDS
    np.testing.assert_allclose(loaded.vectors, MATRIX, rtol=1e-5)
    found = loaded.most_similar(positive=["king", "woman"], negative=["man"], topn=1)
    assert found[0][0] == "queen"


def test_tensorboards_projector_shows_vectors_and_labels(text_file):
    run = trained(text_file)
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(run))  # what `tensorboard --logdir` does
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(run))
    context = base_plugin.TBContext(logdir=str(run), data_provider=provider)
    apps = projector_plugin.ProjectorPlugin(context).get_plugin_apps()

    def get(route, **query):
        response = werkzeug.test.Client(apps[route]).get(route, query_string=query)
        assert response.status_code == 200
        return response.data

    assert json.loads(get("/runs")) == ["tb/train"]
    tensor = {"run": "tb/train", "name": "word vectors"}
    (embedding,) = json.loads(get("/info", run="tb/train"))["embeddings"]
    assert embedding["tensorName"] == tensor["name"]
    matrix, vocabulary = load_run(run, *TINY)
    assert get("/metadata", **tensor).decode().splitlines() == vocabulary
    shown = np.frombuffer(get("/tensor", **tensor), np.float32).reshape(matrix.shape)
    np.testing.assert_allclose(shown, matrix, rtol=1e-5)


def test_nearest_words_are_logged(text_file, capfd):
    run = trained(text_file, "--eval_every", "10")
    said = capfd.readouterr()
    assert "step 10, nearest words" in said.err and "the nearest words" in said.out
    last = (run / "samples" / "0000020.txt").read_text(encoding="utf-8")
    assert last.strip() in said.out and len(last.splitlines()) == 16
    untrained = (run / "samples" / "0000000.txt").read_text(encoding="utf-8")
    assert untrained != last and len(untrained.splitlines()) == 16
    texts = [value.tensor.string_val[0].decode() for file in (run / "tb" / "train").glob("events*")
             for event in tf.compat.v1.train.summary_iterator(str(file))
             for value in event.summary.value if value.tag == "nearest"]
    assert len(texts) == 3 and texts[-1].split() == last.split()


def test_the_export_gives_vectors_and_nearest_words(text_file, capfd):
    run = trained(text_file)
    assert export.main([]) == 0
    signatures = tf.saved_model.load(str(run / "export" / "1")).signatures
    matrix, vocabulary = load_run(run, *TINY)
    asked = tf.constant(["queen", "zebra"])
    answer = signatures["serving_default"](words=asked)
    np.testing.assert_array_equal(answer["known"], [True, False])
    np.testing.assert_array_equal(answer["vectors"], matrix[[vocabulary.index("queen"), 0]])
    answer = signatures["nearest"](words=asked, num_nearest=tf.constant([5, 5]))
    expected = analogy.calculate([(1, "queen")], matrix, vocabulary, 5)
    assert [word.decode() for word in answer["words"][0].numpy()] == list(expected)
    np.testing.assert_allclose(answer["cosines"][0], list(expected.values()), atol=1e-5)
    assert b"UNK" not in answer["words"].numpy()
    np.testing.assert_array_equal(answer["known"], [True, False])
    answer = signatures["nearest"](words=asked, num_nearest=tf.constant([99, 99]))
    assert answer["words"].shape == (2, 28) and answer["cosines"].numpy().min() >= -1.001
    lines = (run / "export" / "vectors.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "30 6" and len(lines) == 31


def test_real_files_have_their_published_sizes(real_data):
    questions = eval.read_questions(real_data("word2vec/questions-words.txt"))
    assert len(questions) == 19_544 and len({q.section for q in questions}) == 14
    assert len(eval.read_pairs(real_data("word2vec/wordsim353.tsv"))) == 353
    corpus = data.prepare(read_text(real_data("word2vec/text8_enwiki.zip")), 32_787)
    assert len(corpus.tokens) == 504_865 and (corpus.tokens > 0).all()
