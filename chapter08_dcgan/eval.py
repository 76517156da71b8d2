"""Measures generated images: their distance to real ones, and whether they show their label.

    python eval.py
    python eval.py --num 5000 --publish

`kid` is the kernel distance to the test images in the features of the run's judge, with half the
width of its 95 % interval; `accuracy` the share of digits that the judge reads as asked;
`diversity` the deviation between images, relative to that of real ones. Baselines: other real
images, noise, the mean image of each label. Writes eval.json, samples.png, curves.png, and
index.html with generated images beside the most similar training image, to the run folder.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chapter08_dcgan import data
from chapter08_dcgan.curves import draw_curves
from chapter08_dcgan.health import deviation
from chapter08_dcgan.inference import in_turn, load_run, numbered_z
from chapter08_dcgan.judge import Judge, make_compare, open_judge, read_as_asked
from common import cli, images, page, results, rundir
from common.errors import UserError

EVAL_SEED = 2**31  # z of the evaluation are others than those of training and its sheets
ON_PAGE = 100  # generated images on the page


def baselines(found: data.Data, labels: np.ndarray, classes: int) -> dict[str, data.Split]:
    """Returns images to compare with generated ones: other real ones, noise, mean images."""
    real, shape = found.validation, found.train.images.shape[1:]
    own = labels if classes else np.zeros_like(labels)
    of_label = [found.train.images[found.train.labels == label] if classes else found.train.images
                for label in range(max(1, classes))]
    means = np.stack([part.mean(axis=0).round().astype(np.uint8) if len(part) else
                      np.zeros(shape, np.uint8) for part in of_label])
    noise = np.random.default_rng(0).integers(0, 256, (len(labels), *shape), np.uint8)
    return {"real": real, "noise": data.Split(noise, labels),
            "mean": data.Split(means[own], labels)}


def score(
    judge: Judge, compare: Any, split: data.Split, real: np.ndarray, classes: int
) -> dict[str, float]:
    """Returns the scores of images; accuracy is that of reading them as their labels."""
    distance = compare(split.images)
    scores = {"kid": distance.kid, "kid_interval": distance.interval,
              "diversity": deviation(split.images) / deviation(real), "images": len(split.labels)}
    if judge.read and classes:
        scores["accuracy"] = read_as_asked(judge, split.images, split.labels)
    return scores


def most_similar(generated: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Returns the training image with the smallest mean squared difference to each image."""
    flat = training.reshape(len(training), -1).astype(np.float32)
    squares = (flat**2).sum(axis=1)
    rows = generated.reshape(len(generated), -1).astype(np.float32)
    return training[np.argmin(squares - 2 * rows @ flat.T, axis=1)]


def rows(
    generated: data.Split, near: np.ndarray, names: Sequence[str], read: np.ndarray | None
) -> Iterator[list[Any]]:
    """Yields the rows of the page."""
    for i, (image, neighbour) in enumerate(zip(generated.images, near, strict=False)):
        shown = [picture[..., 0] if picture.shape[-1] == 1 else picture
                 for picture in (image, neighbour)]
        label = names[generated.labels[i]] if names else ""
        yield [i, (shown[0], label), "" if read is None else names[read[i]], shown[1]]


def write_page(
    run_dir: Path, judge: Judge, generated: data.Split, training: np.ndarray, names: Sequence[str]
) -> Path:
    """Writes index.html and samples.png; returns the path of the page."""
    few = data.Split(*(part[:ON_PAGE] for part in generated))
    near = most_similar(few.images, training)
    read = judge.read(few.images) if judge.read and names else None
    images.write_png(run_dir / "samples.png", images.grid(few.images, 10))
    return page.write_table(run_dir, "Generated images",
                            ["number", "generated", "read as", "most similar training image"],
                            rows(few, near, names, read))


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json and index.html; returns the scores."""
    run = load_run(args, flags)
    if args.reader:
        flags.reader = flags.typed["reader"] = args.reader
    found = data.load(flags)
    rundir.check_data(args.run_dir, found.digest)
    judge = open_judge(flags)
    classes = len(run.names)
    if args.num < 4:
        raise UserError(f"--num {args.num}", "give at least 4")
    labels = in_turn(args.num, classes)
    z = numbered_z(EVAL_SEED, args.num, run.z_dim)
    generated = data.Split(run.generate(z, labels), labels)
    compare = make_compare(judge, found.test)
    everything = {"test": generated, **baselines(found, labels, classes)}
    metrics = {name: score(judge, compare, split, found.test.images, classes)
               for name, split in everything.items()}
    details = {"judge": judge.name, "judge_sha256": judge.digest,
               "real_images": len(found.test.labels), "training_images": len(found.train.labels)}
    model = "-".join([flags.model, *(["augment"] if flags.augment else []), flags.preset])
    dataset = args.dataset_name or flags.dataset
    results.write(args, dataset, model, metrics, details=details)
    draw_curves(args.run_dir)
    html = write_page(args.run_dir, judge, generated, found.train.images, run.names)
    test = metrics["test"]
    reading = f", read as asked {test['accuracy']:.1%}" if "accuracy" in test else ""
    print(f"{args.num} generated against {len(found.test.labels)} test images, seen through "
          f"{judge.name}: kernel distance {test['kid']:.4f} ± {test['kid_interval']:.4f}{reading}; "
          "baselines: " + ", ".join(f"{name} {scores['kid']:.4f}" for name, scores in
                                    metrics.items() if name != "test") + f"; {html}")
    return test


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["data_dir"])
    parser.add_argument("--num", type=cli.size, default=1000, help="images to generate")
    parser.add_argument("--reader", type=cli.run_or_name, metavar="RUN",
                        help="run of chapter 1 that reads digits (default: that of the run)")
    parser.add_argument("--dataset_name", help="name of a folder's images in eval.json")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
