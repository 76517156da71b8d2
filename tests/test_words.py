"""common/words.py: words in many scripts, in Python and in a graph; lower case; Chinese."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import tensorflow as tf

from common.errors import UserError
from common.words import BETWEEN, language_of, lower, runs_of, segment

LETTERS = "IĞDIR İİ J\u0307Į\u0300 Ì ΟΔΟΣ ẞ Ⱥ É 春 ǅ"


def cut(text):
    spaced = tf.strings.regex_replace(lower(tf.constant(text)), BETWEEN, " ")
    return [word.decode() for word in tf.strings.split(spaced).numpy()]


@pytest.mark.parametrize(("text", "words"), [
    ("It's GOOD,\u3000isn't_it? Élan 2x ½", ["it", "s", "good", "isn", "t_it", "élan", "2x", "½"]),
    ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
    (unicodedata.normalize("NFD", "Việt Nam"), [unicodedata.normalize("NFD", "việt"), "nam"]),
    ("می\u200cخواهم שָׁלוֹם 葛\U000e0100城", ["می\u200cخواهم", "שָׁלוֹם", "葛\U000e0100城"]),
    ("\u0301a \u0301 b👨\u200d👩 ❤\ufe0fc", ["a", "b", "c"]),  # no letter before these marks
    ("... \u200d", []), ("", []),
])
def test_words_are_letters_with_their_marks(text, words):
    assert cut(text) == runs_of(r"\w").findall(text.lower()) == words
    assert runs_of(r"[^\W\d_]").findall("a1_हि ²") == ["a", "हि", "²"]


def test_lower_case_is_pythons():
    assert lower(tf.constant(LETTERS)).numpy().decode() == LETTERS.lower()


@pytest.mark.slow
@pytest.mark.parametrize("language", ["tr_TR.UTF-8", "lt_LT.UTF-8"])
def test_lower_case_does_not_follow_the_language_of_the_process(language):
    code = ("import sys, tensorflow as tf; from common.words import lower; "
            "sys.stdout.buffer.write(lower(tf.constant(sys.argv[1])).numpy())")
    done = subprocess.run([sys.executable, "-c", code, LETTERS], capture_output=True, check=True,
                          env=os.environ | {"LC_ALL": language, "PYTHONUTF8": "1"},
                          cwd=Path(__file__).parent.parent)
    assert done.stdout.decode() == LETTERS.lower()


def test_the_language_is_that_of_most_letters():
    assert language_of("我们是中国人。OK") == language_of("从前有座山\n" * 50_000) == "zh"
    assert language_of("the character 的, 123。，") == language_of("今日はいい天気です") == "en"
    assert language_of("") == language_of("123") == "en"


def test_chinese_words_come_from_jieba(monkeypatch, tmp_path):
    jieba = pytest.importorskip("jieba")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (spaced,) = segment(["房间很大很干净"], "zh", "word")
    assert spaced.split() == ["房间", "很大", "很", "干净"]
    folder = Path(jieba.dt.tmp_dir)
    assert folder.parent == tmp_path / "cache"
    assert folder.stat().st_mode & 0o077 == 0
    assert segment(["房间很大"], "zh", "char") == ["房间很大"]
    assert segment(["房间很大"], "en", "word") == ["房间很大"]
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(UserError, match="jieba, which is not installed") as stop:
        segment(["房间很大"], "zh", "word")
    assert "pip install jieba" in stop.value.hint
