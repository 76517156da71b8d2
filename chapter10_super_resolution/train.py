"""Trains a network that makes pictures larger and sharp (book, chapter 10; Lim et al. 2017).

    python train.py                                              # pictures drawn by code, x4
    python train.py --preset best --data_dir FOLDER,FOLDER       # our recipe, on photographs
    python train.py --preset real --data_dir FOLDER              # for noisy, compressed pictures
    python train.py --preset best --data_dir FOLDER --factor 2
    python train.py --preset paper --data_dir DIV2K              # EDSR's baseline network, long
    python eval.py

Small pictures are made of sharp ones, and a network of residual blocks learns the way back: it adds
to the bicubic enlargement what that lacks. The book's way, pix2pix on pairs of sharp and blurred
pictures, is chapter 9's network on the pairs of prepare.py.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from chapter10_super_resolution import data, flags
from chapter10_super_resolution.data import Data
from chapter10_super_resolution.inference import build
from chapter10_super_resolution.model import enlarge
from chapter10_super_resolution.training import (
    make_optimizer,
    make_validate,
    read_validation,
    start_from_run,
)
from common import averages, cli, files, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

PRESETS = {
    "demo": {
        "blocks": 8,
        "batch_size": 8,
        "max_steps": 3000,
        "ema_decay": 0.99,
    },
    "best": {
        "dataset": "photos",
        "max_steps": 6000,
        "eval_every": 1000,
    },
    "real": {
        "dataset": "photos",
        "degradation": "real",
        "patch_size": 32,
        "batch_size": 8,
        "max_steps": 4000,
    },
    "paper": {  # EDSR's baseline; the paper's test weights are no average
        "dataset": "photos",
        "width": 64,
        "upsampling": "stages",
        "patch_size": 48,
        "learning_rate": 1e-4,
        "schedule": "halving",
        "ema_decay": 0.0,
        "max_steps": 300_000,
        "eval_every": 5000,
        "save_every": 5000,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return flags.build_parser(__file__, __doc__, PRESETS)


def make_train_step(
    args: argparse.Namespace, network: keras.Model, averaged: keras.Model | None,
    optimizer: keras.Optimizer,
) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the train step: from sharp and small patches to what is logged."""
    @tf.function
    def train_step(sharp: tf.Tensor, small: tf.Tensor) -> dict[str, tf.Tensor]:
        # The mean absolute difference from the sharp patches: sharper results than the squared one.
        with tf.GradientTape() as tape:
            enlarged = enlarge(network, small, args.factor, training=True)
            loss = tf.reduce_mean(tf.abs(enlarged - sharp)) / 255
        # One bad batch must not undo many steps at a high rate: limit the norm of its gradient.
        gradients = tape.gradient(loss, network.trainable_variables)
        gradients, norm = tf.clip_by_global_norm(gradients, args.clip_norm)
        optimizer.apply(gradients, network.trainable_variables)
        # Move the average of the weights, which forgives a high rate.
        if averaged is not None:
            averages.update(averaged.trainable_variables, network.trainable_variables,
                            optimizer.iterations, args.ema_decay)
        return {"loss": loss, "gradient_norm": norm}

    return train_step


def introduce(args: argparse.Namespace, found: Data) -> None:
    """Prints what is trained on which data and, in the demo, the command for photographs."""
    print(f"training x{args.factor} on {len(found.train.names):,} pictures of "
          f"{args.data_dir or args.dataset}, validating on {len(found.validation.names):,}")
    if args.preset == "demo":
        print("on photographs: python train.py --preset best --data_dir FOLDER; the book's run: "
              "python prepare.py --dir-path FOLDER --output_dir pairs")
        if (folder := files.default_dir("DIV2K")).is_dir():
            print(f"DIV2K is there: --data_dir {folder}")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--max_steps`; returns the last validation scores."""
    flags.check(args)
    found = data.load(args)
    introduce(args, found)
    pairs = read_validation(args, found)
    # The network, the average of its weights, and the optimizer.
    network = build(args)
    start_from_run(args, network)
    averaged = averages.copy(network) if args.ema_decay else None
    optimizer = make_optimizer(args)
    train_step = make_train_step(args, network, averaged, optimizer)
    with rundir.open_run(args, dataset_sha256=found.digest,
                         parameters=network.count_params()) as run:
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        models = {"network": network} | ({"averaged": averaged} if averaged is not None else {})
        state = TrainState(run, models, {"network": (optimizer, network.trainable_variables)})
        start = int(state.step)
        monitor, scores = Monitor(run, start), {}
        validate = make_validate(args, averaged or network, pairs, state, monitor)
        batches = data.training_batches(found.train, args, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, (sharp, small) in state.steps(batches, args.max_steps, args.save_every, monitor):
            logged = train_step(sharp, small)
            # Log the loss, and the norm of the gradient before it is clipped.
            if step % args.log_every == 0:
                monitor.scalars(step, logged | {"learning_rate": optimizer.learning_rate})
            # Enlarge the validation pictures, draw some, and keep the best weights.
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
