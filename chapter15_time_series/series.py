"""A time series on a regular grid of time steps, read from a CSV file.

Rows that are missing in the file become steps whose values are NaN; the models handle these.
"""

import csv
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import files
from common.errors import UserError

MAX_GRID = 100  # steps per row of a file; with more, the time column must be wrong
MAX_TIME = 2**62  # of times that are numbers, so that their differences fit into an int64
MAX_VALUE = float(np.finfo(np.float32).max)
DATE = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d)?)?)?")


class Series(NamedTuple):
    """Values on a regular grid of time steps.

    Exogenous values are known in advance, so they may extend into the future, beyond the values.
    """

    values: np.ndarray  # float32 (steps, features), a row of NaN where a step is missing
    names: list[str]  # of the features
    first: int  # time of the first step, in steps
    exogenous: np.ndarray  # float32 (steps, exogenous), often with no column
    step: int = 1  # length of a step, in units of the time column
    offset: int = 0  # remainder of all times modulo `step`
    unit: str = ""  # of dates: NumPy's code M, D, m or s; empty for numbers

    def times(self, start: int, stop: int) -> np.ndarray:
        """Returns the step numbers from `start` to `stop`, which may lie beyond the end."""
        return self.first + np.arange(start, stop, dtype=np.int64)

    def labels(self, start: int, stop: int) -> np.ndarray:
        """Returns the times of these steps in the units of the file: int64 or datetime64."""
        times = self.times(start, stop) * self.step + self.offset
        return times.astype(f"datetime64[{self.unit}]") if self.unit else times

    def digest(self) -> str:
        """Returns the sha256 of all values and times."""
        scalars = (self.names, self.first, *self[4:])
        return files.sha256(self.values, self.exogenous, repr(scalars).encode())


def is_number(text: str) -> bool:
    """Returns whether a cell holds a number, finite or not."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Reads the cells of a CSV file.

    A first line without any number or date is the header. Without a header the names of the
    columns are their numbers: "0", "1" and so on.

    Returns:
        The names of the columns, and the rows with their line numbers.

    Raises:
        UserError: the file is missing, empty, not UTF-8, or its lines differ in length.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "check --input_file") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a CSV file in UTF-8: {error}",
                        "convert it to UTF-8") from error
    if not rows:
        raise UserError(f"{path} is empty", "give a CSV file with one row per time")
    first_line, names = rows[0]
    for line, row in rows:
        if len(row) != len(names):
            raise UserError(
                f"{path}, line {line}: {len(row)} columns, but line {first_line} has {len(names)}",
                "give all lines the same number of columns, separated by commas",
            )
    if any(is_number(cell) or DATE.fullmatch(cell) for cell in names):
        return [str(number) for number in range(len(names))], rows
    if len(rows) == 1:
        raise UserError(f"{path} is empty below its header", "give one row per time")
    return names, rows[1:]


def parse_times(path: Path, cells: Sequence[tuple[int, str]]) -> tuple[list[int], str]:
    """Parses times, which are whole numbers or ISO dates, in ascending order.

    If all dates are the first of a month, the unit is months.

    Args:
        path: the file, for error messages.
        cells: line numbers and cells.

    Returns:
        The times as integers, and the unit of dates, "" for numbers.

    Raises:
        UserError: a cell is not a time, or not later than the one before; names the line.
    """
    dates = DATE.fullmatch(cells[0][1])
    for line, cell in cells:
        try:
            good = np.datetime64(cell) if dates else abs(int(cell)) < MAX_TIME
        except ValueError:
            good = False
        if not good or bool(dates) != bool(DATE.fullmatch(cell)):
            kind = "a date such as 2024-01-31 or 2024-01-31 12:00" if dates else "a whole number"
            raise UserError(f"{path}, line {line}: time {cell!r} is not {kind}",
                            "name the time column with --time_column")
    unit = ""
    times = [cell for _, cell in cells]
    if dates:
        moments = np.array(times, "datetime64")
        if (moments == moments.astype("datetime64[M]")).all():
            moments = moments.astype("datetime64[M]")
        unit, times = np.datetime_data(moments.dtype)[0], moments.astype(np.int64)
    times = [int(time) for time in times]
    for i in range(1, len(times)):
        if times[i] <= times[i - 1]:
            what = "a duplicate" if times[i] == times[i - 1] else f"before {cells[i - 1][1]}"
            raise UserError(f"{path}, line {cells[i][0]}: time {cells[i][1]} is {what}",
                            "sort the file by time, with one line per time")
    return times, unit


def parse_value(path: Path, line: int, name: str, cell: str) -> float:
    """Parses a value.

    Raises:
        UserError: the cell is empty, not a number, or not finite as a float32; names the line.
    """
    value = float(cell) if is_number(cell) else np.nan
    if not abs(value) <= MAX_VALUE:  # also true for NaN
        what = f"is {cell!r}, not a number" if cell else "is missing"
        raise UserError(f"{path}, line {line}: the value of column {name} {what}",
                        "remove the whole line: rows may be missing")
    return value


def find_columns(
    path: Path,
    columns: Sequence[str],
    time_column: str | None,
    value_columns: str | None,
    exogenous_columns: str | None,
) -> tuple[int, list[int], list[int]]:
    """Returns the numbers of the time column, the value columns and the exogenous columns.

    Raises:
        UserError: a column does not exist or is named twice, or there is no value column.
    """
    def find(name: str) -> int:
        if name not in columns:
            raise UserError(f"{path} has no column {name}", f"it has {', '.join(columns)}")
        return columns.index(name)

    def find_all(names: str) -> list[int]:
        return [find(name.strip()) for name in names.split(",")]

    time = find(time_column) if time_column else 0
    exogenous = find_all(exogenous_columns) if exogenous_columns else []
    if value_columns:
        chosen = find_all(value_columns)
    else:
        chosen = [number for number in range(len(columns)) if number not in (time, *exogenous)]
    used = [time, *chosen, *exogenous]
    if not chosen or len(set(used)) < len(used):
        names = [", ".join(columns[number] for number in numbers) or "none"
                 for numbers in (chosen, exogenous)]
        raise UserError(
            f"{path}: time column {columns[time]}, value columns {names[0]}, exogenous columns "
            f"{names[1]}", "use each column once, and at least one for values")
    return time, chosen, exogenous


def read_csv(
    path: Path,
    time_column: str | None = None,
    value_columns: str | None = None,
    exogenous_columns: str | None = None,
) -> Series:
    """Reads a series from a CSV file with or without a header.

    Args:
        path: the file.
        time_column: name of the time column (in a file without a header its number, from 0), which
            holds whole numbers or ISO dates; the first by default.
        value_columns: names of the value columns, separated by commas; all others by default.
        exogenous_columns: names of columns that are known in advance, separated by commas. With
            such columns the last rows may lack values: these are future steps.

    Raises:
        UserError: the file is malformed; names the line.
    """
    columns, rows = read_rows(path)
    time_number, value_numbers, exogenous_numbers = find_columns(
        path, columns, time_column, value_columns, exogenous_columns)

    def parse(rows: Sequence[tuple[int, list[str]]], numbers: Sequence[int]) -> np.ndarray:
        cells = [[parse_value(path, line, columns[number], row[number]) for number in numbers]
                 for line, row in rows]
        return np.array(cells, np.float32).reshape(len(rows), len(numbers))

    # Rows at the end that hold exogenous values only are future steps.
    num_known = len(rows)
    while exogenous_numbers and num_known > 1 and not any(
            rows[num_known - 1][1][number] for number in value_numbers):
        num_known -= 1
    known, exogenous_known = parse(rows[:num_known], value_numbers), parse(rows, exogenous_numbers)
    # The grid: its step is the greatest common divisor of all differences in time.
    times, unit = parse_times(path, [(line, row[time_number]) for line, row in rows])
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    step = int(np.gcd.reduce(np.array(gaps or [1], np.int64)))
    steps = [(time - times[0]) // step for time in times]
    if steps[-1] >= MAX_GRID * len(steps):
        raise UserError(
            f"{path}: {len(steps):,} times are spread over {steps[-1] + 1:,} steps of {step}",
            "name the time column with --time_column; here nearly all steps would be missing",
        )
    values = np.full((steps[num_known - 1] + 1, len(value_numbers)), np.nan, np.float32)
    values[steps[:num_known]] = known
    exogenous = np.full((steps[-1] + 1, len(exogenous_numbers)), np.nan, np.float32)
    exogenous[steps] = exogenous_known
    names = [columns[number] for number in value_numbers]
    return Series(values, names, times[0] // step, exogenous, step, times[0] % step, unit)
