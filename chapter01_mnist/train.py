"""Trains a digit classifier (book, chapter 1; LeCun et al. 1998).

    python train.py                                    # conv on scikit-learn's digits, a minute
    python train.py --model softmax
    python train.py --preset book_softmax --data_dir MNIST_FOLDER
    python train.py --preset book_conv --data_dir MNIST_FOLDER

`--model softmax` is a training loop from primitives: two variables, a matrix product, a gradient
and a subtraction. The convolutional networks go through `compile` and `fit`. To expect on MNIST's
test set: softmax 91.4 % (book) to 92.4 % (best), conv 99.2 % (book) to 99.5 % (best).
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from chapter01_mnist import data
from chapter01_mnist.inference import make_score, predict
from chapter01_mnist.model import NETWORKS, SoftmaxRegression, build_model, cross_entropy
from common import cli, images, inputs, rundir
from common.checkpoint import FitCallback, TrainState
from common.errors import UserError
from common.monitor import Monitor

CHAPTER = "chapter01_mnist"
CLEAR_GAIN = 0.995  # early stopping counts an error below this share of the best one

MNIST = {"dataset": "mnist"}
PRESETS = {
    "demo": {"max_steps": 1000, "eval_every": 200},
    "book_softmax": MNIST | {"model": "softmax", "max_steps": 1000, "batch_size": 100,
                             "learning_rate": 0.01, "loss_reduction": "sum"},
    "book_conv": MNIST | {"model": "conv", "max_steps": 20000, "eval_every": 1000},
    "best_softmax": MNIST | {"model": "softmax", "max_steps": 6600, "batch_size": 100,
                             "learning_rate": 0.5, "schedule": "cosine", "eval_every": 550},
    "best_conv": MNIST | {"model": "conv", "max_steps": 10000, "batch_size": 128,
                          "learning_rate": 1e-3, "schedule": "cosine", "augment": True,
                          "eval_every": 500},
    "lenet": MNIST | {"model": "lenet", "optimizer": "sgd", "learning_rate": 0.1,
                      "batch_size": 500, "keep_prob": 1.0, "max_steps": 22000,
                      "eval_every": 110, "patience": 10000},
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__doc__, PRESETS)
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--model", choices=["softmax", *NETWORKS], default="conv", help="classifier")
    group.add_argument("--keep_prob", type=cli.keep_prob, default=0.5,
                       help="share of activations that dropout keeps; softmax has none")
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=20000, help="updates in all")
    group.add_argument("--batch_size", type=cli.positive_int, default=50, help="pictures an update")
    group.add_argument("--learning_rate", type=cli.positive_float,
                       help="step size (default: 0.5 for softmax, 1e-4 for the networks)")
    group.add_argument("--schedule", choices=["constant", "cosine"], default="constant",
                       help="cosine: fall to 0 at --max_steps")
    group.add_argument("--optimizer", choices=["adam", "sgd"], default="adam",
                       help="of the networks; softmax is plain gradient descent")
    group.add_argument("--loss_reduction", choices=["mean", "sum"], default="mean",
                       help="of softmax over the batch; the book's code sums")
    group.add_argument("--augment", action=argparse.BooleanOptionalAction, default=False,
                       help="rotate, zoom and shift the training pictures a little")
    group.add_argument("--patience", type=cli.positive_int,
                       help="stop early: go on for at least this many steps, and to twice the step "
                            "of each clear gain on validation (networks only)")
    group.add_argument("--jit_compile", action=argparse.BooleanOptionalAction, default=False,
                       help="compile with XLA: for GPUs, slower on a CPU")
    group.add_argument("--log_every", type=cli.positive_int, default=100, help="steps a log line")
    group.add_argument("--eval_every", type=cli.positive_int, default=500,
                       help="steps between two scorings of the validation pictures")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="steps between two checkpoints")
    return parser


def learning_rate(args: argparse.Namespace) -> float | keras.optimizers.schedules.CosineDecay:
    """Returns the rate, or its schedule over the steps."""
    rate = args.learning_rate or (0.5 if args.model == "softmax" else 1e-4)
    if args.schedule == "constant":
        return rate
    return keras.optimizers.schedules.CosineDecay(rate, args.max_steps)


def make_validate(
    model: SoftmaxRegression | keras.Sequential,
    split: data.Split,
    state: TrainState,
    monitor: Monitor,
) -> Callable[[], dict[str, float]]:
    """Returns a function that scores the validation pictures and keeps the best weights."""
    score = make_score(model)

    def validate() -> dict[str, float]:
        scores = score(split)
        shown = {name: scores[name] for name in ("loss", "accuracy")}
        monitor.scalars(int(state.step), shown, "val")
        state.save_if_best(1 - scores["accuracy"])
        return scores

    return validate


def train_softmax(
    args: argparse.Namespace,
    model: SoftmaxRegression,
    run: Path,
    splits: dict[str, data.Split],
) -> dict[str, float]:
    """Trains softmax regression by gradient descent, nothing but tensors and two variables."""
    weights, biases = model.weights, model.biases
    reduce_loss = tf.reduce_sum if args.loss_reduction == "sum" else tf.reduce_mean
    rate = learning_rate(args)

    @tf.function
    def train_step(images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = tf.reshape(images, (-1, 784)) @ weights + biases  # (batch, 10)
            losses = cross_entropy(labels, logits)  # (batch,)
            loss = reduce_loss(losses)
        weights_gradient, biases_gradient = tape.gradient(loss, (weights, biases))
        step_size = rate(step - 1) if callable(rate) else rate
        weights.assign_sub(step_size * weights_gradient)
        biases.assign_sub(step_size * biases_gradient)
        hits = tf.cast(tf.equal(tf.argmax(logits, axis=1), labels), tf.float32)
        return {"loss": tf.reduce_mean(losses), "accuracy": tf.reduce_mean(hits)}

    state = TrainState(run, {"model": model})
    start = int(state.step)
    monitor = Monitor(run, start)
    validate = make_validate(model, splits["validation"], state, monitor)
    batches = data.training_batches(
        splits["train"], args.batch_size, args.seed, start, args.augment
    )
    # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
    for step, batch in state.steps(batches, args.max_steps, args.save_every, monitor):
        metrics = train_step(*batch, state.step)
        if step % args.log_every == 0:
            monitor.scalars(step, metrics)
        if step % args.eval_every == 0 or step == args.max_steps:
            scores = validate()
    monitor.close()
    return {"step": step, **scores}


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

    validate = make_validate(model, splits["validation"], state, monitor)
    scores = {}

    def evaluate(step: int) -> bool:
        """Scores the validation pictures; says whether patience is at an end."""
        best_error = float(state.best)
        scores.update(validate())
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


def introduce(args: argparse.Namespace, splits: dict[str, data.Split]) -> None:
    """Says what is trained on, and in the demo how to go on to the book's run."""
    print(f"training {args.model} on {len(splits['train'].labels):,} pictures of {args.dataset}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book_conv --data_dir MNIST_FOLDER")
        if (folder := inputs.default_dir("mnist")).is_dir() and args.dataset == "digits":
            print(f"mnist is already in {folder}: --dataset mnist")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until `--max_steps`; returns the validation scores."""
    splits = data.load_flags(args)
    introduce(args, splits)
    model = build_model(args.model, args.keep_prob, args.seed)
    parameters = sum(int(tf.size(variable)) for variable in model.trainable_variables)
    digest = data.digest(splits)
    with rundir.open_run(args, dataset_sha256=digest, parameters=parameters) as run:
        loop = train_softmax if args.model == "softmax" else train_network
        scores = loop(args, model, run, splits)
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
