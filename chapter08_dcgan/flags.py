"""The flags of train.py; those of the data are in data.py, of the judge in judge.py."""

import argparse
from typing import Any

from chapter08_dcgan import data, judge
from chapter08_dcgan.augment import TRANSFORMS
from chapter08_dcgan.model import Z_DIM
from common import cli, rundir
from common.errors import UserError


def policy(text: str) -> str:
    """Returns comma-separated names of transforms, in order (argparse `type`)."""
    names = text.split(",") if text else []
    for name in names:
        if name not in TRANSFORMS:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(TRANSFORMS)}")
        if names.count(name) > 1:
            raise argparse.ArgumentTypeError(f"{text} has {name} twice")
    return text


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of both networks and their losses."""
    group = parser.add_argument_group("networks and losses")
    group.add_argument("--model", choices=["compact", "book"], default="compact",
                       help="book: the original's to the last constant")
    group.add_argument("--width", type=cli.size, default=32,
                       help="channels of the compact networks at half the size of the images")
    group.add_argument("--z_dim", type=cli.size, default=Z_DIM, help="length of z")
    group.add_argument("--loss", choices=["gan", "hinge"], default="gan",
                       help="gan: cross-entropy, as in the book; hinge: with a margin")
    group.add_argument("--r1", type=cli.non_negative_float, default=0.0, metavar="WEIGHT",
                       help="weight of the gradient penalty R1, for --model compact; 0: none")
    group.add_argument("--augment", type=policy, default="", metavar="color,translation,cutout",
                       help="differentiable augmentation, for few images")
    group.add_argument("--ema_decay", type=cli.from_0_to_1, default=0.0,
                       help="decay of the moving averages of the generator's weights, which then "
                            "generate; 0: no averages")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the optimizers, and of the intervals."""
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=10000,
                       help="steps in total, each of --d_steps and --g_steps updates")
    group.add_argument("--epochs", "--epoch", type=cli.positive_int,
                       help="passes over the images; sets --max_steps")
    group.add_argument("--batch_size", type=cli.size, default=64, help="images per update")
    group.add_argument("--learning_rate", type=cli.positive_float, default=2e-4,
                       help="learning rate of both Adams")
    group.add_argument("--beta1", type=cli.from_0_to_1, default=0.5, help="momentum of both Adams")
    group.add_argument("--d_steps", type=cli.layer_count, default=1,
                       help="updates of the discriminator per step, each with images of its own")
    group.add_argument("--g_steps", type=cli.layer_count, default=1,
                       help="updates of the generator per step, all with the same z")
    group.add_argument("--jit_compile", action=argparse.BooleanOptionalAction, default=False,
                       help="compile with XLA; for GPUs, slower on CPUs")
    cli.add_init_from(group)
    group.add_argument("--log_every", type=cli.positive_int, default=50,
                       help="steps between two log entries")
    group.add_argument("--sample_every", type=cli.positive_int, default=100,
                       help="steps between two sample sheets")
    group.add_argument("--eval_every", type=cli.positive_int, default=500,
                       help="steps between two measurements of the kernel distance")
    group.add_argument("--kid_images", type=cli.non_negative_int, default=500,
                       help="generated images of each of them; 0: do not measure, keep no best "
                            "checkpoint")
    group.add_argument("--save_every", type=cli.positive_int, default=500,
                       help="steps between two checkpoints")


def build_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns the parser of train.py."""
    parser = cli.training_parser(file, doc, presets, free=["epochs", "sample_every"],
                                 neutral=["reader", "sample_every", "weights"])
    data.add_flags(parser)
    judge.add_flags(parser)
    add_network_flags(parser)
    add_training_flags(parser)
    return parser


def check(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect."""
    if args.model == "book":
        cli.refuse_idle(args, ["width"], "--model book")
        if args.r1:
            raise UserError(f"--r1 {args.r1:g} with --model book, whose discriminator has batch "
                            "normalization: there the gradients of an image are of others too",
                            "omit it, or give --model compact")
    if not args.kid_images:
        cli.refuse_idle(args, [*judge.NETWORK_FLAGS, "reader"], "--kid_images 0")
    if 0 < args.kid_images < 4:
        raise UserError(f"--kid_images {args.kid_images}", "give at least 4, or 0")
    if args.jit_compile and args.r1:
        raise UserError("--jit_compile with --r1", "omit one of them")


def set_steps(args: argparse.Namespace, count: int) -> None:
    """Turns `--epochs` of `count` images into `--max_steps`; a typed `--max_steps` wins.

    As in the original, the rest of an epoch that is smaller than a batch is not a step: 70,000
    images in batches of 64 are 1,093 steps.
    """
    if "max_steps" in args.typed:
        cli.refuse_idle(args, ["epochs"], f"--max_steps {args.max_steps}")
        args.epochs = None
    elif args.epochs:
        args.max_steps = args.epochs * max(1, count // (args.batch_size * args.d_steps))
        rundir.check_epochs(args)
