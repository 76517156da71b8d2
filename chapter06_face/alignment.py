"""Aligned faces: one box of a picture cut out with a margin, or rotated upright by landmarks."""

import argparse
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from chapter06_face.cascade import Faces
from common import cli, files
from common.errors import UserError

SETTINGS = "alignment.json"  # in a folder of aligned faces
# Where the five landmarks of an upright face lie, (x, y) in fractions of the side (the template of
# ArcFace, Deng et al. 2019, at 112 × 112 pixels).
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
                     [41.5493, 92.3655], [70.7299, 92.2041]], np.float64) / 112


class Alignment(NamedTuple):
    """How faces are cut out.

    Attributes:
        image_size: height and width of the crop in pixels.
        margin: added to height and width of the box, in pixels of the picture.
        align: "box", or "similarity": rotated, scaled and moved onto TEMPLATE.
    """

    image_size: int = 182
    margin: int = 44
    align: str = "box"

    def describe(self) -> str:
        """Returns the settings as flags."""
        margin = f" --margin {self.margin}" if self.align == "box" else ""
        return f"--image_size {self.image_size} --align {self.align}{margin}"


def of_flags(args: argparse.Namespace, default: Alignment) -> Alignment:
    """Returns an alignment with what `--margin` and `--align` change, unless they are None.

    Raises:
        UserError: the margin has no effect.
    """
    how = default._replace(align=args.align or default.align)
    if args.margin is None:
        return how
    if how.align == "similarity":
        raise UserError("--margin has no effect with --align similarity", "omit it")
    return how._replace(margin=args.margin)


def read_settings(folder: Path) -> Alignment | None:
    """Returns how the faces of a folder were aligned, if align.py made it.

    Raises:
        UserError: its alignment.json is damaged.
    """
    if not (path := folder / SETTINGS).is_file():
        return None
    try:
        return Alignment(**files.read_json(path))
    except TypeError as error:
        raise UserError(f"{path} is damaged ({error})", "align the photographs again") from error


def keep_settings(folder: Path, how: Alignment) -> None:
    """Writes the settings of a folder, before its first face.

    Raises:
        UserError: its faces were aligned with others.
    """
    if (before := read_settings(folder)) not in (None, how):
        raise UserError(f"the faces in {folder} were aligned with {before.describe()}, not "
                        f"{how.describe()}", "give another output folder")
    files.write_json(folder / SETTINGS, how._asdict())


def add_filter_flags(parser: argparse._ActionsContainer) -> None:
    """Adds the flags of `unfit` to a parser or a group."""
    parser.add_argument("--min_face", type=cli.non_negative_int, default=0,
                        help="faces with a shorter side are left out, in pixels")
    parser.add_argument("--min_sharpness", type=cli.non_negative_float, default=0.0,
                        help="faces that are more blurred are left out: least variance of the "
                             "Laplacian at 112 x 112 pixels, such as 50")


def sharpness(face: np.ndarray) -> float:
    """Returns the variance of the Laplacian of a face at 112 × 112 pixels: low if blurred."""
    grey = cv2.cvtColor(resize(face, 112), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def unfit(box: np.ndarray, face: np.ndarray, min_face: float, min_sharpness: float) -> str:
    """Returns why a face is left out: it is too small or blurred; "" if it is neither.

    Args:
        box: (ymin, xmin, ymax, xmax) in pixels.
        face: cut out, uint8 of shape (height, width, 3).
        min_face: least shorter side of the box in pixels.
        min_sharpness: least sharpness.
    """
    side = min(box[2:] - box[:2])
    if side < min_face:
        return f"the face has {side:.0f} pixels, less than --min_face {min_face:g}"
    if min_sharpness and (sharp := sharpness(face)) < min_sharpness:
        return f"the sharpness is {sharp:.0f}, less than --min_sharpness {min_sharpness:g}"
    return ""


def largest_central(boxes: np.ndarray, height: int, width: int) -> int:
    """Returns the number of the box with the largest area − 2 · squared distance to the centre.

    Args:
        boxes: (ymin, xmin, ymax, xmax) in pixels, of shape (n, 4) with n > 0.
        height: of the picture.
        width: of the picture.
    """
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    offsets = (boxes[:, :2] + boxes[:, 2:]) / 2 - np.array([height, width]) / 2
    return int(np.argmax(areas - 2 * np.sum(offsets**2, axis=1)))


def margin_box(box: np.ndarray, margin: float, height: int, width: int) -> np.ndarray:
    """Returns a box with half the margin on each side, clipped to the picture, int of shape (4,).

    A box outside of the picture becomes the nearest one of one pixel.
    """
    half = margin / 2
    low = np.clip(box[:2] - half, 0, (height - 1, width - 1)).astype(int)
    high = np.clip(box[2:] + half, low + 1, (height, width)).astype(int)
    return np.concatenate([low, high])


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes an image to size × size pixels: means of areas if it shrinks, else bilinear."""
    shrinks = min(image.shape[:2]) > size
    return cv2.resize(image, (size, size),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the rotation, scale and shift that bring points closest to others (Umeyama 1991).

    Args:
        source: (x, y), of shape (n, 2).
        target: where they shall lie, of the same shape.

    Returns:
        float64 of shape (2, 3); applied to (x, y, 1).
    """
    # In complex numbers it is target = a · source + b, a linear least squares problem.
    z, w = source @ [1, 1j], target @ [1, 1j]
    z_mean, w_mean = z.mean(), w.mean()
    spread = np.sum(np.abs(z - z_mean) ** 2)
    a = np.sum((w - w_mean) * np.conj(z - z_mean)) / spread if spread else 1.0
    b = w_mean - a * z_mean
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def cut_out(image: np.ndarray, faces: Faces, number: int, how: Alignment) -> np.ndarray:
    """Returns an aligned face, uint8 of shape (image_size, image_size, 3).

    Args:
        image: the picture, uint8 of shape (height, width, 3).
        faces: the faces in it.
        number: of the face.
        how: "similarity" needs landmarks.
    """
    size = how.image_size
    if how.align == "similarity":
        points = faces.landmarks[number][:, ::-1].astype(np.float64)  # (x, y)
        matrix = similarity_transform(points, TEMPLATE * size)
        scale = np.hypot(matrix[0, 0], matrix[1, 0])
        if scale < 0.5:  # the warp looks at four pixels only: reduce the picture first
            image = cv2.resize(image, None, fx=2 * scale, fy=2 * scale,
                               interpolation=cv2.INTER_AREA)
            matrix = similarity_transform(points * 2 * scale, TEMPLATE * size)
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    top, left, bottom, right = margin_box(faces.boxes[number], how.margin, *image.shape[:2])
    return resize(image[top:bottom, left:right], size)
