"""The flags and optimizers that train.py and train_faster_rcnn.py share."""

import argparse
from typing import Any

import keras

from chapter05_detection import data
from chapter05_detection import pipeline as pipelines
from common import cli, pretrained
from common.errors import UserError

Rate = float | keras.optimizers.schedules.LearningRateSchedule

# The flags that each optimizer and each schedule reads.
OPTIMIZERS = {"adamw": ("weight_decay",), "momentum": ("momentum",),
              "rmsprop": ("momentum", "rmsprop_decay")}
SCHEDULES = {"constant": (), "cosine": (), "exponential": ("decay_steps", "decay_factor"),
             "steps": ("decay_steps", "decay_factor")}


def build_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns the parser of a training script."""
    parser = cli.training_parser(file, doc, presets,
                                 free=["decay_steps", "decay_factor", "patience"])
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--pipeline_config_path", type=pipelines.config_name,
                       default=presets["demo"]["pipeline_config_path"],
                       help="the detector: a name in configs/, or a YAML file; a run keeps its "
                            "own copy in config.json")
    group.add_argument("--weights", type=pretrained.weights, default="none",
                       help="initial weights of the network: imagenet (downloaded once), none "
                            "(random), or a file of a classifier")
    cli.add_init_from(group)
    group = parser.add_argument_group("optimizer")
    group.add_argument("--optimizer", choices=list(OPTIMIZERS), default="adamw", help="optimizer")
    group.add_argument("--learning_rate", type=cli.positive_float, default=1e-3,
                       help="initial learning rate of the new layers")
    group.add_argument("--backbone_rate", type=cli.non_negative_float, default=1.0,
                       help="learning rate of the network's own layers, as a multiple; 0 freezes "
                            "them")
    group.add_argument("--schedule", choices=list(SCHEDULES), default="cosine",
                       help="cosine: to 0 at --max_steps; exponential: times --decay_factor every "
                            "--decay_steps; steps: times --decay_factor at each of --decay_steps")
    group.add_argument("--decay_steps", type=step_list,
                       help="steps of the schedule exponential (one) or steps (comma-separated)")
    group.add_argument("--decay_factor", type=cli.from_0_to_1, default=0.1,
                       help="factor of the schedule")
    group.add_argument("--weight_decay", type=cli.from_0_to_1, default=1e-3,
                       help="decoupled weight decay, of adamw")
    group.add_argument("--momentum", type=cli.from_0_to_1, default=0.9,
                       help="momentum, of momentum and rmsprop")
    group.add_argument("--rmsprop_decay", type=cli.from_0_to_1, default=0.9,
                       help="decay of the mean of squared gradients, of rmsprop")
    group.add_argument("--clip_norm", type=cli.positive_float, default=10.0,
                       help="largest norm of all gradients together")
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=200000, help="updates in all")
    group.add_argument("--batch_size", type=cli.size, default=8, help="images per update")
    group.add_argument("--log_every", type=cli.positive_int, default=10,
                       help="steps between two log lines")
    group.add_argument("--eval_every", type=cli.positive_int, default=200,
                       help="steps between two evaluations of the validation images")
    group.add_argument("--patience", type=cli.positive_int,
                       help="early stopping: evaluations without a higher validation mAP that end "
                            "the run")
    group.add_argument("--save_every", type=cli.positive_int, default=200,
                       help="steps between two checkpoints")
    return parser


def step_list(text: str) -> str:
    """Returns steps, ascending and comma-separated, as they were typed (an argparse `type`)."""
    try:
        steps = [int(part) for part in text.split(",")]
    except ValueError:
        steps = [0]
    if steps[0] < 1 or sorted(set(steps)) != steps:
        raise argparse.ArgumentTypeError(f"{text} is not a list of ascending steps such as 800,900")
    return text


def refuse_idle(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect beside another."""
    def of_others(table: dict[str, tuple[str, ...]], chosen: str) -> list[str]:
        return [flag for flags in table.values() for flag in flags if flag not in table[chosen]]

    cli.refuse_idle(args, of_others(OPTIMIZERS, args.optimizer), f"--optimizer {args.optimizer}")
    cli.refuse_idle(args, of_others(SCHEDULES, args.schedule), f"--schedule {args.schedule}")
    if args.init_from:
        cli.refuse_idle(args, ["weights"], f"--init_from {args.init_from}")
    elif not args.backbone_rate and args.weights == "none":
        raise UserError("--backbone_rate 0 would freeze a network of random weights",
                        "add --weights imagenet, or --init_from RUN")
    check_decay_steps(args)


def check_decay_steps(args: argparse.Namespace) -> None:
    """Raises UserError if the schedule needs other `--decay_steps`."""
    if "decay_steps" in SCHEDULES[args.schedule] and not args.decay_steps:
        raise UserError(f"--schedule {args.schedule} without --decay_steps",
                        "say after how many steps the learning rate falls: --decay_steps 800")
    if args.schedule == "exponential" and "," in args.decay_steps:
        raise UserError(f"--schedule exponential with --decay_steps {args.decay_steps}",
                        "give one number: the steps between two falls of the learning rate")


def learning_rate(args: argparse.Namespace, factor: float) -> Rate:
    """Returns the learning rate or its schedule, times a factor."""
    schedules, rate = keras.optimizers.schedules, factor * args.learning_rate
    steps = [int(part) for part in (args.decay_steps or "").split(",") if part]
    match args.schedule:
        case "cosine":
            return schedules.CosineDecay(rate, args.max_steps)
        case "exponential":
            return schedules.ExponentialDecay(rate, steps[0], args.decay_factor, staircase=True)
        case "steps":
            values = [rate * args.decay_factor**number for number in range(len(steps) + 1)]
            return schedules.PiecewiseConstantDecay(steps, values)
    return rate


def make_optimizer(args: argparse.Namespace, factor: float = 1.0) -> keras.Optimizer:
    """Returns the optimizer that the flags choose; `factor` multiplies its learning rate."""
    optimizers, rate = keras.optimizers, learning_rate(args, factor)
    match args.optimizer:
        case "adamw":
            return optimizers.AdamW(rate, weight_decay=args.weight_decay)
        case "momentum":
            return optimizers.SGD(rate, args.momentum)
    return optimizers.RMSprop(rate, args.rmsprop_decay, args.momentum, epsilon=1.0)
