"""Saves matplotlib figures as PNG; draws the mistakes and confusion matrix of a classifier.

Modules that draw import `plt` from here: matplotlib then draws files only, has a font for Chinese
characters, and parses no mathtext, since names of classes and columns may contain dollar signs. A
logarithmic axis needs a format of its own, such as "{x:g}".
"""

import functools
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.metrics

os.environ["MPLBACKEND"] = "Agg"  # a notebook sets it to a backend of its own

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.colors import PowerNorm

CJK_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC",
             "Source Han Sans CN", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei",
             "SimHei", "PingFang SC", "Hiragino Sans GB", "Droid Sans Fallback", "Arial Unicode MS")
INSTALLED = {font.name for font in font_manager.fontManager.ttflist}
FALLBACK = [name for name in CJK_FONTS if name in INSTALLED][:1]
MAX_NUMBERS = 30  # classes of a confusion matrix whose cells show their numbers

mpl.rcParams |= {"font.family": [*mpl.rcParams["font.family"], *FALLBACK],
                 "text.parse_math": False}
mpl.use("Agg")  # Keras may have imported matplotlib before
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # of a font's odd weight
warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")  # see `tell_of_font`


@functools.cache
def tell_of_font() -> None:
    """Prints once how to get a font with Chinese characters."""
    print("figures show boxes for Chinese characters: install a font that has them, for example by "
          f"apt install fonts-noto-cjk, and delete {mpl.get_cachedir()}", file=sys.stderr)


def show_short_lines(figure: Any) -> None:
    """Marks lines of one point, else invisible, and labels axes whose lines are all empty."""
    for line in figure.findobj(plt.Line2D):
        if len(line.get_xdata()) == 1 and line.get_marker() == "None":
            line.set_marker("o")
    for axes in figure.axes:
        if (lines := axes.get_lines()) and not any(len(line.get_xdata()) for line in lines):
            axes.text(0.5, 0.5, "no values yet", transform=axes.transAxes, ha="center")


def save_figure(path: Path, figure: Any) -> None:
    """Writes a matplotlib figure as PNG and closes it; see `show_short_lines`."""
    show_short_lines(figure)
    texts = (text.get_text() for text in figure.findobj(plt.Text))
    if not FALLBACK and any(character > "\u2e7f" for text in texts for character in text):
        tell_of_font()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def worst_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, count: int = 40
) -> np.ndarray:
    """Returns the indices of the misclassified examples, highest confidence first.

    Args:
        labels: the true classes, of shape (examples,).
        probabilities: predicted probabilities, of shape (examples, classes).
        count: maximum number of indices.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]


def draw_mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    png: Path,
) -> None:
    """Draws the misclassified images with the highest confidence, see `worst_mistakes`.

    Args:
        images: uint8 of shape (examples, height, width) or (examples, height, width, 3).
        labels: the true classes, of shape (examples,).
        probabilities: predicted probabilities, of shape (examples, classes).
        names: names of the classes.
        png: file to write.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = worst_mistakes(labels, probabilities)
    rows = max(1, -(-len(wrong) // 10))
    figure, axes = plt.subplots(rows, 10, figsize=(11, 1.4 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, i in zip(axes.flat, wrong, strict=False):
        axis.imshow(images[i], cmap="gray_r")
        name, confidence = names[predicted[i]], probabilities[i, predicted[i]]
        axis.set_title(f"{name}: {confidence:.0%}\nis {names[labels[i]]}", fontsize=7)
    if not len(wrong):
        axes[0, 0].text(0, 0.5, "no mistakes")
    save_figure(png, figure)


def confused_pairs(
    labels: np.ndarray, predicted: np.ndarray, names: Sequence[str], count: int = 50
) -> list[str]:
    """Returns lines on the pairs of classes that are confused most often, the worst first."""
    matrix = sklearn.metrics.confusion_matrix(labels, predicted, labels=range(len(names)))
    totals = matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    worst = np.argsort(-matrix, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(worst, matrix.shape), strict=True)
    return [f"{names[true]} taken for {names[answer]}: {matrix[true, answer]} of {totals[true]}"
            for true, answer in pairs if matrix[true, answer]]


def draw_confusion(
    labels: np.ndarray, predicted: np.ndarray, names: Sequence[str], png: Path
) -> None:
    """Draws the confusion matrix of true and predicted classes.

    With more than MAX_NUMBERS classes the cells show no numbers, and the most confused pairs are
    written beside the figure, as a .txt.
    """
    many = len(names) > MAX_NUMBERS
    side = min(30, 0.25 * len(names)) if many else 6
    figure, axes = plt.subplots(figsize=(side, side) if many else (7, 6))
    sklearn.metrics.ConfusionMatrixDisplay.from_predictions(
        labels, predicted, labels=range(len(names)), display_labels=names, cmap="Blues",
        colorbar=False, xticks_rotation=90 if max(map(len, names)) > 1 else 0, ax=axes,
        include_values=not many, im_kw={"norm": PowerNorm(0.5)} if many else None,
    )
    axes.set(xlabel="predicted", ylabel="true")
    if many:
        axes.tick_params(labelsize=40 * side / len(names))
        txt = png.with_suffix(".txt")
        png.parent.mkdir(parents=True, exist_ok=True)
        txt.write_text("\n".join(confused_pairs(labels, predicted, names)) + "\n", "utf-8")
        print(f"the most confused of {len(names)} classes: {txt}")
    save_figure(png, figure)


def draw_sheet(
    pictures: Sequence[np.ndarray], titles: Sequence[str], columns: int, png: Path,
    width: float = 12.0,
) -> None:
    """Draws images, uint8 of shape (height, width, 3), and their titles on one sheet.

    There are `columns` images per row; the sheet is `width` inches wide.
    """
    columns = min(columns, len(pictures))
    rows, side = -(-len(pictures) // columns), width / columns
    tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures)
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * (side * tallest + 0.2)),
                                squeeze=False, layout="tight")
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, title in zip(axes.flat, pictures, titles, strict=False):
        axis.imshow(picture)
        axis.set_title(title, fontsize=8, pad=2)
    save_figure(png, figure)
