"""Trains an LSTM to say which law a number sequence follows (book, sections 13.2 and 13.3).

    python train.py                                    # the book's two classes, half a minute
    python train.py --num_classes 5 --num_features 3   # more laws, three numbers per step
    python train.py --preset best
    python train.py --preset book                      # its 1,000,000 samples, plain SGD

To expect on 5,000 fresh sequences: 99 % right after the demo, 99.6 % after `best`. Texts are
classified by train_texts.py.
"""

import argparse
from collections.abc import Sequence
from functools import partial

from chapter13_sequence_classification import data
from chapter13_sequence_classification.model import build_for
from chapter13_sequence_classification.training import add_recurrent_flags, add_training_flags, fit
from common import cli, rundir

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
    parser = cli.training_parser(__file__, __doc__, PRESETS)
    data.add_number_flags(parser)
    group = parser.add_argument_group("training sequences")
    group.add_argument("--fresh", action=argparse.BooleanOptionalAction, default=False,
                       help="draw new numbers for every update, in place of the same 1,000")
    group.add_argument("--augment", action=argparse.BooleanOptionalAction, default=False,
                       help="train on random parts of the numbers, of 3 steps or more: a part "
                            "of a sequence follows its law")
    add_recurrent_flags(parser)
    add_training_flags(parser)
    parser.set_defaults(dataset=data.NUMBERS)  # what eval.py and the others know the run by
    return parser


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until `--max_steps`; returns the validation scores."""
    task = data.load(args)
    train_split, validation = task.splits["train"], task.splits["validation"]
    what = "fresh ones at every step" if args.fresh else f"the same {len(train_split.labels):,}"
    print(f"training on number sequences, {what}: {', '.join(task.class_names)}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book")
    model = build_for(args, len(task.class_names))
    with rundir.open_run(args, dataset_sha256=data.digest(task), parameters=model.count_params(),
                         class_names=task.class_names) as run:
        batches = partial(data.number_batches, args, train_split)
        scores = fit(args, model, run, batches, validation)
    print(f"validation accuracy {scores['accuracy']:.2%} after {scores['step']} steps; "
          "try: python predict.py 7 8 9 10")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
