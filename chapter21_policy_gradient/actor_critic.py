"""Actor and critic: a policy, and a network that says how much reward is still to come.

What follows an action depends on much else. Its advantage, what followed more than the critic
expected, says more about the action itself. REINFORCE with `--baseline value` and PPO both use it.
"""

import math
from collections.abc import Callable

import gymnasium as gym
import keras
import numpy as np
import tensorflow as tf


class LogDeviation(keras.layers.Layer):
    """Puts log σ, a weight for each number of an action, behind its mean: (b, n) → (b, 2n)."""

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Starts with σ = 1."""
        self.log_deviation = self.add_weight(shape=input_shape[-1:], initializer="zeros")

    def call(self, means: tf.Tensor) -> tf.Tensor:
        """Returns means and log σ, float32 of shape (batch, 2n)."""
        return tf.concat([means, tf.zeros_like(means) + self.log_deviation], axis=1)


def build_mlp(
    observation_size: int, output_size: int, hidden_size: int, output_gain: float, seed: int,
    name: str,
) -> keras.Sequential:
    """Builds two hidden layers of tanh with orthogonal weights.

    These weights, and a last layer that starts small, are among the details that matter
    (Andrychowicz et al. 2021, "What matters in on-policy reinforcement learning?").

    Args:
        observation_size: numbers in an observation.
        output_size: numbers that come out.
        hidden_size: units of either hidden layer.
        output_gain: scale of the last layer's weights.
        seed: of the weights.
        name: of the network.
    """
    def dense(number: int, units: int, gain: float, activation: str | None) -> keras.layers.Dense:
        weights = keras.initializers.Orthogonal(gain, seed=seed + number)
        return keras.layers.Dense(units, activation, kernel_initializer=weights)

    return keras.Sequential([
        keras.Input((observation_size,)),
        dense(0, hidden_size, math.sqrt(2), "tanh"),
        dense(1, hidden_size, math.sqrt(2), "tanh"),
        dense(2, output_size, output_gain, None),
    ], name=name)


def build_actor(
    observation_size: int, action_space: gym.Space, hidden_size: int, seed: int
) -> keras.Sequential:
    """Builds the policy.

    Args:
        observation_size: numbers in an observation.
        action_space: `Discrete`: the network gives a logit for each action; `Box` of shape (n,):
            the means of a normal distribution and, the same for all observations, its log σ.
        hidden_size: units of either hidden layer.
        seed: of the weights.
    """
    discrete = isinstance(action_space, gym.spaces.Discrete)
    size = int(action_space.n) if discrete else action_space.shape[0]
    actor = build_mlp(observation_size, size, hidden_size, 0.01, seed, "policy")
    if not discrete:
        actor.add(LogDeviation())
    return actor


def build_critic(observation_size: int, hidden_size: int, seed: int) -> keras.Sequential:
    """Builds the network that gives the value of an observation, (batch, 1)."""
    return build_mlp(observation_size, 1, hidden_size, 1.0, seed + 3, "critic")


def build_networks(
    env: gym.Env, hidden_size: int, seed: int
) -> tuple[keras.Sequential, keras.Sequential]:
    """Returns the policy and the critic of an environment."""
    (size,) = env.observation_space.shape
    return (build_actor(size, env.action_space, hidden_size, seed),
            build_critic(size, hidden_size, seed))


def log_probability(outputs: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """Returns log π(action), float32 of shape (batch,); a density where actions are numbers.

    Args:
        outputs: of the policy, float32 of shape (batch, num_actions), or (batch, 2n).
        actions: int64 of shape (batch,), or float32 of shape (batch, n).
    """
    if actions.dtype.is_integer:
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(labels=actions, logits=outputs)
    means, log_deviations = tf.split(outputs, 2, axis=1)
    distances = (actions - means) * tf.exp(-log_deviations)
    return -tf.reduce_sum(
        0.5 * distances**2 + log_deviations + 0.5 * math.log(2 * math.pi), axis=1)


def entropy(outputs: tf.Tensor, discrete: bool) -> tf.Tensor:
    """Returns how undecided the policy is, in nats, float32 of shape (batch,).

    Args:
        outputs: of the policy, see `log_probability`.
        discrete: they are logits.
    """
    if discrete:
        log_p = tf.nn.log_softmax(outputs)
        return -tf.reduce_sum(tf.exp(log_p) * log_p, axis=1)
    _, log_deviations = tf.split(outputs, 2, axis=1)
    return tf.reduce_sum(log_deviations + 0.5 * math.log(2 * math.pi * math.e), axis=1)


def advantages(
    rewards: np.ndarray, values: np.ndarray, next_values: np.ndarray, terminated: np.ndarray,
    ended: np.ndarray, discount: float, gae_lambda: float,
) -> np.ndarray:
    """Returns generalised advantage estimates (Schulman et al. 2016, equation 16).

    A terminated episode has nothing more to give. One that was cut off would have gone on, and
    what it would have given is the value of its last observation.

    Args:
        rewards: float of shape (steps, ...), as all arrays here.
        values: of the observations that were acted on.
        next_values: of the observations that followed, the last one of an episode included.
        terminated: the episode is over for good.
        ended: it is over, or was cut off; the next row is of another one.
        discount: what a reward loses in a step.
        gae_lambda: 0 takes the critic's word after one step, 1 only where the episode ends.

    Returns:
        Of the same shape; with `values` added they are what the critic should have said.
    """
    errors = rewards + discount * next_values * (1 - terminated) - values
    found, following = np.zeros_like(errors), np.zeros_like(errors[0])
    for t in reversed(range(len(errors))):
        following = found[t] = errors[t] + discount * gae_lambda * (1 - ended[t]) * following
    return found


def mlp_in_numpy(weights: list[np.ndarray], observations: np.ndarray) -> np.ndarray:
    """Returns what `build_mlp`'s network gives: logits, means or values.

    Args:
        weights: of the network; log σ behind them is left alone.
        observations: float32 of shape (..., observation_size).
    """
    hidden = np.tanh(observations @ weights[0] + weights[1])
    hidden = np.tanh(hidden @ weights[2] + weights[3])
    return hidden @ weights[4] + weights[5]


def make_noise(
    rng: np.random.Generator, shape: tuple[int, ...], action_space: gym.Space
) -> np.ndarray:
    """Returns the chances of some draws, (*shape, num_actions) or (*shape, n): see `draw`."""
    if isinstance(action_space, gym.spaces.Discrete):
        return rng.gumbel(size=(*shape, int(action_space.n)))
    return rng.standard_normal((*shape, *action_space.shape), np.float32)


def draw(
    weights: list[np.ndarray], observations: np.ndarray, noise: np.ndarray | float,
    action_space: gym.Space,
) -> np.ndarray:
    """Returns actions, int64 (...) or float32 (..., n), which may lie outside of a `Box`.

    Args:
        weights: of `build_actor`'s network.
        observations: float32 of shape (..., observation_size).
        noise: from `make_noise`; 0 gives the most probable actions.
        action_space: of the environment.
    """
    outputs = mlp_in_numpy(weights, observations)
    if isinstance(action_space, gym.spaces.Discrete):
        return np.argmax(outputs + noise, axis=-1)
    return outputs + np.exp(weights[6]) * noise


def choosing(
    weights: list[np.ndarray], action_space: gym.Space, rng: np.random.Generator | None = None
) -> Callable[[np.ndarray], int | np.ndarray]:
    """Returns the policy of one observation: the most probable action, or with `rng` a draw."""
    def choose(observation: np.ndarray) -> int | np.ndarray:
        noise = 0.0 if rng is None else make_noise(rng, (), action_space)
        return within(draw(weights, observation, noise, action_space), action_space)

    return choose


def within(actions: np.ndarray, action_space: gym.Space) -> int | np.ndarray:
    """Returns what an environment takes: a whole number, or numbers within their bounds."""
    if isinstance(action_space, gym.spaces.Discrete):
        return int(actions)
    return np.clip(actions, action_space.low, action_space.high)
