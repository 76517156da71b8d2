"""A time series on a regular grid of time steps, and how it is read from a CSV file.

Rows that a file lacks become steps whose values are NaN: the models know what to do there.
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

MAX_GRID = 100  # steps for each row of a file; more can only be a wrong column of times
MAX_TIME = 2**62  # of plain numbers, so that they and their differences fit into an int64
MAX_VALUE = float(np.finfo(np.float32).max)
DATE = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d)?)?)?")


class Series(NamedTuple):
    """Values on a regular grid of time steps.

    Exogenous values are known beforehand, so there may be more of them than values: those of steps
    to come.
    """

    values: np.ndarray  # float32 (steps, features), a row of NaN where a step is missing
    names: list[str]  # of the features
    first: int  # time of the first step, in steps
    exogenous: np.ndarray  # float32 (steps, exogenous), often without any column
    step: int = 1  # length of a step, in units of the time column
    offset: int = 0  # what all times are above a multiple of it
    unit: str = ""  # of dates NumPy's sign for it: M, D, m, s; of plain numbers none

    def times(self, start: int, stop: int) -> np.ndarray:
        """Returns the numbers of the steps from `start` to `stop`, which may lie beyond the end."""
        return self.first + np.arange(start, stop, dtype=np.int64)

    def labels(self, start: int, stop: int) -> np.ndarray:
        """Returns their times as the file has them: int64, or datetime64."""
        times = self.times(start, stop) * self.step + self.offset
        return times.astype(f"datetime64[{self.unit}]") if self.unit else times

    def digest(self) -> str:
        """Returns the sha256 of all values and times."""
        scalars = (self.names, self.first, *self[4:])
        return files.sha256(self.values, self.exogenous, repr(scalars).encode())


def is_number(text: str) -> bool:
    """Says whether a cell holds a number (not a finite one, necessarily)."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Reads the cells of a CSV file.

    A first line without any number or date is a header; without one the columns are called by
    their numbers, "0", "1" and so on.

    Returns:
        The names of the columns, and the rows with their line numbers.

    Raises:
        UserError: no such file, not UTF-8, nothing in it, or lines of different lengths.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "check --input_file") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no CSV file in UTF-8: {error}", "convert it first") from error
    if not rows:
        raise UserError(f"{path} is empty", "give a CSV file with a row for each time")
    first_line, names = rows[0]
    for line, row in rows:
        if len(row) != len(names):
            raise UserError(
                f"{path}, line {line}: {len(row)} columns, line {first_line} has {len(names)}",
                "give every line the same columns, separated by commas",
            )
    if any(is_number(cell) or DATE.fullmatch(cell) for cell in names):
        return [str(number) for number in range(len(names))], rows
    if len(rows) == 1:
        raise UserError(f"{path} is empty below its header", "give a row for each time")
    return names, rows[1:]


def parse_times(path: Path, cells: Sequence[tuple[int, str]]) -> tuple[list[int], str]:
    """Turns whole numbers or ISO dates into numbers that must rise.

    Dates that are all the first of a month count in months.

    Args:
        path: the file, for messages.
        cells: line numbers and cells.

    Returns:
        The times, and the unit of dates, "" for plain numbers.

    Raises:
        UserError: a cell is no time, or not later than the one before it; names the line.
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
                            "name the column of times with --time_column")
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
            what = "again" if times[i] == times[i - 1] else f"after {cells[i - 1][1]}"
            raise UserError(f"{path}, line {cells[i][0]}: time {cells[i][1]} {what}",
                            "sort the file by time and keep one line for each")
    return times, unit


def parse_value(path: Path, line: int, name: str, cell: str) -> float:
    """Turns a cell into a number.

    Raises:
        UserError: it is empty, a text, or not finite as a float32; names the line.
    """
    value = float(cell) if is_number(cell) else np.nan
    if not abs(value) <= MAX_VALUE:  # nor is NaN
        what = f"is {cell!r}, not a number" if cell else "is missing"
        raise UserError(f"{path}, line {line}: the value of column {name} {what}",
                        "leave out the whole line: gaps in time are allowed")
    return value


def find_columns(
    path: Path,
    columns: Sequence[str],
    time_column: str | None,
    value_columns: str | None,
    exogenous_columns: str | None,
) -> tuple[int, list[int], list[int]]:
    """Returns the numbers of the time column, the value columns and the exogenous ones.

    Raises:
        UserError: there is no such column, none of values, or one that is named twice.
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
        raise UserError(
            f"{path}: column {columns[time]} holds the times, values are to come from "
            f"{', '.join(columns[number] for number in chosen) or 'no other'}, exogenous ones from "
            f"{', '.join(columns[number] for number in exogenous) or 'none'}",
            "name one column of times and others of values, each once",
        )
    return time, chosen, exogenous


def read_csv(
    path: Path,
    time_column: str | None = None,
    value_columns: str | None = None,
    exogenous_columns: str | None = None,
) -> Series:
    """Reads a series from a CSV file, with a header or without.

    Args:
        path: the file.
        time_column: name (or number, from 0, in a file without a header) of the column of times,
            whole numbers or ISO dates; the first by default.
        value_columns: names of the others to read, with commas between; all by default.
        exogenous_columns: names of columns that are known beforehand, with commas between. With
            them the last rows may lack the values: those are steps to come.

    Raises:
        UserError: anything in the file is not as it should be; names the line.
    """
    columns, rows = read_rows(path)
    time_number, numbers, outside = find_columns(
        path, columns, time_column, value_columns, exogenous_columns)

    def parse(rows: Sequence[tuple[int, list[str]]], numbers: Sequence[int]) -> np.ndarray:
        cells = [[parse_value(path, line, columns[number], row[number]) for number in numbers]
                 for line, row in rows]
        return np.array(cells, np.float32).reshape(len(rows), len(numbers))

    num_known = len(rows)
    while outside and num_known > 1 and not any(rows[num_known - 1][1][n] for n in numbers):
        num_known -= 1
    known, exogenous_known = parse(rows[:num_known], numbers), parse(rows, outside)
    times, unit = parse_times(path, [(line, row[time_number]) for line, row in rows])
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    step = int(np.gcd.reduce(np.array(gaps or [1], np.int64)))
    steps = [(time - times[0]) // step for time in times]
    if steps[-1] >= MAX_GRID * len(steps):
        raise UserError(
            f"{path}: {len(steps):,} times are spread over {steps[-1] + 1:,} steps of {step}",
            "name the column of times with --time_column; nearly all steps would be gaps",
        )
    values = np.full((steps[num_known - 1] + 1, len(numbers)), np.nan, np.float32)
    values[steps[:num_known]] = known
    exogenous = np.full((steps[-1] + 1, len(outside)), np.nan, np.float32)
    exogenous[steps] = exogenous_known
    names = [columns[number] for number in numbers]
    return Series(values, names, times[0] // step, exogenous, step, times[0] % step, unit)
