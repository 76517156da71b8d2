"""Episodes: what the policy learns from it makes itself, by acting.

    python data.py                            # one episode of pushing left and right at random
    python data.py --env_name Acrobot-v1

Environments are Gymnasium's: observations are a row of numbers, actions are counted from 0 or, for
PPO, a row of numbers too.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from common import cli, environments, files
from common.errors import UserError, exit_status

TRAINING, VALIDATION, EVALUATION, UPDATES = range(1, 5)  # keys: no two uses draw the same numbers

OFFLINE = {"CartPole-v0": "Gymnasium's cart with a pole, as any environment of `--env_name`"}
SOURCES: dict[str, files.Source] = {}

Action = int | np.ndarray
Choose = Callable[[np.ndarray], Action]  # from an observation to an action


class Episode(NamedTuple):
    """What happened until the episode was over or cut off."""

    observations: np.ndarray  # float32 (steps, observation_size), those that were acted on
    actions: np.ndarray  # int64 (steps,), or float32 (steps, n)
    rewards: np.ndarray  # float64 (steps,)
    last_observation: np.ndarray  # float32 (observation_size,), after the last action
    terminated: bool  # over for good; False: cut off


def make_env(
    name: str, max_episode_steps: int | None = None, render_mode: str | None = None,
    boxes: bool = False,
) -> gym.Env:
    """Makes an environment whose episodes always end.

    Args:
        name: as Gymnasium knows it.
        max_episode_steps: after which an episode is cut off; None is the environment's own
            number, or environments.STEP_CAP.
        render_mode: "rgb_array" for pictures from `env.render()`, "human" for a window.
        boxes: actions may also be a row of numbers within bounds.

    Raises:
        UserError: there is no such environment, or a policy of this chapter cannot act in it.
    """
    env = environments.make(name, render_mode, max_episode_steps)
    space, actions = env.observation_space, env.action_space
    row, number = is_row(space), isinstance(actions, gym.spaces.Discrete) and actions.start == 0
    if not (row and (number or (is_row(actions) and boxes))):
        hint = ("; PPO could: python train_ppo.py --preset pendulum" if row and is_row(actions) else
                " or a row of numbers" if boxes else "")
        raise UserError(f"{name} has observations {space} and actions {actions}",
                        "this policy takes a row of numbers, Box(...) of shape (n,), and gives "
                        f"one of some actions, Discrete(n){hint}")
    return env


def is_row(space: gym.Space) -> bool:
    """Says whether what lies in a space is a row of floating-point numbers."""
    return (isinstance(space, gym.spaces.Box) and len(space.shape) == 1
            and np.issubdtype(space.dtype, np.floating))


def play_episode(
    env: gym.Env, choose: Choose, rng: np.random.Generator, look: Callable[[], None] = lambda: None
) -> Episode:
    """Acts until the episode ends, or is cut off.

    Args:
        env: from `make_env`.
        choose: the policy.
        rng: draws the seed of the environment.
        look: is called after each step.
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
    """Plays some episodes; their random numbers are a pure function of the key.

    Args:
        env: from `make_env`.
        policy: makes what chooses in an episode, from that episode's random numbers.
        count: episodes.
        *key: whole numbers.
    """
    episodes = []
    for number in range(count):
        rng = np.random.default_rng([*key, number])
        episodes.append(play_episode(env, policy(rng), rng))
    return episodes


def by_chance(env: gym.Env, rng: np.random.Generator) -> Choose:
    """Returns the policy that does anything, whatever it sees."""
    space = env.action_space
    if isinstance(space, gym.spaces.Discrete):
        return lambda observation: int(rng.integers(space.n))
    return lambda observation: rng.uniform(space.low, space.high).astype(space.dtype)


def returns(episodes: Sequence[Episode]) -> np.ndarray:
    """Returns the sum of rewards of each episode, float64 of shape (episodes,)."""
    return np.array([episode.rewards.sum() for episode in episodes])


def digest(env: gym.Env) -> str:
    """Returns the sha256 of an environment's specification."""
    return files.sha256(env.spec.to_json().encode())


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say which environment is acted in."""
    group = parser.add_argument_group("environment")
    group.add_argument("--env_name", default="CartPole-v0", help="name in Gymnasium")
    group.add_argument("--max_episode_steps", type=cli.positive_int,
                       help="steps after which an episode is cut off (default: the "
                            f"environment's own number, else {environments.STEP_CAP})")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="of the episode")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Plays one episode at random and prints it."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        env = make_env(args.env_name, args.max_episode_steps, boxes=True)
        rng = np.random.default_rng(args.seed)
        episode = play_episode(env, by_chance(env, rng), rng)
        steps = zip(episode.observations, episode.actions, episode.rewards, strict=True)
        for step, (observation, action, reward) in enumerate(steps):
            print(f"{step:4}  observation {np.round(observation, 3)}  action {action}  "
                  f"reward {reward:g}")
        print(f"{args.env_name}: observations {env.observation_space}, actions "
              f"{env.action_space}; this episode's return is {episode.rewards.sum():g}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
