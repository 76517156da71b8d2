"""How translations are searched, and its flags."""

import argparse
from typing import NamedTuple

import tensorflow as tf

from chapter16_nmt.metrics import METRICS
from common import cli


class Decoding(NamedTuple):
    """How translations are searched; names and defaults are those of the original.

    Attributes:
        beam_width: 0 or 1: greedy.
        length_penalty_weight: w of ((5 + length) / 6)^w.
        max_len: most tokens of a translation; None: see `limits`.
        src_max_len: longer sources are cut to so many tokens; None: as in the original, the whole
            source is translated.
        nbest: translations of each sentence; fewer if fewer have ended within the limit.
        temperature: above 0, tokens are sampled.
        seed: of the sampling.
        attention: whether the attention weights are returned.
        batch_size: sentences that are translated together; it does not change the translations.
    """

    beam_width: int = 0
    length_penalty_weight: float = 0.0
    max_len: int | None = None
    src_max_len: int | None = None
    nbest: int = 1
    temperature: float = 0.0
    seed: int = 0
    attention: bool = False
    batch_size: int = 32


def limits(lengths: int | tf.Tensor) -> int | tf.Tensor:
    """Returns the most tokens of each translation, with its end symbol, from those of the source.

    The original takes twice the longest source of the batch. Twice each source would be too few for
    short sentences that are translated into characters.
    """
    return 2 * lengths + 10


def add_decoding_flags(
    parser: argparse.ArgumentParser, beam_width: int, length_penalty_weight: float
) -> None:
    """Adds the flags of the search for translations, and those of `add_model_flags`."""
    add_model_flags(parser)
    group = parser.add_argument_group("decoding")
    group.add_argument("--beam_width", type=cli.number(int, 0, 1000, "a whole number from 0 to "
                                                       "1000"), default=beam_width,
                       help="translations that are followed at once; 0 or 1: greedy")
    group.add_argument("--length_penalty_weight", type=cli.non_negative_float,
                       default=length_penalty_weight,
                       help="scores are divided by ((5 + length) / 6) to this power")
    group.add_argument("--tgt_max_len_infer", type=cli.positive_int,
                       help="most tokens of a translation (default: twice those of its source "
                            "and ten)")
    group.add_argument("--infer_batch_size", type=cli.size, default=32,
                       help="sentences that are translated together; translations do not depend "
                            "on it")


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that an export has too: which weights, and how much of a source is read."""
    parser.add_argument("--average", type=cli.positive_int, default=1, metavar="N",
                        help="use the mean weights of the last N checkpoints of --save_every")
    parser.add_argument("--metric", choices=list(METRICS),
                        help="use the best weights by this metric, one of the run's --metrics")
    parser.add_argument("--src_max_len_infer", type=cli.positive_int,
                        help="longer sources are cut to so many tokens (default: never)")


def decoding(args: argparse.Namespace) -> Decoding:
    """Returns the search that the flags name."""
    return Decoding(args.beam_width, args.length_penalty_weight, args.tgt_max_len_infer,
                    args.src_max_len_infer, batch_size=args.infer_batch_size)
