"""Chapter 1: formulas against values by hand, loaders against files of the published layout."""

import gzip
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import interrupt_after

from chapter01_mnist import (
    basics,
    data,
    eval,
    export,
    predict,
    save_images,
    train,
    train_softmax,
)
from chapter01_mnist.model import NETWORKS, SoftmaxRegression, build_model, cross_entropy
from common import cli, files, images, rundir
from common.errors import UserError


def test_cross_entropy_equals_tensorflows_and_values_by_hand():
    logits = tf.constant([[0.0, 0.0], [np.log(3.0), 0.0], [1000.0, 0.0], [0.0, 1000.0]])
    labels = tf.constant([0, 0, 0, 0], tf.int64)
    ours = cross_entropy(labels, logits)
    np.testing.assert_allclose(ours, [np.log(2), np.log(4 / 3), 0, 1000], atol=1e-6)
    library = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    np.testing.assert_allclose(ours, library, atol=1e-6)


@pytest.mark.parametrize(("name", "parameters"), [
    ("softmax", 7_850),
    ("conv", 3_274_634),
    ("lenet", 20 * 26 + 50 * 501 + 801 * 500 + 5010),
    ("torch_small", 260 + 5020 + 321 * 50 + 510),
    ("torch_large", 832 + 51264 + 1025 * 100 + 1010),
])
def test_parameter_counts(name, parameters):
    model = build_model(name)
    assert sum(int(tf.size(v)) for v in model.trainable_variables) == parameters
    assert model(tf.zeros((2, 28, 28, 1)), training=False).shape == (2, 10)


def test_softmax_starts_at_zero_and_conv_as_in_the_book():
    softmax = SoftmaxRegression()
    assert not softmax.weights.numpy().any() and not softmax.biases.numpy().any()
    for variable in build_model("conv").trainable_variables:
        value = variable.numpy()
        if variable.path.endswith("bias"):
            np.testing.assert_allclose(value, 0.1)
        else:  # 0.1, truncated at two standard deviations, gives 0.088
            assert abs(value).max() <= 0.2
            assert value.std() == pytest.approx(0.088, abs=0.004)


def test_the_softmax_step_is_gradient_descent_on_the_sum():
    """The inner sum of the book's loss has no axis, so the loss is the sum over the batch."""
    rng = np.random.default_rng(0)
    x = rng.random((4, 784)).astype(np.float32)
    labels = np.array([3, 1, 4, 1])
    error = np.full((4, 10), 0.1) - np.eye(10)[labels]  # softmax of zeros, minus one-hot
    for reduction, scale in (("sum", 1.0), ("mean", 0.25)):
        split = data.Split((x.reshape(-1, 28, 28) * 255).astype(np.uint8), labels)
        x_seen = split.images.reshape(4, 784) / 255.0
        model = SoftmaxRegression()
        step = train_softmax.make_train_step(model, 0.01, reduction)
        metrics = step(data.scale(split.images), tf.constant(labels), tf.constant(1, tf.int64))
        np.testing.assert_allclose(metrics["loss"], np.log(10), rtol=1e-6)
        np.testing.assert_allclose(model.weights, -0.01 * scale * x_seen.T @ error, atol=1e-6)
        np.testing.assert_allclose(model.biases, -0.01 * scale * error.sum(0), atol=1e-6)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_trainable_variable_gets_a_gradient(name):
    model = build_model(name, keep_prob=1.0)
    batch = tf.random.stateless_uniform((8, 28, 28, 1), (1, 2))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(cross_entropy(tf.range(8, dtype=tf.int64), model(batch)))
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert float(tf.norm(gradient)) > 0


def test_training_conv_lowers_the_loss(capfd):
    assert train.main(["--max_steps", "60", "--batch_size", "20", "--learning_rate", "1e-3",
                       "--keep_prob", "1", "--eval_every", "60", "--log_every", "20",
                       "--name", "few"]) == 0
    lines = (rundir.runs_dir() / "chapter01_mnist/few/metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines if '"train"' in line]
    assert losses[-1] < 0.5 * losses[0]


def test_patience_stops_early(capfd):
    assert train.main(["--model", "lenet", "--learning_rate", "1e-9", "--optimizer", "sgd",
                       "--max_steps", "50", "--eval_every", "4", "--patience", "8",
                       "--name", "patient"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["step"] == 8
    assert train.main(["--name", "patient"]) == 2
    assert "early stopping ended this run at step 8" in capfd.readouterr().err
    assert train.main(["--name", "patient", "--patience", "16"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["step"] == 16


def test_early_stopping_is_decided_at_evaluations_only(monkeypatch):
    argv = ["--model", "lenet", "--max_steps", "50", "--eval_every", "8", "--patience", "2",
            "--name", "stopped"]
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        assert train.main(argv) == 130
    assert train.main(["--name", "stopped"]) == 0
    assert rundir.last_step(rundir.runs_dir() / "chapter01_mnist" / "stopped") >= 8


def test_the_readme_shows_the_result_of_each_preset():
    text = (files.ROOT / "chapter01_mnist" / "README.md").read_text(encoding="utf-8")
    for script in (train, train_softmax):
        for preset in script.PRESETS.keys() - {"demo"}:
            flags = cli.resolve(script.build_parser(),
                                ["--preset", preset])
            assert f'"mnist-{eval.results_name(flags.model, preset)}"' in text


@pytest.mark.parametrize(("script", "flag"), [
    (train_softmax, ("--keep_prob", "0.3")), (train_softmax, ("--patience", "7")),
    (train_softmax, ("--optimizer", "sgd")), (train_softmax, ("--model", "conv")),
    (train, ("--momentum", "0.9")),
    (train, ("--loss_reduction", "sum")), (train, ("--model", "softmax"))])
def test_a_flag_exists_only_where_it_has_an_effect(script, flag, capfd):
    assert script.main([*flag, "--max_steps", "1"]) == 2
    assert flag[0] in capfd.readouterr().err


def test_a_resumed_softmax_run_equals_an_uninterrupted_one(capfd):
    flags = ("--log_every", "2", "--eval_every", "4", "--augment")
    for name, max_steps in (("whole", "12"), ("parts", "8")):
        assert train_softmax.main([*flags, "--max_steps", max_steps, "--name", name]) == 0
    assert train_softmax.main(["--name", "parts", "--max_steps", "12"]) == 0
    whole, parts = (rundir.runs_dir() / "chapter01_mnist" / name for name in ("whole", "parts"))
    assert (whole / "metrics.jsonl").read_bytes() == (parts / "metrics.jsonl").read_bytes()
    assert eval.main(["--name", "parts"]) == 0
    assert files.read_json(parts / "eval.json")["model"] == "softmax-demo"


def test_a_data_folder_without_effect_is_refused(tmp_path, capfd):
    assert train.main(["--data_dir", str(tmp_path)]) == 2
    assert "add --dataset mnist" in capfd.readouterr().err


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def idx_folder(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "idx"
    folder.mkdir()
    for kind, count in (("train", 50), ("t10k", 7)):
        write_idx(folder / f"{kind}-images-idx3-ubyte.gz",
                  rng.integers(0, 256, (count, 28, 28), np.uint8))
        write_idx(folder / f"{kind}-labels-idx1-ubyte.gz",
                  (np.arange(count) % 10).astype(np.uint8))
    return folder


def test_idx_files_load_and_the_first_images_are_for_validation(idx_folder):
    splits = data.load_idx(idx_folder, "mnist")
    assert {name: len(s.labels) for name, s in splits.items()} == {
        "train": 40, "validation": 10, "test": 7}
    np.testing.assert_array_equal(splits["validation"].labels, np.arange(10))
    plain = idx_folder / "t10k-labels-idx1-ubyte"
    zipped = plain.with_name(plain.name + ".gz")
    plain.write_bytes(gzip.decompress(zipped.read_bytes()))
    zipped.unlink()
    unpacked = idx_folder / "train-labels-idx1-ubyte.gz"  # by a browser
    unpacked.write_bytes(gzip.decompress(unpacked.read_bytes()))
    np.testing.assert_array_equal(data.load_idx(idx_folder, "mnist")["test"].labels, np.arange(7))


def test_bad_idx_files_are_named(idx_folder, capfd):
    def fails(says):
        assert train.main(["--dataset", "mnist", "--data_dir", str(idx_folder)]) == 2
        assert says in capfd.readouterr().err
        assert not (rundir.runs_dir() / "chapter01_mnist").exists()

    labels = idx_folder / "train-labels-idx1-ubyte.gz"
    good = labels.read_bytes()
    labels.write_bytes(good[:-12])
    fails("cannot be decompressed")
    labels.write_bytes(gzip.compress(gzip.decompress(good)[:-3]))
    fails("has 47 bytes of data, expected 50")
    labels.write_bytes(gzip.compress(b"PNG!" * 9))
    fails("not with an idx header")
    for axes in (4, 100):
        labels.write_bytes(bytes([0, 0, 8, axes]) + axes * b"\0\1\0\0")  # 65536 each
        fails("not with an idx header")
    labels.write_bytes(bytes([0, 0, 8, 3]) + 3 * b"\x80\0\0\0")  # the product overflows int64
    fails(f"has 0 bytes of data, expected {2**93}")
    write_idx(labels, np.zeros(49, np.uint8))
    fails("do not match: images (50, 28, 28), labels (49,)")
    write_idx(labels, np.full(50, 10, np.uint8))
    fails("label 10")
    labels.unlink()
    fails("has no train-labels-idx1-ubyte")


@pytest.mark.parametrize(("train_images", "test_images"), [(0, 7), (1, 7), (4, 7), (50, 0)])
def test_too_few_images_are_refused(idx_folder, train_images, test_images, capfd):
    for kind, count in (("train", train_images), ("t10k", test_images)):
        write_idx(idx_folder / f"{kind}-images-idx3-ubyte.gz", np.zeros((count, 28, 28), np.uint8))
        write_idx(idx_folder / f"{kind}-labels-idx1-ubyte.gz", np.zeros(count, np.uint8))
    assert train.main(["--dataset", "mnist", "--data_dir", str(idx_folder)]) == 2
    said = f"{train_images} training and {test_images} test images are too few"
    assert said in capfd.readouterr().err


def test_missing_files_without_network_are_explained(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("common.files.reachable", lambda url: False)
    folder = tmp_path / "nothing"
    assert train.main(["--dataset", "mnist", "--data_dir", str(folder)]) == 2
    err = capfd.readouterr().err
    assert "no network" in err and "train-images-idx3-ubyte.gz" in err and "440fcabf73cc" in err


def test_digits_are_real_and_disjoint():
    splits = data.load_digits()
    assert {name: s.images.shape for name, s in splits.items()} == {
        "test": (300, 28, 28), "validation": (300, 28, 28), "train": (1197, 28, 28)}
    seen = [image.tobytes() for s in splits.values() for image in s.images]
    assert len(set(seen)) >= 1790  # the data set has a few duplicates


def test_training_stream_starts_anywhere_and_augments_by_key():
    split = data.load_digits()["train"]
    whole = list(data.training_batches(split, 50, seed=3, augmented=True).take(6))
    late = list(data.training_batches(split, 50, seed=3, start_step=4, augmented=True).take(2))
    for (a, x), (b, y) in zip(whole[4:], late, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(x, y)
    assert 0 <= float(tf.reduce_min(whole[0][0])) and float(tf.reduce_max(whole[0][0])) <= 1


def test_augmentation_moves_images_slightly():
    digits = tf.cast(data.load_digits()["train"].images[:64], tf.float32)[..., None] / 255
    moved = data.augment(digits, tf.constant([1, 2], tf.int64))
    assert moved.shape == digits.shape
    assert float(tf.reduce_mean(abs(moved - digits))) > 0.02
    rows = np.arange(28)[None, :, None]
    centre = [(np.asarray(x)[..., 0] * rows).sum((1, 2)) / np.asarray(x).sum((1, 2, 3))
              for x in (digits, moved)]
    assert np.abs(centre[0] - centre[1]).max() < 4


def test_eval_scores_the_checkpoint_with_the_best_validation_accuracy(capfd):
    assert train.main(["--max_steps", "40", "--eval_every", "10", "--learning_rate", "1e-3",
                       "--name", "best"]) == 0
    run = rundir.runs_dir() / "chapter01_mnist" / "best"
    lines = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    best = max(x["accuracy"] for x in lines if x["split"] == "val")
    assert eval.main(["--name", "best"]) == 0
    result = json.loads((run / "eval.json").read_text())
    assert result["metrics"]["validation"]["accuracy"] == pytest.approx(best)
    assert result["metrics"]["test"]["examples"] == 300
    for name in ("confusion.png", "mistakes.png"):
        assert images.read_image(run / name).std() > 0


@pytest.fixture
def trained(capfd):
    assert train.main(["--max_steps", "150", "--eval_every", "150", "--learning_rate", "1e-3",
                       "--name", "digits"]) == 0
    return rundir.runs_dir() / "chapter01_mnist" / "digits"


@pytest.mark.slow
def test_predict_reads_any_size_and_polarity(trained, tmp_path, capfd):
    test = data.load_digits()["test"]
    paths, labels = [], []
    for number in range(10):
        large = np.kron(np.pad(test.images[number], 40), np.ones((5, 5), np.uint8))
        grey = (200 - 0.7 * large + np.linspace(-20, 20, len(large))[:, None]).astype(np.uint8)
        for name, image in (("light", large), ("dark", 255 - large), ("grey", grey)):
            path = tmp_path / f"{number}-{name}.png"
            images.write_png(path, image)
            paths.append(str(path))
            labels.append(str(test.labels[number]))
    capfd.readouterr()
    assert predict.main(["--name", "digits", "--json", *paths]) == 0
    answers = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert np.mean([a["label"] == b for a, b in zip(answers, labels, strict=True)]) >= 0.8
    assert export.main(["--name", "digits"]) == 0
    capfd.readouterr()
    served = tf.saved_model.load(str(trained / "export" / "1")).signatures
    encoded = tf.constant([Path(path).read_bytes() for path in paths])
    found = served["pictures"](encoded=encoded)["probabilities"]
    expected = [list(answer["probabilities"].values()) for answer in answers]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for name, empty in (("pictures", {"encoded": encoded[:0]}),
                        ("serving_default", {"images": test.images[:0]})):
        assert served[name](**empty)["probabilities"].shape == (0, 10)
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(paths[0]).read_bytes()[:60])
    bad = [str(broken), str(tmp_path / "absent.png")]
    assert predict.main(["--name", "digits", bad[0], paths[0], bad[1], paths[1]]) == 2
    answered, said = capfd.readouterr()
    assert [line.split(": ")[0] for line in answered.splitlines()] == paths[:2]
    assert said.startswith("error: ") and all(path in said for path in bad)


def prepare(grey, centre=True):
    """Prepares a greyscale image, given as RGB."""
    return data.prepare_image(np.repeat(grey[..., None], 3, axis=-1), centre).numpy()


def test_prepared_images_are_centred():
    test = data.load_digits()["test"].images[0]
    moved = np.zeros((60, 90), np.uint8)
    moved[5:33, 50:78] = test
    a, b = prepare(test), prepare(moved)
    assert np.abs(a.astype(int) - b.astype(int)).mean() < 3
    np.testing.assert_array_equal(b, prepare(255 - moved))
    for level in (0, 200, 255):
        for centre in (True, False) if level != 200 else (True,):
            blank = prepare(np.full((9, 5), level, np.uint8), centre)
            assert blank.shape == (28, 28) and not blank.any()
    np.testing.assert_array_equal(prepare(test, centre=False), test)


@pytest.mark.parametrize(("paper", "ink", "shading", "noise"), [
    (255, 0, 0, 0), (200, 0, 0, 0), (160, 20, 0, 0), (110, 10, 0, 0), (220, 150, 0, 0),
    (200, 20, 20, 0), (200, 20, 0, 5), (40, 220, 20, 5)])
def test_the_paper_is_no_ink(paper, ink, shading, noise):
    rng = np.random.default_rng(0)
    for number, image in enumerate(data.load_digits()["test"].images[:6]):
        light = np.kron(np.pad(image, 20), np.ones((2, 2))) / 255
        ground = paper + shading * np.linspace(-1, 1, light.shape[number % 2])[:, None]
        ground = ground if number % 2 else ground.T
        page = ground + light * (ink - ground) + rng.normal(0, 1, light.shape) * noise
        found = prepare(np.clip(page, 0, 255).astype(np.uint8))
        expected = prepare((255 * light).astype(np.uint8))
        assert np.abs(found.astype(int) - expected.astype(int)).mean() < 16
    blank = np.clip(ground + rng.normal(0, 1, light.shape) * noise, 0, 255).astype(np.uint8)
    assert not shading or noise or not prepare(blank).any()


def test_ink_that_touches_the_border_is_kept():
    for image in data.load_digits()["test"].images[:6]:
        rows, columns = (np.flatnonzero(image.max(axis=axis) > 100) for axis in (1, 0))
        cut = np.kron(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1],
                      np.ones((3, 3), np.uint8))
        cut = np.pad(cut, ((0, 0), (9, 9)))  # touches above and below
        expected = prepare(np.pad(cut, 10))
        for page in (cut, 255 - cut, (200 - cut * (200 / 255)).astype(np.uint8)):
            assert np.abs(prepare(page).astype(int) - expected.astype(int)).mean() < 3


def test_the_introductory_examples_hold(capfd):
    assert basics.main([]) == 0
    out = capfd.readouterr().out
    assert "27." in out and "0.625" in out and "[16., 18.]" in out and "0.7531" in out


def test_save_images_is_lossless(tmp_path, capfd):
    assert save_images.main(["--num_images", "4", "--output_dir", str(tmp_path)]) == 0
    out = capfd.readouterr().out
    split = data.load_digits()["train"]
    numbers = [line.split() for line in out.partition("image 0:\n")[2].splitlines()[:28]]
    np.testing.assert_array_equal(np.array(numbers, int), split.images[0])
    for number in range(4):
        image = images.read_image(tmp_path / f"digits_train_{number}.png", "L")
        np.testing.assert_array_equal(image, split.images[number])
        assert f"-> {split.labels[number]}" in out
    assert "train: images (1197, 28, 28)" in out


def test_mnist_is_read_whole(real_data):
    splits = data.load_idx(real_data("mnist"), "mnist")
    assert {name: len(s.labels) for name, s in splits.items()} == {
        "train": 55_000, "validation": 5_000, "test": 10_000}
    assert np.bincount(splits["test"].labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert splits["validation"].labels[:5].tolist() == [5, 0, 4, 1, 9]


@pytest.mark.slow
def test_softmax_on_mnist_reaches_the_books_number(real_data, capfd):
    assert train_softmax.main(["--preset", "book", "--data_dir", str(real_data("mnist")),
                       "--name", "book"]) == 0
    assert eval.main(["--name", "book"]) == 0
    test = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert test["examples"] == 10_000
    assert 0.895 < test["accuracy"] < 0.93


def test_a_run_of_another_model_is_refused():
    assert train_softmax.main(["--max_steps", "1", "--name", "one"]) == 0
    run = rundir.runs_dir() / "chapter01_mnist" / "one"
    with pytest.raises(UserError, match="does not fit this model"):
        from common import checkpoint
        checkpoint.load(run, "latest", model=keras.Sequential([keras.Input((3,)),
                                                               keras.layers.Dense(2)]))
