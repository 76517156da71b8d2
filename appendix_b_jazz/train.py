"""Trains an LSTM on tunes, and lets it improvise over their chords (appendix B).

    python train.py                                        # a composed blues, under a minute
    python train.py --preset source
    python train.py --preset best --input_file FOLDER_OF_MIDI_FILES
    python generate.py --temperature 0.8

A value is a grammar token (grammar.py). The training model sees windows of 30 values from a zero
state; the same layers then play value by value.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from appendix_b_jazz import data
from appendix_b_jazz.inference import held_out_nats, solo
from appendix_b_jazz.midi import SAMPLE_RATE, synthesize
from appendix_b_jazz.model import Improviser, build_model, window_loss
from common import cli, files, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

MEASURES = 4  # of a sample during training

PRESETS = {
    "demo": {"dropout": 0.3, "learning_rate": 0.005, "max_steps": 300},
    "source": {"num_windows": 60, "batch_size": 60, "decay": 0.01, "max_steps": 100},
    "best": {
        "dataset": "file",
        "min_count": 2,
        "dropout": 0.5,
        "learning_rate": 0.003,
        "batch_size": 32,
        "eval_every": 100,
        "max_steps": 1500,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=["input_file"],
                                 neutral=["input_file"])
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--lstm_size", type=cli.size, default=64, help="hidden units")
    group.add_argument("--dropout", type=cli.number(float, 0, 0.9, "a number from 0 to 0.9"),
                       default=0.0, help="dropout rate of the outputs of the LSTM")
    group = parser.add_argument_group("training")
    group.add_argument("--batch_size", type=cli.size, default=32, help="windows per batch")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.01,
                       help="learning rate of Adam")
    group.add_argument("--decay", type=cli.non_negative_float, default=0.0,
                       help="the learning rate is divided by 1 + decay * step")
    group.add_argument("--max_steps", type=cli.positive_int, default=100, help="training steps")
    group.add_argument("--log_every", type=cli.positive_int, default=10,
                       help="steps between log entries")
    group.add_argument("--save_every", type=cli.positive_int, default=100,
                       help="steps between checkpoints")
    group.add_argument("--eval_every", type=cli.positive_int, default=50,
                       help="steps between scores of the held-out measures, with sound")
    return parser


def make_train_step(
    model: Improviser, optimizer: keras.Optimizer
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the training step on windows, int32 of shape (batch, window + 1)."""

    @tf.function
    def train_step(windows: tf.Tensor) -> tf.Tensor:
        # Each window starts from a zero state; value t predicts value t + 1.
        zeros = tf.zeros((tf.shape(windows)[0], model.size))
        x = tf.one_hot(windows[:, :-1], model.num_values)
        variables = model.training.trainable_variables
        with tf.GradientTape() as tape:
            loss = window_loss(model.training([x, zeros, zeros], training=True), windows[:, 1:])
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return train_step


def learning_rate(
    args: argparse.Namespace,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate, divided by 1 + decay * step."""
    if not args.decay:
        return args.learning_rate
    return keras.optimizers.schedules.InverseTimeDecay(args.learning_rate, 1, args.decay)


def play(
    model: Improviser, corpus: data.Corpus, args: argparse.Namespace, step: int, monitor: Monitor
) -> None:
    """Writes the sound of four improvised measures to TensorBoard."""
    piece = corpus.tunes[0].piece
    tracks = solo(model, corpus, piece.chords[:MEASURES], piece.measure, 1.0, args.seed)
    sound = synthesize(tracks, piece.beats_per_minute)
    with monitor.writer("train").as_default(step):
        tf.summary.audio("solo", sound[None, :, None], SAMPLE_RATE)


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its held-out score."""
    corpus = data.load(args)
    windows = data.windows(corpus, args.window, args.num_windows)
    print(f"training on {len(windows):,} windows of {len(corpus.vocabulary)} values")
    model = build_model(len(corpus.vocabulary) + 1, args.lstm_size, args.dropout, args.seed)
    optimizer = keras.optimizers.Adam(learning_rate(args))
    train_step = make_train_step(model, optimizer)
    with rundir.open_run(args, dataset_sha256=corpus.sha256,
                         parameters=model.training.count_params()) as run:
        files.write_json(run / "vocabulary.json", corpus.vocabulary)
        state = TrainState(run, {"model": model.training},
                           {"adam": (optimizer, model.training.trainable_variables)})
        monitor = Monitor(run, int(state.step))
        batches = data.training_batches(windows, min(args.batch_size, len(windows)), args.seed,
                                        int(state.step))
        for step, batch in state.steps(batches, args.max_steps, args.save_every, monitor):
            loss = train_step(batch)
            if step % args.log_every == 0:
                monitor.scalars(step, {"loss": loss})
            # Score the held-out measures, keep the best weights, play.
            if step % args.eval_every == 0 or step == args.max_steps:
                nats = float(held_out_nats(model, corpus.tunes).mean())
                monitor.scalars(step, {"nats_per_token": nats}, "val")
                state.save_if_best(nats)
                play(model, corpus, args, step, monitor)
    print(f"held-out measures: {nats:.3f} nats per token after {step} steps")
    return {"step": step, "nats_per_token": nats}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
