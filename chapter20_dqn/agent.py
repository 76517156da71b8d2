"""The agent, saved with each checkpoint: players, replay, random state, statistics."""

import argparse
import functools
import json
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np
import tensorflow as tf

from chapter20_dqn import data, episodes
from chapter20_dqn.prioritized import PrioritizedReplay
from chapter20_dqn.replay import Replay
from common.monitor import Monitor


@dataclass
class Window:
    """Statistics of the steps since the last log line."""

    reward: float = 0.0  # sum of the clipped rewards
    actions: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)  # unclipped, of episodes that ended
    losses: list[float] = field(default_factory=list)  # one per update
    q: list[float] = field(default_factory=list)  # mean Q of the batch, one per update

    def log(self, monitor: Monitor, step: int, rates: dict[str, float]) -> None:
        """Writes the original's tags; those of episodes and updates only if there were any.

        Args:
            monitor: of the run.
            step: the current step.
            rates: further scalars to log, by tag.
        """
        metrics = {"average/reward": self.reward / len(self.actions), **rates}
        if self.losses:
            metrics |= {"average/loss": np.mean(self.losses), "average/q": np.mean(self.q)}
        if self.returns:
            metrics |= {"episode/max reward": max(self.returns),
                        "episode/min reward": min(self.returns),
                        "episode/avg reward": np.mean(self.returns),
                        "episode/num of game": len(self.returns)}
        monitor.scalars(step, metrics)
        with monitor.writer("train").as_default(step):
            tf.summary.histogram("episode/actions", self.actions)
            if self.returns:
                tf.summary.histogram("episode/rewards", self.returns)


@dataclass
class Agent:
    """What acts in the environments, and its replay."""

    players: episodes.Players
    replay: Replay
    rng: np.random.Generator
    window: Window = field(default_factory=Window)
    filled_from: int = 0  # step at which the replay was empty

    def snapshot(self) -> str:
        """Returns everything but the replay as JSON, which restores floats exactly."""
        return json.dumps({"players": [(p.episode, p.actions) for p in self.players.players],
                           "chosen": self.players.chosen, "rng": self.rng.bit_generator.state,
                           "window": vars(self.window), "filled_from": self.filled_from})

    def restore(self, snapshot: str) -> None:
        """Restores what `snapshot` returned; running episodes are replayed."""
        saved = json.loads(snapshot)
        for player, (episode, actions) in zip(self.players.players, saved["players"], strict=True):
            player.resume(episode, actions)
        self.players.chosen = saved["chosen"]
        self.rng.bit_generator.state = saved["rng"]
        self.window = Window(**saved["window"])
        self.filled_from = saved.get("filled_from", 0)


def make_replay(args: argparse.Namespace, env: gym.Env) -> Replay:
    """Allocates the replay; see `Replay`."""
    space = env.observation_space
    kind = (functools.partial(PrioritizedReplay, alpha=args.priority_alpha) if args.prioritized
            else Replay)
    return kind(args.memory_size, space.shape, space.dtype, args.history_length, args.n_step,
                args.discount_r, args.num_envs)


def make_agent(args: argparse.Namespace, env: gym.Env) -> Agent:
    """Builds an agent from the flags that `flags.in_steps` returned."""
    envs = [env, *(data.make_env(args) for _ in range(args.num_envs - 1))]
    players = [episodes.Player(env, args.history_length, args.seed, episodes.TRAINING, first=n)
               for n, env in enumerate(envs)]
    return Agent(episodes.Players(players), make_replay(args, env),
                 np.random.default_rng(args.seed))
