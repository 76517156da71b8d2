"""Q-learning and SARSA beside a cliff (Sutton & Barto 2018, example 6.6).

The shortest path runs along the edge of the cliff. Q-learning learns it, since its values are those
of the greedy policy, and its random actions keep falling off. The values of SARSA include the
random actions: it learns a path farther from the edge, and gains more while it learns.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from chapter18_q_learning import env as mazes
from common import figures
from common.figures import plt

ROWS, COLUMNS = 4, 12  # of CliffWalking-v1; the cliff is in the last row, between start and goal
LAST = 100  # final episodes, of which the online return is the mean
SMOOTH = 10  # episodes in the moving average of the figure
TITLES = {"q_learning": "Q-learning", "sarsa": "SARSA"}


class Learned(NamedTuple):
    """Trainings of one algorithm with several seeds."""

    returns: np.ndarray  # of each episode while learning: float64 (seeds, episodes)
    values: np.ndarray  # the final action values: float64 (seeds, states, actions)


def learn(args: argparse.Namespace, train_episode: Callable[..., None], num_seeds: int) -> Learned:
    """Trains with the seeds 0 to `num_seeds` - 1.

    Args:
        args: the flags of a train.py with the preset "cliff".
        train_episode: plays one episode and updates the tables.
        num_seeds: number of trainings.
    """
    returns, values = np.zeros((num_seeds, args.max_steps)), []
    for seed in range(num_seeds):
        args = argparse.Namespace(**{**vars(args), "seed": seed})
        env, rng = mazes.make_env(args), np.random.RandomState(seed)
        tables = np.full((1, env.observation_space.n, env.action_space.n),
                         args.initial_value).tolist()
        for episode in range(args.max_steps):
            train_episode(env, tables, rng, args)
            returns[seed, episode] = env.total_reward
        values.append(tables[0])
    return Learned(returns, np.array(values))


def greedy_path(args: argparse.Namespace, values: np.ndarray) -> list[int]:
    """Returns the cells of the greedy policy's path, at most as many as there are.

    Args:
        args: the flags of a train.py with the preset "cliff".
        values: action values of shape (states, actions).
    """
    env = mazes.make_env(args)
    (cell, _), ended = env.reset(seed=0), False
    path = [int(cell)]
    while not ended and len(path) < ROWS * COLUMNS:
        cell, _, ended, _, _ = env.step(int(values[cell].argmax()))
        path.append(int(cell))
    return path


def clearance(path: list[int]) -> int:
    """Returns how many rows a path keeps from the cliff: 1 along its edge, 0 if it never arrives.

    Args:
        path: cells, row · columns + column.
    """
    if path[-1] != ROWS * COLUMNS - 1:
        return 0
    return min(ROWS - 1 - cell // COLUMNS for cell in path if 0 < cell % COLUMNS < COLUMNS - 1)


def score(args: argparse.Namespace, algorithm: str, learned: Learned) -> dict[str, Any]:
    """Returns a row of the table.

    "online_return" is the mean return of the last episodes while learning, random actions included,
    and "interval" its 95 % confidence interval (Student's t over the seeds). "path" and "clearance"
    are the steps of the greedy path in the mean of all tables, and how many rows it keeps from the
    cliff. "edge", "farther" and "lost" count the seeds whose own greedy path runs along the edge,
    runs farther away, or does not arrive.
    """
    means = learned.returns[:, -LAST:].mean(axis=1)  # (seeds,)
    low, high = scipy.stats.t.interval(
        0.95, len(means) - 1, means.mean(), scipy.stats.sem(means))
    path = greedy_path(args, learned.values.mean(axis=0))
    kept = np.array([clearance(greedy_path(args, values)) for values in learned.values])
    return {
        "algorithm": algorithm, "seeds": len(means),
        "online_return": round(float(means.mean()), 1),
        "interval": [round(float(low), 1), round(float(high), 1)],
        "path": len(path) - 1, "clearance": clearance(path),
        "edge": int((kept == 1).sum()), "farther": int((kept > 1).sum()),
        "lost": int((kept == 0).sum()),
    }


def draw(args: argparse.Namespace, runs: Mapping[str, Learned], png: Path) -> None:
    """Draws the online returns, averaged over the seeds and smoothed, and the greedy paths."""
    figure, (curves, grid) = plt.subplots(1, 2, figsize=(11, 3.2), layout="constrained")
    grid.add_patch(plt.Rectangle((0.5, ROWS - 1.5), COLUMNS - 2, 1, color="0.75"))
    grid.text(COLUMNS / 2 - 0.5, ROWS - 1, "cliff", ha="center", va="center")
    for mark, column in (("S", 0), ("G", COLUMNS - 1)):
        grid.text(column, ROWS - 1, mark, ha="center", va="center", weight="bold", zorder=3,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 2})
    for algorithm, learned in runs.items():
        means = np.convolve(learned.returns.mean(axis=0), np.ones(SMOOTH) / SMOOTH, mode="valid")
        curves.plot(np.arange(SMOOTH, SMOOTH + len(means)), means, label=TITLES[algorithm])
        path = greedy_path(args, learned.values.mean(axis=0))
        rows, columns = np.divmod(path, COLUMNS)
        shift = 0.06 if algorithm == "sarsa" else -0.06  # where both go, both are seen
        grid.plot(columns + shift, rows, marker=".", label=TITLES[algorithm])
    curves.set(xlabel="episode", ylabel="return while learning", ylim=(-100, 0))
    curves.grid(alpha=0.3)
    curves.legend(loc="lower right")
    grid.set(xlim=(-0.5, COLUMNS - 0.5), ylim=(ROWS - 0.5, -0.5), aspect="equal",
             xticks=np.arange(COLUMNS) + 0.5, yticks=np.arange(ROWS) + 0.5,
             title="greedy paths, from the mean of all tables")
    grid.tick_params(length=0, labelbottom=False, labelleft=False)
    grid.grid(alpha=0.5)
    figures.save_figure(png, figure)
