"""Signs of trouble in a training of two generators and two discriminators."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

GRACE = 200  # steps without judgement
INVERTED = -0.2  # correlation of inputs and outputs
ALIKE = 0.2  # deviation between the outputs, in deviations between the inputs
WON = 0.01  # loss of a discriminator that tells all images apart; it begins near .2
PATIENCE = 5  # log entries in a row


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the correlation of the pixels of two images or more, averaged over the images.

    Args:
        first: of shape (images, height, width, channels).
        second: of the same shape.
    """
    a, b = (np.float64(part).reshape(len(part), -1) for part in (first, second))
    a, b = (part - part.mean(axis=1, keepdims=True) for part in (a, b))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / np.maximum(norms, 1e-9)))


def diversity(outputs: np.ndarray, inputs: np.ndarray) -> float:
    """Returns the deviation between the outputs, in deviations between the inputs.

    A deviation is the mean over all pixels of that between images; 0: all outputs are alike.

    Args:
        outputs: of shape (images, height, width, channels), two images or more.
        inputs: of the same shape.
    """
    made, given = (float(np.std(np.float64(part), axis=0).mean()) for part in (outputs, inputs))
    return made / max(given, 1e-6)


class Watch:
    """Warns of what goes wrong, each sign once for each network."""

    def __init__(self, least_squares: bool, cycle: bool = True):
        """Begins to watch.

        Args:
            least_squares: whether the losses of the discriminators are to be judged.
            cycle: whether there is a cycle, as in CycleGAN; else the loss of CUT is advised about.
        """
        self._least_squares, self._cycle = least_squares, cycle
        self._told: set[str] = set()
        self._wins = {"loss/D_X": 0, "loss/D_Y": 0}  # log entries in a row

    def losses(self, step: int, logged: Mapping[str, Any]) -> None:
        """Warns of a discriminator that tells all images apart for long."""
        for name in self._wins.keys() & logged.keys():
            won = self._least_squares and float(logged[name]) < WON
            self._wins[name] = self._wins[name] + 1 if won else 0
            if step > GRACE and self._wins[name] >= PATIENCE:
                self._warn(name, step, f"{name} is {float(logged[name]):.4f}: the discriminator "
                           "tells all images apart and teaches nothing; lower --ndf, or take a "
                           "smaller --netD")

    def translations(
        self, step: int, name: str, inputs: np.ndarray, outputs: np.ndarray
    ) -> dict[str, float]:
        """Warns of inverted colours and of outputs that are alike.

        Args:
            step: of the training.
            name: of the generator.
            inputs: images, of shape (images, height, width, 3).
            outputs: their translations.

        Returns:
            `correlation` and `diversity`.
        """
        found = {"correlation": correlation(inputs, outputs),
                 "diversity": diversity(outputs, inputs)}
        if step > GRACE and found["correlation"] < INVERTED:
            advice = ("The cycle undoes it, so no loss objects. Unless the domains are so, start a "
                      "new run with --identity_weight 0.5 or --identity_start" if self._cycle else
                      "Unless the domains are so, start a new run with --identity_start")
            self._warn(f"{name} inverts", step, f"{name} inverts colours: the correlation of its "
                       f"inputs and outputs is {found['correlation']:.2f}. {advice}, or another "
                       "--seed")
        if step > GRACE and found["diversity"] < ALIKE:
            weights = "--lambda1 and --lambda2" if self._cycle else "--nce_weight"
            self._warn(f"{name} collapses", step, f"the outputs of {name} are nearly alike: their "
                       f"deviation is {found['diversity']:.0%} of that of its inputs; raise "
                       f"{weights}, or lower --learning_rate")
        return found

    def _warn(self, kind: str, step: int, text: str) -> None:
        """Prints a warning, each kind once."""
        if kind not in self._told:
            self._told.add(kind)
            print(f"warning: step {step}: {text}", file=sys.stderr)
