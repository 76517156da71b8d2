"""The policy: a network from observations to the probability of each action."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


def build_policy(
    observation_size: int, num_actions: int, hidden_size: int = 10, seed: int = 0
) -> keras.Sequential:
    """Builds the book's network (section 21.2): one hidden layer, no biases.

    It gives a logit for each action but the first, whose logit is 0. For two actions that is the
    book's single output, σ of which is the probability to push right: 50 parameters on CartPole.

    Args:
        observation_size: numbers in an observation.
        num_actions: actions to choose from, at least 2.
        hidden_size: units of the hidden layer.
        seed: of the weights.
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
        policy: from `build_policy`.
        observations: float32 of shape (batch, observation_size).
    """
    return tf.pad(policy(observations), [[0, 0], [1, 0]])


def policy_gradient_loss(logits: tf.Tensor, actions: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns -Σ weight · log π(action), whose gradient is REINFORCE's (Williams 1992).

    The logarithm is taken of the logits: a probability that rounds to 0 would give NaN.

    Args:
        logits: float32 of shape (steps, num_actions).
        actions: what was done, int64 of shape (steps,).
        weights: how much each action counts, float32 of shape (steps,).
    """
    log_p = -tf.nn.sparse_softmax_cross_entropy_with_logits(labels=actions, logits=logits)
    return -tf.reduce_sum(weights * log_p)


def discounted_returns(rewards: np.ndarray, discount: float) -> np.ndarray:
    """Returns what followed each step: R_t = r_t + discount · R_{t+1}.

    Args:
        rewards: float64 of shape (steps,), of one episode.
        discount: what a reward loses in a step.
    """
    returns, following = np.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        following = returns[t] = rewards[t] + discount * following
    return returns


def normalize(returns: np.ndarray) -> np.ndarray:
    """Scales returns to mean 0 and deviation 1; if all are alike they become 0."""
    return (returns - returns.mean()) / max(returns.std(), 1e-8)


def logits_in_numpy(weights: list[np.ndarray], observation: np.ndarray) -> np.ndarray:
    """Returns what `action_logits` gives for one observation, of shape (num_actions,).

    An episode asks for one action at a time, and a call of TensorFlow takes fifty times as long as
    these few products.

    Args:
        weights: of `build_policy`'s network.
        observation: float32 of shape (observation_size,).
    """
    hidden = np.maximum(observation @ weights[0], 0)
    return np.concatenate([[0], hidden @ weights[1]])


def sampling(weights: list[np.ndarray], rng: np.random.Generator) -> Callable[[np.ndarray], int]:
    """Returns the policy as it learns: each action comes up with its probability.

    The largest of logits to which Gumbel's noise is added is a draw from their softmax.
    """
    def choose(observation: np.ndarray) -> int:
        logits = logits_in_numpy(weights, observation)
        return int(np.argmax(logits + rng.gumbel(size=logits.shape)))

    return choose


def greedy(weights: list[np.ndarray], rng: np.random.Generator) -> Callable[[np.ndarray], int]:
    """Returns the policy that always takes the most probable action, as `sampling` does at best."""
    return lambda observation: int(np.argmax(logits_in_numpy(weights, observation)))
