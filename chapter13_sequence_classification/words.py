"""Tokenizing and encoding texts.

Training and the export share one tokenizer: lower-cased runs of letters and digits, or single
characters with their marks. Chinese words need one more step before it, `segment` of
common/words.py.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from common.text import lookup_table
from common.words import BETWEEN, JOINERS, lower

CHARACTER = rf"[\pL\pN_][\pM{JOINERS}]*"  # in a graph
BLOCK = 1000  # texts that are processed at once


def tokenize(texts: tf.Tensor, level: str) -> tf.RaggedTensor:
    """Splits texts into words or characters, without punctuation and whitespace.

    Args:
        texts: string (count,); at the word level, Chinese must be segmented.
        level: "word" or "char".

    Returns:
        Tokens, string (count, None).
    """
    texts = tf.strings.regex_replace(lower(texts), BETWEEN, " ")
    if level == "char":
        texts = tf.strings.regex_replace(texts, CHARACTER, r"\0 ")
    return tf.strings.split(texts)


def count_tokens(texts: Sequence[str], level: str) -> dict[str, int]:
    """Returns the frequency of each token in the texts."""
    counts = Counter()
    for i in range(0, len(texts), BLOCK):
        counts.update(tokenize(tf.constant(texts[i : i + BLOCK]), level).flat_values.numpy())
    return {token.decode(): count for token, count in counts.items()}


class Encoder(tf.Module):
    """Encodes texts as token ids and lengths; can be stored in a SavedModel."""

    def __init__(self, vocabulary: Sequence[str], level: str, max_tokens: int):
        """Takes the tokens in the order of their ids; texts are truncated to `max_tokens`."""
        super().__init__()
        self.level, self.max_tokens = level, max_tokens
        self.table = lookup_table(vocabulary)

    def encode(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Turns string (count,) into ids, int32 (count, max_tokens), and lengths, int64 (count,).

        Unknown tokens and padding have the id 0. A text without tokens has length 1, not 0.
        """
        tokens = tokenize(texts, self.level)[:, : self.max_tokens]
        ids = tf.ragged.map_flat_values(self.table.lookup, tokens)
        lengths = tf.maximum(tokens.row_lengths(), 1)
        return ids.to_tensor(shape=(None, self.max_tokens)), lengths

    def encode_all(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encodes many texts block by block, as NumPy arrays in the form of `encode`."""
        blocks = [self.encode(tf.constant(texts[i : i + BLOCK]))
                  for i in range(0, len(texts), BLOCK)]
        sequences, lengths = zip(*blocks, strict=True)
        return np.concatenate(sequences), np.concatenate(lengths)
