"""Environment steps per second of PPO: ours, and Stable-Baselines3's.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter21_policy_gradient

The whole loop is measured: acting, advantages, all gradient steps. Environments, networks (two
hidden layers of 64 tanh units), optimizer, steps, epochs and minibatches are the same. Each uses
one thread; nothing is logged or saved.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import harness

UPDATES = 4  # per call
SETTINGS = {"CartPole-v1, 8×32 steps, 20 epochs": {"preset": "demo"}}


def ours(setting: dict[str, Any]) -> tuple[Callable[[], None], int]:
    """Measures chapter 21's update, with a constant learning rate."""
    import tensorflow as tf

    from chapter21_policy_gradient import data, train_ppo
    from chapter21_policy_gradient.actor_critic import build_networks
    from chapter21_policy_gradient.normalization import Normalizer
    from chapter21_policy_gradient.rollout import Actors

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    args = harness.flags(train_ppo, setting["preset"], anneal_steps=None)
    envs = [data.make_env(args, by_ppo=True) for _ in range(args.num_envs)]
    policy, critic = build_networks(envs[0], args.hidden_size, args.seed)
    learn = train_ppo.make_learner(
        Actors(envs, args.seed),
        Normalizer(envs[0].observation_space.shape, args.num_envs, args.discount), policy, critic,
        train_ppo.make_optimizer(policy, critic, args.learning_rate), args)
    numbers = itertools.count(1)

    def step() -> None:
        for _ in range(UPDATES):
            learn(next(numbers))

    return step, UPDATES * args.num_envs * args.num_steps


def stable_baselines3(setting: dict[str, Any]) -> tuple[Callable[[], None], int]:
    """Measures `PPO.learn`."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    from chapter21_policy_gradient import train_ppo

    torch.set_num_threads(1)
    args = harness.flags(train_ppo, setting["preset"])
    model = PPO(
        "MlpPolicy", make_vec_env(args.env_name, args.num_envs, seed=0), device="cpu", seed=0,
        n_steps=args.num_steps, batch_size=args.minibatch_size, n_epochs=args.update_epochs,
        gamma=args.discount, gae_lambda=args.gae_lambda, learning_rate=args.learning_rate,
        clip_range=args.clip, ent_coef=args.entropy_coefficient)
    items = UPDATES * args.num_envs * args.num_steps
    return lambda: model.learn(items, reset_num_timesteps=False), items


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "stable_baselines3": stable_baselines3}
    return harness.run("chapter21_policy_gradient", "steps/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
