"""Trains a character RNN on any text (book, chapter 12; Karpathy 2015; Zaremba et al. 2014).

    python train.py                              # the shipped poems, about two minutes
    python train.py --input_file poetry.txt      # the same; any other UTF-8 text works too
    python train.py --preset book_shakespeare --dataset shakespeare
    python train.py --preset best --dataset shakespeare
    python sample.py --start_string 春

Prints three samples at the end. Expected held-out loss in nats per character: 1.68 on the poems
(`demo`), 1.44 on tiny Shakespeare (`best`, about 20 minutes on two CPU cores).
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from chapter12_char_rnn import data
from chapter12_char_rnn.inference import make_generator, make_score
from chapter12_char_rnn.model import CELLS, CharRNN, build_model, model_flags, token_losses
from common import checkpoint, cli, files, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor
from common.word_vectors import start_embedding

CLIP_NORM = 5.0  # maximum global norm of the gradients, as in the book's code
WARMUP_STEPS = 200  # of the cosine schedule
NUM_SAMPLES = 3

PRESETS = {
    "demo": {
        "num_seqs": 32,
        "num_steps": 26,  # two lines of a poem: 12 characters and a newline each
        "use_embedding": True,
        "learning_rate": 0.005,
        "train_keep_prob": 0.7,
        "max_steps": 6000,
        "sample_length": 25,
    },
    "book_shakespeare": {"num_seqs": 32, "num_steps": 50, "learning_rate": 0.01,
                         "max_steps": 20000},
    "book_poetry": {
        "num_seqs": 32,
        "num_steps": 26,
        "use_embedding": True,
        "learning_rate": 0.005,
        "max_steps": 10000,
        "sample_length": 25,
    },
    "book_linux": {"num_seqs": 32, "num_steps": 100, "learning_rate": 0.01, "max_steps": 20000},
    "best": {
        "lstm_size": 512,
        "num_seqs": 64,
        "num_steps": 64,
        "learning_rate": 0.002,
        "schedule": "cosine",
        "precision": "bfloat16",
        "max_steps": 4900,
        "eval_every": 490,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser; flags of the book's script keep their names."""
    parser = cli.training_parser(__file__, __doc__, PRESETS,
                                 free=["input_file", "max_unpacked_mb"],
                                 neutral=["input_file", "max_unpacked_mb"])
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--cell", choices=list(CELLS), default="lstm",
                       help="type of the recurrent layers")
    group.add_argument("--lstm_size", type=cli.size, default=128,
                       help="hidden units per layer")
    group.add_argument("--num_layers", type=cli.layer_count, default=2, help="recurrent layers")
    group.add_argument("--use_embedding", action=argparse.BooleanOptionalAction, default=False,
                       help="embed the tokens instead of one-hot encoding them")
    group.add_argument("--embedding_size", type=cli.size, default=128,
                       help="embedding dimension")
    group.add_argument("--embedding_file", type=cli.path,
                       help="initial word vectors: word2vec's text (chapter 14) or .bin "
                            "format, or GloVe's")
    group.add_argument("--freeze_embedding", action=argparse.BooleanOptionalAction, default=False,
                       help="do not train the embedding")
    group.add_argument("--precision", choices=["float32", "bfloat16"], default="float32",
                       help="compute dtype of the matrix products; variables stay float32")
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", type=cli.positive_int, default=100000,
                       help="total number of training steps")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.001,
                       help="learning rate of Adam")
    group.add_argument("--schedule", choices=["constant", "cosine"], default="constant",
                       help="learning rate schedule; cosine: linear warmup over 200 steps, then "
                            "cosine decay to 0 at --max_steps")
    cli.add_init_from(group)
    group.add_argument("--train_keep_prob", type=cli.above_0_to_1, default=0.5,
                       help="1 - dropout rate, applied to the outputs of each layer")
    group.add_argument("--log_every", "--log_every_n", type=cli.positive_int, default=10,
                       help="steps between log entries")
    group.add_argument("--save_every", "--save_every_n", type=cli.positive_int, default=1000,
                       help="steps between checkpoints")
    group.add_argument("--eval_every", type=cli.positive_int, default=1000,
                       help="steps between evaluations on the held-out text, with samples")
    group.add_argument("--sample_length", type=cli.size, default=300,
                       help="tokens per sample")
    return parser


def make_train_step(
    model: CharRNN, optimizer: keras.Optimizer, carried: list[list[tf.Variable]]
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Returns the training step: truncated backpropagation through time.

    It is a closure over the model, the optimizer and the states, so that `tf.function` traces it
    once and takes only the batch as arguments.

    Args:
        model: the network.
        optimizer: built for its variables.
        carried: recurrent states carried from one window to the next; updated in place.
    """

    @tf.function
    def train_step(
        inputs: tf.Tensor, targets: tf.Tensor, fresh: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        # Start from the final state of the previous window, or from zeros at the start of an epoch.
        states = tf.nest.map_structure(lambda s: tf.where(fresh, tf.zeros_like(s), s), carried)
        # Forward pass: predict the next token at every position, averaging the cross-entropy.
        with tf.GradientTape() as tape:
            logits, ends = model(inputs, states, training=True)
            loss = tf.reduce_mean(token_losses(logits, targets))
        # Backward pass. The initial states are constants: gradients stop at the window's start.
        gradients = tape.gradient(loss, model.trainable_variables)
        # A lookup has sparse gradients (IndexedSlices). Make them dense, so that repeated rows are
        # summed before the norm is computed.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        # Clip by the global norm against exploding gradients, then update the weights.
        gradients, norm = tf.clip_by_global_norm(gradients, CLIP_NORM)
        optimizer.apply(gradients, model.trainable_variables)
        # Carry the final states over to the next window of the same rows.
        tf.nest.map_structure(lambda variable, end: variable.assign(end), carried, ends)
        return loss, norm

    return train_step


def learning_rate(args: argparse.Namespace) -> float | keras.optimizers.schedules.CosineDecay:
    """Returns a constant learning rate, or warmup followed by cosine decay."""
    if args.schedule == "constant":
        return args.learning_rate
    warmup = min(WARMUP_STEPS, args.max_steps // 2)
    return keras.optimizers.schedules.CosineDecay(
        0.0, args.max_steps - warmup, warmup_target=args.learning_rate, warmup_steps=warmup
    )


def write_samples(
    step: int, run: Path, monitor: Monitor, generate: Callable[..., Iterator[str]], length: int
) -> list[str]:
    """Generates samples with fixed seeds, writes them to the run, and returns them."""
    samples = ["".join(generate("", length, seed=seed)) for seed in range(NUM_SAMPLES)]
    text = "\n\n".join(samples) + "\n"
    (run / "samples").mkdir(exist_ok=True)
    (run / "samples" / f"{step:07d}.txt").write_text(text, encoding="utf-8")
    monitor.text(step, "samples", text)
    return samples


def introduce(args: argparse.Namespace, corpus: data.Corpus) -> None:
    """Prints the data set and, for the demo, the command of the book's run."""
    source = (args.input_file or data.SAMPLE) if args.dataset == "file" else args.dataset
    print(f"training on {source}: {len(corpus.tokens):,} {args.level}s, "
          f"{len(corpus.vocabulary):,} distinct")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book_poetry --dataset tang")
        for name in data.SOURCES:
            if (folder := files.default_dir(name)).is_dir():
                print(f"{name} is already in {folder}: --dataset {name}")


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect."""
    if args.dataset in ("file", "stdlib"):
        cli.refuse_idle(args, ["data_dir"], f"--dataset {args.dataset}")
    if args.embedding_file and not args.use_embedding:
        raise UserError(f"--embedding_file {args.embedding_file} without --use_embedding",
                        "add --use_embedding")
    if args.freeze_embedding and not args.embedding_file:
        raise UserError("--freeze_embedding without --embedding_file would freeze random vectors",
                        "add --embedding_file FILE, or omit --freeze_embedding")
    if args.init_from:
        cli.refuse_idle(args, ["embedding_file", "max_vocab"], f"--init_from {args.init_from}")
    if not args.use_embedding:
        cli.refuse_idle(args, ["embedding_size"], "--no-use_embedding")


def given_vocabulary(args: argparse.Namespace) -> list[str] | None:
    """Returns the vocabulary of the run that `--init_from` names, None without one."""
    if not args.init_from:
        return None
    resumed = rundir.exists(args.run_dir)
    run = args.run_dir if resumed else rundir.find_run(args.chapter, args.init_from)
    if (level := rundir.read_config(run)["flags"]["level"]) != args.level:
        raise UserError(f"{run} was trained with --level {level}", f"add --level {level}")
    return files.read_json(run / "vocabulary.json")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its held-out scores."""
    # Load the text. Short texts are cut into fewer rows. Weights of an earlier run only have a
    # meaning with its vocabulary.
    check_flags(args)
    corpus = data.load(args, given_vocabulary(args))
    num_seqs = data.fit_num_seqs(len(corpus.tokens), args.num_seqs, args.num_steps)
    introduce(args, corpus)
    # Build the network. A new run may start from another's weights, or from word vectors.
    model = build_model(**model_flags(args, len(corpus.vocabulary)), seed=args.seed,
                        keep_prob=args.train_keep_prob)
    checkpoint.start_from(args, model=model)
    if args.embedding_file and rundir.last_step(args.run_dir) == 0:
        start_embedding(model.embedding, corpus.vocabulary, Path(args.embedding_file))
    if args.freeze_embedding:
        model.embedding.trainable = False
    # The carried states are variables, so that they are checkpointed with the weights.
    optimizer = keras.optimizers.Adam(learning_rate(args))
    carried = tf.nest.map_structure(tf.Variable, model.initial_states(num_seqs))
    train_step, score = make_train_step(model, optimizer, carried), make_score(model, args.level)
    generate = make_generator(model, corpus.vocabulary, args.level)
    parameters = model.count_params()
    with rundir.open_run(args, dataset_sha256=corpus.sha256, parameters=parameters) as run:
        files.write_json(run / "vocabulary.json", corpus.vocabulary)
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        state = TrainState(run, {"model": model}, {"adam": (optimizer, model.trainable_variables)},
                           carried=carried)
        start = int(state.step)
        monitor = Monitor(run, start)
        batches = data.training_batches(
            corpus.tokens, num_seqs, args.num_steps, args.seed, start)
        # steps() shows the progress bar, writes checkpoints and stops cleanly on Ctrl-C.
        for step, batch in state.steps(batches, args.max_steps, args.save_every, monitor):
            loss, norm = train_step(*batch)
            # Log the training loss.
            if step % args.log_every == 0:
                monitor.scalars(step, {"loss": loss, "gradient_norm": norm,
                                       "learning_rate": optimizer.learning_rate})
            # Evaluate on the held-out text, keep the best weights and write samples.
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = score(corpus.held_out, num_seqs, args.num_steps)
                nats = scores[f"nats_per_{args.level}"]
                monitor.scalars(step, {"loss": nats, "perplexity": scores["perplexity"]}, "val")
                state.save_if_best(nats)
                samples = write_samples(step, run, monitor, generate, args.sample_length)
    print(*samples, sep="\n\n", end="\n\n")
    print(f"held-out text: {nats:.3f} nats per {args.level} after {step} steps")
    return {"step": step, **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
