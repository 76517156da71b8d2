"""Environments: games, toys and Gymnasium's, with the preprocessing that the network needs.

    python data.py                                    # one episode of random actions
    python data.py --env_name ALE/Breakout-v5 --n_action_repeat 4 --record frames.png
    python data.py --env_name CorridorSmall-v5

The agent acts in Atari games, preprocessed to small grayscale frames, and in environments whose
observations are vectors or state numbers. There is no tf.data pipeline: the agent makes its data
by acting.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np

from chapter20_dqn import corridor
from chapter20_dqn.atari import AtariFrames
from chapter20_dqn.episodes import Player, play_episodes
from common import cli, environments, files, images
from common.errors import UserError, exit_status

OFFLINE = {
    "CartPole-v1": "Gymnasium's cart-pole, like any other environment named by `--env_name`",
    "ALE/Breakout-v5": "an Atari game, like all games that come with ale-py",
    "CorridorSmall-v5": "a toy of this chapter, like CorridorSmall-v10, CorridorBig-v5 and -v10",
}
SOURCES: dict[str, files.Source] = {}
GAME_OPTIONS = {"mode", "difficulty"}  # arguments of a game that leave its preprocessing as it is


class OneHot(gym.ObservationWrapper):
    """Turns a state number into a one-hot vector, float32."""

    def __init__(self, env: gym.Env):
        """Wraps an environment whose observations are `Discrete`."""
        super().__init__(env)
        self.observation_space = gym.spaces.Box(0, 1, (int(env.observation_space.n),))

    def observation(self, observation: int) -> np.ndarray:
        """Returns float32 of shape (states,)."""
        row = np.zeros(self.observation_space.shape, np.float32)
        row[observation] = 1
        return row


class RepeatAction(gym.Wrapper):
    """Repeats each action, as `AtariFrames` does in a game."""

    def __init__(self, env: gym.Env, num_repeats: int, cumulate: bool):
        """Wraps any environment; `cumulate`: sums the rewards, else the last one counts."""
        super().__init__(env)
        self._num_repeats, self._cumulate = num_repeats, cumulate

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Returns the last repetition's observation and, with `cumulate`, the sum of rewards."""
        total = 0.0
        for _ in range(self._num_repeats):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += reward
            if terminated or truncated:
                break
        return observation, total if self._cumulate else reward, terminated, truncated, info


def register() -> None:
    """Registers the Atari games and the corridors with Gymnasium."""
    gym.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    corridor.register()


def is_atari(name: str) -> bool:
    """Returns whether an environment is an Atari game.

    Raises:
        UserError: there is no such environment.
    """
    register()
    return "ale_py" in str(environments.find_spec(name).entry_point)


def game_keywords(text: str) -> dict[str, Any]:
    """Returns the arguments of a game that `AtariFrames` wraps, of `--env_kwargs`.

    Raises:
        UserError: there are others than mode and difficulty.
    """
    options = environments.keywords(text)
    if others := options.keys() - GAME_OPTIONS:
        raise UserError(f"--env_kwargs {', '.join(sorted(others))} of a game",
                        "games take mode and difficulty")
    # `AtariFrames` itself skips frames and repeats actions.
    return options | {"frameskip": 1, "repeat_action_probability": 0.0}


def make_env(args: argparse.Namespace, render_mode: str | None = None) -> gym.Env:
    """Makes an environment with its preprocessing.

    Observations are frames, uint8 (height, width), or vectors, (n,).

    Args:
        args: with the flags of `add_flags`.
        render_mode: "rgb_array" for images from `env.render()`, "human" for a window.

    Raises:
        UserError: there is no such environment, or the agent cannot act in it.
    """
    name, atari = args.env_name, is_atari(args.env_name)
    options = game_keywords(args.env_kwargs) if atari else environments.keywords(args.env_kwargs)
    env = environments.make(name, render_mode, -1, **options)
    cap = args.max_episode_steps or environments.find_spec(name).max_episode_steps
    if not atari and not args.max_episode_steps and cap:  # the environment's limit counts its steps
        cap = -(-cap // args.n_action_repeat)
    if atari:
        no_ops = args.max_random_start if args.random_start else 0
        env = AtariFrames(env, tuple(args.observation_dims), args.n_action_repeat, no_ops,
                          args.repeat_action_probability, args.use_cumulated_reward)
    else:
        _check_spaces(name, env)
        cap = cap or environments.STEP_CAP
        if isinstance(env.observation_space, gym.spaces.Discrete):
            env = OneHot(env)
        elif env.observation_space.dtype != np.float32:
            env = environments.Float32(env)
        if args.n_action_repeat > 1:
            env = RepeatAction(env, args.n_action_repeat, args.use_cumulated_reward)
    return gym.wrappers.TimeLimit(env, cap) if cap else env


def _check_spaces(name: str, env: gym.Env) -> None:
    """Raises UserError unless the agent can act in an environment."""
    space, actions = env.observation_space, env.action_space
    vector = isinstance(space, gym.spaces.Box) and len(space.shape) == 1
    state = isinstance(space, gym.spaces.Discrete) and space.start == 0
    if not ((vector or state) and isinstance(actions, gym.spaces.Discrete) and actions.start == 0):
        raise UserError(f"{name} has observations {space} and actions {actions}",
                        "the agent needs observations that are Atari frames, vectors, Box(...) of "
                        "shape (n,), or state numbers, Discrete(n), and actions Discrete(n)")


def digest(args: argparse.Namespace) -> str:
    """Returns the sha256 of an environment's specification and preprocessing."""
    flags = json.dumps([args.observation_dims, args.n_action_repeat])
    spec = environments.to_json(environments.find_spec(args.env_name))
    return files.sha256(spec, flags.encode(), args.env_kwargs.encode())


def dimensions(text: str) -> list[int]:
    """Reads "[80, 80]", as the original writes it (an argparse `type`)."""
    try:
        sizes = json.loads(text)
        if not (isinstance(sizes, list) and sizes and all(type(n) is int for n in sizes)):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text} is not a list such as [80, 80]") from error
    return [cli.size(str(n)) for n in sizes]


def frame_size(text: str) -> list[int]:
    """Reads a height and width large enough for the convolutions (an argparse `type`)."""
    if len(sizes := dimensions(text)) != 2 or min(sizes) < 36 or max(sizes) > 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a height and a width from 36 to 1000")
    return sizes


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the environment and its preprocessing."""
    switch = argparse.BooleanOptionalAction
    group = parser.add_argument_group("environment")
    environments.add_name_flags(group, "ALE/Breakout-v5")
    group.add_argument("--n_action_repeat", type=cli.small_int, default=4,
                       help="how often each action is repeated; in a game, frames per step")
    group.add_argument("--use_cumulated_reward", action=switch, default=True,
                       help="sum the rewards of the repetitions; else the last one counts")
    group.add_argument("--max_episode_steps", type=cli.positive_int,
                       help="steps after which an episode is truncated (default: the "
                            "environment's own limit, half an hour of a game, else "
                            f"{environments.STEP_CAP})")
    group.add_argument("--observation_dims", type=frame_size, default=[80, 80],
                       help="height and width of a game's frames")
    group.add_argument("--random_start", action=switch, default=True,
                       help="start a game with a random number of no-op frames")
    group.add_argument("--max_random_start", type=cli.non_negative_int, default=30,
                       help="maximum number of no-op frames")
    group.add_argument("--repeat_action_probability", type=cli.from_0_to_1, default=0.25,
                       help="probability that a frame of a game repeats the last frame's action")
    group.add_argument("--history_length", type=cli.small_int, default=4,
                       help="observations per state")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.set_defaults(env_name="CartPole-v1", n_action_repeat=1)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the episode")
    parser.add_argument("--record", type=cli.path, metavar="FILE.png",
                        help="write the first preprocessed frames of a game")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Plays one episode of random actions and prints a summary."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        env = make_env(args)
        player, states = Player(env, args.history_length, args.seed), []
        played = play_episodes(player, lambda state: state, 1.0, 1,
                               lambda player: states.append(player.state.copy()))
        print(f"{args.env_name}: observations {env.observation_space}, actions {env.action_space}")
        print(f"one random episode: {played.steps[0]:,} steps, return {played.returns[0]:g}")
        print(f"its last state:\n{states[-1]}")
        if args.record:
            if not is_atari(args.env_name):
                raise UserError(f"{args.env_name} has no frames to record",
                                "give an Atari game as --env_name, or omit --record")
            frames = [frame for state in states[::10] for frame in state]
            path = Path(args.record)
            images.write_png(path, images.grid(frames[:40], args.history_length))
            print(f"{path}: one state per row, every tenth state")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
