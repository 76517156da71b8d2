"""Videos: complete files or none, written frame by frame, and GIFs in TensorBoard."""

import io
import tracemalloc

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from common import video
from common.errors import UserError


def frame(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Returns a bright square on a dark background; it moves to the right with the number."""
    image = np.full((height, width, 3), (20, 60, 100), np.uint8)
    image[16:32, 2 * number : 2 * number + 16] = 250, 130, 30
    return image


def read_mp4(path) -> list[np.ndarray]:
    reader, frames = cv2.VideoCapture(str(path)), []
    while (found := reader.read())[0]:
        frames.append(found[1][:, :, ::-1])
    return frames


def read_gif(file) -> list[np.ndarray]:
    with Image.open(file) as image:
        frames = []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.array(image.convert("RGB")))
        return frames


def test_an_mp4_has_the_frames_that_were_written(tmp_path):
    path = tmp_path / "square.mp4"
    with video.writer(path, 25) as write:
        for number in range(20):
            write(frame(number))
            assert not path.exists()
    found = read_mp4(path)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 25
    np.testing.assert_allclose(np.array(found, float), [frame(n) for n in range(20)], atol=60)
    assert np.abs(np.array(found, float) - [frame(n) for n in range(20)]).mean() < 4
    assert list(tmp_path.iterdir()) == [path]


def test_a_gif_has_exactly_the_frames_that_were_written(tmp_path):
    path = tmp_path / "square.gif"
    numbers = [0, 1, 1, 5, 0]
    buffer = frame(0)
    with video.writer(path, 20) as write:
        for number in numbers:
            buffer[:] = frame(number)
            write(buffer)  # the same array each time, as some environments return it
    np.testing.assert_array_equal(read_gif(path), [frame(n) for n in numbers])
    with Image.open(path) as image:
        assert image.info["duration"] == 50 and image.info["loop"] == 0
    assert list(tmp_path.iterdir()) == [path]


def test_gray_frames_and_noise():
    rng = np.random.default_rng(0)
    for shape, error in (((30, 40), 0), ((30, 40, 3), 20)):
        frames = rng.integers(0, 256, (3, *shape), np.uint8)
        file = io.BytesIO()
        with video.gif_encoder(file, 10) as write:
            for image in frames:
                write(image)
        found = np.array(read_gif(file), float)
        if len(shape) == 2:
            frames = frames[..., None].repeat(3, axis=-1)
        assert np.abs(found - frames).mean() <= error


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_a_failure_leaves_no_new_file_and_keeps_the_old_one(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), video.writer(path, 25) as write:
        write(frame(0))
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_frames_are_not_kept_in_memory(tmp_path, name):
    with video.writer(tmp_path / name, 25) as write:
        write(frame(0, 480, 640))
        tracemalloc.start()
        for number in range(40):
            write(frame(number, 480, 640))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 10 * frame(0, 480, 640).nbytes


@pytest.mark.parametrize("name", ["a.avi", "a", "absent/a.mp4"])
def test_an_invalid_path_is_refused(tmp_path, name):
    for call in (lambda path: video.check(path), lambda path: video.writer(path, 25).__enter__()):
        with pytest.raises(UserError, match="cannot write a video to"):
            call(tmp_path / name)


def test_a_file_that_opencv_cannot_open_is_an_error(tmp_path, monkeypatch):
    class Closed:
        def isOpened(self):  # noqa: N802
            return False

        def open(self, *args):
            return False

        def release(self):
            pass

        fourcc = staticmethod(cv2.VideoWriter.fourcc)

    monkeypatch.setattr(cv2, "VideoWriter", Closed)
    with (pytest.raises(UserError, match="OpenCV cannot write a video to"),
          video.writer(tmp_path / "a.mp4", 25) as write):
        write(frame(0))
    assert list(tmp_path.iterdir()) == []


def test_log_gif_writes_a_gif_to_tensorboard(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    frames = [frame(number) for number in range(5)]
    video.log_gif(writer, 7, "game", frames, 25)
    writer.close()
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    assert events.SummaryMetadata("game").plugin_data.plugin_name == "images"
    (event,) = events.Tensors("game")
    width, height, gif = tf.make_ndarray(event.tensor_proto)
    assert (event.step, int(width), int(height)) == (7, 64, 48)
    np.testing.assert_array_equal(read_gif(io.BytesIO(gif)), frames)
