"""The flags of train.py and train_srgan.py."""

import argparse
from typing import Any

from chapter09_pix2pix import perceptual
from chapter10_super_resolution import data
from common import cli


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the network."""
    group = parser.add_argument_group("network")
    group.add_argument("--blocks", type=cli.size, default=16, help="residual blocks")
    group.add_argument("--width", type=cli.size, default=32, help="channels of the inner layers")
    group.add_argument("--upsampling", choices=["direct", "stages"], default="direct",
                       help="direct: one convolution and pixel shuffle; stages: the paper's, whose "
                            "last layers work at full size")
    group.add_argument("--precision", choices=["float32", "bfloat16"], default="float32",
                       help="compute dtype; weights and the loss stay in float32")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the optimizer, and of the intervals."""
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=2000, help="updates in all")
    group.add_argument("--batch_size", type=cli.size, default=16, help="patches per update")
    group.add_argument("--learning_rate", type=cli.positive_float, default=1e-3,
                       help="learning rate of Adam")
    group.add_argument("--schedule", choices=["constant", "cosine", "halving"], default="cosine",
                       help="learning rate schedule; cosine: to 0 at --max_steps; halving: every "
                            "--halve_every steps")
    group.add_argument("--halve_every", type=cli.positive_int, default=200_000,
                       help="halving: steps after which the rate is halved")
    group.add_argument("--clip_norm", type=cli.positive_float, default=1.0,
                       help="largest norm of all gradients together")
    group.add_argument("--ema_decay", type=cli.number(float, 0, 0.99999, "from 0 to 0.99999"),
                       default=0.998, help="decay of the moving average of the weights, which is "
                                           "evaluated and exported; 0: the weights themselves")
    cli.add_init_from(group)
    group.add_argument("--log_every", type=cli.positive_int, default=50,
                       help="steps between two log entries")
    group.add_argument("--eval_every", type=cli.positive_int, default=500,
                       help="steps between two evaluations, each with a sample sheet")
    group.add_argument("--save_every", type=cli.positive_int, default=500,
                       help="steps between two checkpoints")


def build_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns the parser of train.py."""
    parser = cli.training_parser(file, doc, presets)
    data.add_flags(parser)
    add_network_flags(parser)
    add_training_flags(parser)
    return parser


def build_srgan_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns the parser of train_srgan.py."""
    parser = build_parser(file, doc, presets)
    group = parser.add_argument_group("loss")
    group.add_argument("--pixel_weight", type=cli.non_negative_float, default=1.0,
                       help="weight of the mean absolute difference, of pictures in [0, 1]")
    perceptual.add_flags(group, weight=0.1)
    group.add_argument("--gan_weight", type=cli.positive_float, default=0.005,
                       help="weight of the discriminator's judgement")
    group.add_argument("--ndf", type=cli.size, default=64,
                       help="channels of the discriminator's first layer")
    return parser


def check(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect, or those of the data contradict each other."""
    if args.schedule != "halving":
        cli.refuse_idle(args, ["halve_every"], f"--schedule {args.schedule}")
    if "perceptual_weight" in vars(args):
        perceptual.check(args)
    data.check(args)
