"""Measures a trained network on the test pairs, beside baselines that need no network.

    python eval.py
    python eval.py --judge mobilenet_v1_0.75_224.weights.h5 --publish

L1 (of 255), PSNR and SSIM of the pictures, averaged over the pairs. The network is measured twice:
deterministic, as all scripts use it, and in the original's mode, with dropout and the statistics of
each image. The interval of the gain over the strongest baseline is paired: a bootstrap of the
differences on the same pairs. With --judge, the kernel distance (KID) between outputs and targets
is measured in the features of a MobileNet, beside that of training and test targets (`real`).
Writes eval.json, and index.html with all pictures, to the run folder; two training pairs come
first, so that a difference between training and testing shows. Where the validation pairs are the
test pairs, the latest checkpoint is measured, not one that was selected on them.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from chapter09_pix2pix import baselines, data
from chapter09_pix2pix.baselines import Chunk, Chunks
from chapter09_pix2pix.inference import load_run, make_predict
from chapter09_pix2pix.pairs import Pairs
from common import cli, features, image_metrics, intervals, kernel_distance, page, results, rundir

OF_TRAINING = 2  # pairs of the training split on the page
MAX_TRAINING = 400  # pairs from which the baselines are computed
AT_ONCE = 16  # pairs in memory
TITLES = {"test": "output", "original_mode": "output in the original's mode"}

JUDGE = "MobileNet", 0.75  # the network of --judge, and its alpha
ENLARGED = 128  # pixels to which smaller pictures are enlarged for it

Scores = dict[str, dict[str, list[Any]]]  # by name of the outputs and of the metric, by pair
Judge = Callable[[np.ndarray], np.ndarray]  # from pictures to their features
Outputs = Callable[[Chunk], dict[str, np.ndarray]]  # from pairs to pictures by name


def colourfulness(picture: np.ndarray) -> float:
    """Returns how colourful a picture in [0, 255] is (Hasler & Süsstrunk 2003)."""
    red, green, blue = np.moveaxis(picture, -1, 0)
    across, along = red - green, (red + green) / 2 - blue
    return float(np.hypot(across.std(), along.std()) + 0.3 * np.hypot(across.mean(), along.mean()))


def shown(picture: np.ndarray, aspect_ratio: float) -> np.ndarray:
    """Returns a square picture, float in [0, 255], as uint8 of a ratio of width to height."""
    size = len(picture)
    shape = round(size * max(aspect_ratio, 1)), round(size / min(aspect_ratio, 1))
    return np.asarray(Image.fromarray(np.uint8(np.rint(picture)))
                      .resize(shape, Image.Resampling.BICUBIC))


def open_judge(weights: str) -> Judge:
    """Returns a function from pictures in [0, 255] to the features that KID compares.

    They are the last feature maps of a MobileNet, averaged over all places.
    """
    name, alpha = JUDGE
    network = features.open_application(name, weights, alpha, post_activation=True)
    pooled = features.make_pooled(network, ENLARGED)
    return lambda pictures: pooled(tf.constant(pictures, tf.float32)).numpy()


def read_pairs(found: Pairs, flags: argparse.Namespace) -> Iterator[tuple[list[str], Chunk]]:
    """Yields names, inputs, labels and targets of a split, AT_ONCE pairs at a time."""
    areas, nearest = (data.read_chunks(found, flags.crop_size, AT_ONCE, way)
                      for way in (False, True))
    for (names, pairs), (_, unmixed) in zip(areas, nearest, strict=True):
        inputs, targets = data.divide(tf.constant(pairs), flags)
        labels, _ = data.divide(tf.constant(unmixed), flags)
        yield names, Chunk(inputs.numpy(), labels.numpy(), targets.numpy())


def make_outputs(
    args: argparse.Namespace, flags: argparse.Namespace, training: Chunks
) -> Outputs:
    """Returns a function from pairs to the outputs of the network, in both modes, and baselines.

    All are pictures, float32 of shape (pairs, height, width, 3) in [0, 255], by name.
    """
    networks = {name: make_predict(load_run(args, flags), flags, original_mode)
                for name, original_mode in (("test", False), ("original_mode", True))}
    predict = baselines.fit(training, flags.lab_colorization)

    def outputs(chunk: Chunk) -> dict[str, np.ndarray]:
        made = {name: network(chunk.inputs) for name, network in networks.items()}
        made |= predict(chunk.inputs, chunk.labels)
        return {name: data.to_rgb(chunk.inputs, np.float32(found), flags)
                for name, found in made.items()}

    return outputs


def measure(
    found: Pairs, flags: argparse.Namespace, outputs: Outputs, judge: Judge | None,
    scores: Scores, aspect_ratio: float, label: str = "",
) -> Iterator[list[Any]]:
    """Measures a split pair by pair, and yields the rows of the page.

    Args:
        found: the split.
        flags: of the run.
        outputs: of `make_outputs`.
        judge: of `open_judge`, or None.
        scores: of every pair; extended.
        aspect_ratio: width / height of the pictures on the page.
        label: stands before the names.
    """
    for names, chunk in read_pairs(found, flags):
        made, wanted = outputs(chunk), data.to_rgb(chunk.inputs, chunk.targets, flags)
        pictures = data.show_inputs(chunk.inputs, flags)
        for kind, result in (made | {"targets": wanted}).items():
            scores[kind]["colourfulness"] += map(colourfulness, result)
            scores[kind]["features"] += list(judge(result)) if judge else []
        for i, name in enumerate(names):
            cells: list[Any] = [label + name, shown(pictures[i], aspect_ratio)]
            for kind, result in made.items():
                values = {metric: compute(result[i], wanted[i])
                          for metric, compute in image_metrics.METRICS.items()}
                for metric, value in values.items():
                    scores[kind][metric].append(value)
                if kind in TITLES:
                    cells.append((shown(result[i], aspect_ratio),
                                  f"PSNR {values['psnr']:.2f} dB, SSIM {values['ssim']:.3f}"))
            yield [*cells, shown(wanted[i], aspect_ratio)]


def gain(scores: Scores) -> dict[str, float]:
    """Returns by how much the network is better than the strongest baseline, with intervals.

    `psnr` is in dB; `l1` is the share by which the mean difference is smaller. The intervals are
    paired ones of 95 %.
    """
    psnr = intervals.paired_interval(*(np.array(scores[name]["psnr"])
                                       for name in ("test", strongest(scores, "psnr"))))
    baseline = strongest(scores, "l1")
    l1 = intervals.paired_interval(*(np.array(scores[name]["l1"])
                                     for name in (baseline, "test")))
    unit = np.mean(scores[baseline]["l1"])
    return {"psnr": psnr["difference"], "psnr_low": psnr["low"], "psnr_high": psnr["high"],
            "l1": l1["difference"] / unit, "l1_low": l1["low"] / unit,
            "l1_high": l1["high"] / unit}


def summarize(scores: Scores, real: np.ndarray | None) -> dict[str, dict[str, float]]:
    """Returns the means of all scores, the kernel distances, and the gain.

    Args:
        scores: of all pairs.
        real: features of training targets, if there is a judge.
    """
    metrics = {name: {metric: float(np.mean(values)) for metric, values in found.items()
                      if metric != "features"} for name, found in scores.items()}
    if real is not None and len(scores["targets"]["features"]) >= kernel_distance.MIN_IMAGES:
        sets = {name: np.array(found["features"]) for name, found in scores.items()}
        targets = sets.pop("targets")
        for name, vectors in (sets | {"real": real}).items():
            kid, interval = kernel_distance.distance(vectors, targets)
            metrics.setdefault(name, {}).update(kid=kid, kid_interval=interval)
    metrics["gain"] = gain(scores)
    metrics["test"]["pairs"] = len(scores["test"]["psnr"])
    return metrics


def strongest(scores: Scores, metric: str) -> str:
    """Returns the name of the baseline with the best mean of a metric, psnr or l1."""
    means = {name: np.mean(found[metric]) for name, found in scores.items()
             if name not in ("test", "original_mode", "targets")}
    return max(means, key=means.get) if metric == "psnr" else min(means, key=means.get)


def report(metrics: dict[str, dict[str, float]], baselines: dict[str, str], html: Path) -> None:
    """Prints all scores.

    Args:
        metrics: of `summarize`.
        baselines: the strongest one by metric.
        html: the page.
    """
    for name, values in metrics.items():
        if "ssim" in values:
            print(f"{name:>14}: PSNR {values['psnr']:.2f} dB, SSIM {values['ssim']:.3f}, L1 "
                  f"{values['l1']:.2f} of 255, colourfulness {values['colourfulness']:.1f}"
                  + (f", KID {values['kid']:.3f} ± {values['kid_interval']:.3f}"
                     if "kid" in values else ""))
    better = metrics["gain"]
    print(f"{metrics['test']['pairs']} pairs; PSNR {better['psnr']:+.2f} dB "
          f"[{better['psnr_low']:+.2f}, {better['psnr_high']:+.2f}] against {baselines['psnr']}, "
          f"L1 {-better['l1']:+.1%} against {baselines['l1']}; {html}")


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json and index.html; returns the scores of the test pairs."""
    found = data.load(argparse.Namespace(**vars(flags), typed={}))
    rundir.check_data(args.run_dir, found.digest)
    if found.validation_is_test and args.checkpoint == "best":
        print("the validation pairs are the test pairs: measuring the latest checkpoint")
        args.checkpoint = "latest"
    if found.test_is_train:
        print("the test pairs are the training pairs: these scores say nothing of other images")
    judge = open_judge(args.judge) if args.judge else None
    some_training = data.take_some(found.train, MAX_TRAINING)

    def training() -> Iterator[Chunk]:
        return (chunk for _, chunk in read_pairs(some_training, flags))

    outputs = make_outputs(args, flags, training)
    scores, ignored = (defaultdict(lambda: defaultdict(list)) for _ in range(2))

    def rows() -> Iterator[Sequence[Any]]:
        some = found.train.take(range(min(OF_TRAINING, len(found.train.names))))
        yield from measure(some, flags, outputs, None, ignored, args.aspect_ratio, "training: ")
        yield from measure(found.test, flags, outputs, judge, scores, args.aspect_ratio)

    html = page.write_table(args.run_dir, f"pix2pix: {args.run_dir.name}",
                            ["name", "input", *TITLES.values(), "target"], rows())
    real = np.concatenate([judge(data.to_rgb(chunk.inputs, chunk.targets, flags))
                           for chunk in training()]) if judge else None
    metrics = summarize(scores, real)
    dataset = Path(flags.data_dir).name if flags.data_dir else flags.dataset
    baselines = {metric: strongest(scores, metric) for metric in ("psnr", "l1")}
    results.write(args, dataset, f"{flags.netG}-{flags.preset}", metrics,
                  details={"strongest_baseline": baselines,
                           "validation_is_test": found.validation_is_test,
                           "test_is_train": found.test_is_train})
    report(metrics, baselines, html)
    return metrics["test"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["data_dir"])
    parser.add_argument("--aspect_ratio", default=1.0,
                        type=cli.number(float, 0.1, 10, "a number from 0.1 to 10"),
                        help="width / height of the pictures on the page")
    parser.add_argument("--judge", type=cli.path, metavar="FILE",
                        help="weights of a MobileNet .75, trained on ImageNet, in whose features "
                             "KID is measured")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
