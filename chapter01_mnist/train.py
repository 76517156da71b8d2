"""Trains a convolutional network on digits (book, section 1.2.2; LeCun et al. 1998).

    python train.py                                          # digits of scikit-learn, a minute
    python train.py --preset book --data_dir MNIST_FOLDER
    python train.py --model lenet

With `compile` and `fit`; `train_softmax.py` writes the loop out. Expected accuracy on the test set
of MNIST: 99.2 % (book) and 99.5 % (best).
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
from common import cli, figures, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.fit import Fit

CLEAR_GAIN = 0.995  # a new error below this fraction of the best one resets early stopping

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
    "lenet": {  # as in the tutorials of Theano
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
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=["patience"], neutral=["tfds"])
    add_flags(parser, rate=1e-4)
    group = parser.add_argument_group("network")
    group.add_argument("--model", choices=list(NETWORKS), default="conv", help="classifier")
    group.add_argument("--keep_prob", type=cli.above_0_to_1, default=0.5,
                       help="probability that dropout keeps an activation")
    group.add_argument("--optimizer", choices=["adam", "sgd"], default="adam", help="update rule")
    group.add_argument("--patience", type=cli.positive_int,
                       help="stop early: train at least this many steps, and up to twice the step "
                            "of the last clear gain in validation accuracy")
    group.add_argument("--jit_compile", action=argparse.BooleanOptionalAction, default=False,
                       help="compile with XLA: for GPUs, slower on a CPU")
    return parser


def patience_ended(args: argparse.Namespace, state: TrainState, improved: tf.Variable) -> bool:
    """Returns whether early stopping ends a run, see `--patience`."""
    return args.patience is not None and int(state.step) >= max(args.patience, 2 * int(improved))


def train_network(
    args: argparse.Namespace,
    model: keras.Sequential,
    run: Path,
    splits: dict[str, data.Split],
) -> dict[str, float]:
    """Trains a network with `compile` and `fit`; returns the step and the validation scores."""
    # Cross-entropy of the softmax of the logits, minimized by Adam or by gradient descent.
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        optimizers[args.optimizer](learning_rate(args)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[accuracy],
        jit_compile=args.jit_compile,
    )
    # Restore the latest checkpoint, if there is one; its step is the batch to start at.
    improved = tf.Variable(0, dtype=tf.int64)  # the step of the last clear gain
    training = Fit(model, run, args, metrics=[accuracy], improved=improved)
    state = training.state
    if patience_ended(args, state, improved):
        raise UserError(f"nothing to do: early stopping ended this run at step {int(state.step)}",
                        f"raise --patience, it is {args.patience}")
    score, scores = make_score(model), {}

    def evaluate(step: int) -> bool:
        """Scores the validation images; returns whether training is to stop early."""
        best = float(state.best)  # infinite before the first evaluation
        scores.update(score(splits["validation"]))
        shown = {name: scores[name] for name in ("loss", "accuracy")}
        training.monitor.scalars(step, shown, "val")
        # Keep the weights with the highest accuracy.
        state.save_if_best(scores["accuracy"], highest=True)
        # Early stopping counts from the last clear gain.
        if math.isinf(best) or 1 - scores["accuracy"] < CLEAR_GAIN * (1 - best):
            improved.assign(step)
        return patience_ended(args, state, improved)

    # An endless stream of shuffled batches.
    batches = data.training_batches(
        splits["train"], args.batch_size, args.seed, int(state.step), args.augment
    )
    # `model.fit` with a progress bar, logs, evaluations, checkpoints, and a clean stop on Ctrl-C.
    training.run(batches, evaluate)
    return {"step": int(state.step), **scores}


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its validation scores."""
    splits = data.load_from_flags(args)
    introduce(args, splits)
    model = build_model(args.model, args.keep_prob, args.seed)
    parameters = sum(int(tf.size(variable)) for variable in model.trainable_variables)
    digest = data.digest(splits)
    with rundir.open_run(args, dataset_sha256=digest, parameters=parameters) as run:
        scores = train_network(args, model, run, splits)
        picture = run / "samples" / "validation_mistakes.png"
        probabilities = predict(model, splits["validation"])
        names = data.label_names(args.dataset)
        figures.draw_mistakes(*splits["validation"], probabilities, names, picture)
    print(f"validation accuracy {scores['accuracy']:.2%}; the worst mistakes: {picture}")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
