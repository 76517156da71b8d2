"""The worker of a widget: a thread that processes the frames which the widget will show."""

import threading
import time
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from appendix_d_camera.device import Frame, Rate
from appendix_d_camera.drawing import draw_text, to_qimage
from appendix_d_camera.mailbox import Mailbox
from appendix_d_camera.models import Result
from appendix_d_camera.processing import Load, explain, unchanged
from appendix_d_camera.recorder import Recorder


class Shown(NamedTuple):
    """A picture to show, and when its frame was read."""

    image: QImage
    time: float


class Worker(QObject):
    """Takes frames from one mailbox, and puts pictures into another.

        device -> frames -> [process, write text, record] -> pictures -> widget

    Both hold one item. While a slow network computes, frames are replaced in the first, and neither
    the device nor another widget waits for it.
    """

    arrived = Signal()  # a picture lies in `pictures`
    message = Signal(str)
    recording_changed = Signal(bool)

    def __init__(self) -> None:
        """Starts the thread, which waits for frames."""
        super().__init__()
        self.frames: Mailbox[Frame] = Mailbox()
        self.pictures: Mailbox[Shown] = Mailbox()
        self.text = ""
        self.rate = Rate()
        self.closing = threading.Event()
        self._wanted: tuple[str, Load] | None = None
        self._process = unchanged
        self._recorder: Recorder | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def choose(self, name: str, load: Load) -> None:
        """Sets what is done with the frames from the next one on; loads it in the thread."""
        self._wanted = name, load

    def record(self, recorder: Recorder | None) -> None:
        """Begins to write all pictures to a video, or ends it."""
        previous, self._recorder = self._recorder, recorder
        if previous:
            previous.close()
            frames = f"{previous.count} frames in {previous.path}"
            self.message.emit(frames if previous.count else "nothing was recorded")
        self.recording_changed.emit(recorder is not None)

    def close(self) -> None:
        """Ends the thread after the frame it is at, and the recording."""
        self.closing.set()
        self.frames.close()
        self._thread.join()
        if self._recorder:
            self.record(None)

    def _run(self) -> None:
        """Processes frames until `close`; the whole life of the thread."""
        while (frame := self.frames.wait()) is not None:
            self._load_wanted()
            picture = self._picture(frame.image.copy())
            self._write(picture)
            self.rate.count()
            # The windows are told once, however many pictures follow before they look.
            if self.pictures.put(Shown(to_qimage(picture), frame.time)):
                self.arrived.emit()

    def _load_wanted(self) -> None:
        """Loads what was chosen since the last frame."""
        wanted, self._wanted = self._wanted, None
        if wanted is None:
            return
        name, load = wanted
        self.message.emit(f"loading {name} ...")
        began = time.perf_counter()
        try:
            self._process = load()
            self.message.emit(f"{name}: loaded in {time.perf_counter() - began:.1f} s")
        except Exception as error:
            self._give_up(f"{name}: {explain(error)}")

    def _picture(self, image: np.ndarray) -> np.ndarray:
        """Returns a processed frame with its text."""
        try:
            result = self._process(image)
        except Exception as error:
            self._give_up(explain(error))
            result = Result(image)
        lines = [line for line in (result.text, self.text) if line]
        return draw_text(result.image, "\n".join(lines)) if lines else result.image

    def _give_up(self, why: str) -> None:
        """Shows frames as they are from now on, and says why."""
        self._process = unchanged
        self.message.emit(why)

    def _write(self, picture: np.ndarray) -> None:
        """Adds a picture to the recording, if there is one; an error ends it."""
        recorder = self._recorder  # which the windows' thread may replace meanwhile
        if recorder is None:
            return
        try:
            recorder.write(picture)
        except Exception as error:
            if self._recorder is recorder:
                self.record(None)
            self.message.emit(f"the recording has ended: {explain(error)}")
