"""Labelled texts in lines and tables: one's own files, and those of published data sets.

A table names its columns in its first row, or has two columns, label and text:

    label,text
    positive,"Good, and cheap."
    negative,Never again.
"""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from common.errors import UserError
from common.text import MAX_UNPACKED_MB, extension, read_text

# Usual names of the two columns, the most telling first.
LABELS = ("label", "labels", "class", "class index", "category", "sentiment", "polarity", "target",
          "topic", "v1", "标签", "类别", "分类", "情感")
TEXTS = ("text", "texts", "review", "sentence", "content", "comment", "message", "tweet",
         "document", "body", "description", "v2", "title", "文本", "内容", "评论", "句子", "标题")

COMPLETE = "complete or delete the row"
# What to do about a row with too many fields, without and with tabs.
TOO_MANY = ('quote texts that contain commas: 1,"good, and cheap"',
            "separate fields by one tab, and let texts have none")


def lines_of(
    path: Path, encoding: str = "utf-8-sig", max_unpacked_mb: int = MAX_UNPACKED_MB
) -> Iterator[tuple[str, str]]:
    """Yields the lines of a text that are not blank, each after its location."""
    # Not splitlines, which would also split at 0x85, a character of latin-1 texts.
    for number, line in enumerate(read_text(path, encoding, max_unpacked_mb).split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line.rstrip("\r")


def pairs(
    lines: Iterable[tuple[str, str]], separator: str | None
) -> Iterator[tuple[str, str, str]]:
    """Splits each line at its first separator (a tab must be the only one).

    Yields:
        The location of the line, and both parts.

    Raises:
        UserError: a part is missing or empty.
    """
    for where, line in lines:
        parts = [part.strip() for part in line.split(separator, 1 if separator != "\t" else -1)]
        if len(parts) != 2 or not all(parts):
            name = "one tab" if separator == "\t" else "a space"
            raise UserError(f"{where}: {line.strip()[:60]!r} is not a label and a text separated "
                            f"by {name}", "complete or delete the line")
        yield where, *parts


def csv_rows(path: Path, max_unpacked_mb: int) -> Iterator[tuple[str, list[str]]]:
    """Yields the rows of a CSV file that are not blank, each after its location.

    Fields are separated by commas; if the first row has none, by semicolons or tabs.
    """
    csv.field_size_limit(2**31 - 1)  # texts may be long
    text = read_text(path, max_unpacked_mb=max_unpacked_mb)
    first = text.lstrip().partition("\n")[0]
    delimiter = next((mark for mark in ",;\t" if mark in first), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter,
                      skipinitialspace=True, strict=True)
    try:
        for row in rows:
            if row:
                yield f"{path}, line {rows.line_num}", row
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: {error}",
                        "correct the quotes of the line") from error


def find_column(names: Sequence[str], flag: str, typed: str | None, usual: Sequence[str],
                path: Path) -> tuple[int | None, bool]:
    """Returns the index of a column, None if no name is known, and whether its name is known.

    Raises:
        UserError: there is no column of the typed name or number, or several may be the one.
    """
    if typed is None:
        known = [name for name in usual if name in names]
        rivals = [name for name in names if name in known[: None if usual is LABELS else 1]]
        if len(rivals) > 1:
            raise UserError(f"{path} has {len(rivals)} columns for --{flag}: {', '.join(rivals)}",
                            f"give --{flag} a name or a number from 1 to {len(names)}")
        return (names.index(known[0]), True) if known else (None, False)
    if (lowered := typed.strip().lower()) in names:
        return names.index(lowered), True
    if typed.isdecimal() and 1 <= int(typed) <= len(names):
        return int(typed) - 1, names[int(typed) - 1] in usual
    raise UserError(f"{path} has no column {typed}; its first row is {', '.join(names)[:200]}",
                    f"give --{flag} a name of the first row, or a number from 1 to {len(names)}")


def columns(
    head: Sequence[str], path: Path, label_column: str | None, text_column: str | None
) -> tuple[int, int, bool]:
    """Finds the columns of label and text, and prints them.

    Returns:
        Their indices, and whether the first row is a header.

    Raises:
        UserError: the columns cannot be told from the first row and the flags.
    """
    names = [field.strip().lower() for field in head]
    label, label_named = find_column(names, "label_column", label_column, LABELS, path)
    text, text_named = find_column(names, "text_column", text_column, TEXTS, path)
    if len(names) == 2:  # one tells the other; without names the label is first
        label = label if label is not None else 0 if text is None else 1 - text
        text = text if text is not None else 1 - label
    if label is None or text is None or label == text:
        raise UserError(f"{path}: which columns are label and text? The first row is "
                        f"{', '.join(names)[:200]}",
                        "give --label_column and --text_column, each a name or a number from 1")
    header = label_named or text_named
    found = (f"{name}: column {i + 1}" + f" ({names[i]})" * header
             for name, i in (("label", label), ("text", text)))
    print(f"{path}: {', '.join(found)}", file=sys.stderr)
    return label, text, header


def table(
    path: Path, label_column: str | None = None, text_column: str | None = None,
    skip_empty: bool = False, max_unpacked_mb: int = MAX_UNPACKED_MB,
) -> Iterator[tuple[str, str, str]]:
    """Yields the location, the label and the text of each row of a CSV or TSV file.

    Args:
        path: the file, plain, gzipped or zipped; a TSV file has no quotes.
        label_column: name or number, from 1, of the column; by default a usual name.
        text_column: likewise.
        skip_empty: skip rows without a text.
        max_unpacked_mb: see `read_text`.

    Raises:
        UserError: the columns are unknown, or a row has other fields or an empty one.
    """
    if tabs := extension(path) == ".tsv":
        rows = ((where, line.split("\t"))
                for where, line in lines_of(path, max_unpacked_mb=max_unpacked_mb))
    else:
        rows = csv_rows(path, max_unpacked_mb)
    size = 0
    for where, row in rows:
        if not size:
            size = len(row)
            label, text, header = columns(row, path, label_column, text_column)
            if header:
                continue
        if skip_empty and len(row) == size and not row[text].strip():
            continue
        if len(row) != size:
            raise UserError(f"{where}: {len(row)} fields instead of {size}",
                            TOO_MANY[tabs] if len(row) > size else COMPLETE)
        pair = row[label].strip(), row[text].strip()
        if not all(pair):
            raise UserError(f"{where} has no {'text' if pair[0] else 'label'}", COMPLETE)
        yield where, *pair


def read_file(
    path: Path, label_column: str | None = None, text_column: str | None = None,
    max_unpacked_mb: int = MAX_UNPACKED_MB,
) -> list[tuple[str, str]]:
    """Reads the labels and texts of a file of one's own: plain, gzipped or zipped.

    `.csv` and `.tsv` files are tables; in any other file, the first word of each line is its label.
    """
    if extension(path) in (".csv", ".tsv"):
        rows = table(path, label_column, text_column, max_unpacked_mb=max_unpacked_mb)
    elif label_column or text_column:
        raise UserError(f"{path} has no columns: in it, the first word of a line is the label",
                        "give a .csv or .tsv file, or omit --label_column and --text_column")
    else:
        rows = pairs(lines_of(path, max_unpacked_mb=max_unpacked_mb), None)
    return [(label, text) for _, label, text in rows]
