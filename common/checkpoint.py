"""Exact resume: everything a run needs to go on, saved and restored as one.

`TrainState` holds weights, optimizer slots, random-number state and the step. Explicit loops go
through `TrainState.steps`, `fit` through `FitCallback`; both leave at a step's end when the user
presses Ctrl-C, and both resume to the last bit.
"""

import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from common import rundir
from common.errors import Interrupted, UserError
from common.monitor import Monitor

KEEP = 5  # numbered checkpoints that stay; best/ is kept beside them
READ_ERRORS = AssertionError, ValueError, IndexError, tf.errors.OpError


def weights(model: Any) -> list[tf.Variable]:
    """Returns the variables of a model that a checkpoint must hold, in their fixed order.

    A Keras model itself is no safe thing to hand to `tf.train.Checkpoint`: layers in a plain
    Python list are not followed, and nothing says so.
    """
    if isinstance(model, keras.Layer):
        return [variable.value for variable in model.weights]
    return list(model.variables)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turns SIGINT and SIGTERM into a flag for the length of a training run.

    A second signal acts as it did before, so that a hanging run can still be killed.
    """
    stop = threading.Event()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, previous[number])
        with suppress(OSError, RuntimeError):  # stderr may be gone (`| tee`), or in use just now
            print("stopping after this step; once more to stop at once", file=sys.stderr)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class TrainState:
    """A run's whole state, in `checkpoints/` of its folder.

    Optimizer slots are built before anything is restored (slots that come into being later are
    silently lost), and the states of all seed generators are saved by hand (no Keras format
    does). With both, a resumed run equals an uninterrupted one to the last bit.
    """

    def __init__(
        self,
        run_dir: Path,
        models: dict[str, Any],
        optimizers: dict[str, tuple[keras.Optimizer, list[Any]]] | None = None,
        **extra: Any,
    ):
        """Restores the newest checkpoint of the run, if it has one.

        Args:
            run_dir: the run folder.
            models: built Keras models or `tf.Module`s, by name; what `load` restores.
            optimizers: by name, each with the variables it trains.
            **extra: other trackable objects (carried LSTM states, metrics ...).
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
        self._run_dir = run_dir
        self._weights = {name: weights(model) for name, model in models.items()}
        self.step = tf.Variable(0, dtype=tf.int64)
        self.best = tf.Variable(float("inf"), dtype=tf.float64)
        self.cpu_seconds = tf.Variable(0.0, dtype=tf.float64)
        self.wall_seconds = tf.Variable(0.0, dtype=tf.float64)
        self._checkpoint = tf.train.Checkpoint(
            step=self.step, best=self.best, rng=rng, cpu_seconds=self.cpu_seconds,
            wall_seconds=self.wall_seconds, **extra,
            **self._weights,
            **{f"{name}_optimizer": optimizer for name, (optimizer, _) in optimizers.items()},
        )
        folder = run_dir / "checkpoints"
        self._newest = tf.train.CheckpointManager(self._checkpoint, str(folder), KEEP)
        self._best = tf.train.CheckpointManager(self._checkpoint, str(folder / "best"), 1)
        self._clock = time.process_time(), time.monotonic()
        self.restore()

    def restore(self) -> None:
        """Reads the newest checkpoint, if there is one.

        Raises:
            UserError: the checkpoint does not fit the model.
        """
        if (path := newest(self._run_dir, "latest")) is None:
            return
        try:
            self._checkpoint.restore(path).assert_consumed()
        except READ_ERRORS as error:
            raise unusable(path, error, "start a new run with another --name") from error

    def save(self, best: bool = False) -> None:
        """Writes a checkpoint; it counts only once it is whole, see `rundir.newest_checkpoint`.

        Args:
            best: write `checkpoints/best/`, which holds one, instead of the numbered series.

        Raises:
            UserError: the disk is full or not writable, or a weight is not finite; the earlier
                checkpoints stay.
        """
        for variable in itertools.chain.from_iterable(self._weights.values()):
            if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(variable))):
                raise UserError(
                    f"a weight is not finite at step {int(self.step)}",
                    "start a new run with a lower --learning_rate",
                )
        cpu, wall = time.process_time(), time.monotonic()
        self.cpu_seconds.assign_add(cpu - self._clock[0])
        self.wall_seconds.assign_add(wall - self._clock[1])
        self._clock = cpu, wall
        manager = self._best if best else self._newest
        try:
            manager.save(checkpoint_number=self.step)
        except (OSError, tf.errors.OpError) as error:
            raise UserError(
                f"cannot save step {int(self.step)}: {str(error).splitlines()[0]}",
                f"free some space; the newest whole checkpoint is {manager.latest_checkpoint}",
            ) from error

    def save_if_best(self, value: float) -> bool:
        """Saves to best/ if `value`, a validation loss, is the lowest so far."""
        if value >= float(self.best):
            return False
        self.best.assign(value)
        self.save(best=True)
        return True

    def steps(
        self, batches: Iterable[Any], max_steps: int, save_every: int, monitor: Monitor
    ) -> Iterator[tuple[int, Any]]:
        """Yields `(step, batch)` up to `max_steps`, saving as it goes.

        The stream must begin at the batch after the restored step. `step` counts from 1: it is
        the number of optimizer updates once the loop's body has run.

        Raises:
            Interrupted: after saving, when SIGINT or SIGTERM came.
        """
        first = int(self.step) + 1
        bar = tqdm(total=max_steps, initial=first - 1, unit="step", disable=None)
        with stop_signals() as stop, bar:
            monitor.bar = bar
            for step, batch in zip(range(first, max_steps + 1), batches, strict=False):
                self.step.assign(step)
                yield step, batch
                bar.update()
                self.end_step(max_steps, save_every, stop)

    def end_step(self, max_steps: int, save_every: int, stop: threading.Event) -> None:
        """Saves after the first, every `save_every`-th and the last step, and on a stop."""
        step, stopping = int(self.step), stop.is_set()
        if step in (1, max_steps) or step % save_every == 0 or stopping:
            self.save()
        if stopping and step < max_steps:
            raise Interrupted(f"stopped and saved at step {step}; --resume goes on from there")


class FitCallback(keras.callbacks.Callback):
    """Gives `model.fit` what `TrainState.steps` gives a loop.

    One `fit` of `steps_per_epoch=max_steps - step` batches is one training run: the unit is the
    optimizer step, so a run can stop and resume anywhere, not only where an epoch ends.
    """

    def __init__(
        self,
        state: TrainState,
        monitor: Monitor,
        max_steps: int,
        save_every: int,
        log_every: int,
        eval_every: int,
        evaluate: Callable[[int], bool],
    ):
        """Logs every `log_every` steps; calls `evaluate(step)` every `eval_every` and at the end.

        Training ends early where `evaluate`, which must leave the model's metrics alone, returns
        True.

        Build `state` with the metrics of the model among its `extra`, so that the means of a
        logged window survive a stop inside it.
        """
        super().__init__()
        self.state, self.monitor, self.evaluate = state, monitor, evaluate
        self.max_steps, self.save_every = max_steps, save_every
        self.log_every, self.eval_every = log_every, eval_every
        self._stop = threading.Event()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Restores once more, because `fit` has just reset the metrics."""
        self.state.restore()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Logs, evaluates, saves, and leaves if asked to."""
        step = int(self.state.step.assign_add(1))
        if step % self.log_every == 0:
            rate = self.model.optimizer.learning_rate
            self.monitor.scalars(step, {**logs, "learning_rate": rate})
            self.model.reset_metrics()
        if step % self.eval_every == 0 or step == self.max_steps:
            self.model.stop_training = self.evaluate(step)
        self.monitor.bar.update()
        last = step if self.model.stop_training else self.max_steps
        self.state.end_step(last, self.save_every, self._stop)

    def fit(self, model: keras.Model, batches: tf.data.Dataset) -> None:
        """Runs `model.fit` over an endless stream from the restored step to `max_steps`."""
        done = int(self.state.step)
        bar = tqdm(total=self.max_steps, initial=done, unit="step", disable=None)
        with stop_signals() as self._stop, bar:
            self.monitor.bar = bar
            model.fit(batches, steps_per_epoch=self.max_steps - done, callbacks=[self],
                      shuffle=False, verbose=0)


def newest(run_dir: Path, which: str) -> str | None:
    """Returns the path of a run's checkpoint, None where it has none.

    Args:
        run_dir: the run folder.
        which: "latest", or "best": the newest where no best one was kept.
    """
    best = rundir.newest_checkpoint(run_dir / "checkpoints" / "best") if which == "best" else None
    return best or rundir.newest_checkpoint(run_dir / "checkpoints")


def load(run_dir: Path, which: str, **models: Any) -> str:
    """Restores trained weights into models built by the caller; returns the checkpoint's path.

    Says so where the newest is taken because no best one was kept.

    Args:
        run_dir: the run folder.
        which: see `newest`.
        **models: under the names that `TrainState` got.

    Raises:
        UserError: there is no checkpoint, or it holds another architecture.
    """
    if (path := newest(run_dir, which)) is None:
        raise UserError(f"{run_dir} has no {which} checkpoint", "train first: python train.py")
    if which == "best" and path == newest(run_dir, "latest"):
        print(f"no best checkpoint was kept: taking the newest, {path}", file=sys.stderr)
    try:
        values = {name: weights(model) for name, model in models.items()}
        status = tf.train.Checkpoint(**values).restore(path)
        status.expect_partial().assert_existing_objects_matched()
        for name, expected in values.items():
            saved = [key for key, _ in tf.train.list_variables(path) if key.startswith(f"{name}/")]
            if len(saved) != len(expected):
                raise ValueError(f"{name} has {len(expected)} weights, {len(saved)} were saved")
    except READ_ERRORS as error:
        hint = "name a run of this model with --name or --run_dir"
        raise unusable(path, error, hint) from error
    return path


def unusable(path: str, error: Exception, hint: str) -> UserError:
    """Returns what to say of a checkpoint that cannot be restored; the hint is for another model's.

    Of another model's checkpoint weights are left over or missing, or have other shapes; all else
    comes of files that cannot be read.
    """
    reason = str(error).splitlines()[0]
    misfits = AssertionError, ValueError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError
    if not isinstance(error, misfits):
        return UserError(f"{path} is damaged: {reason}",
                         f"remove {path}.*: an older checkpoint is taken, if there is one")
    return UserError(f"{path} does not fit this model: {reason}", hint)


def usage(run_dir: Path, which: str) -> dict[str, Any]:
    """Returns what a run took: steps, minutes, and its `which` checkpoint with its steps.

    That checkpoint is called "best" only where a best one was kept.
    """

    def read(path: str | None) -> dict[str, float]:
        names = ("step", "cpu_seconds", "wall_seconds")
        try:
            reader = tf.train.load_checkpoint(path)
            return {n: float(reader.get_tensor(f"{n}/.ATTRIBUTES/VARIABLE_VALUE")) for n in names}
        except READ_ERRORS as error:
            raise unusable(path, error, "name another run with --name or --run_dir") from error

    chosen = newest(run_dir, which)
    last = read(newest(run_dir, "latest") or chosen)
    return {
        "steps": int(last["step"]),
        "checkpoint": "best" if Path(chosen).parent.name == "best" else "latest",
        "checkpoint_step": int(read(chosen)["step"]),
        "minutes_two_cores": round(last["cpu_seconds"] / 2 / 60, 2),
        "wall_minutes": round(last["wall_seconds"] / 60, 2),
    }
