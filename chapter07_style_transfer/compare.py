"""Compares variants of the network side by side on a photograph: short trainings, one figure.

    python compare.py upsampling photo.jpg   # resize against transposed convolution
    python compare.py norm photo.jpg         # instance against batch normalization
    python compare.py weights photo.jpg      # figure 7-9: a style or content weight too large
    python compare.py styles photo.jpg       # table 7-3: all styles that are drawn by code
    python compare.py runs photo.jpg --run_names wave,mosaic   # table 7-3 with trained runs

Every variant is a demo of train.py in runs/chapter07_style_transfer/compare/. Finished runs are not
repeated, interrupted ones are resumed. Writes the figure into the same folder.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter07_style_transfer import data, train
from chapter07_style_transfer.inference import load_run, make_stylizer
from chapter07_style_transfer.styles import STYLES
from common import cli, figures, files, images, rundir
from common.errors import Interrupted, UserError, exit_status

CHAPTER = "chapter07_style_transfer"
BASE = train.PRESETS["demo"]
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


def stylize_with(folder: Path, photograph: np.ndarray) -> np.ndarray:
    """Stylizes a photograph, uint8 of shape (height, width, 3), with a run."""
    config = rundir.read_config(folder, CHAPTER)
    args = argparse.Namespace(run_dir=folder, checkpoint="latest")
    generator = load_run(args, argparse.Namespace(**config["flags"]))
    return make_stylizer(generator, max(photograph.shape))(photograph)


def compare(args: argparse.Namespace) -> None:
    """Trains what is missing, and draws the figure."""
    if (args.what == "runs") != bool(args.run_names):
        raise UserError("--run_names belongs to `runs`, and to nothing else",
                        "python compare.py runs photo.jpg --run_names wave,mosaic")
    photograph = data.resize(images.read_image(Path(args.photograph)), args.size)
    if args.what == "runs":
        runs = {name: rundir.find_run(CHAPTER, name) for name in args.run_names.split(",")}
    else:
        runs = {name: learn(name, flags, args.max_steps)
                for name, flags in VARIANTS[args.what].items()}
    columns = {"photograph": photograph}
    columns |= {name: stylize_with(folder, photograph) for name, folder in runs.items()}
    png = rundir.runs_dir() / CHAPTER / "compare" / f"{args.what}.png"
    figures.draw_sheet(list(columns.values()), list(columns), len(columns), png, 3 * len(columns))
    print(f"wrote {png}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("what", choices=[*VARIANTS, "runs"], help="what is compared")
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
