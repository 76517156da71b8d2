"""Rollouts of PPO: a fixed number of steps in each of several environments.

A rollout ends in the middle of episodes; the next one continues them.
"""

import json
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import tensorflow as tf

from chapter21_policy_gradient.actor_critic import Outputs, draw, make_noise, within

WINDOW = 100  # number of episodes in the reported mean return


class Rollout(NamedTuple):
    """The steps of one update; the shapes of all arrays begin with (num_steps, num_envs)."""

    observations: np.ndarray  # (..., *observation_shape)
    actions: np.ndarray  # int64 (...) or float32 (..., n), not clipped
    rewards: np.ndarray  # float64
    next_observations: np.ndarray  # (..., *observation_shape), of the same episode
    terminated: np.ndarray  # bool: the episode is over, or a life was lost
    ended: np.ndarray  # bool: terminated or truncated


class Actors(tf.train.experimental.PythonState):
    """Several environments, each in the middle of an episode.

    Episode n of an environment is a pure function of (key, environment, n) and its actions. A
    checkpoint therefore stores the actions, and a resumed run replays them.
    """

    def __init__(self, envs: Sequence[gym.Env], *key: int):
        """Starts the first episode of each environment; all seeds derive from the key."""
        self.envs, self.key = envs, key
        space = envs[0].observation_space
        self.observations = np.zeros((len(envs), *space.shape), space.dtype)
        self.actions: list[list] = [[] for _ in envs]
        self.scores = [0.0] * len(envs)
        self.episodes = [0] * len(envs)
        self.recent: deque[float] = deque(maxlen=WINDOW)  # returns
        for index in range(len(envs)):
            self._start(index, 0)

    def _start(self, index: int, episode: int) -> None:
        """Starts an episode in one environment."""
        self.episodes[index], self.actions[index], self.scores[index] = episode, [], 0.0
        seed = np.random.default_rng([*self.key, index, episode]).integers(2**31)
        self.observations[index], _ = self.envs[index].reset(seed=int(seed))

    def _act(self, index: int, action: int | np.ndarray) -> tuple[float, bool, bool]:
        """Takes a step in one environment.

        Returns:
            The reward; whether the episode was terminated or a life was lost; whether the episode
            has ended, terminated or truncated.
        """
        observation, reward, terminated, truncated, info = self.envs[index].step(action)
        reward = float(reward)  # np.float32 is not written to JSON
        self.observations[index] = observation
        self.actions[index].append(action)
        self.scores[index] += reward
        return reward, terminated or info.get("life_lost", False), terminated or truncated

    def collect(
        self, policy: Outputs, num_steps: int, rng: np.random.Generator
    ) -> tuple[Rollout, list[float]]:
        """Collects a rollout.

        Args:
            policy: from `actor_critic.forward`.
            num_steps: number of steps in each environment.
            rng: random number generator for the actions.

        Returns:
            The rollout, and the returns of the episodes that ended in it.
        """
        space, shape = self.envs[0].action_space, (num_steps, len(self.envs))
        noise = make_noise(rng, shape, space)
        observations = np.zeros((num_steps, *self.observations.shape), self.observations.dtype)
        next_observations, actions = np.zeros_like(observations), []
        rewards = np.zeros(shape)
        terminated, ended = np.zeros(shape, bool), np.zeros(shape, bool)
        returns: list[float] = []
        for t in range(num_steps):
            observations[t] = self.observations
            actions.append(draw(policy(self.observations), noise[t], space))
            over = np.zeros(len(self.envs), bool)
            for index, action in enumerate(actions[-1]):
                rewards[t, index], terminated[t, index], over[index] = self._act(
                    index, within(action, space))
            next_observations[t], ended[t] = self.observations, terminated[t] | over
            # A game goes on after a lost life.
            for index in np.flatnonzero(over):
                returns.append(self.scores[index])
                self._start(index, self.episodes[index] + 1)
        self.recent.extend(returns)
        return Rollout(observations, np.array(actions), rewards, next_observations, terminated,
                       ended), returns

    def serialize(self) -> str:
        """Returns the state as JSON, which restores floats bit for bit."""
        actions = [np.array(row).tolist() for row in self.actions]
        return json.dumps({"episodes": self.episodes, "actions": actions,
                           "recent": list(self.recent)})

    def deserialize(self, string_value: str) -> None:
        """Restores the state by replaying the current episode of each environment."""
        saved = json.loads(string_value)
        self.recent.clear()
        self.recent.extend(saved["recent"])
        space = self.envs[0].action_space
        for index, (episode, actions) in enumerate(
                zip(saved["episodes"], saved["actions"], strict=True)):
            self._start(index, episode)
            for action in actions:
                self._act(index, within(np.array(action, space.dtype), space))
