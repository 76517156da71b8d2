"""Sharp pictures: in memory, or in files; those that are no images are listed and left out."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from chapter10_super_resolution import degradation
from common import files, images
from common.errors import UserError

JPEGS = "JPEG", "MPO"  # formats by their content: a suffix may lie


class Pictures(NamedTuple):
    """Sharp pictures.

    Attributes:
        names: of the pictures, unique.
        read: returns a picture by its number, uint8 of shape (height, width, 3).
        digest: a text that changes with the files.
    """

    names: tuple[str, ...]
    read: Callable[[int], np.ndarray]
    digest: str

    def take(self, numbers: Sequence[int]) -> "Pictures":
        """Returns some of the pictures."""
        kept = list(numbers)
        return Pictures(tuple(self.names[i] for i in kept), lambda i: self.read(kept[i]),
                        self.digest)


def of_arrays(pictures: dict[str, np.ndarray]) -> Pictures:
    """Returns pictures that are in memory, by name."""
    return Pictures(tuple(pictures), list(pictures.values()).__getitem__,
                    files.sha256(*pictures.values()))


def shrink(picture: np.ndarray, factor: int) -> np.ndarray:
    """Reduces a picture by a whole factor, which averages away the artefacts of JPEG."""
    return degradation.reduce(degradation.cut_to_multiple(picture, factor), factor)


def size_of(path: Path, reduce_jpegs: int) -> int:
    """Returns the smaller side of a picture as it is used, 0 if it is no readable image."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > images.max_pixels():
                return 0
            return min(image.size) // (reduce_jpegs if image.format in JPEGS else 1)
    except (OSError, SyntaxError, ValueError):
        return 0


def find_pictures(folder: Path, reduce_jpegs: int, least: int) -> list[Path]:
    """Returns the pictures of a folder and its subfolders; lists on stderr what is left out.

    Args:
        folder: of the pictures.
        reduce_jpegs: factor by which JPEG files are reduced.
        least: pixels that the smaller side has at least, after that.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "check the path")
    listed = images.list_folder(folder, recursive=True)
    found = [path for path in listed if size_of(path, reduce_jpegs) >= least]
    used = set(found)
    if others := [path.name for path in listed if path not in used]:
        print(f"left out of {folder}: {len(others)} files that are no images of at least {least} "
              f"pixels a side, after the reduction of JPEGs: {', '.join(others[:5])}"
              f"{' ...' if len(others) > 5 else ''}", file=sys.stderr)
    return found


def of_files(paths: Sequence[Path], reduce_jpegs: int) -> Pictures:
    """Returns pictures in files; JPEGs are reduced by a factor."""
    def read(number: int) -> np.ndarray:
        picture = images.read_image(paths[number])
        with Image.open(paths[number]) as image:
            return shrink(picture, reduce_jpegs) if image.format in JPEGS else picture

    root = os.path.commonpath(path.parent for path in paths) if paths else ""
    facts = [f"{path.name} {path.stat().st_size}" for path in paths]
    return Pictures(tuple(str(path.relative_to(root)) for path in paths), read, "\n".join(facts))


def take_some(found: Pictures, most: int) -> Pictures:
    """Returns at most so many pictures, evenly spread."""
    count = min(most, len(found.names))
    return found.take(np.linspace(0, len(found.names) - 1, count).astype(int).tolist())
