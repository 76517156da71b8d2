"""eval.json, published results, and commands for another machine."""

import argparse
from pathlib import Path

import pytest
import tensorflow as tf
from helpers import CHAPTER, build_parser, start

from common import checkpoint, cli, files, results, rundir


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    made = {"commit": "c", "dirty": False}
    monkeypatch.setattr(rundir, "commit", lambda: made)
    monkeypatch.setattr(results, "provenance", lambda: {"commit": "e", "dirty": True, "date": "d"})

    def evaluate(run, *argv):
        """Saves step 1, evaluates, and returns the status and the names of what is published."""
        model = tf.Module()
        model.weight = tf.Variable(1.0)
        state = checkpoint.TrainState(run, {"model": model})
        state.step.assign(1)
        state.save()
        parser = cli.verb_parser(f"{CHAPTER}/eval.py", "Evaluates.")
        results.add_publish_flag(parser)
        status = cli.run_verb(
            lambda args, flags: results.write(args, "mnist", "conv",
                                              {"test": {"accuracy": 0.5}}, {"accuracy": 0.6}),
            parser, ["--run_dir", str(run), *argv],
        )
        return status, sorted(path.name for path in (tmp_path / "results").glob("*/*"))

    return evaluate


def test_run_of_a_preset_is_published_under_its_name(evaluate, tmp_path):
    run = start("--name", "a", "--preset", "book", "--seed", "3", "--data_dir", "x")
    assert evaluate(run) == (0, [])
    assert evaluate(run, "--publish") == (0, ["mnist-conv-seed3.json"])
    result = files.read_json(run / "eval.json")
    assert files.read_json(tmp_path / "results" / CHAPTER / "mnist-conv-seed3.json") == result
    assert result == result | {
        "chapter": CHAPTER, "dataset": "mnist", "model": "conv", "preset": "book", "seed": 3,
        "command": "python train.py --preset book --name a --seed 3 --data_dir "
                   + results.portable_path("x", CHAPTER),
        "metrics": {"test": {"accuracy": 0.5}}, "book": {"accuracy": 0.6},
        "checkpoint": "latest",
        "steps": 1, "checkpoint_step": 1, "parameters": 7, "dataset_sha256": "a" * 64,
        "commit": "c", "dirty": False, "evaluation": {"commit": "e", "dirty": True, "date": "d"},
    }


@pytest.mark.parametrize(("starts", "commit", "dirty"), [
    ([("a", False)], "a", False), ([("a", True)], "a", True), ([(None, True)], None, True),
    ([("a", False), ("a", False)], "a", False), ([("a", False), ("b", False)], "b", True),
])
def test_a_result_is_of_the_commit_that_trained_it(evaluate, monkeypatch, starts, commit, dirty):
    for number, (start_commit, start_dirty) in enumerate(starts):
        made = {"commit": start_commit, "dirty": start_dirty}
        monkeypatch.setattr(rundir, "commit", lambda made=made: made)
        run = start("--name", "a", "--max_steps", str(20 + number))
    assert evaluate(run) == (0, [])
    result = files.read_json(run / "eval.json")
    assert (result["commit"], result["dirty"]) == (commit, dirty)


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


def test_a_chapter_declares_which_of_its_flags_are_neutral(evaluate):
    parser = build_parser(neutral=["rate", "tfds"])
    parser.add_argument("--tfds", action=argparse.BooleanOptionalAction, default=False)
    run = start("--name", "a", "--rate", "0.3", "--no-tfds", parser=parser)
    assert evaluate(run, "--publish") == (0, ["mnist-conv-seed0.json"])
    run = start("--name", "b", "--rate", "0.3", "--size", "4", parser=parser)
    assert evaluate(run, "--publish") == (2, ["mnist-conv-seed0.json"])


def test_run_that_does_not_tell_its_neutral_flags_is_evaluated(evaluate):
    config = rundir.read_config(run := start("--name", "a", "--seed", "3"))
    del config["neutral"]
    files.write_json(run / "config.json", config)
    assert evaluate(run, "--publish") == (0, ["mnist-conv-seed3.json"])


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
    monkeypatch.chdir(files.ROOT)
    path, portable = (s.format(data=tmp_path, root=files.ROOT) for s in (path, portable))
    assert results.portable_path(path, CHAPTER) == portable
    assert results.portable_path(Path(path), CHAPTER) == portable


def test_path_for_another_machine_without_a_chapter_or_data(monkeypatch):
    monkeypatch.setenv("DL21_DATA", str(files.ROOT / "data"))
    assert results.portable_path(files.ROOT / "data" / "a", CHAPTER) == "$DL21_DATA/a"
    monkeypatch.delenv("DL21_DATA")
    assert results.portable_path(files.ROOT / "data" / "a", CHAPTER) == "../data/a"
    assert results.portable_path(files.ROOT / "data" / "a") == "data/a"


@pytest.mark.parametrize(("words", "portable"), [
    ("--data_dir {data}/mnist --size 3", "--data_dir $DL21_DATA/mnist --size 3"),
    ("--data_dir '{data}/my data'", "--data_dir $DL21_DATA'/my data'"),
    ("--input_file '/a/我的 诗.txt'", "--input_file '/a/我的 诗.txt'"),
    ("--data_dir {data}2/mnist", "--data_dir {data}2/mnist"),
    ("--input_file '{root}/a.txt'", "--input_file ../a.txt"),
    ("--input_file '{root}/chapter99_test/a.txt'", "--input_file a.txt"),
])
def test_command_for_another_machine(tmp_path, monkeypatch, words, portable):
    monkeypatch.setenv("DL21_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    words, portable = (s.format(data=tmp_path, root=files.ROOT) for s in (words, portable))
    config = {"chapter": CHAPTER, "history": [{"command": f"python train.py {words}"}]}
    assert results.portable_command(config) == f"python train.py {portable}"


def test_command_for_another_machine_ends_with_what_resumes_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("DL21_DATA", str(tmp_path))
    run = start("--name", "a", "--size", "4")
    start("--resume", "--max_steps", "20", "--data_dir", str(tmp_path / "x"))
    start("--resume")
    start("--resume", "--max_steps", "30")
    assert results.portable_command(rundir.read_config(run)) == (
        "python train.py --name a --size 4 --max_steps 20 --data_dir $DL21_DATA/x --max_steps 30"
    )
    # A cosine ends at the last step: the learning rate was another one from the start.
    config = rundir.read_config(run)
    config["flags"]["schedule"] = "cosine"
    assert results.portable_command(config).count(" && ") == 3
    config = {"chapter": CHAPTER, "history": [
        {"command": "python train.py --name a"},
        {"command": "python train.py --resume --learning_rate 0.1",
         "changed": {"learning_rate": 0.1}}]}
    assert results.portable_command(config) == (
        "python train.py --name a && python train.py --resume --learning_rate 0.1")


def test_a_table_is_published_with_its_portable_command(evaluate, tmp_path, monkeypatch):
    monkeypatch.setenv("DL21_DATA", str(tmp_path / "data"))
    script = tmp_path / "chapter99_tables" / "compare.py"
    results.publish_rows(str(script), ["--data_dir", f"{tmp_path}/data/orl", "--publish"], "losses",
                         [{"loss": "softmax", "eer": 0.1}])
    table = files.read_json(tmp_path / "results" / "chapter99_tables" / "losses.json")
    assert table == {"chapter": "chapter99_tables", "commit": "e", "dirty": True, "date": "d",
                     "command": "python compare.py --data_dir $DL21_DATA/orl",
                     "rows": [{"loss": "softmax", "eer": 0.1}]}
