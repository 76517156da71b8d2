"""Evaluates the greedy policy of a run, and compares it with the optimal policy.

    python eval.py                  # the latest run
    python eval.py --name traps --publish

The maze and the greedy policy are deterministic, so one episode is enough. The optimal policy comes
from value iteration, which knows the rules of the maze; with many vanishing traps it has too many
states and is left out. Writes eval.json and optimum.png, both policies side by side, into the run
folder.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter18_q_learning import env as mazes
from chapter18_q_learning.draw import draw_policies
from chapter18_q_learning.inference import load_run, play_greedily
from chapter18_q_learning.planning import MAX_STATES, find_optimum
from common import cli, results
from common.monitor import read_curve

LAST = 50  # training episodes that are averaged


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates the table of a run; writes eval.json and optimum.png."""
    maze, table = load_run(args, flags)
    values = table.values().numpy()
    optimum = find_optimum(maze, flags.gamma, flags.max_episode_steps)
    greedy = play_greedily(mazes.make_env(flags), values, flags.gamma)
    logged = {name: read_curve(args.run_dir, "train", name)[1][-LAST:]
              for name in ("episode_steps", "return", "success")}
    metrics = {
        "last_episodes": {name: float(last.mean()) for name, last in logged.items() if len(last)},
        "greedy": greedy,
    }
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
