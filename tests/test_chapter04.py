"""Chapter 4: pyramids, tiles, objectives, the step of gradient ascent, and whole dreams."""

import argparse
import json
import multiprocessing
import os
import re
import shutil
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from chapter04_deepdream import (
    ascent,
    classes,
    data,
    export,
    flags,
    fourier,
    inference,
    layers,
    memory,
    model,
    networks,
    objectives,
    pyramid,
    train,
    visualize,
    zoom,
)
from chapter04_deepdream import eval as evaluation
from chapter04_deepdream.ascent import Rule, make_measure, make_step
from chapter04_deepdream.model import Term
from common import cli, features, images, results, rundir
from common.errors import UserError
from common.monitor import read_curve

RNG = np.random.default_rng(0)
NETWORK = ["--network", "MobileNet", "--alpha", "0.25", "--weights", "none"]
TINY = [*NETWORK, "--layer", "conv_pw_3_bn:3", "--size", "48", "--octaves", "2",
        "--iterations", "3"]


# What is tested here rarely depends on the depth of the network.
pytestmark = pytest.mark.usefixtures("shallow")


def noise(height: int, width: int, batch: int = 1) -> tf.Tensor:
    return tf.constant(RNG.uniform(0, 255, (batch, height, width, 3)), tf.float32)


def key(step: int) -> tf.Tensor:
    return tf.constant([0, step], tf.int64)


def small_network() -> features.Network:
    """Two convolutions and a classifier, of fixed random weights."""
    keras.utils.set_random_seed(1)
    pictures = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(pictures)
    x = keras.layers.Conv2D(8, 3, activation="relu", padding="same", name="first")(x)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu", padding="same", name="second")(x)
    maps = keras.Model(pictures, x)
    kernel = RNG.normal(size=(6, 3)).astype(np.float32)
    return features.from_keras(features.with_classifier(maps, kernel, np.zeros(3, np.float32)),
                               "net", False, ("cat", "dog", "cow"))


def fails(capfd, main, *argv: str, says: str) -> None:
    assert main(list(argv)) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ")
    assert says in error, error


# Pyramids


def test_the_kernel_is_binomial():
    assert pyramid.KERNEL.shape == (5, 5)
    assert pyramid.KERNEL.sum() == 1 and pyramid.KERNEL[2, 2] == 0.140625
    np.testing.assert_array_equal(pyramid.KERNEL[0] * 256, [1, 4, 6, 4, 1])


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (5, 3), (1, 1)])
def test_merging_gives_back_what_was_split(size):
    picture = noise(*size)
    bands = pyramid.split(picture)
    assert len(bands) == 5 and bands[0].shape == picture.shape
    assert bands[1].shape[1:3] == ((size[0] + 1) // 2, (size[1] + 1) // 2)
    np.testing.assert_allclose(pyramid.merge(bands), picture, atol=255e-5)


def halving(length: int) -> np.ndarray:
    """Returns the matrix that blurs a line of pixels and drops every second one."""
    matrix = np.zeros(((length + 1) // 2, length + 4))
    first = 1 - length % 2  # of a line of odd length, the outer pixels are kept
    for row, weights in enumerate(matrix):
        weights[2 * row + first :][:5] = np.array([1, 4, 6, 4, 1]) / 16
    return matrix[:, 2:-2]


def normalized_by_matrices(image: np.ndarray, levels: int = 4) -> np.ndarray:
    """Does the same as `normalize_bands` to one channel, (height, width), without convolutions."""
    down, right = map(halving, image.shape)
    if levels == 0:
        return image / np.sqrt(np.mean(image**2))
    low = down @ image @ right.T
    band = image - 4 * down.T @ low @ right
    band_rms = np.sqrt(np.mean(band**2))
    return 4 * down.T @ normalized_by_matrices(low, levels - 1) @ right + band / band_rms


@pytest.mark.parametrize("size", [(64, 48), (37, 50)])
def test_bands_are_normalized_as_by_matrices(size):
    grey = np.repeat(noise(*size)[..., :1], 3, axis=-1) - 128  # an rms is that of all colours
    found = pyramid.normalize_bands(tf.concat([grey, 7 * grey, 0 * grey], axis=0)).numpy()
    expected = normalized_by_matrices(grey[0, ..., 0].astype(float))
    for image, factor in zip(found, (1, 1, 0), strict=True):
        for colour in range(3):
            np.testing.assert_allclose(image[..., colour], factor * expected, atol=1e-3)


def test_octaves_have_the_books_sizes():
    sizes = pyramid.octave_sizes((224, 224), 3, 1.4, growing=True)
    assert [tuple(size.numpy()) for size in sizes] == [(224, 224), (313, 313), (438, 438)]
    sizes = pyramid.octave_sizes((427, 640), 4, 1.4, growing=False)
    assert [tuple(size.numpy()) for size in sizes] == [(155, 232), (217, 326), (305, 457),
                                                       (427, 640)]
    assert pyramid.octave_sizes((1, 1), 3, 2.0, growing=False)[0].numpy().tolist() == [1, 1]


def test_an_undreamt_picture_passes_through_all_octaves_unchanged():
    start, picture = noise(60, 44), None
    sizes = pyramid.octave_sizes((60, 44), 4, 1.4, growing=False)
    for octave, size in enumerate(sizes):
        picture = pyramid.enter_octave(picture, start, sizes, octave, growing=False)
        assert picture.shape[1:3] == tuple(size)
    np.testing.assert_allclose(picture, start, atol=1e-3)


def test_a_dream_from_noise_is_only_enlarged():
    start = noise(20, 30)
    sizes = pyramid.octave_sizes((20, 30), 2, 1.5, growing=True)
    np.testing.assert_array_equal(pyramid.enter_octave(start, start, sizes, 0, True), start)
    larger = pyramid.enter_octave(start + 7, start, sizes, 1, True)
    np.testing.assert_allclose(larger, tf.image.resize(start + 7, (30, 45)), atol=1e-3)


# Gradients over tiles


def one_output_of(kernel: np.ndarray, row: int, column: int) -> model.Objective:
    """A linear "network": one output of a convolution."""
    def objective(pictures: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(pictures, kernel[..., None], 1, "VALID")[:, row, column, 0]

    return objective


def test_the_gradient_of_a_linear_network_is_its_kernel():
    kernel = RNG.normal(size=(3, 5, 3)).astype(np.float32)
    gradient, value = make_measure(one_output_of(kernel, 4, 6), 512)(picture := noise(12, 16))
    expected = np.zeros((12, 16, 3), np.float32)
    expected[4:7, 6:11] = kernel
    np.testing.assert_allclose(gradient[0], expected, rtol=1e-6)
    np.testing.assert_allclose(value, [(expected * picture).numpy().sum()], rtol=1e-4)


def test_the_gradient_in_one_tile_is_the_untiled_one():
    network = small_network()
    objective = model.activation(network.extractor(["second"]), [Term("second", 2, 1.0)], False)
    picture = noise(30, 41)
    gradient, value = make_measure(objective, 41)(picture)
    expected, untiled = tf.function(lambda x: ascent.gradient_of(objective, x))(picture)
    np.testing.assert_array_equal(gradient, expected)
    np.testing.assert_array_equal(value, untiled)


def test_tiles_give_the_untiled_gradient_away_from_their_borders():
    network = small_network()
    objective = model.activation(network.extractor(["first"]), [Term("first", 2, 1.0)], True)
    whole, _ = make_measure(objective, 41)(picture := noise(30, 41))
    tiled, _ = make_measure(objective, 21)(picture)  # rows 0-15-30, columns 0-20-41
    for rows in (slice(2, 13), slice(17, 28)):
        for columns in (slice(2, 18), slice(22, 39)):
            np.testing.assert_allclose(tiled[:, rows, columns], whole[:, rows, columns],
                                       rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("tile_size", [1, 7, 16, 20, 100])
def test_every_pixel_counts_alike_in_whatever_tile(tile_size):
    picture = noise(20, 33, batch=2)
    gradient, value = make_measure(lambda x: tf.reduce_mean(x, axis=(1, 2, 3)), tile_size)(picture)
    np.testing.assert_allclose(gradient, np.full(picture.shape, 1 / (20 * 33 * 3)), rtol=1e-5)
    np.testing.assert_allclose(value, tf.reduce_mean(picture, axis=(1, 2, 3)), rtol=1e-5)


def test_tiles_put_together_are_in_their_places():
    gradient, _ = make_measure(lambda x: tf.reduce_sum(x**2, axis=(1, 2, 3)), 8)(
        picture := noise(19, 26))
    shares = gradient / (2 * picture)  # the area of each pixel's tile
    assert {round(float(share) * 19 * 26) for share in np.unique(shares)} <= {36, 42, 49, 54, 63}
    rows, columns = np.repeat([6, 6, 7], [6, 6, 7]), np.repeat([6, 7, 6, 7], [6, 7, 6, 7])
    expected = np.outer(rows, columns)[None, ..., None] / (19 * 26)
    np.testing.assert_allclose(shares, np.broadcast_to(expected, shares.shape), rtol=1e-4)


def test_borders_divide_evenly():
    assert ascent.tile_edges(tf.constant(10), 4).numpy().tolist() == [0, 3, 6, 10]
    assert ascent.tile_edges(tf.constant(8), 8).numpy().tolist() == [0, 8]


def test_shifts_reach_every_place_and_depend_on_the_key():
    def shifts(jitter):
        return [tuple(ascent.random_shift(key(step), tf.constant([4, 3]), jitter).numpy())
                for step in range(200)]

    assert set(shifts(None)) == {(row, column) for row in range(4) for column in range(3)}
    assert set(shifts(1)) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert set(shifts(0)) == {(0, 0)}
    assert shifts(None) == shifts(None)


def test_a_random_shift_of_a_network_without_borders_changes_nothing():
    def objective(pictures):
        return tf.reduce_mean(tf.square(pictures - tf.roll(pictures, 1, 2)), axis=(1, 2, 3))

    picture = noise(16, 24)
    still, moved = (make_step(objective, Rule("mean", 512, jitter)) for jitter in (0, None))
    np.testing.assert_allclose(still(picture, key(3), 1.0)[0], moved(picture, key(3), 1.0)[0],
                               rtol=1e-5)


def measure_peaks(pipe) -> None:
    """Sends by how many bytes the peak memory of this process grows, with small tiles and without.

    The picture has 5 MB, a feature map of it 105 MB.
    """
    layers = [keras.layers.Conv2D(64, 3, activation="relu", padding="same") for _ in range(2)]
    network = keras.Sequential([keras.Input((None, None, 3)), *layers])

    def objective(pictures: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(network(pictures), axis=(1, 2, 3))

    def peak() -> int:  # getrusage would begin with the peak of the process that started this one
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    steps = [make_step(objective, Rule("mean", tile_size)) for tile_size in (96, 640)]
    for step in steps:
        step(noise(64, 64), key(1), 1.0)
    picture = noise(640, 640)
    for step in steps:
        before = peak()
        step(picture, key(1), 1.0)
        pipe.send(peak() - before)


@pytest.mark.slow
def test_memory_is_that_of_a_tile():
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=measure_peaks, args=(there,))
    process.start()
    there.close()
    tiled, whole = here.recv(), here.recv()
    process.join()
    # Less than one feature map, against at least two; how many the peak before hides, varies.
    assert tiled < 100e6 and whole > 200e6


# The step


@pytest.mark.parametrize(("normalize", "divisor"), [
    ("deviation", lambda g: g.std() + 1e-8), ("mean", lambda g: np.abs(g).mean() + 1e-7)])
def test_a_step_follows_the_normalized_gradient(normalize, divisor):
    kernel = RNG.normal(size=(3, 3, 3)).astype(np.float32)
    picture = noise(9, 9)
    after, value, strength = make_step(one_output_of(kernel, 2, 2), Rule(normalize, 512, 0))(
        picture, key(1), 1.5)
    gradient = np.zeros(picture.shape, np.float32)
    gradient[0, 2:5, 2:5] = kernel
    np.testing.assert_allclose(after, picture + 1.5 * gradient / divisor(gradient), rtol=1e-5)
    np.testing.assert_allclose(strength, np.abs(gradient).mean(), rtol=1e-5)
    np.testing.assert_allclose(value, [(gradient * picture).numpy().sum()], rtol=1e-4)


def test_the_laplacian_step_has_bands_of_equal_strength():
    kernel = np.repeat(RNG.normal(size=(3, 3, 1)), 3, axis=-1).astype(np.float32)
    picture = noise(32, 32)
    after, *_ = make_step(one_output_of(kernel, 9, 9), Rule("laplacian"))(picture, key(1), 2.0)
    gradient = np.zeros(picture.shape, np.float32)
    gradient[0, 9:12, 9:12] = kernel
    shift = ascent.random_shift(key(1), tf.constant([32, 32]), None)
    gradient = tf.roll(gradient, -shift, (1, 2)).numpy()[0, ..., 0].astype(float)
    for colour in range(3):
        np.testing.assert_allclose((after - picture)[0, ..., colour],
                                   2 * normalized_by_matrices(gradient), atol=1e-3)


def test_regularizers():
    ramp = tf.reshape(tf.repeat(tf.range(0.0, 6.0), 3), (1, 1, 6, 3))
    np.testing.assert_array_equal(model.variation_gradient(ramp)[0, 0, :, 0], [-1, 0, 0, 0, 0, 1])

    def flat(pictures):  # its gradient is 0
        return 0 * tf.reduce_sum(pictures, axis=(1, 2, 3))

    def after(**weights):
        picture = tf.fill((1, 8, 8, 3), 227.5) if "blur" in weights else ramp
        return make_step(flat, Rule("mean", **weights))(picture, key(1), 2.0)[0]

    np.testing.assert_allclose(after(total_variation=0.25)[0, 0, :, 0], [0.5, 1, 2, 3, 4, 4.5])
    np.testing.assert_allclose(after(decay=0.1), 0.9 * ramp + 12.75, rtol=1e-6)
    np.testing.assert_allclose(after(blur=0.5), tf.fill((1, 8, 8, 3), 227.5), rtol=1e-6)
    spike = tf.tensor_scatter_nd_update(tf.zeros((1, 9, 9, 3)), [[0, 4, 4]], [[1.0, 1.0, 1.0]])
    np.testing.assert_allclose(pyramid.blur(spike)[0, 2:7, 2:7, 1], pyramid.KERNEL, rtol=1e-6)


# Objectives


def pixels_as_maps(pictures: tf.Tensor) -> list[tf.Tensor]:
    return [pictures, 2 * pictures]


def test_activations_are_weighted_means():
    picture = tf.constant([[[[1.0, 2, 3], [3.0, 0, -1]]]])

    def value(*terms, square=False):
        read = pixels_as_maps if len(terms) == 2 else lambda x: pixels_as_maps(x)[:1]
        return float(model.activation(read, terms, square)(picture)[0])

    assert value(Term("a", 0, 1.0)) == 2
    assert value(Term("a", 0, 1.0), Term("b", 2, 0.5)) == 2 + 0.5 * 2
    assert value(Term("a", None, 3.0)) == pytest.approx(3 * 8 / 6)
    assert value(Term("a", None, 1.0), square=True) == pytest.approx(24 / 6)
    mixed = value(Term("a", 0, 1.0), Term("b", None, 0.5), square=None)
    assert mixed == pytest.approx(2 + 0.5 * 4 * 24 / 6)


def test_each_image_of_a_batch_has_its_channel():
    pictures = noise(4, 5, batch=3)
    channels = tf.Variable([2, 0, 2])
    values = model.channel_by_image(lambda x: [x], channels)(pictures)
    means = pictures.numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(values, [means[0, 2], means[1, 0], means[2, 2]], rtol=1e-5)


def test_a_guided_dream_matches_by_the_largest_product():
    guide = tf.constant([[[[1.0, 0, 0], [0, 2.0, 0]]]])
    picture = tf.constant([[[[3.0, 1, 0]], [[1.0, 3, 5]]]])
    objective = model.similarity(lambda x: [x], guide)
    # (3, 1, 0) is nearer to (1, 0, 0): 3 against 2; (1, 3, 5) to (0, 2, 0): 1 against 6.
    gradient, value = ascent.gradient_of(objective, picture)
    assert float(value[0]) == pytest.approx((3 + 6) / 6)
    np.testing.assert_allclose(gradient[0, :, 0], np.array([[1, 0, 0], [0, 2, 0]]) / 6, rtol=1e-6)


@pytest.mark.parametrize(("layer", "channel", "terms"), [
    ("first", None, [("first", None, 1)]),
    ("first", "3", [("first", 3, 1)]),
    ("first:7", "3", [("first", 3, 1)]),
    ("first:3+0.5*7", None, [("first", 3, 1), ("first", 7, 0.5)]),
    ("2*first:3,-1*second:0+1", None, [("first", 3, 2), ("second", 0, -1), ("second", 1, -1)]),
    ("logits", "dog+2", [("logits", 1, 1), ("logits", 2, 1)]),
])
def test_the_grammar_of_layers_and_channels(layer, channel, terms):
    assert objectives.parse(layer, channel, small_network()) == tuple(Term(*t) for t in terms)


@pytest.mark.parametrize(("layer", "channel", "says"), [
    ("thrid", None, "net has no layer 'thrid'; near it: "),
    ("first", "8", "first of net has no channel '8': it has 8, 0 to 7"),
    ("first", "dog", "first of net has no channel 'dog'"),
    ("logits", "dot", "near it: dog"),
    ("x*first", None, "'x' of 'x*first' is not a weight"),
])
def test_unknown_layers_and_channels_are_errors(layer, channel, says):
    with pytest.raises(UserError) as caught:
        objectives.parse(layer, channel, small_network())
    assert says in str(caught.value)


# Whole dreams


def dream_dir(name: str) -> Path:
    return rundir.runs_dir() / "chapter04_deepdream" / name


@pytest.fixture(scope="module")
def dreamt(tmp_path_factory):
    """Returns a function that copies a small run, made once, to this test's folder."""
    made = tmp_path_factory.mktemp("dreamt") / "run"

    def copy() -> Path:
        if not made.exists():
            assert train.main([*TINY, "--run_dir", str(made)]) == 0
        return Path(shutil.copytree(made, dream_dir("tiny")))

    return copy


def test_the_objective_rises_and_the_network_stays(capfd):
    network = small_network()
    before = network.digest
    objective = model.activation(network.extractor(["second"]), [Term("second", 2, 1.0)], False)
    step, values = make_step(objective, Rule("laplacian", jitter=0)), []
    picture = noise(40, 40) / 255 + 100
    for number in range(20):
        picture, value, _ = step(picture, key(number), 1.0)
        values.append(float(value[0]))
    assert values[-1] > values[0] and sum(np.diff(values) > 0) > 15
    assert features.from_keras(small_network_model(network), "net").digest == before


def small_network_model(network: features.Network) -> keras.Model:
    return network.extractor(["logits"]).weights


@pytest.mark.slow
def test_a_run_logs_and_draws_each_octave(dreamt, capfd):
    run = dreamt()
    steps, values = read_curve(run, "train", "objective")
    assert steps.tolist() == [1, 2, 3, 4, 5, 6] and values[-1] > values[0]
    assert images.read_image(run / "samples" / "octave_1.png").shape == (22, 34, 3)
    finished = images.read_image(run / "samples" / "dream.png")
    assert finished.shape == (32, 48, 3)
    np.testing.assert_array_equal(finished, images.read_image(run / "samples" / "octave_2.png"))
    config = rundir.read_config(run)
    assert config["parameters"] == 32 * 48 * 3 and config["flags"]["max_steps"] == 6
    assert config["flags"]["step_size"] == 1 and config["flags"]["octave_scale"] == 1.4


@pytest.mark.slow
def test_the_picture_is_restored_at_its_size(dreamt):
    run = dreamt()
    args = at(run, "latest")
    settings = rundir.read_config(run)["flags"]
    loaded = inference.load_run(args, argparse.Namespace(**settings))
    np.testing.assert_array_equal(data.to_uint8(loaded.pixels),
                                  images.read_image(run / "samples" / "dream.png"))
    loaded = inference.load_run(at(run, "1"), argparse.Namespace(**settings))
    assert loaded.pixels.shape == (1, 22, 34, 3)


def at(run: Path, checkpoint: str) -> argparse.Namespace:
    return argparse.Namespace(run_dir=run, checkpoint=checkpoint)


@pytest.mark.slow
def test_the_exported_loop_makes_the_same_picture(dreamt):
    run = dreamt()
    settings = argparse.Namespace(**rundir.read_config(run)["flags"])
    loaded = inference.load_run(at(run, "latest"), settings)
    dream = tf.function(export.make_dream(loaded.step, settings, 20))
    start = data.load("china", 48)
    again = dream(start, tf.constant(settings.iterations), tf.constant(settings.step_size))
    np.testing.assert_allclose(again, loaded.pixels, atol=0.01)
    np.testing.assert_allclose(dream(start, tf.constant(0), tf.constant(1.0)), start, atol=1e-3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="less than 20 pixels, where conv_pw"):
        dream(start[:, :27], tf.constant(0), tf.constant(1.0))  # 27 / 1.4 = 19


def test_the_smallest_side_is_that_of_the_last_pooling():
    def objective(pictures):
        pooled = tf.nn.max_pool2d(pictures, 4, 4, "VALID")
        return tf.reduce_mean(pooled, axis=(1, 2, 3))  # not a number, if there is nothing left

    assert export.smallest_side(make_step(objective, Rule("mean"))) == 4


def test_a_seed_without_noise_is_refused(capfd):
    fails(capfd, data.main, "--image", "china", "--seed", "3", says="--seed 3 has no effect with")


def test_sigterm_is_handed_to_the_training_of_the_textures_network(tmp_path, monkeypatch):
    monkeypatch.setattr(networks.rundir, "runs_dir", lambda: tmp_path)
    program = ("import os, signal, sys, time; "
               "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130)); "
               "os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)")
    start = networks.subprocess.Popen
    monkeypatch.setattr(networks.subprocess, "Popen", lambda command, **flags: start(
        [command[0], "-c", program], **flags))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        networks.textures_run()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.slow
def test_eval_compares_with_noise_of_equal_norm(dreamt, capfd):
    run = dreamt()
    start, dream = noise(8, 9), noise(8, 9)
    noisy = evaluation.noisy(start, dream, 0)
    np.testing.assert_allclose(tf.norm(noisy - start), tf.norm(dream - start), rtol=1e-5)
    assert evaluation.main(["--name", "tiny"]) == 0
    result = json.loads((run / "eval.json").read_text())
    metrics = result["metrics"]
    assert metrics["dream"]["objective"] > metrics["noise"]["objective"]
    assert metrics["dream"]["objective"] > metrics["start"]["objective"]
    assert len(result["details"]["objective_by_octave"]) == 2
    normalized = result["details"]["bands"]["normalized gradient"]
    assert max(normalized) < 2 * min(normalized)


@pytest.mark.slow
def test_a_zoom_keeps_its_size_and_enlarges_the_middle(dreamt):
    picture = tf.image.pad_to_bounding_box(tf.fill((1, 10, 20, 3), 200.0), 5, 10, 20, 40)
    larger = zoom.enlarge(picture, 2.0)
    assert larger.shape == picture.shape
    np.testing.assert_allclose(larger[:, 3:-3, 3:-3], tf.fill((1, 14, 34, 3), 200.0), rtol=1e-6)
    np.testing.assert_array_equal(zoom.enlarge(picture, 1.0), picture)
    # Less than a pixel at the border: the middle stays, the borders move outwards.
    ramp = tf.tile(tf.reshape(tf.range(40.0), (1, 1, 40, 1)), (1, 20, 1, 3))
    np.testing.assert_allclose(zoom.enlarge(ramp, 1.01)[0, 9, 5:35, 0],
                               19.5 + (np.arange(5, 35) - 19.5) / 1.01, atol=1e-3)
    run = dreamt()
    assert zoom.main(["--name", "tiny", "--zoom_frames", "3", "--size", "32"]) == 0
    assert (run / "zoom.mp4").stat().st_size and (run / "zoom.gif").stat().st_size


@pytest.mark.parametrize("method", flags.METHODS)
def test_every_method_has_the_books_constants(method):
    expected = {
        "naive": ("noise", 1, 20, 1.0, "deviation", 20, 0),
        "multiscale": ("noise", 3, 20, 1.0, "deviation", 60, None),
        "lapnorm": ("noise", 3, 20, 1.0, "laplacian", 60, None),
        "deepdream": ("china", 4, 10, 1.5, "mean", 40, None),
    }[method]
    args = cli.resolve(train.build_parser(), ["--method", method])
    flags.settle(args)
    assert (args.image, args.octaves, args.iterations, args.step_size, args.normalize,
            args.max_steps, args.jitter) == expected
    assert args.tile_size == 512
    assert flags.growing(args) == (method != "deepdream")


@pytest.mark.slow
def test_a_guided_run(capfd):
    assert train.main([*NETWORK, "--layer", "conv_pw_3_bn", "--guide", "flower", "--image", "china",
                       "--size", "40", "--octaves", "1", "--iterations", "3", "--jitter", "0"]) == 0
    line = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert line["objective"] > line["first_objective"]


def write_graph(path: Path) -> None:
    """Writes a frozen graph with the names of the book's network, of one convolution."""
    with tf.Graph().as_default() as graph:
        pictures = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3), "input")
        kernel = tf.constant(RNG.normal(size=(3, 3, 3, 144)), tf.float32)
        tf.nn.conv2d(pictures, kernel, 2, "SAME", name="mixed4d_3x3_bottleneck_pre_relu")
    path.write_bytes(graph.as_graph_def().SerializeToString())


@pytest.mark.slow
def test_the_books_preset_dreams_through_a_frozen_graph(tmp_path, capfd):
    write_graph(graph := tmp_path / "book.pb")
    assert train.main(["--preset", "book", "--network", str(graph), "--method", "naive", "--size",
                       "24", "--name", "book"]) == 0
    line = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert line["step"] == 20 and line["objective"] > line["first_objective"] + 100
    assert export.main(["--name", "book"]) == 0
    assert layers.main(["--network", str(graph)]) == 0
    assert "mixed4d_3x3_bottleneck_pre_relu  112 x 112 x 144" in capfd.readouterr().out


def test_noise_is_the_books():
    start = data.load("noise")
    assert start.shape == (1, 224, 224, 3)
    assert 100 <= float(tf.reduce_min(start)) and float(tf.reduce_max(start)) <= 101
    np.testing.assert_array_equal(data.load("noise", 20, 3), data.load("noise", 20, 3))
    assert not np.array_equal(data.load("noise", 20, 3), data.load("noise", 20, 4))


def test_pictures_are_scaled_by_their_longer_side(tmp_path):
    images.write_png(tmp_path / "a.png", np.full((10, 40, 3), 50, np.uint8))
    picture = data.load(str(tmp_path / "a.png"), 20)
    np.testing.assert_allclose(picture, tf.fill((1, 5, 20, 3), 50.0), rtol=1e-5)
    assert data.load("china").shape == (1, 427, 640, 3)


def test_pictures_to_look_at():
    pixels = tf.constant([[[[-3.0, 1.5, 300.0]]]])
    np.testing.assert_array_equal(data.to_uint8(pixels), [[[0, 2, 255]]])
    stretched = data.to_uint8(100 + noise(50, 50) / 255, stretch=True)
    assert stretched.min() == 0 and stretched.max() == 255 and 120 < stretched.mean() < 135


def test_the_channels_of_an_atlas(tmp_path):
    assert list(layers.parse_range("7", 9)) == [7]
    assert list(layers.parse_range("3-5", 9)) == [3, 4, 5]
    assert layers.parse_range(None, 100) == range(64) and layers.parse_range(None, 9) == range(9)
    for text in ("9", "3-9", "5-3", "x", "-1"):
        with pytest.raises(UserError, match="there are 9"):
            layers.parse_range(text, 9)


@pytest.mark.slow
def test_the_sheet_of_classes(tmp_path, monkeypatch, capfd):
    network = small_network()
    assert classes.choose(None, network) == [0, 1, 2]
    assert classes.choose("cow,0", network) == [2, 0]
    monkeypatch.setattr(classes.networks, "open_network", lambda args: network)
    assert classes.main(["--size", "24", "--iterations", "8", "--output_dir", str(tmp_path)]) == 0
    out = capfd.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["cat", "dog", "cow"]
    assert (tmp_path / "net-classes.png").is_file()


@pytest.mark.slow
def test_the_memory_of_a_step_is_published_by_its_settings(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    argv = [*NETWORK, "--layer", "conv_pw_3_bn", "--width", "40", "--height", "30"]
    (tmp_path / "chapter04_deepdream").mkdir()
    for tile_size in ("16", "32", "16"):
        assert memory.main([*argv, "--tile_size", tile_size, "--publish"]) == 0
    found = json.loads((tmp_path / "chapter04_deepdream" / "memory.json").read_text())
    assert [row["tile"] for row in found["rows"]] == [32, 16]
    assert all(row["size"] == "40 x 30" and row["gib"] > 0.1 for row in found["rows"])
    assert all({"commit", "dirty", "date"} <= row.keys() for row in found["rows"])
    assert found["rows"][0]["command"].endswith("--tile_size 32 --publish")


# Fourier spectra


def test_spectra_are_scaled_as_natural_pictures():
    spectrum = fourier.Spectrum(2, 16, 0)
    np.testing.assert_allclose(spectrum.scale[0, :4], [16, 16, 8, 16 / 3])
    np.testing.assert_allclose(spectrum.scale[:4, 0], [16, 16, 8, 16 / 3])
    first = spectrum.pictures().numpy()
    assert first.shape == (2, 16, 16, 3) and 100 < first.min() and first.max() < 155
    np.testing.assert_array_equal(first, fourier.Spectrum(2, 16, 0).pictures())
    # A single frequency is a wave along the columns, in all colours by the strongest component.
    values = np.zeros(spectrum.values.shape, np.float32)
    values[0, :, 0, 0, 1] = 1
    spectrum.values.assign(values)
    wave = np.log(spectrum.pictures() / (255 - spectrum.pictures()))
    expected = 2 * np.cos(2 * np.pi * np.arange(16) / 16) * 16 / 256 * 16 / 4
    for colour in range(3):
        np.testing.assert_allclose(wave[1, 3, :, colour], expected * fourier.COLOURS[colour, 0],
                                   atol=1e-4)
    assert np.linalg.norm(fourier.COLOURS, axis=0).max() == pytest.approx(1)


def test_transforms_depend_on_the_key_and_keep_what_is_flat(monkeypatch):
    picture = noise(12, 14)
    np.testing.assert_array_equal(*(fourier.transform(picture, key(3)) for _ in range(2)))
    assert not np.allclose(fourier.transform(picture, key(3)), fourier.transform(picture, key(4)))
    flat = tf.fill((1, 12, 14, 3), 70.0)
    np.testing.assert_allclose(fourier.transform(flat, key(1)), flat, rtol=1e-5)
    for name in ("SHIFT", "ZOOM", "DEGREES"):
        monkeypatch.setattr(fourier, name, 0)
    np.testing.assert_allclose(fourier.transform(picture, key(3)), picture, atol=0.1)


def test_diversity_is_minus_the_similarity_with_the_others():
    red = np.zeros((1, 4, 4, 3), np.float32)
    red[..., 0] = 1
    green, bright = red[..., [1, 0, 2]], 5 * red
    values = fourier.diversity(lambda x: [x])(tf.concat([red, green, bright], axis=0))
    np.testing.assert_allclose(values, [-1, 0, -1], atol=1e-5)


@pytest.mark.slow
def test_a_spectrum_is_trained_and_the_network_is_not(tmp_path, monkeypatch, capfd):
    network = small_network()
    extractor = network.extractor(["second"])
    spectrum = fourier.Spectrum(2, 24, 0)
    objective = model.channel_by_image(extractor, tf.constant([1, 4]))
    before = objective(spectrum.pictures()).numpy()
    visualize.ascend(objective, spectrum, 10, 0.05, 0)
    assert (objective(spectrum.pictures()).numpy() > before).all()
    monkeypatch.setattr(visualize.networks, "open_network", lambda args: network)
    argv = ["--layer", "second", "--size", "24", "--steps", "2", "--output_dir", str(tmp_path)]
    assert visualize.main([*argv, "--channels", "1", "--diversity", "2"]) == 0
    assert (tmp_path / "net-second-1.png").is_file()
    fails(capfd, visualize.main, *argv, "--channels", "1+2", "--diversity", "2",
          says="--diversity 2 with 2 channels")
    fails(capfd, visualize.main, *argv, "--channels", "6", says="second of net has no channel '6'")


# Bad input and warnings


def test_grey_and_saturated_pictures_are_warned_of(capfd):
    train.warn_of(100 + noise(8, 8) / 255)
    assert "the picture is grey" in (err := capfd.readouterr().err) and "raise --step_size" in err
    train.warn_of(10 * (noise(8, 8) - 127))
    assert "the picture is saturated" in (err := capfd.readouterr().err)
    assert "lower --step_size" in err
    train.warn_of(noise(8, 8))
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_bad_input_ends_before_a_run_is_made(capfd, tmp_path):
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    for argv, says in (
        (["--layer", "conv_pw_99"], "MobileNet has no layer 'conv_pw_99'; near it: conv_pw_"),
        (["--layer", "conv_pw_3_bn:999"], "conv_pw_3_bn of MobileNet has no channel '999': it has"),
        (["--layer", "conv_pw_3_bn:3", "--channel", "5"], "--channel 5 has no effect with --layer"),
        (["--image", str(tmp_path / "torn.jpg")], "torn.jpg is not a readable image"),
        (["--image", str(tmp_path / "no.png")], "there is no file"),
        (["--guide", str(tmp_path / "no.png")], "there is no file"),
        (["--guide", "flower", "--channel", "3"], "--channel 3 has no effect with --guide"),
        (["--method", "naive", "--octave_scale", "2"], "--octave_scale 2.0 has no effect with"),
        (["--layer", "conv_pw_3_bn:3", "--guide", "flower"], "conv_pw_3_bn:3 with --guide"),
        (["--method", "multiscale", "--octaves", "30", "--octave_scale", "10"],
         "the last octave has"),
        (["--step_size", "0"], "0 is not a number above 0"),
    ):
        layer = [] if "--layer" in argv else ["--layer", "conv_pw_3_bn"]
        fails(capfd, train.main, *NETWORK, *layer, *argv, says=says)
    fails(capfd, train.main, "--network", "ResNet50V2", "--weights", "none",
          says="--layer is missing: there is no short list of ResNet50V2")
    fails(capfd, train.main, *NETWORK, says="no short list of MobileNet with --alpha 0.25")
    fails(capfd, train.main, "--network", str(tmp_path / "no.pb"), "--layer", "a",
          says="there is no frozen graph")
    assert not (rundir.runs_dir() / "chapter04_deepdream").exists()


def test_an_atlas_of_a_layer_without_a_value_is_refused(monkeypatch, capfd):
    pictures = keras.Input((None, None, 3))
    large = keras.layers.Conv2D(4, 33, name="large")(pictures)  # of 33 x 33 pixels
    network = features.from_keras(keras.Model(pictures, large), "net")
    monkeypatch.setattr(layers.networks, "open_network", lambda args: network)
    fails(capfd, layers.main, *NETWORK, "--atlas", "large", "--size", "32",
          says="the layer has no value for a picture of")


def test_a_layer_without_a_gradient_or_without_a_place_is_an_error():
    dead = make_step(lambda x: tf.reduce_mean(tf.nn.relu(x - 1000), axis=(1, 2, 3)), Rule("mean"))
    with pytest.raises(UserError, match="the gradient of relu:3 is zero everywhere") as caught:
        ascent.check_start(dead, noise(8, 8), "relu:3")
    assert "--post_activation" in caught.value.hint
    small = make_step(lambda x: tf.reduce_mean(tf.nn.max_pool2d(x, 9, 9, "VALID"), axis=(1, 2, 3)),
                      Rule("mean"))
    with pytest.raises(UserError, match="relu:3 has no value for a picture of 8 x 7 pixels"):
        ascent.check_start(small, noise(7, 8), "relu:3")
    ascent.check_start(small, noise(9, 9), "relu:3")


@pytest.mark.slow
def test_a_network_without_a_classifier_has_no_classes(capfd):
    fails(capfd, classes.main, *NETWORK, says="MobileNet has no classifier")
    fails(capfd, layers.main, *NETWORK, "--atlas", "conv_pw_3", "--channels", "5-3",
          says="--channels 5-3 are not channels")
    fails(capfd, layers.main, *NETWORK, "--channels", "5", says="no effect with no --atlas")


# Real data


@pytest.mark.slow
def test_a_dream_through_imagenets_mobilenet(whole_network, real_data, capfd):
    weights = real_data("pretrained/mobilenet_v1_0.75_224.weights.h5")
    photo = real_data("book/chapter_4/test.jpg")
    network = ["--network", "MobileNet", "--alpha", "0.75", "--weights", str(weights)]
    assert train.main([*network, "--image", str(photo), "--size", "128", "--octaves", "2",
                       "--name", "real"]) == 0
    assert evaluation.main(["--name", "real"]) == 0
    scores = json.loads((dream_dir("real") / "eval.json").read_text())["metrics"]
    assert scores["dream"]["objective"] > scores["noise"]["objective"] + 2
    assert scores["dream"]["objective"] > scores["start"]["objective"] + 2


@pytest.mark.slow
def test_classes_are_recognized_in_their_pictures(whole_network, real_data, capfd):
    weights = real_data("pretrained/mobilenet_v1_0.75_224.weights.h5")
    assert classes.main(["--network", "MobileNet", "--alpha", "0.75", "--weights", str(weights),
                         "--classes", "goldfish", "--size", "160", "--iterations", "10",
                         "--output_dir", os.environ["DL21_RUNS"]]) == 0
    name, probability = capfd.readouterr().out.splitlines()[0].split()
    assert name == "goldfish" and float(probability.rstrip("%")) > 50
