"""The table of action values, and ε-greedy action selection."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def num_tables(algorithm: str) -> int:
    """Returns the number of action-value tables that an `--algorithm` learns."""
    return 2 if algorithm == "double_q_learning" else 1


class QTable(tf.Module):
    """Q(s, a) for all states and actions, in one table or, for double Q-learning, in two."""

    def __init__(
        self, num_states: int, num_actions: int, num_tables: int = 1, initial_value: float = 0.0
    ):
        """Initializes float64 tables of shape (num_tables, num_states, num_actions)."""
        super().__init__()
        shape = num_tables, num_states, num_actions
        self.tables = tf.Variable(np.full(shape, initial_value))

    def values(self) -> tf.Tensor:
        """Returns the mean of the tables, float64 of shape (num_states, num_actions)."""
        return tf.reduce_mean(self.tables, axis=0)


def best_action(row: Sequence[float], tie_breaking: str, rng: np.random.RandomState) -> int:
    """Returns the action with the highest value.

    Args:
        row: the action values of one state. A list: for four numbers Python is several times as
            fast as NumPy.
        tie_breaking: which of several best actions to return, the "first" or a "random" one.
        rng: random number generator, used only for random tie breaking.
    """
    best = max(row)
    if tie_breaking == "first" or row.count(best) == 1:
        return row.index(best)
    return rng.choice([action for action, value in enumerate(row) if value == best])


def choose_action(
    row: Sequence[float], epsilon: float, tie_breaking: str, rng: np.random.RandomState
) -> int:
    """Returns an ε-greedy action (book, section 18.2.4), a random one if all values are 0.

    Args:
        row: see `best_action`.
        epsilon: ε, probability of a random action.
        tie_breaking: see `best_action`.
        rng: random number generator, called in the order of the book's script, so that a seed
            gives the book's episodes.
    """
    if rng.random_sample() > 1 - epsilon or not any(row):
        return rng.randint(len(row))
    return best_action(row, tie_breaking, rng)
