"""Lets a trained policy act, on the screen or into a video.

    python play.py                         # three episodes, their returns
    python play.py --record pole.mp4
    python play.py --display               # a window
    python play.py --sample                # drawing its actions, as it trained

Prints the steps and the return of each episode.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from chapter21_policy_gradient import data
from chapter21_policy_gradient.eval import load_run, verb_parser
from common import cli
from common.errors import UserError

CHAPTER = "chapter21_policy_gradient"
FRAMES_PER_SECOND = 50  # where the environment names no other rate


def check_video(path: Path) -> None:
    """Raises UserError, before anything is played, where no video can be written."""
    if path.suffix != ".mp4" or not path.parent.is_dir():
        raise UserError(f"cannot write a video to {path}",
                        "give a file in a folder that exists, whose name ends in .mp4")


def write_video(path: Path, frames: Sequence[np.ndarray], rate: float) -> None:
    """Writes pictures as MP4.

    Args:
        path: the file, which appears when it is whole.
        frames: uint8 (height, width, 3), red, green, blue.
        rate: frames a second.

    Raises:
        UserError: OpenCV cannot write there, or knows no codec for it.
    """
    height, width, _ = frames[0].shape
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    if not writer.isOpened():
        raise UserError(f"OpenCV cannot write a video to {path}",
                        "give a folder that may be written to, in --record")
    for frame in frames:
        writer.write(frame[:, :, ::-1])
    writer.release()
    part.replace(path)


def render_mode(args: argparse.Namespace) -> str | None:
    """Returns what Gymnasium calls the way in which `--display` or `--record` is done.

    Raises:
        UserError: both are given, there is no screen, or no video can be written to that file.
    """
    if args.display and args.record:
        raise UserError("both --display and --record are given", "give one of them")
    if args.display and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("--display, but there is no screen (DISPLAY is not set)",
                        "take --record FILE.mp4")
    if args.record:
        check_video(Path(args.record))
    if args.display:  # Mesa's software OpenGL crashes on the LLVM that TensorFlow brings: no OpenGL
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
        os.environ.setdefault("SDL_RENDER_DRIVER", "software")
    return "human" if args.display else "rgb_array" if args.record else None


def play(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Plays episodes, shows or records them, and prints their returns."""
    run = load_run(args, flags, render_mode(args))
    env, act = run.env, run.sampled if args.sample else run.greedy
    frames = [] if args.record else None
    for number in range(args.num_episodes):
        rng = np.random.default_rng([args.seed, number])
        episode = data.play_episode(env, act(rng), rng, frames)
        print(f"episode {number + 1}: {len(episode.rewards)} steps, "
              f"return {episode.rewards.sum():g}")
    env.close()
    if args.record:
        write_video(Path(args.record), frames, env.metadata.get("render_fps", FRAMES_PER_SECOND))
        print(f"{args.record}: {len(frames):,} frames")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of every play.py."""
    parser.add_argument("--num_episodes", type=cli.positive_int, default=3, help="episodes")
    parser.add_argument("--seed", type=cli.seed, default=0, help="of the episodes")
    parser.add_argument("--record", type=cli.path, metavar="FILE.mp4", help="write a video")
    parser.add_argument("--display", action=argparse.BooleanOptionalAction, default=False,
                        help="open a window")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = verb_parser(__doc__, "play.py")
    add_flags(parser)
    parser.add_argument("--sample", action=argparse.BooleanOptionalAction, default=False,
                        help="draw actions by their probabilities, as in training")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(play, build_parser(), CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
