"""Finds faces and landmarks in images, folders, videos or a camera (book, section 6.1).

    python detect.py photo.jpg FOLDER clip.mp4
    python detect.py photo.jpg --stages            # what P-, R- and O-Net leave, and the pyramid
    python detect.py photo.jpg --detector haar     # without weights
    python detect.py --camera 0 --display

Writes each image with the faces drawn, and faces.json: boxes (ymin, xmin, ymax, xmax) and landmarks
(y, x) in pixels.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from chapter06_face import cascade, detector
from chapter06_face.cascade import Faces
from chapter06_face.drawing import draw_faces
from chapter06_face.people import list_photos
from common import cli, figures, files, images, media, rundir
from common.errors import UserError, exit_status, raise_together, try_each


def describe(faces: Faces) -> list[dict[str, Any]]:
    """Returns faces as rows for JSON."""
    return [{"box": box.round(1).tolist(), "score": round(float(score), 4),
             "landmarks": points.round(1).tolist()}
            for box, score, points in zip(*faces, strict=True)]


def draw_stages(
    args: argparse.Namespace, cascades: Sequence[Callable], path: Path, output: Path
) -> None:
    """Draws the pyramid of an image and what each network leaves (figures 6-3 to 6-9)."""
    image, _ = detector.reduced(images.read_image(path), args.max_side)
    scales = cascade.pyramid_scales(*image.shape[:2], args.minsize, args.pyramid_factor)
    if not scales:
        raise UserError(f"{path} is {image.shape[1]} x {image.shape[0]} pixels, less than a face "
                        f"of --minsize {args.minsize:g}", "give a larger image, or lower --minsize")
    canvas = np.full((round(image.shape[0] * scales[0]) + 1, sum(
        round(image.shape[1] * scale) + 4 for scale in scales), 3), 255, np.uint8)
    left = 0
    for scale in scales:
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        canvas[: size[1], left : left + size[0]] = cv2.resize(image, size,
                                                              interpolation=cv2.INTER_AREA)
        left += size[0] + 4
    images.write_png(output / f"{path.stem}-pyramid.png", canvas)
    pictures, titles = [image], ["image"]
    for run, name in zip(cascades, ("P-Net", "R-Net", "O-Net"), strict=True):
        [faces] = cascade.split_by_image(run(image[None]), 1)
        pictures.append(draw_faces(image, faces, scores=name == "O-Net"))
        titles.append(f"{name}: {len(faces.boxes)}")
    target = output / f"{path.stem}-stages.png"
    figures.draw_sheet(pictures, titles, 2, target)
    print(f"{path}: {', '.join(titles[1:])}; see {target} and {path.stem}-pyramid.png")


def detect(args: argparse.Namespace) -> None:
    """Finds the faces in all files."""
    output = Path(args.output_dir or rundir.runs_dir() / "chapter06_face" / "detected")
    if args.stages:
        if args.detector != "mtcnn" or args.camera is not None or not args.files:
            raise UserError("--stages shows the networks of MTCNN on image files",
                            "give images, and omit --detector and --camera")
        detector.settle(args)
        output.mkdir(parents=True, exist_ok=True)
        networks = detector.load_networks(args.mtcnn_weights)
        cascades = [cascade.make_cascade(networks, args.minsize, args.pyramid_factor,
                                         args.thresholds, stages) for stages in (1, 2, 3)]
        paths = [photo.path for photo in list_photos(args.files)]
        raise_together(try_each(lambda path: draw_stages(args, cascades, path, output), paths))
        return
    opened = detector.open_detector(args)
    frames: list[Faces] = []
    rows = []

    def transform(image: np.ndarray) -> np.ndarray:
        [faces] = opened.detect([image])
        frames.append(faces)
        return draw_faces(image, faces)

    def report(source: str, target: Path, count: int, seconds: float) -> None:
        found = [describe(faces) for faces in frames]
        frames.clear()
        is_video = target.suffix == ".mp4"
        rows.append({"file": source, "output": str(target.relative_to(output)),
                     **({"frames": found} if is_video else {"faces": found[0]})})
        total = sum(map(len, found))
        where = f" in {count} frames, {count / seconds:.1f} frames/s" if is_video else ""
        print(f"{source}: {total or 'no'} face{'s' * (total != 1)}{where} -> {target}")

    try:
        media.transform_all(args, transform, output, report)
    finally:
        if rows:
            files.write_json(output / "faces.json", rows)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    media.add_flags(parser)
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: runs/chapter06_face/detected)")
    parser.add_argument("--stages", action="store_true",
                        help="draw the image pyramid and what each of the three networks leaves")
    detector.add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: detect(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
