"""Compares what an agent has learnt with the best that is possible.

    python eval.py                  # the newest run
    python eval.py --name traps --publish

The agent plays one episode without chance, always by its best action; the maze has no chance of
its own. The best possible comes from value iteration, which knows the rules. Writes eval.json and
optimum.png, both policies side by side, into the run folder.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter18_q_learning import env as mazes
from chapter18_q_learning.draw import draw_policies
from chapter18_q_learning.inference import load_run, play_greedily
from chapter18_q_learning.planning import find_optimum
from common import cli, results
from common.monitor import read_curve

LAST = 50  # episodes


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Scores the table of a run, writes eval.json and the picture."""
    maze, table = load_run(args, flags)
    values = table.values().numpy()
    optimum = find_optimum(maze, flags.gamma, flags.max_episode_steps)
    greedy = play_greedily(mazes.make_env(flags), values, flags.gamma)
    logged = {name: read_curve(args.run_dir, "train", name)[1][-LAST:]
              for name in ("episode_steps", "return", "success")}
    metrics = {
        "optimum": {"discounted_return": optimum.discounted_return,
                    "return": optimum.total_reward, "episode_steps": optimum.num_steps},
        "last_episodes": {name: float(last.mean()) for name, last in logged.items() if len(last)},
        "greedy": greedy,
    }
    draw_policies(maze, {f"learnt: {greedy['discounted_return']:.3f} from the start": values,
                         f"optimum: {optimum.discounted_return:.3f}": optimum.values},
                  args.run_dir / "optimum.png")
    dataset = Path(flags.map).stem
    results.write(args, dataset, f"{flags.algorithm}-{flags.preset}", metrics)
    print(f"{dataset}: discounted return {greedy['discounted_return']:.3f} in "
          f"{greedy['episode_steps']} steps; the optimum is {optimum.discounted_return:.3f} in "
          f"{optimum.num_steps}; see optimum.png in {args.run_dir}")
    return greedy


def build_parser() -> cli.Parser:
    """Returns the parser; what was learnt last is what is scored: nothing chooses a "best"."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
