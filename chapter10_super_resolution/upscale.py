"""Enlarges pictures, folders and videos with a trained network.

    python upscale.py photo.jpg                              # the latest run
    python upscale.py FOLDER clip.mp4 --name NAME --output_dir large
    python upscale.py photo.png --self_ensemble              # a little better, eight times as slow
    python upscale.py photo.png --compare                    # beside the bicubic enlargement

A picture of any size becomes a PNG file --factor times as large. Large ones are done in tiles that
overlap by what the network sees, so that memory does not grow with them and no seams appear.
Transparency is kept. Photographs that are noisy or compressed need a run of --degradation real.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter10_super_resolution.inference import (
    TILE,
    Enlarge,
    bicubic,
    load_run,
    make_enlarge,
    with_alpha,
)
from common import cli, images, media
from common.errors import UserError


def check(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Raises UserError if the run was made for another factor."""
    if args.factor not in (None, flags.factor):
        raise UserError(
            f"--factor {args.factor}: the run {args.run_dir.name} enlarges by {flags.factor}",
            f"name a run that was trained with --factor {args.factor}")


def limited(enlarge: Enlarge, factor: int) -> Enlarge:
    """Returns a function that refuses pictures whose enlargement is more than can be read again."""
    def run(picture: np.ndarray) -> np.ndarray:
        height, width = (factor * side for side in picture.shape[:2])
        if height * width > images.max_pixels():
            raise UserError(f"a picture would become {width} x {height} pixels, more than "
                            f"{images.max_pixels():,}",
                            "set the environment variable DL21_MAX_PIXELS to a higher limit")
        return enlarge(picture)

    return run


def beside_bicubic(enlarge: Enlarge, factor: int) -> Enlarge:
    """Returns a function whose results stand to the right of the bicubic enlargement."""
    baseline = with_alpha(lambda picture: bicubic(picture, factor))
    return lambda picture: np.concatenate([baseline(picture), enlarge(picture)], axis=1)


def upscale(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Enlarges all files and folders; prints the times.

    Raises:
        UserError: files that were named cannot be read; all others were enlarged.
    """
    check(args, flags)
    network = load_run(args, flags)
    enlarge = with_alpha(make_enlarge(network, flags, args.tile, args.self_ensemble))
    if args.compare:
        enlarge = beside_bicubic(enlarge, flags.factor)

    def report(source: str, target: Path, count: int, seconds: float) -> None:
        speed = (f"{count} frames, {count / seconds:.1f} frames/s" if target.suffix == ".mp4"
                 else f"{seconds:.2f} s")
        print(f"{source} -> {target} ({speed})")

    output = Path(args.output_dir) if args.output_dir else args.run_dir / "enlarged"
    media.transform_all(args, limited(enlarge, flags.factor), output, report, keep_alpha=True)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    media.add_flags(parser)
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: enlarged in the run folder)")
    parser.add_argument("--factor", type=cli.positive_int,
                        help="refuse a run of another factor (default: that of the run)")
    parser.add_argument("--self_ensemble", action=argparse.BooleanOptionalAction, default=False,
                        help="average the results of eight ways to turn and mirror the picture")
    parser.add_argument("--tile", type=cli.size, default=TILE,
                        help="larger pictures are done in tiles of this many pixels")
    parser.add_argument("--compare", action=argparse.BooleanOptionalAction, default=False,
                        help="put the bicubic enlargement on the left")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(upscale, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
