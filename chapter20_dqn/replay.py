"""Replay: what the agents have seen, and draw their batches from (Lin 1992; Mnih et al. 2015).

Each observation is stored once, although it is part of several states.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError


class Batch(NamedTuple):
    """Transitions over one step or several."""

    states: np.ndarray  # (batch, history_length, *observation_shape)
    actions: np.ndarray  # int64 (batch,)
    rewards: np.ndarray  # float32 (batch,): of all steps, discounted
    next_states: np.ndarray  # (batch, history_length, *observation_shape)
    discounts: np.ndarray  # float32 (batch,): of the next state's value, 0 behind an end


class Replay:
    """The newest transitions of each environment, in a ring of its own.

    A row holds an observation and what was done then, with the reward and whether that was the
    end; the next row of the ring holds the next observation. An episode is closed by a row that
    holds its last observation, after which nothing was done.
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
            capacity: rows; the oldest make place for the newest.
            observation_shape: of one observation.
            dtype: of observations.
            history_length: observations in a state.
            n_step: steps of a transition, unless its episode ends before.
            discount: what a reward loses in a step.
            num_envs: rings, which share the rows evenly.

        Raises:
            UserError: the memory of this machine does not hold it.
        """
        check_memory(capacity, observation_shape, dtype)
        self._ring = capacity // num_envs  # rows of one environment
        self.capacity, self.history_length = num_envs * self._ring, history_length
        self.n_step, self.discount = n_step, discount
        self._added = np.zeros(num_envs, np.int64)  # rows ever
        self._ages = np.zeros(num_envs, np.int64)  # of the next row, see `ages`
        self._rows = {
            "observations": np.zeros((self.capacity, *observation_shape), dtype),
            "actions": np.zeros(self.capacity, np.int64),
            "rewards": np.zeros(self.capacity, np.float32),
            "terminals": np.zeros(self.capacity, bool),
            "closing": np.zeros(self.capacity, bool),
            "ages": np.zeros(self.capacity, np.int64),  # rows since the episode began
        }

    def __len__(self) -> int:
        """Returns the rows in memory."""
        return int(self._lengths().sum())

    def _lengths(self) -> np.ndarray:
        """Returns the rows in memory of each environment, (num_envs,)."""
        return np.minimum(self._added, self._ring)

    def add(
        self, observation: np.ndarray, action: int, reward: float, terminal: bool,
        env: int = 0, closing: bool = False,
    ) -> int:
        """Stores what was seen, what was done then, and what came of it; returns the row."""
        row = env * self._ring + int(self._added[env]) % self._ring
        values = (observation, action, reward, terminal, closing, self._ages[env])
        for array, value in zip(self._rows.values(), values, strict=True):
            array[row] = value
        self._added[env] += 1
        self._ages[env] = 0 if closing else self._ages[env] + 1
        return row

    def close(self, observation: np.ndarray, env: int = 0) -> None:
        """Stores an episode's last observation. The next `add` begins another episode."""
        self.add(observation, 0, 0.0, True, env, closing=True)

    def draw(self, batch_size: int, rng: np.random.Generator) -> np.ndarray:
        """Draws the rows, (batch,), in which transitions begin, each with equal probability.

        Rejected are those whose state would reach into an earlier episode, or behind the oldest
        row; and the newest rows, whose next observations are yet to come.

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
            f"no episode in the replay has {self.history_length} observations with {self.n_step} "
            "more behind them",
            "lower --history_length or --n_step, or raise --t_learn_start or --memory_size")

    def _candidates(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws at least `count` rows, or none, of which `draw` rejects some."""
        first = self._added - self._lengths() + self.history_length - 1  # (num_envs,)
        choices = np.maximum(self._added - self.n_step - first, 0)
        behind = np.cumsum(choices)
        if not behind[-1]:
            return np.empty(0, np.int64)
        drawn = rng.integers(behind[-1], size=count + count // 4)  # some more, to draw but once
        envs = np.searchsorted(behind, drawn, side="right")
        numbers = first[envs] + drawn - (behind - choices)[envs]  # of rows, from the first ever
        return envs * self._ring + numbers % self._ring

    def _is_whole(self, rows: np.ndarray) -> np.ndarray:
        """Says in which rows, (count,), a transition begins that is all there: bool (count,)."""
        envs, places = np.divmod(rows, self._ring)
        newer = (self._added[envs] - 1 - places) % self._ring  # rows that were added since
        return ((newer >= self.n_step) & (newer + self.history_length <= self._lengths()[envs])
                & (self._rows["ages"][rows] >= self.history_length - 1)
                & ~self._rows["closing"][rows])

    def _ahead(self, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Returns rows of the same rings: (batch,) and (offsets,) give (batch, offsets)."""
        start = rows - rows % self._ring
        return start[:, None] + ((rows - start)[:, None] + offsets) % self._ring

    def batch(self, rows: np.ndarray) -> Batch:
        """Gathers the transitions that begin in some rows, (batch,).

        The rewards of n steps are summed, and the value of the state behind them is discounted
        n-fold (Sutton and Barto 2018, section 7.1). Where the episode ends before, the sum ends
        there: with no value behind it, or, if it was cut off, with that of its last state,
        discounted by the steps that were made.
        """
        steps = self._ahead(rows, np.arange(self.n_step))  # (batch, n_step)
        over = np.cumsum(self._rows["terminals"][steps], axis=1) - self._rows["terminals"][steps]
        made = (over == 0) & ~self._rows["closing"][steps]  # steps up to the episode's last
        powers = np.float32(self.discount) ** np.arange(self.n_step + 1, dtype=np.float32)
        rewards = (self._rows["rewards"][steps] * made * powers[:-1]).sum(axis=1)
        count = made.sum(axis=1)  # (batch,)
        ended = (self._rows["terminals"][steps] & made).any(axis=1)
        history = np.arange(1 - self.history_length, 1)
        windows = self._ahead(rows, np.arange(1 - self.history_length, self.n_step + 1))
        next_windows = np.take_along_axis(windows, count[:, None] + history - history[0], axis=1)
        observations = self._rows["observations"]
        return Batch(observations[windows[:, :self.history_length]], self._rows["actions"][rows],
                     rewards, observations[next_windows],
                     np.where(ended, np.float32(0), powers[count]))

    def state(self) -> dict[str, np.ndarray]:
        """Returns all that `restore` needs, as views."""
        return {"counters": np.array([self._added, self._ages]),
                **{name: self._filled(array) for name, array in self._rows.items()}}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Takes over what `state` returned."""
        self._added[:], self._ages[:] = state["counters"]
        for name, array in self._rows.items():
            self._filled(array)[:] = state[name]

    def _filled(self, array: np.ndarray) -> np.ndarray:
        """Returns the part of an array of rows that was ever used, (num_envs, longest, ...)."""
        rings = array.reshape(len(self._added), self._ring, *array.shape[1:])
        return rings[:, :self._lengths().max()]


def check_memory(capacity: int, observation_shape: tuple[int, ...], dtype: Any) -> None:
    """Raises UserError if a replay of this size is larger than the free memory."""
    row = int(np.prod(observation_shape)) * np.dtype(dtype).itemsize + 30
    if (needed := capacity * row) > (free := free_memory()):
        raise UserError(
            f"a replay of {capacity:,} observations would take {needed / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free",
            "lower --memory_size, which is counted in units of --scale",
        )


def free_memory() -> int:
    """Returns the bytes that Linux can give to a process without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if "MemAvailable" in line) * 1024
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
