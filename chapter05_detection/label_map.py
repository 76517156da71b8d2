"""Label maps: the numbers and names of classes, in the .pbtxt form of the original."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import UserError
from common.text import read_text

ITEM = re.compile(r"item\s*\{([^{}]*)\}")
FIELD = re.compile(r"""(\w+)\s*:\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]+))""")
# Escapes in the strings of protobuf: octal and hexadecimal bytes, and letters.
ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f",
           b"v": b"\v"}
COMMENT = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|#[^\n]*""")


class LabelMap(NamedTuple):
    """Names and ids of all classes, in order of the ids, which may have gaps.

    The networks number the classes without gaps, by their place in these tuples.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]


def numbered(names: Sequence[str]) -> LabelMap:
    """Returns the label map of classes that are numbered from 1."""
    return LabelMap(tuple(names), tuple(range(1, len(names) + 1)))


def check(ids: Sequence[int], names: Sequence[str], path: Path) -> None:
    """Raises UserError unless all ids are at least 1, and ids and names are distinct."""
    hint = "give each class one item with a name and an id of its own, from 1; 0 is the background"
    if not ids:
        raise UserError(f"{path} has no item {{ id: … name: … }}", hint)
    if low := [i for i in ids if i < 1]:
        raise UserError(f"{path} has the id {low[0]}", hint)
    for what, values in (("id", ids), ("name", names)):
        if twice := [value for value in values if values.count(value) > 1]:
            raise UserError(f"{path} has the {what} {twice[0]} more than once", hint)


def unescape(text: str) -> str:
    """Returns the value of a string of protobuf, whose escaped bytes are UTF-8.

    Raises:
        UnicodeDecodeError: they are not.
    """
    def replace(match: re.Match[bytes]) -> bytes:
        octal, hexadecimal, letter = match.groups()
        if letter:
            return LETTERS.get(letter, letter)
        return bytes([int(octal, 8) & 255 if octal else int(hexadecimal, 16)])

    return ESCAPE.sub(replace, text.encode()).decode()


def parse(path: Path) -> LabelMap:
    """Reads a label map; a `display_name` replaces a name that is only a number of a data base.

    Raises:
        UserError: the file cannot be read, or has another form, or ids or names twice.
    """
    text = COMMENT.sub(lambda match: match[1] or "", read_text(path))
    items, hint = [], "write items such as: item { id: 1 name: 'dog' }"
    if (rest := ITEM.sub("", text).strip()):
        raise UserError(f"{path} is no label map: {rest.splitlines()[0][:60]!r} stands outside its "
                        "items", hint)
    for match in ITEM.finditer(text):
        try:
            fields = {key: unescape(single or double or bare)
                      for key, single, double, bare in FIELD.findall(match[1])}
        except UnicodeDecodeError as error:
            raise UserError(f"{path} has a name that is not UTF-8: {match[0]!r}", hint) from error
        if not fields.get("id", "").isdecimal() or not fields.get("name"):
            raise UserError(f"{path} has an item without id or name: {match[0]!r}", hint)
        mid = fields["name"].startswith("/")  # of Freebase, as in COCO's label map
        name = fields.get("display_name", fields["name"]) if mid else fields["name"]
        items.append((int(fields["id"]), name))
    items.sort()
    ids, names = [number for number, _ in items], [name for _, name in items]
    check(ids, names, path)
    return LabelMap(tuple(names), tuple(ids))


def render(labels: LabelMap) -> str:
    """Returns a label map as .pbtxt."""
    def quote(name: str) -> str:
        return name.replace("\\", r"\\").replace("'", r"\'").replace("\n", r"\n")

    return "\n".join(f"item {{\n  id: {number}\n  name: '{quote(name)}'\n}}\n"
                     for name, number in zip(labels.names, labels.ids, strict=True))
