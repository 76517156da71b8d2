"""Evaluates a trained classifier on the whole test split, each image exactly once.

    python eval.py                       # the latest run
    python eval.py --name book --watch 60

Uses the moving averages of the weights. Writes eval.json, confusion.png and mistakes.png (the most
confident errors) to the run folder. With `--watch SECONDS`, evaluates each new checkpoint of a run
in progress, at this interval, for TensorBoard; when training has ended, it does all of the above
and draws test_accuracy.png. Do not select a model by these curves: they show the test split.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from chapter02_cifar import data
from chapter02_cifar.inference import add_mirror_flag, load_run, make_score, predict
from common import checkpoint, cli, figures, files, lock, results, rundir
from common.figures import plt

BOOK = {"book": 0.86}  # book, section 2.2.5, after 60,000 steps
JPEG_COPY = "jpeg_copy"  # suffix of a published name that stands for the data, not the recipe


def watch(run_dir: Path, model: keras.Model, test: data.Split, seconds: int) -> dict[str, float]:
    """Evaluates each new checkpoint of a run until training has ended.

    Args:
        run_dir: the run folder.
        model: the network of the run; its weights are overwritten.
        test: the split to evaluate.
        seconds: waiting time where there is no new checkpoint.

    Returns:
        The accuracy by step; the keys are strings, as in JSON.
    """
    score, accuracies = make_score(model), {}
    writer = tf.summary.create_file_writer(str(run_dir / "tb" / "test"))
    print(f"watching {run_dir}", flush=True)
    while True:
        in_use = lock.in_use(run_dir)  # before loading, so that no checkpoint is missed
        path = checkpoint.load(run_dir, "latest", averages=model)
        step = path.rpartition("-")[2]
        if step not in accuracies:
            accuracies[step] = score(test)["accuracy"]
            with writer.as_default(int(step)):
                tf.summary.scalar("accuracy", accuracies[step])
            writer.flush()
            print(f"step {step}: test accuracy {accuracies[step]:.2%}", flush=True)
        elif not in_use:
            writer.close()
            return accuracies
        else:
            time.sleep(seconds)


def draw_accuracies(accuracies: dict[str, float], book: float | None, png: Path) -> None:
    """Draws the accuracies that `watch` returned, beside the final one of the book."""
    figure, axes = plt.subplots(figsize=(6, 3.5))
    axes.plot([int(step) for step in accuracies], list(accuracies.values()), label="here")
    if book is not None:
        axes.axhline(book, color="gray", linestyle="--", label="book, at its end")
    axes.set(xlabel="step", ylabel="test accuracy", ylim=(0, 1))
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.grid(alpha=0.3)
    axes.legend()
    figures.save_figure(png, figure)


def results_name(model: str, preset: str) -> str:
    """Returns the name of a recipe in results/: "book" for model book with preset book."""
    return model if preset == model else f"{model}-{preset}"


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json and the figures; returns the test scores."""
    splits, names = dataset = data.load(flags)
    rundir.check_data(args.run_dir, dataset.digest)
    test, by_step = splits["test"], {}
    if (args.run_dir / "eval.json").is_file():  # keeps the curve of an earlier --watch
        earlier = files.read_json(args.run_dir / "eval.json")["details"]
        by_step = earlier.get("test_accuracy_by_step", {})
    model, _ = load_run(args, flags)
    if args.watch:
        by_step |= watch(args.run_dir, model, test, args.watch)
        model, _ = load_run(args, flags)
    score = make_score(model)
    scores = {name: score(splits[name]) for name in ("validation", "test")}
    probabilities = predict(model, test)
    answers = probabilities.argmax(axis=1)
    figures.draw_confusion(test.labels, answers, names, args.run_dir / "confusion.png")
    figures.draw_mistakes(*test, probabilities, names, args.run_dir / "mistakes.png")
    per_class = {name: float(np.mean(answers[test.labels == i] == i))
                 for i, name in enumerate(names) if i in test.labels}
    details = {"test_accuracy_by_class": per_class}
    as_in_the_book = flags.dataset == "cifar10" and args.publish in (None, "", JPEG_COPY)
    book = {"accuracy": BOOK[flags.preset]} if as_in_the_book and flags.preset in BOOK else {}
    if by_step:
        details["test_accuracy_by_step"] = by_step
        draw_accuracies(by_step, book.get("accuracy"), args.run_dir / "test_accuracy.png")
    recipe = results_name(flags.model, flags.preset)
    results.write(args, flags.dataset, recipe, scores, book, details)
    for name, accuracy in per_class.items():
        print(f"{name:>12} {accuracy:.1%}")
    accuracy, examples = scores["test"]["accuracy"], scores["test"]["examples"]
    print(f"{flags.model}: test accuracy {accuracy:.2%} on {examples:,} images of {flags.dataset}; "
          f"see confusion.png and mistakes.png in {args.run_dir}")
    return scores["test"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["data_dir"])
    add_mirror_flag(parser)
    parser.add_argument("--watch", "--eval_interval_secs", type=cli.positive_int,
                        metavar="SECONDS",
                        help="evaluate each new checkpoint, at this interval, until training ends")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
