"""Run folders: their paths, their lock, and config.json, which records how a run was made.

runs/<chapter>/<name>/
    config.json  metrics.jsonl  tb/  checkpoints/  samples/  eval.json  export/<n>/
"""

import argparse
import datetime
import itertools
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import lock
from common.checkpoint_files import checkpoints, drop_latest, last_step, repair
from common.config import digest, portable, read_config
from common.errors import UserError
from common.files import read_json, runs_dir, write_json
from common.provenance import commit, versions

# Entries of the result of `flags.resolve` that are not flags to record.
NOT_FLAGS = {"chapter", "changed", "command", "name", "neutral", "resume", "run_dir", "script",
             "typed", "unnamed"}
RUNNING = ".running"  # lies in the folder of a run that has not ended by itself


def exists(run_dir: Path) -> bool:
    """Returns whether a folder holds a run."""
    return (run_dir / "config.json").is_file()


def latest_run(chapter: str, flag: str | None = None) -> Path | None:
    """Returns the most recently started or resumed run of a chapter, None if there is none.

    Args:
        chapter: the chapter.
        flag: only runs of training scripts with this flag count.
    """
    runs = [path.parent for path in (runs_dir() / chapter).glob("*/config.json")
            if flag is None or has_flag(path.parent, flag)]
    return max(runs, key=lambda run: (run / "config.json").stat().st_mtime_ns, default=None)


def has_flag(run_dir: Path, flag: str) -> bool:
    """Returns whether a run has a flag; False if its config.json is damaged."""
    try:
        return flag in read_config(run_dir)["flags"]
    except UserError:
        return False


def flag_to_resume(run_dir: Path) -> str:
    """Returns the flag that resumes a run: --resume looks in the folder of all runs only."""
    inside = run_dir.resolve().is_relative_to(runs_dir().resolve())
    return "--resume" if inside else f"--run_dir {run_dir}"


def check_epochs(args: argparse.Namespace) -> None:
    """Checks a resumed run whose chapter has turned new `--epochs` into `--max_steps`.

    Raises:
        UserError: it has made as many steps already.
    """
    if "epochs" in args.changed and (step := last_step(args.run_dir)) >= args.max_steps:
        raise UserError(f"nothing to do: {args.run_dir} is at step {step} of {args.max_steps}",
                        "raise --epochs to continue, or start another run with a new --name")


def folder_to_train(chapter: str, args: argparse.Namespace) -> Path:
    """Returns the run folder of a training command; it need not exist yet.

    Raises:
        UserError: `--resume` without a run to resume, both `--run_dir` and `--name`, or a path that
            TensorFlow cannot use.
    """
    if args.run_dir and args.name:
        raise UserError(f"both --run_dir {args.run_dir} and --name {args.name}", "give one of them")
    if args.name is not None and not re.fullmatch(r"\w[\w.-]*", args.name):
        raise UserError(f"--name {args.name} is not a name", "use letters, digits, . _ -")
    if args.run_dir or args.name:
        path = Path(args.run_dir or runs_dir() / chapter / args.name)
        if args.resume and not exists(path):
            raise UserError(f"there is no run in {path} to resume", "omit --resume to start a run")
    elif args.resume:
        path = latest_run(chapter)
        if path is None:
            raise UserError(f"no run of {chapter} in {runs_dir()}", "omit --resume to start a run")
    else:
        stamp = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{args.preset}"
        path = runs_dir() / chapter / stamp
    if found := set(str(path)) & set("*?[]\\"):
        raise UserError(f"{path} has {' and '.join(sorted(found))}, which TensorFlow takes for a "
                        "pattern: it would not find its checkpoints",
                        "choose another --run_dir, or another folder for all runs: DL21_RUNS")
    return path


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


def find_run(chapter: str, text: str) -> Path:
    """Returns the run that a path or a name means.

    Raises:
        UserError: there is no such run, or it is of another chapter.
    """
    for path in (Path(text), runs_dir() / chapter / text):
        if exists(path):
            read_config(path, chapter)
            return path
    raise UserError(f"there is no run {text}, nor {runs_dir() / chapter / text}",
                    "give the name or the folder of a run")


def stopped_at_its_end(run_dir: Path, max_steps: int) -> bool:
    """Returns whether a run was killed after its last step, before what follows it (figures).

    The steps after the checkpoint before are then repeated, with the same result. A run without
    such a checkpoint counts as finished.
    """
    return ((run_dir / RUNNING).exists() and last_step(run_dir) == max_steps
            and len(checkpoints(run_dir / "checkpoints")) > 1)


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
    with lock.locked(run):
        path, mark = run / "config.json", run / RUNNING
        before, was_running = read_json(path) if exists(run) else None, mark.exists()
        _remove_leftovers(run)
        _write_config(args, facts)
        if before and "max_steps" not in args.changed and stopped_at_its_end(run, args.max_steps):
            drop_latest(run)
            print(f"the end of {run} is missing: repeating the steps after {last_step(run)}",
                  file=sys.stderr)
        step = last_step(run)
        print(f"to watch it: tensorboard --logdir {shlex.quote(str(run))}")
        mark.touch()
        try:
            yield run
        except UserError:
            if before and last_step(run) == step:  # the new flags had no effect
                write_json(path, before)
                if not was_running:
                    mark.unlink()
            raise
        mark.unlink(missing_ok=True)


def _remove_leftovers(run: Path) -> None:
    """Removes what a kill within a save may leave in a run folder.

    Raises:
        UserError: there are checkpoints, and no config.json says of which model.
    """
    folders = run / "checkpoints", run / "checkpoints" / "best"
    if not exists(run) and any(map(checkpoints, folders)):
        raise UserError(f"{run} has checkpoints, but no config.json",
                        "restore config.json, or give another --name")
    for folder in folders:
        repair(folder)


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
    entry = {"started": now, "command": args.command, **commit()}
    flags = {k: portable(v) for k, v in sorted(vars(args).items()) if k not in NOT_FLAGS}
    if not exists(args.run_dir):
        config = {"chapter": args.chapter, "script": args.script, "flags": flags,
                  "neutral": args.neutral, **facts, "versions": versions(), "history": [entry]}
    else:
        check_data(args.run_dir, facts["dataset_sha256"])
        config = read_config(args.run_dir, args.chapter)
        config["flags"] = flags
        config["history"].append(entry | {"changed": args.changed})
    write_json(args.run_dir / "config.json", config | {"digest": digest(config)})
