"""Trains SSD, a detector of one stage (book, chapter 5; Liu et al. 2016).

    python train.py                                                 # coloured shapes, minutes
    python train.py --preset raccoon --data_dir FOLDER --weights mobilenet_v1_0.75_224.weights.h5
    python train.py --preset bccd --data_dir FOLDER --weights mobilenet_v1_0.75_224.weights.h5
    python train.py --preset book --data_dir FOLDER --weights imagenet    # VOC records, long
    python train_faster_rcnn.py                                     # the book's own, see there

The network predicts, for each anchor of several feature maps, the class of an object and how its
box differs from the anchor. An anchor is to predict the box that it overlaps by at least half. The
classification loss counts the matched anchors and three times as many of the worst false alarms.
FOLDER has VOC's layout for the presets raccoon and bccd, and holds the records of prepare.py for
book.
"""

import argparse
from collections.abc import Callable, Sequence

import tensorflow as tf

from chapter05_detection import data, flags
from chapter05_detection.inference import Detector, make_detect
from chapter05_detection.model import ssd_losses
from chapter05_detection.targets import assign
from chapter05_detection.training import (
    Updates,
    make_validate,
    patience_ended,
    prepare,
    restore,
    save_sheet,
)
from common import cli, rundir
from common.monitor import Monitor

# A few hundred steps on little data: the pretrained layers learn more slowly than the new ones.
SMALL_DATA = {
    "dataset": "voc",
    "optimizer": "adamw",
    "learning_rate": 0.001,
    "schedule": "cosine",
    "batch_size": 8,
}
PRESETS = {
    "demo": {
        "pipeline_config_path": "ssd_shapes",
        "learning_rate": 0.003,
        "batch_size": 16,
        "max_steps": 1000,
    },
    "book": {  # the original's ssd_mobilenet_v1_coco.config
        "pipeline_config_path": "ssd_mobilenet_v1",
        "dataset": "records",
        "optimizer": "rmsprop",
        "learning_rate": 0.004,
        "schedule": "exponential",
        "decay_steps": "800720",
        "decay_factor": 0.95,
        "batch_size": 24,
        "max_steps": 200000,
        "eval_every": 5000,
        "save_every": 1000,
    },
    "raccoon": SMALL_DATA | {
        "pipeline_config_path": "ssd_raccoon",
        "backbone_rate": 0.2,
        "max_steps": 480,
        "eval_every": 50,
    },
    "bccd": SMALL_DATA | {
        "pipeline_config_path": "ssd_bccd",
        "backbone_rate": 0.2,
        "max_steps": 250,
        "eval_every": 50,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser; its flags are in flags.py."""
    return flags.build_parser(__file__, __doc__, PRESETS)


def make_train_step(
    detector: Detector, updates: Updates
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[dict, dict]]:
    """Returns the train step: from images, boxes and labels to losses and numbers of anchors."""
    ssd, pipeline = detector.models["ssd"], detector.pipeline
    matcher = pipeline["matcher"]
    # The number of boxes differs between batches; without a signature each would be traced anew.
    signature = [tf.TensorSpec((None, *ssd.input_shape[1:])), tf.TensorSpec((None, None, 4)),
                 tf.TensorSpec((None, None), tf.int64)]

    @tf.function(input_signature=signature, autograph=False)  # no Python branches to convert
    def train_step(
        images: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        # Targets: the class and the box of each anchor, by its overlap with the true boxes.
        targets = assign(detector.anchors, boxes, labels, pipeline["box_coder"],
                         matcher["matched_threshold"], matcher["unmatched_threshold"],
                         matcher["force_match_for_each_row"])
        # Forward pass: localization of the matched anchors, classification of these and of the
        # hardest negatives.
        with tf.GradientTape() as tape:
            outputs = ssd(images, training=True)
            losses, counts = ssd_losses(outputs, targets, pipeline["loss"])
            total = tf.add_n(list(losses.values()))
        # Backward pass, with different learning rates for new and pretrained layers.
        updates.apply(tape.gradient(total, updates.variables))
        return losses | {"loss": total}, counts

    return train_step


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its last validation scores."""
    # The data, and an SSD whose network has its pretrained weights.
    dataset, detector = prepare(args, "ssd")
    updates = Updates(args, detector)
    train_step = make_train_step(detector, updates)
    examples, validation = dataset.splits["train"], dataset.splits["val"]
    with rundir.open_run(args, dataset_sha256=dataset.digest,
                         parameters=detector.models["ssd"].count_params(),
                         class_names=dataset.labels.names, class_ids=dataset.labels.ids,
                         pipeline=detector.pipeline) as run:
        state, since_best = restore(args, run, detector, updates)
        start = int(state.step)
        monitor, scores = Monitor(run, start), {}
        detect = make_detect(detector)
        validate = make_validate(detector, detect, validation, state, since_best, monitor)
        batches = data.training_batches(examples, detector.pipeline, args.batch_size, args.seed,
                                        start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, (images, boxes, labels, _) in state.steps(batches, args.max_steps,
                                                            args.save_every, monitor):
            losses, counts = train_step(images, boxes, labels)
            # Log the losses, and how many anchors they count per image.
            if step % args.log_every == 0:
                monitor.scalars(step, losses | counts)
            # Evaluate the validation images.
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = validate(step)
                if patience_ended(args, since_best):  # early stopping, of --patience
                    state.save()
                    break
        sheet = save_sheet(detector, detect, validation, run)
    print(f"validation mAP {scores['map']:.3f}, AP at IoU .5 {scores['ap_50']:.3f}; {sheet}")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
