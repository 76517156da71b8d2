"""Draws pictures that a network takes for classes, eight on one sheet (book, section 4.1).

    python classes.py                                        # the demo's network, its classes
    python classes.py --network MobileNet --alpha 0.75 --weights mobilenet_0.75_224.weights.h5
    python classes.py --classes wood,water --total_variation 0

A picture that maximizes the logit of a class looks like noise unless it is regularized: by
random shifts, total variation, a decay towards grey and a blur (Simonyan et al. 2014; Yosinski et
al. 2015), and by Laplacian normalization. `--no-regularize` leaves only the octaves.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from chapter04_deepdream import channels, data, flags, networks
from chapter04_deepdream.ascent import Rule
from chapter04_deepdream.objectives import find_channel
from common import cli, figures, rundir
from common.errors import UserError, exit_status
from common.features import LOGITS, Network

COUNT, COLUMNS = 8, 4
FAVOURITES = ("goldfish", "flamingo", "zebra", "tabby", "African_elephant", "banana",
              "jack-o'-lantern", "sports_car")  # of ImageNet


def choose(text: str | None, network: Network) -> list[int]:
    """Returns the numbers of the classes to draw.

    Raises:
        UserError: the network has no classifier, or there is no such class.
    """
    if LOGITS not in network.channels:
        raise UserError(f"{network.name} has no classifier: there is no layer {LOGITS}",
                        "give --weights of a whole network, or a run of chapter 3")
    names = network.class_names
    if text:
        return [find_channel(name, LOGITS, network) for name in text.split(",")]
    favourites = [names.index(name) for name in FAVOURITES if name in names]
    return favourites or list(range(min(COUNT, len(names))))


def draw_classes(args: argparse.Namespace, network: Network) -> Path:
    """Draws the sheet, with the probability of each class in its picture; returns its path."""
    numbers, extractor = choose(args.classes, network), network.extractor([LOGITS])
    if args.regularize:
        rule = Rule("laplacian", args.size, None, args.total_variation, args.decay, args.blur)
    else:
        rule = Rule("deviation", args.size, 0)
    pictures = channels.draw_channels(extractor, numbers, args.size, args.iterations,
                                      args.step_size, rule, args.seed)
    titles = []
    for picture, number in zip(pictures, numbers, strict=True):
        (logits,) = extractor(tf.cast(picture[None], tf.float32))
        probability = float(tf.nn.softmax(logits[0, 0, 0])[number])
        titles.append(f"{network.class_names[number]} {probability:.0%}")
        print(titles[-1])
    png = Path(args.output_dir or rundir.runs_dir() / "chapter04_deepdream" / "classes")
    png /= f"{network.name}-classes.png".replace(" ", "-")
    figures.draw_sheet(pictures, titles, COLUMNS, png, 10.0)
    return png


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    networks.add_flags(parser, networks.TEXTURES)
    group = parser.add_argument_group("classes")
    group.add_argument("--classes", metavar="NAME,NAME", help="names or numbers of classes "
                       f"(default: {', '.join(FAVOURITES)}, or the first {COUNT})")
    group.add_argument("--regularize", action=argparse.BooleanOptionalAction, default=True,
                       help="random shifts, Laplacian normalization, and the regularizers below")
    group.add_argument("--total_variation", type=cli.non_negative_float, default=0.25,
                       help="weight of total variation")
    group.add_argument("--decay", type=cli.from_0_to_1, default=0.02,
                       help="share of its distance from grey that a pixel loses per step")
    group.add_argument("--blur", type=cli.from_0_to_1, default=0.1,
                       help="share of the picture that is blurred per step")
    group.add_argument("--size", type=cli.size, default=224, help="pixels of each picture")
    group.add_argument("--iterations", type=cli.positive_int, default=20,
                       help="steps in each of three octaves")
    group.add_argument("--step_size", type=cli.positive_float, default=1.0,
                       help="change of a pixel per step, of 255")
    group.add_argument("--seed", type=cli.seed, default=0, help="seed of the noise")
    group.add_argument("--output_dir", type=cli.path,
                       help="output folder (default: runs/chapter04_deepdream/classes)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the sheet."""

    def show() -> None:
        args = flags.parse(build_parser(), argv)
        if not args.regularize:
            cli.refuse_idle(args, ["total_variation", "decay", "blur"], "--no-regularize")
        data.check_graph(args.network)
        keras.utils.set_random_seed(args.seed)  # for --weights none
        print(f"classes: {draw_classes(args, networks.open_network(args))}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
