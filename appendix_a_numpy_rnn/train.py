"""Trains a language model of names in NumPy: one name per step (appendix A, "dinosaur island").

    python train.py                                # the shipped names, under a minute
    python train.py --preset source --dataset dinos
    python train.py --cell lstm --optimizer adagrad --learning_rate 0.05
    python sample.py

The step is written out in model.py and cells.py: forward, backward through time, clipping by value,
update. `smoothed` is the source's mean: .999 of the old value and .001 of the loss of the new name.
"""

import argparse
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from appendix_a_numpy_rnn import data
from appendix_a_numpy_rnn.cells import CELLS, Weights, zero_states
from appendix_a_numpy_rnn.inference import sample_names, score
from appendix_a_numpy_rnn.model import (
    Store,
    adagrad,
    build_weights,
    clip,
    loss_and_gradients,
    sgd,
)
from common import cli, files, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

NUM_SAMPLES = 7
SMOOTHING = 0.999

PRESETS = {
    "demo": {"optimizer": "adagrad", "learning_rate": 0.05, "max_steps": 10000},
    "source": {"held_out": 0.0, "max_steps": 35000},
    "best": {
        "cell": "lstm",
        "hidden_size": 100,
        "optimizer": "adagrad",
        "learning_rate": 0.05,
        "max_steps": 20000,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, neutral=["input_file"],
                                 free=["input_file"])
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--cell", choices=list(CELLS), default="rnn", help="kind of cell")
    group.add_argument("--hidden_size", type=cli.size, default=50, help="n_a, size of the state")
    group = parser.add_argument_group("training")
    group.add_argument("--optimizer", choices=["sgd", "adagrad"], default="sgd", help="update rule")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.01,
                       help="learning rate")
    group.add_argument("--clip_value", type=cli.positive_float, default=5.0,
                       help="every entry of the gradients is clipped to [-clip, clip]")
    group.add_argument("--max_steps", type=cli.positive_int, default=35000,
                       help="training steps, one name each")
    group.add_argument("--log_every", type=cli.positive_int, default=100,
                       help="steps between log entries")
    group.add_argument("--save_every", type=cli.positive_int, default=2000,
                       help="steps between checkpoints")
    group.add_argument("--eval_every", type=cli.positive_int, default=2000,
                       help="steps between samples, and scores of the held-out names")
    return parser


def train_step(
    weights: Weights, memory: Weights, pair: tuple[list[int], list[int]], args: argparse.Namespace
) -> float:
    """Updates the weights in place on one name; returns its loss in nats."""
    # Every name starts from a zero state: names do not follow each other.
    states = zero_states(args.cell, args.hidden_size, 1)
    # Forward through the letters, backward through time.
    loss, gradients, _ = loss_and_gradients(args.cell, weights, *pair, states)
    # Clip each entry by itself, against exploding gradients.
    clip(gradients, args.clip_value)
    if args.optimizer == "adagrad":
        adagrad(weights, gradients, memory, args.learning_rate)
    else:
        sgd(weights, gradients, args.learning_rate)
    return loss


def write_samples(
    run: Path, monitor: Monitor, step: int, weights: Weights, args: argparse.Namespace,
    vocabulary: Sequence[str],
) -> str:
    """Samples names, writes them to the run and returns them."""
    rng = np.random.default_rng([args.seed, step])
    text = "\n".join(sample_names(args.cell, weights, vocabulary, NUM_SAMPLES, rng)) + "\n"
    (run / "samples").mkdir(exist_ok=True)
    (run / "samples" / f"{step:07d}.txt").write_text(text, encoding="utf-8")
    monitor.text(step, "samples", text)
    return text


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its scores."""
    names = data.load(args)
    print(f"training on {len(names.train):,} names of {len(names.vocabulary)} symbols")
    weights = build_weights(args.cell, len(names.vocabulary), args.hidden_size,
                            np.random.default_rng(args.seed))
    memory = {name: np.zeros_like(value) for name, value in weights.items()}
    parameters = sum(value.size for value in weights.values())
    with rundir.open_run(args, dataset_sha256=names.sha256, parameters=parameters) as run:
        files.write_json(run / "vocabulary.json", names.vocabulary)
        # Checkpoints hold variables: the arrays are copied into them after every step.
        store, squares = Store(weights), Store(memory)
        # The smoothed loss starts as the source's does: seven letters of an untrained model.
        smoothed = tf.Variable(7 * math.log(len(names.vocabulary)), dtype=tf.float64)
        state = TrainState(run, {"model": store}, squares=squares, smoothed=smoothed)
        weights, memory = store.read(), squares.read()
        monitor, total = Monitor(run, int(state.step)), float(smoothed)
        for step, _ in state.steps(itertools.repeat(None), args.max_steps, args.save_every,
                                   monitor):
            pair = names.pair(data.name_of_step(names.train, args.seed, step))
            loss = train_step(weights, memory, pair, args)
            total = SMOOTHING * total + (1 - SMOOTHING) * loss
            smoothed.assign(total)
            store.write(weights)
            squares.write(memory)
            if step % args.log_every == 0:
                monitor.scalars(step, {"loss": loss, "smoothed": total})
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = {"smoothed": total}
                if names.held_out:
                    scores = score(args.cell, weights, names, names.held_out)
                    monitor.scalars(step, scores, "val")
                    state.save_if_best(scores["nats_per_char"])
                text = write_samples(run, monitor, step, weights, args, names.vocabulary)
    print(text)
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
