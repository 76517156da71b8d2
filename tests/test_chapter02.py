"""Chapter 2: the records, the augmentations, the book's network, several devices."""

import argparse
import io
import itertools
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chapter02_cifar import (
    augmentations,
    data,
    eval,
    export,
    multi_worker,
    predict,
    read_demo,
    shapes,
    train,
)
from chapter02_cifar.model import (
    NETWORKS,
    BatchNormalization,
    LocalResponseNormalization,
    build_model,
)
from common import checkpoint, files, lock, rundir
from common.errors import UserError

SEED = tf.constant([3, 4], tf.int64)


@pytest.fixture(scope="module")
def pictures():
    return shapes.draw(64, seed=5)


def write_layout(folder, dataset="cifar10", per_file=10, names=10):
    """Writes files in the official layout; picture i is filled with bytes of its own."""
    layout = data.LAYOUTS[dataset]
    folder = folder / layout.folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    written = {}
    for file in (*layout.train, *layout.test):
        images = rng.integers(0, 256, (per_file, 32, 32, 3), np.uint8)
        labels = rng.integers(0, names, per_file).astype(np.uint8)
        rows = [*[labels % 3] * (layout.label_bytes - 1), labels]
        planes = images.transpose(0, 3, 1, 2).reshape(per_file, -1)
        (folder / file).write_bytes(np.column_stack([*rows, planes]).tobytes())
        written[file] = images, labels
    (folder / layout.names).write_text("\n".join(f"class{i}" for i in range(names)) + "\n\n")
    return folder, written


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
@pytest.mark.parametrize("inside", [True, False])
def test_official_layout_is_read(tmp_path, dataset, inside):
    folder, written = write_layout(tmp_path, dataset)
    splits, names = data.load_files(folder if inside else tmp_path, dataset)
    layout = data.LAYOUTS[dataset]
    assert names == tuple(f"class{i}" for i in range(10))
    images, labels = (np.concatenate(parts) for parts in
                      zip(*(written[file] for file in layout.train), strict=True))
    found = [np.concatenate([splits[part][i] for part in ("train", "validation")]) for i in (0, 1)]
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], labels)
    np.testing.assert_array_equal(splits["test"].images, written[layout.test[0]][0])
    assert len(splits["validation"].labels) == len(labels) // 10


def test_broken_layouts_are_named(tmp_path):
    folder, _ = write_layout(tmp_path)
    batch = folder / "data_batch_3.bin"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=r"data_batch_3.bin has 30729 bytes.* multiple of 3073"):
        data.load_files(tmp_path, "cifar10")
    batch.unlink()
    with pytest.raises(UserError, match=r"has no data_batch_3.bin; it holds"):
        data.load_files(tmp_path, "cifar10")
    batch.write_bytes(b"\x0b" + whole[1:])
    with pytest.raises(UserError, match=r"label 11, but batches.meta.txt names 10 classes"):
        data.load_files(tmp_path, "cifar10")


def test_the_archive_is_fetched_and_unpacked_whole(tmp_path, monkeypatch):
    source, _ = write_layout(tmp_path / "source")
    archive, target = tmp_path / "archive.tar.gz", tmp_path / "target"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, source.name)
    monkeypatch.setattr(files, "fetch", lambda path, urls, sha256: archive)
    (target / "cifar10.part" / "left over").mkdir(parents=True)
    assert data.load_files(target, "cifar10").names[0] == "class0"
    assert [path.name for path in target.iterdir()] == ["cifar-10-batches-bin"]
    for file in (target / "cifar-10-batches-bin").glob("*.bin"):
        file.unlink()
    with pytest.raises(UserError, match="cifar-10-batches-bin holds no records"):
        data.load_files(target, "cifar10")


@pytest.mark.parametrize("content", ["cut", "empty", "foreign", "no archive"])
def test_an_archive_placed_by_hand_is_checked(tmp_path, content, capfd):
    archive = tmp_path / "cifar-10-binary.tar.gz"
    source, _ = write_layout(tmp_path / "source", "cifar100" if content == "foreign" else "cifar10")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, source.name)
    if content == "cut":
        archive.write_bytes(archive.read_bytes()[:-1000])
    elif content != "foreign":
        archive.write_bytes(b"" if content == "empty" else b"<html>404</html>")
    assert data.main(["--dataset", "cifar10", "--data_dir", str(tmp_path)]) == 2
    said = capfd.readouterr().err
    assert archive.name in said and "hint: " in said and "c4a38c50a1bc" in said
    assert {path.name for path in tmp_path.iterdir()} == {archive.name, "source"}


def test_too_few_images_are_refused(tmp_path):
    write_layout(tmp_path, per_file=1)
    with pytest.raises(UserError, match="5 training images are too few"):
        data.load_files(tmp_path, "cifar10")


def test_the_real_pictures_survive_the_layout(real_data, tmp_path):
    with np.load(real_data("cifar10/cifar10_jpeg.npz")) as source:
        raw, offsets = source["test_jpeg"], source["test_offsets"]
        labels = source["test_labels"][:50].astype(np.uint8)
    images = np.stack([np.asarray(Image.open(io.BytesIO(raw[a:b].tobytes())).convert("RGB"))
                       for a, b in itertools.pairwise(offsets[:51])])
    records = np.column_stack([labels, images.transpose(0, 3, 1, 2).reshape(50, -1)])
    (tmp_path / "batch.bin").write_bytes(records.tobytes())
    split = data.read_files([tmp_path / "batch.bin"], 1)
    np.testing.assert_array_equal(split.images, images)
    np.testing.assert_array_equal(split.labels, labels)


def test_shapes_are_drawn_from_the_seed_and_no_pixel_tells_them(pictures):
    images, labels = pictures
    again, _ = shapes.draw(64, seed=5)
    np.testing.assert_array_equal(images, again)
    assert images.dtype == np.uint8 and images.std() > 20
    assert set(labels) == set(range(10))


def test_a_crop_is_a_window_of_the_picture(pictures):
    images = tf.cast(pictures[0], tf.float32)
    crops = augmentations.random_crop(images, SEED).numpy()
    places = set()
    for picture, crop in zip(images.numpy(), crops, strict=True):
        found = [(r, c) for r in range(9) for c in range(9)
                 if np.array_equal(picture[r : r + 24, c : c + 24], crop)]
        assert found
        places.add(found[0])
    assert len(places) > 20
    assert max(r for r, _ in places) == 8 and min(r for r, _ in places) == 0


def test_flip_brightness_and_contrast(pictures):
    images = tf.cast(pictures[0], tf.float32)
    flipped = augmentations.random_flip(images, SEED).numpy()
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, images, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(flipped, images, strict=True)]
    assert all(np.logical_xor(mirrored, same)) and 16 < sum(mirrored) < 48
    added = (augmentations.random_brightness(images, SEED) - images).numpy()
    assert np.ptp(added, axis=(1, 2, 3)).max() < 1e-3
    assert -63 <= added.min() < -40 and 40 < added.max() <= 63
    stretched = augmentations.random_contrast(images, SEED).numpy()
    np.testing.assert_allclose(stretched.mean((1, 2)), images.numpy().mean((1, 2)), rtol=1e-4)
    factors = stretched.std((1, 2)) / images.numpy().std((1, 2))
    np.testing.assert_allclose(factors, np.tile(factors[:, :1], 3), rtol=1e-3)
    assert 0.2 <= factors.min() < 0.5 and 1.5 < factors.max() <= 1.801


@pytest.mark.parametrize(("augment", "names"), [
    ("book", "random_crop random_flip random_brightness random_contrast"),
    ("cutout", "random_crop random_flip cutout"),
    ("noise,rotation,crop", "random_noise random_rotation random_crop"),
])
def test_all_distortions_are_each_of_them_in_turn(pictures, augment, names):
    images = tf.cast(pictures[0], tf.float32)
    for number, name in enumerate(names.split()):
        images = getattr(augmentations, name)(images, augmentations.fold_in(SEED, number))
    expected = tf.image.per_image_standardization(images)
    np.testing.assert_array_equal(
        augmentations.distort(pictures[0], SEED, augment=augment), expected)


def test_rotation_and_zoom_move_a_disc_about_the_centre():
    """A disc right of the centre keeps its distance when rotated, its direction when zoomed."""
    y, x = np.mgrid[:33, :33] - 16
    disc = np.where((x - 8) ** 2 + y**2 < 9, 255, 0).astype(np.float32)
    images = tf.tile(tf.constant(disc)[None, ..., None], (64, 1, 1, 3))

    def place(moved):
        weight = moved.numpy()[..., 0]
        total = weight.sum((1, 2))
        return (weight * x).sum((1, 2)) / total, (weight * y).sum((1, 2)) / total, total

    right, down, _ = place(augmentations.random_rotation(images, SEED))
    np.testing.assert_allclose(np.hypot(right, down), 8, atol=0.05)
    angles = np.degrees(np.arctan2(down, right))
    assert -15.2 < angles.min() < -10 and 10 < angles.max() < 15.2
    right, down, total = place(augmentations.random_zoom(images, SEED))
    np.testing.assert_allclose(down, 0, atol=1e-3)
    factors = right / 8
    assert 0.78 < factors.min() < 0.9 and 1.1 < factors.max() < 1.27
    np.testing.assert_allclose(total / disc.sum(), factors**2, rtol=0.06)


def test_noise_and_upside_down(pictures):
    images = tf.cast(pictures[0], tf.float32)
    noise = (augmentations.random_noise(images, SEED) - images).numpy()
    deviations = noise.std((1, 2, 3))
    assert 0 <= deviations.min() < 2 and 8 < deviations.max() < 10.5
    np.testing.assert_allclose(noise.mean((1, 2, 3)), 0, atol=1)
    flipped = augmentations.random_flip_up_down(images, SEED).numpy()
    turned = [np.array_equal(a, b[::-1]) for a, b in zip(flipped, images, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(flipped, images, strict=True)]
    assert all(np.logical_xor(turned, same)) and 16 < sum(turned) < 48


def test_an_unknown_augmentation_is_named(capfd):
    assert train.main(["--augment", "flip,blur", "--max_steps", "1"]) == 2
    assert "--augment: 'blur' is not one of book, cutout, none, crop" in capfd.readouterr().err
    assert train.main(["--augment", "flip,crop,flip", "--max_steps", "1"]) == 2
    assert "--augment: flip,crop,flip has flip twice" in capfd.readouterr().err


def test_whole_pictures_are_shifted_over_their_mirrored_edges(pictures):
    images = tf.cast(pictures[0], tf.float32)
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), "reflect")
    crops = augmentations.random_crop(images, SEED, 32).numpy()
    for picture, crop in zip(padded, crops, strict=True):
        assert any(np.array_equal(picture[r : r + 32, c : c + 32], crop)
                   for r in range(9) for c in range(9))


def test_cutout_blots_out_one_square_by_the_mean(pictures):
    images = tf.cast(pictures[0], tf.float32)
    blotted = augmentations.cutout(images, SEED).numpy()
    sides = set()
    for before, after in zip(images.numpy(), blotted, strict=True):
        changed = (before != after).any(-1)
        rows, columns = changed.any(1).nonzero()[0], changed.any(0).nonzero()[0]
        inside = after[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.testing.assert_allclose(inside, np.broadcast_to(before.mean((0, 1)), inside.shape),
                                   rtol=1e-4)
        assert changed.sum() <= inside.shape[0] * inside.shape[1]
        sides.add(inside.shape[:2])
    assert (8, 8) in sides and max(max(side) for side in sides) == 8 and len(sides) > 1


def test_without_distortion_the_middle_is_trained_on(pictures):
    for size in (24, 32):
        np.testing.assert_array_equal(augmentations.distort(pictures[0], SEED, size, "none"),
                                      augmentations.centre(pictures[0], size))


def test_what_the_network_sees_is_standardised(pictures):
    for seen in (augmentations.distort(pictures[0], SEED), augmentations.centre(pictures[0])):
        assert seen.shape == (64, 24, 24, 3)
        np.testing.assert_allclose(tf.reduce_mean(seen, axis=(1, 2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(tf.math.reduce_std(seen, axis=(1, 2, 3)), 1, atol=1e-3)
    np.testing.assert_array_equal(augmentations.centre(np.full((1, 32, 32, 3), 7, np.uint8)), 0)


def test_a_batch_is_a_function_of_seed_and_step(pictures):
    split = data.Split(*pictures)
    whole = list(data.training_batches(split, 10, seed=1).take(9).as_numpy_iterator())
    later = next(iter(data.training_batches(split, 10, seed=1, start_step=8)))
    np.testing.assert_array_equal(whole[8][0], later[0])
    other = next(iter(data.training_batches(split, 10, seed=2, start_step=8)))
    assert not np.array_equal(whole[8][0], other[0])


def test_the_books_network():
    model = build_model("book")
    assert model.count_params() == 1_068_298
    assert [layer.count_params() for layer in model.layers if layer.weights] == [
        4_864, 102_464, 885_120, 73_920, 1_930]
    stddevs = [w.numpy().std() for w in model.weights if len(w.shape) > 1]
    cut = 0.87962  # standard deviation of a normal of deviation 1 that is cut off at 2
    expected = cut * np.array([0.05, 0.05, 0.04, 0.04, 1 / 192])
    np.testing.assert_allclose(stddevs, expected, rtol=0.05)
    wide = [layer.kernel.numpy() for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    penalty = 0.004 * sum(np.sum(kernel**2) / 2 for kernel in wide[:2])
    np.testing.assert_allclose(float(sum(model.losses)), penalty, rtol=1e-5)
    np.testing.assert_allclose(np.log(10) + penalty, 4.676, atol=0.02)


def test_local_response_normalization_of_a_single_channel():
    x = np.array([0.5, 3.0, 100.0], np.float32).reshape(1, 1, 3, 1)
    expected = x / (1 + 0.001 / 9 * x**2) ** 0.75
    np.testing.assert_allclose(LocalResponseNormalization()(x), expected, rtol=1e-5)


@pytest.mark.parametrize(("name", "parameters"), [
    ("alexnet", 2_248_906), ("vgg", 1_440_106), ("inception", 312_362), ("resnet20", 271_098),
    ("resnet9", 1_648_362)])
def test_the_later_networks(name, parameters):
    model = build_model(name)
    assert model.count_params() == parameters
    assert model.input_shape == (None, 32, 32, 3) and model.output_shape == (None, 10)


def test_a_residual_block_leads_around_its_convolutions(pictures):
    model = build_model("resnet20")
    x = augmentations.centre(pictures[0], 32)
    for layer in model.layers:  # without what the convolutions add, something still gets through
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] > 3:
            layer.kernel.assign(0 * layer.kernel)
    assert np.ptp(model(x), axis=0).min() > 0.01


def test_fused_batch_normalization_is_keras_own():
    ours, keras_own = BatchNormalization(), keras.layers.BatchNormalization()
    x = tf.random.stateless_normal((64, 9, 9, 3), (0, 1), 2.0, 3.0)
    weights = [np.array(row, np.float32) for row in
               ([1, 2, 3], [0, 1, -1], [0.5, 0, 1], [1, 2, 0.5])]
    for layer in (ours, keras_own):
        layer.build(x.shape)
        layer.set_weights(weights)
    for training in (False, True, False):
        outputs, gradients = [], []
        for layer in (ours, keras_own):
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs.append(layer(x, training=training))
                loss = tf.reduce_sum(outputs[-1] ** 3)
            gradients.append(tape.gradient(loss, [x, *layer.trainable_variables]))
        np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-4)
        for one, other in zip(*gradients, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=np.abs(other).max() / 1e4)
    for one, other in zip(ours.weights, keras_own.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_stays_near_float32(name, pictures):
    exact, fast = (build_model(name, precision=p) for p in ("float32", "bfloat16"))
    fast.set_weights(exact.get_weights())
    x = augmentations.centre(pictures[0], exact.input_shape[1])
    assert {w.dtype for w in fast.weights} <= {"float32"}
    assert fast(x).dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(fast(x), tf.float32), exact(x), rtol=0.1,
                               atol=0.05 * np.abs(exact(x)).max() + 1e-6)


def test_one_cycle_rises_for_a_quarter_and_ends_at_nothing():
    args = train.build_parser().parse_args(["--schedule", "one_cycle", "--max_steps", "400"])
    rate = [float(train.learning_rate(args, 50_000)(step)) for step in (0, 50, 100, 250, 400)]
    np.testing.assert_allclose(rate, [0, 0.05, 0.1, 0.05, 0], atol=1e-7)


def test_weight_decay_takes_from_kernels_only():
    args = train.build_parser().parse_args(
        ["--momentum", "0.9", "--weight_decay", "0.5", "--learning_rate", "0.1"])
    model = build_model("resnet20")
    before = [v.numpy() for v in model.trainable_variables]
    optimizer = train.make_optimizer(args, model, 1000)
    optimizer.apply([tf.zeros(v.shape) for v in before])
    for old, new in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_allclose(new, old * (1 if old.ndim == 1 else 0.95), rtol=1e-5)


def test_smoothed_labels_give_part_of_the_share_to_all_classes(pictures):
    model = build_model("softmax")
    model.layers[-1].bias.assign(np.arange(10, dtype=np.float32))
    step = train.make_train_step(tf.distribute.get_strategy(), model, build_model("softmax"),
                                 keras.optimizers.SGD(0.1), 64, 0.9, label_smoothing=0.2)
    labels = pictures[1]
    batch = augmentations.centre(pictures[0]), tf.constant(labels)
    _, cross_entropy = step(*batch, tf.constant(1, tf.int64))
    nats = np.log(np.exp(np.arange(10)).sum()) - np.arange(10)
    np.testing.assert_allclose(cross_entropy, np.mean(0.8 * nats[labels] + 0.2 * nats.mean()),
                               rtol=1e-5)


def test_the_rate_falls_after_350_epochs():
    args = train.build_parser().parse_args([])
    rate = train.learning_rate(args, 50_000)
    assert [round(float(rate(step)), 6) for step in (0, 136_717, 136_718)] == [0.1, 0.1, 0.01]


def test_one_step_trains_everything_and_moves_the_averages(pictures):
    model, averages = build_model("book"), build_model("book")
    before = [v.numpy() for v in model.variables]
    strategy, optimizer = tf.distribute.get_strategy(), keras.optimizers.SGD(0.1)
    step = train.make_train_step(strategy, model, averages, optimizer, 64, 0.9999)
    images, labels = augmentations.centre(pictures[0]), tf.constant(pictures[1])
    total, cross_entropy = step(images, labels, tf.constant(1, tf.int64))
    np.testing.assert_allclose(float(total), 4.68, atol=0.1)
    np.testing.assert_allclose(float(cross_entropy), np.log(10), atol=0.1)
    decay = (1 + 1) / (10 + 1)
    for old, new, average in zip(before, model.variables, averages.variables, strict=True):
        assert not np.array_equal(old, new.numpy()), new.path
        np.testing.assert_allclose(average, decay * old + (1 - decay) * new, atol=1e-6)


@pytest.mark.slow
def test_few_pictures_are_learnt_by_heart(pictures):
    model, averages = build_model("book"), build_model("book")
    strategy, optimizer = tf.distribute.get_strategy(), keras.optimizers.SGD(0.1)
    step = train.make_train_step(strategy, model, averages, optimizer, 16, 0.9)
    images, labels = augmentations.centre(pictures[0][:16]), tf.constant(pictures[1][:16])
    for t in range(150):
        _, cross_entropy = step(images, labels, tf.constant(t, tf.int64))
    assert float(cross_entropy) < 0.1


TWO_DEVICES = """
import numpy as np, tensorflow as tf, keras
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from chapter02_cifar import data, shapes, train
from chapter02_cifar import augmentations
from chapter02_cifar.model import build_model

pictures, labels = shapes.draw(16, seed=0)
batches = tf.data.Dataset.from_tensors((augmentations.centre(pictures), labels)).unbatch().batch(16)
found = []
for name in ("one_device", "mirrored"):
    args = train.build_parser().parse_args(["--strategy", name, "--batch_size", "16"])
    strategy = train.make_strategy(args)
    with strategy.scope():
        model, averages = (build_model("book") for _ in range(2))
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)
    step = train.make_train_step(strategy, model, averages, optimizer, 16, 0.9)
    for batch in strategy.experimental_distribute_dataset(batches):
        losses = step(*batch, tf.constant(1, tf.int64))
    found.append([*losses, *(v.numpy() for v in (*model.variables, *averages.variables))])
for a, b in zip(*found, strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)
print("equal")
"""


@pytest.mark.slow
def test_two_devices_step_like_one():
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines == ["devices: 2, each with 8 of the 16 images of a batch", "equal"]


@pytest.mark.slow
def test_two_workers_train_like_one_and_resume_so(tmp_path, capfd):
    flags = ["--batch_size", "16", "--eval_every", "9", "--save_every", "9"]
    assert train.main([*flags, "--max_steps", "4", "--run_dir", str(tmp_path / "one")]) == 0
    two = str(tmp_path / "two")
    for max_steps in ("2", "4"):
        assert multi_worker.main(["--", *flags, "--max_steps", max_steps, "--run_dir", two]) == 0
    assert "devices: 2, each with 8 of the 16 images of a batch" in capfd.readouterr().out
    weights = []
    for name in ("one", "two"):
        averages = build_model("book")
        assert checkpoint.load(tmp_path / name, "latest", averages=averages).endswith("-4")
        weights.append(averages.get_weights())
    for one, both in zip(*weights, strict=True):
        np.testing.assert_allclose(one, both, atol=1e-5)


@pytest.mark.slow
def test_a_worker_that_fails_ends_the_others(tmp_path, capfd):
    assert multi_worker.main(["--", "--batch_size", "15", "--run_dir", str(tmp_path / "run")]) == 2
    assert "--batch_size 15 cannot be split over 2 devices" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_worker_says_when_another_has_stopped(run):
    args = train.cli.resolve(train.build_parser(),
                             ["--run_dir", str(run), "--max_steps", "9"])
    digest = rundir.read_config(run)["dataset_sha256"]
    with (pytest.raises(UserError, match="another worker has stopped"),
          train.open_run(args, tf.distribute.get_strategy(), dataset_sha256=digest)):
        raise tf.errors.UnavailableError(None, None, "Connection reset by peer")


def test_workers_must_know_of_each_other(tmp_path, capfd, monkeypatch):
    assert train.main(["--strategy", "multi_worker", "--run_dir", str(tmp_path / "run")]) == 2
    assert "without TF_CONFIG" in capfd.readouterr().err
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert train.main(["--strategy", "multi_worker"]) == 2
    assert "without a run folder" in capfd.readouterr().err
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", tf.distribute.get_strategy)
    train.make_strategy(argparse.Namespace(strategy="multi_worker", unnamed=False, batch_size=8))
    assert "listens on all interfaces" in capfd.readouterr().err


@pytest.mark.slow
def test_softmax_cannot_tell_the_shapes():
    assert train.main(["--model", "softmax", "--learning_rate", "0.01", "--max_steps", "1000",
                       "--eval_every", "1000", "--name", "linear"]) == 0
    run = rundir.runs_dir() / "chapter02_cifar" / "linear"
    assert eval.main(["--run_dir", str(run)]) == 0
    test = files.read_json(run / "eval.json")["metrics"]["test"]
    assert test["examples"] == 2000 and 0.1 < test["accuracy"] < 0.6


@pytest.fixture
def run():
    assert train.main(["--model", "softmax", "--batch_size", "8", "--max_steps", "3",
                       "--name", "tiny"]) == 0
    return rundir.runs_dir() / "chapter02_cifar" / "tiny"


def test_watching_follows_the_training_and_ends_with_it(run, capfd, monkeypatch):
    training = [True, True, False, False]

    def train_on(seconds):
        assert seconds == 7
        assert train.main(["--run_dir", str(run), "--max_steps", "5"]) == 0

    monkeypatch.setattr(lock, "in_use", lambda _: training.pop(0))
    monkeypatch.setattr(eval.time, "sleep", train_on)
    assert eval.main(["--run_dir", str(run), "--watch", "7", "--checkpoint", "latest"]) == 0
    result = files.read_json(run / "eval.json")
    by_step = result["details"]["test_accuracy_by_step"]
    assert list(by_step) == ["3", "5"] and training == []
    assert by_step["5"] == result["metrics"]["test"]["accuracy"]
    assert list((run / "tb" / "test").iterdir())
    assert Image.open(run / "test_accuracy.png").size[0] > 300
    assert eval.main(["--run_dir", str(run)]) == 0
    assert files.read_json(run / "eval.json")["details"]["test_accuracy_by_step"] == by_step
    assert "step 3:" in capfd.readouterr().out


def test_accuracy_by_class_averages_to_the_accuracy(run):
    assert eval.main(["--run_dir", str(run)]) == 0
    result = files.read_json(run / "eval.json")
    _, labels = shapes.draw(2_000, seed=1)
    weights = np.bincount(labels) / len(labels)
    mean = weights @ list(result["details"]["test_accuracy_by_class"].values())
    np.testing.assert_allclose(mean, result["metrics"]["test"]["accuracy"], atol=1e-9)


def test_a_run_is_used_without_its_data(tmp_path, capsys):
    write_layout(tmp_path)
    assert train.main(["--dataset", "cifar10", "--data_dir", str(tmp_path), "--model", "softmax",
                       "--batch_size", "8", "--max_steps", "2", "--run_dir",
                       str(tmp_path / "run")]) == 0
    shutil.rmtree(tmp_path / "cifar-10-batches-bin")
    Image.new("RGB", (40, 40)).save(tmp_path / "picture.png")
    assert predict.main(["--run_dir", str(tmp_path / "run"), str(tmp_path / "picture.png")]) == 0
    assert "class" in capsys.readouterr().out
    assert export.main(["--run_dir", str(tmp_path / "run")]) == 0


def test_pictures_of_any_size_are_read(run, tmp_path, capsys):
    for size in ((32, 32), (90, 40), (7, 200)):
        Image.new("RGB", size, "teal").save(tmp_path / "picture.png")
        assert predict.main(["--run_dir", str(run), str(tmp_path / "picture.png"), "--json"]) == 0
    (tmp_path / "bad.png").write_bytes(b"no picture")
    capsys.readouterr()
    assert predict.main(["--run_dir", str(run), *(f"{tmp_path}/{name}.png" for name in
                                                  ("bad", "picture", "无", "picture"))]) == 2
    captured = capsys.readouterr()
    assert captured.out.count("picture.png: ") == len(captured.out.splitlines()) == 2
    assert "bad.png is not a" in captured.err and "there is no file" in captured.err


def test_a_mirror_image_gets_the_same_answer(run, tmp_path, capsys):
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for name, pixels in (("as_it_is", picture), ("mirrored", picture[:, ::-1])):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    paths = [str(path) for path in sorted(tmp_path.glob("*.png"))]

    def answers(*flags: str) -> list[np.ndarray]:
        assert predict.main(["--run_dir", str(run), "--json", *flags, *paths]) == 0
        lines = capsys.readouterr().out.splitlines()
        return [np.array(list(json.loads(line)["probabilities"].values())) for line in lines]

    one, other = answers()
    assert np.abs(one - other).max() > 1e-3
    both = np.sqrt(one * other)  # the mean of logits
    for found in answers("--mirror"):
        np.testing.assert_allclose(found, both / both.sum(), atol=1e-5)


def test_a_picture_of_the_right_size_is_left_alone(pictures):
    np.testing.assert_array_equal(data.fit_picture(pictures[0][0]), pictures[0][0])


def test_the_export_takes_one_picture_and_many(run):
    assert export.main(["--run_dir", str(run)]) == 0
    classify = tf.saved_model.load(str(run / "export" / "1")).signatures["serving_default"]
    for count in (0, 1, 5):
        images = shapes.draw(5, seed=9)[0][:count]
        answer = classify(images=tf.constant(images))
        assert answer["labels"].shape == (count,)
        np.testing.assert_allclose(tf.reduce_sum(answer["probabilities"], axis=1), 1, rtol=1e-5)


def test_files_are_read_in_order_or_shuffled(tmp_path):
    paths = read_demo.draw_letters(tmp_path)
    names = [path.name for path in paths]

    def read(shuffle):
        stream = read_demo.file_stream(paths, 5, shuffle, seed=0).as_numpy_iterator()
        return [name.decode().rpartition("/")[2] for name, _ in stream]

    assert read(False) == names * 5
    shuffled = read(True)
    assert shuffled != names * 5 and shuffled == read(True)
    assert [sorted(shuffled[i : i + 3]) for i in range(0, 15, 3)] == [names] * 5


def test_read_demo_copies_the_books_pictures(real_data, tmp_path):
    paths = [str(real_data(f"book/chapter_2/{letter}.jpg")) for letter in "ABC"]
    assert read_demo.main([*paths, "--output_dir", str(tmp_path / "read")]) == 0
    copies = [(tmp_path / "read" / f"test_{i}.jpg").read_bytes() for i in range(1, 16)]
    assert copies[:3] * 5 == copies
    assert copies[1] == Path(paths[1]).read_bytes()


def test_a_folder_is_refused_for_drawn_shapes(tmp_path, capfd):
    assert train.main(["--data_dir", str(tmp_path)]) == 2
    assert "--dataset shapes10 is not read from a folder" in capfd.readouterr().err


@pytest.mark.parametrize("flag", ["--num_epochs_per_decay", "--learning_rate_decay_factor"])
def test_flags_of_the_other_schedule_are_refused(flag, capfd):
    argv = ["--schedule", "one_cycle", flag, "0.5", "--name", "idle"]
    assert train.main(argv) == 2
    assert f"{flag} 0.5 has no effect with --schedule one_cycle" in capfd.readouterr().err
    assert not (rundir.runs_dir() / "chapter02_cifar" / "idle").exists()
