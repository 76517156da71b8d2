"""The flags that train.py and train_ppo.py share."""

import argparse

from chapter21_policy_gradient import data
from common import cli


def add_flags(parser: argparse.ArgumentParser, algorithm: str) -> None:
    """Adds the flags of both scripts, and records the algorithm: "reinforce" or "ppo"."""
    parser.set_defaults(algorithm=algorithm)
    data.add_flags(parser)
    group = parser.add_argument_group("training")
    group.add_argument("--hidden_size", type=cli.size, default=10,
                       help="hidden units per layer")
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
                       help="updates between evaluations of the greedy policy")
    group.add_argument("--save_every", type=cli.positive_int, default=200,
                       help="updates between checkpoints")
