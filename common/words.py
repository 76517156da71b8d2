"""Words of a text in any language: letters with their marks, lower case, Chinese segmentation."""

import os
import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import tensorflow as tf

from common import files
from common.errors import UserError

# Marks belong to the letter before them: vowel signs (हिन्दी), accents in decomposed form. So do
# the joiners of Persian and others. No mark lies outside of the two ranges.
JOINERS = "\u200c\u200d"
MARKS = JOINERS + "".join(
    char for char in map(chr, [*range(0x300, 0x20000), *range(0xE0100, 0xE01F0)])
    if unicodedata.category(char).startswith("M"))
# In a graph, what lies between words: it begins with no mark, and may go on with marks of its own.
BETWEEN = rf"(?:^|[^\pL\pM\pN_{JOINERS}])[^\pL\pN_]*"
SAMPLE_SIZE = 100_000  # characters that decide the language


def runs_of(letter: str) -> re.Pattern[str]:
    r"""Returns the pattern of a word: letters, such as `\w` or `[^\W\d_]`, with their marks."""
    # Most words end at a character below the first mark: a quick test before the long list.
    return re.compile(rf"{letter}+(?:(?![\0-\u02ff])[{MARKS}]+{letter}*)*+")


def lower(texts: tf.Tensor) -> tf.Tensor:
    """Converts UTF-8 strings to lower case in a graph, as `str.lower` does.

    `tf.strings.lower` alone follows the language of the process (LC_ALL): in Turkish and Azeri,
    I becomes ı; in Lithuanian, some accented letters get another dot. ASCII and the letters
    concerned are converted first.
    """
    texts = tf.strings.lower(texts)  # ASCII only
    for letter in "İÌÍĨĮ":
        texts = tf.strings.regex_replace(texts, letter, letter.lower())
    return tf.strings.lower(texts, "utf-8")


def language_of(text: str) -> str:
    """Returns "zh" if most letters of a text are Chinese characters, else "en"."""
    sample = text[:: len(text) // SAMPLE_SIZE + 1]
    letters = sum(map(str.isalpha, sample))
    return "zh" if sum("㐀" <= char <= "鿿" for char in sample) > letters / 2 else "en"


def segment(texts: Sequence[str], language: str, level: str) -> list[str]:
    """Segments Chinese texts into words separated by spaces; returns other texts unchanged.

    Args:
        texts: any texts.
        language: "zh" for Chinese.
        level: "word" or "char"; characters need no segmentation.

    Raises:
        UserError: jieba is required but not installed.
    """
    if (language, level) != ("zh", "word"):
        return list(texts)
    try:
        import jieba  # optional: 19 MB, needed only here
    except ImportError as error:
        raise UserError("segmenting Chinese needs jieba, which is not installed",
                        "pip install jieba, or use characters: --level char") from error
    jieba.setLogLevel("CRITICAL")  # it would print a traceback if the folder cannot be written
    jieba.dt.tmp_dir = str(cache_dir())
    return [" ".join(jieba.cut(text)) for text in texts]


def cache_dir() -> Path:
    """Returns a folder that only this user can write, for jieba's dictionary.

    jieba's own choice, a fixed name in the shared temporary folder, lets others replace its words.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or files.home() / ".cache") / "dl21"
    with suppress(OSError):  # without the folder, jieba reads its dictionary a second longer
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
