"""The camera application, without a screen: threads, mailboxes, widgets, models, every button."""

import math
import os
import queue
import re
import resource
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("PySide6", reason="PySide6 is not installed: pip install -e '.[camera]'")
os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6.QtCore import QObject, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from appendix_d_camera import application, camera, models, processing, recorder, sources
from appendix_d_camera.binding import bind
from appendix_d_camera.device import Device
from appendix_d_camera.drawing import draw_boxes, draw_text, to_array, to_qimage
from appendix_d_camera.mailbox import Mailbox
from appendix_d_camera.models import Result
from appendix_d_camera.sources import Source, open_source
from appendix_d_camera.window import Window
from common import video
from common.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
GIVE_UP_SECONDS = 60  # a test that hangs fails; none takes nearly as long
SIZE = (48, 64)


def noise(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@pytest.fixture(scope="module")
def app() -> QApplication:
    return application.make_application()


def until(condition: Callable[[], bool]) -> None:
    """Lets Qt deliver its events until something is true."""
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while not condition():
        QApplication.processEvents()
        assert time.monotonic() < give_up, "it never happened"
        time.sleep(0.0005)
    QApplication.processEvents()


class Camera:
    """A camera whose frames the test hands in, one by one."""

    def __init__(self) -> None:
        self.fed: queue.Queue[np.ndarray | None] = queue.Queue()
        self.opened: list[str] = []
        self.closed = 0

    def open(self, text: str) -> Source:
        self.opened.append(text)
        return Source(self._frames(), None, None)

    def _frames(self):
        try:
            while (frame := self.fed.get()) is not None:
                yield frame
        finally:
            self.closed += 1

    def feed(self, frame: np.ndarray, *windows: Window) -> None:
        """Hands in a frame and waits until the windows show it."""
        before = [window.viewer.count for window in windows]
        self.fed.put(frame)
        until(lambda: all(window.viewer.count > count
                          for window, count in zip(windows, before, strict=True)))


INVERT, TINT = (lambda: lambda frame: Result(255 - frame)), (lambda: lambda frame: Result(
    (frame // 2 + 100).astype(np.uint8)))
PROCESSES = {"none": lambda: processing.unchanged, "invert": INVERT, "tint": TINT}


class Stage:
    """A running device with a fed camera, and windows on it, all closed at the end."""

    def __init__(self, folder: Path):
        self.camera, self.folder, self.windows = Camera(), folder, []
        self.device = Device("7", self.camera.open)
        self.device.start()

    def window(self, name: str = "window", process: str = "none", text: str = "", **more) -> Window:
        window = Window(name, self.device, PROCESSES | more, self.folder, process, text)
        window.show()
        self.windows.append(window)
        return window

    def close(self) -> None:
        self.camera.fed.put(None)
        self.device.stop()
        for window in self.windows:
            window.close()
        until(lambda: True)


@pytest.fixture
def stage(app, tmp_path):
    made = Stage(tmp_path / "out")
    yield made
    made.close()


def shown(window: Window) -> np.ndarray:
    return to_array(window.viewer.image)


def message(window: Window) -> str:
    return window.statusBar().currentMessage()


def alive(window: Window) -> bool:
    return window.viewer.worker._thread.is_alive()


# The mailbox of one


def test_a_mailbox_holds_the_newest_item_only():
    box = Mailbox()
    assert box.take() is None
    assert [box.put(item) for item in "abc"] == [True, False, False]
    assert (box.wait(), box.take(), box.dropped) == ("c", None, 2)
    assert box.put("d")


def test_closing_a_mailbox_ends_the_wait():
    box, found = Mailbox(), []
    thread = threading.Thread(target=lambda: found.append(box.wait()))
    thread.start()
    box.close()
    thread.join(GIVE_UP_SECONDS)
    assert found == [None]
    box.put("late")
    assert box.wait() is None


# Sources


def write_video(path: Path, frames: list[np.ndarray], rate: float = 240) -> Path:
    with video.writer(path, rate) as write:
        for frame in frames:
            write(frame)
    return path


def test_the_drawn_video_moves_and_is_the_same_every_time():
    one, two = (open_source("drawn") for _ in range(2))
    first, second = next(one.frames), next(one.frames)
    assert first.shape == (360, 480, 3)
    assert first.dtype == np.uint8
    assert (first != second).any()
    np.testing.assert_array_equal(first, next(two.frames))
    assert (one.rate, one.total) == (25.0, None)
    np.testing.assert_array_equal(first[0, 0], sources.PAPER)
    assert first.min() < 60  # ink


def test_a_video_has_its_rate_and_its_frames(tmp_path):
    grey = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(5)]
    source = open_source(str(write_video(tmp_path / "a.mp4", grey, 12)))
    assert (source.rate, source.total) == (12.0, 5)
    assert [round(frame.mean() / 20) for frame in source.frames] == [0, 1, 2, 3, 4]


def test_colours_of_a_video_are_red_green_blue(tmp_path):
    red = np.broadcast_to(np.array([250, 10, 10], np.uint8), (48, 64, 3))
    frame = next(open_source(str(write_video(tmp_path / "red.mp4", [red] * 3))).frames)
    assert frame[..., 0].mean() > 200 > 60 > frame[..., 2].mean()


def test_a_folder_lays_alpha_on_white_and_names_what_it_skips(tmp_path, capsys):
    clear = np.zeros((6, 8, 4), np.uint8)
    clear[:3, :, 3] = 255  # black above, transparent below
    Image.fromarray(clear).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not a picture")
    Image.fromarray(noise(1)[..., 0]).save(tmp_path / "c.png")
    source = open_source(str(tmp_path))
    first, second = source.frames
    assert (source.rate, source.total) == (1.0, 3)
    assert first.shape == (6, 8, 3)
    assert (first[:3] == 0).all()
    assert (first[3:] == 255).all()
    np.testing.assert_array_equal(second, np.repeat(noise(1)[..., :1], 3, axis=2))
    assert "b.png is not a readable image" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "says"), [
    ("", "there is no source ''"), ("/no/such", "there is no source '/no/such'"),
    ("97", "there is no camera 97"), ("~nosuchuser/a", "is not a path"),
    ("{pipe}", "neither a file"), ("{broken}", "has no frames"), ("{empty}", "no pictures")])
def test_a_source_that_cannot_be_opened_is_a_user_error(text, says, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")  # reading it would never end
    names = {"broken": "broken.mp4", "empty": "empty", "pipe": "pipe"}
    with pytest.raises(UserError, match=re.escape(says)):
        open_source(text.format(**{key: tmp_path / name for key, name in names.items()}))


# The binding of properties


def test_both_sides_of_a_binding_follow_each_other(app):
    device, field = Device("drawn"), QLineEdit("old")
    bind(field, "text", device, "source")
    assert field.text() == "drawn"
    field.setText("3")
    assert device.source == "3"
    told = []
    device.source_changed.connect(told.append)
    device.source = "4"
    device.source = "4"
    assert (field.text(), told) == ("4", ["4"])


def test_a_property_without_a_signal_cannot_be_bound(app):
    with pytest.raises(ValueError, match="frame_rate"):
        bind(Device("drawn"), "frame_rate", QObject(), "objectName")


def test_signals_leave_true_false_and_none_alive(app):
    """PySide6 6.12.0 releases True at every emission; below Python 3.12 that ends the process."""
    device, seen = Device("drawn"), []
    device.message.connect(seen.append)
    before = [sys.getrefcount(constant) for constant in (True, False, None)]
    for _ in range(100):
        device.message.emit("a")
    after = [sys.getrefcount(constant) for constant in (True, False, None)]
    assert len(seen) == 100
    assert all(new > old - 20 for new, old in zip(after, before, strict=True))


# Two windows on one device


def test_a_video_through_two_windows(stage, tmp_path):
    original = stage.window("original")
    processed = stage.window("processed", "invert")
    path = write_video(tmp_path / "moving.mp4", [noise(i) for i in range(12)])
    frames = list(video.read_frames(path))
    assert len(frames) == 12
    for frame in frames:
        stage.camera.feed(frame, original, processed)
        np.testing.assert_array_equal(shown(original), frame)
        np.testing.assert_array_equal(shown(processed), 255 - frame)
    assert (original.viewer.count, processed.viewer.count) == (12, 12)
    assert (stage.device.frame_size.width(), stage.device.frame_size.height()) == (64, 48)
    assert stage.device.frame_rate > 0
    assert "64 x 48" in original.numbers.text()
    assert "dropped 0" in original.numbers.text()


def test_text_is_written_on_the_lower_part_of_one_window_only(stage):
    plain, written = stage.window(), stage.window(text="Text 文字")
    stage.camera.feed(noise(0, (120, 160)), plain, written)
    np.testing.assert_array_equal(shown(plain), noise(0, (120, 160)))
    np.testing.assert_array_equal(shown(written)[:90], noise(0, (120, 160))[:90])
    assert (shown(written)[105:] != shown(plain)[105:]).mean() > 0.5
    assert (shown(written)[105:] > 220).all(axis=2).any()  # white letters: the band is dark
    written.text.clear()
    stage.camera.feed(noise(0, (120, 160)), plain, written)
    np.testing.assert_array_equal(shown(written), noise(0, (120, 160)))


def test_a_long_line_is_wrapped(app):
    picture = np.full((240, 320, 3), 255, np.uint8)

    def band(text):  # rows that are darkened
        return int((draw_text(picture, text)[:, 0] < 255).all(axis=1).sum())

    assert band("one\ntwo") == 2 * band("one")
    assert band("a dog and a cat " * 5) >= 2 * band("one")


def test_a_process_that_writes_into_its_frame_does_not_change_the_others(stage):
    def load():
        def process(frame):
            frame[:] = 0
            return Result(frame)
        return process

    black, plain = stage.window(process="black", black=load), stage.window()
    stage.camera.feed(noise(3), black, plain)
    assert (shown(black) == 0).all()
    np.testing.assert_array_equal(shown(plain), noise(3))


def test_a_slow_model_slows_nobody_and_queues_nothing(stage):
    busy, gate, seen = threading.Event(), threading.Event(), []

    def process(frame):
        seen.append(frame[0, 0, 0])
        busy.set()
        gate.wait()
        return Result(frame)

    fast, slow = stage.window(), stage.window(process="slow", slow=lambda: process)
    frames = [np.full((*SIZE, 3), i, np.uint8) for i in range(20)]
    stage.camera.feed(frames[0], fast)
    assert busy.wait(GIVE_UP_SECONDS)
    for frame in frames[1:]:
        stage.camera.feed(frame, fast)  # which shows all of them, while the model is at the first
    assert (fast.viewer.count, slow.viewer.count) == (20, 0)
    assert slow.viewer.worker.frames.dropped == 18
    gate.set()
    until(lambda: slow.viewer.image is not None and shown(slow)[0, 0, 0] == 19)
    assert seen == [0, 19]  # what came between was dropped, not kept


def test_windows_that_do_not_look_get_one_event(stage):
    """The thread of the windows is slow: pictures are replaced, and events do not pile up."""
    window, calls = stage.window(), []
    worker = window.viewer.worker
    worker.arrived.connect(lambda: calls.append(1))
    for i in range(10):
        stage.camera.fed.put(np.full((*SIZE, 3), i, np.uint8))
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while worker.pictures._item is None or worker.pictures.dropped < i:  # no event delivered
            assert time.monotonic() < give_up
            time.sleep(0.0005)
    until(lambda: window.viewer.image is not None and calls)
    assert (window.viewer.count, len(calls), shown(window)[0, 0, 0]) == (1, 1, 9)


def test_no_frame_is_processed_in_the_thread_of_the_windows(stage):
    threads = []

    def load():
        threads.append(threading.current_thread())
        return lambda frame: threads.append(threading.current_thread()) or Result(frame)

    window = stage.window(process="spy", spy=load)
    stage.camera.feed(noise(0), window)
    assert len(threads) == 2
    assert threading.main_thread() not in threads
    assert stage.device._thread not in threads


def test_a_thousand_frames_do_not_fill_the_memory(stage):
    window, size = stage.window(process="invert", text="text"), (240, 320)
    picture = noise(0, size)

    def run(count):
        for i in range(count):
            stage.camera.feed(np.roll(picture, i, axis=1), window)

    run(100)
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(20)
    arrays = tracemalloc.get_traced_memory()[0]
    run(980)
    grown = tracemalloc.get_traced_memory()[0] - arrays
    tracemalloc.stop()
    # A thousand frames have 230 MB. Two at most are under way.
    assert grown < 2 * picture.nbytes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kB
    assert window.viewer.count == 1100


# The buttons


def test_start_opens_the_source_that_was_typed_in_either_window(stage):
    left, right = stage.window(), stage.window()
    QTest.keyClicks(right.source, "2")
    assert (left.source.text(), stage.device.source) == ("72", "72")
    stage.camera.fed.put(None)  # lets the first reading end
    left.start.click()
    stage.camera.feed(noise(0), left, right)
    assert stage.camera.opened == ["7", "72"]
    assert stage.camera.closed == 1


def test_the_return_key_starts_too(stage):
    window = stage.window()
    stage.camera.fed.put(None)
    QTest.keyClicks(window.source, "\r")
    stage.camera.feed(noise(0), window)
    assert len(stage.camera.opened) == 2


def test_stop_closes_the_source_and_the_picture_stays(stage):
    window = stage.window()
    stage.camera.feed(noise(0), window)
    stage.camera.fed.put(noise(1))
    stage.device._stopping.set()  # as the button does before it waits for the thread
    window.stop.click()
    until(lambda: message(window) == "stopped")
    assert stage.camera.closed == 1
    np.testing.assert_array_equal(shown(window), noise(0))


def test_a_source_that_ends_says_so(stage):
    window = stage.window()
    stage.camera.fed.put(None)
    until(lambda: message(window) == "7 has ended")


def test_mirror_turns_the_frames_of_all_windows(stage):
    left, right = stage.window(), stage.window()
    left.mirror.click()
    assert right.mirror.isChecked()
    stage.camera.feed(noise(0), left, right)
    for window in (left, right):
        np.testing.assert_array_equal(shown(window), noise(0)[:, ::-1])
    right.mirror.click()
    assert not stage.device.mirrored
    stage.camera.feed(noise(0), left)
    np.testing.assert_array_equal(shown(left), noise(0))


def test_a_paused_camera_is_read_and_not_shown(stage):
    window = stage.window()
    window.pause.click()
    for i in range(5):
        stage.camera.fed.put(noise(i))
    until(stage.camera.fed.empty)
    stage.camera.fed.put(noise(5))  # taken when the one before has been left out
    until(stage.camera.fed.empty)
    assert window.viewer.count == 0
    stage.device.paused = False
    assert not window.pause.isChecked()
    stage.camera.feed(noise(9), window)


def test_a_paused_file_waits(app):
    read = []

    def frames():
        for i in range(50):
            read.append(i)
            yield noise(i)

    device, box = Device("file", lambda text: Source(frames(), math.inf, 50)), Mailbox()
    device.subscribe(box)
    device.paused = True
    device.start()
    until(lambda: read == [0])
    device.stop()  # ends the pause too
    assert (read, box.take()) == ([0], None)
    device.paused = False
    device.start()
    until(lambda: len(read) == 51)
    device.stop()
    assert box.take() is not None


def test_show_disconnects_a_window_and_connects_it_again(stage):
    off, on = stage.window(), stage.window()
    stage.camera.feed(noise(0), off, on)
    off.enabled.click()
    assert off.viewer.worker.frames not in stage.device._mailboxes
    stage.camera.feed(noise(1), on)
    assert (off.viewer.count, on.viewer.count) == (1, 2)
    off.enabled.click()
    stage.camera.feed(noise(2), off, on)
    np.testing.assert_array_equal(shown(off), noise(2))


def test_the_process_is_chosen_from_the_list(stage):
    window = stage.window()
    assert [window.process.itemText(i) for i in range(window.process.count())] == list(PROCESSES)
    window.process.setCurrentText("tint")
    stage.camera.feed(noise(0), window)
    np.testing.assert_array_equal(shown(window), noise(0) // 2 + 100)
    window.process.setCurrentText("none")
    stage.camera.feed(noise(0), window)
    np.testing.assert_array_equal(shown(window), noise(0))


def test_a_snapshot_is_what_the_window_shows(stage):
    window = stage.window("view", "invert")
    window.snapshot.click()
    assert message(window) == "there is no picture yet"
    stage.camera.feed(noise(0), window)
    window.snapshot.click()
    window.snapshot.click()
    for number in (1, 2):
        with Image.open(stage.folder / f"view-00{number}.png") as saved:
            np.testing.assert_array_equal(np.asarray(saved), 255 - noise(0))
    assert message(window).endswith("view-002.png")


def test_a_picture_is_painted_as_large_as_it_fits(stage):
    window = stage.window()
    window.viewer.setFixedSize(400, 240)
    stage.camera.feed(np.full((60, 60, 3), 200, np.uint8), window)
    painted = to_array(window.viewer.grab().toImage())
    assert painted.shape[:2] == (240, 400)
    assert (painted[:, 80:320] == 200).all()
    assert (painted[:, :80] == 0).all()
    assert (painted[:, 320:] == 0).all()
    assert window.viewer.latency > 0


# Recordings


def smooth(i: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full((*size, 3), (40 * i, 100, 250 - 40 * i), np.uint8)


def test_a_recording_can_be_read_again(stage):
    window = stage.window("view")
    window.record.click()
    for i in range(5):
        stage.camera.feed(smooth(i), window)
    assert list(stage.folder.glob("view*.mp4")) == [stage.folder / "view-001.part.mp4"]
    window.record.click()
    path = stage.folder / "view-001.mp4"
    assert message(window) == f"5 frames in {path}"
    stage.camera.feed(smooth(5), window)
    frames = list(video.read_frames(path))
    assert len(frames) == 5
    for i, frame in enumerate(frames):
        assert np.abs(frame.astype(int) - smooth(i)).mean() < 8  # lossy


def test_two_windows_record_at_once(stage):
    windows = stage.window("left"), stage.window("right", "invert")
    for window in windows:
        window.record.click()
    for i in range(3):
        stage.camera.feed(smooth(i), *windows)
    for window in windows:
        window.record.click()
    left, right = (list(video.read_frames(stage.folder / f"{name}-001.mp4"))
                   for name in ("left", "right"))
    assert len(left) == len(right) == 3
    assert np.abs(255 - left[2].astype(int) - right[2]).mean() < 8


def test_a_window_closed_while_recording_keeps_the_video(stage):
    window = stage.window("view")
    window.record.click()
    for i in range(3):
        stage.camera.feed(smooth(i), window)
    window.close()
    assert not alive(window)
    assert len(list(video.read_frames(stage.folder / "view-001.mp4"))) == 3
    assert [path.name for path in stage.folder.iterdir()] == ["view-001.mp4"]


def test_other_frame_sizes_end_a_recording(stage):
    window = stage.window("view")
    window.record.click()
    stage.camera.feed(smooth(0), window)
    stage.camera.feed(smooth(0, (60, 80)), window)
    until(lambda: not window.record.isChecked())
    assert "from 64 x 48 to 80 x 60 pixels" in message(window)
    assert len(list(video.read_frames(stage.folder / "view-001.mp4"))) == 1
    stage.camera.feed(smooth(0), window)


def test_a_recording_without_frames_leaves_no_file(stage):
    window = stage.window()
    window.record.click()
    window.record.click()
    assert message(window) == "nothing was recorded"
    assert not stage.folder.exists()


def test_a_recording_that_cannot_be_written_says_so(stage):
    stage.folder.write_text("a file where the folder should be")
    window = stage.window()
    window.record.click()
    stage.camera.feed(smooth(0), window)
    until(lambda: not window.record.isChecked())
    assert "the recording has ended" in message(window)
    stage.camera.feed(smooth(1), window)


def test_frames_that_no_codec_takes_end_a_recording(tmp_path):
    recording = recorder.Recorder(tmp_path / "a.mp4", 5)
    with pytest.raises(UserError, match="cannot"):
        recording.write(np.zeros((1, 1, 3), np.uint8))
    recording.close()
    assert not list(tmp_path.iterdir())


# Closing while busy


def gated() -> tuple[Callable, threading.Event, threading.Event]:
    """Returns what loads a process that waits at a gate, its event of being busy, and the gate."""
    busy, gate = threading.Event(), threading.Event()

    def process(frame):
        busy.set()
        gate.wait()
        return Result(frame)

    return lambda: process, busy, gate


def open_when(asked: threading.Event, gate: threading.Event) -> threading.Thread:
    """Opens a gate once something was asked for, in a thread: that of the windows waits."""
    thread = threading.Thread(target=lambda: (asked.wait(GIVE_UP_SECONDS), gate.set()))
    thread.start()
    return thread


def test_closing_a_window_waits_for_its_busy_model_and_ends_cleanly(stage):
    load, busy, gate = gated()
    window, other = stage.window("busy", "slow", slow=load), stage.window()
    window.record.click()
    stage.camera.feed(smooth(0), other)
    assert busy.wait(GIVE_UP_SECONDS)
    opener = open_when(window.viewer.worker.closing, gate)
    assert window.close()
    opener.join()
    assert not alive(window)
    assert len(list(video.read_frames(stage.folder / "busy-001.mp4"))) == 1
    stage.camera.feed(noise(1), other)  # the other window goes on


def test_closing_a_window_ends_its_job(stage, tmp_path):
    write_pictures(tmp_path / "in", 3)
    load, busy, gate = gated()
    window = stage.window(process="slow", slow=load)
    stage.device.source = str(tmp_path / "in")
    window.start_job.click()
    assert busy.wait(GIVE_UP_SECONDS)
    opener = open_when(window.job.stopping, gate)
    assert window.close()
    opener.join()
    assert not window.job._thread.is_alive()
    assert [path.name for path in (stage.folder / "window-001").iterdir()] == ["0001.png"]


# Jobs


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for i in range(count):
        Image.fromarray(noise(i)).save(folder / f"{i}.png")
    return folder


def lines(window: Window) -> list[str]:
    return [window.results.item(i).text() for i in range(window.results.count())]


def test_a_job_processes_all_frames_and_reports_them(stage, tmp_path):
    def load():
        return lambda frame: Result(255 - frame, f"mean {frame.mean():.0f}")

    window = stage.window(process="means", means=load)
    stage.device.source = str(write_pictures(tmp_path / "in", 4))
    window.start_job.click()
    assert (window.start_job.isEnabled(), window.stop_job.isEnabled()) == (False, True)
    until(window.start_job.isEnabled)
    out = stage.folder / "window-001"
    assert lines(window) == [*(f"000{i + 1}.png mean {noise(i).mean():.0f}" for i in range(4)),
                             f"finished: 4 of 4 in {out}"]
    assert message(window) == f"finished: 4 of 4 in {out}"
    assert (window.progress.value(), window.progress.maximum()) == (4, 4)
    assert not window.stop_job.isEnabled()
    for i in range(4):
        with Image.open(out / f"000{i + 1}.png") as saved:
            np.testing.assert_array_equal(np.asarray(saved), 255 - noise(i))
    window.start_job.click()
    until(window.start_job.isEnabled)
    assert lines(window)[-1] == f"finished: 4 of 4 in {stage.folder / 'window-002'}"


def test_a_job_is_stopped_after_the_frame_it_is_at(stage, tmp_path):
    load, busy, gate = gated()
    window = stage.window(process="slow", slow=load)
    stage.device.source = str(write_pictures(tmp_path / "in", 3))
    window.start_job.click()
    assert busy.wait(GIVE_UP_SECONDS)
    stage.camera.feed(noise(0), stage.window())  # meanwhile the windows are not frozen
    window.stop_job.click()
    gate.set()
    until(window.start_job.isEnabled)
    assert lines(window) == ["0001.png", f"stopped: 1 of 3 in {stage.folder / 'window-001'}"]


@pytest.mark.parametrize(("source", "says"), [
    ("drawn", "drawn has no end: give a video or a folder"), ("/no/such", "there is no source")])
def test_a_job_that_cannot_be_done_says_why(source, says, stage):
    window = stage.window()
    stage.device.source = source
    window.start_job.click()
    until(window.start_job.isEnabled)
    assert says in message(window)
    assert not stage.folder.exists()


def test_a_job_says_how_many_pictures_could_be_read(stage, tmp_path):
    (write_pictures(tmp_path / "in", 2) / "1.png").write_bytes(b"not a picture")
    window = stage.window()
    stage.device.source = str(tmp_path / "in")
    window.start_job.click()
    until(window.start_job.isEnabled)
    assert lines(window) == ["0001.png", f"finished: 1 of 2 in {stage.folder / 'window-001'}"]


def test_a_job_with_a_process_that_fails_says_why(stage, tmp_path):
    window = stage.window(process="bad", bad=lambda: lambda frame: 1 // 0)
    stage.device.source = str(write_pictures(tmp_path / "in", 1))
    window.start_job.click()
    until(window.start_job.isEnabled)
    assert message(window) == "ZeroDivisionError: integer division or modulo by zero"


# Processes and models


def test_a_process_that_fails_is_dropped_and_the_window_lives_on(stage):
    window = stage.window(process="bad", bad=lambda: lambda frame: frame.no_such)
    stage.camera.feed(noise(0), window)
    assert "AttributeError" in message(window)
    np.testing.assert_array_equal(shown(window), noise(0))
    window.process.setCurrentText("invert")
    stage.camera.feed(noise(0), window)
    np.testing.assert_array_equal(shown(window), 255 - noise(0))


@pytest.mark.parametrize("name", processing.OPERATIONS)
def test_the_operations_of_appendix_c_are_processes(name):
    frame = noise(0)
    result = processing.find_processes()[name]()(frame)
    assert (result.image.shape, result.image.dtype, result.text) == (frame.shape, np.uint8, "")
    np.testing.assert_array_equal(result.image, processing.OPERATIONS[name](noise(0)))


def test_the_newest_export_of_a_run_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("DL21_RUNS", str(tmp_path))
    exported = tmp_path / "chapter10_super_resolution" / "photos" / "export"
    for version in ("9", "10", "11.part"):
        (exported / version).mkdir(parents=True)
    (tmp_path / "chapter10_super_resolution" / "empty" / "export").mkdir(parents=True)
    found = processing.find_processes()
    assert found["chapter10_super_resolution/photos"].args == (exported / "10",)
    assert "chapter10_super_resolution/empty" not in found


def save_model(folder: Path, signature: str, specs: dict, outputs: Callable, **about) -> Path:
    """Writes a SavedModel as export.py does: in `signature` the outputs of a function."""
    import tensorflow as tf

    from common import export, files

    module = tf.Module()
    module.one = tf.Variable(1.0)
    function = tf.function(outputs, input_signature=[
        tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in specs.items()])
    calls = {signature: function, "serving_default": function}
    tf.saved_model.save(module, str(folder), signatures=calls)
    files.write_json(folder / "signature.json", about | {"signatures": export._describe(folder)})
    return folder


FRAMES, ENCODED = ((None, None, None, 3), "uint8"), ((None,), "string")


@pytest.fixture
def frame(app) -> np.ndarray:
    return noise(5, (80, 100))


@pytest.mark.parametrize("output", ["stylized", "outputs", "enlarged"])
def test_models_whose_output_is_a_picture(output, tmp_path, frame):
    folder = save_model(tmp_path / "m", "serving_default", {"images": FRAMES},
                        lambda images: {output: 255 - images})
    result = models.load_model(folder)(frame)
    np.testing.assert_array_equal(result.image, 255 - frame)
    assert result.text == ""


def test_a_model_of_several_styles_gets_equal_parts_of_all(tmp_path, frame):
    import tensorflow as tf

    def run(images, styles):
        return {"stylized": images * 0 + tf.cast(100 * styles[0, 0], tf.uint8)}

    folder = save_model(tmp_path / "m", "serving_default",
                        {"images": FRAMES, "styles": ((None, 4), "float32")}, run)
    assert (models.load_model(folder)(frame).image == 25).all()


def test_a_classifier_gets_an_encoded_picture_and_writes_its_label(tmp_path, frame):
    import tensorflow as tf

    def run(encoded):
        mean = tf.reduce_mean(tf.cast(tf.io.decode_png(encoded[0]), tf.float32))
        return {"labels": tf.strings.as_string(mean, precision=2)[None],
                "probabilities": tf.constant([[0.25, 0.75]])}

    result = models.load_model(save_model(tmp_path / "m", "pictures", {"encoded": ENCODED}, run))(
        frame)
    np.testing.assert_array_equal(result.image, frame)
    assert result.text == f"{frame.mean():.2f} (75%)"


def test_a_detector_draws_the_boxes_it_is_sure_of(tmp_path, frame):
    import tensorflow as tf

    def run(inputs):
        return {"detection_boxes": tf.constant([[[0.25, 0.1, 0.75, 0.6], [0.0, 0.0, 1.0, 1.0]]]),
                "detection_scores": tf.constant([[0.9, 0.3]]),
                "detection_classes": tf.constant([[2.0, 1.0]]),
                "num_detections": tf.constant([2.0])}

    folder = save_model(tmp_path / "m", "serving_default", {"inputs": FRAMES}, run,
                        classes={"1": "cat", "2": "dog"})
    result = models.load_model(folder)(frame)
    changed = (result.image != frame).any(axis=2)
    assert result.text == "objects: 1"
    assert changed[20, 10:61].all()  # the upper edge of the box
    assert changed[20:61, 10].all()
    assert not changed[:20].any()
    assert not changed[:, :10].any()


def test_boxes_on_large_pictures_have_thicker_lines(app):
    def line(height):  # pixels of the upper edge, in the middle of the box
        picture = np.zeros((height, 100, 3), np.uint8)
        drawn = draw_boxes(picture, np.array([[height / 4, 10, height / 2, 90]]), [""])
        return int(drawn[: 3 * height // 8, 50].any(axis=1).sum())

    assert (line(100), line(1000)) == (1, 5)


def test_the_cascade_draws_boxes_in_pixels_or_none(tmp_path, frame):
    import tensorflow as tf

    def run(images):
        count = tf.where(images[0, 0, 0, 0] > 100, 1, 0)
        return {"boxes": tf.constant([[30.0, 40.0, 60.0, 80.0]])[:count],
                "scores": tf.constant([0.875])[:count], "image": tf.zeros((1,), tf.int32)[:count],
                "landmarks": tf.zeros((1, 5, 2))[:count]}

    process = models.load_model(save_model(tmp_path / "m", "serving_default", {"images": FRAMES},
                                           run))
    white, black = np.full_like(frame, 255), np.zeros_like(frame)
    found = process(white)
    assert found.text == "faces: 1"
    assert (found.image[30, 40:81] != 255).any(axis=1).all()
    assert process(black).text == "faces: 0"
    assert (process(black).image == 0).all()


def test_a_caption_is_the_most_probable_one(tmp_path, frame):
    import tensorflow as tf

    def run(encoded, beam_size):
        texts = tf.fill((tf.shape(encoded)[0], beam_size[0]), "a red circle")
        return {"captions": texts, "probabilities": tf.ones((1, 1)), "scores": tf.ones((1, 1))}

    folder = save_model(tmp_path / "m", "serving_default",
                        {"encoded": ENCODED, "beam_size": ((None,), "int32")}, run)
    assert models.load_model(folder)(frame) == (frame, "a red circle")


def test_a_model_that_expects_something_else_is_named_in_the_status_line(stage, runs):
    export = runs / "chapter12_char_rnn" / "poems" / "export" / "1"
    save_model(export, "serving_default", {"tokens": ((None, None), "int32")},
               lambda tokens: {"logits": tokens})
    name = "chapter12_char_rnn/poems"
    window = stage.window(process=name, **processing.find_processes())
    stage.camera.feed(noise(0), window)
    assert message(window) == (f"{name}: this model takes tokens: int32 (None, None), and returns "
                               "logits: choose one that README.md lists")
    np.testing.assert_array_equal(shown(window), noise(0))


def test_a_model_that_refuses_a_frame_or_is_damaged_is_no_end(stage, tmp_path):
    import tensorflow as tf

    def run(images):
        with tf.control_dependencies([tf.debugging.assert_greater(tf.shape(images)[1], 64,
                                                                  "too small")]):
            return {"stylized": tf.identity(images)}

    folder = save_model(tmp_path / "m", "serving_default", {"images": FRAMES}, run)
    window = stage.window(process="strict", strict=lambda: models.load_model(folder))
    stage.camera.feed(noise(0), window)
    assert "the model refuses this frame: " in message(window)
    assert "it has 64 x 48 pixels" in message(window)
    (folder / "saved_model.pb").write_bytes(b"damaged")
    window.process.setCurrentText("none")
    window.process.setCurrentText("strict")
    stage.camera.feed(noise(1), window)
    assert "strict: " in message(window)
    np.testing.assert_array_equal(shown(window), noise(1))


# The command line


@pytest.mark.parametrize(("argv", "says"), [
    (["--source", "/no/such"], "there is no source '/no/such'"),
    (["--source", "drawn", "--process", "magic"], "there is no process magic"),
    (["--output_dir", __file__], "is a file"), (["--sorce", "0"], "unrecognized")])
def test_mistakes_on_the_command_line(argv, says, capsys, app):
    assert camera.main(argv) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert error.startswith("error: ")
    assert says in error
    assert hint.startswith("hint: ")


def test_without_pyside_or_a_screen_it_says_what_to_do(monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert camera.main([]) == 2
    assert "there is no screen" in capsys.readouterr().err
    monkeypatch.setattr(camera.importlib.util, "find_spec", lambda name: None)
    assert camera.main([]) == 2
    assert 'pip install -e ".[camera]"' in capsys.readouterr().err


def test_a_library_that_qt_lacks_is_named(monkeypatch, capsys):
    def load(name):
        raise ImportError("libEGL.so.1: cannot open shared object file")

    monkeypatch.setattr(camera.importlib, "import_module", load)
    assert camera.main([]) == 2
    error = capsys.readouterr().err
    assert "PySide6 cannot be loaded: libEGL.so.1" in error
    assert "apt install libegl1" in error


def test_the_default_source_is_told(monkeypatch, capsys):
    def no_camera(text):
        raise UserError(f"there is no camera {text}", "plug it in")

    monkeypatch.setattr(application, "open_source", no_camera)
    assert application.choose_source(None) == "drawn"
    assert capsys.readouterr().out == (
        "source: the drawn video, because there is no camera 0\n")
    with pytest.raises(UserError):
        application.choose_source("0")
    monkeypatch.setattr(application, "open_source", lambda text: Source((x for x in ()), None, 0))
    assert application.choose_source(None) == "0"
    assert capsys.readouterr().out == "source: camera 0\n"


@pytest.mark.parametrize(("end", "status"), [
    (QApplication.closeAllWindows, 0), (lambda: os.kill(os.getpid(), 2), 130)])
def test_the_application_ends_when_its_windows_close_or_on_ctrl_c(end, status, app, tmp_path):
    timer = QTimer(interval=5)

    def look():
        windows = [widget for widget in app.topLevelWidgets()
                   if isinstance(widget, Window) and widget.isVisible()]
        if len(windows) == 2 and all(window.viewer.count > 1 for window in windows):
            timer.stop()
            end()

    timer.timeout.connect(look)
    timer.start()
    threads = threading.active_count()
    assert camera.main(["--source", "drawn", "--output_dir", str(tmp_path)]) == status
    assert threading.active_count() == threads


def test_it_runs_in_a_process_of_its_own():
    """The other tests have an application of Qt before they begin; the user has none."""
    code = ("from appendix_d_camera import application, camera; "
            "application.QApplication.exec = lambda *_: print('shown'); "
            "raise SystemExit(camera.main(['--source', 'drawn']))")
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "source: drawn\nshown\n"), result.stderr


def test_it_starts_without_tensorflow():
    code = ("import sys; from appendix_d_camera import application, camera; "
            "assert not {'tensorflow', 'keras'} & sys.modules.keys()")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_images_of_qt_and_arrays_are_the_same_picture(app):
    for width in (1, 5, 64):  # rows of Qt's images are padded
        picture = noise(width, (3, width))
        np.testing.assert_array_equal(to_array(to_qimage(picture)), picture)
    flipped = noise(1)[:, ::-1]
    np.testing.assert_array_equal(to_array(to_qimage(flipped)), flipped)
