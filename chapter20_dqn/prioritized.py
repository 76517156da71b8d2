"""Prioritized replay: what was surprising is drawn more often (Schaul et al. 2016)."""

from typing import Any

import numpy as np

from chapter20_dqn.replay import Replay

FIRST_PRIORITY = 1.0  # of rows that come before the first update
MIN_PRIORITY = 1e-6  # ε of the paper: what was no surprise may yet be drawn


class SumTree:
    """Values, of which one is found by a point on the line that they make end to end.

    A binary tree as an array: node 1 is the root, node k has the children 2k and 2k + 1, and each
    holds the sum of its children. The leaves hold the values. All is done for many at once, level
    by level, in O(log size).
    """

    def __init__(self, size: int):
        """Makes a tree of zeros.

        Args:
            size: values.
        """
        self._first_leaf = 1 << max(0, size - 1).bit_length()
        self._nodes = np.zeros(2 * self._first_leaf)
        self.values = self._nodes[self._first_leaf :][:size]  # a view; to be changed by `set`

    @property
    def total(self) -> float:
        """The sum of all values."""
        return float(self._nodes[1])

    def set(self, indices: np.ndarray, values: np.ndarray) -> None:
        """Changes some values, and renews the sums above them.

        Args:
            indices: int64 (count,).
            values: float64 (count,), not negative; an index that comes twice has the last one.
        """
        self.values[indices] = values
        nodes = indices + self._first_leaf
        while nodes[0] > 1:  # all leaves are equally deep
            nodes = nodes // 2
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def find(self, points: np.ndarray) -> np.ndarray:
        """Returns in which value's part of the line each point lies, int64 (count,).

        Args:
            points: float64 (count,), at least 0 and below `total`.
        """
        nodes = np.ones(len(points), np.int64)
        while nodes[0] < self._first_leaf:
            left = self._nodes[2 * nodes]
            # What was rounded off could lead to where all values are 0.
            go_right = (points >= left) & (self._nodes[2 * nodes + 1] > 0)
            points = np.where(go_right, points - left, points)
            nodes = 2 * nodes + go_right
        return nodes - self._first_leaf


class PrioritizedReplay(Replay):
    """Draws a transition with a probability in proportion to its priority to the power of α.

    A new transition has the greatest priority that updates have found so far (algorithm 1, line 6),
    so that each is soon drawn once.
    """

    def __init__(self, *args: Any, alpha: float, **kwargs: Any):
        """Takes, beside the arguments of `Replay`, α: with 0, all are drawn alike."""
        super().__init__(*args, **kwargs)
        self._alpha = alpha
        self._tree = SumTree(self.capacity)  # of priorities to the power of α
        self._greatest = 0.0  # value that `prioritise` has set, 0 if it has not yet

    def add(
        self, observation: np.ndarray, action: int, reward: float, terminal: bool,
        env: int = 0, closing: bool = False,
    ) -> int:
        """Stores a row, see `Replay.add`; one that will never be drawn has priority 0."""
        row = super().add(observation, action, reward, terminal, env, closing)
        drawable = not closing and self._rows["ages"][row] >= self.history_length - 1
        self._tree.set(np.array([row]), np.array([drawable * (self._greatest or FIRST_PRIORITY)]))
        return row

    def _candidates(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws `count` rows, or none, one of each of `count` equal parts of the line."""
        if not self._tree.total:
            return np.empty(0, np.int64)
        points = (np.arange(count) + rng.random(count)) / count
        return self._tree.find(points * self._tree.total)

    def weights(self, rows: np.ndarray, beta: float) -> np.ndarray:
        """Returns the importance weights of rows that were drawn, float32 (batch,).

        w = (N · P)^-β, divided by the greatest of the batch (section 3.4): with β = 1 they make
        up for the uneven draws in full, with 0 not at all.

        Args:
            rows: from `draw`, (batch,).
            beta: β of the paper.
        """
        values = self._tree.values[rows]
        return ((values.min() / values) ** beta).astype(np.float32)

    def prioritise(self, rows: np.ndarray, errors: np.ndarray) -> None:
        """Sets the priorities |δ| + ε of rows that were learnt from, from δ, both (batch,)."""
        values = (np.abs(errors).astype(float) + MIN_PRIORITY) ** self._alpha
        self._tree.set(rows, values)
        self._greatest = max(self._greatest, float(values.max()))

    def state(self) -> dict[str, np.ndarray]:
        """Returns all that `restore` needs, as views."""
        return {**super().state(), "priorities": self._filled(self._tree.values),
                "greatest_priority": np.array(self._greatest)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Takes over what `state` returned."""
        super().restore(state)
        self._filled(self._tree.values)[:] = state["priorities"]
        self._tree.set(np.arange(len(self._tree.values)), self._tree.values)
        self._greatest = float(state["greatest_priority"])
