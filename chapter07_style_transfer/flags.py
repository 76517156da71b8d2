"""The flags of train.py; those of the losses are in objective.py."""

import argparse
from typing import Any

from chapter04_deepdream import networks
from chapter07_style_transfer import data, mixture, objective, random_filters
from chapter07_style_transfer.model import MIN_SIZE
from common import cli, rundir
from common.errors import UserError


def add_image_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the sizes of photographs and style image."""
    group = parser.add_argument_group("images")
    group.add_argument("--image_size", type=cli.size, default=128,
                       help="height and width of the crops in pixels")
    group.add_argument("--scale_size", type=cli.size, default=160,
                       help="pixels of a photograph's shorter side before it is cropped")
    group.add_argument("--style_size", type=cli.size, default=256,
                       help="pixels of the style image's shorter side")
    group.add_argument("--crop", choices=["random", "central"], default="random",
                       help="random: crops at random, mirrored at random, and the whole style "
                            "image; central: central squares, as in the book")


def add_generator_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the network that is trained."""
    group = parser.add_argument_group("generator")
    group.add_argument("--generator", choices=["residual", "book"], default="residual",
                       help="book: the original's to the last constant")
    group.add_argument("--width", type=cli.size, default=16,
                       help="channels of the residual generator at full size")
    group.add_argument("--upsampling", choices=["resize", "transposed"], default="resize",
                       help="resize: nearest neighbour and convolution; or transposed convolution")
    group.add_argument("--norm", choices=["instance", "batch"], default="instance",
                       help="normalization of the residual generator")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the optimizer, and of the intervals."""
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=3000, help="updates in all")
    group.add_argument("--epochs", "--epoch", type=cli.positive_int,
                       help="passes over the photographs; sets --max_steps")
    group.add_argument("--batch_size", type=cli.size, default=1, help="photographs per update")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.001,
                       help="learning rate of Adam")
    group.add_argument("--schedule", choices=["constant", "cosine"], default="cosine",
                       help="learning rate schedule; cosine: to 0 at --max_steps")
    group.add_argument("--clip_norm", type=cli.positive_float, default=10.0,
                       help="maximum global norm of the gradients")
    cli.add_init_from(group)
    group.add_argument("--log_every", type=cli.positive_int, default=25,
                       help="steps between two log entries")
    group.add_argument("--eval_every", type=cli.positive_int, default=250,
                       help="steps between two evaluations of the held-out photographs")
    group.add_argument("--save_every", type=cli.positive_int, default=250,
                       help="steps between two checkpoints")


def build_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns the parser of train.py; the keys of the original's YAML files keep their names."""
    parser = cli.training_parser(file, doc, presets, free=["epochs"],
                                 neutral=["conf", "style_image"])
    parser.add_argument("-c", "--conf", metavar="FILE",
                        help="YAML file of flags, as the original's; typed flags override it")
    parser.add_argument("--style_image", type=mixture.style_images, default="waves",
                        help="file, or a style drawn by code: waves, mosaic or strokes; several, "
                             "comma-separated, are learnt by one network")
    data.add_flags(parser)
    add_image_flags(parser)
    objective.add_flags(parser)
    networks.add_flags(parser, "VGG16", "imagenet", True, others=[random_filters.NAME])
    add_generator_flags(parser)
    add_training_flags(parser)
    return parser


def check(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect, or sizes contradict each other."""
    known = mixture.names(args.style_image)
    if len(set(known)) < len(known):
        raise UserError(f"two styles are called {max(known, key=known.count)}",
                        "give style images of different names")
    if len(known) > 1 and (args.generator == "book" or args.norm == "batch"):
        raise UserError(f"{len(known)} styles with --generator {args.generator} and --norm "
                        f"{args.norm}", "several styles share a residual generator with instance "
                        "normalization")
    if args.generator == "book":
        cli.refuse_idle(args, ["width", "upsampling", "norm"], "--generator book")
    if args.crop == "central":
        cli.refuse_idle(args, ["scale_size"], "--crop central")
        args.scale_size = args.image_size
    if args.scale_size < args.image_size:
        raise UserError(f"--scale_size {args.scale_size} is below --image_size {args.image_size}",
                        "photographs are resized to --scale_size before --image_size is cropped")
    check_sizes(args.network, image_size=args.image_size, style_size=args.style_size)


def check_sizes(network: str | None, **sizes: int | None) -> None:
    """Raises UserError if images of a size, in pixels, are too small for the networks.

    Args:
        network: `--network`, or None if images are only stylized, not judged.
        sizes: by the name of the flag; None is not checked.
    """
    least = random_filters.MIN_SIZE if network == random_filters.NAME else MIN_SIZE
    for flag, size in sizes.items():
        if size is not None and size < least:
            raise UserError(f"--{flag} {size} is below {least}", "raise it")


def set_steps(args: argparse.Namespace, count: int) -> None:
    """Turns `--epochs` of `count` photographs into `--max_steps`; a typed `--max_steps` wins."""
    if "max_steps" in args.typed:
        cli.refuse_idle(args, ["epochs"], f"--max_steps {args.max_steps}")
        args.epochs = None
    elif args.epochs:
        args.max_steps = max(1, args.epochs * count // args.batch_size)
        rundir.check_epochs(args)
