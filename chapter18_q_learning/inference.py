"""Finished runs: loads the maze and the table, and plays greedy episodes."""

import argparse

import gymnasium as gym
import numpy as np

from chapter18_q_learning import env as mazes
from chapter18_q_learning.model import QTable, num_tables
from common import checkpoint, rundir


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> tuple[mazes.Maze, QTable]:
    """Loads the maze and the learned table of a run.

    Args:
        args: arguments of the calling script, with `run_dir` and `checkpoint`.
        flags: the flags that the run was trained with.
    """
    maze = mazes.make_env(flags).unwrapped
    rundir.check_data(args.run_dir, maze.digest())
    table = QTable(maze.observation_space.n, maze.action_space.n, num_tables(flags.algorithm))
    checkpoint.load(args.run_dir, args.checkpoint, table=table)
    return maze, table


def outcome(maze: mazes.Maze) -> dict[str, float]:
    """Returns the log entries of an episode that has just ended."""
    return {"episode_steps": maze.num_steps, "return": maze.total_reward,
            "success": int(maze.found)}


def play_greedily(env: gym.Env[int, int], values: np.ndarray, gamma: float) -> dict[str, float]:
    """Plays one episode with the greedy policy; of equally good actions it takes the first.

    Args:
        env: the maze.
        values: action values of shape (states, actions).
        gamma: γ, discount factor.

    Returns:
        The discounted return, the return, the number of steps, and the success: 1 if the treasure
        was reached, else 0.
    """
    actions = values.argmax(axis=1)  # (states,)
    (state, _), ended, discounted, discount = env.reset(), False, 0.0, 1.0
    while not ended:
        state, reward, terminated, truncated, _ = env.step(int(actions[state]))
        discounted += discount * reward
        discount *= gamma
        ended = terminated or truncated
    return {"discounted_return": discounted, **outcome(env.unwrapped)}
