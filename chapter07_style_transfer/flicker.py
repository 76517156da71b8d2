"""The flicker of a network: how strongly stylized videos change from frame to frame.

It is the mean absolute difference of successive stylized frames, divided by that of the frames
themselves. In a video of a still scene nothing changes but the noise of the camera: a network with
a flicker above 1 amplifies it.
"""

from collections.abc import Callable

import numpy as np

from chapter07_style_transfer import data

FRAMES = 8
CAMERA_NOISE = 2.0  # standard deviation, of 255


def clips(photograph: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Makes two short videos of a photograph, with the noise of a camera.

    Args:
        photograph: uint8 of shape (height, width, 3), the shorter side at least `size` + FRAMES.
        size: height and width of the frames.

    Returns:
        `still` and `panning`, one pixel per frame, float32 (FRAMES, size, size, 3) in [0, 255].
    """
    rng, found = np.random.default_rng(0), {}
    for name, speed in (("still", 0), ("panning", 1)):
        frames = np.stack([photograph[:size, speed * i : speed * i + size] for i in range(FRAMES)])
        noise = rng.normal(0, CAMERA_NOISE, frames.shape)
        found[name] = np.clip(frames + noise, 0, 255).round().astype(np.float32)
    return found


def motion(frames: np.ndarray) -> float:
    """Returns the mean absolute difference of successive frames."""
    return float(np.abs(np.diff(frames, axis=0)).mean())


def flicker(
    run_stylize: Callable[[np.ndarray], np.ndarray], photograph: np.ndarray, size: int
) -> dict[str, float]:
    """Measures the flicker of a network.

    Args:
        run_stylize: maps images of shape (1, size, size, 3) to stylized ones.
        photograph: of which the clips are made, uint8 of shape (height, width, 3).
        size: height and width of the frames.

    Returns:
        The flicker of a still and of a panning clip.
    """
    found = clips(data.resize(photograph, size + FRAMES), size)
    return {name: motion(np.concatenate([run_stylize(frame[None]) for frame in frames]))
            / motion(frames) for name, frames in found.items()}
