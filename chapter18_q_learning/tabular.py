"""Other environments than the maze: any of Gymnasium's with numbered states and actions."""

import argparse
from typing import Any

import gymnasium as gym
import numpy as np

from common import environments
from common.errors import UserError

TRAINING, VALIDATION, EVALUATION = range(1, 4)  # keys of independent episodes
MAX_VALUES = 10**6  # of a table, which is copied after each episode
CLIFF = {  # the preset "cliff": Sutton & Barto, example 6.6, which leaves α open
    "env_name": "CliffWalking-v1",
    "alpha": 0.5,
    "gamma": 1.0,
    "tie_breaking": "random",
    "max_steps": 500,
}


class Episodes(gym.Wrapper):
    """Seeds every episode, and counts its steps and rewards, as the maze does.

    Episode n of a training is a pure function of (seed, n) and its actions. A resumed run therefore
    continues with the episodes of an uninterrupted one.
    """

    def __init__(self, env: gym.Env[int, int], seed: int, num_episodes: int = 0):
        """Wraps an environment.

        Args:
            env: the environment.
            seed: integer from which the seeds of all training episodes are derived.
            num_episodes: number of episodes that a resumed run has already played.
        """
        super().__init__(env)
        self._seed, self._episode = seed, num_episodes

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Starts the next episode of the training, or with a seed any other one."""
        if seed is None:
            (seed,) = seeds(self._seed, TRAINING, self._episode)
            self._episode += 1
        self.num_steps, self.total_reward, self.terminated = 0, 0.0, False
        return self.env.reset(seed=seed, options=options)

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Takes a step and counts it."""
        state, reward, terminated, truncated, info = self.env.step(action)
        self.num_steps += 1
        self.total_reward += float(reward)
        self.terminated = bool(terminated)
        return state, reward, terminated, truncated, info


def seeds(*key: int, count: int = 1) -> list[int]:
    """Returns seeds of episodes, a pure function of the key."""
    return np.random.default_rng(key).integers(2**31, size=count).tolist()


def make_env(
    args: argparse.Namespace, render_mode: str | None = None, num_episodes: int = 0
) -> Episodes:
    """Makes the environment that `--env_name` and `--env_kwargs` name.

    Args:
        args: the flags of a train.py.
        render_mode: "ansi" for text.
        num_episodes: number of training episodes that were already played.

    Raises:
        UserError: there is no such environment, or a table cannot hold its states and actions.
    """
    name = args.env_name
    env = environments.make(name, render_mode, args.max_episode_steps,
                            **environments.keywords(args.env_kwargs))
    spaces = env.observation_space, env.action_space
    if not all(isinstance(space, gym.spaces.Discrete) and space.start == 0 for space in spaces):
        raise UserError(f"{name} has observations {spaces[0]} and actions {spaces[1]}; a table "
                        "needs both to be Discrete(n)",
                        "use a network: chapter 20 (actions Discrete(n)) or chapter 21 (also Box)")
    states, actions = (int(space.n) for space in spaces)
    if states * actions > MAX_VALUES:
        raise UserError(f"{name} has {states:,} states and {actions:,} actions, too many for a "
                        f"table of at most {MAX_VALUES:,} values",
                        "use a network: chapter 20, with observations that are rows of numbers")
    return Episodes(env, args.seed, num_episodes)
