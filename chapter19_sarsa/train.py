"""Finds a treasure by SARSA (book, chapter 19; Rummery & Niranjan 1994).

    python train.py                                 # the plain map, 200 episodes, seconds
    python train.py --render --speed 10             # watch every step, as in the book
    python train.py --preset book_traps             # where the book's agent gives up
    python train.py --algorithm expected_sarsa
    python train.py --algorithm sarsa_lambda --trace_decay 0.9
    python train.py --preset best                   # the same traps, and the best way through

The maze and everything but the learning is chapter 18's. Equations are those of Sutton & Barto,
Reinforcement Learning, 2nd edition, 2018. A "step" of the run (--max_steps, checkpoints) is an
episode.
"""

import argparse
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

from chapter18_q_learning import episodes
from chapter18_q_learning.model import choose_action
from common import cli

PRESETS = {
    "demo": {"tie_breaking": "random"},
    "book": {"seed": 1},
    "book_traps": {"seed": 1, "map": "traps"},
    "best": {"map": "traps", "tie_breaking": "random", "initial_value": 60.0},
}

Tables = list[list[list[float]]]  # (tables, states, actions)


def sarsa(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays an episode; a value moves towards that of the action taken next (section 6.4)."""
    (q,) = tables
    (state, _), ended = env.reset(), False
    action = choose_action(q[state], args.epsilon, args.tie_breaking, rng)
    while not ended:
        next_state, reward, terminated, truncated, _ = env.step(action)
        next_action = choose_action(q[next_state], args.epsilon, args.tie_breaking, rng)
        target = reward if terminated else reward + args.gamma * q[next_state][next_action]
        q[state][action] += args.alpha * (target - q[state][action])  # equation 6.7
        state, action, ended = next_state, next_action, terminated or truncated


def expected_sarsa(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays an episode; in place of the next action stands the mean over all (section 6.6)."""
    (q,) = tables
    (state, _), ended = env.reset(), False
    while not ended:
        action = choose_action(q[state], args.epsilon, args.tie_breaking, rng)
        next_state, reward, terminated, truncated, _ = env.step(action)
        row = q[next_state]
        mean = args.epsilon * sum(row) / len(row) + (1 - args.epsilon) * max(row)
        target = reward if terminated else reward + args.gamma * mean
        q[state][action] += args.alpha * (target - q[state][action])  # equation 6.9
        state, ended = next_state, terminated or truncated


def sarsa_lambda(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays an episode; every error also moves the values of earlier steps (section 12.7).

    Traces are replaced, not summed: a pair that comes again has 1 (Singh & Sutton 1996).
    """
    (q,) = tables
    (state, _), ended = env.reset(), False
    traces: dict[tuple[int, int], float] = {}
    action = choose_action(q[state], args.epsilon, args.tie_breaking, rng)
    while not ended:
        next_state, reward, terminated, truncated, _ = env.step(action)
        next_action = choose_action(q[next_state], args.epsilon, args.tie_breaking, rng)
        target = reward if terminated else reward + args.gamma * q[next_state][next_action]
        error = target - q[state][action]
        traces[state, action] = 1.0
        for (s, a), trace in traces.items():
            q[s][a] += args.alpha * error * trace  # equation 12.7
            traces[s, a] = args.gamma * args.trace_decay * trace  # equation 12.5
        state, action, ended = next_state, next_action, terminated or truncated


ALGORITHMS = {"sarsa": sarsa, "expected_sarsa": expected_sarsa, "sarsa_lambda": sarsa_lambda}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = episodes.build_parser(__file__, __doc__, PRESETS, list(ALGORITHMS),
                                   max_episode_steps=50)
    parser.add_argument("--trace_decay", type=cli.from_0_to_1, default=0.9,
                        help="λ of sarsa_lambda: 0 is sarsa, 1 remembers the whole episode")
    return parser


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until `--max_steps` episodes; returns the greedy scores."""
    idle_flags = episodes.idle_flags(args)
    if args.algorithm != "sarsa_lambda":
        idle_flags[f"--algorithm {args.algorithm}"] = ("trace_decay",)
    for beside, idle in idle_flags.items():
        cli.refuse_idle(args, idle, beside)
    return episodes.run(args, ALGORITHMS[args.algorithm])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
