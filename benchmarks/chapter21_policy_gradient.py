"""Environment steps a second of PPO's training: ours, and Stable-Baselines3's.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter21_policy_gradient

The whole loop is counted: acting, advantages, all gradient steps. Both have the same environments,
networks of two hidden layers of 64 tanh, optimizer, steps, epochs and minibatches, and one thread
each; neither logs or saves.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import compare

UPDATES = 4  # a call
SETTINGS = {"CartPole-v1, 8×32 steps, 20 epochs": {"preset": "demo"}}


def flags_of(setting: dict[str, Any]) -> Any:
    """Returns the flags of a preset."""
    from chapter21_policy_gradient import train_ppo

    preset = train_ppo.PRESETS[setting["preset"]]
    return train_ppo.build_parser().parse_args(
        [word for flag, value in preset.items() for word in (f"--{flag}", str(value))])


def ours(setting: dict[str, Any]) -> tuple[Callable[[], None], int]:
    """Measures the chapter's own update."""
    import tensorflow as tf

    from chapter21_policy_gradient import data, train_ppo
    from chapter21_policy_gradient.actor_critic import build_networks
    from chapter21_policy_gradient.rollout import Actors

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    args = flags_of(setting)
    args.anneal_steps = None
    envs = [data.make_env(args.env_name, boxes=True) for _ in range(args.num_envs)]
    policy, critic = build_networks(envs[0], args.hidden_size, args.seed)
    learn = train_ppo.make_learner(
        Actors(envs, args.seed), policy, critic,
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

    torch.set_num_threads(1)
    args = flags_of(setting)
    model = PPO(
        "MlpPolicy", make_vec_env(args.env_name, args.num_envs, seed=0), device="cpu", seed=0,
        n_steps=args.num_steps, batch_size=args.minibatch_size, n_epochs=args.update_epochs,
        gamma=args.discount, gae_lambda=args.gae_lambda, learning_rate=args.learning_rate,
        clip_range=args.clip, ent_coef=args.entropy_coefficient)
    items = UPDATES * args.num_envs * args.num_steps
    return lambda: model.learn(items, reset_num_timesteps=False), items


def main(argv: Sequence[str] | None = None) -> int:
    """Drives the rounds, or makes one measurement."""
    contenders = {"ours": ours, "stable_baselines3": stable_baselines3}
    return compare.run("chapter21_policy_gradient", "steps/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
