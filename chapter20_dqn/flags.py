"""The flags of train.py, most of them the original's, and checks that they fit together."""

import argparse
import math
import sys
from collections.abc import Mapping
from typing import Any

from chapter20_dqn import data
from chapter20_dqn.model import ACTIVATIONS, HEADERS
from common import cli, environments
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
    group.add_argument("--network_output_type", default="normal",
                       choices=["normal", "dueling", "dueling_wang"],
                       help="dueling: separate streams for state value and advantages behind the "
                            "hidden layer; dueling_wang: from the convolutions on, as in the paper")
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
    group.add_argument("--gradient_steps", type=cli.size, default=1,
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
    group.add_argument("--reward_scale", type=cli.positive_float, default=1.0,
                       help="factor of rewards, before they are clipped")
    group.add_argument("--max_r", type=environments.reward,
                       help="upper bound of clipped rewards (default: 1 in a game, 0.02 on "
                            "CartPole, else not clipped)")
    group.add_argument("--min_r", type=environments.reward,
                       help="lower bound of clipped rewards (default: -1 in a game and on "
                            "CartPole, else not clipped)")
    group.add_argument("--max_delta", type=environments.reward,
                       help="upper bound of clipped TD errors (default: not clipped)")
    group.add_argument("--min_delta", type=environments.reward,
                       help="lower bound of clipped TD errors (default: not clipped)")
    group.add_argument("--batch_size", type=cli.size, default=32,
                       help="transitions per update")
    group.add_argument("--optimizer", choices=["rmsprop", "adam"], default="rmsprop",
                       help="adam does not use --momentum and --decay")
    group.add_argument("--adam_epsilon", type=cli.positive_float, default=1e-7,
                       help="epsilon of Adam (Rainbow: 1.5e-4)")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.00025,
                       help="initial learning rate")
    group.add_argument("--learning_rate_minimum", type=cli.positive_float,
                       help="lower bound of the decayed learning rate (default: no decay)")
    group.add_argument("--learning_rate_decay", type=cli.above_0_to_1, default=0.96,
                       help="decay factor, with --learning_rate_minimum")
    cli.add_init_from(group)
    group.add_argument("--learning_rate_decay_step", type=cli.positive_int, default=5,
                       help="steps between decays of the learning rate (times --scale)")
    group.add_argument("--momentum", type=cli.from_0_to_1, default=0.95, help="momentum of RMSprop")
    group.add_argument("--decay", type=cli.between_0_and_1, default=0.9,
                       help="discount factor of RMSprop's mean squared gradients")
    group.add_argument("--jit_compile", action=argparse.BooleanOptionalAction, default=False,
                       help="compile the update with XLA; results differ by rounding")
    group.add_argument("--max_grad_norm", type=cli.positive_float,
                       help="clip the gradient of each variable to this norm (default: not)")
    group.add_argument("--max_global_norm", type=cli.positive_float,
                       help="clip all gradients together to this norm (default: not)")


def add_replay_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of the replay and of what fills it."""
    group.add_argument("--num_envs", type=cli.small_int, default=1,
                       help="environments that act in turn, with one network call for all of "
                            "them; they share the replay evenly")
    group.add_argument("--n_step", type=cli.small_int, default=1,
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
    group.add_argument("--video", action=argparse.BooleanOptionalAction, default=None,
                       help="show a game of each evaluation that is the best so far in "
                            "TensorBoard (default: if the environment renders images)")
    group.add_argument("--save_every", type=cli.positive_int, default=50_000,
                       help="steps between checkpoints")


def reward_bounds(env_name: str) -> tuple[float, float]:
    """Returns the default bounds of clipped rewards, by environment.

    In games they are ±1 (Mnih et al. 2015). On CartPole no return exceeds 2 with 0.02; with 1 the
    agent did worse (README). Elsewhere rewards are not clipped: it would change the task, such as
    make falling off the cliff of CliffWalking cost as little as a step.
    """
    if data.is_atari(env_name):
        return -1.0, 1.0
    return (-1.0, 0.02) if env_name.startswith("CartPole-") else (-math.inf, math.inf)


def in_steps(args: argparse.Namespace) -> argparse.Namespace:
    """Returns a copy of the flags with `--scale` applied: all schedules are in steps.

    Bounds of rewards that are not given become those of the environment.
    """
    args = argparse.Namespace(**vars(args))
    for flag in SCALED:
        setattr(args, flag, getattr(args, flag) * args.scale)
    args.scale = 1
    args.max_steps = min(args.max_steps, args.t_train_max)
    args.log_every, args.eval_every = (n or args.t_test for n in (args.log_every, args.eval_every))
    low, high = reward_bounds(args.env_name)
    args.min_r = low if args.min_r is None else args.min_r
    args.max_r = high if args.max_r is None else args.max_r
    return args


def check_preset(args: argparse.Namespace, presets: Mapping[str, dict[str, Any]]) -> None:
    """Raises UserError if a preset for games is given another environment, or the reverse."""
    kinds = {name: data.is_atari(preset["env_name"]) for name, preset in presets.items()}
    atari = data.is_atari(args.env_name)
    if "env_name" in args.typed and kinds[args.preset] != atari:
        fitting = " or ".join(name for name, kind in kinds.items() if kind == atari)
        raise UserError(
            f"--preset {args.preset} has the settings of {presets[args.preset]['env_name']}, "
            f"which do not fit {args.env_name}", f"give --preset {fitting}")


def check_bounds(args: argparse.Namespace) -> None:
    """Raises UserError if clipping leaves nothing of the rewards or the TD errors."""
    for low, high in (("min_r", "max_r"), ("min_delta", "max_delta")):
        bounds = getattr(args, low), getattr(args, high)
        if None not in bounds and bounds[0] >= bounds[1]:
            raise UserError(f"--{low} {bounds[0]:g} is not below --{high} {bounds[1]:g}",
                            f"lower --{low}, or raise --{high}")


def check_learning_start(args: argparse.Namespace) -> None:
    """Raises UserError if the replay holds no complete transition when learning starts.

    Reports on stderr if it starts after the last step, which a resumed run may raise.

    Args:
        args: from `in_steps`.
    """
    rows = args.memory_size // args.num_envs
    if rows <= (before := args.history_length + args.n_step - 1):
        raise UserError(
            f"a replay of {args.memory_size} observations has {rows} for each of {args.num_envs} "
            f"environments, a transition takes {before + 1}", "raise --memory_size")
    first = args.t_train_freq * (args.t_learn_start // args.t_train_freq + 1)
    complete = args.num_envs * before + 1
    if first < complete:
        raise UserError(
            f"the first update, at step {first}, finds no complete transition in the replay: the "
            f"first is complete at step {complete}", "raise --t_learn_start, in units of --scale")
    if first > args.max_steps:
        print(f"nothing is learned in {args.max_steps:,} steps: the first update is at step "
              f"{first:,}", file=sys.stderr)


def check_header(args: argparse.Namespace) -> None:
    """Raises UserError if an mlp is to see frames, convolutions vectors, or it has none."""
    if data.is_atari(args.env_name) == (args.network_header_type == "mlp"):
        fitting = "mlp" if args.network_header_type != "mlp" else "nips or nature"
        raise UserError(
            f"--network_header_type {args.network_header_type} does not fit {args.env_name}",
            f"give --network_header_type {fitting}",
        )
    if args.network_header_type == "mlp" and args.network_output_type == "dueling_wang":
        raise UserError("--network_output_type dueling_wang begins at convolutions, and "
                        "--network_header_type mlp has none", "give --network_output_type dueling")


def idle_flags(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Returns the flags that have no effect, by the setting that makes them idle."""
    rows = (
        (args.optimizer == "adam", "--optimizer adam", ("momentum", "decay")),
        (args.optimizer != "adam", f"--optimizer {args.optimizer}", ("adam_epsilon",)),
        (args.max_grad_norm is not None, "--max_grad_norm", ("max_global_norm",)),
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
