"""What every script needs of a finished run: its word vectors and their words."""

import argparse
from typing import NamedTuple

import numpy as np

from chapter14_word2vec.model import Word2Vec
from common import checkpoint, cli, rundir


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
    vocabulary = rundir.read_json(args.run_dir / "vocabulary.json")
    model = Word2Vec(len(vocabulary), flags.embedding_size)
    checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return Run(model.embeddings.numpy(), vocabulary)


def verb_parser(doc: str, prog: str) -> cli.Parser:
    """Returns the parser of a script on a finished run.

    No text is held out that could choose a best checkpoint, so that it is the newest.
    """
    return cli.verb_parser(doc, prog, checkpoint="latest")
