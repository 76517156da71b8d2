"""The best that can be done in a maze: value iteration, for who knows its rules."""

from typing import NamedTuple

import numpy as np

from chapter18_q_learning.env import ACTIONS, Maze, Situation
from common.errors import UserError

MAX_SITUATIONS = 200_000
TOLERANCE = 1e-12  # relative, of the last change of a value


class Optimum(NamedTuple):
    """What the best way gives from the start, and the values of all actions on the way.

    `values` is of shape (states, actions): of each cell with as many traps left as it can be
    entered with, 0 where it cannot be entered.
    """

    discounted_return: float
    total_reward: float
    num_steps: int
    values: np.ndarray


def situations_of(maze: Maze) -> dict[Situation, int]:
    """Numbers all situations that can come about before the treasure, the start first.

    Raises:
        UserError: there are too many: each trap that can vanish doubles their number.
    """
    numbers, queue = {maze.start: 0}, [maze.start]
    for situation in queue:  # grows while it is read
        for action in range(len(ACTIONS)):
            after, _, terminated = maze.outcome(situation, action)
            if not terminated and after not in numbers:
                numbers[after] = len(numbers)
                queue.append(after)
        if len(numbers) > MAX_SITUATIONS:
            raise UserError(
                f"{len(maze.start[1])} vanishing traps make more than {MAX_SITUATIONS:,} "
                "situations", "use fewer traps, or --no-vanishing_traps")
    return numbers


def value_iteration(maze: Maze, numbers: dict[Situation, int], gamma: float) -> np.ndarray:
    """Returns the optimal action values (Sutton & Barto 2018, section 4.4).

    Args:
        maze: whose rules are known.
        numbers: from `situations_of`.
        gamma: below 1.

    Returns:
        float64 of shape (situations, actions).
    """
    shape = len(numbers), len(ACTIONS)
    after, rewards, goes_on = np.zeros(shape, int), np.zeros(shape), np.zeros(shape)
    for situation, number in numbers.items():
        for action in range(len(ACTIONS)):
            next_situation, rewards[number, action], terminated = maze.outcome(situation, action)
            if not terminated:
                after[number, action] = numbers[next_situation]
                goes_on[number, action] = 1.0
    values, change = np.zeros(len(numbers)), np.inf  # of the situations
    while change > TOLERANCE * np.abs(values).max():
        action_values = rewards + gamma * goes_on * values[after]  # equation 4.10
        best = action_values.max(axis=1)
        values, change = best, np.abs(best - values).max()
    return action_values


def find_optimum(maze: Maze, gamma: float, max_episode_steps: int) -> Optimum:
    """Returns the best way from the start, and all values that belong to it."""
    numbers = situations_of(maze)
    action_values = value_iteration(maze, numbers, gamma)
    by_cell = np.zeros((maze.observation_space.n, len(ACTIONS)))
    for (cell, _), number in sorted(numbers.items(), key=lambda item: len(item[0][1])):
        by_cell[cell] = action_values[number]  # what comes later has more traps, and stays
    situation, total, steps, ended = maze.start, 0.0, 0, False
    while not ended and steps < max_episode_steps:
        action = int(action_values[numbers[situation]].argmax())
        situation, reward, ended = maze.outcome(situation, action)
        total, steps = total + reward, steps + 1
    return Optimum(float(action_values[0].max()), total, steps, by_cell)
