"""Replay: what the agent has seen, and draws its batches from (Lin 1992; Mnih et al. 2015).

Each observation is stored once, although it is part of several states.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.errors import UserError


class Batch(NamedTuple):
    """Transitions drawn at random; state and next state share all but two observations."""

    windows: np.ndarray  # (batch, history_length + 1, *observation_shape)
    actions: np.ndarray  # int64 (batch,)
    rewards: np.ndarray  # float32 (batch,)
    terminals: np.ndarray  # bool (batch,): nothing more is to be gained after this


class Replay:
    """A ring of the newest transitions.

    Row k holds an observation and what was done then, with the reward and whether that was the
    end; row k + 1 holds the next observation. An episode is closed by a row that holds its last
    observation, after which nothing was done.
    """

    def __init__(
        self, capacity: int, observation_shape: tuple[int, ...], dtype: Any, history_length: int
    ):
        """Allocates the memory.

        Args:
            capacity: rows; the oldest make place for the newest.
            observation_shape: of one observation.
            dtype: of observations.
            history_length: observations in a state.

        Raises:
            UserError: the memory of this machine does not hold it.
        """
        check_memory(capacity, observation_shape, dtype)
        self.capacity, self.history_length = capacity, history_length
        self.added = 0  # rows ever
        self._age = 0  # of the next row, see `ages`
        self._rows = {
            "observations": np.zeros((capacity, *observation_shape), dtype),
            "actions": np.zeros(capacity, np.int64),
            "rewards": np.zeros(capacity, np.float32),
            "terminals": np.zeros(capacity, bool),
            "closing": np.zeros(capacity, bool),
            "ages": np.zeros(capacity, np.int64),  # rows since the episode began
        }

    def __len__(self) -> int:
        """Returns the rows in memory."""
        return min(self.added, self.capacity)

    def add(
        self, observation: np.ndarray, action: int, reward: float, terminal: bool,
        closing: bool = False,
    ) -> None:
        """Stores what was seen, what was done then, and what came of it."""
        row = self.added % self.capacity
        values = (observation, action, reward, terminal, closing, self._age)
        for array, value in zip(self._rows.values(), values, strict=True):
            array[row] = value
        self.added += 1
        self._age = 0 if closing else self._age + 1

    def close(self, observation: np.ndarray) -> None:
        """Stores an episode's last observation. The next `add` begins another episode."""
        self.add(observation, 0, 0.0, True, closing=True)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Draws transitions, each with equal probability.

        Rejected are those whose state would reach into an earlier episode, or behind the oldest
        row; and the newest row, whose next observation is yet to come.

        Raises:
            UserError: no episode is long enough to draw from.
        """
        first = self.added - len(self) + self.history_length - 1
        drawn = np.empty(0, np.int64)
        for _ in range(1000):
            if first >= self.added - 1:
                break
            rows = rng.integers(first, self.added - 1, size=batch_size - len(drawn))
            drawn = np.concatenate([drawn, rows[self._is_whole(rows % self.capacity)]])
            if len(drawn) == batch_size:
                return self._batch(drawn)
        raise UserError(f"no episode in the replay has {self.history_length} steps",
                        "lower --history_length, or raise --t_learn_start")

    def _is_whole(self, rows: np.ndarray) -> np.ndarray:
        """Says of which rows, (count,), the state lies within one episode: bool (count,)."""
        return ((self._rows["ages"][rows] >= self.history_length - 1)
                & ~self._rows["closing"][rows])

    def _batch(self, numbers: np.ndarray) -> Batch:
        """Gathers transitions by their numbers, (batch,), counted from the first ever added."""
        offsets = np.arange(1 - self.history_length, 2)
        windows = (numbers[:, None] + offsets) % self.capacity  # (batch, history_length + 1)
        rows = numbers % self.capacity
        return Batch(self._rows["observations"][windows], self._rows["actions"][rows],
                     self._rows["rewards"][rows], self._rows["terminals"][rows])

    def state(self) -> dict[str, np.ndarray]:
        """Returns all that `restore` needs, as views."""
        counters = np.array([self.added, self._age])
        return {"counters": counters,
                **{name: array[:len(self)] for name, array in self._rows.items()}}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Takes over what `state` returned."""
        self.added, self._age = map(int, state["counters"])
        for name, array in self._rows.items():
            array[:len(self)] = state[name]


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
