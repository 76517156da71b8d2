"""Lets the best network of a run play, on the screen or into a video.

    python play.py                         # three episodes, their returns
    python play.py --record game.mp4
    python play.py --display               # a window
    python play.py --epsilon 0             # nothing by chance

Prints the steps and the return of each episode.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter20_dqn import data, episodes
from chapter20_dqn.eval import load_run
from chapter20_dqn.model import make_q_function
from chapter21_policy_gradient.play import FRAMES_PER_SECOND, add_flags, render_mode, write_video
from common import cli

CHAPTER = "chapter20_dqn"
ATARI_FRAMES_PER_SECOND = 60
SMALL = 300  # pictures that are narrower are doubled


def picture(frame: np.ndarray) -> np.ndarray:
    """Returns a picture large enough to be watched, uint8 (height, width, 3)."""
    return frame if frame.shape[1] >= SMALL else frame.repeat(2, axis=0).repeat(2, axis=1)


def play(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Plays episodes, shows or records them, and prints their returns."""
    network, env = load_run(args, flags, render_mode(args))
    q_values, _ = make_q_function(network, flags.network_header_type)
    epsilon = flags.ep_test if args.epsilon is None else args.epsilon
    frames: list[np.ndarray] = []

    def look(player: episodes.Player) -> None:
        if args.record:
            frames.append(picture(env.render()))

    player = episodes.Player(env, flags.history_length, args.seed)
    played = episodes.play_episodes(player, q_values, epsilon, args.num_episodes, look)
    env.close()
    for number, (score, steps) in enumerate(zip(*played, strict=True), start=1):
        print(f"episode {number}: {steps} steps, return {score:g}")
    print(f"best return: {played.returns.max():g}")
    if args.record:
        rate = (ATARI_FRAMES_PER_SECOND if data.is_atari(flags.env_name)
                else env.metadata.get("render_fps", FRAMES_PER_SECOND)) / flags.n_action_repeat
        write_video(Path(args.record), frames, rate)
        print(f"{args.record}: {len(frames):,} frames")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__doc__, "play.py")
    add_flags(parser)
    parser.add_argument("--epsilon", type=cli.fraction,
                        help="the share of actions by chance (default: the run's --ep_test)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(play, build_parser(), CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
