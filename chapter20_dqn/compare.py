"""Ablation: trains without additions to deep Q-learning, with each of them, and with all.

    python compare.py                      # CartPole, five seeds each, a quarter of an hour
    python compare.py --seeds 2
    python compare.py --preset breakout --max_steps 400000 --seeds 1 \
        --additions none "dueling, Wang" "prioritized, Schaul"
    python compare.py --publish            # also write to results/

Every training is a run of `train.py` in runs/chapter20_dqn/compare/. Finished runs are not
repeated, interrupted ones are resumed. A training is scored by the mean return of all its
evaluations, which is high if the agent learns fast and steadily. The final Q values at held-out
states stand beside it; they are too high if the network overestimates. In games two additions stand
twice: alone, and with the further settings of their papers.
Writes compare-ENVIRONMENT.json and .png into the same folder.
"""

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from tqdm import tqdm

from chapter20_dqn import data, train
from common import cli, figures, files, results, rundir
from common.errors import Interrupted, UserError, exit_status
from common.figures import plt
from common.monitor import read_curve

CHAPTER = "chapter20_dqn"
PLAIN = ["--no-double_q", "--network_output_type", "normal", "--no-prioritized", "--n_step", "1"]
ADDITIONS = {
    "none": [],
    "double": ["--double_q"],
    "dueling": ["--network_output_type", "dueling"],
    "prioritized": ["--prioritized"],
    "three steps": ["--n_step", "3"],
}
ADDITIONS["all four"] = [flag for flags in ADDITIONS.values() for flag in flags]
# In games, with the settings of the papers: Wang et al. 2016, § 4.2, with the rate and ε of
# Rainbow (Hessel et al. 2018); Schaul et al. 2016, § 4: a quarter of the baseline's rate.
WITH_SETTINGS = {
    "dueling, Wang": ["--network_output_type", "dueling_wang", "--learning_rate", "6.25e-5",
                      "--adam_epsilon", "1.5e-4", "--max_global_norm", "10"],
    "prioritized, Schaul": ["--prioritized", "--learning_rate", "2.5e-5",
                            "--adam_epsilon", "1.5e-4"],
}


def run_dir(args: argparse.Namespace, addition: str, seed: int) -> Path:
    """Returns the run folder of a training."""
    name = f"{args.preset}-{args.max_steps}-{addition.replace(',', '').replace(' ', '_')}-{seed}"
    return rundir.runs_dir() / CHAPTER / "compare" / name


def learn(args: argparse.Namespace, addition: str, seed: int) -> None:
    """Trains in a new process, unless the run is already finished.

    Raises:
        UserError: the training failed.
        Interrupted: it was stopped.
    """
    folder = run_dir(args, addition, seed)
    if rundir.last_step(folder) >= args.max_steps:
        return
    flags = [*PLAIN, *(ADDITIONS | WITH_SETTINGS)[addition]]
    if addition == "prioritized, Schaul":  # β is 1 at the end of training
        flags += ["--t_beta_end", str(args.max_steps // train.PRESETS[args.preset]["scale"])]
    command = [sys.executable, "-m", "chapter20_dqn.train", "--preset", args.preset, *flags,
               "--seed", str(seed), "--no-video", "--max_steps", str(args.max_steps),
               "--run_dir", str(folder)]
    done = subprocess.run(command, cwd=files.ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 130:
        raise Interrupted("stopped and saved; run the same command again to resume")
    if done.returncode:
        raise UserError(f"the training in {folder} failed:\n{done.stderr[-1000:]}",
                        f"delete {folder} and run the same command again")


def score(
    addition: str, evaluations: np.ndarray, steps: np.ndarray, q: np.ndarray,
    threshold: float | None,
) -> dict[str, Any]:
    """Computes a row of the table.

    Args:
        addition: a key of `ADDITIONS` or `WITH_SETTINGS`.
        evaluations: mean returns, (seeds, evaluations).
        steps: of the evaluations, (evaluations,).
        q: mean of max Q at the held-out states, (seeds, evaluations).
        threshold: the return at which the environment counts as solved, if it defines one.
    """
    means = evaluations.mean(axis=1)
    row = {"addition": addition, "seeds": len(means), "mean_return": round(float(means.mean()), 1),
           "range": [round(float(means.min()), 1), round(float(means.max()), 1)],
           "last_q": round(float(q[:, -1].mean()), 2)}
    if threshold is not None:
        reached = [int(steps[found][0]) for found in evaluations >= threshold if found.any()]
        row |= {"solved": len(reached),
                "median_steps": int(statistics.median(reached)) if reached else "–"}
    return row


def draw(curves: dict[str, np.ndarray], steps: np.ndarray, png: Path) -> None:
    """Draws the evaluations with each addition: every seed, and the mean over the seeds."""
    figure, grid = plt.subplots(1, len(curves), figsize=(2.2 * len(curves), 2.6), sharey=True,
                                squeeze=False, layout="constrained")
    for axes, (addition, evaluations) in zip(grid[0], curves.items(), strict=True):
        axes.plot(steps, evaluations.T, color="tab:blue", alpha=0.25, linewidth=0.8)
        axes.plot(steps, evaluations.mean(axis=0), color="tab:blue")
        axes.set(title=addition, xlabel="step")
        axes.grid(alpha=0.3)
    grid[0, 0].set_ylabel("mean return of an evaluation")
    figures.save_figure(png, figure)


def compare(args: argparse.Namespace) -> dict[str, float]:
    """Trains every combination; writes the table's rows and the figure."""
    recipe = train.PRESETS[args.preset]
    data.register()
    args.max_steps = args.max_steps or recipe["max_steps"]
    available = ADDITIONS | (WITH_SETTINGS if data.is_atari(recipe["env_name"]) else {})
    evaluated = recipe.get("eval_every") or recipe["t_test"] * recipe.get("scale", 1)
    if args.max_steps < evaluated:
        raise UserError(f"--max_steps {args.max_steps} ends before the first evaluation",
                        f"give at least {evaluated}")
    additions = list(dict.fromkeys(args.additions or available))
    if unknown := [addition for addition in additions if addition not in available]:
        raise UserError(f"--preset {args.preset} has no addition {unknown[0]!r}",
                        "name some of " + ", ".join(map(repr, available)))
    cases = [(addition, seed) for seed in range(args.seeds) for addition in additions]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(tqdm(pool.map(lambda case: learn(args, *case), cases), total=len(cases), unit="run",
                  disable=None))
    threshold, rows, curves = gym.spec(recipe["env_name"]).reward_threshold, [], {}
    for addition in additions:
        folders = [run_dir(args, addition, seed) for seed in range(args.seeds)]
        steps, _ = read_curve(folders[0], "val", "episodic_return")
        curves[addition], q = (
            np.array([read_curve(folder, "val", name)[1] for folder in folders])
            for name in ("episodic_return", "q"))
        rows.append(score(addition, curves[addition], steps, q, threshold))
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()))
    folder = rundir.runs_dir() / CHAPTER / "compare"
    file = folder / f"compare-{recipe['env_name'].replace('/', '-')}-{args.preset}.json"
    command = (f"python compare.py --preset {args.preset} --max_steps {args.max_steps} "
               f"--seeds {args.seeds}")
    if args.additions:
        command += f" --additions {shlex.join(additions)}"
    files.write_json(file, {"command": command, "rows": rows} | results.provenance())
    draw(curves, steps, file.with_suffix(".png"))
    if args.publish:
        shutil.copy(file, results.RESULTS / CHAPTER)
    print(f"see {file.with_suffix('.png')}")
    return {"runs": len(cases)}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    presets = [name for name in train.PRESETS if "max_steps" in train.PRESETS[name]]
    parser.add_argument("--preset", choices=presets, default="best", help="preset of train.py")
    parser.add_argument("--max_steps", type=cli.positive_int,
                        help="steps per training (default: the preset's)")
    parser.add_argument("--seeds", type=cli.small_int, default=5, help="trainings per row")
    parser.add_argument("--additions", nargs="+", metavar="NAME",
                        help=f"some of the rows: {', '.join(ADDITIONS)}; in games also "
                             f"{'; '.join(WITH_SETTINGS)} (default: all)")
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                        help="copy the rows to results/, the source of the README's tables")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: compare(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
