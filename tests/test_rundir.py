"""Run folders: their names, lock and config.json."""

import datetime
import errno
import os
import shlex
import signal
import types
from pathlib import Path

import pytest
import tensorflow as tf
from helpers import CHAPTER, fails, fork, resolve, start

from common import checkpoint, checkpoint_files, cli, config, files, lock, parser, rundir
from common.errors import UserError, exit_status


def test_config_tells_what_made_a_run(capsys):
    run = start("--name", "a", "--size", "4", "--data_dir", "x")
    config = rundir.read_config(run)
    assert config["chapter"] == CHAPTER and config["script"] == "train.py"
    assert config["neutral"] == sorted(parser.NEUTRAL)
    assert config["flags"] == {
        "data_dir": str(Path("x").resolve()), "keep": 1.0, "max_steps": 10, "preset": "demo",
        "rate": 0.1, "seed": 0, "size": 4,
    }
    assert config["parameters"] == 7 and config["dataset_sha256"] == "a" * 64
    assert set(config["versions"]) == {"python", "tensorflow", "keras", "numpy"}
    assert [entry["command"] for entry in config["history"]] == [
        f"python train.py --name a --size 4 --data_dir {shlex.quote(str(Path('x').resolve()))}"
    ]
    assert capsys.readouterr().out == f"to watch it: tensorboard --logdir {run}\n"


def test_an_error_before_the_next_checkpoint_leaves_the_config_as_it_was():
    run = start("--name", "a")
    before = rundir.read_config(run)
    again = resolve("--name", "a", "--max_steps", "20")

    def refuse(step):
        with pytest.raises(UserError), rundir.open_run(again, dataset_sha256="a" * 64):
            if step:
                state = checkpoint.TrainState(run, {"module": tf.Module()})
                state.step.assign(step)
                state.save()
            raise UserError("nothing to do", "do something else")

    refuse(0)
    assert rundir.read_config(run) == before
    refuse(3)  # this checkpoint was made with the new flags
    assert rundir.read_config(run)["flags"]["max_steps"] == 20


@pytest.mark.parametrize("name", ["a", "7", "a.b-c_d", "一"])
def test_names(runs, name):
    assert start("--name", name) == runs / CHAPTER / name


@pytest.mark.parametrize("name", ["../a", "a/b", "/a", "..", ".a", "-a", "a b", "a\n", "$a"])
def test_names_that_are_none(runs, capsys, name):
    assert fails(f"--name={name}") == f"--name {name} is not a name"
    verb = cli.verb_parser(f"{CHAPTER}/show.py", "Shows.")
    assert cli.run_verb(lambda args, flags: None, verb, [f"--name={name}"]) == 2
    assert f"--name {name} is not a name" in capsys.readouterr().err
    assert not any(runs.iterdir())


def test_folders(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert start("--name", "a") == runs / CHAPTER / "a"
    assert start("--run_dir", "b") == tmp_path / "b"
    assert start("--name", "a", "--resume") == runs / CHAPTER / "a"
    assert start("--run_dir", "b", "--resume") == tmp_path / "b"
    assert f"both --run_dir {tmp_path / 'b'} and --name a" in fails("--run_dir", "b", "--name", "a")
    assert f"no run in {runs / CHAPTER / 'c'} to resume" in fails("--name", "c", "--resume")
    assert not (runs / CHAPTER / "c").exists()
    monkeypatch.delenv("DL21_RUNS")
    assert rundir.runs_dir() == files.ROOT / "runs"


def test_run_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in fails("--run_dir", str(tmp_path / "file"))


def test_resume_means_the_run_used_last():
    assert f"no run of {CHAPTER}" in fails("--resume")
    first, second = start("--name", "a"), start("--name", "b")
    for number, run in enumerate([second, first]):
        os.utime(run / "config.json", (number, number))
    assert resolve("--resume").run_dir == first == rundir.latest_run(CHAPTER)
    start("--name", "b")
    assert resolve("--resume").run_dir == second


@pytest.fixture
def frozen(monkeypatch):
    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(rundir, "datetime", types.SimpleNamespace(datetime=Frozen))


def test_starts_in_one_second_get_folders_of_their_own(runs, frozen):
    names = [start().name for _ in range(3)]
    assert names == [f"20260102-030405-demo{suffix}" for suffix in ("", "-2", "-3")]


def test_starts_side_by_side_get_folders_of_their_own(frozen):
    first, second = resolve(), resolve("--seed", "1")
    assert first.run_dir == second.run_dir and not first.run_dir.exists()
    facts = {"dataset_sha256": "a" * 64, "parameters": 7}
    with rundir.open_run(first, **facts) as run, rundir.open_run(second, **facts) as other:
        assert run != other


def hold(run, connection):
    with rundir.open_run(resolve("--run_dir", run), dataset_sha256="0", parameters=1):
        connection.send("locked")
        signal.pause()


def test_run_folder_is_locked_until_its_process_is_gone(tmp_path, capsys):
    run = tmp_path / "busy"
    with fork(hold, str(run)) as (process, connection):
        assert connection.recv() == "locked"
        before = (run / "config.json").read_bytes()
        assert exit_status(lambda: start("--run_dir", str(run), sha="0") and None) == 2
        assert f"error: {run} is in use by another process\nhint: " in capsys.readouterr().err
        assert (run / "config.json").read_bytes() == before
        assert lock.in_use(run)
        process.kill()
        process.join()
        assert not lock.in_use(run)
        assert start("--run_dir", str(run), sha="0") == run


def test_run_of_another_chapter_is_refused(runs):
    config = rundir.read_config(run := start("--name", "a"))
    files.write_json(run / "config.json", config | {"chapter": "chapter98"})
    assert f"{runs / CHAPTER / 'a'} is a run of chapter98, not of {CHAPTER}" in fails("--name", "a")


@pytest.mark.parametrize("content", [b"", b'{"chapter": "chap', b"\xff\xfe\x00", b"[]",
                                     b'{"chapter": "chapter99_test"}', b"[" * 100_000])
def test_damaged_config_is_named(runs, content):
    path = start("--name", "a") / "config.json"
    path.write_bytes(content)
    assert str(path) in fails("--name", "a")


@pytest.mark.parametrize(("key", "value"), [
    ("flags", []), ("flags", None), ("history", {}), ("history", [3]), ("history", [{}]),
    ("history", [{"command": "a", "changed": 3}]), ("dataset_sha256", 3), ("versions", ""),
    ("parameters", "7"), ("chapter", []),
])
def test_config_of_another_form_is_damaged(key, value):
    config = rundir.read_config(run := start("--name", "a"))
    files.write_json(run / "config.json", config | {key: value})
    assert fails("--name", "a").startswith(f"{run}/config.json is damaged: ")


def test_changed_data_is_refused():
    run = start("--name", "a", sha="a" * 64)
    with pytest.raises(UserError, match=f"{run} has changed: sha256 bbbbbbbbbbbb, it was aaaa"):
        start("--name", "a", sha="b" * 64)
    assert len(rundir.read_config(run)["history"]) == 1
    with pytest.raises(UserError, match="has changed"):
        rundir.check_data(run, "b" * 64)


def save(run, *steps):
    state = checkpoint.TrainState(run, {"module": tf.Module()})
    for step in steps:
        state.step.assign(step)
        state.save()


@pytest.mark.parametrize("content", [
    None, b"", b"\xff\xfe\x00", b"model_checkpoint_path: 7", b"[]",
    b'model_checkpoint_path: "foo"\nall_model_checkpoint_paths: "foo"'])
def test_a_damaged_list_of_checkpoints_is_made_again(content):
    run = start("--name", "a")
    save(run, 3, 9, 10)
    folder = run / "checkpoints"
    if content is None:
        (folder / "checkpoint").unlink()
    else:
        (folder / "checkpoint").write_bytes(content)
    assert rundir.last_step(run) == 10
    (folder / "ckpt-11_temp").mkdir()  # as a kill within a save leaves
    start("--name", "a", "--max_steps", "20")
    assert not (folder / "ckpt-11_temp").exists()
    assert [checkpoint_files.step_of(path) for path in checkpoint_files.checkpoints(folder)] == [
        3, 9, 10]
    save(run, 11, 12, 13)
    assert [checkpoint_files.step_of(path) for path in checkpoint_files.checkpoints(folder)] == [
        9, 10, 11, 12, 13]


def test_checkpoints_without_a_config_are_not_taken_for_a_new_run():
    run = start("--name", "a")
    save(run, 3)
    (run / "config.json").unlink()
    assert fails("--name", "a") == f"{run} has checkpoints, but no config.json"


@pytest.mark.parametrize("char", "*?[]\\")
def test_paths_in_which_tensorflow_finds_no_checkpoints(tmp_path, monkeypatch, char):
    path = tmp_path / f"a{char}"
    assert fails("--run_dir", str(path)).startswith(f"{path} has {char}, which TensorFlow takes")
    monkeypatch.setenv("DL21_RUNS", str(path))
    assert f"has {char}, which" in fails() and not path.exists()


def test_a_file_system_without_locks_is_used_with_a_warning(monkeypatch, capsys):
    def flock(file, flags):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    run = start("--name", "a")
    assert f"{run} cannot be locked (Operation not supported)" in capsys.readouterr().err
    assert not lock.in_use(run)


def test_a_run_moves_with_the_repository(monkeypatch, tmp_path):
    run = start("--name", "a", "--data_dir", str(files.ROOT / "x" / "y"))
    assert files.read_json(run / "config.json")["flags"]["data_dir"] == "./x/y"
    assert resolve("--name", "a", "--data_dir", str(files.ROOT / "x" / "y")).changed == {}
    monkeypatch.setattr(config, "ROOT", tmp_path)
    assert rundir.read_config(run)["flags"]["data_dir"] == str(tmp_path / "x" / "y")
    assert resolve("--name", "a").data_dir == str(tmp_path / "x" / "y")


def test_every_start_records_its_commit(monkeypatch):
    commits = [{"commit": "a", "dirty": False}, {"commit": "b", "dirty": True}]
    monkeypatch.setattr(rundir, "commit", lambda: commits.pop(0))
    run = start("--name", "a")
    start("--name", "a")
    history = rundir.read_config(run)["history"]
    assert [(entry["commit"], entry["dirty"]) for entry in history] == [("a", False), ("b", True)]
