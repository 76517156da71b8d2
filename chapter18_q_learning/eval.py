"""Evaluates the greedy policy of a run, and compares it with the optimal policy.

    python eval.py                  # the latest run
    python eval.py --name traps --publish

The maze and the greedy policy are deterministic, so one episode is enough. The optimal policy comes
from value iteration, which knows the rules of the maze; with many vanishing traps it has too many
states and is left out. Writes eval.json and optimum.png, both policies side by side, into the run
folder.

In another environment (`--env_name`) the greedy policy is evaluated on 100 episodes with new seeds,
beside uniformly random actions, the baseline. The policy is not drawn there.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np

from chapter18_q_learning import env as mazes
from chapter18_q_learning import tabular
from chapter18_q_learning.draw import draw_policies
from chapter18_q_learning.inference import load_run, play, play_greedily
from chapter18_q_learning.planning import MAX_STATES, find_optimum
from common import cli, environments, results, rundir
from common.monitor import read_curve

LAST = 50  # training episodes that are averaged, as far as they were logged
EPISODES = 100  # of an environment other than the maze


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates the table of a run; writes eval.json and, in the maze, optimum.png."""
    env, table = load_run(args, flags)
    values = table.values().numpy()
    if mazes.is_maze(flags):
        return evaluate_in_maze(args, flags, env, values)
    return evaluate_elsewhere(args, flags, env, values)


def last_episodes(run_dir: Path, *names: str) -> dict[str, float]:
    """Returns the means over the last training episodes."""
    means, end = {}, rundir.last_step(run_dir)
    for name in names:
        episodes, values = read_curve(run_dir, "train", name)
        if (last := episodes > end - LAST).any():
            means[name] = float(values[last].mean())
    return means


def evaluate_elsewhere(
    args: argparse.Namespace, flags: argparse.Namespace, env: gym.Env[int, int], values: np.ndarray
) -> dict[str, float]:
    """Plays episodes with the greedy policy and with random actions; writes eval.json."""
    rng, num_actions = np.random.default_rng(flags.seed), int(env.action_space.n)
    policies = {"chance": lambda state: int(rng.integers(num_actions)),
                "greedy": values.argmax(axis=1).tolist().__getitem__}
    metrics = {"last_episodes": last_episodes(args.run_dir, "episode_steps", "return")}
    for name, choose in policies.items():
        played = [play(env, choose, flags.gamma, seed) for seed in
                  tabular.seeds(flags.seed, tabular.EVALUATION, count=EPISODES)]
        returns = np.array([scores["return"] for scores in played])
        metrics[name] = {
            "mean_return": float(returns.mean()),
            "standard_error": float(returns.std(ddof=1) / np.sqrt(EPISODES)),
            "mean_steps": float(np.mean([scores["episode_steps"] for scores in played])),
            "terminated": sum(scores["terminated"] for scores in played), "episodes": EPISODES}
        print(f"{name}: mean return {metrics[name]['mean_return']:.2f} ± "
              f"{metrics[name]['standard_error']:.2f} over {EPISODES} episodes, of which "
              f"{metrics[name]['terminated']} were not truncated")
    results.write(args, environments.file_name(flags.env_name),
                  f"{flags.algorithm}-{flags.preset}", metrics)
    print(f"optimum.png is drawn in the maze alone, not in {flags.env_name}")
    return metrics["greedy"]


def evaluate_in_maze(
    args: argparse.Namespace, flags: argparse.Namespace, env: gym.Env[int, int], values: np.ndarray
) -> dict[str, float]:
    """Compares a greedy episode with the optimal policy; writes eval.json and optimum.png."""
    maze = env.unwrapped
    optimum = find_optimum(maze, flags.gamma, env.spec.max_episode_steps)
    greedy = play_greedily(env, values, flags.gamma)
    metrics = {"last_episodes": last_episodes(args.run_dir, "episode_steps", "return", "success"),
               "greedy": greedy}
    policies = {f"learned policy, discounted return {greedy['discounted_return']:.3f}": values}
    beside = f"unknown: more than {MAX_STATES:,} states"
    if optimum:
        metrics = {"optimum": {"discounted_return": optimum.discounted_return,
                               "return": optimum.total_reward,
                               "episode_steps": optimum.num_steps}} | metrics
        policies[f"optimal policy, discounted return {optimum.discounted_return:.3f}"] = (
            optimum.values)
        beside = f"{optimum.discounted_return:.3f} in {optimum.num_steps} steps"
    draw_policies(maze, policies, args.run_dir / "optimum.png")
    dataset = Path(flags.map).stem
    results.write(args, dataset, f"{flags.algorithm}-{flags.preset}", metrics)
    print(f"{dataset}: discounted return {greedy['discounted_return']:.3f} in "
          f"{greedy['episode_steps']} steps (optimum: {beside}); see optimum.png in {args.run_dir}")
    return greedy


def build_parser() -> cli.Parser:
    """Returns the parser; there is no best checkpoint, the latest one is evaluated."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
