"""Measures generated images: their distance to real ones, and whether they show their label.

    python eval.py
    python eval.py --num 5000 --publish
    python eval.py --name few_augmented --against few

`kid` is the kernel distance to the test images in the features of the run's judge, with half the
width of its 95 % interval; `accuracy` the share of digits that the judge reads as asked;
`diversity` the deviation within a label, relative to that of real images. Baselines: other real
images, noise, the mean image of each label. --against subtracts the
distance of another run on the same data, with a paired interval. Writes eval.json, samples.png,
curves.png, and index.html with generated images beside the most similar training image, to the run
folder.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chapter08_dcgan import data
from chapter08_dcgan.curves import draw_curves
from chapter08_dcgan.health import diversity
from chapter08_dcgan.inference import Run, in_turn, load_run, numbered_z
from chapter08_dcgan.judge import Judge, make_compare, open_judge, read_as_asked
from common import cli, images, page, results, rundir
from common.errors import UserError
from common.kernel_distance import summarize

EVAL_SEED = 2**31  # z of the evaluation are others than those of training and its sheets
ON_PAGE = 100  # generated images on the page
BLOCK = 1000  # training images that are compared with them at a time


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
    judge: Judge, estimates: np.ndarray, split: data.Split, real: data.Split, classes: int
) -> dict[str, float]:
    """Returns the scores of images; accuracy is that of reading them as their labels."""
    distance = summarize(estimates)
    made, real = (data.of_classes(part, classes) for part in (split, real))
    scores = {"kid": distance.kid, "kid_interval": distance.interval,
              "diversity": diversity(made, real), "images": len(split.labels)}
    if judge.read and classes:
        scores["accuracy"] = read_as_asked(judge, split.images, split.labels)
    return scores


def open_other(args: argparse.Namespace) -> Run:
    """Returns the run of --against.

    Raises:
        UserError: there is none, or it was trained on other data or with other labels.
    """
    here = rundir.read_config(args.run_dir)
    folder = rundir.find_run(args.chapter, args.against)
    there = rundir.read_config(folder)
    if any(here[fact] != there[fact] for fact in ("dataset_sha256", "shape")):
        raise UserError(f"--against {args.against} was trained on other images or labels",
                        "give a run with the same data")
    other = argparse.Namespace(**vars(args) | {"run_dir": folder})
    return load_run(other, argparse.Namespace(**there["flags"]))


def most_similar(generated: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Returns the training image with the smallest mean squared difference to each image."""
    rows, distances = generated.reshape(len(generated), -1).astype(np.float32), []
    for start in range(0, len(training), BLOCK):
        block = training[start : start + BLOCK].reshape(-1, rows.shape[1]).astype(np.float32)
        distances.append((block**2).sum(axis=1) - 2 * rows @ block.T)
    return training[np.argmin(np.concatenate(distances, axis=1), axis=1)]


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


def generate(run: Run, labels: np.ndarray) -> data.Split:
    """Returns images of the evaluation's z."""
    return data.Split(run.generate(numbered_z(EVAL_SEED, len(labels), run.z_dim), labels), labels)


def measure(
    args: argparse.Namespace, run: Run, other: Run | None, found: data.Data, judge: Judge
) -> tuple[data.Split, dict[str, dict[str, float]]]:
    """Returns generated images, and metrics: theirs, the baselines', the difference to `other`."""
    classes = len(run.names)
    labels = in_turn(args.num, classes)
    generated = generate(run, labels)
    compare = make_compare(judge, found.test)
    everything = {"test": generated, **baselines(found, labels, classes)}
    estimates = {name: compare(split.images) for name, split in everything.items()}
    metrics = {name: score(judge, estimates[name], split, found.test, classes)
               for name, split in everything.items()}
    if judge.read and classes:
        read = read_as_asked(judge, found.test.images, found.test.labels)
        metrics["labelled"] = {"accuracy": read, "images": len(found.test.labels)}
    if other:
        distance = summarize(estimates["test"] - compare(generate(other, labels).images))
        metrics["difference"] = {"kid": distance.kid, "kid_interval": distance.interval}
    return generated, metrics


def warn(args: argparse.Namespace, flags: argparse.Namespace, judge: Judge) -> None:
    """Prints what makes the scores other than they look."""
    name, digest = rundir.read_config(args.run_dir).get("judge") or (judge.name, judge.digest)
    if digest != judge.digest:
        print(f"the judge is not that of the training: it is {judge.name}, sha256 "
              f"{judge.digest[:12]}, and was {name}, {digest[:12]}")
    if not flags.hold_out:
        print("trained with --no-hold_out: the test images are among the training images")


def report(metrics: dict[str, dict[str, float]], against: str | None) -> str:
    """Returns the scores as a text."""
    test = metrics["test"]
    text = f"kernel distance {test['kid']:.4f} ± {test['kid_interval']:.4f}"
    text += f", read as asked {test['accuracy']:.1%}" if "accuracy" in test else ""
    text += "; baselines: " + ", ".join(f"{name} {metrics[name]['kid']:.4f}"
                                        for name in ("real", "noise", "mean"))
    if against:
        found = metrics["difference"]
        text += (f"; minus the distance of {against}: {found['kid']:.4f} ± "
                 f"{found['kid_interval']:.4f}")
    return text


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json and index.html; returns the scores."""
    if args.num < 4:
        raise UserError(f"--num {args.num}", "give at least 4")
    run, other = load_run(args, flags), open_other(args) if args.against else None
    flags.typed = {flag: args.typed[flag] for flag in ("reader", "weights") if flag in args.typed}
    flags.reader = args.reader or flags.reader
    found = data.load(flags)
    rundir.check_data(args.run_dir, found.digest)
    judge = open_judge(flags)
    warn(args, flags, judge)
    generated, metrics = measure(args, run, other, found, judge)
    details = {"judge": judge.name, "judge_sha256": judge.digest, "held_out": flags.hold_out,
               "real_images": len(found.test.labels), "training_images": len(found.train.labels)}
    if args.against:
        there = rundir.read_config(rundir.find_run(args.chapter, args.against))
        details["against"] = results.portable_command(there)
    model = "-".join([flags.model, *(["augment"] if flags.augment else []), flags.preset])
    results.write(args, args.dataset_name or flags.dataset, model, metrics, details=details)
    draw_curves(args.run_dir)
    html = write_page(args.run_dir, judge, generated, found.train.images, run.names)
    print(f"{args.num} generated against {len(found.test.labels)} test images, seen through "
          f"{judge.name}: {report(metrics, args.against)}; {html}")
    return metrics["test"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["data_dir", "weights"])
    parser.add_argument("--num", type=cli.size, default=1000, help="images to generate")
    parser.add_argument("--reader", type=cli.run_or_name, metavar="RUN",
                        help="run of chapter 1 that reads digits (default: that of the run)")
    parser.add_argument("--against", type=cli.run_or_name, metavar="RUN",
                        help="run on the same data whose distance is subtracted")
    parser.add_argument("--dataset_name", help="name of a folder's images in eval.json")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
