"""Trains CUT: one direction, one generator, no way back (Park et al. 2020); beyond the book.

    python train_cut.py                                          # apples to oranges, drawn by code
    python train_cut.py --preset best --data_dir monet2photo     # photographs to paintings
    python eval.py

A discriminator asks that G(x) looks like images of the target domain. A contrastive loss asks that
each patch of G(x) is recognized as the patch of x at its place, see cut.py. Half the networks of
CycleGAN, the same data and the same scores, except that nothing translates back.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from chapter11_cyclegan import cut, data, flags, losses
from chapter11_cyclegan.health import Watch
from chapter11_cyclegan.inference import build_discriminators, build_generators
from chapter11_cyclegan.training import make_averaging, make_measure, make_optimizer, open_probe
from common import averages, checkpoint, cli, rundir
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
        "nce_patches": 64,
        "learning_rate": 5e-4,
        "ema_decay": 0.99,
        "max_steps": 2000,
    },
    "best": {
        "dataset": "folders",
        "direction": "YtoX",
        "image_size": 128,
        "scale_size": 144,
        "flip": True,
        "ngf": 32,
        "ndf": 32,
        "netD": "patch70",
        "upsample": "resize",
        "identity_start": True,
        "ema_decay": 0.999,
        "max_steps": 6000,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return flags.build_cut_parser(__file__, __doc__, PRESETS)


def make_train_step(
    args: argparse.Namespace, networks: dict[str, keras.Model],
    optimizers: dict[str, keras.Optimizer],
) -> Callable[..., dict[str, tf.Tensor]]:
    """Returns the train step: from its number and images of X and Y to what is logged."""
    (g_name, g), (d_name, d), (_, heads) = networks.items()
    whole = cut.with_features(g)
    encode = keras.Model(whole.input, whole.outputs[:-1])

    def contrast(keys: list[tf.Tensor], outputs: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Compares patches of outputs with those of their inputs, in all layers."""
        queries = heads(cut.sample(encode(outputs, training=True), args.nce_patches, seed))
        keys = heads(cut.sample(keys, args.nce_patches, seed))
        return tf.reduce_mean([cut.patch_nce(query, key, args.nce_temperature)
                               for query, key in zip(queries, keys, strict=True)])

    @tf.function
    def train_step(step: tf.Variable, x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        given, target = (x, y) if args.direction == "XtoY" else (y, x)
        seeds = [tf.stack([2 * tf.constant(args.seed, tf.int64) + i, 10 * step]) for i in (0, 1)]
        with tf.GradientTape(persistent=True) as tape:
            # Translate; the features of the input come with it.
            *keys, fake = whole(given, training=True)
            g_loss = losses.generator_loss(d(fake, training=True), args.use_lsgan)
            # Each patch of the output is to be recognized as that of the input at its place.
            nce = contrast(keys, fake, seeds[0])
            # So is each patch of what G makes of an image of the target.
            if args.nce_identity:
                *keys, same = whole(target, training=True)
                nce = (nce + contrast(keys, same, seeds[1])) / 2
            total = g_loss + args.nce_weight * nce
            # The discriminator sees a real and a translated image.
            real = d(target, training=True)
            of_fake = d(tf.stop_gradient(fake), training=True)
            d_loss = losses.discriminator_loss(real, of_fake, args.use_lsgan)
        # Three updates from the same weights: the heads learn with the generator.
        for name, loss in ((g_name, total), ("H", total), (d_name, d_loss)):
            variables = networks[name].trainable_variables
            optimizers[name].apply(tape.gradient(loss, variables), variables)
        return {f"loss/{g_name}": g_loss, "loss/nce": nce, f"loss/{d_name}": d_loss,
                f"{d_name}/true": tf.reduce_mean(real), f"{d_name}/fake": tf.reduce_mean(of_fake)}

    return train_step


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--max_steps`; returns the last scores."""
    flags.check(args)
    found = data.load(args)
    print(f"training {args.direction} on {len(found.train.x.names):,} images of X and "
          f"{len(found.train.y.names):,} of Y, {args.data_dir or args.dataset}")
    probe = open_probe(args, found.train)
    # A generator, a discriminator, the projections of features, and an Adam for each.
    generators = build_generators(args)
    (g_name, generator), = generators.items()
    channels = [maps.shape[-1] for maps in cut.with_features(generator).outputs[:-1]]
    networks = generators | build_discriminators(args) | {
        "H": cut.build_heads(channels, 4 * args.seed + 3)}
    checkpoint.start_from(args, **networks)
    optimizers = {name: make_optimizer(args) for name in networks}
    averaged = {f"averaged_{g_name}": averages.copy(generator)} if args.ema_decay else {}
    update_averages = make_averaging(generators, averaged, args.ema_decay)
    train_step = make_train_step(args, networks, optimizers)
    with rundir.open_run(args, dataset_sha256=found.digest, parameters=sum(
            variable.value.shape.num_elements() for network in networks.values()
            for variable in network.trainable_variables)) as run:
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        state = TrainState(run, networks | averaged, {
            name: (optimizers[name], net.trainable_variables) for name, net in networks.items()})
        start = int(state.step)
        monitor, watch, scores = Monitor(run, start), Watch(args.use_lsgan, cycle=False), {}
        measured = {g_name: averaged[f"averaged_{g_name}"]} if averaged else generators
        measure = make_measure(args, measured, probe, state, monitor, watch)
        batches = data.training_batches(found.train, args, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, (x, y) in state.steps(batches, args.max_steps, args.save_every, monitor):
            logged = train_step(state.step, x, y)
            if averaged:
                update_averages(state.step)
            # Log the losses and the answers of D; warn if the training goes wrong.
            if step % args.log_every == 0:
                monitor.scalars(step, logged | {"learning_rate": optimizers[g_name].learning_rate})
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
