"""Shows the steps of an agent in the terminal (`--render`)."""

import sys
import time
from typing import Any

import gymnasium as gym

from common.errors import UserError


class Animation(gym.Wrapper):
    """Shows every step in place at the top of the terminal, above the progress bar."""

    def __init__(self, env: gym.Env[int, int], steps_per_second: float, num_episodes: int = 0):
        """Wraps an environment made with the render mode "ansi".

        Args:
            env: the environment.
            steps_per_second: speed of the animation.
            num_episodes: number of episodes that a resumed run has already played.

        Raises:
            UserError: stderr is not a terminal.
        """
        super().__init__(env)
        if not sys.stderr.isatty():
            raise UserError("--render needs a terminal, but stderr is not one", "add --no-render")
        self._seconds, self._episode = 1 / steps_per_second, num_episodes
        self._place = "\033[2J\033[H"  # the first frame also clears the terminal

    def _show(self) -> None:
        """Draws one frame and waits."""
        step, reward = map(self.get_wrapper_attr, ("num_steps", "total_reward"))
        head = f"episode {self._episode}: step {step}, reward {reward:g}"
        lines = [head, *self.render().splitlines()]
        frame = "".join(f"{line}\033[K\n" for line in lines)
        # Leave a line for the progress bar, and clear what an earlier frame left below it.
        sys.stderr.write(f"{self._place}{frame}\033[K\n\n\033[J\033[A")
        sys.stderr.flush()
        self._place = "\033[H"
        time.sleep(self._seconds)

    def reset(self, **options: Any) -> tuple[int, dict[str, Any]]:
        """Starts an episode and shows its first state."""
        result = super().reset(**options)
        self._episode += 1
        self._show()
        return result

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Takes a step and shows the new state."""
        result = super().step(action)
        self._show()
        return result
