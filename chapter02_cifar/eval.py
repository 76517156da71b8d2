"""Scores a trained classifier on the whole test split, each picture once.

    python eval.py                       # the newest run
    python eval.py --name book --watch 60 --checkpoint latest

Uses the running averages of the weights. Writes eval.json, confusion.png and mistakes.png (the
wrong answers given with most confidence) into the run folder. With `--watch`, looks every so many
seconds for a new checkpoint of a run that is still being trained, scores it into TensorBoard, and
goes on to the rest once training has ended.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter02_cifar import data
from chapter02_cifar.model import build_model
from common import checkpoint, cli, images, results, rundir

CHAPTER = "chapter02_cifar"
BOOK = {"book": 0.86}  # book, section 2.4, at 60,000 steps


def make_score(model: keras.Model) -> Callable[[data.Split], dict[str, float]]:
    """Returns a function that scores a split with a model, every picture once."""

    @tf.function
    def score_batch(pictures: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(pictures, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        hits = tf.equal(tf.argmax(logits, axis=1), labels)
        return tf.reduce_sum(losses), tf.math.count_nonzero(hits)

    def score(split: data.Split) -> dict[str, float]:
        nats, hits, examples = 0.0, 0, 0
        for pictures, labels in data.evaluation_batches(split):
            batch_nats, batch_hits = score_batch(pictures, labels)
            nats, hits = nats + float(batch_nats), hits + int(batch_hits)
            examples += len(labels)
        return {"loss": nats / examples, "accuracy": hits / examples, "examples": examples}

    return score


def predict(model: keras.Model, split: data.Split) -> np.ndarray:
    """Returns the probabilities a model gives, float32 of shape (count, classes)."""
    batches = (tf.nn.softmax(model(pictures, training=False))
               for pictures, _ in data.evaluation_batches(split))
    return np.concatenate([batch.numpy() for batch in batches])


def load_run(args: argparse.Namespace, flags: argparse.Namespace, num_classes: int) -> keras.Model:
    """Rebuilds the classifier of a run, with the running averages of its weights."""
    model = build_model(flags.model, num_classes)
    checkpoint.load(args.run_dir, args.checkpoint, averages=model)
    return model


def watch(
    args: argparse.Namespace, model: keras.Model, test: data.Split
) -> dict[str, float]:
    """Scores each new checkpoint until training has ended; returns the accuracy by step."""
    score, seen, accuracies = make_score(model), None, {}
    writer = tf.summary.create_file_writer(str(args.run_dir / "tb" / "test"))
    while True:
        in_use = rundir.in_use(args.run_dir)  # asked first: what is saved last is still seen
        path = checkpoint.newest(args.run_dir, "latest")
        if path and path != seen:
            seen, step = path, rundir.last_step(args.run_dir)
            checkpoint.load(args.run_dir, "latest", averages=model)
            accuracy = score(test)["accuracy"]
            accuracies[str(step)] = accuracy
            with writer.as_default(step):
                tf.summary.scalar("accuracy", accuracy)
            writer.flush()
            print(f"step {step}: {accuracy:.2%} right", flush=True)
        elif not in_use:
            writer.close()
            return accuracies
        else:
            time.sleep(args.watch)


def results_name(model: str, preset: str) -> str:
    """Returns what a recipe is called in results/: "book" for preset book of model book."""
    return model if preset == model else f"{model}-{preset}"


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Scores the splits, writes eval.json and the two pictures."""
    splits, names = dataset = data.load_flags(flags)
    rundir.check_data(args.run_dir, CHAPTER, dataset.digest)
    test = splits["test"]
    by_step = {}
    if args.watch:
        by_step["test_accuracy_by_step"] = watch(args, build_model(flags.model, len(names)), test)
    model = load_run(args, flags, len(names))
    score = make_score(model)
    scores = {name: score(splits[name]) for name in ("validation", "test")}
    probabilities = predict(model, test)
    answers = probabilities.argmax(axis=1)
    images.draw_confusion(test.labels, answers, names, args.run_dir / "confusion.png")
    images.draw_mistakes(*test, probabilities, names, args.run_dir / "mistakes.png")
    per_class = {name: float(np.mean(answers[test.labels == i] == i))
                 for i, name in enumerate(names) if i in test.labels}
    book = {"accuracy": BOOK[flags.preset]} if flags.preset in BOOK else {}
    results.write(args, CHAPTER, flags.dataset, results_name(flags.model, flags.preset),
                  {**scores, "test_accuracy_by_class": per_class, **by_step}, book)
    for name, accuracy in per_class.items():
        print(f"{name:>12} {accuracy:.1%}")
    accuracy, examples = scores["test"]["accuracy"], scores["test"]["examples"]
    print(f"{flags.model} on {examples:,} test pictures of {flags.dataset}: {accuracy:.2%} right; "
          f"see confusion.png and mistakes.png in {args.run_dir}")
    return scores["test"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__doc__, "eval.py")
    parser.add_argument("--watch", "--eval_interval_secs", type=cli.positive_int,
                        metavar="SECONDS",
                        help="score each new checkpoint until training ends, looking this often")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
