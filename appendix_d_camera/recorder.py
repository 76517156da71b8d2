"""Records frames of one size to a video, closed by another thread than the one that writes."""

import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from common import video
from common.errors import UserError


class Recorder:
    """A video file that appears when it is closed, if it has any frame.

    Attributes:
        path: the file.
        count: frames written so far.
    """

    def __init__(self, path: Path, rate: float):
        """Prepares a recording; nothing is written before the first frame.

        Args:
            path: a file that ends in .mp4.
            rate: frames per second of the video.
        """
        self.path, self.count = path, 0
        self._rate, self._shape = rate, None
        self._stack, self._closed = ExitStack(), False
        self._lock = threading.Lock()

    def write(self, image: np.ndarray) -> None:
        """Writes a frame, uint8 of shape (height, width, 3); after `close` it does nothing.

        Raises:
            UserError: the size of the frame differs from the first one's, or the file cannot be
                written.
        """
        with self._lock:
            if self._closed:  # the windows' thread was faster
                return
            if self._shape is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._write = self._stack.enter_context(video.writer(self.path, self._rate))
                self._shape = image.shape
            if image.shape != self._shape:
                raise UserError(f"the frames changed from {size_of(self._shape)} to "
                                f"{size_of(image.shape)} pixels", "start another recording")
            try:
                self._write(image)
            except BaseException:
                self._stack.__exit__(*sys.exc_info())  # leaves no file
                raise
            self.count += 1

    def close(self) -> None:
        """Finishes the file; may be called twice."""
        with self._lock:
            self._closed = True
            self._stack.close()


def size_of(shape: tuple[int, ...]) -> str:
    """Returns width x height of a frame's shape."""
    return f"{shape[1]} x {shape[0]}"
