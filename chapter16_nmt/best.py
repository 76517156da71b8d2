"""Keeps the best weights of a run by each metric, and counts evaluations without a better one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from common.checkpoint import TrainState, weights


class BestByMetric:
    """The best scores of a run by metric, higher being better.

    The weights that are best by the first metric are `checkpoints/best` of the run. Those by
    another metric are in `best_METRIC/checkpoints/best`, weights only.

    Attributes:
        waited: evaluations since the first metric was best.
        tracked: what a checkpoint needs, so that a resumed run remembers the best scores.
    """

    def __init__(self, run_dir: Path, model: keras.Model, metrics: Sequence[str]):
        """Creates counters and checkpoints; the first metric is the main one."""
        self.main, *others = metrics
        self.waited = tf.Variable(0, dtype=tf.int64)
        self._scores = {name: tf.Variable(-1.0, dtype=tf.float64) for name in others}
        self.tracked: dict[str, Any] = {"waited": self.waited, "best_scores": self._scores}
        self._managers = {
            name: tf.train.CheckpointManager(
                tf.train.Checkpoint(model=weights(model)),
                str(run_dir / f"best_{name}" / "checkpoints" / "best"), 1)
            for name in others}

    def update(self, state: TrainState, scores: Mapping[str, float]) -> None:
        """Saves the weights that are better than all before by a metric."""
        better = state.save_if_best(scores[self.main], highest=True)
        self.waited.assign(0 if better else self.waited + 1)
        for name, best in self._scores.items():
            if scores[name] > float(best):
                best.assign(scores[name])
                self._managers[name].save(checkpoint_number=state.step)
