"""Normalization of observations and rewards by running moments, for PPO."""

import json

import numpy as np
import tensorflow as tf

CLIP = 10.0  # normalized rewards are clipped to [-CLIP, CLIP]


class Moments:
    """Count, mean and variance of all numbers seen so far (Chan et al. 1979)."""

    def __init__(self, shape: tuple[int, ...]):
        """Starts with no numbers: mean 0, deviation 1."""
        self.count, self.mean, self.squares = 0, np.zeros(shape), np.zeros(shape)

    def update(self, batch: np.ndarray) -> None:
        """Adds a batch, of shape (count, *shape)."""
        count, mean = len(batch), batch.mean(axis=0, dtype=np.float64)
        total, difference = self.count + count, mean - self.mean
        self.squares = (self.squares + ((batch - mean)**2).sum(axis=0)
                        + difference**2 * self.count * count / total)
        self.mean, self.count = self.mean + difference * count / total, total

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation, above 0."""
        return np.sqrt(self.squares / self.count + 1e-8) if self.count else np.ones_like(self.mean)


class Normalizer(tf.train.experimental.PythonState):
    """The moments of a training, which its checkpoints keep.

    Attributes:
        observations: moments of the observations.
        returns: moments of the discounted return so far at each step. Rewards are divided by its
            standard deviation: it tells the scale of what the critic has to predict.
    """

    def __init__(self, observation_shape: tuple[int, ...], num_envs: int, discount: float):
        """Starts with no moments."""
        self.observations, self.returns = Moments(observation_shape), Moments(())
        self.discount, self.running = discount, np.zeros(num_envs)

    def scale(self, rewards: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Returns the rewards of a rollout, normalized.

        Args:
            rewards: float64 of shape (num_steps, num_envs).
            ended: whether an episode ended with the step, of the same shape.
        """
        returns = np.zeros_like(rewards)
        for t, reward in enumerate(rewards):
            returns[t] = self.running = self.discount * self.running + reward
            self.running = self.running * ~ended[t]
        self.returns.update(returns.reshape(-1))
        return np.clip(rewards / self.returns.deviation, -CLIP, CLIP)

    def serialize(self) -> str:
        """Returns the state as JSON, which restores floats bit for bit."""
        moments = [[m.count, m.mean.tolist(), m.squares.tolist()] for m in
                   (self.observations, self.returns)]
        return json.dumps({"moments": moments, "running": self.running.tolist()})

    def deserialize(self, string_value: str) -> None:
        """Restores the state."""
        saved = json.loads(string_value)
        self.running = np.array(saved["running"])
        for moments, (count, mean, squares) in zip((self.observations, self.returns),
                                                   saved["moments"], strict=True):
            moments.count, moments.mean, moments.squares = count, np.array(mean), np.array(squares)
