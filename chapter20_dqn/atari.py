"""Preprocessing of Atari games (Mnih et al. 2015, Machado et al. 2018).

One step of the agent is several frames of the game; its observation is one small grayscale frame.
"""

from typing import Any

import cv2
import gymnasium as gym
import numpy as np

LUMINANCE = np.array([[0.2126, 0.7152, 0.0722]])  # of red, green, blue


class AtariFrames(gym.Wrapper):
    """Repeats actions, takes the maximum of two frames, resizes to grayscale, reports lost lives.

    Only no-op starts and sticky actions are random, and both are drawn here. The emulator itself
    is deterministic, so that a game is a pure function of its seed and its actions. Every game
    starts from one saved emulator state, since in Seaquest a reset alone keeps some of the old one.
    """

    def __init__(
        self,
        env: gym.Env,
        size: tuple[int, int] = (80, 80),
        num_repeats: int = 4,
        max_no_ops: int = 30,
        stickiness: float = 0.25,
        cumulate: bool = True,
    ):
        """Wraps a game made with `frameskip=1` and `repeat_action_probability=0`.

        Args:
            env: the game.
            size: height and width of an observation.
            num_repeats: frames per step.
            max_no_ops: maximum number of no-op frames at the start of a game.
            stickiness: probability that a frame repeats the action of the frame before.
            cumulate: the reward of a step is the sum over its frames, else that of the last frame.
        """
        super().__init__(env)
        self.observation_space = gym.spaces.Box(0, 255, size, np.uint8)
        self._size, self._num_repeats, self._cumulate = size, num_repeats, cumulate
        self._max_no_ops, self._stickiness = max_no_ops, stickiness
        self._ale = env.unwrapped.ale
        self._actions = self._ale.getMinimalActionSet()
        env.reset(seed=0)  # reloads the game, which is slow: only done once
        self._start = self._ale.cloneState(include_rng=True)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict]:
        """Starts a game; returns its first observation and an info dict."""
        _, info = self.env.reset(options=options)
        self._ale.restoreState(self._start)
        self._rng = np.random.default_rng(seed)
        self._executed = 0
        for _ in range(self._rng.integers(self._max_no_ops + 1)):
            self._ale.act(self._actions[0])
        self._lives = self._ale.lives()
        screen = self._ale.getScreenRGB()
        return self._shrink(screen), {**info, "life_lost": False}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Plays some frames.

        Returns:
            The observation, the unclipped reward, whether the game is over, whether it was
            truncated, and an info dict with "lives" and "life_lost".
        """
        total = reward = 0.0
        screens = []
        for frame in range(self._num_repeats):
            if self._rng.random() >= self._stickiness:
                self._executed = action
            reward = self._ale.act(self._actions[self._executed])
            total += reward
            over, cut = self._ale.game_over(with_truncation=False), self._ale.game_truncated()
            ended = over or cut
            if ended or frame >= self._num_repeats - 2:
                screens.append(self._ale.getScreenRGB())
            if ended:
                break
        # The console draws some sprites in every other frame only: the maximum of two shows all.
        screen = np.maximum.reduce(screens[-2:])
        lives = self._ale.lives()
        info = {"lives": lives, "life_lost": lives < self._lives}
        self._lives = lives
        return self._shrink(screen), total if self._cumulate else reward, over, cut, info

    def _shrink(self, screen: np.ndarray) -> np.ndarray:
        """Returns uint8 of shape `size`, from uint8 (210, 160, 3)."""
        height, width = self._size
        gray = cv2.transform(screen, LUMINANCE)
        return cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
