"""The flags of train.py, most of them the original's, and which of them fit together."""

import argparse

from chapter20_dqn import data
from chapter20_dqn.model import ACTIVATIONS, HEADERS
from common import cli
from common.errors import UserError

# The flags that are marked x: numbers of steps in units of --scale.
SCALED = ("memory_size", "t_learn_start", "t_target_q_update_freq", "t_ep_end", "t_beta_end",
          "t_test", "t_train_max", "learning_rate_decay_step")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds all but the shared ones."""
    data.add_flags(parser)
    add_network_flags(parser.add_argument_group("network"))
    add_time_flags(parser.add_argument_group("times, in steps; most are multiplied by --scale"))
    add_learning_flags(parser.add_argument_group("learning"))
    add_replay_flags(parser.add_argument_group("replay"))
    add_run_flags(parser.add_argument_group("logs and evaluation"))


def add_network_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags that say which network it is."""
    group.add_argument("--network_header_type", choices=[*HEADERS, "mlp"], default="nips",
                       help="nips, nature: convolutions, for frames; mlp: for rows of numbers")
    group.add_argument("--network_output_type", choices=["normal", "dueling"], default="normal",
                       help="dueling: the state's value and the actions' advantages apart")
    group.add_argument("--double_q", action=argparse.BooleanOptionalAction, default=False,
                       help="the online network chooses the action whose target value is taken")
    group.add_argument("--mlp_units", type=data.dimensions, default=[50, 50, 50],
                       help="units of the hidden layers of mlp")
    group.add_argument("--mlp_activation", choices=list(ACTIVATIONS), default="sigmoid",
                       help="of the hidden layers of mlp")


def add_time_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags that say when what happens."""
    group.add_argument("--scale", type=cli.positive_int, default=10_000,
                       help="what the flags marked x are multiplied by")
    group.add_argument("--memory_size", type=cli.positive_int, default=100,
                       help="observations in the replay, x")
    group.add_argument("--t_learn_start", type=cli.non_negative_int, default=5,
                       help="steps by chance before learning begins, x")
    group.add_argument("--t_train_freq", type=cli.positive_int, default=4,
                       help="steps between two trainings")
    group.add_argument("--gradient_steps", type=cli.positive_int, default=1,
                       help="updates in a training")
    group.add_argument("--t_target_q_update_freq", type=cli.positive_int, default=1,
                       help="steps between two copies of the network to the target network, x")
    group.add_argument("--t_ep_end", type=cli.positive_int, default=100,
                       help="steps, from --t_learn_start on, in which epsilon falls, x")
    group.add_argument("--t_beta_end", type=cli.positive_int, default=5000,
                       help="steps in which --priority_beta rises to 1, x")
    group.add_argument("--t_test", type=cli.positive_int, default=1,
                       help="steps between two log lines and evaluations, x")
    group.add_argument("--t_train_max", type=cli.positive_int, default=5000,
                       help="steps in all, x")
    group.add_argument("--max_steps", type=cli.positive_int, default=50_000_000,
                       help="steps in all, where that is less than --t_train_max x --scale")


def add_learning_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of exploring and of the update."""
    group.add_argument("--ep_start", type=cli.from_0_to_1, default=1.0,
                       help="the share of actions by chance, at first")
    group.add_argument("--ep_end", type=cli.from_0_to_1, default=0.01, help="and at last")
    group.add_argument("--discount_r", type=cli.from_0_to_1, default=0.99,
                       help="what a reward loses a step, looked at from before")
    group.add_argument("--max_r", type=float, default=1.0, help="rewards above are clipped")
    group.add_argument("--min_r", type=float, default=-1.0, help="rewards below are clipped")
    group.add_argument("--max_delta", type=float, help="errors above are clipped (default: none)")
    group.add_argument("--min_delta", type=float, help="errors below are clipped (default: none)")
    group.add_argument("--batch_size", type=cli.positive_int, default=32,
                       help="transitions an update")
    group.add_argument("--optimizer", choices=["rmsprop", "adam"], default="rmsprop",
                       help="adam has no use for --momentum and --decay")
    group.add_argument("--learning_rate", type=cli.positive_float, default=0.00025,
                       help="at first")
    group.add_argument("--learning_rate_minimum", type=cli.positive_float,
                       help="the rate does not fall below (default: --learning_rate, it stays)")
    group.add_argument("--learning_rate_decay", type=cli.above_0_to_1, default=0.96,
                       help="factor on the rate, where there is a --learning_rate_minimum")
    group.add_argument("--learning_rate_decay_step", type=cli.positive_int, default=5,
                       help="steps between two times that the factor is applied, x")
    group.add_argument("--momentum", type=cli.from_0_to_1, default=0.95, help="of RMSProp")
    group.add_argument("--decay", type=cli.between_0_and_1, default=0.9,
                       help="of RMSProp's mean of squared gradients")
    group.add_argument("--jit_compile", action=argparse.BooleanOptionalAction, default=False,
                       help="compile the update with XLA, which rounds otherwise")
    group.add_argument("--max_grad_norm", type=cli.positive_float,
                       help="the gradient of each variable is clipped to this norm (default: not)")


def add_replay_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags of what is remembered, and how it is drawn."""
    group.add_argument("--num_envs", type=cli.positive_int, default=1,
                       help="environments that are acted in by turns, one call of the network "
                            "for all of them; they share the replay evenly")
    group.add_argument("--n_step", type=cli.positive_int, default=1,
                       help="steps whose rewards are added up before the target network's value")
    group.add_argument("--prioritized", action=argparse.BooleanOptionalAction, default=False,
                       help="what was surprising is drawn more often")
    group.add_argument("--priority_alpha", type=cli.from_0_to_1, default=0.6,
                       help="how much more often: 0 is not at all, 1 in proportion to the error")
    group.add_argument("--priority_beta", type=cli.from_0_to_1, default=0.4,
                       help="how far the loss makes up for that, at first; at last 1, in full")


def add_run_flags(group: argparse._ArgumentGroup) -> None:
    """Adds the flags that do not shape what is learnt."""
    group.add_argument("--log_every", type=cli.positive_int,
                       help="steps between two log lines (default: --t_test x --scale)")
    group.add_argument("--eval_every", type=cli.positive_int,
                       help="steps between two evaluations (default: --t_test x --scale)")
    group.add_argument("--eval_episodes", type=cli.positive_int, default=5,
                       help="episodes an evaluation; the best weights are kept by their return")
    group.add_argument("--ep_test", type=cli.from_0_to_1, default=0.05,
                       help="the share of actions by chance when evaluated or played")
    group.add_argument("--video", action=argparse.BooleanOptionalAction, default=True,
                       help="a game of each evaluation that is the best so far, in TensorBoard")
    group.add_argument("--save_every", type=cli.positive_int, default=50_000,
                       help="steps between two checkpoints")


def in_steps(args: argparse.Namespace) -> argparse.Namespace:
    """Returns a copy of the flags with all times in steps: those marked x times `--scale`."""
    args = argparse.Namespace(**vars(args))
    for flag in SCALED:
        setattr(args, flag, getattr(args, flag) * args.scale)
    args.scale = 1
    args.max_steps = min(args.max_steps, args.t_train_max)
    args.log_every, args.eval_every = (n or args.t_test for n in (args.log_every, args.eval_every))
    return args


def check_header(args: argparse.Namespace) -> None:
    """Raises UserError where frames meet an mlp, or rows of numbers convolutions."""
    if data.is_atari(args.env_name) == (args.network_header_type == "mlp"):
        fitting = "mlp" if args.network_header_type != "mlp" else "nips or nature"
        raise UserError(
            f"--network_header_type {args.network_header_type} does not fit {args.env_name}",
            f"give --network_header_type {fitting}",
        )


def idle_flags(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Returns the flags that have no effect, by what they have none beside."""
    rows = (
        (args.optimizer == "adam", "--optimizer adam", ("momentum", "decay")),
        (args.learning_rate_minimum is None, "a run without --learning_rate_minimum",
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
