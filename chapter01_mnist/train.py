"""Trains a convolutional network on digits (book, section 1.2.2; LeCun et al. 1998).

    python train.py                                    # scikit-learn's digits, a minute
    python train.py --preset book --data_dir MNIST_FOLDER
    python train.py --model lenet

By `compile` and `fit`; train_softmax.py has the loop from primitives. To expect on MNIST's test
set: 99.2 % (book) to 99.5 % (best).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from chapter01_mnist import data
from chapter01_mnist.flags import add_flags, introduce, learning_rate
from chapter01_mnist.inference import make_score, predict
from chapter01_mnist.model import NETWORKS, build_model
from common import cli, images, rundir
from common.checkpoint import FitCallback, TrainState
from common.errors import UserError
from common.monitor import Monitor

CHAPTER = "chapter01_mnist"
CLEAR_GAIN = 0.995  # early stopping counts an error below this share of the best one

PRESETS = {
    "demo": {"max_steps": 1000, "eval_every": 200},
    "book": {"dataset": "mnist", "max_steps": 20000, "eval_every": 1000},
    "best": {"dataset": "mnist", "max_steps": 10000, "batch_size": 128, "learning_rate": 1e-3,
             "schedule": "cosine", "augment": True, "eval_every": 500},
    "lenet": {"dataset": "mnist", "model": "lenet", "optimizer": "sgd", "learning_rate": 0.1,
              "batch_size": 500, "keep_prob": 1.0, "max_steps": 22000, "eval_every": 110,
              "patience": 10000},
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__doc__, PRESETS)
    add_flags(parser, rate=1e-4)
    group = parser.add_argument_group("network")
    group.add_argument("--model", choices=list(NETWORKS), default="conv", help="classifier")
    group.add_argument("--keep_prob", type=cli.keep_prob, default=0.5,
                       help="share of activations that dropout keeps")
    group.add_argument("--optimizer", choices=["adam", "sgd"], default="adam", help="update rule")
    group.add_argument("--patience", type=cli.positive_int,
                       help="stop early: go on for at least this many steps, and to twice the step "
                            "of each clear gain on validation")
    group.add_argument("--jit_compile", action=argparse.BooleanOptionalAction, default=False,
                       help="compile with XLA: for GPUs, slower on a CPU")
    return parser


def patience_ended(args: argparse.Namespace, state: TrainState, improved: tf.Variable) -> bool:
    """Says whether early stopping ends a run: see `--patience`."""
    return args.patience is not None and int(state.step) >= max(args.patience, 2 * int(improved))


def train_network(
    args: argparse.Namespace,
    model: keras.Sequential,
    run: Path,
    splits: dict[str, data.Split],
) -> dict[str, float]:
    """Trains a network by compile and fit."""
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        optimizers[args.optimizer](learning_rate(args)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[accuracy],
        jit_compile=args.jit_compile,
    )
    means = [metric.variables for metric in (model.metrics[0], accuracy)]
    trained = {"optimizer": (model.optimizer, model.trainable_variables)}
    improved = tf.Variable(0, dtype=tf.int64)  # the step of the last clear gain on validation
    state = TrainState(run, {"model": model}, trained, improved=improved,
                       means=[v.value for group in means for v in group])
    if patience_ended(args, state, improved):
        raise UserError(f"nothing to do: early stopping ended this run at step {int(state.step)}",
                        f"raise --patience, it is {args.patience}")
    monitor = Monitor(run, int(state.step))
    score, scores = make_score(model), {}

    def evaluate(step: int) -> bool:
        """Scores the validation pictures; says whether patience is at an end."""
        best_error = float(state.best)
        scores.update(score(splits["validation"]))
        shown = {name: scores[name] for name in ("loss", "accuracy")}
        monitor.scalars(step, shown, "val")
        state.save_if_best(1 - scores["accuracy"])
        if 1 - scores["accuracy"] < CLEAR_GAIN * best_error:
            improved.assign(step)
        return patience_ended(args, state, improved)

    batches = data.training_batches(
        splits["train"], args.batch_size, args.seed, int(state.step), args.augment
    )
    # What steps() is for a loop: the bar, checkpoints, a way out on Ctrl-C; and logs and scorings.
    callback = FitCallback(
        state, monitor, max_steps=args.max_steps, save_every=args.save_every,
        log_every=args.log_every, eval_every=args.eval_every, evaluate=evaluate,
    )
    callback.fit(model, batches)
    monitor.close()
    return {"step": int(state.step), **scores}


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until `--max_steps`; returns the validation scores."""
    splits = data.load_flags(args)
    introduce(args, splits, "train.py")
    model = build_model(args.model, args.keep_prob, args.seed)
    parameters = sum(int(tf.size(variable)) for variable in model.trainable_variables)
    digest = data.digest(splits)
    with rundir.open_run(args, dataset_sha256=digest, parameters=parameters) as run:
        scores = train_network(args, model, run, splits)
        picture = run / "samples" / "validation_mistakes.png"
        probabilities = predict(model, splits["validation"])
        names = data.label_names(args.dataset)
        images.draw_mistakes(*splits["validation"], probabilities, names, picture)
    print(f"validation accuracy {scores['accuracy']:.2%}; the worst mistakes: {picture}")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), PRESETS, CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
