"""Reads annotations: VOC XML, COCO JSON, YOLO text files, CSV with one box a line.

All readers return the boxes as they are written; `records.check_boxes` judges them later, when the
size of the image is known.
"""

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from common import images
from common.errors import UserError
from common.text import read_text

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
YEARS = ("VOC2007", "VOC2012", "merged")
SETS = ("train", "val", "trainval", "test")
DECLARED = re.compile(rb"""<\?xml[^>]*\sencoding\s*=\s*["']([\w.-]+)""")  # encoding of an XML file


class Object(NamedTuple):
    """An annotated object.

    Attributes:
        name: of its class.
        box: (ymin, xmin, ymax, xmax), in pixels, or in fractions if the annotation says so.
        difficult: whether evaluation ignores it.
        truncated: whether a part of it is hidden.
        view: "Frontal", "Left" and so on, or "".
    """

    name: str
    box: tuple[float, float, float, float]
    difficult: bool = False
    truncated: bool = False
    view: str = ""


class Annotation(NamedTuple):
    """The annotated objects of one image.

    Attributes:
        path: of the image file, which may not exist.
        objects: all of them.
        size: width and height in pixels as the annotation says, None if it does not.
        fractions: whether the boxes are in fractions of the image.
    """

    path: Path
    objects: list[Object]
    size: tuple[int, int] | None = None
    fractions: bool = False


class Annotations(NamedTuple):
    """All annotations of a set, the class names that their source declares, and what is wrong."""

    rows: list[Annotation]
    names: tuple[str, ...]  # () if the source declares none
    problems: list[str]


def names_in(rows: Sequence[Annotation]) -> tuple[str, ...]:
    """Returns the names of all classes, in alphabetical order; some objects may have none."""
    return tuple(sorted({item.name for row in rows for item in row.objects} - {""}))


def ids_of_set(folder: Path, name: str) -> list[str] | None:
    """Returns the ids in ImageSets/Main/<name>.txt, None if there is no ImageSets folder.

    Raises:
        UserError: the file is missing or empty.
    """
    main = folder / "ImageSets" / "Main"
    if not main.is_dir():
        return None
    path, mark = main / f"{name}.txt", ""
    if not path.is_file():
        # VOC also has a list for each class, which names the same images, with 1 or -1 behind.
        path, mark = next(iter(sorted(main.glob(f"*_{name}.txt"))), path), r"\s+-?[01]$"
    if not path.is_file():
        there = ", ".join(sorted(found.stem for found in main.glob("*.txt"))[:8])
        raise UserError(f"{main} has no {name}.txt; it has {there or 'nothing'}",
                        "write the ids of the images into it, one a line, or choose another --set")
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    ids = [re.sub(mark, "", line) for line in lines]  # an id may contain spaces
    if not ids:
        raise UserError(f"{path} is empty", "write the ids of the images into it, one a line")
    return ids


def number(element: ElementTree.Element, name: str, default: float | None = None) -> float:
    """Returns the number in a child element.

    Raises:
        ValueError: there is none, and no default.
    """
    text = element.findtext(name)
    if text is None or not text.strip():
        if default is None:
            raise ValueError(f"it has no {name}")
        return default
    return float(text)


def parse_xml(raw: bytes) -> ElementTree.Element:
    """Parses an XML file; unlike the parser alone, also in Chinese and other encodings.

    Raises:
        ValueError: it is not XML, or in an unknown encoding or another than it declares.
    """
    if match := DECLARED.match(raw):
        declared = match[1].decode()
        # Files that declare GB2312 often have characters of its extensions.
        encoding = "gb18030" if declared.lower() in ("gb2312", "gbk") else declared
        try:
            raw = raw.decode(encoding)
        except LookupError as error:
            raise ValueError(f"its encoding {declared} is unknown") from error
        except UnicodeError as error:
            raise ValueError(f"it is not in {declared}, which it declares") from error
    try:
        return ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is not XML ({error})") from error


def read_xml(path: Path, image_folder: Path) -> Annotation:
    """Reads the XML file of one image.

    Raises:
        ValueError: the file has another form.
    """
    root, objects = parse_xml(path.read_bytes()), []
    for item in root.iter("object"):
        if (corners := item.find("bndbox")) is None:
            raise ValueError("an object has no bndbox")
        box = tuple(number(corners, side) for side in ("ymin", "xmin", "ymax", "xmax"))
        objects.append(Object((item.findtext("name") or "").strip(), box,
                              bool(number(item, "difficult", 0)),
                              bool(number(item, "truncated", 0)), item.findtext("pose") or ""))
    size = root.find("size")
    declared = size is not None and (int(number(size, "width", 0)), int(number(size, "height", 0)))
    image = image_folder / (path.stem + ".jpg")
    if not image.is_file():
        named = Path((root.findtext("filename") or "").replace("\\", "/")).name
        others = [image_folder / named] if named else []
        others += [image.with_suffix(suffix) for suffix in sorted(IMAGE_SUFFIXES)]
        image = next((other for other in others if other.is_file()), image)
    return Annotation(image, objects, declared if declared and all(declared) else None)


def read_voc(folder: Path, name: str, annotations_dir: str = "Annotations") -> Annotations:
    """Reads a set of a folder in VOC's layout: Annotations, JPEGImages, ImageSets/Main/<name>.txt.

    Without ImageSets all annotations are read.

    Raises:
        UserError: a folder or the list of the set is missing or empty.
    """
    of_xml = folder / annotations_dir
    if not of_xml.is_dir():
        raise UserError(f"{folder} has no folder {annotations_dir}",
                        "give a folder in VOC's layout, or the name of its XML files with "
                        "--annotations_dir")
    ids = ids_of_set(folder, name)
    paths = sorted(of_xml.glob("*.xml")) if ids is None else [of_xml / f"{i}.xml" for i in ids]
    image_folder = next((found for found in (folder / "JPEGImages", folder / "images")
                         if found.is_dir()), of_xml)
    rows, problems = [], []
    for path in paths:
        try:
            rows.append(read_xml(path, image_folder))
        except (ValueError, OSError) as error:
            reason = "there is no such file" if not path.is_file() else error
            problems.append(f"{path.name}: {reason}")
    return Annotations(rows, (), problems)


def read_devkit(data_dir: Path, year: str, name: str, annotations_dir: str) -> Annotations:
    """Reads a set of VOCdevkit/<year>, of both years if it is "merged".

    Raises:
        UserError: see `read_voc`.
    """
    years = YEARS[:2] if year == "merged" else (year,)
    parts = [read_voc(data_dir / one, name, annotations_dir) for one in years]
    return Annotations([row for part in parts for row in part.rows], (),
                       [line for part in parts for line in part.problems])


def read_coco(path: Path, image_folder: Path) -> Annotations:
    """Reads a COCO file of instances; crowds are difficult.

    Raises:
        UserError: the file has another form.
    """
    try:
        content = json.loads(read_text(path))
        names = {row["id"]: row["name"] for row in content["categories"]}
        pictures = {row["id"]: row for row in content["images"]}
        objects: dict[Any, list[Object]] = {key: [] for key in pictures}
        problems = []
        for row in content["annotations"]:
            left, top, width, height = map(float, row["bbox"])
            if row["image_id"] not in objects or row["category_id"] not in names:
                problems.append(f"{path.name}: annotation {row.get('id')} is of no known image or "
                                "category")
                continue
            objects[row["image_id"]].append(Object(
                names[row["category_id"]], (top, left, top + height, left + width),
                bool(row.get("iscrowd", 0))))
        rows = [Annotation(image_folder / picture["file_name"], objects[key],
                           (int(picture["width"]), int(picture["height"])))
                for key, picture in pictures.items()]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is no COCO file of instances ({type(error).__name__}: {error})",
                        "give a JSON file with images, annotations and categories") from error
    return Annotations(rows, tuple(names[key] for key in sorted(names)), problems)


def yolo_names(folder: Path) -> tuple[str, ...]:
    """Returns the class names of a YOLO folder: classes.txt or obj.names, one a line; or data.yaml.

    Raises:
        UserError: there is no such file, or data.yaml has no names.
    """
    for name in ("classes.txt", "obj.names", "labels/classes.txt"):
        if (folder / name).is_file():
            return tuple(filter(None, map(str.strip, read_text(folder / name).splitlines())))
    if not (path := folder / "data.yaml").is_file():
        raise UserError(f"{folder} has neither classes.txt nor data.yaml", "write the names of the "
                        "classes into classes.txt, one a line, in order of their numbers")
    try:
        names = yaml.load(read_text(path), yaml.BaseLoader)["names"]  # all values are texts
        if isinstance(names, dict):  # from numbers to names
            names = [names[str(number)] for number in range(len(names))]
    except (yaml.YAMLError, KeyError, TypeError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path} has no list of names", "write a line such as: names: [cat, dog]")
    return tuple(names)


def yolo_images(folder: Path, name: str | None) -> list[Path]:
    """Returns the images of a YOLO folder: those of a set if images/ has a folder for each.

    Raises:
        UserError: images/ has folders of other sets alone, or none and a set is given.
    """
    inner = folder / "images" if (folder / "images").is_dir() else folder
    sets = [one for one in SETS if (inner / one).is_dir()]
    if name and not sets:
        raise UserError(f"--set {name} has no effect: {inner} has no folder of that name",
                        "omit it to convert all images")
    if sets and (name or "train") not in sets:
        raise UserError(f"{inner} has no folder {name or 'train'}; it has {', '.join(sets)}",
                        "choose one of them with --set")
    return images.list_folder(inner / (name or "train") if sets else inner, recursive=True)


def read_yolo(folder: Path, name: str | None = None) -> Annotations:
    """Reads YOLO's text files, see `yolo_object`, which lie beside the images or in labels/.

    Args:
        folder: the images, or the folders images/ and labels/; these may hold train/, val/ and so
            on, or lie in such folders.
        name: of such a set, by default "train".

    Raises:
        UserError: a line has another form, or the number of a class is too high.
    """
    names, rows = yolo_names(folder), []
    for image in yolo_images(folder, name):
        if image.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        parts = list(image.relative_to(folder).with_suffix(".txt").parts)
        if "images" in parts[:-1]:
            parts[parts.index("images")] = "labels"
        path = folder.joinpath(*parts)
        lines = read_text(path).splitlines() if path.is_file() else []
        rows.append(Annotation(image, [yolo_object(line, names, f"{path}, line {i}")
                                       for i, line in enumerate(lines, 1) if line.strip()],
                               None, True))
    return Annotations(rows, names, [])


def yolo_object(line: str, names: Sequence[str], where: str) -> Object:
    """Returns the object of a line of a YOLO file, in fractions of the image.

    Its form is `class x_centre y_centre width height`, perhaps with a score behind; or, as for
    segmentation, `class x y x y x y …`, the corners of a polygon, whose bounding box is taken.

    Raises:
        UserError: the line has another form, or the number of its class is too high.
    """
    try:
        label, values = int(line.split()[0]), list(map(float, line.split()[1:]))
        if len(values) in (4, 5):
            x, y, width, height = values[:4]
            box = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
        elif len(values) >= 6 and len(values) % 2 == 0:
            across, down = values[::2], values[1::2]
            box = (min(down), min(across), max(down), max(across))
        else:
            raise ValueError(f"{len(values)} numbers")
    except ValueError as error:
        raise UserError(f"{where}: {line.strip()[:60]!r} is neither `class x y width height` nor "
                        "`class x y x y x y …`", "correct the line") from error
    if not 0 <= label < len(names):
        raise UserError(f"{where}: class {label}, but there are {len(names)} classes, 0 to "
                        f"{len(names) - 1}", "complete classes.txt; YOLO numbers classes from 0")
    return Object(names[label], box)


CSV_COLUMNS = ("filename", "xmin", "ymin", "xmax", "ymax", "class")


def read_csv(path: Path, image_folder: Path) -> Annotations:
    """Reads a CSV file with one box a line.

    With a header its columns are found by name: filename, xmin, ymin, xmax, ymax, class, and
    others, which are ignored. Without one they are in this order; an image without boxes then has a
    line of its name alone. Blank lines are skipped.

    Raises:
        UserError: a line has another form.
    """
    reader = csv.reader(read_text(path).splitlines())
    lines = [(reader.line_num, line) for line in reader if any(map(str.strip, line))]
    has_header = bool(lines) and {"filename", "class"} <= set(lines[0][1])
    columns = lines.pop(0)[1] if has_header else list(CSV_COLUMNS)
    if missing := set(CSV_COLUMNS) - set(columns):
        raise UserError(f"{path} has no column {sorted(missing)[0]}; it has {', '.join(columns)}",
                        f"name the columns {', '.join(CSV_COLUMNS)}")
    objects: dict[str, list[Object]] = {}
    for place, line in lines:
        row = dict(zip(columns, line, strict=False))
        try:
            of_image = objects.setdefault(row["filename"], [])
            if row.get("class"):
                box = tuple(float(row[side]) for side in ("ymin", "xmin", "ymax", "xmax"))
                of_image.append(Object(row["class"].strip(), box))
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}, line {place} is not {','.join(columns)}: {line}",
                            "correct the line") from error
    rows = [Annotation(image_folder / name, found) for name, found in objects.items()]
    return Annotations(rows, (), [])
