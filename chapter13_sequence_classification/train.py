"""Trains an LSTM to tell laws of number sequences apart (book, chapter 13).

    python train.py                                    # the book's two classes, half a minute
    python train.py --num_classes 5 --num_features 3   # more laws, three numbers a step
    python train.py --preset best
    python train.py --preset book                      # its 1,000,000 samples, plain SGD

To expect on 5,000 fresh sequences: 99 % right after the demo, 99.6 % after `best`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras

from chapter13_sequence_classification import data
from chapter13_sequence_classification.eval import make_predict, score
from chapter13_sequence_classification.model import SequenceClassifier, build_model
from common import cli, rundir
from common.checkpoint import FitCallback, TrainState
from common.monitor import Monitor

CHAPTER = "chapter13_sequence_classification"

PRESETS = {
    "demo": {"augment": True, "schedule": "cosine"},
    "book": {"optimizer": "sgd", "learning_rate": 0.01, "log_every": 10, "eval_every": 1000,
             "max_steps": 7812},  # 1,000,000 samples in batches of 128
    "best": {"augment": True, "schedule": "cosine", "max_steps": 4000, "eval_every": 500},
    "best_fresh": {"fresh": True, "schedule": "cosine", "learning_rate": 0.01, "max_steps": 2400,
                   "eval_every": 300},
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__doc__, PRESETS)
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--lstm_size", type=cli.positive_int, default=64, help="units of the LSTM")
    group = parser.add_argument_group("training")
    group.add_argument("--fresh", action=argparse.BooleanOptionalAction, default=False,
                       help="draw new sequences for every update, in place of the same 1,000")
    group.add_argument("--augment", action=argparse.BooleanOptionalAction, default=False,
                       help="train on random parts of the sequences, of 3 steps or more: a part "
                            "of a sequence follows its law")
    group.add_argument("--max_steps", type=cli.positive_int, default=2000, help="updates in all")
    group.add_argument("--batch_size", type=cli.positive_int, default=128,
                       help="sequences an update")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.003, help="step size")
    group.add_argument("--schedule", choices=["constant", "cosine"], default="constant",
                       help="cosine: fall to 0 at --max_steps")
    group.add_argument("--optimizer", choices=["adam", "sgd"], default="adam", help="update rule")
    group.add_argument("--log_every", type=cli.positive_int, default=50, help="steps a log line")
    group.add_argument("--eval_every", type=cli.positive_int, default=250,
                       help="steps between two scorings of the validation sequences")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="steps between two checkpoints")
    return parser


def learning_rate(args: argparse.Namespace) -> float | keras.optimizers.schedules.CosineDecay:
    """Returns the rate, or its schedule over the steps."""
    if args.schedule == "constant":
        return args.learning_rate
    return keras.optimizers.schedules.CosineDecay(args.learning_rate, args.max_steps)


def fit(
    args: argparse.Namespace,
    model: SequenceClassifier,
    run: Path,
    splits: dict[str, data.Split],
) -> dict[str, float]:
    """Trains by compile and fit; returns the validation scores."""
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        optimizers[args.optimizer](learning_rate(args)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[accuracy],
        jit_compile=False,
    )
    means = [v.value for metric in (model.metrics[0], accuracy) for v in metric.variables]
    trained = {"optimizer": (model.optimizer, model.trainable_variables)}
    state = TrainState(run, {"model": model}, trained, means=means)
    start = int(state.step)
    monitor = Monitor(run, start)
    predict = make_predict(model)
    scores = {}

    def evaluate(step: int) -> bool:
        """Scores the validation sequences and keeps the best weights; never ends the run."""
        split = splits["validation"]
        scores.update(score(predict(split), split.labels))
        shown = {name: scores[name] for name in ("loss", "accuracy")}
        monitor.scalars(step, shown, "val")
        state.save_if_best(scores["loss"])
        return False

    batches = data.training_batches(args, splits["train"], start)
    # What a loop would do by hand: the bar, checkpoints, logs, scorings, a way out on Ctrl-C.
    callback = FitCallback(
        state, monitor, max_steps=args.max_steps, save_every=args.save_every,
        log_every=args.log_every, eval_every=args.eval_every, evaluate=evaluate,
    )
    callback.fit(model, batches)
    monitor.close()
    return {"step": int(state.step), **scores}


def introduce(args: argparse.Namespace) -> None:
    """Says what is trained on, and in the demo how to go on to the book's run."""
    what = "fresh ones at every step" if args.fresh else f"the same {data.SIZES['train']:,}"
    print(f"training on number sequences, {what}: "
          f"{', '.join(data.class_names(args.num_classes))}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until `--max_steps`; returns the validation scores."""
    splits = data.load_flags(args)
    introduce(args)
    model = build_model(args.num_features, args.num_classes, args.lstm_size, args.seed)
    names = data.class_names(args.num_classes)
    with rundir.open_run(args, dataset_sha256=data.digest(splits),
                         parameters=model.count_params(), class_names=names) as run:
        scores = fit(args, model, run, splits)
    print(f"validation accuracy {scores['accuracy']:.2%} after {scores['step']} steps; "
          "try: python predict.py 7 8 9 10")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), PRESETS, CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
