"""Trains an agent in a maze by tabular SARSA (book, chapter 19; Rummery & Niranjan 1994).

    python train.py                                 # the plain map, 200 episodes, seconds
    python train.py --render --speed 10             # watch every step, as in the book
    python train.py --preset book_traps             # the book's agent never finds the treasure
    python train.py --algorithm expected_sarsa
    python train.py --algorithm sarsa_lambda --trace_decay 0.9
    python train.py --preset best                   # the same traps, the optimal policy
    python train.py --preset cliff                  # beside a cliff; compare.py --cliff
    python train.py --env_name Taxi-v4 --alpha 0.5 --episodes 1000

The maze and everything but the update rules come from chapter 18. A training step (`--max_steps`,
checkpoints, TensorBoard) is one episode. Sections (§) and equations are those of Sutton & Barto,
Reinforcement Learning, 2nd edition, 2018.
"""

import argparse
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

from chapter18_q_learning import episodes, tabular
from chapter18_q_learning.model import choose_action
from common import cli

PRESETS = {
    "demo": {"tie_breaking": "random"},
    "book": {"seed": 1},
    "book_traps": {"seed": 1, "map": "traps"},
    "best": {"map": "traps", "tie_breaking": "random", "initial_value": 60.0},
    "cliff": tabular.CLIFF,
}

Tables = list[list[list[float]]]  # (tables, states, actions)


def sarsa(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays one episode; the TD target takes the value of the action chosen next (§ 6.4)."""
    (q,) = tables
    (state, _), ended = env.reset(), False
    action = choose_action(q[state], args.epsilon, args.tie_breaking, rng)
    while not ended:
        # Act, and choose the next action before the update: state, action, reward, state, action.
        next_state, reward, terminated, truncated, _ = env.step(action)
        next_action = choose_action(q[next_state], args.epsilon, args.tie_breaking, rng)
        # The TD target takes that action's value, random actions included (on-policy).
        target = reward if terminated else reward + args.gamma * q[next_state][next_action]
        # Move Q(s, a) toward the target by the learning rate α.
        q[state][action] += args.alpha * (target - q[state][action])  # equation 6.7
        state, action, ended = next_state, next_action, terminated or truncated


def expected_sarsa(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays one episode; the TD target takes the expected value of the next action (§ 6.6)."""
    (q,) = tables
    (state, _), ended = env.reset(), False
    while not ended:
        # Act: ε-greedy in the current Q values.
        action = choose_action(q[state], args.epsilon, args.tie_breaking, rng)
        next_state, reward, terminated, truncated, _ = env.step(action)
        # Average the next state's values over the ε-greedy policy.
        row = q[next_state]
        mean = args.epsilon * sum(row) / len(row) + (1 - args.epsilon) * max(row)
        # Move Q(s, a) toward the TD target.
        target = reward if terminated else reward + args.gamma * mean
        q[state][action] += args.alpha * (target - q[state][action])  # equation 6.9
        state, ended = next_state, terminated or truncated


def sarsa_lambda(
    env: gym.Env[int, int], tables: Tables, rng: np.random.RandomState, args: argparse.Namespace
) -> None:
    """Plays one episode; each TD error also updates earlier state-action pairs (§ 12.7).

    The eligibility traces are replacing ones: a pair that is visited again is set to 1 (Singh &
    Sutton 1996).
    """
    (q,) = tables
    (state, _), ended = env.reset(), False
    traces: dict[tuple[int, int], float] = {}
    action = choose_action(q[state], args.epsilon, args.tie_breaking, rng)
    while not ended:
        # Act, and choose the next action, as in SARSA.
        next_state, reward, terminated, truncated, _ = env.step(action)
        next_action = choose_action(q[next_state], args.epsilon, args.tie_breaking, rng)
        # Compute the TD error of this step.
        target = reward if terminated else reward + args.gamma * q[next_state][next_action]
        error = target - q[state][action]
        # Update all pairs of this episode by their traces, which decay by γλ per step.
        traces[state, action] = 1.0
        for (s, a), trace in traces.items():
            q[s][a] += args.alpha * error * trace  # equation 12.7
            traces[s, a] = args.gamma * args.trace_decay * trace  # equation 12.5
        state, action, ended = next_state, next_action, terminated or truncated


ALGORITHMS = {"sarsa": sarsa, "expected_sarsa": expected_sarsa, "sarsa_lambda": sarsa_lambda}


def build_parser() -> cli.Parser:
    """Returns the parser: chapter 18's flags and λ."""
    parser = episodes.build_parser(__file__, __doc__, PRESETS, list(ALGORITHMS),
                                   max_episode_steps=50)
    parser.add_argument("--trace_decay", type=cli.from_0_to_1, default=0.9,
                        help="λ of sarsa_lambda, trace decay: 0 is sarsa, 1 only decays by γ")
    return parser


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps` episodes; returns its greedy scores."""
    idle_flags = episodes.idle_flags(args)
    if args.algorithm != "sarsa_lambda":
        idle_flags[f"--algorithm {args.algorithm}"] = ("trace_decay",)
    episodes.check_preset(args, PRESETS)
    for beside, idle in idle_flags.items():
        cli.refuse_idle(args, idle, beside)
    return episodes.run(args, ALGORITHMS[args.algorithm])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
