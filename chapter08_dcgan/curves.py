"""Draws D(x), D(G(z)) and the kernel distance of a run by epoch."""

from pathlib import Path

import numpy as np

from common.config import read_config
from common.figures import plt, save_figure
from common.monitor import read_curve

WINDOW = 20  # log entries that are averaged


def smooth(values: np.ndarray) -> np.ndarray:
    """Returns running means of up to WINDOW values."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - WINDOW)
    return (sums[ends] - sums[starts]) / (ends - starts)


def draw_curves(run_dir: Path) -> None:
    """Writes curves.png into a run folder, from its metrics.jsonl."""
    config = read_config(run_dir)
    epoch = config["steps_per_epoch"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="tight")
    for name, title in (("d_of_real", "D(x)"), ("d_of_fake", "D(G(z))")):
        steps, values = read_curve(run_dir, "train", name)
        left.plot(steps / epoch, smooth(values), label=title)
    if config["flags"]["loss"] == "gan":
        left.axhline(0.5, color="grey", linewidth=0.8, linestyle="--")
        left.set_ylim(0, 1)
    left.set(xlabel="epoch", ylabel="mean answer of the discriminator")
    left.legend()
    steps, values = read_curve(run_dir, "val", "kid")
    right.plot(steps / epoch, values, marker=".")
    right.axhline(0, color="grey", linewidth=0.8)
    right.set(xlabel="epoch", ylabel="kernel distance to validation images")
    save_figure(run_dir / "curves.png", figure)
