"""Finds pairs of images on disk: side by side in one file, in two folders, or photographs alone.

Files that are no images, halves without a partner and the like are listed and left out.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from common import images
from common.errors import UserError

SPLITS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
MIN_ASPECT = 1.2  # of a file with two halves: width / height
MAP_COLOURS = 8  # a map consists of so many colours, nearly
SURE = 0.2  # difference of the shares of these colours from which halves are taken for swapped
GUESSED_FROM = 12  # pairs


class Pairs(NamedTuple):
    """Pairs of images, or photographs.

    Attributes:
        names: of the pairs, unique.
        read: returns a pair by its number, uint8 of shape (height, width, 6), A then B, or a
            photograph, (height, width, 3).
        digest: a text that changes with the files.
    """

    names: tuple[str, ...]
    read: Callable[[int], np.ndarray]
    digest: str

    def take(self, numbers: Sequence[int]) -> "Pairs":
        """Returns some of the pairs."""
        kept = list(numbers)
        return Pairs(tuple(self.names[i] for i in kept), lambda i: self.read(kept[i]), self.digest)


def report(folder: Path, problems: Sequence[str], what: str) -> None:
    """Lists on stderr what is left out."""
    for problem in problems[:10]:
        print(f"left out: {problem}", file=sys.stderr)
    if len(problems) > 10:
        print(f"... and {len(problems) - 10} more {what} in {folder}", file=sys.stderr)


def problem_with(path: Path) -> str:
    """Returns why a file cannot be used, judging by its header; nothing if it can."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > images.max_pixels():
                return f"{path} has {image.width} x {image.height} pixels"
    except (OSError, SyntaxError, ValueError) as error:
        return f"{path} is not a readable image ({error})"
    return ""


def order(path: Path) -> tuple[int, str]:
    """Returns the key by which files are sorted: numbers by their value, as the original."""
    return (int(path.stem), "") if path.stem.isdecimal() else (-1, path.name)


def list_images(folder: Path) -> list[Path]:
    """Returns the images in a folder; lists what is none."""
    found = sorted(images.list_folder(folder), key=order) if folder.is_dir() else []
    problems = {path: problem_with(path) for path in found}
    report(folder, [text for text in problems.values() if text], "files")
    return [path for path in found if not problems[path]]


def facts(paths: Sequence[Path]) -> str:
    """Returns names and sizes of files; large sets are not read for a checksum."""
    return "\n".join(f"{path.name} {path.stat().st_size}" for path in paths)


def halves(image: np.ndarray) -> np.ndarray:
    """Divides an image into its left and right half, joined along the channels.

    If the width is odd, the column in the middle belongs to neither.

    Args:
        image: uint8 of shape (height, width, 3).

    Returns:
        uint8 of shape (height, width // 2, 6).
    """
    half = image.shape[1] // 2
    return np.concatenate([image[:, :half], image[:, -half:]], axis=-1)


def side_by_side(folder: Path) -> Pairs:
    """Returns the pairs A|B of a folder."""
    found = list_images(folder)
    sizes = {path: Image.open(path).size for path in found}
    wide = {path: width >= MIN_ASPECT * height for path, (width, height) in sizes.items()}
    kept = [path for path in found if wide[path]]
    narrow = [f"{path} has {sizes[path][0]} x {sizes[path][1]} pixels: no two halves side by side"
              for path in found if not wide[path]]
    report(folder, narrow, "files")
    return Pairs(tuple(path.name for path in kept),
                 lambda i: halves(images.read_image(kept[i])), facts(kept))


def first_by_stem(folder: Path) -> dict[str, Path]:
    """Returns the images of a folder by name without suffix; lists others of the same name."""
    found: dict[str, Path] = {}
    others = [f"{path} has the name of {found[path.stem]}" for path in list_images(folder)
              if found.setdefault(path.stem, path) != path]
    report(folder, others, "files")
    return found


def two_folders(first: Path, second: Path) -> Pairs:
    """Returns the pairs of two folders: files of the same name, whatever their suffixes."""
    by_stem = [first_by_stem(folder) for folder in (first, second)]
    common = [stem for stem in by_stem[0] if stem in by_stem[1]]
    alone = [f"{path} has no partner in {other}"
             for files, others, other in ((by_stem[0], by_stem[1], second),
                                          (by_stem[1], by_stem[0], first))
             for stem, path in files.items() if stem not in others]
    report(first, alone, "files")

    def read(number: int) -> np.ndarray:
        a, b = (images.read_image(files[common[number]]) for files in by_stem)
        if b.shape != a.shape:
            b = cv2.resize(b, a.shape[1::-1], interpolation=cv2.INTER_AREA)
        return np.concatenate([a, b], axis=-1)

    paths = [files[stem] for stem in common for files in by_stem]
    return Pairs(tuple(common), read, facts(paths))


def photographs(folder: Path) -> Pairs:
    """Returns the photographs of a folder, for colouring."""
    found = list_images(folder)
    return Pairs(tuple(path.name for path in found), lambda i: images.read_image(found[i]),
                 facts(found))


def find_split(folder: Path, split: str, layout: str) -> Pairs | None:
    """Returns a split of a data set, None if the folder has none of that name.

    Args:
        folder: the data set.
        split: a key of SPLITS.
        layout: "pairs" and "photos": FOLDER/train; "folders": FOLDER/train/A and FOLDER/train/B,
            or FOLDER/trainA and FOLDER/trainB.
    """
    for name in SPLITS[split]:
        if layout == "folders":
            for a, b in ((folder / name / "A", folder / name / "B"),
                         (folder / f"{name}A", folder / f"{name}B")):
                if a.is_dir() and b.is_dir():
                    return two_folders(a, b)
        elif (folder / name).is_dir():
            return (photographs if layout == "photos" else side_by_side)(folder / name)
    return None


def whole_folder(folder: Path, layout: str) -> Pairs:
    """Returns all pairs of a folder without splits.

    Raises:
        UserError: there is no such folder, or its layout is another one.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "check --data_dir")
    if layout == "folders":
        if not ((folder / "A").is_dir() and (folder / "B").is_dir()):
            held = sorted(path.name for path in folder.iterdir())[:8]
            raise UserError(f"{folder} has no subfolders A and B, nor train/A and train/B; it "
                            f"holds {', '.join(held) or 'nothing'}",
                            "check --data_dir and --dataset")
        return two_folders(folder / "A", folder / "B")
    return (photographs if layout == "photos" else side_by_side)(folder)


def map_likeness(image: np.ndarray) -> float:
    """Returns the share of the pixels that have one of the MAP_COLOURS most common colours."""
    bins = (image.astype(np.int32) + 8) // 16 @ [1, 17, 17**2]
    counts = np.sort(np.bincount(bins.ravel()))
    return float(counts[-MAP_COLOURS:].sum() / counts.sum())


def some_of(pairs: Pairs) -> dict[str, np.ndarray]:
    """Reads at most GUESSED_FROM pairs, evenly spread; those that cannot be decoded are skipped."""
    count = min(GUESSED_FROM, len(pairs.names))
    found = {}
    for i in np.linspace(0, len(pairs.names) - 1, count).astype(int):
        with suppress(UserError):
            found[pairs.names[i]] = pairs.read(int(i))
    return found


def warn_if_small(some: dict[str, np.ndarray], size: int) -> None:
    """Warns of images that are smaller than the crops, and will be enlarged."""
    small = [f"{name} ({pair.shape[1]} x {pair.shape[0]})" for name, pair in some.items()
             if min(pair.shape[:2]) < size]
    if small:
        print(f"warning: images smaller than --crop_size {size} are enlarged: {', '.join(small)}",
              file=sys.stderr)


def warn_if_swapped(some: dict[str, np.ndarray], direction: str) -> None:
    """Warns if the inputs look like photographs and the targets like maps.

    Maps of parts and edges have few colours, photographs many. A network that makes maps of
    photographs is possible, but rarely meant; so this is a guess, and never an error.
    """
    if not some:
        return
    more = np.array([map_likeness(pair[..., 3:]) - map_likeness(pair[..., :3])
                     for pair in some.values()])
    more = more if direction == "AtoB" else -more  # how much more the targets look like maps
    usual = np.median(more)
    if usual > SURE:
        other = "BtoA" if direction == "AtoB" else "AtoB"
        print(f"warning: the inputs look like photographs, the targets like maps. If it should be "
              f"the other way round: --which_direction {other}", file=sys.stderr)
    odd = [name for name, value in zip(some, more, strict=True)
           if value * usual < 0 and min(abs(value), abs(usual)) > SURE]
    if odd:
        print(f"warning: the halves of {', '.join(odd)} seem to be swapped", file=sys.stderr)
