"""What every script needs of a finished run: its word vectors and their words."""

import argparse
from typing import NamedTuple

import numpy as np

from chapter14_word2vec.model import Word2Vec
from common import checkpoint, files


class Run(NamedTuple):
    """Trained word vectors, float32 of shape (words, size), and each row's word; UNK is first."""

    vectors: np.ndarray
    vocabulary: list[str]


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Returns the word vectors of a run.

    Args:
        args: a verb's arguments: `run_dir` and `checkpoint`.
        flags: those the run was trained with.
    """
    vocabulary = files.read_json(args.run_dir / "vocabulary.json")
    model = Word2Vec(len(vocabulary), flags.embedding_size)
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return Run(model.embeddings.numpy(), vocabulary)
