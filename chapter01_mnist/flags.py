"""The flags of both training scripts."""

import argparse

import keras

from chapter01_mnist import data
from common import cli, files


def add_flags(parser: argparse.ArgumentParser, rate: float) -> None:
    """Adds the flags of data and training.

    Args:
        parser: parser of a training script.
        rate: default of `--learning_rate`.
    """
    data.add_flags(parser)
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=20000, help="updates in total")
    group.add_argument("--batch_size", type=cli.size, default=50, help="images per update")
    group.add_argument("--learning_rate", type=cli.positive_float, default=rate,
                       help="learning rate, or the initial one of a schedule")
    group.add_argument("--schedule", choices=["constant", "cosine"], default="constant",
                       help="of the learning rate; cosine: decays to 0 at --max_steps")
    group.add_argument("--augment", action=argparse.BooleanOptionalAction, default=False,
                       help="rotate, zoom and shift the training images slightly")
    cli.add_init_from(group)
    group.add_argument("--log_every", type=cli.positive_int, default=100,
                       help="steps between two log lines")
    group.add_argument("--eval_every", type=cli.positive_int, default=500,
                       help="steps between two evaluations on the validation images")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="steps between two checkpoints")


def learning_rate(args: argparse.Namespace) -> float | keras.optimizers.schedules.CosineDecay:
    """Returns the learning rate, or its schedule as a function of the step."""
    if args.schedule == "constant":
        return args.learning_rate
    return keras.optimizers.schedules.CosineDecay(args.learning_rate, args.max_steps)


def introduce(args: argparse.Namespace, splits: dict[str, data.Split]) -> None:
    """Prints the model and its training data, and for the demo the command of the book's run."""
    print(f"training {args.model} on {len(splits['train'].labels):,} images of {args.dataset}")
    if args.preset == "demo":
        print(f"the book's run: python {args.script} --preset book --data_dir MNIST_FOLDER")
        if (folder := files.default_dir("mnist")).is_dir() and args.dataset == "digits":
            print(f"MNIST is already in {folder}: add --dataset mnist")
