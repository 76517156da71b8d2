"""Classifies image files, folders and videos.

    python predict.py photo.jpg scan.png
    python predict.py FOLDER --csv answers.csv
    python predict.py --name NAME --json clip.mp4

Prints, for each file, the predicted label and the most probable classes. A folder is searched with
all its subfolders. The label of a video is the one that most of its frames get; its probabilities
are means over all frames. Of an animated GIF only the first frame is classified.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter03_finetune import augmentation
from chapter03_finetune.inference import load_run
from chapter03_finetune.model import compile_logits
from common import cli, images, video
from common.errors import UserError, raise_together, try_each

FRAMES = 32  # per batch

Classify = Callable[[Sequence[np.ndarray]], np.ndarray]


def majority(probabilities: np.ndarray) -> tuple[int, np.ndarray]:
    """Returns the class that most frames get, and the mean probabilities.

    In a tie, the class with the higher mean probability wins.

    Args:
        probabilities: of shape (frames, classes).
    """
    votes = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    means = probabilities.mean(axis=0)
    return max(range(len(votes)), key=lambda i: (votes[i], means[i])), means


def look(path: Path, classify: Classify) -> tuple[int, np.ndarray, int]:
    """Returns the class of an image or video, the probabilities, and the number of frames.

    Raises:
        UserError: there is no such file, or nothing in it can be decoded.
    """
    if path.suffix.lower() not in video.SUFFIXES or not path.is_file():
        (probabilities,) = classify([images.read_image(path)])
        return int(probabilities.argmax()), probabilities, 1
    frames, parts = video.read_frames(path), []
    while batch := list(islice(frames, FRAMES)):
        parts.append(classify(batch))
    if not parts:
        raise UserError(f"{path} is not a video that can be read", "give a complete video file")
    probabilities = np.concatenate(parts)
    return *majority(probabilities), len(probabilities)


def make_classify(args: argparse.Namespace, flags: argparse.Namespace) -> tuple[Classify, Sequence]:
    """Returns a function from images to probabilities of (count, classes), and the labels."""
    model, names = load_run(args, flags)
    logits, size = compile_logits(model), model.input_shape[1]

    def classify(pictures: Sequence[np.ndarray]) -> np.ndarray:
        batch = tf.stack([augmentation.centre(picture, size) for picture in pictures])
        return tf.nn.softmax(logits(batch)).numpy()

    return classify, names


def predict(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Prints the predictions of a run for files, and writes them to `--csv`.

    Raises:
        UserError: files that were named cannot be read; all others were answered.
    """
    table = Path(args.csv) if args.csv else None
    if table and (table.is_dir() or not table.parent.is_dir()):
        raise UserError(f"--csv {table} cannot be written: it is a folder, or in no folder",
                        "name a file in an existing folder")
    classify, names = make_classify(args, flags)
    rows = []

    def answer(path: Path) -> None:
        label, probabilities, count = look(path, classify)
        rows.append((str(path), names[label], float(probabilities[label])))
        if args.json:
            every = {name: float(p) for name, p in zip(names, probabilities, strict=True)}
            shown = {"file": str(path), "label": names[label], "probabilities": every}
            print(json.dumps(shown, ensure_ascii=False))
        else:
            frames = f" ({count} frames)" if count > 1 else ""
            best = np.argsort(-probabilities, kind="stable")[: args.top_k]
            print(f"{path}: {names[label]}{frames}   "
                  + "  ".join(f"{names[i]} {probabilities[i]:.1%}" for i in best))

    def answer_named(path: Path) -> None:
        if path.is_dir():
            before = len(rows)
            for error in try_each(answer, images.list_folder(path, recursive=True)):
                print(f"skipped: {error}", file=sys.stderr)
            if len(rows) == before:
                raise UserError(f"{path} holds no files that can be read",
                                "give a folder of images")
        else:
            answer(path)

    errors = try_each(answer_named, map(Path, args.files))
    if table and rows:
        part = table.with_name(table.name + ".part")
        # Excel expects a BOM; names of files need not be UTF-8.
        with part.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
            csv.writer(file).writerows([("file", "label", "probability"), *rows])
        part.replace(table)
    raise_together(errors)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="images, folders or videos")
    parser.add_argument("--top_k", "--num_top_predictions", type=cli.positive_int, default=5,
                        help="number of classes that are printed, the most probable first")
    parser.add_argument("--csv", type=cli.path, metavar="TABLE",
                        help="also write file, label and probability to this file")
    parser.add_argument("--json", action=argparse.BooleanOptionalAction, default=False,
                        help="print one JSON object per file, with all probabilities")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(predict, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
