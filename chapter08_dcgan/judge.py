"""What judges generated images: a classifier of digits, or a network of photographs.

Features of the judge measure the kernel distance. The classifier also reads digits: do they show
the label that was asked for?
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from chapter01_mnist import data as digits
from chapter01_mnist.model import SoftmaxRegression, build_model
from chapter04_deepdream import networks
from chapter08_dcgan.data import OF_DIGITS, Split
from common import checkpoint, cli, features, files, kernel_distance, rundir
from common.errors import UserError

NETWORK_FLAGS = ("network", "weights", "alpha", "graph_mean", "post_activation")
LARGER = 128  # pixels to which photographs are enlarged for their network
BATCH = 100
# The training of the reader on first use: steps, time, flags of chapter 1.
FIRST_USE = {"digits": (1000, "one minute", []),
             "mnist": (10000, "about seven minutes", ["--preset", "best"]),
             "fashion_mnist": (10000, "about seven minutes", ["--preset", "best"])}


class Judge(NamedTuple):
    """Judges images, uint8 of shape (count, height, width, channels).

    Attributes:
        name: what messages and results call it.
        digest: sha256 of its weights.
        features: from images to features, float32 of shape (count, dimensions).
        read: from images to labels, int64 of shape (count,); None without a classifier.
    """

    name: str
    digest: str
    features: Callable[[np.ndarray], np.ndarray]
    read: Callable[[np.ndarray], np.ndarray] | None = None


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the judge."""
    networks.add_flags(parser, networks.TEXTURES, post_activation=True)
    parser.add_argument("--reader", metavar="RUN", type=cli.run_or_name,
                        help="run of chapter 1 that reads digits (default: trained on first use)")


def batched(function: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray) -> np.ndarray:
    """Applies a function to images in batches."""
    return np.concatenate([function(tf.constant(images[i : i + BATCH])).numpy()
                           for i in range(0, len(images), BATCH)])


def reader_run(args: argparse.Namespace) -> Path:
    """Returns the run of chapter 1 that reads the data set; trains it on first use."""
    if args.reader:
        return rundir.find_run("chapter01_mnist", args.reader)
    run = rundir.runs_dir() / "chapter01_mnist" / f"{args.dataset}_reader"
    steps, time, flags = FIRST_USE[args.dataset]
    argv = [*flags, "--dataset", args.dataset]
    argv += ["--data_dir", args.data_dir] if args.data_dir else []
    return networks.train_once(run, steps, f"chapter 1's classifier of {args.dataset}", time, argv)


def open_reader(run: Path) -> Judge:
    """Opens a convolutional network of chapter 1.

    Raises:
        UserError: the run is of softmax regression, which has no features.
    """
    model = build_model(rundir.read_config(run, "chapter01_mnist")["flags"]["model"])
    if isinstance(model, SoftmaxRegression):
        raise UserError(f"{run} is softmax regression, which has no features",
                        "give a convolutional network: python train.py in chapter01_mnist")
    checkpoint.load(run, "best", model=model)
    logits = model.layers[-1]
    trunk = keras.Model(model.inputs, [logits.input, logits.output])

    @tf.function(reduce_retracing=True)
    def call(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inner, scores = trunk(digits.scale(images[..., 0]), training=False)
        return inner, tf.argmax(scores, axis=1)

    return Judge(f"chapter 1's {model.name}", files.sha256(*model.get_weights()),
                 lambda images: batched(lambda batch: call(batch)[0], images),
                 lambda images: batched(lambda batch: call(batch)[1], images))


def open_network(args: argparse.Namespace) -> Judge:
    """Opens the network that the flags of chapter 4 choose."""
    keras.utils.set_random_seed(0)  # of --weights none: the same network in every process
    network = networks.open_network(args)
    pooled = features.make_pooled(network, LARGER)

    def call(images: tf.Tensor) -> tf.Tensor:
        return pooled(tf.cast(images, tf.float32) + tf.zeros(3))  # grey becomes RGB

    return Judge(network.name, network.digest, lambda images: batched(call, images))


def open_judge(args: argparse.Namespace) -> Judge:
    """Opens the judge of a data set.

    Raises:
        UserError: it cannot be read, or a flag has no effect.
    """
    if args.dataset in OF_DIGITS:
        cli.refuse_idle(args, NETWORK_FLAGS, f"--dataset {args.dataset}")
        return open_reader(reader_run(args))
    cli.refuse_idle(args, ["reader"], f"--dataset {args.dataset}")
    return open_network(args)


def make_compare(judge: Judge, real: Split) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from images to estimates of their kernel distance to real ones.

    `kernel_distance.summarize` makes a distance with an interval of them.
    """
    estimate = kernel_distance.make_estimates(judge.features(real.images))
    return lambda images: estimate(judge.features(images))


def check_same(judge: Judge | None, run_dir: Path) -> None:
    """Raises UserError if a run that is to be resumed was measured by another judge."""
    if judge and rundir.exists(run_dir):
        name, digest = rundir.read_config(run_dir).get("judge") or (judge.name, judge.digest)
        if (name, digest) != (judge.name, judge.digest):
            raise UserError(
                f"the judge of {run_dir} has changed: it is {judge.name}, sha256 "
                f"{judge.digest[:12]}, and was {name}, {digest[:12]}",
                "restore its run or weights, or start a new run with another --name")


def read_as_asked(judge: Judge, images: np.ndarray, labels: Sequence[int]) -> float:
    """Returns the share of images that the classifier reads as their labels."""
    return float(np.mean(judge.read(images) == np.asarray(labels)))
