"""What train.py and train_texts.py share: flags, the optimizer, and compile and fit."""

import argparse
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from chapter13_sequence_classification.data import Split
from chapter13_sequence_classification.inference import make_predict, score
from chapter13_sequence_classification.model import CELLS, SequenceClassifier
from common import cli
from common.fit import Fit

RECURRENT_FLAGS = ("cell", "lstm_size", "num_layers", "bidirectional", "pool")


def add_recurrent_flags(parser: argparse.ArgumentParser) -> None:
    """Adds RECURRENT_FLAGS, which shape the recurrent layers."""
    group = parser.add_argument_group("recurrent layers")
    group.add_argument("--cell", choices=list(CELLS), default="lstm", help="kind of layer")
    group.add_argument("--lstm_size", type=cli.positive_int, default=64,
                       help="units per layer, in each direction")
    group.add_argument("--num_layers", type=cli.positive_int, default=1, help="layers")
    group.add_argument("--bidirectional", action=argparse.BooleanOptionalAction, default=False,
                       help="read from the end too")
    group.add_argument("--pool", choices=["last", "max"], default="last",
                       help="the output to keep: the last, or the largest of each unit")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the optimizer and of how often something happens."""
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=2000, help="updates in all")
    group.add_argument("--batch_size", type=cli.positive_int, default=128,
                       help="sequences per update")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.003, help="step size")
    group.add_argument("--schedule", choices=["constant", "cosine"], default="constant",
                       help="cosine: fall to 0 at --max_steps")
    group.add_argument("--optimizer", choices=["adam", "sgd"], default="adam", help="update rule")
    group.add_argument("--log_every", type=cli.positive_int, default=50,
                       help="steps between two log lines")
    group.add_argument("--eval_every", type=cli.positive_int, default=250,
                       help="steps between two scorings of the validation sequences")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="steps between two checkpoints")


def learning_rate(args: argparse.Namespace) -> float | keras.optimizers.schedules.CosineDecay:
    """Returns the rate, or its schedule over the steps."""
    if args.schedule == "constant":
        return args.learning_rate
    return keras.optimizers.schedules.CosineDecay(args.learning_rate, args.max_steps)


def fit(
    args: argparse.Namespace,
    model: SequenceClassifier,
    run: Path,
    make_batches: Callable[[int], tf.data.Dataset],
    validation: Split,
) -> dict[str, float]:
    """Trains by compile and fit until `--max_steps`, from the newest checkpoint of the run.

    Args:
        args: the flags of `add_training_flags`.
        model: built.
        run: the run folder.
        make_batches: from the restored step to the training stream.
        validation: what chooses the best checkpoint.

    Returns:
        The step and the validation scores.
    """
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        optimizers[args.optimizer](learning_rate(args)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[accuracy],
        jit_compile=False,
    )
    training = Fit(model, run, args, metrics=[accuracy])
    predict, scores = make_predict(model), {}

    def evaluate(step: int) -> None:
        """Scores the validation sequences and keeps the best weights."""
        scores.update(score(predict(validation), validation.labels))
        shown = {name: scores[name] for name in ("loss", "accuracy")}
        training.monitor.scalars(step, shown, "val")
        training.state.save_if_best(scores["loss"])

    training.run(make_batches(int(training.state.step)), evaluate)
    return {"step": int(training.state.step), **scores}
