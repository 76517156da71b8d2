"""Cuts the faces out of a folder of people (book, section 6.4.3).

    python align.py lfw lfw_aligned --image_size 160 --margin 32
    python align.py lfw lfw_aligned --align similarity --image_size 112
    python align.py photos aligned --detect_multiple_faces --detector haar

The input has one folder per person; the output has the same folders, with one PNG per photograph.
Of several faces in a photograph, the largest near its centre is taken, or all of them with
--detect_multiple_faces. bounding_boxes_NNNNN.txt lists what was found. Faces that were cut out
before are kept, so that the command can be repeated after an interruption; with --random_order,
several processes can share the work.
"""

import argparse
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from chapter06_face import alignment, detector
from chapter06_face.alignment import Alignment
from chapter06_face.cascade import Faces
from chapter06_face.people import Photo, list_people, report_left_out
from common import cli, images
from common.errors import UserError, exit_status

BATCH = 8  # photographs of equal size that are looked at together …
PIXELS = 4_000_000  # … but not many large ones: a photograph needs about 0.5 kB per pixel


def without_namesakes(photos: Sequence[Photo], errors: list[UserError]) -> list[Photo]:
    """Returns the photographs without those whose faces would overwrite others' (1.jpg, 1.png)."""
    first: dict[tuple[str, str], Photo] = {}
    for photo in photos:
        if (other := first.setdefault((photo.person, photo.path.stem), photo)) is not photo:
            errors.append(UserError(f"{photo.path} has the name of {other.path.name}", "rename it"))
    return list(first.values())


def targets(output: Path, photo: Photo, count: int | None) -> list[Path]:
    """Returns the files of the faces of a photograph; None: of its only one."""
    folder, stem = output / photo.person, photo.path.stem
    if count is None:
        return [folder / f"{stem}.png"]
    return [folder / f"{stem}_{number}.png" for number in range(count)]


def is_done(output: Path, photo: Photo, multiple: bool) -> bool:
    """Returns whether the faces of a photograph were cut out before."""
    return targets(output, photo, 1 if multiple else None)[0].exists()


def write_whole(path: Path, image: np.ndarray) -> None:
    """Writes a PNG file that appears only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    Image.fromarray(image).save(part, format="PNG")
    part.replace(path)


def read_batches(
    photos: Sequence[Photo], errors: list[UserError]
) -> Iterator[list[tuple[Photo, np.ndarray]]]:
    """Yields successive photographs of equal size, a few at a time; collects errors of others."""
    batch: list[tuple[Photo, np.ndarray]] = []
    for photo in photos:
        try:
            image = images.read_image(photo.path)
        except UserError as error:
            errors.append(error)
            continue
        limit = min(BATCH, max(1, PIXELS // (image.shape[0] * image.shape[1])))
        if batch and (len(batch) >= limit or batch[0][1].shape != image.shape):
            yield batch
            batch = []
        batch.append((photo, image))
    if batch:
        yield batch


def cut(
    photo: Photo, image: np.ndarray, faces: Faces, how: Alignment, args: argparse.Namespace
) -> list[tuple[Path, np.ndarray]]:
    """Writes the faces of a photograph that are large and sharp enough.

    Returns:
        The file and the box of each, (ymin, xmin, ymax, xmax) with the margin.
    """
    numbers, kept = list(range(len(faces.boxes))), []
    if numbers and not args.detect_multiple_faces:
        numbers = [alignment.largest_central(faces.boxes, *image.shape[:2])]
    for number in numbers:
        face = alignment.cut_out(image, faces, number, how)
        if not alignment.unfit(faces.boxes[number], face, args.min_face, args.min_sharpness):
            kept.append((face, alignment.margin_box(faces.boxes[number], how.margin,
                                                    *image.shape[:2])))
    paths = targets(Path(args.output_dir), photo,
                    len(kept) if args.detect_multiple_faces else None)
    found = list(zip(paths, kept, strict=False))
    # The first face is written last: where it is, all others are (`is_done`).
    for path, (face, _) in reversed(found):
        write_whole(path, face)
    return [(path, box) for path, (_, box) in found]


def align(args: argparse.Namespace) -> None:
    """Cuts out the faces of all people."""
    source, output = Path(args.input_dir), Path(args.output_dir)
    errors: list[UserError] = []
    photos = without_namesakes(list_people(source), errors)
    if source == output or source in output.parents:
        raise UserError(f"{output} lies in {source}", "give another output folder")
    opened = detector.open_detector(args)
    if args.align == "similarity" and not opened.has_landmarks:
        raise UserError(f"--align similarity needs landmarks, which {opened.name} does not find",
                        "use --detector mtcnn, or --align box")
    how = alignment.of_flags(args, Alignment(args.image_size))
    if args.random_order:
        random.shuffle(photos)
    left = [photo for photo in photos if not is_done(output, photo, args.detect_multiple_faces)]
    output.mkdir(parents=True, exist_ok=True)
    alignment.keep_settings(output, how)
    listing = output / f"bounding_boxes_{random.randrange(10**5):05d}.txt"
    found, nothing = 0, []
    with listing.open("w", encoding="utf-8", errors="surrogateescape") as file, tqdm(
            total=len(left), unit="photo", disable=None) as bar:
        for batch in read_batches(left, errors):
            all_faces = opened.detect([image for _, image in batch])
            for (photo, image), faces in zip(batch, all_faces, strict=True):
                written = cut(photo, image, faces, how, args)
                for path, box in written:  # xmin, ymin, xmax, ymax, as in the original's list
                    print(path, box[1], box[0], box[3], box[2], file=file)
                if written:
                    found += 1
                else:
                    print(targets(output, photo, None)[0], file=file)
                    nothing.append(photo.path)
                bar.update()
    report_left_out(errors)
    for path in nothing[:20]:
        print(f"no face that can be used in {path}")
    print(f"{len(photos)} photographs: {len(photos) - len(left)} were aligned before, {found} are "
          f"now, {len(nothing)} without a face, {len(errors)} unreadable; see {listing}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("input_dir", type=cli.path, help="folder of people")
    parser.add_argument("output_dir", type=cli.path, help="folder of the aligned faces")
    parser.add_argument("--image_size", type=cli.size, default=182,
                        help="height and width of an aligned face in pixels")
    parser.add_argument("--margin", type=cli.non_negative_int,
                        help="added to height and width of the box, in pixels of the photograph "
                             "(default: 44)")
    parser.add_argument("--align", choices=["box", "similarity"], default="box",
                        help="box: cut out as it is; similarity: rotated and scaled by five "
                             "landmarks")
    parser.add_argument("--random_order", action=argparse.BooleanOptionalAction, default=False,
                        help="shuffle the photographs, for several processes at once")
    parser.add_argument("--detect_multiple_faces", action=argparse.BooleanOptionalAction,
                        default=False, help="cut out all faces of a photograph")
    alignment.add_filter_flags(parser)
    detector.add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: align(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
