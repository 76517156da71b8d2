"""Trains an embedder of faces as a classifier (book, section 6.4.6; Wen et al. 2016).

    python train.py                                              # cartoon people, minutes
    python train.py --loss softmax --center_loss_factor 0.01     # softmax + center loss
    python train.py --preset folder --data_dir FOLDER            # FOLDER/Ann/1.png …, aligned
    python train.py --preset book --data_dir casia_aligned       # CASIA-WebFace, long
    python train_triplet.py                                      # triplets, see there

The network learns to name the people in the training images. Center loss also draws the features of
a person together; ArcFace asks for an angle between people, by a margin. In the end the classifier
is dropped: the features, divided by their length, are the embeddings, and also tell people apart
who were not in training. Validation measures that on people who are held out.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from chapter06_face import data, flags, losses, training
from chapter06_face.model import build_classifier, embed
from common import averages, checkpoint, cli, rundir
from common.monitor import Monitor

PRESETS = {
    "demo": {
        "loss": "arcface",
        "image_size": 64,
        "random_crop": True,
        "random_flip": True,
        "optimizer": "adam",
        "learning_rate": 0.03,
        "moving_average_decay": 0.99,
        "batch_size": 64,
        "max_steps": 500,
        "eval_every": 100,
        "save_every": 100,
    },
    "book": {
        "dataset": "folder",
        "model_def": "inception_resnet_v1",
        "image_size": 160,
        "random_crop": True,
        "random_flip": True,
        "keep_prob": 0.8,
        "weight_decay": 5e-5,
        "center_loss_factor": 0.01,
        "center_loss_alfa": 0.9,
        "optimizer": "rmsprop",
        "learning_rate": -1,
        "learning_rate_schedule_file": str(Path(__file__).parent / "schedules/casia_softmax.txt"),
        "folds": 100,  # holds one in a hundred people out; the original none
        "batch_size": 90,
        "max_steps": 80000,
    },
    "folder": {
        "dataset": "folder",
        "image_size": 64,
        "random_flip": True,
        "random_rotate": True,
        "optimizer": "adam",
        "learning_rate": 0.03,
        "moving_average_decay": 0.99,
        "weight_decay": 1e-4,
        "keep_prob": 0.5,
        "batch_size": 32,
        "max_steps": 300,
        "eval_every": 100,
        "save_every": 100,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = flags.build_parser(__file__, __doc__, PRESETS)
    group = parser.add_argument_group("loss")
    group.add_argument("--loss", choices=["softmax", "arcface"], default="softmax",
                       help="softmax: cross-entropy; arcface: of cosines, with an angular margin")
    group.add_argument("--arcface_scale", type=cli.positive_float, default=16.0,
                       help="factor of the cosines")
    group.add_argument("--arcface_margin", type=cli.from_0_to_1, default=0.3,
                       help="margin in radians")
    group.add_argument("--center_loss_factor", type=cli.non_negative_float, default=0.0,
                       help="weight of the center loss")
    group.add_argument("--center_loss_alfa", type=cli.from_0_to_1, default=0.95,
                       help="share of a center that stays at an update")
    group.add_argument("--batch_size", type=cli.size, default=90, help="images per update")
    return parser


def make_train_step(
    args: argparse.Namespace, network: keras.Model, averaged: keras.Model, head: keras.Model,
    centers: tf.Variable, optimizer: keras.Optimizer,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the train step: from photographs, people and the step to losses and accuracy."""
    variables = network.trainable_variables + head.trainable_variables

    @tf.function(autograph=False)
    def train_step(
        photographs: tf.Tensor, labels: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        # Random windows, mirrored and rotated; a pure function of seed and step.
        seed = tf.stack([tf.constant(args.seed, tf.int64), step])
        images = data.augment(photographs, seed, args.image_size, args.random_flip,
                              args.random_rotate)
        with tf.GradientTape() as tape:
            # Forward pass: features, and who of the people in training it is.
            prelogits = network(images, training=True)
            if args.loss == "arcface":
                cosines = losses.cosines(embed(prelogits), head.trainable_variables[0])
                answers = tf.argmax(cosines, axis=1)
                logits = losses.arcface_logits(cosines, labels, args.arcface_scale,
                                               args.arcface_margin)
            else:
                logits = head(prelogits)
                answers = tf.argmax(logits, axis=1)
            # Cross-entropy; center loss, which draws the features of a person together; weights.
            terms = {"cross_entropy": losses.softmax_loss(logits, labels)}
            if args.center_loss_factor:
                terms["center_loss"] = args.center_loss_factor * losses.center_loss(
                    prelogits, labels, centers)
            if args.weight_decay:
                penalty = training.weight_penalty(network, head)
                terms["weight_penalty"] = args.weight_decay * penalty
            total = tf.add_n(list(terms.values()))
        # Backward pass, then the centers follow the features, the averages the weights.
        optimizer.apply(tape.gradient(total, variables), variables)
        losses.update_centers(centers, prelogits, labels, args.center_loss_alfa)
        training.update_averages(network, averaged, step, args.moving_average_decay)
        hits = tf.equal(answers, labels)
        return {"total_loss": total, **terms, "accuracy": tf.reduce_mean(tf.cast(hits, tf.float32))}

    return train_step


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its last validation scores."""
    # The data, divided by people; the embedder, its averages, and the classifier to be dropped.
    if args.loss != "arcface":
        cli.refuse_idle(args, ["arcface_scale", "arcface_margin"], "--loss softmax")
    if not args.center_loss_factor:
        cli.refuse_idle(args, ["center_loss_alfa"], "--center_loss_factor 0")
    dataset, network = training.prepare(args)
    people = len(dataset.train.names)
    head = build_classifier(args.embedding_size, people, use_bias=args.loss == "softmax")
    checkpoint.start_from(args, dataset.train.names, network=network, head=head)
    averaged = averages.copy(network)
    centers = tf.Variable(tf.zeros((people, args.embedding_size)))
    optimizer = flags.make_optimizer(args)
    train_step = make_train_step(args, network, averaged, head, centers, optimizer)
    with rundir.open_run(args, dataset_sha256=dataset.digest, class_names=dataset.train.names,
                         alignment=dataset.alignment,
                         parameters=network.count_params()) as run:
        state = training.make_state(run, network, averaged, optimizer, {"head": head},
                                    centers=centers)
        start = int(state.step)
        monitor, scores = Monitor(run, start), {}
        validate = training.make_validate(args, averaged, dataset.validation, monitor)
        batches = data.training_batches(dataset.train, args.batch_size, args.seed, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, (photographs, labels, number) in state.steps(batches, args.max_steps,
                                                               args.save_every, monitor):
            terms = train_step(photographs, labels, number)
            # Log the losses, and the accuracy on the batch.
            if step % args.log_every == 0:
                monitor.scalars(step, terms | {"learning_rate": optimizer.learning_rate})
            # Verify the people who are held out.
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = validate(step)
    print(f"people held out: equal error rate {scores['eer']:.2%}, area under the ROC curve "
          f"{scores['auc']:.4f}")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
