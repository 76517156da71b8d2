"""A window on a device: its picture, the buttons, and the progress of a job."""

import itertools
from collections.abc import Mapping
from pathlib import Path

from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from appendix_d_camera.binding import bind
from appendix_d_camera.device import Device
from appendix_d_camera.job import Job
from appendix_d_camera.processing import NONE, Load
from appendix_d_camera.recorder import Recorder
from appendix_d_camera.widgets import Viewer

RECORDING_RATE = 25.0  # frames per second, where the rate of the pictures is not known yet
MOST_RATE = 60.0
LIST_HEIGHT, TEXT_WIDTH = 80, 120  # pixels


class Window(QMainWindow):
    """Shows one viewer of a device. Any number of windows may share the device."""

    def __init__(
        self, name: str, device: Device, processes: Mapping[str, Load], output_dir: Path,
        process: str = NONE, text: str = "",
    ):
        """Creates a window.

        Args:
            name: of the window; all its files begin with it.
            device: which the upper row of buttons controls.
            processes: to choose from, by name.
            output_dir: folder of snapshots, recordings and the results of jobs.
            process: name of the process that is chosen first.
            text: to write on the pictures.
        """
        super().__init__()
        self.setWindowTitle(name)
        self.device, self.viewer = device, Viewer(device)
        self.job: Job | None = None
        self._name, self._processes, self._output_dir = name, processes, output_dir
        self._make_widgets(text)
        self._arrange()
        self._connect_device()
        self._connect_viewer()
        self.process.setCurrentText(process)

    def _make_widgets(self, text: str) -> None:
        """Creates everything that can be seen."""
        self.source = QLineEdit(placeholderText="camera number, video, folder, or drawn")
        self.start, self.stop = QPushButton("Start"), QPushButton("Stop")
        self.pause = QPushButton("Pause", checkable=True)
        self.mirror = QPushButton("Mirror", checkable=True)
        self.process, self.text = QComboBox(), QLineEdit(text, placeholderText="text")
        self.process.addItems(list(self._processes))
        self.text.setMinimumWidth(TEXT_WIDTH)  # names of models are long
        self.enabled = QCheckBox("Show", checked=True)
        self.snapshot = QPushButton("Snapshot")
        self.record = QPushButton("Record", checkable=True)
        self.start_job, self.stop_job = QPushButton("Process all"), QPushButton("Stop job")
        self.stop_job.setEnabled(False)
        self.progress, self.results = QProgressBar(), QListWidget()
        self.results.setFixedHeight(LIST_HEIGHT)
        self.numbers = QLabel()

    def _arrange(self) -> None:
        """Puts the widgets in rows."""
        column = QVBoxLayout()
        rows = ((self.source, self.start, self.stop, self.pause, self.mirror), (self.viewer,),
                (self.numbers,),
                (self.process, self.text, self.enabled, self.snapshot, self.record),
                (self.start_job, self.stop_job, self.progress), (self.results,))
        for widgets in rows:
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget)
            column.addLayout(row, stretch=int(self.viewer in widgets))
        middle = QWidget()
        middle.setLayout(column)
        self.setCentralWidget(middle)

    def _connect_device(self) -> None:
        """Binds what all windows on the device share: type in one window, and read in the other."""
        bind(self.source, "text", self.device, "source")
        bind(self.pause, "checked", self.device, "paused")
        bind(self.mirror, "checked", self.device, "mirrored")
        self.source.returnPressed.connect(self.device.start)
        self.start.clicked.connect(self.device.start)
        self.stop.clicked.connect(self.device.stop)
        self.device.message.connect(self.statusBar().showMessage)

    def _connect_viewer(self) -> None:
        """Connects what belongs to this window alone."""
        worker = self.viewer.worker
        self.process.currentTextChanged.connect(self._choose)
        self.text.textChanged.connect(self._set_text)
        self._set_text(self.text.text())
        self.enabled.toggled.connect(self.viewer.setEnabled)
        self.snapshot.clicked.connect(self._save_snapshot)
        self.record.toggled.connect(self._record)
        worker.recording_changed.connect(self.record.setChecked)
        worker.message.connect(self.statusBar().showMessage)
        self.viewer.changed.connect(self._show_numbers)
        self.start_job.clicked.connect(self._start_job)
        self.stop_job.clicked.connect(self._stop_job)

    def _choose(self, name: str) -> None:
        """Tells the worker what to do with the frames."""
        self.viewer.worker.choose(name, self._processes[name])

    def _set_text(self, text: str) -> None:
        """Tells the worker what to write on the frames."""
        self.viewer.worker.text = text

    def _free_path(self, suffix: str = "") -> Path:
        """Returns the first path of the output folder that does not exist, by number from 1."""
        paths = (self._output_dir / f"{self._name}-{i:03}{suffix}" for i in itertools.count(1))
        return next(path for path in paths if not path.exists())

    def _save_snapshot(self) -> None:
        """Saves the picture that is shown."""
        if self.viewer.image is None:
            return self.statusBar().showMessage("there is no picture yet")
        path = self._free_path(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        saved = self.viewer.image.save(str(path))
        return self.statusBar().showMessage(f"{path}" if saved else f"cannot write {path}")

    def _record(self, wanted: bool) -> None:
        """Begins or ends a recording of the pictures of this window."""
        if not wanted:
            return self.viewer.worker.record(None)
        rate = self.viewer.worker.rate.per_second() or RECORDING_RATE
        recorder = Recorder(self._free_path(".mp4"), min(max(rate, 1.0), MOST_RATE))
        return self.viewer.worker.record(recorder)

    def _show_numbers(self) -> None:
        """Shows frame size, rates and latency."""
        size, worker = self.device.frame_size, self.viewer.worker
        self.numbers.setText(
            f"{size.width()} x {size.height()}, {self.device.frame_rate:.0f} frames/s, shown "
            f"{worker.rate.per_second():.0f}, dropped {worker.frames.dropped}, "
            f"latency {1000 * self.viewer.latency:.0f} ms")

    def _start_job(self) -> None:
        """Processes all frames of the source, in another thread."""
        name = self.process.currentText()
        self.job = Job(self.device.source, self._processes[name], self._free_path())
        self.results.clear()
        self.progress.reset()
        self.job.progressed.connect(self._show_progress)
        self.job.result.connect(self.results.addItem)
        self.job.finished.connect(self._end_job)
        self._show_busy(True)
        self.job.start()

    def _stop_job(self) -> None:
        """Asks the job to end; `_end_job` follows when it has."""
        if self.job:
            self.job.stop()

    def _show_progress(self, done: int, total: int) -> None:
        """Moves the progress bar."""
        self.progress.setMaximum(total)
        self.progress.setValue(done)

    def _end_job(self, message: str) -> None:
        """Shows how a job has ended."""
        self.statusBar().showMessage(message)
        self.results.addItem(message)
        self._show_busy(False)

    def _show_busy(self, busy: bool) -> None:
        """Enables the one button of the job that has an effect."""
        self.start_job.setEnabled(not busy)
        self.stop_job.setEnabled(busy)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Ends the job, the recording and the worker; the device goes on for other windows."""
        self.hide()  # a slow network finishes its frame first
        if self.job:
            self.job.stop()
            self.job.wait()
        self.viewer.close_worker()
        super().closeEvent(event)
