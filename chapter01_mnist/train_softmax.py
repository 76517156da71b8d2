"""Trains softmax regression on digits by gradient descent, from primitives (book, section 1.2.1).

    python train_softmax.py                               # scikit-learn's digits, a few seconds
    python train_softmax.py --preset book --data_dir MNIST_FOLDER

Two variables, a matrix product, a cross-entropy, a gradient and a subtraction. Expected accuracy on
the test set of MNIST: 91.5 % (book) and 92.4 % (best).
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from chapter01_mnist import data
from chapter01_mnist.flags import add_flags, introduce, learning_rate
from chapter01_mnist.inference import make_score, predict
from chapter01_mnist.model import SoftmaxRegression, cross_entropy
from common import checkpoint, cli, figures, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

PRESETS = {
    "demo": {"max_steps": 1000, "eval_every": 200},
    "book": {
        "dataset": "mnist",
        "max_steps": 1000,
        "batch_size": 100,
        "learning_rate": 0.01,
        "loss_reduction": "sum",
    },
    "best": {
        "dataset": "mnist",
        "max_steps": 6600,
        "batch_size": 100,
        "learning_rate": 0.5,
        "schedule": "cosine",
        "eval_every": 550,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, neutral=["tfds"])
    add_flags(parser, rate=0.5)
    group = parser.add_argument_group("loss")
    group.add_argument("--loss_reduction", choices=["mean", "sum"], default="mean",
                       help="reduction of the loss over the batch; the book's code sums")
    parser.set_defaults(model="softmax")  # the model that eval.py and other scripts restore
    return parser


def make_train_step(
    model: SoftmaxRegression,
    rate: float | keras.optimizers.schedules.CosineDecay,
    loss_reduction: str = "mean",
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the train step: one update of the weights by gradient descent.

    It is a closure over model and learning rate, so that the `tf.function` takes only tensors.

    Args:
        model: softmax regression.
        rate: learning rate, or its schedule as a function of the step.
        loss_reduction: reduction of the loss over the batch, "mean" or "sum".
    """
    weights, biases = model.weights, model.biases  # (784, 10), (10,)
    reduce_loss = tf.reduce_sum if loss_reduction == "sum" else tf.reduce_mean

    @tf.function
    def train_step(images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        # Forward pass: the logits and the cross-entropy of each image.
        with tf.GradientTape() as tape:
            logits = tf.reshape(images, (-1, 784)) @ weights + biases  # (batch, 10)
            losses = cross_entropy(labels, logits)  # (batch,)
            loss = reduce_loss(losses)
        # Backward pass: the gradient of the loss with respect to both variables.
        weights_gradient, biases_gradient = tape.gradient(loss, (weights, biases))
        # The learning rate of this step. Steps count from 1, schedules from 0.
        current_rate = rate(step - 1) if callable(rate) else rate
        # Gradient descent: subtract learning rate times gradient.
        weights.assign_sub(current_rate * weights_gradient)
        biases.assign_sub(current_rate * biases_gradient)
        # Accuracy on the batch, before the update.
        hits = tf.cast(tf.equal(tf.argmax(logits, axis=1), labels), tf.float32)
        return {"loss": tf.reduce_mean(losses), "accuracy": tf.reduce_mean(hits)}

    return train_step


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its validation scores."""
    # Load the data and create the variables: all zero, or those of --init_from.
    splits = data.load(args)
    introduce(args, splits)
    model = SoftmaxRegression()
    names = data.label_names(args.dataset)
    checkpoint.start_from(args, names, model=model)
    parameters = sum(int(tf.size(variable)) for variable in model.trainable_variables)
    train_step = make_train_step(model, learning_rate(args), args.loss_reduction)
    score = make_score(model)
    with rundir.open_run(args, dataset_sha256=data.digest(splits), parameters=parameters,
                         class_names=names) as run:
        # Restore the latest checkpoint, if there is one.
        state = TrainState(run, {"model": model})
        start = int(state.step)
        monitor = Monitor(run, start)
        # An endless stream of shuffled batches, which begins after the restored step.
        batches = data.training_batches(
            splits["train"], args.batch_size, args.seed, start, args.augment)
        # steps() shows a progress bar and saves checkpoints; Ctrl-C saves and stops.
        for step, batch in state.steps(batches, args.max_steps, args.save_every, monitor):
            # One update of the weights; now and then the loss and accuracy of a batch are logged.
            metrics = train_step(*batch, state.step)
            if step % args.log_every == 0:
                monitor.scalars(step, metrics)
            # Evaluate on the validation images; keep the weights with the highest accuracy.
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = score(splits["validation"])
                shown = {name: scores[name] for name in ("loss", "accuracy")}
                monitor.scalars(step, shown, "val")
                state.save_if_best(scores["accuracy"], highest=True)
        # Draw the misclassified validation images with the highest confidence.
        path = run / "samples" / "validation_mistakes.png"
        probabilities = predict(model, splits["validation"])
        figures.draw_mistakes(*splits["validation"], probabilities, names, path)
    print(f"validation accuracy {scores['accuracy']:.2%}; worst mistakes: {path}")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
