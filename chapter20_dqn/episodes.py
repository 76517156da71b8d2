"""Episodes: who plays them, by which values, and what is kept of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np

TRAINING, VALIDATION, EVALUATION, HELD_OUT = range(1, 5)  # keys: no two see the same episodes

QValues = Callable[[np.ndarray], np.ndarray]  # from states to the value of each action in each


class Player:
    """Plays one episode after the other, and holds the state that the network is asked about.

    Episode n is a pure function of (key, n) and the actions in it. So these are all that a
    checkpoint needs of it: the emulator's own state is never saved.
    """

    def __init__(self, env: gym.Env, history_length: int, *key: int, first: int = 0):
        """Starts an episode.

        Args:
            env: from `make_env`.
            history_length: observations in a state.
            *key: whole numbers, which decide the seeds of all episodes.
            first: the number of the episode.
        """
        self.env, self.key = env, key
        space = env.observation_space
        self.state = np.zeros((history_length, *space.shape), space.dtype)
        self.start(first)

    def start(self, episode: int) -> None:
        """Starts an episode; its state is its first observation, over and over."""
        self.episode, self.actions, self.score = episode, [], 0.0
        seed = np.random.default_rng([*self.key, episode]).integers(2**31)
        self.state[:], _ = self.env.reset(seed=int(seed))

    def step(self, action: int) -> tuple[float, bool, bool]:
        """Acts.

        Returns:
            The reward; whether there is nothing more to gain, because the episode is over or a
            life was lost; whether a new episode must be started.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.actions.append(action)
        self.score += reward
        self.state[:-1] = self.state[1:]
        self.state[-1] = observation
        return reward, terminated or info.get("life_lost", False), terminated or truncated

    def resume(self, episode: int, actions: list[int]) -> None:
        """Gets to where an interrupted episode was, by doing it all again."""
        self.start(episode)
        for action in actions:
            self.step(action)


class Step(NamedTuple):
    """What came of one action."""

    env: int  # in which environment
    observation: np.ndarray  # that was acted on
    action: int
    reward: float  # unclipped
    terminal: bool  # nothing more is to be gained: the episode is over, or a life was lost
    last_observation: np.ndarray | None  # of an episode that has just ended
    episode_return: float | None  # likewise


class Players:
    """Plays in one environment, or in several by turns.

    Of N environments number i plays the episodes i, i + N, i + 2N ... Where it is the first one's
    turn, one call of the network chooses for all of them.
    """

    def __init__(self, players: Sequence[Player]):
        """Takes one player an environment."""
        self.players = players
        self.chosen: list[int] = []  # actions to be done in this round, of the last environments

    def step(self, q_values: QValues, epsilon: float, rng: np.random.Generator) -> Step:
        """Acts ε-greedily in the environment whose turn it is; where an episode ends, starts anew.

        Args:
            q_values: of the network that acts.
            epsilon: ε, the probability of a random action.
            rng: chooses random actions.
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
    """Some whole episodes: float64 (episodes,), unclipped, and int64 (episodes,)."""

    returns: np.ndarray
    steps: np.ndarray


def choose(
    q_values: QValues, players: Sequence[Player], epsilon: float, rng: np.random.Generator
) -> list[int]:
    """Returns each player's action: by chance with probability epsilon, else the best one."""
    num_actions = players[0].env.action_space.n
    actions = [int(rng.integers(num_actions)) if rng.random() < epsilon else None for _ in players]
    if None not in actions:
        return actions
    best = q_values(np.stack([player.state for player in players])).argmax(axis=1).tolist()
    return [greedy if action is None else action
            for action, greedy in zip(actions, best, strict=True)]


def play_episodes(
    player: Player, q_values: QValues, epsilon: float, count: int,
    look: Callable[[Player], None] = lambda player: None,
) -> Played:
    """Plays whole episodes, numbers 0 to count - 1 of a player's key.

    Args:
        player: nothing else uses it.
        q_values: of the network that acts.
        epsilon: the share of actions by chance.
        count: episodes.
        look: is called after each step.
    """
    scores, steps = [], []
    for number in range(count):
        rng = np.random.default_rng([*player.key, number, 1])
        player.start(number)
        ended = False
        while not ended:
            (action,) = choose(q_values, [player], epsilon, rng)
            _, _, ended = player.step(action)
            look(player)
        scores.append(player.score)
        steps.append(len(player.actions))
    return Played(np.array(scores), np.array(steps))


def held_out_states(env: gym.Env, history_length: int, seed: int, count: int = 64) -> np.ndarray:
    """Returns states that chance comes to, of shape (count, history_length, ...).

    The mean of their greatest values, on states that never change, shows how training goes better
    than scores do, which depend on luck (Mnih et al. 2013, section 5.1).
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
