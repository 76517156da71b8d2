"""Records the start of an evaluation's first episode for TensorBoard."""

import cv2
import numpy as np

from chapter20_dqn.episodes import Player, QValues, play_episodes

MAX_WIDTH = 160  # pixels
EVERY, MAX_FRAMES = 2, 120  # steps per frame; frames, from the start of the game
FRAMES_PER_SECOND = 100 / 6  # in TensorBoard


def film_game(player: Player, q_values: QValues, epsilon: float) -> list[np.ndarray]:
    """Plays an evaluation's first game again and records it.

    A game is a pure function of its seed and its actions, so that this is the game that was
    evaluated.

    Args:
        player: of the evaluations; its observations are frames, or its environment renders images.
        q_values: of the network that acts.
        epsilon: ε, the probability of a random action.

    Returns:
        The preprocessed frames of a game, uint8 (height, width); else rendered images, uint8
        (height, width, 3), at most `MAX_WIDTH` wide.
    """
    frames: list[np.ndarray] = []

    def record(player: Player) -> None:
        if len(frames) < MAX_FRAMES and len(player.actions) % EVERY == 1:
            observation = player.state[-1]
            frames.append(observation.copy() if observation.ndim == 2
                          else shrink(player.env.render()))

    play_episodes(player, q_values, epsilon, 1, record)
    return frames


def shrink(image: np.ndarray) -> np.ndarray:
    """Returns an image resized to at most `MAX_WIDTH` wide."""
    height, width, _ = image.shape
    if width <= MAX_WIDTH:
        return image
    size = MAX_WIDTH, height * MAX_WIDTH // width
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
