"""Exports a trained network as a SavedModel: encoded images in, captions out.

    python export.py

serving_default  encoded: string (count,), each a PNG, JPEG, BMP or GIF; beam_size: int32
                 (count,), the same in all rows
                 -> captions: string (count, beam_size), the most probable first;
                    probabilities, scores: float32 of the same shape

Encoder, vocabulary, resizing and beam search are part of the graph. The limit of words, the length
normalization and the repetition block are those of the flags of export.py. An unused place is ""
with the probability 0.
"""

import argparse
from collections.abc import Sequence

import tensorflow as tf

from chapter16_nmt import beam_search
from chapter16_nmt.corpus import END_ID
from chapter17_image_caption import scenes
from chapter17_image_caption.caption_files import AROUND_HAN
from chapter17_image_caption.inference import (
    Decoding,
    Run,
    add_decoding_flags,
    decoding,
    load_run,
    search,
    see,
)
from common import cli, export, images

EXAMPLES = 2


class Captions(tf.Module):
    """A network with its vocabulary, stored in the SavedModel."""

    def __init__(self, run: Run, how: Decoding):
        """Keeps the network and its words."""
        super().__init__()
        self.parts = [run.captioner, run.encoder, run.detector]
        self._run, self._how = run, how

    @tf.autograph.experimental.do_not_convert  # its loops are in the graph already
    def describe(self, encoded, beam_size) -> dict[str, tf.Tensor]:
        """Returns the captions of encoded images."""
        count, size = tf.shape(encoded)[0], self._run.size
        width = tf.maximum(1, export.same_in_all("beam_size", beam_size, 1))
        pictures = tf.map_fn(
            lambda one: self._run.fit_image(images.decode_on_white(one)), encoded,
            fn_output_signature=tf.TensorSpec((size, size, 3), tf.float32))
        # A convolution refuses an empty batch, and a loop cannot search nothing: add a black image.
        pictures = tf.concat([pictures, tf.zeros((1, size, size, 3))], axis=0)
        found = search(self._run.captioner, see(self._run, pictures), width, self._how)
        tokens, log_probs, scores = (part[:count] for part in
                                     (found.tokens, found.log_probs, found.scores))
        words = tf.gather(tf.constant(self._run.vocabulary), tokens)
        rows = tf.reshape(words, (count * width, -1))
        keep = tf.reshape(tokens != END_ID, tf.shape(rows))
        texts = tf.strings.reduce_join(tf.ragged.boolean_mask(rows, keep), axis=1, separator=" ")
        texts = tf.strings.regex_replace(texts, AROUND_HAN, r"\1")
        texts, used = tf.reshape(texts, (count, width)), scores > beam_search.NEVER / 2
        return {"captions": tf.where(used, texts, ""),
                "probabilities": tf.where(used, tf.exp(log_probs), 0.0), "scores": scores}


def examples() -> list[bytes]:
    """Returns encoded images, for the comparison of model and export."""
    drawn, _ = scenes.draw_split(EXAMPLES, 9, set(), False)
    return [tf.io.encode_png(picture).numpy() for picture in drawn]


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a separate process."""
    run, how = load_run(args, flags), decoding(args)
    held = Captions(run, how)
    specs = {"encoded": tf.TensorSpec((None,), tf.string),
             "beam_size": tf.TensorSpec((None,), tf.int32)}
    export.write(args.run_dir, held, {"serving_default": (held.describe, specs)},
                 {"serving_default": {"encoded": examples(),
                                      "beam_size": [how.beam_size] * EXAMPLES}},
                 {"image_size": run.size, "vocabulary": len(run.vocabulary), **how._asdict()})


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["weights"])
    add_decoding_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
