"""Scores the captions of the test pictures, beside those of baselines and of exchanged pictures.

    python eval.py
    python eval.py --beam_size 1
    python eval.py --watch 60               # the perplexity of each new checkpoint of a training
    python eval.py --publish

Perplexity per word, BLEU-1 to BLEU-4, CIDEr-D, the share that equals a reference and the share of
distinct captions; intervals by resampling the pictures. The baselines are the most frequent
training caption, the first caption of the nearest training picture, and the consensus of the ten
nearest. The control exchanges the pictures: a network that does not look loses nothing by it.
Writes eval.json, captions.txt and index.html to the run folder.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from chapter17_image_caption import baselines, data, metrics
from chapter17_image_caption.caption_files import join_words
from chapter17_image_caption.data import Data, Split
from chapter17_image_caption.inference import (
    Caption,
    Describe,
    Run,
    add_decoding_flags,
    decoding,
    load_run,
    make_score,
    see_split,
)
from chapter17_image_caption.metrics import Cider
from common import checkpoint_files, cli, page, results, rundir
from common.errors import UserError
from common.intervals import with_interval

EXCHANGES = 5  # by how many places the pictures are shifted, at most, for the control
SHOWN = 200  # pictures on the page
# Flags without effect on --watch, which writes no captions.
NOT_WATCHED = ("beam_size", "max_caption_length", "length_normalization_factor", "block_repeats",
               "checkpoint", "publish")


def exchanged_perplexity(score: Any, sees: np.ndarray, owners: np.ndarray,
                         captions: Sequence[np.ndarray]) -> float:
    """Returns the perplexity of captions beside other pictures, the mean over some exchanges.

    It is the geometric mean, as perplexity itself is over words.
    """
    shifts = range(1, min(EXCHANGES, len(sees) - 1) + 1)
    return float(np.exp(np.mean([np.log(score(np.roll(sees, shift, axis=0), owners, captions))
                                 for shift in shifts])))


def measure(run: Run, found: Data, split: Split, name: str, args: argparse.Namespace
            ) -> tuple[dict[str, dict[str, float]], list[list[Caption]]]:
    """Returns the scores of the network, the control and the baselines, and all captions.

    Raises:
        UserError: there are fewer than two pictures to exchange.
    """
    if len(split.names) < 2:
        raise UserError(f"the {name} split has {len(split.names)} picture",
                        "give at least two, which can be exchanged")
    sees, features = see_split(run, split, found.sha256, name)
    captions = Describe(run, decoding(args)).features(sees)
    best = [some[0].words if some else [] for some in captions]
    cider = Cider(split.captions)
    scores = {"test": metrics.score(best, split.captions, cider)}
    # Perplexity of the references, beside their pictures and beside others.
    owners, words = data.pairs(split.captions)
    ids, score = data.encode(words, found.vocabulary), make_score(run.captioner)
    perplexity = score(sees, owners, ids)
    exchanged = exchanged_perplexity(score, sees, owners, ids)
    own = cider.scores(best, split.captions)
    others = metrics.shuffled_cider(best, split.captions, cider)
    scores["test"] |= {"perplexity": perplexity, "pictures": len(best)}
    scores["shuffled"] = {"perplexity": exchanged, "cider": float(others.mean())}
    scores["looking"] = {"perplexity_ratio": exchanged / perplexity,
                         **with_interval("cider_gain", own - others)}
    # Baselines in the space of the encoder's features.
    train = found.splits["train"]
    _, known = see_split(run, train, found.sha256, "train")
    for baseline, theirs in baselines.captions_of(features, known, train.captions).items():
        scores[baseline] = metrics.score(theirs, split.captions, cider)
    consensus = cider.scores(theirs, split.captions)  # the last of the baselines
    scores["against_consensus"] = with_interval("cider", own - consensus)
    return scores, captions


def report(scores: dict[str, dict[str, float]]) -> None:
    """Prints the scores."""
    for name, values in scores.items():
        if "bleu_4" in values:
            print(f"{name:>13}: CIDEr-D {values['cider']:.3f} [{values['cider_low']:.3f}, "
                  f"{values['cider_high']:.3f}], BLEU-1 {values['bleu_1']:.3f}, BLEU-4 "
                  f"{values['bleu_4']:.3f}, exact {values['exact_match']:.1%}, distinct "
                  f"{values['distinct']:.1%}")
    looking, test, other = (scores[name] for name in ("looking", "test", "shuffled"))
    print(f"   perplexity: {test['perplexity']:.2f}, of exchanged pictures "
          f"{other['perplexity']:.2f} ({looking['perplexity_ratio']:.3f} times)")
    print(f" CIDEr-D minus that of exchanged pictures: {looking['cider_gain']:+.3f} "
          f"[{looking['cider_gain_low']:+.3f}, {looking['cider_gain_high']:+.3f}]")


def rows_of(split: Split, captions: Sequence[Sequence[Caption]], cider: Cider
            ) -> Iterator[list[Any]]:
    """Yields the rows of the page."""
    for number, some in enumerate(captions[:SHOWN]):
        words = some[0].words if some else []
        yield [split.names[number], split.read(number), join_words(words),
               some[0].probability if some else 0.0, cider.score(words, split.captions[number]),
               " / ".join(map(join_words, split.captions[number]))]


def write_captions(path: Path, split: Split, captions: Sequence[Sequence[Caption]]) -> None:
    """Writes all captions as text."""
    lines = [f"{name}\t{found.probability:.3g}\t{join_words(found.words)}\n"
             for name, some in zip(split.names, captions, strict=True) for found in some]
    path.write_text("".join(lines), encoding="utf-8")


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Scores a run and the baselines; writes eval.json, captions.txt and index.html."""
    found = data.load(flags)
    rundir.check_data(args.run_dir, found.sha256)
    if args.watch:
        cli.refuse_idle(args, NOT_WATCHED, "--watch")
        return watch(args, flags, found)
    if "min_global_step" in args.typed:
        raise UserError(f"--min_global_step {args.min_global_step} has no effect without --watch",
                        "add --watch SECONDS")
    run, split = load_run(args, flags), found.splits["test"]
    scores, captions = measure(run, found, split, "test", args)
    report(scores)
    write_captions(args.run_dir / "captions.txt", split, captions)
    columns = ["picture", "", "caption", "p", "CIDEr-D", "references"]
    index = page.write_table(args.run_dir, "Captions of the test pictures", columns,
                             rows_of(split, captions, Cider(split.captions)))
    print(f"{len(captions)} pictures: {index}")
    results.write(args, flags.dataset, f"{flags.model}-{flags.preset}", scores,
                  details={"beam_size": args.beam_size, "block_repeats": args.block_repeats,
                           "max_caption_length": args.max_caption_length,
                           "context": flags.context, "encoder": flags.encoder})
    return {key: scores["test"][key] for key in ("cider", "bleu_4", "exact_match", "perplexity")}


def watch(args: argparse.Namespace, flags: argparse.Namespace, found: Data) -> dict[str, float]:
    """Measures the validation perplexity of each new checkpoint of a training, as it appears.

    Like the original's evaluate.py, it runs beside the training, or after it. It ends after the
    last step of the run.
    """
    split = found.splits["validation"]
    owners, words = data.pairs(split.captions)
    captions, seen, perplexity = data.encode(words, found.vocabulary), 0, None
    writer = tf.summary.create_file_writer(str(args.run_dir / "tb" / "watch"))
    while True:
        step = checkpoint_files.last_step(args.run_dir)
        if step > seen and step >= min(args.min_global_step, flags.max_steps):
            there = argparse.Namespace(**{**vars(args), "checkpoint": str(step)})
            run, seen = load_run(there, flags), step
            sees, _ = see_split(run, split, found.sha256, "validation")
            perplexity = make_score(run.captioner)(sees, owners, captions)
            print(f"step {step:,}: perplexity {perplexity:.3f}", flush=True)
            with writer.as_default(step):
                tf.summary.scalar("perplexity", perplexity)
            writer.flush()
        if seen >= flags.max_steps:
            return {"perplexity": perplexity, "step": seen}
        time.sleep(args.watch)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=[*data.FILE_FLAGS, "weights"])
    add_decoding_flags(parser)
    parser.add_argument("--watch", "--eval_interval_secs", type=cli.positive_float,
                        metavar="SECONDS", help="measure each new checkpoint of a training, "
                        "looked for every so many seconds")
    parser.add_argument("--min_global_step", type=cli.non_negative_int, default=0,
                        help="first step that --watch measures")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
