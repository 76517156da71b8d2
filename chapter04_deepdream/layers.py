"""Lists the layers of a network, and draws an atlas of the channels of one (book, section 4.2.1).

    python layers.py
    python layers.py --network VGG16 --weights hed
    python layers.py --network VGG16 --weights hed --atlas block4_conv3 --channels 0-63
    python layers.py --network tensorflow_inception_graph.pb

The atlas has a picture of each channel, made from noise. The short list has suggested channels.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from chapter04_deepdream import channels, data, flags, networks
from chapter04_deepdream.ascent import Rule
from chapter04_deepdream.objectives import short_list
from common import cli, figures, rundir
from common.errors import UserError, exit_status
from common.features import Network, find

SIZE = 224  # pixels, for the shapes in the list
MAX_CHANNELS = 64  # of an atlas without --channels


def list_layers(network: Network, suggested: Sequence[str]) -> None:
    """Prints the name, the shape and the number of channels of each layer; then the short list."""
    names = list(network.channels)
    maps = network.extractor(names)(tf.zeros((1, SIZE, SIZE, 3)))
    width = max(map(len, names))
    print(f"{network.name}: {len(names)} layers; height x width x channels for pictures of {SIZE} "
          f"x {SIZE} pixels")
    for name, tensor in zip(names, maps, strict=True):
        print(f"{name:{width}}  {' x '.join(map(str, tensor.shape[1:]))}")
    if network.class_names:
        print(f"classes of logits: {', '.join(network.class_names[:8])} "
              f"({len(network.class_names)} in all)")
    if suggested:
        print(f"suggested channels: {', '.join(suggested)}")


def parse_range(text: str | None, count: int) -> range:
    """Returns the channels that `--channels` names: 7, or 0-63; without it the first ones.

    Raises:
        UserError: there are no such channels.
    """
    if text is None:
        return range(min(count, MAX_CHANNELS))
    match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
    if not first <= last < count:
        raise UserError(f"--channels {text} are not channels: there are {count}",
                        f"give a number, or a range within 0-{count - 1}")
    return range(first, last + 1)


def draw_atlas(args: argparse.Namespace, network: Network) -> Path:
    """Draws the channels of a layer on one sheet; returns its path."""
    layer = find(args.atlas, network.channels, network.name)
    chosen = parse_range(args.channels, network.channels[layer])
    pictures = channels.draw_channels(network.extractor([layer]), chosen, args.size,
                                      args.iterations, 1.0, Rule("laplacian"), args.seed)
    png = Path(args.output_dir or rundir.runs_dir() / "chapter04_deepdream" / "atlas")
    png /= f"{network.name}-{layer}-{chosen[0]}-{chosen[-1]}.png".replace(" ", "-")
    figures.draw_sheet(pictures, [str(number) for number in chosen], channels.COLUMNS, png)
    return png


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    networks.add_flags(parser, networks.TEXTURES)
    group = parser.add_argument_group("atlas")
    group.add_argument("--atlas", metavar="LAYER", help="draw the channels of this layer")
    group.add_argument("--channels", metavar="FIRST-LAST",
                       help=f"channels to draw (default: the first {MAX_CHANNELS})")
    group.add_argument("--size", type=cli.size, default=112, help="pixels of each picture")
    group.add_argument("--iterations", type=cli.positive_int, default=16,
                       help="steps in each of three octaves")
    group.add_argument("--seed", type=cli.seed, default=0, help="seed of the noise")
    group.add_argument("--output_dir", type=cli.path,
                       help="output folder (default: runs/chapter04_deepdream/atlas)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Lists the layers, or draws an atlas."""

    def show() -> None:
        args = flags.parse(build_parser(), argv)
        if not args.atlas:
            cli.refuse_idle(args, ["channels", "size", "iterations", "seed", "output_dir"],
                            "no --atlas")
        data.check_graph(args.network)
        keras.utils.set_random_seed(args.seed)  # for --weights none
        network = networks.open_network(args)
        if args.atlas:
            print(f"atlas: {draw_atlas(args, network)}")
        else:
            list_layers(network, short_list(args))

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
