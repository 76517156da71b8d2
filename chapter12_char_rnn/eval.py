"""Evaluates a trained character RNN on the held-out tenth of its text.

    python eval.py                  # the latest run
    python eval.py --name poetry --publish

Computes nats and bits per character and perplexity over the whole held-out text, with the state
carried from beginning to end. Models of texts of couplets also get a form score: the fraction of
lines, sampled among the five most probable characters, that are two five-character verses.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from chapter12_char_rnn import data
from chapter12_char_rnn.inference import load_run, make_generator, make_score
from common import cli, figures, results, rundir
from common.figures import plt
from common.monitor import read_curve

COUPLET = re.compile(r"[㐀-鿿]{5}，[㐀-鿿]{5}。")
NUM_SAMPLES, SAMPLE_LENGTH = 20, 26 * 13  # 26 couplets per sample, 520 lines in total


def couplet_form(samples: Sequence[str]) -> dict[str, float]:
    """Returns the fraction of complete lines that are two five-character verses."""
    lines = [line for sample in samples for line in sample.split("\n")[1:-1]]
    if not lines:
        return {}
    return {
        "couplet_form": float(np.mean([bool(COUPLET.fullmatch(line)) for line in lines])),
        "couplet_lines": len(lines),
    }


def plot(run_dir: Path, level: str, png: Path) -> None:
    """Draws the training and validation loss of a run by step."""
    figure, axes = plt.subplots(figsize=(7, 4))
    for split, style in (("train", "C0-"), ("val", "C1o-")):
        steps, losses = read_curve(run_dir, split, "loss")
        axes.plot(steps, losses, style, label=split, markersize=4, linewidth=1)
    axes.set(xlabel="step", ylabel=f"nats per {level}")
    axes.legend()
    figures.save_figure(png, figure)


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run; writes eval.json and learning_curve.png."""
    model, vocabulary = load_run(args, flags)
    corpus = data.load(flags, vocabulary)
    rundir.check_data(args.run_dir, corpus.sha256)
    metrics = make_score(model, flags.level)(corpus.held_out, num_seqs=1, num_steps=flags.num_steps)
    metrics["unknown_share"] = float(np.mean(corpus.held_out[1:] == len(vocabulary)))
    text = "".join(vocabulary[i] if i < len(vocabulary) else data.UNKNOWN for i in corpus.held_out)
    if couplet_form([text]).get("couplet_form", 0) > 0.5:
        generate = make_generator(model, vocabulary, flags.level)
        seeds = tqdm(range(NUM_SAMPLES), unit="sample", leave=False, disable=None)
        samples = ["\n" + "".join(generate("", SAMPLE_LENGTH, seed=seed)) for seed in seeds]
        metrics |= couplet_form(samples)
    plot(args.run_dir, flags.level, args.run_dir / "learning_curve.png")
    name = Path(flags.input_file or data.SAMPLE).stem if flags.dataset == "file" else flags.dataset
    model_name = f"{flags.cell}{flags.num_layers}x{flags.lstm_size}-{flags.preset}"
    results.write(args, name, model_name, {"validation": metrics})
    print(f"{name}: {metrics[f'nats_per_{flags.level}']:.4f} nats per {flags.level}, perplexity "
          f"{metrics['perplexity']:.3f} on {metrics[f'{flags.level}s']:,} held-out {flags.level}s")
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
