"""Trains a convolutional network on digits (book, section 1.2.2; LeCun et al. 1998).

    python train.py                                          # scikit-learn's digits, one minute
    python train.py --preset book --data_dir MNIST_FOLDER
    python train.py --model lenet

Uses `compile` and `fit`; `train_softmax.py` shows a training loop. Expected accuracy on the test
set of MNIST: 99.2 % (book) and 99.5 % (best).
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from chapter01_mnist import data
from chapter01_mnist.flags import add_flags, introduce, learning_rate
from chapter01_mnist.inference import make_score, predict
from chapter01_mnist.model import NETWORKS, build_model
from common import checkpoint, cli, figures, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.fit import Fit

CLEAR_GAIN = 0.995  # an error rate below this fraction of the best one is a clear gain

TORCH = {"dataset": "mnist", "optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.5,
         "batch_size": 64, "eval_every": 430}
PRESETS = {
    "demo": {"max_steps": 1000, "eval_every": 200},
    "book": {"dataset": "mnist", "max_steps": 20000, "eval_every": 1000},
    "best": {
        "dataset": "mnist",
        "max_steps": 10000,
        "batch_size": 128,
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "augment": True,
        "eval_every": 500,
    },
    "lenet": {  # as in the Theano tutorials
        "dataset": "mnist",
        "model": "lenet",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "batch_size": 500,
        "keep_prob": 1.0,
        "max_steps": 22000,
        "eval_every": 110,
        "patience": 10000,
    },
    # A book on PyTorch: five and four epochs.
    "torch_small": TORCH | {"model": "torch_small", "max_steps": 4300},
    "torch_large": TORCH | {"model": "torch_large", "max_steps": 3440, "keep_prob": 1.0},
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=["patience"], neutral=["tfds"])
    add_flags(parser, rate=1e-4)
    group = parser.add_argument_group("network")
    group.add_argument("--model", choices=list(NETWORKS), default="conv", help="network")
    group.add_argument("--keep_prob", type=cli.above_0_to_1,
                       help="probability that dropout keeps an activation (default: .5 in conv and "
                            "torch_small, 1 in lenet and torch_large)")
    group.add_argument("--optimizer", choices=["adam", "sgd"], default="adam", help="optimizer")
    group.add_argument("--momentum", type=cli.from_0_to_1, default=0.0, help="momentum of sgd")
    group.add_argument("--patience", type=cli.positive_int,
                       help="early stopping: train for at least this many steps, and for twice the "
                            "step of the last clear gain in validation accuracy")
    group.add_argument("--jit_compile", action=argparse.BooleanOptionalAction, default=False,
                       help="compile with XLA; for GPUs, slower on CPUs")
    return parser


def patience_ended(args: argparse.Namespace, state: TrainState, improved: tf.Variable) -> bool:
    """Returns whether a run is to stop early, see `--patience`."""
    return args.patience is not None and int(state.step) >= max(args.patience, 2 * int(improved))


def train_network(
    args: argparse.Namespace,
    model: keras.Sequential,
    run: Path,
    splits: dict[str, data.Split],
) -> dict[str, float]:
    """Trains a network with `compile` and `fit`; returns the step and the validation scores."""
    # Minimize the cross-entropy of the softmax of the logits by Adam or by SGD.
    rate = learning_rate(args)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        keras.optimizers.Adam(rate) if args.optimizer == "adam" else
        keras.optimizers.SGD(rate, args.momentum),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[accuracy],
        jit_compile=args.jit_compile,
    )
    # Restore the latest checkpoint, if there is one: weights, optimizer, random state and step.
    improved = tf.Variable(0, dtype=tf.int64)  # the step of the last clear gain
    training = Fit(model, run, args, metrics=[accuracy], improved=improved)
    state = training.state
    # A run that early stopping has ended, at an evaluation, is resumed only with more patience.
    if int(state.step) % args.eval_every == 0 and patience_ended(args, state, improved):
        raise UserError(f"nothing to do: early stopping ended this run at step {int(state.step)}",
                        f"raise --patience, it is {args.patience}")
    score, scores = make_score(model), {}

    # A closure, because `fit` calls it in the middle of training.
    def evaluate(step: int) -> bool:
        """Evaluates on the validation images; returns whether to stop early."""
        # Loss and accuracy on the whole validation split, without dropout.
        best = float(state.best)  # infinite before the first evaluation
        scores.update(score(splits["validation"]))
        shown = {name: scores[name] for name in ("loss", "accuracy")}
        training.monitor.scalars(step, shown, "val")
        # Keep the weights with the highest validation accuracy.
        state.save_if_best(scores["accuracy"], highest=True)
        # Early stopping counts from the last clear gain in accuracy.
        if math.isinf(best) or 1 - scores["accuracy"] < CLEAR_GAIN * (1 - best):
            improved.assign(step)
        return patience_ended(args, state, improved)

    # An endless stream of shuffled batches, which begins after the restored step.
    batches = data.training_batches(
        splits["train"], args.batch_size, args.seed, int(state.step), args.augment
    )
    # Each step of `model.fit`: forward pass with dropout, loss, gradients, one optimizer update.
    # In between it logs, evaluates and saves checkpoints; Ctrl-C saves and stops.
    training.run(batches, evaluate)
    return {"step": int(state.step), **scores}


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its validation scores."""
    if args.optimizer == "adam":
        cli.refuse_idle(args, ["momentum"], "--optimizer adam")
    # Load the data and build the network.
    splits = data.load(args)
    introduce(args, splits)
    model = build_model(args.model, args.keep_prob, args.seed)
    names = data.label_names(args.dataset)
    checkpoint.start_from(args, names, model=model)
    parameters = sum(int(tf.size(variable)) for variable in model.trainable_variables)
    digest = data.digest(splits)
    with rundir.open_run(args, dataset_sha256=digest, parameters=parameters,
                         class_names=names) as run:
        scores = train_network(args, model, run, splits)
        # Draw the misclassified validation images with the highest confidence.
        path = run / "samples" / "validation_mistakes.png"
        probabilities = predict(model, splits["validation"])
        figures.draw_mistakes(*splits["validation"], probabilities, names, path)
    print(f"validation accuracy {scores['accuracy']:.2%}; worst mistakes: {path}")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
