"""Loads the word vectors of a finished run, for all scripts that use one."""

import argparse
from typing import NamedTuple

import numpy as np

from chapter14_word2vec.model import Word2Vec
from common import checkpoint, files


class Run(NamedTuple):
    """Trained word vectors, float32 of shape (words, size), and the word of each row, UNK first."""

    vectors: np.ndarray
    vocabulary: list[str]


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Returns the word vectors of a run.

    Args:
        args: arguments of the script: `run_dir` and `checkpoint`.
        flags: flags that the run was trained with.
    """
    vocabulary = files.read_json(args.run_dir / "vocabulary.json")
    model = Word2Vec(len(vocabulary), flags.embedding_size)
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return Run(model.embeddings.numpy(), vocabulary)
