"""Measures a trained network on photographs, beside the slow method with the same losses.

    python eval.py                                        # the held-out photographs of the run
    python eval.py PHOTO.jpg FOLDER --slow_steps 500      # others, and the slow method on each
    python eval.py --name NAME --style mosaic --publish   # one of several styles

Each photograph is resized to cover a square and its centre is cropped, for both methods. Writes
eval.json, and methods.png and index.html with photograph, slow and fast result, to the run folder.
The baseline `photograph` is the photograph itself: its content loss is 0.
The flicker of videos is measured on clips of the first photograph, see flicker.py.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from chapter07_style_transfer import data, mixture
from chapter07_style_transfer.flags import check_sizes
from chapter07_style_transfer.flicker import flicker
from chapter07_style_transfer.gatys import optimize
from chapter07_style_transfer.inference import (
    compile_stylize,
    load_style,
    make_score,
    mean_losses,
    open_objective,
    squares,
)
from chapter07_style_transfer.objective import Objective, of_one_style
from common import cli, files, images, page, results, rundir
from common.errors import UserError

OF_LOSS = ("content_weight", "style_weight", "tv_weight", "content_layers", "style_layers",
           "normalization", "post_activation")  # flags, besides the network


def find_photographs(args: argparse.Namespace, flags: argparse.Namespace) -> list[Path]:
    """Returns the photographs to measure on: those that are named, or the run's held-out ones.

    Raises:
        UserError: a file does not exist, or a folder holds no photographs.
    """
    if not args.photographs:
        return data.load(flags).validation
    found = []
    for path in map(Path, args.photographs):
        listed = images.list_folder(path) if path.is_dir() else [path]
        if not (readable := [file for file in listed if data.is_photograph(file)]):
            raise UserError(f"{path} is not, or holds no, image that can be stylized",
                            "give PNG or JPEG files, or their folder")
        found += readable
    return found


def time_of(action: Callable[[], np.ndarray], repeats: int = 3) -> tuple[np.ndarray, float]:
    """Returns the result of an action, and the shortest of some times in seconds."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        result = action()
        seconds.append(time.perf_counter() - began)
    return result, min(seconds)


def slow_results(
    objective: Objective, photographs: np.ndarray, steps: int, learning_rate: float, loss: str
) -> tuple[list[np.ndarray], float]:
    """Optimizes the pixels of each photograph; returns the images and the mean seconds.

    They are kept in runs/chapter07_style_transfer/slow, for other runs and checkpoints with the
    same loss, of which `loss` is the sha256.
    """
    key = files.sha256(photographs, f"{steps} {learning_rate} {loss}".encode())
    kept = rundir.runs_dir() / "chapter07_style_transfer" / "slow" / f"{key[:16]}.npz"
    if kept.is_file():
        found = np.load(kept)
        return list(found["images"]), float(found["seconds"])
    made = [time_of(lambda photograph=photograph: optimize(
        objective, photograph, steps, learning_rate=learning_rate), repeats=1)
        for photograph in photographs]
    seconds = float(np.mean([spent for _, spent in made]))
    found = [image for image, _ in made]
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (part := kept.with_suffix(".part")).open("wb") as file:
        np.savez_compressed(file, images=found, seconds=seconds)
    part.replace(kept)
    return found, seconds


def draw(
    run_dir: Path, style: str, paths: Sequence[Path], rows: dict[str, list[np.ndarray]],
    scores: dict[str, list[dict[str, float]]],
) -> Path:
    """Writes methods.png and index.html; returns the page.

    Args:
        run_dir: the folder.
        style: its name.
        paths: of the photographs.
        rows: images of every method, float32 of shape (size, size, 3).
        scores: losses of every method.
    """
    columns = sorted(rows, key=["photograph", "slow", "fast"].index)
    shown = np.uint8([rows[name] for name in columns])  # (methods, count, size, size, 3)
    images.write_png(run_dir / "methods.png",
                     images.grid(shown.reshape(-1, *shown.shape[2:]), len(paths)))
    return page.write_table(run_dir, f"Style transfer: {style}", ["file", *columns],
                            ([path.name, *[(np.uint8(rows[name][i].round()),
                                            f"total loss {scores[name][i]['total_loss']:.3f}")
                                           for name in columns]] for i, path in enumerate(paths)))


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json and index.html; returns the losses of the network."""
    check_sizes(flags.network, size=args.size)
    flags.data_dir = args.data_dir or flags.data_dir
    flags.style_image = args.style_image or flags.style_image
    number = mixture.choose(flags.style_image, args.style)
    known = mixture.names(flags.style_image)
    objective, styles, network_digest = open_objective(flags)
    objective = of_one_style(objective, mixture.each(len(known))[number])
    trained_on = data.load(flags)
    rundir.check_data(args.run_dir, files.sha256(trained_on.digest.encode(), *styles,
                                                 network_digest.encode()))
    found = squares(find_photographs(args, flags), args.size or flags.scale_size)
    paths, photographs = list(found), np.stack(list(found.values()))
    # The fast method: one pass. The first call, which compiles, is not timed.
    run_stylize = compile_stylize(load_style(args, flags, args.style))
    run_stylize(photographs[:1])
    made = [time_of(lambda image=image: run_stylize(image[None])[0].numpy())
            for image in photographs]
    rows = {"photograph": list(photographs), "fast": [image for image, _ in made]}
    seconds = {"fast": float(np.mean([spent for _, spent in made]))}
    if args.slow_steps:
        loss = files.sha256(styles[number], network_digest.encode(),
                            str([vars(flags)[name] for name in OF_LOSS]).encode())
        rows["slow"], seconds["slow"] = slow_results(
            objective, photographs, args.slow_steps, args.slow_learning_rate, loss)
    # The same losses of all, on the same squares.
    score = make_score(objective)
    scores = {name: list(map(score, photographs, generated)) for name, generated in rows.items()}
    metrics = {name: mean_losses(found) for name, found in scores.items()}
    test = metrics["test"] = metrics.pop("fast")
    test |= {"seconds": seconds["fast"], "photographs": len(photographs)}
    metrics["flicker"] = flicker(run_stylize, images.read_image(paths[0]), photographs.shape[1])
    if args.slow_steps:
        slow = metrics["slow"]
        slow |= {"seconds": seconds["slow"], "steps": args.slow_steps}
        metrics["ratio"] = {name: test[name] / slow[name]
                            for name in ("total_loss", "content_loss", "style_loss")}
        metrics["ratio"]["speedup"] = slow["seconds"] / test["seconds"]
    details = {"photographs": [path.name for path in paths], "size": photographs.shape[1],
               "losses": scores}
    several = [f"{len(known)}styles"] if len(known) > 1 else []
    model = "-".join((flags.generator, *several, flags.preset))
    results.write(args, known[number], model, metrics, details=details)
    sheet = draw(args.run_dir, known[number], paths, rows, scores)
    print(f"{len(paths)} photographs of {photographs.shape[1]} pixels: total loss "
          + ", ".join(f"{name} {metrics[key]['total_loss']:.3f}" for name, key in
                      (("network", "test"), ("slow method", "slow"), ("photograph", "photograph"))
                      if key in metrics)
          + f"; {seconds['fast']:.3f} s an image; flicker "
          + ", ".join(f"{name} {value:.2f}" for name, value in metrics["flicker"].items())
          + f"; {sheet}")
    return test


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["data_dir"])
    parser.add_argument("photographs", nargs="*", metavar="PHOTO",
                        help="images or folders (default: the held-out photographs of the run)")
    parser.add_argument("--style_image", type=mixture.style_images,
                        help="where the style images of the run lie now")
    parser.add_argument("--style", metavar="NAME",
                        help="one of the run's styles, by name or number (default: the first)")
    parser.add_argument("--size", type=cli.size,
                        help="height and width of the squares in pixels (default: the run's "
                             "--scale_size)")
    parser.add_argument("--slow_steps", type=cli.non_negative_int, default=0,
                        help="also optimize the pixels of each photograph with so many steps of "
                             "Adam; 0: do not")
    parser.add_argument("--slow_learning_rate", type=cli.positive_float, default=4.0,
                        help="of that Adam, of values in [0, 255]")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
