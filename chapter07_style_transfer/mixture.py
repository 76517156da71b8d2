"""Several styles in one network: their names, their turns in training, and mixtures of them.

    --style_image wave.jpg,mosaic.jpg    train.py: two styles, called wave and mosaic
    --style mosaic, --style 1            stylize.py: one of them, by its name or number
    --style wave:.7,mosaic:.3            stylize.py: a mixture; the weights are divided by their sum

In a network of several styles, a style is a vector of weights, one per style. Functions that take
`*style` get that vector for each image, of shape (batch, num_styles); nothing for one style.
"""

import difflib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter07_style_transfer.styles import STYLES
from common import cli
from common.errors import UserError


def split(style_image: str) -> list[str]:
    """Returns the style images that `--style_image` names; the name of a file may have a comma."""
    try:
        return [style_image] if Path(style_image).is_file() else style_image.split(",")
    except OSError:  # a list that is too long for a file name
        return style_image.split(",")


def style_images(text: str) -> str:
    """Makes the paths of style images absolute; styles drawn by code keep their names (`type`)."""
    return ",".join(part if part in STYLES and not Path(part).is_file() else cli.path(part)
                    for part in split(text))


def names(style_image: str) -> list[str]:
    """Returns the names of the styles: those of the files, without folders and suffixes."""
    return [Path(part).stem for part in split(style_image)]


def in_turn(step: int, batch_size: int, num_styles: int) -> list[tf.Tensor]:
    """Returns the styles of the images of a batch, `*style`: all styles in turn."""
    if num_styles == 1:
        return []
    numbers = (step * batch_size + np.arange(batch_size)) % num_styles
    return [tf.one_hot(numbers, num_styles)]


def each(num_styles: int) -> list[list[tf.Tensor]]:
    """Returns `*style` of one image for every style."""
    return [in_turn(number, 1, num_styles) for number in range(num_styles)]


def find(text: str, known: Sequence[str]) -> int:
    """Returns the number of a style, given by its name or number.

    Raises:
        UserError: there is no such style.
    """
    if text in known:
        return known.index(text)
    if text.isdecimal() and int(text) < len(known):
        return int(text)
    near = difflib.get_close_matches(text, known, 1, 0.3)
    raise UserError(f"the run has no style {text!r}" + "".join(f"; near it: {n}" for n in near),
                    f"its styles are {', '.join(known)}, or 0 to {len(known) - 1}")


def parse(text: str | None, known: Sequence[str]) -> np.ndarray:
    """Reads `--style`; without it the first style is chosen.

    Returns:
        The weights of the styles, float32 of shape (num_styles,); their sum is 1.

    Raises:
        UserError: there is no such style, or only one, or a weight is no number above 0.
    """
    if text is not None and len(known) == 1:
        raise UserError(f"--style {text}: there is one style, {known[0]}", "omit --style")
    weights = np.zeros(len(known), np.float32)
    for part in (text or known[0]).split(","):
        name, colon, weight = part.partition(":")
        try:
            value = float(weight) if colon else 1.0
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise UserError(f"{weight!r} in --style {text} is no weight above 0",
                            f"write {known[0]}:.7,{known[-1]}:.3")
        weights[find(name.strip(), known)] += value
    return weights / weights.sum()


def choose(style_image: str, text: str | None) -> int:
    """Returns the number of the one style that `--style` names; without it, the first.

    Raises:
        UserError: there is no such style, or it is a mixture.
    """
    weights = parse(text, names(style_image))
    if weights.max() < 1:
        raise UserError(f"--style {text} is a mixture: there is no image of that style",
                        "give one style by its name")
    return int(weights.argmax())
