"""Value iteration: the optimal policy of a maze, computed from its rules."""

from typing import NamedTuple

import numpy as np

from chapter18_q_learning.env import ACTIONS, FullState, Maze

MAX_STATES = 200_000
TOLERANCE = 1e-12  # largest change of a value in the last sweep, relative


class Optimum(NamedTuple):
    """An episode of the optimal policy, and the optimal action values.

    `values` has the shape (cells, actions). A cell's row belongs to the reachable full state in
    that cell with the most remaining traps; it is 0 if the cell cannot be reached.
    """

    discounted_return: float
    total_reward: float
    num_steps: int
    values: np.ndarray


def reachable_states(maze: Maze) -> dict[FullState, int] | None:
    """Returns the index of each reachable full state that is not terminal; the start has 0.

    Returns None if there are more than `MAX_STATES`; each vanishing trap can double their number.
    """
    numbers, queue = {maze.start: 0}, [maze.start]
    for full_state in queue:  # grows in the loop
        for action in range(len(ACTIONS)):
            after, _, terminated = maze.transition(full_state, action)
            if not terminated and after not in numbers:
                numbers[after] = len(numbers)
                queue.append(after)
        if len(numbers) > MAX_STATES:
            return None
    return numbers


def value_iteration(maze: Maze, numbers: dict[FullState, int], gamma: float) -> np.ndarray:
    """Returns the optimal action values (Sutton & Barto 2018, § 4.4).

    Args:
        maze: the maze.
        numbers: index of each full state, from `reachable_states`.
        gamma: γ, discount factor, below 1.

    Returns:
        float64 of shape (full states, actions).
    """
    shape = len(numbers), len(ACTIONS)
    after, rewards, continues = np.zeros(shape, int), np.zeros(shape), np.zeros(shape)
    for full_state, number in numbers.items():
        for action in range(len(ACTIONS)):
            next_state, rewards[number, action], terminated = maze.transition(full_state, action)
            if not terminated:
                after[number, action] = numbers[next_state]
                continues[number, action] = 1.0
    values, change = np.zeros(len(numbers)), np.inf  # of the full states
    while change > TOLERANCE * np.abs(values).max():
        action_values = rewards + gamma * continues * values[after]  # equation 4.10
        best = action_values.max(axis=1)
        values, change = best, np.abs(best - values).max()
    return action_values


def find_optimum(maze: Maze, gamma: float, max_episode_steps: int) -> Optimum | None:
    """Returns the optimal policy's episode from the start, and the optimal action values.

    Returns None if the maze has more than `MAX_STATES` states.
    """
    if (numbers := reachable_states(maze)) is None:
        return None
    action_values = value_iteration(maze, numbers, gamma)
    by_cell = np.zeros((maze.observation_space.n, len(ACTIONS)))
    for (cell, _), number in sorted(numbers.items(), key=lambda item: len(item[0][1])):
        by_cell[cell] = action_values[number]  # the state with the most traps comes last
    full_state, total, steps, ended = maze.start, 0.0, 0, False
    while not ended and steps < max_episode_steps:
        action = int(action_values[numbers[full_state]].argmax())
        full_state, reward, ended = maze.transition(full_state, action)
        total, steps = total + reward, steps + 1
    return Optimum(float(action_values[0].max()), total, steps, by_cell)
