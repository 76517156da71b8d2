"""Trains Faster R-CNN, a detector of two stages (book, chapter 5; Ren et al. 2015).

    python train_faster_rcnn.py                                     # coloured shapes, minutes
    python train_faster_rcnn.py --preset raccoon --data_dir FOLDER --weights mobilenet.h5
    python train_faster_rcnn.py --preset book --data_dir FOLDER --weights imagenet  # VOC, long

The first stage says where objects may be, whatever their class; the second one looks at the shared
features within each of these boxes. Both are trained together. FOLDER has VOC's layout for the
preset raccoon, and holds the records of prepare.py for book. The book's network, and that of the
preset, is Inception-ResNet-v2; --pipeline_config_path faster_rcnn_voc has ResNet-101.
"""

import argparse
from collections.abc import Callable, Sequence

import tensorflow as tf

from chapter05_detection import data, faster_rcnn, flags
from chapter05_detection.inference import Detector, make_detect, spatial
from chapter05_detection.training import (
    Updates,
    make_validate,
    patience_ended,
    prepare,
    restore,
    save_sheet,
)
from common import cli, rundir
from common.errors import UserError
from common.monitor import Monitor

PRESETS = {
    "demo": {
        "pipeline_config_path": "faster_rcnn_shapes",
        "learning_rate": 0.002,
        "batch_size": 8,
        "max_steps": 1000,
    },
    "book": {  # the original's configs for 200,000 steps; only the first rate is ever used
        "pipeline_config_path": "faster_rcnn_inception_resnet_v2",
        "dataset": "records",
        "optimizer": "momentum",
        "learning_rate": 3e-4,
        "schedule": "steps",
        "decay_steps": "900000,1200000",
        "batch_size": 1,
        "max_steps": 200000,
        "eval_every": 10000,
        "save_every": 1000,
    },
    "raccoon": {
        "pipeline_config_path": "faster_rcnn_raccoon",
        "dataset": "voc",
        "learning_rate": 0.001,
        "backbone_rate": 0.2,
        "batch_size": 4,
        "max_steps": 600,
        "eval_every": 100,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser; its flags are in flags.py."""
    return flags.build_parser(__file__, __doc__, PRESETS)


def make_train_step(
    detector: Detector, updates: Updates
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the train step: from images, boxes, labels and a random key to the losses."""
    rpn, box_head, pipeline = (detector.models["rpn"], detector.models["box_head"],
                               detector.pipeline)
    signature = [tf.TensorSpec((None, *spatial(pipeline), 3)), tf.TensorSpec((None, None, 4)),
                 tf.TensorSpec((None, None), tf.int64), tf.TensorSpec((2,), tf.int64)]

    @tf.function(input_signature=signature, autograph=False)  # no Python branches to convert
    def train_step(
        images: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        first_key, second_key = tf.unstack(tf.random.split(key, 2))
        losses = {}
        with tf.GradientTape() as tape:
            # First stage: shared features, and for each anchor whether it holds an object.
            features, objectness, codes = rpn(images, training=True)
            anchors = faster_rcnn.anchors_of(features, images, pipeline)
            losses["first_stage_localization"], losses["first_stage_objectness"] = (
                faster_rcnn.rpn_losses(objectness, codes, anchors, boxes, labels, first_key,
                                       pipeline))
            # Proposals: the likely boxes that do not overlap too much; a balanced sample of them.
            proposals, real = faster_rcnn.propose(objectness, codes, anchors, pipeline)
            proposals, targets, sampled = faster_rcnn.sample_proposals(
                proposals, real, boxes, labels, second_key, pipeline)
            # Second stage: crops of the shared features, their class and their refined box.
            logits, codes = faster_rcnn.run_box_head(box_head, features, proposals, pipeline,
                                                     training=True)
            losses["second_stage_localization"], losses["second_stage_classification"] = (
                faster_rcnn.second_stage_losses(logits, codes, targets, sampled))
            total = tf.add_n([pipeline[f"{name}_loss_weight"] * loss
                              for name, loss in losses.items()])
        # Backward pass through both stages at once: proposals are constants.
        updates.apply(tape.gradient(total, updates.variables))
        return losses | {"loss": total}

    return train_step


def check_batch(args: argparse.Namespace, detector: Detector) -> None:
    """Raises UserError for batches of images that have different sizes."""
    resizer = detector.pipeline["image_resizer"]["type"]
    if args.batch_size > 1 and resizer != "fixed_shape_resizer":
        raise UserError(f"--batch_size {args.batch_size} with a {resizer}: the images differ in "
                        "size", "use --batch_size 1, or a fixed_shape_resizer")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its last validation scores."""
    # The data, and both stages, which share a network with pretrained weights.
    dataset, detector = prepare(args, "faster_rcnn")
    check_batch(args, detector)
    updates = Updates(args, detector)
    train_step = make_train_step(detector, updates)
    examples, validation = dataset.splits["train"], dataset.splits["val"]
    parameters = sum(model.count_params() for model in detector.models.values())
    with rundir.open_run(args, dataset_sha256=dataset.digest, parameters=parameters,
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
        for step, (images, boxes, labels, key) in state.steps(batches, args.max_steps,
                                                              args.save_every, monitor):
            losses = train_step(images, boxes, labels, key)
            # Log the four losses, unweighted, and their weighted sum.
            if step % args.log_every == 0:
                monitor.scalars(step, losses)
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
