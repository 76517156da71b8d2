"""Trains a network to classify texts, which are sequences of words (book, section 13.4).

    python train_texts.py                                    # Python's docstrings by topic
    python train_texts.py --dataset file --input_file FILE   # your own texts, such as a .csv
    python train_texts.py --preset newsgroups                # a published set, downloaded once
    python train_texts.py --preset thucnews                  # Chinese news titles, by character

Expected test accuracy of the demo, on 7 topics: 82 %. eval.py also scores a baseline, logistic
regression on TF-IDF features.
"""

import argparse
import shlex
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

BAG = {
    "model": "bag",
    "num_buckets": 65536,
    "dropout": 0.5,
    "batch_size": 64,
    "learning_rate": 0.001,
    "max_steps": 1500,
    "eval_every": 100,
}
PRESETS = {
    "demo": {
        "model": "conv",
        "dropout": 0.5,
        "max_tokens": 100,
        "batch_size": 64,
        "learning_rate": 0.001,
        "max_steps": 600,
        "eval_every": 100,
    },
    "newsgroups": {
        "dataset": "newsgroups",
        "num_layers": 2,
        "lstm_size": 100,
        "pool": "max",
        "dropout": 0.2,
        "learning_rate": 0.002,
        "max_steps": 1000,
        "eval_every": 100,
    },
    "newsgroups_conv": {
        "dataset": "newsgroups",
        "model": "conv",
        "dropout": 0.5,
        "batch_size": 64,
        "learning_rate": 0.001,
        "max_steps": 1600,
        "eval_every": 200,
    },
    "mr": {"dataset": "mr", **BAG, "max_tokens": 60},
    "sst2": {"dataset": "sst2", **BAG, "max_tokens": 60},
    "thucnews": {
        "dataset": "thucnews",
        "language": "zh",
        "level": "char",
        **BAG,
        "max_tokens": 30,
        "learning_rate": 0.005,
    },
    "chnsenticorp": {"dataset": "chnsenticorp", "language": "zh", **BAG, "max_tokens": 200},
}
# Of texts of one's own.
OWN_TOKENS, EPOCHS, EVALUATIONS = 400, 10, 30
# Flags without effect, by the value of --model.
IDLE_FLAGS = {"recurrent": ("num_filters", "num_buckets"),
              "conv": (*RECURRENT_FLAGS, "num_buckets"), "bag": (*RECURRENT_FLAGS, "num_filters")}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS,
                                 free=["input_file", "test_file", "max_unpacked_mb"],
                                 neutral=["input_file", "test_file", "max_unpacked_mb"])
    data.add_text_flags(parser, "modules")
    group = parser.add_argument_group("model")
    group.add_argument("--model", choices=["recurrent", "conv", "bag"], default="recurrent",
                       help="recurrent layers, convolutions of widths 3, 4 and 5, or the mean of "
                            "the embeddings (bag of words)")
    group.add_argument("--embedding_size", type=cli.size, default=100,
                       help="embedding dimension")
    group.add_argument("--embedding_file", type=cli.path,
                       help="initial word vectors: word2vec's text (chapter 14) or .bin "
                            "format, or GloVe's")
    group.add_argument("--freeze_embedding", action=argparse.BooleanOptionalAction, default=False,
                       help="do not train the embedding")
    group.add_argument("--num_filters", type=cli.size, default=100,
                       help="filters per width of --model conv")
    group.add_argument("--num_buckets", type=cli.non_negative_int, default=0,
                       help="hash buckets for the bigrams of --model bag; 0: no bigrams")
    group.add_argument("--dropout", default=0.0,
                       type=cli.number(float, 0, 0.99, "a number from 0 to 0.99"),
                       help="dropout rate of the embeddings and of the vector that is classified")
    add_recurrent_flags(parser)
    add_training_flags(parser)
    return parser


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect in combination with others."""
    cli.refuse_idle(args, IDLE_FLAGS[args.model], f"--model {args.model}")
    if args.dataset in ("modules", "file"):
        cli.refuse_idle(args, ["data_dir"], f"--dataset {args.dataset}")
    if args.freeze_embedding and not args.embedding_file:
        raise UserError("--freeze_embedding without --embedding_file would freeze random vectors",
                        "add --embedding_file FILE, or omit --freeze_embedding")


def fit_to_texts(args: argparse.Namespace, count: int) -> None:
    """Sets the steps of the demo's recipe, unless typed, to EPOCHS epochs of one's own texts."""
    steps = max(args.max_steps, EPOCHS * count // args.batch_size)
    values = {"max_steps": steps, "eval_every": max(args.eval_every, steps // EVALUATIONS)}
    vars(args).update({flag: value for flag, value in values.items() if flag not in args.typed})
    print(f"{args.max_steps:,} steps, {args.max_steps * args.batch_size / count:.0f} epochs, of at "
          f"most {args.max_tokens} tokens a text; --max_steps and --max_tokens override them")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its validation scores."""
    check_flags(args)
    # Threads sum the gradients of repeated words in any order, which changes the last bits.
    # Deterministic operations make runs reproducible bit for bit.
    tf.config.experimental.enable_op_determinism()
    # Read the texts, split them, and encode their words as the ids of a vocabulary.
    own = (args.dataset, args.preset) == ("file", "demo") and not rundir.exists(args.run_dir)
    if own and "max_tokens" not in args.typed:
        args.max_tokens = OWN_TOKENS
    task = data.load(args)
    if own:
        fit_to_texts(args, len(task.splits["train"].labels))
    args.language = task.language  # recorded: the other scripts segment as this one
    train_split, validation = task.splits["train"], task.splits["validation"]
    print(f"training on {args.input_file or args.dataset}: {len(train_split.labels):,} texts, "
          f"vocabulary of {len(task.vocabulary):,} {args.level}s, "
          f"classes: {', '.join(task.class_names)}")
    if (args.language, args.level) == ("zh", "word"):
        print("Chinese, segmented into words by jieba (--language zh); --level char: by character")
    # Build the network: embedding, N-to-1 reader, linear layer. A new run may start from
    # pretrained word vectors.
    model = build_for(args, len(task.class_names), len(task.vocabulary))
    if args.embedding_file and rundir.last_step(args.run_dir) == 0:
        start_embedding(model.embedding, task.vocabulary, Path(args.embedding_file))
    # Train it with compile and fit; see training.py.
    with rundir.open_run(args, dataset_sha256=data.digest(task), parameters=model.count_params(),
                         class_names=task.class_names) as run:
        # The other scripts encode texts with the vocabulary of the run.
        files.write_json(run / "vocabulary.json", task.vocabulary)
        batches = partial(data.text_batches, args, train_split)
        scores = fit(args, model, run, batches, validation)
    print(f"validation accuracy {scores['accuracy']:.2%} after {scores['step']} steps; "
          f'try: python predict.py --run_dir {shlex.quote(str(run))} "a text"')
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
