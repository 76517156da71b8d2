"""Trains a translator: an encoder and a decoder with attention (book, chapter 16).

    python train.py                                    # sentences of a grammar, English to Chinese
    python train.py --attention none --name plain      # the same without attention
    python train.py --preset book --data_dir FOLDER    # Vietnamese to English, section 16.3.1
    python train.py --preset best_zh --data_dir en_zh       # English to Chinese, after prepare.py
    python translate.py "The cook will wash the fish tomorrow."

Papers: Sutskever et al. 2014, Bahdanau et al. 2015, Luong et al. 2015, Wu et al. 2016, Vaswani et
al. 2017. Every `--eval_every` updates it translates the dev sentences, and keeps the weights with
the best BLEU.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from chapter16_nmt import data, flags
from chapter16_nmt.best import BestByMetric
from chapter16_nmt.decoding import Decoding
from chapter16_nmt.inference import (
    Run,
    Translate,
    Translation,
    make_score,
    save_languages,
)
from chapter16_nmt.metrics import METRICS
from chapter16_nmt.model import cross_entropy
from chapter16_nmt.pictures import draw_attention
from chapter16_nmt.schedules import learning_rate
from chapter16_nmt.tokens import join, join_parts
from common import checkpoint, cli, files, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.images import read_image
from common.monitor import Monitor
from common.word_vectors import start_embedding

NUM_SAMPLES = 3  # dev sentences whose translations are written at each evaluation
EVAL_BATCH = 64  # sentences

VIETNAMESE = {"dataset": "files", "src": "vi", "tgt": "en"}
CHINESE = {"dataset": "files", "src": "en", "tgt": "zh"}
ADAM = {"optimizer": "adam", "loss_reduction": "tokens", "max_gradient_norm": 1.0,
        "warmup_steps": 200, "schedule": "cosine", "save_every": 100}
WMT16 = {"dataset": "files", "src": "de", "tgt": "en", "bpe_delimiter": "@@", "num_units": 1024,
         "num_layers": 4, "attention": "normed_bahdanau", "max_steps": 340000,
         "start_decay_step": 170000, "decay_steps": 17000, "decay_factor": 0.5}
GNMT = {"encoder_type": "gnmt", "attention_architecture": "gnmt_v2", "residual": True}
SMALL = ADAM | {"encoder_type": "bi", "attention": "scaled_luong", "tie_embeddings": True,
                "dropout": 0.3, "label_smoothing": 0.1, "batch_tokens": 2048, "patience": 5}
TRANSFORMER = {"model": "transformer", "num_layers": 3, "warmup_steps": 400, "eval_every": 500}
PRESETS = {
    "demo": ADAM | {
        "num_units": 128,
        "encoder_type": "bi",
        "attention": "scaled_luong",
        "batch_size": 64,
        "max_steps": 1600,
        "eval_every": 400,
    },
    # Section 16.3.1, without and with attention.
    "book": VIETNAMESE | {"num_units": 128},
    "book_attention": VIETNAMESE | {"num_units": 128, "attention": "scaled_luong"},
    # Section 16.3.2.
    "book_zh": CHINESE | {"num_layers": 3, "num_units": 256, "attention": "scaled_luong",
                          "max_steps": 200000},
    # The original's standard_hparams.
    "iwslt15": VIETNAMESE | {"num_units": 512, "encoder_type": "bi", "attention": "scaled_luong",
                             "start_decay_step": 8000, "decay_steps": 1000, "decay_factor": 0.5},
    "wmt16": WMT16 | {"encoder_type": "bi"},
    "wmt16_gnmt_4_layer": WMT16 | GNMT,
    "wmt16_gnmt_8_layer": WMT16 | GNMT | {"num_layers": 8},
    # Small networks, meant for two CPU cores.
    "best_zh": CHINESE | SMALL | {"num_units": 256, "max_steps": 3600, "eval_every": 300},
    "best_vi": VIETNAMESE | SMALL | {"num_units": 192, "max_steps": 4500, "eval_every": 500},
    "best_zh_transformer": CHINESE | SMALL | TRANSFORMER | {"num_units": 256, "max_steps": 4000},
    "best_vi_transformer": VIETNAMESE | SMALL | TRANSFORMER | {"num_units": 192, "max_steps": 4500},
}


def build_parser() -> cli.Parser:
    """Returns the parser; its flags are in data.py and flags.py."""
    moved = ["train_prefix", "dev_prefix", "test_prefix", "vocab_prefix"]
    free = ["warmup_steps", "schedule", *flags.DECAY, "patience"]
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=[*moved, *free],
                                 neutral=[*moved, "src", "tgt"])
    data.add_flags(parser)
    flags.add_network_flags(parser)
    flags.add_training_flags(parser)
    return parser


def start_embeddings(
    args: argparse.Namespace, model: keras.Model, vocabularies: Sequence[Sequence[str]]
) -> None:
    """Gives the known words of a new run the vectors in files, if there are any."""
    embeddings = model.source_embedding, model.target_embedding
    files_of_vectors = args.src_embedding_file, args.tgt_embedding_file
    for embedding, vocabulary, file in zip(embeddings, vocabularies, files_of_vectors, strict=True):
        if file and not rundir.last_step(args.run_dir):
            start_embedding(embedding, vocabulary, Path(file), "num_units")


def make_train_step(
    model: keras.Model, optimizer: keras.Optimizer, args: argparse.Namespace
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Returns the train step: from the parts of a `Batch` to loss, perplexity and gradient norm."""

    # One graph for batches of any size. There is no Python loop to be converted by AutoGraph.
    @tf.function(autograph=False, input_signature=data.BATCH)
    def train_step(source, source_mask, inputs, outputs, target_mask):
        # Forward pass: predict each word of the target from the source and the words before it.
        # Padding is left out before the classifier, so that it cannot change the loss.
        words = tf.boolean_mask(outputs, target_mask)
        with tf.GradientTape() as tape:
            logits = model(source, source_mask, inputs, target_mask, training=True)
            total, nats = cross_entropy(logits, words, args.label_smoothing)
            # The original divides by the number of sentences: long ones count more.
            count = tf.shape(source)[0] if args.loss_reduction == "sentences" else tf.size(words)
            loss = total / tf.cast(count, tf.float32)
        # Backward pass. Embeddings have sparse gradients: sum repeated rows before the norm.
        gradients = [tf.convert_to_tensor(gradient)
                     for gradient in tape.gradient(loss, model.trainable_variables)]
        # Clip by the global norm against exploding gradients, then update the weights.
        gradients, norm = tf.clip_by_global_norm(gradients, args.max_gradient_norm)
        optimizer.apply(gradients, model.trainable_variables)
        return loss, tf.exp(nats / tf.cast(tf.size(words), tf.float32)), norm

    return train_step


def write_samples(
    step: int, run: Path, monitor: Monitor, dev: data.Split, found: Sequence[Translation],
    languages: Run,
) -> None:
    """Writes translations of the first dev sentences, and the attention of one of them."""
    ways, lines = languages.tokenizations, []
    for source, reference, translation in zip(dev.sources, dev.references, found, strict=False):
        lines += [f"source       {join(source, ways[0])}",
                  f"reference    {join(reference, ways[1])}",
                  f"translation  {join(translation.tokens, ways[1])}", ""]
    (run / "samples").mkdir(exist_ok=True)
    (run / "samples" / f"{step:07d}.txt").write_text("\n".join(lines), encoding="utf-8")
    monitor.text(step, "samples", "\n".join(lines), "val")
    if found[0].attention is not None:
        png = run / "samples" / f"{step:07d}.png"
        draw_attention(dev.sources[0], found[0].tokens, found[0].attention, png)
        monitor.images(step, "attention_images", read_image(png)[None], "val")


def make_evaluate(
    languages: Run, dev: data.Split, metrics: Sequence[str]
) -> Callable[[int, Path, Monitor], dict[str, float]]:
    """Returns a function that scores the dev sentences, translated greedily, and writes samples."""
    translate, score = Translate(languages), make_score(languages.model)
    how = languages.tokenizations[1]
    references = [join_parts(tokens, how) for tokens in dev.references]

    def evaluate(step: int, run: Path, monitor: Monitor) -> dict[str, float]:
        found = [best for best, *_ in translate.sentences(
            dev.sources, Decoding(batch_size=EVAL_BATCH))]
        samples = [best for best, *_ in translate.sentences(
            dev.sources[:NUM_SAMPLES], Decoding(attention=True))]
        write_samples(step, run, monitor, dev, samples, languages)
        translations = [join_parts(best.tokens, how) for best in found]
        scores = {name: METRICS[name](translations, references) for name in metrics}
        scores["perplexity"] = score(dev, EVAL_BATCH)["perplexity"]
        monitor.scalars(step, scores, "val")
        return scores

    return evaluate


def introduce(args: argparse.Namespace, corpus: data.Data) -> None:
    """Prints the data, and in the demo the command of the book's run."""
    print(f"training on {args.dataset}, {args.src} to {args.tgt}\n{data.describe(corpus)}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book --data_dir FOLDER")
        for preset in ("best_zh", "best_vi"):
            folder = files.default_dir("{src}-{tgt}".format_map(PRESETS[preset]))
            if folder.is_dir():
                print(f"{folder} is there: python train.py --preset {preset}")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--max_steps` or `--patience`; returns its dev scores."""
    flags.check_flags(args)
    data.check_flags(args)
    corpus = data.load(args)
    introduce(args, corpus)
    # Build the network, and the batches: sentences of similar lengths together.
    model = flags.build_model(args, [len(vocabulary) for vocabulary in corpus.vocabularies])
    checkpoint.start_from(args, model=model)
    start_embeddings(args, model, corpus.vocabularies)
    args.learning_rate = args.learning_rate or flags.default_rate(args)
    rate = learning_rate(args)
    optimizer = (keras.optimizers.SGD if args.optimizer == "sgd" else keras.optimizers.Adam)(rate)
    batches = data.Batches(corpus.splits["train"], args)
    train_step = make_train_step(model, optimizer, args)
    metrics = args.metrics.split(",")
    languages = Run(model, corpus.vocabularies, corpus.tokenizations, args)
    evaluate = make_evaluate(languages, corpus.splits["dev"], metrics)
    parameters = model.count_params()
    with rundir.open_run(args, dataset_sha256=corpus.sha256, parameters=parameters) as run:
        save_languages(run, corpus)
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        best = BestByMetric(run, model, metrics)
        state = TrainState(run, {"model": model}, {"optimizer": (optimizer,
                           model.trainable_variables)}, **best.tracked)
        if args.patience and int(best.waited) >= args.patience:
            raise UserError(f"nothing to do: {run} has stopped early",
                            "raise --patience to continue, or start another run with a new --name")
        monitor = Monitor(run, int(state.step))
        stream = batches.start_at(int(state.step))
        for step, batch in state.steps(stream, args.max_steps, args.save_every, monitor):
            loss, perplexity, norm = train_step(*batch)
            # Log the loss of the batch.
            if step % args.log_every == 0:
                monitor.scalars(step, {"loss": loss, "perplexity": perplexity, "grad_norm": norm,
                                       "learning_rate": optimizer.learning_rate})
            # Translate the dev sentences, and keep the weights with the best scores.
            if step % args.eval_every == 0 or step == args.max_steps:
                scores = evaluate(step, run, monitor)
                best.update(state, scores)
                # Stop early if the first metric has not improved for long.
                if args.patience and int(best.waited) >= args.patience:
                    state.save()
                    break
    main_metric = metrics[0]
    print(f"dev: {main_metric} {scores[main_metric]:.2f} after {step:,} of {args.max_steps:,} "
          f"updates ({step / len(batches):.1f} epochs), best {float(state.best):.2f}; "
          f"perplexity {scores['perplexity']:.2f}")
    return {"step": step, "best": float(state.best), **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
