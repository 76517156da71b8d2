"""Measures programs against each other: in turn, in processes of their own, on the same machine.

A benchmark is a module whose `main` calls `run`: without arguments it drives the rounds, with
`--contender NAME --setting NAME` it is one measurement and prints one number.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5
SECONDS = 3.0  # of one measurement, after the warm-up
WARMUP_STEPS = 5

Contender = Callable[[dict[str, Any]], tuple[Callable[[], Any], int]]


def items_per_second(step: Callable[[], Any], items: int) -> float:
    """Calls `step` for some seconds, after a few calls that do not count; returns items a second.

    `step` must return only when its work is done (read its result).
    """
    for _ in range(WARMUP_STEPS):
        step()
    calls, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < SECONDS:
        step()
        calls += 1
    return calls * items / seconds


def run(
    name: str,
    unit: str,
    contenders: dict[str, Contender],
    settings: dict[str, dict[str, Any]],
    argv: Sequence[str] | None,
) -> int:
    """Is the `main` of every benchmark.

    Args:
        name: the benchmark's module, which gives the result its name.
        unit: what is counted a second.
        contenders: by name, a function from a setting to a step and the items it processes;
            the first one is ours.
        settings: sizes to compare at, by name.
        argv: the command line.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--contender", choices=list(contenders), help="make one measurement")
    parser.add_argument("--setting", choices=list(settings), help="at this size")
    args = parser.parse_args(argv)
    if args.contender:
        print(items_per_second(*contenders[args.contender](settings[args.setting])))
        return 0
    result: dict[str, Any] = {
        "benchmark": name, "unit": unit, "rounds": ROUNDS, "cpus": os.cpu_count(),
        "date": datetime.date.today().isoformat(), "settings": {},
    }
    for setting in settings:
        medians = _rounds(name, list(contenders), setting)
        ours = medians[next(iter(contenders))]
        ratios = {peer: round(ours / value, 2) for peer, value in medians.items() if value != ours}
        result["settings"][setting] = {
            "medians": {k: round(v) for k, v in medians.items()}, "ours_over": ratios,
        }
        print(f"{setting}: {result['settings'][setting]}")
    path = ROOT / "results" / "benchmarks" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def _rounds(module: str, contenders: list[str], setting: str) -> dict[str, float]:
    """Lets the contenders take turns; returns the median of each."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    turns = [name for _ in range(ROUNDS) for name in contenders]
    for name in tqdm(turns, desc=setting, unit="turn"):
        command = [sys.executable, "-m", f"benchmarks.{module}"]
        command += ["--contender", name, "--setting", setting]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name} failed at {setting}:\n{done.stderr[-2000:]}")
        values[name].append(float(done.stdout.split()[-1]))
    return {name: statistics.median(v) for name, v in values.items()}
