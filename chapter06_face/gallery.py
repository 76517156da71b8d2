"""Faces in one's own photographs: found, judged by size and sharpness, cut out, embedded."""

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

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


class Finder(NamedTuple):
    """How faces are found and cut out.

    Attributes:
        detector: the detector.
        how: the alignment; None: the images are aligned faces.
        min_face: see `alignment.unfit`.
        min_sharpness: see `alignment.unfit`.
    """

    detector: Detector
    how: Alignment | None
    min_face: float
    min_sharpness: float


def add_flags(parser: argparse.ArgumentParser, aligned: bool = False) -> None:
    """Adds the flags of detection, alignment and the filter.

    Args:
        parser: the parser.
        aligned: whether the images are aligned faces unless --detector says otherwise.
    """
    group = parser.add_argument_group("alignment")
    group.add_argument("--margin", type=cli.non_negative_int,
                       help="added to the box of a face, in pixels of the photograph (default: "
                            "as the training images, else 44)")
    group.add_argument("--align", choices=["box", "similarity"],
                       help="see align.py (default: as the training images, else box)")
    alignment.add_filter_flags(group)
    detector.add_flags(parser, none=True)
    if aligned:
        parser.set_defaults(detector="none")


def open_finder(args: argparse.Namespace, model: Embedder) -> Finder:
    """Opens the detector, and aligns faces as the training images of a model were.

    Raises:
        UserError: flags have no effect beside others, or the weights cannot be used.
    """
    if args.detector == "none":
        detector.refuse_unused(args, ("margin", "align"), "--detector none")
    elif model.drawn:
        print(f"{model.name} was trained on drawn faces: its distances of photographs mean little",
              file=sys.stderr)
    opened, how = detector.open_detector(args), None
    if args.detector != "none":
        how = alignment.of_flags(args, model.how)
        if how.align == "similarity" and not opened.has_landmarks:
            raise UserError(f"--align similarity needs landmarks, {args.detector} finds none",
                            "use --detector mtcnn, or --align box")
    return Finder(opened, how, args.min_face, args.min_sharpness)


def find(photo: Photo, finder: Finder, every: bool = False) -> list[Face]:
    """Returns the faces of a photograph.

    Args:
        photo: the file.
        finder: how to find them.
        every: all faces, else the largest near the centre.

    Raises:
        UserError: the file cannot be read, or has no face that is large and sharp enough.
    """
    image = images.read_image(photo.path)
    [faces] = finder.detector.detect([image])
    if not len(faces.boxes):
        raise UserError(f"{photo.path}: no face was found", "give a photograph with a face, or "
                        "lower --minsize or --thresholds")
    how = finder.how or Alignment(min(image.shape[:2]), 0, "box")
    numbers = range(len(faces.boxes)) if every else [
        alignment.largest_central(faces.boxes, *image.shape[:2])]
    kept, why = [], ""
    for number in numbers:
        cut = alignment.cut_out(image, faces, number, how)
        why = alignment.unfit(faces.boxes[number], cut, finder.min_face, finder.min_sharpness)
        if not why:
            kept.append(Face(photo, faces.boxes[number], cut))
    if not kept:
        raise UserError(f"{photo.path}: {why}", "give a larger or sharper photograph")
    return kept


def find_all(photos: Sequence[Photo], finder: Finder) -> list[Face]:
    """Returns one face per photograph; lists on stderr those that have none.

    Raises:
        UserError: no photograph has a face.
    """
    faces, errors = [], []
    for photo in tqdm(photos, unit="photo", disable=None):
        try:
            faces += find(photo, finder)
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


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the distances of all pairs of embeddings, in [0, 2], of shape (n, m)."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    squares = np.sum(first**2, axis=1)[:, None] + np.sum(second**2, axis=1)
    return np.sqrt(np.maximum(squares - 2 * first @ second.T, 0.0))
