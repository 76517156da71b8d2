"""Gymnasium environments: names, step limits, windows and video recordings."""

import argparse
import difflib
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from common import cli, video
from common.errors import UserError

STEP_CAP = 1000  # limit for environments that have none of their own
FRAMES_PER_SECOND = 50  # for environments that do not specify a rate
SMALL = 300  # pixels; narrower frames are enlarged twofold in a video

# Type of flags that are rewards or bounds on them: sums of many, and squares, are finite float32.
reward = cli.number(float, -1e12, 1e12, "a number from -1e12 to 1e12")


def check_name(name: str) -> None:
    """Raises UserError, with similar names, if Gymnasium has no environment of this name."""
    if name not in gym.registry:
        near = difflib.get_close_matches(name, gym.registry, 4, cutoff=0.4)
        raise UserError(f"Gymnasium knows no environment {name}",
                        f"try {', '.join(near) or 'CartPole-v1'}")


def make(
    name: str, render_mode: str | None = None, max_episode_steps: int | None = None, **options: Any
) -> gym.Env:
    """Makes an environment whose episodes are limited in length.

    Args:
        name: name in Gymnasium.
        render_mode: "rgb_array" for frames from `env.render()`, "human" for a window.
        max_episode_steps: steps after which an episode is truncated; None is the environment's own
            limit, or STEP_CAP if it has none; -1 is no limit.
        **options: further arguments of `gym.make`.

    Raises:
        UserError: there is no such environment, or a package that it needs is not installed.
    """
    check_name(name)
    render_offscreen(render_mode)
    cap = max_episode_steps or gym.spec(name).max_episode_steps or STEP_CAP
    try:
        with warnings.catch_warnings():  # the book uses old environments
            warnings.filterwarnings("ignore", "(?s).*out of date", DeprecationWarning)
            return gym.make(name, render_mode=render_mode, max_episode_steps=cap, **options)
    except (gym.error.Error, ImportError) as error:
        raise UserError(f"cannot make {name}: {error}", "try CartPole-v1") from error


def render_offscreen(render_mode: str | None) -> None:
    """Selects SDL's dummy video driver for "rgb_array"; without a screen SDL warns otherwise."""
    if render_mode == "rgb_array":
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def add_play_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that all play.py scripts share."""
    parser.add_argument("--num_episodes", type=cli.positive_int, default=3,
                        help="number of episodes")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the episodes")
    parser.add_argument("--record", type=cli.path, metavar="FILE",
                        help="record a video, FILE.mp4 or FILE.gif")
    parser.add_argument("--display", action=argparse.BooleanOptionalAction, default=False,
                        help="show the episodes in a window")


def render_mode(args: argparse.Namespace) -> str | None:
    """Returns Gymnasium's render mode for `--display` or `--record`.

    Raises:
        UserError: both are given, there is no screen, or the video cannot be written.
    """
    if args.display and args.record:
        raise UserError("--display and --record exclude each other", "use one of them")
    if args.display and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("--display needs a screen, but DISPLAY is not set",
                        "use --record FILE.mp4")
    if args.record:
        video.check(Path(args.record))
    if args.display:  # avoid OpenGL: Mesa's software renderer crashes on TensorFlow's LLVM
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
        os.environ.setdefault("SDL_RENDER_DRIVER", "software")
    return "human" if args.display else "rgb_array" if args.record else None


def frame_rate(env: gym.Env) -> float:
    """Returns the frames per second at which an environment is meant to be shown."""
    return env.metadata.get("render_fps", FRAMES_PER_SECOND)


@contextmanager
def recorder(
    args: argparse.Namespace, env: gym.Env, rate: float
) -> Iterator[Callable[[], None]]:
    """Records a video of an environment, if `--record` is given.

    Args:
        args: the flags of `add_play_flags`.
        env: an environment with the render mode "rgb_array".
        rate: frames per second.

    Yields:
        A function to call after each step; it writes a frame, or does nothing without `--record`.
    """
    if not args.record:
        yield lambda: None
        return
    count = 0
    with video.writer(Path(args.record), rate) as write:

        def look() -> None:
            nonlocal count
            write(enlarge(env.render()))
            count += 1

        yield look
    print(f"{args.record}: {count:,} frames")


def enlarge(frame: np.ndarray) -> np.ndarray:
    """Returns a frame, enlarged twofold if it is small: uint8 (height, width, 3)."""
    return frame if frame.shape[1] >= SMALL else frame.repeat(2, axis=0).repeat(2, axis=1)
