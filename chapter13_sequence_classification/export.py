"""Exports a trained classifier as a SavedModel that takes raw numbers or texts.

    python export.py

The SavedModel has one signature. For numbers:

serving_default  sequences: float32 (count, time, num_features), padded with any value;
                 lengths: int64 (count,), from 1 to time -> labels, probabilities

For texts:

serving_default  texts: string (count,) -> labels, probabilities

Tokenization is part of the graph, but the word segmentation of Chinese is not: jieba is a Python
library. A network of Chinese words takes segmented texts, `" ".join(jieba.cut(text))`; a network of
characters (`--level char`) takes any text.
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
    """A network with the encoder of its inputs, stored in the SavedModel."""

    def __init__(self, model: SequenceClassifier, encoder: Encoder, names: Sequence[str]):
        """Combines a network, its encoder and the names of its classes."""
        super().__init__()
        self.model, self.encoder, self.names = model, encoder, tf.constant(names)

    def classify(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies texts, string (count,)."""
        logits = self.model(self.encoder.encode(texts), training=False)
        return {"labels": tf.gather(self.names, tf.argmax(logits, axis=1)),
                "probabilities": tf.nn.softmax(logits)}


def make_classify(model: SequenceClassifier, names: Sequence[str]) -> Callable[..., Any]:
    """Returns the function that classifies number sequences."""

    def classify(sequences: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        time = tf.shape(sequences, tf.int64)[1]
        fits = tf.reduce_all((lengths >= 1) & (lengths <= time))
        check = tf.debugging.Assert(fits, ["lengths must be from 1 to", time, "got", lengths])
        with tf.control_dependencies([check]):  # so that this error comes before any other
            lengths = tf.identity(lengths)
        logits = model((sequences / laws.MAX_VALUE, lengths), training=False)
        labels = tf.gather(tf.constant(names), tf.argmax(logits, axis=1))
        return {"labels": labels, "probabilities": tf.nn.softmax(logits)}

    return classify


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a separate process."""
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
        separator = "" if flags.level == "char" else " "
        examples = {"texts": tf.constant([separator.join(vocabulary[-30:]), "", "!"])}
        segmented = (flags.language, flags.level) == ("zh", "word")
        about["texts"] = "segmented by jieba, words separated by spaces" if segmented else "any"
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
