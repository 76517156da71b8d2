"""The policy network of REINFORCE, its loss, and action selection in NumPy."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


def build_policy(
    observation_size: int, num_actions: int, hidden_size: int = 10, seed: int = 0
) -> keras.Sequential:
    """Builds the book's network (section 21.2.2): one hidden layer, no biases.

    The network has no output for the first action, whose logit is fixed at 0. With two actions this
    is the book's single output, whose sigmoid is the probability of pushing right; CartPole has 50
    parameters.

    Args:
        observation_size: size of an observation.
        num_actions: number of actions, at least 2.
        hidden_size: number of hidden units.
        seed: seed of the initial weights.
    """
    def weights(number: int) -> keras.Initializer:
        return keras.initializers.GlorotUniform(seed + number)

    return keras.Sequential([
        keras.Input((observation_size,)),
        keras.layers.Dense(hidden_size, "relu", use_bias=False, kernel_initializer=weights(0)),
        keras.layers.Dense(num_actions - 1, use_bias=False, kernel_initializer=weights(1)),
    ], name="policy")


def action_logits(policy: keras.Model, observations: tf.Tensor) -> tf.Tensor:
    """Returns the logits of all actions, float32 of shape (batch, num_actions).

    Args:
        policy: network from `build_policy`.
        observations: float32 of shape (batch, observation_size).
    """
    return tf.pad(policy(observations), [[0, 0], [1, 0]])


def policy_gradient_loss(logits: tf.Tensor, actions: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns the loss -Σ weight · log π(action) of REINFORCE (Williams 1992), a scalar.

    The log-probabilities come from the logits: the logarithm of a probability that rounds to 0
    would give NaN.

    Args:
        logits: float32 of shape (steps, num_actions).
        actions: actions that were taken, int64 of shape (steps,).
        weights: weight of each action, float32 of shape (steps,).
    """
    log_p = -tf.nn.sparse_softmax_cross_entropy_with_logits(labels=actions, logits=logits)
    return -tf.reduce_sum(weights * log_p)


def discounted_returns(rewards: np.ndarray, discount: float) -> np.ndarray:
    """Returns the discounted returns of one episode, R_t = r_t + γ · R_{t+1}, of shape (steps,).

    Args:
        rewards: float64 of shape (steps,).
        discount: discount factor γ.
    """
    returns, following = np.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        following = returns[t] = rewards[t] + discount * following
    return returns


def normalize(returns: np.ndarray) -> np.ndarray:
    """Normalizes returns to mean 0 and standard deviation 1; equal returns become 0."""
    return (returns - returns.mean()) / max(returns.std(), 1e-8)


def logits_in_numpy(weights: list[np.ndarray], observation: np.ndarray) -> np.ndarray:
    """Computes `action_logits` for one observation in NumPy; returns shape (num_actions,).

    An episode needs one action at a time, and for these few products a call of TensorFlow takes
    much longer than NumPy.

    Args:
        weights: weights of the network from `build_policy`.
        observation: float32 of shape (observation_size,).
    """
    hidden = np.maximum(observation @ weights[0], 0)
    return np.concatenate([[0], hidden @ weights[1]])


def sampling(weights: list[np.ndarray], rng: np.random.Generator) -> Callable[[np.ndarray], int]:
    """Returns the stochastic policy used in training: it samples actions by their probabilities.

    The Gumbel-max trick: the argmax of logits plus Gumbel noise is a sample of their softmax.
    """
    def choose(observation: np.ndarray) -> int:
        logits = logits_in_numpy(weights, observation)
        return int(np.argmax(logits + rng.gumbel(size=logits.shape)))

    return choose


def greedy(weights: list[np.ndarray], rng: np.random.Generator) -> Callable[[np.ndarray], int]:
    """Returns the greedy policy: it takes the most probable action; `rng` is not used."""
    return lambda observation: int(np.argmax(logits_in_numpy(weights, observation)))
