"""Trains CycleGAN: translates images of one kind into another, without pairs (book, chapter 11).

    python train.py                                              # apples and oranges drawn by code
    python train.py --preset book --X apple.tfrecords --Y orange.tfrecords
    python train.py --preset best --data_dir monet2photo         # 128 x 128, long
    python eval.py

Zhu et al. 2017. G makes images of domain Y of those of X, F the other way round. D_Y learns to tell
G's images from real ones of Y, D_X the same for X, and each generator learns to deceive its judge.
Nothing of this asks that G(x) shows what x shows; the cycle does: F(G(x)) must be x, and G(F(y)) y.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from chapter11_cyclegan import data, flags, losses
from chapter11_cyclegan.health import Watch
from chapter11_cyclegan.inference import build_discriminators, build_generators
from chapter11_cyclegan.pool import ImagePool
from chapter11_cyclegan.training import (
    make_averaging,
    make_measure,
    make_optimizer,
    open_probe,
)
from common import averages, checkpoint, cli, files, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

PRESETS = {
    "demo": {
        "image_size": 64,
        "flip": True,
        "ngf": 16,
        "ndf": 16,
        "blocks": 3,
        "netD": "patch34",
        "upsample": "resize",
        "identity_start": True,
        "learning_rate": 5e-4,
        "ema_decay": 0.99,
        "max_steps": 2000,
    },
    "book": {  # train.py, model.py, generator.py and discriminator.py of the original
        "dataset": "tfrecords",
        "max_steps": 200_000,
        "save_every": 10_000,
        "eval_every": 2500,
    },
    "best": {
        "dataset": "folders",
        "image_size": 128,
        "scale_size": 144,
        "flip": True,
        "ngf": 32,
        "ndf": 32,
        "netD": "patch70",
        "upsample": "resize",
        "identity_start": True,
        "lambda1": 1.0,
        "lambda2": 1.0,
        "ema_decay": 0.999,
        "max_steps": 6000,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return flags.build_parser(__file__, __doc__, PRESETS)


def make_train_step(
    args: argparse.Namespace, generators: dict[str, keras.Model],
    discriminators: dict[str, keras.Model], pools: dict[str, ImagePool],
    optimizers: dict[str, keras.Optimizer],
) -> Callable[..., dict[str, tf.Tensor]]:
    """Returns the train step: from its number and images of X and Y to what is logged."""
    (g, f), (d_x, d_y) = generators.values(), discriminators.values()
    lsgan = args.use_lsgan

    @tf.function
    def train_step(step: tf.Variable, x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            # Translate both ways, and back again.
            fake_y, fake_x = g(x, training=True), f(y, training=True)
            back_x, back_y = f(fake_y, training=True), g(fake_x, training=True)
            # The translations are to be taken for real, and to be undone by the other generator.
            g_loss = losses.generator_loss(d_y(fake_y, training=True), lsgan)
            f_loss = losses.generator_loss(d_x(fake_x, training=True), lsgan)
            cycle = losses.cycle_loss(x, back_x, y, back_y, args.lambda1, args.lambda2)
            logged = {"loss/G": g_loss + cycle, "loss/F": f_loss + cycle, "loss/cycle": cycle}
            total = g_loss + f_loss + cycle
            # What is of the target domain already is to stay as it is.
            if args.identity_weight:
                identity = args.identity_weight * losses.cycle_loss(
                    x, f(x, training=True), y, g(y, training=True), args.lambda1, args.lambda2)
                logged["loss/identity"], total = identity, total + identity
            # The discriminators see real images, and translations new and old.
            seeds = [tf.stack([2 * tf.constant(args.seed, tf.int64) + i, step]) for i in (0, 1)]
            old_x = pools["pool_x"].query(tf.stop_gradient(fake_x), seeds[0])
            old_y = pools["pool_y"].query(tf.stop_gradient(fake_y), seeds[1])
            real_x, real_y = d_x(x, training=True), d_y(y, training=True)
            of_x, of_y = d_x(old_x, training=True), d_y(old_y, training=True)
            d_x_loss = losses.discriminator_loss(real_x, of_x, lsgan)
            d_y_loss = losses.discriminator_loss(real_y, of_y, lsgan)
            d_total = d_x_loss + d_y_loss
        # Four updates from the same weights. A part of the sum that does not depend on a network
        # adds nothing to its gradient: the sums give each network the gradient of its own loss.
        for networks, loss in ((generators, total), (discriminators, d_total)):
            variables = {name: net.trainable_variables for name, net in networks.items()}
            for name, gradients in tape.gradient(loss, variables).items():
                optimizers[name].apply(gradients, variables[name])
        answers = {"D_X/true": real_x, "D_X/fake": of_x, "D_Y/true": real_y, "D_Y/fake": of_y}
        return logged | {"loss/D_X": d_x_loss, "loss/D_Y": d_y_loss} | {
            name: tf.reduce_mean(answer) for name, answer in answers.items()}

    return train_step


def introduce(args: argparse.Namespace, found: data.Data) -> None:
    """Prints what is trained on which data and, in the demo, the command of the book's run."""
    print(f"training on {len(found.train.x.names):,} images of X and {len(found.train.y.names):,} "
          f"of Y, {args.data_dir or args.dataset}, {args.image_size} x {args.image_size} pixels, "
          f"{args.blocks} residual blocks")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book --X apple.tfrecords --Y "
              "orange.tfrecords")
        if (folder := files.default_dir("apple2orange")).is_dir():
            print(f"the book's images are there: --dataset folders --data_dir {folder}")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--max_steps`; returns the last scores."""
    flags.check(args)
    flags.check_cycle(args)
    found = data.load(args)
    introduce(args, found)
    probe = open_probe(args, found.train)
    # Two generators, two discriminators, an Adam and where it applies a pool for each.
    generators, discriminators = build_generators(args), build_discriminators(args)
    networks = generators | discriminators
    checkpoint.start_from(args, **networks)
    optimizers = {name: make_optimizer(args) for name in networks}
    pools = {name: ImagePool(args.pool_size, (args.image_size, args.image_size, 3))
             for name in ("pool_x", "pool_y")}
    averaged = {f"averaged_{name}": averages.copy(network)
                for name, network in generators.items()} if args.ema_decay else {}
    update_averages = make_averaging(generators, averaged, args.ema_decay)
    train_step = make_train_step(args, generators, discriminators, pools, optimizers)
    with rundir.open_run(args, dataset_sha256=found.digest, parameters=sum(
            variable.value.shape.num_elements() for network in networks.values()
            for variable in network.trainable_variables)) as run:
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        state = TrainState(run, networks | averaged | pools, {
            name: (optimizers[name], net.trainable_variables) for name, net in networks.items()})
        start = int(state.step)
        monitor, watch, scores = Monitor(run, start), Watch(args.use_lsgan), {}
        measured = dict(zip(generators, averaged.values(), strict=True)) if averaged else generators
        measure = make_measure(args, measured, probe, state, monitor, watch)
        batches = data.training_batches(found.train, args, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, (x, y) in state.steps(batches, args.max_steps, args.save_every, monitor):
            logged = train_step(state.step, x, y)
            if averaged:
                update_averages(state.step)
            # Log the losses and the answers of D; warn if the training goes wrong.
            if step % args.log_every == 0:
                monitor.scalars(step, logged | {"learning_rate": optimizers["G"].learning_rate})
                watch.losses(step, logged)
            # Translate training images, always the same: a sheet, scores, the best weights.
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = measure(step)
    print(f"after {step} steps: " + ", ".join(f"{name} {value:.3f}" for name, value in
                                              scores.items()) + f"; {run / 'samples'}")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
