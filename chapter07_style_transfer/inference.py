"""The network of a finished run, and the losses of what it generates."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from chapter04_deepdream import networks
from chapter07_style_transfer import data, mixture, random_filters
from chapter07_style_transfer.model import (
    MIN_SIZE,
    REACH,
    STRIDE,
    build_book_generator,
    build_generator,
    mix_styles,
    stylize,
)
from chapter07_style_transfer.objective import Objective, make_objective
from common import checkpoint, cli, tiles
from common.errors import UserError


def build(flags: argparse.Namespace) -> keras.Model:
    """Builds the generator that the flags of train.py describe, with random weights."""
    if flags.generator == "book":
        return build_book_generator(flags.seed)
    return build_generator(flags.width, flags.seed, flags.upsampling, flags.norm,
                           len(mixture.split(flags.style_image)))


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> keras.Model:
    """Rebuilds the generator of a run with its trained weights."""
    generator = build(flags)
    checkpoint.load(args.run_dir, args.checkpoint, generator=generator)
    return generator


def load_style(
    args: argparse.Namespace, flags: argparse.Namespace, text: str | None = None
) -> keras.Model:
    """Loads a run as a generator of one style.

    Args:
        args: arguments of the calling script, with `run_dir` and `checkpoint`.
        flags: the flags of the run.
        text: a style of the run or a mixture, see `mixture.parse`.

    Raises:
        UserError: there is no such style.
    """
    known = mixture.names(flags.style_image)
    weights, generator = mixture.parse(text, known), load_run(args, flags)
    if len(known) == 1:
        return generator
    single = build_generator(flags.width, flags.seed, flags.upsampling)
    mix_styles(generator, weights, single)
    return single


def open_objective(flags: argparse.Namespace) -> tuple[Objective, list[np.ndarray], str]:
    """Returns the objective of a run, its style images, and the sha256 of its network.

    Raises:
        UserError: the network or a style image cannot be read.
    """
    styles = [data.read_style(text, flags.style_size, whole=flags.crop == "random")
              for text in mixture.split(flags.style_image)]
    flags = argparse.Namespace(**({"typed": {}} | vars(flags)))  # a finished run has none
    if flags.network == random_filters.NAME:
        cli.refuse_idle(flags, ["weights", "alpha", "graph_mean", "post_activation"],
                        f"--network {flags.network}")
        network = random_filters.open_network()
    else:
        network = networks.open_network(flags)
    return make_objective(flags, network, styles), styles, network.digest


def squares(paths: Sequence[Path], size: int) -> dict[Path, np.ndarray]:
    """Reads the central squares of photographs, float32 (size, size, 3) in [0, 255].

    Those that cannot be decoded are left out, and printed.

    Raises:
        UserError: none can be decoded.
    """
    read = {path: data.read_resized(path, size) for path in paths}
    found = {path: data.centre(image, size).astype(np.float32)
             for path, image in read.items() if image is not None}
    if not found:
        raise UserError(f"none of the photographs can be decoded: {paths[0]} ...",
                        "give complete PNG or JPEG files")
    return found


def compile_stylize(generator: keras.Model) -> Callable[..., tf.Tensor]:
    """Returns a compiled function from images of any size, and `*style`, to stylized images."""
    @tf.function(input_signature=[tf.TensorSpec(tensor.shape) for tensor in generator.inputs])
    def run(images: tf.Tensor, *style: tf.Tensor) -> tf.Tensor:
        return stylize(generator, images, *style)

    return run


def fix_statistics(
    generator: keras.Model
) -> tuple[keras.Model, Callable[[tf.Tensor], None]]:
    """Returns a copy of a generator whose instance normalization has fixed statistics.

    With fixed statistics it is batch normalization in inference mode. A tile of a large image is
    then normalized as the whole image is.

    Args:
        generator: from `build`.

    Returns:
        The copy, and a function that sets its statistics to those of an image of shape (1, height,
        width, 3), whose sides are multiples of 4.
    """
    norms = {layer.name: layer for layer in generator.layers
             if isinstance(layer, keras.layers.GroupNormalization)}
    if not norms:  # batch normalization, whose statistics are fixed already
        return generator, lambda image: None

    def fixed(layer: keras.Layer) -> keras.Layer:
        if layer.name not in norms:
            return layer
        return keras.layers.BatchNormalization(
            center=layer.center, scale=layer.scale, epsilon=layer.epsilon, name=layer.name)

    copy = keras.models.clone_model(generator, clone_function=fixed)
    inputs = keras.Model(generator.inputs, [layer.input for layer in norms.values()])

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
    def moments(image: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        maps = tf.nest.flatten(inputs(image, training=False))
        return [tf.nn.moments(found, axes=(0, 1, 2)) for found in maps]

    def set_statistics(image: tf.Tensor) -> None:
        for layer, found in zip(norms.values(), moments(image), strict=True):
            copy.get_layer(layer.name).set_weights([*layer.get_weights(), *found])

    return copy, set_statistics


def to_uint8(pixels: tf.Tensor) -> np.ndarray:
    """Rounds pixels in [0, 255] to uint8, as the export does."""
    return np.uint8(np.rint(pixels))


def make_stylizer(
    generator: keras.Model, tile: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that stylizes one image, uint8 of shape (height, width, 3).

    An image of more than `tile` pixels on a side is done in tiles, see `common.tiles`. The
    statistics of instance normalization are those of the whole image, reduced to `tile` pixels.
    """
    whole = compile_stylize(generator)
    of_tiles, set_statistics = fix_statistics(generator)
    piece = compile_stylize(of_tiles)

    def run(image: np.ndarray) -> np.ndarray:
        pixels = image.astype(np.float32)
        if max(image.shape[:2]) <= tile:
            return to_uint8(whole(pixels[None])[0])
        scale = tile / max(image.shape[:2])
        reduced = [max(MIN_SIZE, STRIDE * round(side * scale / STRIDE)) for side in image.shape[:2]]
        set_statistics(tf.image.resize(pixels[None], reduced, antialias=True))
        return tiles.apply(lambda part: to_uint8(piece(part[None])[0]), pixels, tile, REACH, STRIDE)

    return run


def load_published(path: Path) -> keras.Model:
    """Reads a checkpoint of the book's code, such as wave.ckpt-done, into the book's generator.

    The original calls its variables conv1/conv/weight, res1/residual/conv/weight and
    res1/residual/conv_1/weight, deconv1/conv_transpose/conv/weight and so on. Variables of Adam are
    not used.

    Raises:
        UserError: it is no checkpoint, or not one of this network.
    """
    hint = "give a checkpoint of the book's network, such as wave.ckpt-done"
    try:
        reader = tf.train.load_checkpoint(str(path))
        names = sorted(name for name in reader.get_variable_to_shape_map()
                       if name.endswith("/weight"))
        stored = {name: reader.get_tensor(name) for name in names}
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(f"{path} is no checkpoint of TensorFlow", hint) from error
    generator = build_book_generator(seed=0)
    for layer in (layer for layer in generator.layers if layer.weights):
        block, _, part = layer.name.partition("_")
        found = [name for name in names if name.split("/")[0] == block]
        name = found[int(part or 1) - 1] if len(found) == (2 if part else 1) else None
        if name is None or stored[name].shape != layer.kernel.shape:
            shape = "nothing" if name is None else stored[name].shape
            raise UserError(f"{path} does not fit: layer {layer.name} needs a weight of shape "
                            f"{layer.kernel.shape}, the file has {shape}", hint)
        layer.set_weights([stored[name]])
    return generator


def make_score(objective: Objective) -> Callable[..., dict[str, float]]:
    """Returns a function that computes the losses of one image for its photograph.

    It takes the photograph and the image, float32 of shape (height, width, 3) in [0, 255], and
    `*style`.
    """
    @tf.function(reduce_retracing=True)
    def losses(
        photograph: tf.Tensor, image: tf.Tensor, *style: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return objective.losses(image[None], objective.content(photograph[None]), *style)

    def score(photograph: np.ndarray, image: np.ndarray, *style: tf.Tensor) -> dict[str, float]:
        found = losses(tf.constant(photograph), tf.constant(image), *style)
        return {name: float(value) for name, value in found.items()}

    return score


def mean_losses(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Returns the means of the total, content and style losses of several images."""
    names = {"total_loss": "total_loss", "content_loss": "losses/content_loss",
             "style_loss": "losses/style_loss", "regularizer_loss": "losses/regularizer_loss"}
    return {name: float(np.mean([score[tag] for score in scores])) for name, tag in names.items()}
