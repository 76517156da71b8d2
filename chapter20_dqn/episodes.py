"""Plays episodes with the Q values of a network."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np

TRAINING, VALIDATION, EVALUATION, HELD_OUT, PLAY = range(1, 6)  # keys of disjoint episodes

QValues = Callable[[np.ndarray], np.ndarray]  # from states to the value of each action


class Player:
    """Plays one episode after the other and holds the current state.

    Episode n is a pure function of (key, n) and its actions. A checkpoint therefore holds these
    alone; the state of the emulator is never saved.
    """

    def __init__(self, env: gym.Env, history_length: int, *key: int, first: int = 0):
        """Starts an episode.

        Args:
            env: from `make_env`.
            history_length: observations in a state.
            *key: integers from which the seeds of all episodes are derived.
            first: number of the episode to start with.
        """
        self.env, self.key = env, key
        space = env.observation_space
        self.state = np.zeros((history_length, *space.shape), space.dtype)
        self.start(first)

    def start(self, episode: int) -> None:
        """Starts an episode; its first observation fills the whole history."""
        self.episode, self.actions, self.score = episode, [], 0.0
        seed = np.random.default_rng([*self.key, episode]).integers(2**31)
        self.state[:], _ = self.env.reset(seed=int(seed))

    def step(self, action: int) -> tuple[float, bool, bool]:
        """Takes an action.

        Returns:
            The reward; whether the state is terminal, because the episode is over or a life was
            lost; whether the episode has ended, terminated or truncated.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        reward = float(reward)  # np.float32 is not written to JSON
        self.actions.append(action)
        self.score += reward
        self.state[:-1] = self.state[1:]
        self.state[-1] = observation
        return reward, terminated or info.get("life_lost", False), terminated or truncated

    def resume(self, episode: int, actions: list[int]) -> None:
        """Restores an interrupted episode by repeating its actions."""
        self.start(episode)
        for action in actions:
            self.step(action)


class Step(NamedTuple):
    """The result of one action."""

    env: int  # number of the environment
    observation: np.ndarray  # before the action
    action: int
    reward: float  # unclipped
    terminal: bool  # the episode is over, or a life was lost
    last_observation: np.ndarray | None  # if the episode has just ended
    episode_return: float | None  # likewise


class Players:
    """Plays in one environment, or in several in turn.

    Of N environments, number i plays the episodes i, i + N, i + 2N ... At the start of a round, one
    call of the network chooses the actions of all of them. With one environment, a round is a step.
    """

    def __init__(self, players: Sequence[Player]):
        """Takes one player per environment."""
        self.players = players
        self.chosen: list[int] = []  # remaining actions of this round

    def step(self, q_values: QValues, epsilon: float, rng: np.random.Generator) -> Step:
        """Acts ε-greedily in the next environment; starts a new episode when one has ended.

        Args:
            q_values: of the network that acts.
            epsilon: ε, the probability of a random action.
            rng: source of the random actions.
        """
        if not self.chosen:
            self.chosen = choose(q_values, self.players, epsilon, rng)
        env = len(self.players) - len(self.chosen)
        player, action = self.players[env], self.chosen.pop(0)
        observation = player.state[-1].copy()
        reward, terminal, ended = player.step(action)
        if not ended:
            return Step(env, observation, action, reward, terminal, None, None)
        last, score = player.state[-1].copy(), player.score
        player.start(player.episode + len(self.players))
        return Step(env, observation, action, reward, terminal, last, score)


class Played(NamedTuple):
    """Whole episodes: unclipped returns, float64 (episodes,), and steps, int64 (episodes,)."""

    returns: np.ndarray
    steps: np.ndarray


def choose(
    q_values: QValues, players: Sequence[Player], epsilon: float, rng: np.random.Generator
) -> list[int]:
    """Returns each player's action: random with probability ε, else the greedy one."""
    num_actions = players[0].env.action_space.n
    actions = [int(rng.integers(num_actions)) if rng.random() < epsilon else None for _ in players]
    if None not in actions:
        return actions
    best = q_values(np.stack([player.state for player in players])).argmax(axis=1).tolist()
    return [greedy if action is None else action
            for action, greedy in zip(actions, best, strict=True)]


def play_episodes(
    player: Player, q_values: QValues, epsilon: float, count: int,
    on_step: Callable[[Player], None] = lambda player: None,
) -> Played:
    """Plays the episodes 0 to count - 1 of a player's key.

    Args:
        player: used by nothing else.
        q_values: of the network that acts.
        epsilon: ε, the probability of a random action.
        count: number of episodes.
        on_step: called after each step.
    """
    scores, steps = [], []
    for number in range(count):
        rng = np.random.default_rng([*player.key, number, 1])
        player.start(number)
        ended = False
        while not ended:
            (action,) = choose(q_values, [player], epsilon, rng)
            _, _, ended = player.step(action)
            on_step(player)
        scores.append(player.score)
        steps.append(len(player.actions))
    return Played(np.array(scores), np.array(steps))


def held_out_states(env: gym.Env, history_length: int, seed: int, count: int = 64) -> np.ndarray:
    """Returns states that a random policy visits, of shape (count, history_length, ...).

    The mean of max Q over a fixed set of states is a smoother measure of progress than the noisy
    returns (Mnih et al. 2013, § 5.1).
    """
    player = Player(env, history_length, seed, HELD_OUT)
    rng = np.random.default_rng([seed, HELD_OUT])
    states = []
    while len(states) < count:
        for _ in range(10):
            if player.step(int(rng.integers(env.action_space.n)))[2]:
                player.start(player.episode + 1)
        states.append(player.state.copy())
    return np.array(states)
