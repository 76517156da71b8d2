"""Runs `model.fit` with the logs, checkpoints, stops and exact resume of a training loop."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from common.checkpoint import TrainState
from common.errors import stop_signals
from common.monitor import Monitor


class Fit(keras.callbacks.Callback):
    """Adds to `model.fit` what `TrainState.steps` adds to a loop.

    That is a progress bar, logs, evaluations, checkpoints, and a clean stop on Ctrl-C. A run is one
    `model.fit` of `steps_per_epoch=max_steps - step` batches, so that it can stop and resume at any
    step, not only at the end of an epoch.

    Attributes:
        state: the restored `TrainState` of the run; `int(state.step)` is the step to start at.
        monitor: writes the metrics.
    """

    def __init__(
        self, model: keras.Model, run_dir: Path, args: argparse.Namespace,
        metrics: Sequence[keras.Metric] = (), **extra: Any,
    ):
        """Restores the latest checkpoint of the run, if it has one.

        Args:
            model: a compiled model.
            run_dir: the run folder.
            args: flags `max_steps`, `save_every`, `log_every` and `eval_every`, in steps.
            metrics: the metrics given to `compile`. Their running means are saved, so that a stop
                between two logs does not change the logged means.
            **extra: other trackable objects to save, by name.
        """
        super().__init__()
        loss_mean = model.metrics[0]  # added by `compile`
        means = [v.value for metric in (loss_mean, *metrics) for v in metric.variables]
        optimizers = {"optimizer": (model.optimizer, model.trainable_variables)}
        self.state = TrainState(run_dir, {"model": model}, optimizers, means=means, **extra)
        self.monitor = Monitor(run_dir, int(self.state.step))
        self._model, self._args, self._num_means = model, args, len(means)

    def run(self, batches: tf.data.Dataset, evaluate: Callable[[int], bool | None]) -> None:
        """Trains up to `max_steps`.

        Args:
            batches: endless stream that begins after the restored step.
            evaluate: called with the step, every `eval_every` steps and at the end; training stops
                early if it returns True. It must not update the metrics of the model.

        Raises:
            Interrupted: on SIGINT or SIGTERM, after saving.
        """
        total, done = self._args.max_steps, int(self.state.step)
        self._evaluate = evaluate
        self._bar = tqdm(total=total, initial=done, unit="step", disable=None)
        with stop_signals() as self._stop, self._bar, self.monitor.showing(self._bar):
            self._model.fit(batches, steps_per_epoch=total - done, callbacks=[self],
                            shuffle=False, verbose=0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Restores again, because `fit` has just reset the metrics."""
        self.state.restore()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Logs, evaluates, saves, and stops on a signal or early."""
        step = int(self.state.step.assign_add(1))
        if len(self.model.metrics_variables) != self._num_means:
            raise ValueError("Fit needs all the metrics given to compile")
        if step % self._args.log_every == 0:
            rate = self.model.optimizer.learning_rate
            self.monitor.scalars(step, {**logs, "learning_rate": rate})
            self.model.reset_metrics()
        if step % self._args.eval_every == 0 or step == self._args.max_steps:
            self.model.stop_training = bool(self._evaluate(step))
        self._bar.update()
        last = step if self.model.stop_training else self._args.max_steps
        self.state.end_step(last, self._args.save_every, self._stop)
