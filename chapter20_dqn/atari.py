"""An Atari game as the network sees it (Mnih et al. 2015, Machado et al. 2018).

What the agent takes as one step are some frames of the game, and what it sees of them is one small
grey picture.
"""

from typing import Any

import cv2
import gymnasium as gym
import numpy as np

LUMINANCE = np.array([[0.2126, 0.7152, 0.0722]])  # of red, green, blue


class AtariFrames(gym.Wrapper):
    """Repeats actions, pools frames, shrinks them to grey, tells of lost lives.

    Chance enters by no-op starts and sticky actions alone, both drawn here: the emulator itself
    is deterministic, so that a game is a pure function of its seed and the actions. Every game
    begins in the same state of the emulator, of which a reset alone leaves some (in Seaquest).
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
        """Takes a game made with `frameskip=1` and `repeat_action_probability=0`.

        Args:
            env: the game.
            size: height and width of an observation.
            num_repeats: frames a step.
            max_no_ops: a game starts with up to so many frames in which nothing is done.
            stickiness: the probability that a frame sees the last frame's action once more.
            cumulate: a step's reward is the sum over its frames, not the last one's.
        """
        super().__init__(env)
        self.observation_space = gym.spaces.Box(0, 255, size, np.uint8)
        self._size, self._num_repeats, self._cumulate = size, num_repeats, cumulate
        self._max_no_ops, self._stickiness = max_no_ops, stickiness
        self._ale = env.unwrapped.ale
        self._actions = self._ale.getMinimalActionSet()
        env.reset(seed=0)  # loads the game anew, which takes long: once is enough
        self._start = self._ale.cloneState(include_rng=True)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict]:
        """Starts a game; its info tells the lives."""
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
            The observation, the reward unclipped, whether the game is over, whether it was cut
            off, and an info that tells whether a life was lost.
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
        # The old console draws some things in every other frame only: two make a whole picture.
        screen = np.maximum.reduce(screens[-2:])
        lives = self._ale.lives()
        info = {"lives": lives, "life_lost": lives < self._lives}
        self._lives = lives
        return self._shrink(screen), total if self._cumulate else reward, over, cut, info

    def _shrink(self, screen: np.ndarray) -> np.ndarray:
        """Returns uint8 of shape `size`, from uint8 (210, 160, 3)."""
        height, width = self._size
        grey = cv2.transform(screen, LUMINANCE)
        return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
