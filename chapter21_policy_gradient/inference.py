"""Finished runs: loads the policy and its environment."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import gymnasium as gym
import keras
import numpy as np

from chapter21_policy_gradient import data
from chapter21_policy_gradient.actor_critic import build_networks, choosing, forward
from chapter21_policy_gradient.model import build_policy, greedy, sampling
from common import checkpoint


class Trained(NamedTuple):
    """A trained network, its environment, and the greedy and the stochastic policy.

    Both policies take the random number generator of an episode.
    """

    policy: keras.Model
    env: gym.Env
    greedy: Callable[[np.random.Generator], data.Choose]
    sampled: Callable[[np.random.Generator], data.Choose]


def load_run(
    args: argparse.Namespace, flags: argparse.Namespace, render_mode: str | None = None
) -> Trained:
    """Loads the policy of a REINFORCE or PPO run, and makes its environment.

    Args:
        args: arguments of the calling script, with `run_dir` and `checkpoint`.
        flags: the flags that the run was trained with.
        render_mode: render mode of the environment, see `make_env`.
    """
    by_ppo = flags.algorithm == "ppo"
    env = data.make_env(flags, render_mode, by_ppo)
    if by_ppo:
        policy, _ = build_networks(env, flags.hidden_size, flags.seed, flags.normalize_observations)
    else:
        (size,) = env.observation_space.shape
        policy = build_policy(size, int(env.action_space.n), flags.hidden_size)
    checkpoint.load(args.run_dir, args.checkpoint, policy=policy)
    if by_ppo:
        outputs = forward(policy)
        return Trained(policy, env, lambda rng: choosing(outputs, env.action_space),
                       lambda rng: choosing(outputs, env.action_space, rng))
    weights = policy.get_weights()
    return Trained(policy, env, partial(greedy, weights), partial(sampling, weights))
