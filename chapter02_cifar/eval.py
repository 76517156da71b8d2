"""Scores a trained classifier on the whole test split, each picture once.

    python eval.py                       # the newest run
    python eval.py --name book --watch 60

Uses the running averages of the weights. Writes eval.json, confusion.png and mistakes.png (the
wrong answers given with most confidence) into the run folder. With `--watch`, looks every so many
seconds at the newest checkpoint of a run that is being trained, scores it into TensorBoard if it is
new, and goes on to the rest, and to test_accuracy.png, once training has ended. Choose nothing by
what it shows: it is the test split.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from chapter02_cifar import data
from chapter02_cifar.inference import add_mirror_flag, load_run, make_score, predict
from common import checkpoint, cli, figures, files, results, rundir

BOOK = {"book": 0.86}  # book, section 2.4, at 60,000 steps
JPEG_COPY = "jpeg_copy"  # a published name's suffix that tells of the data, not of the recipe


def watch(run_dir: Path, model: keras.Model, test: data.Split, seconds: int) -> dict[str, float]:
    """Scores the newest checkpoint, again and again, until training has ended.

    Args:
        run_dir: the run folder.
        model: its network; gets the weights of one checkpoint after the other.
        test: what to score.
        seconds: how long to wait where nothing new is found.

    Returns:
        The accuracy by step, as JSON wants it: the keys are strings.
    """
    score, accuracies = make_score(model), {}
    writer = tf.summary.create_file_writer(str(run_dir / "tb" / "test"))
    print(f"watching {run_dir}", flush=True)
    while True:
        in_use = rundir.in_use(run_dir)  # asked first: what is saved last is still seen
        path = checkpoint.load(run_dir, "latest", averages=model)
        step = path.rpartition("-")[2]
        if step not in accuracies:
            accuracies[step] = score(test)["accuracy"]
            with writer.as_default(int(step)):
                tf.summary.scalar("accuracy", accuracies[step])
            writer.flush()
            print(f"step {step}: {accuracies[step]:.2%} right", flush=True)
        elif not in_use:
            writer.close()
            return accuracies
        else:
            time.sleep(seconds)


def draw_accuracies(accuracies: dict[str, float], book: float | None, png: Path) -> None:
    """Draws what `watch` returned, with the book's accuracy where it has one."""
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
    """Returns what a recipe is called in results/: "book" for preset book of model book."""
    return model if preset == model else f"{model}-{preset}"


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Scores the splits, writes eval.json and the two pictures."""
    splits, names = dataset = data.load_from_flags(flags)
    rundir.check_data(args.run_dir, dataset.digest)
    test, by_step = splits["test"], {}
    if (args.run_dir / "eval.json").is_file():  # what was watched stays known
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
    print(f"{flags.model} on {examples:,} test pictures of {flags.dataset}: {accuracy:.2%} right; "
          f"see confusion.png and mistakes.png in {args.run_dir}")
    return scores["test"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    add_mirror_flag(parser)
    parser.add_argument("--watch", "--eval_interval_secs", type=cli.positive_int,
                        metavar="SECONDS",
                        help="score the newest checkpoint this often until training ends")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
