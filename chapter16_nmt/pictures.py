"""Draws which words of the source each word of a translation came from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter16_nmt.corpus import END
from common import figures
from common.figures import plt

INCHES = 0.32  # of a cell
MOST = 60  # words of each side that are drawn
LETTERS = 20  # of a word


def draw_attention(
    source: Sequence[str], target: Sequence[str], weights: np.ndarray, png: Path
) -> None:
    """Draws attention weights as a table: source words above, target words on the left.

    Args:
        source: tokens of the source; those behind the last weight were cut. Of a long sentence the
            first words are drawn.
        target: tokens of the translation.
        weights: from 0 to 1, of shape (target tokens, perhaps with the end symbol, source tokens).
        png: file to write.
    """
    weights = weights[:MOST, :MOST]
    source = [word[:LETTERS] for word in source[: weights.shape[1]]]
    rows = [word[:LETTERS] for word in [*target, END][: len(weights)]]
    size = 1.5 + INCHES * len(source), 1.2 + INCHES * len(rows)
    figure, axes = plt.subplots(figsize=size)
    axes.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(len(source)), source, rotation=60, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(source) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5)
    figures.save_figure(png, figure)
