"""Exports a trained classifier as a SavedModel that takes numbers, or texts, as they are.

    python export.py

One signature, of numbers:

serving_default  sequences: float32 (count, time, num_features), each filled up to the longest one
                 with anything; lengths: int64 (count,), from 1 to time -> labels, probabilities

or of texts:

serving_default  texts: string (count,) -> labels, probabilities

Cutting into words or characters is inside. Finding the words of Chinese is not: jieba is Python. A
network for Chinese words takes texts with spaces between them, `" ".join(jieba.cut(text))`; one for
characters, `--level char`, takes them as they are.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from chapter13_sequence_classification import data, laws
from chapter13_sequence_classification.inference import load_run
from chapter13_sequence_classification.model import SequenceClassifier
from chapter13_sequence_classification.words import Encoder
from common import cli, export


class TextClassifier(tf.Module):
    """A network and the encoder before it, as a SavedModel can hold them."""

    def __init__(self, model: SequenceClassifier, encoder: Encoder, names: Sequence[str]):
        """Joins them; `names` are the classes'."""
        super().__init__()
        self.model, self.encoder, self.names = model, encoder, tf.constant(names)

    def classify(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Turns string (count,) into labels and probabilities."""
        logits = self.model(self.encoder.encode(texts), training=False)
        return {"labels": tf.gather(self.names, tf.argmax(logits, axis=1)),
                "probabilities": tf.nn.softmax(logits)}


def make_classify(model: SequenceClassifier, names: Sequence[str]) -> Callable[..., Any]:
    """Returns the function that takes numbers."""

    def classify(sequences: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        time = tf.shape(sequences, tf.int64)[1]
        fits = tf.reduce_all((lengths >= 1) & (lengths <= time))
        check = tf.debugging.Assert(fits, ["lengths go from 1 to", time, "here they are", lengths])
        with tf.control_dependencies([check]):  # else the network may fail first, in its own words
            lengths = tf.identity(lengths)
        logits = model((sequences / laws.MAX_VALUE, lengths), training=False)
        labels = tf.gather(tf.constant(names), tf.argmax(logits, axis=1))
        return {"labels": labels, "probabilities": tf.nn.softmax(logits)}

    return classify


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and tries it in a process of its own."""
    model, names, vocabulary = load_run(args, flags)
    about = {"labels": names}
    if vocabulary is None:
        held, classify = model, make_classify(model, names)
        specs = {"sequences": tf.TensorSpec((None, None, flags.num_features), tf.float32),
                 "lengths": tf.TensorSpec((None,), tf.int64)}
        test = data.load(flags).splits["test"]
        examples = {"sequences": test.sequences[:50] * laws.MAX_VALUE, "lengths": test.lengths[:50]}
        about["sequences"] = f"numbers in [0, {laws.MAX_VALUE}]"
    else:
        held = TextClassifier(model, Encoder(vocabulary, flags.level, flags.max_tokens), names)
        classify, specs = held.classify, {"texts": tf.TensorSpec((None,), tf.string)}
        apart = "" if flags.level == "char" else " "
        examples = {"texts": tf.constant([apart.join(vocabulary[-30:]), "", "!"])}
        spaced = (flags.language, flags.level) == ("zh", "word")
        about["texts"] = "spaces between words, as jieba puts them" if spaced else "as they are"
    export.write(args.run_dir, held, {"serving_default": (classify, specs)},
                          {"serving_default": examples}, about)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
