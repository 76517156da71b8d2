"""Command lines: flags, presets, and what a resume may change."""

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from helpers import CHAPTER, build_parser, fails, resolve, start

from common import checkpoint, cli, files, rundir
from common.errors import UserError, exit_status


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


def test_own_data_may_have_a_preset_of_its_own():
    def parser():
        return build_parser(own_data="book")

    args = cli.resolve(parser(), ["--data_dir", "mine"])
    assert (args.preset, args.size) == ("book", 3) and args.run_dir.name.endswith("-book")
    assert cli.resolve(parser(), []).preset == "demo"
    assert cli.resolve(parser(), ["--data_dir", "mine", "--preset", "demo"]).preset == "demo"
    start("--name", "a", parser=parser())
    assert cli.resolve(parser(), ["--name", "a", "--data_dir", "moved"]).preset == "demo"


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
    (["--max_steps", "1" + "0" * 24], f"argument --max_steps: 1{'0' * 24} is not a whole number"),
    (["--keep", "1.5"], "argument --keep: 1.5 is not a number from 0 to 1"),
    (["--preset", "worst"], "argument --preset: invalid choice: 'worst'"),
])
def test_bad_flags_end_with_two_lines_and_status_2(runs, capsys, argv, message):
    assert exit_status(lambda: resolve(*argv) and None) == 2
    output = capsys.readouterr()
    error, hint = output.err.splitlines()
    assert error.startswith(f"error: {message}")
    assert hint == "hint: python train.py --help lists the flags"
    assert output.out == "" and not any(runs.iterdir())


LARGE = str(sys.float_info.max)


@pytest.mark.parametrize(("kind", "low", "high", "outside"), [
    ("positive_int", "1", "9" * 12, ["0", "-1", "1.5", "inf", str(2**63)]),
    ("non_negative_int", "0", "9" * 12, ["-1", "0.5", "inf", str(2**63)]),
    ("positive_float", "1e-300", LARGE, ["0", "-1e-300", "inf", "nan"]),
    ("non_negative_float", "0", LARGE, ["-1e-300", "inf", "nan"]),
    ("from_0_to_1", "0", "1", ["-1e-300", "1.0000000000000002", "nan"]),
    ("above_0_to_1", "1e-300", "1", ["0", "1.0000000000000002", "nan"]),
    ("between_0_and_1", "1e-300", "0.9999999999999999", ["0", "1", "nan"]),
    ("size", "1", "1048576", ["0", "1048577", "1e3"]),
    ("small_int", "1", "65536", ["0", "65537"]),
    ("layer_count", "1", "100", ["0", "101"]),
    ("seed", "0", "4294967295", ["-1", "4294967296", "0.5"]),
])
def test_both_ends_of_each_type_of_number(kind, low, high, outside):
    parse = getattr(cli, kind)
    for text in (low, high):
        assert parse(text) == float(text)
    for text in outside:
        with pytest.raises(argparse.ArgumentTypeError, match=f"^{text} is not a "):
            parse(text)


@pytest.mark.parametrize(("text", "reason"), [
    ("~nosuchuser/a", "is not a path: Could not determine home directory"),
    ("a" * 256, "is not a path: File name too long"),
    ("{tmp}/loop/a", "is not a path: Symlink loop"),
    ("{tmp}/pipe", "is neither a file nor a folder"),
    ("/dev/null", "is neither a file nor a folder"),
    ("a\nb", "has a control character"),
    ("a\x7f", "has a control character"),
])
def test_paths_that_cannot_be_used(tmp_path, text, reason):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(argparse.ArgumentTypeError, match=reason):
        cli.path(text.format(tmp=tmp_path))


@pytest.mark.parametrize("name", [
    "屏幕\u3000快照", "Screenshot 9.41\u202fAM.png", "a\u00a0b", "👩\u200d🔬"])
def test_paths_of_all_languages(tmp_path, name):
    assert cli.path(f"{tmp_path}/{name}") == f"{tmp_path}/{name}"


def test_words_that_are_no_text_are_refused(capsys):
    assert exit_status(lambda: resolve("--data_dir", "a\udcff") and None) == 2
    assert capsys.readouterr().err.startswith("error: 'a\\udcff' is not UTF-8")


def test_keras_is_configured_whatever_its_file_says(monkeypatch, capsys):
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float16")
    keras.config.set_epsilon(0.5)
    keras.config.set_max_steps_per_epoch(1)
    found = []

    def train(args):
        found.extend([keras.config.image_data_format(), keras.config.floatx(),
                      keras.config.epsilon(), keras.config.max_steps_per_epoch()])
        return {}

    assert cli.run_training(train, build_parser(), []) == 0
    assert found == ["channels_last", "float32", 1e-7, None]
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert cli.run_training(train, build_parser(), []) == 2
    assert capsys.readouterr().err == ("error: Keras runs on torch, this code on TensorFlow\n"
                                       "hint: unset KERAS_BACKEND, or set it to tensorflow\n")


def test_help_shows_defaults(capsys):
    with pytest.raises(SystemExit) as caught:
        resolve("--help")
    assert caught.value.code == 0
    assert "(default: 10)" in capsys.readouterr().out


def test_recorded_command_sets_the_typed_flags():
    parser = build_parser("train_all.py")
    for flag in ("augment", "tfds"):
        parser.add_argument(f"--{flag}", action=argparse.BooleanOptionalAction, default=False)
    words = "--run_dir '/a b' --size 4 --data_dir /x --augment --no-tfds"
    args = cli.resolve(parser, shlex.split(words))
    assert args.command == f"python train_all.py {words}"
    args = resolve("--data_dir=x", "--rate", "5e-1")
    folder = shlex.quote(str(Path("x").resolve()))
    assert args.command == f"python train.py --rate 0.5 --data_dir {folder}"
    assert args.typed == {"rate": 0.5, "data_dir": str(Path("x").resolve())}


def test_resume_takes_the_runs_flags_and_records_free_changes(capsys):
    run = start("--name", "a", "--preset", "book", "--size", "4")
    args = resolve("--name", "a")
    assert (args.preset, args.size, args.rate, args.run_dir) == ("book", 4, 0.5, run)
    start("--resume", "--max_steps", "20", "--size", "4")
    assert "max_steps: 10 -> 20" in capsys.readouterr().err
    config = rundir.read_config(run)
    assert config["flags"]["max_steps"] == 20 and config["flags"]["size"] == 4
    assert config["history"][1]["changed"] == {"max_steps": 20}
    assert resolve("--resume").max_steps == 20


def test_a_chapter_declares_which_of_its_flags_are_free():
    run = start("--name", "a")
    change = ["--name", "a", "--rate", "0.2"]
    assert fails(*change).startswith("--rate 0.2 contradicts")
    parser = build_parser(free=["rate"])
    assert cli.resolve(parser, change).changed == {"rate": 0.2}
    start(*change, parser=parser)
    assert rundir.read_config(run)["flags"]["rate"] == 0.2
    with pytest.raises(UserError, match="--size 5 contradicts"):
        cli.resolve(parser, ["--name", "a", "--size", "5"])


def test_run_of_another_script_is_refused(capsys):
    other = build_parser("train_softmax.py")
    run = start("--name", "a", parser=other)
    before = (run / "config.json").read_bytes()
    assert cli.run_training(lambda args: {}, build_parser(), ["--resume"]) == 2
    assert capsys.readouterr().err == (
        f"error: {run} was made by train_softmax.py, not by train.py\n"
        f"hint: python train_softmax.py --run_dir {run}\n"
    )
    for argv in (["--name", "a"], ["--run_dir", str(run)]):
        assert fails(*argv).endswith("was made by train_softmax.py, not by train.py")
    assert (run / "config.json").read_bytes() == before
    assert cli.resolve(other, ["--run_dir", str(run)]).run_dir == run


def test_run_that_does_not_tell_its_script_is_resumed():
    config = rundir.read_config(run := start("--name", "a"))
    del config["script"]
    files.write_json(run / "config.json", config)
    assert resolve("--name", "a").run_dir == run


def test_an_idle_flag_is_refused_only_where_it_was_typed():
    def refuse(*argv):
        cli.refuse_idle(resolve(*argv), ["keep", "rate"], "--size 2")

    for rate in ("0.1", "0.5"):  # the default, and the value of the preset
        with pytest.raises(UserError, match=f"--rate {rate} has no effect with --size 2") as caught:
            refuse("--preset", "book", "--rate", rate)
        assert caught.value.hint == "omit it"
    refuse("--preset", "book")  # sets --rate 0.5
    start("--name", "a", "--rate", "0.5")
    refuse("--name", "a")


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
    for step in (1, 9, 10):
        assert resolve("--name", "a").max_steps == 10
        save(run, step)
        assert rundir.last_step(run) == step
    (run / "checkpoints" / "ckpt-11.index").touch()  # as a kill may leave one
    assert rundir.last_step(run) == 10
    before = (run / "config.json").read_bytes()
    for argv in (["--name", "a"], ["--resume"], ["--name", "a", "--max_steps", "9"]):
        assert fails(*argv).startswith(f"nothing to do: {run} is at step 10 of ")
    assert (run / "config.json").read_bytes() == before
    start("--name", "a", "--max_steps", "11")
    assert rundir.read_config(run)["flags"]["max_steps"] == 11


def save(run, *steps):
    module = tf.Module()
    module.value = tf.Variable(0.0)
    for step in steps:
        state = checkpoint.TrainState(run, {"module": module})
        state.step.assign(step)
        state.save()


def interrupt(*argv):
    args = resolve("--name", "a", *argv)
    with pytest.raises(KeyboardInterrupt), rundir.open_run(
            args, dataset_sha256="a" * 64, parameters=7):
        raise KeyboardInterrupt
    return args.run_dir


def test_run_killed_after_its_last_step_repeats_the_steps_after_the_checkpoint_before(capsys):
    run = interrupt()
    save(run, 1, 9, 10)
    # Not for a lower limit, nor where the only checkpoint would be lost.
    assert fails("--name", "a", "--max_steps", "9").startswith("nothing to do")
    start("--name", "a")
    assert rundir.last_step(run) == 9
    assert f"the end of {run} is missing: repeating the steps after 9" in capsys.readouterr().err
    save(run, 10)
    assert fails("--name", "a").startswith("nothing to do")  # it has ended by itself
    assert rundir.last_step(run) == 10
    shutil.rmtree(run)
    interrupt("--max_steps", "1")
    save(run, 1)
    assert fails("--name", "a").startswith("nothing to do")


def test_a_refused_resume_leaves_a_finished_run_finished():
    run = start("--name", "a")
    save(run, 9, 10)
    with pytest.raises(UserError, match="has changed"):
        start("--name", "a", "--max_steps", "20", sha="b" * 64)
    assert fails("--name", "a").startswith("nothing to do")
    with pytest.raises(UserError, match="nothing"), rundir.open_run(
            resolve("--name", "a", "--max_steps", "20"), dataset_sha256="a" * 64, parameters=7):
        raise UserError("nothing", "hint")
    assert fails("--name", "a").startswith("nothing to do")
    assert rundir.last_step(run) == 10


def test_data_of_a_run_may_have_moved(runs):
    found = []
    parser = cli.verb_parser(f"{CHAPTER}/show.py", "Shows.", data=["data_dir"])
    start("--name", "a", "--data_dir", "/old")
    for argv in ([], ["--data_dir", "/new"]):
        cli.run_verb(lambda args, flags: found.append(flags.data_dir), parser, argv)
    assert found == ["/old", "/new"]


def test_verbs_find_their_run(runs):
    def verb(*argv):
        found = []
        status = cli.run_verb(lambda args, flags: found.append((args.run_dir, flags.size)),
                              cli.verb_parser(f"{CHAPTER}/show.py", "Shows."), argv)
        return status, found

    assert verb() == (2, [])
    run = start("--name", "a", "--size", "4")
    start("--name", "b")
    os.utime(run / "config.json", (1, 1))
    assert verb() == (0, [(runs / CHAPTER / "b", 2)])
    assert verb("--name", "a") == verb("--run_dir", str(run)) == (0, [(run, 4)])
    assert verb("--name", "c") == verb("--name", "a", "--run_dir", "b") == (2, [])
    assert verb("--size", "4") == (2, [])


def test_layers_have_the_same_names_in_every_training_of_a_process():
    names = []

    def train(args):
        names.append(keras.layers.Dense(1).name)
        return {}

    for name in ("first", "second"):
        assert cli.run_training(train, build_parser(), ["--name", name]) == 0
    assert names[0] == names[1]
