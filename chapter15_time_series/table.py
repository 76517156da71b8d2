"""The cells of a CSV file, whatever its compression, encoding, delimiter and decimal sign."""

import csv
import io
import itertools
import re
import sys
from pathlib import Path
from typing import NamedTuple

from chapter15_time_series.dates import is_time
from common import text
from common.errors import UserError

Row = tuple[int, list[str]]  # line number and cells

EXCEL = {".xls", ".xlsx"}
MAX_BYTES = 2**30  # of an unpacked file
MAX_VALUE = 1e18  # of values, so that their squares fit into a float32
MISSING = {"", "nan", "na", "n/a", "#n/a", "null", "none", "-", ".", "?"}  # in lower case
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
ENGLISH = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")  # 1,234.5
EUROPEAN = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?")  # 1.234,5


class Table(NamedTuple):
    """The cells of a CSV file."""

    path: Path
    names: list[str]  # of the columns; their numbers in a file without a header
    rows: list[Row]
    decimal_comma: bool = False

    def number(self, row: Row, column: int) -> float:
        """Parses a cell; returns NaN if it is empty or one of MISSING.

        Raises:
            UserError: the cell is not a number, or too large; names the line.
        """
        line, cells = row
        cell = cells[column]
        value = parse_number(cell, self.decimal_comma)
        if value is None and cell.lower() in MISSING:
            return float("nan")
        if value is None or not abs(value) <= MAX_VALUE:
            what = "too large a number" if value else "not a number"
            hint = ("name the time column with --time_column" if is_time(cell) else
                    "choose columns with --value_columns; a missing value is an empty cell")
            raise UserError(f"{self.path}, line {line}: the value of column {self.names[column]} "
                            f"is {cell!r}, {what}", hint)
        return value


def parse_number(cell: str, decimal_comma: bool = False) -> float | None:
    """Returns the number in a cell, None if there is none; 1,234.5 has a thousands separator."""
    if decimal_comma and re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", cell):
        cell = cell.replace(".", "")
    elif decimal_comma and EUROPEAN.fullmatch(cell):
        cell = cell.replace(".", "").replace(",", ".")
    elif not decimal_comma and ENGLISH.fullmatch(cell):
        cell = cell.replace(",", "")
    try:
        value = float(cell)
    except ValueError:
        return None
    return None if value != value else value


def decode(path: Path, raw: bytes) -> str:
    """Decodes the bytes of a file: UTF-8, UTF-16, or else GB18030 or Windows-1252 by their looks.

    Raises:
        UserError: the bytes are not text.
    """
    encoding = next((name for bom, name in BOMS.items() if raw.startswith(bom)), "utf-8")
    if encoding == "utf-8" and b"\0" in raw[:1000]:
        little_endian = raw[1:1000:2].count(0) > raw[:1000:2].count(0)
        encoding = "utf-16-le" if little_endian else "utf-16-be"
    try:
        content = raw.decode(encoding)
    except UnicodeDecodeError:
        # Letters of GB18030 are mostly pairs of bytes above 127; those of Windows-1252 stand alone.
        runs = re.findall(rb"[\x80-\xff]+", raw)
        paired = sum(len(run) % 2 == 0 for run in runs) > len(runs) / 2
        encoding = "gb18030" if paired and encoding == "utf-8" else "cp1252"
        content = raw.decode(encoding, errors="replace")
        print(f"{path} is not in UTF-8: read as {encoding.upper()}", file=sys.stderr)
    if re.search(r"[\x00-\x08\x0e-\x1f]", content[:10_000]):
        raise UserError(f"{path} is not text", "save it as CSV in UTF-8")
    return content


def read_bytes(path: Path) -> bytes:
    """Reads a file, which may be compressed by gzip, or be the only one of a zip archive.

    Raises:
        UserError: the file is missing, damaged or too large.
    """
    if path.suffix.lower() in EXCEL:
        raise UserError(f"{path} is an Excel file", "save it as CSV in UTF-8")
    with text.open_bytes(path) as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise UserError(f"{path} has more than {MAX_BYTES:,} bytes", "give a part of it")
    return raw


def find_delimiter(content: str) -> str:
    """Returns the delimiter that divides the first lines into as many columns each."""
    lines = [line for line in itertools.islice(io.StringIO(content), 50) if line.strip()]
    for delimiter in "\t;|":
        try:
            widths = {len(row) for row in csv.reader(lines, delimiter=delimiter)}
        except csv.Error:
            continue
        if len(widths) == 1 and widths != {1}:
            return delimiter
    return ","


def has_decimal_comma(rows: list[Row], delimiter: str) -> bool:
    """Returns whether the numbers of a file have a decimal comma.

    1,234 could be either; beside the delimiter "," it has a thousands separator.
    """
    cells = {cell for _, row in rows for cell in row if "," in cell}
    european = {cell for cell in cells if EUROPEAN.fullmatch(cell)}
    english = {cell for cell in cells if ENGLISH.fullmatch(cell)}
    if delimiter == ",":
        return bool(european - english) and not english - european
    return bool(european) and not english - european


def read_table(path: Path) -> Table:
    """Reads the cells of a CSV file, delimited by commas, semicolons, tabs or vertical bars.

    A first line without any number or date is the header. Without a header the names of the
    columns are their numbers: "0", "1" and so on.

    Raises:
        UserError: the file is missing, damaged, empty or not text, or its lines differ in length.
    """
    content = decode(path, read_bytes(path))
    delimiter = find_delimiter(content)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}, is not CSV: {error}",
                        "save it as CSV in UTF-8") from error
    if not rows:
        raise UserError(f"{path} is empty", "give a CSV file with one row per time")
    first_line, names = rows[0]
    for line, row in rows:
        if len(row) != len(names):
            raise UserError(
                f"{path}, line {line}: {len(row)} columns, but line {first_line} has {len(names)}",
                f"give all lines the same number of columns, separated by {delimiter!r}",
            )
    comma = has_decimal_comma(rows, delimiter)
    if any(is_time(cell) or parse_number(cell, comma) is not None for cell in names):
        return Table(path, [str(number) for number in range(len(names))], rows, comma)
    if len(rows) == 1:
        raise UserError(f"{path} is empty below its header", "give one row per time")
    # Names that are missing or repeated are completed by the number of the column.
    names = [name if name and name not in names[:i] else f"{name}.{i}" if name else str(i)
             for i, name in enumerate(names)]
    return Table(path, names, rows[1:], comma)
