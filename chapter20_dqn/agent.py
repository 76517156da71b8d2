"""What acts: some players, a memory that they share, dice, and what the next log line will tell."""

import argparse
import functools
import json
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from chapter20_dqn import data, episodes
from chapter20_dqn.prioritized import PrioritizedReplay
from chapter20_dqn.replay import Replay
from common.errors import UserError


def empty_window() -> dict[str, Any]:
    """Returns what is gathered from one log line to the next."""
    return {"reward": 0.0, "actions": [], "returns": [], "losses": [], "q": []}


@dataclass
class Agent:
    """What acts: its episodes, its memory, its dice, and what the next log line will tell."""

    players: list[episodes.Player]
    replay: Replay
    rng: np.random.Generator
    chosen: list[int] = field(default_factory=list)  # what each player does in this round
    window: dict[str, Any] = field(default_factory=empty_window)

    def snapshot(self) -> str:
        """Returns as JSON all but the replay. Floats come back to the last bit."""
        return json.dumps({"players": [(p.episode, p.actions) for p in self.players],
                           "chosen": self.chosen, "rng": self.rng.bit_generator.state,
                           "window": self.window})

    def restore(self, snapshot: str) -> None:
        """Gets to where the agent was when `snapshot` was called."""
        saved = json.loads(snapshot)
        for player, (episode, actions) in zip(self.players, saved["players"], strict=True):
            player.resume(episode, actions)
        self.chosen = saved["chosen"]
        self.rng.bit_generator.state = saved["rng"]
        self.window = saved["window"]


def make_replay(args: argparse.Namespace, env: gym.Env) -> Replay:
    """Allocates the replay; see `Replay`."""
    space, capacity = env.observation_space, args.memory_size * args.scale
    if args.num_envs > capacity:
        raise UserError(f"{args.num_envs} environments share a replay of {capacity} observations",
                        "lower --num_envs")
    kind = (functools.partial(PrioritizedReplay, alpha=args.priority_alpha) if args.prioritized
            else Replay)
    return kind(capacity, space.shape, space.dtype, args.history_length, args.n_step,
                args.discount_r, args.num_envs)


def make_agent(args: argparse.Namespace, env: gym.Env) -> Agent:
    """Makes an agent; of N environments number i plays episodes i, i + N, i + 2N ..."""
    envs = [env, *(data.make_env(args) for _ in range(args.num_envs - 1))]
    players = [episodes.Player(env, args.history_length, args.seed, episodes.TRAINING, first=n)
               for n, env in enumerate(envs)]
    return Agent(players, make_replay(args, env), np.random.default_rng(args.seed))
