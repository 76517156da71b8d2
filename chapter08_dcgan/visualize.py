"""Draws the five visualizations of the original (book, section 8.3.4).

    python visualize.py --option 0     # a sheet of random images, z in [-0.5, 0.5]
    python visualize.py --option 1     # per dimension a sheet: it goes from 0 to 1, others are 0
    python visualize.py --option 2     # per dimension a GIF; the others are random in [-0.2, 0.2]
    python visualize.py --option 3     # per dimension a GIF; the others are 0
    python visualize.py --option 4     # as 3, and one GIF of all of them, there and back

Writes to visualize/ in the run folder. A conditional generator gets all labels in turn, one per
image in option 0, one per dimension in the others.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter08_dcgan.inference import Run, choose_labels, load_run
from common import cli, images, video
from common.errors import UserError

SHEET = 64  # images of a sheet, frames of a GIF
SECONDS, SECONDS_MERGED = 2, 8  # of a GIF
COLUMNS_MERGED = 10


def sweep(base: np.ndarray, dimension: int) -> np.ndarray:
    """Returns z in which one dimension goes from 0 to 1, of shape (64, z_dim).

    Args:
        base: the other dimensions, of shape (z_dim,).
        dimension: the one that is replaced.
    """
    z = np.tile(base, (SHEET, 1))
    z[:, dimension] = np.arange(SHEET) / SHEET
    return z


def frames(pictures: np.ndarray) -> np.ndarray:
    """Returns images without their channel if they are grey."""
    return pictures[..., 0] if pictures.shape[-1] == 1 else pictures


def write_gif(path: Path, pictures: Sequence[np.ndarray], seconds: float) -> None:
    """Writes a GIF of so many seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with video.writer(path, len(pictures) / seconds) as write:
        for picture in pictures:
            write(picture)


def merge(swept: np.ndarray) -> list[np.ndarray]:
    """Returns sheets of all dimensions at the same place of their sweep, there and back.

    Args:
        swept: of shape (dimensions, 64, height, width, channels).
    """
    there = [frames(images.grid(swept[:, place], COLUMNS_MERGED)) for place in range(SHEET)]
    return [*there, *there[::-1]]


def draw_sweeps(run: Run, args: argparse.Namespace, rng: np.random.Generator, folder: Path) -> None:
    """Draws options 1 to 4: one dimension after the other."""
    dimensions = range(args.dimensions or run.z_dim)
    if args.option == 2:  # as the original: some may come twice, some not at all
        dimensions = rng.integers(0, run.z_dim, len(dimensions))
    labels = choose_labels(run, args.label, len(dimensions))
    swept = []
    for number, (dimension, label) in enumerate(zip(dimensions, labels, strict=True)):
        base = rng.uniform(-0.2, 0.2, run.z_dim) if args.option == 2 else np.zeros(run.z_dim)
        pictures = run.generate(sweep(base, dimension), np.full(SHEET, label))
        if args.option == 1:
            images.write_png(folder / f"test_arange_{number}.png", images.grid(pictures, 8))
        else:
            write_gif(folder / f"test_gif_{number}.gif", frames(pictures), SECONDS)
        if args.option == 4:
            swept.append(pictures)
    if args.option == 4:
        write_gif(folder / "test_gif_merged.gif", merge(np.stack(swept)), SECONDS_MERGED)


def visualize(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Draws the chosen option."""
    if args.option == 0:
        cli.refuse_idle(args, ["dimensions"], "--option 0")
    run = load_run(args, flags)
    if (args.dimensions or 0) > run.z_dim:
        raise UserError(f"--dimensions {args.dimensions}, but z has {run.z_dim}", "give fewer")
    rng, folder = np.random.default_rng(args.seed), args.run_dir / "visualize"
    if args.option == 0:
        z = rng.uniform(-0.5, 0.5, (SHEET, run.z_dim))
        pictures = run.generate(z, choose_labels(run, args.label, SHEET))
        images.write_png(folder / "test.png", images.grid(pictures, 8))
    else:
        draw_sweeps(run, args, rng, folder)
    print(f"option {args.option}: {folder}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--option", type=int, choices=range(5), default=2,
                        help="what is drawn, see above")
    parser.add_argument("--label", help="label of all images (default: all labels in turn)")
    parser.add_argument("--dimensions", type=cli.positive_int,
                        help="dimensions of options 1 to 4 (default: all)")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of random numbers")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(visualize, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
