"""Compares all algorithms of chapters 18 and 19 on both maps, with 30 seeds each.

    python compare.py                      # a minute
    python compare.py --seeds 100
    python compare.py --publish            # also into results/
    python compare.py --cliff              # Q-learning and SARSA beside a cliff, half a minute

Each algorithm runs with the constants of its chapter in the book, in four variants: "first" breaks
ties by taking the first action, as the book does, the others at random; "greedy" also has ε = 0,
and "optimistic" an initial value of 60 (Sutton & Barto 2018, § 2.6). A seed succeeds if more than
90 % of its last 50 episodes reach the treasure. Writes compare.json and compare.png into
runs/chapter19_sarsa/compare/, with `--cliff` cliff.json and cliff.png.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
from tqdm import tqdm

from chapter18_q_learning import env as mazes
from chapter18_q_learning import train as chapter18
from chapter18_q_learning.inference import play_greedily
from chapter18_q_learning.model import num_tables
from chapter18_q_learning.planning import find_optimum
from chapter19_sarsa import cliff
from chapter19_sarsa import train as chapter19
from common import cli, figures, files, results, rundir
from common.errors import UserError, exit_status
from common.figures import plt

CHAPTER = "chapter19_sarsa"
SCRIPTS = {name: script for script in (chapter18, chapter19) for name in script.ALGORITHMS}
VARIANTS = {
    "first": [],
    "random": ["--tie_breaking", "random"],
    "greedy": ["--tie_breaking", "random", "--epsilon", "0"],
    "optimistic": ["--tie_breaking", "random", "--initial_value", "60"],
}
LAST, ENOUGH = 50, 0.9  # final episodes, and the success rate above which a seed succeeds


def learn(args: argparse.Namespace) -> tuple[float, float]:
    """Trains with one seed.

    Args:
        args: the flags of a train.py.

    Returns:
        The success rate of the last 50 episodes, and the discounted return of the greedy policy.
    """
    env, rng = mazes.make_env(args), np.random.RandomState(args.seed)
    train_episode = SCRIPTS[args.algorithm].ALGORITHMS[args.algorithm]
    shape = num_tables(args.algorithm), env.observation_space.n, env.action_space.n
    tables, found = np.full(shape, args.initial_value).tolist(), []
    for _ in range(args.max_steps):
        train_episode(env, tables, rng, args)
        found.append(env.unwrapped.found)
    greedy = play_greedily(env, np.mean(tables, axis=0), args.gamma)
    return float(np.mean(found[-LAST:])), greedy["discounted_return"]


def score(algorithm: str, map_name: str, variant: str, num_seeds: int) -> dict[str, Any]:
    """Trains one algorithm with several seeds.

    Returns:
        A row of the table. "successes" counts the seeds that succeed and "interval" is Wilson's
        95 % confidence interval in per cent; "lost" counts the seeds that never reach the treasure
        in the last 50 episodes, "optimal" those whose greedy policy is optimal.
    """
    argv = ["--algorithm", algorithm, "--map", map_name, *VARIANTS[variant]]
    parser = SCRIPTS[algorithm].build_parser()
    args = [parser.parse_args([*argv, "--seed", str(seed)]) for seed in range(num_seeds)]
    env = mazes.make_env(args[0])
    optimum = find_optimum(env.unwrapped, args[0].gamma, env.spec.max_episode_steps)
    shares, returns = map(np.array, zip(*map(learn, args), strict=True))
    successes = int((shares > ENOUGH).sum())
    interval = scipy.stats.binomtest(successes, num_seeds).proportion_ci(method="wilson")
    return {
        "map": map_name, "way": variant, "algorithm": algorithm, "seeds": num_seeds,
        "successes": successes,
        "interval": [round(100 * interval.low, 1), round(100 * interval.high, 1)],
        "lost": int((shares == 0).sum()),
        "optimal": int((returns > optimum.discounted_return - 1e-6).sum()),
    }


def draw(rows: Sequence[dict[str, Any]], png: Path) -> None:
    """Draws the share of successful seeds with its interval, one panel per map."""
    figure, grid = plt.subplots(1, len(mazes.MAPS), figsize=(11, 3.4), sharey=True,
                                layout="constrained")
    for axes, map_name in zip(grid, mazes.MAPS, strict=True):
        for number, variant in enumerate(VARIANTS):
            chosen = [r for r in rows if (r["map"], r["way"]) == (map_name, variant)]
            shares = np.array([100 * r["successes"] / r["seeds"] for r in chosen])
            spread = np.abs(np.array([r["interval"] for r in chosen]).T - shares)
            places = np.arange(len(chosen)) + 0.2 * (number - (len(VARIANTS) - 1) / 2)
            axes.errorbar(shares, places, xerr=spread, fmt="o", capsize=3, label=variant)
        axes.set(title=map_name, xlabel="successful seeds, %", xlim=(-5, 105),
                 yticks=range(len(SCRIPTS)), yticklabels=SCRIPTS)
        axes.grid(alpha=0.3)
    grid[0].invert_yaxis()
    grid[0].legend(title="variant", loc="lower left")
    figures.save_figure(png, figure)


def compare(args: argparse.Namespace) -> dict[str, float]:
    """Runs all cases; writes compare.json and compare.png."""
    cases = [(algorithm, map_name, variant)
             for map_name in mazes.MAPS for variant in VARIANTS for algorithm in SCRIPTS]
    rows = [score(*case, args.seeds) for case in tqdm(cases, unit="case", disable=None)]
    folder = save(args, "compare", f"python compare.py --seeds {args.seeds}", rows)
    draw(rows, folder / "compare.png")
    for row in rows:
        print(f"{row['map']:6} {row['way']:10} {row['algorithm']:18} {row['successes']:3} of "
              f"{row['seeds']} seeds succeed, {row['optimal']} are optimal")
    print(f"see compare.png in {folder}")
    return {"cases": len(rows), "seeds": args.seeds}


def compare_at_cliff(args: argparse.Namespace) -> dict[str, float]:
    """Runs Q-learning and SARSA beside the cliff; writes cliff.json and cliff.png.

    Raises:
        UserError: one seed has no interval.
    """
    if args.seeds < 2:
        raise UserError(f"--seeds {args.seeds} has no confidence interval", "use at least 2")
    rows, runs = [], {}
    for algorithm in tqdm(cliff.TITLES, unit="algorithm", disable=None):
        script = SCRIPTS[algorithm]
        flags = argparse.Namespace(
            **{**vars(script.build_parser().parse_args([])), **script.PRESETS["cliff"]})
        runs[algorithm] = cliff.learn(flags, script.ALGORITHMS[algorithm], args.seeds)
        rows.append(cliff.score(flags, algorithm, runs[algorithm]))
    folder = save(args, "cliff", f"python compare.py --cliff --seeds {args.seeds}", rows)
    cliff.draw(flags, runs, folder / "cliff.png")
    for row in rows:
        low, high = row["interval"]
        print(f"{row['algorithm']:10} online return {row['online_return']} ({low} to {high}), "
              f"greedy path of {row['path']} steps, {row['clearance']} rows from the cliff")
    print(f"see cliff.png in {folder}")
    return {"cases": len(rows), "seeds": args.seeds}


def save(args: argparse.Namespace, name: str, command: str, rows: list[dict[str, Any]]) -> Path:
    """Writes the rows of a table, and with `--publish` copies them; returns their folder."""
    folder = rundir.runs_dir() / CHAPTER / "compare"
    folder.mkdir(parents=True, exist_ok=True)
    result = {"command": command, "rows": rows}
    files.write_json(folder / f"{name}.json", result | results.provenance())
    if args.publish:
        target = results.RESULTS / CHAPTER
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / f"{name}.json", target / f"{name}.json")
    return folder


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--cliff", action=argparse.BooleanOptionalAction, default=False,
                        help="compare Q-learning and SARSA beside a cliff, instead of all "
                             "algorithms in the maze")
    parser.add_argument("--seeds", type=cli.small_int, default=30, help="seeds per case")
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                        help="copy the table to results/, from which the README tables are made")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    def action() -> dict[str, float]:
        args = build_parser().parse_args(argv)
        return compare_at_cliff(args) if args.cliff else compare(args)

    return exit_status(action)


if __name__ == "__main__":
    raise SystemExit(main())
