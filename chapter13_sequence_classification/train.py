"""Trains an LSTM to classify number sequences (book, sections 13.2 and 13.3).

    python train.py                                    # the book's two classes, half a minute
    python train.py --num_classes 5 --num_features 3   # five classes, three numbers per step
    python train.py --preset best
    python train.py --preset book                      # the book's 1,000,000 samples, plain SGD

Expected accuracy on 5,000 test sequences: 99.0 % (`demo`), 99.6 % (`best`). train_texts.py
classifies texts.
"""

import argparse
import shlex
from collections.abc import Sequence
from functools import partial

from chapter13_sequence_classification import data
from chapter13_sequence_classification.model import build_for
from chapter13_sequence_classification.training import add_recurrent_flags, add_training_flags, fit
from common import cli, rundir

PRESETS = {
    "demo": {"augment": True, "schedule": "cosine"},
    "book": {
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "log_every": 10,
        "eval_every": 1000,
        "max_steps": 7812,  # 1,000,000 samples in batches of 128
    },
    "best": {"augment": True, "schedule": "cosine", "max_steps": 4000, "eval_every": 500},
    "best_fresh": {
        "fresh": True,
        "schedule": "cosine",
        "learning_rate": 0.01,
        "max_steps": 2400,
        "eval_every": 300,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS)
    data.add_number_flags(parser)
    group = parser.add_argument_group("training sequences")
    group.add_argument("--fresh", action=argparse.BooleanOptionalAction, default=False,
                       help="draw new sequences for every batch instead of 1,000 fixed ones")
    group.add_argument("--augment", action=argparse.BooleanOptionalAction, default=False,
                       help="random crops of at least 3 steps: a crop of a sequence has the same "
                            "class")
    add_recurrent_flags(parser)
    add_training_flags(parser)
    parser.set_defaults(dataset=data.NUMBERS)  # tells the other scripts what the run classifies
    return parser


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its validation scores."""
    # Generate the training and validation sequences from the seed.
    task = data.load(args)
    train_split, validation = task.splits["train"], task.splits["validation"]
    count = "new ones in every batch" if args.fresh else f"{len(train_split.labels):,}"
    print(f"training on number sequences ({count}), classes: {', '.join(task.class_names)}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book")
    # Build the N-to-1 network: LSTM layers, whose last output a linear layer maps to logits.
    model = build_for(args, len(task.class_names))
    # Train it with compile and fit; see training.py.
    with rundir.open_run(args, dataset_sha256=data.digest(task), parameters=model.count_params(),
                         class_names=task.class_names) as run:
        # The stream can start at any step, so that a run resumes where it stopped.
        batches = partial(data.number_batches, args, train_split)
        scores = fit(args, model, run, batches, validation)
    print(f"validation accuracy {scores['accuracy']:.2%} after {scores['step']} steps; "
          f"try: python predict.py --run_dir {shlex.quote(str(run))} 7 8 9 10")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
