"""Scores of translations: against the truth where it is known, and without pairs.

All differences are of images in [-1, 1] unless a metric says otherwise: l1, psnr and ssim are those
of common/image_metrics, of images in [0, 255].
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chapter11_cyclegan import data
from chapter11_cyclegan.health import correlation
from chapter11_cyclegan.judge import Judge, fit_classifier
from common import image_metrics, kernel_distance
from common.intervals import with_interval

Scores = dict[str, float]
Predict = Callable[[np.ndarray], np.ndarray]  # from and to images in [-1, 1]


class Translated(NamedTuple):
    """The test images of one domain, translated; all uint8 of shape (count, size, size, 3).

    Attributes:
        names: of the images.
        inputs: the images.
        outputs: their translations.
        cycled: these translated back; None without a way back.
        matched: the images with the colours of the target domain, see `match_colours`.
        truth: the true translations, where they are known.
        cycle_l1: mean |F(G(x)) - x| of each image, in [-1, 1], before rounding; None without a
            way back.
        change_l1: mean |G(x) - x| of each image.
    """

    names: list[str]
    inputs: np.ndarray
    outputs: np.ndarray
    cycled: np.ndarray | None
    matched: np.ndarray
    truth: np.ndarray | None
    cycle_l1: np.ndarray | None
    change_l1: np.ndarray


def moments(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and deviation of each channel, image by image: thousands need no copy."""
    first, second = (np.mean([(np.float64(picture) ** power).mean(axis=(0, 1))
                              for picture in pictures], axis=0) for power in (1, 2))
    return first, np.sqrt(np.maximum(second - first**2, 0))


def match_colours(pictures: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Gives images the colours of another domain: a baseline (Reinhard et al. 2001, in RGB).

    Each channel is shifted and scaled so that mean and deviation over all training images of the
    source become those of the target.

    Args:
        pictures: to change, uint8 of shape (count, height, width, 3).
        source: training images of the same domain.
        target: training images of the other domain.
    """
    of_source, of_target = moments(source), moments(target)
    ratio = of_target[1] / np.maximum(of_source[1], 1e-6)
    changed = (pictures - of_source[0]) * ratio + of_target[0]
    return np.uint8(np.clip(np.rint(changed), 0, 255))


def translate(
    names: list[str], pictures: np.ndarray, truth: np.ndarray | None, there: Predict,
    back: Predict | None, training: tuple[np.ndarray, np.ndarray],
) -> Translated:
    """Translates images there and back.

    Args:
        names: of the images.
        pictures: uint8 of shape (count, size, size, 3).
        truth: their true translations, or None.
        there: the generator.
        back: the generator of the other direction, or None.
        training: training images of this domain and of the target.
    """
    given = data.scale(pictures)
    made = there(given)
    cycled = cycle_l1 = None
    if back:
        again = back(made)
        cycled, cycle_l1 = data.to_uint8(again), np.abs(again - given).mean(axis=(1, 2, 3))
    return Translated(names, pictures, data.to_uint8(made), cycled,
                      match_colours(pictures, *training), truth, cycle_l1,
                      np.abs(made - given).mean(axis=(1, 2, 3)))


def join(parts: list[Translated]) -> Translated:
    """Joins the images that several runs have translated."""
    columns = zip(*parts, strict=True)
    return Translated(*(list(itertools.chain(*column)) if isinstance(column[0], list) else
                        None if column[0] is None else np.concatenate(column)
                        for column in columns))


def against_truth(pictures: np.ndarray, truth: np.ndarray | None) -> Scores:
    """Returns l1, psnr and ssim, averaged over the images; none without the truth."""
    if truth is None:
        return {}
    return {name: float(values.mean())
            for name, values in image_metrics.score(pictures, truth).items()}


def without_pairs(found: Translated) -> Scores:
    """Returns how much the cycle loses, how much a translation changes, and the correlation."""
    cycle = {} if found.cycle_l1 is None else with_interval("cycle_l1", found.cycle_l1)
    return (cycle | with_interval("change_l1", found.change_l1) | {
        "correlation": correlation(found.inputs, found.outputs), "images": len(found.names)})


def candidates(found: Translated) -> dict[str, np.ndarray]:
    """Returns what is compared with the target domain, by name: baselines beside the outputs."""
    return {"test": found.outputs, "identity": found.inputs, "colours": found.matched}


def distances(found: Translated, targets: np.ndarray, judge: Judge) -> dict[str, Scores]:
    """Returns the kernel distances to the target domain, of the translations and of baselines.

    `kid_gain` of the translations is how much nearer they are than the untranslated images, with
    the interval of the paired difference. `floor` is the distance of one half of the target domain
    to the other: no translation can be expected to be nearer.

    Args:
        found: translations.
        targets: features of all images of the target domain.
        judge: of `judge.open_judge`.
    """
    estimate = kernel_distance.make_estimates(targets)
    estimates = {name: estimate(judge(pictures)) for name, pictures in candidates(found).items()}
    pairs = {name: kernel_distance.summarize(values) for name, values in estimates.items()}
    pairs["floor"] = kernel_distance.distance(targets[::2], targets[1::2])
    distances = {name: {"kid": value.kid, "kid_interval": value.interval}
                 for name, value in pairs.items()}
    gain = kernel_distance.summarize(estimates["identity"] - estimates["test"])
    distances["test"] |= {"kid_gain": gain.kid, "kid_gain_interval": gain.interval}
    return distances


def shares(
    found: Translated, judge: Judge, training: tuple[np.ndarray, np.ndarray], real: np.ndarray
) -> dict[str, float]:
    """Returns what share of the images a classifier takes for the target domain.

    Args:
        found: translations.
        judge: of `judge.open_judge`.
        training: features of training images of this domain and of the target, from which the
            classifier learns.
        real: features of test images of the target domain, of which it takes the share `floor`.
    """
    takes = fit_classifier(*training)
    answers = {name: takes(judge(pictures)) for name, pictures in candidates(found).items()}
    answers["floor"] = takes(real)
    return {name: float(np.mean(values)) for name, values in answers.items()}
