"""Makes a dream: changes a picture until a layer of a network is strongly activated (chapter 4).

    python train.py                                       # a photograph, offline, minutes
    python train.py --image photo.jpg --layer conv_pw_8_bn --channel 3
    python train.py --preset best --image photo.jpg       # MobileNet, trained on ImageNet
    python train.py --preset hed --method lapnorm         # VGG-16, after pip install -e ".[hed]"
    python train.py --preset book --method naive          # the book's network, downloaded by hand

The trained variable is the picture; the network stays as it is (Mordvintsev et al. 2015,
"Inceptionism"). A training step (`--max_steps`, checkpoints, TensorBoard) is one step of gradient
ascent. Each octave, a size of the picture, has `--iterations` of them. The objective, the mean
activation of the layer or channel, rises.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter04_deepdream import data, objectives, pyramid
from chapter04_deepdream.ascent import check_start, make_step
from chapter04_deepdream.flags import add_flags, growing, rule, settle
from chapter04_deepdream.model import Picture
from chapter04_deepdream.networks import open_network
from common import cli, files, images, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor, read_curve

MIN_DEVIATION = 2.0  # of pixel values, below which a picture looks grey
MAX_CLIPPED = 0.5  # share of values outside [0, 255], above which a picture looks saturated

PRESETS = {
    "demo": {"network": "textures", "normalize": "laplacian", "step_size": 1.0, "iterations": 20},
    "book": {"network": data.find_graph(), "layer": "mixed4d_3x3_bottleneck_pre_relu:139"},
    "best": {"network": "MobileNet", "alpha": 0.75},
    # Tiles for which a step on 4096 x 3072 pixels needs less than 3 GB, see memory.py.
    "hed": {"network": "VGG16", "weights": "hed", "tile_size": 384},
}


def build_parser() -> cli.Parser:
    """Returns the parser; the flags are in flags.py."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=["step_size", "tile_size"],
                                 neutral=["image", "method"])
    add_flags(parser, "textures", None)
    return parser


def key(seed: int, step: int) -> tf.Tensor:
    """Returns the key of a step's random shift, int64 of shape (2,)."""
    return tf.constant([seed, step], tf.int64)


def check_size(start: tf.Tensor, args: argparse.Namespace) -> None:
    """Raises UserError if the largest octave has more pixels than are read from a file."""
    ratio = args.octave_scale ** (args.octaves - 1) if growing(args) else 1.0
    height, width = (side * ratio for side in start.shape[1:3])
    if height * width > (limit := images.max_pixels()):
        raise UserError(f"the last octave has {width:.4g} x {height:.4g} pixels, more than "
                        f"{limit:,}", "choose fewer --octaves, or a smaller --octave_scale or "
                        "--size")


def warn_of(pixels: tf.Tensor, stretch: bool = False) -> None:
    """Warns on stderr if a finished picture is grey or saturated, as it is written."""
    outside = tf.cast((pixels < 0) | (pixels > 255), tf.float32)
    clipped = 0.0 if stretch else float(tf.reduce_mean(outside))  # stretched to what is visible
    if (deviation := float(data.to_uint8(pixels, stretch).std())) < MIN_DEVIATION:
        print(f"warning: the picture is grey, its standard deviation is {deviation:.2g} of 255: "
              "raise --step_size or --iterations, or choose another --layer", file=sys.stderr)
    if clipped > MAX_CLIPPED:
        print(f"warning: the picture is saturated, {clipped:.0%} of its values are outside 0 to "
              "255: lower --step_size or --iterations, or add --decay 0.02", file=sys.stderr)


def introduce(args: argparse.Namespace, sizes: Sequence[tf.Tensor]) -> None:
    """Prints what is maximized, and in the demo the command of the book's run."""
    layer = args.layer.partition(":")[0]
    if args.guide:
        aim = f"similarity with {args.guide} in {layer}"
    else:
        aim = f"{layer}:{args.channel}" if args.channel else args.layer
    shown = ", ".join(f"{width} x {height}" for height, width in np.array(sizes))
    print(f"{args.method} on {args.image} at {shown} pixels: maximizing {aim} of {args.network}")
    if args.preset == "demo" and args.network == "textures":
        print("the book's run: python train.py --preset book")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Makes a dream, new or resumed, up to `--max_steps`; returns the objective."""
    settle(args)
    data.check_graph(args.network)
    keras.utils.set_random_seed(args.seed)  # for --weights none
    network = open_network(args)
    objective, _ = objectives.build(args, network)
    step_up = make_step(objective, rule(args))
    # The start picture, and the sizes of all octaves.
    start = data.load(args.image, args.size, args.seed)
    check_size(start, args)
    sizes = pyramid.octave_sizes(start.shape[1:3], args.octaves, args.octave_scale, growing(args))
    introduce(args, sizes)
    # The variable that is trained: the picture, at first that of the smallest octave.
    picture = Picture(pyramid.enter_octave(start, start, sizes, 0, growing(args)))
    if not rundir.last_step(args.run_dir):
        check_start(step_up, picture.pixels.read_value(), args.layer)
    digest = files.sha256(start.numpy(), network.digest.encode())
    with rundir.open_run(args, dataset_sha256=digest,
                         parameters=3 * int(tf.reduce_prod(sizes[-1]))) as run:
        state = TrainState(run, {"picture": picture})
        monitor = Monitor(run, int(state.step))
        noise = args.image == "noise"  # it has no brightness and contrast of its own
        images.write_png(run / "samples" / "start.png", data.to_uint8(start, noise))
        forever = itertools.repeat(None)
        for step, _ in state.steps(forever, args.max_steps, args.save_every, monitor):
            # At the first step of an octave: enlarge the picture, and add details of the start.
            octave, done = divmod(step - 1, args.iterations)
            if done == 0 and 0 < octave < args.octaves:
                picture.pixels.assign(pyramid.enter_octave(
                    picture.pixels, start, sizes, octave, growing(args)))
            # A step up the gradient of the objective with respect to the pixels.
            pixels, value, strength = step_up(picture.pixels, key(args.seed, step), args.step_size)
            picture.pixels.assign(pixels)
            # Print and log the objective, which the pixels had before the step.
            if step % args.log_every == 0 or step in (1, args.max_steps):
                height, width = pixels.shape[1:3]
                tqdm.write(f"step {step}  {width} x {height}  objective {float(value[0]):.6g}",
                           sys.stdout)
                monitor.scalars(step, {"objective": value[0], "gradient": strength})
            # At the end of an octave: write the picture.
            if step % args.iterations == 0 and octave < args.octaves:
                shown = data.to_uint8(pixels, noise)
                images.write_png(run / "samples" / f"octave_{octave + 1}.png", shown)
                monitor.images(step, "dream", shown[None])
        final = picture.pixels.read_value()
        images.write_png(run / "samples" / "dream.png", data.to_uint8(final, noise))
        _, values = read_curve(run, "train", "objective")
    warn_of(final, noise)
    print(f"objective {values[0]:.6g} -> {values[-1]:.6g}; the picture: "
          f"{Path(run) / 'samples' / 'dream.png'}")
    return {"step": step, "first_objective": values[0], "objective": values[-1]}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
