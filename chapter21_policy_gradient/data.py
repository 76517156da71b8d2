"""Episodes: the agent makes its own training data by acting in an environment of Gymnasium.

    python data.py                            # one episode of random actions on CartPole
    python data.py --env_name Acrobot-v1

There is no tf.data pipeline, because each step depends on the current policy. Observations are
vectors; actions are integers or, for PPO, also vectors.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from common import cli, environments, files
from common.errors import UserError, exit_status

TRAINING, VALIDATION, EVALUATION, UPDATES = range(1, 5)  # keys of independent random numbers

OFFLINE = {"CartPole-v0": "an environment of Gymnasium; `--env_name` takes others"}
SOURCES: dict[str, files.Source] = {}

Action = int | np.ndarray
Choose = Callable[[np.ndarray], Action]  # a policy: from an observation to an action


class Episode(NamedTuple):
    """One episode, until it was terminated or truncated."""

    observations: np.ndarray  # float32 (steps, observation_size), before each action
    actions: np.ndarray  # int64 (steps,), or float32 (steps, n)
    rewards: np.ndarray  # float64 (steps,)
    last_observation: np.ndarray  # float32 (observation_size,), after the last action
    terminated: bool  # False: truncated


def make_env(
    args: argparse.Namespace, render_mode: str | None = None, boxes: bool = False
) -> gym.Env:
    """Makes an environment with vector observations, whose episodes are limited in length.

    Args:
        args: with the flags of `add_flags`.
        render_mode: "rgb_array" for frames from `env.render()`, "human" for a window.
        boxes: accept continuous actions, a `Box` of shape (n,), too.

    Raises:
        UserError: there is no such environment, or its observations or actions do not fit.
    """
    name = args.env_name
    env = environments.make(name, render_mode, args.max_episode_steps,
                            **environments.keywords(args.env_kwargs))
    space, actions = env.observation_space, env.action_space
    discrete = isinstance(actions, gym.spaces.Discrete) and actions.start == 0
    continuous = is_vector(actions) and np.issubdtype(actions.dtype, np.floating)
    if not (is_vector(space) and (discrete or (continuous and boxes))):
        hint = ("use an environment with observations Box(n,) and actions Discrete(n)"
                f"{' or Box(n,) of floats' if boxes else ''}")
        if is_vector(space) and continuous:
            hint = f"use PPO: python train_ppo.py --env_name {name}"
        raise UserError(f"{name} has observations {space} and actions {actions}", hint)
    if continuous and not actions.is_bounded():
        raise UserError(f"{name} has actions without bounds, {actions}",
                        "give its action_space finite bounds, such as Box(-1, 1, (n,)), and scale "
                        "the actions in its step()")
    return env if space.dtype == np.float32 else environments.Float32(env)


def is_vector(space: gym.Space) -> bool:
    """Returns whether a space holds vectors of numbers."""
    return isinstance(space, gym.spaces.Box) and len(space.shape) == 1


def play_episode(
    env: gym.Env, choose: Choose, rng: np.random.Generator, look: Callable[[], None] = lambda: None
) -> Episode:
    """Plays one episode until it is terminated or truncated.

    Args:
        env: environment from `make_env`.
        choose: the policy.
        rng: random number generator for the seed of the environment.
        look: called after each step.
    """
    observation, _ = env.reset(seed=int(rng.integers(2**31)))
    observations, actions, rewards, ended = [], [], [], False
    while not ended:
        observations.append(observation)
        actions.append(choose(observation))
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        rewards.append(reward)
        ended = terminated or truncated
        look()
    return Episode(np.array(observations, np.float32), np.array(actions), np.array(rewards, float),
                   np.float32(observation), terminated)


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
    episodes = []
    for number in range(count):
        rng = np.random.default_rng([*key, number])
        episodes.append(play_episode(env, policy(rng), rng))
    return episodes


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
                            f"environment's own limit, else {environments.STEP_CAP})")


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
        env = make_env(args, boxes=True)
        rng = np.random.default_rng(args.seed)
        episode = play_episode(env, random_policy(env, rng), rng)
        steps = zip(episode.observations, episode.actions, episode.rewards, strict=True)
        for step, (observation, action, reward) in enumerate(steps):
            print(f"{step:4}  observation {np.round(observation, 3)}  action {action}  "
                  f"reward {reward:g}")
        print(f"{args.env_name}: observations {env.observation_space}, actions "
              f"{env.action_space}; return of this episode: {episode.rewards.sum():g}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
