"""Faster R-CNN: a network proposes boxes, a second one classifies and refines them.

Ren et al. 2015, with both stages trained together as in the original code, not in alternation as in
the paper. Networks take float32 RGB images in [0, 255] of shape (batch, height, width, 3).
"""

from typing import Any

import keras
import tensorflow as tf

from chapter05_detection import roi
from chapter05_detection.anchors import grid_anchors
from chapter05_detection.boxes import clip, decode, is_inside
from chapter05_detection.losses import smooth_l1
from chapter05_detection.model import class_scores, freeze_batch_norm, suppress
from chapter05_detection.sampler import balanced_sample
from chapter05_detection.targets import Targets, assign, coder_scales

# The types of the pipeline: a network, the layer whose output is shared by both stages, and the
# last layer of the second one.
EXTRACTORS = {
    "faster_rcnn_small": ("small", "stage_3", "stage_4"),
    "faster_rcnn_mobilenet_v1": ("MobileNet", "conv_pw_11_relu", "conv_pw_13_relu"),
    "faster_rcnn_resnet50": ("ResNet50", "conv4_block6_out", "conv5_block3_out"),
    "faster_rcnn_resnet101": ("ResNet101", "conv4_block23_out", "conv5_block3_out"),
    "faster_rcnn_resnet152": ("ResNet152", "conv4_block36_out", "conv5_block3_out"),
    "faster_rcnn_inception_resnet_v2": ("InceptionResNetV2", "block17_20_ac", "conv_7b_ac"),
}


def layer_names(pipeline: dict[str, Any]) -> tuple[str, str]:
    """Returns the names of the last layers of the first and of the second stage."""
    extractor = pipeline["feature_extractor"]
    _, first, second = EXTRACTORS[extractor["type"]]
    return extractor["first_stage_layer"] or first, extractor["second_stage_layer"] or second


def build_rpn(network: keras.Model, pipeline: dict[str, Any]) -> keras.Model:
    """Builds the region proposal network.

    Returns:
        A model from images to the shared features, float32 of shape (batch, rows, columns,
        channels); objectness logits, (batch, anchors, 2) with background first; and codes, (batch,
        anchors, 4).
    """
    first, _ = layer_names(pipeline)
    freeze_batch_norm(network)
    features = network.get_layer(first).output
    generator = pipeline["first_stage_anchor_generator"]
    count = len(generator["scales"]) * len(generator["aspect_ratios"])
    normal = keras.initializers.TruncatedNormal(stddev=0.01)
    x = keras.layers.Conv2D(pipeline["first_stage_box_predictor_depth"],
                            pipeline["first_stage_box_predictor_kernel_size"], padding="same",
                            dilation_rate=pipeline["first_stage_atrous_rate"],
                            kernel_initializer=normal, name="rpn_conv")(features)
    x = keras.layers.ReLU(6.0)(x)
    objectness = keras.layers.Conv2D(2 * count, 1, kernel_initializer=normal,
                                     name="rpn_objectness")(x)
    codes = keras.layers.Conv2D(4 * count, 1, kernel_initializer=normal, name="rpn_codes")(x)
    return keras.Model(network.inputs, [features, keras.layers.Reshape((-1, 2))(objectness),
                                        keras.layers.Reshape((-1, 4))(codes)], name="rpn")


def check_stride(rpn: keras.Model, pipeline: dict[str, Any]) -> None:
    """Raises ValueError unless the anchors have the stride of the shared features."""
    rows = [rpn.compute_output_shape((1, side, side, 3))[0][1] for side in (1024, 2048)]
    stride, generator = 1024 // (rows[1] - rows[0]), pipeline["first_stage_anchor_generator"]
    for key in ("height_stride", "width_stride"):
        if generator[key] != stride:
            raise ValueError(f"first_stage_anchor_generator.{key} is {generator[key]}, the shared "
                             f"features have a stride of {stride} pixels")


def build_box_head(
    network: keras.Model, pipeline: dict[str, Any], num_classes: int
) -> keras.Model:
    """Builds the second stage: the network's last layers on the features of one box.

    Returns:
        A model from features, float32 of shape (boxes, size, size, channels), to logits, (boxes,
        num_classes + 1) with background first, and codes, (boxes, num_classes, 4).
    """
    first, second = layer_names(pipeline)
    shared = network.get_layer(first).output
    tail = keras.Model(shared, network.get_layer(second).output, name="second_stage")
    size = pipeline["initial_crop_size"] // pipeline["maxpool_kernel_size"]
    crops = keras.Input((size, size, shared.shape[-1]))
    pooled = keras.layers.GlobalAveragePooling2D()(tail(crops))
    scaling = keras.initializers.VarianceScaling(1.0, "fan_avg", "uniform")
    logits = keras.layers.Dense(num_classes + 1, kernel_initializer=scaling, name="logits")(pooled)
    codes = keras.layers.Dense(4 * num_classes, kernel_initializer=scaling, name="codes")(pooled)
    return keras.Model(crops, [logits, keras.layers.Reshape((num_classes, 4))(codes)],
                       name="box_head")


def anchors_of(features: tf.Tensor, images: tf.Tensor, pipeline: dict[str, Any]) -> tf.Tensor:
    """Returns the anchors of the shared features, float32 of shape (anchors, 4)."""
    return grid_anchors(tf.shape(features)[1:3], tf.shape(images)[1:3],
                        pipeline["first_stage_anchor_generator"])


def propose(
    objectness: tf.Tensor, codes: tf.Tensor, anchors: tf.Tensor, pipeline: dict[str, Any]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the boxes that are likely to hold any object.

    Returns:
        Boxes, float32 of shape (batch, proposals, 4), the most likely first; and which of them are
        no padding, bool of shape (batch, proposals).
    """
    boxes = decode(codes, anchors, coder_scales(pipeline["box_coder"]))
    most = pipeline["first_stage_max_proposals"]
    found = suppress(clip(boxes), class_scores(objectness, "SOFTMAX"), {
        "max_detections_per_class": most, "max_total_detections": most,
        "iou_threshold": pipeline["first_stage_nms_iou_threshold"],
        "score_threshold": pipeline["first_stage_nms_score_threshold"]})
    proposals = tf.stop_gradient(found["boxes"])
    return proposals, tf.range(tf.shape(proposals)[1])[None] < found["counts"][:, None]


def balanced_losses(
    logits: tf.Tensor, codes: tf.Tensor, targets: Targets, sampled: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns localization and classification loss, both per sampled anchor, mean over images.

    Args:
        logits: float32 of shape (batch, n, classes).
        codes: float32 of shape (batch, n, 4).
        targets: of the same anchors.
        sampled: which of them count, bool of shape (batch, n).
    """
    counted = tf.cast(sampled, tf.float32)
    weights = counted / tf.maximum(tf.reduce_sum(counted, axis=1, keepdims=True), 1.0)
    positive = tf.cast(targets.positive, tf.float32)
    localization = smooth_l1(codes, targets.codes, weights * positive)
    classification = weights * tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=targets.classes, logits=logits)
    images = tf.cast(tf.shape(logits)[0], tf.float32)
    return tf.reduce_sum(localization) / images, tf.reduce_sum(classification) / images


def rpn_losses(
    objectness: tf.Tensor, codes: tf.Tensor, anchors: tf.Tensor, boxes: tf.Tensor,
    labels: tf.Tensor, key: tf.Tensor, pipeline: dict[str, Any],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns localization and objectness loss of the first stage.

    Anchors that cross the border of the image do not count.
    """
    objects = tf.minimum(labels, 0)  # all classes are one: an object
    targets = assign(tf.where(is_inside(anchors)[:, None], anchors, 0.0), boxes, objects,
                     pipeline["box_coder"], pipeline["first_stage_matched_threshold"],
                     pipeline["first_stage_unmatched_threshold"])
    inside = is_inside(anchors)[None]
    targets = targets._replace(positive=targets.positive & inside,
                               negative=targets.negative & inside)
    sampled = balanced_sample(targets.positive, targets.negative,
                              pipeline["first_stage_minibatch_size"],
                              pipeline["first_stage_positive_balance_fraction"], key)
    return balanced_losses(objectness, codes, targets, sampled)


def sample_proposals(
    proposals: tf.Tensor, real: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, key: tf.Tensor,
    pipeline: dict[str, Any],
) -> tuple[tf.Tensor, Targets, tf.Tensor]:
    """Draws the proposals on which the second stage is trained; ground truth boxes join them.

    Returns:
        The proposals, float32 of shape (batch, size, 4), their targets, and which of them count.
    """
    proposals, real = (tf.concat(pair, axis=1) for pair in
                       ((proposals, boxes), (real, labels >= 0)))
    threshold = pipeline["second_stage_matched_threshold"]
    targets = assign(proposals, boxes, labels, pipeline["box_coder"], threshold, threshold, False)
    sampled = balanced_sample(targets.positive & real, targets.negative & real,
                              pipeline["second_stage_batch_size"],
                              pipeline["second_stage_balance_fraction"], key)
    size = tf.minimum(pipeline["second_stage_batch_size"], tf.shape(proposals)[1])
    _, rows = tf.math.top_k(tf.cast(sampled, tf.float32), size)  # (batch, size), sampled ones first
    proposals, sampled, *parts = (tf.gather(values, rows, batch_dims=1)
                                  for values in (proposals, sampled, *targets))
    return proposals, Targets(*parts), sampled


def run_box_head(
    box_head: keras.Model, features: tf.Tensor, proposals: tf.Tensor, pipeline: dict[str, Any],
    training: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the second stage's outputs for each proposal.

    Returns:
        Logits (batch, proposals, num_classes + 1) and codes (batch, proposals, num_classes, 4).
    """
    crops = roi.crop(features, proposals, pipeline["initial_crop_size"],
                     pipeline["maxpool_kernel_size"])
    logits, codes = box_head(crops, training=training)
    batch, count = tf.unstack(tf.shape(proposals)[:2])
    return (tf.reshape(logits, (batch, count, logits.shape[-1])),
            tf.reshape(codes, (batch, count, codes.shape[-2], 4)))


def second_stage_losses(
    logits: tf.Tensor, codes: tf.Tensor, targets: Targets, sampled: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns localization and classification loss; the codes of the true class count."""
    labels = tf.maximum(targets.classes - 1, 0)
    of_class = tf.gather(codes, labels, axis=2, batch_dims=2)  # (batch, proposals, 4)
    return balanced_losses(logits, of_class, targets, sampled)


def faster_rcnn_detections(
    rpn: keras.Model, box_head: keras.Model, images: tf.Tensor, pipeline: dict[str, Any],
    proposals: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Returns the detections of a batch of images, see `suppress`.

    Args:
        rpn: the first stage.
        box_head: the second stage.
        images: float32 of shape (batch, height, width, 3).
        pipeline: see pipeline.py.
        proposals: boxes of another source in place of the first stage's, as in Fast R-CNN; float32
            of shape (batch, n, 4).
    """
    features, objectness, codes = rpn(images, training=False)
    if proposals is None:
        anchors = anchors_of(features, images, pipeline)
        proposals, real = propose(objectness, codes, anchors, pipeline)
    else:
        real = tf.ones(tf.shape(proposals)[:2], tf.bool)
    logits, codes = run_box_head(box_head, features, proposals, pipeline, training=False)
    post = pipeline["second_stage_post_processing"]
    scores = class_scores(logits, post["score_converter"])
    boxes = decode(codes, proposals[:, :, None], coder_scales(pipeline["box_coder"]))
    return suppress(boxes, tf.where(real[..., None], scores, -1.0), post)


