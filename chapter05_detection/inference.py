"""Builds the detectors of a pipeline, loads those of finished runs, and runs them on images."""

import argparse
import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from chapter05_detection import anchors, data, faster_rcnn, model
from chapter05_detection.average_precision import Detections, Truth
from chapter05_detection.drawing import draw_boxes
from chapter05_detection.label_map import LabelMap
from chapter05_detection.records import Example
from common import checkpoint, images, pretrained, rundir
from common.errors import UserError

MAX_SHOWN = 40  # boxes drawn on an image


class Detector(NamedTuple):
    """A detector.

    Attributes:
        models: by the names of the checkpoints: "ssd"; or "rpn" and "box_head".
        network: the backbone, whose layers are part of the models.
        anchors: of SSD, float32 of shape (anchors, 4); None for Faster R-CNN.
        labels: the classes.
        pipeline: see pipeline.py.
        detect: from images, float32 (batch, height, width, 3) in [0, 255] in the size of the
            pipeline's resizer, to detections, see `model.suppress`. That of Faster R-CNN takes the
            proposals of another source as a second argument.
    """

    models: dict[str, keras.Model]
    network: keras.Model
    anchors: tf.Tensor | None
    labels: LabelMap
    pipeline: dict[str, Any]
    detect: Callable[..., dict[str, tf.Tensor]]


def network_name(pipeline: dict[str, Any]) -> str:
    """Returns the name of the network of a pipeline: "small", or one of `pretrained.NETWORKS`.

    Raises:
        UserError: the type is unknown.
    """
    kind = pipeline["feature_extractor"]["type"]
    table = (model if pipeline["model"] == "ssd" else faster_rcnn).EXTRACTORS
    if kind not in table:
        raise UserError(f"feature_extractor.type {kind} is unknown to {pipeline['model']}",
                        f"choose one of {', '.join(table)}")
    return table[kind][0]


def build_network(pipeline: dict[str, Any]) -> keras.Model:
    """Builds the backbone of a pipeline with random weights, for images of any size."""
    name = network_name(pipeline)
    if name == "small":
        return model.build_small()
    return pretrained.build_maps(name, None, pipeline["feature_extractor"]["depth_multiplier"])


def build_ssd(network: keras.Model, pipeline: dict[str, Any], labels: LabelMap) -> Detector:
    """Builds an SSD with its anchors."""
    _, maps = model.feature_maps(network, pipeline)
    sizes = anchors.level_shapes(pipeline["anchor_generator"], len(maps))
    boxes = anchors.ssd_anchors([x.shape[1:3] for x in maps], sizes)
    ssd = model.build_ssd(network, pipeline, len(labels.names), list(map(len, sizes)))

    def detect(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.ssd_detections(ssd(images, training=False), boxes, pipeline)

    return Detector({"ssd": ssd}, network, boxes, labels, pipeline, detect)


def build_faster_rcnn(
    network: keras.Model, pipeline: dict[str, Any], labels: LabelMap
) -> Detector:
    """Builds both stages of a Faster R-CNN."""
    rpn = faster_rcnn.build_rpn(network, pipeline)
    faster_rcnn.check_stride(rpn, pipeline)
    box_head = faster_rcnn.build_box_head(network, pipeline, len(labels.names))

    def detect(images: tf.Tensor, proposals: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return faster_rcnn.faster_rcnn_detections(rpn, box_head, images, pipeline, proposals)

    return Detector({"rpn": rpn, "box_head": box_head}, network, None, labels, pipeline, detect)


def build_detector(pipeline: dict[str, Any], labels: LabelMap, seed: int) -> Detector:
    """Builds the detector of a pipeline with random weights.

    Raises:
        UserError: the pipeline does not fit the network, or the number of classes.
    """
    if pipeline["num_classes"] not in (0, len(labels.names)):
        raise UserError(f"the pipeline has num_classes {pipeline['num_classes']}, the data "
                        f"{len(labels.names)}: {', '.join(labels.names[:8])}",
                        "correct num_classes, or leave it out")
    keras.utils.set_random_seed(seed)
    build = build_ssd if pipeline["model"] == "ssd" else build_faster_rcnn
    try:
        return build(build_network(pipeline), pipeline, labels)
    except ValueError as error:  # of Keras on sizes and names of layers, of `level_shapes`
        raise UserError(f"the pipeline does not fit: {str(error).splitlines()[0]}",
                        "see its feature_extractor, anchor generator and image_resizer") from error


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Detector:
    """Rebuilds the detector of a run with its trained weights."""
    config = rundir.read_config(args.run_dir)
    labels = LabelMap(tuple(config["class_names"]), tuple(config["class_ids"]))
    detector = build_detector(config["pipeline"], labels, flags.seed)
    checkpoint.load(args.run_dir, args.checkpoint, **detector.models)
    return detector


def compile_detect(detector: Detector) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the compiled `detect` of a detector, for batches of any number of images."""
    signature = [tf.TensorSpec((None, *spatial(detector.pipeline), 3))]
    return tf.function(detector.detect, signature, autograph=False)


def make_detect(
    detector: Detector,
) -> Callable[[Sequence[Example]], list[Detections]]:
    """Returns a compiled function from examples to the detections of each image."""
    detect = compile_detect(detector)

    def run(examples: Sequence[Example]) -> list[Detections]:
        found = []
        for batch in data.evaluation_batches(examples, detector.pipeline["image_resizer"]):
            found += unpack(detect(batch))
        return found

    return run


def make_detect_in(
    detector: Detector, proposals_of: Callable[[Example], np.ndarray]
) -> Callable[[Sequence[Example]], list[Detections]]:
    """Returns `make_detect` of a Faster R-CNN whose proposals come from elsewhere.

    Args:
        detector: a Faster R-CNN.
        proposals_of: returns the proposals for an example, float32 of shape (n, 4).
    """
    signature = [tf.TensorSpec((1, *spatial(detector.pipeline), 3)), tf.TensorSpec((1, None, 4))]
    detect = tf.function(detector.detect, signature, autograph=False)

    def run(examples: Sequence[Example]) -> list[Detections]:
        batches = data.evaluation_batches(examples, detector.pipeline["image_resizer"], 1)
        return [found for image, example in zip(batches, examples, strict=True)
                for found in unpack(detect(image, proposals_of(example)[None]))]

    return run


def spatial(pipeline: dict[str, Any]) -> tuple[int | None, int | None]:
    """Returns height and width of the network's inputs, None if they vary."""
    resizer = pipeline["image_resizer"]
    fixed = resizer["type"] == "fixed_shape_resizer"
    return (resizer["height"], resizer["width"]) if fixed else (None, None)


def unpack(found: dict[str, tf.Tensor]) -> list[Detections]:
    """Returns the detections of each image of a batch, without padding."""
    arrays = {name: values.numpy() for name, values in found.items()}
    return [Detections(arrays["boxes"][i, :count], arrays["scores"][i, :count],
                       arrays["classes"][i, :count].astype(int))
            for i, count in enumerate(arrays["counts"])]


def truths_of(examples: Sequence[Example]) -> list[Truth]:
    """Returns the true boxes of examples."""
    return [Truth(example.boxes, example.labels, example.difficult) for example in examples]


def make_anchors_of(detector: Detector) -> Callable[[Example], np.ndarray]:
    """Returns a function from an example to the anchors of its image, float32 (anchors, 4).

    It reads the size of the image alone, and remembers the anchors of the latest sizes.
    """
    pipeline = detector.pipeline

    @functools.lru_cache(maxsize=256)
    def of_size(height: int, width: int) -> np.ndarray:
        if detector.anchors is not None:
            return detector.anchors.numpy()
        shape = detector.models["rpn"].compute_output_shape((1, height, width, 3))[0]
        return anchors.grid_anchors(tf.constant(shape[1:3]), tf.constant([height, width]),
                                    pipeline["first_stage_anchor_generator"]).numpy()

    def of_example(example: Example) -> np.ndarray:
        with Image.open(io.BytesIO(example.encoded)) as header:
            width, height = header.size
        size = data.size_in_network(tf.constant([height, width]), pipeline["image_resizer"])
        return of_size(*size.numpy().tolist())

    return of_example


def report_anchors(detector: Detector, examples: Sequence[Example]) -> tuple[float, str]:
    """Returns the best possible recall of the anchors on examples, and a text, see `report`."""
    pipeline = detector.pipeline
    threshold = (pipeline["matcher"]["matched_threshold"] if pipeline["model"] == "ssd"
                 else pipeline["first_stage_matched_threshold"])
    return anchors.report([example.boxes for example in examples],
                          map(make_anchors_of(detector), examples), threshold)


def draw(
    detector: Detector, examples: Sequence[Example], found: Sequence[Detections],
    min_score: float = 0.5, size: tuple[int, int] | None = None,
) -> list[np.ndarray]:
    """Returns images with the detections above a score, at most MAX_SHOWN boxes each.

    Args:
        detector: whose classes are named.
        examples: the images.
        found: the detections of each.
        min_score: lowest score of a box that is drawn.
        size: width and height into which all images are fitted, on white; None leaves them as they
            are.
    """
    drawn = []
    for example, detections in zip(examples, found, strict=True):
        shown = np.flatnonzero(detections.scores >= min_score)[:MAX_SHOWN]
        image = images.decode_jpeg(example.encoded).numpy()
        if size:
            image = np.asarray(ImageOps.contain(Image.fromarray(image), size))
        drawn.append(draw_boxes(image, detections.boxes[shown], detections.classes[shown],
                                detector.labels.names, detections.scores[shown]))
        if size:
            canvas = Image.new("RGB", size, "white")
            canvas.paste(Image.fromarray(drawn[-1]), tuple(
                (whole - part) // 2 for whole, part in zip(size, image.shape[1::-1], strict=True)))
            drawn[-1] = np.asarray(canvas)
    return drawn


def write_sheet(
    detector: Detector, examples: Sequence[Example], found: Sequence[Detections], path: Path,
    min_score: float = 0.5,
) -> None:
    """Writes images with their detections, four in a row; see `draw`."""
    sheet = images.grid(draw(detector, examples, found, min_score, (320, 240)), 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path, quality=85)
