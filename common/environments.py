"""Gymnasium's environments: found by name, made, shown in a window, recorded as a video."""

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

STEP_CAP = 1000  # for environments that would never end an episode
FRAMES_PER_SECOND = 50  # where the environment names no other rate
SMALL = 300  # frames that are narrower are doubled in a video


def check_name(name: str) -> None:
    """Raises UserError, with similar names, if Gymnasium knows no environment of this name."""
    if name not in gym.registry:
        near = difflib.get_close_matches(name, gym.registry, 4, cutoff=0.4)
        raise UserError(f"Gymnasium knows no environment {name}",
                        f"try {', '.join(near) or 'CartPole-v1'}")


def make(
    name: str, render_mode: str | None = None, max_episode_steps: int | None = None, **options: Any
) -> gym.Env:
    """Makes an environment whose episodes always end.

    Args:
        name: as Gymnasium knows it.
        render_mode: "rgb_array" for frames from `env.render()`, "human" for a window.
        max_episode_steps: after which an episode is truncated (default: the environment's own
            number, or STEP_CAP); -1: never.
        **options: of `gym.make`.

    Raises:
        UserError: there is no such environment, or a package that it needs is missing.
    """
    check_name(name)
    hide_pictures(render_mode)
    cap = max_episode_steps or gym.spec(name).max_episode_steps or STEP_CAP
    try:
        with warnings.catch_warnings():  # an old environment may be the book's
            warnings.filterwarnings("ignore", "(?s).*out of date", DeprecationWarning)
            return gym.make(name, render_mode=render_mode, max_episode_steps=cap, **options)
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise UserError(f"cannot make {name}: {error}", "try CartPole-v1") from error


def hide_pictures(render_mode: str | None) -> None:
    """Sets SDL to draw without a screen; it complains on machines that have none otherwise."""
    if render_mode == "rgb_array":
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def add_play_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of every play.py."""
    parser.add_argument("--num_episodes", type=cli.positive_int, default=3, help="episodes")
    parser.add_argument("--seed", type=cli.seed, default=0, help="of the episodes")
    parser.add_argument("--record", type=cli.path, metavar="FILE",
                        help="write a video, FILE.mp4 or FILE.gif")
    parser.add_argument("--display", action=argparse.BooleanOptionalAction, default=False,
                        help="open a window")


def render_mode(args: argparse.Namespace) -> str | None:
    """Returns Gymnasium's render mode for `--display` or `--record`.

    Raises:
        UserError: both are given, there is no screen, or no video can be written to that file.
    """
    if args.display and args.record:
        raise UserError("both --display and --record are given", "give one of them")
    if args.display and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("--display, but there is no screen (DISPLAY is not set)",
                        "take --record FILE.mp4")
    if args.record:
        video.check(Path(args.record))
    if args.display:  # Mesa's software OpenGL crashes on the LLVM that TensorFlow brings: no OpenGL
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
        os.environ.setdefault("SDL_RENDER_DRIVER", "software")
    return "human" if args.display else "rgb_array" if args.record else None


def frame_rate(env: gym.Env) -> float:
    """Returns the frames per second that an environment is meant to be shown with."""
    return env.metadata.get("render_fps", FRAMES_PER_SECOND)


@contextmanager
def recorder(
    args: argparse.Namespace, env: gym.Env, rate: float
) -> Iterator[Callable[[], None]]:
    """Records an environment, if `--record` asks for it.

    Args:
        args: with the flags of `add_play_flags`.
        env: made with the render mode "rgb_array".
        rate: frames per second.

    Yields:
        A function to be called after each step: it writes a frame, or does nothing.
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
    """Returns a frame large enough to be watched, uint8 (height, width, 3)."""
    return frame if frame.shape[1] >= SMALL else frame.repeat(2, axis=0).repeat(2, axis=1)
