"""Faces in one's own photographs: found, judged by size and sharpness, cut out, embedded."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from chapter06_face import alignment, detector
from chapter06_face.alignment import Alignment
from chapter06_face.detector import Detector
from chapter06_face.inference import Embedder
from chapter06_face.people import Photo, report_left_out
from common import cli, images
from common.errors import UserError


class Face(NamedTuple):
    """A face that was cut out of a photograph.

    Attributes:
        photo: the file, and the person if it is known.
        box: (ymin, xmin, ymax, xmax) in pixels, of shape (4,).
        image: uint8 of shape (size, size, 3).
    """

    photo: Photo
    box: np.ndarray
    image: np.ndarray


def add_flags(parser: argparse.ArgumentParser, aligned: bool = False) -> None:
    """Adds the flags of detection, alignment and the filter.

    Args:
        parser: the parser.
        aligned: whether the images are aligned faces unless --detector says otherwise.
    """
    group = parser.add_argument_group("alignment")
    group.add_argument("--margin", type=cli.non_negative_int, default=44,
                       help="added to the box of a face, in pixels of the photograph")
    group.add_argument("--align", choices=["box", "similarity"], default="box",
                       help="as the images of training were aligned by align.py")
    group.add_argument("--min_face", type=cli.non_negative_int, default=0,
                       help="faces with a shorter side are left out, in pixels")
    group.add_argument("--min_sharpness", type=cli.non_negative_float, default=0.0,
                       help="faces that are more blurred are left out: least variance of the "
                            "Laplacian at 112 x 112 pixels, such as 50")
    detector.add_flags(parser, none=True)
    if aligned:
        parser.set_defaults(detector="none")


def sharpness(face: np.ndarray) -> float:
    """Returns the variance of the Laplacian of a face at 112 × 112 pixels: low if blurred."""
    grey = cv2.cvtColor(alignment.resize(face, 112), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def find(
    photo: Photo, found: Detector, args: argparse.Namespace, every: bool = False
) -> list[Face]:
    """Returns the faces of a photograph.

    Args:
        photo: the file.
        found: the detector.
        args: the flags of `add_flags`.
        every: all faces, else the largest near the centre.

    Raises:
        UserError: the file cannot be read, or has no face that is large and sharp enough.
    """
    image = images.read_image(photo.path)
    [faces] = found.detect([image])
    if not len(faces.boxes):
        raise UserError(f"{photo.path}: no face was found", "give a photograph with a face, or "
                        "lower --minsize or --thresholds")
    how = Alignment(160, args.margin, args.align) if found.name != "none" else Alignment(
        min(image.shape[:2]), 0, "box")
    numbers = range(len(faces.boxes)) if every else [
        alignment.largest_central(faces.boxes, *image.shape[:2])]
    kept, why = [], ""
    for number in numbers:
        box = faces.boxes[number]
        cut = alignment.cut_out(image, faces, number, how)
        side, sharp = min(box[2:] - box[:2]), sharpness(cut)
        if side < args.min_face:
            why = f"the face has {side:.0f} pixels, less than --min_face {args.min_face}"
        elif sharp < args.min_sharpness:
            why = f"the sharpness is {sharp:.0f}, less than --min_sharpness {args.min_sharpness:g}"
        else:
            kept.append(Face(photo, box, cut))
    if not kept:
        raise UserError(f"{photo.path}: {why}", "give a larger or sharper photograph")
    return kept


def open_finder(args: argparse.Namespace) -> Detector:
    """Opens the detector.

    Raises:
        UserError: flags have no effect beside others, or its weights cannot be used.
    """
    found = detector.open_detector(args)
    if args.align == "similarity" and not found.has_landmarks:
        raise UserError(f"--align similarity needs landmarks, {args.detector} finds none",
                        "use --detector mtcnn, or --align box")
    return found


def find_all(photos: Sequence[Photo], args: argparse.Namespace) -> list[Face]:
    """Returns one face per photograph; lists on stderr those that have none.

    Raises:
        UserError: no photograph has a face.
    """
    found = open_finder(args)
    faces, errors = [], []
    for photo in tqdm(photos, unit="photo", disable=None):
        try:
            faces += find(photo, found, args)
        except UserError as error:
            errors.append(error)
    report_left_out(errors)
    if not faces:
        raise UserError(f"none of {len(photos)} photographs has a face that can be used",
                        errors[0].hint if errors else "give photographs")
    print(f"{len(faces)} faces in {len(photos)} photographs", file=sys.stderr)
    return faces


def embed(embedder: Embedder, faces: Sequence[Face]) -> np.ndarray:
    """Returns the embeddings of faces, float32 of shape (faces, size)."""
    return embedder.embed([face.image for face in faces])


def list_photos(paths: Iterable[str]) -> list[Photo]:
    """Returns the photographs of files and folders; in a folder of folders, these are people."""
    photos: list[Photo] = []
    for path in map(Path, paths):
        if not path.is_dir():
            photos.append(Photo(path, path.parent.name))
            continue
        photos += [Photo(file, file.parent.name)
                   for file in images.list_folder(path, recursive=True)]
    return photos


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the distances of all pairs of embeddings, in [0, 2], of shape (n, m)."""
    return np.sqrt(np.maximum(2 - 2 * first @ second.T, 0.0))
