"""The flags of train.py, most of them the original's, and checks that they fit together."""

import argparse

from chapter20_dqn import data
from chapter20_dqn.model import ACTIVATIONS, HEADERS
from common import cli
from common.errors import UserError

# Numbers of steps in units of --scale; their help says "(times --scale)".
SCALED = ("memory_size", "t_learn_start", "t_target_q_update_freq", "t_ep_end", "t_beta_end",
          "t_test", "t_train_max", "learning_rate_decay_step")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds all flags but those that every chapter has."""
    data.add_flags(parser)
    add_network_flags(parser.add_argument_group("network"))
    add_time_flags(parser.add_argument_group("schedule, in steps; most are multiplied by --scale"))
    add_learning_flags(parser.add_argument_group("learning"))
    add_replay_flags(parser.add_argument_group("replay"))
    add_run_flags(parser.add_argument_group("logs and evaluation"))


def add_network_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of the network's architecture and of double Q-learning."""
    group.add_argument("--network_header_type", choices=[*HEADERS, "mlp"], default="nips",
                       help="nips, nature: convolutional, for frames; mlp: for vectors")
    group.add_argument("--network_output_type", choices=["normal", "dueling"], default="normal",
                       help="dueling: separate streams for state value and advantages")
    group.add_argument("--double_q", action=argparse.BooleanOptionalAction, default=False,
                       help="double Q-learning: the online network selects the next action, the "
                            "target network evaluates it")
    group.add_argument("--mlp_units", type=data.dimensions, default=[50, 50, 50],
                       help="units per hidden layer of mlp")
    group.add_argument("--mlp_activation", choices=list(ACTIVATIONS), default="sigmoid",
                       help="activation of the hidden layers of mlp")


def add_time_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of the schedule."""
    group.add_argument("--scale", type=cli.positive_int, default=10_000,
                       help="factor of the numbers of steps marked (times --scale)")
    group.add_argument("--memory_size", type=cli.positive_int, default=100,
                       help="replay capacity, in observations (times --scale)")
    group.add_argument("--t_learn_start", type=cli.non_negative_int, default=5,
                       help="steps before learning starts (times --scale)")
    group.add_argument("--t_train_freq", type=cli.positive_int, default=4,
                       help="steps between trainings")
    group.add_argument("--gradient_steps", type=cli.positive_int, default=1,
                       help="updates per training")
    group.add_argument("--t_target_q_update_freq", type=cli.positive_int, default=1,
                       help="steps between updates of the target network (times --scale)")
    group.add_argument("--t_ep_end", type=cli.positive_int, default=100,
                       help="steps after --t_learn_start in which epsilon decays (times --scale)")
    group.add_argument("--t_beta_end", type=cli.positive_int, default=5000,
                       help="steps in which --priority_beta is annealed to 1 (times --scale)")
    group.add_argument("--t_test", type=cli.positive_int, default=1,
                       help="steps between log lines and between evaluations (times --scale)")
    group.add_argument("--t_train_max", type=cli.positive_int, default=5000,
                       help="total number of steps (times --scale)")
    group.add_argument("--max_steps", type=cli.positive_int, default=50_000_000,
                       help="total number of steps, if less than --t_train_max times --scale")


def add_learning_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of exploration and of the update."""
    group.add_argument("--ep_start", type=cli.from_0_to_1, default=1.0,
                       help="initial epsilon, the probability of a random action")
    group.add_argument("--ep_end", type=cli.from_0_to_1, default=0.01, help="final epsilon")
    group.add_argument("--discount_r", type=cli.from_0_to_1, default=0.99,
                       help="discount factor")
    group.add_argument("--max_r", type=float, default=1.0, help="upper bound of clipped rewards")
    group.add_argument("--min_r", type=float, default=-1.0, help="lower bound of clipped rewards")
    group.add_argument("--max_delta", type=float,
                       help="upper bound of clipped TD errors (default: not clipped)")
    group.add_argument("--min_delta", type=float,
                       help="lower bound of clipped TD errors (default: not clipped)")
    group.add_argument("--batch_size", type=cli.positive_int, default=32,
                       help="transitions per update")
    group.add_argument("--optimizer", choices=["rmsprop", "adam"], default="rmsprop",
                       help="adam does not use --momentum and --decay")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.00025,
                       help="initial learning rate")
    group.add_argument("--learning_rate_minimum", type=cli.positive_float,
                       help="lower bound of the decayed learning rate (default: no decay)")
    group.add_argument("--learning_rate_decay", type=cli.above_0_to_1, default=0.96,
                       help="decay factor, with --learning_rate_minimum")
    group.add_argument("--learning_rate_decay_step", type=cli.positive_int, default=5,
                       help="steps between decays of the learning rate (times --scale)")
    group.add_argument("--momentum", type=cli.from_0_to_1, default=0.95, help="momentum of RMSprop")
    group.add_argument("--decay", type=cli.between_0_and_1, default=0.9,
                       help="discount factor of RMSprop's mean squared gradients")
    group.add_argument("--jit_compile", action=argparse.BooleanOptionalAction, default=False,
                       help="compile the update with XLA; results differ by rounding")
    group.add_argument("--max_grad_norm", type=cli.positive_float,
                       help="clip the gradient of each variable to this norm (default: not)")


def add_replay_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of the replay and of what fills it."""
    group.add_argument("--num_envs", type=cli.positive_int, default=1,
                       help="environments that act in turn, with one network call for all of "
                            "them; they share the replay evenly")
    group.add_argument("--n_step", type=cli.positive_int, default=1,
                       help="n of n-step returns: rewards summed before bootstrapping")
    group.add_argument("--prioritized", action=argparse.BooleanOptionalAction, default=False,
                       help="prioritized replay: transitions with large TD errors are drawn more "
                            "often")
    group.add_argument("--priority_alpha", type=cli.from_0_to_1, default=0.6,
                       help="priority exponent alpha, from 0 (uniform) to 1 (proportional)")
    group.add_argument("--priority_beta", type=cli.from_0_to_1, default=0.4,
                       help="initial importance-sampling exponent beta, annealed to 1")


def add_run_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of logs, evaluations and checkpoints."""
    group.add_argument("--log_every", type=cli.positive_int,
                       help="steps between log lines (default: --t_test times --scale)")
    group.add_argument("--eval_every", type=cli.positive_int,
                       help="steps between evaluations (default: --t_test times --scale)")
    group.add_argument("--eval_episodes", type=cli.positive_int, default=5,
                       help="episodes per evaluation; their mean return selects the best weights")
    group.add_argument("--ep_test", type=cli.from_0_to_1, default=0.05,
                       help="epsilon in evaluations and in play.py")
    group.add_argument("--video", action=argparse.BooleanOptionalAction, default=True,
                       help="show a game of each evaluation that is the best so far in "
                            "TensorBoard")
    group.add_argument("--save_every", type=cli.positive_int, default=50_000,
                       help="steps between checkpoints")


def in_steps(args: argparse.Namespace) -> argparse.Namespace:
    """Returns a copy of the flags with `--scale` applied: all schedules are in steps."""
    args = argparse.Namespace(**vars(args))
    for flag in SCALED:
        setattr(args, flag, getattr(args, flag) * args.scale)
    args.scale = 1
    args.max_steps = min(args.max_steps, args.t_train_max)
    args.log_every, args.eval_every = (n or args.t_test for n in (args.log_every, args.eval_every))
    return args


def check_header(args: argparse.Namespace) -> None:
    """Raises UserError if an mlp is to see frames, or convolutions vectors."""
    if data.is_atari(args.env_name) == (args.network_header_type == "mlp"):
        fitting = "mlp" if args.network_header_type != "mlp" else "nips or nature"
        raise UserError(
            f"--network_header_type {args.network_header_type} does not fit {args.env_name}",
            f"give --network_header_type {fitting}",
        )


def idle_flags(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Returns the flags that have no effect, by the setting that makes them idle."""
    rows = (
        (args.optimizer == "adam", "--optimizer adam", ("momentum", "decay")),
        (args.learning_rate_minimum is None,
         "a constant learning rate (no --learning_rate_minimum)",
         ("learning_rate_decay", "learning_rate_decay_step")),
        (not args.prioritized, "--no-prioritized",
         ("priority_alpha", "priority_beta", "t_beta_end")),
        (args.network_header_type != "mlp", f"--network_header_type {args.network_header_type}",
         ("mlp_units", "mlp_activation")),
        (not data.is_atari(args.env_name), args.env_name,
         ("observation_dims", "random_start", "max_random_start", "repeat_action_probability")),
        (not args.random_start, "--no-random_start", ("max_random_start",)),
        (args.n_action_repeat == 1, "--n_action_repeat 1", ("use_cumulated_reward",)),
    )
    return {beside: flags for applies, beside, flags in rows if applies}
