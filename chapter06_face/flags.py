"""The flags that train.py and train_triplet.py share, most of them the original's."""

import argparse
from pathlib import Path
from typing import Any

import keras

from chapter06_face import data
from chapter06_face.model import FEATURES
from common import cli, pretrained
from common.errors import UserError

Rate = float | keras.optimizers.schedules.LearningRateSchedule

OPTIMIZERS = ["adagrad", "adadelta", "adam", "rmsprop", "mom"]  # the original's, in lower case


def learning_rate(text: str) -> float:
    """Returns a number above 0, or -1 for the schedule file (an argparse `type`)."""
    return -1.0 if text in ("-1", "-1.0") else cli.positive_float(text)


def build_parser(
    file: str, doc: str, presets: dict[str, dict[str, Any]], neutral: tuple[str, ...] = ()
) -> cli.Parser:
    """Returns the parser of a training script, without the flags of its loss."""
    parser = cli.training_parser(
        file, doc, presets, free=["learning_rate_decay_epochs", "learning_rate_decay_factor"],
        neutral=["fold", "split_seed", *neutral])
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--model_def", choices=[*FEATURES, *pretrained.NETWORKS], default="small",
                       help="network: the original's, a small one, or one of keras.applications")
    group.add_argument("--weights", type=pretrained.weights, default="none",
                       help="initial weights of a network of keras.applications: imagenet "
                            "(downloaded once), none (random), or a file")
    group.add_argument("--network_alpha", type=cli.positive_float,
                       help="width multiplier of a MobileNet (default: 1)")
    group.add_argument("--layer", help="the layer of a network of keras.applications whose feature "
                                       "maps are used (default: its last)")
    group.add_argument("--trainable_network", action=argparse.BooleanOptionalAction, default=True,
                       help="train the network of keras.applications too, not its head alone")
    cli.add_init_from(group)
    group.add_argument("--embedding_size", type=cli.size, default=128,
                       help="dimension of the embeddings")
    group.add_argument("--keep_prob", type=cli.above_0_to_1, default=1.0,
                       help="keep probability of the dropout before the last layer")
    group = parser.add_argument_group("optimizer")
    group.add_argument("--weight_decay", type=cli.from_0_to_1, default=0.0,
                       help="L2 regularization strength: times half the sum of squares of all "
                            "kernels")
    group.add_argument("--optimizer", choices=OPTIMIZERS, type=str.lower, default="adagrad",
                       help="optimizer")
    group.add_argument("--learning_rate", type=learning_rate, default=0.1,
                       help="initial learning rate; -1 reads it from a schedule file")
    group.add_argument("--learning_rate_schedule_file", type=cli.path, metavar="FILE",
                       help="lines `epoch: rate`, with --learning_rate -1")
    group.add_argument("--learning_rate_decay_epochs", type=cli.positive_int, default=100,
                       help="epochs between two steps of the decay")
    group.add_argument("--learning_rate_decay_factor", type=cli.above_0_to_1, default=1.0,
                       help="factor of each step of the decay")
    group.add_argument("--moving_average_decay", type=cli.from_0_to_1, default=0.9999,
                       help="decay of the averages of all weights, which are evaluated")
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=500000, help="updates in all")
    group.add_argument("--epoch_size", type=cli.positive_int, default=1000,
                       help="steps per epoch, of the schedules")
    group.add_argument("--lfw_dir", type=cli.path,
                       help="folder of aligned faces that are evaluated too")
    group.add_argument("--lfw_pairs", type=cli.path, help="pairs.txt of --lfw_dir")
    group.add_argument("--log_every", type=cli.positive_int, default=10,
                       help="steps between two log lines")
    group.add_argument("--eval_every", type=cli.positive_int, default=1000,
                       help="steps between two evaluations of the people held out")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="steps between two checkpoints")
    return parser


def refuse_idle(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect beside another, or one that is needed is missing."""
    if args.model_def in FEATURES:
        cli.refuse_idle(args, ["weights", "network_alpha", "layer", "trainable_network"],
                        f"--model_def {args.model_def}")
    if args.init_from:
        cli.refuse_idle(args, ["weights"], f"--init_from {args.init_from}")
    elif not args.trainable_network and args.weights == "none":
        raise UserError("--no-trainable_network would freeze a network of random weights",
                        "add --weights imagenet or a file, or --init_from RUN")
    if not args.filter_filename:
        cli.refuse_idle(args, ["filter_percentile", "filter_min_nrof_images_per_class"],
                        "no --filter_filename")
    if args.learning_rate == -1:
        cli.refuse_idle(args, ["learning_rate_decay_epochs", "learning_rate_decay_factor"],
                        "--learning_rate -1")
        if not args.learning_rate_schedule_file:
            raise UserError("--learning_rate -1 without --learning_rate_schedule_file",
                            "give the file, or a learning rate")
    else:
        cli.refuse_idle(args, ["learning_rate_schedule_file"],
                        f"--learning_rate {args.learning_rate}")
    if bool(args.lfw_dir) != bool(args.lfw_pairs):
        raise UserError("--lfw_dir and --lfw_pairs belong together", "give both, or none")


def read_schedule(path: Path) -> list[tuple[int, float]]:
    """Reads lines `epoch: rate`, ascending; `#` begins a comment.

    After the last line its rate holds. (The original's reader returned nothing there.)

    Raises:
        UserError: the file cannot be read, or has another form.
    """
    hint = "write lines such as `65: 0.01`, the first for epoch 0"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", hint) from error
    rows: list[tuple[int, float]] = []
    for number, line in enumerate(lines, 1):
        if not (text := line.partition("#")[0].strip()):
            continue
        try:
            epoch, rate = text.split(":")
            rows.append((int(epoch), float(rate)))
        except ValueError as error:
            raise UserError(f"line {number} of {path} is {line!r}", hint) from error
        if rows[-1][1] <= 0 or (rows[:-1] and rows[-1][0] <= rows[-2][0]):
            raise UserError(f"line {number} of {path} is {line!r}: epochs must rise, rates be "
                            "above 0", hint)
    if not rows or rows[0][0] != 0:
        raise UserError(f"{path} has no rate for epoch 0", hint)
    return rows


def make_rate(args: argparse.Namespace) -> Rate:
    """Returns the learning rate or its schedule, by step."""
    schedules = keras.optimizers.schedules
    if args.learning_rate == -1:
        epochs, rates = zip(*read_schedule(Path(args.learning_rate_schedule_file)), strict=True)
        # The rate changes behind a boundary: the first step of an epoch has its rate.
        return schedules.PiecewiseConstantDecay(
            [epoch * args.epoch_size - 1 for epoch in epochs[1:]] or [2**62],
            list(rates) if len(rates) > 1 else [*rates, *rates])
    if args.learning_rate_decay_factor < 1:
        return schedules.ExponentialDecay(
            args.learning_rate, args.learning_rate_decay_epochs * args.epoch_size,
            args.learning_rate_decay_factor, staircase=True)
    return args.learning_rate


def make_optimizer(args: argparse.Namespace) -> keras.Optimizer:
    """Returns the optimizer that the flags choose, with the original's constants."""
    optimizers, rate = keras.optimizers, make_rate(args)
    match args.optimizer:
        case "adagrad":
            return optimizers.Adagrad(rate, 0.1)
        case "adadelta":
            return optimizers.Adadelta(rate, 0.9, 1e-6)
        case "adam":
            return optimizers.Adam(rate, 0.9, 0.999, 0.1)
        case "rmsprop":
            return optimizers.RMSprop(rate, 0.9, 0.9, 1.0)
    return optimizers.SGD(rate, 0.9, nesterov=True)
