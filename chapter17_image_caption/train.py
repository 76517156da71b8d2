"""Trains a network that writes captions of pictures (book, chapter 17).

    python train.py                                      # scenes of shapes, with attention
    python train.py --model tell --learning_rate 0.001   # the same by Show and Tell
    python train.py --decoder transformer --embedding_size 128 --learning_rate 0.001
    python train.py --preset book --data_dir FOLDER      # COCO, section 17.2.4
    python train.py --preset flickr8k --data_dir FOLDER --weights FILE
    python caption.py photo.jpg

Papers: Vinyals et al. 2015 (Show and Tell), Xu et al. 2015 (Show, Attend and Tell), Wu et al. 2016
(attributes), Vaswani et al. 2017 (Transformer). Every `--eval_every` updates it measures the
perplexity of the validation captions, keeps the weights with the lowest, and writes captions of
some pictures.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from chapter17_image_caption import batches, data, encoder, flags
from chapter17_image_caption.caption_files import join_words
from chapter17_image_caption.data import Data
from chapter17_image_caption.inference import (
    Decoding,
    Describe,
    Detector,
    Run,
    make_score,
    models_of,
    save_words,
    see_split,
)
from chapter17_image_caption.model import Captioner, caption_loss, doubly_stochastic
from chapter17_image_caption.transformer import Transformer
from common import checkpoint, cli, files, images, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

ZERO = tf.UnconnectedGradients.ZERO  # pretraining does not use the encoder
NUM_SAMPLES = 6  # validation pictures whose captions are written at each evaluation

ADAM = {"optimizer": "adam", "schedule": "cosine"}
FLICKR8K = ADAM | {"dataset": "flickr8k", "encoder": "MobileNet", "alpha": 0.75}
PRESETS = {
    "demo": ADAM | {
        "model": "attend",
        "num_lstm_units": 128,
        "embedding_size": 64,
        "image_dropout": 0.0,
        "dropout": 0.1,
        "attention_penalty": 0.01,
        "learning_rate": 0.003,
        "batch_size": 64,
        "max_steps": 2500,
        "eval_every": 500,
    },
    # Section 17.2.4 and the original's configuration.py. The dropout of the picture is part of
    # Inception there: there is none while Inception is frozen.
    "book": {"dataset": "coco", "encoder": "InceptionV3", "augment": True, "image_dropout": 0.0},
    # The second phase of the original: Inception is trained too, at a constant rate, from the step
    # 1,000,000 to 3,000,000.
    "book_finetune": {"dataset": "coco", "encoder": "InceptionV3", "augment": True,
                      "train_encoder": True, "learning_rate": 0.0005, "schedule": "constant",
                      "max_steps": 2000000},
    # The few pictures of Flickr8k that are at hand, and its captions without pictures.
    "flickr8k": FLICKR8K | {
        "model": "attributes",
        "context": "every_step",
        "num_lstm_units": 256,
        "embedding_size": 256,
        "image_dropout": 0.0,
        "dropout": 0.4,
        "learning_rate": 0.002,
        "batch_size": 64,
        "pretrain_steps": 1200,
        "max_steps": 1260,
        "eval_every": 60,
    },
}


def build_parser() -> cli.Parser:
    """Returns the parser; its flags are in data.py, encoder.py and flags.py."""
    parser = cli.training_parser(__file__, __doc__, PRESETS,
                                 free=["cache_dir", "weights", "schedule", *flags.DECAY],
                                 neutral=["cache_dir", "weights"])
    data.add_flags(parser)
    encoder.add_flags(parser)
    flags.add_network_flags(parser)
    flags.add_training_flags(parser)
    cli.add_init_from(parser)
    return parser


def make_train_step(
    encode: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], captioner: Captioner | Transformer,
    optimizer: keras.Optimizer, variables: Sequence[keras.Variable], args: argparse.Namespace,
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Returns the train step: from a batch to the loss in nats per word and the gradient norm.

    Args:
        encode: from what a batch has of its pictures, and a key, to feature vectors.
        captioner: the decoder.
        optimizer: updates the weights.
        variables: the weights.
        args: the flags.
    """
    @tf.function(reduce_retracing=True)
    def train_step(sees, key, inputs, outputs, mask):
        # Forward pass: predict each word from the picture and the words before it. Padding is left
        # out before the classifier, so that it cannot change the loss.
        words = tf.boolean_mask(outputs, mask)
        with tf.GradientTape() as tape:
            found, weights = captioner(encode(sees, key), inputs, training=True)
            loss = caption_loss(captioner.classifier(tf.boolean_mask(found, mask)), words)
            total = loss
            # Ask attention to look at all places in the course of a caption.
            if args.model == "attend":
                total += args.attention_penalty * doubly_stochastic(weights, mask)
        # Backward pass. Embeddings have sparse gradients: sum repeated rows before the norm.
        sources = [variable.value for variable in variables]
        gradients = [tf.convert_to_tensor(gradient) for gradient in
                     tape.gradient(total, sources, unconnected_gradients=ZERO)]
        # Clip by the global norm, then update the weights.
        gradients, norm = tf.clip_by_global_norm(gradients, args.max_gradient_norm)
        optimizer.apply(gradients, variables)
        return loss, norm

    return train_step


def make_evaluate(run: Run, found: Data) -> Callable[[int, Path, Monitor], float]:
    """Returns a function that computes the validation perplexity and writes some captions."""
    split, score = found.splits["validation"], make_score(run.captioner)
    owners, words = data.pairs(split.captions)
    captions = data.encode(words, found.vocabulary)
    describe = Describe(run, Decoding(beam_size=3))

    def evaluate(step: int, folder: Path, monitor: Monitor) -> float:
        sees, _ = see_split(run, split, found.sha256, "validation")
        perplexity = score(sees, owners, captions)
        monitor.scalars(step, {"perplexity": perplexity}, "val")
        texts, shown = [], []
        for number, best in enumerate(describe.features(sees[:NUM_SAMPLES])):
            reference = join_words(split.captions[number][0])
            texts += [split.names[number], f"  reference  {reference}",
                      f"  caption    {join_words(best[0].words)}"]
            shown.append(np.uint8(run.fit_image(split.read(number))))
        monitor.text(step, "captions", "\n".join(texts), "val")
        (folder / "samples").mkdir(exist_ok=True)
        (folder / "samples" / f"{step:07d}.txt").write_text("\n".join(texts) + "\n",
                                                            encoding="utf-8")
        images.write_png(folder / "samples" / "pictures.png", images.grid(shown, len(shown)))
        return perplexity

    return evaluate


def introduce(args: argparse.Namespace, found: Data) -> None:
    """Prints the data, and in the demo the commands of the other runs."""
    print(f"training on {args.dataset}\n{data.describe(found)}")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book --data_dir FOLDER")
        for name in ("coco", "flickr8k"):
            if (folder := files.default_dir(name)).is_dir():
                preset = "book" if name == "coco" else name
                print(f"{folder} is there: python train.py --preset {preset}")


def start_from_run(args: argparse.Namespace, models: dict[str, Any]) -> None:
    """Takes the weights of `--init_from`.

    An encoder that was frozen there keeps `--weights`; the detector has been fitted to these data.
    """
    if args.init_from:
        there = rundir.read_config(rundir.find_run(args.chapter, args.init_from), args.chapter)
        trained = encoder.is_trained(argparse.Namespace(**there["flags"]))
        checkpoint.start_from(args, **{
            name: model for name, model in models.items()
            if name != "detector" and (name != "encoder" or trained)})


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--max_steps`; returns its validation perplexity."""
    flags.check_flags(args)
    keras.utils.set_random_seed(args.seed)
    found = data.load(args)
    introduce(args, found)
    # Build the encoder, and see the training pictures through it, once if it does not change.
    network = encoder.build(args)
    sight = batches.look(args, network, found)
    detector = Detector(sight.detector) if sight.detector else None
    captioner = flags.build_captioner(args, len(found.vocabulary), sight.channels)
    models = models_of(captioner, network, detector, args)
    start_from_run(args, models)
    variables = [variable for model in models.values() if model is not detector
                 for variable in model.trainable_variables]
    stream = batches.Batches(args, found, sight, network.input_shape[1])
    optimizer = flags.make_optimizer(args, len(stream))
    # One step for feature vectors, and one for pictures.
    optimizer.build(variables)
    read = make_train_step(lambda sees, key: sees, captioner, optimizer, variables, args)
    live = make_train_step(batches.live_encoder(args, network), captioner, optimizer, variables,
                           args) if encoder.is_live(args) else read
    run = Run(captioner, network, detector, found.vocabulary, list(sight.words), args)
    evaluate = make_evaluate(run, found)
    if encoder.is_live(args):  # a file that breaks off is an error now, not at the first evaluation
        for number in range(len(found.splits["validation"].names)):
            found.splits["validation"].read(number)
    parameters = sum(int(np.prod(variable.shape)) for variable in variables)
    with rundir.open_run(args, dataset_sha256=found.sha256, parameters=parameters) as folder:
        save_words(folder, found.vocabulary, sight.words, network.output_shape[-1])
        # Restore the latest checkpoint, if there is one, and start the stream at its step.
        state = TrainState(folder, models, {"captioner": (optimizer, variables)})
        monitor = Monitor(folder, int(state.step))
        batch_stream = stream.start_at(int(state.step))
        for step, batch in state.steps(batch_stream, args.max_steps, args.save_every, monitor):
            update = read if batch.pretraining else live
            loss, norm = update(batch.sees, batch.key, *batch.words)
            # Log the loss of the batch, and how long its captions are.
            if step % args.log_every == 0:
                monitor.scalars(step, {"loss": loss, "grad_norm": norm, "caption_length":
                                       batch.words.mask.sum(axis=1).mean(),
                                       "learning_rate": optimizer.learning_rate})
            # Measure the validation captions, and keep the weights with the lowest perplexity.
            if step % args.eval_every == 0 or step == args.max_steps:
                perplexity = evaluate(step, folder, monitor)
                state.save_if_best(perplexity)
    print(f"validation: perplexity {perplexity:.2f} after {step:,} updates, "
          f"best {float(state.best):.2f}")
    return {"step": step, "best": float(state.best), "perplexity": perplexity}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
