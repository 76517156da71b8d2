"""Evaluates a trained classifier on the whole test split, each image exactly once.

    python eval.py                  # the latest run
    python eval.py --name NAME --top_k 2 --publish

Writes eval.json, confusion.png and mistakes.png (the most confident errors) to the run folder. The
test split is the one that prepare.py calls validation; training never uses it.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from chapter03_finetune import data
from chapter03_finetune.inference import draw_mistakes, load_run, make_predict, score
from common import cli, figures, intervals, results, rundir
from common.errors import UserError

BOOK = {"book_head": 0.76, "book_all": 0.82}  # book, section 3.3.6


def top_k_accuracy(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Returns the fraction of examples whose label is among the k largest logits."""
    best = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json and the figures; returns the test scores."""
    flags.data_dir = args.data_dir or flags.data_dir
    splits, names = dataset = data.load(flags)
    rundir.check_data(args.run_dir, dataset.digest)
    if args.top_k > len(names):
        raise UserError(f"--top_k {args.top_k}, but there are {len(names)} classes",
                        "choose a smaller --top_k")
    model, _ = load_run(args, flags)
    predict = make_predict(model)
    logits = {name: predict(splits[name]) for name in ("validation", "test")}
    metrics = {name: score(logits[name], splits[name].labels) for name in logits}
    test, scores = splits["test"], metrics["test"]
    answers = logits["test"].argmax(axis=1)
    hits = int(np.count_nonzero(answers == test.labels))
    low, high = intervals.wilson_interval(hits / len(answers), len(answers))
    among_best = top_k_accuracy(logits["test"], test.labels, args.top_k)
    scores |= {f"top_{args.top_k}_accuracy": among_best, "accuracy_low": low, "accuracy_high": high}
    recall = {name: float(np.mean(answers[test.labels == i] == i))
              for i, name in enumerate(names) if i in test.labels}
    counts = np.bincount(splits["train"].labels)
    majority = int(counts.argmax())
    metrics["majority"] = {"accuracy": float(np.mean(test.labels == majority)),
                           "balanced_accuracy": 1 / len(recall), "examples": len(test.labels)}
    figures.draw_confusion(test.labels, answers, names, args.run_dir / "confusion.png")
    draw_mistakes(test, logits["test"], names, args.run_dir / "mistakes.png")
    dataset_name = data.name_of(flags)
    records_of_the_book = (flags.dataset, dataset_name) == ("records", "satellite")
    as_in_the_book = records_of_the_book and flags.preset in BOOK
    book = {"accuracy": BOOK[flags.preset]} if as_in_the_book else {}
    results.write(args, dataset_name, f"{flags.model_name}-{flags.preset}",
                  metrics, book, {"test_recall_by_class": recall})
    for name, share in recall.items():
        print(f"{name:>12} {share:.1%}")
    trivial = metrics["majority"]
    print(f"balanced accuracy {scores['balanced_accuracy']:.2%}; always {names[majority]}, the "
          f"most frequent class: accuracy {trivial['accuracy']:.2%}, balanced accuracy "
          f"{trivial['balanced_accuracy']:.2%}")
    print(f"{flags.model_name}: test accuracy {scores['accuracy']:.2%} (95 % confidence interval "
          f"{low:.1%} to {high:.1%}) on {len(answers):,} images of {dataset_name}; see "
          f"confusion.png and mistakes.png in {args.run_dir}")
    return scores


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--data_dir", "--dataset_dir", type=cli.path,
                        help="folder of the images or records, if they were moved")
    parser.add_argument("--top_k", type=cli.positive_int, default=2,
                        help="k of the top-k accuracy")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
