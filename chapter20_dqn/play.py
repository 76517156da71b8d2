"""Plays episodes with the best network of a run, in a window or into a video.

    python play.py                         # prints the returns of three episodes
    python play.py --record game.mp4
    python play.py --display               # opens a window
    python play.py --epsilon 0             # greedy actions only

Prints the steps and the return of each episode.
"""

import argparse
from collections.abc import Sequence

from chapter20_dqn import data, episodes
from chapter20_dqn.inference import load_run
from chapter20_dqn.model import make_q_function
from common import cli, environments

ATARI_FRAMES_PER_SECOND = 60


def play(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Plays episodes, displays or records them, and prints their returns."""
    network, env = load_run(args, flags, environments.render_mode(args))
    q_values, _ = make_q_function(network, flags.network_header_type)
    epsilon = flags.ep_test if args.epsilon is None else args.epsilon
    rate = (ATARI_FRAMES_PER_SECOND if data.is_atari(flags.env_name)
            else environments.frame_rate(env)) / flags.n_action_repeat
    player = episodes.Player(env, flags.history_length, args.seed, episodes.PLAY)
    with environments.recorder(args, env, rate) as record_frame:
        played = episodes.play_episodes(player, q_values, epsilon, args.num_episodes,
                                        lambda player: record_frame())
    env.close()
    for number, (score, steps) in enumerate(zip(*played, strict=True), start=1):
        print(f"episode {number}: {steps} steps, return {score:g}")
    print(f"best return: {played.returns.max():g}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    environments.add_play_flags(parser)
    parser.add_argument("--epsilon", type=cli.from_0_to_1,
                        help="probability of a random action (default: the run's --ep_test)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(play, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
