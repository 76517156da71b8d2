"""CycleGAN: networks, losses, the pool, domains, records, the train step, scores, scripts."""

import argparse
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chapter11_cyclegan import (
    build_data,
    compare,
    cut,
    data,
    domains,
    drawn,
    export,
    health,
    inference,
    judge,
    losses,
    model,
    records,
    scores,
    train,
    train_cut,
    training,
    translate,
)
from chapter11_cyclegan import eval as evaluation
from chapter11_cyclegan.pool import ImagePool
from common import images, rundir
from common.errors import UserError

CHAPTER = "chapter11_cyclegan"
TINY = ["--image_size", "32", "--ngf", "4", "--ndf", "4", "--blocks", "1", "--max_steps", "2",
        "--log_every", "1", "--pool_size", "3"]


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch):
    monkeypatch.setattr(data, "DRAWN", {"train": 6, "test": 3})


def flags_of(*argv):
    args = train.build_parser().parse_args(argv)
    values = vars(args) | {k: v for k, v in train.PRESETS[args.preset].items()
                           if f"--{k}" not in argv}
    args = argparse.Namespace(**values | {"typed": {}})
    args.blocks = args.blocks or model.default_blocks(args.image_size)
    args.scale_size = args.scale_size or args.image_size
    return args


def photo(path, width=64, height=48, seed=0, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    picture.convert(mode).save(path)


def two_folders(folder, count=4):
    for letter in "AB":
        for i in range(count):
            photo(folder / f"train{letter}" / f"{i}.jpg", seed=i + 50 * (letter == "B"))
    return folder


def fails(main, *argv, capfd, says):
    assert main(list(argv)) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ")
    assert says in error, error


# ---------------------------------------------------------------- networks


def trainable(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


@pytest.mark.parametrize(("blocks", "count"), [(9, 11_383_424), (6, 7_841_408)])
@pytest.mark.parametrize("upsample", ["transpose", "resize"])
def test_parameters_of_a_generator(blocks, count, upsample):
    assert trainable(model.build_generator("G", 64, blocks, upsample=upsample)) == count


@pytest.mark.parametrize("net", ["patch94", "patch70"])
def test_parameters_of_a_discriminator(net):
    judging = model.build_discriminator("D_X", net, 64)
    assert trainable(judging) == 2_765_569
    biased = [layer.name for layer in judging.layers if isinstance(layer, keras.layers.Conv2D)
              and layer.use_bias]
    assert biased == ["logits"]


def test_small_images_have_six_blocks():
    assert [model.default_blocks(size) for size in (64, 128, 132, 256)] == [6, 6, 9, 9]


def test_the_original_judges_a_map_of_16_by_16():
    judging = model.build_discriminator("D_X", "patch94", 2)
    assert judging(tf.zeros((1, 256, 256, 3))).shape == (1, 16, 16, 1)


@pytest.mark.parametrize(("net", "field"), [("patch34", 34), ("patch70", 70), ("patch94", 94)])
def test_receptive_field_by_gradient(net, field):
    assert model.receptive_field(net) == field
    judging = model.build_discriminator("D_X", net, 1)
    # Normalization sees everything: convolutions alone, of positive weights.
    inputs = x = keras.Input((None, None, 3))
    for layer in judging.layers[1:]:
        if isinstance(layer, keras.layers.Conv2D):
            x = layer(x)
            layer.kernel.assign(tf.abs(layer.kernel) + 0.1)
    network = keras.Model(inputs, x)
    image = tf.Variable(tf.ones((1, 256, 256, 3)))
    with tf.GradientTape() as tape:
        out = network(image)
        middle = out[0, out.shape[1] // 2, out.shape[2] // 2, 0]
    seen = np.abs(tape.gradient(middle, image)[0, ..., 0]) > 0
    assert seen.any(axis=0).sum() == seen.any(axis=1).sum() == field


@pytest.mark.parametrize("upsample", ["transpose", "resize"])
def test_a_generator_keeps_the_size_and_the_range(upsample):
    generator = model.build_generator("G", 4, 1, upsample=upsample)
    noise = tf.random.stateless_uniform((2, 40, 56, 3), (1, 2), -1, 1)
    out = generator(noise, training=False).numpy()
    assert out.shape == (2, 40, 56, 3) and out.dtype == np.float32
    assert np.abs(out).max() <= 1 and out.std() > 0.01


def test_an_identity_start_copies():
    generator = model.build_generator("G", 4, 1, upsample="resize", identity_start=True)
    noise = tf.random.stateless_uniform((2, 32, 32, 3), (1, 2), -1, 1)
    out = generator(noise, training=False).numpy()
    limit = model.IDENTITY_LIMIT
    np.testing.assert_allclose(out, np.clip(noise, -limit, limit), atol=1e-5)
    # The network can still learn: its last convolution has a gradient at once.
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(generator(noise, training=True))
    kernel = generator.get_layer("output").kernel
    assert np.abs(tape.gradient(loss, kernel)).max() > 0


def test_initial_weights_are_those_of_the_original():
    generator = model.build_generator("G", 32, 1)
    kernel = generator.get_layer("block1a").kernel.numpy()
    gamma = generator.get_layer("block1a_norm").gamma.numpy()
    assert abs(kernel.mean()) < 1e-3 and kernel.std() == pytest.approx(0.02, rel=0.02)
    assert gamma.mean() == pytest.approx(1, abs=0.01) and gamma.std() == pytest.approx(0.02, rel=.3)


def test_instance_normalization_treats_each_image_alone():
    generator = model.build_generator("G", 4, 1)
    noise = tf.random.stateless_uniform((2, 32, 32, 3), (1, 2), -1, 1)
    whole = generator(noise, training=True).numpy()
    parts = [generator(noise[i : i + 1], training=False).numpy() for i in range(2)]
    np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-5)


def test_the_four_networks_begin_differently():
    args = flags_of(*TINY)
    args.identity_start = False
    generators, judges = (build(args) for build in (inference.build_generators,
                                                    inference.build_discriminators))
    assert [network.name for network in (generators | judges).values()] == ["G", "F", "D_X", "D_Y"]
    for pair, layer in ((generators, "c7s1"), (judges, "c1")):
        first, second = (network.get_layer(layer).kernel.numpy() for network in pair.values())
        assert np.abs(first - second).max() > 1e-3


def test_bfloat16_computes_in_it_and_returns_float32():
    args = flags_of(*TINY)
    args.precision = "bfloat16"
    try:
        generators, judges = (build(args) for build in (inference.build_generators,
                                                        inference.build_discriminators))
        assert generators["G"].get_layer("block1a").compute_dtype == "bfloat16"
        out = generators["G"](tf.zeros((1, 32, 32, 3)), training=False)
        assert out.dtype == judges["D_X"](out, training=False).dtype == tf.float32
    finally:
        keras.config.set_dtype_policy("float32")


# ---------------------------------------------------------------- losses


def test_least_squares_where_the_discriminator_knows_nothing():
    answers = tf.fill((2, 16, 16, 1), 0.45)
    assert float(losses.discriminator_loss(answers, answers)) == pytest.approx(0.2025, abs=1e-6)
    assert float(losses.generator_loss(answers)) == pytest.approx(0.2025, abs=1e-6)
    assert float(losses.generator_loss(tf.fill((2, 2), 0.9))) == pytest.approx(0, abs=1e-9)


def test_45_is_the_best_answer_of_a_discriminator_that_cannot_tell():
    answer = tf.Variable(0.45)
    with tf.GradientTape() as tape:
        loss = losses.discriminator_loss(answer, answer)
    assert float(tape.gradient(loss, answer)) == pytest.approx(0, abs=1e-6)


def test_cross_entropy_is_that_of_the_original():
    real, fake = tf.random.stateless_normal((2, 3, 5, 5, 1), (1, 2)) * 3
    p_real, p_fake, eps = tf.sigmoid(real), tf.sigmoid(fake), 1e-12
    wanted = -0.5 * tf.reduce_mean(tf.math.log(p_real + eps)) - 0.5 * tf.reduce_mean(
        tf.math.log(1 - p_fake + eps))
    np.testing.assert_allclose(losses.discriminator_loss(real, fake, False), wanted, rtol=1e-5)
    wanted = -0.5 * tf.reduce_mean(tf.math.log(p_fake + eps))
    np.testing.assert_allclose(losses.generator_loss(fake, False), wanted, rtol=1e-5)
    zeros = tf.zeros((1, 4, 4, 1))
    assert float(losses.discriminator_loss(zeros, zeros, False)) == pytest.approx(np.log(2))


def test_each_cycle_has_its_weight():
    x, y = tf.zeros((1, 2, 2, 3)), tf.ones((1, 2, 2, 3))
    assert float(losses.cycle_loss(x, x + 0.5, y, y - 0.25, 10, 4)) == pytest.approx(6)
    assert float(losses.cycle_loss(x, x + 0.5, y, y - 0.25, 10, 0)) == pytest.approx(5)


# ---------------------------------------------------------------- the pool


def of_number(number, side=2):
    return tf.fill((1, side, side, 3), float(number))


def query(pool, number, seed=0):
    return float(pool.query(of_number(number), tf.constant([seed, number], tf.int64))[0, 0, 0, 0])


def test_the_pool_returns_the_first_fifty_and_then_about_half_old_ones():
    pool = ImagePool(50, (2, 2, 3))
    run = tf.function(pool.query)

    def ask(number):
        return float(run(of_number(number), tf.constant([7, number], tf.int64))[0, 0, 0, 0])

    assert [ask(i) for i in range(50)] == list(range(50))
    given = list(range(50, 450))
    answers = [ask(i) for i in given]
    old = [answer for answer, new in zip(answers, given, strict=True) if answer != new]
    assert 160 < len(old) < 240  # 400 draws of one half: five deviations are 50
    assert all(answer < new for answer, new in zip(answers, given, strict=True) if answer != new)
    assert len(set(old)) == len(old)  # what was returned is no longer in the pool
    held = sorted(float(value) for value in pool.images[:, 0, 0, 0])
    assert sorted([*held, *answers]) == sorted(range(450))  # nothing is lost, nothing doubled


def test_a_pool_of_none_returns_what_it_gets():
    pool = ImagePool(0, (2, 2, 3))
    assert [query(pool, i) for i in range(5)] == [0, 1, 2, 3, 4]


def test_a_batch_passes_one_by_one():
    pool = ImagePool(3, (2, 2, 3))
    batch = tf.concat([of_number(i) for i in range(4)], axis=0)
    out = pool.query(batch, tf.constant([0, 0], tf.int64))[:, 0, 0, 0].numpy()
    assert out[:3].tolist() == [0, 1, 2] and out[3] in (0, 1, 2, 3)


def test_the_pool_survives_a_checkpoint_bit_for_bit(tmp_path):
    pool, again = ImagePool(4, (2, 2, 3)), ImagePool(4, (2, 2, 3))
    for i in range(9):
        query(pool, i)
    path = tf.train.Checkpoint(pool=list(pool.variables)).save(str(tmp_path / "ckpt"))
    tf.train.Checkpoint(pool=list(again.variables)).restore(path).assert_consumed()
    assert [query(pool, i) for i in range(9, 30)] == [query(again, i) for i in range(9, 30)]


# ---------------------------------------------------------------- learning rate


def test_the_rate_falls_after_half_of_the_steps():
    rate = training.LinearDecay(2e-4, 200_000)
    found = [float(rate(tf.constant(step))) for step in (0, 50_000, 100_000, 150_000, 200_000)]
    assert found == pytest.approx([2e-4, 2e-4, 2e-4, 1e-4, 0], abs=1e-10)


# ---------------------------------------------------------------- the train step


def make_step(args):
    generators, judges = inference.build_generators(args), inference.build_discriminators(args)
    networks = generators | judges
    optimizers = {name: training.make_optimizer(args) for name in networks}
    for name, network in networks.items():
        optimizers[name].build(network.trainable_variables)
    size = args.image_size
    pools = {name: ImagePool(args.pool_size, (size, size, 3)) for name in ("pool_x", "pool_y")}
    step = train.make_train_step(args, generators, judges, pools, optimizers)
    x, y = next(iter(data.training_batches(data.load(args).train, args)))
    return networks, optimizers, step, x, y


def step_flags(**changed):
    args = flags_of(*TINY)
    values = {"image_size": 32, "scale_size": 32, "ngf": 4, "ndf": 4, "blocks": 1, "pool_size": 3,
              "identity_start": False, "schedule": "constant"}
    return argparse.Namespace(**vars(args) | values | changed)


@pytest.mark.slow
def test_four_optimizers_step_together_and_log_the_originals_names():
    networks, optimizers, step, x, y = make_step(step_flags(identity_weight=0.5))
    before = {name: [v.numpy() for v in net.trainable_variables] for name, net in networks.items()}
    logged = step(tf.Variable(1, dtype=tf.int64), x, y)
    for name, network in networks.items():
        assert int(optimizers[name].iterations) == 1
        for old, new in zip(before[name], network.trainable_variables, strict=True):
            assert not np.array_equal(old, new.numpy()), (name, new.path)
    assert set(logged) == {"loss/G", "loss/F", "loss/cycle", "loss/identity", "loss/D_X",
                           "loss/D_Y", "D_X/true", "D_X/fake", "D_Y/true", "D_Y/fake"}


@pytest.mark.slow
def test_each_network_gets_the_gradient_of_its_own_loss():
    """The step differentiates sums; here each loss of the paper is differentiated alone.

    The original's train.py passes lambda1 for lambda2 too; here both have their effect.
    """
    args = step_flags(lambda1=3.0, lambda2=7.0, pool_size=0)
    networks, optimizers, step, x, y = make_step(args)
    g, f, d_x, d_y = networks.values()
    with tf.GradientTape(persistent=True) as tape:
        fake_y, fake_x = g(x, training=True), f(y, training=True)
        cycle = losses.cycle_loss(x, f(fake_y, training=True), y, g(fake_x, training=True), 3, 7)
        wanted = {"G": losses.generator_loss(d_y(fake_y, training=True)) + cycle,
                  "F": losses.generator_loss(d_x(fake_x, training=True)) + cycle,
                  "D_X": losses.discriminator_loss(d_x(x, training=True),
                                                   d_x(tf.stop_gradient(fake_x), training=True)),
                  "D_Y": losses.discriminator_loss(d_y(y, training=True),
                                                   d_y(tf.stop_gradient(fake_y), training=True))}
    gradients = {name: tape.gradient(loss, networks[name].trainable_variables)
                 for name, loss in wanted.items()}
    logged = step(tf.Variable(1, dtype=tf.int64), x, y)
    for name, network in networks.items():
        assert float(logged[f"loss/{name}"]) == pytest.approx(float(wanted[name]), rel=1e-4)
        # The first moment of Adam after one step is (1 - beta1) times the gradient.
        moments = [v for v in optimizers[name].variables if "momentum" in v.path]
        assert len(moments) == len(network.trainable_variables)
        for gradient, moment in zip(gradients[name], moments, strict=True):
            np.testing.assert_allclose(moment / (1 - args.beta1), gradient, rtol=2e-2, atol=1e-5)


@pytest.mark.slow
def test_batch_normalization_and_batches_of_two():
    args = step_flags(norm="batch", batch_size=2, use_lsgan=False)
    networks, _, step, x, y = make_step(args)
    averages = networks["G"].get_layer("block1a_norm").moving_variance
    before = averages.numpy()
    logged = step(tf.Variable(1, dtype=tf.int64), x, y)
    assert all(np.isfinite(float(value)) for value in logged.values())
    assert not np.array_equal(before, averages.numpy())


@pytest.mark.slow
def test_the_cycle_is_learnt(runs):
    assert train.main([*TINY, "--max_steps", "120", "--no-identity_start", "--learning_rate",
                       "0.002", "--ngf", "8", "--no-flip", "--name", "fit"]) == 0
    lines = [json.loads(line) for line in
             (runs / CHAPTER / "fit" / "metrics.jsonl").read_text().splitlines()]
    seen = [line["loss/cycle"] for line in lines if line["split"] == "train"]
    assert np.mean(seen[-6:]) < 0.5 * np.mean(seen[:3])


# ---------------------------------------------------------------- signs of trouble


def test_correlation_and_diversity():
    noise = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
    assert health.correlation(noise, 2 * noise + 1) == pytest.approx(1)
    assert health.correlation(noise, -noise) == pytest.approx(-1)
    assert health.diversity(noise, noise) == pytest.approx(1)
    assert health.diversity(np.repeat(noise[:1], 3, axis=0), noise) == pytest.approx(0)


def test_inverted_colours_name_the_identity_loss(capsys):
    watch, noise = health.Watch(True), np.random.default_rng(0).normal(size=(3, 8, 8, 3))
    watch.translations(100, "G", noise, -noise)
    watch.translations(300, "G", noise, noise)
    assert capsys.readouterr().err == ""
    for _ in range(2):
        watch.translations(300, "F", noise, -noise)
    (line,) = capsys.readouterr().err.splitlines()
    assert "step 300" in line and "F inverts" in line and "--identity_weight 0.5" in line


def test_a_collapse_is_told(capsys):
    watch, noise = health.Watch(True), np.random.default_rng(0).normal(size=(3, 8, 8, 3))
    watch.translations(300, "G", noise, noise[:1].repeat(3, axis=0) + 0.01 * noise)
    assert "the outputs of G are nearly alike" in capsys.readouterr().err


def test_a_discriminator_that_wins_is_told_once(capsys):
    watch = health.Watch(True)
    for step in range(300, 320):
        watch.losses(step, {"loss/D_X": 0.001, "loss/D_Y": 0.2})
    (line,) = capsys.readouterr().err.splitlines()
    assert "loss/D_X" in line


# ---------------------------------------------------------------- data


def test_scenes_differ_by_their_fruit_alone():
    apples, oranges = drawn.draw_scenes(3, 20, 64)
    differ = np.abs(apples.astype(int) - oranges).max(axis=-1) > 0
    assert 0.02 < differ.mean() < 0.5
    again, _ = drawn.draw_scenes(3, 20, 64)
    np.testing.assert_array_equal(apples, again)
    green = (oranges - apples.astype(int))[differ][:, 1]
    assert green.mean() > 40  # an orange has more green


def test_no_scene_is_in_both_domains():
    found = data.load_drawn()
    read = {name: [domain.read(i).tobytes() for i in range(len(domain.names))]
            for name, domain in (("x", found.train.x), ("y", found.train.y),
                                 ("of_y", found.truth.y))}
    assert not set(read["x"]) & set(read["of_y"])
    true, test = found.truth.x.read(1), found.test.x.read(1)
    assert true.shape == test.shape and (true != test).any() and (true == test).mean() > 0.4


def test_batch_k_is_a_function_of_seed_and_k_and_epochs_differ():
    args = step_flags(flip=True, scale_size=40, batch_size=2)
    split = data.load(args).train

    def stream(start, count):
        return [np.concatenate(batch) for _, batch in
                zip(range(count), data.training_batches(split, args, start).as_numpy_iterator(),
                    strict=False)]

    whole = stream(0, 8)
    for a, b in zip(whole[5:], stream(5, 3), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(whole[0] - whole[3]).max() > 0  # 6 images: batch 3 begins the second epoch
    assert all(np.abs(batch).max() <= 1 and batch.dtype == np.float32 for batch in whole)


def test_the_two_domains_are_shuffled_independently():
    numbers = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    split = domains.Split(domains.of_array(numbers, "x"), domains.of_array(numbers, "y"))
    args = step_flags(image_size=8, scale_size=8)
    pairs = set()
    for _, (x, y) in zip(range(60), data.training_batches(split, args), strict=False):
        pairs.add((round((float(x[0, 0, 0, 0]) + 1) * 127.5),
                   round((float(y[0, 0, 0, 0]) + 1) * 127.5)))
    assert len(pairs) > 20


def test_crops_reach_every_corner_and_half_are_mirrored():
    ramp = np.zeros((10, 10, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(10)[:, None], np.arange(10)
    seen = [np.rint((data.augment(tf.constant(ramp), tf.constant([0, i], tf.int64), 8, True) + 1)
                    * 127.5) for i in range(200)]
    tops = {int(window[0, 0, 0]) for window in seen}
    mirrored = [window[0, 0, 1] > window[0, -1, 1] for window in seen]
    assert tops == {0, 1, 2} and 70 < sum(mirrored) < 130


def test_pictures_of_any_kind_are_read(tmp_path, capsys):
    folder = two_folders(tmp_path / "set")
    photo(folder / "trainA" / "grey.png", 31, 90, mode="L")
    photo(folder / "trainA" / "small.gif", 5, 4)
    (folder / "trainA" / "notes.txt").write_text("no image")
    args = step_flags(dataset="folders", data_dir=str(folder))
    found = data.load(args)
    assert "notes.txt is not a readable image" in capsys.readouterr().err
    names, pictures = data.read_all(found.train.x, 32)
    assert len(found.train.x.names) + len(found.test.x.names) == 6
    assert pictures.shape == (len(names), 32, 32, 3)


def test_a_file_that_breaks_off_is_replaced_in_training(tmp_path, capsys):
    folder = two_folders(tmp_path / "set")
    whole = (folder / "trainA" / "1.jpg").read_bytes()
    (folder / "trainA" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    domain = domains.of_files(folder / "trainA", folder)
    read = data.make_reader(domain, 16)
    np.testing.assert_array_equal(read(1), read(2))
    assert len(data.read_all(domain, 16)[0]) == 3
    assert "1.jpg" in capsys.readouterr().err


def test_folds_hold_all_images_once(tmp_path):
    folder = two_folders(tmp_path / "set", 5)
    for letter in "AB":
        photo(folder / f"test{letter}" / "t.jpg", seed=99)
    found = [data.load(step_flags(dataset="folders", data_dir=str(folder), fold=fold))
             for fold in (0, 1)]
    for part in ("x", "y"):
        tested = [name for one in found for name in getattr(one.test, part).names]
        assert len(set(tested)) == len(tested) == 6
        for one in found:
            assert not set(getattr(one.test, part).names) & set(getattr(one.train, part).names)
    assert found[0].digest == found[1].digest


def test_without_test_images_a_share_is_held_out(tmp_path):
    folder = two_folders(tmp_path / "set", 5)
    args = step_flags(dataset="folders", data_dir=str(folder), hold_out=0.4)
    found = data.load(args)
    assert [len(domain.names) for split in found[:2] for domain in split] == [3, 3, 2, 2]
    args.hold_out = 0.9
    with pytest.raises(UserError, match="domain X has only one"):
        data.load(args)
    (folder / "testA").mkdir()
    (folder / "testB").mkdir()
    photo(folder / "testA" / "a.png")
    with pytest.raises(UserError, match="testA has 1 images, testB 0"):
        data.load(args)


# ---------------------------------------------------------------- records


def build(folder, tmp_path):
    files = [tmp_path / f"{name}.tfrecords" for name in "XY"]
    argv = ["--X_input_dir", str(folder / "trainA"), "--Y_input_dir", str(folder / "trainB"),
            "--X_output_file", str(files[0]), "--Y_output_file", str(files[1])]
    return build_data.main(argv), files


def test_records_have_the_originals_features(tmp_path, capsys):
    folder = two_folders(tmp_path / "set")
    photo(folder / "trainB" / "alpha.png", mode="RGBA")
    photo(folder / "trainB" / "grey.jpg", mode="L")
    (folder / "trainB" / "notes.txt").write_text("no image")
    status, files = build(folder, tmp_path)
    assert status == 0 and json.loads(capsys.readouterr().out.splitlines()[-1]) == {"X": 4, "Y": 6}
    rows = [tf.train.Example.FromString(record.numpy())
            for record in tf.data.TFRecordDataset(str(files[1]))]
    assert all(set(row.features.feature) == {"image/file_name", "image/encoded_image"}
               for row in rows)
    names, read, _ = records.read(files[1])
    assert read(names.index("grey.jpg")).shape == images.read_image(
        folder / "trainB" / "grey.jpg").shape
    names, read, _ = records.read(files[0])
    assert sorted(names) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"] != list(names)
    i = names.index("2.jpg")
    np.testing.assert_array_equal(read(i), images.read_image(folder / "trainA" / "2.jpg"))


def test_records_train_as_folders_do(tmp_path):
    _, files = build(two_folders(tmp_path / "set"), tmp_path)
    args = step_flags(dataset="tfrecords", X=str(files[0]), Y=str(files[1]))
    found = data.load(args)
    assert [len(domain.names) for domain in found.train] == [3, 3]
    x, y = next(iter(data.training_batches(found.train, args)))
    assert x.shape == y.shape == (1, 32, 32, 3)


def test_nothing_is_half_written(tmp_path, capfd):
    folder = two_folders(tmp_path / "set")
    for path in (folder / "trainB").iterdir():
        path.unlink()
    status, files = build(folder, tmp_path)
    assert status == 2 and "no images that can be used" in capfd.readouterr().err
    assert not any(path.exists() for path in files) and not list(tmp_path.glob("*.part"))


def test_a_file_of_other_records(tmp_path, capfd):
    wrong = tmp_path / "wrong.tfrecords"
    wrong.write_bytes(b"these are no records at all" * 4)
    fails(train.main, "--preset", "book", "--X", str(wrong), "--Y", str(wrong), *TINY, capfd=capfd,
          says="is not such a file")


# ---------------------------------------------------------------- bad input


def test_flags_that_contradict_each_other(tmp_path, capfd):
    fails(train.main, "--image_size", "30", capfd=capfd, says="no multiple of 4")
    fails(train.main, "--dataset", "folders", capfd=capfd, says="without --data_dir")
    fails(train.main, "--preset", "book", "--X", str(tmp_path / "a"), capfd=capfd,
          says="without --Y")
    fails(train.main, "--scale_size", "40", capfd=capfd, says="is below --image_size 64")
    fails(train.main, "--norm", "batch", capfd=capfd, says="with --norm batch")
    fails(train.main, "--lambda1", "0", "--lambda2", "0", "--identity_weight", "1", capfd=capfd,
          says="has no effect")
    folder = two_folders(tmp_path / "set")
    common = ["--dataset", "folders", "--data_dir", str(folder)]
    fails(train.main, *common, "--X", "a", capfd=capfd, says="has no effect with --dataset folders")
    fails(train.main, *common, "--fold", "0", "--hold_out", ".2", capfd=capfd, says="--fold 0")


def test_folders_without_the_images_of_a_domain(tmp_path, capfd):
    folder = two_folders(tmp_path / "set")
    common = ["--dataset", "folders", "--data_dir", str(folder)]
    for path in sorted((folder / "trainB").iterdir())[1:]:
        path.unlink()
    fails(train.main, *common, capfd=capfd, says="domain Y has only one")
    next((folder / "trainB").iterdir()).unlink()
    fails(train.main, *common, capfd=capfd, says="domain Y has no training image")
    (folder / "trainB").rmdir()
    fails(train.main, *common, capfd=capfd, says="trainB")
    fails(train.main, "--dataset", "folders", "--data_dir", str(folder / "trainA"), capfd=capfd,
          says="has no trainA and trainB")
    fails(train.main, "--dataset", "folders", "--data_dir", str(tmp_path / "none"), capfd=capfd,
          says="there is no folder")


# ---------------------------------------------------------------- scores


def test_matched_colours_have_mean_and_deviation_of_the_target():
    rng = np.random.default_rng(0)
    source, target = (np.uint8(rng.normal(mean, spread, (4, 16, 16, 3)).clip(0, 255))
                      for mean, spread in ((120, 30), (90, 15)))
    found = np.float64(scores.match_colours(source, source, target))
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), target.mean(axis=(0, 1, 2)), atol=0.5)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), target.std(axis=(0, 1, 2)), atol=0.5)


def test_scores_of_known_translations():
    pictures = np.full((2, 16, 16, 3), 100, np.uint8)
    found = scores.translate(["a", "b"], pictures, pictures + 20, lambda x: x + 0.1,
                             lambda y: y - 0.3, (pictures, pictures))
    values = scores.without_pairs(found)
    assert values["change_l1"] == pytest.approx(0.1, abs=1e-5)
    assert values["cycle_l1"] == pytest.approx(0.2, abs=1e-5) == values["cycle_l1_low"]
    assert scores.against_truth(found.inputs, found.truth)["l1"] == pytest.approx(20)
    assert scores.against_truth(found.inputs, None) == {}
    joined = scores.join([found, found])
    assert joined.names == ["a", "b", "a", "b"] and joined.outputs.shape == (4, 16, 16, 3)


def test_distances_and_shares_tell_domains_apart():
    rng = np.random.default_rng(0)
    dark, light = (np.uint8(rng.uniform(low, low + 60, (20, 16, 16, 3))) for low in (10, 180))
    seen = lambda pictures: pictures.reshape(len(pictures), -1, 3).mean(axis=1) / 255  # noqa: E731
    perfect = scores.translate([""] * 20, dark, None, lambda x: data.scale(light), lambda y: y,
                               (dark, light))
    found = scores.distances(perfect, seen(light), seen)
    assert abs(found["test"]["kid"]) < 0.01 < found["identity"]["kid"]
    gain = found["identity"]["kid"] - found["test"]["kid"]
    assert found["test"]["kid_gain"] == pytest.approx(gain)
    assert 0 < found["test"]["kid_gain_interval"] < gain
    assert abs(found["floor"]["kid"]) < 0.01
    shares = scores.shares(perfect, seen, (seen(dark), seen(light)), seen(light))
    assert shares["test"] == shares["floor"] == 1 and shares["identity"] == 0


def test_no_run_is_left_where_nothing_can_be_judged(capfd):
    argv = [*TINY, "--judge", "weights.h5", "--name", "judged"]
    assert train.main(argv) == 2
    assert "6 images are too few for --judge" in capfd.readouterr().err
    assert not (rundir.runs_dir() / "chapter11_cyclegan" / "judged").exists()


def test_too_few_images_for_a_judge():
    with pytest.raises(UserError, match="7 images are too few"):
        judge.check_enough(7)


# ---------------------------------------------------------------- inference


def test_any_size_is_translated_and_multiples_are_not_padded():
    generator = model.build_generator("G", 4, 1, upsample="resize")
    apply = inference.make_apply(generator)
    for height, width in ((33, 47), (5, 9), (1, 1), (64, 3)):
        assert apply(tf.zeros((2, height, width, 3))).shape == (2, height, width, 3)
    noise = tf.random.stateless_uniform((1, 36, 44, 3), (1, 2), -1, 1)
    np.testing.assert_allclose(apply(noise), generator(noise, training=False), atol=1e-6)


def test_size_resizes_the_shorter_side_and_large_images_are_refused(monkeypatch):
    transform = inference.make_transform(model.build_generator("G", 4, 1), 16)
    assert transform(np.zeros((100, 200, 3), np.uint8)).shape == (16, 32, 3)
    monkeypatch.setattr(inference, "MAX_PIXELS", 100)
    with pytest.raises(UserError, match="32 x 16 pixels"):
        transform(np.zeros((100, 200, 3), np.uint8))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny run that has seen two steps."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DL21_RUNS", str(folder))
        patch.setattr(data, "DRAWN", {"train": 6, "test": 3})
        assert train.main([*TINY, "--name", "tiny"]) == 0
    return folder / CHAPTER / "tiny"


@pytest.mark.slow
def test_both_directions_are_exported_in_one_model(trained):
    assert export.main(["--run_dir", str(trained)]) == 0
    loaded = tf.saved_model.load(str(trained / "export" / "1"))
    assert set(loaded.signatures) == {"XtoY", "YtoX", "encoded_XtoY", "encoded_YtoX",
                                      "serving_default"}
    flags = argparse.Namespace(**rundir.read_config(trained)["flags"])
    generators = inference.load_run(argparse.Namespace(run_dir=trained, checkpoint="best"), flags)
    apples, _ = drawn.draw_scenes(0, 1, 32)
    for direction, generator in generators.items():
        out = loaded.signatures[direction](images=tf.constant(apples))["outputs"]
        wanted = inference.make_transform(generator)(apples[0])
        np.testing.assert_array_equal(out[0], wanted)


@pytest.mark.slow
def test_translate_in_both_directions(trained, tmp_path, capfd):
    photo(tmp_path / "in" / "a.png", 33, 21)
    photo(tmp_path / "in" / "sub" / "b.jpg", 20, 40)
    for direction in ("XtoY", "YtoX"):
        assert translate.main([str(tmp_path / "in"), "--run_dir", str(trained), "--direction",
                               direction]) == 0
        out = trained / "outputs" / direction
        assert images.read_image(out / "a.png").shape == (21, 33, 3)
        assert images.read_image(out / "sub" / "b.png").shape == (40, 20, 3)
    capfd.readouterr()
    fails(translate.main, "--run_dir", str(trained), capfd=capfd, says="no files")
    (tmp_path / "empty.mp4").write_bytes(b"no video")
    fails(translate.main, "--run_dir", str(trained), str(tmp_path / "empty.mp4"), capfd=capfd,
          says="no frames that can be read")


@pytest.mark.slow
def test_eval_measures_both_directions_beside_the_baselines(trained):
    assert evaluation.main(["--run_dir", str(trained)]) == 0
    result = json.loads((trained / "eval.json").read_text())
    metrics = result["metrics"]
    assert metrics["test"]["images"] == 6 and metrics["test_XtoY"]["images"] == 3
    for name in ("test", "identity", "colours"):
        assert {"l1", "psnr", "ssim"} <= set(metrics[name])
    found = data.load_drawn()
    pairs = [(found.test.x.read(i), found.truth.x.read(i)) for i in range(3)]
    wanted = np.mean([np.abs(data.resize(a, 32).astype(int) - data.resize(b, 32)).mean()
                      for a, b in pairs])
    assert metrics["identity_XtoY"]["l1"] == pytest.approx(wanted)
    html = (trained / "index.html").read_text()
    assert html.count("XtoY: ") == html.count("YtoX: ") == 3 and "truth" in html


@pytest.mark.slow
def test_the_page_loads_all_its_pictures(trained, browser):
    assert evaluation.main(["--run_dir", str(trained)]) == 0
    browser.send("/url", {"url": (trained / "index.html").as_uri()})
    assert browser.widths() == [32] * 6 * 4
    assert browser.errors() == []


@pytest.mark.slow
@pytest.mark.usefixtures("shallow")
def test_two_folds_measure_all_images_and_the_judge_keeps_the_best(tmp_path, runs, capfd):
    folder = two_folders(tmp_path / "set", 16)
    weights = tmp_path / "mobilenet.weights.h5"
    from common import pretrained

    pretrained.build_maps("MobileNet", None, 0.75).save_weights(weights)
    common = ["--dataset", "folders", "--data_dir", str(folder), "--judge", str(weights), *TINY]
    for fold in (0, 1):
        assert train.main([*common, "--fold", str(fold), "--name", f"half{fold}"]) == 0
        assert (runs / CHAPTER / f"half{fold}" / "checkpoints" / "best").is_dir()
    assert evaluation.main(["--name", "half0", "--other", "half1", "--judge", str(weights)]) == 0
    metrics = json.loads((runs / CHAPTER / "half0" / "eval.json").read_text())["metrics"]
    assert metrics["test"]["images"] == 32
    for name in ("test", "identity", "colours", "floor"):
        assert {"kid", "share"} <= set(metrics[name])
    found = metrics["test_XtoY"]
    assert found["kid_interval"] > 0 and found["kid_gain_interval"] > 0
    assert found["kid_gain"] == pytest.approx(metrics["identity_XtoY"]["kid"] - found["kid"])
    assert found["share_low"] <= found["share"] <= found["share_high"]
    fails(evaluation.main, "--name", "half0", "--other", "half0", capfd=capfd,
          says="has the same --fold")
    capfd.readouterr()
    fails(compare.main, "half0", "half1", capfd=capfd, says="is tested on other images")
    assert compare.main(["half0", "--num", "2", "--direction", "YtoX"]) == 0
    assert (runs / CHAPTER / "compare-YtoX.png").is_file()


@pytest.mark.slow
def test_runs_of_other_data_are_not_compared(trained, tmp_path, runs, capfd):
    folder = two_folders(tmp_path / "set")
    assert train.main(["--dataset", "folders", "--data_dir", str(folder), *TINY, "--name",
                       "other"]) == 0
    capfd.readouterr()
    fails(compare.main, str(trained), "other", capfd=capfd, says="is of other data")


# ---------------------------------------------------------------- CUT


def test_five_layers_are_compared():
    generator = model.build_generator("G", 4, 6, upsample="resize")
    whole = cut.with_features(generator)
    names = [tensor.shape[-1] for tensor in whole.outputs]
    assert names == [3, 8, 16, 16, 16, 3]
    noise = tf.random.stateless_uniform((1, 32, 32, 3), (1, 2), -1, 1)
    pixels, *features, out = whole(noise, training=False)
    np.testing.assert_array_equal(pixels, noise)
    assert [maps.shape[1] for maps in features] == [16, 8, 8, 8]
    np.testing.assert_allclose(out, generator(noise, training=False), atol=1e-6)


def test_samples_are_of_the_same_places():
    places = tf.reshape(tf.range(48.0), (1, 6, 8, 1))
    seed = tf.constant([0, 5], tf.int64)
    first, second = (cut.sample([places, 2 * places], 10, seed) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert len(np.unique(first[0])) == 10 and first[0].shape == (1, 10, 1)
    assert set(np.ravel(first[0])) != set(np.ravel(first[1]) / 2)  # each layer has its own
    assert cut.sample([places], 100, seed)[0].shape == (1, 48, 1)


def test_the_contrastive_loss_against_a_table():
    alike = tf.ones((1, 8, 4)) / 2
    assert float(cut.patch_nce(alike, alike, 0.07)) == pytest.approx(np.log(8), abs=1e-5)
    apart = tf.eye(8)[None]
    assert float(cut.patch_nce(apart, apart, 0.07)) == pytest.approx(
        np.log(1 + 7 * np.exp(-1 / 0.07)), abs=1e-5)
    swapped = tf.reverse(apart, [1])
    assert float(cut.patch_nce(swapped, apart, 0.5)) == pytest.approx(
        2 + np.log(1 + 7 * np.exp(-2)), abs=1e-5)


def test_keys_get_no_gradient():
    queries, keys = (tf.Variable(tf.random.stateless_normal((1, 4, 3), (i, 0))) for i in (1, 2))
    with tf.GradientTape() as tape:
        loss = cut.patch_nce(queries, keys, 1.0)
    of_queries, of_keys = tape.gradient(loss, [queries, keys])
    assert np.abs(of_queries).max() > 0 and of_keys is None


@pytest.mark.slow
def test_the_three_networks_of_cut_step_together():
    args = step_flags(direction="YtoX", nce_patches=16, nce_temperature=0.07, nce_weight=1.0,
                      nce_identity=True)
    generators, judges = inference.build_generators(args), inference.build_discriminators(args)
    assert [*generators, *judges] == ["F", "D_X"]
    whole = cut.with_features(generators["F"])
    networks = generators | judges | {
        "H": cut.build_heads([maps.shape[-1] for maps in whole.outputs[:-1]])}
    optimizers = {name: training.make_optimizer(args) for name in networks}
    for name, network in networks.items():
        optimizers[name].build(network.trainable_variables)
    step = train_cut.make_train_step(args, networks, optimizers)
    before = {name: [v.numpy() for v in net.trainable_variables] for name, net in networks.items()}
    x, y = next(iter(data.training_batches(data.load(args).train, args)))
    logged = step(tf.Variable(1, dtype=tf.int64), x, y)
    assert set(logged) == {"loss/F", "loss/nce", "loss/D_X", "D_X/true", "D_X/fake"}
    for name, network in networks.items():
        moved = [not np.array_equal(old, new.numpy()) for old, new in
                 zip(before[name], network.trainable_variables, strict=True)]
        assert all(moved), (name, moved)


@pytest.mark.slow
def test_a_run_of_cut_has_one_direction(runs, tmp_path, capfd):
    assert train_cut.main([*TINY[:-2], "--direction", "YtoX", "--nce_patches", "16", "--name",
                           "cut"]) == 0
    run = runs / CHAPTER / "cut"
    assert evaluation.main(["--name", "cut"]) == 0
    metrics = json.loads((run / "eval.json").read_text())["metrics"]
    assert "cycle_l1" not in metrics["test"] and metrics["test"]["images"] == 3
    assert {"test_YtoX", "identity_YtoX"} <= set(metrics) and "test_XtoY" not in metrics
    assert export.main(["--name", "cut"]) == 0
    signatures = set(tf.saved_model.load(str(run / "export" / "1")).signatures)
    assert signatures == {"YtoX", "encoded_YtoX", "serving_default"}
    photo(tmp_path / "a.png")
    assert translate.main([str(tmp_path / "a.png"), "--name", "cut"]) == 0
    assert (run / "outputs" / "YtoX" / "a.png").is_file()
    capfd.readouterr()
    fails(translate.main, str(tmp_path / "a.png"), "--name", "cut", "--direction", "XtoY",
          capfd=capfd, says="the run translates YtoX, not XtoY")


# ---------------------------------------------------------------- the book, real data


def test_the_book_preset_is_the_original():
    args = flags_of("--preset", "book")
    assert (args.image_size, args.batch_size, args.blocks) == (256, 1, 9)
    assert args.ngf == args.ndf == 64
    assert (args.lambda1, args.lambda2, args.learning_rate, args.beta1) == (10, 10, 2e-4, 0.5)
    assert (args.pool_size, args.max_steps, args.norm, args.netD) == (50, 200_000, "instance",
                                                                      "patch94")
    assert args.use_lsgan and args.upsample == "transpose" and args.schedule == "linear"
    assert not (args.flip or args.identity_weight or args.identity_start or args.ema_decay)
    assert args.scale_size == args.image_size


@pytest.mark.slow
@pytest.mark.usefixtures("whole_network")
def test_monets_and_photographs(real_data):
    folder = real_data("cyclegan/monet2photo")
    args = step_flags(dataset="folders", data_dir=str(folder), fold=0)
    found = data.load(args)
    assert [len(domain.names) for split in found[:2] for domain in split] == [60, 60, 61, 61]
    seeing = judge.open_judge(str(real_data("pretrained/mobilenet_v1_0.75_224.weights.h5")))
    train_x, train_y, test_x, test_y = (seeing(data.read_all(domain, 128)[1])
                                        for split in found[:2] for domain in split)
    takes = judge.fit_classifier(train_x, train_y)
    assert takes(test_y).mean() > 0.9 and takes(test_x).mean() < 0.1
