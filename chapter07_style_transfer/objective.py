"""The total loss of style transfer on a network, for both methods: train.py and optimize.py."""

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from chapter07_style_transfer.model import (
    BLANK,
    NORMALIZATIONS,
    content_loss,
    gram,
    pixel_features,
    style_loss,
    total_variation,
)
from common import cli
from common.errors import UserError
from common.features import Network

PIXELS = "pixels"  # the style "layer" of the colours themselves


class Objective(NamedTuple):
    """The loss of generated images.

    Attributes:
        content: maps photographs, float32 of shape (batch, height, width, 3) in [0, 255], to their
            features in the content layers.
        losses: maps generated images, the content of their photographs and, with several styles,
            the weights of `stylize` to all losses, by the original's names in TensorBoard; the sum
            to minimize is "total_loss".
    """

    content: Callable[[tf.Tensor], list[tf.Tensor]]
    losses: Callable[..., dict[str, tf.Tensor]]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the style image and of the losses; YAML files have the same names."""
    group = parser.add_argument_group("losses")
    group.add_argument("--content_weight", type=cli.non_negative_float, default=1.0,
                       help="weight of the content loss")
    group.add_argument("--style_weight", type=cli.non_negative_float, default=220.0,
                       help="weight of the style loss")
    group.add_argument("--tv_weight", type=cli.non_negative_float, default=0.0,
                       help="weight of the total variation")
    group.add_argument("--content_layers", default="conv3_3",
                       help="layers of the content loss, comma-separated")
    group.add_argument("--style_layers", default="conv1_2,conv2_2,conv3_3,conv4_3",
                       help=f"layers of the style loss, comma-separated; {PIXELS}: the colours "
                            "themselves")
    group.add_argument("--normalization", choices=NORMALIZATIONS, default="book",
                       help="of the squared differences. book: of the book's code; johnson, gatys: "
                            "of the two papers; relative: divided by the target's sum of squares")


def make_objective(
    flags: argparse.Namespace, network: Network, styles: Sequence[np.ndarray]
) -> Objective:
    """Returns the objective that the flags of `add_flags` describe.

    Args:
        flags: with the weights, layers and normalization.
        network: whose layers are read.
        styles: the style images, uint8 of shape (height, width, 3).

    Raises:
        UserError: there is no such layer, or no weight above 0.
    """
    if not (flags.content_weight or flags.style_weight):
        raise UserError("--content_weight 0 and --style_weight 0: there is nothing to learn",
                        "give one of them a weight above 0")
    content_layers = flags.content_layers.split(",")
    style_layers = flags.style_layers.split(",")
    deep = [layer for layer in style_layers if layer != PIXELS]
    read_content = network.extractor(content_layers)
    read = network.extractor([*content_layers, *deep])

    def features(images: tf.Tensor) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        maps = read(images)
        styles = dict(zip(deep, maps[len(content_layers) :], strict=True))
        if PIXELS in style_layers:
            styles[PIXELS] = pixel_features(images)
        return maps[: len(content_layers)], styles

    maps_of_styles = [features(tf.constant(style[None], tf.float32))[1] for style in styles]
    targets = {layer: tf.concat([gram(maps[layer]) for maps in maps_of_styles], axis=0)
               for layer in style_layers}  # (styles, channels, channels)
    if flags.style_weight:
        check_styles(targets, network.name)

    def losses(
        images: tf.Tensor, content: list[tf.Tensor], style_weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        contents, styles = features(images)
        wanted = targets if style_weights is None else {
            layer: tf.einsum("bs,sij->bij", style_weights, target)
            for layer, target in targets.items()}
        by_layer = {layer: style_loss(maps, wanted[layer], flags.normalization)
                    for layer, maps in styles.items()}
        parts = {
            "content": tf.add_n([content_loss(maps, target, flags.normalization)
                                 for maps, target in zip(contents, content, strict=True)]),
            "style": tf.add_n(list(by_layer.values())),
            "regularizer": total_variation(images, flags.normalization),
        }
        weights = {"content": flags.content_weight, "style": flags.style_weight,
                   "regularizer": flags.tv_weight}
        return add(parts, weights) | {f"style_losses/{layer}": loss
                                      for layer, loss in by_layer.items()}

    return Objective(read_content, losses)


def add(parts: dict[str, tf.Tensor], weights: dict[str, float]) -> dict[str, tf.Tensor]:
    """Returns the weighted sum of the parts of a loss and the parts, by the original's names."""
    weighted = {part: weights[part] * loss for part, loss in parts.items()}
    return {
        "total_loss": tf.add_n(list(weighted.values())),
        **{f"losses/{part}_loss": loss for part, loss in parts.items()},
        **{f"weighted_losses/weighted_{part}_loss": loss for part, loss in weighted.items()},
    }


def check_styles(targets: dict[str, tf.Tensor], network: str) -> None:
    """Raises UserError if a style image has no style in a layer.

    Args:
        targets: Gram matrices by layer, of shape (styles, channels, channels). Their traces are the
            mean squares of the features.
        network: what the message calls the network.
    """
    for layer, target in targets.items():
        if float(tf.reduce_min(tf.linalg.trace(target))) < BLANK:
            raise UserError(f"a style image is blank in layer {layer} of {network}",
                            "give one with forms and colours, or other --style_layers")


def of_one_style(objective: Objective, style: Sequence[tf.Tensor]) -> Objective:
    """Returns the objective of one style: `style` is an element of `mixture.each`."""
    return Objective(objective.content,
                     lambda images, content: objective.losses(images, content, *style))
