"""`--baseline value`: REINFORCE with a critic.

An action counts by its advantage, what followed more than the critic expected of its observation,
in place of all that followed. What the critic learns towards comes from the same episodes.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter21_policy_gradient.actor_critic import advantages, build_critic, mlp_in_numpy
from chapter21_policy_gradient.data import Episode
from chapter21_policy_gradient.model import normalize

CRITIC_SIZE = 64  # units of either hidden layer


def episode_advantages(
    episode: Episode, critic_weights: list[np.ndarray], discount: float, gae_lambda: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the advantage of each action, and what the critic should have said, (steps,)."""
    seen = np.concatenate([episode.observations, episode.last_observation[None]])
    values = mlp_in_numpy(critic_weights, seen)[:, 0]  # (steps + 1,)
    ended = np.zeros(len(episode.rewards), bool)
    ended[-1] = True
    found = advantages(episode.rewards, values[:-1], values[1:], ended & episode.terminated, ended,
                       discount, gae_lambda)
    return found, found + values[:-1]


def make_value_baseline(
    observation_size: int, args: argparse.Namespace
) -> tuple[keras.Model, keras.Optimizer, Callable[[Sequence[Episode]], np.ndarray]]:
    """Returns a critic, its optimizer, and what says how much each action of some episodes counts.

    That is its advantage, scaled to mean 0 and deviation 1 over the update. The critic then learns
    from these episodes, `--update_epochs` times.
    """
    critic = build_critic(observation_size, CRITIC_SIZE, args.seed)
    optimizer = keras.optimizers.Adam(args.learning_rate)
    optimizer.build(critic.trainable_variables)

    @tf.function(reduce_retracing=True)  # each batch has another number of steps
    def learn(observations: tf.Tensor, targets: tf.Tensor) -> None:
        for _ in tf.range(args.update_epochs):
            with tf.GradientTape() as tape:
                errors = critic(observations, training=True)[:, 0] - targets
                loss = tf.reduce_mean(errors**2)
            gradients = tape.gradient(loss, critic.trainable_variables)
            optimizer.apply(gradients, critic.trainable_variables)

    def weigh(episodes: Sequence[Episode]) -> np.ndarray:
        weights = critic.get_weights()
        judged = [episode_advantages(episode, weights, args.discount, args.gae_lambda)
                  for episode in episodes]
        found, targets = map(np.concatenate, zip(*judged, strict=True))
        observations = np.concatenate([episode.observations for episode in episodes])
        learn(observations, targets.astype(np.float32))
        return (normalize(found) / len(found)).astype(np.float32)

    return critic, optimizer, weigh
