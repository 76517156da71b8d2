"""A long job: every frame of a source is processed and written, in a thread of its own."""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QObject, Signal

from appendix_d_camera.processing import Load, explain
from appendix_d_camera.sources import Source, open_source
from common.errors import UserError


class Job(QObject):
    """Processes a video or a folder of pictures from its beginning to its end.

    A job reads its source itself: unlike a viewer it leaves no frame out. The thread never touches
    a widget. It emits signals, and the windows move their bar and fill their list.
    """

    progressed = Signal(int, int)  # frames done, frames in all
    result = Signal(str)  # one line
    finished = Signal(str)  # how it ended; always the last signal

    def __init__(
        self, source: str, load: Load, folder: Path,
        opener: Callable[[str], Source] = open_source,
    ):
        """Prepares a job; `start` starts it.

        Args:
            source: see `sources.open_source`.
            load: of the process.
            folder: of the results, created if necessary; 0001.png, 0002.png ...
            opener: what opens the source.
        """
        super().__init__()
        self._source, self._load, self._folder, self._opener = source, load, folder, opener
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the job to end after the frame it is at; does not wait."""
        self.stopping.set()

    def wait(self) -> None:
        """Waits for the end of the thread."""
        self._thread.join()

    def _run(self) -> None:
        """Does the work, and says how it ended."""
        try:
            self.finished.emit(self._work())
        except Exception as error:
            self.finished.emit(explain(error))

    def _work(self) -> str:
        """Processes all frames; returns a summary."""
        source, count = self._opener(self._source), 0
        with closing(source.frames):
            if source.total is None:
                raise UserError(f"{self._source} has no end", "give a video or a folder")
            process, total = self._load(), source.total
            self._folder.mkdir(parents=True, exist_ok=True)
            for image in source.frames:
                if self.stopping.is_set():
                    return f"stopped: {count} of {total} in {self._folder}"
                result, count = process(image), count + 1
                total = max(total, count)  # the header of a video may say too little
                path = self._folder / f"{count:04}.png"
                Image.fromarray(result.image).save(path)
                self.result.emit(f"{path.name} {result.text}".strip())
                self.progressed.emit(count, total)
        # Fewer where files of a folder cannot be read, or a video is truncated.
        return f"finished: {count} of {total} in {self._folder}"
