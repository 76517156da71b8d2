"""Evaluates a model of names: cross-entropy beside simple models, and how new its names are.

    python eval.py
    python eval.py --name dinos --publish

Without held-out names, all scores are those of the training names. Unigram and bigram count the
training names, each pair once more than it occurs.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from appendix_a_numpy_rnn import data
from appendix_a_numpy_rnn.inference import load_run, sample_names, score
from common import cli, results, rundir
from common.monitor import read_curve

NUM_SAMPLES = 1000


def count_models(names: data.Names, scored: Sequence[str]) -> dict[str, float]:
    """Returns the nats per character of unigrams and bigrams of the training names."""
    size = len(names.vocabulary)
    pairs = np.ones((size + 1, size))  # the last row: after the start
    for name in names.train:
        for previous, token in zip(*names.pair(name), strict=True):
            pairs[previous, token] += 1
    unigram = np.log(pairs.sum(axis=0) / pairs.sum())
    bigram = np.log(pairs / pairs.sum(axis=1, keepdims=True))
    steps = [step for name in scored for step in zip(*names.pair(name), strict=True)]
    return {"unigram": float(-np.mean([unigram[token] for _, token in steps])),
            "bigram": float(-np.mean([bigram[step] for step in steps]))}


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run; writes eval.json."""
    run = load_run(args, flags)
    names = data.load(flags)
    rundir.check_data(args.run_dir, names.sha256)
    split, scored = ("validation", names.held_out) if names.held_out else ("train", names.train)
    metrics = score(flags.cell, run.weights, names, scored)
    sampled = sample_names(flags.cell, run.weights, run.vocabulary, NUM_SAMPLES,
                           np.random.default_rng(0))
    known = {*names.train, *names.held_out}
    metrics["unseen_share"] = float(np.mean([name not in known for name in sampled]))
    metrics["distinct_share"] = len(set(sampled)) / NUM_SAMPLES
    _, smoothed = read_curve(args.run_dir, "train", "smoothed")
    metrics["smoothed_loss"] = float(smoothed[-1]) if len(smoothed) else None
    counted = count_models(names, scored)
    others = {name: {"nats_per_char": nats} for name, nats in counted.items()}
    dataset = flags.dataset if flags.dataset != "file" else "names"
    results.write(args, dataset, f"{flags.cell}{flags.hidden_size}-{flags.preset}",
                  {split: metrics, **others})
    print(f"{metrics['nats_per_char']:.3f} nats per character (bigram {counted['bigram']:.3f}); "
          f"{metrics['unseen_share']:.1%} of {NUM_SAMPLES:,} sampled names are new")
    return metrics


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["input_file", "data_dir"])
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
