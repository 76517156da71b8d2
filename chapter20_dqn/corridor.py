"""The corridor: a toy with a short way and small rewards beside it.

    .  .  .  .      S  start
    .  H  H  H      .  floor: +1 when it is first stepped on
    .  .  .  .      H  hot floor: -1 each time
    S  H  A  D      A  an alcove: +1 when first stepped on    D  the door: +10, and the end

After the toy of the original code and Wang et al. 2016 (arXiv:1511.06581, figure 3), whose agents
have more actions than they need: all beyond the four directions do nothing.
"""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

MAPS = {
    "4x4": ("....",
            ".HHH",
            "....",
            "SHAD"),
    "9x9": (".........",
            ".HHHHHHH.",
            ".H.....H.",
            ".H.HHH.H.",
            ".H.HAH.H.",
            ".H.H.H.H.",
            ".H...H.H.",
            ".HHHHH.H.",
            "S.......D"),
}
COLOURS = {"S": (200, 200, 200), ".": (240, 240, 240), "H": (230, 120, 90),
           "A": (150, 190, 240), "D": (120, 200, 120)}
MOVES = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])  # left, down, right, up, as FrozenLake's


class Corridor(gym.Env):
    """Observations number the fields, row by row; `num_actions` are the moves and no-ops."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 5}

    def __init__(
        self, map_name: str = "4x4", num_actions: int = 5, render_mode: str | None = None
    ):
        """Reads a map of `MAPS`."""
        self.render_mode = render_mode
        self._map = np.array([list(row) for row in MAPS[map_name]])
        self.observation_space = gym.spaces.Discrete(self._map.size)
        self.action_space = gym.spaces.Discrete(num_actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict]:
        """Goes back to the start."""
        super().reset(seed=seed)
        self._place = np.argwhere(self._map == "S")[0]
        self._seen = {tuple(self._place)}
        return self._number(), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        """Moves, unless there is a wall."""
        if action < len(MOVES):
            self._place = np.clip(self._place + MOVES[action], 0, len(self._map) - 1)
        place = tuple(self._place)
        field = self._map[place]
        first = place not in self._seen
        self._seen.add(place)
        reward = {"H": -1.0, "D": 10.0}.get(field, float(first))
        return self._number(), reward, bool(field == "D"), False, {}

    def render(self) -> np.ndarray:
        """Returns a picture, uint8 of shape (height, width, 3): the agent is the dark field."""
        fields = np.array([[COLOURS[field] for field in row] for row in self._map], np.uint8)
        fields[tuple(self._place)] = 60, 60, 60
        return fields.repeat(40, axis=0).repeat(40, axis=1)

    def _number(self) -> int:
        return int(self._place[0] * len(self._map) + self._place[1])


def register() -> None:
    """Makes the corridors known to Gymnasium, by the original's names."""
    for size, map_name in (("Small", "4x4"), ("Big", "9x9")):
        for num_actions in (5, 10):
            name = f"Corridor{size}-v{num_actions}"
            if name not in gym.registry:
                gym.register(name, f"{__name__}:Corridor", max_episode_steps=100,
                             disable_env_checker=True,
                             kwargs={"map_name": map_name, "num_actions": num_actions})
