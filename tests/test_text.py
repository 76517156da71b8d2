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
    extension,
    lookup_table,
    read_text,
)

TEXT = "eins zwei\r\nd\x85rei é 春\n"


def write_zip(path, *texts, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
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
    wide, unnamed = tmp_path / "wide", tmp_path / "packed"
    wide.write_bytes(TEXT.encode("utf-16"))
    unnamed.write_bytes(gzip.compress(TEXT.encode("utf-32")))
    texts = plain, marked, packed, zipped, wide, unnamed
    assert {read_text(path) for path in texts} == {TEXT}
    plain.write_bytes("é\x85".encode("latin-1"))
    assert read_text(plain, "latin-1") == "é\x85"


def test_what_is_no_text_is_named(tmp_path):
    flipped = bytearray(write_zip(tmp_path / "whole.zip", b"one two three " * 999).read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    torn = bytearray(gzip.compress(b"one two three" * 99))
    for name, raw, says in (
        ("gb.txt", "春".encode("gb18030"), "gb.txt is not UTF-8: byte 0xb4 at offset 0"),
        ("late.txt", b"abc\xff", "byte 0xff at offset 3"),
        ("flipped.zip", bytes(flipped), "cannot read"),
        ("short.zip", bytes(flipped[:80]), "cannot read"),
        ("zeros.txt", b"a\0b", "is not a text: it has 1 NUL"),
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
    lzma = write_zip(tmp_path / "l.zip", bytes(range(256)) * 9, method=zipfile.ZIP_LZMA)
    raw = bytearray(lzma.read_bytes())
    raw[raw.index(b"0.txt") + 30] ^= 0xFF
    lzma.write_bytes(raw)
    for path in (tmp_path, tmp_path / "absent", lzma):
        with pytest.raises(UserError, match=f"cannot read {path}"):
            read_text(path)
    with pytest.raises(UserError, match="stdin is not UTF-8"):
        decode(b"\xff", "stdin")


@pytest.mark.parametrize(("encoding", "text"), [
    ("GB18030", "红楼梦第一回。说着，宝玉道：朱镕基是不在的人了。"),
    ("BIG5", "紅樓夢。這個人是不在的，我們一起來了。說著寶玉道。"),
    ("SHIFT_JIS", "今日はいい天気です。彼の本を読んだ。"),
    ("EUC-JP", "今日はいい天気です。彼の本を読んだ。"),
    ("EUC-KR", "나는 학교에 간다. 이것은 책이다. 그의 이름을 부른다."),
    ("KOI8-R", "Однажды весною, в час небывало жаркого заката, в Москве"),
    ("WINDOWS-1251", "Однажды весною, в час небывало жаркого заката, в Москве"),
    ("WINDOWS-1252", "Le café était fermé. Über den Bäumen fällt schöner Schnee."),
    ("GB18030", "次日清晨她推开窗户看见院子里落满桃花。\n老人坐在树下默默望着远山。"),
    ("GB18030", "体育\t国足抵京\n财经\t房价\n教育\t考研英语复习全指南"),
    ("GB18030", "张伟\n王芳\n李娜\n陈琪瑶\n杨磊\n赵强\n张婷婷\n周杰"),
    ("BIG5", "次日清晨她推開窗戶看見院子裡落滿桃花"),
    ("EUC-KR", "안녕하세요 반갑습니다 서울 부산 대구 광주"),
    ("SHIFT_JIS", "コンピュータ\nテレビ\nラジオ"),
    ("WINDOWS-1251", "Москва\nКазань\nОмск\nТула\nСамара"),
    ("WINDOWS-1252", "Räksmörgås är gott på sommaren. “It’s fine”"),
    ("UTF-16LE", "plain words"), ("UTF-16BE", "说着，宝玉道：我是不在的人了。"),
])
def test_the_likely_encoding_is_told(encoding, text):
    start = "" if "16" in encoding else "plain ASCII comes first "
    with pytest.raises(UserError) as stop:
        decode((start + text).encode(encoding), "a text")
    assert f"it may be {encoding}: iconv -f {encoding} " in stop.value.hint


def test_a_text_cut_inside_a_character_is_told_from_another_encoding():
    with pytest.raises(UserError, match="is not UTF-8: byte 0xe6 at offset 600") as stop:
        decode(("春" * 200 + "昶").encode()[:-1], "a text")
    assert "iconv -c" in stop.value.hint


@pytest.mark.parametrize(("encoding", "text"), [
    ("cp1250", "Zażółć gęślą jaźń. Litwo! Ojczyzno moja! ty jesteś jak zdrowie; ile cię trzeba"),
    ("cp1253", "Η Ελλάδα είναι μια χώρα της νότιας Ευρώπης. Καλημέρα σας, τι κάνετε;"),
    ("cp1255", "בראשית ברא אלהים את השמים ואת הארץ"), ("latin-1", "ÿ"),
])
def test_no_encoding_is_told_for_other_alphabets(encoding, text):
    with pytest.raises(UserError) as stop:
        decode(text.encode(encoding), "a text")
    assert "GB18030 for Chinese" in stop.value.hint


@pytest.mark.parametrize("pack", ["gz", "zip"])
def test_a_small_file_that_unpacks_to_much_is_refused(pack, tmp_path):
    path, raw = tmp_path / f"bomb.{pack}", b"\n" * (2**20 + 1)
    if pack == "gz":
        path.write_bytes(gzip.compress(raw))
    else:
        write_zip(path, raw)
    with pytest.raises(UserError, match="unpacks to more than 1 MB") as stop:
        read_text(path, max_unpacked_mb=1)
    assert "raise --max_unpacked_mb" in stop.value.hint
    assert len(read_text(path, max_unpacked_mb=2)) == len(raw)
    (tmp_path / "plain").write_bytes(raw)
    assert len(read_text(tmp_path / "plain", max_unpacked_mb=1)) == len(raw)


def test_the_extension_of_a_packed_text_is_that_of_its_content(tmp_path):
    for name, expected in (("a.CSV", ".csv"), ("a b.tsv.gz", ".tsv"), ("a.gz", ""), ("a", "")):
        assert extension(tmp_path / name) == expected
    path = write_zip(tmp_path / "archive.zip", b"text")
    assert extension(path) == ".txt"
    path.write_bytes(path.read_bytes().replace(b"PK\1\2", b"PK\1\1"))
    with pytest.raises(UserError, match=r"cannot read .*archive\.zip"):
        extension(path)


def test_what_a_mac_adds_to_an_archive_is_ignored(tmp_path):
    path = write_zip(tmp_path / "m.zip", b"text")
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("__MACOSX/folder/._0.txt", "__MACOSX/._中 文.csv", ".DS_Store"):
            archive.writestr(name, b"\0\5\x16\7")
    assert read_text(path) == "text" and extension(path) == ".txt"


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
