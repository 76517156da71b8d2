"""Evaluates a run: whole episodes on seeds not seen in training, beside a random policy.

    python eval.py
    python eval.py --num_episodes 10
    python eval.py --publish        # also write to results/, the source of the README's tables

Nothing is learned, rewards are not clipped, and a lost life does not end an episode. Also draws
the learning curve.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter20_dqn import data, episodes
from chapter20_dqn.inference import load_run
from chapter20_dqn.model import make_q_function
from common import cli, environments, figures, results
from common.figures import plt
from common.monitor import read_curve

ATARI_EPISODES, EPISODES = 30, 100
BOOK_GAME = "ALE/Breakout-v5"  # "Best reward : 82" after 38.6 million steps (figure 20-6)


def summary(played: episodes.Played) -> dict[str, float]:
    """Returns statistics of episodes; `lower_95` bounds the mean's 95 % confidence interval."""
    returns = played.returns
    error = returns.std(ddof=1) / np.sqrt(len(returns)) if len(returns) > 1 else 0.0
    return {"mean_return": float(returns.mean()), "standard_error": float(error),
            "lower_95": float(returns.mean() - 1.96 * error),
            "lowest_return": float(returns.min()), "highest_return": float(returns.max()),
            "mean_steps": float(played.steps.mean()), "episodes": len(returns)}


def draw_learning_curve(run_dir: Path, chance: float, png: Path) -> None:
    """Draws the returns during training, and max Q at the held-out states."""
    curves = (("train", "episode/avg reward", "training episodes"),
              ("val", "episodic_return", "evaluations"))
    figure, (scores, values) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    for split, name, label in curves:
        scores.plot(*read_curve(run_dir, split, name), label=label)
    scores.axhline(chance, color="gray", linestyle="--", label="random policy")
    scores.set(xlabel="step", ylabel="mean return")
    scores.legend(fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    values.plot(*read_curve(run_dir, "val", "q"))
    values.set(xlabel="step", ylabel="mean of max Q at held-out states")
    for axes in (scores, values):
        axes.grid(alpha=0.3)
    figures.save_figure(png, figure)


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates the network and a random policy; writes eval.json and the learning curve."""
    network, env = load_run(args, flags)
    q_values, _ = make_q_function(network, flags.network_header_type)
    count = args.num_episodes or (ATARI_EPISODES if data.is_atari(flags.env_name) else EPISODES)
    player = episodes.Player(env, flags.history_length, flags.seed, episodes.EVALUATION)
    scores = {}
    for name, epsilon in (("chance", 1.0), ("network", flags.ep_test)):
        scores[name] = summary(episodes.play_episodes(player, q_values, epsilon, count))
        print(f"{name:>8}: mean return {scores[name]['mean_return']:.1f} ± "
              f"{scores[name]['standard_error']:.1f} over {count} episodes, from "
              f"{scores[name]['lowest_return']:g} to {scores[name]['highest_return']:g}")
    curve = args.run_dir / "learning_curve.png"
    draw_learning_curve(args.run_dir, scores["chance"]["mean_return"], curve)
    book = {"highest_return": 82.0} if flags.env_name == BOOK_GAME else None
    results.write(args, environments.file_name(flags.env_name), flags.preset, scores, book)
    print(f"learning curve: {curve}")
    return scores["network"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--num_episodes", type=cli.positive_int,
                        help=f"episodes (default: {EPISODES}, for Atari games {ATARI_EPISODES})")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
