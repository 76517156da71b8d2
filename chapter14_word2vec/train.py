"""Trains word vectors on any text (book, chapter 14; Mikolov et al. 2013).

    python train.py                                        # Python's own documentation
    python train.py --model cbow
    python train.py --input_file TEXT_OR_ZIP --vocabulary_size 20000   # also Chinese
    python train.py --preset book --data_dir FOLDER        # the folder of text8.zip
    python train.py --preset best --data_dir FOLDER        # negative sampling, much faster
    python analogy.py method

Prints the nearest neighbours of some frequent words at the end. The loss of the book's run starts
near 300 and falls below 6, in about two minutes on two cores.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter14_word2vec import data, vectors
from chapter14_word2vec.model import Word2Vec, nce_loss, sample_noise
from chapter14_word2vec.negative_sampling import (
    cumulative_noise,
    draw_noise,
    negative_sampling_loss,
)
from common import cli, files, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor

# Initial accumulator value of Adagrad; the gradients of the batch's mean loss are small.
INITIAL_SQUARE = 1e-9

PRESETS = {
    "demo": {
        "vocabulary_size": 3000,
        "skip_window": 5,
        "num_skips": 8,
        "embedding_size": 64,
        "batch_size": 256,
        "learning_rate": 2.0,
        "max_steps": 75000,
    },
    "book": {"dataset": "text8", "vocabulary_size": 50000, "max_steps": 100001},
    # Window, noise words and subsampling as in Mikolov et al. 2013b; five passes through text8.
    "best": {
        "dataset": "text8",
        "vocabulary_size": 50000,
        "loss": "negative_sampling",
        "num_sampled": 5,
        "subsample": 1e-3,
        "skip_window": 5,
        "optimizer": "adagrad",
        "batch_size": 4096,
        "learning_rate": 0.4,
        "schedule": "linear",
        "max_steps": 20760,
        "eval_every": 2000,
        "log_every": 500,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser; flags keep the names of the constants in the book's script."""
    parser = cli.training_parser(__file__, __doc__, PRESETS,
                                 free=["input_file", "max_unpacked_mb"],
                                 neutral=["input_file", "max_unpacked_mb"])
    data.add_flags(parser)
    group = parser.add_argument_group("model")
    group.add_argument("--embedding_size", default=128,
                       type=cli.number(int, 2, 2**16, "a whole number from 2 to 65536"),
                       help="embedding dimension")
    group = parser.add_argument_group("training")
    group.add_argument("--num_sampled", type=cli.size, default=64,
                       help="noise words: per batch for nce, per pair for negative_sampling")
    group.add_argument("--max_steps", type=cli.positive_int, default=100001,
                       help="number of optimizer updates")
    group.add_argument("--learning_rate", type=cli.positive_float, default=1.0,
                       help="learning rate; the loss is the mean over the batch")
    group.add_argument("--schedule", choices=["constant", "linear"], default="constant",
                       help="linear: the learning rate decays to 0 at --max_steps")
    group.add_argument("--optimizer", choices=["sgd", "adagrad"], default="sgd",
                       help="adagrad: one accumulator per row of the embedding matrices")
    group.add_argument("--log_every", type=cli.positive_int, default=2000,
                       help="steps per log line, each with the mean loss since the last one")
    group.add_argument("--eval_every", type=cli.positive_int, default=10000,
                       help="steps between two lists of nearest words")
    group.add_argument("--save_every", type=cli.positive_int, default=10000,
                       help="steps between two checkpoints")
    return parser


def make_schedule(args: argparse.Namespace) -> Callable[[tf.Tensor], float | tf.Tensor]:
    """Returns the learning rate as a function of the step."""
    if args.schedule == "constant":
        return lambda step: args.learning_rate
    return keras.optimizers.schedules.PolynomialDecay(
        args.learning_rate, args.max_steps, end_learning_rate=0.0)


Loss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def make_loss(model: Word2Vec, corpus: data.Corpus, flags: argparse.Namespace) -> Loss:
    """Returns the mean loss as a function of a batch's inputs, its labels and a random key.

    The key, int64 of shape (2,), determines the noise words.
    """
    # Closures, since the training step takes either loss with the same three arguments.
    cumulative = tf.constant(cumulative_noise(corpus.counts()))

    def nce(inputs: tf.Tensor, labels: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        # One sample of noise words is shared by the whole batch.
        noise, tries = sample_noise(key, flags.num_sampled, len(corpus.vocabulary))
        return tf.reduce_mean(nce_loss(model, model.hidden(inputs), labels, noise, tries))

    def negative_sampling(inputs: tf.Tensor, labels: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        # Each row of text has noise words of its own.
        noise = draw_noise(key, tf.shape(inputs)[0], cumulative)
        return negative_sampling_loss(model, inputs, labels, noise, flags.num_sampled)

    return {"nce": nce, "negative_sampling": negative_sampling}[flags.loss]


def make_squares(model: Word2Vec) -> list[tf.Variable]:
    """Returns Adagrad's accumulators: one number for each row of the trained variables.

    The initial value is above 0. Otherwise the first gradients, which come from random vectors,
    would be divided by their own size alone, and would move a row as far as any later ones.
    """
    shapes = [model.embeddings.shape, model.nce_weights.shape, model.nce_biases.shape]
    return [tf.Variable(tf.fill([shape[0], *[1] * (shape.rank - 1)], INITIAL_SQUARE))
            for shape in shapes]


def adagrad(gradient: tf.IndexedSlices, squares: tf.Variable) -> tf.Tensor:
    """Divides a gradient by the root of its accumulated squares (Adagrad, Duchi et al. 2011).

    There is one accumulator per row, for the mean square of the row's gradient. This lowers the
    effective learning rate of frequent words, which occur in hundreds of pairs of a large batch.

    Args:
        gradient: sparse; the same row may occur several times.
        squares: the accumulators, updated in place.
    """
    values, rows = gradient.values, gradient.indices
    columns = list(range(1, values.shape.rank))  # none for a bias
    mean_squares = tf.reduce_mean(values**2, axis=columns, keepdims=True)
    squares.scatter_add(tf.IndexedSlices(mean_squares, rows))
    return tf.math.divide_no_nan(values, tf.sqrt(tf.gather(squares, rows)))


def make_train_step(
    model: Word2Vec,
    squares: Sequence[tf.Variable],
    running_loss: tf.Variable,
    loss_function: Loss,
    schedule: Callable[[tf.Tensor], float | tf.Tensor],
    seed: int,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], None]:
    """Returns the training step, which updates only the rows of the words in the batch.

    Args:
        model: the model to train.
        squares: Adagrad's accumulators from `make_squares`; empty for gradient descent.
        running_loss: sum and number of the losses since the last log line, updated in place.
        loss_function: a function of inputs, labels and a random key, from `make_loss`.
        schedule: the learning rate as a function of the step.
        seed: determines the noise words.
    """

    # A closure, since `tf.function` traces the step once for this model and these variables.
    @tf.function(reduce_retracing=True)
    def train_step(inputs: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> None:
        # Forward pass: the noise words are a pure function of the seed and the step.
        with tf.GradientTape() as tape:
            loss = loss_function(inputs, labels, tf.stack([tf.constant(seed, tf.int64), step]))
        # Backward pass: the gradient of a lookup is sparse (tf.IndexedSlices). A row that was
        # looked up twice is in it twice, and scatter_sub subtracts both.
        variables = [model.embeddings, model.nce_weights, model.nce_biases]
        for i, gradient in enumerate(tape.gradient(loss, variables)):
            if gradient is not None:  # negative sampling has no biases
                # Update of the looked-up rows, by gradient descent or Adagrad.
                change = adagrad(gradient, squares[i]) if squares else gradient.values
                variables[i].scatter_sub(
                    tf.IndexedSlices(schedule(step) * change, gradient.indices))
        # Running mean of the loss, for the next log line.
        running_loss.assign_add(tf.stack([loss, 1.0]))

    return train_step


def write_nearest(
    step: int,
    run: Path,
    monitor: Monitor,
    model: Word2Vec,
    words: np.ndarray,
    vocabulary: Sequence[str],
) -> str:
    """Writes the nearest words of `words` to samples/ and TensorBoard; returns them as text."""
    found = vectors.neighbours(model.embeddings.numpy(), words, vocabulary)
    text = vectors.show_neighbours(found)
    (run / "samples").mkdir(exist_ok=True)
    (run / "samples" / f"{step:07d}.txt").write_text(text + "\n", encoding="utf-8")
    monitor.text(step, "nearest", text)
    return text


def introduce(args: argparse.Namespace, corpus: data.Corpus) -> None:
    """Prints the training data, and for the demo the command of the book's run."""
    print(f"training {args.model} on {args.input_file or args.dataset}: "
          f"{len(corpus.tokens):,} {args.level}s, {len(corpus.vocabulary):,} in the vocabulary, "
          f"{np.mean(corpus.tokens == 0):.1%} of the text outside of it")
    if (corpus.language, args.level) == ("zh", "word"):
        print("Chinese, segmented into words by jieba (--language zh); --level char: by character")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book --data_dir FOLDER_OF_TEXT8_ZIP")
        if (folder := files.default_dir("text8")).is_dir():
            print(f"text8 is already in {folder}: python train.py --preset book")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`; returns its last mean loss."""
    # Text and vocabulary; flags that do not fit are refused before a run folder is made.
    if args.input_file:
        cli.refuse_idle(args, ["dataset", "data_dir"], f"--input_file {args.input_file}")
    elif args.dataset == "stdlib":
        cli.refuse_idle(args, ["data_dir"], "--dataset stdlib")
    corpus = data.load(args)
    vocabulary = corpus.vocabulary
    if args.loss == "nce" and args.num_sampled > len(vocabulary):
        raise UserError(f"--num_sampled {args.num_sampled} is more than the vocabulary's "
                        f"{len(vocabulary)} words", "give a smaller --num_sampled")
    if args.model == "cbow" or args.loss == "negative_sampling":
        cli.refuse_idle(args, ["num_skips"], f"--model {args.model} --loss {args.loss}")
    args.language = corpus.language  # recorded for a resumed run
    introduce(args, corpus)

    # Embeddings, accumulators of the optimizer, and the step that updates them.
    small = args.loss == "negative_sampling"
    model = Word2Vec(len(vocabulary), args.embedding_size, args.seed, small)
    squares = make_squares(model) if args.optimizer == "adagrad" else []
    running_loss, schedule = tf.Variable(tf.zeros(2)), make_schedule(args)
    train_step = make_train_step(model, squares, running_loss, make_loss(model, corpus, args),
                                 schedule, args.seed)
    words = vectors.choose_valid_words(len(vocabulary), args.seed)
    parameters = sum(int(tf.size(variable)) for variable in model.trainable_variables)
    with rundir.open_run(args, dataset_sha256=corpus.sha256, parameters=parameters) as run:
        files.write_json(run / "vocabulary.json", vocabulary)
        # Restores the latest checkpoint of a resumed run; the stream starts at its step.
        state = TrainState(run, {"model": model}, window=running_loss, squares=squares)
        monitor = Monitor(run, int(state.step))
        batches = data.batches_of(corpus, args, int(state.step))
        # The neighbours before training are random words: what later ones must differ from.
        if int(state.step) == 0:
            write_nearest(0, run, monitor, model, words, vocabulary)
        # steps() shows the progress bar, and saves every save_every steps and on Ctrl-C.
        for step, batch in state.steps(batches, args.max_steps, args.save_every, monitor):
            train_step(*batch, state.step)
            # Mean loss since the last log line.
            if step % args.log_every == 0 or step == args.max_steps:
                loss = float(running_loss[0] / running_loss[1])
                monitor.scalars(step, {"loss": loss, "learning_rate": schedule(step)})
                running_loss.assign(tf.zeros(2))
            # Validation by eye: the nearest neighbours of 16 frequent words.
            if step % args.eval_every == 0 or step == args.max_steps:
                near = write_nearest(step, run, monitor, model, words, vocabulary)
                tqdm.write(f"step {step}, nearest words:\n{near}", file=sys.stderr)
        # Vectors and labels for TensorBoard's projector.
        vectors.save_projector(run / "tb" / "train", model.embeddings.numpy(), vocabulary)
    print(f"loss {loss:.3f} after {step} steps; the nearest words:\n{near}")
    return {"step": step, "loss": loss}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
