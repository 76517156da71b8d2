"""The widget that shows what a device sees."""

import time

from PySide6.QtCore import QEvent, QRect, Qt, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from appendix_d_camera.device import Device
from appendix_d_camera.worker import Worker

LEAST_SIZE = (320, 240)


class Viewer(QWidget):
    """Shows the frames of a device, processed by a worker of its own.

    A disabled viewer is disconnected from the device: its worker has nothing to do.

    Attributes:
        worker: processes the frames.
        image: the picture that is shown; None before the first.
        count: how many pictures have arrived.
        latency: seconds from the reading of the frame to its painting.
    """

    changed = Signal()

    def __init__(self, device: Device):
        """Connects a new viewer to a device."""
        super().__init__()
        self.setMinimumSize(*LEAST_SIZE)
        self.image: QImage | None = None
        self.count, self.latency, self._time = 0, 0.0, 0.0
        self.worker = Worker()
        # The worker emits in its thread, and this object lives in that of the windows: Qt puts the
        # call into the windows' queue of events.
        self.worker.arrived.connect(self._take)
        self._device, self._connected = device, False
        self._connect(True)

    def close_worker(self) -> None:
        """Disconnects from the device and ends the worker."""
        self._connect(False)
        self.worker.close()

    def _connect(self, wanted: bool) -> None:
        """Connects to the device or disconnects."""
        if wanted and not self._connected:
            self._device.subscribe(self.worker.frames)
        if self._connected and not wanted:
            self._device.unsubscribe(self.worker.frames)
            self.worker.frames.take()  # which has not been processed yet
        self._connected = wanted

    def _take(self) -> None:
        """Takes the newest picture of the worker, and asks Qt to paint it."""
        if shown := self.worker.pictures.take():
            self.image, self._time = shown
            self.count += 1
            self.update()
            self.changed.emit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Connects an enabled viewer, disconnects a disabled one."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.EnabledChange:
            self._connect(self.isEnabled())
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paints the picture as large as it fits, and pale if the viewer is disabled."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.black)
        if self.image is not None:
            size = self.image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
            where = QRect(0, 0, size.width(), size.height())
            where.moveCenter(self.rect().center())
            painter.setOpacity(1.0 if self.isEnabled() else 0.4)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(where, self.image)
            self.latency = time.perf_counter() - self._time
