"""Trains an agent in a maze by tabular Q-learning (book, chapter 18; Watkins & Dayan 1992).

    python train.py                                 # the plain map, 200 episodes, seconds
    python train.py --render --speed 10             # watch every step, as in the book
    python train.py --map traps
    python train.py --algorithm double_q_learning
    python train.py --preset best
    python train.py --preset cliff                  # beside a cliff, as in chapter 19
    python train.py --env_name Taxi-v4 --alpha 0.5 --episodes 1000

Prints the learned policy, and draws it and the learning curve into the run folder. After about 30
episodes the agent goes straight to the treasure. A training step (`--max_steps`, checkpoints,
TensorBoard) is one episode. Sections (§) and equations are those of Sutton & Barto, Reinforcement
Learning, 2nd edition, 2018.
"""

import argparse
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

from chapter18_q_learning import episodes, tabular
from chapter18_q_learning.model import best_action, choose_action
from common import cli

PRESETS = {
    "demo": {"tie_breaking": "random"},
    "book": {},
    "book_traps": {"map": "traps"},
    "best": {"map": "traps", "tie_breaking": "random", "initial_value": 60.0},
    "cliff": tabular.CLIFF,
}

Tables = list[list[list[float]]]  # (tables, states, actions)


def q_learning(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays one episode and updates Q after every step (§ 6.5)."""
    (q,) = tables
    (state, _), ended = env.reset(), False
    while not ended:
        # Act: ε-greedy in the current Q values.
        action = choose_action(q[state], args.epsilon, args.tie_breaking, rng)
        next_state, reward, terminated, truncated, _ = env.step(action)
        # The TD target takes the best next action, whichever the agent will choose (off-policy);
        # a terminal state has no future.
        target = reward if terminated else reward + args.gamma * max(q[next_state])
        # Move Q(s, a) toward the target by the learning rate α.
        q[state][action] += args.alpha * (target - q[state][action])  # equation 6.8
        state, ended = next_state, terminated or truncated


def double_q_learning(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays one episode; one table selects the best next action, the other evaluates it (§ 6.7)."""
    (state, _), ended = env.reset(), False
    while not ended:
        # Act: ε-greedy in the sum of both tables.
        row = [a + b for a, b in zip(tables[0][state], tables[1][state], strict=True)]
        action = choose_action(row, args.epsilon, args.tie_breaking, rng)
        next_state, reward, terminated, truncated, _ = env.step(action)
        # Flip a coin for the table to update.
        q, other = tables if rng.random_sample() < 0.5 else reversed(tables)
        # It selects the best next action, and the other table gives that action's value: the
        # maximum over noisy estimates would be too high.
        best = best_action(q[next_state], args.tie_breaking, rng)
        target = reward if terminated else reward + args.gamma * other[next_state][best]
        # Move Q(s, a) of this table toward the target.
        q[state][action] += args.alpha * (target - q[state][action])  # equation 6.10
        state, ended = next_state, terminated or truncated


ALGORITHMS = {"q_learning": q_learning, "double_q_learning": double_q_learning}


def build_parser() -> cli.Parser:
    """Returns the parser; the flags are in episodes.py."""
    return episodes.build_parser(__file__, __doc__, PRESETS, list(ALGORITHMS), max_episode_steps=30)


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps` episodes; returns its greedy scores."""
    episodes.check_preset(args, PRESETS)
    for beside, idle in episodes.idle_flags(args).items():
        cli.refuse_idle(args, idle, beside)
    return episodes.run(args, ALGORITHMS[args.algorithm])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
