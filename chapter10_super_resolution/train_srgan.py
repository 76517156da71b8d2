"""Trains a network whose pictures look sharp, by a discriminator (SRGAN, Ledig et al. 2017).

    python train_srgan.py --init_from demo                             # after train.py --name demo
    python train_srgan.py --preset photos --data_dir FOLDER --init_from best
    python eval.py

The mean absolute difference asks for the middle of all pictures that a small one may come from,
which is smooth. A discriminator asks for one of them, and so do the features of a network that
knows photographs: sharper, with details that were not there, and lower in PSNR. A run of train.py
with the same network is where to start from.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from chapter09_pix2pix import losses
from chapter09_pix2pix.perceptual import Perceptual, make_perceptual
from chapter10_super_resolution import data, flags
from chapter10_super_resolution.inference import build
from chapter10_super_resolution.model import build_discriminator, enlarge
from chapter10_super_resolution.training import (
    make_optimizer,
    make_validate,
    read_validation,
    start_from_run,
)
from common import averages, cli, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

PRESETS = {
    "demo": {
        "blocks": 8,
        "patch_size": 16,
        "batch_size": 8,
        "perceptual_weight": 0.0,
        "ndf": 16,
        "learning_rate": 2e-4,
        "ema_decay": 0.99,
        "max_steps": 800,
    },
    "photos": {
        "dataset": "photos",
        "batch_size": 8,
        "ndf": 32,
        "learning_rate": 2e-4,
        "ema_decay": 0.99,
        "max_steps": 1500,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return flags.build_srgan_parser(__file__, __doc__, PRESETS)


def make_train_step(
    args: argparse.Namespace, networks: dict[str, keras.Model], averaged: keras.Model | None,
    optimizers: dict[str, keras.Optimizer], perceptual: Perceptual | None,
) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the train step: from sharp and small patches to what is logged."""
    network, judge = networks["network"], networks["discriminator"]

    @tf.function
    def train_step(sharp: tf.Tensor, small: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            # The discriminator sees sharp and enlarged patches, in two passes: batch normalization
            # would otherwise mix them.
            enlarged = enlarge(network, small, args.factor, training=True)
            real = judge(sharp / 255 - 0.5, training=True)
            fake = judge(enlarged / 255 - 0.5, training=True)
            d_loss = losses.discriminator_loss(real, fake)
            # The network is to deceive it, and to keep near the pixels and features of the picture.
            g_gan = losses.generator_loss(fake)
            pixel = tf.reduce_mean(tf.abs(enlarged - sharp)) / 255
            g_loss = args.pixel_weight * pixel + args.gan_weight * g_gan
            logged = {"pixel_loss": pixel, "generator_loss_GAN": g_gan,
                      "discriminator_loss": d_loss, "d_real": tf.reduce_mean(tf.sigmoid(real)),
                      "d_fake": tf.reduce_mean(tf.sigmoid(fake))}
            if perceptual is not None:
                logged["perceptual_loss"] = perceptual(enlarged, sharp)
                g_loss += args.perceptual_weight * logged["perceptual_loss"]
        # Each loss moves the weights of its own network only.
        for name, tape, loss in (("discriminator", d_tape, d_loss), ("network", g_tape, g_loss)):
            variables = networks[name].trainable_variables
            gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), args.clip_norm)
            optimizers[name].apply(gradients, variables)
        # Move the average of the weights: the network follows a moving target.
        if averaged is not None:
            averages.update(averaged.trainable_variables, network.trainable_variables,
                            optimizers["network"].iterations, args.ema_decay)
        return logged

    return train_step


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--max_steps`; returns the last validation scores."""
    flags.check(args)
    found = data.load(args)
    print(f"training x{args.factor} with a discriminator on {len(found.train.names):,} pictures of "
          f"{args.data_dir or args.dataset}")
    if not args.init_from:
        print("without --init_from the network starts at the bicubic enlargement: first train.py, "
              "then --init_from NAME")
    pairs = read_validation(args, found)
    # The network and the discriminator, each with its optimizer.
    network, side = build(args), args.patch_size * args.factor
    start_from_run(args, network, same_factor=True)
    networks = {"network": network,
                "discriminator": build_discriminator(side, args.ndf, seed=args.seed + 1)}
    averaged = averages.copy(network) if args.ema_decay else None
    optimizers = {name: make_optimizer(args) for name in networks}
    train_step = make_train_step(args, networks, averaged, optimizers, make_perceptual(args))
    with rundir.open_run(args, dataset_sha256=found.digest,
                         parameters=network.count_params()) as run:
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        models = networks | ({"averaged": averaged} if averaged is not None else {})
        state = TrainState(run, models, {
            name: (optimizers[name], networks[name].trainable_variables) for name in networks})
        start = int(state.step)
        monitor, scores = Monitor(run, start), {}
        # No weights are selected: PSNR is highest where the training begins.
        validate = make_validate(args, averaged or network, pairs, state, monitor, select=False)
        batches = data.training_batches(found.train, args, start)
        for step, (sharp, small) in state.steps(batches, args.max_steps, args.save_every, monitor):
            logged = train_step(sharp, small)
            # Log the losses, D(sharp) and D(enlarged); evaluate and draw the validation pictures.
            if step % args.log_every == 0:
                monitor.scalars(step, logged)
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = validate(step)
    print(f"validation: PSNR {scores['psnr']:.2f} dB, {scores['gain']:+.2f} dB against bicubic, "
          f"SSIM {scores['ssim']:.4f} after {step} steps; {run / 'samples'}")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
