"""What both training scripts do around their loop: data, detector, optimizers, validation."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from chapter05_detection import data, flags
from chapter05_detection import pipeline as pipelines
from chapter05_detection.average_precision import Detections, Evaluation
from chapter05_detection.inference import (
    Detector,
    build_detector,
    draw,
    network_name,
    report_anchors,
    truths_of,
    write_sheet,
)
from chapter05_detection.records import Example
from common import checkpoint, cli, pretrained, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor

SHOWN = 8  # validation images with boxes in TensorBoard

Detect = Callable[[Sequence[Example]], list[Detections]]  # see `make_detect`


def prepare(args: argparse.Namespace, model: str) -> tuple[data.Data, Detector]:
    """Loads the data and builds the detector with its initial weights; prints both.

    A resumed run has its pipeline in config.json, whatever became of the file.

    Args:
        args: the flags of a training script.
        model: "ssd" or "faster_rcnn".

    Raises:
        UserError: the data, the pipeline or the weights cannot be used.
    """
    flags.refuse_idle(args)
    resumed = rundir.last_step(args.run_dir)
    pipeline = (rundir.read_config(args.run_dir)["pipeline"] if resumed
                else pipelines.read(args.pipeline_config_path, model))
    dataset = data.load(args)
    detector = build_detector(pipeline, dataset.labels, args.seed)
    if not (resumed or args.init_from):
        load_weights(args, detector)
    if not args.backbone_rate:
        detector.network.trainable = False
    checkpoint.start_from(args, **detector.models)
    counts = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits.items())
    print(f"training {pipeline['feature_extractor']['type']} on {args.dataset}: {counts} images, "
          f"{len(dataset.labels.names)} classes ({', '.join(dataset.labels.names[:5])})")
    if args.preset == "demo":
        print(f"the book's run: python {args.script} --preset book --data_dir FOLDER --weights "
              "imagenet")
    print(report_anchors(detector, dataset.splits["train"])[1])
    return dataset, detector


def load_weights(args: argparse.Namespace, detector: Detector) -> None:
    """Loads the weights of `--weights` into the network.

    Raises:
        UserError: they cannot be read, or there are none for this network.
    """
    if args.weights != "none":
        name = network_name(detector.pipeline)
        if name == "small":
            cli.refuse_idle(args, ["weights"], "the small network")
            return
        pretrained.load(detector.network, args.weights, name,
                        detector.pipeline["feature_extractor"]["depth_multiplier"])


class Updates:
    """Two optimizers of one kind: one for the new layers, one for those of the network."""

    def __init__(self, args: argparse.Namespace, detector: Detector):
        """Divides the trainable variables of the detector."""
        of_network = {id(variable) for variable in detector.network.trainable_variables}
        every = [variable for model in detector.models.values()
                 for variable in model.trainable_variables]
        groups = {"new": ([v for v in every if id(v) not in of_network], 1.0),
                  "network": ([v for v in every if id(v) in of_network], args.backbone_rate)}
        self.optimizers: dict[str, tuple[keras.Optimizer, list[Any]]] = {
            name: (flags.make_optimizer(args, factor), variables)
            for name, (variables, factor) in groups.items() if variables}
        self.variables = [v for _, variables in self.optimizers.values() for v in variables]
        self._clip_norm = args.clip_norm

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Clips the gradients of `variables` to a norm of `--clip_norm` and applies them."""
        gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        for optimizer, variables in self.optimizers.values():
            optimizer.apply(gradients[: len(variables)], variables)
            gradients = gradients[len(variables):]


def restore(
    args: argparse.Namespace, run: Path, detector: Detector, updates: Updates
) -> tuple[TrainState, tf.Variable]:
    """Returns the state of a run, and the number of evaluations since the one with the best mAP.

    Raises:
        UserError: early stopping has ended the run.
    """
    since_best = tf.Variable(0, dtype=tf.int64)
    state = TrainState(run, detector.models, updates.optimizers, since_best=since_best)
    if patience_ended(args, since_best):
        raise UserError(f"nothing to do: early stopping ended this run at step {int(state.step)}",
                        f"raise --patience, it is {args.patience}")
    return state, since_best


def patience_ended(args: argparse.Namespace, since_best: tf.Variable) -> bool:
    """Returns whether a run is to stop early, see `--patience`."""
    return args.patience is not None and int(since_best) >= args.patience


def make_validate(
    detector: Detector, detect: Detect, examples: Sequence[Example], state: TrainState,
    since_best: tf.Variable, monitor: Monitor,
) -> Callable[[int], dict[str, float]]:
    """Returns a function that evaluates the validation images, and keeps the best weights.

    It updates `since_best`. TensorBoard gets the original's tags, and the first images with the
    boxes found.
    """
    truths, names = truths_of(examples), detector.labels.names

    def validate(step: int) -> dict[str, float]:
        found = detect(examples)
        evaluation = Evaluation(truths, found, len(names))
        scores = evaluation.scores()
        by_class = {f"PerformanceByCategory/mAP@0.5IOU/{name}": row["ap_50"]
                    for name, row in zip(names, evaluation.by_class(), strict=True)}
        monitor.scalars(step, {"Precision/mAP@0.5IOU": scores["ap_50"], "map": scores["map"],
                               **(by_class if len(names) > 1 else {})}, "val")
        for number, image in enumerate(draw(detector, examples[:SHOWN], found[:SHOWN])):
            monitor.images(step, f"image-{number}", image[None], "val")
        improved = state.save_if_best(scores["map"], highest=True)
        since_best.assign(0 if improved else since_best + 1)
        return {"map": scores["map"], "ap_50": scores["ap_50"]}

    return validate


def save_sheet(
    detector: Detector, detect: Detect, examples: Sequence[Example], run_dir: Path
) -> Path:
    """Writes the first validation images with their detections; returns the path."""
    path = run_dir / "samples" / "detections.png"
    write_sheet(detector, examples[:SHOWN], detect(examples[:SHOWN]), path)
    return path
