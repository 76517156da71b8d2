"""Command lines, run folders, inputs, monitor, exports and pictures."""

import datetime
import hashlib
import http.server
import importlib
import io
import json
import os
import subprocess
import sys
import threading
import time
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from common import checkpoint, cli, export, images, inputs, results, rundir
from common.errors import UserError
from common.monitor import Monitor, read_curve
from common.word_vectors import read_vectors, start_embedding

CHAPTER = "chapter99_test"
PRESETS = {"demo": {"size": 2}, "book": {"size": 3, "rate": 0.5}}


def test_real_data_skips_without_a_folder_and_fails_without_the_file(
    real_data, tmp_path, monkeypatch
):
    monkeypatch.delenv("DL21_DATA", raising=False)
    with pytest.raises(pytest.skip.Exception, match="DL21_DATA"):
        real_data("mnist")
    monkeypatch.setenv("DL21_DATA", str(tmp_path))
    with pytest.raises(AssertionError, match=f"{tmp_path / 'mnist'} does not exist"):
        real_data("mnist")
    (tmp_path / "mnist").mkdir()
    assert real_data("mnist") == tmp_path / "mnist"


# ---------------------------------------------------------------- rundir: files and locks


def test_write_json_keeps_the_old_file_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path, part = tmp_path / "a.json", tmp_path / "a.json.part"
    rundir.write_json(path, {"name": "一"})
    for value, error in ((object(), TypeError), ({"loss": float("nan")}, ValueError)):
        with pytest.raises(error):
            rundir.write_json(path, value)
        assert not part.exists() and rundir.read_json(path) == {"name": "一"}

    def broken(self, text, **_):
        self.write_bytes(text.encode()[:3])
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", broken)
        with pytest.raises(OSError, match="disk full"):
            rundir.write_json(path, {"name": "two"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "一"}
    rundir.write_json(path, {"name": "two"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "two"}
    assert not part.exists()


@pytest.mark.parametrize(("content", "message"), [
    (None, "cannot read {path}: No such file or directory"),
    (b"", "{path} is not valid JSON"),
    (b'{"name": "tw', "{path} is not valid JSON"),
    (b"\xff\xfe\x00", "{path} is not valid JSON"),
])
def test_json_that_is_missing_or_damaged_is_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        rundir.read_json(path)
    assert str(caught.value).startswith(message.format(path=path)) and caught.value.hint


WRITER = """
import sys, pathlib
from common import rundir
for number in range(10**9):
    rundir.write_json(pathlib.Path(sys.argv[1]), [number] * 100_000)
"""


def test_killed_writer_leaves_whole_json(tmp_path):
    path = tmp_path / "a.json"
    for delay in (0.01, 0.05, 0.1):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", WRITER, path])
        while not path.exists():
            time.sleep(0.005)
        time.sleep(delay)
        process.kill()
        process.wait()
        assert len(set(json.loads(path.read_text()))) == 1


HOLDER = """
import sys
from common import cli, rundir
presets = {"demo": {}}
parser = cli.training_parser("", presets)
args = cli.resolve(parser, presets, sys.argv[2], ["--run_dir", sys.argv[1]])
with rundir.open_run(args, dataset_sha256="0", parameters=1):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_run_folder_is_locked_until_its_process_is_gone(tmp_path, capsys):
    run = tmp_path / "busy"
    command = [sys.executable, "-c", HOLDER, run, CHAPTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        while b"locked" not in process.stdout.readline():
            assert process.poll() is None
        before = (run / "config.json").read_bytes()
        assert cli.run(lambda: start("--run_dir", str(run), sha="0") and None) == 2
        assert f"error: {run} is in use by another process\nhint: " in capsys.readouterr().err
        assert (run / "config.json").read_bytes() == before
        assert rundir.in_use(run)
        process.kill()
        process.wait()
        assert not rundir.in_use(run)
        assert start("--run_dir", str(run), sha="0") == run


# ---------------------------------------------------------------- cli and rundir: flags, folders


def build_parser():
    parser = cli.training_parser("Trains.", PRESETS)
    parser.add_argument("--size", type=cli.positive_int, default=1, help="size")
    parser.add_argument("--rate", type=cli.positive_float, default=0.1, help="rate")
    parser.add_argument("--keep", type=cli.fraction, default=1.0, help="share")
    parser.add_argument("--max_steps", type=cli.positive_int, default=10, help="steps")
    parser.add_argument("--data_dir", type=cli.path, default="data", help="folder")
    return parser


def resolve(*argv):
    return cli.resolve(build_parser(), PRESETS, CHAPTER, argv)


def start(*argv, sha="a" * 64):
    with rundir.open_run(resolve(*argv), dataset_sha256=sha, parameters=7) as run:
        return run


def fails(*argv):
    with pytest.raises(UserError) as caught:
        start(*argv)
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize(("argv", "size", "rate"), [
    ([], 2, 0.1),
    (["--preset", "book"], 3, 0.5),
    (["--preset", "book", "--size", "9"], 9, 0.5),
    (["--preset", "book", "--rate", "0.1"], 3, 0.1),
])
def test_default_then_preset_then_typed(argv, size, rate):
    args = resolve(*argv)
    assert (args.size, args.rate) == (size, rate)
    assert args.command == " ".join(["python", "train.py", *argv])


@pytest.mark.parametrize(("argv", "message"), [
    (["--sise", "3"], "unrecognized arguments: --sise 3"),
    (["--max", "3"], "unrecognized arguments: --max 3"),
    (["--size", "0"], "argument --size: 0 is not a whole number of at least 1"),
    (["--size", "2.5"], "argument --size: 2.5 is not a whole number of at least 1"),
    (["--size", "few"], "argument --size: few is not a whole number of at least 1"),
    (["--rate", "nan"], "argument --rate: nan is not a number above 0"),
    (["--rate", "inf"], "argument --rate: inf is not a number above 0"),
    (["--rate", "0"], "argument --rate: 0 is not a number above 0"),
    (["--seed", "-1"], "argument --seed: -1 is not a whole number from 0 to 4294967295"),
    (["--keep", "1.5"], "argument --keep: 1.5 is not between 0 and 1"),
    (["--preset", "worst"], "argument --preset: invalid choice: 'worst'"),
])
def test_bad_flags_end_with_two_lines_and_status_2(runs, capsys, argv, message):
    assert cli.run_training(lambda args: {}, build_parser(), PRESETS, CHAPTER, argv) == 2
    output = capsys.readouterr()
    error, hint = output.err.splitlines()
    assert error.startswith(f"error: {message}")
    assert hint == "hint: python train.py --help lists the flags"
    assert output.out == "" and not any(runs.iterdir())


def test_help_shows_defaults(capsys):
    with pytest.raises(SystemExit) as caught:
        resolve("--help")
    assert caught.value.code == 0
    assert "(default: 10)" in capsys.readouterr().out


def test_outcomes_become_exit_statuses(capsys):
    def press_ctrl_c():
        raise KeyboardInterrupt

    assert cli.run(lambda: {"loss": 0.5}) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"loss": 0.5}
    assert cli.run(press_ctrl_c) == 130
    assert capsys.readouterr() == ("", "interrupted\n")
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: 1 / 0)
    with pytest.raises(ValueError, match="not JSON compliant"):
        cli.run(lambda: {"loss": float("nan")})
    assert capsys.readouterr().out == ""


def test_recorded_command_sets_the_typed_flags():
    typed = {"name": "a b", "size": 4, "data_dir": "/x", "augment": True, "tfds": False}
    words = "--name 'a b' --size 4 --data_dir /x --augment --no-tfds"
    assert cli.command(typed) == f"python train.py {words}"
    args = resolve("--data_dir=x", "--rate", "5e-1")
    assert args.command == f"python train.py --rate 0.5 --data_dir {Path('x').resolve()}"


def test_config_tells_what_made_a_run(capsys):
    run = start("--name", "a", "--size", "4", "--data_dir", "x")
    config = rundir.read_config(run, CHAPTER)
    assert config["flags"] == {
        "data_dir": str(Path("x").resolve()), "keep": 1.0, "max_steps": 10, "preset": "demo",
        "rate": 0.1, "seed": 0, "size": 4,
    }
    assert config["parameters"] == 7 and config["dataset_sha256"] == "a" * 64
    assert set(config["versions"]) == {"python", "tensorflow", "keras", "numpy"}
    assert [entry["command"] for entry in config["history"]] == [
        f"python train.py --name a --size 4 --data_dir {Path('x').resolve()}"
    ]
    assert capsys.readouterr().out == f"watch it with: tensorboard --logdir {run}\n"


def test_resume_takes_the_runs_flags_and_records_free_changes(capsys):
    run = start("--name", "a", "--preset", "book", "--size", "4")
    args = resolve("--name", "a")
    assert (args.preset, args.size, args.rate, args.run_dir) == ("book", 4, 0.5, run)
    start("--resume", "--max_steps", "20", "--size", "4")
    assert "max_steps: 10 -> 20" in capsys.readouterr().err
    config = rundir.read_config(run, CHAPTER)
    assert config["flags"]["max_steps"] == 20 and config["flags"]["size"] == 4
    assert config["history"][1]["changed"] == {"max_steps": 20}
    assert resolve("--resume").max_steps == 20


def test_an_error_before_the_next_checkpoint_leaves_the_config_as_it_was():
    run = start("--name", "a")
    before = rundir.read_config(run, CHAPTER)
    again = resolve("--name", "a", "--max_steps", "20")

    def refuse(step):
        with pytest.raises(UserError), rundir.open_run(again, dataset_sha256="a" * 64):
            if step:
                state = checkpoint.TrainState(run, {"module": tf.Module()})
                state.step.assign(step)
                state.save()
            raise UserError("nothing to do", "do something else")

    refuse(0)
    assert rundir.read_config(run, CHAPTER) == before
    refuse(3)  # this checkpoint was made with the new flags
    assert rundir.read_config(run, CHAPTER)["flags"]["max_steps"] == 20


@pytest.mark.parametrize(("flag", "old", "new"), [
    ("size", "2", "5"), ("seed", "0", "1"), ("preset", "demo", "book"), ("rate", "0.1", "0.2"),
])
def test_resume_refuses_to_change_a_fixed_flag(flag, old, new):
    run = start("--name", "a")
    before = (run / "config.json").read_bytes()
    message = f"--{flag} {new} contradicts {run}, made with --{flag} {old}"
    assert fails("--name", "a", f"--{flag}", new) == message
    assert (run / "config.json").read_bytes() == before


def test_finished_run_is_refused_until_max_steps_is_raised():
    run = start("--name", "a")
    assert rundir.last_step(run) == 0
    module = tf.Module()
    module.value = tf.Variable(0.0)
    for step in (1, 9, 10):
        assert resolve("--name", "a").max_steps == 10
        state = checkpoint.TrainState(run, {"module": module})
        state.step.assign(step)
        state.save()
        assert rundir.last_step(run) == step
    (run / "checkpoints" / "ckpt-11.index").touch()  # as a kill may leave one
    assert rundir.last_step(run) == 10
    before = (run / "config.json").read_bytes()
    for argv in (["--name", "a"], ["--resume"], ["--name", "a", "--max_steps", "9"]):
        assert fails(*argv).startswith(f"nothing to do: {run} is at step 10 of ")
    assert (run / "config.json").read_bytes() == before
    start("--name", "a", "--max_steps", "11")
    assert rundir.read_config(run, CHAPTER)["flags"]["max_steps"] == 11


@pytest.mark.parametrize("name", ["a", "7", "a.b-c_d", "一"])
def test_names(runs, name):
    assert start("--name", name) == runs / CHAPTER / name


@pytest.mark.parametrize("name", ["../a", "a/b", "/a", "..", ".a", "-a", "a b", "a\n", "$a"])
def test_names_that_are_none(runs, capsys, name):
    assert fails(f"--name={name}") == f"--name {name} is not a name"
    verb = cli.verb_parser("Shows.", "show.py")
    assert cli.run_verb(lambda args, flags: None, verb, CHAPTER, [f"--name={name}"]) == 2
    assert f"--name {name} is not a name" in capsys.readouterr().err
    assert not any(runs.iterdir())


def test_folders(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert start("--name", "a") == runs / CHAPTER / "a"
    assert start("--run_dir", "b") == tmp_path / "b"
    assert start("--name", "a", "--resume") == runs / CHAPTER / "a"
    assert start("--run_dir", "b", "--resume") == tmp_path / "b"
    assert "both --run_dir b and --name a" in fails("--run_dir", "b", "--name", "a")
    assert f"no run in {runs / CHAPTER / 'c'} to resume" in fails("--name", "c", "--resume")
    assert not (runs / CHAPTER / "c").exists()
    monkeypatch.delenv("DL21_RUNS")
    assert rundir.runs_dir() == rundir.ROOT / "runs"


def test_run_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in fails("--run_dir", str(tmp_path / "file"))


def test_resume_means_the_run_used_last():
    assert f"no run of {CHAPTER}" in fails("--resume")
    first, second = start("--name", "a"), start("--name", "b")
    for number, run in enumerate([second, first]):
        os.utime(run / "config.json", (number, number))
    assert resolve("--resume").run_dir == first == rundir.newest(CHAPTER)
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


def test_verbs_find_their_run(runs):
    def verb(*argv):
        found = []
        status = cli.run_verb(lambda args, flags: found.append((args.run_dir, flags.size)),
                              cli.verb_parser("Shows.", "show.py"), CHAPTER, argv)
        return status, found

    assert verb() == (2, [])
    run = start("--name", "a", "--size", "4")
    start("--name", "b")
    os.utime(run / "config.json", (1, 1))
    assert verb() == (0, [(runs / CHAPTER / "b", 2)])
    assert verb("--name", "a") == verb("--run_dir", str(run)) == (0, [(run, 4)])
    assert verb("--name", "c") == verb("--name", "a", "--run_dir", "b") == (2, [])
    assert verb("--size", "4") == (2, [])


def test_run_of_another_chapter_is_refused(runs):
    rundir.write_json(start("--name", "a") / "config.json", {"chapter": "chapter98", "flags": {}})
    assert f"{runs / CHAPTER / 'a'} is a run of chapter98, not of {CHAPTER}" in fails("--name", "a")


@pytest.mark.parametrize("content", [b"", b'{"chapter": "chap', b"\xff\xfe\x00", b"[]",
                                     b'{"chapter": "chapter99_test"}'])
def test_damaged_config_is_named(runs, content):
    path = start("--name", "a") / "config.json"
    path.write_bytes(content)
    assert str(path) in fails("--name", "a")


def test_changed_data_is_refused():
    run = start("--name", "a", sha="a" * 64)
    with pytest.raises(UserError, match=f"{run} has changed: sha256 bbbbbbbbbbbb, it was aaaa"):
        start("--name", "a", sha="b" * 64)
    assert len(rundir.read_config(run, CHAPTER)["history"]) == 1
    with pytest.raises(UserError, match="has changed"):
        rundir.check_data(run, CHAPTER, "b" * 64)


@pytest.mark.parametrize(("path", "portable"), [
    ("{data}/mnist/a", "$DL21_DATA/mnist/a"),
    ("{data}", "$DL21_DATA"),
    ("{data}2/mnist", "{data}2/mnist"),
    ("{root}/chapter99_test/x/a.txt", "x/a.txt"),
    ("{root}/chapter99_test2/a.txt", "../chapter99_test2/a.txt"),
    ("{root}/a.txt", "../a.txt"),
    ("a.txt", "../a.txt"),
    ("/a/b.txt", "/a/b.txt"),
])
def test_path_for_another_machine(tmp_path, monkeypatch, path, portable):
    monkeypatch.setenv("DL21_DATA", str(tmp_path))
    monkeypatch.chdir(rundir.ROOT)
    path, portable = (s.format(data=tmp_path, root=rundir.ROOT) for s in (path, portable))
    assert rundir.portable_path(path, CHAPTER) == portable
    assert rundir.portable_path(Path(path), CHAPTER) == portable


def test_path_for_another_machine_without_a_chapter_or_data(monkeypatch):
    monkeypatch.setenv("DL21_DATA", str(rundir.ROOT / "data"))
    assert rundir.portable_path(rundir.ROOT / "data" / "a", CHAPTER) == "$DL21_DATA/a"
    monkeypatch.delenv("DL21_DATA")
    assert rundir.portable_path(rundir.ROOT / "data" / "a", CHAPTER) == "../data/a"
    assert rundir.portable_path(rundir.ROOT / "data" / "a") == "data/a"


@pytest.mark.parametrize(("words", "portable"), [
    ("--data_dir {data}/mnist --size 3", "--data_dir $DL21_DATA/mnist --size 3"),
    ("--data_dir '{data}/my data'", "--data_dir $DL21_DATA/my data"),
    ("--data_dir {data}2/mnist", "--data_dir {data}2/mnist"),
    ("--input_file {root}/a.txt", "--input_file ../a.txt"),
    ("--input_file {root}/chapter99_test/a.txt", "--input_file a.txt"),
])
def test_command_for_another_machine(tmp_path, monkeypatch, words, portable):
    monkeypatch.setenv("DL21_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    words, portable = (s.format(data=tmp_path, root=rundir.ROOT) for s in (words, portable))
    config = {"chapter": CHAPTER, "history": [{"command": f"python train.py {words}"}]}
    assert rundir.portable_command(config) == f"python train.py {portable}"


def test_command_for_another_machine_ends_with_what_resumes_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("DL21_DATA", str(tmp_path))
    run = start("--name", "a", "--size", "4")
    start("--resume", "--max_steps", "20", "--data_dir", str(tmp_path / "x"))
    start("--resume")
    start("--resume", "--max_steps", "30")
    assert rundir.portable_command(rundir.read_config(run, CHAPTER)) == (
        "python train.py --name a --size 4 --max_steps 20 --data_dir $DL21_DATA/x --max_steps 30"
    )
    config = {"chapter": CHAPTER, "history": [
        {"command": "python train.py --video"}, {"changed": {"video": False, "render": True}}]}
    assert rundir.portable_command(config) == "python train.py --video --no-video --render"


def test_sha256_is_that_of_all_bytes():
    array = np.arange(3, dtype=np.int32)
    expected = hashlib.sha256(array.tobytes() + b"x").hexdigest()
    assert rundir.sha256(array, b"x") == expected


# ---------------------------------------------------------------- inputs


def take(count, *args):
    return [(int(step), indices.numpy()) for step, indices in
            inputs.index_batches(*args).take(count)]


@pytest.mark.parametrize(
    ("num_examples", "batch_size"), [(12, 4), (10, 4), (5, 7), (1, 2), (97, 8)]
)
def test_every_epoch_is_a_permutation(num_examples, batch_size):
    epochs = 3
    batches = take(-(-epochs * num_examples // batch_size), num_examples, batch_size, 5)
    assert [step for step, _ in batches] == list(range(len(batches)))
    assert all(indices.shape == (batch_size,) for _, indices in batches)
    order = np.concatenate([indices for _, indices in batches])[: epochs * num_examples]
    for epoch in order.reshape(epochs, num_examples):
        assert sorted(epoch) == list(range(num_examples))


@pytest.mark.parametrize("start_step", [1, 7, 1000])
def test_starting_later_is_the_same_as_leaving_out(start_step):
    whole = take(start_step + 3, 10, 4, 5)[start_step:]
    later = take(3, 10, 4, 5, start_step)
    for (step, indices), (other_step, other) in zip(whole, later, strict=True):
        assert step == other_step
        np.testing.assert_array_equal(indices, other)


def test_epochs_and_seeds_differ():
    orders = [tuple(indices) for seed in (0, 1, 2) for _, indices in take(3, 50, 50, seed)]
    assert len(set(orders)) == 9
    assert all(order != tuple(range(50)) for order in orders)


def test_finish_keeps_the_short_last_batch():
    dataset = tf.data.Dataset.range(10)
    assert [len(batch) for batch in inputs.finish(dataset, 4)] == [4, 4, 2]
    assert len(list(inputs.finish(dataset))) == 10


def test_check_files_tells_what_is_missing_and_what_is_there(tmp_path):
    (tmp_path / "a").touch()
    assert inputs.check_files(tmp_path, ["a"], "hint") == [tmp_path / "a"]
    with pytest.raises(UserError, match=r"has no b, c; it holds \['a'\]"):
        inputs.check_files(tmp_path, ["a", "b", "c"], "hint")
    with pytest.raises(UserError, match="the folder does not exist"):
        inputs.check_files(tmp_path / "x", ["a"], "hint")


CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.ranges.append(wanted := self.headers.get("Range"))
            if self.path == "/missing":
                return self.send_error(404)
            first = int(wanted[6:-1]) if wanted and server.knows_ranges else 0
            if first >= len(CONTENT):
                return self.send_error(416)
            self.send_response(206 if wanted and server.knows_ranges else 200)
            rest = CONTENT[first:]
            if server.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                rest = b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest)
            else:
                self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: server.cut])

        def log_message(self, *_):
            pass

    Handler.protocol_version = "HTTP/1.1"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.ranges, server.knows_ranges, server.cut, server.chunked = [], True, None, False
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_url():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        port = server.server_port
    return f"http://127.0.0.1:{port}/file"


def test_fetch_downloads_once(tmp_path, server, closed_url):
    path = tmp_path / "data" / "file"
    urls = [closed_url, f"{server.url}/file"]
    assert inputs.fetch(path, urls, SHA256) == path
    assert path.read_bytes() == CONTENT and os.listdir(path.parent) == ["file"]  # noqa: PTH208
    path.write_bytes(b"mine")
    assert inputs.fetch(path, urls, SHA256).read_bytes() == b"mine"
    assert len(server.ranges) == 1


def test_fetch_drops_what_has_the_wrong_sha256(tmp_path, server):
    with pytest.raises(UserError, match=f"has sha256 {SHA256}, expected {'0' * 64}") as caught:
        inputs.fetch(tmp_path / "file", [f"{server.url}/file"], "0" * 64)
    assert str(tmp_path / "file") in caught.value.hint
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("knows_ranges", [True, False])
def test_fetch_goes_on_where_it_broke_off(tmp_path, server, knows_ranges, chunked):
    path, part, urls = tmp_path / "file", tmp_path / "file.part", [f"{server.url}/file"]
    server.knows_ranges, server.chunked, server.cut = knows_ranges, chunked, 100_000
    with pytest.raises(UserError, match="broke off") as caught:
        inputs.fetch(path, urls, SHA256)
    assert "start again to go on" in caught.value.hint
    assert not path.exists()
    done = part.stat().st_size
    assert 0 < done <= 100_000 and CONTENT.startswith(part.read_bytes())
    server.cut = None
    assert inputs.fetch(path, urls, SHA256).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={done}-"]
    assert not part.exists()


def test_fetch_takes_a_part_that_is_complete(tmp_path, server):
    (tmp_path / "file.part").write_bytes(CONTENT)
    path = inputs.fetch(tmp_path / "file", [f"{server.url}/file"], SHA256)
    assert path.read_bytes() == CONTENT


def test_fetch_tries_the_next_mirror(tmp_path, server):
    urls = [f"{server.url}/missing", f"{server.url}/file"]
    assert inputs.fetch(tmp_path / "file", urls, SHA256).read_bytes() == CONTENT


def test_fetch_without_network_tells_how_to_go_on(tmp_path, closed_url):
    path = tmp_path / "data" / "file"
    with pytest.raises(UserError, match=r"no network: 127\.0\.0\.1:") as caught:
        inputs.fetch(path, [closed_url], SHA256)
    assert all(word in caught.value.hint for word in (str(path), SHA256, closed_url))
    assert not path.parent.exists()


# ---------------------------------------------------------------- monitor


def points(folder):
    events = EventAccumulator(str(folder), tensor_size_guidance={"scalars": 0}).Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def numbers(folder, tag):
    return [(step, float(value)) for step, value in points(folder)[tag]]


def test_monitor_writes_lines_and_points(tmp_path, capsys):
    monitor = Monitor(tmp_path, 0)
    monitor.scalars(1, {"loss": tf.constant(0.5), "accuracy": np.float32(0.25)})
    monitor.scalars(2, {"loss": 0.25, "accuracy": 1})
    monitor.scalars(2, {"loss": 0.75}, "val")
    monitor.close()
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
        {"step": 1, "split": "train", "loss": 0.5, "accuracy": 0.25},
        {"step": 2, "split": "train", "loss": 0.25, "accuracy": 1.0},
        {"step": 2, "split": "val", "loss": 0.75},
    ]
    steps, losses = read_curve(tmp_path, "train", "loss")
    assert steps.tolist() == [1, 2] and losses.tolist() == [0.5, 0.25]
    assert len(read_curve(tmp_path, "val", "accuracy")[0]) == 0
    assert numbers(tmp_path / "tb" / "train", "loss") == [(1, 0.5), (2, 0.25)]
    assert numbers(tmp_path / "tb" / "val", "loss") == [(2, 0.75)]
    assert set(points(tmp_path / "tb" / "train")) == {"loss", "accuracy", "steps_per_second"}
    output = capsys.readouterr()
    assert output.out == "" and "step 2  val  loss 0.75" in output.err


@pytest.mark.parametrize("value", [float("nan"), float("inf"), tf.constant(-np.inf)])
def test_monitor_stops_at_numbers_that_are_none(tmp_path, value):
    monitor = Monitor(tmp_path, 0)
    with pytest.raises(UserError, match=rf"loss is {float(value)} at step 3") as caught:
        monitor.scalars(3, {"accuracy": 1.0, "loss": value})
    assert "--learning_rate" in caught.value.hint
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize("torn", ["", '{"step": 7, "spl', '{"step": 3'])
def test_monitor_drops_lines_after_the_restored_step(tmp_path, torn):
    monitor = Monitor(tmp_path, 0)
    for step in range(1, 7):
        monitor.scalars(step, {"loss": step})
    monitor.close()
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines) + torn)
    Monitor(tmp_path, 4).scalars(5, {"loss": 5})
    assert path.read_text() == "".join(lines[:5])


def test_a_damaged_line_of_the_metrics_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "split": "train", "loss": 2.5}\n{"step": 2, "spl')
    assert read_curve(tmp_path, "train", "loss")[1].tolist() == [2.5]  # the last is torn
    path.write_bytes(b'{"step": 1, "split": "train"}\n{"step\xff\n')
    for read in (lambda: read_curve(tmp_path, "train", "loss"), lambda: Monitor(tmp_path, 1)):
        with pytest.raises(UserError, match=f"{path}, line 2 is not valid JSON"):
            read()


def test_a_damaged_list_of_checkpoints_is_named(tmp_path):
    (tmp_path / "checkpoint").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=f"{tmp_path}/checkpoint, the list of checkpoints, is dama"):
        rundir.newest_checkpoint(tmp_path)


def test_nobody_reads_the_output_any_more():
    code = "import sys; from common import cli; sys.exit(cli.run(lambda: print('line\\n' * 99999)))"
    with subprocess.Popen([sys.executable, "-c", code], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 141 and "Traceback" not in said and "BrokenPipe" not in said


def test_monitor_refuses_to_drop_what_no_checkpoint_covers(tmp_path):
    monitor = Monitor(tmp_path, 0)
    monitor.scalars(1, {"loss": 1})
    monitor.close()
    path = tmp_path / "metrics.jsonl"
    monitor = Monitor(tmp_path, 0)  # killed before the first step was saved
    assert path.read_text() == ""
    for step in (1, 2):
        monitor.scalars(step, {"loss": step})
    monitor.close()
    before = path.read_bytes()
    with pytest.raises(UserError, match=f"{path} goes to step 2, but the run has no checkpoint"):
        Monitor(tmp_path, 0)
    assert path.read_bytes() == before and len(list(tmp_path.glob("tb/*/*-resume"))) == 1
    Monitor(tmp_path, 1)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1]


def test_monitor_shows_pictures_and_text(tmp_path):
    monitor = Monitor(tmp_path, 0)
    monitor.images(3, "digits", np.zeros((2, 4, 5, 1), np.uint8))
    monitor.text(3, "samples", "one\n# two")
    monitor.close()
    shown = points(tmp_path / "tb" / "train")
    ((step, (width, height, *pictures)),) = shown["digits"]
    assert (step, width, height, len(pictures)) == (3, b"5", b"4", 2)
    assert Image.open(io.BytesIO(pictures[0])).size == (5, 4)
    ((step, text),) = shown["samples"]
    assert (step, text.item()) == (3, b"    one\n    # two")


# ---------------------------------------------------------------- export


@pytest.mark.slow
def test_export_is_proved_in_a_process_of_its_own(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

    def classify(images, names):
        logits = model(images, training=False)
        labels = tf.strings.join([names, tf.as_string(tf.argmax(logits, axis=1))], ":")
        return {"logits": logits, "labels": labels}

    specs = {
        "images": tf.TensorSpec((None, 3), tf.float32), "names": tf.TensorSpec((None,), tf.string),
    }
    examples = {"serving_default": {
        "images": np.eye(3, dtype=np.float32), "names": np.array(["a", "b", "c"]),
    }}
    signatures = {"serving_default": (classify, specs)}
    folder = export.write(tmp_path, model, signatures, examples, {"classes": ["x", "y"]})
    assert folder == tmp_path / "export" / "1"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]
    assert json.loads((folder / "signature.json").read_text()) == {
        "classes": ["x", "y"],
        "signatures": {"serving_default": {
            "inputs": {"images": "float32 (None, 3)", "names": "string (None,)"},
            "outputs": {"labels": "string (None,)", "logits": "float32 (None, 2)"},
        }},
    }
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    served = serve(images=tf.ones((1, 3)), names=tf.constant(["z"]))["logits"]
    np.testing.assert_allclose(served, model(np.ones((1, 3))), rtol=1e-5)


class Calls(tf.Module):
    def __init__(self):
        self.count = tf.Variable(0.0)

    def __call__(self, start):
        return {"count": self.count.assign_add(start)}


@pytest.mark.slow
@pytest.mark.parametrize("older", [False, True])
def test_export_that_differs_is_not_put_in_place(tmp_path, older):
    kept = tmp_path / "export" / "1" / "saved_model.pb"
    if older:
        kept.parent.mkdir(parents=True)
        kept.write_text("older")
    calls = Calls()
    signatures = {"step": (calls.__call__, {"start": tf.TensorSpec((), tf.float32)})}
    with pytest.raises(UserError, match=r"step\.count differs between model and export"):
        export.write(tmp_path, calls, signatures, {"step": {"start": 1.0}}, {})
    assert kept.read_text() == "older" if older else not kept.parent.exists()


# ---------------------------------------------------------------- images

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def test_read_image_in_every_mode(tmp_path):
    rgb = Image.fromarray(RGB)
    np.testing.assert_array_equal(images.read_image(saved(tmp_path / "rgb.png", rgb)), RGB)
    grey = saved(tmp_path / "grey.png", rgb.convert("L"))
    np.testing.assert_array_equal(images.read_image(grey, "L"), np.asarray(rgb.convert("L")))
    assert images.read_image(grey).shape == (5, 7, 3)
    palette = rgb.quantize(8)
    found = images.read_image(saved(tmp_path / "palette.gif", palette))
    np.testing.assert_array_equal(found, np.asarray(palette.convert("RGB")))


def test_read_image_lays_transparent_pixels_on_white(tmp_path):
    rgba = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [0, 0, 0, 51]]], np.uint8)
    found = images.read_image(saved(tmp_path / "a.png", Image.fromarray(rgba)))
    np.testing.assert_array_equal(found, [[[200, 100, 0], [255] * 3, [204] * 3]])
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    found = images.read_image(saved(tmp_path / "p.png", palette, transparency=1))
    np.testing.assert_array_equal(found, [[[10, 20, 30], [255] * 3]])


@pytest.mark.parametrize(("mode", "kind"), [
    ("RGB", "PNG"), ("RGBA", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGB", "JPEG"),
    ("L", "JPEG"), ("RGB", "BMP"), ("P", "GIF"),
])
def test_decoding_in_a_graph_gives_what_read_image_gives(tmp_path, mode, kind):
    colours = np.random.default_rng(0).integers(0, 256, (60, 50, 4), np.uint8)
    path = tmp_path / "picture"
    Image.fromarray(colours, "RGBA").convert(mode).save(path, kind)
    decode = tf.function(images.decode_on_white, input_signature=[tf.TensorSpec((), tf.string)])
    found = decode(path.read_bytes()).numpy()
    np.testing.assert_array_equal(found, images.read_image(path))



@pytest.mark.parametrize("animated", [False, True])
def test_decoding_in_a_graph_refuses_webp(tmp_path, animated):
    more = {"save_all": True, "append_images": [Image.new("RGB", (7, 5))]} if animated else {}
    encoded = saved(tmp_path / "a.webp", Image.fromarray(RGB), **more).read_bytes()
    decode = tf.function(images.decode_on_white, input_signature=[tf.TensorSpec((), tf.string)])
    for read in (decode, images.decode_on_white):
        with pytest.raises(tf.errors.InvalidArgumentError, match="a WebP is not read here"):
            read(encoded)
        for nothing in (b"", b"x", b"RIFF"):
            with pytest.raises(tf.errors.InvalidArgumentError):
                read(nothing)


def test_read_image_is_silent_in_threads(tmp_path, monkeypatch):
    path = saved(tmp_path / "large.png", Image.fromarray(RGB))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow warns of 35 pixels
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        importlib.reload(images)  # pytest puts the filters of imports away
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(images.read_image, [path] * 100))
        assert len(found) == 100 and told == [] and warnings.filters == before


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_read_image_refuses_32_bits(tmp_path, kind):
    path = saved(tmp_path / "deep.tif", Image.fromarray(np.array([[0, 256, 70000]], kind)))
    with pytest.raises(UserError, match=r"deep.tif has grey values of 32 bits \(mode [IF]\)"):
        images.read_image(path)


def test_read_image_scales_16_bits(tmp_path):
    deep = Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16))
    found = images.read_image(saved(tmp_path / "deep.png", deep), "L")
    np.testing.assert_array_equal(found, [[0, 1, 128, 255]])


def test_read_image_turns_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    lying = np.zeros((16, 32, 3), np.uint8)
    lying[:, :16] = 255
    path = saved(tmp_path / "a.jpg", Image.fromarray(lying), exif=exif, quality=95)
    found = images.read_image(path)
    assert found.shape == (32, 16, 3)
    assert found[:12].min() > 200 and found[20:].max() < 50


@pytest.mark.parametrize("content", [b"", b"no picture", b"PNG", b"JPEG"])
def test_read_image_refuses_what_is_no_picture(tmp_path, content):
    path = tmp_path / "a.png"
    if content in (b"PNG", b"JPEG"):
        saved(path, Image.fromarray(RGB).resize((64, 64)), format=content.decode())
        content = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} is not a picture that can be read"):
        images.read_image(path)


def test_read_image_refuses_missing_files_folders_and_bombs(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="there is no file"):
        images.read_image(tmp_path / "a.png")
    with pytest.raises(UserError, match="is not a picture"):
        images.read_image(tmp_path)
    path = saved(tmp_path / "large.png", Image.fromarray(RGB))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match="is not a picture"):
        images.read_image(path)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_write_png_and_back(tmp_path, shape):
    image = RGB[..., : shape[-1] if len(shape) == 3 else 1].reshape(shape)
    path = tmp_path / "new" / "a.png"
    images.write_png(path, image)
    found = images.read_image(path, "RGB" if shape[-1] == 3 else "L")
    np.testing.assert_array_equal(found.reshape(shape), image)


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_grid_lays_pictures_out_in_rows(channels):
    pictures = np.stack([np.full((2, 3, *channels), number, np.uint8) for number in range(5)])
    sheet = images.grid(pictures, columns=3, gap=1)
    assert sheet.shape == (7, 13, *channels) and sheet.dtype == np.uint8
    assert (sheet[1:3, 5:8] == 1).all() and (sheet[4:6, 1:4] == 3).all()
    assert (sheet[4:6, 9:12] == 255).all() and (sheet[0] == 255).all()


# ---------------------------------------------------------------- results


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(results, "_git", lambda *words: "")

    def evaluate(run, *argv):
        """Saves step 1, evaluates, and returns the status and the names of what is published."""
        model = tf.Module()
        model.weight = tf.Variable(1.0)
        state = checkpoint.TrainState(run, {"model": model})
        state.step.assign(1)
        state.save()
        parser = cli.verb_parser("Evaluates.", "eval.py")
        results.add_publish_flag(parser)
        status = cli.run_verb(
            lambda args, flags: results.write(args, CHAPTER, "mnist", "conv",
                                              {"test": {"accuracy": 0.5}}, {"accuracy": 0.6}),
            parser, CHAPTER, ["--run_dir", str(run), *argv],
        )
        return status, sorted(path.name for path in (tmp_path / "results").glob("*/*"))

    return evaluate


def test_run_of_a_preset_is_published_under_its_name(evaluate, tmp_path):
    run = start("--name", "a", "--preset", "book", "--seed", "3", "--data_dir", "x")
    assert evaluate(run) == (0, [])
    assert evaluate(run, "--publish") == (0, ["mnist-conv-seed3.json"])
    result = rundir.read_json(run / "eval.json")
    assert rundir.read_json(tmp_path / "results" / CHAPTER / "mnist-conv-seed3.json") == result
    assert result == result | {
        "chapter": CHAPTER, "dataset": "mnist", "model": "conv", "preset": "book", "seed": 3,
        "command": "python train.py --preset book --name a --seed 3 --data_dir "
                   + rundir.portable_path("x", CHAPTER),
        "metrics": {"test": {"accuracy": 0.5}}, "book": {"accuracy": 0.6},
        "checkpoint": "latest",
        "steps": 1, "checkpoint_step": 1, "parameters": 7, "dataset_sha256": "a" * 64,
        "dirty": False,
    }


def test_run_that_differs_from_its_preset_needs_a_suffix(evaluate, capsys):
    run = start("--name", "a", "--size", "4", "--rate", "0.3")
    assert evaluate(run, "--publish") == (2, [])
    assert capsys.readouterr().err.endswith(
        f"error: {run} differs from its preset by --rate --size\n"
        "hint: publish it under another name: --publish SUFFIX\n"
    )
    assert not (run / "eval.json").exists()
    assert evaluate(run) == (0, []) and (run / "eval.json").exists()
    assert evaluate(run, "--publish", "wide") == (0, ["mnist-conv-wide-seed0.json"])


def test_run_that_a_resume_changed_needs_a_suffix(evaluate, capsys):
    run = start("--name", "a")
    start("--resume", "--max_steps", "20", "--data_dir", "x")
    assert evaluate(run, "--publish") == (2, [])
    assert f"{run} differs from its preset by --max_steps\n" in capsys.readouterr().err
    assert evaluate(run, "--publish", "long") == (0, ["mnist-conv-long-seed0.json"])


def write_vectors(path, text="3 2\nUNK 0 0\ngood 1.5 -2\nbad 1e-1 0\n"):
    path.write_text(text, encoding="utf-8")
    return path


def test_word_vectors_of_a_file_are_taken_over(tmp_path, capsys):
    embedding = keras.layers.Embedding(3, 2)
    embedding.build(None)
    before = embedding.embeddings.numpy()
    start_embedding(embedding, ["UNK", "other", "good"], write_vectors(tmp_path / "v.txt"))
    np.testing.assert_array_equal(embedding.embeddings, [[0, 0], before[1], [1.5, -2]])
    assert capsys.readouterr().out == f"{tmp_path / 'v.txt'}: 2 of 3 words\n"


@pytest.mark.parametrize(("text", "says"), [
    ("", "does not begin with two counts"), ("good 1 2\n", "does not begin with two counts"),
    ("1 3\ngood 1 2 3\n", "have 3 numbers, --embedding_size is 2"),
    ("2 2\ngood 1 2\nbad 1\n", "line 3: not a word and 2 numbers"),
    ("1 2\ngood 1 two\n", "line 2: not a word"), ("1 2\ngood 1 nan\n", "line 2: not a word"),
    ("3 2\ngood 1 2\n", "should hold 3 vectors and has 1 lines"),
])
def test_bad_vectors_are_named(text, says, tmp_path):
    with pytest.raises(UserError, match=says):
        read_vectors(write_vectors(tmp_path / "v.txt", text), 2)


def test_layers_have_the_same_names_in_every_training_of_a_process():
    names = []

    def train(args):
        names.append(keras.layers.Dense(1).name)
        return {}

    for name in ("first", "second"):
        parser = cli.training_parser("Trains.", PRESETS | {"demo": {}})
        assert cli.run_training(train, parser, {"demo": {}}, CHAPTER, ["--name", name]) == 0
    assert names[0] == names[1]
