"""Fine-tunes a network of keras.applications on your own images (book, chapter 3).

    python train.py                                            # textures drawn by code, minutes
    python train.py --data_dir FOLDER                          # your images, a folder per class
    python train.py --data_dir FOLDER --epochs 20 --class_weight balanced
    python train.py --data_dir FOLDER --weights mobilenet_0.75_224.weights.h5   # offline
    python train.py --preset book_head --dataset_dir FOLDER    # records that prepare.py wrote

A network that was pretrained on ImageNet needs few images to learn new classes. Either the new last
layer alone is trained (`--trainable_scopes head`), or all layers are (`all`). The book reports 76 %
accuracy with the head alone and 82 % with all layers, on its 6,000 satellite images; the presets
best_head and best_all reached 77 % and 78 % on 40 % of them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from chapter03_finetune import data, flags
from chapter03_finetune.inference import build_classifier, draw_mistakes, make_predict, score
from chapter03_finetune.model import (
    add_weight_decay,
    balanced_weights,
    set_batch_norm_decay,
    set_trainable,
)
from common import checkpoint, cli, files, pretrained, rundir
from common.errors import UserError
from common.fit import Fit

BOOK = {  # section 3.3.4
    "dataset": "records",
    "model_name": "InceptionV3",
    "weights": "imagenet",
    "optimizer": "rmsprop",
    "learning_rate": 0.001,
    "learning_rate_decay_type": "fixed",
    "weight_decay": 4e-5,
    "batch_size": 32,
    "max_steps": 100000,
}
# For a few thousand images: a smaller network, and a learning rate that decays to 0. The number of
# steps follows the number of images.
BEST = {
    "dataset": "records",
    "model_name": "MobileNet",
    "alpha": 0.75,
    "optimizer": "adam",
    "learning_rate_decay_type": "cosine",
    "label_smoothing": 0.1,
    "min_area": 0.3,
}
PRESETS = {
    "demo": {
        "model_name": "MobileNet",
        "alpha": 0.25,
        "image_size": 96,
        "weights": "none",
        "optimizer": "adam",
        "learning_rate": 0.01,
        "learning_rate_decay_type": "cosine",
        "batch_norm_decay": 0.9,
        "min_area": 0.5,
        "max_steps": 1500,
        "eval_every": 150,
    },
    "book_head": BOOK | {"trainable_scopes": "head"},
    "book_all": BOOK | {"trainable_scopes": "all", "log_every": 1},
    "best_head": BEST | {"trainable_scopes": "head", "learning_rate": 0.003, "epochs": 12},
    "best_all": BEST | {"trainable_scopes": "all", "learning_rate": 3e-4, "epochs": 10},
    "scratch": BEST | {"weights": "none", "learning_rate": 0.003, "batch_norm_decay": 0.9,
                       "epochs": 20},
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return flags.build_parser(__file__, __doc__, PRESETS)


def learning_rate(
    args: argparse.Namespace, examples: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate or its schedule; the decay intervals are those of the original."""
    schedules, rate = keras.optimizers.schedules, args.learning_rate
    steps = max(1, int(examples / args.batch_size * args.num_epochs_per_decay))
    match args.learning_rate_decay_type:
        case "exponential":
            return schedules.ExponentialDecay(
                rate, steps, args.learning_rate_decay_factor, staircase=True)
        case "polynomial":
            return schedules.PolynomialDecay(rate, steps, args.end_learning_rate)
        case "cosine":
            return schedules.CosineDecay(rate, args.max_steps)
    return rate


def make_optimizer(args: argparse.Namespace, examples: int) -> keras.Optimizer:
    """Returns the optimizer that the flags choose."""
    optimizers, rate = keras.optimizers, learning_rate(args, examples)
    epsilon = args.opt_epsilon or (1.0 if args.optimizer == "rmsprop" else 1e-7)
    match args.optimizer:
        case "rmsprop":
            return optimizers.RMSprop(rate, args.rmsprop_decay, args.momentum, epsilon)
        case "adam":
            return optimizers.Adam(rate, args.adam_beta1, args.adam_beta2, epsilon)
        case "momentum":
            return optimizers.SGD(rate, args.momentum)
        case "adagrad":
            return optimizers.Adagrad(rate, args.adagrad_initial_accumulator_value)
        case "adadelta":
            return optimizers.Adadelta(rate, args.adadelta_rho, epsilon)
        case "ftrl":
            return optimizers.Ftrl(rate, args.ftrl_learning_rate_power,
                                   args.ftrl_initial_accumulator_value, args.ftrl_l1, args.ftrl_l2)
    return optimizers.SGD(rate)


def make_model(args: argparse.Namespace, num_classes: int, new: bool) -> keras.Model:
    """Builds the classifier; unless its weights come from a run, it gets its initial ones.

    Raises:
        UserError: the flags do not fit the network, or the weights do not.
    """
    # A pretrained network without its classifier, with a new last layer.
    try:
        model = build_classifier(args, num_classes)
        set_trainable(model, args.trainable_scopes, args.freeze_batch_norm)
    except ValueError as error:  # of Keras on sizes, of `set_trainable` on scopes
        raise UserError(str(error), "see --image_size, --alpha and --trainable_scopes in "
                        "python train.py --help") from error
    if new:
        pretrained.load(model.get_layer("backbone"), args.weights, args.model_name, args.alpha)
    if args.batch_norm_decay is not None:
        set_batch_norm_decay(model, args.batch_norm_decay)
    add_weight_decay(model, args.weight_decay)
    return model


def fit(
    args: argparse.Namespace, model: keras.Model, run: Path, splits: dict[str, data.Split],
    class_weights: np.ndarray | None,
) -> tuple[dict[str, float], np.ndarray]:
    """Trains with `model.fit` up to `--max_steps`.

    Args:
        args: the flags.
        model: the classifier.
        run: its run folder.
        splits: of the data set.
        class_weights: of the loss, of shape (classes,), or None.

    Returns:
        The last scores on the held-out images, and their logits.
    """
    # Cross-entropy with label smoothing, plus the L2 regularization in `model.losses`.
    validation, num_classes = splits["validation"], model.output_shape[-1]
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    loss = keras.losses.CategoricalCrossentropy(True, label_smoothing=args.label_smoothing)
    model.compile(make_optimizer(args, len(splits["train"].labels)), loss, metrics=[accuracy])
    # Restores the latest checkpoint of a resumed run, with the state of the optimizer.
    training = Fit(model, run, args, metrics=[accuracy])
    start = int(training.state.step)
    # Batch k depends on (seed, k) alone: a resumed run sees the batches it would have seen.
    batches = data.training_batches(splits["train"], args.batch_size, model.input_shape[1],
                                    args.seed, start, args.augment, args.min_area,
                                    args.quarter_turns)
    # Some augmented images for TensorBoard, under the original's tag.
    for images, _ in batches.take(1):
        training.monitor.images(start, "final_distorted_image", images[:8] / 255)
    predict = make_predict(model)
    logits, scores = np.zeros((0, num_classes)), {}

    # A closure: the logits of the last evaluation are drawn after training.
    def evaluate(step: int) -> None:
        """Evaluates the held-out images and keeps the best weights."""
        nonlocal logits
        logits = predict(validation)
        scores.update(score(logits, validation.labels))
        shown = {name: scores[name] for name in ("loss", "accuracy", "balanced_accuracy")}
        training.monitor.scalars(step, shown, "val")
        # On a few hundred images the loss is less noisy than the accuracy.
        training.state.save_if_best(scores["loss" if class_weights is None else "balanced_loss"])

    def targets(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns a batch as Keras takes it: label smoothing needs one-hot labels."""
        one_hot = tf.one_hot(labels, num_classes)
        # The weighted losses are divided by the batch size, not by the sum of their weights.
        weights = () if class_weights is None else (tf.gather(class_weights, labels),)
        return images, one_hot, *weights

    training.run(batches.map(targets), evaluate)
    return {"step": int(training.state.step), **scores}, logits


def introduce(args: argparse.Namespace, splits: dict[str, data.Split]) -> None:
    """Prints what is trained on which data and, in the demo, the command of the book's run."""
    count = len(splits["train"].labels)
    print(f"training {args.model_name} ({args.trainable_scopes}) on {count:,} images of "
          f"{args.data_dir or args.dataset}: {args.max_steps:,} steps, "
          f"{args.max_steps * args.batch_size / count:.3g} epochs")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book_head --dataset_dir FOLDER")
        folder = files.default_dir("satellite")
        if (folder / "label.txt").is_file() and args.dataset == "textures":
            print(f"there are records in {folder}: python train.py --data_dir {folder}")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its validation scores."""
    if not args.model_name.startswith("MobileNet") and "alpha" not in args.typed:
        args.alpha = None  # a preset's is for its MobileNet
    if not rundir.exists(args.run_dir):
        data.settle(args)
    for beside, idle in flags.idle_flags(args).items():
        cli.refuse_idle(args, idle, beside)
    splits, names = dataset = data.load(args)
    labels = splits["train"].labels
    flags.set_steps(args, len(labels))
    introduce(args, splits)
    new = not (args.init_from or rundir.last_step(args.run_dir))
    model = make_model(args, len(names), new)
    checkpoint.start_from(args, names, model=model)
    parameters = model.count_params()
    balanced = args.class_weight == "balanced"
    weights = balanced_weights(labels, len(names)) if balanced else None
    recorded = dict(zip(names, weights.tolist(), strict=True)) if balanced else {}
    with rundir.open_run(args, dataset_sha256=dataset.digest, parameters=parameters,
                         class_names=names, class_weights=recorded) as run:
        scores, logits = fit(args, model, run, splits, weights)
        mistakes = run / "samples" / "validation_mistakes.png"
        draw_mistakes(splits["validation"], logits, names, mistakes)
    print(f"validation accuracy {scores['accuracy']:.2%}; the worst mistakes: {mistakes}")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
