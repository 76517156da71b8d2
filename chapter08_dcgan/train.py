"""Trains a generator and a discriminator against each other (book, chapter 8; DCGAN).

    python train.py                                      # scikit-learn's digits, minutes
    python train.py --preset faces                       # cartoon faces drawn by code
    python train.py --preset book --data_dir MNIST       # the book's MNIST, 25 epochs
    python train.py --preset best --data_dir MNIST       # better in less time
    python train.py --preset photos --data_dir FOLDER    # a few hundred photographs
    python train.py --preset book --dataset folder --data_dir anime --input_height 96 \\
        --output_height 48 --crop --epochs 300
    python generate.py --num 20 --label 7

The discriminator D learns to tell real images from generated ones. The generator G learns to map
noise z to images that D takes for real. In the best case D(x) and D(G(z)) are near 0.5: D cannot
tell them apart. Neither loss says how good the images are: the kernel distance does, see eval.py.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from chapter08_dcgan import data, flags, inference
from chapter08_dcgan.augment import augment
from chapter08_dcgan.health import Watch
from chapter08_dcgan.judge import Judge, check_same, make_compare, open_judge, read_as_asked
from chapter08_dcgan.losses import d_losses, g_loss, gradient_penalty
from chapter08_dcgan.model import Networks, Shape, to_range, trainable_parameters
from common import averages, checkpoint, cli, files, images, rundir
from common.checkpoint import TrainState
from common.kernel_distance import summarize
from common.monitor import Monitor

SHEET = 64  # images of a sample sheet, eight in a row
MOST_REAL = 2000  # validation images of a measurement
SEEDS_PER_STEP = 10_000  # random numbers of a step have seeds of their own
EPSILON = 1e-8  # of Adam, as in TensorFlow 1

PRESETS = {
    "demo": {
        "learning_rate": 1e-3,
        "ema_decay": 0.995,
        "max_steps": 1000,
        "sample_every": 20,
        "eval_every": 200,
        "save_every": 200,
    },
    "book": {  # main.py and model.py of the original
        "model": "book",
        "dataset": "mnist",
        "hold_out": False,
        "epochs": 25,
        "batch_size": 64,
        "learning_rate": 2e-4,
        "beta1": 0.5,
        "d_steps": 1,
        "g_steps": 2,
        "sample_every": 100,
        "eval_every": 1093,
        "kid_images": 2000,
        "save_every": 500,
    },
    "best": {
        "dataset": "mnist",
        "width": 64,
        "learning_rate": 5e-4,
        "ema_decay": 0.998,
        "max_steps": 8000,
        "eval_every": 500,
        "kid_images": 2000,
    },
    "faces": {
        "dataset": "faces",
        "batch_size": 32,
        "learning_rate": 5e-4,
        "ema_decay": 0.998,
        "random_flip": True,
        "max_steps": 4000,
        "eval_every": 500,
    },
    "photos": {
        "dataset": "folder",
        "batch_size": 16,
        "loss": "hinge",
        "learning_rate": 4e-4,
        "ema_decay": 0.998,
        "augment": "color,translation,cutout",
        "random_flip": True,
        "max_steps": 8000,
        "eval_every": 500,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return flags.build_parser(__file__, __doc__, PRESETS)


def make_train_step(
    args: argparse.Namespace, networks: Networks, averaged: keras.Model | None,
    g_adam: keras.Optimizer, d_adam: keras.Optimizer,
) -> Callable[..., tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]]:
    """Returns the train step: from the step, images and labels to metrics and histograms."""
    generator, discriminator, low = networks
    policy = args.augment.split(",") if args.augment else []
    size = args.batch_size
    score = tf.sigmoid if args.loss == "gan" else tf.identity

    def discriminate(pictures: tf.Tensor, seed: tf.Tensor, *labels: tf.Tensor) -> tf.Tensor:
        """Returns logits of augmented images, normalized within this batch."""
        return discriminator([augment(pictures, policy, seed), *labels], training=True)

    @tf.function(jit_compile=args.jit_compile)
    def train_step(
        step: tf.Tensor, pictures: tf.Tensor, *labels: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        seeds = (tf.stack([tf.constant(args.seed, tf.int64), SEEDS_PER_STEP * step + 10 * number])
                 for number in range(SEEDS_PER_STEP // 10))
        for start in range(0, size * args.d_steps, size):
            # A batch of real images, and as many z.
            batch, *wanted = (part[start : start + size] for part in (pictures, *labels))
            real = to_range(batch, low)
            z = tf.random.stateless_uniform((size, args.z_dim), next(seeds), -1, 1)
            fake = generator([z, *wanted], training=True)
            # The discriminator's loss: real images are to be 1, generated ones 0.
            with tf.GradientTape() as tape:
                with tf.GradientTape() as inner:
                    inner.watch(real)
                    of_real = discriminate(real, next(seeds), *wanted)
                    total = tf.reduce_sum(of_real)
                of_fake = discriminate(fake, next(seeds), *wanted)
                real_loss, fake_loss = d_losses(of_real, of_fake, args.loss)
                d_loss = real_loss + fake_loss
                if args.r1:
                    d_loss += args.r1 * gradient_penalty(inner.gradient(total, real))
            # Update the discriminator alone.
            variables = discriminator.trainable_variables
            d_adam.apply(tape.gradient(d_loss, variables), variables)
        for _ in range(args.g_steps):
            # The generator's loss: images of the same z are to be taken for real.
            with tf.GradientTape() as tape:
                fake = generator([z, *wanted], training=True)
                loss = g_loss(discriminate(fake, next(seeds), *wanted), args.loss)
            # Update the generator alone.
            variables = generator.trainable_variables
            g_adam.apply(tape.gradient(loss, variables), variables)
        if averaged:
            averages.update(averaged.weights, generator.weights, step, args.ema_decay)
        scores = {"d": score(of_real), "d_": score(of_fake)}
        metrics = {"d_loss": d_loss, "d_loss_real": real_loss, "d_loss_fake": fake_loss,
                   "g_loss": loss, "d_of_real": tf.reduce_mean(scores["d"]),
                   "d_of_fake": tf.reduce_mean(scores["d_"])}
        return metrics, {"z": z, **scores}

    return train_step


def make_measure(
    args: argparse.Namespace, judge: Judge | None, real: data.Split, watch: Watch,
    generate: inference.Generate, classes: int,
) -> Callable[[int], dict[str, float]]:
    """Returns a function from the step to scores of generated images, always of the same z."""
    count = args.kid_images or SHEET
    z, labels = inference.fixed_inputs(args, count, classes)
    compare = make_compare(judge, real) if judge else None

    def measure(step: int) -> dict[str, float]:
        pictures = generate(z, labels)
        scores = {"diversity": watch.diversity(data.Split(pictures, labels), step)}
        if judge:
            distance = summarize(compare(pictures))
            scores |= {"kid": distance.kid, "kid_interval": distance.interval}
        if judge and judge.read and classes:
            scores |= {"accuracy": read_as_asked(judge, pictures, labels)}
        return scores

    return measure


def introduce(args: argparse.Namespace, found: data.Data) -> None:
    """Prints what is trained on which data and, in the demo, the command of the book's run."""
    print(f"training {args.model} on {len(found.train.labels):,} images of {args.dataset}, "
          + (f"{len(found.names)} labels" if args.conditional else "no labels")
          + ("" if args.hold_out else "; those of validation and test are among them"))
    if args.preset == "demo":
        print("the book's run: python train.py --preset book --data_dir MNIST_FOLDER")
        if (folder := files.default_dir("mnist")).is_dir():
            print(f"MNIST is already in {folder}: python train.py --preset best")


def log_histograms(monitor: Monitor, step: int, values: dict[str, tf.Tensor]) -> None:
    """Writes histograms under the original's names: z, d, d_."""
    with monitor.writer("train").as_default(step):
        for name, tensor in values.items():
            tf.summary.histogram(name, tensor)


def prepare(args: argparse.Namespace) -> tuple[data.Data, Judge | None, Shape]:
    """Loads the data and opens the judge; returns them and the shape of the images."""
    flags.check(args)
    found = data.load(args)
    data.check_batch(found.train, args.batch_size * args.d_steps)
    flags.set_steps(args, len(found.train.labels))
    introduce(args, found)
    judge = open_judge(args) if args.kid_images else None
    check_same(judge, args.run_dir)
    classes = len(found.names) if args.conditional else 0
    return found, judge, Shape(*found.train.images.shape[1:], classes)


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--max_steps`; returns the scores of its last images."""
    # Images, judge, both networks with an Adam each, and the averages of the generator's weights.
    found, judge, shape = prepare(args)
    networks = inference.build_networks(args, shape)
    models: dict[str, Any] = {"generator": networks.generator,
                              "discriminator": networks.discriminator}
    checkpoint.start_from(args, **models)
    averaged = averages.copy(networks.generator) if args.ema_decay else None
    if averaged:
        models["averaged"] = averaged
    g_adam, d_adam = (keras.optimizers.Adam(args.learning_rate, args.beta1, epsilon=EPSILON)
                      for _ in range(2))
    train_step = make_train_step(args, networks, averaged, g_adam, d_adam)
    generate = inference.make_generate(averaged or networks.generator, networks.low, shape.classes)
    real = data.of_classes(data.Split(*(part[:MOST_REAL] for part in found.validation)),
                           shape.classes)
    watch = Watch(real, r1=args.model == "compact")
    measure = make_measure(args, judge, real, watch, generate, shape.classes)
    z, labels = inference.fixed_inputs(args, SHEET, shape.classes)
    with rundir.open_run(args, dataset_sha256=found.digest, class_names=found.names, shape=shape,
                         parameters=trainable_parameters(networks[:2]),
                         steps_per_epoch=len(found.train.labels) / (args.batch_size * args.d_steps),
                         judge=judge and [judge.name, judge.digest]) as run:
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        state = TrainState(run, models, {
            "g_adam": (g_adam, networks.generator.trainable_variables),
            "d_adam": (d_adam, networks.discriminator.trainable_variables)})
        start = int(state.step)
        monitor = Monitor(run, start)
        batches = data.training_batches(found.train, shape.classes, args.batch_size * args.d_steps,
                                        args.seed, start, args.random_flip)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, batch in state.steps(batches, args.max_steps, args.save_every, monitor):
            metrics, histograms = train_step(*batch)
            # Log losses and D's answers under the original's names.
            if step % args.log_every == 0:
                monitor.scalars(step, metrics)
                watch.balance(metrics, step)
            # Images of the same z, as a sheet.
            if step % args.sample_every == 0 or step == args.max_steps:
                pictures = generate(z, labels)
                images.write_png(run / "samples" / f"{step:07d}.png", images.grid(pictures, 8))
                monitor.images(step, "G", pictures)
                log_histograms(monitor, step, histograms)
            # Distance to the validation images; keep the weights of the nearest ones.
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = measure(step)
                monitor.scalars(step, scores, "val")
                if judge:
                    state.save_if_best(scores["kid"])
    print(f"after {step} steps: " + ", ".join(f"{name} {value:.3f}" for name, value in
                                              scores.items()) + f"; sheets in {run / 'samples'}")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
