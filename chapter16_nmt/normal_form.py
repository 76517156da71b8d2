"""Composes letters and their marks in a graph, as Unicode's normal form C does.

`e` and a combining acute accent become `é`. Files from a Mac have such pairs; the tokens of the
vocabulary have composed letters. TensorFlow itself has no operation for it.
"""

import sys
import unicodedata
from functools import cache

import tensorflow as tf

MOST_MARKS = 3  # of a letter that has a composed form
SHIFT = 2**21  # above all code points


@cache
def compositions() -> dict[int, int]:
    """Returns the composed form of each pair of code points, and of some single ones.

    A pair is first · SHIFT + second, where the first may be composed too; the marks of a letter may
    come in any order. A single code point, such as the ångström sign, is code point · SHIFT.
    """
    normal, found = unicodedata.normalize, {}
    for point in range(sys.maxunicode + 1):
        letter = chr(point)
        if unicodedata.is_normalized("NFD", letter):
            continue
        if (other := normal("NFC", letter)) != letter:
            if len(other) == 1:
                found[point * SHIFT] = ord(other)
            continue
        parts = normal("NFD", letter)
        for place in range(1, len(parts)):
            rest, mark = normal("NFC", parts[:place] + parts[place + 1 :]), parts[place]
            if len(rest) == 1 and normal("NFC", rest + mark) == letter:
                found[ord(rest) * SHIFT + ord(mark)] = point
    return found


class Compose(tf.Module):
    """Composes letters; a SavedModel must hold it, because it has a table."""

    def __init__(self):
        """Creates the table."""
        super().__init__()
        pairs = compositions()
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
            tf.constant(list(pairs), tf.int64), tf.constant(list(pairs.values()), tf.int64)), 0)

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Composes the letters of UTF-8 strings, of shape (count,).

        Marks that no composed letter has keep their order.
        """
        points = tf.cast(tf.strings.unicode_decode(texts, "UTF-8"), tf.int64).to_tensor()
        points = replaced(points, self.table.lookup(points * SHIFT))  # (count, longest)
        for _ in range(MOST_MARKS):
            composed = self.table.lookup(points * SHIFT + tf.pad(points[:, 1:], [[0, 0], [0, 1]]))
            # A mark goes into the letter before it; padding is 0.
            gone = tf.pad(composed > 0, [[0, 0], [1, 0]])[:, :-1]
            keep = (points > 0) & ~gone
            points = tf.ragged.boolean_mask(replaced(points, composed), keep).to_tensor()
        points = tf.ragged.boolean_mask(points, points > 0)
        return tf.strings.unicode_encode(tf.cast(points, tf.int32), "UTF-8")


def replaced(points: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Returns code points, replaced by others where these are not 0."""
    return tf.where(others > 0, others, points)
