"""Detects objects in image files, folders and videos.

    python predict.py photo.jpg scan.png
    python predict.py FOLDER --output_dir found --threshold 0.3
    python predict.py clip.mp4                     # writes a video with boxes
    python predict.py photo.jpg --saved_model EXPORT --label_map_path mscoco.pbtxt

Writes each image with its boxes to --output_dir, and detections.json with all boxes above the
threshold. With --saved_model, any export of TensorFlow's Object Detection API takes the place of a
run. An image without a box above the threshold is reported with the highest score it has.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from chapter05_detection import data, label_map
from chapter05_detection.average_precision import Detections
from chapter05_detection.drawing import draw_boxes
from chapter05_detection.inference import compile_detect, load_run, unpack
from chapter05_detection.label_map import LabelMap
from common import cli, files, images, rundir, video
from common.errors import UserError, exit_status, raise_together, try_each

VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}

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
    numbers = range(max([99, *known.ids]) + 1)
    of_id = dict(zip(known.ids, known.names, strict=True))

    def answer(image: np.ndarray) -> Detections:
        found = {name: values.numpy()[0] for name, values in
                 function(**{names[0]: tf.constant(image[None])}).items()}
        boxes, scores = found["detection_boxes"], found["detection_scores"]
        count = int(found.get("num_detections", len(scores)))
        return Detections(boxes[:count], scores[:count],
                          found["detection_classes"][:count].astype(int))

    return answer, LabelMap(tuple(of_id.get(i, f"class {i}") for i in numbers), tuple(numbers))


def frames_of(path: Path) -> tuple[Iterator[np.ndarray], float]:
    """Returns the frames of a video, uint8 (height, width, 3), and their number per second.

    Raises:
        UserError: the file is no video.
    """
    source = cv2.VideoCapture(str(path))
    if not source.isOpened():
        raise UserError(f"{path} is not a video that can be read", "give a complete video file")

    def read() -> Iterator[np.ndarray]:
        while (frame := source.read())[0]:
            yield cv2.cvtColor(frame[1], cv2.COLOR_BGR2RGB)
        source.release()

    return read(), source.get(cv2.CAP_PROP_FPS) or 25.0


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


def summary(found: Detections, shown: Detections, labels: LabelMap, threshold: float) -> str:
    """Returns what was found in one image, as a line of text."""
    if len(shown.scores):
        return ", ".join(f"{labels.names[label]} {score:.0%}"
                         for score, label in zip(shown.scores, shown.classes, strict=True))
    highest = f"the highest was {found.scores.max():.2f}" if len(found.scores) else "there was none"
    return f"no box above {threshold:g}; {highest}"


def look_at_image(path: Path, detect: Detect, labels: LabelMap, args: argparse.Namespace,
                  rows: list) -> None:
    """Detects objects in one image, writes it with its boxes and prints a line."""
    image = images.read_image(path)
    found = detect(image)
    shown = select(found, args.threshold, args.max_boxes)
    drawn = draw_boxes(image, shown.boxes, shown.classes, labels.names, shown.scores)
    number = sum(row["output"].startswith(path.stem) for row in rows)
    output = f"{path.stem}{f'-{number}' if number else ''}.png"
    images.write_png(args.output_dir / output, drawn)
    rows.append({"file": str(path), "output": output, "detections": describe(shown, labels)})
    print(f"{path}: {summary(found, shown, labels, args.threshold)}")


def look_at_video(path: Path, detect: Detect, labels: LabelMap, args: argparse.Namespace,
                  rows: list) -> None:
    """Detects objects in all frames of a video, writes it with boxes and prints a line."""
    frames, rate = frames_of(path)
    output = args.output_dir / f"{path.stem}-boxes.mp4"
    of_frames, highest = [], 0.0
    with video.writer(output, rate) as write:
        for image in frames:
            found = detect(image)
            shown = select(found, args.threshold, args.max_boxes)
            write(draw_boxes(image, shown.boxes, shown.classes, labels.names, shown.scores))
            of_frames.append(describe(shown, labels))
            highest = max(highest, float(found.scores.max(initial=0)))
        if not of_frames:
            raise UserError(f"{path} has no frame that can be read", "give a complete video file")
    rows.append({"file": str(path), "output": output.name, "frames": of_frames})
    with_boxes = sum(bool(frame) for frame in of_frames)
    print(f"{path}: boxes in {with_boxes} of {len(of_frames)} frames; the highest score was "
          f"{highest:.2f}")


def predict(args: argparse.Namespace, detect: Detect, labels: LabelMap) -> None:
    """Detects objects in all files, writes them and detections.json.

    Raises:
        UserError: files that were named cannot be read; all others were looked at.
    """
    args.output_dir.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []

    def look(path: Path) -> None:
        is_video = path.suffix.lower() in VIDEOS and path.is_file()
        (look_at_video if is_video else look_at_image)(path, detect, labels, args, rows)

    def look_named(path: Path) -> None:
        if not path.is_dir():
            return look(path)
        before = len(rows)
        for error in try_each(look, images.list_folder(path, recursive=True)):
            print(f"skipped: {error}", file=sys.stderr)
        if len(rows) == before:
            raise UserError(f"{path} holds no files that can be read", "give a folder of images")
        return None

    errors = try_each(look_named, map(Path, args.files))
    files.write_json(args.output_dir / "detections.json", rows)
    print(f"images with boxes and detections.json: {args.output_dir}")
    raise_together(errors)


def predict_by_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Detects objects by a run."""
    args.output_dir = Path(args.output_dir or args.run_dir / "predictions")
    predict(args, *detector_of_run(args, flags))


def predict_by_export(args: argparse.Namespace) -> None:
    """Detects objects by a SavedModel."""
    folder = rundir.runs_dir() / "chapter05_detection" / "predictions"
    args.output_dir = Path(args.output_dir or folder)
    predict(args, *detector_of_export(Path(args.saved_model), args.label_map_path))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    parser.add_argument("files", nargs="+", metavar="FILE", help="images, folders or videos")
    parser.add_argument("--threshold", type=cli.from_0_to_1, default=0.5,
                        help="lowest score of a box that is shown")
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
    parser = build_parser()

    def by_export() -> None:
        args = parser.parse_args(argv)
        if args.name or args.run_dir:
            raise UserError("both a run and --saved_model", "give one of them")
        predict_by_export(args)

    chosen: list[str] = []

    def find() -> None:
        chosen.append(parser.parse_args(argv).saved_model)

    if status := exit_status(find):
        return status
    return exit_status(by_export) if chosen[0] else cli.run_verb(predict_by_run, parser, argv)


if __name__ == "__main__":
    raise SystemExit(main())
