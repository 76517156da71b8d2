"""Shared by train.py and train_texts.py: flags, the optimizer, `compile` and `fit`."""

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
    """Adds RECURRENT_FLAGS, the flags of the recurrent layers."""
    group = parser.add_argument_group("recurrent layers")
    group.add_argument("--cell", choices=list(CELLS), default="lstm",
                       help="type of the recurrent layers")
    group.add_argument("--lstm_size", type=cli.size, default=64,
                       help="hidden units per layer and direction")
    group.add_argument("--num_layers", type=cli.layer_count, default=1, help="recurrent layers")
    group.add_argument("--bidirectional", action=argparse.BooleanOptionalAction, default=False,
                       help="process the sequence in both directions")
    group.add_argument("--pool", choices=["last", "max"], default="last",
                       help="pooling over time: the last output, or the maximum of each unit")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the optimizer, and of logging, evaluation and checkpoints."""
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=2000,
                       help="total number of training steps")
    group.add_argument("--batch_size", type=cli.size, default=128,
                       help="sequences per batch")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.003,
                       help="learning rate (with --schedule cosine the initial one)")
    group.add_argument("--schedule", choices=["constant", "cosine"], default="constant",
                       help="learning rate schedule; cosine: decay to 0 at --max_steps")
    group.add_argument("--optimizer", choices=["adam", "sgd"], default="adam", help="optimizer")
    group.add_argument("--log_every", type=cli.positive_int, default=50,
                       help="steps between log entries")
    group.add_argument("--eval_every", type=cli.positive_int, default=250,
                       help="steps between evaluations on the validation set")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="steps between checkpoints")


def learning_rate(args: argparse.Namespace) -> float | keras.optimizers.schedules.CosineDecay:
    """Returns a constant learning rate, or a cosine decay."""
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
    """Trains a model with `compile` and `fit`, from the run's latest checkpoint to `--max_steps`.

    Args:
        args: the flags of `add_training_flags`.
        model: built.
        run: the run folder.
        make_batches: returns the training stream from a given step on.
        validation: the split that selects the best checkpoint.

    Returns:
        The step and the validation scores.
    """
    # Compile: the optimizer, the cross-entropy of the logits, and the accuracy of each batch.
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        optimizers[args.optimizer](learning_rate(args)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[accuracy],
        jit_compile=False,
    )
    # Restore the latest checkpoint of the run, if there is one.
    training = Fit(model, run, args, metrics=[accuracy])
    predict, scores = make_predict(model), {}

    # A closure: `fit` calls it with the step alone, and the last scores are returned below.
    def evaluate(step: int) -> None:
        """Evaluates on the validation set; saves the weights with the lowest loss so far."""
        scores.update(score(predict(validation), validation.labels))
        shown = {name: scores[name] for name in ("loss", "accuracy")}
        training.monitor.scalars(step, shown, "val")
        training.state.save_if_best(scores["loss"])

    # Fit from the restored step. Logging, evaluation and checkpoints happen in a callback.
    training.run(make_batches(int(training.state.step)), evaluate)
    return {"step": int(training.state.step), **scores}
