"""The classifier of a run, and what every script that uses one needs."""

import argparse

import keras

from chapter03_finetune.model import build_model
from common import pretrained


def build_classifier(flags: argparse.Namespace, num_classes: int) -> keras.Model:
    """Builds the network that the flags of train.py mean, with random weights.

    Raises:
        ValueError: see `pretrained.build_backbone`.
    """
    keras.utils.set_random_seed(flags.seed)
    backbone = pretrained.build_backbone(flags.model_name, flags.image_size, flags.alpha)
    return build_model(backbone, num_classes, flags.keep_prob, flags.seed)
