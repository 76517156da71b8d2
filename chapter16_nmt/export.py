"""Exports a trained translator as a SavedModel: strings in, strings out.

    python export.py

serving_default  texts: string (count,); beam_width: int32 (count,); length_penalty_weight: float32
                 (count,), both the same in all rows
                 -> translations: string (count,); scores: float32 (count,)
nbest            the same inputs
                 -> translations: string (count, beam_width), the best first; scores: the same shape

Vocabularies and the tokenization are part of the graph where TensorFlow can do it: of files
as they are, and of the levels `space` and `char` of prepare.py. Moses' tokenizer, jieba and
SentencePiece are Python libraries: a network of their tokens takes tokens separated by spaces, and
joins sub-words, but does not detokenize. signature.json names the level. An unused place of `nbest`
is "" with a score of -1e9.
"""

import argparse
import re
from collections.abc import Sequence

import tensorflow as tf

from chapter16_nmt import beam_search
from chapter16_nmt.corpus import END_ID, START_ID, UNKNOWN_ID
from chapter16_nmt.decoding import add_model_flags, limits
from chapter16_nmt.inference import Run, load_run
from chapter16_nmt.normal_form import Compose
from chapter16_nmt.tokens import (
    DROP_SPACES,
    ENTITIES,
    LATIN,
    MARK_SPACES,
    WORD_START,
    Tokenization,
)
from common import cli, export
from common.text import lookup_table
from common.words import lower

SPACES = r"[\s\pZ\x0b\x1c-\x1f\x{85}]+"  # what `str.split` takes for white space
TREEBANK = r"([\pL\pN_]) n('t)\b", r"\1n \2"  # as in tokens.py
EXAMPLES = ("", "a", "the . the")  # beside sentences of the vocabulary, for the comparison


def tokenize(texts: tf.Tensor, how: Tokenization, compose: Compose) -> tf.RaggedTensor:
    """Tokenizes sentences in a graph; see `tokens.tokenize`.

    Args:
        texts: string of shape (count,).
        how: how the language is tokenized.
        compose: composes letters.
    """
    cleaned = bool(how.level and not how.subwords)
    if cleaned:
        texts = compose(replace_all(texts, [*ENTITIES.items()] * 2))
    texts = tf.strings.strip(replace_all(texts, [(SPACES, " ")]))
    if cleaned:
        texts = replace_all(texts, [TREEBANK])
        texts = lower(texts) if how.lowercase else texts
    if how.level == "char":
        texts = replace_all(texts, [*MARK_SPACES, (f"([{LATIN}]+|[^ ])", r"\1 ")])
    return tf.strings.split(texts)


def replace_all(texts: tf.Tensor, rules: Sequence[tuple[str, str]]) -> tf.Tensor:
    """Replaces patterns, one after the other; see `tokens.replace_all`."""
    for pattern, replacement in rules:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return texts


def join(tokens: tf.RaggedTensor, how: Tokenization) -> tf.Tensor:
    """Joins tokens to sentences in a graph, string of shape (count,); see `tokens.join`."""
    texts = tf.strings.reduce_join(tokens, axis=1, separator="" if how.subwords else " ")
    if how.subwords:
        texts = tf.strings.strip(replace_all(texts, [(WORD_START, " ")]))
    elif how.delimiter:
        texts = replace_all(texts, [(f"{re.escape(how.delimiter)}( |$)", "")])
    joined = how.level in ("char", "jieba")
    return tf.strings.strip(replace_all(texts, DROP_SPACES)) if joined else texts


class Translator(tf.Module):
    """A network with its vocabularies, stored in the SavedModel."""

    def __init__(self, run: Run, max_len: int | None = None):
        """Keeps the network, the tables of letters and source tokens, and the target tokens."""
        super().__init__()
        self.model, self.flags, self.tokenizations = run.model, run.flags, list(run.tokenizations)
        self.max_len, self.compose = max_len, Compose()
        self.table = lookup_table(run.vocabularies[0], unknown=UNKNOWN_ID)
        self.words = tf.constant(run.vocabularies[1])

    def encode(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the ids of sentences, (count, longest), at least one wide, and their lengths."""
        tokens = tokenize(texts, self.tokenizations[0], self.compose)[:, : self.max_len]
        ids = self.table.lookup(tokens.flat_values)
        ids = tf.RaggedTensor.from_row_lengths(ids, tokens.row_lengths())
        if self.flags.source_reverse:
            ids = tf.reverse_sequence(ids.to_tensor(), tokens.row_lengths(), seq_axis=1)
        else:
            ids = ids.to_tensor()
        missing = tf.maximum(0, 1 - tf.shape(ids)[1])
        return tf.pad(ids, [[0, 0], [0, missing]]), tf.cast(tokens.row_lengths(), tf.int32)

    def search(
        self, texts: tf.Tensor, beam_width: tf.Tensor, length_penalty_weight: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns translations and scores of shape (count, beam_width)."""
        weight = export.same_in_all("length_penalty_weight", length_penalty_weight, 0.0)
        width = tf.maximum(1, export.same_in_all("beam_width", beam_width, 1))
        count = tf.shape(texts)[0]
        # A loop cannot search translations of no sentence at all: add an empty one.
        source, lengths = self.encode(tf.concat([texts, [""]], 0))
        mask = tf.sequence_mask(lengths, tf.shape(source)[1])
        state, memory = self.model.encode(source, mask)

        def step(tokens, state):
            logits, decoder, _ = self.model.step(tokens, state["decoder"], state["memory"] or None)
            return logits, state | {"decoder": decoder}, tf.zeros((tf.size(tokens), 1))

        found = beam_search.search(
            step, {"decoder": state, "memory": memory or ()}, count + 1,
            limits(lengths), width, START_ID, END_ID,
            lambda lengths: beam_search.length_penalty(lengths, weight))
        rows = tf.reshape(found.tokens[:count], (count * width, -1))
        keep = (rows != END_ID) & (tf.repeat(lengths[:count], width)[:, None] > 0)
        words = tf.ragged.boolean_mask(tf.gather(self.words, rows), keep)
        texts = tf.reshape(join(words, self.tokenizations[1]), (count, width))
        scores = tf.where(lengths[:count, None] > 0, found.scores[:count], 0.0)
        return tf.where(scores > beam_search.NEVER / 2, texts, ""), scores

    @tf.autograph.experimental.do_not_convert  # its loops are in the graph already
    def translate(self, texts, beam_width, length_penalty_weight) -> dict[str, tf.Tensor]:
        """Returns the best translation of each sentence."""
        found, scores = self.search(texts, beam_width, length_penalty_weight)
        return {"translations": found[:, 0], "scores": scores[:, 0]}

    @tf.autograph.experimental.do_not_convert
    def nbest(self, texts, beam_width, length_penalty_weight) -> dict[str, tf.Tensor]:
        """Returns the best translations of each sentence."""
        found, scores = self.search(texts, beam_width, length_penalty_weight)
        return {"translations": found, "scores": scores}


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a separate process."""
    run = load_run(args, flags, args.average)
    held = Translator(run, args.src_max_len_infer)
    specs = {"texts": tf.TensorSpec((None,), tf.string),
             "beam_width": tf.TensorSpec((None,), tf.int32),
             "length_penalty_weight": tf.TensorSpec((None,), tf.float32)}
    words = run.vocabularies[0][3:]
    texts = [" ".join(words[:9]), " ".join(words[9:15]), *EXAMPLES]
    examples = {"texts": texts, "length_penalty_weight": [1.0] * len(texts)}
    source, target = run.tokenizations
    export.write(
        args.run_dir, held,
        {"serving_default": (held.translate, specs), "nbest": (held.nbest, specs)},
        {"serving_default": examples | {"beam_width": [1] * len(texts)},
         "nbest": examples | {"beam_width": [4] * len(texts)}},
        {"source": source._asdict() | {"vocabulary": len(run.vocabularies[0])},
         "target": target._asdict() | {"vocabulary": len(run.vocabularies[1])},
         "texts": "any" if source.level in ("", "space", "char") and not source.subwords else
                  "tokens separated by spaces"})


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    add_model_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
