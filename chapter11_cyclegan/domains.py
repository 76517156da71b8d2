"""Finds the images of two domains on disk, and divides them into training and test images."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chapter09_pix2pix.pairs import facts, list_images
from common import files, images
from common.errors import UserError


class Domain(NamedTuple):
    """Images of one kind.

    Attributes:
        names: of the images, unique.
        read: returns an image by its number, uint8 of shape (height, width, 3).
        digest: a text that changes with the images.
    """

    names: tuple[str, ...]
    read: Callable[[int], np.ndarray]
    digest: str

    def take(self, numbers: Sequence[int]) -> "Domain":
        """Returns some of the images."""
        kept = list(numbers)
        return Domain(tuple(self.names[i] for i in kept), lambda i: self.read(kept[i]),
                      self.digest)


class Split(NamedTuple):
    """Images of both domains, which are no pairs."""

    x: Domain
    y: Domain


def of_array(pictures: np.ndarray, name: str) -> Domain:
    """Returns a domain of images in memory."""
    return Domain(tuple(f"{name} {i}" for i in range(len(pictures))), pictures.__getitem__,
                  files.sha256(pictures))


def of_files(folder: Path, root: Path) -> Domain:
    """Returns the images of a folder in `root`; what is no image is listed and left out."""
    paths = list_images(folder)
    return Domain(tuple(path.relative_to(root).as_posix() for path in paths),
                  lambda i: images.read_image(paths[i]), f"{folder.name}\n{facts(paths)}")


def find_split(folder: Path, split: str) -> Split | None:
    """Returns the images of trainA and trainB, or train/A and train/B; None if there are none.

    Raises:
        UserError: one of the two folders is missing.
    """
    for pattern in (split + "{}", split + "/{}"):
        first, second = (folder / pattern.format(letter) for letter in "AB")
        if first.is_dir() and second.is_dir():
            return Split(of_files(first, folder), of_files(second, folder))
        if first.is_dir() or second.is_dir():
            there, missing = (first, second) if first.is_dir() else (second, first)
            raise UserError(f"there is {there}, and no {missing}",
                            "give the images of both domains")
    return None


def load_folders(folder: Path) -> tuple[Split, Split | None]:
    """Loads training and test images from disk.

    Raises:
        UserError: there are none, or only one domain.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "check --data_dir")
    if (train := find_split(folder, "train")) is None:
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise UserError(f"{folder} has no trainA and trainB; it holds {held}",
                        "check --data_dir: it is the folder of these two")
    return train, find_split(folder, "test")


def join(first: Domain, second: Domain) -> Domain:
    """Returns the images of both."""
    count = len(first.names)
    return Domain(first.names + second.names,
                  lambda i: first.read(i) if i < count else second.read(i - count),
                  f"{first.digest}\n{second.digest}")


def fold_of(train: Split, test: Split | None, fold: int) -> tuple[Split, Split]:
    """Divides all images into two halves, and returns one to train on and one to test on.

    Args:
        train: images.
        test: more images, or None.
        fold: 0 or 1, the half to test on.
    """
    whole = Split(*map(join, train, test)) if test else train
    halves = [Split(*(domain.take(range(start, len(domain.names), 2)) for domain in whole))
              for start in (0, 1)]
    return halves[1 - fold], halves[fold]


def hold_out(train: Split, share: float) -> tuple[Split, Split]:
    """Divides images into those to train on and a share to test on, spread evenly."""
    kept, held = [], []
    for domain in train:
        count = max(1, round(share * len(domain.names)))
        out = set(np.linspace(0, len(domain.names) - 1, count).astype(int).tolist())
        held.append(domain.take(sorted(out)))
        kept.append(domain.take([i for i in range(len(domain.names)) if i not in out]))
    return Split(*kept), Split(*held)
