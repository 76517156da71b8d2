"""Compares variants of the network side by side on a photograph: short trainings, one figure.

    python compare.py upsampling photo.jpg   # resize against transposed convolution
    python compare.py norm photo.jpg         # instance against batch normalization
    python compare.py weights photo.jpg      # figure 7-9: a style or content weight too large
    python compare.py styles photo.jpg       # table 7-3: all styles that are drawn by code
    python compare.py runs photo.jpg --run_names wave,mosaic   # table 7-3 with trained runs
    python compare.py mixtures photo.jpg --run_names both      # from style to style in one run

Every variant is a demo of train.py in runs/chapter07_style_transfer/compare/. Finished runs are not
repeated, interrupted ones are resumed. Writes the figure into the same folder.
"""

import argparse
import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter07_style_transfer import data, mixture, train
from chapter07_style_transfer.flags import check_sizes
from chapter07_style_transfer.inference import load_style, make_stylizer
from chapter07_style_transfer.styles import STYLES
from common import cli, figures, files, images, rundir
from common.errors import Interrupted, UserError, exit_status

CHAPTER = "chapter07_style_transfer"
BASE = train.PRESETS["demo"]
OF_RUNS = ("runs", "mixtures")  # are made with finished runs
FACTOR = 30  # by which a weight is too large in figure 7-9
VARIANTS = {
    "upsampling": {"resize": "", "transposed": "--upsampling transposed"},
    "norm": {"instance": "", "batch": "--norm batch"},
    "styles": {name: f"--style_image {name}" if name != BASE["style_image"] else ""
               for name in STYLES},
    "weights": {
        "style weight too large": f"--style_weight {FACTOR * BASE['style_weight']:g}",
        "balanced": "",
        "content weight too large": f"--content_weight {FACTOR * BASE['content_weight']:g}",
    },
}


def learn(variant: str, flags: str, steps: int) -> Path:
    """Trains a variant in a new process, unless that run is finished; returns its folder.

    Raises:
        UserError: the training failed.
        Interrupted: it was stopped.
    """
    name = "-".join([*flags.replace("--", "").split(), f"{steps}_steps"])
    folder = rundir.runs_dir() / CHAPTER / "compare" / name
    if rundir.last_step(folder) >= steps:
        return folder
    print(f"training {variant}: {steps} steps", file=sys.stderr)
    command = [sys.executable, "-m", f"{CHAPTER}.train", "--run_dir", str(folder),
               "--max_steps", str(steps), *flags.split()]
    done = subprocess.run(command, cwd=files.ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 130:
        raise Interrupted("stopped and saved; run the same command again to resume")
    if done.returncode:
        raise UserError(f"the training in {folder} failed:\n{done.stderr[-1000:]}",
                        f"delete {folder} and run the same command again")
    return folder


def styles_of(folder: Path) -> list[str]:
    """Returns the names of the styles of a run."""
    return mixture.names(rundir.read_config(folder, CHAPTER)["flags"]["style_image"])


def mixtures(folder: Path) -> list[str]:
    """Returns mixtures on the way from each style of a run to the next one, as `--style`.

    Raises:
        UserError: the run has one style.
    """
    known = styles_of(folder)
    if len(known) == 1:
        raise UserError(f"{folder} has one style, {known[0]}",
                        "train one with several: python train.py --style_image waves,mosaic")
    found = []
    for first, second in itertools.pairwise(known):
        found += [first, *[f"{first}:{1 - share},{second}:{share}" for share in (0.25, 0.5, 0.75)]]
    return [*found, known[-1]]


def of_runs(what: str, run_names: Sequence[str]) -> dict[str, tuple[Path, str | None]]:
    """Returns the columns of `runs` and `mixtures`: for each title a run and its style."""
    columns = {}
    for name in run_names:
        folder = rundir.find_run(CHAPTER, name)
        chosen = mixtures(folder) if what == "mixtures" else styles_of(folder)
        if len(chosen) == 1:
            columns[name] = folder, None
        else:
            columns |= {f"{name}: {style}": (folder, style) for style in chosen}
    return columns


def stylize_with(
    folder: Path, photograph: np.ndarray, style: str | None, checkpoint: str
) -> np.ndarray:
    """Stylizes a photograph, uint8 of shape (height, width, 3), with a style of a run."""
    config = rundir.read_config(folder, CHAPTER)
    args = argparse.Namespace(run_dir=folder, checkpoint=checkpoint)
    generator = load_style(args, argparse.Namespace(**config["flags"]), style)
    return make_stylizer(generator, max(photograph.shape))(photograph)


def compare(args: argparse.Namespace) -> None:
    """Trains what is missing, and draws the figure."""
    check_sizes(None, size=args.size)
    if (args.what in OF_RUNS) != bool(args.run_names):
        raise UserError(f"--run_names belongs to {' and '.join(OF_RUNS)}, and to nothing else",
                        "python compare.py runs photo.jpg --run_names wave,mosaic")
    photograph = data.resize(images.read_image(Path(args.photograph)), args.size)
    if args.what in OF_RUNS:
        shown = of_runs(args.what, args.run_names.split(","))
    else:
        shown = {name: (learn(name, flags, args.max_steps), None)
                 for name, flags in VARIANTS[args.what].items()}
    columns = {"photograph": photograph}
    # Variants are compared after equally many steps, runs as all other scripts use them.
    checkpoint = "best" if args.what in OF_RUNS else "latest"
    columns |= {name: stylize_with(folder, photograph, style, checkpoint)
                for name, (folder, style) in shown.items()}
    png = rundir.runs_dir() / CHAPTER / "compare" / f"{args.what}.png"
    in_a_row = len(columns) if len(columns) <= 4 else 3
    figures.draw_sheet(list(columns.values()), list(columns), in_a_row, png, 3 * in_a_row)
    print(f"wrote {png}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("what", choices=[*VARIANTS, *OF_RUNS], help="what is compared")
    parser.add_argument("photograph", type=cli.path, help="image file to stylize")
    parser.add_argument("--size", type=cli.size, default=256,
                        help="pixels of the photograph's shorter side")
    parser.add_argument("--max_steps", type=cli.positive_int, default=600,
                        help="steps of each training")
    parser.add_argument("--run_names", help="names or folders of runs, comma-separated")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: compare(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
