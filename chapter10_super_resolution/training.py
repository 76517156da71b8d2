"""What surrounds the loops of train.py and train_srgan.py: the learning rate, validation."""

import argparse
import itertools
import sys
from collections.abc import Callable, Mapping

import keras
import numpy as np

from chapter10_super_resolution import data, sheet
from chapter10_super_resolution.data import Data, Pair
from chapter10_super_resolution.inference import bicubic, load_run, make_enlarge, score_all
from chapter10_super_resolution.pictures import take_some
from common import images, rundir
from common.checkpoint import TrainState
from common.errors import UserError
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


def start_from_run(
    args: argparse.Namespace, network: keras.Model, same_factor: bool = False
) -> None:
    """Gives the network of a new run the weights of the run `--init_from`, layer by layer.

    A run of another factor lacks some of the last layers, or has them in other shapes. These start
    as they are; their names are printed (Lim et al. 2017, § 3.2, train x3 and x4 from x2).

    Args:
        args: flags of the run.
        network: built by `build(args)`.
        same_factor: whether a run of another factor is refused.

    Raises:
        UserError: there is no such run, or its network is another one.
    """
    if not args.init_from or rundir.last_step(args.run_dir):
        return
    run = rundir.find_run(args.chapter, args.init_from)
    flags = rundir.read_config(run, args.chapter)["flags"] | {"precision": args.precision}
    for flag in ["blocks", "width", *(["factor"] if same_factor else [])]:
        if flags[flag] != vars(args)[flag]:
            raise UserError(f"{run} has --{flag} {flags[flag]}, this run {vars(args)[flag]}",
                            f"give --{flag} {flags[flag]}, or name another run with --init_from")
    source = load_run(argparse.Namespace(run_dir=run, checkpoint="best"),
                      argparse.Namespace(**flags))
    found = {layer.name: layer.get_weights() for layer in source.layers}
    print(f"starting from {run}", file=sys.stderr)
    for layer in network.layers:
        values, shapes = found.get(layer.name, []), [tuple(w.shape) for w in layer.weights]
        if [value.shape for value in values] == shapes:
            layer.set_weights(values)
        else:
            print(f"not taken: {layer.name} {shapes[0]}", file=sys.stderr)


def read_validation(args: argparse.Namespace, found: Data) -> dict[str, Pair]:
    """Reads some validation pictures, before a run folder is made.

    Raises:
        UserError: none can be decoded.
    """
    return dict(data.pairs_of(take_some(found.validation, MAX_VALIDATION), args.factor,
                              args.degradation))


def make_validate(
    args: argparse.Namespace, network: keras.Model, pairs: Mapping[str, Pair],
    state: TrainState, monitor: Monitor, select: bool = True,
) -> Callable[[int], dict[str, float]]:
    """Returns a function that evaluates and draws validation pictures, and keeps the best weights.

    The scores are PSNR and SSIM of the luma, and the gain over the bicubic enlargement in dB.

    Args:
        args: flags of the run.
        network: whose weights are evaluated.
        pairs: of `read_validation`.
        state: of the run.
        monitor: of the run.
        select: whether the weights of the highest PSNR are kept as the best ones.
    """
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
