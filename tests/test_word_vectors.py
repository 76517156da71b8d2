"""Embeddings start from the word vectors of a file."""

import keras
import numpy as np
import pytest

from common.errors import UserError
from common.word_vectors import read_vectors, start_embedding


def write_vectors(path, text="3 2\nUNK 0 0\ngood 1.5 -2\nbad 1e-1 0\n"):
    path.write_text(text, encoding="utf-8")
    return path


def test_word_vectors_of_a_file_are_taken_over(tmp_path, capsys):
    embedding = keras.layers.Embedding(3, 2)
    embedding.build(None)
    before = embedding.embeddings.numpy()
    start_embedding(embedding, ["UNK", "other", "good"], write_vectors(tmp_path / "v.txt"))
    np.testing.assert_array_equal(embedding.embeddings, [[0, 0], before[1], [1.5, -2]])
    assert capsys.readouterr().out == f"{tmp_path / 'v.txt'}: 2 of 3 words\n"


@pytest.mark.parametrize(("text", "says"), [
    ("", "does not begin with two counts"), ("good 1 2\n", "does not begin with two counts"),
    ("1 3\ngood 1 2 3\n", "dimension 3, --embedding_size is 2"),
    ("2 2\ngood 1 2\nbad 1\n", "line 3: not a word and 2 numbers"),
    ("1 2\ngood 1 two\n", "line 2: not a word"), ("1 2\ngood 1 nan\n", "line 2: not a word"),
    ("3 2\ngood 1 2\n", "announces 3 vectors and has 1"),
])
def test_bad_vectors_are_named(text, says, tmp_path):
    with pytest.raises(UserError, match=says):
        read_vectors(write_vectors(tmp_path / "v.txt", text), 2)
