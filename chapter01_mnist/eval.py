"""Evaluates a trained classifier on the whole test set.

    python eval.py                  # the latest run
    python eval.py --name conv --publish

Writes eval.json, confusion.png and mistakes.png (the misclassified images with the highest
confidence) to the run folder.
"""

import argparse
from collections.abc import Sequence

from chapter01_mnist import data
from chapter01_mnist.inference import load_run, make_score, predict
from common import cli, figures, results, rundir

BOOK = {"softmax-book": 0.9185, "conv-book": 0.99}  # the book: "about 99 %" for the latter


def results_name(model: str, preset: str) -> str:
    """Returns the name of a recipe in results/, for example "conv-best"."""
    return model if preset == model else f"{model}-{preset}"


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run; writes eval.json and two figures and returns the test metrics."""
    splits = data.load(flags)
    rundir.check_data(args.run_dir, data.digest(splits))
    model, names = load_run(args, flags)
    score = make_score(model)
    metrics = {name: score(splits[name]) for name in ("validation", "test")}
    probabilities = predict(model, splits["test"])
    predicted = probabilities.argmax(axis=1)
    figures.draw_confusion(splits["test"].labels, predicted, names, args.run_dir / "confusion.png")
    figures.draw_mistakes(*splits["test"], probabilities, names, args.run_dir / "mistakes.png")
    recipe = results_name(flags.model, flags.preset)
    # A suffix marks another recipe, to which the book's number does not apply.
    as_in_the_book = flags.dataset == "mnist" and recipe in BOOK and not args.publish
    book = {"accuracy": BOOK[recipe]} if as_in_the_book else {}
    results.write(args, flags.dataset, recipe, metrics, book)
    test = metrics["test"]
    print(f"{flags.model} on {test['examples']:,} test images of {flags.dataset}: accuracy "
          f"{test['accuracy']:.2%}; see confusion.png and mistakes.png in {args.run_dir}")
    return test


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["data_dir"])
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
