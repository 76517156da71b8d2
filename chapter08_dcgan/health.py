"""Watches a training of two networks: what may go wrong, and what helps."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from chapter08_dcgan.data import Split
from common.errors import UserError

GRACE = 200  # steps without judgement
LEAST = 0.02  # diversity at which training stops
LOW = 0.5  # diversity at which a warning is printed
WON = 0.1  # loss of the discriminator below which it wins; it begins at 1.39 (gan) or 2 (hinge)
PATIENCE = 10  # log entries in a row


def deviation(images: np.ndarray) -> float:
    """Returns the mean over all pixels of their deviation between images, uint8 in [0, 255]."""
    return float(np.std(images, axis=0, dtype=np.float64, ddof=1).mean())


def diversity(made: Split, real: Split) -> float:
    """Returns the deviation within a label, relative to that of real images, averaged over labels.

    It is 0 if all images of a label are alike: if a conditional generator ignores z. Labels with
    fewer than two images in either set do not count; if there are no others, all images are taken
    together.
    """
    common = [label for label in np.unique(made.labels)
              if min(np.sum(made.labels == label), np.sum(real.labels == label)) > 1]
    groups = ([(made.images[made.labels == label], real.images[real.labels == label])
               for label in common] or [(made.images, real.images)])
    return float(np.mean([deviation(own) / max(deviation(others), 1e-6) for own, others in groups]))


class Watch:
    """Remembers what was told, and for how long the discriminator has been winning."""

    def __init__(self, real: Split, r1: bool):
        """Keeps the real images; labels that are not asked for are all the same.

        Args:
            real: images with labels.
            r1: whether --r1 can be a remedy.
        """
        self._real, self._r1, self._wins, self._told = real, r1, 0, set()

    def diversity(self, made: Split, step: int) -> float:
        """Returns the diversity of generated images.

        Raises:
            UserError: after the first steps all images of a label are alike.
        """
        found = diversity(made, self._real)
        if step > GRACE and found < LEAST:
            raise UserError(
                f"all generated images of a label are alike at step {step}: their deviation is "
                f"{found:.1%} of that of real ones", "start a new run with a lower "
                "--learning_rate, with --augment color,translation,cutout, or with another --seed")
        if step > GRACE and found < LOW:
            self._warn("alike", f"step {step}: the deviation of generated images within a label is "
                       f"{found:.0%} of that of real ones, the generator may be collapsing; a "
                       "lower --learning_rate, --ema_decay 0.999 or --augment "
                       "color,translation,cutout may help")
        return found

    def balance(self, metrics: Mapping[str, Any], step: int) -> None:
        """Warns once if the discriminator tells all images apart for long."""
        loss = float(metrics["d_loss_real"]) + float(metrics["d_loss_fake"])
        self._wins = self._wins + 1 if loss < WON else 0
        if step > GRACE and self._wins >= PATIENCE:
            self._warn("wins", f"step {step}: the discriminator wins, its loss is {loss:.3f}; "
                       "--augment color,translation,cutout, " + "--r1 1, " * self._r1
                       + "a lower --learning_rate or more --g_steps may help")

    def _warn(self, kind: str, text: str) -> None:
        """Prints a warning, each kind once."""
        if kind not in self._told:
            self._told.add(kind)
            print(f"warning: {text}", file=sys.stderr)
