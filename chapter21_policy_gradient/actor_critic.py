"""Actor-critic: the policy network (actor), the value network (critic), and advantages.

The critic estimates the value of an observation, the expected discounted return. The advantage of
an action is what it gained over this value; as a weight it has a lower variance than the return.
REINFORCE with `--baseline value` and PPO use it.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import keras
import numpy as np
import tensorflow as tf

from chapter20_dqn.model import HEADERS
from chapter21_policy_gradient import data

Outputs = Callable[[np.ndarray], np.ndarray]  # of a network: from observations (..., *shape)

CLIP = 10.0  # standardized observations are clipped to [-CLIP, CLIP]


class Standardize(keras.layers.Layer):
    """Subtracts a mean, divides by a standard deviation, and clips; the training sets both."""

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Creates both, which begin as 0 and 1."""
        shape = input_shape[-1:]
        self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(shape=shape, initializer="ones", trainable=False)

    def call(self, observations: tf.Tensor) -> tf.Tensor:
        """Returns standardized observations, of the same shape."""
        return tf.clip_by_value((observations - self.mean) / self.deviation, -CLIP, CLIP)


class LogDeviation(keras.layers.Layer):
    """Appends log σ, one weight per action dimension, to the means: (b, n) → (b, 2n)."""

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Creates the weights log σ = 0."""
        self.log_deviation = self.add_weight(shape=input_shape[-1:], initializer="zeros")

    def call(self, means: tf.Tensor) -> tf.Tensor:
        """Returns the means and log σ, float32 of shape (batch, 2n)."""
        return tf.concat([means, tf.zeros_like(means) + self.log_deviation], axis=1)


def build_mlp(
    observation_size: int, output_size: int, hidden_size: int, output_gain: float, seed: int,
    name: str, standardize: bool,
) -> keras.Sequential:
    """Builds a multilayer perceptron: two hidden tanh layers, orthogonal initialization.

    A last layer with small initial weights matters for policies (Andrychowicz et al. 2021, "What
    matters in on-policy reinforcement learning?").

    Args:
        observation_size: size of an observation.
        output_size: number of outputs.
        hidden_size: hidden units per layer.
        output_gain: scale of the last layer's initial weights.
        seed: seed of the initial weights.
        name: name of the network.
        standardize: whether the first layer is `Standardize`.
    """
    def dense(number: int, units: int, gain: float, activation: str | None) -> keras.layers.Dense:
        weights = keras.initializers.Orthogonal(gain, seed=seed + number)
        return keras.layers.Dense(units, activation, kernel_initializer=weights)

    return keras.Sequential([
        keras.Input((observation_size,)),
        *([Standardize()] if standardize else []),
        dense(0, hidden_size, math.sqrt(2), "tanh"),
        dense(1, hidden_size, math.sqrt(2), "tanh"),
        dense(2, output_size, output_gain, None),
    ], name=name)


def build_actor(
    observation_size: int, action_space: gym.Space, hidden_size: int, seed: int,
    standardize: bool = False,
) -> keras.Sequential:
    """Builds the policy network.

    Args:
        observation_size: size of an observation.
        action_space: `Discrete`: the outputs are the logits of the actions. `Box` of shape (n,):
            the outputs are the n means of a normal distribution and its n log σ, which do not
            depend on the observation.
        hidden_size: hidden units per layer.
        seed: seed of the initial weights.
        standardize: whether its first layer standardizes observations.
    """
    discrete = isinstance(action_space, gym.spaces.Discrete)
    size = int(action_space.n) if discrete else action_space.shape[0]
    actor = build_mlp(observation_size, size, hidden_size, 0.01, seed, "policy", standardize)
    if not discrete:
        actor.add(LogDeviation())
    return actor


def build_critic(
    observation_size: int, hidden_size: int, seed: int, standardize: bool = False
) -> keras.Sequential:
    """Builds the value network, from observations to values of shape (batch, 1)."""
    return build_mlp(observation_size, 1, hidden_size, 1.0, seed + 3, "critic", standardize)


def build_for_frames(
    shape: tuple[int, int, int], num_actions: int, hidden_size: int, seed: int
) -> tuple[keras.Model, keras.Model]:
    """Builds the policy and the critic of a game, which share all layers but their last.

    Convolutions of Mnih et al. 2015 and a hidden layer.

    Args:
        shape: (frames, height, width) of an observation, uint8.
        num_actions: number of actions.
        hidden_size: units of the hidden layer.
        seed: seed of the initial weights.
    """
    seeds = iter(range(seed, seed + 100))

    def options(gain: float, activation: str | None) -> dict[str, Any]:
        return {"activation": activation,
                "kernel_initializer": keras.initializers.Orthogonal(gain, seed=next(seeds))}

    convolutions, _ = HEADERS["nature"]
    frames = keras.Input(shape, dtype="uint8")
    x = keras.layers.Permute((2, 3, 1))(keras.layers.Rescaling(1 / 255)(frames))
    for filters, kernel, stride in convolutions:
        x = keras.layers.Conv2D(filters, kernel, stride, **options(math.sqrt(2), "relu"))(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(hidden_size, **options(math.sqrt(2), "relu"))(x)
    logits = keras.layers.Dense(num_actions, **options(0.01, None))(x)
    value = keras.layers.Dense(1, **options(1.0, None))(x)
    return keras.Model(frames, logits, name="policy"), keras.Model(frames, value, name="critic")


def build_networks(
    env: gym.Env, hidden_size: int, seed: int, standardize: bool = False
) -> tuple[keras.Model, keras.Model]:
    """Builds the policy and the critic for an environment."""
    shape, space = env.observation_space.shape, env.action_space
    if data.is_game(env):
        return build_for_frames(shape, int(space.n), hidden_size, seed)
    return (build_actor(shape[0], space, hidden_size, seed, standardize),
            build_critic(shape[0], hidden_size, seed, standardize))


def parts(policy: keras.Model, critic: keras.Model) -> dict[str, keras.Layer]:
    """Returns both networks by name; of a critic that shares all other layers only the last."""
    shared = policy.inputs[0] is critic.inputs[0]
    return {"policy": policy, "critic": critic.layers[-1] if shared else critic}


def all_variables(policy: keras.Model, critic: keras.Model) -> list[keras.Variable]:
    """Returns the trainable variables of both networks, those that they share once."""
    return [variable for network in parts(policy, critic).values()
            for variable in network.trainable_variables]


def make_both(policy: keras.Model, critic: keras.Model) -> Callable[..., list[tf.Tensor]]:
    """Returns a function to the outputs of both networks; it computes shared layers once."""
    if policy.inputs[0] is critic.inputs[0]:
        return keras.Model(policy.input, [policy.output, critic.output])
    return lambda inputs, training: [net(inputs, training=training) for net in (policy, critic)]


def log_probability(outputs: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """Returns log π(action), float32 of shape (batch,); for continuous actions a log-density.

    Args:
        outputs: outputs of the policy, float32 of shape (batch, num_actions) or (batch, 2n).
        actions: int64 of shape (batch,), or float32 of shape (batch, n).
    """
    if actions.dtype.is_integer:
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(labels=actions, logits=outputs)
    means, log_deviations = tf.split(outputs, 2, axis=1)
    distances = (actions - means) * tf.exp(-log_deviations)
    return -tf.reduce_sum(
        0.5 * distances**2 + log_deviations + 0.5 * math.log(2 * math.pi), axis=1)


def entropy(outputs: tf.Tensor, discrete: bool) -> tf.Tensor:
    """Returns the entropy of the policy in nats, float32 of shape (batch,).

    Args:
        outputs: outputs of the policy, see `log_probability`.
        discrete: whether the outputs are logits.
    """
    if discrete:
        log_p = tf.nn.log_softmax(outputs)
        return -tf.reduce_sum(tf.exp(log_p) * log_p, axis=1)
    _, log_deviations = tf.split(outputs, 2, axis=1)
    return tf.reduce_sum(log_deviations + 0.5 * math.log(2 * math.pi * math.e), axis=1)


def estimate_advantages(
    rewards: np.ndarray, values: np.ndarray, next_values: np.ndarray, terminated: np.ndarray,
    ended: np.ndarray, discount: float, gae_lambda: float,
) -> np.ndarray:
    """Returns generalized advantage estimates (Schulman et al. 2016, equation 16).

    After a terminated episode the future return is 0. After a truncated one it is the value of the
    last observation.

    Args:
        rewards: float of shape (steps, ...), like all arrays here.
        values: values of the observations.
        next_values: values of the next observations, those after an episode's last step included.
        terminated: whether the step terminated its episode.
        ended: whether the sums end here: the step terminated or truncated its episode.
        discount: discount factor γ.
        gae_lambda: λ. 0 uses one reward and the next value, 1 all rewards of the episode.

    Returns:
        The advantages, of the same shape; plus `values` they are the critic's targets.
    """
    td_errors = rewards + discount * next_values * (1 - terminated) - values
    estimates, following = np.zeros_like(td_errors), np.zeros_like(td_errors[0])
    for t in reversed(range(len(td_errors))):
        following = td_errors[t] + discount * gae_lambda * (1 - ended[t]) * following
        estimates[t] = following
    return estimates


def forward(network: keras.Model) -> Outputs:
    """Returns a fast function from observations to outputs, to be used until the next update.

    Vectors are computed in NumPy, with a copy of the weights: a call of TensorFlow takes longer
    than these few products.
    """
    if len(network.input_shape) == 2:
        return partial(mlp_in_numpy, network.get_weights())
    shape = network.input_shape[1:]

    def compute(frames: np.ndarray) -> np.ndarray:
        outputs = network.predict_on_batch(frames.reshape(-1, *shape))
        return outputs.reshape(*frames.shape[:-len(shape)], -1)

    return compute


def mlp_in_numpy(weights: list[np.ndarray], observations: np.ndarray) -> np.ndarray:
    """Computes the outputs of a network from `build_actor` or `build_critic` in NumPy.

    Args:
        weights: weights of the network.
        observations: float32 of shape (..., observation_size).
    """
    if weights[0].ndim == 1:  # of `Standardize`
        mean, deviation, *weights = weights
        observations = np.clip((observations - mean) / deviation, -CLIP, CLIP)
    hidden = np.tanh(observations @ weights[0] + weights[1])
    hidden = np.tanh(hidden @ weights[2] + weights[3])
    outputs = hidden @ weights[4] + weights[5]
    if len(weights) == 6:
        return outputs
    return np.concatenate([outputs, np.broadcast_to(weights[6], outputs.shape)], axis=-1)


def make_noise(
    rng: np.random.Generator, shape: tuple[int, ...], action_space: gym.Space
) -> np.ndarray:
    """Returns the noise for `draw`, of shape (*shape, num_actions) or (*shape, n)."""
    if isinstance(action_space, gym.spaces.Discrete):
        return rng.gumbel(size=(*shape, int(action_space.n)))
    return rng.standard_normal((*shape, *action_space.shape), np.float32)


def draw(
    outputs: np.ndarray, noise: np.ndarray | float, action_space: gym.Space
) -> np.ndarray:
    """Samples actions, int64 (...) or float32 (..., n); the latter are not clipped to the `Box`.

    Args:
        outputs: outputs of the policy, float32 of shape (..., num_actions) or (..., 2n).
        noise: from `make_noise`; 0 gives the most probable actions.
        action_space: action space of the environment.
    """
    if isinstance(action_space, gym.spaces.Discrete):
        return np.argmax(outputs + noise, axis=-1)
    means, log_deviations = np.split(outputs, 2, axis=-1)
    return means + np.exp(log_deviations) * noise


def choosing(
    policy: Outputs, action_space: gym.Space, rng: np.random.Generator | None = None
) -> Callable[[np.ndarray], int | np.ndarray]:
    """Returns a policy from `forward` for one observation: greedy, or with `rng` sampled."""
    def choose(observation: np.ndarray) -> int | np.ndarray:
        noise = 0.0 if rng is None else make_noise(rng, (), action_space)
        return within(draw(policy(observation), noise, action_space), action_space)

    return choose


def within(actions: np.ndarray, action_space: gym.Space) -> int | np.ndarray:
    """Returns an action for the environment: an int, or an array clipped to its bounds."""
    if isinstance(action_space, gym.spaces.Discrete):
        return int(actions)
    return np.clip(actions, action_space.low, action_space.high)
