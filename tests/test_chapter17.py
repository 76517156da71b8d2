"""Chapter 17: image captions."""

import argparse
import json
import math
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import deterministic, interrupt_after, state_of
from PIL import Image

from chapter16_nmt import beam_search
from chapter17_image_caption import (
    attributes,
    baselines,
    batches,
    caption,
    caption_files,
    data,
    encoder,
    export,
    flags,
    inference,
    metrics,
    model,
    pictures,
    prepare,
    scenes,
    train,
    transformer,
)
from chapter17_image_caption import eval as evaluation
from common import rundir
from common.errors import UserError

# ---------------------------------------------------------------- beam search

# The original's unit test: after each word, the probabilities of the next ones; 0 starts, 1 ends.
TABLE = {0: {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}, 2: {5: 0.1, 6: 0.9}, 3: {1: 0.1, 7: 0.4, 8: 0.5},
         4: {1: 0.3, 9: 0.3, 10: 0.4}, 9: {1: 0.5, 11: 0.5}, **{i: {1: 1.0} for i in
                                                                (5, 6, 7, 8, 10, 11)}}


def searched(width: int, max_length: int = 20, power: float = 0.0):
    """Returns the sentences of the table with the original's start symbol, and probabilities."""
    logits = np.full((12, 12), -1e9, np.float32)
    for word, following in TABLE.items():
        for after, probability in following.items():
            logits[word, after] = math.log(probability)
    table = tf.constant(logits)

    def step(tokens, state):
        return tf.gather(table, tokens), state, tf.zeros((tf.size(tokens), 1))

    found = beam_search.search(step, tf.zeros((1, 1)), tf.constant(1),
                               tf.constant([max_length - 1]), width, 0, 1,
                               lambda lengths: (lengths + 1) ** power)
    tokens, lengths, log_probs, scores, _ = (part.numpy()[0] for part in found)
    return [([0, *tokens[i, : lengths[i]].tolist()], math.exp(log_probs[i]))
            for i in range(len(tokens)) if scores[i] > beam_search.NEVER / 2]


FIRST, SECOND, THIRD = ([0, 2, 6, 1], 0.18), ([0, 4, 10, 1], 0.16), ([0, 3, 8, 1], 0.15)


@pytest.mark.parametrize(("settings", "expected"), [
    ({"width": 1}, [SECOND]),
    ({"width": 2}, [SECOND, THIRD]),
    ({"width": 3}, [FIRST, SECOND, THIRD]),
    ({"width": 3, "max_length": 3}, [([0, 4, 1], 0.12), ([0, 3, 1], 0.03)]),
    # Nothing can end: the beginnings are returned.
    ({"width": 3, "max_length": 2}, [([0, 4], 0.4), ([0, 3], 0.3), ([0, 2], 0.2)]),
    ({"width": 4, "power": 3.0}, [([0, 4, 9, 11, 1], 0.06)]),
])
def test_beam_search_finds_the_lists_of_the_original(settings, expected):
    found = searched(**settings)
    for (words, probability), (theirs, value) in zip(found, expected, strict=False):
        assert words == theirs
        assert probability == pytest.approx(value, abs=1e-6)
    assert len(found) >= len(expected)


def test_a_limit_that_has_no_place_for_a_word_is_refused(capfd):
    assert searched(1, 1) == []  # the original's eighth list: the start symbol alone
    assert caption.main(["--max_caption_length", "1"]) == 2
    assert "1 is not a whole number from 2" in capfd.readouterr().err


# ---------------------------------------------------------------- numbers


def test_the_loss_is_the_mean_over_the_words_that_count():
    logits = np.array([[0.0, 0.0], [math.log(3), 0.0]], np.float32)
    loss = model.caption_loss(tf.constant(logits), tf.constant([0, 1]))
    assert float(loss) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_the_doubly_stochastic_penalty():
    weights = np.array([[[0.5, 0.5], [1.0, 0.0], [0.3, 0.7]]], np.float32)
    mask = np.array([[True, True, False]])
    # Sums over the two words: 1.5 and 0.5.
    assert float(model.doubly_stochastic(weights, mask)) == pytest.approx(0.5)


def test_the_learning_rate_halves_at_step_146590():
    assert flags.decay_steps(586_363, 32, 8.0) == 146_590
    args = argparse.Namespace(**vars(train.build_parser().parse_args([])))
    rate = flags.make_optimizer(args, 586_363)._learning_rate
    assert [float(rate(step)) for step in (0, 146_589, 146_590)] == [2.0, 2.0, 1.0]


def test_captions_are_shifted_and_padded():
    words = data.pad([np.array([5, 6]), np.array([7])])
    assert words.inputs.tolist() == [[1, 5, 6], [1, 7, 2]]
    assert words.outputs.tolist() == [[5, 6, 2], [7, 2, 2]]
    assert words.mask.tolist() == [[True, True, True], [True, True, False]]


def test_bleu_with_two_references():
    captions = ["the the cat".split()]
    references = [["the cat sat".split(), "a the dog ran off".split()]]
    statistics = metrics.bleu_statistics(captions, references)
    assert statistics[0].tolist() == [2, 1, 0, 0, 3, 2, 1, 0, 3, 3]
    scores = metrics.bleu(statistics.sum(axis=0))
    assert scores["bleu_1"] == pytest.approx(2 / 3)
    assert scores["bleu_2"] == pytest.approx(math.sqrt(2 / 3 / 2))
    assert scores["bleu_4"] == 0
    short = metrics.bleu_statistics([["the"]], [["the cat".split()]])
    assert metrics.bleu(short.sum(axis=0))["bleu_1"] == pytest.approx(math.exp(-1))


def test_cider_by_hand():
    corpus = [["a b".split()], ["a c".split()]]
    cider = metrics.Cider(corpus)
    # "a" is everywhere and counts nothing; b and "a b" weigh log 2. Orders 3 and 4 are empty.
    assert cider.score("a b".split(), corpus[0]) == pytest.approx(10 * (1 + 1 + 0 + 0) / 4)
    assert cider.score("a c".split(), corpus[0]) == 0
    # b twice counts once (the minimum); the vectors are (0, 2 log 2) and (0, log 2).
    one = cider.score("b b".split(), [["b"]])
    assert one == pytest.approx(10 * math.exp(-1 / 72) * 0.5 / 4)


def test_exchanged_captions_are_those_of_all_other_pictures():
    corpus = [["a b".split()], ["a c".split()], ["a d".split()]]
    cider = metrics.Cider(corpus)
    best = [some[0] for some in corpus]
    assert metrics.shuffled_cider(best, corpus, cider).tolist() == [0, 0, 0]
    same = metrics.shuffled_cider([best[0]] * 3, corpus, cider)
    own = [cider.score(best[0], some) for some in corpus]
    assert same == pytest.approx(own)  # a network that does not look gains nothing


def test_of_many_pictures_the_next_ones_are_exchanged(monkeypatch):
    corpus = [["a b".split()], ["a c".split()], ["d e".split()]]
    cider = metrics.Cider(corpus)
    best = [["a", "b"], ["a", "b"], ["d", "e"]]
    whole = metrics.shuffled_cider(best, corpus, cider)
    monkeypatch.setattr(metrics, "MOST_EXCHANGES", 1)
    assert metrics.shuffled_cider(best, corpus, cider) == pytest.approx([2 * whole[0], 0, 0])


def test_exact_match_and_distinct_captions():
    references = [[["a"], ["b"]], [["c"]]]
    scores = metrics.score([["b"], ["b"]], references, metrics.Cider(references))
    assert scores["exact_match"] == 0.5 and scores["distinct"] == 0.5


def test_the_nearest_picture_and_the_consensus():
    training = np.array([[1.0, 0], [0, 1], [-1, -1]], np.float32)
    assert baselines.nearest(np.array([[2.0, 0.1]]), training, 2)[0].tolist() == [0, 1]
    candidates = [line.split() for line in ("a dog runs", "a dog runs fast", "two red cars")]
    cider = metrics.Cider([[words] for words in candidates])
    assert baselines.consensus(candidates, cider) == candidates[0]
    assert baselines.most_frequent([[["b"], ["a"]], [["b"]]]) == ["b"]


def test_ridge_regression_recovers_a_line_and_its_errors():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5))
    targets = features @ rng.normal(size=(5, 3)) + [1, 2, 3]
    exact = attributes.fit_ridge(features, targets, 1e-9)
    assert exact.predict(features) == pytest.approx(targets, abs=1e-4)
    _, predicted, errors = attributes.fit_detector(features, targets)
    assert predicted == pytest.approx(targets, abs=0.5)
    assert errors.slope == pytest.approx(1, abs=0.1)
    flat = attributes.fit_ridge(features, targets, 1e9)
    assert flat.predict(features) == pytest.approx(np.tile(targets.mean(axis=0), (60, 1)), abs=1e-3)
    # Columns of zeros make more channels than pictures: the same line, solved the other way.
    wide = attributes.fit_ridge(np.pad(features, ((0, 0), (0, 95))), targets, 20.0)
    narrow = attributes.fit_ridge(features, targets, 1.0)  # the mean variance is 20 times as large
    assert wide.kernel[:5] == pytest.approx(narrow.kernel, abs=1e-5)
    assert wide.bias == pytest.approx(narrow.bias, abs=1e-5)


def test_attributes_of_a_caption_are_those_of_the_others():
    captions = [[["dog"], ["dog", "runs"], ["cat"]], [["cat"]]]
    assert attributes.shares(captions, ["dog", "cat"]) == pytest.approx(
        np.array([[2 / 3, 1 / 3], [0, 1]]))
    assert batches.others(captions, ("dog", "cat")) == pytest.approx(
        np.array([[0.5, 0.5], [0.5, 0.5], [1, 0], [0, 1]]))


def test_scenes_say_what_they_show():
    red = scenes.Group(1, "large", "red", "circle")
    blue = scenes.Group(2, "small", "blue", "square")
    assert scenes.Scene((red, blue), "above").captions() == [
        "a large red circle above two small blue squares",
        "two small blue squares below a large red circle"]
    image = scenes.draw_scene(scenes.Scene((red, blue), "above"), np.random.default_rng(0))
    top, bottom = np.split(np.int32(image), 2)
    assert image.shape == (64, 64, 3)
    assert [bool((half[..., 0] - half[..., 2] > 90).any()) for half in (top, bottom)] == [True,
                                                                                         False]


def test_scenes_of_the_test_do_not_occur_in_training(monkeypatch):
    monkeypatch.setattr(data, "DRAWN", {"train": 300, "validation": 40, "test": 40})
    splits, _ = data.draw()
    sentences = {name: {tuple(words) for some in split.captions for words in some}
                 for name, split in splits.items()}
    assert not sentences["train"] & sentences["test"]
    assert not sentences["validation"] & sentences["test"]


# ---------------------------------------------------------------- networks

SIZES = model.Sizes("tell", "initial", 9, 6, 5, 4, 0.0, 0.0)
KINDS = [("tell", "initial"), ("tell", "every_step"), ("attend", "initial"), ("transformer", "")]


def build(kind, context="", units=4, size=4):
    """Returns a small decoder."""
    if kind == "transformer":
        return transformer.Transformer(transformer.Settings(9, 6, size, 2, 2, 0.0, 0.0))
    return model.Captioner(SIZES._replace(model=kind, context=context, units=units,
                                          embedding_size=size))


@pytest.mark.parametrize(("kind", "context"), KINDS)
def test_a_search_step_equals_training(kind, context):
    captioner = build(kind, context)
    rng = np.random.default_rng(0)
    features = tf.constant(rng.normal(size=(2, 3, 6)), tf.float32)
    inputs = tf.constant(rng.integers(3, 9, (2, 4)), tf.int32)
    found, weights = captioner(features, inputs, training=False)
    expected = captioner.classifier(found).numpy()
    state, seen = captioner.begin(features, False)
    for time in range(4):
        logits, state, looked = captioner.next_word(inputs[:, time], state, seen)
        assert logits.numpy() == pytest.approx(expected[:, time], abs=1e-5)
        assert looked.numpy() == pytest.approx(weights[:, time].numpy(), abs=1e-6)
    assert weights.numpy().sum(axis=-1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("kind", "context"), KINDS)
def test_a_network_learns_a_caption_by_its_picture(kind, context):
    keras.utils.set_random_seed(0)
    captioner = build(kind, context, 16, 8)
    features = tf.constant(np.eye(2, 6)[:, None], tf.float32)
    words = data.pad([np.array([3, 4, 5]), np.array([6, 4])])
    optimizer = keras.optimizers.Adam(0.03)
    args = argparse.Namespace(model=kind, attention_penalty=0.0, max_gradient_norm=5.0)
    variables = captioner.trainable_variables
    step = train.make_train_step(lambda sees, key: sees, captioner, optimizer, variables, args)
    before = [variable.numpy().copy() for variable in variables]
    losses = [float(step(features, np.zeros(2, np.int32), *words)[0]) for _ in range(150)]
    assert losses[0] == pytest.approx(math.log(9), abs=0.3) and losses[-1] < 0.05
    still = [variable.name for variable, old in zip(variables, before, strict=True)
             if (variable.numpy() == old).all()]
    # With a single place there is nothing to choose: the scores have no gradient.
    assert {*still} <= {"kernel", "bias", "gamma", "beta"}
    assert len(still) <= {"attend": 4, "transformer": 8}.get(kind, 0)


@pytest.mark.parametrize(("kind", "context"), KINDS)
def test_padding_and_later_words_change_no_loss(kind, context):
    captioner = build(kind, context)
    features = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 6)), tf.float32)

    def loss(rows, *captions):
        words = data.pad([np.array(ids) for ids in captions])
        found, _ = captioner(tf.gather(features, rows), words.inputs, training=False)
        return float(model.caption_loss(
            captioner.classifier(tf.boolean_mask(found, words.mask)), words.outputs[words.mask]))

    short, long = loss([0], [3, 4]), loss([1], [5, 6, 7, 8, 3])
    assert loss([0, 1], [3, 4], [5, 6, 7, 8, 3]) == pytest.approx((3 * short + 6 * long) / 9,
                                                                  rel=1e-5)


def test_a_transformer_looks_back_only():
    captioner = build("transformer")
    with tf.GradientTape() as tape:
        found, _ = captioner(tf.ones((1, 3, 6)), tf.constant([[1, 3, 5, 7]]), training=False)
        total = tf.reduce_sum(found[:, 2] * [1.0, -2.0, 3.0, 4.0])
    gradient = tf.convert_to_tensor(tape.gradient(total, captioner.embedding.embeddings.value))
    reached = np.abs(gradient).max(axis=1) > 1e-6
    assert np.flatnonzero(reached).tolist() == [1, 3, 5]  # not 7, which comes later


@pytest.mark.slow
def test_a_transformer_resumes_exactly_and_is_exported(monkeypatch, capfd):
    monkeypatch.setattr(data, "DRAWN", {"train": 20, "validation": 4, "test": 6})
    argv = ["--decoder", "transformer", "--embedding_size", "8", "--encoder_width", "4",
            "--batch_size", "8", "--max_steps", "8", "--pretrain_steps", "2", "--log_every", "1"]
    with deterministic():
        assert train.main([*argv, "--name", "whole"]) == 0
        with monkeypatch.context() as patch:
            interrupt_after(patch, 5)
            assert train.main([*argv, "--name", "parts"]) == 130
        assert train.main(["--resume"]) == 0
    whole, parts = (rundir.runs_dir() / "chapter17_image_caption" / name
                    for name in ("whole", "parts"))
    first, second = state_of(whole), state_of(parts)
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)
    assert (whole / "metrics.jsonl").read_bytes() == (parts / "metrics.jsonl").read_bytes()
    assert caption.main(["--name", "whole", "--overlay"]) == 0
    assert export.main(["--name", "whole"]) == 0
    assert "gets the same outputs" in capfd.readouterr().out


def test_a_blocked_word_does_not_come_again():
    captioner = model.Captioner(SIZES)
    captioner.classifier.bias.assign([0, 0, 0, 5.0, 4.0, 0, 0, 0, 0])
    features = tf.zeros((1, 1, 6))

    def words(block):
        how = inference.Decoding(1, 8, 0.0, block)
        return inference.search(captioner, features, 1, how).tokens.numpy()[0, 0].tolist()

    assert words(0) == [3] * 7
    captioner.classifier.bias.assign([9.0, 0, 0, 5.0, 4.0, 0, 0, 0, 0])
    assert words(0) == [3] * 7  # the unknown word is never written
    assert all(a != b for a, b in zip(words(1), words(1)[1:], strict=False))


def test_overlays_lighten_where_the_weights_are():
    picture = np.full((40, 60, 3), 200, np.uint8)
    shown = pictures.overlay(picture, np.eye(1, 16)[0])
    assert shown.shape == picture.shape
    assert shown[2, 2, 0] > 150 and shown[-3, -3, 0] < 60


# ---------------------------------------------------------------- caption files and bad input


def write_pictures(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (20 + number, 16), (9 * number % 256, 100, 50)).save(folder / name)


def own(folder, count=30, captions=("a red thing", "a blue thing")):
    names = [f"{number}.png" for number in range(count)]
    write_pictures(folder, *names)
    lines = [f"{name}\t{text}" for name in names for text in captions]
    (folder / "captions.tsv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def load(folder, *argv):
    parser = train.build_parser()
    return data.load(parser.parse_args(["--dataset", "own", "--data_dir", str(folder), *argv]))


def test_words_of_a_caption():
    assert caption_files.tokenize("A dog's two-headed toy , isn't it ?") == [
        "a", "dog's", "two-headed", "toy", "isn't", "it"]
    chinese = caption_files.tokenize("一只狗，在 T-Shirt 上。")
    assert chinese == ["一", "只", "狗", "在", "t-shirt", "上"]
    assert caption_files.join_words(chinese) == "一只狗在t-shirt上"
    assert caption_files.join_words(["two", "dogs", "run"]) == "two dogs run"


def test_own_captions_are_split(tmp_path):
    found = load(own(tmp_path))
    assert {name: len(split.names) for name, split in found.splits.items()} == {
        "train": 24, "validation": 3, "test": 3}
    assert found.vocabulary[:3] == ["<unk>", "<s>", "</s>"]


def test_missing_pictures_are_counted_and_their_captions_remain(tmp_path, capfd):
    (own(tmp_path) / "3.png").unlink()
    found = load(tmp_path)
    assert "1 named pictures are missing" in capfd.readouterr().err
    assert found.texts == [[["a", "red", "thing"], ["a", "blue", "thing"]]]


def test_a_picture_without_captions_is_left_out(tmp_path, capfd):
    with (own(tmp_path) / "captions.tsv").open("a") as file:
        file.write("\nempty.png\t . \n")
    assert sum(len(split.names) for split in load(tmp_path).splits.values()) == 30
    assert "1 pictures have no caption" in capfd.readouterr().err


def test_a_broken_validation_picture_is_an_error_before_the_training(tmp_path, capfd):
    folder = own(tmp_path / "data")
    (folder / "1.png").write_bytes(b"no image")
    assert train.main(["--dataset", "own", "--data_dir", str(folder), "--name", "run"]) == 2
    assert "1.png is not a readable image" in capfd.readouterr().err
    assert not (rundir.runs_dir() / "chapter17_image_caption" / "run").exists()


def test_an_unreadable_picture_takes_its_captions_with_it(tmp_path, capfd):
    write_pictures(tmp_path, *(f"{number}.png" for number in range(20)))
    lines = [f"{number}.png\tword{number}" for number in range(20)]
    (tmp_path / "captions.tsv").write_bytes(("\ufeff" + "\r\n".join(lines)).encode())
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes()[:40])
    args = train.build_parser().parse_args(["--dataset", "own", "--data_dir", str(tmp_path),
                                            "--min_word_count", "1", "--batch_size", "16"])
    found = data.load(args)
    stream = batches.Batches(args, found, batches.Sight(None, 4), 8)
    batch = next(stream.start_at(0))
    said = [found.vocabulary[i] for i in batch.words.outputs[:, 0]]
    # The red of a picture is nine times its number.
    assert said == [f"word{round(picture[0, 0, 0] / 9)}" for picture in batch.sees]
    assert sorted({*said}) == sorted(f"word{n}" for n in range(20) if n % 10 not in (1, 2)
                                     and n != 3)
    assert "3.png is not a readable image" in capfd.readouterr().err


@pytest.mark.slow
def test_captions_of_one_word_and_of_200_words_train(tmp_path):
    own(tmp_path / "data", captions=("thing", " ".join(["long"] * 200)))
    assert train.main(["--dataset", "own", "--data_dir", str(tmp_path / "data"), "--max_steps",
                       "2", "--image_size", "16", "--num_lstm_units", "4", "--batch_size", "4",
                       "--name", "run"]) == 0
    assert evaluation.main(["--name", "run"]) == 0


@pytest.mark.parametrize(("line", "says"), [
    ("0.png", "line 61"), ("0.png\ta\tnowhere", "line 61"), ("a\tb\tc\td", "line 61")])
def test_bad_lines_are_named(tmp_path, line, says):
    with (own(tmp_path) / "captions.tsv").open("a") as file:
        file.write("\n" + line)
    with pytest.raises(UserError, match=says):
        load(tmp_path)


def test_data_that_cannot_be_used(tmp_path):
    with pytest.raises(UserError, match=r"captions\.tsv"):
        load(tmp_path)
    own(tmp_path)
    with pytest.raises(UserError, match="no word occurs 99 times"):
        load(tmp_path, "--min_word_count", "99")
    (tmp_path / "captions.tsv").write_text("a thing\tnothing.png", encoding="utf-8")
    with pytest.raises(UserError, match=r"no picture with a caption; there is no .*a thing"):
        load(tmp_path)


def test_flickr8k_and_coco_are_read(tmp_path):
    flickr = tmp_path / "flickr"
    write_pictures(flickr / "Flicker8k_Dataset", "a.jpg", "b.jpg", "c.jpg")
    (flickr / "Flickr8k.token.txt").write_text(
        "".join(f"{name}.jpg#{i}\tA dog {name} .\n" for name in "abcd" for i in range(2)))
    for split, names in (("train", "ad"), ("dev", "b"), ("test", "c")):
        (flickr / f"Flickr_8k.{split}Images.txt").write_text(
            "".join(f"{name}.jpg\n" for name in names))
    found = caption_files.read_flickr8k(flickr)
    assert [path.name for path in found["train"].paths] == ["a.jpg"]
    assert found["train"].texts == [["A dog d .", "A dog d ."]]
    coco = tmp_path / "coco"
    for part, count in (("train2014", 4), ("val2014", 40)):
        names = [f"{part}_{i}.jpg" for i in range(count)]
        write_pictures(coco / part, *names)
        content = {"images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
                   "annotations": [{"image_id": i, "caption": f"thing {i}"} for i in range(count)]}
        (coco / f"captions_{part}.json").write_text(json.dumps(content))
    found = caption_files.read_coco(coco)
    assert [len(found[name].paths) for name in ("train", "validation", "test")] == [38, 2, 4]
    (coco / "captions_val2014.json").write_text('{"images": [{}]}')
    with pytest.raises(UserError, match="not a caption file of COCO"):
        caption_files.read_coco(coco)


def test_flags_that_contradict(capfd):
    for argv, says in ((["--model", "attributes"], "do not change"),
                       (["--weights", "none"], "--encoder small"),
                       (["--data_dir", "."], "--dataset scenes"),
                       (["--num_attributes", "5"], "has no effect"),
                       (["--num_heads", "2"], "--decoder lstm"),
                       (["--decoder", "transformer", "--num_lstm_units", "8"], "has no effect"),
                       (["--decoder", "transformer", "--num_heads", "7"], "--embedding_size 64")):
        assert train.main(argv) == 2
        assert says in capfd.readouterr().err
    for argv, says in (([], "frozen encoder"), (["--data_dir", "."], "--dataset scenes"),
                       (["--encoder", "MobileNet", "--encoder_width", "3"], "has no effect")):
        assert prepare.main(argv) == 2
        assert says in capfd.readouterr().err


# ---------------------------------------------------------------- frozen encoders

MOBILE = ("--encoder", "MobileNet", "--alpha", "0.25", "--weights", "none", "--image_size", "32",
          "--num_lstm_units", "8", "--embedding_size", "8", "--min_word_count", "1",
          "--batch_size", "4", "--num_attributes", "4", "--model", "attributes")


def test_augmented_pictures_are_seen_at_the_same_scale_when_they_are_evaluated():
    black = np.zeros((300, 300, 3), np.uint8)
    black[100:200, 100:200] = 255
    white = [np.count_nonzero(encoder.fit_image(black, 60, crop)[..., 0].numpy() > 127) ** 0.5
             for crop in (False, True)]
    assert white == pytest.approx([20, 20 * encoder.LARGER], abs=1)
    size = encoder.larger(60)
    seen = data.augment(tf.stack([encoder.fit_image(black, size)] * 8), 60, tf.constant([0, 1]))
    assert seen.shape == (8, 60, 60, 3)
    for picture in seen.numpy():  # colours and places change, the scale does not
        high = picture.mean(axis=-1) > picture.mean(axis=-1).min() + 60
        assert np.count_nonzero(high) ** 0.5 == pytest.approx(white[1], abs=1)


@pytest.mark.slow
def test_attributes_are_trained_from_kept_features(tmp_path, shallow, capfd):
    folder, kept = own(tmp_path / "data"), tmp_path / "features"
    (folder / "5.png").unlink()
    argv = ["--dataset", "own", "--data_dir", str(folder), "--cache_dir", str(kept), *MOBILE,
            "--max_steps", "6", "--pretrain_steps", "3", "--name", "run"]
    assert train.main(argv) == 0
    files = sorted(kept.iterdir())
    assert len(files) == 2  # train and validation
    stamps = [path.stat().st_mtime_ns for path in files]
    for argv in (["--watch", "1", "--beam_size", "2"], ["--min_global_step", "2"]):
        assert evaluation.main(["--name", "run", *argv]) == 2
    assert "without --watch" in capfd.readouterr().err
    assert evaluation.main(["--name", "run"]) == 0
    assert [path.stat().st_mtime_ns for path in files] == stamps
    assert len(list(kept.iterdir())) == 3  # and test, by the same encoder
    write_pictures(folder, "2.png")  # a test picture that is replaced is encoded again
    assert evaluation.main(["--name", "run"]) == 0
    assert len(list(kept.iterdir())) == 4
    assert caption.main(["--name", "run", str(folder), "--overlay"]) == 2
    capfd.readouterr()
    assert caption.main(["--name", "run", str(folder / "1.png"), "--beam_size", "2"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0] == "Captions for image 1.png:" and "(p=" in out[1]
    shutil.rmtree(kept)


# ---------------------------------------------------------------- real data


def test_the_pictures_and_captions_of_flickr8k(real_data):
    found = caption_files.read_flickr8k(real_data("captions/flickr8k"))
    assert [len(found[name].paths) for name in ("train", "validation", "test")] == [300, 50, 50]
    assert len(found["train"].texts) == 5700
    assert all(len(some) == 5 for some in found["test"].captions)
