"""Environment steps per second of Q-learning: ours, and the book's loop without its pauses.

    python -m benchmarks.chapter18_q_learning

A call is a whole training run with seed 0: a new environment (ours by `gym.make`), 200 episodes,
ε-greedy actions, updates. Nothing is rendered, logged or saved. Both draw the same random numbers,
so both take the same steps, which is checked.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness

SETTINGS = {"plain": {"map": "plain"}, "traps": {"map": "traps"}}
NUM_EPISODES, MAX_EPISODE_STEPS = 200, 30
EPSILON, ALPHA, GAMMA = 0.1, 0.1, 0.9


def ours(setting: dict[str, Any]) -> tuple[Callable[[], int], int]:
    """Measures chapter 18's environment and algorithm."""
    from chapter18_q_learning import env as mazes
    from chapter18_q_learning import train

    args = harness.flags(train, "book", map=setting["map"])

    def run() -> int:
        env, rng, num_steps = mazes.make_env(args), np.random.RandomState(0), 0
        tables = np.zeros((1, env.observation_space.n, env.action_space.n)).tolist()
        for _ in range(NUM_EPISODES):
            train.q_learning(env, tables, rng, args)
            num_steps += env.unwrapped.num_steps
        return num_steps

    return checked(run, setting)


class Maze:
    """Represents the book's environment: a grid of characters, a new one for each episode."""

    def __init__(self, lines: Sequence[str]):
        """Copies the map and locates the agent."""
        self.grid = [list(line) for line in lines]
        self.row, self.column = next((r, c) for r, line in enumerate(lines)
                                     for c, mark in enumerate(line) if mark == "A")
        self.grid[self.row][self.column] = " "
        self.num_steps, self.is_end = 0, False

    def state(self) -> int:
        """Returns the number of the agent's cell."""
        return self.row * len(self.grid[0]) + self.column

    def interact(self, action: int) -> float:
        """Moves the agent; returns the reward."""
        down, right = ((-1, 0), (1, 0), (0, -1), (0, 1))[action]
        row, column = self.row + down, self.column + right
        self.num_steps += 1
        mark = self.grid[row][column]
        if mark == ".":
            return 0.0
        self.row, self.column = row, column
        if mark == "o":
            self.is_end = True
            return 100.0
        if mark == "x":
            self.grid[row][column] = " "
            return -5.0
        return 0.0


def original(setting: dict[str, Any]) -> tuple[Callable[[], int], int]:
    """Measures a loop like the book's: the Q-table and its rows are NumPy arrays."""
    return checked(functools.partial(run_original, lines_of(setting)), setting)


def run_original(lines: Sequence[str]) -> int:
    """Trains once; returns the number of environment steps."""
    np.random.seed(0)  # noqa: NPY002 - as the original
    q, num_steps = np.zeros((len(lines) * len(lines[0]), 4)), 0
    for _ in range(NUM_EPISODES):
        maze = Maze(lines)
        while not maze.is_end and maze.num_steps < MAX_EPISODE_STEPS:
            state = maze.state()
            if np.random.uniform() > 1 - EPSILON or (q[state] == 0).all():  # noqa: NPY002
                action = np.random.randint(0, 4)  # noqa: NPY002
            else:
                action = q[state].argmax()
            reward = maze.interact(action)
            target = reward + GAMMA * q[maze.state()].max()
            q[state, action] += ALPHA * (target - q[state, action])
        num_steps += maze.num_steps
    return num_steps


def lines_of(setting: dict[str, Any]) -> Sequence[str]:
    """Returns the map of a setting."""
    from chapter18_q_learning.env import read_map

    return read_map(setting["map"])


def checked(run: Callable[[], int], setting: dict[str, Any]) -> tuple[Callable[[], int], int]:
    """Returns a run and its number of steps.

    Raises:
        SystemExit: the other contender takes another number of steps.
    """
    num_steps, expected = run(), run_original(lines_of(setting))
    if num_steps != expected:
        raise SystemExit(f"{num_steps} steps, the original takes {expected}")
    return run, num_steps


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "original": original}
    return harness.run("chapter18_q_learning", "steps/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
