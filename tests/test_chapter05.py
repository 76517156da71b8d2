"""Chapter 5: boxes, anchors, matching, losses, regions, augmentation, AP, data, detectors."""

import argparse
import json
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chapter05_detection import (
    anchors,
    annotations,
    augment,
    average_precision,
    boxes,
    check_anchors,
    data,
    eval,
    export,
    faster_rcnn,
    flags,
    label_map,
    losses,
    matcher,
    model,
    pipeline,
    predict,
    prepare,
    proposals,
    records,
    roi,
    sampler,
    shapes,
    targets,
    train,
    train_faster_rcnn,
)
from chapter05_detection.average_precision import Detections, Evaluation, Truth
from chapter05_detection.inference import build_detector, make_anchors_of, report_anchors
from chapter05_detection.label_map import LabelMap
from chapter05_detection.training import Updates
from common import rundir
from common.errors import UserError

CHAPTER = "chapter05_detection"
TINY = ("--batch_size", "2", "--max_steps", "2", "--log_every", "1", "--eval_every", "2")
KEY = tf.constant([3, 4], tf.int64)


def raises(function, *args, **kwargs) -> str:
    with pytest.raises(UserError) as caught:
        function(*args, **kwargs)
    assert caught.value.hint
    return str(caught.value)


def random_boxes(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 0.6, (count, 2)), rng.uniform(0.05, 0.4, (count, 2))
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)


# Boxes


def test_overlap_of_known_boxes():
    first = np.array([[0, 0, 10, 10], [5, 5, 15, 15]], np.float32)
    second = np.array([[0, 0, 10, 10], [0, 5, 10, 15], [20, 20, 30, 30]], np.float32)
    expected = [[1, 1 / 3, 0], [25 / 175, 50 / 150, 0]]
    np.testing.assert_allclose(boxes.iou(first, second), expected, atol=1e-6)
    np.testing.assert_allclose(boxes.iou_numpy(first, second), expected, atol=1e-6)
    # Boxes given by their first and last pixel; the smaller box in the denominator.
    one_pixel = np.array([[0, 0, 9, 9], [0, 5, 9, 14]], float)
    assert boxes.iou_numpy(one_pixel[:1], one_pixel[1:], pixel=1)[0, 0] == pytest.approx(1 / 3)
    inner = np.array([[2, 2, 4, 4]], float)
    assert boxes.iou_numpy(first, inner, over="min")[0, 0] == 1
    nothing = np.zeros((1, 4), np.float32)
    assert boxes.iou(nothing, nothing).numpy() == boxes.iou_numpy(nothing, nothing) == [[0]]


def test_the_codes_of_known_boxes():
    real = tf.constant([[10, 10, 20, 15], [0.2, 0.1, 0.5, 0.4]])
    at = tf.constant([[15, 12, 30, 18], [0.1, 0.0, 0.7, 0.9]])
    plain = boxes.encode(real, at, (1.0, 1.0, 1.0, 1.0))
    np.testing.assert_allclose(plain, [[-0.5, -0.416666, -0.405465, -0.182321],
                                       [-0.083333, -0.222222, -0.693147, -1.098612]], atol=1e-5)
    scaled = boxes.encode(real, at, (2.0, 3.0, 4.0, 5.0))
    np.testing.assert_allclose(scaled[0], [-1, -1.25, -1.62186, -0.911608], atol=1e-5)
    np.testing.assert_allclose(boxes.decode(scaled, at, (2.0, 3.0, 4.0, 5.0)), real, atol=1e-5)
    empty = boxes.encode(tf.zeros((1, 4)), at[:1])
    assert np.isfinite(empty).all()


def test_clipping():
    np.testing.assert_allclose(boxes.clip(tf.constant([[-0.1, 0.2, 0.5, 1.5]])),
                               [[0, 0.2, 0.5, 1]])
    border = tf.constant([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.001, 1.0]])
    assert boxes.is_inside(border).numpy().tolist() == [True, False]


def test_suppression_keeps_the_best_of_each_cluster():
    real = np.array([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11],
                     [0, 10.1, 1, 11.1], [0, 100, 1, 101]])
    scores = np.array([0.9, 0.75, 0.6, 0.95, 0.5, 0.3])
    assert boxes.non_max_suppression(real, scores, 0.5).tolist() == [3, 0, 5]
    assert boxes.non_max_suppression(real, scores, 0.5, max_boxes=2).tolist() == [3, 0]
    assert boxes.non_max_suppression(real, scores, 0.5, score_threshold=0.3).tolist() == [3, 0]
    assert boxes.non_max_suppression(real[:0], scores[:0], 0.5).tolist() == []
    equal = boxes.non_max_suppression(real[:2], np.array([0.5, 0.5]), 0.5)
    assert equal.tolist() == [0]


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_suppression_in_the_graph_equals_that_in_numpy(threshold):
    settings = {"max_detections_per_class": 100, "max_total_detections": 100,
                "iou_threshold": threshold, "score_threshold": 0.2}
    real = np.stack([random_boxes(60, 1), random_boxes(60, 2)])
    scores = np.random.default_rng(3).permutation(240).reshape(2, 60, 2).astype(np.float32) / 240
    found = model.suppress(tf.constant(real), tf.constant(scores), settings)
    for i in range(2):
        rows = [(scores[i, j, label], label, real[i, j]) for label in range(2) for j in
                boxes.non_max_suppression(real[i], scores[i, :, label], threshold,
                                          score_threshold=0.2)]
        rows.sort(key=lambda row: -row[0])
        count = int(found["counts"][i])
        assert count == len(rows)
        np.testing.assert_allclose(found["scores"][i, :count], [row[0] for row in rows])
        np.testing.assert_array_equal(found["classes"][i, :count], [row[1] for row in rows])
        np.testing.assert_allclose(found["boxes"][i, :count], [row[2] for row in rows], atol=1e-6)


def test_suppression_by_class():
    """The example of the original's multiclass unit test."""
    real = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11],
                      [0, 10.1, 1, 11.1], [0, 100, 1, 101], [0, 1000, 1, 1002],
                      [0, 1000, 1, 1002.1]]], np.float32) / 2000
    scores = np.array([[[0.9, 0.01], [0.75, 0.05], [0.6, 0.01], [0.95, 0], [0.5, 0.01],
                        [0.3, 0.01], [0.01, 0.85], [0.01, 0.5]]], np.float32)
    found = model.suppress(tf.constant(real), tf.constant(scores), {
        "max_detections_per_class": 4, "max_total_detections": 4, "iou_threshold": 0.5,
        "score_threshold": 0.1})
    np.testing.assert_allclose(found["scores"], [[0.95, 0.9, 0.85, 0.3]])
    assert found["classes"].numpy().tolist() == [[0, 0, 1, 0]]


@pytest.mark.parametrize("of_classes", [False, True])
def test_voting_takes_the_mean_of_overlapping_boxes(of_classes):
    """By hand: 0.6 and 0.2 of two boxes that overlap by 0.8; the third box is elsewhere."""
    real = np.array([[[0, 0, 0.5, 0.5], [0, 0, 0.4, 0.5], [0.6, 0.6, 1, 1]]], np.float32)
    scores = np.array([[[0.6, 0], [0.2, 0], [0, 0.5]]], np.float32)
    settings = {"max_detections_per_class": 3, "max_total_detections": 3, "iou_threshold": 0.5,
                "score_threshold": 0.1, "box_voting_iou_threshold": 0.7}
    if of_classes:
        real = np.stack([real, real], axis=2)
    found = model.suppress(tf.constant(real), tf.constant(scores), settings)
    np.testing.assert_allclose(found["boxes"], [[[0, 0, 0.475, 0.5], [0.6, 0.6, 1, 1], [0] * 4]],
                               atol=1e-6)
    np.testing.assert_allclose(found["scores"], [[0.6, 0.5, 0]])


# Anchors


def test_ssds_1917_anchors_and_their_scales():
    levels = anchors.ssd_shapes(6)
    found = anchors.ssd_anchors([(n, n) for n in (19, 10, 5, 3, 2, 1)], levels).numpy()
    assert found.shape == (1917, 4)
    np.testing.assert_allclose(levels[0], [[0.1, 0.1], [0.141421, 0.282843],
                                           [0.282843, 0.141421]], atol=1e-5)
    for level, scale in zip(levels[1:], (0.35, 0.5, 0.65, 0.8, 0.95), strict=True):
        np.testing.assert_allclose(np.sqrt(level.prod(axis=1)), [scale] * 5 + [level[5, 0]],
                                   atol=1e-5)
    between = [0.41833, 0.57009, 0.72111, 0.87178, 0.97468]
    np.testing.assert_allclose([level[5, 0] for level in levels[1:]], between, atol=1e-5)
    np.testing.assert_allclose(found[0], np.array([-0.05, -0.05, 0.05, 0.05]) + 0.5 / 19, atol=1e-6)
    np.testing.assert_allclose(found[-1], np.tile([0.5 - 0.97468 / 2, 0.5 + 0.97468 / 2],
                                                  (2, 1)).T.ravel(), atol=1e-5)


GRID = {"height": 256, "width": 256, "height_stride": 16, "width_stride": 16, "height_offset": 0,
        "width_offset": 0, "scales": [0.5, 1.0, 2.0], "aspect_ratios": [0.25, 1.0, 4.0]}


def test_grid_anchors():
    pixels = tf.constant([1, 1])  # an image of one pixel: fractions are pixels
    one = anchors.grid_anchors(tf.constant([1, 1]), pixels,
                               GRID | {"height_offset": 7, "width_offset": -3})
    np.testing.assert_allclose(one, [
        [-121, -35, 135, 29], [-249, -67, 263, 61], [-505, -131, 519, 125],
        [-57, -67, 71, 61], [-121, -131, 135, 125], [-249, -259, 263, 253],
        [-25, -131, 39, 125], [-57, -259, 71, 253], [-121, -515, 135, 509]], atol=1e-3)
    small = GRID | {"height": 10, "width": 10, "height_stride": 19, "width_stride": 19,
                    "aspect_ratios": [1.0]}
    grid = anchors.grid_anchors(tf.constant([2, 2]), pixels, small).numpy()
    assert grid.shape == (12, 4)
    np.testing.assert_allclose(grid[[0, 3, 6, 11]], [
        [-2.5, -2.5, 2.5, 2.5], [-2.5, 16.5, 2.5, 21.5], [16.5, -2.5, 21.5, 2.5],
        [9, 9, 29, 29]], atol=1e-5)


def test_the_books_figure_has_17901_anchors(runs):
    assert check_anchors.main(["--figure"]) == 0
    assert (runs / CHAPTER / "anchors.png").is_file()
    assert check_anchors.draw_anchors(runs / "again.png") == 51 * 39 * 9 == 17901


def test_best_possible_recall_and_proposed_scales():
    at = anchors.ssd_anchors([(4, 4)], [anchors.shapes([0.25], [1.0])]).numpy()
    same, tiny = at[[5]], np.array([[0.5, 0.5, 0.52, 0.52]] * 3)
    recall, text = anchors.report([same, same], [at, at], 0.5)
    assert recall == 1 and "Try" not in text
    recall, text = anchors.report([np.concatenate([same, tiny])], [at], 0.5)
    assert recall == 0.25 and "0.02" in text and "smaller stride" in text
    scales, ratios = anchors.propose(tiny, 2, 1)
    assert scales == [0.02, 0.02] and ratios == [1]


# Matching and sampling


def test_matches_by_threshold():
    overlap = tf.constant([[[0.9, 0.45, 0.1, 0.0], [0.6, 0.7, 0.2, 0.0]]])
    real = tf.constant([[True, True]])
    assert matcher.match(overlap, real, 0.5, 0.15, False).numpy().tolist() == [
        [0, 1, matcher.IGNORED, matcher.UNMATCHED]]
    one = tf.constant([[True, False]])
    assert matcher.match(overlap, one, 0.5, 0.5, False).numpy().tolist() == [[0, -1, -1, -1]]


def test_force_match_gives_every_box_an_anchor_of_its_own():
    # Both boxes overlap the first anchor most; the third overlaps none by much.
    overlap = tf.constant([[[0.9, 0.3, 0.0, 0.0], [0.8, 0.2, 0.0, 0.0], [0.0, 0.0, 0.0, 0.01]]])
    real = tf.constant([[True, True, True]])
    assert matcher.match(overlap, real, 0.5, 0.5, True).numpy().tolist() == [[0, 1, -1, 2]]
    for seed in range(5):
        at = anchors.ssd_anchors([(6, 6)], anchors.ssd_shapes(1)).numpy()
        true = random_boxes(9, seed)
        found = matcher.match(boxes.iou(true[None], at), tf.ones((1, 9), tf.bool), 0.5, 0.5, True)
        assert set(range(9)) <= set(found.numpy()[0].tolist())


def test_images_without_boxes_have_background_alone():
    found = matcher.match(tf.zeros((2, 0, 5)), tf.zeros((2, 0), tf.bool), 0.5, 0.5, True)
    assert (found.numpy() == matcher.UNMATCHED).all() and found.shape == (2, 5)
    at = tf.constant(random_boxes(5))
    assigned = targets.assign(at, tf.zeros((2, 3, 4)), tf.fill([2, 3], tf.constant(-1, tf.int64)),
                              pipeline.CODER, 0.5, 0.5)
    assert not assigned.positive.numpy().any() and assigned.negative.numpy().all()
    assert (assigned.classes.numpy() == 0).all() and np.isfinite(assigned.codes).all()


def test_targets_are_the_codes_of_the_matched_boxes():
    at = tf.constant([[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 1.0, 1.0]])
    true = tf.constant([[[0.5, 0.5, 0.9, 0.9], [0.0, 0.0, 0.0, 0.0]]])
    assigned = targets.assign(at, true, tf.constant([[2, -1]], tf.int64), pipeline.CODER, 0.5, 0.5)
    assert assigned.classes.numpy().tolist() == [[0, 3]]
    decoded = boxes.decode(assigned.codes[0, 1], at[1])
    np.testing.assert_allclose(decoded, true[0, 0], atol=1e-6)


def test_a_balanced_sample():
    positive = np.zeros((2, 100), bool)
    positive[0, :50], positive[1, :3] = True, True
    negative = ~positive
    negative[:, 90:] = False
    chosen = sampler.balanced_sample(positive, negative, 40, 0.25, KEY).numpy()
    assert (chosen & positive).sum(axis=1).tolist() == [10, 3]
    assert chosen.sum(axis=1).tolist() == [40, 40] and not chosen[:, 90:].any()
    again = sampler.balanced_sample(positive, negative, 40, 0.25, KEY).numpy()
    other = sampler.balanced_sample(positive, negative, 40, 0.25, KEY + 1).numpy()
    assert (chosen == again).all() and (chosen != other).any()


def test_three_hard_negatives_per_positive():
    positive = tf.constant([[True, True] + [False] * 8, [False] * 10])
    values = tf.constant([np.arange(10), np.arange(10)], tf.float32)
    chosen = sampler.hard_negatives(values, positive, ~positive, 3.0).numpy()
    assert np.flatnonzero(chosen[0]).tolist() == [4, 5, 6, 7, 8, 9] and not chosen[1].any()
    at_least = sampler.hard_negatives(values, positive, ~positive, 3.0, minimum=2).numpy()
    assert np.flatnonzero(at_least[1]).tolist() == [8, 9]


# Losses


def test_localization_losses_on_the_originals_examples():
    codes = tf.constant([[[2.5, 0, 0.4, 0], [0, 0, 0, 0], [0, 2.5, 0, 0.4]],
                         [[3.5, 0, 0, 0], [0, 0.4, 0, 0.9], [0, 0, 1.5, 0]]])
    weights = tf.constant([[2.0, 1, 1], [0, 3, 0]])
    total = tf.reduce_sum(losses.smooth_l1(codes, tf.zeros_like(codes), weights))
    assert float(total) == pytest.approx(7.695, abs=1e-4)
    half = tf.constant([[1.0] * 5 + [0.0] * 5] * 3)
    ones = tf.ones((3, 10, 4))
    assert float(tf.reduce_sum(losses.l2(ones, 0 * ones, half))) == pytest.approx(30)
    true = tf.constant([[[1.5, 0, 2.4, 1], [0, 0, 1, 1], [0, 0, 0.5, 0.25]]])
    other = tf.constant([[[1.5, 0, 2.4, 1], [0, 0, 1, 1], [50, 50, 500.5, 100.25]]])
    value = tf.reduce_sum(losses.iou_loss(true, other, tf.constant([[1, 0.5, 2]])))
    assert float(value) == pytest.approx(2)


def test_classification_losses_on_known_values():
    logits = tf.constant([[[-100.0, 100, -100], [100, 0, -100]], [[-100, 0, 100], [0, 0, -100]]])
    answers = tf.constant([[[0.0, 1, 0], [1, 0, 0]], [[0, 0, 1], [0, 1, 0]]])
    weights = tf.constant([[1.0, 1], [1, 0]])
    sigmoid = tf.reduce_sum(losses.sigmoid_cross_entropy(logits, answers, weights))
    assert float(sigmoid) == pytest.approx(2 * math.log(2), abs=1e-5)
    halves = tf.constant([[0.5, 0.5], [0.5, 1.5]])
    softmax = tf.reduce_sum(losses.softmax_cross_entropy(logits, answers, halves))
    assert float(softmax) == pytest.approx(1.5 * math.log(2), abs=1e-5)
    one = tf.constant([[[-100.0, 100, 0]]])
    soft = losses.bootstrapped_sigmoid(one, tf.constant([[[0.0, 1, 0]]]), tf.ones((1, 1)))
    assert soft.numpy().item() == pytest.approx(math.log(2), abs=1e-5)
    hard = losses.bootstrapped_sigmoid(one, tf.constant([[[0.0, 1, 1]]]), tf.ones((1, 1)),
                                       hard=True)
    assert hard.numpy().item() == pytest.approx(math.log(2), abs=1e-5)


def test_focal_loss():
    logits = tf.constant([[[9.0, 0.0, math.log(3)]]])  # background, then p = 1/2 and 3/4
    value = losses.focal(logits, tf.constant([[[0.0, 1, 0]]]), tf.ones((1, 1)))
    expected = 0.25 * 0.25 * math.log(2) + 0.75 * 0.5625 * math.log(4)
    assert value.numpy().item() == pytest.approx(expected, rel=1e-5)


def test_ssd_loss_by_hand():
    at = tf.constant(random_boxes(6))
    labels = tf.constant([[0, -1]], tf.int64)
    true = tf.stack([at[:1], at[1:2]], axis=1)
    assigned = targets.assign(at, true, labels, pipeline.CODER, 0.99, 0.99)
    logits = tf.constant(np.random.default_rng(0).normal(size=(1, 6, 2)), tf.float32)
    codes = tf.ones((1, 6, 4))
    found, counts = model.ssd_losses((logits, codes), assigned, pipeline.merge(
        {"model": "ssd"}, pipeline.SSD)["loss"])
    assert float(found["localization"]) == pytest.approx(2)  # four codes of 1, one anchor
    bce = np.log1p(np.exp(logits[0])) - logits[0] * np.array([[0.0, 1]] + [[1, 0]] * 5)
    per_anchor = np.sum(bce, axis=1)
    hardest = np.sort(per_anchor[1:])[-3:].sum()
    assert float(found["classification"]) == pytest.approx(per_anchor[0] + hardest, rel=1e-5)
    assert float(counts["negatives"]) == 3 * float(counts["positives"]) == 3


# Regions of interest


def test_a_crop_of_the_whole_map_is_the_map():
    features = tf.random.stateless_normal((1, 4, 4, 3), (0, 0))
    whole = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])
    np.testing.assert_allclose(roi.crop(features, whole, 4, 1), features, atol=1e-6)
    assert roi.crop(features, tf.tile(whole, [1, 5, 1]), 14).shape == (5, 7, 7, 3)


def test_roi_max_pooling_by_hand():
    features = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    found = roi.roi_max_pool(tf.constant(features),
                             tf.constant([[0, 0, 1, 1], [0.5, 0.5, 1, 1], [0, 0, 0.1, 0.1]],
                                         tf.float32), 2)
    assert found[..., 0].numpy().tolist() == [[[5, 7], [13, 15]], [[10, 11], [14, 15]],
                                              [[0, 0], [0, 0]]]


@pytest.mark.parametrize("size", [(13, 13), (5, 9), (1, 3)])
def test_a_spatial_pyramid_has_21_cells_at_any_size(size):
    features = np.random.default_rng(0).normal(size=(*size, 6)).astype(np.float32)
    pyramid = roi.spatial_pyramid(tf.constant(features)).numpy()
    assert pyramid.shape == (21 * 6,)
    np.testing.assert_allclose(pyramid[-6:], features.max(axis=(0, 1)))
    # The ends of both cells of the level of 2 x 2; the middle of an odd length is in both.
    ends = {13: ((0, 7), (6, 13)), 5: ((0, 3), (2, 5)), 9: ((0, 5), (4, 9)), 3: ((0, 2), (1, 3)),
            1: ((0, 1), (0, 1))}
    cells = [features[top:bottom, left:right].max(axis=(0, 1))
             for top, bottom in ends[size[0]] for left, right in ends[size[1]]]
    np.testing.assert_array_equal(pyramid[16 * 6:20 * 6], np.concatenate(cells))


def test_position_sensitive_scores_read_each_cell_from_its_own_channels():
    """Channels that are linear in row and column: the mean of a cell is the value at its centre."""
    factors = np.random.default_rng(0).normal(size=(3, 9, 2)).astype(np.float32)
    row, column = np.mgrid[:9, :9].astype(np.float32)
    one, of_row, of_column = factors
    features = one + np.multiply.outer(row, of_row) + np.multiply.outer(column, of_column)
    box = np.array([0.1, 0.25, 0.7, 1.0], np.float32)
    found = roi.position_sensitive_crop(features.reshape(1, 9, 9, 18), box[None], 3, 18)
    expected = np.zeros(2)
    for cell in range(9):
        place = (np.array(divmod(cell, 3)) + 0.5) / 3  # of the centre within the box
        y, x = 8 * (box[:2] + place * (box[2:] - box[:2]))  # on the grid of 9 points
        expected += (one[cell] + y * of_row[cell] + x * of_column[cell]) / 9
    np.testing.assert_allclose(found, expected[None], atol=1e-5)


# Augmentation

IMAGE = tf.random.stateless_uniform((40, 60, 3), (1, 2), 0, 255)
TWO = tf.constant([[0.1, 0.2, 0.5, 0.6], [0.0, 0.7, 1.0, 1.0]])
LABELS = tf.constant([1, 4], tf.int64)


def test_two_flips_are_the_identity():
    for flip in (augment.random_horizontal_flip, augment.random_vertical_flip):
        once = flip(IMAGE, TWO, LABELS, KEY, probability=1.0)
        assert (once[0].numpy() != IMAGE.numpy()).any()
        image, real, labels = flip(*once, KEY, probability=1.0)
        np.testing.assert_array_equal(image, IMAGE)
        np.testing.assert_allclose(real, TWO, atol=1e-6)
        assert labels is LABELS
    np.testing.assert_allclose(augment.flip_boxes(TWO)[0], [0.1, 0.4, 0.5, 0.8], atol=1e-6)


def test_a_crop_keeps_the_boxes_whose_centre_stays():
    window = tf.constant([0, 0, 20, 30])  # the upper left quarter
    image, real, labels = augment.crop(IMAGE, TWO, LABELS, window)
    assert image.shape == (20, 30, 3) and labels.numpy().tolist() == [1]
    np.testing.assert_allclose(real, [[0.2, 0.4, 1, 1]], atol=1e-6)
    right = augment.crop(IMAGE, TWO, LABELS, tf.constant([0, 30, 40, 60]))
    assert right[2].numpy().tolist() == [4]
    np.testing.assert_allclose(right[1], [[0, 0.4, 1, 1]], atol=1e-6)


def test_padding_moves_boxes_with_their_pixels():
    image, real, _ = augment.random_pad_image(IMAGE, TWO, LABELS, KEY, max_ratio=3.0,
                                              probability=1.0)
    height, width = image.shape[:2]
    assert height > 40 and width > 60
    top, left = np.round(real[0].numpy()[:2] * (height, width)).astype(int)
    np.testing.assert_allclose(image[top:top + 10, left:left + 10], IMAGE[4:14, 12:22], atol=1e-3)


def test_scale_jitter_enlarges_or_shrinks_in_a_frame_of_the_same_shape():
    small, real, labels = augment.random_scale_jitter(IMAGE, TWO, LABELS, KEY, 0.5, 0.5)
    assert small.shape == (80, 120, 3) and labels.numpy().tolist() == [1, 4]
    top, left = np.round(real[0].numpy()[:2] * (80, 120)).astype(int)
    np.testing.assert_allclose(real[0, 2:] - real[0, :2], [0.2, 0.2], atol=1e-6)
    np.testing.assert_allclose(small[top:top + 16, left:left + 24], IMAGE[4:20, 12:36], atol=1e-3)
    whole = augment.random_scale_jitter(IMAGE, TWO, LABELS, KEY, 1.0, 1.0)
    np.testing.assert_allclose(whole[0], IMAGE, atol=1e-3)
    np.testing.assert_allclose(whole[1], TWO, atol=1e-6)
    seen = set()
    for number in range(8):
        large, real, labels = augment.random_scale_jitter(IMAGE, TWO, LABELS, KEY + number, 2.0,
                                                          2.0)
        assert large.shape == (20, 30, 3)
        seen.add(tuple(labels.numpy()))
    assert len(seen) > 1  # some windows cut off some centres


def test_a_mosaic_of_four_whole_images_has_their_boxes_in_its_quarters():
    samples = [(tf.fill((40, 60, 3), 50.0 * number), TWO, LABELS + number) for number in range(4)]
    image, real, labels = augment.mosaic(samples, KEY, min_extent=2.0)
    assert image.shape == (40, 60, 3) and labels.numpy().tolist() == [1, 4, 2, 5, 3, 6, 4, 7]
    np.testing.assert_allclose(image[::39, ::59, 0], [[0, 50], [100, 150]], atol=1e-3)
    for number, (top, left) in enumerate([(0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5)]):
        np.testing.assert_allclose(real[2 * number:2 * number + 2],
                                   TWO / 2 + [top, left, top, left], atol=1e-6)
    empty = [(image, TWO[:0], LABELS[:0]) for image, _, _ in samples]
    image, real, labels = augment.mosaic(empty, KEY)
    assert image.shape == (40, 60, 3) and real.shape == (0, 4) and labels.shape == (0,)


def test_the_window_of_a_mosaic_keeps_boxes_on_their_pixels():
    """A white object in black images of different sizes: each box holds white alone."""
    samples = []
    for height, width in ((80, 80), (40, 80), (80, 120), (160, 40)):
        image = np.zeros((height, width, 3), np.float32)
        image[height // 4:height // 2, width // 4:width // 2] = 255
        samples.append((tf.constant(image), tf.constant([[0.25, 0.25, 0.5, 0.5]]), LABELS[:1]))
    counts = set()
    for number in range(8):
        image, real, labels = augment.mosaic(samples, KEY + number)
        counts.add(len(labels))
        for top, left, bottom, right in np.round(real.numpy() * 80).astype(int):
            inside = image[top + 2:bottom - 2, left + 2:right - 2].numpy()
            assert inside.size and inside.min() > 200
    assert len(counts) > 1  # some windows cut off some centres


@pytest.mark.parametrize("name", augment.STEPS)
def test_every_step_keeps_its_promises(name):
    for real, labels in ((TWO, LABELS), (TWO[:0], LABELS[:0])):
        for number in range(3):
            key = KEY + number
            image, moved, kept = augment.apply([(name, {})], IMAGE, real, labels, key)
            assert image.shape[2] == 3 and len(moved) == len(kept) <= len(real)
            assert -1e-3 <= np.min(image) and np.max(image) <= 255 + 1e-3
            assert (moved.numpy() >= -1e-6).all() and (moved.numpy() <= 1 + 1e-6).all()
            again, _, _ = augment.apply([(name, {})], IMAGE, real, labels, key)
            np.testing.assert_array_equal(image, again)


def test_what_the_colour_steps_compute():
    """Each step has one random number, which the first pixel tells; all others follow from it."""
    image = tf.random.stateless_uniform((6, 7, 3), (1, 2), 100, 150)
    x = image.numpy()

    def apply(name: str, **settings) -> np.ndarray:
        return augment.apply([(name, settings)], image, TWO, LABELS, KEY)[0].numpy()

    def at_once(values: np.ndarray, low: float, high: float) -> None:
        np.testing.assert_allclose(values, values.flat[0], rtol=2e-3)
        assert low <= values.flat[0] <= high and abs(values.flat[0] - 1) > 1e-3

    def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return values.max(axis=2), values.min(axis=2)

    at_once(1 + (apply("random_adjust_brightness") - x) / 255, 0.8, 1.2)
    mean = x.mean(axis=(0, 1))
    at_once(((apply("random_adjust_contrast") - mean) / (x - mean))[abs(x - mean) > 2], 0.8, 1.25)
    (high, low), changed = extremes(x), extremes(apply("random_adjust_saturation"))
    np.testing.assert_allclose(changed[0], high, atol=1e-3)
    at_once((high - changed[1]) / (high - low), 0.8, 1.25)
    turned = apply("random_adjust_hue", max_delta=0.5)
    np.testing.assert_allclose(extremes(turned), (high, low), atol=1e-3)
    assert abs(turned - x).max() > 1
    scaled = apply("random_pixel_value_scale") / x
    assert 0.9 <= scaled.min() < 0.92 and 1.08 < scaled.max() <= 1.1
    grey = apply("random_rgb_to_gray", probability=1.0)
    np.testing.assert_allclose(grey, np.repeat(x @ [[0.2989], [0.587], [0.114]], 3, 2), rtol=1e-4)
    np.testing.assert_array_equal(apply("random_rgb_to_gray", probability=0.0), x)


@pytest.mark.parametrize("number", range(4))
def test_distorted_colours_are_the_four_steps_in_one_of_two_orders(number):
    key, image = KEY + number, IMAGE / 255
    keys, clip = tf.random.split(key, 5), lambda x: tf.clip_by_value(x, 0.0, 1.0)
    first = float(augment.uniform(keys[4])) < 0.5
    x = clip(augment.brightness(image, keys[0], 32 / 255))
    if not first:
        x = clip(augment.contrast(x, keys[3], 0.5, 1.5))
    x = clip(augment.hue(clip(augment.saturation(x, keys[1], 0.5, 1.5)), keys[2], 0.2))
    if first:
        x = clip(augment.contrast(x, keys[3], 0.5, 1.5))
    np.testing.assert_allclose(augment.distort_color(image, key), x, atol=1e-6)


# Average precision


def truth(*real: tuple, classes=None, difficult=None) -> Truth:
    count = len(real)
    return Truth(np.array(real, float).reshape(-1, 4), np.array(classes or [0] * count, int),
                 np.array(difficult or [False] * count, bool))


def detections(real, scores, classes=None) -> Detections:
    return Detections(np.array(real, float).reshape(-1, 4), np.array(scores, float),
                      np.array(classes or [0] * len(scores), int))


UNIT = (0.1, 0.1, 0.3, 0.3)
FAR = (0.6, 0.6, 0.9, 0.9)


def test_perfect_detections_have_an_ap_of_1():
    truths = [truth(UNIT, FAR, classes=[0, 1]), truth(), truth(FAR, classes=[1])]
    found = [Detections(t.boxes, 1 - np.arange(len(t.classes)) / 10, t.classes) for t in truths]
    scores = Evaluation(truths, found, 2).scores()
    assert scores == pytest.approx({"map": 1, "ap_50": 1, "ap_50_voc07": 1})
    nothing = [detections([], []) for _ in truths]
    assert set(Evaluation(truths, nothing, 2).scores().values()) == {0}
    assert Evaluation(truths, nothing, 2).best_threshold() == (0.5, 0)


def test_the_table_of_five_boxes_by_all_rules():
    """Hit, hit, miss, hit, miss at four true boxes: precisions 1, 1, 2/3, 3/4, 3/5."""
    marks = average_precision.Marks(np.zeros(5, int), np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
                                    np.array([True, True, False, True, False]), np.array([4]))
    recall, precision, scores = average_precision.precision_recall(marks)
    assert scores.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]
    np.testing.assert_allclose(recall, [0.25, 0.5, 0.5, 0.75, 0.75])
    np.testing.assert_allclose(precision, [1, 1, 2 / 3, 3 / 4, 3 / 5])
    assert average_precision.area(recall, precision) == pytest.approx(0.5 + 0.25 * 0.75)
    eleven = average_precision.eleven_points(recall, precision)
    assert eleven == pytest.approx((6 + 2 * 0.75) / 11)
    hundred = average_precision.hundred_points(recall, precision)
    assert hundred == pytest.approx((51 + 25 * 0.75) / 101)
    np.testing.assert_allclose(average_precision.f1_score(recall, precision)[3], 0.75)


def test_equal_scores_are_one_group_in_any_order():
    marks = average_precision.Marks(np.zeros(4, int), np.full(4, 0.5),
                                    np.array([True, False, False, True]), np.array([4]))
    recall, precision, _ = average_precision.precision_recall(marks)
    assert recall.tolist() == precision.tolist() == [0.5]
    assert average_precision.area(recall, precision) == 0.25


def test_a_second_hit_of_a_box_is_a_miss_and_difficult_boxes_do_not_count():
    truths = [truth(UNIT, FAR, difficult=[False, True])]
    found = [detections([UNIT, UNIT, FAR, FAR], [0.9, 0.8, 0.7, 0.6])]
    for rule in ("voc", "coco"):
        marks = average_precision.mark(truths, found, 0, 0.5, rule)
        assert marks.hits.tolist() == [True, False] and marks.positives.tolist() == [1]


def test_the_rules_of_voc_and_coco_differ_in_crowds():
    """The second detection overlaps the taken box most, but another one enough for COCO."""
    truths = [truth((0, 0, 0.1, 0.1), (0, 0.04, 0.1, 0.14))]
    found = [detections([(0, 0, 0.1, 0.1), (0, 0.01, 0.1, 0.11)], [0.9, 0.8])]
    assert average_precision.mark(truths, found, 0, 0.5, "voc").hits.tolist() == [True, False]
    assert average_precision.mark(truths, found, 0, 0.5, "coco").hits.tolist() == [True, True]


def random_scene(seed: int, num_images: int = 20, num_classes: int = 3):
    """Returns true boxes and noisy detections with different scores."""
    rng, truths, found = np.random.default_rng(seed), [], []
    scores = rng.permutation(10000) / 10000
    for _ in range(num_images):
        count = rng.integers(0, 6)
        corner, size = rng.uniform(0, 0.6, (count, 2)), rng.uniform(0.1, 0.4, (count, 2))
        real, labels = np.concatenate([corner, corner + size], 1), rng.integers(0, 3, count)
        rng.uniform(size=count)
        truths.append(Truth(real, labels, np.zeros(count, bool)))
        noisy = np.concatenate([real + rng.normal(0, 0.03, real.shape),
                                real + rng.normal(0, 0.06, real.shape),
                                rng.uniform(0, 0.5, (2, 4)) + np.array([0, 0, 0.4, 0.4])])
        noisy[:, 2:] = np.maximum(noisy[:, 2:], noisy[:, :2] + 0.02)
        found.append(Detections(noisy, scores[: len(noisy)],
                                np.concatenate([labels, labels, rng.integers(0, num_classes, 2)])))
        scores = scores[len(noisy):]
    return truths, found


def test_scores_are_those_of_pycocotools():
    """pycocotools 2.0.11 on the same boxes gave these numbers."""
    for seed, (every, half) in enumerate([(0.13105271, 0.38592727), (0.12028662, 0.43203529)]):
        evaluation = Evaluation(*random_scene(seed), 3)
        assert evaluation.scores()["map"] == pytest.approx(every, abs=1e-6)
        at_half = average_precision.mean_precision(evaluation.coco[0],
                                                   average_precision.hundred_points)
        assert at_half == pytest.approx(half, abs=1e-6)


def test_bootstrap_intervals_contain_the_score():
    evaluation = Evaluation(*random_scene(0), 3)
    scores, ends = evaluation.scores(), evaluation.intervals(100)
    assert ends == evaluation.intervals(100)
    for name in ("map", "ap_50"):
        assert ends[f"{name}_low"] < scores[name] < ends[f"{name}_high"]
    assert evaluation.scores(np.ones(20, int)) == pytest.approx(scores)


def test_the_best_threshold_has_the_highest_f1():
    truths = [truth(UNIT, FAR)]
    found = [detections([UNIT, FAR, (0, 0, 0.1, 0.1)], [0.9, 0.6, 0.4])]
    assert Evaluation(truths, found, 1).best_threshold() == (0.6, 1)


def test_the_confusion_matrix_has_background():
    truths = [truth(UNIT, FAR, classes=[0, 1])]
    found = [detections([UNIT, (0, 0, 0.05, 0.05), FAR], [0.9, 0.8, 0.3], [1, 0, 1])]
    matrix = average_precision.confusion(truths, found, 2, 0.5)
    assert matrix.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_the_constant_box_is_one_group_of_ties():
    example = records.Example("a", b"", np.array([UNIT], np.float32), np.zeros(1, np.int64),
                              np.zeros(1, bool))
    baseline = eval.constant_boxes([example] * 3, 1, 2)
    scores = Evaluation([truth(UNIT), truth(FAR)], baseline, 1).scores()
    assert scores["ap_50"] == pytest.approx(0.25)  # precision 1/2 at recall 1/2


def test_the_constant_box_on_the_raccoons(real_data):
    """22 of 34 boxes are hit by the training median, in 32 images."""
    flags = data_flags("--dataset", "voc", "--data_dir", str(real_data("detection/raccoon_voc")))
    found = data.load(flags)
    assert [len(found.splits[name]) for name in ("train", "val")] == [126, 32]
    truths = [Truth(e.boxes, e.labels, e.difficult) for e in found.splits["val"]]
    baseline = eval.constant_boxes(found.splits["train"], 1, 32)
    marks = average_precision.mark(truths, baseline, 0, 0.5)
    assert (marks.hits.sum(), marks.positives.sum()) == (22, 34)
    assert Evaluation(truths, baseline, 1).scores()["ap_50"] == pytest.approx(22 / 32 * 22 / 34)


# Label maps


def test_label_maps_survive_a_round_trip(tmp_path):
    path = tmp_path / "map.pbtxt"
    labels = LabelMap(("it's", "back\\slash", "狗"), (1, 3, 90))
    path.write_text(label_map.render(labels), "utf-8")
    assert label_map.parse(path) == labels
    path.write_text("# COCO's form\nitem {\n  name: \"/m/01g317\"\n  id: 2\n  "
                    "display_name: \"a # b\"\n}\nitem { id: 1 name: 'x' } # the end\n", "utf-8")
    assert label_map.parse(path) == LabelMap(("x", "a # b"), (1, 2))


def test_the_escapes_of_a_label_map(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text(r"""item { id: 1 name: "\347\213\227" } item { id: 2 name: '\xe7\x8b\x97 \7' }
                    item { id: 3 name: 'a\nb\t\\n\"狗\狗' }""", "utf-8")
    found = label_map.parse(path)
    assert found.names == ("狗", "狗 \a", 'a\nb\t\\n"狗狗')
    path.write_text(label_map.render(found), "utf-8")
    assert label_map.parse(path) == found


@pytest.mark.parametrize(("text", "says"), [
    (r"item { id: 1 name: '\377' }", "not UTF-8"),
    ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "id 1 more than once"),
    ("item { id: 1 name: 'a' } item { id: 2 name: 'a' }", "name a more than once"),
    ("item { id: 0 name: 'a' }", "id 0"),
    ("item { name: 'a' }", "without id or name"),
    ("a: 1", "outside its items"),
    ("", "no item"),
])
def test_a_bad_label_map_is_explained(tmp_path, text, says):
    path = tmp_path / "map.pbtxt"
    path.write_text(text, "utf-8")
    assert says in raises(label_map.parse, path)


# Annotations and records

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def write_voc(folder: Path, rows: dict[str, list], sets: dict[str, list[str]], size=(100, 50),
              declared=None) -> Path:
    """Writes a folder in VOC's layout; rows are lists of (name, xmin, ymin, xmax, ymax)."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    width, height = declared or size
    for key, objects in rows.items():
        noise = np.random.default_rng(len(key)).integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).save(folder / "JPEGImages" / f"{key}.jpg")
        items = "".join(f"<object><name>{name}</name>{BOX.format(*box)}</object>"
                        for name, *box in objects)
        (folder / "Annotations" / f"{key}.xml").write_text(
            f"<annotation><size><width>{width}</width><height>{height}</height></size>{items}"
            "</annotation>", "utf-8")
    for name, ids in sets.items():
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(ids) + "\n", "utf-8")
    return folder


def data_flags(*argv: str) -> argparse.Namespace:
    return data.build_parser().parse_args(list(argv))


GOOD = {"a": [("cat", 10, 5, 60, 45), ("dog", 1, 1, 100, 50)], "b": [("cat", 0.5, 2.25, 30, 40)],
        "c": []}


def test_voc_folders(tmp_path):
    folder = write_voc(tmp_path / "voc", GOOD, {"train": ["a", "b"], "val": ["c", "a"]})
    found = data.load(data_flags("--dataset", "voc", "--data_dir", str(folder)))
    assert found.labels == LabelMap(("cat", "dog"), (1, 2)) and found.last == "val"
    first, second = found.splits["train"]
    np.testing.assert_allclose(first.boxes, [[0.1, 0.1, 0.9, 0.6], [0.02, 0.01, 1, 1]])
    assert first.labels.tolist() == [0, 1]
    np.testing.assert_allclose(second.boxes, [[0.045, 0.005, 0.8, 0.3]])
    assert len(found.splits["val"][0].boxes) == 0
    assert first.encoded == (folder / "JPEGImages" / "a.jpg").read_bytes()


def test_boxes_that_cannot_be_used_are_listed_and_left_out(tmp_path, capsys):
    bad = {"a": [("cat", 10, 5, 60, 45), ("cat", 60, 5, 10, 45), ("cat", 120, 5, 130, 45),
                 ("cat", 10, 5, 10, 45), ("cow", 10, 5, 60, 45), ("cat", 90, 5, 160, 45),
                 ("cat", "nan", 5, 60, 45)]}
    folder = write_voc(tmp_path / "voc", bad, {"train": ["a", "missing"]})
    (folder / "Annotations" / "pictureless.xml").write_text("<annotation/>", "utf-8")
    (folder / "Annotations" / "broken.xml").write_text("<annotation>", "utf-8")
    lists = folder / "ImageSets" / "Main" / "train.txt"
    lists.write_text("a\nmissing\npictureless\nbroken\n", "utf-8")
    (tmp_path / "map.pbtxt").write_text("item { id: 7 name: 'cat' }", "utf-8")
    out = tmp_path / "out" / "train.record"
    assert prepare.main(["--data_dir", str(folder), "--output_path", str(out),
                         "--label_map_path", str(tmp_path / "map.pbtxt")]) == 0
    error = capsys.readouterr().err
    for reason in ("corners swapped", "outside the image", "no area", "unknown class",
                   "is not a box", "missing.xml: there is no such file", "there is no image",
                   "broken.xml: it is not XML"):
        assert reason in error, reason
    labels = label_map.parse(tmp_path / "map.pbtxt")
    (example,) = records.read_records(out, labels)
    np.testing.assert_allclose(example.boxes, [[0.1, 0.1, 0.9, 0.6], [0.1, 0.9, 0.9, 1.0]])
    assert example.labels.tolist() == [0, 0]
    raw = next(iter(tf.data.TFRecordDataset(str(out)))).numpy()
    features = tf.train.Example.FromString(raw).features.feature
    assert features["image/object/class/label"].int64_list.value == [7, 7]
    assert features["image/width"].int64_list.value == [100]
    assert features["image/format"].bytes_list.value == [b"jpeg"]
    assert {f"image/{key}" for key in ("height", "filename", "source_id", "key/sha256", "encoded",
                                       "object/truncated", "object/view",
                                       "object/difficult")} <= features.keys()


def test_an_annotation_of_another_size_is_left_out(tmp_path, capsys):
    folder = write_voc(tmp_path / "voc", GOOD, {"train": ["a"]}, declared=(50, 100))
    assert prepare.main(["--data_dir", str(folder), "--output_path",
                         str(tmp_path / "train.record")]) == 2
    error = capsys.readouterr().err
    assert "no usable box" in error and "its annotation says 50 x 100" in error
    assert not list(tmp_path.glob("train.record*"))


def test_coco_yolo_and_csv_give_the_boxes_of_voc(tmp_path):
    folder = write_voc(tmp_path / "voc", {"a": GOOD["a"]}, {"train": ["a"]})
    images = folder / "JPEGImages"
    coco = {"images": [{"id": 9, "file_name": "a.jpg", "width": 100, "height": 50}],
            "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
            "annotations": [
                {"id": 1, "image_id": 9, "category_id": 17, "bbox": [10, 5, 50, 40]},
                {"id": 2, "image_id": 9, "category_id": 18, "bbox": [1, 1, 99, 49], "iscrowd": 1}]}
    (tmp_path / "coco.json").write_text(json.dumps(coco), "utf-8")
    yolo = tmp_path / "yolo"
    for name in ("images", "labels"):
        (yolo / name).mkdir(parents=True)
    shutil.copy(images / "a.jpg", yolo / "images" / "a.jpg")
    (yolo / "classes.txt").write_text("cat\ndog\n", "utf-8")
    (yolo / "labels" / "a.txt").write_text("0 0.35 0.5 0.5 0.8\n1 0.505 0.51 0.99 0.98\n", "utf-8")
    (tmp_path / "boxes.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,100,50,cat,10,5,60,45\n"
        "a.jpg,100,50,dog,1,1,100,50\n", "utf-8")
    sources = {"voc": ["--data_dir", str(folder)],
               "coco": ["--coco", str(tmp_path / "coco.json"), "--data_dir", str(images)],
               "yolo": ["--yolo", str(yolo)],
               "csv": ["--csv", str(tmp_path / "boxes.csv"), "--data_dir", str(images)]}
    for name, argv in sources.items():
        out = tmp_path / name / "train.record"
        assert prepare.main([*argv, "--output_path", str(out)]) == 0
        labels = label_map.parse(out.with_name("label_map.pbtxt"))
        assert labels == LabelMap(("cat", "dog"), (1, 2))
        (example,) = records.read_records(out, labels)
        np.testing.assert_allclose(example.boxes, [[0.1, 0.1, 0.9, 0.6], [0.02, 0.01, 1, 1]],
                                   atol=1e-6)
        assert example.labels.tolist() == [0, 1]
        assert example.difficult.tolist() == [False, name == "coco"]


def test_csv_without_a_header_and_images_without_boxes(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("a.jpg,1,2,3,4,cat\nb.jpg\n", "utf-8")
    one, two = annotations.read_csv(path, tmp_path).rows
    assert one.objects == [annotations.Object("cat", (2, 1, 4, 3))] and two.objects == []
    path.write_text("a.jpg,1,two,3,4,cat\n", "utf-8")
    assert "line 1" in raises(annotations.read_csv, path, tmp_path)


def test_blank_lines_of_a_csv_are_skipped(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("filename,xmin,ymin,xmax,ymax,class\n\na.jpg,1,2,3,4,cat\n  \n,,,,,\n"
                    "b.jpg,1,2,three,4,cat\n", "utf-8")
    assert "line 6" in raises(annotations.read_csv, path, tmp_path)
    path.write_text("\na.jpg,1,2,3,4,cat\n\n", "utf-8")
    (row,) = annotations.read_csv(path, tmp_path).rows
    assert row.objects == [annotations.Object("cat", (2, 1, 4, 3))]


@pytest.mark.parametrize("layout", ["images/{}|labels/{}", "{}/images|{}/labels"])
def test_yolo_folders_with_sets_polygons_and_names_in_yaml(tmp_path, layout):
    (tmp_path / "data.yaml").write_text("names:\n  0: cat\n  1: no\n", "utf-8")
    lines = {"train": "1 0.2 0.1 0.6 0.3 0.4 0.9\n", "val": "0 0.5 0.5 0.2 0.4 0.99\n"}
    for name, line in lines.items():
        of_images, of_labels = (tmp_path / part for part in layout.format(name, name).split("|"))
        for folder in (of_images, of_labels):
            folder.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(of_images / f"{name}.png")
        (of_labels / f"{name}.txt").write_text(line, "utf-8")
    found = annotations.read_yolo(tmp_path)
    assert found.names == ("cat", "no")
    (row,) = found.rows
    assert row.path.name == "train.png"
    assert row.objects == [annotations.Object("no", (0.1, 0.2, 0.9, 0.6))]
    (row,) = annotations.read_yolo(tmp_path, "val").rows
    np.testing.assert_allclose(row.objects[0].box, (0.3, 0.4, 0.7, 0.6))
    assert "no folder test; it has train, val" in raises(annotations.read_yolo, tmp_path, "test")
    for text in ("nc: 2", "names: cat", "[", "names: {1: cat}"):
        (tmp_path / "data.yaml").write_text(text, "utf-8")
        assert "no list of names" in raises(annotations.read_yolo, tmp_path)


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.1", "0 1 1 2 2 3 3 4", "cat 1 1 1 1", "0 a b c d"])
def test_a_yolo_line_of_another_form(line):
    assert "line 3" in raises(annotations.yolo_object, line, ("cat",), "a.txt, line 3")


def test_a_yolo_class_equal_to_the_number_of_classes(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "classes.txt").write_text("cat\ndog\n", "utf-8")
    (tmp_path / "a.txt").write_text("2 0.5 0.5 0.1 0.1\n", "utf-8")
    message = raises(annotations.read_yolo, tmp_path)
    assert "line 1: class 2, but there are 2 classes, 0 to 1" in message


def test_an_empty_list_of_ids(tmp_path):
    folder = write_voc(tmp_path / "voc", GOOD, {"train": [], "val": ["a"]})
    assert "train.txt is empty" in raises(annotations.read_voc, folder, "train")
    assert "has no test.txt; it has train, val" in raises(annotations.read_voc, folder, "test")


def test_ids_with_spaces_and_lists_of_a_class(tmp_path):
    folder = write_voc(tmp_path / "voc", {"a b": GOOD["a"], "c 1": []}, {"train": ["a b", "c 1 "]})
    assert annotations.ids_of_set(folder, "train") == ["a b", "c 1"]
    (folder / "ImageSets" / "Main" / "cat_val.txt").write_text("a b  1\nc 1 -1\n", "utf-8")
    assert annotations.ids_of_set(folder, "val") == ["a b", "c 1"]


def test_the_encodings_of_xml(tmp_path):
    text = ("<?xml version='1.0' encoding='{}'?><annotation><object><name>狗熊镕</name>"
            "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>"
            "</annotation>")
    for declared, real in (("GB2312", "gb18030"), ("gbk", "gbk"), ("GB18030", "gb18030"),
                           ("UTF-8", "utf-8"), ("utf-8", "utf-8-sig"), ("UTF-16", "utf-16")):
        path = tmp_path / "a.xml"
        path.write_bytes(text.format(declared).encode(real))
        assert annotations.read_xml(path, tmp_path).objects[0].name == "狗熊镕", declared
    for declared, says in (("klingon", "encoding klingon is unknown"), ("utf-8", "not in utf-8")):
        path.write_bytes(text.format(declared).encode("gbk"))
        with pytest.raises(ValueError, match=says):
            annotations.read_xml(path, tmp_path)
        found = annotations.read_voc(tmp_path, "train", ".")
        assert len(found.problems) == 1 and says in found.problems[0]


def test_a_class_that_training_lacks(tmp_path):
    folder = write_voc(tmp_path / "voc", GOOD, {"train": ["b"], "val": ["a"]})
    flags = data_flags("--dataset", "voc", "--data_dir", str(folder))
    assert "val split has boxes of dog, the train split has none" in raises(data.load, flags)


def test_records_with_ids_that_have_gaps(tmp_path):
    labels = LabelMap(("cat", "dog"), (3, 90))
    folder = write_voc(tmp_path / "voc", GOOD, {"train": ["a", "b"], "val": ["a"]})
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "my.pbtxt").write_text(label_map.render(labels), "utf-8")
    for name in ("train", "val"):
        assert prepare.main([
            "--data_dir", str(folder), "--set", name, "--label_map_path",
            str(tmp_path / "records" / "my.pbtxt"), "--output_path",
            str(tmp_path / "records" / f"pets_{name}.record")]) == 0
    found = data.load(data_flags("--dataset", "records", "--data_dir", str(tmp_path / "records")))
    assert found.labels == labels and found.splits["train"][0].labels.tolist() == [0, 1]
    (tmp_path / "records" / "my.pbtxt").write_text("item { id: 3 name: 'cat' }", "utf-8")
    assert "class 90" in raises(data.load, data_flags("--dataset", "records", "--data_dir",
                                                      str(tmp_path / "records")))
    shutil.copy(tmp_path / "records" / "pets_val.record", tmp_path / "records" / "x_val.record")
    assert "x_val.record" in raises(data.load, data_flags(
        "--dataset", "records", "--data_dir", str(tmp_path / "records")))


def test_which_files_are_the_records_and_their_label_map(tmp_path):
    folder = write_voc(tmp_path / "voc", GOOD, {"train": ["a", "b"]})
    assert prepare.main(["--data_dir", str(folder), "--output_path",
                         str(tmp_path / "my_train.record")]) == 0
    flags = data_flags("--dataset", "records", "--data_dir", str(tmp_path))
    shutil.copy(tmp_path / "my_train.record", tmp_path / "my_trainval.record")
    assert "no *_val.record" in raises(data.load, flags)
    shutil.copy(tmp_path / "my_train.record", tmp_path / "val.record")
    (tmp_path / "other.pbtxt").write_text("no label map", "utf-8")
    found = data.load(flags)
    assert set(found.splits) == {"train", "val"} and found.labels.names == ("cat", "dog")
    (tmp_path / "label_map.pbtxt").rename(tmp_path / "mine.pbtxt")
    with pytest.raises(UserError, match=r"mine\.pbtxt and other\.pbtxt") as caught:
        data.load(flags)
    assert "--label_map_path" in caught.value.hint
    flags.label_map_path = str(tmp_path / "mine.pbtxt")
    assert data.load(flags).labels == found.labels


@pytest.mark.slow
def test_odd_images(tmp_path):
    """1 x 1, huge, grey, rotated by EXIF, animated: all are records in the end."""
    huge = np.zeros((6000, 8000), np.uint8)
    huge[3000:] = 255
    Image.fromarray(huge).save(tmp_path / "huge.png")
    Image.new("RGB", (1, 1), "red").save(tmp_path / "one.png")
    turned = Image.new("RGB", (30, 20))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    rows = "huge.png,0,0,4000,3000,a\none.png,0,0,1,1,a\nturned.jpg,0,0,10,30,a\n"
    (tmp_path / "boxes.csv").write_text(rows, "utf-8")
    out = tmp_path / "train.record"
    assert prepare.main(["--csv", str(tmp_path / "boxes.csv"), "--output_path", str(out)]) == 0
    found = records.read_records(out, LabelMap(("a",), (1,)))
    sizes = [tuple(tf.io.decode_jpeg(example.encoded).shape[:2]) for example in found]
    assert sizes == [(1536, 2048), (1, 1), (30, 20)]
    np.testing.assert_allclose(found[0].boxes, [[0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(found[2].boxes, [[0, 0, 1, 0.5]])
    step = pipeline.merge({"model": "ssd"}, pipeline.SSD) | {
        "data_augmentation_options": [["ssd_random_crop", {}], ["random_pad_image", {}]]}
    for images, real, labels, _ in data.training_batches(found, step, 3, 0).take(2):
        assert images.shape == (3, 300, 300, 3) and real.shape[:2] == labels.shape
        assert np.isfinite(images).all() and np.isfinite(real).all()


def test_prepare_refuses_what_contradicts(tmp_path, capsys):
    out = ["--output_path", str(tmp_path / "x.record")]
    for argv, says in ((["--coco", "a", "--csv", "b"], "both --coco and --csv"), ([], "neither"),
                       (["--data_dir", str(tmp_path)], "no folder Annotations"),
                       (["--csv", "b", "--set", "val"], "--set has no effect with --csv"),
                       (["--coco", "a", "--year", "VOC2012"], "--year has no effect with --coco"),
                       (["--yolo", "a", "--data_dir", "b", "--annotations_dir", "c"],
                        "--data_dir --annotations_dir has no effect with --yolo"),
                       (["--data_dir", str(tmp_path), "--set", "val"], "no ImageSets/Main")):
        assert prepare.main([*argv, *out]) == 2
        assert says in capsys.readouterr().err
    folder = write_voc(tmp_path / "voc", GOOD, {"train": ["a"], "val": ["b"]})
    assert prepare.main(["--data_dir", str(folder), *out]) == 0
    assert prepare.main(["--data_dir", str(folder), "--set", "val", *out]) == 2
    assert "other classes" in capsys.readouterr().err


# The pipeline


def write_yaml(tmp_path: Path, text: str) -> str:
    path = tmp_path / "pipeline.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def test_all_shipped_pipelines_are_valid_and_have_the_originals_defaults():
    names = [path.stem for path in sorted(pipeline.FOLDER.glob("*.yaml"))]
    assert len(names) >= 8
    for name in names:
        found = pipeline.read(name)
        assert json.loads(json.dumps(found)) == found
    voc = pipeline.read("faster_rcnn_voc")
    assert voc["first_stage_max_proposals"] == 300 and voc["second_stage_batch_size"] == 64
    generator = voc["first_stage_anchor_generator"]
    assert len(generator["scales"]) * len(generator["aspect_ratios"]) == 12
    assert voc["second_stage_post_processing"]["max_total_detections"] == 300


def test_the_books_faster_rcnn_is_an_inception_resnet_v2():
    found = pipeline.read(train_faster_rcnn.PRESETS["book"]["pipeline_config_path"])
    assert found["feature_extractor"]["type"] == "faster_rcnn_inception_resnet_v2"
    assert (found["initial_crop_size"], found["maxpool_kernel_size"]) == (17, 1)


@pytest.mark.parametrize(("text", "says"), [
    ("model: ssd\nmatcher: {matched_treshold: 0.6}", "matcher.matched_treshold; do you mean"),
    ("model: ssd\nnum_classes: many", "num_classes is 'many', not a whole number"),
    ("model: ssd\nnum_classes: -1", "num_classes is -1"),
    ("model: ssd\nmatcher: [1]", "matcher is [1], not a mapping"),
    ("model: ssd\npost_processing: {score_converter: TANH}", "not one of SIGMOID"),
    ("model: ssd\ndata_augmentation_options: [random_flip]", "'random_flip'; there are"),
    ("model: ssd\ndata_augmentation_options: [{random_adjust_hue: {delta: 1}}]",
     "random_adjust_hue.delta; it has max_delta"),
    *((f"model: ssd\ndata_augmentation_options: [{{{step}: {{{setting}}}}}]", says)
      for step, setting, says in (
          ("random_horizontal_flip", "probability: often", "flip.probability is 'often'"),
          ("random_horizontal_flip", "probability: 1.5", "1.5, not a number from 0 to 1"),
          ("random_adjust_hue", "max_delta: 0.6", "0.6, not a number from 0 to 0.5"),
          ("random_adjust_contrast", "min_delta: 1.5", "min_delta is 1.5, not below max_delta"),
          ("random_black_patches", "max_black_patches: 2.5", "2.5, not a whole number"),
          ("random_crop_image", "area_range: 0.5", "area_range is 0.5, not a list"),
          ("random_crop_image", "area_range: [0.5]", "area_range is [0.5], not 2 numbers"),
          ("random_crop_image", "area_range: [0.9, 0.5]", "[0.9, 0.5], not 2 numbers"),
          ("random_crop_image", "area_range: [0, 0.5]", "is 0, not a number from 0.001 to 1"),
          ("random_pad_image", "max_ratio: 0.5", "0.5, not a number from 1 to 100"))),
    ("model: ssd\ndata_augmentation_options: [{random_crop_image: 5}]", "is 5, not a mapping"),
    ("model: ssd\nanchor_generator: {aspect_ratios: [1, -2]}", "aspect_ratios is -2"),
    ("model: ssd\nanchor_generator: {aspect_ratios: []}", "aspect_ratios is empty"),
    ("model: ssd\nanchor_generator: {scales: [0.5]}", "scales is 0.5, not a list"),
    ("model: ssd\nanchor_generator: {scales: [[0.5, 0]]}", "scales is 0, not a number from 0.001"),
    ("model: ssd\nfeature_extractor: {extra_depths: [0.5]}", "extra_depths is 0.5"),
    ("model: ssd\nfeature_extractor: {feature_maps: [5]}", "feature_maps is 5, not a name"),
    ("model: ssd\nimage_resizer: {height: 0}", "height is 0, not a number from 1 to"),
    ("model: ssd\npost_processing: {iou_threshold: 1.5}", "1.5, not a number from 0 to 1"),
    ("model: ssd\nmatcher: {matched_threshold: 0.4}", "unmatched_threshold is 0.5, above"),
    ("model: ssd\nloss: {classification_loss: weighted_softmax}", "SIGMOID; the loss weighted_so"),
    ("model: ssd\nloss: {classification_loss: focal}\npost_processing: {score_converter: SOFTMAX}",
     "SOFTMAX; the loss focal needs SIGMOID"),
    ("model: yolo", "does not say which model"),
    ("model: [", "is not YAML"),
    ("model: faster_rcnn", "describes the model faster_rcnn, not ssd"),
    ("model: ssd\nfeature_extractor: {type: ssd_vgg}", "ssd_vgg is unknown"),
    ("model: ssd\nnum_classes: 20", "num_classes 20, the data 3"),
    ("model: ssd\nfeature_extractor: {type: ssd_small, feature_maps: [stage_9]}", "stage_9"),
    ("model: ssd\nfeature_extractor: {type: ssd_small}\nanchor_generator: {scales: [[0.1]]}",
     "scales for 1 feature maps, the network has 6"),
])
def test_a_bad_pipeline_is_explained(tmp_path, text, says, capsys, monkeypatch):
    examples = shapes_examples(1)
    monkeypatch.setattr(data, "load", lambda flags: data.Data(
        {"train": examples, "val": examples}, THREE))
    path = write_yaml(tmp_path, text)
    assert train.main(["--pipeline_config_path", path, *TINY]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / CHAPTER).exists()


def test_settings_of_augmentation_are_checked_and_kept(tmp_path):
    path = write_yaml(tmp_path, "model: ssd\npost_processing: {score_converter: SOFTMAX}\n"
                      "loss: {classification_loss: weighted_softmax}\n"
                      "data_augmentation_options:\n  - random_crop_image: {area_range: [0.5, 1]}\n"
                      "  - random_adjust_contrast: {max_delta: 2}\n  - random_vertical_flip\n")
    assert pipeline.read(path)["data_augmentation_options"] == [
        ["random_crop_image", {"area_range": [0.5, 1]}],
        ["random_adjust_contrast", {"max_delta": 2.0}], ["random_vertical_flip", {}]]


# Detectors


def shapes_examples(count: int = 4) -> list[records.Example]:
    rng, examples = np.random.default_rng(5), []
    for number in range(count):
        picture, objects = shapes.draw(rng)
        size = np.array([shapes.HEIGHT, shapes.WIDTH] * 2)
        examples.append(records.Example(
            str(number), tf.io.encode_jpeg(picture, quality=95).numpy(),
            np.array([box / size for _, box in objects], np.float32),
            np.array([shapes.NAMES.index(name) for name, _ in objects], np.int64),
            np.zeros(len(objects), bool)))
    return examples


THREE = label_map.numbered(shapes.NAMES)


def test_resizers():
    keep = pipeline.FASTER_RCNN["image_resizer"] | {"type": "keep_aspect_ratio_resizer"}
    sizes = {(375, 500): (600, 800), (100, 400): (256, 1024), (1, 1): (600, 600)}
    for size, expected in sizes.items():
        assert tuple(data.resized(tf.zeros((*size, 3)), keep).shape) == (*expected, 3)


@pytest.mark.parametrize("mosaic", [0.0, 0.5])
def test_the_stream_is_a_pure_function_of_seed_and_step(mosaic):
    examples = shapes_examples(5)
    options = pipeline.read("ssd_shapes") | {"mosaic_probability": mosaic}

    def batches(start: int, count: int) -> list:
        stream = data.training_batches(examples, options, 3, 7, start)
        return [[part.numpy() for part in batch] for batch in stream.take(count)]

    whole, later = batches(0, 4), batches(2, 2)
    for one, other in zip(whole[2:], later, strict=True):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_array_equal(first, second)
    images, real, labels, _ = whole[0]
    assert images.shape == (3, 96, 128, 3) and images.min() >= 0 and images.max() <= 255
    assert real.shape[:2] == labels.shape and labels.min() >= data.PADDING
    assert ((labels == data.PADDING) == (real == 0).all(axis=2)).all()


@pytest.mark.parametrize("name", ["ssd_shapes", "faster_rcnn_voc"])
def test_mosaics_without_boxes_are_padded(name):
    """One image has a box and one has none: a mosaic has at most four boxes."""
    first = shapes_examples(1)[0]
    one = first._replace(boxes=first.boxes[:1], labels=first.labels[:1])
    none = one._replace(boxes=first.boxes[:0], labels=first.labels[:0])
    options = pipeline.read(name) | {"mosaic_probability": 1.0, "data_augmentation_options": []}
    options["image_resizer"] |= {"min_dimension": 60, "max_dimension": 100}
    images, real, labels, _ = next(iter(data.training_batches([none, one], options, 16, 0)))
    assert images.shape == (16, *((96, 128) if name == "ssd_shapes" else (60, 80)), 3)
    counts = (labels.numpy() != data.PADDING).sum(axis=1)
    assert real.shape == (16, counts.max(), 4) and 0 == counts.min() < counts.max() <= 4
    assert not real[counts.argmin()].numpy().any()


def test_ssd_has_an_output_for_each_anchor():
    detector = build_detector(pipeline.read("ssd_shapes"), THREE, 0)
    logits, codes = detector.models["ssd"](tf.zeros((2, 96, 128, 3)))
    count = (12 * 16 + 6 * 8) * 6
    assert logits.shape == (2, count, 4) and codes.shape == (2, count, 4)
    assert detector.anchors.shape == (count, 4)
    # The order of outputs is that of the anchors: row, column, shape.
    centres = (detector.anchors[:, :2] + detector.anchors[:, 2:]).numpy() / 2
    np.testing.assert_allclose(centres[[0, 6, 6 * 16]], [[0.5 / 12, 0.5 / 16], [0.5 / 12, 1.5 / 16],
                                                         [1.5 / 12, 0.5 / 16]], atol=1e-6)


def test_the_books_ssd_has_six_maps():
    """Keras' MobileNet rounds 37 / 2 and 18 / 2 down, TF-slim's up: 1,692 anchors, not 1,917."""
    detector = build_detector(pipeline.read("ssd_mobilenet_v1"), label_map.numbered(["a"] * 90), 0)
    maps = [n * n * (3 if n == 18 else 6) for n in (18, 9, 5, 3, 2, 1)]
    assert detector.anchors.shape == (sum(maps), 4) == (1692, 4)
    assert detector.models["ssd"].output_shape == [(None, 1692, 91), (None, 1692, 4)]


def test_frozen_batch_normalization_stays_frozen():
    options = pipeline.read("ssd_shapes")
    options["feature_extractor"] |= {"train_batch_norm": False}
    detector = build_detector(options, THREE, 0)
    names = [v.path for v in detector.models["ssd"].trainable_variables]
    assert names and not [name for name in names if "_bn" in name]
    before = [v.numpy() for v in detector.models["ssd"].non_trainable_variables]
    detector.models["ssd"](tf.random.stateless_uniform((2, 96, 128, 3), (0, 0), 0, 255),
                           training=True)
    after = [v.numpy() for v in detector.models["ssd"].non_trainable_variables]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_proposals_are_sampled_with_the_true_boxes():
    options = pipeline.read("faster_rcnn_shapes")
    true = tf.constant(random_boxes(4).reshape(2, 2, 4))
    labels = tf.constant([[0, 2], [1, -1]], tf.int64)
    given = tf.tile(tf.constant([[[0.0, 0.0, 0.01, 0.01]]]), [2, 30, 1])
    real = tf.ones((2, 30), tf.bool)
    found, assigned, sampled = faster_rcnn.sample_proposals(given, real, true, labels, KEY, options)
    assert found.shape == (2, 24, 4) and sampled.numpy().all()
    assert sorted(assigned.classes[0].numpy())[-3:] == [0, 1, 3]
    assert sorted(assigned.classes[1].numpy())[-2:] == [0, 2]


def test_faster_rcnn_of_a_keras_network_shares_all_weights_of_its_network():
    options = pipeline.merge({"model": "faster_rcnn", "feature_extractor": {
        "type": "faster_rcnn_mobilenet_v1", "depth_multiplier": 0.25}}, pipeline.FASTER_RCNN)
    detector = build_detector(options, THREE, 0)
    used = {id(v) for m in detector.models.values() for v in m.variables}
    assert {id(v) for v in detector.network.variables} <= used
    features, objectness, _ = detector.models["rpn"](tf.zeros((1, 96, 160, 3)))
    assert features.shape[1:3] == (6, 10) and objectness.shape == (1, 6 * 10 * 12, 2)
    found = detector.detect(tf.zeros((1, 96, 160, 3)))
    assert found["boxes"].shape == (1, 100, 4)
    given = detector.detect(tf.zeros((1, 96, 160, 3)), tf.constant(proposals.GRID[None]))
    assert int(given["counts"][0]) > 0


def test_the_anchors_of_images_of_different_sizes():
    """Rows and columns of the map of stride 8, rounded up, times 12 anchors."""
    settings = {"model": "faster_rcnn",
                "image_resizer": {"min_dimension": 64, "max_dimension": 100},
                "feature_extractor": {"type": "faster_rcnn_small"},
                "first_stage_anchor_generator": {"height_stride": 8, "width_stride": 8}}
    detector = build_detector(pipeline.merge(settings, pipeline.FASTER_RCNN), THREE, 0)
    anchors_of, example = make_anchors_of(detector), shapes_examples(1)[0]

    def of_image(height: int, width: int) -> np.ndarray:
        jpeg = tf.io.encode_jpeg(tf.zeros((height, width, 3), tf.uint8)).numpy()
        return anchors_of(example._replace(encoded=jpeg))

    assert len(of_image(64, 64)) == 8 * 8 * 12 and len(of_image(30, 60)) == 7 * 13 * 12
    assert of_image(64, 64) is of_image(128, 128)  # the same in the network
    boxes_at = [example._replace(boxes=anchors_of(example)[[0, 500]]), example._replace(
        boxes=np.array([[0, 0, 0.01, 0.01]], np.float32))]
    assert report_anchors(detector, boxes_at)[0] == pytest.approx(2 / 3)


def test_every_variable_gets_a_gradient():
    batch = next(iter(data.training_batches(shapes_examples(), pipeline.read("ssd_shapes"), 4, 0)))
    flags = train.build_parser().parse_args([])
    for name, script in (("ssd_shapes", train), ("faster_rcnn_shapes", train_faster_rcnn)):
        detector = build_detector(pipeline.read(name), THREE, 0)
        updates = Updates(flags, detector)
        before = [variable.numpy() for variable in updates.variables]
        step = script.make_train_step(detector, updates).python_function  # not worth a graph
        for _ in range(2):
            step(*batch[: 3 if script is train else 4])
        still = [variable.path for variable, old in zip(updates.variables, before, strict=True)
                 if (variable.numpy() == old).all()]
        assert still == []


def test_a_frozen_network_does_not_move():
    detector = build_detector(pipeline.read("faster_rcnn_shapes"), THREE, 0)
    detector.network.trainable = False
    updates = Updates(train.build_parser().parse_args([]), detector)
    assert list(updates.optimizers) == ["new"] and len(updates.variables) == 10
    before = [variable.numpy() for variable in detector.network.variables]
    head = detector.models["box_head"].get_layer("logits").kernel
    old = head.numpy()
    batch = next(iter(data.training_batches(shapes_examples(), detector.pipeline, 2, 0)))
    train_faster_rcnn.make_train_step(detector, updates).python_function(*batch)
    for variable, value in zip(detector.network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value, variable.path)
    assert (head.numpy() != old).any()


@pytest.mark.slow
@pytest.mark.parametrize(("script", "steps"), [(train, "100"), (train_faster_rcnn, "120")])
def test_a_few_scenes_are_learned(script, steps, tmp_path, monkeypatch, capsys):
    """Four images, the same for training and validation."""
    examples = shapes_examples()
    monkeypatch.setattr(data, "load", lambda flags: data.Data(
        {"train": examples, "val": examples}, THREE))
    assert script.main(["--max_steps", steps, "--eval_every", steps, "--batch_size", "4",
                        "--schedule", "constant", "--name", "few"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["ap_50"] > 0.9


# Flags


@pytest.mark.parametrize(("script", "argv", "says"), [
    (train, "--backbone_rate 0", "would freeze a network of random weights"),
    (train, "--schedule exponential", "--schedule exponential without --decay_steps"),
    (train_faster_rcnn, "--schedule steps", "--schedule steps without --decay_steps"),
    (train, "--schedule exponential --decay_steps 8,9", "exponential with --decay_steps 8,9"),
    (data, "--seed 1", "--seed 1 has no effect without --draw"),
    (data, "--pipeline_config_path ssd_bccd", "ssd_bccd has no effect without --draw"),
    (data, "--draw --dataset voc --data_dir .", "voc without --pipeline_config_path"),
    (check_anchors, "--dataset records --data_dir .", "records without --pipeline_config_path"),
    (check_anchors, "--figure --dataset voc", "--dataset voc has no effect with --figure"),
])
def test_flags_without_effect_or_without_others_are_refused(script, argv, says, capsys):
    assert script.main(argv.split()) == 2
    assert says in capsys.readouterr().err


def test_schedules():
    def rates(argv: str, *steps: int) -> list[float]:
        args = train.build_parser().parse_args(argv.split())
        return [float(flags.learning_rate(args, 0.5)(step)) for step in steps]

    assert rates("--learning_rate 2 --schedule exponential --decay_steps 5 --decay_factor 0.5",
                 4, 5, 10) == [1, 0.5, 0.25]
    assert rates("--learning_rate 2 --schedule steps --decay_steps 5,9 --decay_factor 0.5",
                 5, 6, 10) == [1, 0.5, 0.25]
    assert rates("--learning_rate 2 --max_steps 8", 0, 4, 8) == pytest.approx([1, 0.5, 0])


# Scripts that use a run


@pytest.fixture
def eager():
    """Runs every `tf.function` eagerly: two steps are not worth a graph."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Returns the folder of a run of two steps on four scenes."""
    folder, examples = tmp_path_factory.mktemp("runs"), shapes_examples()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DL21_RUNS", str(folder))
        patch.setattr(data, "load", lambda flags: data.Data(
            {"train": examples, "val": examples}, THREE))
        assert train.main([*TINY, "--name", "tiny"]) == 0
    return folder / CHAPTER / "tiny"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Even though:UserWarning")  # of tf.data
@pytest.mark.parametrize("script", [train, train_faster_rcnn])
def test_patience_counts_evaluations_across_a_resume(script, eager, tmp_path, monkeypatch, capsys):
    """The best mAP is that of step 2; an equal one does not count as better."""
    examples, found = shapes_examples(1), iter([0.1, 0.3, 0.3, 0.2, 0.1])
    monkeypatch.setattr(data, "load", lambda flags: data.Data(
        {"train": examples, "val": examples}, THREE))
    monkeypatch.setattr(average_precision.Evaluation, "scores",
                        lambda self: dict.fromkeys(("map", "ap_50"), next(found)))
    flags = ["--name", "patient", "--max_steps"]
    few = ["--batch_size", "1", "--eval_every", "1"]

    def ended(*argv: str) -> int:
        assert script.main([*flags, *argv]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])["step"]

    assert ended("3", "--patience", "2", *few) == 3
    assert ended("9") == 4
    assert script.main([*flags, "9"]) == 2
    assert "early stopping ended this run at step 4" in capsys.readouterr().err
    assert ended("9", "--patience", "3") == 5
    assert rundir.last_step(tmp_path / CHAPTER / "patient") == 5
    assert [path.name for path in (tmp_path / CHAPTER / "patient/checkpoints/best").glob("*.index")
            ] == ["ckpt-2.index"]


def write_scene(path: Path) -> Path:
    picture, _ = shapes.draw(np.random.default_rng(1))
    Image.fromarray(picture).save(path)
    return path


@pytest.mark.slow
def test_predict_writes_images_json_and_says_what_the_highest_score_was(trained, tmp_path, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_scene(folder / "a.png")
    Image.new("L", (1, 1)).save(folder / "b.png")
    (folder / "notes.txt").write_text("no image", "utf-8")
    out = tmp_path / "out"
    run = ["--run_dir", str(trained), "--output_dir", str(out)]
    assert predict.main([str(folder), *run, "--threshold", "1"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("no box above 1; the highest was 0.") == 2
    assert "notes.txt" in shown.err
    assert {path.name for path in out.iterdir()} == {"a.png", "b.png", "detections.json"}
    assert predict.main([str(folder / "a.png"), *run, "--threshold", "0", "--max_boxes", "3"]) == 0
    (row,) = json.loads((out / "detections.json").read_text("utf-8"))
    assert len(row["detections"]) == 3 and row["output"] == "a.png"
    scores = [found["score"] for found in row["detections"]]
    assert scores == sorted(scores, reverse=True)
    assert {*row["detections"][0]} == {"class", "id", "score", "box"}
    assert predict.main([str(tmp_path / "absent.png"), str(folder / "a.png"), *run]) == 2
    assert "absent.png" in capsys.readouterr().err
    before = (folder / "a.png").read_bytes()
    assert predict.main([str(folder / "a.png"), *run[:2], "--output_dir", str(folder)]) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert (folder / "a.png").read_bytes() == before
    assert predict.main([str(folder), *run, "--label_map_path", "x.pbtxt"]) == 2
    assert "no effect without --saved_model" in capsys.readouterr().err


def test_predict_takes_the_best_threshold_of_the_evaluation(tmp_path):
    assert predict.best_threshold(tmp_path, "latest") == 0.5
    found = {"checkpoint": "latest", "details": {"proposals": "rpn"},
             "metrics": {"validation": {"threshold": 0.42}}}
    (tmp_path / "eval.json").write_text(json.dumps(found))
    assert predict.best_threshold(tmp_path, "latest") == 0.42
    assert predict.best_threshold(tmp_path, "best") == 0.5
    found["details"]["proposals"] = "grid"
    (tmp_path / "eval.json").write_text(json.dumps(found))
    assert predict.best_threshold(tmp_path, "latest") == 0.5


@pytest.mark.slow
def test_predict_writes_a_video(trained, tmp_path, capsys):
    path, out = tmp_path / "clip.mp4", tmp_path / "out"
    clip = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 5, (160, 120))
    for number in range(3):
        clip.write(shapes.draw(np.random.default_rng(number))[0])
    clip.release()
    assert predict.main([str(path), "--run_dir", str(trained), "--output_dir", str(out)]) == 0
    assert "of 3 frames" in capsys.readouterr().out
    assert cv2.VideoCapture(str(out / "clip.mp4")).read()[1].shape == (120, 160, 3)
    (row,) = json.loads((out / "detections.json").read_text("utf-8"))
    assert len(row["frames"]) == 3


@pytest.mark.slow
def test_an_export_detects_like_its_run(trained, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "run")
    assert export.main(["--run_dir", str(run)]) == 0
    scene = write_scene(tmp_path / "scene.png")
    found = []
    for argv in (["--run_dir", str(run)], ["--saved_model", str(run / "export" / "1")]):
        out = tmp_path / str(len(found))
        assert predict.main([str(scene), *argv, "--threshold", "0", "--output_dir", str(out)]) == 0
        found.append(json.loads((out / "detections.json").read_text("utf-8"))[0]["detections"])
    assert [row["id"] for row in found[0]] == [row["id"] for row in found[1]]
    np.testing.assert_allclose([row["box"] for row in found[0]], [row["box"] for row in found[1]],
                               atol=1e-4)
    assert found[1][0]["class"] == f"class {found[1][0]['id']}"
    signature = json.loads((run / "export" / "1" / "signature.json").read_text("utf-8"))
    assert signature["classes"] == {"1": "circle", "2": "square", "3": "triangle"}
    assert {*signature["signatures"]} == {"serving_default", "encoded_image_string_tensor",
                                          "tf_example"}
    empty = tf.saved_model.load(str(run / "export" / "1")).signatures["serving_default"](
        inputs=tf.zeros((0, 9, 9, 3), tf.uint8))
    assert empty["num_detections"].shape == (0,)
    capsys.readouterr()
    assert predict.main([str(scene), "--saved_model", str(tmp_path)]) == 2
    assert "holds no SavedModel" in capsys.readouterr().err


def test_proposals_of_a_file(tmp_path):
    inside = (proposals.GRID >= 0) & (proposals.GRID <= 1)
    assert inside.all() and len(proposals.GRID) > 200
    path = tmp_path / "boxes.json"
    path.write_text('{"a.jpg": [[0, 0, 0.5, 0.5]], "b.jpg": []}', "utf-8")
    table = proposals.read(path)
    assert proposals.of_image(table, "a.jpg").tolist() == [[0, 0, 0.5, 0.5]]
    assert "no boxes for b.jpg" in raises(proposals.of_image, table, "b.jpg")
    for wrong in ("[[0, 0, 1.5, 0.5]]", "[0, 0, 0.5, 0.5]", "[[0, 0, 0.5]]", "[[[0, 0, 1, 1]]]",
                  "[[0, 0.5, 1, 0.5]]", "[[0, 0, 1, 1], [0.6, 0, 0.4, 1]]", "[[0, 0, 1, NaN]]"):
        path.write_text(f'{{"a.jpg": {wrong}}}', "utf-8")
        assert "holds no proposals" in raises(proposals.read, path)


SMALL = """model: faster_rcnn
feature_extractor: {type: faster_rcnn_small}
first_stage_anchor_generator: {height_stride: 8, width_stride: 8}
"""


def test_a_batch_of_images_of_different_sizes_is_refused(tmp_path, capsys, monkeypatch):
    examples = shapes_examples(1)
    monkeypatch.setattr(data, "load", lambda flags: data.Data(
        {"train": examples, "val": examples}, THREE))
    path = write_yaml(tmp_path, "model: faster_rcnn\n"
                      "feature_extractor: {type: faster_rcnn_small}\n")
    assert train_faster_rcnn.main(["--pipeline_config_path", path, *TINY]) == 2
    assert "height_stride is 16, the shared features have a stride of 8" in capsys.readouterr().err
    path = write_yaml(tmp_path, SMALL)
    assert train_faster_rcnn.main(["--pipeline_config_path", path, *TINY]) == 2
    assert "--batch_size 2 with a keep_aspect_ratio_resizer" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Even though:UserWarning")  # of tf.data
def test_a_run_starts_from_another_detector(trained, eager, tmp_path, monkeypatch, capsys):
    """With other classes, the layers of classes start afresh; the run keeps its own pipeline."""
    examples = [e._replace(labels=0 * e.labels) for e in shapes_examples()]
    monkeypatch.setattr(data, "load", lambda flags: data.Data(
        {"train": examples, "val": examples}, label_map.numbered(["thing"])))
    assert train.main([*TINY, "--name", "next", "--init_from", str(trained)]) == 0
    assert "not taken" in capsys.readouterr().err
    config = rundir.read_config(tmp_path / CHAPTER / "next")
    assert config["class_names"] == ["thing"]
    assert config["pipeline"] == pipeline.read("ssd_shapes")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Even though:UserWarning")  # of tf.data
def test_faster_rcnn_keeps_the_aspect_ratio_in_training(eager, tmp_path, monkeypatch, capsys):
    examples = shapes_examples(2)
    monkeypatch.setattr(data, "load", lambda flags: data.Data(
        {"train": examples, "val": examples}, THREE))
    path = write_yaml(tmp_path, SMALL + "image_resizer: {min_dimension: 64, max_dimension: 100}\n"
                      "first_stage_max_proposals: 8\nsecond_stage_batch_size: 8\n")
    assert train_faster_rcnn.main(["--pipeline_config_path", path, "--batch_size", "1",
                                   "--max_steps", "2", "--eval_every", "2"]) == 0


def test_drawn_scenes_are_reproducible(tmp_path, monkeypatch):
    monkeypatch.setattr(shapes, "COUNTS", {"train": 3, "val": 1, "test": 1})
    for name in ("one", "two"):
        shapes.write(tmp_path / name)
    one, two = (sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
                for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    found = data.load_voc(tmp_path / "one", data_flags())
    assert found.last == "test" and set(found.labels.names) <= set(shapes.NAMES)
    for example in found.splits["train"]:
        assert 1 <= len(example.boxes) <= shapes.MAX_OBJECTS
