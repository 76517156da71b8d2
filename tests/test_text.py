"""common/text.py: files as their text or a message, tokens as numbers in Python and in a graph."""

import gzip
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from common.errors import UserError
from common.text import (
    UNKNOWN,
    build_vocabulary,
    decode,
    docstrings,
    encode,
    lookup_table,
    read_text,
)

TEXT = "eins zwei\r\nd\x85rei é 春\n"


def write_zip(path, *texts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        for number, raw in enumerate(texts):
            archive.writestr(f"folder/{number}.txt", raw)
    return path


def test_a_text_is_read_as_it_is_plain_gzipped_or_zipped(tmp_path):
    plain, marked, packed = (tmp_path / name for name in ("a.txt", "b.txt", "c.txt.gz"))
    plain.write_bytes(TEXT.encode())
    marked.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    packed.write_bytes(gzip.compress(marked.read_bytes()))
    zipped = write_zip(tmp_path / "text8", TEXT.encode())  # known by its content, not its name
    assert {read_text(path) for path in (plain, marked, packed, zipped)} == {TEXT}
    plain.write_bytes("é\x85".encode("latin-1"))
    assert read_text(plain, "latin-1") == "é\x85"


def test_what_is_no_text_is_named(tmp_path):
    flipped = bytearray(write_zip(tmp_path / "whole.zip", b"one two three " * 999).read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    torn = bytearray(gzip.compress(b"one two three" * 99))
    for name, raw, says in (
        ("gb.txt", "春".encode("gb18030"), "gb.txt is not UTF-8: byte 0xb4 at offset 0"),
        ("late.txt", b"abc\xff", "byte 0xff at offset 3"),
        ("flipped.zip", bytes(flipped), "is a damaged zip"),
        ("short.zip", bytes(flipped[:80]), "is a damaged zip"),
        ("plain.gz", b"no gzip", "cannot read"),
        ("torn.gz", bytes(torn[:-9]), "cannot read"),
        ("flipped.gz", bytes([*torn[:12], 255, *torn[13:]]), "cannot read"),
    ):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(UserError, match=says) as stop:
            read_text(tmp_path / name)
        assert stop.value.hint
    for number in (0, 2):
        with pytest.raises(UserError, match=f"holds {number} files"):
            read_text(write_zip(tmp_path / "some.zip", *[b"text"] * number))
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match=f"cannot read {path}"):
            read_text(path)
    with pytest.raises(UserError, match="stdin is not UTF-8"):
        decode(b"\xff", "stdin")


def test_docstrings_of_modules_classes_and_functions(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('''"""One."""
class A:
    """Two."""
    def f(self):
        """Three.

        More.
        """
async def g():
    """Four."""
def h():
    ""
def i():
    return 1
''', encoding="utf-8")
    assert sorted(docstrings(path)) == ["Four.", "One.", "Three.\n\nMore.", "Two."]


def test_a_vocabulary_is_ranked_by_count_then_by_name():
    assert build_vocabulary("abracadabra!", 4) == [UNKNOWN, "a", "b", "r"]
    assert build_vocabulary("abracadabra!", 3, special=()) == ["a", "b", "r"]
    assert build_vocabulary({"b": 1, "c": 2, "</s>": 9, "a": 1}, 5, special=["<unk>", "</s>"]) == [
        "<unk>", "</s>", "c", "a", "b"]
    assert build_vocabulary([], 9) == [UNKNOWN]


@pytest.mark.parametrize(("special", "unknown"), [((UNKNOWN,), 0), ((), 3)])
def test_unknown_tokens_have_one_number_in_python_and_in_a_graph(special, unknown):
    vocabulary = build_vocabulary("abracadabra!", 3 + len(special), special)
    expected = [vocabulary.index("b"), vocabulary.index("a"), unknown, unknown]
    numbers = encode("ba𝒳!", vocabulary, unknown)
    assert numbers.tolist() == expected and numbers.dtype == np.int32
    found = lookup_table(vocabulary, unknown).lookup(tf.constant(["b", "a", "𝒳", "!"]))
    assert found.numpy().tolist() == expected and found.dtype == tf.int32
    assert encode(["b", "?"], vocabulary).tolist() == [vocabulary.index("b"), 0]
    assert encode([], vocabulary).shape == (0,)
