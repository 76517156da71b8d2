"""Trains an image classifier on one device or several (book, chapter 2; Krizhevsky 2009).

    python train.py                                         # shapes drawn by code, 3 minutes
    python train.py --preset book --data_dir CIFAR_FOLDER   # CIFAR-10, the book's 60,000 steps
    python train.py --strategy mirrored                     # on all GPUs of this machine

Validation and test use exponential moving averages of the weights. Expected test accuracy: 96 % on
the demo's shapes. The book reports 86 % on CIFAR-10 after its 60,000 steps; on a JPEG-compressed
copy of the data this script reached 82 %.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from chapter02_cifar import data, summaries
from chapter02_cifar.augmentations import AUGMENTATIONS, augmentation
from chapter02_cifar.inference import make_score, predict
from chapter02_cifar.model import NETWORKS, build_model
from common import checkpoint, cli, figures, files, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor

# How residual networks are trained today: a one-cycle learning rate, Nesterov momentum, label
# smoothing and cutout.
BEST = {
    "dataset": "cifar10",
    "augment": "cutout",
    "batch_size": 128,
    "momentum": 0.9,
    "learning_rate": 0.1,
    "schedule": "one_cycle",
    "weight_decay": 5e-3,
    "label_smoothing": 0.1,
    "moving_average_decay": 0.999,
    "precision": "bfloat16",
}
PRESETS = {
    "demo": {"max_steps": 2000, "eval_every": 250, "moving_average_decay": 0.99},
    "book": {"dataset": "cifar10", "max_steps": 60000},
    "softmax": {"dataset": "cifar10", "model": "softmax", "learning_rate": 0.01,
                "max_steps": 10000},
    "best": BEST | {"model": "resnet9", "max_steps": 16000},
}


FREE = ["strategy", "num_epochs_per_decay", "learning_rate_decay_factor"]


def build_parser() -> cli.Parser:
    """Returns the parser; flags that the book has keep its names."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=FREE, neutral=["tfds"])
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--model", choices=list(NETWORKS), default="book", help="network")
    group.add_argument("--precision", choices=["float32", "bfloat16"], default="float32",
                       help="compute dtype of training; weights and evaluation stay float32")
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=60000, help="updates in all")
    group.add_argument("--batch_size", type=cli.size, default=128,
                       help="images per update, on all devices together")
    group.add_argument("--augment", type=augmentation, default="book", metavar="NAMES",
                       help="data augmentation: a recipe, book (crop,flip,brightness,contrast), "
                            "cutout (crop,flip,cutout) or none, or names with commas, of "
                            + ", ".join(AUGMENTATIONS))
    group.add_argument("--label_smoothing", type=cli.from_0_to_1, default=0.0,
                       help="share of each label that is spread evenly over all classes")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.1,
                       help="initial learning rate; the peak with one_cycle")
    cli.add_init_from(group)
    group.add_argument("--momentum", type=cli.from_0_to_1, default=0.0,
                       help="Nesterov momentum; 0: plain SGD")
    group.add_argument("--weight_decay", type=cli.from_0_to_1, default=0.0,
                       help="decoupled weight decay of the kernels, per unit of learning rate; the "
                            "book's network also has L2 regularization in its loss")
    group.add_argument("--schedule", choices=["staircase", "one_cycle"], default="staircase",
                       help="learning rate schedule; staircase: see the next two flags; one_cycle: "
                            "linear warmup for a quarter of --max_steps, then cosine decay to 0")
    group.add_argument("--num_epochs_per_decay", type=cli.positive_float, default=350.0,
                       help="epochs between two decays of the staircase")
    group.add_argument("--learning_rate_decay_factor", type=cli.from_0_to_1, default=0.1,
                       help="factor of each decay of the staircase")
    group.add_argument("--moving_average_decay", type=cli.from_0_to_1, default=0.9999,
                       help="decay of the moving averages of the weights; 0: no averaging")
    group.add_argument("--strategy", choices=["one_device", "mirrored", "multi_worker"],
                       default="one_device",
                       help="mirrored: each batch is split over all GPUs of this machine; "
                            "multi_worker: over all machines named in TF_CONFIG")
    group.add_argument("--log_every", "--log_frequency", type=cli.positive_int, default=100,
                       help="steps between two log lines")
    group.add_argument("--eval_every", type=cli.positive_int, default=1000,
                       help="steps between two evaluations of the validation split")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="steps between two checkpoints")
    return parser


def make_strategy(args: argparse.Namespace) -> tf.distribute.Strategy:
    """Returns the distribution strategy; call it before any other TensorFlow operation.

    Raises:
        UserError: the batch cannot be split evenly, or the cluster is not configured.
    """
    if args.strategy == "one_device":
        return tf.distribute.get_strategy()
    if args.strategy == "multi_worker":
        if "TF_CONFIG" not in os.environ:
            raise UserError("--strategy multi_worker without TF_CONFIG in the environment",
                            "list all machines in it, or run python multi_worker.py on this one")
        if args.unnamed:
            raise UserError("--strategy multi_worker without a run folder",
                            "give all workers the same --run_dir, in a shared folder")
        print("warning: each worker listens on all interfaces of its machine, without "
              "authentication; use a private network or a firewall", file=sys.stderr)
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        strategy = tf.distribute.MirroredStrategy(devices)
    replicas = strategy.num_replicas_in_sync
    if args.batch_size % replicas:
        raise UserError(f"--batch_size {args.batch_size} cannot be split over {replicas} devices",
                        f"give a multiple of {replicas}")
    print(f"devices: {replicas}, each with {args.batch_size // replicas} of the "
          f"{args.batch_size} images of a batch")
    return strategy


@contextmanager
def open_run(
    args: argparse.Namespace, strategy: tf.distribute.Strategy, **facts: Any
) -> Iterator[Path]:
    """Opens the run folder; of several workers, only the chief writes to it.

    Each other worker starts from a copy of the checkpoints in a temporary folder. The copy cannot
    be outdated, since a step needs all workers. The folder is deleted at the end.

    Raises:
        UserError: another worker has stopped, or see `rundir.open_run`.
    """
    try:
        if strategy.extended.should_checkpoint:
            with rundir.open_run(args, **facts) as run:
                yield run
        else:
            with tempfile.TemporaryDirectory() as folder:
                if (args.run_dir / "checkpoints").is_dir():
                    shutil.copytree(args.run_dir / "checkpoints", Path(folder) / "checkpoints")
                yield Path(folder)
    except tf.errors.UnavailableError as error:
        raise UserError("another worker has stopped", "restart all workers with the same "
                        "--run_dir; they resume from the latest checkpoint") from error


def make_train_step(
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    averages: keras.Model,
    optimizer: keras.Optimizer,
    batch_size: int,
    average_decay: float,
    label_smoothing: float = 0.0,
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Returns the training step: data-parallel SGD and the update of the moving averages.

    Args:
        strategy: in whose scope the models were built.
        model: the network.
        averages: a second copy of it, which holds the moving averages of its weights.
        optimizer: built for its trainable variables.
        batch_size: images on all devices together.
        average_decay: the upper bound of the averages' decay.
        label_smoothing: share of each label that is spread evenly over all classes.

    Returns:
        A function of images (float32, standardised), labels (int64) and the step that returns the
        total loss and the cross-entropy in nats, both of the whole batch.
    """
    replicas = strategy.num_replicas_in_sync

    # Both functions are closures: the graph captures the variables of the models and the optimizer.
    def replica_step(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Forward pass on this device's part of the batch; the loss is computed in float32.
        with tf.GradientTape() as tape:
            logits = tf.cast(model(images, training=True), tf.float32)
            # Label smoothing: the true class gets 1 - s + s / classes, each other s / classes.
            classes = logits.shape[-1]
            targets = tf.one_hot(labels, classes, 1 - label_smoothing + label_smoothing / classes,
                                 label_smoothing / classes)
            losses = tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)
            # Divide by the whole batch: the sum over devices is then the mean over all images, and
            # the L2 regularization counts once.
            cross_entropy = tf.reduce_sum(losses) / batch_size
            total_loss = cross_entropy + sum(model.losses) / replicas
        # Backward pass; `apply` sums the gradients over devices, so that all update alike.
        gradients = tape.gradient(total_loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return total_loss, cross_entropy

    @tf.function
    def train_step(
        images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        losses = strategy.run(replica_step, args=(images, labels))
        # Exponential moving averages of all weights. Their decay grows to its upper bound, so that
        # the random initial weights are soon forgotten.
        t = tf.cast(step, tf.float32)
        decay = tf.minimum(average_decay, (1 + t) / (10 + t))
        for average, variable in zip(averages.weights, model.weights, strict=True):
            average.assign(decay * average + (1 - decay) * variable)
        return tuple(strategy.reduce("SUM", loss, axis=None) for loss in losses)

    return train_step


def learning_rate(
    args: argparse.Namespace, examples: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate schedule: a staircase over epochs, or one cycle over the run."""
    if args.schedule == "one_cycle":
        up = args.max_steps // 4
        return keras.optimizers.schedules.CosineDecay(
            0.0, args.max_steps - up, warmup_target=args.learning_rate, warmup_steps=up)
    steps = int(examples / args.batch_size * args.num_epochs_per_decay)
    return keras.optimizers.schedules.ExponentialDecay(
        args.learning_rate, max(1, steps), args.learning_rate_decay_factor, staircase=True
    )


def make_optimizer(
    args: argparse.Namespace, model: keras.Model, examples: int
) -> keras.optimizers.SGD:
    """Returns the SGD optimizer of a model; weight decay applies to kernels only."""
    optimizer = keras.optimizers.SGD(
        learning_rate(args, examples), args.momentum, nesterov=args.momentum > 0,
        weight_decay=args.weight_decay or None)
    optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if v.ndim == 1])
    optimizer.build(model.trainable_variables)
    return optimizer


def introduce(args: argparse.Namespace, splits: dict[str, data.Split]) -> None:
    """Prints what is trained on which data and, in the demo, the command of the book's run."""
    print(f"training {args.model} on {len(splits['train'].labels):,} images of {args.dataset}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book --data_dir CIFAR_FOLDER")
        if (folder := files.default_dir("cifar10")).is_dir() and args.dataset == "shapes10":
            print(f"CIFAR-10 is already in {folder}: --dataset cifar10")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its validation scores."""
    if args.schedule == "one_cycle":
        cli.refuse_idle(args, ["num_epochs_per_decay", "learning_rate_decay_factor"],
                        "--schedule one_cycle")
    # The strategy comes first: the first operation fixes the devices.
    strategy = make_strategy(args)
    splits, names = dataset = data.load(args)
    introduce(args, splits)
    # Variables made in the strategy's scope are mirrored on all devices.
    with strategy.scope():
        model = build_model(args.model, len(names), args.seed, args.precision)
        averages = build_model(args.model, len(names), args.seed)
        checkpoint.start_from(args, names, model=model, averages=averages)
        optimizer = make_optimizer(args, model, len(splits["train"].labels))
    parameters = model.count_params()
    train_step = make_train_step(
        strategy, model, averages, optimizer, args.batch_size, args.moving_average_decay,
        args.label_smoothing)
    score = make_score(averages)
    with open_run(args, strategy, dataset_sha256=dataset.digest, parameters=parameters,
                  class_names=names) as run:
        # Restores the latest checkpoint of a resumed run.
        state = TrainState(run, {"model": model, "averages": averages},
                           {"sgd": (optimizer, model.trainable_variables)})
        start = int(state.step)
        monitor = Monitor(run, start)
        shown_batch = next(iter(data.evaluation_batches(splits["train"], model.input_shape[1],
                                                        batch_size=100)))
        # Batch k depends on (seed, k) alone: a resumed run sees the batches it would have seen.
        batches = data.training_batches(splits["train"], args.batch_size, args.seed, start,
                                        model.input_shape[1], args.augment)
        batches = strategy.experimental_distribute_dataset(batches)
        # steps() shows the progress bar, saves checkpoints and stops cleanly on Ctrl-C.
        for step, batch in state.steps(batches, args.max_steps, args.save_every, monitor):
            total_loss, cross_entropy = train_step(*batch, state.step)
            if step % args.log_every == 0:
                monitor.scalars(step, {"total_loss": total_loss, "cross_entropy": cross_entropy,
                                       "learning_rate": optimizer.learning_rate})
            # The moving averages are validated; the checkpoint of the highest accuracy is kept.
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = score(splits["validation"])
                shown = {name: scores[name] for name in ("loss", "accuracy")}
                monitor.scalars(step, shown, "val")
                summaries.write(monitor, step, averages, *shown_batch)
                state.save_if_best(scores["accuracy"], highest=True)
        mistakes = run / "samples" / "validation_mistakes.png"
        probabilities = predict(averages, splits["validation"])
        figures.draw_mistakes(*splits["validation"], probabilities, names, mistakes)
    print(f"validation accuracy {scores['accuracy']:.2%}; the worst mistakes: {mistakes}")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
