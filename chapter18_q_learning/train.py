"""Finds a treasure by Q-learning (book, chapter 18; Watkins & Dayan 1992).

    python train.py                                 # the plain map, 200 episodes, seconds
    python train.py --render --speed 10             # watch every step, as in the book
    python train.py --map traps
    python train.py --algorithm double_q_learning
    python train.py --preset best

Prints the way it has learnt and draws it, with the learning curve, into the run folder. Equations
are those of Sutton & Barto, Reinforcement Learning, 2nd edition, 2018. To expect: from the 30th
episode or so straight to the treasure. A "step" of the run (--max_steps, checkpoints) is an
episode.
"""

import argparse
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

from chapter18_q_learning import episodes
from chapter18_q_learning.model import best_action, choose_action
from common import cli

PRESETS = {
    "demo": {"tie_breaking": "random"},
    "book": {},
    "book_traps": {"map": "traps"},
    "best": {"map": "traps", "tie_breaking": "random", "initial_value": 60.0},
}

Tables = list[list[list[float]]]  # (tables, states, actions)


def q_learning(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays an episode and learns from every step (Sutton & Barto, section 6.5)."""
    (q,) = tables
    (state, _), ended = env.reset(), False
    while not ended:
        action = choose_action(q[state], args.epsilon, args.tie_breaking, rng)
        next_state, reward, terminated, truncated, _ = env.step(action)
        target = reward if terminated else reward + args.gamma * max(q[next_state])
        q[state][action] += args.alpha * (target - q[state][action])  # equation 6.8
        state, ended = next_state, terminated or truncated


def double_q_learning(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays an episode; one table chooses the best action, the other values it (section 6.7)."""
    (state, _), ended = env.reset(), False
    while not ended:
        row = [a + b for a, b in zip(tables[0][state], tables[1][state], strict=True)]
        action = choose_action(row, args.epsilon, args.tie_breaking, rng)
        next_state, reward, terminated, truncated, _ = env.step(action)
        q, other = tables if rng.random_sample() < 0.5 else reversed(tables)
        best = best_action(q[next_state], args.tie_breaking, rng)
        target = reward if terminated else reward + args.gamma * other[next_state][best]
        q[state][action] += args.alpha * (target - q[state][action])  # equation 6.10
        state, ended = next_state, terminated or truncated


ALGORITHMS = {"q_learning": q_learning, "double_q_learning": double_q_learning}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return episodes.build_parser(__file__, __doc__, PRESETS, list(ALGORITHMS), max_episode_steps=30)


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until `--max_steps` episodes; returns the greedy scores."""
    for beside, idle in episodes.idle_flags(args).items():
        cli.refuse_idle(args, idle, beside)
    return episodes.run(args, ALGORITHMS[args.algorithm])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
