"""The beginning of an evaluation's first game, filmed for TensorBoard."""

import cv2
import numpy as np

from chapter20_dqn.episodes import Player, QValues, play_episodes

MAX_WIDTH = 160  # pixels
EVERY, MAX_FRAMES = 2, 120  # steps from one frame to the next; frames, the first of the game
FRAMES_PER_SECOND = 100 / 6  # in TensorBoard


def film_game(player: Player, q_values: QValues, epsilon: float) -> list[np.ndarray]:
    """Plays an evaluation's first game once more, for the camera.

    A game is a pure function of its seed and its actions, so that this is the game which was
    judged.

    Args:
        player: of the evaluations; draws pictures, or sees some.
        q_values: of the network that acts.
        epsilon: the share of actions by chance.

    Returns:
        Frames of a game as the network sees them, uint8 (height, width); else the environment's
        own pictures, uint8 (height, width, 3), at most `MAX_WIDTH` wide.
    """
    frames: list[np.ndarray] = []

    def look(player: Player) -> None:
        if len(frames) < MAX_FRAMES and len(player.actions) % EVERY == 1:
            seen = player.state[-1]
            frames.append(seen.copy() if seen.ndim == 2 else shrink(player.env.render()))

    play_episodes(player, q_values, epsilon, 1, look)
    return frames


def shrink(picture: np.ndarray) -> np.ndarray:
    """Returns a picture at most `MAX_WIDTH` wide."""
    height, width, _ = picture.shape
    if width <= MAX_WIDTH:
        return picture
    size = MAX_WIDTH, height * MAX_WIDTH // width
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
