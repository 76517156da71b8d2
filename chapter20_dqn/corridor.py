"""The corridor: a toy maze with a short path to the door and small rewards beside it.

    .  .  .  .      S  start
    .  H  H  H      .  floor: +1 on the first visit
    .  .  .  .      H  hot floor: -1 on each visit
    S  H  A  D      A  alcove: +1 on the first visit    D  door: +10, end of the episode

Modeled on the toy of the original code and of Wang et al. 2016 (arXiv:1511.06581, figure 3), whose
agents have redundant actions: all beyond the four directions do nothing.
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
COLORS = {"S": (200, 200, 200), ".": (240, 240, 240), "H": (230, 120, 90),
           "A": (150, 190, 240), "D": (120, 200, 120)}
MOVES = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])  # left, down, right, up, as FrozenLake's


class Corridor(gym.Env):
    """Observations are cell numbers, row by row; `num_actions` counts the moves and no-ops."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 5}

    def __init__(
        self, map_name: str = "4x4", num_actions: int = 5, render_mode: str | None = None
    ):
        """Selects a map of `MAPS`."""
        self.render_mode = render_mode
        self._map = np.array([list(row) for row in MAPS[map_name]])
        self.observation_space = gym.spaces.Discrete(self._map.size)
        self.action_space = gym.spaces.Discrete(num_actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict]:
        """Returns to the start."""
        super().reset(seed=seed)
        self._place = np.argwhere(self._map == "S")[0]
        self._seen = {tuple(self._place)}
        return self._number(), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        """Moves one cell, unless there is a wall."""
        if action < len(MOVES):
            self._place = np.clip(self._place + MOVES[action], 0, len(self._map) - 1)
        place = tuple(self._place)
        cell = self._map[place]
        first = place not in self._seen
        self._seen.add(place)
        reward = {"H": -1.0, "D": 10.0}.get(cell, float(first))
        return self._number(), reward, bool(cell == "D"), False, {}

    def render(self) -> np.ndarray:
        """Returns an RGB image, uint8 (height, width, 3); the dark cell is the agent."""
        cells = np.array([[COLORS[cell] for cell in row] for row in self._map], np.uint8)
        cells[tuple(self._place)] = 60, 60, 60
        return cells.repeat(40, axis=0).repeat(40, axis=1)

    def _number(self) -> int:
        return int(self._place[0] * len(self._map) + self._place[1])


def register() -> None:
    """Registers the corridors with Gymnasium under the original's names."""
    for size, map_name in (("Small", "4x4"), ("Big", "9x9")):
        for num_actions in (5, 10):
            name = f"Corridor{size}-v{num_actions}"
            if name not in gym.registry:
                gym.register(name, f"{__name__}:Corridor", max_episode_steps=100,
                             disable_env_checker=True,
                             kwargs={"map_name": map_name, "num_actions": num_actions})
