"""The flags that train.py and train_ppo.py share, and those of PPO with their checks."""

import argparse

import gymnasium as gym

from chapter21_policy_gradient import data
from common import cli
from common.errors import UserError


def add_flags(parser: argparse.ArgumentParser, algorithm: str) -> None:
    """Adds the flags of both scripts, and records the algorithm: "reinforce" or "ppo"."""
    parser.set_defaults(algorithm=algorithm)
    data.add_flags(parser)
    group = parser.add_argument_group("training")
    group.add_argument("--hidden_size", type=cli.size, default=10,
                       help="hidden units per layer; of a game, after the convolutions")
    group.add_argument("--max_steps", type=cli.positive_int, default=2000,
                       help="total number of updates")
    group.add_argument("--discount", type=cli.from_0_to_1, default=0.99,
                       help="γ, discount factor")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.01,
                       help="learning rate of Adam")
    cli.add_init_from(group)
    group.add_argument("--gae_lambda", type=cli.from_0_to_1, default=0.95,
                       help="λ of generalized advantage estimation, with a critic: 0 uses one "
                            "reward and the next value, 1 all rewards of the episode")
    group.add_argument("--update_epochs", type=cli.size, default=10,
                       help="epochs over the data of each update, with a critic")
    group.add_argument("--log_every", type=cli.positive_int, default=10,
                       help="updates between log lines")
    group.add_argument("--eval_every", type=cli.positive_int, default=50,
                       help="updates between evaluations, by greedy actions; in games sampled")
    group.add_argument("--save_every", type=cli.positive_int, default=200,
                       help="updates between checkpoints")


def add_ppo_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of train_ppo.py."""
    switch = argparse.BooleanOptionalAction
    group = parser.add_argument_group("PPO")
    group.add_argument("--num_envs", type=cli.small_int, default=8,
                       help="number of environments")
    group.add_argument("--num_steps", type=cli.size, default=32,
                       help="steps per environment and update")
    group.add_argument("--minibatch_size", default=256,
                       type=cli.number(int, 2, 2**31 - 1, "a whole number of at least 2"),
                       help="environment steps per optimizer step")
    group.add_argument("--clip", type=cli.positive_float, default=0.2,
                       help="ε, clip range of the probability ratio")
    group.add_argument("--entropy_coefficient", type=cli.from_0_to_1, default=0.0,
                       help="weight of the entropy bonus")
    group.add_argument("--target_kl", type=cli.positive_float,
                       help="end an update early once KL(old, new) exceeds 1.5 times this "
                            "(default: never)")
    group.add_argument("--normalize_observations", action=switch, default=False,
                       help="standardize vectors by their running moments, in the first layer of "
                            "both networks")
    group.add_argument("--normalize_rewards", action=switch, default=False,
                       help="divide rewards by the running deviation of the discounted return")
    group.add_argument("--clip_rewards", action=switch, default=False,
                       help="train on the signs of the rewards, as is usual for games")
    group.add_argument("--anneal_steps", type=cli.positive_int,
                       help="updates over which --learning_rate and --clip decay linearly to 0 "
                            "(default: they are constant)")


def check_frames(args: argparse.Namespace, env: gym.Env) -> None:
    """Raises UserError if the frames of a game were to be standardized."""
    if args.normalize_observations and data.is_game(env):
        raise UserError(f"--normalize_observations does not apply to the frames of {args.env_name}",
                        "omit it: the network scales them to [0, 1]")


def check_sizes(args: argparse.Namespace) -> None:
    """Raises UserError if flags of PPO contradict each other."""
    num_rows = args.num_envs * args.num_steps
    if num_rows % args.minibatch_size:
        raise UserError(
            f"--minibatch_size {args.minibatch_size} does not divide the {num_rows} steps of an "
            f"update, {args.num_envs} environments × {args.num_steps}",
            f"use a divisor of {num_rows}")
    if args.anneal_steps and args.max_steps > args.anneal_steps:
        raise UserError(
            f"--max_steps {args.max_steps} exceeds --anneal_steps {args.anneal_steps}, after which "
            "the learning rate is 0", "raise --anneal_steps in a new run, or lower --max_steps")
