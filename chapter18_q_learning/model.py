"""The table of action values, and how an agent acts on it."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def num_tables(algorithm: str) -> int:
    """Returns how many tables of action values an `--algorithm` learns."""
    return 2 if algorithm == "double_q_learning" else 1


class QTable(tf.Module):
    """Q(s, a) for every state and action, in one table or two (double Q-learning)."""

    def __init__(
        self, num_states: int, num_actions: int, num_tables: int = 1, initial_value: float = 0.0
    ):
        """Fills float64 tables of shape (num_tables, num_states, num_actions)."""
        super().__init__()
        shape = num_tables, num_states, num_actions
        self.tables = tf.Variable(np.full(shape, initial_value))

    def values(self) -> tf.Tensor:
        """Returns the mean of the tables, float64 of shape (num_states, num_actions)."""
        return tf.reduce_mean(self.tables, axis=0)


def best_action(row: Sequence[float], tie_breaking: str, rng: np.random.RandomState) -> int:
    """Returns the action of the highest value: the "first" of equals, or one at "random".

    Args:
        row: the values of the actions in one state. A plain list: on four numbers Python is
            several times as fast as NumPy.
        tie_breaking: "first" or "random".
        rng: draws only where there are equals.
    """
    best = max(row)
    if tie_breaking == "first" or row.count(best) == 1:
        return row.index(best)
    return rng.choice([action for action, value in enumerate(row) if value == best])


def choose_action(
    row: Sequence[float], epsilon: float, tie_breaking: str, rng: np.random.RandomState
) -> int:
    """Chooses ε-greedily (Sutton & Barto 2018, section 2.2); where nothing is known, at random.

    Args:
        row: see `best_action`.
        epsilon: the chance of an action at random.
        tie_breaking: see `best_action`.
        rng: asked in the order of the book's script, so that a seed gives the book's episodes.
    """
    if rng.random_sample() > 1 - epsilon or not any(row):
        return rng.randint(len(row))
    return best_action(row, tie_breaking, rng)
