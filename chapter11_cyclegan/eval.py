"""Measures a trained run on the test images, beside baselines that need no network.

    python eval.py
    python eval.py --judge mobilenet_v1_0.75_224.weights.h5 --publish
    python eval.py --name half0 --other half1 --judge FILE --publish

Where the true translations are known (drawn scenes): L1 (of 255), PSNR and SSIM. Always:
`cycle_l1`, how far F(G(x)) is from x, together with `change_l1`, how far G(x) is: copying alone
meets the first, and garbage may meet what follows. With --judge, in the features of a MobileNet:
`kid`, the kernel distance to all images of the target domain, those of training too, `kid_gain`,
how much nearer to them the images are than untranslated, and `share`, what share of the images a
classifier that has learnt the two domains takes for the target. Baselines: the untranslated images
(`identity`), and these with the mean and deviation of each channel of the target (`colours`);
`floor` is what real images of the target reach. With --other, the run of the other
--fold, each run translates the images that it has not seen, and all images of the data set are
measured. Writes eval.json, sheet.png and index.html to the run folder.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from chapter11_cyclegan import data, scores
from chapter11_cyclegan.inference import GENERATORS, load_run, make_predict
from chapter11_cyclegan.judge import Judge, check_enough, open_judge
from chapter11_cyclegan.scores import Translated
from common import cli, images, page, results, rundir
from common.errors import UserError
from common.intervals import wilson_interval

ON_SHEET = 6  # images of each domain on sheet.png
OPPOSITE = {"XtoY": "YtoX", "YtoX": "XtoY"}
BASELINES = ("identity", "colours", "floor")


class Run(NamedTuple):
    """A run and its images, uint8 of shape (count, size, size, 3).

    Attributes:
        train: training images of X and of Y.
        test: names and test images of X, and of Y.
        truth: the true translations of the test images, or None.
        generators: by direction.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[tuple[list[str], np.ndarray], tuple[list[str], np.ndarray]]
    truth: tuple[np.ndarray, np.ndarray] | None
    generators: dict[str, keras.Model]


def open_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Loads the networks and the images of a run."""
    found = data.load(argparse.Namespace(**vars(flags), typed={}))
    rundir.check_data(args.run_dir, found.digest)
    size = flags.image_size
    truth = found.truth and tuple(data.read_all(domain, size)[1] for domain in found.truth)
    return Run(tuple(data.read_all(domain, size)[1] for domain in found.train),
               tuple(data.read_all(domain, size) for domain in found.test), truth,
               load_run(args, flags))


def open_other(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Opens the run of the other fold.

    Raises:
        UserError: it is not one of the same recipe on the other half.
    """
    folder = rundir.find_run(args.chapter, args.other)
    there = rundir.read_config(folder)["flags"]
    free = {*data.LOCATIONS, "judge", "log_every", "save_every", "eval_every", "seed", "preset"}
    differ = [flag for flag, value in vars(flags).items()
              if flag not in free and there.get(flag) != value]
    if differ != ["fold"] or None in (flags.fold, there["fold"]):
        found = f"differs from {args.run_dir} by --{' --'.join(differ)}" if differ else (
            f"has the same --fold as {args.run_dir}")
        raise UserError(f"{folder} {found}",
                        "give two runs of the same flags, with --fold 0 and --fold 1")
    moved = {flag: args.typed[flag] for flag in data.LOCATIONS if flag in args.typed}
    return open_run(argparse.Namespace(run_dir=folder, checkpoint=args.checkpoint),
                    argparse.Namespace(**there | moved))


def translate(run: Run, direction: str) -> Translated:
    """Translates the test images of one domain."""
    there, back = (run.generators.get(name) for name in (direction, OPPOSITE[direction]))
    number = list(GENERATORS).index(direction)
    names, pictures = run.test[number]
    return scores.translate(names, pictures, run.truth and run.truth[number],
                            make_predict(there), back and make_predict(back),
                            (run.train[number], run.train[1 - number]))


def judged(
    runs: Sequence[Run], parts: Sequence[Translated], direction: int, judge: Judge
) -> dict[str, scores.Scores]:
    """Returns kernel distances and shares of the translations of one direction."""
    # All images of the target domain: the halves of two folds are the same twice.
    target = [runs[0].train[1 - direction], runs[0].test[1 - direction][1]]
    found = scores.distances(scores.join(list(parts)), judge(np.concatenate(target)), judge)
    by_run = [scores.shares(part, judge, (judge(run.train[direction]),
                                          judge(run.train[1 - direction])),
                            judge(run.test[1 - direction][1]))
              for run, part in zip(runs, parts, strict=True)]
    counts = {name: [len(part.names) for part in parts] for name in found}
    counts["floor"] = [len(run.test[1 - direction][0]) for run in runs]
    for name, values in found.items():
        share = float(np.average([shares[name] for shares in by_run], weights=counts[name]))
        low, high = wilson_interval(share, sum(counts[name]))
        values |= {"share": share, "share_low": low, "share_high": high}
    return found


def measure(
    runs: Sequence[Run], judge: Judge | None
) -> tuple[dict[str, scores.Scores], dict[str, Translated]]:
    """Measures all directions of a run.

    Returns:
        Scores by name: `test`, the mean of the directions, then `test_XtoY` and the like, and the
        baselines. And the translations by direction.
    """
    metrics: dict[str, scores.Scores] = {}
    translated = {}
    for direction in runs[0].generators:
        parts = [translate(run, direction) for run in runs]
        whole = translated[direction] = scores.join(parts)
        found = judged(runs, parts, list(GENERATORS).index(direction), judge) if judge else {}
        found["test"] = scores.without_pairs(whole) | found.get("test", {})
        for name, pictures in scores.candidates(whole).items():
            found[name] = found.get(name, {}) | scores.against_truth(pictures, whole.truth)
        metrics |= {f"{name}_{direction}": values for name, values in found.items() if values}
    for name in ("test", *BASELINES):
        both = [metrics[f"{name}_{direction}"] for direction in GENERATORS
                if f"{name}_{direction}" in metrics]
        if both:
            metrics[name] = {key: float(np.mean([values[key] for values in both]))
                             for key in both[0] if not key.endswith(("_low", "_high", "_interval"))}
    metrics["test"]["images"] = sum(len(part.names) for part in translated.values())
    return metrics, translated


def rows(translated: dict[str, Translated]) -> Iterator[list[Any]]:
    """Yields the rows of the page, below the first one, which has the titles of the columns."""
    first = next(iter(translated.values()))
    shown = {"back again": first.cycled is not None, "truth": first.truth is not None}
    yield ["name", "input", "output", *(title for title, known in shown.items() if known)]
    for direction, found in translated.items():
        for i, name in enumerate(found.names):
            row = [f"{direction}: {name}", found.inputs[i],
                   (found.outputs[i], f"change {found.change_l1[i]:.3f}")]
            if shown["back again"]:
                row.append((found.cycled[i], f"cycle {found.cycle_l1[i]:.3f}"))
            yield [*row, found.truth[i]] if shown["truth"] else row


def draw_sheet(translated: dict[str, Translated], png: Path) -> None:
    """Draws some images of both domains, and what becomes of them, row by row."""
    shown = []
    count = min(ON_SHEET, *(len(found.names) for found in translated.values()))
    for found in translated.values():
        some = np.linspace(0, len(found.names) - 1, count).astype(int)
        rows = [found.inputs, found.outputs] + ([found.truth] if found.truth is not None else [])
        shown += [row[some] for row in rows]
    images.write_png(png, images.grid(np.concatenate(shown), count))


def report(metrics: dict[str, scores.Scores]) -> None:
    """Prints the scores of both directions."""
    for name, values in metrics.items():
        if name.endswith(tuple(GENERATORS)):
            print(f"{name:>14}: " + ", ".join(
                f"{key} {value:.3f}" for key, value in values.items()
                if not key.endswith(("_low", "_high")) and key != "images"))


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json and index.html; returns the scores of the test images."""
    runs = [open_run(args, flags)] + ([open_other(args, flags)] if args.other else [])
    judge = open_judge(args.judge) if args.judge else None
    if judge:
        check_enough(min(len(names) for run in runs for names, _ in run.test))
    metrics, translated = measure(runs, judge)
    method = "cut" if "direction" in vars(flags) else "cyclegan"
    columns, *body = rows(translated)
    html = page.write_table(args.run_dir, f"{method}: {args.run_dir.name}", columns, body)
    draw_sheet(translated, args.run_dir / "sheet.png")
    details: dict[str, Any] = {"training_images": [[len(part) for part in run.train]
                                                   for run in runs]}
    if args.other:
        other = rundir.find_run(args.chapter, args.other)
        details["other"] = results.usage(other, args.checkpoint) | {
            "command": results.portable_command(rundir.read_config(other))}
    dataset = Path(flags.data_dir or flags.X or flags.dataset).stem
    results.write(args, dataset, f"{method}-{flags.preset}", metrics, details=details)
    report(metrics)
    print(f"{metrics['test']['images']} images; {html}")
    return metrics["test"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=data.LOCATIONS)
    parser.add_argument("--judge", type=cli.path, metavar="FILE",
                        help="weights of a MobileNet .75, trained on ImageNet, in whose features "
                             "KID is measured")
    parser.add_argument("--other", type=cli.run_or_name, metavar="RUN",
                        help="the run of the other --fold")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
