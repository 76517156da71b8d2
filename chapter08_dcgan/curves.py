"""Draws D(x), D(G(z)) and the kernel distance of a run by epoch."""

from pathlib import Path

import numpy as np

from common.config import read_config
from common.figures import plt, save_figure
from common.monitor import read_curve

SHARE = 20  # one in so many log entries is in a running mean


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Returns running means of up to `window` values."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return (sums[ends] - sums[starts]) / (ends - starts)


def draw_curves(run_dir: Path) -> None:
    """Writes curves.png into a run folder, from its metrics.jsonl."""
    config = read_config(run_dir)
    epoch, flags = config["steps_per_epoch"], config["flags"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="tight")
    unit = "" if flags["loss"] == "gan" else ", logits"
    for name, title in (("d_of_real", "D(x)"), ("d_of_fake", "D(G(z))")):
        steps, values = read_curve(run_dir, "train", name)
        mean = smooth(values, max(1, len(values) // SHARE))
        (line,) = left.plot(steps / epoch, mean, label=title + unit)
        left.plot(steps / epoch, values, color=line.get_color(), linewidth=0.5, alpha=0.5)
    if not unit:
        left.axhline(0.5, color="grey", linewidth=0.8, linestyle="--")
        left.set_ylim(0, 1)
    left.set(xlabel="epoch", ylabel="mean answer of the discriminator" + unit)
    left.legend()
    steps, values = read_curve(run_dir, "val", "kid")
    _, intervals = read_curve(run_dir, "val", "kid_interval")
    right.plot(steps / epoch, values, marker=".")
    right.fill_between(steps / epoch, values - intervals, values + intervals, alpha=0.2)
    right.axhline(0, color="grey", linewidth=0.8)
    images = "validation" if flags["hold_out"] else "training"
    right.set(xlabel="epoch", ylabel=f"kernel distance to {images} images")
    save_figure(run_dir / "curves.png", figure)
