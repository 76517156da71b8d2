"""Gymnasium environments: names, arguments, step limits, windows and video recordings.

`--env_name my_module:Mine-v0` names an environment of one's own: the module registers it.
"""

import argparse
import dataclasses
import difflib
import importlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from common import cli, video
from common.errors import UserError

STEP_CAP = 1000  # limit for environments that have none of their own
FRAMES_PER_SECOND = 50  # for environments that do not specify a rate
SMALL = 300  # pixels; narrower frames are enlarged twofold in a video

# Type of flags that are rewards or bounds on them: sums of many, and squares, are finite float32.
reward = cli.number(float, -1e12, 1e12, "a number from -1e12 to 1e12")


def keyword_text(text: str) -> str:
    """Returns "key=value,key=value" in one spelling, sorted by key (argparse `type`)."""
    found: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        key, equals, value = part.partition("=")
        if not (equals and key.isidentifier()):
            raise argparse.ArgumentTypeError(f"{part} is not key=value")
        if key in found:
            raise argparse.ArgumentTypeError(f"{key} is given twice")
        if key in ("id", "render_mode", "max_episode_steps"):
            raise argparse.ArgumentTypeError(f"{key} is not an argument of an environment, but set "
                                             "by flags such as --max_episode_steps and --record")
        value = _value(value)
        found[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return ",".join(f"{key}={found[key]}" for key in sorted(found))


def keywords(text: str) -> dict[str, Any]:
    """Returns the arguments that `keyword_text` wrote: bools, ints, floats and strings."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {key: _value(value) for key, _, value in pairs}


def _value(text: str) -> bool | int | float | str:
    """Returns true and false as a bool, a number as an int or a float, else the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def add_name_flags(group: argparse._ArgumentGroup, default: str) -> None:
    """Adds `--env_name` and `--env_kwargs`."""
    group.add_argument("--env_name", default=default,
                       help="environment of Gymnasium; MODULE:NAME imports first the module that "
                            "registers it")
    group.add_argument("--env_kwargs", type=keyword_text, default="", metavar="KEY=VALUE,...",
                       help="arguments of the environment, such as is_slippery=false")


def find_spec(name: str) -> EnvSpec:
    """Returns the specification of an environment; imports its module, if one is named.

    Raises:
        UserError: the module cannot be imported, or Gymnasium has no environment of this name; the
            hint has similar ones.
    """
    module, _, known = name.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever the module does
            raise UserError(f"cannot import {module}, the module of {name}: "
                            f"{type(error).__name__}: {error}",
                            "set PYTHONPATH to the folder in which it lies") from error
    if known not in gym.registry:
        near = difflib.get_close_matches(known, gym.registry, 4, cutoff=0.4)
        raise UserError(f"Gymnasium knows no environment {name}",
                        f"try {', '.join(near) or 'CartPole-v1'}")
    return gym.registry[known]


def file_name(name: str) -> str:
    """Returns the name of an environment as a part of a file name."""
    return name.replace("/", "-").replace(":", "-")


def to_json(spec: EnvSpec) -> bytes:
    """Returns a specification as Gymnasium's `to_json`, but with classes by their names."""
    fields = dataclasses.asdict(spec)
    for derived in ("namespace", "name", "version"):
        del fields[derived]

    def by_name(value: Any) -> str:
        kind = value if hasattr(value, "__qualname__") else type(value)
        return f"{kind.__module__}:{kind.__qualname__}"

    return json.dumps(fields, default=by_name).encode()


def make(
    name: str, render_mode: str | None = None, max_episode_steps: int | None = None, **options: Any
) -> gym.Env:
    """Makes an environment whose episodes are limited in length.

    Args:
        name: name in Gymnasium, or "module:name".
        render_mode: "rgb_array" for frames from `env.render()`, "human" for a window, "ansi" for
            text. Without one, the environment need not have such an argument.
        max_episode_steps: steps after which an episode is truncated; None is the environment's own
            limit, or STEP_CAP if it has none; -1 is no limit.
        **options: arguments of the environment.

    Raises:
        UserError: there is no such environment, it cannot be made (with these arguments, or because
            a package that it needs is not installed), or it does not render.
    """
    spec = find_spec(name)
    render_offscreen(render_mode)
    cap = max_episode_steps or spec.max_episode_steps or STEP_CAP
    try:
        env = gym.make(spec, cap, **options)
        if render_mode and can_render(env, render_mode):
            env.close()
            env = gym.make(spec, cap, render_mode=render_mode, **options)
    except UserError:
        raise
    except Exception as error:  # whatever the environment's own code does
        hint = f"check --env_kwargs {','.join(options)}" if options else "try CartPole-v1"
        if render_mode and "'render_mode'" in str(error):
            hint = "let its __init__ take render_mode, or omit what shows or records (--no-video)"
        raise UserError(f"cannot make {name}: {type(error).__name__}: {error}", hint) from error
    if render_mode and not can_render(env, render_mode):
        what = "text" if render_mode == "ansi" else "images"
        raise UserError(f"{name} renders no {what}: its metadata has the render_modes "
                        f"{env.metadata.get('render_modes') or 'none'}",
                        "omit the flag that shows or records it")
    return env


def can_render(env: gym.Env, render_mode: str) -> bool:
    """Returns whether an environment has a render mode; a window can also show its images."""
    modes = env.metadata.get("render_modes") or ()
    return render_mode in modes or (render_mode == "human" and "rgb_array" in modes)


class Float32(gym.ObservationWrapper):
    """Turns rows of numbers of another type into float32, which the networks take."""

    def __init__(self, env: gym.Env):
        """Wraps an environment whose observations are a `Box` of integers or float64."""
        super().__init__(env)
        space = env.observation_space
        with np.errstate(over="ignore"):  # bounds beyond float32 are infinite
            low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        self.observation_space = gym.spaces.Box(low, high, dtype=np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Returns float32 of the same shape."""
        return np.asarray(observation, np.float32)


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
