"""Watches a training of two networks: what may go wrong, and what helps."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.errors import UserError

GRACE = 200  # steps without judgement
LEAST = 0.02  # diversity at which training stops
LOW = 0.5  # diversity at which a warning is printed
WON = 0.1  # loss of the discriminator below which it wins; it begins at 1.39 (gan) or 2 (hinge)
PATIENCE = 10  # log entries in a row


def deviation(images: np.ndarray) -> float:
    """Returns the mean over all pixels of their deviation between images, uint8 in [0, 255]."""
    return float(np.std(images, axis=0, dtype=np.float64).mean())


class Watch:
    """Remembers what was told, and for how long the discriminator has been winning."""

    def __init__(self, real: np.ndarray):
        """Measures the deviation of real images."""
        self._real, self._wins, self._told = deviation(real), 0, set()

    def diversity(self, images: np.ndarray, step: int) -> float:
        """Returns the deviation of generated images, relative to that of real ones.

        Raises:
            UserError: after the first steps all images are alike.
        """
        found = deviation(images) / max(self._real, 1e-6)
        if step > GRACE and found < LEAST:
            raise UserError(
                f"all generated images are alike at step {step}: their deviation is {found:.1%} of "
                "that of real ones", "start a new run with a lower --learning_rate, with --augment "
                "color,translation,cutout, or with another --seed")
        if step > GRACE and found < LOW:
            self._warn(f"step {step}: the deviation of generated images is {found:.0%} of that of "
                       "real ones, the generator may be collapsing; a lower --learning_rate, "
                       "--ema_decay 0.999 or --augment color,translation,cutout may help")
        return found

    def balance(self, metrics: Mapping[str, Any], step: int) -> None:
        """Warns once if the discriminator tells all images apart for long."""
        loss = float(metrics["d_loss_real"]) + float(metrics["d_loss_fake"])
        self._wins = self._wins + 1 if loss < WON else 0
        if step > GRACE and self._wins >= PATIENCE:
            self._warn(f"step {step}: the discriminator wins, its loss is {loss:.3f}; "
                       "--augment color,translation,cutout, --r1 1, a lower --learning_rate or "
                       "more --g_steps may help")

    def _warn(self, text: str) -> None:
        """Prints a warning, each kind once."""
        if (kind := text.split(": ")[1].split(" ")[1]) not in self._told:
            self._told.add(kind)
            print(f"warning: {text}", file=sys.stderr)
