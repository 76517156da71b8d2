"""Environments that a reader brings; the fixture `mine` puts a copy of this module on sys.path."""

import gymnasium as gym
import numpy as np


class Row(gym.Env):
    """A counter from 0 up to 5; rows of numbers of any type, no metadata, no render mode."""

    def __init__(self, dtype="float64", size=1):
        self.observation_space = gym.spaces.Box(-(2**40), 2**40, (2,), dtype)
        self.action_space = gym.spaces.Discrete(2)
        self.size = size

    def row(self):
        return np.array([self.place, self.np_random.integers(3)], self.observation_space.dtype)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return self.row(), {}

    def step(self, action):
        self.place += self.size if action else -self.size
        return self.row(), np.float32(action), self.place >= 5, False, {}


class Push(Row):
    """The same with a continuous action."""

    metadata = {}  # noqa: RUF012 - as readers write it

    def __init__(self, bound=np.inf):
        super().__init__()
        self.action_space = gym.spaces.Box(-bound, bound, (1,), np.float64)

    def step(self, action):
        assert self.action_space.contains(action)
        return super().step(action[0] > 0)


class Silent(Row):
    """One that says that it draws images, but takes no render mode."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012


class Walk(gym.Env):
    """A walk over numbered states, which slips at random."""

    def __init__(self, size=4, start=0, slip=0.2):
        self.observation_space = gym.spaces.Discrete(size, start=start)
        self.action_space = gym.spaces.Discrete(2)
        self.slip = slip

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 1
        return self.place, {}

    def step(self, action):
        right = bool(action) != (self.np_random.random() < self.slip)
        self.place = max(0, self.place + (1 if right else -1))
        return self.place, -1.0, self.place == self.observation_space.n - 1, False, {}


gym.register("Row-v0", Row)
gym.register("Push-v0", Push, max_episode_steps=12)
gym.register("Silent-v0", Silent)
gym.register("Walk-v0", f"{__name__}:Walk", max_episode_steps=30)
