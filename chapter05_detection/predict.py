"""Detects objects in image files, folders, videos and a camera.

    python predict.py photo.jpg scan.png
    python predict.py FOLDER --output_dir found --threshold 0.3
    python predict.py clip.mp4                     # writes a video with boxes
    python predict.py --camera 0 --display
    python predict.py photo.jpg --saved_model EXPORT --label_map_path mscoco.pbtxt

Writes each image with its boxes to --output_dir, and detections.json with these boxes: at most
--max_boxes with a score of at least --threshold. With --saved_model, an export of TensorFlow's
Object Detection API that takes images takes the place of a run. An image without a box above the
threshold is reported with the highest score it has.
"""

import argparse
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from chapter05_detection import data, label_map
from chapter05_detection.average_precision import Detections
from chapter05_detection.drawing import draw_boxes
from chapter05_detection.inference import compile_detect, load_run, unpack
from chapter05_detection.label_map import LabelMap
from common import cli, files, media, rundir
from common.errors import UserError, exit_status
from common.flags import typed_flags

DEFAULT_THRESHOLD = 0.5
MOST_IDS = 10_000  # ids of classes that an export may give without a label map

Detect = Callable[[np.ndarray], Detections]  # from uint8 (height, width, 3) to detections


def detector_of_run(args: argparse.Namespace, flags: argparse.Namespace) -> tuple[Detect, LabelMap]:
    """Returns the detector of a run, as a function of one image, and its classes."""
    detector = load_run(args, flags)
    detect = compile_detect(detector)

    def answer(image: np.ndarray) -> Detections:
        return unpack(detect(data.resized(image, detector.pipeline["image_resizer"])[None]))[0]

    return answer, detector.labels


def detector_of_export(folder: Path, label_map_path: str | None) -> tuple[Detect, LabelMap]:
    """Returns the detector of a SavedModel with the API's names, and its classes.

    Classes that the label map lacks are named by their ids.

    Raises:
        UserError: the folder holds no SavedModel, or one with other names.
    """
    hint = "give the folder of saved_model.pb, of an export of the Object Detection API"
    try:
        model = tf.saved_model.load(str(folder))
        function = model.signatures["serving_default"]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{folder} holds no SavedModel that can be used: "
                        f"{str(error).splitlines()[0]}", hint) from error
    inputs = function.structured_input_signature[1]
    names = [name for name, spec in inputs.items() if spec.dtype == tf.uint8]
    needed = {"detection_boxes", "detection_scores", "detection_classes"}
    if not names or not needed <= function.structured_outputs.keys():
        raise UserError(f"{folder} takes {', '.join(inputs)} and returns "
                        f"{', '.join(function.structured_outputs)}", hint)
    known = label_map.parse(Path(label_map_path)) if label_map_path else LabelMap((), ())
    numbers = range(max([MOST_IDS, *known.ids]) + 1)
    of_id = dict(zip(known.ids, known.names, strict=True))

    def answer(image: np.ndarray) -> Detections:
        found = {name: values.numpy()[0] for name, values in
                 function(**{names[0]: tf.constant(image[None])}).items()}
        boxes, scores = found["detection_boxes"], found["detection_scores"]
        count = int(found.get("num_detections", len(scores)))
        return Detections(boxes[:count], scores[:count],
                          found["detection_classes"][:count].astype(int))

    return answer, LabelMap(tuple(of_id.get(i, f"class {i}") for i in numbers), tuple(numbers))


def select(found: Detections, threshold: float, max_boxes: int) -> Detections:
    """Returns the detections above the threshold, at most `max_boxes`, the highest first."""
    chosen = np.flatnonzero(found.scores >= threshold)
    chosen = chosen[np.argsort(-found.scores[chosen], kind="stable")][:max_boxes]
    return Detections(*(column[chosen] for column in found))


def describe(found: Detections, labels: LabelMap) -> list[dict[str, Any]]:
    """Returns detections as rows for JSON; boxes are (ymin, xmin, ymax, xmax) in fractions."""
    return [{"class": labels.names[label], "id": labels.ids[label],
             "score": round(float(score), 4), "box": [round(float(side), 4) for side in box]}
            for box, score, label in zip(*found, strict=True)]


def summary(
    all_found: Sequence[Detections], all_shown: Sequence[Detections], labels: LabelMap,
    threshold: float,
) -> str:
    """Returns what was found in one image, or in the frames of a video, as a line of text."""
    if len(all_shown) == 1 and len(all_shown[0].scores):
        return ", ".join(f"{labels.names[label]} {score:.0%}" for score, label in
                         zip(all_shown[0].scores, all_shown[0].classes, strict=True))
    scores = np.concatenate([found.scores for found in all_found])
    highest = f"the highest was {scores.max():.2f}" if len(scores) else "there was none"
    if len(all_shown) == 1:
        return f"no box above {threshold:g}; {highest}"
    with_boxes = sum(bool(len(shown.scores)) for shown in all_shown)
    return f"boxes in {with_boxes} of {len(all_shown)} frames; {highest}"


def predict(args: argparse.Namespace, detect: Detect, labels: LabelMap) -> None:
    """Detects objects in all files, writes them and detections.json.

    Raises:
        UserError: files that were named cannot be read; all others were looked at.
    """
    rows: list[dict[str, Any]] = []
    seen: list[tuple[Detections, Detections]] = []  # of each frame: all boxes, and those shown

    def transform(image: np.ndarray) -> np.ndarray:
        found = detect(image)
        shown = select(found, args.threshold, args.max_boxes)
        drawn = draw_boxes(image, shown.boxes, shown.classes, labels.names, shown.scores)
        seen.append((found, shown))
        return drawn

    def report(source: str, target: Path, count: int, seconds: float) -> None:
        all_found, all_shown = zip(*seen[-count:], strict=True)
        described = [describe(shown, labels) for shown in all_shown]
        of_video = target.suffix == ".mp4"
        rows.append({"file": source, "output": str(target.relative_to(args.output_dir)),
                     **({"frames": described} if of_video else {"detections": described[0]})})
        print(f"{source}: {summary(all_found, all_shown, labels, args.threshold)}")
        seen.clear()

    try:
        media.transform_all(args, transform, args.output_dir, report)
    finally:
        if rows:
            files.write_json(args.output_dir / "detections.json", rows)
            print(f"images with boxes and detections.json: {args.output_dir}")


def best_threshold(run_dir: Path, checkpoint: str) -> float:
    """Returns the threshold with the highest F1, if eval.py has evaluated these weights, else 0.5.

    Evaluations with other proposals than those of the network do not count.
    """
    path = run_dir / "eval.json"
    found = files.read_json(path, "run eval.py again") if path.is_file() else {}
    if (found.get("checkpoint"), found.get("details", {}).get("proposals", "rpn")) != (
            checkpoint, "rpn"):
        return DEFAULT_THRESHOLD
    return found["metrics"]["validation"].get("threshold", DEFAULT_THRESHOLD)


def predict_by_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Detects objects by a run."""
    if args.label_map_path:
        raise UserError("--label_map_path has no effect without --saved_model", "omit it")
    args.output_dir = Path(args.output_dir or args.run_dir / "predictions")
    if args.threshold is None:
        args.threshold = best_threshold(args.run_dir, args.checkpoint)
    predict(args, *detector_of_run(args, flags))


def predict_by_export(args: argparse.Namespace, typed: Collection[str]) -> None:
    """Detects objects by a SavedModel; `typed` are the flags of the command line."""
    if of_run := [f"--{flag}" for flag in ("name", "run_dir", "checkpoint") if flag in typed]:
        raise UserError(f"{' '.join(of_run)} has no effect with --saved_model", "omit it")
    folder = rundir.runs_dir() / "chapter05_detection" / "predictions"
    args.output_dir = Path(args.output_dir or folder)
    if args.threshold is None:
        args.threshold = DEFAULT_THRESHOLD
    predict(args, *detector_of_export(Path(args.saved_model), args.label_map_path))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    media.add_flags(parser)
    parser.add_argument("--threshold", type=cli.from_0_to_1,
                        help="lowest score of a box that is shown (default: the best one by "
                             f"eval.py, {DEFAULT_THRESHOLD} before it has run)")
    parser.add_argument("--max_boxes", type=cli.size, default=20, help="boxes per image at most")
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: predictions in the run folder)")
    parser.add_argument("--saved_model", type=cli.path, metavar="FOLDER",
                        help="an export of the Object Detection API, in place of a run")
    parser.add_argument("--label_map_path", type=cli.path,
                        help="names of the classes of --saved_model, .pbtxt")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = build_parser()
    if any(word.partition("=")[0] == "--saved_model" for word in words):
        return exit_status(lambda: predict_by_export(parser.parse_args(words),
                                                     typed_flags(parser, words)))
    return cli.run_verb(predict_by_run, parser, words)


if __name__ == "__main__":
    raise SystemExit(main())
