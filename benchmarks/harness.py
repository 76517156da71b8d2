"""Measures programs against each other: alternating, in separate processes, on one machine.

A benchmark is a module whose `main` calls `run`: without arguments it measures all contenders at
all settings, with `--contender NAME --setting NAME` it makes one measurement and prints one number.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tqdm import tqdm

from common.files import ROOT
from common.provenance import provenance, versions

ROUNDS = 5
SECONDS = 3.0  # per measurement, after the warm-up
WARMUP_STEPS = 5

Contender = Callable[[dict[str, Any]], tuple[Callable[[], Any], int]]


def run(
    name: str,
    unit: str,
    contenders: dict[str, Contender],
    settings: dict[str, dict[str, Any]],
    argv: Sequence[str] | None,
    tolerance: float | None = None,
) -> int:
    """Runs a benchmark, or one measurement of it; returns the exit status.

    Args:
        name: the benchmark's module and result file.
        unit: unit of the measured speeds.
        contenders: by name, a function from a setting to a step and the items it processes.
        settings: sizes to compare at, by name.
        argv: the command line.
        tolerance: if given, the first calls of all steps must return the same number, up to this
            relative difference: all contenders compute the same thing.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--contender", choices=list(contenders),
                        help="make one measurement and print the items per second")
    parser.add_argument("--setting", choices=list(settings), default=next(iter(settings)),
                        help="setting of this measurement (default: the first)")
    args = parser.parse_args(argv)
    if args.contender:
        step, items = contenders[args.contender](settings[args.setting])
        print(*([] if tolerance is None else [step()]), items_per_second(step, items))
        return 0
    speeds = {setting: {"medians": _medians(name, list(contenders), setting, tolerance)}
              for setting in settings}
    update_result(name, benchmark=name, unit=unit, rounds=ROUNDS, cpus=os.cpu_count(),
                  machine=_machine(), settings=speeds, versions=versions(), **provenance(),
                  onednn=os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"))
    return 0


def items_per_second(step: Callable[[], Any], items: int) -> float:
    """Calls `step` for `SECONDS` after a warm-up; returns the items processed per second.

    `step` must return only when its work is done, for example by reading its result.
    """
    for _ in range(WARMUP_STEPS):
        step()
    calls, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < SECONDS:
        step()
        calls += 1
    return calls * items / seconds


def _medians(
    module: str, contenders: list[str], setting: str, tolerance: float | None
) -> dict[str, float]:
    """Measures the contenders alternately; returns the median speed of each."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    firsts: list[float] = []  # what the first steps return
    turns = [name for _ in range(ROUNDS) for name in contenders]
    for name in tqdm(turns, desc=setting, unit="turn"):
        printed = execute([sys.executable, "-m", f"benchmarks.{module}",
                           "--contender", name, "--setting", setting])
        *_, first, speed = ["nan", *printed.split()]
        values[name].append(float(speed))
        if tolerance is not None:
            firsts.append(float(first))
            if not np.allclose(firsts, firsts[0], rtol=tolerance, atol=0):
                raise SystemExit(f"{setting}: {name} computes {first}, {contenders[0]} {firsts[0]}")
    medians = {name: rounded(statistics.median(speeds)) for name, speeds in values.items()}
    print(f"{setting}: {medians}")
    return medians


def _machine() -> str:
    """Returns the name of the processor and the number of its cores."""
    info = Path("/proc/cpuinfo")  # platform.processor() is empty on many Linux systems
    names = [line.partition(":")[2].strip()
             for line in (info.read_text(encoding="utf-8").splitlines() if info.exists() else [])
             if line.startswith("model name")]
    name = next(iter(names), platform.processor() or platform.machine())
    return f"{name}, {os.cpu_count()} cores"


def rounded(speed: float) -> float:
    """Rounds a speed to a whole number, one below 100 to three digits."""
    return round(speed) if speed >= 100 else float(f"{speed:.3g}")


def execute(command: Sequence[str], cwd: Path = ROOT, **environment: str) -> str:
    """Runs a command and returns what it prints.

    Raises:
        SystemExit: the command failed; the message has the end of its stderr.
    """
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True,
                          text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def update_result(name: str, **entries: Any) -> None:
    """Writes entries to the result file of a benchmark; its other entries are kept."""
    path = ROOT / "results" / "benchmarks" / f"{name}.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(old | entries, indent=2) + "\n", encoding="utf-8")


def data_folder() -> Path:
    """Returns the folder of the real data sets.

    Raises:
        SystemExit: DL21_DATA is not set.
    """
    if not (folder := os.environ.get("DL21_DATA")):
        raise SystemExit("set DL21_DATA to the folder of the real data sets")
    return Path(folder)


def flags(train: ModuleType, preset: str, **changes: Any) -> argparse.Namespace:
    """Returns all flags of a chapter's training run: defaults, then the preset, then changes."""
    defaults = vars(train.build_parser().parse_args([]))
    return argparse.Namespace(**defaults | {"preset": preset} | train.PRESETS[preset] | changes)


def random_images(count: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns uint8 images of a shape and their labels from 0 to 9."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *shape), np.uint8), rng.integers(0, 10, count)


def torch_batches(images: Any, labels: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
    """Yields batches of two PyTorch tensors without end, shuffled in each epoch."""
    import torch

    while True:
        for indices in torch.randperm(len(labels)).split(batch_size):
            if len(indices) == batch_size:
                yield images[indices], labels[indices]
