"""The camera device: one thread reads the frames, and all viewers get them.

Reading a camera blocks until the next frame is there. In the thread of the windows it would freeze
them, and so would a timer that reads there.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import Property, QObject, QSize, Signal

from appendix_d_camera.mailbox import Mailbox
from appendix_d_camera.processing import explain
from appendix_d_camera.sources import Source, open_source


@dataclass(frozen=True)
class Frame:
    """A frame: RGB, uint8 of shape (height, width, 3), and when it was read, in seconds."""

    image: np.ndarray
    time: float


class Rate:
    """Measures how often something happens, over the last 30 times."""

    def __init__(self) -> None:
        """Begins without any."""
        self._times: deque[float] = deque(maxlen=30)

    def count(self) -> None:
        """Counts once, now."""
        self._times.append(time.perf_counter())

    def per_second(self) -> float:
        """Returns how often per second; 0 if that is not known yet."""
        times = list(self._times)  # a copy: another thread may count
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


class Device(QObject):
    """A source of frames that many viewers share.

    All methods are called in the thread of the windows. Signals are emitted in the capture thread;
    Qt delivers them to the thread in which the receiver lives.
    """

    source_changed = Signal(str)
    mirrored_changed = Signal(bool)
    paused_changed = Signal(bool)
    running_changed = Signal(bool)
    message = Signal(str)  # for the status line

    def __init__(self, source: str, opener: Callable[[str], Source] = open_source):
        """Creates a device that is not running.

        Args:
            source: see `sources.open_source`.
            opener: what opens it.
        """
        super().__init__()
        self._source, self._opener, self._mirrored = source, opener, False
        self._mailboxes: list[Mailbox[Frame]] = []
        self._lock = threading.Lock()  # of the list of mailboxes
        self._stopping, self._resumed = threading.Event(), threading.Event()
        self._resumed.set()
        self._thread: threading.Thread | None = None
        self._rate, self._size = Rate(), QSize()

    def subscribe(self, mailbox: Mailbox[Frame]) -> None:
        """Puts every new frame into a mailbox from now on."""
        with self._lock:
            self._mailboxes.append(mailbox)

    def unsubscribe(self, mailbox: Mailbox[Frame]) -> None:
        """Puts no more frames into a mailbox."""
        with self._lock:
            self._mailboxes.remove(mailbox)

    def start(self) -> None:
        """Opens the source in a new thread and reads it to its end; a running one ends first."""
        self.stop()
        self._stopping.clear()
        self._rate = Rate()
        self._thread = threading.Thread(target=self._run, args=(self._source,))
        self._thread.start()

    def stop(self) -> None:
        """Stops reading; returns when the source is closed."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def _run(self, text: str) -> None:
        """Reads a source; the whole life of the capture thread."""
        self.running_changed.emit(True)
        try:
            source = self._opener(text)
            with closing(source.frames):
                self._read(source)
            ended = "stopped" if self._stopping.is_set() else f"{text} has ended"
            self.message.emit(ended)
        except Exception as error:
            self.message.emit(explain(error))
        finally:
            self.running_changed.emit(False)

    def _read(self, source: Source) -> None:
        """Hands frames out until the source ends or is stopped."""
        due = time.perf_counter()
        for image in source.frames:
            if source.rate is not None:  # a file has no pace of its own
                due = max(due + 1 / source.rate, time.perf_counter())
                self._wait(due)
            if self._stopping.is_set():
                return
            # A paused camera is still read: its driver would keep old frames for later.
            if self._resumed.is_set():
                self._hand_out(image)

    def _wait(self, due: float) -> None:
        """Waits until a time, and for the end of a pause; `stop` ends both."""
        self._stopping.wait(max(0.0, due - time.perf_counter()))
        while not (self._resumed.wait(0.05) or self._stopping.is_set()):
            pass

    def _hand_out(self, image: np.ndarray) -> None:
        """Puts a frame into all mailboxes."""
        frame = Frame(image[:, ::-1] if self._mirrored else image, time.perf_counter())
        frame.image.flags.writeable = False  # all viewers share it: each makes its own copy
        self._size = QSize(image.shape[1], image.shape[0])
        self._rate.count()
        with self._lock:
            for mailbox in self._mailboxes:
                mailbox.put(frame)

    def _get_source(self) -> str:
        return self._source

    def _set_source(self, text: str) -> None:
        if text != self._source:
            self._source = text
            self.source_changed.emit(text)

    def _get_mirrored(self) -> bool:
        return self._mirrored

    def _set_mirrored(self, mirrored: bool) -> None:
        if mirrored != self._mirrored:
            self._mirrored = mirrored
            self.mirrored_changed.emit(mirrored)

    def _get_paused(self) -> bool:
        return not self._resumed.is_set()

    def _set_paused(self, paused: bool) -> None:
        if paused != self.paused:
            (self._resumed.clear if paused else self._resumed.set)()
            self.paused_changed.emit(paused)

    # A setter that is given the value it has tells nobody; `binding.bind` relies on it.
    source = Property(str, _get_source, _set_source, notify=source_changed)
    mirrored = Property(bool, _get_mirrored, _set_mirrored, notify=mirrored_changed)
    paused = Property(bool, _get_paused, _set_paused, notify=paused_changed)
    frame_rate = Property(float, lambda self: self._rate.per_second())
    frame_size = Property(QSize, lambda self: self._size)
