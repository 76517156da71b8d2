"""Super-resolution: degradations, quality, the network, data, tiles, scripts, the book's pairs."""

import argparse
import functools
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chapter09_pix2pix import process
from chapter09_pix2pix import train as pix2pix_train
from chapter09_pix2pix.perceptual import make_perceptual
from chapter10_super_resolution import (
    compare,
    data,
    degradation,
    drawn,
    export,
    inference,
    model,
    pictures,
    prepare,
    quality,
    train,
    train_srgan,
    training,
    upscale,
)
from chapter10_super_resolution import eval as evaluation
from chapter10_super_resolution.data import Pair
from common import image_metrics, images, results, rundir, video

CHAPTER = "chapter10_super_resolution"
NETWORKS = [(2, "direct"), (3, "stages"), (4, "direct"), (4, "stages")]
TINY = ["--blocks", "1", "--width", "4", "--patch_size", "8", "--batch_size", "2", "--max_steps",
        "2", "--log_every", "1"]


@pytest.fixture(autouse=True)
def few_drawings(monkeypatch):
    monkeypatch.setattr(data, "DRAWN", {"train": 4, "validation": 2, "test": 3})
    data.load_drawn.cache_clear()
    yield
    data.load_drawn.cache_clear()


def flags_of(*argv):
    args = train.build_parser().parse_args(argv)
    values = vars(args) | {k: v for k, v in train.PRESETS[args.preset].items()
                           if f"--{k}" not in argv}
    return argparse.Namespace(**values | {"typed": {}})


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height, width, seed=0):
    small = Image.fromarray(noise(6, 8, seed=seed))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def fails(main, *argv, capfd, says):
    assert main(list(argv)) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ")
    assert says in error, error


def random_network(args, seed=1):
    """A network whose last kernel is not 0, and which sees as far as it can."""
    network = inference.build(args)
    tail = network.get_layer("tail")
    tail.set_weights([0.02 * np.random.default_rng(seed).standard_normal(w.shape)
                      for w in tail.get_weights()])
    return network


# ---------------------------------------------------------------- degradations and quality


# SSIM of the papers: .9299, .8682, .8104.
@pytest.mark.parametrize(("factor", "psnr", "ssim"), [
    (2, 33.68, 0.9303), (3, 30.41, 0.8689), (4, 28.43, 0.8111)])
def test_bicubic_on_set5_is_that_of_the_papers(real_data, factor, psnr, ssim):
    found = data.load_test(real_data("super_resolution/Set5"), factor)
    pairs = dict(data.pairs_of(found, factor, "bicubic"))
    scores = inference.score_all(functools.partial(inference.bicubic, factor=factor), pairs, factor)
    assert len(pairs) == 5
    assert scores["psnr"].mean() == pytest.approx(psnr, abs=0.03)
    assert scores["ssim"].mean() == pytest.approx(ssim, abs=0.0005)


def cubic(x):
    """The kernel of Keys 1981 with a = -1/2."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def resample(picture, length, factor):
    """Bicubic interpolation of the first axis; a factor below 1 enlarges."""
    places = (np.arange(length) + 0.5) * factor - 0.5
    weights = cubic((np.arange(len(picture)) - places[:, None]) / max(factor, 1))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.tensordot(weights, picture, axes=1)


@pytest.mark.parametrize("factor", [2, 3, 4, 1 / 2, 1 / 3])
def test_resize_is_antialiased_bicubic_interpolation(factor):
    picture = noise(24, 36)
    height, width = round(24 / factor), round(36 / factor)
    wanted = resample(resample(np.float64(picture), height, factor).swapaxes(0, 1), width, factor)
    wanted = np.clip(wanted.swapaxes(0, 1), 0, 255)
    found = degradation.resize(picture, height, width)
    assert np.abs(found - wanted).max() < 0.51


def test_sides_are_cut_to_a_multiple():
    assert degradation.cut_to_multiple(noise(10, 13), 4).shape == (8, 12, 3)
    pair = data.make_pair(noise(31, 47), 3, "bicubic")
    assert (pair.sharp.shape, pair.small.shape) == ((30, 45, 3), (10, 15, 3))


def test_real_pictures_are_blurred_noisy_and_compressed():
    picture = drawn.draw_picture(0, 96)
    rng = np.random.default_rng
    one, same, other = (degradation.degrade(picture, 4, "real", rng(seed)) for seed in (0, 0, 1))
    assert one.shape == (24, 24, 3) and one.dtype == np.uint8
    assert (one == same).all() and (one != other).any()
    grey = np.full((96, 96, 3), (200, 100, 50), np.uint8)  # red stays red: no channel is swapped
    means = degradation.degrade(grey, 4, "real", rng(0)).mean((0, 1))
    np.testing.assert_allclose(means, (200, 100, 50), atol=4)


def test_luma():
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]]])
    np.testing.assert_allclose(quality.luma(colours)[0], [16, 235, 81.481, 40.966], atol=1e-2)


def test_the_border_is_left_out_of_the_scores():
    target = smooth(40, 50)
    picture = target.copy()
    picture[:4] = picture[-4:] = picture[:, :4] = picture[:, -4:] = 0
    assert quality.score(picture, target, 4) == {"psnr": image_metrics.MAX_PSNR,
                                                 "ssim": pytest.approx(1)}
    assert quality.score(picture, target, 3)["psnr"] < 30
    lighter = np.uint8(np.minimum(np.int64(target) // 2 + 100, 255))
    darker = lighter - 51  # of every channel: 51 * 219 / 255 of luma
    wanted = 20 * np.log10(255 / (51 * 219 / 255))
    assert quality.score(lighter, darker, 4)["psnr"] == pytest.approx(wanted, abs=1e-2)


# ---------------------------------------------------------------- the network


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_pixel_shuffle(factor):
    x = np.random.default_rng(0).random((2, 5, 7, 3 * factor**2), np.float32)
    wanted = x.reshape(2, 5, 7, factor, factor, 3)
    wanted = wanted.transpose(0, 1, 3, 2, 4, 5).reshape(2, 5 * factor, 7 * factor, 3)
    np.testing.assert_array_equal(model.pixel_shuffle(tf.constant(x), factor), wanted)


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "parameters"), [(2, 1_369_859), (3, 1_554_499), (4, 1_517_571)])
def test_parameters_of_the_papers_baseline(factor, parameters):
    args = flags_of("--preset", "paper", "--factor", str(factor))
    assert (args.blocks, args.width) == (16, 64)
    assert inference.build(args).count_params() == parameters


def test_parameters_of_ours():
    assert inference.build(flags_of("--preset", "best")).count_params() == 319_952


@pytest.mark.parametrize(("factor", "upsampling"), NETWORKS)
def test_training_begins_at_the_bicubic_enlargement(factor, upsampling):
    args = flags_of(*TINY, "--upsampling", upsampling, "--factor", str(factor))
    network, picture = inference.build(args), noise(9, 7)
    found = model.enlarge(network, tf.constant(picture[None], tf.float32), factor, training=False)
    np.testing.assert_array_equal(model.to_uint8(found)[0], inference.bicubic(picture, factor))


@pytest.mark.parametrize(("factor", "upsampling"), NETWORKS)
def test_reach_by_gradient(factor, upsampling):
    network = model.build_edsr(factor, 2, 3, upsampling)
    for layer in network.layers:  # positive weights, so that nothing cancels
        if layer.weights:
            layer.set_weights([np.full(w.shape, 0.05) for w in layer.get_weights()])
    image = tf.Variable(tf.ones((1, 41, 41, 3)) * 200)
    with tf.GradientTape() as tape:
        enlarged = model.enlarge(network, image, factor, training=False)
        middle = tf.reduce_sum(enlarged[0, 20 * factor : 21 * factor, 20 * factor : 21 * factor])
    seen = np.abs(tape.gradient(middle, image)[0]).sum(-1) > 0
    rows = np.flatnonzero(seen.any(axis=1))
    assert rows[0] >= 20 - (reach := model.reach(factor, 2, upsampling))
    assert rows[-1] <= 20 + reach
    assert rows[0] <= 20 - reach + 1  # not far too wide


def test_bfloat16_computes_in_it_and_returns_float32():
    args = flags_of(*TINY)
    args.precision = "bfloat16"
    network = inference.build(args)
    assert network.get_layer("head").compute_dtype == "bfloat16"
    assert network.get_layer("head").kernel.dtype == "float32"
    assert network(tf.zeros((1, 4, 4, 3)), training=False).dtype == tf.float32
    keras.config.set_dtype_policy("float32")


def test_seeds_make_other_weights():
    one, same, other = (model.build_edsr(2, 1, 4, seed=seed).get_weights() for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


# ---------------------------------------------------------------- training


def one_step(args, averaged=True):
    network = random_network(args)
    average = keras.models.clone_model(network) if averaged else None
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(network.trainable_variables)
    return network, average, train.make_train_step(args, network, average, optimizer)


def test_the_loss_is_the_mean_absolute_difference_and_all_weights_move():
    args = flags_of(*TINY)
    network, average, step = one_step(args)
    sharp, small = next(iter(data.training_batches(data.load(args).train, args)))
    before, start = network.get_weights(), average.get_weights()
    made = model.enlarge(network, small, 4, training=False)
    logged = step(sharp, small)
    wanted = np.abs(made - sharp).mean() / 255
    assert float(logged["loss"]) == pytest.approx(wanted, rel=1e-5)
    assert all((a != b).any() for a, b in zip(before, network.get_weights(), strict=True))
    keep = 2 / 11  # after one step: (1 + 1) / (10 + 1)
    for old, weight, found in zip(start, network.get_weights(), average.get_weights(), strict=True):
        np.testing.assert_allclose(found, keep * old + (1 - keep) * weight, atol=1e-6)


def test_the_gradient_is_clipped():
    args = flags_of(*TINY, "--clip_norm", "1e-9")
    network, _, _ = one_step(args)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(network.trainable_variables)
    before = network.get_weights()
    step = train.make_train_step(args, network, None, optimizer)
    logged = step(*next(iter(data.training_batches(data.load(args).train, args))))
    moved = np.sqrt(sum(np.square(a - b).sum() for a, b in
                        zip(before, network.get_weights(), strict=True)))
    assert float(logged["gradient_norm"]) > 1e-4 and moved < 1e-8


def test_schedules():
    def rate(*argv, at):
        optimizer = training.make_optimizer(flags_of(*TINY, *argv, "--learning_rate", "0.01"))
        schedule = optimizer._learning_rate
        return float(schedule(at)) if callable(schedule) else float(optimizer.learning_rate)

    cosine = ("--schedule", "cosine", "--max_steps", "100")
    assert rate(*cosine, at=50) == pytest.approx(0.005) and rate(*cosine, at=100) < 1e-8
    assert rate("--schedule", "constant", at=99) == pytest.approx(0.01)
    halving = ("--schedule", "halving", "--halve_every", "10")
    assert [rate(*halving, at=at) for at in (9, 10, 25)] == pytest.approx([0.01, 0.005, 0.0025])


@pytest.mark.slow
def test_a_few_drawings_are_learnt(runs):
    command = ["--blocks", "2", "--width", "16", "--patch_size", "16", "--batch_size", "4",
               "--max_steps", "250", "--eval_every", "125", "--ema_decay", "0.95", "--factor", "2"]
    assert train.main([*command, "--name", "run"]) == 0
    lines = [json.loads(line) for line in
             (runs / CHAPTER / "run" / "metrics.jsonl").read_text().splitlines()]
    gains = [line["gain"] for line in lines if line["split"] == "val"]
    assert gains[-1] > 1 and gains[0] < gains[-1]
    run = runs / CHAPTER / "run"
    recorded = argparse.Namespace(**rundir.read_config(run, CHAPTER)["flags"])
    found = argparse.Namespace(run_dir=run, checkpoint="best")
    enlarge = inference.make_enlarge(inference.load_run(found, recorded), recorded)
    picture = drawn.draw_picture(99, 64)  # keeps its mean colour
    np.testing.assert_allclose(enlarge(picture).mean((0, 1)), picture.mean((0, 1)), atol=1.5)


# ---------------------------------------------------------------- the discriminator


def srgan_flags(*argv):
    args = train_srgan.build_parser().parse_args([*TINY, "--ndf", "2", *argv])
    return argparse.Namespace(**vars(args) | {"typed": {}})


def test_the_discriminator_is_the_papers():
    judge = model.build_discriminator(96, 64, seed=1)
    layers = [(layer.filters, layer.strides[0]) for layer in judge.layers
              if isinstance(layer, keras.layers.Conv2D)]
    assert layers == [(64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)]
    norms = [layer for layer in judge.layers
             if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 7
    # 3 x 3 kernels, a bias of the first, gamma and beta; then 6 x 6 x 512 -> 1024 -> 1.
    kernels = 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128**2 + 128 * 256 + 256**2 + 256 * 512 + 512**2)
    dense = (36 * 512 + 1) * 1024 + 1025
    assert sum(int(np.prod(v.shape)) for v in judge.trainable_variables) == (
        kernels + 64 + 2 * (64 + 2 * 128 + 2 * 256 + 2 * 512) + dense)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", ["network", "discriminator"])
def test_each_loss_moves_its_own_network_only(frozen):
    args = srgan_flags("--perceptual_weight", "0")
    networks = {"network": random_network(args),
                "discriminator": model.build_discriminator(32, args.ndf, 8)}
    optimizers = {name: keras.optimizers.SGD(0.0 if name == frozen else 0.1) for name in networks}
    for name, optimizer in optimizers.items():
        optimizer.build(networks[name].trainable_variables)
    before = {name: [v.numpy() for v in net.trainable_variables] for name, net in networks.items()}
    step = train_srgan.make_train_step(args, networks, None, optimizers, None)
    logged = step(*next(iter(data.training_batches(data.load(args).train, args))))
    for name, network in networks.items():
        moved = [(old != new.numpy()).any() for old, new in
                 zip(before[name], network.trainable_variables, strict=True)]
        assert all(moved) if name != frozen else not any(moved)
    assert float(logged["discriminator_loss"]) == pytest.approx(1.386, abs=0.2)


def test_the_perceptual_loss_is_a_share_of_the_features():
    args = srgan_flags("--weights", "none", "--perceptual_layer", "block1_conv1")
    loss = make_perceptual(args)
    sharp = tf.constant(noise(16, 16)[None], tf.float32)
    assert float(loss(sharp, sharp)) == 0
    assert 0.1 < float(loss(tf.reverse(sharp, [1]), sharp)) < 4
    assert make_perceptual(srgan_flags("--perceptual_weight", "0")) is None


# ---------------------------------------------------------------- data


def test_drawings_are_reproducible_and_differ():
    one = drawn.draw_picture(3, 48)
    assert one.shape == (48, 48, 3) and one.dtype == np.uint8
    assert (one == drawn.draw_picture(3, 48)).all()
    assert (one != drawn.draw_picture(4, 48)).any()
    assert (one != drawn.draw_picture(3, 48, seed=1)).any()


def test_splits_of_the_drawings_share_no_picture():
    found = data.load_drawn()
    names = [name for split in found for name in split.names]
    assert len(names) == len(set(names)) == 4 + 2 + 2 + 3  # two photographs
    assert found.train.read(4).shape == (213, 320, 3)  # china.jpg, reduced by 2


def test_patches_are_cut_at_the_same_place_and_turned_alike():
    sharp = drawn.draw_picture(0, 96)
    pair = data.make_pair(sharp, 4, "bicubic")
    for seed in range(12):
        cut = data.cut_patch(pair, 8, "bicubic", np.random.default_rng(seed))
        assert cut.sharp.shape == (32, 32, 3) and cut.small.shape == (8, 8, 3)
        again = degradation.reduce(np.ascontiguousarray(cut.sharp), 4)
        inner = slice(2, -2)  # away from the border the reduction of the patch is the same
        assert np.abs(np.int64(again) - cut.small)[inner, inner].max() <= 1


def test_turns():
    picture = noise(5, 7)
    turned = [data.turn(picture, way) for way in range(8)]
    assert len({array.tobytes() + bytes(array.shape) for array in
                map(np.ascontiguousarray, turned)}) == 8
    for way, found in enumerate(turned):
        np.testing.assert_array_equal(data.turn_back(found, way), picture)


@pytest.mark.parametrize("kind", degradation.KINDS)
def test_batch_k_is_a_function_of_seed_and_k(kind):
    args = flags_of(*TINY, "--degradation", kind)
    found = data.load(args).train
    stream = [Pair(*map(np.array, batch)) for batch in data.training_batches(found, args).take(5)]
    later = next(iter(data.training_batches(found, args, start_step=3)))
    assert stream[0].sharp.shape == (2, 32, 32, 3) and stream[0].small.shape == (2, 8, 8, 3)
    for part, wanted in zip(later, stream[3], strict=True):
        np.testing.assert_array_equal(part, wanted)
    assert (stream[3].small != stream[4].small).any()


def test_jpegs_are_reduced_first_and_others_are_not(tmp_path, capfd):
    for number in range(10):
        save(tmp_path / f"{number}.{'jpg' if number % 2 else 'png'}", smooth(130, 160, number))
    save(tmp_path / "renamed.jpg", smooth(130, 160))
    (tmp_path / "renamed.jpg").rename(tmp_path / "2.png")
    save(tmp_path / "narrow.jpg", smooth(400, 100))
    (tmp_path / "notes.txt").write_text("none")
    args = flags_of("--dataset", "photos", "--data_dir", str(tmp_path), "--patch_size", "8")
    found = data.load(args)
    assert capfd.readouterr().err.count("2 files that are no images of at least 64") == 1
    assert len(found.train.names) == 9 and found.validation.names == ("0.png",)
    sizes = {name: found.train.read(i).shape[:2] for i, name in enumerate(found.train.names)}
    assert sizes["1.jpg"] == sizes["2.png"] == (65, 80) and sizes["4.png"] == (130, 160)
    args.reduce_jpegs = 1
    assert data.load(args).train.read(0).shape == (130, 160, 3)


def test_train_and_val_are_found(tmp_path):
    for number in range(3):
        save(tmp_path / "train" / "a" / f"{number}.png", smooth(80, 80, number))
    save(tmp_path / "val" / "9.png", smooth(80, 80, 9))
    found = data.load(flags_of("--dataset", "photos", "--data_dir", str(tmp_path),
                               "--patch_size", "8"))
    assert len(found.train.names) == 3 and found.validation.names == ("9.png",)
    for number in range(10):
        save(tmp_path / "more" / f"{number}.png", smooth(80, 80, number)[..., 0])  # grey
    both = f"{tmp_path},{tmp_path / 'more'}"
    found = data.load(flags_of("--dataset", "photos", "--data_dir", both, "--patch_size", "8"))
    assert len(found.train.names) == 3 + 9 and "a/0.png" in found.train.names[0]
    assert len(found.validation.names) == 2
    assert {found.train.read(i).shape for i in range(len(found.train.names))} == {(80, 80, 3)}


def test_a_file_that_breaks_off_is_replaced_in_training(tmp_path, capfd):
    for number in range(3):
        save(tmp_path / f"{number}.png", smooth(80, 80, number))
    broken = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(broken[: len(broken) // 2])
    found = pictures.of_files(sorted(tmp_path.glob("*.png")), 2)
    read = data.make_reader(found, 2)
    assert (read(1).sharp == read(2).sharp).all()
    assert capfd.readouterr().err.count("left out: ") == 1
    assert [name for name, _ in data.pairs_of(found, 2, "bicubic")] == ["0.png", "2.png"]


@pytest.mark.parametrize(("argv", "says"), [
    (["--dataset", "photos"], "without --data_dir"),
    (["--data_dir", "."], "has no effect with --dataset drawn"),
    (["--patch_size", "40"], "drawn pictures have 144 pixels"),
    (["--halve_every", "3"], "has no effect with --schedule cosine"),
    (["--factor", "5"], "invalid choice: 5"),
])
def test_flags_that_contradict_each_other(argv, says, capfd):
    fails(train.main, *argv, capfd=capfd, says=says)


def test_folders_without_enough_pictures(tmp_path, capfd):
    photos = ("--dataset", "photos", "--data_dir", str(tmp_path))
    fails(train.main, *photos, capfd=capfd, says="0 pictures to train on and 0 for validation")
    save(tmp_path / "one.png", smooth(200, 200))
    fails(train.main, *photos, capfd=capfd, says="0 pictures to train on and 1 for validation")
    save(tmp_path / "two.png", smooth(90, 200))
    fails(train.main, *photos, capfd=capfd, says="at least 96 pixels a side")
    fails(train.main, *photos[:-1], f"{tmp_path},{tmp_path.parent}/none", capfd=capfd,
          says="there is no folder")
    save(tmp_path / "inner" / "one.png", smooth(200, 200))
    fails(train.main, *photos[:-1], f"{tmp_path},{tmp_path}/inner", capfd=capfd,
          says="one.png is there twice")


def test_the_name_of_a_folder_of_photographs_may_have_commas(tmp_path):
    for name in ("a", "b", "Rome, 2019"):
        for number in range(2):
            save(tmp_path / name / f"{number}.png", smooth(120, 130, number))
    for text, count in ((f"{tmp_path}/Rome, 2019", 2), (f"{tmp_path}/a,{tmp_path}/b", 4)):
        args = flags_of("--dataset", "photos", "--data_dir", text)
        found = data.load(args)
        assert len(found.train.names) + len(found.validation.names) == count


def test_no_run_is_left_where_no_validation_picture_can_be_decoded(tmp_path, capfd):
    for number in range(4):
        save(tmp_path / "train" / f"{number}.png", smooth(120, 130, number))
    save(tmp_path / "val" / "0.png", smooth(120, 130))
    whole = (tmp_path / "val" / "0.png").read_bytes()
    (tmp_path / "val" / "0.png").write_bytes(whole[: len(whole) // 2])
    assert train.main(["--dataset", "photos", "--data_dir", str(tmp_path), "--name", "none"]) == 2
    assert "none of the pictures can be decoded" in capfd.readouterr().err
    assert not (rundir.runs_dir() / "chapter10_super_resolution" / "none").exists()


def test_prepare_takes_names_of_any_bytes(photos, tmp_path):
    (photos / "0.jpg").rename(photos / os.fsdecode(b"\xd5\xd5\xc6\xac.jpg"))  # GBK
    assert prepare.main(["-p", str(photos), "--output_dir", str(tmp_path / "pairs"),
                         "--size", "16"]) == 0
    assert len(list((tmp_path / "pairs").rglob("*.png"))) == 12


# ---------------------------------------------------------------- pictures of any size


@pytest.mark.parametrize(("factor", "upsampling"), NETWORKS)
def test_tiles_give_the_whole_picture(factor, upsampling):
    args = flags_of(*TINY, "--upsampling", upsampling, "--factor", str(factor))
    network, picture = random_network(args), noise(41, 29)
    whole = inference.make_enlarge(network, args, tile=200)(picture)
    tiled = inference.make_enlarge(network, args, tile=10)(picture)
    assert whole.shape == (41 * factor, 29 * factor, 3) and whole.dtype == np.uint8
    assert (whole != inference.bicubic(picture, factor)).mean() > 0.5
    different = np.abs(np.int64(whole) - tiled)
    assert different.max() <= 1 and different.mean() < 1e-3  # rounding of a half, nothing else


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (13, 17)])
def test_small_and_odd_pictures(shape):
    args = flags_of(*TINY, "--factor", "3")
    network = inference.build(args)
    made = inference.make_enlarge(network, args, self_ensemble=True)(noise(*shape))
    assert made.shape == (3 * shape[0], 3 * shape[1], 3)


def test_the_mean_colour_is_kept():
    args = flags_of(*TINY)
    grey = np.full((20, 20, 3), (10, 120, 240), np.uint8)
    made = inference.make_enlarge(inference.build(args), args)(grey)
    assert (made == grey[0, 0]).all()
    picture = drawn.draw_picture(0, 48)
    made = inference.make_enlarge(inference.build(args), args)(picture)
    np.testing.assert_allclose(made.mean((0, 1)), picture.mean((0, 1)), atol=0.5)


def test_the_self_ensemble_turns_with_the_picture():
    args = flags_of(*TINY, "--factor", "2")
    network, picture = random_network(args), noise(12, 9)
    alone, together = (inference.make_enlarge(network, args, self_ensemble=ensemble)
                       for ensemble in (False, True))
    for way in range(8):
        turned = data.turn(picture, way)
        found = np.int64(together(np.ascontiguousarray(turned)))
        assert np.abs(found - data.turn(together(picture), way)).max() <= 1
    assert np.abs(np.int64(alone(np.ascontiguousarray(np.rot90(picture))))
                  - np.rot90(alone(picture))).max() > 1


def test_transparency_is_kept_and_hidden_colours_do_not_bleed():
    args = flags_of(*TINY, "--factor", "2")
    enlarge = inference.with_alpha(inference.make_enlarge(inference.build(args), args))
    picture = np.zeros((16, 16, 4), np.uint8)
    picture[:, :8] = (200, 30, 60, 255)
    picture[:, 8:] = (0, 255, 0, 0)  # green, but fully transparent
    made = enlarge(picture)
    assert made.shape == (32, 32, 4)
    assert (made[..., :3] == (200, 30, 60)).all()
    assert (made[:, :12, 3] == 255).all() and (made[:, 20:, 3] == 0).all()
    assert enlarge(picture[..., :3]).shape == (32, 32, 3)
    assert (inference.fill_hidden(np.zeros((2, 2, 4), np.uint8)) == 0).all()


# ---------------------------------------------------------------- scripts


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trained run; a test gets its folder under its own runs/."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "DRAWN", {"train": 4, "validation": 2, "test": 3})
        data.load_drawn.cache_clear()
        assert train.main([*TINY, "--run_dir", str(folder)]) == 0

    def copy():
        return Path(shutil.copytree(folder, rundir.runs_dir() / CHAPTER / "run"))

    return copy


@pytest.mark.slow
def test_upscale_writes_pictures_folders_and_videos(trained, tmp_path, capfd):
    run = trained()
    save(tmp_path / "in" / "photo.jpg", smooth(20, 30))
    save(tmp_path / "in" / "grey.png", smooth(7, 9)[..., 0])
    save(tmp_path / "in" / "clear.png", np.concatenate(
        [smooth(8, 8), np.full((8, 8, 1), 99, np.uint8)], axis=-1))
    with video.writer(tmp_path / "clip.mp4", 5) as write:
        for number in range(3):
            write(smooth(16, 24, number))
    assert upscale.main([str(tmp_path / "in"), str(tmp_path / "clip.mp4"), "--tile", "16"]) == 0
    found = {path.name: Image.open(path) for path in (run / "enlarged").glob("*.png")}
    assert {name: (image.size, image.mode) for name, image in found.items()} == {
        "photo.png": ((120, 80), "RGB"), "grey.png": ((36, 28), "RGB"),
        "clear.png": ((32, 32), "RGBA")}
    assert np.abs(np.asarray(found["clear.png"])[..., 3].astype(int) - 99).max() <= 1
    frames = list(video.read_frames(run / "enlarged" / "clip.mp4"))
    assert len(frames) == 3 and frames[0].shape == (64, 96, 3)
    assert upscale.main([str(tmp_path / "in" / "photo.jpg"), "--compare", "--output_dir",
                         str(tmp_path / "out")]) == 0
    assert Image.open(tmp_path / "out" / "photo.png").size == (240, 80)


@pytest.mark.slow
def test_upscale_refuses(trained, tmp_path, monkeypatch, capfd):
    trained()
    picture, text = tmp_path / "photo.png", tmp_path / "clip.mp4"
    save(picture, smooth(20, 30))
    text.write_text("no video")
    fails(upscale.main, capfd=capfd, says="no files")
    fails(upscale.main, str(picture), "--factor", "2", capfd=capfd, says="enlarges by 4")
    fails(upscale.main, str(text), capfd=capfd, says="no frames that can be read")
    monkeypatch.setenv("DL21_MAX_PIXELS", "9000")
    fails(upscale.main, str(picture), capfd=capfd, says="120 x 80 pixels, more than 9,000")


@pytest.mark.slow
def test_eval_measures_test_and_validation_beside_bicubic(trained, tmp_path, monkeypatch, capfd):
    run = trained()
    assert evaluation.main([]) == 0
    metrics = json.loads((run / "eval.json").read_text())["metrics"]
    assert set(metrics) == {"test", "bicubic", "self_ensemble", "validation", "validation_bicubic",
                            "validation_self_ensemble"}
    assert metrics["test"]["images"] == 3 and metrics["validation"]["images"] == 2
    assert metrics["test"]["gain"] == pytest.approx(
        metrics["test"]["psnr"] - metrics["bicubic"]["psnr"])
    page = (run / "index.html").read_text()
    assert page.count("<img") == 5 * 4
    for number in range(2):
        save(tmp_path / "Set2" / f"{number}.jpg", smooth(80, 80, number))
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    assert evaluation.main(["--test_dir", str(tmp_path / "Set2"), "--publish", "set2"]) == 0
    published = json.loads(
        (tmp_path / "results" / CHAPTER / "drawn-edsr1x4-x4-demo-set2-seed0.json").read_text())
    assert published["metrics"]["test"]["images"] == 2  # JPEGs as they are: not reduced
    assert published["details"]["test"] == "Set2"
    fails(evaluation.main, "--test_dir", str(tmp_path / "none"), capfd=capfd, says="no folder")
    (tmp_path / "empty").mkdir()
    fails(evaluation.main, "--test_dir", str(tmp_path / "empty"), capfd=capfd,
          says="has no pictures")


@pytest.mark.slow
def test_the_page_of_eval_loads_all_its_pictures(trained, browser):
    run = trained()
    assert evaluation.main([]) == 0
    browser.send("/url", {"url": (run / "index.html").as_uri()})
    loaded = browser.widths()
    assert len(loaded) == 5 * 4 and set(loaded) == {data.DRAWN_SIZE}
    assert browser.errors() == []


@pytest.mark.slow
def test_the_export_enlarges_as_the_run_does(trained):
    run = trained()
    assert export.main([]) == 0
    served = tf.saved_model.load(str(run / "export" / "1"))
    picture = smooth(13, 21)
    args = argparse.Namespace(run_dir=run, checkpoint="best")
    recorded = argparse.Namespace(**rundir.read_config(run, CHAPTER)["flags"])
    wanted = inference.make_enlarge(inference.load_run(args, recorded), recorded)(picture)
    found = served.signatures["serving_default"](images=tf.constant(picture[None]))["enlarged"][0]
    assert np.abs(found.numpy().astype(int) - wanted).max() <= 1
    none = served.signatures["serving_default"](images=tf.zeros((0, 5, 6, 3), tf.uint8))
    assert none["enlarged"].shape == (0, 20, 24, 3)
    encoded = tf.stack([tf.io.encode_png(picture), tf.io.encode_png(picture[:5])])
    answer = served.signatures["pictures"](encoded=encoded)["enlarged_bytes"]
    assert [tf.io.decode_png(one).shape for one in answer] == [(52, 84, 3), (20, 84, 3)]


@pytest.mark.slow
def test_another_factor_starts_from_the_weights_of_a_run(trained, tmp_path, capfd):
    trained()
    run = rundir.runs_dir() / CHAPTER / "run"
    args = flags_of(*TINY, "--factor", "2", "--init_from", "run")
    args.chapter, args.run_dir = CHAPTER, tmp_path
    training.start_from_run(args, network := inference.build(args))
    source = inference.load_run(argparse.Namespace(run_dir=run, checkpoint="best"), flags_of(*TINY))
    for name in ("head", "block1_1", "block1_2", "body"):
        for ours, theirs in zip(*(net.get_layer(name).get_weights() for net in (network, source)),
                                strict=True):
            assert np.array_equal(ours, theirs)
    assert not network.get_layer("tail").get_weights()[0].any()
    told = capfd.readouterr().err
    assert told.count("not taken: ") == 1 and "not taken: tail (3, 3, 4, 12)" in told
    assert train.main([*TINY, "--factor", "2", "--init_from", "run", "--name", "x2"]) == 0
    # With the paper's upsampling, x4 has a stage more than x2.
    stages = [*TINY, "--upsampling", "stages"]
    assert train.main([*stages, "--factor", "2", "--name", "stages2"]) == 0
    assert train.main([*stages, "--init_from", "stages2", "--name", "stages4"]) == 0
    told = capfd.readouterr().err
    assert "not taken: stage2 (3, 3, 4, 16)" in told and "not taken: stage1" not in told
    fails(train.main, *TINY, "--blocks", "2", "--init_from", "run", "--name", "deep", capfd=capfd,
          says="has --blocks 1, this run 2")
    fails(train_srgan.main, *TINY, "--init_from", "x2", "--name", "sharp", capfd=capfd,
          says="has --factor 2, this run 4")
    # A resumed run does not need the run that it started from.
    shutil.rmtree(rundir.runs_dir() / CHAPTER / "stages2")
    assert train.main(["--name", "stages4", "--resume", "--max_steps", "3"]) == 0


@pytest.mark.slow
def test_bfloat16_with_the_perceptual_loss_starts_from_a_run_without_averages(few_drawings):
    assert train.main([*TINY, "--ema_decay", "0", "--name", "raw"]) == 0
    assert train_srgan.main([
        *TINY, "--ndf", "2", "--weights", "none", "--perceptual_weight", "1", "--perceptual_layer",
        "block1_conv1", "--precision", "bfloat16", "--init_from", "raw", "--name", "sharp"]) == 0


# ---------------------------------------------------------------- the book's pairs


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_lesson_of_the_readme_is_chapter_9s_code(readme):
    text = (Path(prepare.__file__).parent / readme).read_text(encoding="utf-8")
    source = Path(process.__file__).read_text(encoding="utf-8")
    code = re.search(r"```python\n(def blur.*?)```", text, re.DOTALL)[1]
    function, dictionary = code.split("\n\n\n")
    assert function in source and dictionary in source
    for command in re.findall(r"python -m chapter09_pix2pix\.train ([^`\n]*)", text):
        args = pix2pix_train.build_parser().parse_args(shlex.split(command))
        assert args.which_direction == "BtoA"


@pytest.fixture
def photos(tmp_path):
    """Twelve photographs, a grey one, one that breaks off, and a text."""
    for number in range(12):
        save(tmp_path / "photos" / f"{number}.jpg", smooth(40, 60, number))
    save(tmp_path / "photos" / "grey.jpg", smooth(40, 60)[..., 0])
    whole = (tmp_path / "photos" / "3.jpg").read_bytes()
    (tmp_path / "photos" / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "photos" / "notes.txt").write_text("none")
    return tmp_path / "photos"


def test_prepare_makes_pairs_and_lists_what_is_left_out(photos, tmp_path, capfd):
    output, before = tmp_path / "pairs", sorted(photos.iterdir())
    command = ["-p", str(photos), "--output_dir", str(output), "--size", "32", "--workers", "2"]
    assert prepare.main(command) == 0
    assert sorted(photos.iterdir()) == before
    assert "12 pairs written, 0 already there" in capfd.readouterr().out
    listed = (output / prepare.LEFT_OUT).read_text().splitlines()
    assert [Path(line.split("\t")[0]).name for line in listed] == [
        "broken.jpg", "grey.jpg", "notes.txt"]
    assert "not RGB, but L" in listed[1]
    made = {path.stem: path for path in output.rglob("*.png")}
    assert len(made) == 12 and {path.parent.name for path in made.values()} == {"train", "val"}
    pair = images.read_image(made["0"])
    assert pair.shape == (32, 64, 3)
    sharp, blurred = pair[:, :32], pair[:, 32:]
    assert np.abs(np.diff(np.int64(blurred), axis=1)).sum() < np.abs(
        np.diff(np.int64(sharp), axis=1)).sum()
    made["0"].unlink()
    assert prepare.main([*command, "--move_to", str(tmp_path / "bad")]) == 0
    told = capfd.readouterr().out
    assert "1 pairs written, 11 already there" in told and "3 moved" in told
    assert {path.name for path in (tmp_path / "bad").iterdir()} == {
        "broken.jpg", "grey.jpg", "notes.txt"}
    assert len(list(photos.iterdir())) == 12


def test_prepare_refuses(photos, tmp_path, capfd):
    out = ("--output_dir", str(tmp_path / "pairs"))
    fails(prepare.main, "-p", str(tmp_path / "none"), *out, capfd=capfd, says="holds no files")
    fails(prepare.main, "-p", str(photos), "--output_dir", str(photos), capfd=capfd,
          says="--output_dir and --dir_path are both")
    fails(prepare.main, "-p", str(photos), *out, "--train_frac", "0.9", "--test_frac", "0.2",
          capfd=capfd, says="more than 1")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("none")
    fails(prepare.main, "-p", str(tmp_path / "texts"), *out, capfd=capfd, says="holds no RGB")
    assert not (tmp_path / "pairs").exists()
    save(tmp_path / "bad" / "grey.jpg", smooth(8, 8))
    fails(prepare.main, "-p", str(photos), *out, "--move_to", str(tmp_path / "bad"), capfd=capfd,
          says="is there already")
    assert (photos / "broken.jpg").exists()
    fails(prepare.main, "-p", str(photos), *out, "--size", "32", capfd=capfd, says="pixels, --size")
    fails(prepare.main, "-p", str(photos), *out, "--train_frac", "0", "--test_frac", "1",
          capfd=capfd, says="was written with other shares")


@pytest.mark.slow
def test_the_books_way_is_measured_beside_ours(trained, photos, tmp_path, capfd):
    trained()
    pairs = tmp_path / "pairs"
    assert prepare.main(["-p", str(photos), "--output_dir", str(pairs), "--size", "32"]) == 0
    tiny = ["--dataset", "pairs", "--data_dir", str(pairs), "--netG", "encoder_decoder",
            "--crop_size", "32", "--scale_size", "36", "--ngf", "4", "--max_steps", "1",
            "--gan_weight", "0", "--schedule", "constant", "--name", "book"]
    assert pix2pix_train.main([*tiny, "--which_direction", "BtoA"]) == 0
    save(tmp_path / "test" / "a.png", smooth(66, 83))
    command = ["--book_run", "book", "--test_dir", str(tmp_path / "test")]
    assert compare.main(command) == 0
    scores = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert list(scores) == ["the book's input", "pix2pix (preset demo)", "bicubic", "EDSR (here)",
                            "EDSR, self-ensemble"]
    assert (rundir.runs_dir() / CHAPTER / "run" / "compare.png").exists()
    run = rundir.runs_dir() / "chapter09_pix2pix" / "book"
    config = json.loads((run / "config.json").read_text())
    config["flags"]["which_direction"] = "AtoB"
    (other := run.with_name("other")).mkdir()
    (other / "config.json").write_text(json.dumps(config))
    fails(compare.main, "--book_run", "other", *command[2:], capfd=capfd, says="no sharp pictures")
    run = rundir.runs_dir() / CHAPTER / "run"
    config = json.loads((run / "config.json").read_text())
    config["flags"]["factor"] = 2
    (run / "config.json").write_text(json.dumps(config))
    fails(compare.main, *command, "--name", "run", capfd=capfd, says="enlarges by 2, the book by 4")
    config["flags"] |= {"factor": 4, "degradation": "real"}
    (run / "config.json").write_text(json.dumps(config))
    fails(compare.main, *command, "--name", "run", capfd=capfd, says="is for --degradation real")


def test_the_blurred_half_is_the_books():
    """A quarter by averaging areas, and enlarged again by OpenCV's cubic interpolation."""
    pair = data.make_pair(noise(32, 32), 4, "bicubic")
    means = np.rint(np.float64(pair.sharp).reshape(8, 4, 8, 4, 3).mean((1, 3)))
    expected = cv2.resize(np.uint8(means), (32, 32), interpolation=cv2.INTER_CUBIC)
    difference = np.abs(np.float64(compare.blurred(pair)) - expected)
    assert difference.max() <= 2  # means of exactly .5 may be rounded down
