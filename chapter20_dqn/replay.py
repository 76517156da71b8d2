"""Experience replay: stores transitions and draws batches (Lin 1992; Mnih et al. 2015).

Each observation is stored once, although it is part of several states.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError


class Batch(NamedTuple):
    """Transitions over one step or n steps."""

    states: np.ndarray  # (batch, history_length, *observation_shape)
    actions: np.ndarray  # int64 (batch,)
    rewards: np.ndarray  # float32 (batch,): the discounted sum over the steps
    next_states: np.ndarray  # (batch, history_length, *observation_shape)
    discounts: np.ndarray  # float32 (batch,): of the next state's value, 0 if terminal


class Replay:
    """The latest transitions of each environment, in one ring buffer per environment.

    A row holds an observation, the action taken, its reward, and whether it was terminal; the next
    row of the ring holds the next observation. A closing row, without an action, holds the last
    observation of an episode.
    """

    def __init__(
        self,
        capacity: int,
        observation_shape: tuple[int, ...],
        dtype: Any,
        history_length: int,
        n_step: int = 1,
        discount: float = 0.99,
        num_envs: int = 1,
    ):
        """Allocates the memory.

        Args:
            capacity: rows; new rows overwrite the oldest.
            observation_shape: of one observation.
            dtype: of observations.
            history_length: observations per state.
            n_step: steps per transition, unless its episode ends before.
            discount: discount factor γ.
            num_envs: number of rings, which share the rows evenly.

        Raises:
            UserError: the free memory of this machine is too small.
        """
        check_memory(capacity, observation_shape, dtype)
        self._ring = capacity // num_envs  # rows of one environment
        self.capacity, self.history_length = num_envs * self._ring, history_length
        self.n_step, self.discount = n_step, discount
        self._added = np.zeros(num_envs, np.int64)  # rows ever added
        self._ages = np.zeros(num_envs, np.int64)  # of the next row, see "ages"
        self._rows = {
            "observations": np.zeros((self.capacity, *observation_shape), dtype),
            "actions": np.zeros(self.capacity, np.int64),
            "rewards": np.zeros(self.capacity, np.float32),
            "terminals": np.zeros(self.capacity, bool),
            "closing": np.zeros(self.capacity, bool),
            "ages": np.zeros(self.capacity, np.int64),  # rows since the episode began
        }

    def __len__(self) -> int:
        """Returns the number of rows in memory."""
        return int(self._lengths().sum())

    def _lengths(self) -> np.ndarray:
        """Returns the number of rows in memory of each environment, (num_envs,)."""
        return np.minimum(self._added, self._ring)

    def add(
        self, observation: np.ndarray, action: int, reward: float, terminal: bool,
        env: int = 0, closing: bool = False,
    ) -> int:
        """Stores an observation, the action taken and its result; returns the row."""
        row = env * self._ring + int(self._added[env]) % self._ring
        values = (observation, action, reward, terminal, closing, self._ages[env])
        for array, value in zip(self._rows.values(), values, strict=True):
            array[row] = value
        self._added[env] += 1
        self._ages[env] = 0 if closing else self._ages[env] + 1
        return row

    def close(self, observation: np.ndarray, env: int = 0) -> None:
        """Stores an episode's last observation; the next `add` starts another episode."""
        self.add(observation, 0, 0.0, True, env, closing=True)

    def draw(self, batch_size: int, rng: np.random.Generator) -> np.ndarray:
        """Draws the first rows of transitions, (batch,), uniformly.

        Rejects rows whose state would reach into an earlier episode or beyond the oldest row, and
        the latest rows, whose next observations are not there yet.

        Raises:
            UserError: no episode is long enough to draw from.
        """
        drawn = np.empty(0, np.int64)
        for _ in range(1000):
            rows = self._candidates(batch_size - len(drawn), rng)
            drawn = np.concatenate([drawn, rows[self._is_whole(rows)]])[:batch_size]
            if len(drawn) == batch_size:
                return drawn
        raise UserError(
            f"no episode in the replay has {self.history_length} observations followed by "
            f"{self.n_step} more",
            "lower --history_length or --n_step, or raise --t_learn_start or --memory_size")

    def _candidates(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws at least `count` rows, or none; `draw` rejects some of them."""
        first = self._added - self._lengths() + self.history_length - 1  # (num_envs,)
        choices = np.maximum(self._added - self.n_step - first, 0)
        ends = np.cumsum(choices)
        if not ends[-1]:
            return np.empty(0, np.int64)
        drawn = rng.integers(ends[-1], size=count + count // 4)  # spare ones, to draw only once
        envs = np.searchsorted(ends, drawn, side="right")
        numbers = first[envs] + drawn - (ends - choices)[envs]  # of rows, counted from the first
        return envs * self._ring + numbers % self._ring

    def _is_whole(self, rows: np.ndarray) -> np.ndarray:
        """Returns which rows, (count,), start a complete transition: bool (count,)."""
        envs, places = np.divmod(rows, self._ring)
        newer = (self._added[envs] - 1 - places) % self._ring  # rows added since
        return ((newer >= self.n_step) & (newer + self.history_length <= self._lengths()[envs])
                & (self._rows["ages"][rows] >= self.history_length - 1)
                & ~self._rows["closing"][rows])

    def _ahead(self, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Returns the rows at offsets within the same rings, (batch, offsets)."""
        start = rows - rows % self._ring
        return start[:, None] + ((rows - start)[:, None] + offsets) % self._ring

    def batch(self, rows: np.ndarray) -> Batch:
        """Gathers the transitions that start at the given rows, (batch,).

        The rewards of n steps are discounted and summed; the value of the state after them is
        discounted by γⁿ (Sutton and Barto 2018, § 7.1). If the episode ends before, the sum ends
        there: without a next value, or, if the episode was truncated, with the value of its last
        state, discounted by the steps taken.
        """
        steps = self._ahead(rows, np.arange(self.n_step))  # (batch, n_step)
        over = np.cumsum(self._rows["terminals"][steps], axis=1) - self._rows["terminals"][steps]
        taken = (over == 0) & ~self._rows["closing"][steps]  # steps up to the episode's last
        powers = np.float32(self.discount) ** np.arange(self.n_step + 1, dtype=np.float32)
        rewards = (self._rows["rewards"][steps] * taken * powers[:-1]).sum(axis=1)
        count = taken.sum(axis=1)  # (batch,)
        ended = (self._rows["terminals"][steps] & taken).any(axis=1)
        history = np.arange(1 - self.history_length, 1)
        windows = self._ahead(rows, np.arange(1 - self.history_length, self.n_step + 1))
        next_windows = np.take_along_axis(windows, count[:, None] + history - history[0], axis=1)
        observations = self._rows["observations"]
        return Batch(observations[windows[:, :self.history_length]], self._rows["actions"][rows],
                     rewards, observations[next_windows],
                     np.where(ended, np.float32(0), powers[count]))

    def state(self) -> dict[str, np.ndarray]:
        """Returns the arrays that `restore` needs, as views."""
        return {"counters": np.array([self._added, self._ages]),
                **{name: self._filled(array) for name, array in self._rows.items()}}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Restores what `state` returned.

        Raises:
            ValueError: it is the state of another replay.
        """
        for target, source in zip((self._added, self._ages), state["counters"], strict=True):
            copy_into(target, source)
        for name, array in self._rows.items():
            copy_into(self._filled(array), state[name])

    def _filled(self, array: np.ndarray) -> np.ndarray:
        """Returns the part of an array of rows in use, (num_envs, longest, ...)."""
        rings = array.reshape(len(self._added), self._ring, *array.shape[1:])
        return rings[:, :self._lengths().max()]


def copy_into(target: np.ndarray, source: np.ndarray) -> None:
    """Copies an array into one of the same shape and dtype; assigning it would broadcast it."""
    if (source.shape, source.dtype) != (target.shape, target.dtype):
        raise ValueError(f"{source.dtype} of shape {source.shape}, not {target.dtype} of shape "
                         f"{target.shape}")
    target[:] = source


def check_memory(capacity: int, observation_shape: tuple[int, ...], dtype: Any) -> None:
    """Raises UserError if a replay of this size exceeds the free memory."""
    row = int(np.prod(observation_shape)) * np.dtype(dtype).itemsize + 30
    if (needed := capacity * row) > (free := free_memory()):
        raise UserError(
            f"a replay of {capacity:,} observations needs {needed / 1e9:.1f} GB of memory, "
            f"{free / 1e9:.1f} GB are free",
            "lower --memory_size, which is multiplied by --scale",
        )


def free_memory() -> int:
    """Returns the bytes of memory that are available without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if "MemAvailable" in line) * 1024
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
