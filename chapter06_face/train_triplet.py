"""Trains an embedder of faces by triplets (book, section 6.2.1; Schroff et al. 2015).

    python train_triplet.py                                        # cartoon people, minutes
    python train_triplet.py --preset folder --data_dir FOLDER
    python train_triplet.py --preset book --data_dir casia_aligned  # CASIA-WebFace, long

A triplet is an anchor, a positive, which is another image of the same person, and a negative, of
somebody else. The loss asks that the anchor is nearer to the positive than to the negative, by a
margin. A batch has several images of several people; each pair of one person gets a semi-hard
negative from the same batch. Triplets that keep the margin teach nothing: `active` is the share of
pairs that have a triplet.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from chapter06_face import data, flags, losses, training
from chapter06_face.model import embed
from common import averages, checkpoint, cli, rundir
from common.monitor import Monitor

PRESETS = {
    "demo": {
        "image_size": 64,
        "random_crop": True,
        "random_flip": True,
        "optimizer": "adam",
        "learning_rate": 0.03,
        "moving_average_decay": 0.99,
        "people_per_batch": 16,
        "images_per_person": 4,
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
        "weight_decay": 1e-4,
        "optimizer": "rmsprop",
        "learning_rate": 0.01,
        "folds": 100,
        "people_per_batch": 45,
        "images_per_person": 4,  # 40 in the original, which chooses triplets before it trains
        "max_steps": 500000,
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
        "people_per_batch": 8,
        "images_per_person": 4,
        "max_steps": 300,
        "eval_every": 100,
        "save_every": 100,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = flags.build_parser(__file__, __doc__, PRESETS)
    group = parser.add_argument_group("loss")
    group.add_argument("--alpha", type=cli.positive_float, default=0.2,
                       help="margin between the squared distances")
    group.add_argument("--people_per_batch", type=cli.number(int, 2, 10000, "at least 2"),
                       default=45, help="people per batch")
    group.add_argument("--images_per_person", type=cli.number(int, 2, 1000, "at least 2"),
                       default=4, help="images of each of them")
    return parser


def make_train_step(
    args: argparse.Namespace, network: keras.Model, averaged: keras.Model,
    optimizer: keras.Optimizer,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the train step: from photographs, people and the step to losses."""
    variables = network.trainable_variables

    @tf.function(autograph=False)
    def train_step(
        photographs: tf.Tensor, labels: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        # Random windows, mirrored and rotated; a pure function of seed and step.
        seed = tf.stack([tf.constant(args.seed, tf.int64), step])
        images = data.augment(photographs, seed, args.image_size, args.random_flip,
                              args.random_rotate)
        with tf.GradientTape() as tape:
            # Forward pass: embeddings of length 1 and the distances of all pairs.
            embeddings = embed(network(images, training=True))
            distances = losses.squared_distances(embeddings)
            # Each pair of one person gets a semi-hard negative, if the batch has one.
            triplets, pairs = losses.semi_hard_triplets(tf.stop_gradient(distances), labels,
                                                        args.alpha, seed)
            anchor, positive, negative = tf.unstack(triplets, 3, axis=1)
            loss = losses.triplet_loss(
                tf.gather_nd(distances, tf.stack([anchor, positive], axis=1)),
                tf.gather_nd(distances, tf.stack([anchor, negative], axis=1)), args.alpha)
            # A mean over triplets, 0 if there are none.
            loss = tf.math.divide_no_nan(tf.reduce_sum(loss), tf.cast(tf.size(loss), tf.float32))
            total = loss
            if args.weight_decay:
                total += args.weight_decay * training.weight_penalty(network)
        # Backward pass, and the averages of the weights.
        optimizer.apply(tape.gradient(total, variables), variables)
        training.update_averages(network, averaged, step, args.moving_average_decay)
        return {"total_loss": total, "triplet_loss": loss,
                "active": tf.shape(triplets)[0] / pairs}

    return train_step


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its last validation scores."""
    # The data, divided by people; the embedder and its averages.
    dataset, network = training.prepare(args)
    data.people_with_two(dataset.train, args.people_per_batch)  # else an error, without a run
    checkpoint.start_from(args, network=network)
    averaged = averages.copy(network)
    optimizer = flags.make_optimizer(args)
    train_step = make_train_step(args, network, averaged, optimizer)
    with rundir.open_run(args, dataset_sha256=dataset.digest, class_names=dataset.train.names,
                         alignment=dataset.alignment,
                         parameters=network.count_params()) as run:
        state = training.make_state(run, network, averaged, optimizer, {})
        start = int(state.step)
        monitor, scores = Monitor(run, start), {}
        validate = training.make_validate(args, averaged, dataset.validation, monitor)
        batches = data.people_batches(dataset.train, args.people_per_batch,
                                      args.images_per_person, args.seed, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, (photographs, labels, number) in state.steps(batches, args.max_steps,
                                                               args.save_every, monitor):
            terms = train_step(photographs, labels, number)
            # Log the losses, and the share of pairs that have a triplet.
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
