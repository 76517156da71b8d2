"""Measures the book's way, pix2pix on blurred pictures, beside a network of this chapter.

    python compare.py --book_run NAME --test_dir Set5
    python compare.py --book_run NAME --test_dir Set5 --name best --publish

--book_run is a run of chapter 9 on the pairs of prepare.py. All methods make the same test pictures
of small ones, and are scored alike: PSNR and SSIM of the luma, without a border of four pixels. The
two inputs differ: the book's is averaged over areas and enlarged again by OpenCV before the network
sees it. Its own score stands beside; OpenCV's cubic kernel is sharper than that of "bicubic". For
Set5 the figures of papers stand beside, too. Draws parts of three pictures into the run folder.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chapter09_pix2pix import inference as pix2pix
from chapter09_pix2pix import process
from chapter10_super_resolution import data, quality, sheet
from chapter10_super_resolution.data import Pair
from chapter10_super_resolution.inference import bicubic, load_run, make_enlarge
from common import cli, results, rundir
from common.errors import UserError

BOOK = "chapter09_pix2pix"
# Set5, x4: PSNR and SSIM as published (Dong et al. 2016, Kim et al. 2016; Lim et al. 2017, with the
# large network of 43 million parameters).
PAPERS = {"SRCNN (paper)": (30.48, 0.8628), "VDSR (paper)": (31.35, 0.8838),
          "EDSR (paper)": (32.46, 0.8968)}


def blurred(pair: Pair) -> np.ndarray:
    """Returns the input of the book's network: a quarter by averaging areas, enlarged again."""
    return process.OPERATIONS["blur"](pair.sharp, Path(), argparse.Namespace())


def open_book_run(text: str) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """Opens a run of chapter 9; returns its preset, and its function from blurred pictures.

    Raises:
        UserError: there is no such run, or it was not trained from B to A.
    """
    run = rundir.find_run(BOOK, text)
    flags = argparse.Namespace(**rundir.read_config(run, BOOK)["flags"])
    if flags.lab_colorization or flags.which_direction != "BtoA":
        raise UserError(f"{run} makes no sharp pictures of blurred ones",
                        "name a run of --which_direction BtoA on the pairs of prepare.py")
    generator = pix2pix.load_run(argparse.Namespace(run_dir=run, checkpoint="latest"), flags)
    return flags.preset, pix2pix.make_transform(generator, flags)


def compare(
    args: argparse.Namespace, flags: argparse.Namespace, argv: Sequence[str] | None
) -> dict[str, float]:
    """Measures all methods, prints the table, draws the cut-outs; returns the PSNR by method.

    Raises:
        UserError: the run enlarges by another factor than the book's, or other small pictures.
    """
    if flags.degradation != "bicubic":
        raise UserError(f"the run {args.run_dir.name} is for --degradation "
                        f"{flags.degradation}; the book's input is clean",
                        "name a run of --degradation bicubic")
    if flags.factor != process.BLUR:
        raise UserError(f"the run {args.run_dir.name} enlarges by {flags.factor}, the book by "
                        f"{process.BLUR}", f"name a run of --factor {process.BLUR}")
    network, (preset, book) = load_run(args, flags), open_book_run(args.book_run)
    methods: dict[str, Callable[[Pair], np.ndarray]] = {
        "the book's input": blurred,
        f"pix2pix (preset {preset})": lambda pair: book(blurred(pair)),
        "bicubic": lambda pair: bicubic(pair.small, flags.factor),
        "EDSR (here)": lambda pair: enlarge(pair.small),
        "EDSR, self-ensemble": lambda pair: enlarge_8(pair.small),
    }
    enlarge, enlarge_8 = (make_enlarge(network, flags, self_ensemble=ensemble)
                          for ensemble in (False, True))
    test = data.load_test(Path(args.test_dir), flags.factor)
    pairs = dict(data.pairs_of(test, flags.factor, flags.degradation))
    made = {name: [method(pair) for pair in pairs.values()] for name, method in methods.items()}
    rows: list[dict[str, Any]] = []
    for name, pictures in made.items():
        scores = [quality.score(picture, pair.sharp, flags.factor)
                  for picture, pair in zip(pictures, pairs.values(), strict=True)]
        rows.append({"method": name, **{metric: float(np.mean([s[metric] for s in scores]))
                                        for metric in ("psnr", "ssim")}})
    if Path(args.test_dir).name == "Set5":
        rows += [{"method": name, "psnr": psnr, "ssim": ssim}
                 for name, (psnr, ssim) in PAPERS.items()]
    for row in rows:
        row["psnr"], row["ssim"] = f"{row['psnr']:.2f}", f"{row['ssim']:.4f}"
        print(f"{row['method']:>22}: PSNR {row['psnr']} dB, SSIM {row['ssim']}")
    png = args.run_dir / "compare.png"
    sheet.draw(made | {"sharp": [pair.sharp for pair in pairs.values()]}, png)
    print(png)
    if args.publish:
        results.publish_rows(__file__, argv, f"compare-{Path(args.test_dir).name}", rows)
    return {row["method"]: float(row["psnr"]) for row in rows}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--book_run", type=cli.run_or_name, required=True, metavar="RUN",
                        help="name or folder of a run of chapter 9 on the pairs of prepare.py")
    parser.add_argument("--test_dir", type=cli.path, required=True,
                        help="folder of sharp test pictures, such as Set5")
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                        help="write the table to results/")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(lambda args, flags: compare(args, flags, argv), build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
