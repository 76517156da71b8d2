"""Texts as numbers: cutting them into words, counting and encoding these.

One function cuts, in training and inside the export: runs of letters and digits in lower case, or
single characters. Only Chinese words need more: jieba puts spaces between them beforehand.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from common.errors import UserError
from common.text import lookup_table

BLOCK = 1000  # texts that are cut at once


def segment(texts: Sequence[str], language: str, level: str) -> list[str]:
    """Puts spaces between the words of Chinese texts; returns all others as they are.

    Raises:
        UserError: jieba is needed and not installed.
    """
    if (language, level) != ("zh", "word"):
        return list(texts)
    try:
        import jieba  # 19 MB, and needed for this alone
    except ImportError as error:
        raise UserError("Chinese words need jieba, which is not installed",
                        "pip install jieba, or take characters: --level char") from error
    jieba.setLogLevel("WARNING")
    return [" ".join(jieba.cut(text)) for text in texts]


def cut(texts: tf.Tensor, level: str) -> tf.RaggedTensor:
    """Cuts texts into tokens: words, or characters; signs and spaces are left out.

    Args:
        texts: string (count,), Chinese ones with spaces between words unless level is "char".
        level: "word" or "char".

    Returns:
        string (count, None).
    """
    apart = "" if level == "char" else " "
    texts = tf.strings.regex_replace(tf.strings.lower(texts, "utf-8"), r"[^\pL\pM\pN_]+", apart)
    return tf.strings.unicode_split(texts, "UTF-8") if level == "char" else tf.strings.split(texts)


def count_tokens(texts: Sequence[str], level: str) -> dict[str, int]:
    """Returns how often texts have each token."""
    counts = Counter()
    for i in range(0, len(texts), BLOCK):
        counts.update(cut(tf.constant(texts[i : i + BLOCK]), level).flat_values.numpy())
    return {token.decode(): count for token, count in counts.items()}


class Encoder(tf.Module):
    """Texts in, what the network takes out; a SavedModel can hold it."""

    def __init__(self, vocabulary: Sequence[str], level: str, max_tokens: int):
        """Takes the words in the order of their numbers; texts end after `max_tokens`."""
        super().__init__()
        self.level, self.max_tokens = level, max_tokens
        self.table = lookup_table(vocabulary)

    def encode(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Turns string (count,) into int32 (count, max_tokens) and lengths, int64 (count,).

        Unknown words are 0, and so is the padding. A text without words has length 1, not 0.
        """
        tokens = cut(texts, self.level)[:, : self.max_tokens]
        numbers = tf.ragged.map_flat_values(self.table.lookup, tokens)
        lengths = tf.maximum(tokens.row_lengths(), 1)
        return numbers.to_tensor(shape=(None, self.max_tokens)), lengths

    def encode_all(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Does the same to many texts, block by block."""
        blocks = [self.encode(tf.constant(texts[i : i + BLOCK]))
                  for i in range(0, len(texts), BLOCK)]
        sequences, lengths = zip(*blocks, strict=True)
        return np.concatenate(sequences), np.concatenate(lengths)
