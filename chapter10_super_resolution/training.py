"""What surrounds the loops of train.py and train_srgan.py: the learning rate, validation."""

import argparse
import itertools
from collections.abc import Callable

import keras
import numpy as np

from chapter10_super_resolution import data, sheet
from chapter10_super_resolution.data import Data
from chapter10_super_resolution.inference import bicubic, make_enlarge, score_all
from chapter10_super_resolution.pictures import take_some
from common import checkpoint, images, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

SHOWN = 4  # validation pictures of a sample sheet
SHOWN_SIZE = 256  # pixels of each side that it shows at most
MAX_VALIDATION = 20  # pictures that are evaluated during training


def make_optimizer(args: argparse.Namespace) -> keras.Optimizer:
    """Returns Adam with the rate and the schedule of the flags."""
    rate = args.learning_rate
    if args.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, args.max_steps)
    if args.schedule == "halving":
        rate = keras.optimizers.schedules.ExponentialDecay(rate, args.halve_every, 0.5,
                                                           staircase=True)
    return keras.optimizers.Adam(rate)


def start_from_run(args: argparse.Namespace, network: keras.Model) -> None:
    """Gives a new network the weights of the run `--init_from`: their average, if it has one."""
    if args.init_from:
        there = rundir.read_config(rundir.find_run(args.chapter, args.init_from), args.chapter)
        name = "averaged" if there["flags"]["ema_decay"] else "network"
        checkpoint.start_from(args, **{name: network})


def make_validate(
    args: argparse.Namespace, network: keras.Model, found: Data, state: TrainState,
    monitor: Monitor, select: bool = True,
) -> Callable[[int], dict[str, float]]:
    """Returns a function that evaluates and draws validation pictures, and keeps the best weights.

    The scores are PSNR and SSIM of the luma, and the gain over the bicubic enlargement in dB.

    Args:
        args: flags of the run.
        network: whose weights are evaluated.
        found: the data set.
        state: of the run.
        monitor: of the run.
        select: whether the weights of the highest PSNR are kept as the best ones.
    """
    pairs = data.read_pairs(take_some(found.validation, MAX_VALIDATION), args.factor,
                            args.degradation)
    run = make_enlarge(network, args)
    baseline = score_all(lambda small: bicubic(small, args.factor), pairs, args.factor)
    side = min(SHOWN_SIZE, *(min(pair.sharp.shape[:2]) for pair in pairs.values()))

    def validate(step: int) -> dict[str, float]:
        scores = {name: float(values.mean())
                  for name, values in score_all(run, pairs, args.factor).items()}
        scores["gain"] = scores["psnr"] - float(baseline["psnr"].mean())
        monitor.scalars(step, scores, "val")
        if select:
            state.save_if_best(scores["psnr"], highest=True)
        shown = list(pairs.values())[:SHOWN]
        rows = {"bicubic": [bicubic(pair.small, args.factor) for pair in shown],
                "enlarged": [run(pair.small) for pair in shown],
                "sharp": [pair.sharp for pair in shown]}
        cut = {name: [sheet.centre(picture, side) for picture in row] for name, row in rows.items()}
        for name, pictures in cut.items():
            monitor.images(step, name, np.stack(pictures), "val")
        images.write_png(args.run_dir / "samples" / f"{step:07d}.png",
                         images.grid(list(itertools.chain(*cut.values())), len(shown)))
        return scores

    return validate
