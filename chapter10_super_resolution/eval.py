"""Measures a trained network on test and validation pictures, beside bicubic interpolation.

    python eval.py                                      # the data of the run
    python eval.py --test_dir Set5 --publish            # other sharp pictures

PSNR in dB and SSIM of the luma, without a border as wide as the factor, averaged over the pictures:
of the network, of its self-ensemble (the mean over eight ways to turn the picture), and of bicubic
interpolation. The interval of the gain over bicubic is paired: a bootstrap of the differences on
the same pictures. With --test_dir only its pictures are measured. Photographs have no test split:
without it those held out for validation are measured, on which the checkpoint was selected. Writes
eval.json, index.html with all pictures, and sheet.png with cut-outs of some, to the run folder.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chapter10_super_resolution import data, quality, sheet
from chapter10_super_resolution.inference import Enlarge, bicubic, load_run, make_enlarge
from chapter10_super_resolution.pictures import Pictures
from common import cli, intervals, page, results, rundir

METHODS = "bicubic", "network", "self_ensemble"
SHOWN = 400  # pixels of each side that the page shows at most, cut out of the middle
OF_SHEET = {"bicubic": 1, "network": 2, "sharp": 4}  # columns of sheet.png, and of the page

# PSNR and SSIM by split, method and metric, of every picture.
Scores = dict[str, dict[str, dict[str, list[float]]]]


def measure(
    split: str, found: Pictures, flags: argparse.Namespace, methods: dict[str, Enlarge],
    scores: Scores,
) -> Iterator[list[Any]]:
    """Measures all pictures of a split, and yields the rows of the page."""
    for name, pair in data.pairs_of(found, flags.factor, flags.degradation):
        cells: list[Any] = [f"{split}: {name}"]
        for method, enlarge in methods.items():
            enlarged = enlarge(pair.small)
            values = quality.score(enlarged, pair.sharp, flags.factor)
            for metric, value in values.items():
                scores[split][method][metric].append(value)
            caption = f"{values['psnr']:.2f} dB, {values['ssim']:.3f}"
            cells.append((sheet.centre(enlarged, SHOWN), caption))
        yield [*cells, (sheet.centre(pair.sharp, SHOWN), "")]


def named(split: str, method: str) -> str:
    """Returns the name of the scores of a method on a split in eval.json."""
    if method == "network":
        return split
    return method if split == "test" else f"{split}_{method}"


def summarize(scores: Scores) -> dict[str, dict[str, float]]:
    """Returns the mean of all scores, and the gain over bicubic with its paired 95 % interval."""
    metrics = {}
    for split, by_method in scores.items():
        for method, found in by_method.items():
            metrics[named(split, method)] = {name: float(np.mean(values))
                                             for name, values in found.items()}
        psnr = {method: np.array(found["psnr"]) for method, found in by_method.items()}
        gain = intervals.paired_interval(psnr["network"], psnr["bicubic"])
        metrics[split] |= {"gain": gain["difference"], "gain_low": gain["low"],
                           "gain_high": gain["high"], "images": len(psnr["network"])}
    return metrics


def report(metrics: dict[str, dict[str, float]], html: Path) -> None:
    """Prints all scores."""
    for name, values in metrics.items():
        print(f"{name:>24}: PSNR {values['psnr']:.2f} dB, SSIM {values['ssim']:.4f}"
              + (f", {values['images']} images, {values['gain']:+.2f} dB against bicubic "
                 f"[{values['gain_low']:+.2f}, {values['gain_high']:+.2f}]"
                 if "gain" in values else ""))
    print(html)


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json and index.html; returns the scores of the test pictures."""
    if args.test_dir:
        splits = {"test": data.load_test(Path(args.test_dir), flags.factor)}
    else:
        found = data.load(argparse.Namespace(**vars(flags), typed={}))
        rundir.check_data(args.run_dir, found.digest)
        splits = ({"test": found.test} if found.test else {}) | {"validation": found.validation}
    network = load_run(args, flags)
    methods = dict(zip(METHODS, (lambda small: bicubic(small, flags.factor),
                                 make_enlarge(network, flags),
                                 make_enlarge(network, flags, self_ensemble=True)), strict=True))
    scores: Scores = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    rows = [row for split, pictures in splits.items()
            for row in measure(split, pictures, flags, methods, scores)]
    html = page.write_table(
        args.run_dir, f"Super-resolution x{flags.factor}: {args.run_dir.name}",
        ["picture", *METHODS, "sharp"], rows)
    sheet.draw({title: [row[column][0] for row in rows] for title, column in OF_SHEET.items()},
               args.run_dir / "sheet.png")
    metrics = summarize(scores)
    dataset = ("+".join(folder.name for folder in data.folders_of(flags.data_dir))
               if flags.data_dir else flags.dataset)
    loss = "srgan" if hasattr(flags, "gan_weight") else "edsr"
    results.write(args, dataset,
                  f"{loss}{flags.blocks}x{flags.width}-x{flags.factor}-{flags.preset}", metrics,
                  details={"test": Path(args.test_dir).name if args.test_dir else dataset})
    report(metrics, html)
    return metrics.get("test") or metrics["validation"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["data_dir"], data_type=data.paths)
    parser.add_argument("--test_dir", type=cli.path,
                        help="folder of sharp test pictures, such as Set5 (default: drawn ones, of "
                             "a run on drawn pictures)")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
