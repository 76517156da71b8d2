"""Finished runs: loads the environment and the table, and plays episodes."""

import argparse
from collections.abc import Callable, Sequence

import gymnasium as gym
import numpy as np

from chapter18_q_learning import env as mazes
from chapter18_q_learning.model import QTable, num_tables
from common import checkpoint, rundir


def load_run(
    args: argparse.Namespace, flags: argparse.Namespace
) -> tuple[gym.Env[int, int], QTable]:
    """Loads the environment and the learned table of a run.

    Args:
        args: arguments of the calling script, with `run_dir` and `checkpoint`.
        flags: the flags that the run was trained with.
    """
    env = mazes.make_env(flags)
    rundir.check_data(args.run_dir, mazes.digest(env))
    table = QTable(env.observation_space.n, env.action_space.n, num_tables(flags.algorithm))
    checkpoint.load(args.run_dir, args.checkpoint, table=table)
    return env, table


def outcome(env: gym.Env[int, int]) -> dict[str, float]:
    """Returns the log entries of an episode that has just ended."""
    read = env.get_wrapper_attr
    scores = {"episode_steps": read("num_steps"), "return": read("total_reward")}
    if isinstance(env.unwrapped, mazes.Maze):
        return scores | {"success": int(read("found"))}
    return scores | {"terminated": int(read("terminated"))}


def play(
    env: gym.Env[int, int], choose: Callable[[int], int], gamma: float, seed: int | None = None
) -> dict[str, float]:
    """Plays one episode.

    Args:
        env: the environment.
        choose: the policy: from a state to an action.
        gamma: γ, discount factor.
        seed: seed of the episode; the maze draws no random numbers.

    Returns:
        The discounted return, the return, the number of steps, and how the episode ended: in the
        maze "success", 1 if the treasure was reached, else "terminated", 0 if it was truncated.
    """
    (state, _), ended, discounted, discount = env.reset(seed=seed), False, 0.0, 1.0
    while not ended:
        state, reward, terminated, truncated, _ = env.step(choose(state))
        discounted += discount * reward
        discount *= gamma
        ended = terminated or truncated
    return {"discounted_return": discounted, **outcome(env)}


def play_greedily(
    env: gym.Env[int, int], values: np.ndarray, gamma: float, seed: int | None = None
) -> dict[str, float]:
    """Plays one episode with the greedy policy; of equally good actions it takes the first.

    Args:
        env: see `play`, whose result is returned.
        values: action values of shape (states, actions).
        gamma: γ, discount factor.
        seed: seed of the episode.
    """
    return play(env, values.argmax(axis=1).tolist().__getitem__, gamma, seed)


def mean_outcome(played: Sequence[dict[str, float]]) -> dict[str, float]:
    """Returns the means over several episodes."""
    return {name: float(np.mean([scores[name] for scores in played])) for name in played[0]}
