"""common/media: images, folders, videos and cameras, one function applied to each."""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest

from common import images, media, video
from common.errors import UserError


def run(output: Path, *files: Path, camera=None, **flags) -> list[tuple]:
    args = argparse.Namespace(files=list(map(str, files)), camera=camera,
                              **{"display": None, "max_frames": None} | flags)
    told: list[tuple] = []
    media.transform_all(args, lambda image: 255 - image, output,
                        lambda *facts: told.append(facts[:3]))
    return told


def fails(output: Path, *files: Path, **flags) -> str:
    with pytest.raises(UserError) as caught:
        run(output, *files, **flags)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two images of one name in two folders, a text, and a video of three frames."""
    for name in ("a b", "图"):
        images.write_png(tmp_path / "in" / name / "1.png", np.full((8, 8, 3), 55, np.uint8))
    (tmp_path / "in" / "notes.txt").write_text("no image")
    with video.writer(tmp_path / "in" / "clip.mp4", 5) as write:
        for _ in range(3):
            write(np.full((16, 16, 3), 200, np.uint8))
    return tmp_path / "in"


def test_a_folder_keeps_its_subfolders_and_lists_what_it_skips(folder, tmp_path, capsys):
    told = run(tmp_path / "out", folder)
    assert {path.relative_to(tmp_path / "out").as_posix(): count for _, path, count in told} == {
        "a b/1.png": 1, "图/1.png": 1, "clip.mp4": 3}
    assert (images.read_image(tmp_path / "out" / "图" / "1.png") == 200).all()
    assert abs(int(cv2.VideoCapture(str(tmp_path / "out" / "clip.mp4")).read()[1].mean()) - 55) < 9
    assert "notes.txt" in capsys.readouterr().err
    for _ in range(2):  # the second call leaves out what the first has written
        assert len(run(folder / "made", folder)) == 3
    assert not (folder / "made" / "made").exists()


def test_nothing_is_overwritten_and_bad_files_do_not_stop_the_others(folder, tmp_path):
    one, other = folder / "a b" / "1.png", folder / "图" / "1.png"
    said = fails(tmp_path / "out", one, other, tmp_path / "absent.png")
    assert "would overwrite" in said and "absent.png" in said
    assert (tmp_path / "out" / "1.png").is_file()
    assert "would overwrite" in fails(one.parent, one)
    assert (images.read_image(one) == 55).all()
    (tmp_path / "empty").mkdir()
    assert "no files that can be read" in fails(tmp_path / "out", tmp_path / "empty")
    assert "no files" in fails(tmp_path / "out")
    assert "--max_frames has no effect" in fails(tmp_path / "out", one, max_frames=3)
    (folder / "torn.mp4").write_bytes(b"?")
    assert "no frames" in fails(tmp_path / "out", folder / "torn.mp4")


def test_a_camera_is_kept_when_it_is_interrupted(tmp_path, monkeypatch):
    def frames(number):
        assert number == 0
        yield from [np.zeros((16, 16, 3), np.uint8)] * 4
        raise KeyboardInterrupt

    monkeypatch.setattr(video, "read_frames", frames)
    assert run(tmp_path, camera=0) == [("camera 0", tmp_path / "camera.mp4", 4)]
    assert run(tmp_path, camera=0, max_frames=2)[0][2] == 2
    keys = iter([-1, ord("q")])
    monkeypatch.setattr(cv2, "imshow", lambda *window: None)
    monkeypatch.setattr(cv2, "waitKey", lambda milliseconds: next(keys))
    assert run(tmp_path, camera=0, display=True)[0][2] == 2  # the frame that is seen is written
    monkeypatch.setattr(video, "read_frames", lambda number: iter(()))
    assert "no camera 0" in fails(tmp_path, camera=0)


def test_an_interrupted_file_leaves_no_video(folder, tmp_path, monkeypatch):
    def frames(path):
        yield np.zeros((16, 16, 3), np.uint8)
        raise KeyboardInterrupt

    monkeypatch.setattr(video, "read_frames", frames)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", folder / "clip.mp4")
    assert not list((tmp_path / "out").iterdir())
