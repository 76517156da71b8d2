"""What both training scripts do around their loop: data, embedder, averages, validation."""

import argparse
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from chapter06_face import data, flags, inference
from chapter06_face import verification as verify
from chapter06_face.alignment import Alignment
from common import averages, images, pretrained, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor


def prepare(args: argparse.Namespace) -> tuple[data.Data, keras.Model]:
    """Loads the data and builds the embedder with its initial weights; prints both.

    Raises:
        UserError: data, flags or weights cannot be used.
    """
    flags.refuse_idle(args)
    if args.lfw_dir:  # what is wrong with the files is an error before a run folder is made
        inference.read_pairs(Path(args.lfw_pairs), Path(args.lfw_dir))
    dataset = data.load(args)
    network = inference.build_embedder(args)
    resumed = rundir.last_step(args.run_dir)
    if args.model_def in pretrained.NETWORKS:
        backbone = network.get_layer("network")
        if not (resumed or args.init_from):
            whole = pretrained.build_maps(args.model_def, None, args.network_alpha)
            pretrained.load(whole, args.weights, args.model_def, args.network_alpha)
            copy_weights(whole, backbone)
        backbone.trainable = args.trainable_network
    print(f"training {args.model_def} on {len(dataset.train.people):,} photographs of "
          f"{len(dataset.train.names):,} people of {args.dataset}, validating on "
          f"{len(dataset.validation.names):,} others")
    if args.preset == "demo":
        print(f"the book's run: python {args.script} --preset book --data_dir FOLDER")
    return dataset, network


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies the weights of the layers that both networks have."""
    for layer in target.layers:
        if layer.weights:  # names of inputs and other layers without weights are numbered
            layer.set_weights(source.get_layer(layer.name).get_weights())


def update_averages(
    network: keras.Model, averaged: keras.Model, step: tf.Tensor, decay: float
) -> None:
    """Moves the averages of all trainable weights; copies the others."""
    trainable = {id(variable) for variable in network.trainable_variables}
    pairs = list(zip(averaged.weights, network.weights, strict=True))
    moved = [pair for pair in pairs if id(pair[1]) in trainable]
    averages.update(*zip(*moved, strict=True), step, decay)
    for copied, variable in pairs:
        if id(variable) not in trainable:
            copied.assign(variable)


def weight_penalty(*networks: keras.Model) -> tf.Tensor:
    """Returns half the sum of squares of all trained kernels."""
    kernels = [v for network in networks for v in network.trainable_variables if v.ndim > 1]
    return tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])


def make_validate(
    args: argparse.Namespace, averaged: keras.Model, photos: data.Photos, monitor: Monitor
) -> Callable[[int], dict[str, float]]:
    """Returns a function that verifies the people held out.

    It selects nothing: the last weights are the result, and these people a fair test of them. With
    `--lfw_dir`, TensorBoard gets the original's tags for LFW too.
    """
    embed = inference.make_embed(lambda batch: averaged(batch, training=False), args.image_size,
                                 data.load_size(args))
    embedder = inference.Embedder("", embed, args.run_dir, Alignment(data.load_size(args)))
    pairs = verify.all_pairs(photos.people)
    if args.lfw_dir:
        paths, lfw_pairs, num_folds, missing = inference.read_pairs(Path(args.lfw_pairs),
                                                                    Path(args.lfw_dir))
        lfw_faces = [images.read_image(path) for path in paths]
        print(f"after each epoch also {len(lfw_pairs.same)} pairs of {args.lfw_dir}; "
              f"{len(missing)} are missing")

    def validate(step: int) -> dict[str, float]:
        distances = verify.squared_distances(inference.embed_photos(embedder, photos), pairs)
        scores = verify.roc_scores(distances, pairs.same)
        monitor.scalars(step, scores, "val")
        if args.lfw_dir:
            embeddings = inference.embed_both_ways(embedder, lfw_faces)
            result = verify.evaluate(verify.squared_distances(embeddings, lfw_pairs),
                                     lfw_pairs.same, num_folds)
            monitor.scalars(step, {"lfw/accuracy": result["accuracy"],
                                   "lfw/val_rate": result["val"]}, "val")
        return scores

    return validate


def make_state(
    run: Path, network: keras.Model, averaged: keras.Model, optimizer: keras.Optimizer,
    heads: dict[str, keras.Model], **extra: tf.Variable,
) -> TrainState:
    """Returns the restored state of a run."""
    variables = network.trainable_variables + [
        v for head in heads.values() for v in head.trainable_variables]
    return TrainState(run, {"network": network, "averaged": averaged, **heads},
                      {"optimizer": (optimizer, variables)}, **extra)

