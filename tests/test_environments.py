"""Environments: names, arguments, step limits, windows and recordings."""

import argparse
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


@pytest.mark.parametrize(("text", "values"), [
    ("", {}),
    ("is_slippery=False", {"is_slippery": False}),
    (" size=8, rate = 1e-3,map_name=4x4,on=true,", None),
    ("size=8,rate=1e-3,map_name=4x4,on=true", {"size": 8, "rate": 0.001, "map_name": "4x4",
                                               "on": True}),
    ("formula=a=b", {"formula": "a=b"}),
])
def test_arguments_are_bools_numbers_and_texts(text, values):
    if values is None:
        with pytest.raises(argparse.ArgumentTypeError, match="rate = 1e-3 is not key=value"):
            environments.keyword_text(text)
        return
    written = environments.keyword_text(text)
    found = environments.keywords(written)
    assert found == values and [*found] == sorted(found)
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in values.items()}
    assert environments.keyword_text(written) == written  # one spelling


@pytest.mark.parametrize(("text", "says"), [
    ("is_slippery", "is_slippery is not key=value"), ("=3", "=3 is not"), ("a-b=3", "a-b=3 is not"),
    ("a=1,a=2", "a is given twice"), ("render_mode=human", "set by flags"),
])
def test_what_no_environment_takes_is_no_argument(text, says):
    with pytest.raises(argparse.ArgumentTypeError, match=says):
        environments.keyword_text(text)


def test_a_module_brings_its_environments(mine):
    env = environments.make(f"{mine}:Row-v0", None, None, dtype="int64", size=2)
    assert env.spec.max_episode_steps == environments.STEP_CAP
    env.reset(seed=0)
    observation, *_ = env.step(1)
    assert observation.dtype == np.int64 and observation[0] == 2
    found = environments.Float32(env)
    assert found.observation_space == gym.spaces.Box(-(2.0**40), 2.0**40, (2,), np.float32)
    observation, _ = found.reset(seed=0)
    assert observation.dtype == np.float32 and found.observation_space.contains(observation)
    assert environments.file_name(f"{mine}:Row-v0") == "mine-Row-v0"
    assert environments.make(f"{mine}:Walk-v0").spec.max_episode_steps == 30


@pytest.mark.parametrize(("name", "options", "says", "hint"), [
    ("absent:Row-v0", {}, "cannot import absent, .* ModuleNotFoundError", "PYTHONPATH"),
    ("broken:Row-v0", {}, "cannot import broken, .* ZeroDivisionError", "PYTHONPATH"),
    ("mine:Rwo-v0", {}, "knows no environment mine:Rwo-v0", "Row-v0"),
    ("mine:Row-v0", {"color": 3}, "cannot make mine:Row-v0: TypeError.*color", "_kwargs color"),
    ("mine:Row-v0", {"dtype": "text"}, "cannot make mine:Row-v0: TypeError", "--env_kwargs dtype"),
])
def test_what_a_module_does_not_bring_is_an_error(mine, tmp_path, name, options, says, hint):
    (tmp_path / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(UserError, match=says) as error:
        environments.make(name, **options)
    assert hint in error.value.hint


@pytest.mark.parametrize("render_mode", ["rgb_array", "human", "ansi"])
@pytest.mark.parametrize("name", ["Row-v0", "Push-v0"])
def test_an_environment_that_does_not_render_says_so(mine, name, render_mode):
    what = "text" if render_mode == "ansi" else "images"
    with pytest.raises(UserError, match=f"mine:{name} renders no {what}: .* none"):
        environments.make(f"{mine}:{name}", render_mode)


def test_an_environment_that_takes_no_render_mode_says_so(mine):
    assert environments.make(f"{mine}:Silent-v0").render_mode is None
    with pytest.raises(UserError, match=r"cannot make mine:Silent-v0: .*render_mode") as error:
        environments.make(f"{mine}:Silent-v0", "rgb_array")
    assert "--no-video" in error.value.hint


def test_a_specification_is_told_by_names(mine):
    spec = environments.find_spec("CartPole-v1")
    assert environments.to_json(spec) == spec.to_json().encode()
    own = environments.to_json(environments.find_spec(f"{mine}:Row-v0"))
    assert b'"entry_point": "mine:Row"' in own
    assert own != environments.to_json(environments.make(f"{mine}:Row-v0", size=2).spec)


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
