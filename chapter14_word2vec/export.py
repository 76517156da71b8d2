"""Exports word vectors as a SavedModel, and as a text file for gensim and other programs.

    python export.py

The SavedModel holds the vocabulary. A word outside it gets the vector of UNK. Two signatures:

serving_default  words: strings (count,) -> vectors, known
nearest          words: strings (count,), num_nearest: int32 (count,), the same in all rows
                 -> words, cosines, each (count, num_nearest), or fewer columns if the vocabulary
                 is smaller

vectors.txt, beside the SavedModel, is in the text format of the original word2vec.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from chapter14_word2vec import vectors
from chapter14_word2vec.inference import load_run
from common import cli, export
from common.text import lookup_table


class WordTable(tf.Module):
    """Word vectors and their vocabulary, in the form that a SavedModel can hold."""

    def __init__(self, matrix: np.ndarray, vocabulary: Sequence[str]):
        """Takes vectors, float32 of shape (words, size), and their words, of which UNK is first."""
        super().__init__()
        self.table = lookup_table(vocabulary)
        self.words = tf.constant(vocabulary)
        self.vectors = tf.Variable(matrix, trainable=False)

    def look_up(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the vectors of words, not normalised, and whether each word is known."""
        ids = self.table.lookup(words)
        return {"vectors": tf.gather(self.vectors, ids), "known": ids > 0}

    def nearest(self, words: tf.Tensor, num_nearest: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the words with the largest cosines, excluding the query itself and UNK.

        Those of an unknown word have no meaning: `known` tells.
        """
        num_nearest = export.same_in_all("num_nearest", num_nearest, 1)
        ids = self.table.lookup(words)
        unit = tf.linalg.l2_normalize(self.vectors, axis=1)
        cosines = tf.matmul(tf.gather(unit, ids), unit, transpose_b=True)  # (count, words)
        candidates = tf.range(tf.size(self.words))
        excluded = (candidates == 0) | (candidates == ids[:, None])
        count = tf.minimum(num_nearest, tf.size(self.words) - 2)  # all but UNK and the query
        cosines, found = tf.math.top_k(tf.where(excluded, -2.0, cosines), count)
        return {"words": tf.gather(self.words, found), "cosines": cosines, "known": ids > 0}


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run, checks it in another process, and writes vectors.txt."""
    matrix, vocabulary = load_run(args, flags)
    table = WordTable(matrix, vocabulary)
    words = tf.TensorSpec((None,), tf.string)
    asked = tf.constant([vocabulary[1], "no such word", vocabulary[-1]])
    num_nearest = min(8, len(vocabulary) - 2)
    export.write(
        args.run_dir,
        table,
        {
            "serving_default": (table.look_up, {"words": words}),
            "nearest": (table.nearest, {"words": words,
                                        "num_nearest": tf.TensorSpec((None,), tf.int32)}),
        },
        {"serving_default": {"words": asked},
         "nearest": {"words": asked, "num_nearest": [num_nearest] * 3}},
        {"words": "in lower case", "vectors": "not normalised"},
    )
    path = args.run_dir / "export" / "vectors.txt"
    vectors.save_word2vec(path, matrix, vocabulary)
    print(f"{path}: {len(vocabulary):,} words")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__, checkpoint="latest")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
