"""Trains a network to classify texts: a sequence of words is one too (book, section 13.4).

    python train_texts.py                                    # Python's docstrings by topic
    python train_texts.py --dataset file --input_file FILE   # texts of your own
    python train_texts.py --preset newsgroups                # a published set, fetched once
    python train_texts.py --preset thucnews                  # Chinese titles by their characters

To expect on the test split: 82 % right after the demo, of 7 topics; eval.py tells what logistic
regression on counted words reaches there.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import tensorflow as tf

from chapter13_sequence_classification import data
from chapter13_sequence_classification.model import build_for
from chapter13_sequence_classification.training import (
    RECURRENT_FLAGS,
    add_recurrent_flags,
    add_training_flags,
    fit,
)
from common import cli, files, rundir
from common.errors import UserError
from common.word_vectors import start_embedding

BAG = {"model": "bag", "num_buckets": 65536, "dropout": 0.5, "batch_size": 64,
       "learning_rate": 0.001, "max_steps": 1500, "eval_every": 100}
PRESETS = {
    "demo": {"model": "conv", "dropout": 0.5, "max_tokens": 100, "batch_size": 64,
             "learning_rate": 0.001, "max_steps": 600, "eval_every": 100},
    "newsgroups": {"dataset": "newsgroups", "num_layers": 2, "lstm_size": 100, "pool": "max",
                   "dropout": 0.2, "learning_rate": 0.002, "max_steps": 1000, "eval_every": 100},
    "newsgroups_conv": {"dataset": "newsgroups", "model": "conv", "dropout": 0.5, "batch_size": 64,
                        "learning_rate": 0.001, "max_steps": 1600, "eval_every": 200},
    "mr": {"dataset": "mr", **BAG, "max_tokens": 60},
    "sst2": {"dataset": "sst2", **BAG, "max_tokens": 60},
    "thucnews": {"dataset": "thucnews", "language": "zh", "level": "char", **BAG, "max_tokens": 30,
                 "learning_rate": 0.005},
    "chnsenticorp": {"dataset": "chnsenticorp", "language": "zh", **BAG, "max_tokens": 200},
}
IDLE_FLAGS = {"recurrent": ("num_filters", "num_buckets"),
              "conv": (*RECURRENT_FLAGS, "num_buckets"), "bag": (*RECURRENT_FLAGS, "num_filters")}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=["input_file"],
                                 neutral=["input_file"])
    data.add_text_flags(parser, "modules")
    group = parser.add_argument_group("model")
    group.add_argument("--model", choices=["recurrent", "conv", "bag"], default="recurrent",
                       help="what reads the words' vectors: recurrent layers, filters over 3, 4 "
                            "and 5 neighbours, or the mean of all")
    group.add_argument("--embedding_size", type=cli.positive_int, default=100,
                       help="numbers per word")
    group.add_argument("--embedding_file", type=cli.path,
                       help="first vectors of the words, in word2vec's text format (chapter 14)")
    group.add_argument("--freeze_embedding", action=argparse.BooleanOptionalAction, default=False,
                       help="do not train the words' vectors")
    group.add_argument("--num_filters", type=cli.positive_int, default=100,
                       help="filters of each width, of --model conv")
    group.add_argument("--num_buckets", type=cli.non_negative_int, default=0,
                       help="vectors that pairs of neighbours share, of --model bag")
    group.add_argument("--dropout", type=cli.number(float, 0, 0.99, "from 0 to 0.99"), default=0.0,
                       help="share of the words' vectors, and of what reads them, that is dropped")
    add_recurrent_flags(parser)
    add_training_flags(parser)
    return parser


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError where a flag has no effect beside others."""
    cli.refuse_idle(args, IDLE_FLAGS[args.model], f"--model {args.model}")
    if args.freeze_embedding and not args.embedding_file:
        raise UserError("--freeze_embedding would keep vectors drawn at random",
                        "give those to keep: --embedding_file FILE")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until `--max_steps`; returns the validation scores."""
    check_flags(args)
    # Else the gradients of words differ from run to run in the last digit, as threads add them.
    tf.config.experimental.enable_op_determinism()
    task = data.load(args)
    train_split, validation = task.splits["train"], task.splits["validation"]
    print(f"training on {args.input_file or args.dataset}: {len(train_split.labels):,} texts, "
          f"{len(task.vocabulary):,} {args.level}s; {', '.join(task.class_names)}")
    model = build_for(args, len(task.class_names), len(task.vocabulary))
    if args.embedding_file and rundir.last_step(args.run_dir) == 0:
        start_embedding(model.embedding, task.vocabulary, Path(args.embedding_file))
    with rundir.open_run(args, dataset_sha256=data.digest(task), parameters=model.count_params(),
                         class_names=task.class_names) as run:
        files.write_json(run / "vocabulary.json", task.vocabulary)
        batches = partial(data.text_batches, args, train_split)
        scores = fit(args, model, run, batches, validation)
    print(f"validation accuracy {scores['accuracy']:.2%} after {scores['step']} steps; "
          'try: python predict.py "a text"')
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
