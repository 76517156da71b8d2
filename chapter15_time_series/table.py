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
MAX_VALUE = 1e18  # of values, so that their squares fit into a float32
MISSING = {"", "nan", "na", "n/a", "#n/a", "null", "none", "-", ".", "?"}  # in lower case
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


def guess_encoding(raw: bytes) -> str:
    """Returns the likely encoding of a table that is not in UTF-8 and has no byte order mark."""
    if b"\0" in raw[:1000]:
        little_endian = raw[1:1000:2].count(0) > raw[:1000:2].count(0)
        return "utf-16-le" if little_endian else "utf-16-be"
    # Letters of GB18030 are mostly pairs of bytes above 127; those of Windows-1252 stand alone.
    runs = re.findall(rb"[\x80-\xff]+", raw)
    paired = sum(len(run) % 2 == 0 for run in runs) > len(runs) / 2
    return "gb18030" if paired else "cp1252"


def read_content(path: Path, max_unpacked_mb: int = text.MAX_UNPACKED_MB) -> str:
    """Reads a text in UTF-8 or of a byte order mark, or else in an encoding by its looks.

    Raises:
        UserError: the file is missing, damaged, not a text, or unpacks to more than the limit.
    """
    if path.suffix.lower() in EXCEL:
        raise UserError(f"{path} is an Excel file", "save it as CSV in UTF-8")
    try:
        content = text.read_text(path, max_unpacked_mb=max_unpacked_mb)
    except UserError as error:
        with text.open_bytes(path) as file:
            encoding = guess_encoding(file.read(max_unpacked_mb * 2**20))
        try:
            content = text.read_text(path, encoding, max_unpacked_mb)
        except UserError:
            raise error from None
        print(f"{path} is not in UTF-8: read as {encoding.upper()}", file=sys.stderr)
    if re.search(r"[\x00-\x08\x0e-\x1f]", content[:10_000]):
        raise UserError(f"{path} is not a text", "save it as CSV in UTF-8")
    return content


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


def read_table(path: Path, max_unpacked_mb: int = text.MAX_UNPACKED_MB) -> Table:
    """Reads the cells of a CSV file, delimited by commas, semicolons, tabs or vertical bars.

    A first line without any number or date is the header. Without a header the names of the
    columns are their numbers: "0", "1" and so on.

    Raises:
        UserError: the file is missing, damaged, empty or not text, unpacks to more than
            `max_unpacked_mb`, or its lines differ in length.
    """
    content = read_content(path, max_unpacked_mb)
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
