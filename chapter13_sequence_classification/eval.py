"""Evaluates a trained classifier on the test split: 5,000 number sequences, or texts.

    python eval.py                  # the latest run
    python eval.py --name NAME --publish

Writes eval.json, the confusion matrix (confusion.png) and the most confident errors into the run
folder. For numbers these are mistakes.png, beside the error rate by length (lengths.png). For texts
they are mistakes.txt, and the accuracy of a baseline (baseline.py) is computed as well.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter13_sequence_classification import data, laws
from chapter13_sequence_classification.baseline import score_tfidf
from chapter13_sequence_classification.inference import load_run, make_predict, score
from common import cli, figures, results, rundir
from common.figures import plt

BOOK = {"book": {"accuracy_from": 0.90, "accuracy_to": 0.95}}  # of 500 sequences, section 13.3.3
NUM_MISTAKES = 10


def accuracy_by_length(split: data.Split, logits: np.ndarray) -> dict[str, float]:
    """Returns the accuracy by sequence length."""
    hits = logits.argmax(axis=1) == split.labels
    return {str(n): float(hits[split.lengths == n].mean()) for n in np.unique(split.lengths)}


def draw_lengths(accuracies: dict[str, float], png: Path) -> None:
    """Draws the error rate by sequence length."""
    figure, axes = plt.subplots(figsize=(7, 3))
    axes.bar(list(accuracies), [100 * (1 - accuracy) for accuracy in accuracies.values()])
    axes.set(xlabel="steps", ylabel="wrong answers, %")
    figures.save_figure(png, figure)


def draw_mistakes(split: data.Split, logits: np.ndarray, names: Sequence[str], png: Path) -> None:
    """Draws the sequences of the most confident errors, with one line per feature."""
    probabilities = tf.nn.softmax(logits).numpy()
    wrong = figures.worst_mistakes(split.labels, probabilities, NUM_MISTAKES)
    figure, axes = plt.subplots(2, NUM_MISTAKES // 2, figsize=(11, 4.5), sharey=True,
                                layout="constrained")
    for axis, i in zip(axes.flat, wrong, strict=False):
        axis.plot(split.sequences[i, : split.lengths[i]] * laws.MAX_VALUE, "o-", markersize=4)
        axis.set(xticks=[], ylim=(-50, laws.MAX_VALUE + 50))
        answer = probabilities[i].argmax()
        axis.set_title(f"{names[answer]}: {probabilities[i, answer]:.1%}\n"
                       f"is {names[split.labels[i]]}", fontsize=8)
    for axis in axes.flat[len(wrong) :]:
        axis.axis("off")
    figures.save_figure(png, figure)


def write_mistakes(
    texts: Sequence[str], labels: np.ndarray, logits: np.ndarray, names: Sequence[str], txt: Path
) -> None:
    """Writes the texts of the most confident errors, with predicted and true class."""
    probabilities = tf.nn.softmax(logits).numpy()
    lines = []
    for i in figures.worst_mistakes(labels, probabilities, NUM_MISTAKES):
        answer = probabilities[i].argmax()
        lines.append(f"{names[answer]}: {probabilities[i, answer]:.1%}, is {names[labels[i]]}: "
                     f"{' '.join(texts[i].split())}\n")
    txt.write_text("".join(lines), encoding="utf-8")


def describe(flags: argparse.Namespace) -> tuple[str, str]:
    """Returns the names of a run's data set and model in results/."""
    layers = f"{flags.num_layers}x" if flags.num_layers > 1 else ""
    recurrent = f"{'bi' * flags.bidirectional}{flags.cell}{layers}{flags.lstm_size}"
    if flags.dataset == data.NUMBERS:
        return flags.dataset, f"{recurrent}-{flags.preset}"
    dataset = Path(flags.input_file).stem if flags.input_file else flags.dataset
    model = {"recurrent": recurrent, "conv": f"conv{flags.num_filters}",
             "bag": f"bag{flags.embedding_size}"}[flags.model]
    return dataset, f"{model}-{flags.preset}"


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates the validation and test splits; writes eval.json and the figures."""
    task = data.load(flags)
    rundir.check_data(args.run_dir, data.digest(task))
    model, names, _ = load_run(args, flags)
    predict, test, details = make_predict(model), task.splits["test"], {}
    logits = {name: predict(task.splits[name]) for name in ("validation", "test")}
    metrics = {name: score(logits[name], task.splits[name].labels) for name in logits}
    figures.draw_confusion(test.labels, logits["test"].argmax(axis=1), names,
                          args.run_dir / "confusion.png")
    if task.texts is None:
        details["accuracy_by_length"] = accuracy_by_length(test, logits["test"])
        draw_lengths(details["accuracy_by_length"], args.run_dir / "lengths.png")
        draw_mistakes(test, logits["test"], names, args.run_dir / "mistakes.png")
        beside = "lengths.png and mistakes.png"
    else:
        labels = {name: split.labels for name, split in task.splits.items()}
        metrics["tfidf"] = score_tfidf(task.texts, labels, flags.level)
        write_mistakes(task.texts["test"], test.labels, logits["test"], names,
                       args.run_dir / "mistakes.txt")
        beside = "mistakes.txt"
    # A suffix (`--publish SUFFIX`) marks another recipe, to which the book's numbers do not apply.
    book = {} if args.publish else BOOK.get(flags.preset, {})
    results.write(args, *describe(flags), metrics, book, details)
    print(f"test accuracy {metrics['test']['accuracy']:.2%} on {len(test.labels):,} sequences; see "
          f"confusion.png, {beside} in {args.run_dir}")
    if "tfidf" in metrics:
        print(f"baseline, logistic regression on TF-IDF: {metrics['tfidf']['accuracy']:.2%}")
    return metrics["test"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["input_file", "test_file", "data_dir"])
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
