"""Plays episodes with a trained policy; prints their returns, records or displays them.

    python play.py                         # three episodes
    python play.py --record pole.mp4
    python play.py --display               # in a window
    python play.py --sample                # sampled actions, as in training

The policy is greedy unless `--sample` is given. In a game, a greedy policy may never serve the
ball.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from chapter21_policy_gradient import data
from chapter21_policy_gradient.inference import load_run
from common import cli, environments


def play(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Plays episodes and prints their lengths and returns."""
    run = load_run(args, flags, environments.render_mode(args))
    act = run.sampled if args.sample else run.greedy
    rate = environments.frame_rate(run.env)
    with environments.recorder(args, run.env, rate) as look:
        for number in range(args.num_episodes):
            rng = np.random.default_rng([args.seed, data.PLAY, number])
            rewards = []
            for step in data.play(run.env, act(rng), rng):
                rewards.append(step.reward)
                look()
            print(f"episode {number + 1}: {len(rewards)} steps, return {np.sum(rewards):g}")
    run.env.close()


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    environments.add_play_flags(parser)
    parser.add_argument("--sample", action=argparse.BooleanOptionalAction, default=False,
                        help="sample actions by their probabilities, as in training")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(play, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
