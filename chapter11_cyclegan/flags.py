"""The flags of train.py and train_cut.py. Those of the original keep their names."""

import argparse
from typing import Any

from chapter11_cyclegan import data
from chapter11_cyclegan.model import STRIDED, default_blocks
from common import cli
from common.errors import UserError


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the networks."""
    group = parser.add_argument_group("networks")
    group.add_argument("--ngf", type=cli.size, default=64,
                       help="channels of the first layer of a generator")
    group.add_argument("--ndf", type=cli.size, default=64,
                       help="channels of the first layer of a discriminator")
    group.add_argument("--blocks", type=cli.layer_count,
                       help="residual blocks (default: 6 for images of at most 128 pixels, else 9)")
    group.add_argument("--netD", choices=list(STRIDED), default="patch94",
                       help="discriminator; the number is the side of the square that it judges: "
                            "94 the original's, 70 the paper's")
    group.add_argument("--norm", choices=["instance", "batch"], default="instance",
                       help="normalization of all networks")
    group.add_argument("--upsample", choices=["transpose", "resize"], default="transpose",
                       help="transpose: transposed convolutions, as the original; resize: nearest "
                            "pixels and a convolution, without a pattern of dots")
    group.add_argument("--identity_start", action=argparse.BooleanOptionalAction, default=False,
                       help="begin with generators that copy: tanh(convolution + atanh(input))")
    group.add_argument("--precision", choices=["float32", "bfloat16"], default="float32",
                       help="compute dtype; weights and losses stay in float32")


def add_loss_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Adds the flag of the adversarial loss; returns its group."""
    group = parser.add_argument_group("loss")
    group.add_argument("--use_lsgan", action=argparse.BooleanOptionalAction, default=True,
                       help="least squares; --no-use_lsgan: cross-entropy")
    return group


def add_cycle_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the losses of train.py."""
    group = add_loss_flags(parser)
    group.add_argument("--lambda1", type=cli.non_negative_float, default=10.0,
                       help="weight of the cycle X to Y to X")
    group.add_argument("--lambda2", type=cli.non_negative_float, default=10.0,
                       help="weight of the cycle Y to X to Y")
    group.add_argument("--identity_weight", type=cli.non_negative_float, default=0.0,
                       help="weight of |G(y) - y| and |F(x) - x|, times lambda2 and lambda1; the "
                            "paper's is .5")
    group.add_argument("--pool_size", type=cli.number(int, 0, 10_000, "from 0 to 10000"),
                       default=50, help="earlier images that a discriminator may see; 0: none")


def add_contrast_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the losses of train_cut.py."""
    group = add_loss_flags(parser)
    group.add_argument("--nce_weight", type=cli.positive_float, default=1.0,
                       help="weight of the contrastive loss")
    group.add_argument("--nce_identity", action=argparse.BooleanOptionalAction, default=True,
                       help="contrast G(y) with images y of the target too")
    group.add_argument("--nce_patches", type=cli.size, default=256,
                       help="patches of a layer that are told apart")
    group.add_argument("--nce_temperature", type=cli.positive_float, default=0.07,
                       help="temperature of their softmax")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the optimizers, and of the intervals."""
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=200_000, help="updates in all")
    group.add_argument("--batch_size", type=cli.size, default=1, help="images of each domain")
    group.add_argument("--learning_rate", type=cli.positive_float, default=2e-4,
                       help="learning rate of Adam, of all networks")
    group.add_argument("--schedule", choices=["linear", "constant"], default="linear",
                       help="linear: constant for half of --max_steps, then linear to 0")
    group.add_argument("--beta1", type=cli.from_0_to_1, default=0.5, help="beta1 of Adam")
    group.add_argument("--ema_decay", type=cli.number(float, 0, 0.99999, "from 0 to 0.99999"),
                       default=0.0, help="decay of the moving averages of the generators' weights, "
                                         "which are then evaluated and exported; 0: none")
    group.add_argument("--judge", type=cli.path, metavar="FILE",
                       help="weights of a MobileNet .75: the checkpoint whose translations of "
                            "training images have the lowest kernel distance is the best")
    cli.add_init_from(group)
    group.add_argument("--log_every", type=cli.positive_int, default=100,
                       help="steps between two log entries")
    group.add_argument("--eval_every", type=cli.positive_int, default=500,
                       help="steps between two sample sheets")
    group.add_argument("--save_every", type=cli.positive_int, default=500,
                       help="steps between two checkpoints")


def build_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns the parser of train.py."""
    parser = shared_parser(file, doc, presets)
    add_cycle_flags(parser)
    return parser


def build_cut_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns the parser of train_cut.py."""
    parser = shared_parser(file, doc, presets)
    parser.add_argument("--direction", choices=["XtoY", "YtoX"], default="XtoY",
                        help="XtoY: translate images of the first domain; YtoX: of the second")
    add_contrast_flags(parser)
    return parser


def shared_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns a parser with the flags of both training scripts."""
    parser = cli.training_parser(file, doc, presets, free=["X", "Y", "judge"],
                                 neutral=["X", "Y", "fold", "judge"])
    data.add_flags(parser)
    add_network_flags(parser)
    add_training_flags(parser)
    return parser


def check(args: argparse.Namespace) -> None:
    """Sets the number of blocks; raises UserError if flags contradict each other."""
    if args.image_size % 4:
        raise UserError(f"--image_size {args.image_size} is no multiple of 4",
                        f"give {args.image_size // 4 * 4}")
    args.blocks = args.blocks or default_blocks(args.image_size)
    if args.ema_decay and args.norm == "batch":
        raise UserError(f"--ema_decay {args.ema_decay} with --norm batch",
                        "the averaged weights would need statistics of their own: take --norm "
                        "instance")
    data.check(args)


def check_cycle(args: argparse.Namespace) -> None:
    """Raises UserError for an identity loss whose weights are 0."""
    if args.identity_weight and not (args.lambda1 or args.lambda2):
        raise UserError(f"--identity_weight {args.identity_weight} has no effect with --lambda1 0 "
                        "--lambda2 0", "omit it, or raise --lambda1 and --lambda2")
