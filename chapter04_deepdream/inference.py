"""Finished runs: the picture, and the objective that it was made for."""

import argparse
from typing import NamedTuple

import keras
import tensorflow as tf

from chapter04_deepdream import data, flags, objectives
from chapter04_deepdream.ascent import Step, make_step
from chapter04_deepdream.model import Objective, Picture
from chapter04_deepdream.networks import open_network
from common import checkpoint
from common.features import Extractor, Network


class Dream(NamedTuple):
    """What a run has made, and what it was made with.

    `pixels` are float32 of shape (1, height, width, 3).
    """

    pixels: tf.Tensor
    network: Network
    objective: Objective
    extractor: Extractor
    step: Step


def load_run(args: argparse.Namespace, settings: argparse.Namespace) -> Dream:
    """Loads the picture of a run, and rebuilds its objective and its step.

    Args:
        args: arguments of the calling script, with `run_dir` and `checkpoint`.
        settings: the flags that the run was made with.
    """
    settings.typed = {}
    data.check_graph(settings.network)
    keras.utils.set_random_seed(settings.seed)  # for --weights none
    network = open_network(settings)
    objective, extractor = objectives.build(settings, network)
    picture = Picture(tf.zeros((1, 1, 1, 3)))
    checkpoint.load(args.run_dir, args.checkpoint, picture=picture)
    step = make_step(objective, flags.rule(settings))
    return Dream(picture.pixels.read_value(), network, objective, extractor, step)
