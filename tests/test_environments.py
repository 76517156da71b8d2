"""Environments: names, step limits, windows and recordings."""

import os
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

from common import environments
from common.errors import UserError
from tests.test_video import read_gif


def play_flags(**changes) -> SimpleNamespace:
    return SimpleNamespace(**{"display": False, "record": None} | changes)


def test_similar_names_are_suggested():
    assert environments.find_spec("CartPole-v1").max_episode_steps == 500
    with pytest.raises(UserError, match="knows no environment CartPol-v0") as error:
        environments.make("CartPol-v0")
    assert "CartPole-v0" in error.value.hint


def test_an_environment_that_cannot_be_made_is_an_error():
    gym.register("Broken-v0", "absent_package:Env")
    try:
        for name in ("Broken-v0", "Reacher-v2", "GymV26Environment-v0"):  # the others have moved
            with pytest.raises(UserError, match=f"cannot make {name}"):
                environments.make(name)
    finally:
        del gym.registry["Broken-v0"]


def test_an_environment_without_a_step_limit_gets_one():
    gym.register("Endless-v0", gym.spec("CartPole-v1").entry_point)
    try:
        for cap, expected in ((None, environments.STEP_CAP), (7, 7), (-1, None)):
            env = environments.make("Endless-v0", None, cap)
            assert env.spec.max_episode_steps == expected
    finally:
        del gym.registry["Endless-v0"]
    assert environments.make("CartPole-v0").spec.max_episode_steps == 200


def test_windows_need_no_opengl_and_frames_no_screen(monkeypatch):
    monkeypatch.setattr(os, "environ", {"DISPLAY": ":0"})
    assert environments.render_mode(play_flags(display=True)) == "human"
    assert os.environ["SDL_RENDER_DRIVER"] == "software"
    assert os.environ["SDL_FRAMEBUFFER_ACCELERATION"] == "0"
    environments.render_offscreen("human")
    assert "SDL_VIDEODRIVER" not in os.environ
    environments.render_offscreen("rgb_array")
    assert os.environ["SDL_VIDEODRIVER"] == "dummy"


def test_invalid_play_flags_are_refused(tmp_path, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for changes, says in (({"display": True}, "needs a screen"),
                          ({"display": True, "record": "a.mp4"}, "exclude each other"),
                          ({"record": str(tmp_path / "absent" / "a.mp4")}, "cannot write a video"),
                          ({"record": str(tmp_path / "a.avi")}, "cannot write a video")):
        with pytest.raises(UserError, match=says):
            environments.render_mode(play_flags(**changes))
    record = play_flags(record=str(tmp_path / "a.mp4"))
    assert environments.render_mode(record) == "rgb_array"
    assert environments.render_mode(play_flags()) is None


def test_a_recording_has_one_frame_per_step(tmp_path, capsys):
    env = environments.make("CartPole-v1", "rgb_array")
    env.reset(seed=0)
    path, seen = tmp_path / "pole.gif", []
    rate = environments.frame_rate(env)
    with environments.recorder(play_flags(record=str(path)), env, rate) as look:
        for action in (0, 1, 1):
            env.step(action)
            look()
            seen.append(env.render())
    np.testing.assert_array_equal(read_gif(path), seen)
    assert capsys.readouterr().out == f"{path}: 3 frames\n"
    with environments.recorder(play_flags(), env, rate) as look:
        look()
    assert capsys.readouterr().out == ""


def test_small_frames_are_enlarged_twofold():
    for shape, expected in (((210, 160, 3), (420, 320, 3)), ((400, 600, 3), (400, 600, 3))):
        assert environments.enlarge(np.zeros(shape, np.uint8)).shape == expected
