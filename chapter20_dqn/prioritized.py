"""Prioritized replay: draws transitions with large TD errors more often (Schaul et al. 2016)."""

from typing import Any

import numpy as np

from chapter20_dqn.replay import Replay, copy_into

FIRST_PRIORITY = 1.0  # of rows added before the first update
MIN_PRIORITY = 1e-6  # ε of the paper: no priority is 0


class SumTree:
    """A binary tree of sums, which draws an index in proportion to its value in O(log size).

    Stored as an array: node 1 is the root, node k has the children 2k and 2k + 1 and holds their
    sum, and the leaves hold the values. Operations are vectorized over indices, level by level.
    """

    def __init__(self, size: int):
        """Makes a tree of zeros.

        Args:
            size: number of values.
        """
        self._first_leaf = 1 << max(0, size - 1).bit_length()
        self._nodes = np.zeros(2 * self._first_leaf)
        self.values = self._nodes[self._first_leaf :][:size]  # a view; change it by `set`

    @property
    def total(self) -> float:
        """The sum of all values."""
        return float(self._nodes[1])

    def set(self, indices: np.ndarray, values: np.ndarray) -> None:
        """Sets values and updates the sums above them.

        Args:
            indices: int64 (count,).
            values: float64 (count,), not negative; of a repeated index, the last value counts.
        """
        self.values[indices] = values
        nodes = indices + self._first_leaf
        while nodes[0] > 1:  # all leaves have the same depth
            nodes = nodes // 2
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def find(self, points: np.ndarray) -> np.ndarray:
        """Returns for each point the first index whose cumulative sum exceeds it, int64 (count,).

        Args:
            points: float64 (count,), at least 0 and below `total`.
        """
        nodes = np.ones(len(points), np.int64)
        while nodes[0] < self._first_leaf:
            left = self._nodes[2 * nodes]
            # Rounding errors must not lead into a subtree whose values are all 0.
            go_right = (points >= left) & (self._nodes[2 * nodes + 1] > 0)
            points = np.where(go_right, points - left, points)
            nodes = 2 * nodes + go_right
        return nodes - self._first_leaf


class PrioritizedReplay(Replay):
    """Draws a transition with probability proportional to its priority to the power of α.

    A new transition gets the largest priority so far (Schaul et al. 2016, algorithm 1, line 6), so
    that it is soon drawn for the first time.
    """

    def __init__(self, *args: Any, alpha: float, **kwargs: Any):
        """Takes the arguments of `Replay` and the priority exponent α; 0 draws uniformly."""
        super().__init__(*args, **kwargs)
        self._alpha = alpha
        self._tree = SumTree(self.capacity)  # of priorities to the power of α
        self._greatest = 0.0  # largest value of `update_priorities`, 0 before its first call

    def add(
        self, observation: np.ndarray, action: int, reward: float, terminal: bool,
        env: int = 0, closing: bool = False,
    ) -> int:
        """Stores a row, see `Replay.add`; a row that can never be drawn has priority 0."""
        row = super().add(observation, action, reward, terminal, env, closing)
        drawable = not closing and self._rows["ages"][row] >= self.history_length - 1
        self._tree.set(np.array([row]), np.array([drawable * (self._greatest or FIRST_PRIORITY)]))
        return row

    def _candidates(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws `count` rows, or none: one of each of `count` strata of equal total priority."""
        if not self._tree.total:
            return np.empty(0, np.int64)
        points = (np.arange(count) + rng.random(count)) / count
        return self._tree.find(points * self._tree.total)

    def weights(self, rows: np.ndarray, beta: float) -> np.ndarray:
        """Returns the importance-sampling weights of drawn rows, float32 (batch,).

        w = (N · P)^-β, divided by the largest of the batch (Schaul et al. 2016, § 3.4): β = 1
        corrects the bias of the non-uniform draws fully, β = 0 not at all.

        Args:
            rows: from `draw`, (batch,).
            beta: importance-sampling exponent β.
        """
        values = self._tree.values[rows]
        return ((values.min() / values) ** beta).astype(np.float32)

    def update_priorities(self, rows: np.ndarray, errors: np.ndarray) -> None:
        """Sets the priorities of drawn rows to |δ| + ε, given their TD errors δ, both (batch,)."""
        values = (np.abs(errors).astype(float) + MIN_PRIORITY) ** self._alpha
        self._tree.set(rows, values)
        self._greatest = max(self._greatest, float(values.max()))

    def state(self) -> dict[str, np.ndarray]:
        """Returns the arrays that `restore` needs, as views."""
        return {**super().state(), "priorities": self._filled(self._tree.values),
                "greatest_priority": np.array(self._greatest)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Restores what `state` returned."""
        super().restore(state)
        copy_into(self._filled(self._tree.values), state["priorities"])
        self._tree.set(np.arange(len(self._tree.values)), self._tree.values)
        self._greatest = float(state["greatest_priority"])
