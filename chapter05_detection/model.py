"""SSD: a class and a box for each anchor of several feature maps (Liu et al. 2016).

All networks take float32 RGB images in [0, 255] of shape (batch, height, width, 3).
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from chapter05_detection.boxes import clip, decode, iou
from chapter05_detection.losses import CLASSIFICATION, LOCALIZATION
from chapter05_detection.sampler import hard_negatives
from chapter05_detection.targets import Targets, coder_scales

# The types of the pipeline: a network, and the layers whose outputs are the first feature maps. The
# original's Inception v2 and MobileNet are in TF-slim; these are of keras.applications.
EXTRACTORS = {
    "ssd_small": ("small", ("stage_3", "stage_4")),
    "ssd_mobilenet_v1": ("MobileNet", ("conv_pw_11_relu", "conv_pw_13_relu")),
    "ssd_mobilenet_v2": ("MobileNetV2", ("block_13_expand_relu", "out_relu")),
    "ssd_inception_v3": ("InceptionV3", ("mixed7", "mixed10")),
    "ssd_resnet50": ("ResNet50", ("conv4_block6_out", "conv5_block3_out")),
}
PRIOR = 0.01  # probability of an object that the focal loss starts from (Lin et al. 2017, § 3.3)
WIDTHS = (16, 24, 32, 64, 96)  # channels of the small network

Outputs = Sequence[tf.Tensor]


def build_small() -> keras.Model:
    """Builds a small network for training on a CPU from random weights.

    Its layers stage_1 to stage_4 have strides of 2, 4, 8 and 16 pixels.
    """
    images = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(images)
    for stage, width in enumerate(WIDTHS[1:], 1):
        for number, stride in enumerate((2, 1) if stage > 2 else (2,)):
            name = f"stage_{stage}_conv_{number + 1}"
            x = keras.layers.Conv2D(width, 3, stride, "same", use_bias=False, name=name)(x)
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
            last = number or stage <= 2
            x = keras.layers.ReLU(name=f"stage_{stage}" if last else f"{name}_relu")(x)
    return keras.Model(images, x, name="maps")


def freeze_batch_norm(network: keras.Model) -> None:
    """Keeps batch normalization in inference mode: a batch has too few images for statistics."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def convolution(x: Any, channels: int, kernel: int, stride: int, normalized: bool) -> Any:
    """Applies a convolution, batch normalization if wanted, and ReLU6 as in the original."""
    x = keras.layers.Conv2D(channels, kernel, stride, "same", use_bias=not normalized)(x)
    if normalized:
        x = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(x)
    return keras.layers.ReLU(6.0)(x)


def extra_maps(maps: list, depths: Sequence[int], normalized: bool) -> list:
    """Returns the maps with further ones behind, each of half the size."""
    for depth in depths:
        narrow = convolution(maps[-1], depth // 2, 1, 1, normalized)
        maps = [*maps, convolution(narrow, depth, 3, 2, normalized)]
    return maps


def top_down(maps: list, depth: int) -> list:
    """Returns the feature pyramid: each map plus the enlarged coarser one (Lin et al. 2016).

    The paper's 3 x 3 convolution of each sum is left out: the predictor has layers of its own.
    """
    found = [keras.layers.Conv2D(depth, 1)(maps[-1])]
    for finer in reversed(maps[:-1]):
        enlarged = keras.layers.Resizing(*finer.shape[1:3], interpolation="nearest")(found[0])
        found.insert(0, keras.layers.Conv2D(depth, 1)(finer) + enlarged)
    return found


def predict_map(
    x: Any, num_anchors: int, num_classes: int, predictor: dict[str, int], prior: float
) -> tuple[Any, Any]:
    """Returns the logits (batch, anchors, num_classes + 1) and codes (batch, anchors, 4) of a map.

    Background is class 0. `prior` is the initial probability of the others.
    """
    for _ in range(predictor["num_layers_before_predictor"]):
        x = keras.layers.SeparableConv2D(predictor["depth"], 3, padding="same")(x)
        x = keras.layers.ReLU(6.0)(x)
    normal = keras.initializers.TruncatedNormal(stddev=0.03)
    bias = keras.initializers.Constant(-math.log((1 - prior) / prior))
    logits = keras.layers.Conv2D(num_anchors * (num_classes + 1), predictor["kernel_size"],
                                 padding="same", kernel_initializer=normal,
                                 bias_initializer=bias)(x)
    codes = keras.layers.Conv2D(num_anchors * 4, predictor["kernel_size"], padding="same",
                                kernel_initializer=normal)(x)
    return (keras.layers.Reshape((-1, num_classes + 1))(logits),
            keras.layers.Reshape((-1, 4))(codes))


def feature_maps(network: keras.Model, pipeline: dict[str, Any]) -> tuple[Any, list]:
    """Returns the input of SSD and its feature maps, the largest first.

    Args:
        network: of any size of images, whose layers are the first maps.
        pipeline: see pipeline.py.

    Raises:
        ValueError: the network has no such layer.
    """
    extractor, resizer = pipeline["feature_extractor"], pipeline["image_resizer"]
    names = extractor["feature_maps"] or EXTRACTORS[extractor["type"]][1]
    inner = keras.Model(network.inputs, [network.get_layer(name).output for name in names],
                        name="network")
    images = keras.Input((resizer["height"], resizer["width"], 3))
    maps = inner(images)
    maps = extra_maps(list(maps) if len(names) > 1 else [maps], extractor["extra_depths"],
                      extractor["train_batch_norm"])
    if extractor["fpn_depth"]:
        maps = top_down(maps, extractor["fpn_depth"])
    return images, maps


def build_ssd(
    network: keras.Model, pipeline: dict[str, Any], num_classes: int, num_anchors: Sequence[int]
) -> keras.Model:
    """Builds SSD.

    Args:
        network: see `feature_maps`.
        pipeline: see pipeline.py.
        num_classes: without background.
        num_anchors: of each feature map, per point.

    Returns:
        A model from images to logits, float32 of shape (batch, anchors, num_classes + 1) with
        background first, and codes, (batch, anchors, 4).
    """
    images, maps = feature_maps(network, pipeline)
    if not pipeline["feature_extractor"]["train_batch_norm"]:
        freeze_batch_norm(network)
    prior = PRIOR if pipeline["loss"]["classification_loss"] == "focal" else 0.5
    parts = [predict_map(x, count, num_classes, pipeline["box_predictor"], prior)
             for x, count in zip(maps, num_anchors, strict=True)]
    logits, codes = (list(part) for part in zip(*parts, strict=True))
    if len(maps) > 1:
        logits, codes = ([keras.layers.Concatenate(axis=1)(part)] for part in (logits, codes))
    return keras.Model(images, [logits[0], codes[0]], name="ssd")


def ssd_losses(
    outputs: Outputs, targets: Targets, settings: dict[str, Any]
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the losses of a batch and the numbers of anchors in them (Liu et al. 2016, § 2.2).

    Args:
        outputs: logits and codes of `build_ssd`.
        targets: from `assign`.
        settings: the pipeline's `loss`.

    Returns:
        Scalars `localization` and `classification`, both per matched anchor; and the numbers of
        positive and negative anchors per image.
    """
    logits, codes = outputs
    positive, negative = (tf.cast(mask, tf.float32)
                          for mask in (targets.positive, targets.negative))
    matched = tf.maximum(tf.reduce_sum(positive), 1.0)
    # Localization counts where an anchor is matched.
    localization = LOCALIZATION[settings["localization_loss"]](codes, targets.codes, positive)
    # Classification counts at the matched anchors and at the hardest negatives of each image.
    one_hot = tf.one_hot(targets.classes, logits.shape[-1])
    classify = CLASSIFICATION[settings["classification_loss"]]
    classification = classify(logits, one_hot, positive + negative)
    miner, chosen = settings["hard_example_miner"], targets.negative
    if miner["max_negatives_per_positive"]:
        chosen = hard_negatives(classification, targets.positive, targets.negative,
                                miner["max_negatives_per_positive"],
                                miner["min_negatives_per_image"])
    counted = tf.cast(targets.positive | chosen, tf.float32)
    losses = {
        "localization": settings["localization_weight"] * tf.reduce_sum(localization) / matched,
        "classification": (settings["classification_weight"]
                           * tf.reduce_sum(classification * counted) / matched),
    }
    images = tf.cast(tf.shape(logits)[0], tf.float32)
    return losses, {"positives": tf.reduce_sum(positive) / images,
                    "negatives": tf.reduce_sum(tf.cast(chosen, tf.float32)) / images}


def class_scores(logits: tf.Tensor, converter: str) -> tf.Tensor:
    """Returns the scores of all classes but background, of shape (..., num_classes)."""
    convert = {"SIGMOID": tf.sigmoid, "SOFTMAX": tf.nn.softmax, "IDENTITY": tf.identity}
    return convert[converter](logits)[..., 1:]


def suppress(
    boxes: tf.Tensor, scores: tf.Tensor, settings: dict[str, Any]
) -> dict[str, tf.Tensor]:
    """Applies non-maximum suppression to each class of each image, in the graph.

    Args:
        boxes: float32 of shape (batch, n, 4), or (batch, n, num_classes, 4).
        scores: float32 of shape (batch, n, num_classes).
        settings: the pipeline's `post_processing`.

    Returns:
        `boxes` (batch, k, 4) clipped to the image, `scores` (batch, k) in falling order, `classes`
        (batch, k) float32 from 0, and `counts` (batch,) int32, the number of rows in use.
    """
    boxes = boxes[:, :, None] if boxes.shape.rank == 3 else boxes
    parts = tf.image.combined_non_max_suppression(
        boxes, scores, settings["max_detections_per_class"], settings["max_total_detections"],
        settings["iou_threshold"], settings["score_threshold"], clip_boxes=True)
    found = dict(zip(("boxes", "scores", "classes", "counts"), parts, strict=True))
    if min_iou := settings.get("box_voting_iou_threshold"):
        found["boxes"] = vote(found, clip(boxes), scores, min_iou)
    return found


def vote(
    found: dict[str, tf.Tensor], boxes: tf.Tensor, scores: tf.Tensor, min_iou: float
) -> tf.Tensor:
    """Replaces each detection by the mean of the boxes around it (Gidaris & Komodakis 2015, § 4).

    Args:
        found: `boxes` (batch, k, 4) and `classes` (batch, k) after suppression.
        boxes: all boxes, float32 of shape (batch, n, 1 or num_classes, 4).
        scores: their scores, the weights of the mean, float32 of shape (batch, n, num_classes).
        min_iou: smallest overlap of a box with the detection.

    Returns:
        float32 of shape (batch, k, 4).
    """
    labels = tf.cast(found["classes"], tf.int32)
    weights = tf.gather(scores, labels, axis=2, batch_dims=1)  # (batch, n, k)
    weights = tf.transpose(weights, (0, 2, 1))
    boxes = tf.transpose(boxes, (0, 2, 1, 3))  # (batch, 1 or num_classes, n, 4)
    if boxes.shape[1] != 1:
        boxes = tf.gather(boxes, labels, batch_dims=1)  # (batch, k, n, 4)
    overlap = iou(found["boxes"][:, :, None], boxes)[:, :, 0]  # (batch, k, n)
    weights = tf.where(overlap >= min_iou, weights, 0.0)
    total = tf.matmul(weights[:, :, None], boxes)[:, :, 0]  # (batch, k, 4)
    return tf.math.divide_no_nan(total, tf.reduce_sum(weights, axis=2, keepdims=True))


def ssd_detections(
    outputs: Outputs, anchors: tf.Tensor, pipeline: dict[str, Any]
) -> dict[str, tf.Tensor]:
    """Returns the detections of a batch, see `suppress`."""
    logits, codes = outputs
    post = pipeline["post_processing"]
    boxes = decode(codes, anchors, coder_scales(pipeline["box_coder"]))
    return suppress(boxes, class_scores(logits, post["score_converter"]), post)
