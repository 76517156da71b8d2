"""Trains a network that stylizes photographs in one pass (book, chapter 7; Johnson et al. 2016).

    python train.py                                        # offline: a style drawn by code
    python train.py --style_image strokes                  # another one, or a file of your own
    python train.py --style_image waves,mosaic             # two styles in one network
    python train.py --preset book -c conf/wave.yml --dataset folder --data_dir train2014
    python train.py --preset best --style_image wave.jpg --data_dir FOLDER
    python stylize.py photo.jpg

The network learns from photographs alone: its loss compares what it generates with the photograph
in a deep layer of a trained network (content), and with the style image in the Gram matrices of
several layers (style). optimize.py minimizes the same loss for one photograph, without a network.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter07_style_transfer import conf, data, flags, mixture, random_filters
from chapter07_style_transfer.inference import (
    build,
    compile_stylize,
    make_score,
    mean_losses,
    open_objective,
    squares,
)
from chapter07_style_transfer.model import share_of_extremes, stylize
from chapter07_style_transfer.objective import Objective
from common import checkpoint, cli, files, images, rundir
from common.checkpoint import TrainState
from common.errors import UserError, exit_status
from common.monitor import Monitor

NO_CLIPPING = 1e30
MAX_EXTREMES = 0.95  # share of black and white values at which training stops

PRESETS = {
    "demo": {
        "style_image": "waves",
        "network": random_filters.NAME,
        "weights": None,
        "content_layers": "scale4",
        "style_layers": "pixels,scale1,scale2,scale4,scale8",
        "normalization": "relative",
        "content_weight": 1.0,
        "style_weight": 5.0,
        "tv_weight": 20.0,
        "style_size": 256,
        "max_steps": 1500,
    },
    "book": {  # conf/*.yml, and the constants of the original's code
        "dataset": "folder",
        "network": "VGG16",
        "weights": "imagenet",
        "generator": "book",
        "normalization": "book",
        "image_size": 256,
        "style_size": 256,
        "crop": "central",
        "batch_size": 4,
        "epochs": 2,
        "learning_rate": 0.001,
        "schedule": "constant",
        "clip_norm": NO_CLIPPING,
        "eval_every": 1000,
        "save_every": 1000,
    },
    "best": {
        "dataset": "folder",
        "network": "VGG16",
        "weights": "hed",
        "style_layers": "pixels,conv1_2,conv2_2,conv3_3,conv4_3",
        "normalization": "relative",
        "content_weight": 4.0,
        "style_weight": 5.0,
        "tv_weight": 20.0,
        "style_size": 256,
        "max_steps": 3000,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return flags.build_parser(__file__, __doc__, PRESETS)


def make_train_step(
    generator: keras.Model, optimizer: keras.Optimizer, objective: Objective, clip_norm: float
) -> Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """Returns the train step: from photographs to the generated images and the losses.

    A network of several styles also takes the styles of the photographs, see mixture.py.
    """
    variables = generator.trainable_variables

    @tf.function
    def train_step(
        photographs: tf.Tensor, *style: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        # The content to keep: features of the photographs, without gradients.
        content = objective.content(photographs)
        # Forward pass: stylize in one pass, and look at the result through the fixed network.
        with tf.GradientTape() as tape:
            generated = stylize(generator, photographs, *style, training=True)
            losses = objective.losses(generated, content, *style)
        # Backward pass through the fixed network into the generator, and a step of Adam.
        gradients = tape.gradient(losses["total_loss"], variables)
        gradients, norm = tf.clip_by_global_norm(gradients, clip_norm)
        optimizer.apply(gradients, variables)
        return generated, losses | {"gradient_norm": norm}

    return train_step


def introduce(args: argparse.Namespace, photographs: data.Photographs) -> None:
    """Prints what is trained on which data and, in the demo, the command of the book's run."""
    known = ", ".join(mixture.names(args.style_image))
    print(f"training the style {known} through {args.network}; photographs: "
          f"{len(photographs.train):,} of {args.data_dir or args.dataset}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book -c conf/wave.yml --data_dir train2014")
        if (folder := files.default_dir("coco")).is_dir():
            print(f"there are photographs in {folder}: --dataset folder --data_dir {folder}")


def check_range(generated: tf.Tensor, step: int) -> None:
    """Raises UserError if nearly all values are black or saturated: the network does not learn."""
    if (share := float(share_of_extremes(generated))) > MAX_EXTREMES:
        raise UserError(f"{share:.0%} of the generated values are 0 or 255 at step {step}",
                        "start a new run with a lower --learning_rate or --style_weight")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--max_steps`; returns the held-out losses."""
    flags.check(args)
    # Photographs, style image, and the network that judges; then the generator.
    photographs = data.load(args)
    flags.set_steps(args, len(photographs.train))
    introduce(args, photographs)
    objective, styles, network_digest = open_objective(args)
    held_out = list(squares(photographs.validation, args.scale_size).values())
    generator = build(args)
    checkpoint.start_from(args, generator=generator)
    rate = args.learning_rate
    if args.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, args.max_steps)
    optimizer = keras.optimizers.Adam(rate)
    train_step = make_train_step(generator, optimizer, objective, args.clip_norm)
    run_stylize, score = compile_stylize(generator), make_score(objective)
    digest = files.sha256(photographs.digest.encode(), *styles, network_digest.encode())
    with rundir.open_run(args, dataset_sha256=digest,
                         parameters=generator.count_params()) as run:
        for name, style in zip(mixture.names(args.style_image), styles, strict=True):
            images.write_png(run / "samples" / f"target_style_{name}.png", style)
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        state = TrainState(run, {"generator": generator},
                           {"adam": (optimizer, generator.trainable_variables)})
        start = int(state.step)
        monitor = Monitor(run, start)
        batches = data.training_batches(photographs.train, args.batch_size, args.image_size,
                                        args.scale_size, args.crop, args.seed, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, batch in state.steps(batches, args.max_steps, args.save_every, monitor):
            # Several styles take turns.
            style = mixture.in_turn(step, args.batch_size, len(styles))
            generated, losses = train_step(batch, *style)
            # Log the losses under the original's names.
            if step % args.log_every == 0:
                check_range(generated, step)
                monitor.scalars(step, losses | {"learning_rate": optimizer.learning_rate})
            # Stylize the held-out photographs, compute their losses, and keep the best weights.
            if step % args.eval_every == 0 or step == args.max_steps:
                pairs = list(itertools.product(mixture.each(len(styles)), held_out))
                stylized = [run_stylize(image[None], *style)[0].numpy() for style, image in pairs]
                scores = mean_losses([score(image, generated, *style) for (style, image), generated
                                      in zip(pairs, stylized, strict=True)])
                monitor.scalars(step, scores, "val")
                state.save_if_best(scores["total_loss"])
                shown = np.uint8([*held_out, *stylized])  # a row of photographs, a row per style
                images.write_png(run / "samples" / f"{step:07d}.png",
                                 images.grid(shown, len(held_out)))
                monitor.images(step, "origin", shown[: len(held_out)], "val")
                monitor.images(step, "generated", shown[len(held_out) :], "val")
    print(f"held-out photographs: total loss {scores['total_loss']:.3f} after {step} steps; "
          f"they are in {run / 'samples'}")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    words: list[str] = []
    status = exit_status(lambda: words.extend(conf.expand(argv)))
    return status or cli.run_training(train, build_parser(), words)


if __name__ == "__main__":
    raise SystemExit(main())
