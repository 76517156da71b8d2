"""Episodes: the agent makes its own training data by acting in an environment of Gymnasium.

    python data.py                            # one episode of random actions on CartPole
    python data.py --env_name Acrobot-v1

There is no tf.data pipeline, because each step depends on the current policy. Observations are
vectors, actions are integers; PPO takes vectors of actions, and Atari games, too.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from chapter20_dqn import data as dqn
from chapter20_dqn.atari import AtariFrames
from common import cli, environments, files
from common.errors import UserError, exit_status

TRAINING, VALIDATION, EVALUATION, UPDATES, PLAY = range(1, 6)  # keys of random numbers
HISTORY = 4  # frames of a game in an observation
GAME_STEPS_PER_SECOND = 15  # of four frames each
GAME_STEPS = 30 * 60 * GAME_STEPS_PER_SECOND  # limit of a game, half an hour

OFFLINE = {"CartPole-v0": "an environment of Gymnasium; `--env_name` takes others"}
SOURCES: dict[str, files.Source] = {}

Action = int | np.ndarray
Choose = Callable[[np.ndarray], Action]  # a policy: from an observation to an action


class Step(NamedTuple):
    """One step of an episode."""

    observation: np.ndarray  # (*observation_shape,), before the action
    action: Action
    reward: float
    following: np.ndarray  # (*observation_shape,), the observation after the action
    terminated: bool


class Episode(NamedTuple):
    """One episode, until it was terminated or truncated."""

    observations: np.ndarray  # (steps, *observation_shape), before each action
    actions: np.ndarray  # int64 (steps,), or float32 (steps, n)
    rewards: np.ndarray  # float64 (steps,)
    last_observation: np.ndarray  # (*observation_shape,), after the last action
    terminated: bool  # False: truncated


def make_env(
    args: argparse.Namespace, render_mode: str | None = None, by_ppo: bool = False
) -> gym.Env:
    """Makes an environment, whose episodes are limited in length.

    Its observations are vectors, float32 (n,), or states of a game, see `make_game`.

    Args:
        args: with the flags of `add_flags`.
        render_mode: "rgb_array" for frames from `env.render()`, "human" for a window.
        by_ppo: accept continuous actions, a `Box` of shape (n,), and Atari games.

    Raises:
        UserError: there is no such environment, or its observations or actions do not fit.
    """
    name = args.env_name
    if dqn.is_atari(name):
        if not by_ppo:
            raise UserError(f"{name} is an Atari game, and REINFORCE's network takes vectors",
                            f"use PPO: python train_ppo.py --preset breakout --env_name {name}")
        return make_game(args, render_mode)
    env = environments.make(name, render_mode, args.max_episode_steps,
                            **environments.keywords(args.env_kwargs))
    space, actions = env.observation_space, env.action_space
    discrete = isinstance(actions, gym.spaces.Discrete) and actions.start == 0
    continuous = is_vector(actions) and np.issubdtype(actions.dtype, np.floating)
    if not (is_vector(space) and (discrete or (continuous and by_ppo))):
        hint = ("use an environment with observations Box(n,) and actions Discrete(n)"
                f"{' or Box(n,) of floats, or an Atari game' if by_ppo else ''}")
        if is_vector(space) and continuous:
            hint = f"use PPO: python train_ppo.py --env_name {name}"
        raise UserError(f"{name} has observations {space} and actions {actions}", hint)
    if continuous and not actions.is_bounded():
        raise UserError(f"{name} has actions without bounds, {actions}",
                        "give its action_space finite bounds, such as Box(-1, 1, (n,)), and scale "
                        "the actions in its step()")
    return env if space.dtype == np.float32 else environments.Float32(env)


def make_game(args: argparse.Namespace, render_mode: str | None) -> gym.Env:
    """Makes an Atari game with the preprocessing of chapter 20 and its default settings.

    Observations are the last frames, gray, the oldest first, uint8 of shape (HISTORY, height,
    width). The info dict says whether a life was lost.
    """
    game = environments.make(args.env_name, render_mode, -1, **dqn.game_keywords(args.env_kwargs))
    game = AtariFrames(game)
    game.metadata = game.metadata | {"render_fps": GAME_STEPS_PER_SECOND}
    game = gym.wrappers.TimeLimit(game, args.max_episode_steps or GAME_STEPS)
    return gym.wrappers.FrameStackObservation(game, HISTORY, padding_type="reset")


def is_game(env: gym.Env) -> bool:
    """Returns whether the observations of an environment are frames."""
    return len(env.observation_space.shape) > 1


def is_vector(space: gym.Space) -> bool:
    """Returns whether a space holds vectors of numbers."""
    return isinstance(space, gym.spaces.Box) and len(space.shape) == 1


def play(env: gym.Env, choose: Choose, rng: np.random.Generator) -> Iterator[Step]:
    """Plays one episode and yields its steps, until it is terminated or truncated.

    Args:
        env: environment from `make_env`.
        choose: the policy.
        rng: random number generator for the seed of the environment.
    """
    observation, _ = env.reset(seed=int(rng.integers(2**31)))
    observation, ended = np.array(observation), False
    while not ended:
        action = choose(observation)
        following, reward, terminated, truncated, _ = env.step(action)
        following = np.array(following)  # a copy: an environment may return its own buffer
        yield Step(observation, action, float(reward), following, terminated)
        observation, ended = following, terminated or truncated


def play_episode(env: gym.Env, choose: Choose, rng: np.random.Generator) -> Episode:
    """Plays one episode, see `play`."""
    steps = list(play(env, choose, rng))
    observations, actions, rewards, *_ = zip(*steps, strict=True)
    kind = env.observation_space.dtype
    return Episode(np.array(observations, kind), np.array(actions), np.array(rewards, float),
                   np.asarray(steps[-1].following, kind), steps[-1].terminated)


def play_episodes(
    env: gym.Env, policy: Callable[[np.random.Generator], Choose], count: int, *key: int
) -> list[Episode]:
    """Plays some episodes, whose random numbers are a pure function of the key.

    Args:
        env: environment from `make_env`.
        policy: returns the policy of an episode, given that episode's random number generator.
        count: number of episodes.
        *key: integers.
    """
    generators = [np.random.default_rng([*key, number]) for number in range(count)]
    return [play_episode(env, policy(rng), rng) for rng in generators]


def play_returns(
    env: gym.Env, policy: Callable[[np.random.Generator], Choose], count: int, *key: int
) -> np.ndarray:
    """Plays as `play_episodes` does; keeps only the returns, float64 of shape (episodes,)."""
    generators = [np.random.default_rng([*key, number]) for number in range(count)]
    return np.array([np.sum([step.reward for step in play(env, policy(rng), rng)])
                     for rng in generators])


def random_policy(env: gym.Env, rng: np.random.Generator) -> Choose:
    """Returns the policy that takes uniformly random actions."""
    space = env.action_space
    if isinstance(space, gym.spaces.Discrete):
        return lambda observation: int(rng.integers(space.n))
    return lambda observation: rng.uniform(space.low, space.high).astype(space.dtype)


def returns(episodes: Sequence[Episode]) -> np.ndarray:
    """Returns the return of each episode, undiscounted, float64 of shape (episodes,)."""
    return np.array([episode.rewards.sum() for episode in episodes])


def digest(env: gym.Env) -> str:
    """Returns the sha256 of an environment's specification."""
    return files.sha256(environments.to_json(env.spec))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the environment."""
    group = parser.add_argument_group("environment")
    environments.add_name_flags(group, "CartPole-v0")
    group.add_argument("--max_episode_steps", type=cli.positive_int,
                       help="steps after which an episode is truncated (default: the "
                            "environment's own limit, half an hour of a game, else "
                            f"{environments.STEP_CAP})")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the episode")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Plays one episode of random actions and prints it."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        env = make_env(args, by_ppo=True)
        rng = np.random.default_rng(args.seed)
        episode = play_episode(env, random_policy(env, rng), rng)
        steps = zip(episode.observations, episode.actions, episode.rewards, strict=True)
        for step, (observation, action, reward) in enumerate(steps):
            shown = (np.round(observation, 3) if observation.ndim == 1
                     else f"of mean {observation.mean():.3f}")
            print(f"{step:4}  observation {shown}  action {action}  reward {reward:g}")
        print(f"{args.env_name}: observations {env.observation_space}, actions "
              f"{env.action_space}; return of this episode: {episode.rewards.sum():g}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
