"""The flags of train.py, and the constants of the book's four methods."""

import argparse
from collections.abc import Sequence

from chapter04_deepdream import data, networks, objectives
from chapter04_deepdream.ascent import NORMALIZATIONS, Rule
from common import cli, rundir
from common.flags import typed_flags

ratio = cli.number(float, 1, 10, "a number from 1 to 10")

# What the four scripts of the book set (sections 4.2.2 to 4.2.5).
METHODS = {
    "naive": {"image": "noise", "octaves": 1, "octave_scale": 1.4, "iterations": 20,
              "step_size": 1.0, "normalize": "deviation", "jitter": 0},
    "multiscale": {"image": "noise", "octaves": 3, "octave_scale": 1.4, "iterations": 20,
                   "step_size": 1.0, "normalize": "deviation"},
    "lapnorm": {"image": "noise", "octaves": 3, "octave_scale": 1.4, "iterations": 20,
                "step_size": 1.0, "normalize": "laplacian"},
    "deepdream": {"image": "china", "octaves": 4, "octave_scale": 1.4, "iterations": 10,
                  "step_size": 1.5, "normalize": "mean"},
}
FILES = ("image", "guide", "weights")  # which may have moved since a run
OF_METHOD = "(default: the method's)"


def add_flags(parser: cli.Parser, network: str, weights: str | None) -> None:
    """Adds all flags of train.py; `network` and `weights` are defaults."""
    networks.add_flags(parser, network, weights)
    objectives.add_flags(parser)
    data.add_flags(parser)
    group = parser.add_argument_group("gradient ascent")
    group.add_argument("--method", choices=list(METHODS), default="deepdream",
                       help="the book's script, which sets the defaults of the flags below; "
                            "deepdream begins with the smallest octave of the start picture, the "
                            "others enlarge it")
    group.add_argument("--iterations", type=cli.positive_int,
                       help=f"steps per octave {OF_METHOD}")
    group.add_argument("--octaves", type=cli.layer_count, help=f"number of sizes {OF_METHOD}")
    group.add_argument("--octave_scale", type=ratio,
                       help=f"ratio of two successive sizes {OF_METHOD}")
    group.add_argument("--step_size", "--learning_rate", type=cli.positive_float,
                       help=f"change of a pixel per step, of 255 {OF_METHOD}")
    group.add_argument("--normalize", choices=list(NORMALIZATIONS),
                       help="what the gradient is divided by: its standard deviation, its mean "
                            "absolute value, or the root mean square of each band of its Laplacian "
                            f"pyramid {OF_METHOD}")
    group.add_argument("--tile_size", type=cli.size, default=512,
                       help="longest side of a tile in pixels; a tile is what the network sees")
    group.add_argument("--jitter", type=cli.non_negative_int,
                       help="longest random shift in pixels (default: the whole picture; naive: 0)")
    group.add_argument("--total_variation", type=cli.non_negative_float, default=0.0,
                       help="weight of total variation: makes pictures smooth")
    group.add_argument("--decay", type=cli.from_0_to_1, default=0.0,
                       help="share of its distance from grey that a pixel loses per step")
    group.add_argument("--blur", type=cli.from_0_to_1, default=0.0,
                       help="share of the picture that is blurred per step")
    group.add_argument("--max_steps", type=cli.positive_int,
                       help="total number of steps (default: octaves x iterations); further ones "
                            "belong to the last octave")
    group.add_argument("--log_every", type=cli.positive_int, default=1,
                       help="steps between log lines")
    group.add_argument("--save_every", type=cli.positive_int, default=20,
                       help="steps between checkpoints")


def settle(args: argparse.Namespace) -> None:
    """Fills in the constants of the method.

    Flags that were typed win. Those of a preset win, unless the method was typed.

    Raises:
        UserError: a flag has no effect.
    """
    of_method = "method" in args.typed and not rundir.exists(args.run_dir)
    for flag, value in METHODS[args.method].items():
        if getattr(args, flag) is None or (of_method and flag not in args.typed):
            setattr(args, flag, value)
    if args.octaves == 1:
        cli.refuse_idle(args, ["octave_scale"], "--octaves 1")
    if args.max_steps is None:
        args.max_steps = args.octaves * args.iterations
    objectives.settle(args)


def rule(args: argparse.Namespace) -> Rule:
    """Returns how the picture follows the gradient."""
    return Rule(args.normalize, args.tile_size, args.jitter, args.total_variation, args.decay,
                args.blur)


def growing(args: argparse.Namespace) -> bool:
    """Returns whether the start picture is the smallest octave, see `pyramid.octave_sizes`."""
    return args.method != "deepdream"


def parse(parser: cli.Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line of a script without a run; `typed` holds the flags that were typed.

    `cli.refuse_idle` needs them.
    """
    args = parser.parse_args(argv)
    args.typed = typed_flags(parser, argv)
    return args
