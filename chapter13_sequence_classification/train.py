"""Trains a network to classify sequences: the book's numbers (chapter 13), or texts.

    python train.py                                    # the book's two classes, half a minute
    python train.py --num_classes 5 --num_features 3   # more laws, three numbers a step
    python train.py --preset best
    python train.py --preset book                      # its 1,000,000 samples, plain SGD
    python train.py --preset texts                     # Python's docstrings by topic
    python train.py --preset texts --dataset file --input_file FILE

To expect on 5,000 fresh sequences: 99 % right after the demo, 99.6 % after `best`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from chapter13_sequence_classification import data
from chapter13_sequence_classification.inference import make_predict, score
from chapter13_sequence_classification.model import CELLS, SequenceClassifier, build_for
from common import cli, rundir
from common.checkpoint import FitCallback, TrainState
from common.errors import UserError
from common.monitor import Monitor
from common.word_vectors import start_embedding

CHAPTER = "chapter13_sequence_classification"

BAG = {"model": "bag", "num_buckets": 65536, "dropout": 0.5, "batch_size": 64,
       "learning_rate": 0.001, "max_steps": 1500, "eval_every": 100}
PRESETS = {
    "demo": {"augment": True, "schedule": "cosine"},
    "book": {"optimizer": "sgd", "learning_rate": 0.01, "log_every": 10, "eval_every": 1000,
             "max_steps": 7812},  # 1,000,000 samples in batches of 128
    "best": {"augment": True, "schedule": "cosine", "max_steps": 4000, "eval_every": 500},
    "best_fresh": {"fresh": True, "schedule": "cosine", "learning_rate": 0.01, "max_steps": 2400,
                   "eval_every": 300},
    "texts": {"dataset": "modules", "model": "conv", "dropout": 0.5, "max_tokens": 100,
              "batch_size": 64, "learning_rate": 0.001, "max_steps": 600, "eval_every": 100},
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
NUMBER_FLAGS = ("num_features", "num_classes", "max_stride", "fresh", "augment")
TEXT_FLAGS = ("input_file", "data_dir", "language", "level", "vocabulary_size", "max_tokens",
              "model", "embedding_size", "embedding_file", "freeze_embedding", "num_buckets",
              "num_filters", "dropout")
RECURRENT_FLAGS = ("cell", "lstm_size", "num_layers", "bidirectional", "pool")
IDLE_FLAGS = {"recurrent": ("num_filters", "num_buckets"),
              "conv": (*RECURRENT_FLAGS, "num_buckets"), "bag": (*RECURRENT_FLAGS, "num_filters")}


def add_model_flags(parser: cli.Parser) -> None:
    """Adds the flags that shape the network."""
    group = parser.add_argument_group("model")
    group.add_argument("--cell", choices=list(CELLS), default="lstm", help="recurrent layer")
    group.add_argument("--lstm_size", type=cli.positive_int, default=64,
                       help="units of a recurrent layer, in each direction")
    group.add_argument("--num_layers", type=cli.positive_int, default=1, help="recurrent layers")
    group.add_argument("--bidirectional", action=argparse.BooleanOptionalAction, default=False,
                       help="read from the end too")
    group.add_argument("--pool", choices=["last", "max"], default="last",
                       help="the recurrent output to keep: the last, or the largest of each unit")
    group = parser.add_argument_group("model for texts")
    group.add_argument("--model", choices=["recurrent", "conv", "bag"], default="recurrent",
                       help="what reads the words' vectors: recurrent layers, filters over 3, 4 "
                            "and 5 neighbours, or the mean of all")
    group.add_argument("--embedding_size", type=cli.positive_int, default=100,
                       help="numbers a word")
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


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__doc__, PRESETS)
    data.add_flags(parser)
    add_model_flags(parser)
    group = parser.add_argument_group("training")
    group.add_argument("--fresh", action=argparse.BooleanOptionalAction, default=False,
                       help="draw new numbers for every update, in place of the same 1,000")
    group.add_argument("--augment", action=argparse.BooleanOptionalAction, default=False,
                       help="train on random parts of the numbers, of 3 steps or more: a part "
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


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError where flags of numbers are given to texts, or the reverse, or in vain."""
    of_texts = args.dataset != data.NUMBERS
    defaults = vars(build_parser().parse_args([]))
    for flag in NUMBER_FLAGS if of_texts else TEXT_FLAGS:
        if (value := getattr(args, flag)) != defaults[flag]:
            given = (f"--preset {args.preset}, which sets --{flag}," if flag in PRESETS[args.preset]
                     else f"--{flag} {value}")
            raise UserError(
                f"{given} is for {'numbers' if of_texts else 'texts'}, --dataset is {args.dataset}",
                "give --preset texts, or that of the set" if of_texts else
                "leave it away, or choose texts by --dataset and --preset")
    if of_texts:
        cli.refuse_idle(args, build_parser(), PRESETS, IDLE_FLAGS[args.model],
                        f"--model {args.model}")
    if args.freeze_embedding and not args.embedding_file:
        raise UserError("--freeze_embedding would keep vectors drawn at random",
                        "give those to keep: --embedding_file FILE")


def learning_rate(args: argparse.Namespace) -> float | keras.optimizers.schedules.CosineDecay:
    """Returns the rate, or its schedule over the steps."""
    if args.schedule == "constant":
        return args.learning_rate
    return keras.optimizers.schedules.CosineDecay(args.learning_rate, args.max_steps)


def fit(
    args: argparse.Namespace,
    model: SequenceClassifier,
    run: Path,
    task: data.Task,
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
        split = task.splits["validation"]
        scores.update(score(predict(split), split.labels))
        shown = {name: scores[name] for name in ("loss", "accuracy")}
        monitor.scalars(step, shown, "val")
        state.save_if_best(scores["loss"])
        return False

    batches = data.training_batches(args, task.splits["train"], start)
    # What a loop would do by hand: the bar, checkpoints, logs, scorings, a way out on Ctrl-C.
    callback = FitCallback(
        state, monitor, max_steps=args.max_steps, save_every=args.save_every,
        log_every=args.log_every, eval_every=args.eval_every, evaluate=evaluate,
    )
    callback.fit(model, batches)
    monitor.close()
    return {"step": int(state.step), **scores}


def introduce(args: argparse.Namespace, task: data.Task) -> None:
    """Says what is trained on, and in the demo how to go on to the book's run."""
    count = len(task.splits["train"].labels)
    if args.dataset == data.NUMBERS:
        what = "fresh ones at every step" if args.fresh else f"the same {count:,}"
        print(f"training on number sequences, {what}: {', '.join(task.class_names)}")
    else:
        print(f"training on {args.input_file or args.dataset}: {count:,} texts, "
              f"{len(task.vocabulary):,} {args.level}s; {', '.join(task.class_names)}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until `--max_steps`; returns the validation scores."""
    check_flags(args)
    if args.dataset != data.NUMBERS:
        # Else the gradients of words differ from run to run in the last digit, as threads add them.
        tf.config.experimental.enable_op_determinism()
    task = data.load(args)
    introduce(args, task)
    model = build_for(args, len(task.class_names), len(task.vocabulary or []))
    if args.embedding_file and rundir.last_step(args.run_dir) == 0:
        start_embedding(model.embedding, task.vocabulary, Path(args.embedding_file))
    with rundir.open_run(args, dataset_sha256=data.digest(task), parameters=model.count_params(),
                         class_names=task.class_names) as run:
        if task.vocabulary:
            rundir.write_json(run / "vocabulary.json", task.vocabulary)
        scores = fit(args, model, run, task)
    sample = "7 8 9 10" if args.dataset == data.NUMBERS else '"a text"'
    print(f"validation accuracy {scores['accuracy']:.2%} after {scores['step']} steps; "
          f"try: python predict.py {sample}")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), PRESETS, CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
