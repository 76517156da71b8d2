"""Run folders: their paths, their lock, and config.json, which records how a run was made.

runs/<chapter>/<name>/
    config.json  metrics.jsonl  tb/  checkpoints/  samples/  eval.json  export/1/
"""

import argparse
import datetime
import fcntl
import importlib.metadata
import itertools
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from common.errors import UserError
from common.files import ROOT, read_json, write_json

# Entries of the result of `cli.resolve` that are not flags to record.
NOT_FLAGS = {"chapter", "changed", "command", "name", "neutral", "resume", "run_dir", "script",
             "typed", "unnamed"}


def runs_dir() -> Path:
    """Returns the folder of all runs: DL21_RUNS, or `runs` at the repository root."""
    return Path(os.environ.get("DL21_RUNS") or ROOT / "runs").resolve()


def exists(run_dir: Path) -> bool:
    """Returns whether a folder holds a run."""
    return (run_dir / "config.json").is_file()


def latest_run(chapter: str) -> Path | None:
    """Returns the most recently started or resumed run of a chapter, None if there is none."""
    runs = [path.parent for path in (runs_dir() / chapter).glob("*/config.json")]
    return max(runs, key=lambda run: (run / "config.json").stat().st_mtime_ns, default=None)


def folder_to_train(chapter: str, args: argparse.Namespace) -> Path:
    """Returns the run folder of a training command; it need not exist yet.

    Raises:
        UserError: `--resume` without a run to resume, or both `--run_dir` and `--name`.
    """
    if args.run_dir and args.name:
        raise UserError(f"both --run_dir {args.run_dir} and --name {args.name}", "give one of them")
    if args.name is not None and not re.fullmatch(r"\w[\w.-]*", args.name):
        raise UserError(f"--name {args.name} is not a name", "use letters, digits, . _ -")
    if args.run_dir or args.name:
        path = Path(args.run_dir or runs_dir() / chapter / args.name).expanduser().resolve()
        if args.resume and not exists(path):
            raise UserError(f"there is no run in {path} to resume", "omit --resume to start a run")
        return path
    if args.resume:
        if (run := latest_run(chapter)) is None:
            raise UserError(f"no run of {chapter} in {runs_dir()}", "omit --resume to start a run")
        return run
    stamp = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{args.preset}"
    return runs_dir() / chapter / stamp


def finished_run(chapter: str, args: argparse.Namespace) -> Path:
    """Returns the run that a script uses: --run_dir, --name, or the latest.

    Raises:
        UserError: there is no such run.
    """
    if not (args.run_dir or args.name):
        if (run := latest_run(chapter)) is None:
            raise UserError(f"no run of {chapter} in {runs_dir()}", "train first: python train.py")
        return run
    path = folder_to_train(chapter, argparse.Namespace(**{**vars(args), "resume": False}))
    if not exists(path):
        raise UserError(f"no run in {path} (no config.json)", "train first: python train.py")
    return path


def latest_checkpoint(folder: Path) -> str | None:
    """Returns the latest complete checkpoint in a folder, None if there is none.

    TensorFlow lists a checkpoint only after both of its files are written, so one that was
    interrupted by a kill is not in the list. Deleted ones are skipped.

    Raises:
        UserError: the list is damaged.
    """
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except UnicodeDecodeError as error:
        raise UserError(f"{folder / 'checkpoint'}, the list of checkpoints, is damaged",
                        "start a new run with another --name") from error
    paths = reversed(state.all_model_checkpoint_paths if state else [])
    return next((path for path in paths if Path(f"{path}.index").is_file()), None)


def last_step(run_dir: Path) -> int:
    """Returns the step of the latest checkpoint of a run, 0 if there is none."""
    path = latest_checkpoint(run_dir / "checkpoints")
    return int(path.rpartition("-")[2]) if path else 0


def read_config(run_dir: Path, chapter: str | None = None) -> dict[str, Any]:
    """Reads the config.json of a run and checks its chapter, if one is given.

    Raises:
        UserError: the file is damaged, or the run belongs to another chapter.
    """
    config = read_json(run_dir / "config.json")
    if not isinstance(config, dict):
        raise UserError(f"{run_dir}/config.json is not valid JSON (no object)", "start a new run")
    if chapter and config.get("chapter") != chapter:
        raise UserError(
            f"{run_dir} is a run of {config.get('chapter')}, not of {chapter}",
            "name a run of this chapter with --name or --run_dir",
        )
    if missing := {"dataset_sha256", "flags", "history"} - config.keys():
        raise UserError(f"{run_dir}/config.json lacks {' and '.join(sorted(missing))}",
                        "start a new run")
    return config


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the libraries that a result depends on."""
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python} | {
        name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")
    }


def check_data(run_dir: Path, found: str) -> None:
    """Raises UserError unless `found` is the sha256 of the data that a run was trained on."""
    if (expected := read_config(run_dir)["dataset_sha256"]) != found:
        raise UserError(
            f"the data of {run_dir} has changed: sha256 {found[:12]}, it was {expected[:12]}",
            "restore the old data, or start a new run with another --name",
        )


@contextmanager
def open_run(args: argparse.Namespace, **facts: Any) -> Iterator[Path]:
    """Creates or reopens a run folder, locks it and writes config.json, before the first step.

    Call it after data and model are built, so that an error in either leaves no folder behind. An
    error before the next checkpoint leaves the config.json of a resumed run unchanged.

    Args:
        args: the result of `cli.resolve`.
        **facts: further entries of config.json, at least `dataset_sha256` and `parameters`.

    Yields:
        The run folder. It is locked by the kernel, which frees the lock of a killed process.

    Raises:
        UserError: the folder is in use by another process, or the data has changed.
    """
    try:
        run = _make(args)
    except OSError as error:
        raise UserError(
            f"cannot create {args.run_dir}: {error.strerror}", "give another --run_dir"
        ) from error
    with (run / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"{run} is in use by another process", "wait for it, or give another --name"
            ) from error
        before = read_config(run) if exists(run) else None
        step = last_step(run)
        _write_config(args, facts)
        print(f"to watch it: tensorboard --logdir {run}")
        try:
            yield run
        except UserError:
            if before and last_step(run) == step:  # the new flags had no effect
                write_json(run / "config.json", before)
            raise


def in_use(run_dir: Path) -> bool:
    """Returns whether a process has locked a run folder."""
    with (run_dir / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def _make(args: argparse.Namespace) -> Path:
    """Creates the run folder; unnamed runs started in the same second get different ones."""
    if not args.unnamed:
        args.run_dir.mkdir(parents=True, exist_ok=True)
        return args.run_dir
    stamp = args.run_dir.name
    for number in itertools.count(2):
        try:
            args.run_dir.mkdir(parents=True)
            return args.run_dir
        except FileExistsError:
            args.run_dir = args.run_dir.with_name(f"{stamp}-{number}")


def _write_config(args: argparse.Namespace, facts: dict[str, Any]) -> None:
    """Writes the config.json of a new run, or appends this command to that of a resumed one."""
    now = datetime.datetime.now().isoformat(timespec="seconds")
    entry = {"started": now, "command": args.command}
    flags = {k: v for k, v in sorted(vars(args).items()) if k not in NOT_FLAGS}
    if not exists(args.run_dir):
        config = {"chapter": args.chapter, "script": args.script, "flags": flags,
                  "neutral": args.neutral, **facts, "versions": versions(), "history": [entry]}
    else:
        check_data(args.run_dir, facts["dataset_sha256"])
        config = read_config(args.run_dir, args.chapter)
        config["flags"] = flags
        config["history"].append(entry | {"changed": args.changed})
    write_json(args.run_dir / "config.json", config)
