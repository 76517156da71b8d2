"""Training runs of chapters 18 and 19: flags, checkpoints, logs and figures.

The two chapters differ in the update rule only.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tensorflow as tf

from chapter18_q_learning import env as mazes
from chapter18_q_learning import tabular
from chapter18_q_learning.animation import Animation
from chapter18_q_learning.draw import (
    draw_learning_curve,
    draw_policies,
    draw_returns,
    show_policy,
)
from chapter18_q_learning.inference import mean_outcome, outcome, play_greedily
from chapter18_q_learning.model import QTable, num_tables
from common import cli, environments, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor

GREEDY_EPISODES = 10  # per evaluation; in the maze one, since it is deterministic


def build_parser(
    file: str, doc: str, presets: dict[str, dict[str, Any]], algorithms: Sequence[str],
    max_episode_steps: int,
) -> cli.Parser:
    """Returns the parser of a train.py; the defaults are the constants of the book's scripts."""
    parser = cli.training_parser(file, doc, presets, free=["alpha", "render", "speed"])
    mazes.add_flags(parser, max_episode_steps)
    group = parser.add_argument_group("agent")
    group.add_argument("--algorithm", choices=algorithms, default=algorithms[0],
                       help="update rule")
    group.add_argument("--epsilon", type=cli.from_0_to_1, default=0.1,
                       help="ε, probability of a random action")
    group.add_argument("--alpha", "--learning_rate", type=cli.above_0_to_1, default=0.1,
                       help="α, learning rate: step size toward the TD target")
    group.add_argument("--gamma", type=cli.above_0_to_1, default=0.9,
                       help="γ, discount factor; below 1 in the maze")
    group.add_argument("--initial_value", type=environments.reward, default=0.0,
                       help="initial Q value of all states and actions; above the highest "
                            "possible return it makes the agent explore")
    group.add_argument("--tie_breaking", choices=["first", "random"], default="first",
                       help="which of several equally good actions to take")
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", "--episodes", type=cli.positive_int, default=200,
                       help="total number of episodes; a training step is an episode")
    group.add_argument("--render", action=argparse.BooleanOptionalAction, default=False,
                       help="show every step in the terminal")
    group.add_argument("--speed", default=10.0, help="steps per second shown by --render",
                       type=cli.number(float, 0.01, 1e6, "between 0.01 and 1000000"))
    group.add_argument("--log_every", type=cli.positive_int, default=1,
                       help="episodes between log lines")
    group.add_argument("--eval_every", type=cli.positive_int, default=20,
                       help="episodes between evaluations of the greedy policy")
    group.add_argument("--save_every", type=cli.positive_int, default=100,
                       help="episodes between checkpoints")
    return parser


def idle_flags(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Returns flags without effect, by the setting that makes them so."""
    idle = mazes.idle_flags(args)
    if not args.render:
        idle["--no-render"] = ("speed",)
    return idle


def check_preset(args: argparse.Namespace, presets: dict[str, dict[str, Any]]) -> None:
    """Raises UserError if a preset is given another environment, or the maze a γ of 1."""
    meant = presets[args.preset].get("env_name", mazes.NAME)
    if args.env_name != meant and args.preset != "demo":
        raise UserError(f"--preset {args.preset} has the settings of {meant}, which do not fit "
                        f"{args.env_name}", "omit --preset")
    if mazes.is_maze(args) and args.gamma == 1:
        raise UserError("with --gamma 1 the values of a maze may be infinite",
                        "give a discount factor below 1")


def state_of(rng: np.random.RandomState) -> np.ndarray:
    """Returns the state of a random number generator, int64 of shape (625,)."""
    _, key, position, *_ = rng.get_state()
    return np.append(key, position).astype(np.int64)


def generator_with(state: np.ndarray) -> np.random.RandomState:
    """Returns a random number generator in a state that `state_of` returned."""
    rng = np.random.RandomState()
    rng.set_state(("MT19937", state[:-1].astype(np.uint32), int(state[-1])))
    return rng


def introduce(args: argparse.Namespace, env: gym.Env[int, int]) -> None:
    """Prints the algorithm and the map, and in the demo the command of the book's run."""
    limit = f"at most {env.spec.max_episode_steps} steps per episode"
    if mazes.is_maze(args):
        print(f"{args.algorithm} on the map {Path(args.map).stem}, {limit}:")
        print(*env.unwrapped.lines, sep="\n")
    else:
        print(f"{args.algorithm} on {args.env_name}: {env.observation_space.n} states, "
              f"{env.action_space.n} actions, {limit}")
    if args.preset == "demo":
        preset = "book_traps" if mazes.is_maze(args) and args.map == "traps" else "book"
        print(f"the book's run: python train.py --preset {preset} --render")


def make_training_env(args: argparse.Namespace, played: int) -> gym.Env[int, int]:
    """Makes the environment of the training, which `--render` shows.

    Args:
        args: the result of `cli.resolve`.
        played: episodes that were already played; other seeds follow for the next ones.
    """
    env = mazes.make_env(args, "ansi" if args.render else None, played)
    return Animation(env, args.speed, played) if args.render else env


def run(args: argparse.Namespace, learn: Callable[..., None]) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps` episodes.

    Args:
        args: the result of `cli.resolve`.
        learn: plays one episode and updates the tables: `learn(env, tables, rng, args)`.

    Returns:
        The scores of the last evaluation, see `inference.play`, and the number of episodes.
    """
    greedy_env = mazes.make_env(args)
    mazes.check_steps(greedy_env)
    make_training_env(args, 0)  # what cannot be shown is an error before a run folder is made
    introduce(args, greedy_env)
    seeds = tabular.seeds(args.seed, tabular.VALIDATION,
                          count=1 if mazes.is_maze(args) else GREEDY_EPISODES)
    table = QTable(greedy_env.observation_space.n, greedy_env.action_space.n,
                   num_tables(args.algorithm), args.initial_value)
    # NumPy's legacy generator, as in the book's scripts: the same seed gives the same episodes.
    saved_rng = tf.Variable(state_of(np.random.RandomState(args.seed)))
    facts = {"dataset_sha256": mazes.digest(greedy_env), "parameters": int(tf.size(table.tables))}
    with rundir.open_run(args, **facts) as folder:
        state = TrainState(folder, {"table": table}, numpy_rng=saved_rng)
        env = make_training_env(args, int(state.step))
        rng = generator_with(saved_rng.numpy())
        tables = table.tables.numpy().tolist()
        monitor = Monitor(folder, int(state.step))
        # steps() shows the bar, saves every save_every episodes, and leaves on Ctrl-C once it has.
        numbers = state.steps(itertools.repeat(None), args.max_steps, args.save_every, monitor)
        for episode, _ in numbers:
            learn(env, tables, rng, args)
            # Copy the tables and the generator's state to variables, for the checkpoint.
            table.tables.assign(tables)
            saved_rng.assign(state_of(rng))
            # Log, and evaluate the greedy policy.
            if episode % args.log_every == 0:
                monitor.scalars(episode, outcome(env))
            if episode % args.eval_every == 0 or episode == args.max_steps:
                values = table.values().numpy()
                scores = mean_outcome([play_greedily(greedy_env, values, args.gamma, seed)
                                       for seed in seeds])
                monitor.scalars(episode, scores, "greedy")
        show_result(args, greedy_env, table.values().numpy(), episode)
    print(f"greedy policy: {scores['episode_steps']:g} steps, return {scores['return']:g}; "
          f"see {'policy.png' if mazes.is_maze(args) else 'learning_curve.png'} in {folder}")
    return {"step": episode, **scores}


def show_result(
    args: argparse.Namespace, env: gym.Env[int, int], values: np.ndarray, episode: int
) -> None:
    """Draws the learning curve into the run folder; draws and prints the policy in the maze."""
    curve = args.run_dir / "learning_curve.png"
    if not mazes.is_maze(args):
        draw_returns(args.run_dir, curve)
        print(f"the policy is not drawn: it is drawn in the maze alone, not in {args.env_name}")
        return
    draw_learning_curve(args.run_dir, curve)
    draw_policies(env.unwrapped, {f"after {episode} episodes": values},
                  args.run_dir / "policy.png")
    print(show_policy(env.unwrapped, values))
