"""Draws what channels respond to, by the method of Olah et al. 2017 and by the book's.

    python visualize.py --network MobileNet --alpha 0.75 --channels 113+117
    python visualize.py --network MobileNet --alpha 0.75 --channels 117 --diversity 4

The method ("Feature Visualization", distill.pub) optimizes the Fourier spectrum of a picture in
decorrelated colours by Adam, under random transforms; see fourier.py. Below each picture stands the
book's, by Laplacian normalization. With `--diversity N`, N pictures of one channel are made at once
instead, which differ from each other as far as possible.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import trange

from chapter04_deepdream import channels, data, flags, fourier, networks, objectives
from chapter04_deepdream.ascent import Rule
from chapter04_deepdream.model import Extractor, Objective, channel_by_image
from common import cli, figures, rundir
from common.errors import UserError, exit_status
from common.features import find

BOOK_ITERATIONS = 20  # steps of the book's method, in each of three octaves


def ascend(
    objective: Objective, spectrum: fourier.Spectrum, steps: int, learning_rate: float, seed: int
) -> None:
    """Maximizes the sum of an objective over the pictures of a spectrum, by Adam."""
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build([spectrum.values])

    @tf.function
    def step(key: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            images = fourier.transform(spectrum.pictures(), key)
            loss = -tf.reduce_sum(objective(images))
        optimizer.apply(tape.gradient(loss, [spectrum.values]), [spectrum.values])

    for number in trange(steps, unit="step", disable=None):
        step(tf.constant([seed, number + 1], tf.int64))


def draw(extractor: Extractor, chosen: Sequence[int], args: argparse.Namespace) -> list[np.ndarray]:
    """Returns a picture of each of the chosen channels, uint8 of shape (size, size, 3)."""
    spectrum = fourier.Spectrum(len(chosen), args.size, args.seed)
    objective = channel_by_image(extractor, tf.constant(chosen))
    if args.diversity:
        activation, different = objective, fourier.diversity(extractor)

        def objective(images: tf.Tensor) -> tf.Tensor:
            return activation(images) + args.diversity_weight * different(images)

    ascend(objective, spectrum, args.steps, args.learning_rate, args.seed)
    return [data.to_uint8(image[None]) for image in spectrum.pictures()]


def visualize(args: argparse.Namespace) -> Path:
    """Draws the sheet; returns its path.

    Raises:
        UserError: there is no such layer or channel, or several with `--diversity`.
    """
    keras.utils.set_random_seed(args.seed)  # for --weights none
    network = networks.open_network(args)
    layer = find(args.layer.partition(":")[0], network.channels, network.name)
    chosen = [objectives.find_channel(text, layer, network) for text in args.channels.split("+")]
    extractor = network.extractor([layer])
    if args.diversity and len(chosen) > 1:
        raise UserError(f"--diversity {args.diversity} with {len(chosen)} channels",
                        "give one of --channels")
    wanted = chosen * (args.diversity or 1)
    pictures = draw(extractor, wanted, args)
    titles = [f"{number}, Fourier" for number in wanted]
    if not args.diversity:
        pictures += channels.draw_channels(extractor, chosen, args.size, BOOK_ITERATIONS, 1.0,
                                           Rule("laplacian"), args.seed)
        titles += [f"{number}, Laplacian" for number in chosen]
    png = Path(args.output_dir or rundir.runs_dir() / "chapter04_deepdream" / "fourier")
    png /= f"{network.name}-{layer}-{args.channels}.png".replace(" ", "-")
    figures.draw_sheet(pictures, titles, len(wanted), png)
    return png


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    networks.add_flags(parser, networks.TEXTURES)
    group = parser.add_argument_group("channels")
    group.add_argument("--layer", default="conv_pw_8_bn", help="layer to read")
    group.add_argument("--channels", default="113+117", metavar="A+B",
                       help="channels of the layer; of logits also names of classes")
    group.add_argument("--diversity", type=cli.number(int, 2, 16, "a number from 2 to 16"),
                       help="draw that many different pictures of one channel")
    group.add_argument("--diversity_weight", type=cli.non_negative_float, default=1.0,
                       help="weight of their difference")
    group.add_argument("--size", type=cli.size, default=160, help="pixels of each picture")
    group.add_argument("--steps", type=cli.positive_int, default=128, help="steps of Adam")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.05,
                       help="learning rate of Adam")
    group.add_argument("--seed", type=cli.seed, default=0, help="seed of spectra and transforms")
    group.add_argument("--output_dir", type=cli.path,
                       help="output folder (default: runs/chapter04_deepdream/fourier)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the sheet."""

    def show() -> None:
        args = flags.parse(build_parser(), argv)
        if not args.diversity:
            cli.refuse_idle(args, ["diversity_weight"], "no --diversity")
        data.check_graph(args.network)
        print(f"channels: {visualize(args)}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
