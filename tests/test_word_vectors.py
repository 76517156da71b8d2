"""Embeddings start from the word vectors of a file."""

import gzip
import zipfile

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


def binary(*rows):
    return f"{len(rows)} 2\n".encode() + b"".join(
        word.encode() + b" " + np.array(vector, "<f4").tobytes() + b"\n" for word, vector in rows)


@pytest.mark.parametrize(("name", "raw"), [
    ("v.vec", b"3 2\r\ngood 1.5 -2 \r\nother 9 9\r\nb\xc3\xa9b\xc3\xa9 1e-1\t0\r\n\r\n"),
    ("glove.txt", "good 1.5 -2\nother 9 9\ngood @ x.com 7 7\n\u0085 8 8\nbébé .1 0".encode()),
    ("v.bin", binary(("good", [1.5, -2]), ("other", [9, 9]), ("bébé", [0.1, 0]))),
    ("marked.txt", "\ufeffgood 1.5 -2\nother 9 9\nbébé .1 0\n".encode()),
    ("marked.vec", "\ufeff3 2\ngood 1.5 -2\nother 9 9\nbébé .1 0\n".encode()),
    ("latin.txt", b"4 2\ngood 1.5 -2\ncaf\xe9 1 1\nother 9 9\nb\xc3\xa9b\xc3\xa9 .1 0\n"),
])
@pytest.mark.parametrize("packing", ["", ".gz", ".zip"])
def test_only_the_vectors_of_the_vocabulary_are_kept(name, raw, packing, tmp_path, capsys):
    path = tmp_path / f"{name}{packing}"
    if packing == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, raw)
    else:
        path.write_bytes(gzip.compress(raw) if packing else raw)
    found = read_vectors(path, 2, ["bébé", "unseen", "good", "\n", " "])
    assert found.keys() == {"good", "bébé"}
    np.testing.assert_array_equal(found["good"], np.float32([1.5, -2]))
    np.testing.assert_array_equal(found["bébé"], np.float32([0.1, 0]))
    assert ("1 of 4 words are not UTF-8" in capsys.readouterr().err) == (name == "latin.txt")


@pytest.mark.parametrize(("text", "says"), [
    ("", "does not begin with two counts"), ("good\n", "does not begin with two counts"),
    ("1 3\ngood 1 2 3\n", "dimension 3, --embedding_size is 2"),
    ("good 1 2 3\n", "dimension 3, --embedding_size is 2"),
    ("2 2\ngood 1 2\nbad 1\n", "line 3: not a word and 2 numbers"),
    ("good 1 2\nbad 1\n", "line 2: not a word and 2 numbers"),
    ("1 2\ngood 1 two\n", "line 2: not a word"), ("1 2\ngood 1 nan\n", "line 2: not a word"),
    ("3 2\ngood 1 2\n", "announces 3 vectors and has 1"),
])
def test_bad_vectors_are_named(text, says, tmp_path):
    with pytest.raises(UserError, match=says):
        read_vectors(write_vectors(tmp_path / "v.txt", text), 2, ["good", "bad"])


def test_a_torn_binary_file_and_a_bomb_are_named(tmp_path):
    torn = binary(("good", [1, 2]), ("bad", [3, 4]))[:-3]
    (tmp_path / "v.bin").write_bytes(torn)
    with pytest.raises(UserError, match="announces 2 vectors and has 1"):
        read_vectors(tmp_path / "v.bin", 2, ["good"])
    (tmp_path / "v.gz").write_bytes(gzip.compress(bytes(2**22)))
    with pytest.raises(UserError, match="does not begin with two counts"):
        read_vectors(tmp_path / "v.gz", 2, ["good"])
