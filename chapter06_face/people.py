"""Folders of people: one subfolder per person, with photographs of that person alone."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from common import images
from common.errors import UserError

LAYOUT = "one folder per person with photographs in it: FOLDER/Ann/1.jpg"


class Photo(NamedTuple):
    """An image file and the name of the person in it."""

    path: Path
    person: str


def list_people(folder: Path) -> list[Photo]:
    """Returns all files of all people, in alphabetical order of people and files.

    Files that are not images are found out when they are read.

    Raises:
        UserError: there are no such folders.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", f"give {LAYOUT}")
    people = sorted(path for path in folder.iterdir()
                    if path.is_dir() and not path.name.startswith("."))
    photos = [Photo(path, person.name) for person in people for path in images.list_folder(person)]
    if not photos:
        raise UserError(f"{folder} holds no photographs of people", f"give {LAYOUT}")
    return photos


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


def report_left_out(errors: Sequence[UserError]) -> None:
    """Lists on stderr the images that could not be read, at most twenty lines."""
    for error in errors[:20]:
        print(f"left out: {error}", file=sys.stderr)
    if len(errors) > 20:
        print(f"left out: {len(errors) - 20} more", file=sys.stderr)
