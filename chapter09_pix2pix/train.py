"""Trains pix2pix, a conditional GAN from images to images (book, chapter 9; Isola et al. 2017).

    python train.py                                                 # facades drawn by code
    python train.py --preset book --data_dir facades                # CMP facades, BtoA, long
    python train.py --preset book_food --data_dir food_resized      # colouring, long
    python train.py --preset colour --data_dir FOLDER               # our recipe for colouring
    python train.py --preset map2photo --data_dir FOLDER            # A: photograph, B: map
    python eval.py

A generator makes an image of its input. A discriminator looks at pairs, patch by patch, and learns
to tell (input, target) from (input, output); the generator learns to deceive it, and to be near the
target. L1 alone gives blurred images, the discriminator alone gives sharp ones that belong to other
inputs. FOLDER/train holds the data, see data.py.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from chapter09_pix2pix import data, flags, losses, pairs
from chapter09_pix2pix.inference import build, build_judge
from chapter09_pix2pix.perceptual import Perceptual, make_perceptual
from chapter09_pix2pix.training import (
    check_health,
    make_averaging,
    make_validate,
    spread,
)
from common import averages, checkpoint, cli, files, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

BOOK_COLOUR = {"dataset": "photos", "lab_colorization": True, "eval_every": 1000,
               "save_every": 5000}
SMALL = {"crop_size": 128, "netG": "unet_128", "ngf": 32, "norm": "instance", "batch_size": 4,
         "schedule": "cosine", "ema_decay": 0.995}
PRESETS = {
    "demo": {
        "which_direction": "BtoA",
        "netG": "unet_64",
        "crop_size": 64,
        "scale_size": 72,
        "ngf": 32,
        "ndf": 32,
        "norm": "instance",
        "dropout": False,
        "batch_size": 4,
        "learning_rate": 0.001,
        "schedule": "cosine",
        "ema_decay": 0.98,
        "max_steps": 1000,
    },
    "book": {
        "dataset": "pairs",
        "which_direction": "BtoA",
        "epochs": 200,
        "eval_every": 1000,
        "save_every": 5000,
    },
    "book_food": BOOK_COLOUR | {"epochs": 70},
    "book_anime": BOOK_COLOUR | {"epochs": 5},
    "colour": SMALL | {
        "dataset": "photos",
        "lab_colorization": True,
        "crop": "resized",
        "lightness_jitter": 0.3,
        "max_width": 4,
        "gan_weight": 0.0,
        "l1_weight": 1.0,
        "pixel_loss": "l2",
        "learning_rate": 0.001,
        "beta1": 0.9,
        "select": "psnr",
        "max_steps": 800,
        "eval_every": 100,
        "save_every": 100,
    },
    "colour_gan": {  # the original's losses and normalization, at 128 pixels
        "dataset": "photos",
        "lab_colorization": True,
        "crop_size": 128,
        "scale_size": 144,
        "netG": "unet_128",
        "ngf": 32,
        "ndf": 32,
        "batch_size": 4,
        "max_steps": 2500,
    },
    "map2photo": SMALL | {
        "dataset": "pairs",
        "which_direction": "BtoA",
        "scale_size": 144,
        "max_steps": 4000,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return flags.build_parser(__file__, __doc__, PRESETS)


def make_train_step(
    args: argparse.Namespace, generator: keras.Model, judge: keras.Model | None,
    optimizers: dict[str, keras.Optimizer], perceptual: Perceptual | None = None,
) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the train step: from inputs and targets to what is logged."""
    @tf.function
    def train_step(inputs: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            # The generator's output, and its difference from the target.
            outputs = generator(inputs, training=True)
            l1 = losses.pixel_loss(outputs, targets, args.pixel_loss)
            g_total, logged = args.l1_weight * l1, {"generator_loss_L1": l1}
            # Its difference in the features of a network that knows photographs.
            if perceptual is not None:
                of_features = perceptual(127.5 * (outputs + 1), 127.5 * (targets + 1))
                g_total += args.perceptual_weight * of_features
                logged["perceptual_loss"] = of_features
            # The discriminator sees a real and a generated pair, in two passes: batch
            # normalization would otherwise mix them.
            if judge is not None:
                real = judge(tf.concat([inputs, targets], axis=-1), training=True)
                fake = judge(tf.concat([inputs, outputs], axis=-1), training=True)
                d_loss = losses.discriminator_loss(real, fake)
                g_gan = losses.generator_loss(fake)
                g_total += args.gan_weight * g_gan
                logged |= {"discriminator_loss": d_loss, "generator_loss_GAN": g_gan,
                           "d_real": tf.reduce_mean(tf.sigmoid(real)),
                           "d_fake": tf.reduce_mean(tf.sigmoid(fake))}
        # Each loss moves the weights of its own network only: first D, then G.
        if judge is not None:
            gradients = d_tape.gradient(d_loss, judge.trainable_variables)
            optimizers["discriminator"].apply(gradients, judge.trainable_variables)
        gradients = g_tape.gradient(g_total, generator.trainable_variables)
        optimizers["generator"].apply(gradients, generator.trainable_variables)
        return logged | {"output_spread": spread(outputs)}

    return train_step


def introduce(args: argparse.Namespace, found: data.Data) -> None:
    """Prints what is trained on which data and, in the demo, the command of the book's run."""
    print(f"training {args.netG} on {len(found.train.names):,} pairs of "
          f"{args.data_dir or args.dataset}, validating on {len(found.validation.names):,}")
    if found.validation_is_test:
        cli.refuse_idle(args, ["select"], "validation pairs that are the test pairs")
        print("the validation pairs are the test pairs: no checkpoint is selected on them, the "
              "latest is used")
    some = pairs.some_of(found.train)
    pairs.warn_if_small(some, args.crop_size)
    if not args.lab_colorization:
        pairs.warn_if_swapped(some, args.which_direction)
    if args.preset == "demo":
        print("the book's run: python train.py --preset book --data_dir facades")
        if (folder := files.default_dir("facades")).is_dir():
            print(f"the facades are there: --data_dir {folder}")


def make_optimizer(args: argparse.Namespace) -> keras.Optimizer:
    """Returns Adam with the rate, the schedule and the beta1 of the flags."""
    rate = args.learning_rate
    if args.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, args.max_steps)
    return keras.optimizers.Adam(rate, beta_1=args.beta1)


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--max_steps`; returns the last validation scores."""
    flags.check(args)
    found = data.load(args)
    flags.set_steps(args, len(found.train.names))
    introduce(args, found)
    # The two networks, each with its optimizer, and the average of the generator's weights.
    networks = {"generator": (generator := build(args))}
    judge = networks["discriminator"] = build_judge(args) if args.gan_weight else None
    networks = {name: network for name, network in networks.items() if network is not None}
    checkpoint.start_from(args, **networks)
    optimizers = {name: make_optimizer(args) for name in networks}
    averaged = averages.copy(generator) if args.ema_decay else None
    update_averages = averaged and make_averaging(generator, averaged, args.ema_decay)
    train_step = make_train_step(args, generator, judge, optimizers, make_perceptual(args))
    with rundir.open_run(args, dataset_sha256=found.digest, parameters=sum(
            variable.value.shape.num_elements() for network in networks.values()
            for variable in network.trainable_variables)) as run:
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        state = TrainState(
            run, networks | ({"averaged": averaged} if averaged else {}),
            {name: (optimizers[name], network.trainable_variables)
             for name, network in networks.items()})
        start = int(state.step)
        monitor, told, scores = Monitor(run, start), set(), {}
        validate = make_validate(args, averaged or generator, found, state, monitor)
        batches = data.training_batches(found.train, args, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, (inputs, targets) in state.steps(batches, args.max_steps, args.save_every,
                                                   monitor):
            logged = train_step(inputs, targets)
            if averaged:
                update_averages(state.step, inputs)
            # Log the losses, D(x) and D(G(x)); stop or warn if the training goes wrong.
            if step % args.log_every == 0:
                monitor.scalars(step, logged | {
                    "learning_rate": optimizers["generator"].learning_rate})
                check_health(step, logged, args, told)
            # Evaluate the validation pairs, draw them, and keep the best weights.
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = validate(step)
    print(f"validation: PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.3f}, L1 "
          f"{scores['l1']:.2f} of 255 after {step} steps; {run / 'samples'}")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
