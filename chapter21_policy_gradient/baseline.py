"""The critic of REINFORCE, `--baseline value`.

Actions are weighted by their advantages instead of their returns. The critic's targets come from
the same episodes.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter21_policy_gradient.actor_critic import build_critic, estimate_advantages, mlp_in_numpy
from chapter21_policy_gradient.data import Episode
from chapter21_policy_gradient.model import normalize

CRITIC_SIZE = 64  # hidden units per layer


def episode_advantages(
    episode: Episode, critic_weights: list[np.ndarray], discount: float, gae_lambda: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the advantages and the critic's targets, each of shape (steps,)."""
    observations = np.concatenate([episode.observations, episode.last_observation[None]])
    values = mlp_in_numpy(critic_weights, observations)[:, 0]  # (steps + 1,)
    ended = np.zeros(len(episode.rewards), bool)
    ended[-1] = True
    advantages = estimate_advantages(episode.rewards, values[:-1], values[1:],
                                     ended & episode.terminated, ended, discount, gae_lambda)
    return advantages, advantages + values[:-1]


def make_value_baseline(
    observation_size: int, args: argparse.Namespace
) -> tuple[keras.Model, keras.Optimizer, Callable[[Sequence[Episode]], np.ndarray]]:
    """Returns a critic, its optimizer, and a function that weights the actions of some episodes.

    The weights are the advantages, normalized over the batch. The function then trains the critic
    on the same episodes for `--update_epochs` epochs.
    """
    critic = build_critic(observation_size, CRITIC_SIZE, args.seed)
    optimizer = keras.optimizers.Adam(args.learning_rate)
    optimizer.build(critic.trainable_variables)

    # A closure, so that tf.function traces it once for this critic and optimizer.
    @tf.function(reduce_retracing=True)  # the number of environment steps differs between batches
    def learn(observations: tf.Tensor, targets: tf.Tensor) -> None:
        for _ in tf.range(args.update_epochs):
            with tf.GradientTape() as tape:
                errors = critic(observations, training=True)[:, 0] - targets
                loss = tf.reduce_mean(errors**2)
            gradients = tape.gradient(loss, critic.trainable_variables)
            optimizer.apply(gradients, critic.trainable_variables)

    def weigh(episodes: Sequence[Episode]) -> np.ndarray:
        # Estimate the advantages with the critic as it was when the episodes were played.
        weights = critic.get_weights()
        pairs = [episode_advantages(episode, weights, args.discount, args.gae_lambda)
                 for episode in episodes]
        advantages, targets = map(np.concatenate, zip(*pairs, strict=True))
        # Train the critic on these episodes.
        observations = np.concatenate([episode.observations for episode in episodes])
        learn(observations, targets.astype(np.float32))
        return (normalize(advantages) / len(advantages)).astype(np.float32)

    return critic, optimizer, weigh
