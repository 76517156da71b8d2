"""Caption files: COCO's JSON, the token files of Flickr8k, and one's own captions.tsv.

Each reader returns one `Listing` per split. Pictures that are named but missing, and pictures
without a caption, are left out and counted; the captions of missing training pictures remain as
texts.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from common import files
from common.errors import UserError
from common.text import read_text

FLICKR_SPLITS = {"train": "Flickr_8k.trainImages.txt", "validation": "Flickr_8k.devImages.txt",
                 "test": "Flickr_8k.testImages.txt"}
FLICKR_TOKENS, FLICKR_FOLDER = "Flickr8k.token.txt", "Flicker8k_Dataset"
COCO_FILES = {"train2014": "captions_train2014.json", "val2014": "captions_val2014.json"}
OWN = "captions.tsv"
HELD_OUT = 10  # every tenth picture of one's own for validation, and for test
SPLITS = ("train", "validation", "test")
HAN = "\u3400-\u9fff"  # Chinese characters, each a word
WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:['’-][^\W_{HAN}]+)*")
AROUND_HAN = rf" ?([{HAN}]) ?"


class Listing(NamedTuple):
    """Pictures of a split and their captions, and captions without a picture.

    Attributes:
        paths: of the pictures.
        captions: of each picture, at least one.
        texts: captions of each missing picture.
    """

    paths: list[Path]
    captions: list[list[str]]
    texts: list[list[str]]


def tokenize(caption: str) -> list[str]:
    """Returns the words of a caption in lower case, without punctuation."""
    return WORD.findall(caption.lower())


def join_words(words: Iterable[str]) -> str:
    """Returns words as a text; Chinese is written without spaces."""
    return re.sub(AROUND_HAN, r"\1", " ".join(words))


def listing(named: Iterable[tuple[Path, list[str]]], name: str) -> Listing:
    """Divides pictures into those that exist and those that do not; reports what is left out.

    Args:
        named: each picture with its captions.
        name: of the split, for the report.
    """
    found, without, missing = Listing([], [], []), 0, ""
    for path, captions in named:
        if not (captions := [caption for caption in captions if tokenize(caption)]):
            without += 1
        elif path.is_file():
            found.paths.append(path)
            found.captions.append(captions)
        else:
            found.texts.append(captions)
            missing = f"; there is no {path}"
    if found.texts:
        print(f"{name}: {len(found.texts):,} named pictures are missing and left out",
              file=sys.stderr)
    if without:
        print(f"{name}: {without:,} pictures have no caption and are left out", file=sys.stderr)
    if not found.paths:
        raise UserError(f"the {name} split has no picture with a caption{missing}",
                        "check --data_dir, and the order of the columns in the caption file")
    return found


def read_flickr8k(folder: Path) -> dict[str, Listing]:
    """Reads Flickr8k: `picture.jpg#0 TAB caption` per line, and the three lists of pictures."""
    hint = "unpack Flickr8k_text and Flickr8k_Dataset there"
    files.check_files(folder, [FLICKR_TOKENS, *FLICKR_SPLITS.values()], hint)
    captions: dict[str, list[str]] = {}
    lines = read_text(folder / FLICKR_TOKENS).splitlines()
    for number, line in enumerate(lines, 1):
        key, tab, caption = line.partition("\t")
        if line.strip() and (not tab or "#" not in key):
            raise UserError(f"{folder / FLICKR_TOKENS}, line {number}: {line[:60]!r}",
                            "a line is a picture, # and a number, a tab, and a caption")
        captions.setdefault(key.partition("#")[0].strip(), []).append(caption)
    found = {}
    for split, file in FLICKR_SPLITS.items():
        names = [name for line in read_text(folder / file).splitlines() if (name := line.strip())]
        found[split] = listing(((folder / FLICKR_FOLDER / name, captions.get(name, []))
                                for name in names), split)
    return found


def read_coco_file(path: Path, pictures: Path) -> list[tuple[Path, list[str]]]:
    """Reads one JSON file of captions; returns each picture with its captions."""
    content = files.read_json(path, "give an undamaged file of captions")
    try:
        captions: dict[int, list[str]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            captions.setdefault(annotation["image_id"], []).append(str(annotation["caption"]))
        return [(pictures / image["file_name"], captions[image["id"]])
                for image in content["images"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is not a caption file of COCO: {error!r}",
                        'it has "images" (id, file_name) and "annotations" (image_id, caption)'
                        ) from error


def read_coco(folder: Path) -> dict[str, Listing]:
    """Reads COCO 2014, split as the original does.

    Training has the training pictures and 85 % of the validation pictures, validation 5 %, and
    test 10 % of them.
    """
    paths = [path if (path := folder / "annotations" / name).is_file() else folder / name
             for name in COCO_FILES.values()]
    files.check_files(folder, [str(path.relative_to(folder)) for path in paths],
                      "unpack annotations_trainval2014.zip, train2014.zip and val2014.zip there")
    train, rest = (read_coco_file(path, folder / name)
                   for path, name in zip(paths, COCO_FILES, strict=True))
    first, second = int(0.85 * len(rest)), int(0.9 * len(rest))
    parts = train + rest[:first], rest[first:second], rest[second:]
    return {name: listing(part, name) for name, part in zip(SPLITS, parts, strict=True)}


def read_own(folder: Path) -> dict[str, Listing]:
    """Reads captions.tsv: `picture TAB caption`, or with a split as a third column.

    Without the third column, every tenth picture is for validation and every tenth for test.
    """
    (path,) = files.check_files(folder, [OWN], f"write {OWN}: picture, tab, caption")
    captions: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        name, *rest = line.split("\t")
        if len(rest) not in (1, 2) or (rest[1:] and rest[1] not in SPLITS):
            raise UserError(f"{path}, line {number}: {line[:60]!r}", "a line is a picture, a tab "
                            f"and a caption, and perhaps a tab and one of {', '.join(SPLITS)}")
        captions.setdefault(name, []).append(rest[0])
        if rest[1:] and splits.setdefault(name, rest[1]) != rest[1]:
            raise UserError(f"{path}, line {number}: {name} is of {splits[name]} and {rest[1]}",
                            "a picture is of one split")
    for place, name in enumerate(captions):
        splits.setdefault(name, {1: "validation", 2: "test"}.get(place % HELD_OUT, "train"))
    return {split: listing(((folder / name, found) for name, found in captions.items()
                            if splits[name] == split), split) for split in SPLITS}


READERS = {"flickr8k": read_flickr8k, "coco": read_coco, "own": read_own}
