"""Saves and restores the whole state of a run, so that resuming is exact.

`TrainState` holds weights, optimizer slots, random number states and the step. A training loop
iterates over `TrainState.steps`; `model.fit` uses `common.fit`. Both stop at the end of a step on
Ctrl-C, and both resume bit for bit.
"""

import argparse
import itertools
import math
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from common import rundir
from common.checkpoint_files import READ_ERRORS, choose, unusable
from common.errors import Interrupted, UserError, hint_for, stop_signals
from common.monitor import Monitor

KEEP = 5  # numbered checkpoints to keep, besides best/


def weights(model: Any) -> list[tf.Variable]:
    """Returns the variables of a model to save in a checkpoint, in a fixed order.

    `tf.train.Checkpoint` is not given the Keras model itself, because it silently ignores layers
    in a plain Python list.
    """
    if isinstance(model, keras.Layer):
        return [variable.value for variable in model.weights]
    return list(model.variables)


class TrainState:
    """The whole state of a run, in `checkpoints/` of its folder.

    Optimizer slots are built before restoring, because slots built later are silently lost. The
    states of all seed generators are saved explicitly, because no Keras format does so. With both,
    a resumed run equals an uninterrupted one bit for bit.
    """

    def __init__(
        self,
        run_dir: Path,
        models: dict[str, Any],
        optimizers: dict[str, tuple[keras.Optimizer, list[Any]]] | None = None,
        **extra: Any,
    ):
        """Restores the latest checkpoint of the run, if it has one.

        Args:
            run_dir: the run folder.
            models: built Keras models or `tf.Module`s, by name, as for `load`.
            optimizers: by name, each with the variables it updates.
            **extra: other trackable objects (carried LSTM states, running means ...).
        """
        optimizers = optimizers or {}
        for optimizer, variables in optimizers.values():
            optimizer.build(variables)
        rng = [
            variable.value
            for model in models.values()
            if isinstance(model, keras.Layer)
            for variable in model.non_trainable_variables
            if variable.path.endswith("seed_generator_state")
        ]
        # The learning rate is a flag: it is not the one of the checkpoint. Schedules have no state.
        self._rates = [(optimizer, float(optimizer.learning_rate)) for optimizer, _ in
                       optimizers.values() if isinstance(optimizer.learning_rate, keras.Variable)]
        self._run_dir = run_dir
        self._weights = {name: weights(model) for name, model in models.items()}
        self.step = tf.Variable(0, dtype=tf.int64)
        self.best = tf.Variable(math.inf, dtype=tf.float64)  # infinite: none yet
        self.cpu_seconds = tf.Variable(0.0, dtype=tf.float64)
        self.wall_seconds = tf.Variable(0.0, dtype=tf.float64)
        self._checkpoint = tf.train.Checkpoint(
            step=self.step, best=self.best, rng=rng, cpu_seconds=self.cpu_seconds,
            wall_seconds=self.wall_seconds, **extra,
            **self._weights,
            **{f"{name}_optimizer": optimizer for name, (optimizer, _) in optimizers.items()},
        )
        folder = run_dir / "checkpoints"
        self._latest = tf.train.CheckpointManager(self._checkpoint, str(folder), KEEP)
        self._best = tf.train.CheckpointManager(self._checkpoint, str(folder / "best"), 1)
        self._clock = time.process_time(), time.monotonic()
        self.restore()

    def restore(self) -> None:
        """Restores the latest checkpoint, if there is one, except the learning rates.

        Raises:
            UserError: the checkpoint does not fit the model.
        """
        if (path := choose(self._run_dir, "latest")) is None:
            return
        try:
            self._checkpoint.restore(path).assert_consumed()
        except READ_ERRORS as error:
            raise unusable(path, error, "start a new run with another --name") from error
        for optimizer, rate in self._rates:
            optimizer.learning_rate = rate

    def save(self, best: bool = False) -> None:
        """Writes a checkpoint.

        Args:
            best: whether to replace the checkpoint in `checkpoints/best/`, instead of writing a
                numbered one.

        Raises:
            UserError: the disk is full or not writable, or a weight is not finite; earlier
                checkpoints are kept.
        """
        for variable in itertools.chain.from_iterable(self._weights.values()):
            if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(variable))):
                raise UserError(f"a weight is not finite at step {int(self.step)}",
                                "start a new run with a lower --learning_rate")
        cpu, wall = time.process_time(), time.monotonic()
        self.cpu_seconds.assign_add(cpu - self._clock[0])
        self.wall_seconds.assign_add(wall - self._clock[1])
        self._clock = cpu, wall
        manager = self._best if best else self._latest
        try:
            manager.save(checkpoint_number=self.step)
        except (OSError, tf.errors.OpError) as error:
            raise UserError(
                f"cannot save step {int(self.step)}: {str(error).splitlines()[0]}",
                f"{hint_for(error)}; the latest checkpoint is {manager.latest_checkpoint}",
            ) from error

    def save_if_best(self, value: float, highest: bool = False) -> bool:
        """Saves to best/ if a validation score is the best so far; returns whether it is.

        Args:
            value: the score, finite.
            highest: whether higher is better (accuracy, return) or lower (loss).
        """
        best = float(self.best)
        if math.isfinite(best) and (value <= best if highest else value >= best):
            return False
        self.best.assign(value)
        self.save(best=True)
        return True

    def steps(
        self, batches: Iterable[Any], max_steps: int, save_every: int, monitor: Monitor
    ) -> Iterator[tuple[int, Any]]:
        """Yields `(step, batch)` up to `max_steps`; shows a progress bar and saves checkpoints.

        The stream must begin after the restored step. `step` counts from 1: it is the number of
        optimizer updates once the body of the loop has run.

        Raises:
            Interrupted: on SIGINT or SIGTERM, after saving.
        """
        first = int(self.step) + 1
        bar = tqdm(total=max_steps, initial=first - 1, unit="step", disable=None)
        with stop_signals() as stop, bar, monitor.showing(bar):
            for step, batch in zip(range(first, max_steps + 1), batches, strict=False):
                self.step.assign(step)
                yield step, batch
                bar.update()
                self.end_step(max_steps, save_every, stop)

    def end_step(self, max_steps: int, save_every: int, stop: threading.Event) -> None:
        """Saves after the first, each `save_every`-th and the last step, and before stopping."""
        step, stopping = int(self.step), stop.is_set()
        if step in (1, max_steps) or step % save_every == 0 or stopping:
            self.save()
        if stopping and step < max_steps:
            how = rundir.flag_to_resume(self._run_dir)
            raise Interrupted(f"stopped and saved at step {step}; {how} continues from there")


def load(run_dir: Path, which: str, **models: Any) -> str:
    """Restores trained weights into built models; returns the path of the checkpoint.

    Reports on stderr if the latest is used because there is no best one.

    Args:
        run_dir: the run folder.
        which: "best", which falls back to the latest, "latest", or a step.
        **models: by the names given to `TrainState`.

    Raises:
        UserError: there is no checkpoint, or it is of another architecture.
    """
    if (path := choose(run_dir, which)) is None:
        raise UserError(f"{run_dir} has no {which} checkpoint", "train first: python train.py")
    if which == "best" and path == choose(run_dir, "latest"):
        print(f"there is no best checkpoint: using the latest, {path}", file=sys.stderr)
    try:
        values = {name: weights(model) for name, model in models.items()}
        status = tf.train.Checkpoint(**values).restore(path)
        status.expect_partial().assert_existing_objects_matched()
        for name, expected in values.items():
            saved = [key for key, _ in tf.train.list_variables(path) if key.startswith(f"{name}/")]
            if len(saved) != len(expected):
                raise ValueError(f"{name} has {len(expected)} weights, the checkpoint {len(saved)}")
    except READ_ERRORS as error:
        hint = "name a run of this model with --name or --run_dir"
        raise unusable(path, error, hint) from error
    return path


def start_from(
    args: argparse.Namespace, class_names: Sequence[str] | None = None, **models: Any
) -> None:
    """Initializes the models of a run that is not a resumed one with the weights of another.

    Prints which are not taken: those of another shape, and the last layer of other classes.

    Args:
        args: the result of `flags.resolve`.
        class_names: of a classifier, whose last layer is a kernel and a bias.
        **models: by the names given to `TrainState`.

    Raises:
        UserError: there is no such run, or its model does not fit.
    """
    if not args.init_from or rundir.last_step(args.run_dir):
        return
    run = rundir.find_run(args.chapter, args.init_from)
    if not (path := choose(run, "best")):
        raise UserError(f"{run} has no checkpoint", "give another --init_from")
    there = rundir.read_config(run).get("class_names")
    head = 2 if class_names and there not in (None, list(class_names)) else 0
    try:
        reader = tf.train.load_checkpoint(path)
        shapes, fresh = reader.get_variable_to_shape_map(), []
        for name, model in models.items():
            keys = [f"{name}/{i}/.ATTRIBUTES/VARIABLE_VALUE" for i in range(len(weights(model)))]
            if sum(key.startswith(f"{name}/") for key in shapes) != len(keys):
                raise ValueError(f"{name} has {len(keys)} weights here, another number there")
            for key, variable in zip(keys, weights(model), strict=True):
                if shapes[key] == variable.shape.as_list() and key not in keys[len(keys) - head :]:
                    variable.assign(reader.get_tensor(key))
                else:
                    fresh.append(f"{variable.name} {variable.shape}")
    except READ_ERRORS as error:
        raise unusable(path, error, "name a run of this model with --init_from") from error
    print("\nnot taken: ".join([f"starting from {path}", *fresh]), file=sys.stderr)
