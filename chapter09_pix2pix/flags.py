"""The flags of train.py. Those of the original keep their names."""

import argparse
from typing import Any

from chapter09_pix2pix import data, perceptual
from chapter09_pix2pix.model import DISCRIMINATORS, GENERATORS, depth_of
from common import cli, rundir
from common.errors import UserError


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of generator and discriminator."""
    group = parser.add_argument_group("networks")
    group.add_argument("--netG", choices=list(GENERATORS), default="unet_256",
                       help="generator; the number is the side that the U-Net reduces to a pixel")
    group.add_argument("--netD", choices=list(DISCRIMINATORS), default="patch70",
                       help="discriminator; the number is the side of the square it judges")
    group.add_argument("--ngf", type=cli.size, default=64, help="channels of G's first layer")
    group.add_argument("--ndf", type=cli.size, default=64, help="channels of D's first layer")
    group.add_argument("--max_width", type=cli.number(int, 1, 64, "a whole number from 1 to 64"),
                       default=8, help="widest layer of G, as a multiple of --ngf")
    group.add_argument("--norm", choices=["batch", "instance"], default="batch",
                       help="normalization of both networks")
    group.add_argument("--dropout", action=argparse.BooleanOptionalAction, default=True,
                       help="dropout in the first layers of the decoder")
    group.add_argument("--precision", choices=["float32", "bfloat16"], default="float32",
                       help="compute dtype; weights and losses stay in float32")


def add_loss_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the losses."""
    group = parser.add_argument_group("loss")
    group.add_argument("--l1_weight", type=cli.non_negative_float, default=100.0,
                       help="weight of the difference from the target in the generator's loss")
    group.add_argument("--gan_weight", type=cli.non_negative_float, default=1.0,
                       help="weight of the discriminator's judgement; 0: no discriminator")
    group.add_argument("--pixel_loss", choices=["l1", "l2"], default="l1",
                       help="difference from the target: absolute or squared")
    perceptual.add_flags(group, weight=0.0)


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the optimizers, and of the intervals."""
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=2000, help="updates in all")
    group.add_argument("--epochs", "--max_epochs", type=cli.positive_int,
                       help="passes over the training pairs; sets --max_steps")
    group.add_argument("--batch_size", type=cli.size, default=1, help="pairs per update")
    group.add_argument("--learning_rate", "--lr", type=cli.positive_float, default=2e-4,
                       help="learning rate of Adam, of both networks")
    group.add_argument("--schedule", choices=["constant", "cosine"], default="constant",
                       help="learning rate schedule; cosine: to 0 at --max_steps")
    group.add_argument("--beta1", type=cli.from_0_to_1, default=0.5, help="beta1 of Adam")
    group.add_argument("--ema_decay", type=cli.number(float, 0, 0.99999, "from 0 to 0.99999"),
                       default=0.0, help="decay of the moving average of G's weights, which is "
                                         "then evaluated and exported; 0: none")
    cli.add_init_from(group)
    group.add_argument("--select", choices=["none", "psnr", "ssim", "l1"], default="none",
                       help="validation score of the best checkpoint; none: the latest is used, "
                            "because these scores prefer the blurred outputs of early steps")
    group.add_argument("--log_every", "--summary_freq", type=cli.positive_int, default=25,
                       help="steps between two log entries")
    group.add_argument("--eval_every", "--display_freq", type=cli.positive_int, default=250,
                       help="steps between two evaluations, each with a sample sheet")
    group.add_argument("--save_every", "--save_freq", type=cli.positive_int, default=250,
                       help="steps between two checkpoints")


def build_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns the parser of train.py."""
    parser = cli.training_parser(file, doc, presets, free=["epochs"])
    data.add_flags(parser)
    add_network_flags(parser)
    add_loss_flags(parser)
    add_training_flags(parser)
    return parser


def check(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect, or sizes contradict each other."""
    if not args.gan_weight:
        cli.refuse_idle(args, ["netD", "ndf"], "--gan_weight 0")
        if not args.l1_weight and not args.perceptual_weight:
            raise UserError("--l1_weight 0 and --gan_weight 0", "raise one of them")
    if not args.l1_weight:
        cli.refuse_idle(args, ["pixel_loss"], "--l1_weight 0")
    perceptual.check(args)
    if args.lab_colorization and args.perceptual_weight:
        raise UserError("--perceptual_weight with --lab_colorization: outputs are no RGB images",
                        "omit one of them")
    if args.crop == "resized":
        cli.refuse_idle(args, ["scale_size"], "--crop resized")
    multiple = 2 ** depth_of(args.netG, args.crop_size)
    if args.crop_size % multiple or multiple == 1:
        raise UserError(f"--crop_size {args.crop_size} with --netG {args.netG}",
                        f"give a multiple of {max(multiple, 2)}, or another --netG")
    data.check(args)


def set_steps(args: argparse.Namespace, count: int) -> None:
    """Turns `--epochs` of `count` pairs into `--max_steps`; a typed `--max_steps` wins."""
    if "max_steps" in args.typed:
        cli.refuse_idle(args, ["epochs"], f"--max_steps {args.max_steps}")
        args.epochs = None
    elif args.epochs:
        args.max_steps = max(1, args.epochs * count // args.batch_size)
        rundir.check_epochs(args)
