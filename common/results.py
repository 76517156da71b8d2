"""Measured numbers: eval.json in a run's folder, and results/ for what a README claims."""

import argparse
import datetime
import re
import shutil
import subprocess
from typing import Any

from common import checkpoint, rundir
from common.errors import UserError

RESULTS = rundir.ROOT / "results"
# Flags that do not change what a preset stands for.
NOT_RECIPE = {"data_dir", "dataset", "input_file", "log_every", "name", "preset", "run_dir",
              "save_every", "seed", "tfds"}


def add_publish_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--publish` to the parser of an eval.py."""
    parser.add_argument("--publish", nargs="?", const="", metavar="SUFFIX",
                        help="copy eval.json to results/, where the README tables come from; a "
                             "run whose flags differ from its preset needs a suffix to its name")


def write(
    args: argparse.Namespace,
    chapter: str,
    dataset: str,
    model: str,
    metrics: dict[str, dict[str, float]],
    book: dict[str, float] | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Writes eval.json into the run folder and, with `--publish`, into results/.

    Args:
        args: eval.py's arguments (`run_dir`, `checkpoint`, `publish`).
        chapter: the chapter's folder name.
        dataset: what was trained on.
        model: the model and its recipe ("conv-best").
        metrics: by split, the field's names and values.
        book: the numbers the book gives for this run, by the same names.
        details: what else was measured, in any form.

    Raises:
        UserError: a published name would not tell how the run differs from its preset.
    """
    config = rundir.read_config(args.run_dir, chapter)
    flags, command = config["flags"], rundir.portable_command(config)
    if args.publish and not re.fullmatch(r"[\w.-]+", args.publish):
        raise UserError(f"--publish {args.publish} is no suffix", "use letters, digits and . _ -")
    changed = {w[2:] for w in command.split() if w.startswith("--")} - NOT_RECIPE
    if args.publish == "" and changed:
        raise UserError(
            f"{args.run_dir} differs from its preset by --{' --'.join(sorted(changed))}",
            "publish it under another name: --publish SUFFIX",
        )
    result: dict[str, Any] = {
        "chapter": chapter,
        "dataset": dataset,
        "model": model,
        "preset": flags["preset"],
        "seed": flags["seed"],
        "command": command,
        "metrics": metrics,
        "book": book or {},
        "details": details or {},
        **checkpoint.usage(args.run_dir, args.checkpoint),
        "parameters": config["parameters"],
        "dataset_sha256": config["dataset_sha256"],
        "versions": config["versions"],
        **provenance(),
    }
    rundir.write_json(args.run_dir / "eval.json", result)
    if args.publish is not None:
        name = "-".join(filter(None, (dataset, model, args.publish, f"seed{flags['seed']}")))
        (RESULTS / chapter).mkdir(parents=True, exist_ok=True)
        rundir.write_json(RESULTS / chapter / f"{name}.json", result)


def provenance() -> dict[str, Any]:
    """Returns the commit a result comes from, whether files differ from it, and the date."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--", ".", ":!results")),
        "date": datetime.date.today().isoformat(),
    }


def _git(*words: str) -> str | None:
    """Returns what git prints in this repository, None without git."""
    if not shutil.which("git"):
        return None
    command = ["git", "-C", str(rundir.ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
