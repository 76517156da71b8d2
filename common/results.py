"""Writes eval.json to a run folder, and the published results of the READMEs to results/."""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from common import flags, rundir
from common.checkpoint_files import READ_ERRORS, choose, unusable
from common.errors import UserError
from common.files import ROOT, write_json
from common.parser import NEUTRAL
from common.provenance import provenance

RESULTS = ROOT / "results"


def add_publish_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--publish` to the parser of an eval.py."""
    parser.add_argument("--publish", nargs="?", const="", metavar="SUFFIX",
                        help="copy eval.json to results/, from which the README tables are made; "
                             "a run whose flags differ from its preset needs a suffix")


def write(
    args: argparse.Namespace,
    dataset: str,
    model: str,
    metrics: dict[str, dict[str, float]],
    book: dict[str, float] | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Writes eval.json to the run folder and, with `--publish`, to results/.

    Args:
        args: arguments of eval.py (`chapter`, `run_dir`, `checkpoint`, `publish`).
        dataset: name of the training data.
        model: the model and its recipe ("conv-best").
        metrics: values by name, of each split or baseline.
        book: the book's numbers for this run, by name of the metric.
        details: other measurements, in any form.

    Raises:
        UserError: the run differs from its preset, and `--publish` has no suffix.
    """
    config = rundir.read_config(args.run_dir)
    recorded, command = config["flags"], portable_command(config)
    if args.publish and not re.fullmatch(r"[\w.-]+", args.publish):
        raise UserError(f"--publish {args.publish} is not a suffix", "use letters, digits, . _ -")
    changed = {w[2:].removeprefix("no-") for w in shlex.split(command) if w.startswith("--")}
    changed -= flags.RUN_FLAGS.union(config.get("neutral", NEUTRAL))
    if args.publish == "" and changed:
        raise UserError(
            f"{args.run_dir} differs from its preset by --{' --'.join(sorted(changed))}",
            "publish it under another name: --publish SUFFIX",
        )
    result: dict[str, Any] = {
        "chapter": args.chapter,
        "dataset": dataset,
        "model": model,
        "preset": recorded["preset"],
        "seed": recorded["seed"],
        "command": command,
        "metrics": metrics,
        "book": book or {},
        "details": details or {},
        **usage(args.run_dir, args.checkpoint),
        "parameters": config["parameters"],
        "dataset_sha256": config["dataset_sha256"],
        "versions": config["versions"],
        **_origin(config["history"]),
        "evaluation": provenance(),
    }
    write_json(args.run_dir / "eval.json", result)
    if args.publish is not None:
        name = "-".join(filter(None, (dataset, model, args.publish, f"seed{recorded['seed']}")))
        folder = RESULTS / args.chapter
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{name}.json", result)


def _origin(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the commit and the date of the last start of a run.

    The run is `dirty` unless all of its starts were at that commit, without changed files.
    """
    last = history[-1]
    return {
        "commit": last.get("commit"),
        "dirty": any(entry.get("dirty") is not False or entry["commit"] != last.get("commit")
                     for entry in history),
        "date": last["started"][:10],
    }


def portable_path(path: str | Path, chapter: str = "") -> str:
    """Returns a path relative to $DL21_DATA or to a chapter, valid on other machines."""
    absolute = Path(path).expanduser().resolve()
    for folder, name in ((os.environ.get("DL21_DATA"), "$DL21_DATA"), (ROOT / chapter, ""),
                         (ROOT, "..")):
        if folder and absolute.is_relative_to(folder := Path(folder).resolve()):
            return str(Path(name) / absolute.relative_to(folder))
    return str(absolute)


def portable_command(config: dict[str, Any]) -> str:
    """Returns the command that repeats a run on another machine, in the folder of its chapter.

    Flags that were changed on resume come last and override earlier ones. Where that would train
    another network (with another learning rate from the start), the commands follow each other.
    """
    first, *later = config["history"]
    changed = {flag for entry in later for flag in entry["changed"]}
    harmless = {"eval_every", *config.get("neutral", NEUTRAL)}
    if not {"cosine", "linear"}.intersection(map(str, config.get("flags", {}).values())):
        harmless |= {"epochs", "max_steps"}  # no learning rate depends on the last step
    if changed - harmless:
        return " && ".join(portable_command(config | {"history": [entry]}) for entry in
                           config["history"])
    words = shlex.split(first["command"])
    for entry in later:
        words += flags.flag_words(entry["changed"])
    return _join(words, config["chapter"])


def publish_rows(
    script: str, argv: Sequence[str] | None, name: str, rows: list[dict[str, Any]]
) -> None:
    """Writes a table to results/<chapter>/<name>.json, with the command that repeats it.

    Args:
        script: the script that made it, `__file__`.
        argv: its command line; None: that of this process.
        name: of the table.
        rows: each a row by column.
    """
    chapter, words = Path(script).parent.name, sys.argv[1:] if argv is None else argv
    command = ["python", Path(script).name, *(word for word in words if word != "--publish")]
    folder = RESULTS / chapter
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", {"chapter": chapter, "command": _join(command, chapter),
                                         "rows": rows, **provenance()})


def _join(words: Iterable[str], chapter: str) -> str:
    """Joins the words of a command for the shell, with portable paths."""
    return " ".join(",".join(_quote(portable_path(part, chapter) if part.startswith("/") else part)
                             for part in word.split(","))
                    for word in words)


def _quote(word: str) -> str:
    """Quotes a word for the shell, which still expands $DL21_DATA in it."""
    rest = word.removeprefix("$DL21_DATA")
    if rest == word:
        return shlex.quote(word)
    return f"$DL21_DATA{shlex.quote(rest)}" if rest else word


def usage(run_dir: Path, which: str) -> dict[str, Any]:
    """Returns the steps and minutes of a run, and the step of its `which` checkpoint.

    The checkpoint is called "best" only if a best one was saved.
    """

    def read(path: str | None) -> dict[str, float]:
        names = ("step", "cpu_seconds", "wall_seconds")
        try:
            reader = tf.train.load_checkpoint(path)
            return {n: float(reader.get_tensor(f"{n}/.ATTRIBUTES/VARIABLE_VALUE")) for n in names}
        except READ_ERRORS as error:
            raise unusable(path, error, "name another run with --name or --run_dir") from error

    chosen = choose(run_dir, which)
    last = read(choose(run_dir, "latest") or chosen)
    return {
        "steps": int(last["step"]),
        "checkpoint": "best" if Path(chosen).parent.name == "best" else "latest",
        "checkpoint_step": int(read(chosen)["step"]),
        "minutes_two_cores": round(last["cpu_seconds"] / 2 / 60, 2),
        "wall_minutes": round(last["wall_seconds"] / 60, 2),
    }
