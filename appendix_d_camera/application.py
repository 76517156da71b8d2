"""The application: two windows on one device, from the first event to the last."""

import os
import signal
from pathlib import Path

import cv2
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from appendix_d_camera.device import Device
from appendix_d_camera.processing import find_processes
from appendix_d_camera.sources import DRAWN, open_source
from appendix_d_camera.window import Window
from common.errors import UserError

WAKE_MS = 200  # how often Python looks for Ctrl-C while Qt waits for events
TEXT = "appendix D"


def make_application() -> QApplication:
    """Returns the application of this process, and makes it if there is none.

    OpenCV brings plug-ins of another Qt and tells every Qt of the process to load them.
    """
    assert cv2.__version__  # imported, so that its variables are set
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
        os.environ.pop(name, None)
    return QApplication.instance() or QApplication(["camera"])


def choose_source(text: str | None) -> str:
    """Returns a source that can be opened.

    Args:
        text: see `sources.open_source`; None for camera 0 if there is one, and otherwise the drawn
            video. Which one it is, and why, is printed.

    Raises:
        UserError: the source that was asked for cannot be opened.
    """
    try:
        open_source(text or "0").frames.close()
    except UserError as error:
        if text is not None:
            raise
        print(f"source: the drawn video, because {error}")
        return DRAWN
    print(f"source: {text or 'camera 0'}")
    return text or "0"


def make_windows(source: str, process: str, output_dir: Path) -> tuple[Device, list[Window]]:
    """Returns a device and two windows on it: as it is, and processed with a text on it.

    Raises:
        UserError: there is no such process.
    """
    processes = find_processes()
    if process not in processes:
        raise UserError(f"there is no process {process}", f"choose one of {', '.join(processes)}")
    device = Device(source)
    return device, [Window("original", device, processes, output_dir),
                    Window("processed", device, processes, output_dir, process, TEXT)]


def run(source: str | None, process: str, output_dir: Path) -> None:
    """Shows the windows until the last one is closed.

    Raises:
        UserError: there is no such source or process.
        KeyboardInterrupt: after Ctrl-C, when everything has ended.
    """
    application = make_application()  # before any window
    device, windows = make_windows(choose_source(source), process, output_dir)
    for window in windows:
        window.show()
    device.start()
    pressed = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        application.quit()

    before = signal.signal(signal.SIGINT, interrupt)
    timer = QTimer(interval=WAKE_MS)
    timer.timeout.connect(lambda: None)
    timer.start()
    try:
        application.exec()
    finally:
        signal.signal(signal.SIGINT, before)
        device.stop()
        for window in windows:
            window.close()
    if pressed:
        raise KeyboardInterrupt
