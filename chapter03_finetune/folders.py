"""Folders of images, one folder per class: their files, their splits, and their JPEGs."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image
from tqdm import tqdm

from common import files, images
from common.errors import UserError
from common.text import read_text

SHUFFLE_SEED = 12345  # the original's; it alone determines the order of the images
SPLITS = ("train", "validation")


class Picture(NamedTuple):
    """An image file and its label."""

    path: Path
    label: int


class Encoded(NamedTuple):
    """A JPEG that TensorFlow can decode, and its size in pixels."""

    jpeg: bytes
    height: int
    width: int


def pictures_in(folder: Path, only: Collection[Path] | None = None) -> list[Path]:
    """Returns the files of a class folder and its subfolders, sorted, without hidden ones.

    Args:
        folder: the folder.
        only: leave out all other files.

    Raises:
        UserError: there are none.
    """
    paths = images.list_folder(folder, recursive=True)
    if only is not None:
        paths = [path for path in paths if path in only]
    if not paths:
        listed = "" if only is None else " that --list names"
        raise UserError(f"the class folder {folder} has no image{listed}",
                        "add images, or remove the folder")
    return paths


def folders_in(folder: Path) -> list[Path]:
    """Returns the folders in a folder, sorted, without hidden ones."""
    return sorted(path for path in folder.glob("[!.]*") if path.is_dir())


def class_folders(folder: Path) -> tuple[str, ...]:
    """Returns the names of the classes, one per folder, sorted.

    Raises:
        UserError: there are no folders.
    """
    names = [path.name for path in folders_in(folder)]
    if not names:
        files.check_files(folder, ["<class>/"], "make one folder of images per class")
    for name in names:
        if name.encode(errors="ignore").decode() != name:
            raise UserError(f"{folder} has a folder whose name is not UTF-8: {name!r}", "rename it")
    return tuple(names)


def refuse_splits(folder: Path) -> None:
    """Raises UserError if a folder of classes seems to hold splits, such as Train and Test."""
    inside = {path.name: {child.name for child in folders_in(path)} for path in folders_in(folder)}
    for (one, names), (other, others) in itertools.combinations(inside.items(), 2):
        if len(names & others) > 1:
            raise UserError(f"{folder / one} and {folder / other} both hold the folders "
                            f"{', '.join(sorted(names & others)[:4])}: splits, not classes",
                            "rename the folders of the splits to train and validation")


def split_folders(data_dir: Path, validation_fraction: float | None) -> dict[str, Path]:
    """Returns the folder of each split, or nothing if `data_dir` is to be divided.

    The folder of the validation images may also be called val.

    Raises:
        UserError: a folder is missing, or there is a fraction beside a train folder.
    """
    if not data_dir.is_dir():
        raise UserError(f"there is no folder {data_dir}", "check --data_dir")
    divided = (data_dir / "train").is_dir()
    holds = f"it holds {', '.join(path.name for path in folders_in(data_dir)[:8]) or 'no folder'}"
    if divided and validation_fraction:
        raise UserError(
            f"{data_dir} has a train folder, and --validation_fraction is {validation_fraction}",
            "omit --validation_fraction, or give the folder that holds the classes")
    if not divided and not validation_fraction:
        raise UserError(f"{data_dir} has no train folder; {holds}",
                        "rename the folders of the splits to train and validation, or add "
                        "--validation_fraction 0.2 to divide a folder of classes")
    if not divided:
        refuse_splits(data_dir)
        return {}
    for name in ("validation", "val"):
        if (data_dir / name).is_dir():
            return {"train": data_dir / "train", "validation": data_dir / name}
    raise UserError(f"{data_dir} has no validation folder; {holds}",
                    "rename the folder of the validation images to validation, or divide train: "
                    "give it as --data_dir, with --validation_fraction 0.2")


def check_classes(names: Sequence[str], folder: Path) -> None:
    """Raises UserError unless there are at least two classes."""
    if len(names) < 2:
        raise UserError(f"{folder} has one class, {', '.join(names)}: there is nothing to learn",
                        "make one folder of images for each class, at least two")


def list_strays(data_dir: Path, folders: Collection[Path]) -> tuple[list[str], int]:
    """Returns lines on what lies beside the class folders, and its number of files.

    Args:
        data_dir: the folder of the images.
        folders: those of the splits in it; empty if its folders are the classes.
    """
    def images_in(folder: Path, recursive: bool = False) -> list[Path]:
        return [path for path in images.list_folder(folder, recursive)
                if path.suffix.lower() not in (".txt", ".tfrecord")]

    loose = [path for folder in (data_dir, *folders) for path in images_in(folder)]
    others = set(folders_in(data_dir)) - set(folders) if folders else ()
    counts = {folder: len(images_in(folder, recursive=True)) for folder in sorted(others)}
    lines = [f"{path} lies in no class folder" for path in loose]
    lines += [f"{folder} is neither train nor validation ({count} files)"
              for folder, count in counts.items() if count]
    return lines, len(loose) + sum(counts.values())


def read_list(file: Path, data_dir: Path) -> set[Path]:
    """Reads a list of images: paths relative to `data_dir`, one a line.

    Raises:
        UserError: there is no such list, or no such image.
    """
    lines = read_text(file).splitlines()
    paths = {data_dir / line.strip() for line in lines if line.strip()}
    if missing := sorted(path for path in paths if not path.is_file()):
        raise UserError(f"{file} names {len(missing)} files that do not exist, such as "
                        f"{missing[0]}", "check --data_dir and --list")
    return paths


def list_pictures(
    data_dir: Path,
    folders: dict[str, Path],
    validation_fraction: float | None,
    only: Collection[Path] | None = None,
) -> tuple[tuple[str, ...], dict[str, list[Picture]]]:
    """Lists the classes and the images of both splits, in the order of the records.

    Args:
        data_dir: the folder of the images.
        folders: those of the splits in it, from `split_folders`; empty if its folders are classes.
        validation_fraction: in the latter case, the fraction of each class for validation.
        only: leave out all other images.

    Raises:
        UserError: the folders have another layout, or a class has no images.
    """
    names = class_folders(folders.get("train", data_dir))
    check_classes(names, data_dir)
    held = folders.get("validation")
    if held and (new := set(class_folders(held)) - set(names)):
        raise UserError(f"{held} has {', '.join(sorted(new))}, which train lacks",
                        "add training images of these classes, or remove the folders")
    rng = np.random.default_rng(SHUFFLE_SEED)
    found: dict[str, list[Picture]] = {split: [] for split in SPLITS}
    for label, name in enumerate(names):
        if folders:
            parts = {split: pictures_in(folder / name, only) if (folder / name).is_dir() else []
                     for split, folder in folders.items()}
        else:
            paths = pictures_in(data_dir / name, only)
            border = min(round(len(paths) * validation_fraction), len(paths) - 1)
            order = [paths[i] for i in rng.permutation(len(paths))]
            parts = {"train": order[border:], "validation": order[:border]}
        for split in SPLITS:
            found[split] += [Picture(path, label) for path in parts[split]]
    if strange := set(only or ()) - {row.path for rows in found.values() for row in rows}:
        raise UserError(f"--list names {min(strange)}, which lies in no class folder",
                        "write the paths as they are below --data_dir")
    if not found["validation"]:
        raise UserError(f"--validation_fraction {validation_fraction} of each class of {data_dir} "
                        "is less than one image", "give a larger fraction, or more images")
    return names, {split: [rows[i] for i in rng.permutation(len(rows))]
                   for split, rows in found.items()}


def encode(path: Path) -> Encoded:
    """Reads an image file as a JPEG that TensorFlow can decode.

    Raises:
        UserError: the file cannot be decoded.
    """
    picture = images.read_image(path)
    height, width, _ = picture.shape
    with Image.open(path) as header:
        upright = header.getexif().get(ExifTags.Base.Orientation, 1) == 1
        fit = header.format == "JPEG" and header.mode == "RGB" and upright
    if fit:
        raw = path.read_bytes()
        try:
            images.decode_jpeg(raw)  # Pillow decodes some files that TensorFlow does not
            return Encoded(raw, height, width)
        except tf.errors.InvalidArgumentError:
            pass
    jpeg = tf.io.encode_jpeg(picture, quality=100, chroma_downsampling=False)
    return Encoded(jpeg.numpy(), height, width)


def try_encode(picture: Picture) -> tuple[Encoded | None, str]:
    """Returns an image as `encode` does and "", or None and the reason why it is unusable."""
    try:
        return encode(picture.path), ""
    except (UserError, OSError, tf.errors.OpError) as error:
        return None, str(error).splitlines()[0]


def encode_all(
    pictures: Sequence[Picture], description: str, num_threads: int | None = None
) -> Iterator[tuple[Picture, Encoded | None, str]]:
    """Yields each image with the answer of `try_encode`, in order, behind a progress bar."""
    with ThreadPoolExecutor(num_threads) as pool:
        answers = tqdm(pool.map(try_encode, pictures), description, len(pictures), unit="image",
                       disable=None)
        for picture, answer in zip(pictures, answers, strict=True):
            yield picture, *answer


def check_read(
    pictures: Collection[Picture], counts: Mapping[int, int], names: Sequence[str],
    left_out: Sequence[str],
) -> None:
    """Raises UserError if a class has images, of which none can be used.

    Args:
        pictures: all images of a split.
        counts: of the usable ones, by label.
        names: of the classes.
        left_out: why the others are not.
    """
    labels = sorted({picture.label for picture in pictures})
    if empty := [names[label] for label in labels if not counts.get(label)]:
        raise UserError(f"no image of {', '.join(empty)} can be used: {left_out[-1]}",
                        "add complete image files, or remove the folder")
