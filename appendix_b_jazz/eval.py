"""Scores a run on the held-out measures: perplexity per token beside unigrams and bigrams.

    python eval.py
    python eval.py --name nottingham --publish

Counts are of the training measures. Unigrams add one to every count; bigrams are smoothed by the
method of Witten and Bell (1991) with these unigrams.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from appendix_b_jazz import data
from appendix_b_jazz.inference import held_out_nats, load_run
from common import cli, results, rundir
from common.intervals import mean_interval


def count_nats(corpus: data.Corpus) -> dict[str, np.ndarray]:
    """Returns -ln p of every held-out token by unigrams and bigrams."""
    size = len(corpus.vocabulary) + 1
    pairs, unigram = np.zeros((size, size)), np.ones(size)
    for tune in corpus.tunes:
        trained = tune.ids[: tune.split]
        np.add.at(unigram, trained, 1)
        np.add.at(pairs, (trained[:-1], trained[1:]), 1)
    unigram /= unigram.sum()
    followers = (pairs > 0).sum(axis=1, keepdims=True)
    bigram = (pairs + followers * unigram) / np.maximum(pairs.sum(axis=1, keepdims=True)
                                                        + followers, 1)
    bigram[followers[:, 0] == 0] = unigram
    before = np.concatenate([t.ids[max(t.split, 1) - 1 : -1] for t in corpus.tunes])
    held_out = np.concatenate([t.ids[max(t.split, 1):] for t in corpus.tunes])
    return {"unigram": -np.log(unigram[held_out]), "bigram": -np.log(bigram[before, held_out])}


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run; writes eval.json."""
    run = load_run(args, flags)
    corpus = data.load(flags, run.vocabulary)
    rundir.check_data(args.run_dir, corpus.sha256)
    nats = {"validation": held_out_nats(run.model, corpus.tunes), **count_nats(corpus)}
    metrics = {name: {"perplexity": float(np.exp(values.mean())),
                      "nats_per_token": float(values.mean()), "tokens": len(values)}
               for name, values in nats.items()}
    gain = nats["bigram"] - nats["validation"]
    low, high = mean_interval(gain)
    dataset = "tune" if flags.dataset == "tune" else "midi"
    details = {"gain_over_bigram": [low, high], "values": len(run.vocabulary) + 1}
    results.write(args, dataset, f"lstm{flags.lstm_size}-{flags.preset}", metrics, details=details)
    print(f"perplexity {metrics['validation']['perplexity']:.2f} per token (unigram "
          f"{metrics['unigram']['perplexity']:.2f}, bigram {metrics['bigram']['perplexity']:.2f}); "
          f"{gain.mean():.3f} [{low:.3f}, {high:.3f}] nats better than the bigram")
    return metrics["validation"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["input_file"])
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
