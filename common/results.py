"""Measured numbers: eval.json in a run's folder, and results/ for what a README claims."""

import argparse
import datetime
import subprocess
from typing import Any

from common import checkpoint, rundir

RESULTS = rundir.ROOT / "results"


def add_publish_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--publish` to the parser of an eval.py."""
    parser.add_argument("--publish", action="store_true",
                        help="copy eval.json to results/, where the README tables come from")


def write(
    args: argparse.Namespace,
    chapter: str,
    dataset: str,
    model: str,
    metrics: dict[str, dict[str, float]],
    book: dict[str, float] | None = None,
) -> None:
    """Writes eval.json into the run folder and, with `--publish`, into results/.

    Args:
        args: eval.py's arguments (`run_dir`, `checkpoint`, `publish`).
        chapter: the chapter's folder name.
        dataset: what was trained on.
        model: the model, with a suffix where two recipes would collide ("conv-best").
        metrics: by split, the field's names and values.
        book: the numbers the book gives for this run, by the same names.
    """
    config = rundir.read_config(args.run_dir, chapter)
    flags = config["flags"]
    git = {"cwd": rundir.ROOT, "capture_output": True, "text": True, "check": False}
    result: dict[str, Any] = {
        "chapter": chapter,
        "dataset": dataset,
        "model": model,
        "preset": flags["preset"],
        "seed": flags["seed"],
        "command": rundir.portable_command(config),
        "metrics": metrics,
        "book": book or {},
        "checkpoint": args.checkpoint,
        **checkpoint.usage(args.run_dir),
        "parameters": config["parameters"],
        "dataset_sha256": config["dataset_sha256"],
        "versions": config["versions"],
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], **git).stdout.strip(),
        "dirty": bool(subprocess.run(["git", "status", "--porcelain"], **git).stdout),
        "date": datetime.date.today().isoformat(),
    }
    rundir.write_json(args.run_dir / "eval.json", result)
    if args.publish:
        folder = RESULTS / chapter
        folder.mkdir(parents=True, exist_ok=True)
        rundir.write_json(folder / f"{dataset}-{model}-seed{flags['seed']}.json", result)
