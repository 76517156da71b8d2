"""Chapter 8: its networks, losses, augmentation, data, scores, and its scripts."""

import argparse
import json
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chapter01_mnist import eval as chapter01_eval
from chapter01_mnist import train as chapter01
from chapter08_dcgan import (
    arithmetic,
    attributes,
    augment,
    curves,
    data,
    export,
    filmstrip,
    flags,
    generate,
    health,
    inference,
    interpolate,
    losses,
    model,
    train,
    visualize,
)
from chapter08_dcgan import eval as evaluation
from chapter08_dcgan.model import Shape
from common import averages, checkpoint, cli, images, results, rundir
from common.errors import UserError

NETWORK = ("--network", "MobileNet", "--alpha", "0.25", "--weights", "none")
TINY = ("--dataset", "faces", "--num_faces", "48", "--image_size", "16", "--width", "4",
        "--batch_size", "4", "--log_every", "1", "--max_steps", "2", *NETWORK)
pytestmark = pytest.mark.usefixtures("shallow")


def resolve(*argv):
    return cli.resolve(train.build_parser(), argv)


def fails(main, *argv, says, capfd):
    assert main(list(argv)) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ")
    assert says in error, error


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize(("shape", "expected"), [
    (Shape(64, 64, 3), (5_135_363, 4_316_545)),
    (Shape(48, 48, 3), (4_773_379, 4_312_961)),
    (Shape(28, 28, 1, 10), (7_065_211, 3_769_479)),
])
def test_the_books_networks_have_its_parameters(shape, expected):
    networks = model.build("book", shape, 0, 100, 32)
    assert tuple(model.trainable_parameters([net]) for net in networks[:2]) == expected


def test_sides_are_halved_and_rounded_up():
    assert model.halvings(48, 4) == [48, 24, 12, 6, 3]
    assert model.halvings(28, 4) == [28, 14, 7, 4, 2]
    networks = model.build_book(Shape(48, 48, 3))
    sides = [layer.output.shape[1] for layer in networks.generator.layers
             if isinstance(layer, keras.layers.Conv2DTranspose)]
    assert sides == [6, 12, 24, 48]


@pytest.mark.parametrize("name", ["book", "compact"])
@pytest.mark.parametrize("shape", [Shape(28, 28, 1), Shape(27, 50, 3), Shape(16, 23, 3, 4)])
def test_images_of_any_size(name, shape):
    generator, discriminator, low = model.build(name, shape, 0, 10, 4)
    labels = [tf.one_hot([1, 2], shape.classes)] if shape.classes else []
    fake = generator([tf.random.uniform((2, 10), -1, 1), *labels], training=False)
    assert fake.shape == (2, *shape[:3])
    assert low <= float(tf.reduce_min(fake)) and float(tf.reduce_max(fake)) <= 1
    assert discriminator([fake, *labels], training=False).shape == (2, 1)


def test_transposed_convolutions_of_odd_sizes_are_tensorflows():
    make, inputs = model.Layers(0), keras.Input((4, 4, 3))
    net = keras.Model(inputs, make.deconv(inputs, 2, 7, 8))
    kernel, bias = net.get_weights()
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype(np.float32)
    expected = tf.nn.conv2d_transpose(x, kernel, (1, 7, 8, 2), 2, "SAME") + bias
    np.testing.assert_allclose(net(x), expected, atol=1e-6)


def test_labels_are_appended_to_vectors_and_to_every_pixel():
    maps, labels = keras.Input((2, 3, 1)), keras.Input((2,))
    call = keras.Model([maps, labels], model.append_labels(maps, labels))
    found = call([tf.zeros((1, 2, 3, 1)), tf.constant([[0.0, 1.0]])])
    np.testing.assert_array_equal(found[0, ..., 1:], np.tile([0.0, 1.0], (2, 3, 1)))


def test_labels_matter_to_both_networks():
    for name in ("book", "compact"):
        generator, discriminator, _ = model.build(name, Shape(16, 16, 1, 3), 0, 5, 4)
        z = tf.random.stateless_uniform((1, 5), [0, 1], -1, 1)
        one, other = (tf.one_hot([i], 3) for i in (0, 1))
        picture = generator([z, one], training=False)
        assert not np.allclose(picture, generator([z, other], training=False), atol=1e-7)
        assert not np.allclose(discriminator([picture, one], training=False),
                               discriminator([picture, other], training=False), atol=1e-9)


def test_initial_weights_are_the_originals():
    generator, discriminator, _ = model.build_book(Shape(64, 64, 3))
    for layer in [*generator.layers, *discriminator.layers]:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            truncated = isinstance(layer, keras.layers.Conv2D) and not isinstance(
                layer, keras.layers.Conv2DTranspose)
            assert np.std(kernel) == pytest.approx(0.0176 if truncated else 0.02, rel=0.05)
            assert not layer.bias.numpy().any()
            assert (np.abs(kernel).max() <= 0.04) == truncated
    norm = next(x for x in generator.layers if isinstance(x, keras.layers.BatchNormalization))
    assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_ranges_are_inverse(low):
    whole = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    scaled = model.to_range(whole, low)
    assert (float(tf.reduce_min(scaled)), float(tf.reduce_max(scaled))) == (low, 1.0)
    np.testing.assert_array_equal(model.to_uint8(scaled, low), whole)


def test_z_is_a_function_of_seed_and_number():
    few, many = inference.numbered_z(3, 4, 10, first=2), inference.numbered_z(3, 9, 10)
    np.testing.assert_array_equal(few, many[2:6])
    assert np.abs(many).max() <= 1 and many.min() < -0.8 and many.max() > 0.8
    assert not np.allclose(many, inference.numbered_z(4, 9, 10))


# ---------------------------------------------------------------- losses


def test_losses_where_the_discriminator_does_not_know():
    zero = tf.zeros((5, 1))
    assert float(sum(losses.d_losses(zero, zero, "gan"))) == pytest.approx(2 * math.log(2))
    assert float(losses.g_loss(zero, "gan")) == pytest.approx(math.log(2))
    assert float(sum(losses.d_losses(zero, zero, "hinge"))) == 2
    assert float(losses.g_loss(zero, "hinge")) == 0


def test_losses_of_a_table():
    real, fake = tf.constant([[2.0], [-0.5]]), tf.constant([[-3.0], [0.5]])
    def softplus(x):
        return math.log1p(math.exp(x))

    found = losses.d_losses(real, fake, "gan")
    assert float(found[0]) == pytest.approx((softplus(-2) + softplus(0.5)) / 2)
    assert float(found[1]) == pytest.approx((softplus(-3) + softplus(0.5)) / 2)
    assert float(losses.g_loss(fake, "gan")) == pytest.approx((softplus(3) + softplus(-0.5)) / 2)
    assert [float(x) for x in losses.d_losses(real, fake, "hinge")] == [0.75, 0.75]
    assert float(losses.g_loss(fake, "hinge")) == 1.25


def test_the_generators_loss_does_not_saturate():
    logits = tf.Variable([[-20.0]])
    with tf.GradientTape() as tape:
        loss = losses.g_loss(logits, "gan")
    assert float(tape.gradient(loss, logits)[0, 0]) == pytest.approx(-1)


def test_r1_of_a_linear_discriminator():
    slope = tf.constant(np.arange(12.0).reshape(1, 2, 2, 3))
    pictures = tf.ones((4, 2, 2, 3), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        total = tf.reduce_sum(slope * pictures)
    penalty = losses.gradient_penalty(tape.gradient(total, pictures))
    assert float(penalty) == pytest.approx(0.5 * sum(i * i for i in range(12)))


# ---------------------------------------------------------------- augmentation


SEED = tf.constant([0, 5], tf.int64)
PICTURES = tf.random.stateless_uniform((40, 16, 16, 3), [1, 2], -1, 1)


@pytest.mark.parametrize("name", augment.TRANSFORMS)
def test_transforms_repeat_with_their_seed_and_carry_gradients(name):
    with tf.GradientTape() as tape:
        tape.watch(PICTURES)
        first = augment.augment(PICTURES, [name], SEED)
        total = tf.reduce_sum(first)
    np.testing.assert_array_equal(first, augment.augment(PICTURES, [name], SEED))
    assert not np.allclose(first, augment.augment(PICTURES, [name], SEED + 1))
    assert not np.allclose(first, PICTURES) and first.shape == PICTURES.shape
    assert np.abs(tape.gradient(total, PICTURES)).sum() > 0


def test_no_policy_changes_nothing():
    assert augment.augment(PICTURES, [], SEED) is PICTURES


def test_translation_shifts_by_up_to_an_eighth():
    shifted = augment.translate(PICTURES, SEED).numpy()
    padded = np.pad(PICTURES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    found = set()
    for i, picture in enumerate(shifted):
        (place,) = [(y, x) for y in range(5) for x in range(5)
                    if np.array_equal(padded[i, y : y + 16, x : x + 16], picture)]
        found.add(place)
    assert {y for y, _ in found} == {x for _, x in found} == set(range(5))


def test_cutout_hides_one_square():
    hidden = (augment.cut_out(PICTURES + 2, SEED).numpy() == 0).all(axis=3)
    for mask in hidden:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask.sum() == len(rows) * len(columns)  # a full rectangle
        assert 4 <= len(rows) <= 8 and 4 <= len(columns) <= 8  # cut off at the edge
    assert max(mask.sum() for mask in hidden) == 64


def test_colours_keep_grey_images_grey_and_change_their_mean():
    grey = tf.repeat(PICTURES[..., :1], 3, axis=3)
    changed = augment.change_colour(grey, SEED).numpy()
    np.testing.assert_allclose(changed[..., 0], changed[..., 2], atol=1e-6)
    shift = changed.mean(axis=(1, 2, 3)) - grey.numpy().mean(axis=(1, 2, 3))
    assert -0.5 <= shift.min() < -0.3 and 0.3 < shift.max() <= 0.5
    factor = changed.std(axis=(1, 2, 3)) / grey.numpy().std(axis=(1, 2, 3))
    assert 0.5 <= factor.min() < 0.7 and 1.3 < factor.max() <= 1.5


# ---------------------------------------------------------------- the step


def make_step(*argv, name="book", rates=(1e-3, 1e-3), classes=3):
    args = argparse.Namespace(augment="", batch_size=4, d_steps=1, g_steps=1, seed=0, z_dim=6,
                              loss="gan", r1=0.0, ema_decay=0.0, jit_compile=False)
    vars(args).update(argv[0] if argv else {})
    networks = model.build(name, Shape(16, 16, 1, classes), 0, 6, 4)
    adams = [keras.optimizers.Adam(rate, 0.5) for rate in rates]
    for adam, net in zip(adams, networks[:2], strict=True):
        adam.build(net.trainable_variables)
    averaged = None
    if args.ema_decay:
        averaged = averages.copy(networks.generator)
    step = train.make_train_step(args, networks, averaged, *adams)
    count = args.batch_size * args.d_steps
    pictures = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 1), np.uint8)
    labels = [tf.one_hot(np.arange(count) % classes, classes)] if classes else []
    return networks, averaged, lambda k=1: step(tf.constant(k, tf.int64), pictures, *labels), (
        pictures, labels)


def weights_of(net):
    return [variable.numpy() for variable in net.trainable_variables]


def moved(before, net):
    return [not np.array_equal(a, b) for a, b in zip(before, weights_of(net), strict=True)]


def assert_moved(before, networks, expected):
    """Checks which networks moved: all of their kernels, or none of their weights."""
    for old, net, moves in zip(before, networks[:2], expected, strict=True):
        assert any(moved(old, net)) == moves
        # A bias before batch normalization has no effect: its gradient is rounding.
        kernels = [v.ndim > 1 for v in net.trainable_variables]
        assert all(np.array(moved(old, net))[kernels]) == moves


@pytest.mark.parametrize(("rates", "expected"), [
    ((1e-3, 0.0), (True, False)), ((0.0, 1e-3), (False, True))])
def test_each_update_moves_its_network_and_not_the_other(rates, expected):
    networks, _, step, _ = make_step(name="compact", rates=rates)
    before = [weights_of(net) for net in networks[:2]]
    step()
    assert_moved(before, networks, expected)


@pytest.mark.slow
def test_real_and_generated_images_are_normalized_apart():
    networks, _, step, (pictures, labels) = make_step(rates=(0.0, 1e-3))
    real = model.to_range(pictures, networks.low)
    expected = tf.reduce_mean(tf.sigmoid(networks.discriminator([real, *labels], training=True)))
    before = [weights_of(net) for net in networks[:2]]
    metrics, _ = step()
    assert float(metrics["d_of_real"]) == pytest.approx(float(expected), abs=1e-6)
    assert_moved(before, networks, (False, True))
    for net, weights in zip(networks[:2], before, strict=True):
        for variable, value in zip(net.trainable_variables, weights, strict=True):
            variable.assign(value)
    both = tf.concat([real, -real], 0)
    mixed = networks.discriminator([both, *[tf.concat([y, y], 0) for y in labels]], training=True)
    assert float(tf.reduce_mean(tf.sigmoid(mixed[:4]))) != pytest.approx(float(expected), abs=1e-6)


def test_metrics_are_the_losses_of_the_step():
    networks, _, step, (pictures, _) = make_step(rates=(0.0, 0.0), name="compact", classes=0)
    metrics, values = step()
    z = values["z"]
    real = networks.discriminator([model.to_range(pictures, networks.low)], training=True)
    fake = networks.discriminator([networks.generator([z], training=True)], training=True)
    expected = losses.d_losses(real, fake, "gan")
    assert float(metrics["d_loss_real"]) == pytest.approx(float(expected[0]), abs=1e-6)
    assert float(metrics["d_loss"]) == pytest.approx(float(sum(expected)), abs=1e-6)
    assert float(metrics["g_loss"]) == pytest.approx(float(losses.g_loss(fake, "gan")), abs=1e-6)


@pytest.mark.slow
def test_the_numbers_of_updates_are_the_flags():
    counts = {}
    for d_steps, g_steps in ((1, 2), (2, 1)):
        networks, _, step, _ = make_step({"d_steps": d_steps, "g_steps": g_steps},
                                         name="compact")
        before = weights_of(networks.generator)
        step()
        # The first steps of Adam move every weight by about the learning rate.
        change = np.abs(networks.generator.trainable_variables[0].numpy() - before[0]).max()
        counts[g_steps] = change / 1e-3
    assert counts[1] == pytest.approx(1, abs=0.05) and counts[2] == pytest.approx(2, abs=0.1)


@pytest.fixture
def known():
    """Makes a step whose networks do not change, of discriminators that are not near 0."""
    def make(**flags_):
        networks, _, step, (pictures, labels) = make_step(flags_, name="compact", rates=(0.0, 0.0))
        for variable in networks.discriminator.trainable_variables:
            variable.assign(10 * variable)
        return networks, step, model.to_range(pictures, networks.low), labels
    return make


@pytest.mark.parametrize("loss", ["gan", "hinge"])
def test_r1_is_added_to_the_loss(known, loss):
    networks, step, real, labels = known(r1=5.0, loss=loss)
    metrics, _ = step()
    with tf.GradientTape() as tape:
        tape.watch(real)
        total = tf.reduce_sum(networks.discriminator([real, *labels], training=True))
    penalty = 0.5 * np.mean(np.sum(tape.gradient(total, real).numpy() ** 2, axis=(1, 2, 3)))
    added = metrics["d_loss"] - metrics["d_loss_real"] - metrics["d_loss_fake"]
    assert float(added) == pytest.approx(5 * penalty, rel=1e-3) and 5 * penalty > 0.01


@pytest.mark.parametrize("loss", ["gan", "hinge"])
def test_the_discriminator_sees_augmented_images(known, loss):
    policy = ["translation", "cutout"]
    networks, step, real, labels = known(augment=",".join(policy), loss=loss)
    metrics, values = step(7)

    def discriminate(pictures, number):
        seed = tf.constant([0, 7 * train.SEEDS_PER_STEP + 10 * number], tf.int64)
        return networks.discriminator([augment.augment(pictures, policy, seed), *labels])

    fake = networks.generator([values["z"], *labels], training=True)
    of_real, of_fake = discriminate(real, 1), discriminate(fake, 2)
    expected = losses.d_losses(of_real, of_fake, loss)
    assert float(metrics["d_loss_real"]) == pytest.approx(float(expected[0]), rel=1e-4)
    assert float(metrics["d_loss_fake"]) == pytest.approx(float(expected[1]), rel=1e-4)
    assert float(metrics["g_loss"]) == pytest.approx(
        float(losses.g_loss(discriminate(fake, 3), loss)), rel=1e-4)
    score = tf.sigmoid if loss == "gan" else tf.identity
    assert float(metrics["d_of_real"]) == pytest.approx(float(np.mean(score(of_real))), rel=1e-4)
    plain = networks.discriminator([real, *labels])
    assert float(np.mean(score(plain))) != pytest.approx(float(metrics["d_of_real"]), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("k", "decay"), [(1, 2 / 11), (1000, 0.9)])
def test_averages_follow_the_weights_and_the_statistics(k, decay):
    """At step 1000 --ema_decay is the smaller one."""
    networks, averaged, step, _ = make_step({"ema_decay": 0.9}, name="compact")
    before = [v.numpy() for v in averaged.weights]
    step(k)
    statistics = 0
    for old, now, average in zip(before, networks.generator.weights, averaged.weights,
                                 strict=True):
        expected = old + (1 - decay) * (now.numpy() - old)
        np.testing.assert_allclose(average.numpy(), expected, rtol=1e-4, atol=1e-6)
        statistics += not now.trainable and not np.allclose(old, now.numpy())
    assert statistics == 2  # the mean and variance of one layer


# ---------------------------------------------------------------- health


REAL = data.Split(np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), np.uint8),
                  np.arange(50) % 5)


def test_diversity_is_that_within_labels():
    assert health.diversity(REAL, REAL) == pytest.approx(1)
    # One image per label: as a whole they deviate, within a label they do not.
    alike = data.Split(REAL.images[REAL.labels], REAL.labels)
    assert health.deviation(alike.images) > 0.5 * health.deviation(REAL.images)
    assert health.diversity(alike, REAL) == 0
    # The mean over labels, of which one is real and four are alike.
    mixed = data.Split(np.where((REAL.labels == 2)[:, None, None, None], REAL.images,
                                alike.images), REAL.labels)
    assert health.diversity(mixed, REAL) == pytest.approx(1 / 5)
    # Without two images of any label, all are taken together.
    each = data.Split(REAL.images, np.arange(50))
    assert health.diversity(each, REAL) == pytest.approx(1)


def test_a_generator_that_ignores_z_is_stopped_and_a_weak_one_is_told_once(capsys):
    watch = health.Watch(REAL, r1=True)
    assert watch.diversity(REAL, 1000) == pytest.approx(1)
    alike = data.Split(REAL.images[REAL.labels], REAL.labels)
    assert watch.diversity(alike, health.GRACE) == 0
    with pytest.raises(UserError, match="all generated images of a label are alike at step 201"):
        watch.diversity(alike, health.GRACE + 1)
    weak = data.Split((REAL.images // 4 + 90).astype(np.uint8), REAL.labels)
    for _ in range(2):
        watch.diversity(weak, 1000)
    assert capsys.readouterr().err.count("may be collapsing") == 1


@pytest.mark.parametrize("r1", [True, False])
def test_a_discriminator_that_wins_is_told_once(r1, capsys):
    watch = health.Watch(REAL, r1)
    wins, draw = ({"d_loss_real": loss, "d_loss_fake": loss} for loss in (0.04, 0.69))
    for step in range(300, 300 + health.PATIENCE - 1):
        watch.balance(wins, step)
    watch.balance(draw, 350)
    watch.balance(wins, 351)
    assert not capsys.readouterr().err
    for step in range(400, 440):
        watch.balance(wins, step)
    told = capsys.readouterr().err
    assert told.count("the discriminator wins") == 1 and ("--r1" in told) == r1


# ---------------------------------------------------------------- data


def save(path, size, colour, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


@pytest.fixture
def folder(tmp_path):
    """Images of 30x20: 36 reds, two of them equal, and 36 greens in another folder."""
    root = tmp_path / "pictures"
    for i in range(36):
        save(root / "red" / f"{i:02d}.png", (30, 20), (100 + 4 * i, 0, 0))
        save(root / "green" / f"{i:02d}.jpg", (30, 20), (0, 60 + 5 * i, 0))
    save(root / "red" / "again.png", (30, 20), (100, 0, 0))
    return root


def load(folder, *argv):
    args = resolve("--dataset", "folder", "--data_dir", str(folder), "--image_size", "16",
                   "--batch_size", "4", *argv)
    return data.load(args)


def test_a_folder_is_read_whole(folder, capsys):
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    save(folder / "green" / "clear.png", (30, 20), (0, 0, 255, 0), "RGBA")  # white
    found = load(folder)
    counts = [len(split.labels) for split in (found.train, found.validation, found.test)]
    assert sum(counts) == 73 and counts[1:] == [9, 9]
    told = capsys.readouterr().err
    assert "broken.png" in told and "left out: 1 images that equal others" in told
    assert found.names == ("green", "red")
    whole = np.concatenate([found.train.images, found.validation.images, found.test.images])
    labels = np.concatenate([found.train.labels, found.validation.labels, found.test.labels])
    assert whole.shape[1:] == (16, 16, 3) and labels.sum() == 36
    assert (whole[labels == 1][..., 1:] == 0).all()
    assert (whole.reshape(73, -1) == 255).all(axis=1).sum() == 1


def test_crops_are_central_and_resized(tmp_path):
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[6:14, 11:19] = 200  # the central 8x8
    for i in range(32):
        picture[0, 0] = i
        images.write_png(tmp_path / "p" / f"{i}.png", picture)
    args = resolve("--dataset", "folder", "--data_dir", str(tmp_path / "p"), "--image_size", "16",
                   "--crop", "--input_height", "8")
    data.check_flags(args)
    assert (data.read(tmp_path / "p" / "3.png", args) == 200).all()
    args.input_width = 16
    cropped = data.read(tmp_path / "p" / "3.png", args)
    assert (cropped[:, 5:11] == 200).all() and (cropped[:, 0] == 0).all()
    args.channels = 1
    assert data.read(tmp_path / "p" / "3.png", args).shape == (16, 16, 1)


@pytest.mark.parametrize("turn", [False, True])
def test_sides_that_shrink_are_means_though_others_grow(turn):
    stripes = np.zeros((16, 128), np.uint8)
    stripes[:, ::4] = 200
    resized = data.resize(stripes.T if turn else stripes, 32, 32)
    assert resized.shape == (32, 32) and (resized == 50).all()


def test_patterns_choose_files(folder):
    found = load(folder, "--input_fname_pattern", "**/*.jpg")
    assert found.names == ("green",)
    with pytest.raises(UserError, match=r"no images that match \*\.jpg"):
        load(folder, "--input_fname_pattern", "*.jpg")
    with pytest.raises(UserError, match="is not a pattern"):
        load(folder, "--input_fname_pattern", "/etc/*")
    with pytest.raises(UserError, match=r"is not a pattern|no images that match"):
        load(folder, "--input_fname_pattern", "**.png")  # a pattern from Python 3.13 on


@pytest.mark.parametrize(("argv", "says"), [
    (["--crop", "--input_height", "25"], "fewer than the crop: 25 x 25 .73 of 73 images"),
    (["--conditional", "--input_fname_pattern", "red/*"], "all images have the label red"),
    (["--input_height", "9"], "--input_height 9 has no effect with --no-crop"),
    (["--input_fname_pattern", "red/0*"], "10 images are too few"),
])
def test_unusable_folders_are_refused(folder, argv, says):
    with pytest.raises(UserError, match=says):
        load(folder, *argv)


def test_empty_and_absent_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="has no images"):
        load(tmp_path / "absent")
    with pytest.raises(UserError, match="without --data_dir"):
        data.load(resolve("--dataset", "folder"))
    for i in range(3):
        (tmp_path / "p").mkdir(exist_ok=True)
        (tmp_path / "p" / f"{i}.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match="none of the 3 images"):
        load(tmp_path / "p")


def test_an_image_of_too_many_pixels_is_left_out(folder, monkeypatch, capsys):
    monkeypatch.setenv("DL21_MAX_PIXELS", "1000")
    save(folder / "red" / "huge.png", (40, 30), (9, 9, 9))
    assert load(folder).names == ("green", "red")
    assert "huge.png has 40 x 30 pixels, more than 1,000" in capsys.readouterr().err


def test_fewer_images_than_a_batch_are_refused(folder, capfd, runs):
    fails(train.main, "--dataset", "folder", "--data_dir", str(folder), "--batch_size", "64",
          "--kid_images", "0", says="54 training images are fewer than a batch: 64", capfd=capfd)
    assert not (runs / "chapter08_dcgan").exists()


def test_the_stream_repeats_and_mirrors():
    split = data.Split(np.arange(40 * 16, dtype=np.uint8).reshape(10, 8, 8, 1), np.arange(10) % 3)
    def first(start, **rest):
        step, pictures, *labels = next(iter(data.training_batches(split, 3, 4, 7, start, **rest)))
        return int(step), pictures.numpy(), *[label.numpy() for label in labels]

    stream = list(data.training_batches(split, 3, 4, 7).take(6))
    step, pictures, labels = first(5)
    assert step == int(stream[5][0]) == 5
    np.testing.assert_array_equal(pictures, stream[5][1])
    np.testing.assert_array_equal(labels, stream[5][2])
    assert labels.shape == (4, 3) and (labels.sum(axis=1) == 1).all()
    flipped = first(5, flip=True)[1]
    same = [np.array_equal(a, b) for a, b in zip(flipped, pictures, strict=True)]
    mirrored = [np.array_equal(a[:, ::-1], b) for a, b in zip(flipped, pictures, strict=True)]
    assert all(a or b for a, b in zip(same, mirrored, strict=True)) and any(mirrored)


def test_the_original_trains_on_all_images_in_1093_steps_an_epoch():
    args = resolve("--preset", "book")
    flags.set_steps(args, 70_000)
    assert args.max_steps == 25 * 1093 == 27_325
    digits = data.load(resolve("--no-hold_out"))
    assert len(digits.train.labels) == 1797
    assert len(data.load(resolve("--train_size", "50")).train.labels) == 50


def test_faces_are_labelled_by_their_attributes():
    drawn, names = data.draw_faces(40, 16)
    assert len(names) == 8 and names[0] == "plain" and names[7] == "smile+glasses+long_hair"
    assert names[2] == "glasses"
    np.testing.assert_array_equal(attributes.bits(np.array([0, 2, 5])),
                                  [[0, 0, 0], [0, 1, 0], [1, 0, 1]])
    assert 0.3 < attributes.bits(drawn.labels)[:, 2].mean() < 0.7
    again, _ = data.draw_faces(40, 16)
    np.testing.assert_array_equal(drawn.images, again.images)


def test_mnist_of_the_book(real_data):
    args = resolve("--preset", "book", "--data_dir", str(real_data("mnist")))
    found = data.load(args)
    flags.set_steps(args, len(found.train.labels))
    assert found.train.images.shape == (70_000, 28, 28, 1) and args.max_steps == 27_325
    assert args.conditional


def test_lfw_has_542_photographs(real_data):
    args = resolve("--preset", "photos", "--data_dir", str(real_data("faces/lfw")),
                   "--input_fname_pattern", "lfw_150*/**/*.jpg", "--crop", "--input_height", "90")
    found = data.load(args)
    counts = [len(split.labels) for split in (found.train, found.validation, found.test)]
    assert 500 < sum(counts) <= 542 and found.train.images.shape[1:] == (64, 64, 3)
    assert 80 < found.train.images.mean() < 150


# ---------------------------------------------------------------- flags


@pytest.mark.parametrize(("argv", "says"), [
    (["--augment", "color,blur"], "'blur' is not one of color, translation, cutout"),
    (["--augment", "color,color"], "color,color has color twice"),
    (["--model", "book", "--r1", "1"], "--r1 1 with --model book, whose discriminator has batch"),
    (["--kid_images", "3"], "--kid_images 3"),
    (["--kid_images", "0", "--reader", "x"], "--reader x has no effect with --kid_images 0"),
    (["--jit_compile", "--r1", "1"], "--jit_compile with --r1"),
    (["--dataset", "digits", *NETWORK], "--network MobileNet"),
    (["--dataset", "faces", "--reader", "x", "--num_faces", "48"], "--reader x has no effect"),
    (["--reader", "absent"], "there is no run absent"),
    (["--dataset", "digits", "--image_size", "32"], "--output_height 32 has no effect"),
    (["--image_size", "8"], "8 is not a whole number from 16"),
    (["--dataset", "faces", "--data_dir", "x"], "has no effect with --dataset faces"),
    (["--max_steps", "5", "--epochs", "3"], "--epochs 3 has no effect with --max_steps 5"),
])
def test_wrong_flags_are_named(argv, says, capfd, runs):
    fails(train.main, "--batch_size", "4", *argv, says=says, capfd=capfd)
    assert not (runs / "chapter08_dcgan").exists()


# ---------------------------------------------------------------- scripts on an unconditional run


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A run of two steps on drawn faces."""
    run = tmp_path_factory.mktemp("faces") / "run"
    assert train.main([*TINY, "--kid_images", "4", "--run_dir", str(run)]) == 0
    return run


def test_sweeps_move_one_dimension():
    z = visualize.sweep(np.full(5, 0.1), 2)
    assert z.shape == (64, 5)
    np.testing.assert_allclose(z[:, 2], np.arange(64) / 64)
    assert (np.delete(z, 2, axis=1) == 0.1).all()


def test_merged_sheets_go_there_and_back():
    swept = np.arange(2 * 64, dtype=np.uint8).reshape(2, 64, 1, 1, 1) * np.ones((1, 1, 4, 4, 1))
    sheets = visualize.merge(swept.astype(np.uint8))
    assert len(sheets) == 128 and sheets[0].ndim == 2
    for there, back in zip(sheets[:64], sheets[:63:-1], strict=True):
        np.testing.assert_array_equal(there, back)


@pytest.mark.slow
def test_all_visualizations_are_drawn(faces):
    for option in range(5):
        few = ["--dimensions", "2"] if option else []
        assert visualize.main(["--run_dir", str(faces), "--option", str(option), *few]) == 0
    names = {path.name for path in (faces / "visualize").iterdir()}
    assert names == {"test.png", "test_arange_0.png", "test_arange_1.png", "test_gif_0.gif",
                     "test_gif_1.gif", "test_gif_merged.gif"}
    with Image.open(faces / "visualize" / "test_gif_merged.gif") as gif:
        assert gif.n_frames == 128
        assert gif.info["duration"] == pytest.approx(8000 / 128, abs=6)


def test_images_are_generated_by_number(faces, tmp_path):
    for count, first in ((5, 0), (2, 3)):
        assert generate.main(["--run_dir", str(faces), "--num", str(count), "--first", str(first),
                              "--output", str(tmp_path / str(count))]) == 0
    for number in (3, 4):
        a, b = (images.read_image(tmp_path / str(n) / f"{number:06d}.png") for n in (5, 2))
        np.testing.assert_array_equal(a, b)


def test_walks_begin_and_end_at_their_images(faces, tmp_path):
    points = interpolate.walk(np.zeros(3), np.array([1.0, 2.0, 4.0]), 5)
    np.testing.assert_allclose(points[[0, 1, 4]], [[0, 0, 0], [0.25, 0.5, 1], [1, 2, 4]])
    gif = tmp_path / "walk.gif"
    assert interpolate.main(["--run_dir", str(faces), "--numbers", "3,1", "--columns", "4",
                             "--gif", str(gif)]) == 0
    assert generate.main(["--run_dir", str(faces), "--num", "4"]) == 0
    sheet = images.read_image(faces / "interpolate.png")
    ends = [images.read_image(faces / "generated" / f"{n:06d}.png") for n in (3, 1)]
    np.testing.assert_array_equal(sheet[2:18, 2:18], ends[0])
    np.testing.assert_array_equal(sheet[2:18, -18:-2], ends[1])


def test_arithmetic_of_means():
    terms = [np.array([[1.0, 0], [3, 0]]), np.array([[1.0, 1], [1, 1]]), np.array([[0.0, 5]])]
    np.testing.assert_array_equal(arithmetic.calculate(terms), [1, 4])


@pytest.mark.slow
def test_attributes_choose_the_terms(faces, monkeypatch, capsys, tmp_path):
    """Two pixels above their medians take the place of attributes."""
    flags_ = argparse.Namespace(**rundir.read_config(faces)["flags"])
    run = inference.load_run(argparse.Namespace(run_dir=faces, checkpoint="latest"), flags_)
    made = run.generate(inference.numbered_z(0, 200, 100), np.zeros(200, int)).reshape(200, -1)
    chosen = np.argsort(-made.std(axis=0))[:3]
    medians = np.median(made[:, chosen], axis=0)

    def predict(pictures):
        return pictures.reshape(len(pictures), -1)[:, chosen] > medians

    classifier = attributes.Classifier(predict, dict.fromkeys(attributes.ATTRIBUTES, 0.75))
    monkeypatch.setattr(attributes, "learn", lambda found: classifier)
    argv = ["--run_dir", str(faces), "--checkpoint", "latest", "--trials", "20"]
    assert arithmetic.main([*argv, "--num", "200"]) == 0
    out = capsys.readouterr().out
    assert "glasses without long_hair" in out and "75% of the test images" in out
    after, before = (int(part) for part in re.findall(r"(\d+)% of (?:20|the means)", out))
    assert after > before
    assert images.read_image(faces / "arithmetic.png").shape == (8 * 18 + 2, 9 * 18 + 2, 3)
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert arithmetic.main([*argv, "--num", "200", "--publish"]) == 0
    rows = json.loads((tmp_path / "chapter08_dcgan" / "arithmetic.json").read_text())["rows"]
    assert len(rows) == 6 and round(100 * rows[3]["share"]) == after
    assert (rows[3]["attribute"], rows[3]["without"]) == ("glasses", "long_hair")
    assert arithmetic.main([*argv, "--num", "4"]) == 2
    assert "of 4 generated faces only" in capsys.readouterr().err


@pytest.mark.slow
def test_attributes_are_learnt():
    """Squares in three corners take the place of attributes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 300)
    pictures = rng.integers(0, 60, (300, 16, 16, 3), np.uint8)
    for picture, has in zip(pictures, attributes.bits(labels), strict=True):
        for top, given in zip((0, 6, 11), has, strict=True):
            picture[top : top + 4] += np.uint8(120 * given)  # the same after mirroring
    split = data.Split(pictures, labels)
    found = attributes.learn(data.Data(split, split, split, (), ""), epochs=4)
    assert min(found.accuracy.values()) > 0.95
    np.testing.assert_array_equal(found.predict(pictures).shape, (300, 3))


def test_wrong_uses_of_verbs_are_named(faces, capfd):
    run = ("--run_dir", str(faces))
    fails(generate.main, *run, "--label", "7", says="trained without labels", capfd=capfd)
    fails(arithmetic.main, *run, "--plus", "3", says="belong together", capfd=capfd)
    fails(arithmetic.main, *run, "--beside", "glasses", says="--beside glasses", capfd=capfd)
    for flag in ("attribute", "beside"):
        fails(arithmetic.main, *run, f"--{flag}", "smile", "--plus", "1", "--minus", "2", "--to",
              "3", says=f"--{flag} smile has no effect with --plus, --minus and --to", capfd=capfd)
    fails(arithmetic.main, *run, "--trials", "9", "--plus", "1", "--minus", "2", "--to", "3",
          says="--trials 9 has no effect", capfd=capfd)
    fails(interpolate.main, *run, "--numbers", "3,4", "--rows", "8",
          says="--rows 8 has no effect with --numbers 3,4", capfd=capfd)
    fails(visualize.main, *run, "--option", "0", "--dimensions", "3",
          says="--dimensions 3 has no effect with --option 0", capfd=capfd)
    fails(visualize.main, *run, "--option", "3", "--dimensions", "101",
          says="--dimensions 101, but z has 100", capfd=capfd)
    fails(evaluation.main, *run, "--against", "absent", says="no run absent", capfd=capfd)
    fails(interpolate.main, *run, "--numbers", "3", says="--numbers 3", capfd=capfd)
    fails(interpolate.main, *run, "--numbers", "3,x", says="x is not a whole number", capfd=capfd)
    fails(evaluation.main, *run, "--num", "3", says="--num 3", capfd=capfd)
    fails(visualize.main, *run, "--option", "5", says="invalid choice: 5", capfd=capfd)
    fails(filmstrip.main, "--runs", "absent", says="no run absent", capfd=capfd)


def test_filmstrips_show_the_nearest_sheets(faces, capsys):
    config = rundir.read_config(faces)
    assert config["steps_per_epoch"] == 9
    (faces / "samples").joinpath("0000020.png").write_bytes(
        (faces / "samples" / "0000002.png").read_bytes())
    assert filmstrip.column(faces, 1)[1].endswith("epoch 0.222 (step 2)")
    assert filmstrip.column(faces, 2)[1].endswith("epoch 2.22 (step 20)")
    assert filmstrip.main(["--runs", str(faces), "--epochs", "1,2"]) == 0


def test_running_means():
    values = np.arange(50.0)
    found = curves.smooth(values, 20)
    assert found[0] == 0 and found[2] == 1 and found[49] == np.mean(values[30:])
    np.testing.assert_array_equal(curves.smooth(values, 1), values)


@pytest.mark.parametrize(("loss", "names"), [
    ("gan", ["D(x)", "D(G(z))"]), ("hinge", ["D(x), logits", "D(G(z)), logits"])])
def test_curves_name_answers_and_images(loss, names, faces, monkeypatch):
    config = rundir.read_config(faces)
    config["flags"] |= {"loss": loss, "hold_out": loss == "gan"}
    monkeypatch.setattr(curves, "read_config", lambda run: config)
    figures = []
    monkeypatch.setattr(curves, "save_figure", lambda path, figure: figures.append(figure))
    curves.draw_curves(faces)
    left, right = figures[0].axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == names
    assert ("validation images" in right.get_ylabel()) == (loss == "gan")
    (band,) = right.collections
    record = next(json.loads(line) for line in (faces / "metrics.jsonl").read_text().splitlines()
                  if "kid_interval" in line)
    heights = band.get_paths()[0].vertices[:, 1]
    assert max(heights) - min(heights) == pytest.approx(2 * record["kid_interval"])


@pytest.mark.slow
def test_the_best_checkpoint_is_the_nearest_and_the_averages_generate(tmp_path, monkeypatch):
    kids, adams = iter([3.0, 1.0, 2.0, 4.0]), []
    monkeypatch.setattr(train, "make_compare",
                        lambda judge, real: lambda pictures: np.full(9, next(kids)))
    make = train.make_train_step
    monkeypatch.setattr(train, "make_train_step",
                        lambda *rest: adams.extend(rest[-2:]) or make(*rest))
    assert train.main([*TINY, "--max_steps", "4", "--eval_every", "1", "--ema_decay", "0.9",
                       "--run_dir", str(tmp_path / "run")]) == 0
    assert results.usage(tmp_path / "run", "best")["checkpoint_step"] == 2
    assert [adam.epsilon for adam in adams] == [1e-8, 1e-8]
    flags_ = argparse.Namespace(**rundir.read_config(tmp_path / "run")["flags"])
    args = argparse.Namespace(run_dir=tmp_path / "run", checkpoint="best")
    found = checkpoint.weights(inference.load_run(args, flags_).generator)
    reader = tf.train.load_checkpoint(checkpoint.choose(tmp_path / "run", "best"))
    for name, same in (("averaged", True), ("generator", False)):
        saved = [reader.get_tensor(f"{name}/{i}/.ATTRIBUTES/VARIABLE_VALUE")
                 for i in range(len(found))]
        assert all(np.array_equal(a, b) for a, b in zip(saved, found, strict=True)) == same


@pytest.mark.slow
def test_more_epochs_extend_a_finished_run(tmp_path, monkeypatch, capfd):
    run = tmp_path / "run"
    argv = ("--dataset", "faces", "--num_faces", "32", "--image_size", "16", "--width", "4",
            "--batch_size", "8", "--kid_images", "0", "--run_dir", str(run))
    for epochs in (1, 2):
        assert train.main([*argv, "--epochs", str(epochs)]) == 0
        assert rundir.last_step(run) == 3 * epochs
    command = results.portable_command(rundir.read_config(run))
    assert command.endswith("--epochs 2") and "&&" not in command
    for epochs in (2, 1):
        fails(train.main, *argv, "--epochs", str(epochs), says="nothing to do", capfd=capfd)
    args = resolve("--epochs", "2")
    args.changed = {"epochs": 2}
    monkeypatch.setattr(flags.rundir, "last_step", lambda run: 7)
    with pytest.raises(UserError, match=r"nothing to do: .* is at step 7 of 6"):
        flags.set_steps(args, 3 * 64)


@pytest.mark.slow
def test_another_judge_is_refused_on_resume_and_told_by_eval(faces, monkeypatch, capfd):
    opened = train.open_judge
    for module in (train, evaluation):
        monkeypatch.setattr(module, "open_judge", lambda args: opened(args)._replace(
            digest="0123456789abcdef"))
    fails(train.main, "--run_dir", str(faces), "--max_steps", "3",
          says="has changed: it is MobileNet, sha256 0123456789ab, and was", capfd=capfd)
    assert rundir.last_step(faces) == 2
    assert evaluation.main(["--run_dir", str(faces), "--num", "8"]) == 0
    assert "the judge is not that of the training" in capfd.readouterr().out


@pytest.mark.slow
def test_runs_are_compared_in_pairs_and_say_what_they_saw(faces, tmp_path, capsys):
    run = tmp_path / "run"
    assert train.main([*TINY, "--kid_images", "4", "--no-hold_out", "--seed", "1", "--run_dir",
                       str(run)]) == 0
    assert "those of validation and test are among them" in capsys.readouterr().out
    assert evaluation.main(["--run_dir", str(run), "--num", "8", "--against", str(faces)]) == 0
    told = capsys.readouterr().out
    assert "the test images are among the training images" in told
    assert f"minus the distance of {faces}" in told and "the judge is not" not in told
    found = json.loads((run / "eval.json").read_text())
    assert found["details"]["held_out"] is False and found["details"]["training_images"] == 48
    assert found["details"]["against"].startswith(f"python train.py --run_dir {faces} --dataset")
    here = found["metrics"]["test"]
    assert evaluation.main(["--run_dir", str(faces), "--num", "8", "--against", str(faces)]) == 0
    there = json.loads((faces / "eval.json").read_text())
    assert there["details"]["held_out"] is True
    assert there["metrics"]["difference"] == {"kid": 0, "kid_interval": 0}
    assert found["metrics"]["difference"]["kid"] == pytest.approx(
        here["kid"] - there["metrics"]["test"]["kid"], rel=1e-9, abs=1e-12)
    assert found["metrics"]["difference"]["kid_interval"] > 0


# ---------------------------------------------------------------- digits, read by chapter 1


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run of three steps on digits, and the run of chapter 1 that reads them."""
    folder = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DL21_RUNS", str(folder))
        assert chapter01.main(["--model", "torch_small", "--max_steps", "150", "--learning_rate",
                               "0.003", "--name", "reader"]) == 0
        reader = folder / "chapter01_mnist" / "reader"
        assert train.main(["--name", "run", "--max_steps", "3", "--width", "4", "--reader",
                           str(reader), "--log_every", "1", "--kid_images", "20"]) == 0
    return folder / "chapter08_dcgan" / "run", reader


@pytest.mark.slow
def test_digits_are_scored_beside_baselines(digits, capsys):
    run, reader = digits
    assert evaluation.main(["--run_dir", str(run), "--num", "40"]) == 0
    metrics = json.loads((run / "eval.json").read_text())["metrics"]
    assert metrics["test"]["images"] == 40
    # Test images are read as their labels as often as chapter 1 says.
    assert chapter01_eval.main(["--run_dir", str(reader)]) == 0
    expected = json.loads((reader / "eval.json").read_text())["metrics"]["test"]["accuracy"]
    assert metrics["labelled"] == {"accuracy": pytest.approx(expected), "images": 300}
    assert expected > 0.85
    assert metrics["real"]["kid"] < metrics["mean"]["kid"] < metrics["noise"]["kid"]
    assert abs(metrics["real"]["kid"]) < metrics["real"]["kid_interval"] + 0.01
    assert metrics["mean"]["accuracy"] > 0.5 and metrics["mean"]["diversity"] == 0
    assert 0.8 < metrics["real"]["diversity"] < 1.2
    for name in ("index.html", "samples.png", "curves.png"):
        assert (run / name).stat().st_size > 0
    page = (run / "index.html").read_text()
    assert "most similar training image" in page and page.count("<img") == 80


@pytest.mark.slow
def test_the_page_of_eval_loads_all_its_pictures(digits, browser):
    run, _ = digits
    assert evaluation.main(["--run_dir", str(run), "--num", "40"]) == 0
    browser.send("/url", {"url": (run / "index.html").as_uri()})
    loaded = browser.widths()
    assert len(loaded) == 80 and all(loaded)
    assert browser.errors() == []


def test_z_is_drawn_from_one_seed_or_from_one_for_each_number():
    seeds, numbers = tf.constant([0, 1, 0], tf.int64), tf.constant([2, 2, 5], tf.int64)
    expected = [inference.numbered_z(int(seed), 1, 7, int(number))[0]
                for seed, number in zip(seeds, numbers, strict=True)]
    np.testing.assert_array_equal(model.draw_z(seeds, numbers, 7), expected)
    assert len({z.tobytes() for z in expected}) == 3


@pytest.mark.slow
def test_a_label_is_generated_and_exported(digits, capfd):
    run, _ = digits
    assert generate.main(["--run_dir", str(run), "--num", "3", "--label", "7"]) == 0
    names = sorted(path.name for path in (run / "generated").iterdir())
    assert names == ["000000-7.png", "000001-7.png", "000002-7.png", "sheet.png"]
    for label in ("10", "-1", "seven"):
        fails(generate.main, "--run_dir", str(run), f"--label={label}",
              says=f"--label {label} is none of 0, 1", capfd=capfd)
    assert export.main(["--run_dir", str(run)]) == 0
    loaded = tf.saved_model.load(str(run / "export" / "1")).signatures["numbered"]
    found = loaded(seed=tf.constant([0, 1], tf.int64), numbers=tf.constant([2, 2], tf.int64),
                   labels=tf.constant([7, 7], tf.int64))["images"]
    written = images.read_image(run / "generated" / "000002-7.png", "L")
    np.testing.assert_allclose(found[0, ..., 0].numpy().astype(int), written.astype(int), atol=1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="labels are 0 to 9"):
        loaded(seed=tf.constant([0], tf.int64), numbers=tf.constant([0], tf.int64),
               labels=tf.constant([10], tf.int64))


@pytest.mark.slow
def test_softmax_regression_has_no_features(tmp_path, capfd):
    from chapter01_mnist import train_softmax

    assert train_softmax.main(["--max_steps", "2", "--run_dir", str(tmp_path / "flat")]) == 0
    fails(train.main, "--reader", str(tmp_path / "flat"), says="is softmax regression", capfd=capfd)


@pytest.mark.slow
def test_two_classes_are_learnt():
    """Bars that lie or stand, at random places: the labels decide which."""
    rng = np.random.default_rng(0)
    pictures, labels = np.zeros((256, 16, 16, 1), np.uint8), np.arange(256) % 2
    for picture, label in zip(pictures, labels, strict=True):
        place = rng.integers(3, 11)
        picture[(slice(None), slice(place, place + 3))[:: 1 - 2 * label]] = 255
    args = argparse.Namespace(augment="", batch_size=32, d_steps=1, g_steps=1, seed=0, z_dim=8,
                              loss="gan", r1=0.0, ema_decay=0.9, jit_compile=False)
    networks = model.build("compact", Shape(16, 16, 1, 2), 0, 8, 16)
    averaged = averages.copy(networks.generator)
    adams = [keras.optimizers.Adam(2e-3, 0.5) for _ in range(2)]
    for adam, net in zip(adams, networks[:2], strict=True):
        adam.build(net.trainable_variables)
    step = train.make_train_step(args, networks, averaged, *adams)
    for batch in data.training_batches(data.Split(pictures, labels), 2, 32, 0).take(250):
        step(*batch)
    run = inference.make_generate(averaged, networks.low, 2)
    asked = np.arange(40) % 2
    made = run(inference.numbered_z(1, 40, 8), asked)[..., 0].astype(float)
    # A standing bar varies along the rows, a lying one along the columns.
    across, down = made.mean(axis=1).std(axis=1), made.mean(axis=2).std(axis=1)
    stands = across > down
    expected = pictures[1, ..., 0].mean(axis=0).std() > pictures[1, ..., 0].mean(axis=1).std()
    assert np.mean(stands == (asked == 1 if expected else asked == 0)) >= 0.95
    assert health.diversity(data.Split(made, asked), data.Split(pictures[..., 0], labels)) > 0.5
