"""The networks of chapter 4: flags, runs of chapters 2 and 3, the classifier of textures."""

import argparse
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from chapter02_cifar import train as chapter02
from chapter03_finetune import inference
from chapter03_finetune import train as chapter03
from chapter04_deepdream import networks
from common import rundir
from common.errors import UserError

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
CHAPTER_3 = ["--image_size", "32", "--batch_size", "4", "--max_steps", "2"]


def open_network(*argv: str) -> networks.Network:
    """Opens what a script with the default --network textures would open."""
    parser = argparse.ArgumentParser()
    networks.add_flags(parser, "textures")
    args = parser.parse_args(argv)
    args.typed = {word[2:]: vars(args)[word[2:]] for word in argv if word.startswith("--")}
    return networks.open_network(args)


@pytest.mark.slow
def test_a_run_of_chapter_3_has_its_classifier():
    assert chapter03.main(["--name", "mine", *CHAPTER_3]) == 0
    network = open_network("--weights", "mine")
    assert network.name == "run mine" and network.channels["logits"] == 6
    assert network.class_names == ("glacier", "rock", "urban", "water", "wetland", "wood")
    run = rundir.find_run("chapter03_finetune", "mine")
    flags = argparse.Namespace(**rundir.read_config(run)["flags"])
    model, _ = inference.load_run(argparse.Namespace(run_dir=run, checkpoint="best"), flags)
    (logits,) = network.extractor(["logits"])(IMAGES)
    np.testing.assert_allclose(logits[:, 0, 0], model(IMAGES, training=False), rtol=1e-4, atol=1e-5)
    assert open_network("--weights", str(run)).digest == network.digest
    with pytest.raises(UserError, match="--network MobileNet has no effect with --weights mine"):
        open_network("--network", "MobileNet", "--weights", "mine")


@pytest.mark.slow
def test_a_run_of_chapter_2_is_read_at_any_size():
    assert chapter02.main(["--name", "cifar", "--model", "book", "--batch_size", "8",
                           "--max_steps", "1"]) == 0
    network = open_network("--weights", "cifar")
    last = list(network.channels)[-1]
    (maps,) = network.extractor([last])(tf.image.resize(IMAGES, (48, 64)))
    assert maps.shape == (2, 24, 32, 64)
    assert "logits" not in network.channels


@pytest.mark.slow
def test_a_run_without_convolutions_is_an_error():
    assert chapter02.main(["--name", "flat", "--model", "softmax", "--batch_size", "8",
                           "--max_steps", "1"]) == 0
    with pytest.raises(UserError, match="the network softmax has no convolutional layers"):
        open_network("--weights", "flat")


def child(status: int) -> SimpleNamespace:
    """Returns a process that has ended."""
    return SimpleNamespace(wait=lambda: status)


@pytest.mark.slow
def test_the_classifier_of_textures_is_trained_once(monkeypatch, capsys):
    started = []

    def train(command, env, stdout):
        started.append(command[1:])
        assert env["PYTHONPATH"].startswith(str(networks.files.ROOT))
        return child(chapter03.main([*command[3:], *CHAPTER_3]))

    monkeypatch.setattr(networks, "subprocess", SimpleNamespace(Popen=train, DEVNULL=None))
    monkeypatch.setattr(networks, "TEXTURES_STEPS", 2)
    first, second = open_network("--network", "textures"), open_network("--network", "textures")
    assert [command[:2] for command in started] == [["-m", "chapter03_finetune.train"]]
    assert "training chapter 3's classifier of drawn textures, once" in capsys.readouterr().out
    assert first.digest == second.digest and len(first.class_names) == 6


def test_a_failed_training_of_the_textures_is_told(monkeypatch):
    for status, error in ((2, UserError), (130, KeyboardInterrupt)):
        monkeypatch.setattr(networks, "subprocess", SimpleNamespace(
            Popen=lambda *args, status=status, **rest: child(status), DEVNULL=None))
        with pytest.raises(error):
            open_network("--network", "textures")


@pytest.mark.parametrize(("argv", "says"), [
    (["--network", "textures", "--weights", "none"], "--weights none has no effect with --network"),
    (["--network", "VGG16", "--graph_mean", "3"], "--graph_mean 3.0 has no effect with --network"),
    (["--network", "absent.pb"], "cannot read .*absent.pb"),
    (["--network", "MobileNet", "--weights", "absent"], "no run absent of chapter 2 or 3"),
    (["--network", "MobileNet", "--weights", "absent.h5"], "there is no file .*absent.h5"),
    (["--network", "MobileNet", "--weights", "hed"], "hed are of VGG16, not of MobileNet"),
])
def test_wrong_flags_are_named(argv, says):
    with pytest.raises(UserError, match=says):
        open_network(*argv)


def test_unknown_networks_are_named(capsys):
    with pytest.raises(SystemExit):
        open_network("--network", "GoogLeNet")
    error = capsys.readouterr().err
    assert "GoogLeNet is neither a frozen graph (.pb) nor one of textures" in error
