"""The network of a run, and what a finished one makes of pictures of any size."""

import argparse
from collections.abc import Callable, Mapping

import keras
import numpy as np
import scipy.ndimage
import tensorflow as tf

from chapter10_super_resolution import data, degradation, quality
from chapter10_super_resolution.data import Pair
from chapter10_super_resolution.model import build_edsr, enlarge, reach
from common import checkpoint, tiles

TILE = 192  # small pixels: larger pictures are done in tiles

Enlarge = Callable[[np.ndarray], np.ndarray]  # from and to uint8 of shape (height, width, 3)


def build(flags: argparse.Namespace) -> keras.Model:
    """Builds the network that the flags of train.py describe, with random weights."""
    keras.config.set_dtype_policy(
        "mixed_bfloat16" if flags.precision == "bfloat16" else flags.precision)
    return build_edsr(flags.factor, flags.blocks, flags.width, flags.upsampling, flags.seed)


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> keras.Model:
    """Rebuilds the network of a run with its trained weights: their average, if it has one."""
    network = build(flags)
    name = "averaged" if flags.ema_decay else "network"
    checkpoint.load(args.run_dir, args.checkpoint, **{name: network})
    return network


def make_enlarge(
    network: keras.Model, flags: argparse.Namespace, tile: int = TILE, self_ensemble: bool = False
) -> Enlarge:
    """Returns a function that enlarges one picture of any size, in tiles if it is large.

    A tile has a halo as wide as the network reaches: the result is that of the whole picture.

    Args:
        network: of `load_run`.
        flags: of the run.
        tile: height and width of a tile, in pixels of the small picture.
        self_ensemble: whether to average the results of the eight ways to turn and mirror it (Lim
            et al. 2017, § 3.4), which takes eight times as long.
    """
    factor = flags.factor
    halo = reach(factor, flags.blocks, flags.upsampling)
    ways = range(8) if self_ensemble else range(1)

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3))])
    def run(images: tf.Tensor) -> tf.Tensor:
        return enlarge(network, images, factor, training=False)

    def piece(part: np.ndarray) -> np.ndarray:
        made = [data.turn_back(run(np.float32(data.turn(part, way))[None])[0].numpy(), way)
                for way in ways]
        return np.uint8(np.clip(np.rint(np.mean(made, axis=0)), 0, 255))

    return lambda picture: tiles.apply(piece, picture, tile, halo, scale=factor)


def fill_hidden(picture: np.ndarray) -> np.ndarray:
    """Gives fully transparent pixels the colour of the nearest other pixel.

    What is stored there is arbitrary, and would bleed into the visible edge.

    Args:
        picture: uint8 of shape (height, width, 4): red, green, blue, alpha.

    Returns:
        uint8 of shape (height, width, 3).
    """
    hidden = picture[..., 3] == 0
    if hidden.all():
        return picture[..., :3]
    rows, columns = scipy.ndimage.distance_transform_edt(
        hidden, return_distances=False, return_indices=True)
    return picture[rows, columns, :3]


def with_alpha(enlarge_colours: Enlarge) -> Enlarge:
    """Returns a function that also takes pictures with an alpha channel, and enlarges it too."""
    def run(picture: np.ndarray) -> np.ndarray:
        if picture.shape[-1] == 3:
            return enlarge_colours(picture)
        colours = enlarge_colours(fill_hidden(picture))
        alpha = enlarge_colours(picture[..., 3:].repeat(3, axis=-1))
        return np.concatenate([colours, np.uint8(np.rint(alpha.mean(-1, keepdims=True)))], axis=-1)

    return run


def bicubic(picture: np.ndarray, factor: int) -> np.ndarray:
    """Enlarges a picture by bicubic interpolation: the baseline."""
    return degradation.resize(picture, factor * picture.shape[0], factor * picture.shape[1])


def score_all(
    enlarge_picture: Enlarge, pairs: Mapping[str, Pair], factor: int
) -> dict[str, np.ndarray]:
    """Returns `psnr` and `ssim` of every enlarged small picture, of shape (pictures,)."""
    scores = [quality.score(enlarge_picture(pair.small), pair.sharp, factor)
              for pair in pairs.values()]
    return {name: np.array([score[name] for score in scores]) for name in ("psnr", "ssim")}
