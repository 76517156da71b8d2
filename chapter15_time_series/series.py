"""A time series on a regular grid of time steps, read from a CSV file.

Values that are missing in the file, and rows, are NaN; the models handle these.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chapter15_time_series.dates import read_times
from chapter15_time_series.grid import Grid, find_grid
from chapter15_time_series.table import Row, Table, read_table
from common import files
from common.errors import UserError
from common.text import MAX_UNPACKED_MB

MAX_GRID = 20  # steps per row of a file; with more, the time column must be wrong
MAX_ROUNDING = 1e-4  # error of values as float32, in standard deviations


class Layout(NamedTuple):
    """What a later history of a series has in common with the one that a model is trained on."""

    grid: Grid
    names: list[str]  # of the features
    exogenous_names: list[str]
    shift: list[float]  # subtracted from features and exogenous values before they become float32


class Series(NamedTuple):
    """Values on a regular grid of time steps.

    Exogenous values are known in advance, so they may extend into the future, beyond the values.
    """

    values: np.ndarray  # float32 (steps, features), NaN where missing, less the layout's shift
    names: list[str]  # of the features
    first: int  # number of the first step
    exogenous: np.ndarray  # float32 (steps, exogenous), often with no column, likewise
    grid: Grid = Grid()
    exogenous_names: Sequence[str] = ()
    shift: Sequence[float] = ()  # of features and exogenous values; empty if all are 0

    def times(self, start: int, stop: int) -> np.ndarray:
        """Returns the step numbers from `start` to `stop`, which may lie beyond the end."""
        return self.first + np.arange(start, stop, dtype=np.int64)

    def labels(self, start: int, stop: int) -> np.ndarray:
        """Returns the times of these steps in the units of the file: int64 or datetime64."""
        return self.grid.labels(self.times(start, stop))

    def restore(self, values: np.ndarray) -> np.ndarray:
        """Returns values in the units of the file, as float64."""
        return values + np.array(self.shift or [0.0])[: len(self.names)]

    def layout(self) -> dict[str, Any]:
        """Returns the fields of the layout, for config.json."""
        return Layout(self.grid, self.names, list(self.exogenous_names),
                      list(self.shift))._asdict()

    def digest(self) -> str:
        """Returns the sha256 of all values and times."""
        grid = self.grid
        scalars = (self.names, self.first, grid.step, grid.offset, grid.unit)
        if special := (grid.day, grid.rounded, *self.shift):
            scalars += special if any(special) else ()
        return files.sha256(self.values, self.exogenous, repr(scalars).encode())


def find_columns(
    table: Table,
    time_column: str | None,
    value_columns: str | Sequence[str] | None,
    exogenous_columns: str | Sequence[str] | None,
) -> tuple[int | None, list[int], list[int]]:
    """Returns the numbers of the time column, the value columns and the exogenous columns.

    Raises:
        UserError: a column does not exist or is named twice, or there is no value column.
    """
    columns, path = table.names, table.path

    def find(name: str) -> int:
        if name not in columns:
            raise UserError(f"{path} has no column {name}", f"it has {', '.join(columns)}")
        return columns.index(name)

    def find_all(names: str | Sequence[str]) -> list[int]:
        names = names.split(",") if isinstance(names, str) else names
        return [find(name.strip()) for name in names]

    time = find(time_column) if time_column and time_column != "none" else 0
    if time_column == "none" or (not time_column and len(columns) == 1):
        time = None
    exogenous = find_all(exogenous_columns) if exogenous_columns else []
    if value_columns:
        chosen = find_all(value_columns)
    else:
        chosen = [number for number in range(len(columns)) if number not in (time, *exogenous)]
    used = [*chosen, *exogenous, *([] if time is None else [time])]
    if not chosen or len(set(used)) < len(used):
        names = [", ".join(columns[number] for number in numbers) or "none"
                 for numbers in (chosen, exogenous)]
        raise UserError(
            f"{path}: time column {'none' if time is None else columns[time]}, value columns "
            f"{names[0]}, exogenous columns {names[1]}",
            "use each column once, and at least one for values")
    return time, chosen, exogenous


def in_order(path: Path, rows: Sequence[Row], readings: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the readings of the times that ascend.

    Raises:
        UserError: there is none; names the line of a time that is not later than the one before.
    """
    rising = [times for times in readings if (np.diff(times.astype(np.int64)) > 0).all()]
    if not rising:
        times = readings[0]
        i = int(np.flatnonzero(np.diff(times.astype(np.int64)) <= 0)[0]) + 1
        what = "a duplicate" if times[i] == times[i - 1] else f"before {times[i - 1]}"
        raise UserError(f"{path}, line {rows[i][0]}: time {times[i]} is {what}",
                        "sort the file by time, with one line per time")
    return rising


def place(
    path: Path, rows: Sequence[Row], readings: list[np.ndarray], grid: Grid | None
) -> tuple[Grid, np.ndarray]:
    """Returns the grid of a file, unless it is given, and the step number of each row.

    Raises:
        UserError: the times do not fit a grid, or day and month cannot be told apart.
    """
    found = []
    for times in readings:
        of_times = grid or find_grid(times)
        if (off := ~of_times.holds(times)).any():
            line, time = rows[int(off.argmax())][0], times[off.argmax()]
            raise UserError(f"{path}, line {line}: time {time} does not lie on the grid of the "
                            f"run, which has steps of {of_times}", "give a history of this series")
        numbers = of_times.numbers(times)
        found.append((int(numbers[-1] - numbers[0]) + 1, of_times, numbers))
    size, of_times, numbers = min(found, key=lambda entry: entry[0])
    if len(readings) > 1 and sum(entry[0] == size for entry in found) > 1:
        raise UserError(f"{path}: day and month cannot be told apart, {readings[0][-1]} or "
                        f"{readings[1][-1]}", "write dates as 2024-01-31")
    if (same := np.diff(numbers) <= 0).any():
        raise UserError(f"{path}, line {rows[int(same.argmax()) + 1][0]}: the time falls into the "
                        f"same step as the one before, of {of_times}", "give one line per step")
    if size >= MAX_GRID * len(rows):
        raise UserError(
            f"{path}: {len(rows):,} times are spread over {size:,} steps of {of_times}",
            "give values at regular times, for example sums per month, or name the time column "
            "with --time_column; here nearly all steps would be missing")
    return of_times, numbers


def find_shift(column: np.ndarray) -> float:
    """Returns what to subtract from a column before it becomes float32, often 0.

    That is its first value if rounding to float32 is an error that matters.
    """
    known = column[np.isfinite(column)]
    errors = np.abs(known.astype(np.float32) - known)
    matters = len(known) and errors.max() > MAX_ROUNDING * known.std()
    return float(known[0]) if matters else 0.0


def read_values(
    table: Table, chosen: Sequence[int], exogenous: Sequence[int]
) -> tuple[list[Row], np.ndarray, int]:
    """Reads the values of a file.

    Rows without any value at the beginning are omitted; at the end they are future steps.

    Returns:
        The rows, their values and exogenous values as float64, and the number of rows before the
        future ones.

    Raises:
        UserError: a cell is not a number, or an exogenous value of a future step is missing.
    """
    cells = np.array([[table.number(row, column) for column in (*chosen, *exogenous)]
                      for row in table.rows])
    known = np.flatnonzero(np.isfinite(cells[:, : len(chosen)]).any(axis=1))
    if not len(known):
        raise UserError(f"{table.path} has no values in column {table.names[chosen[0]]}",
                        "choose columns with --value_columns")
    first, end = known[0], known[-1] + 1
    stop = len(cells) if exogenous else end
    for row, values in zip(table.rows[end:stop], cells[end:stop, len(chosen):], strict=True):
        if np.isnan(values).any():
            name = table.names[exogenous[int(np.isnan(values).argmax())]]
            raise UserError(f"{table.path}, line {row[0]}: the value of column {name} is missing",
                            "future steps need all exogenous values")
    return table.rows[first:stop], cells[first:stop], end - first


def read_csv(
    path: Path,
    time_column: str | None = None,
    value_columns: str | None = None,
    exogenous_columns: str | None = None,
    layout: Layout | None = None,
    max_unpacked_mb: int = MAX_UNPACKED_MB,
) -> Series:
    """Reads a series from a CSV file with or without a header.

    Args:
        path: the file.
        time_column: name of the time column (in a file without a header its number, from 0), which
            holds whole numbers or dates; the first by default. "none" for a file without times.
        value_columns: names of the value columns, separated by commas; all others by default.
        exogenous_columns: names of columns that are known in advance, separated by commas. With
            such columns the last rows may lack values: these are future steps.
        layout: that of an earlier history of the series.
        max_unpacked_mb: maximum size of an unpacked gzip or zip file in MB.

    Raises:
        UserError: the file is malformed; names the line.
    """
    table = read_table(path, max_unpacked_mb)
    if layout:
        value_columns, exogenous_columns = layout.names, layout.exogenous_names
    time, chosen, exogenous = find_columns(table, time_column, value_columns, exogenous_columns)
    if time is None:
        times = [np.arange(len(table.rows))]
    else:
        # Runs of earlier versions count times since 1970 in units.
        times = read_times(path, [(line, cells[time]) for line, cells in table.rows],
                           epoch=not layout or bool(layout.grid.unit))
        if all((np.diff(reading.astype(np.int64)) < 0).all() for reading in times):
            table = table._replace(rows=table.rows[::-1])  # the latest time comes first
            times = [reading[::-1] for reading in times]
    rows, cells, num_known = read_values(table, chosen, exogenous)
    skipped = table.rows.index(rows[0])
    times = [reading[skipped : skipped + len(rows)] for reading in times]
    times = in_order(path, rows, times)
    grid, numbers = place(path, rows, times, layout.grid if layout else None)
    shift = layout.shift if layout else [find_shift(column) for column in cells.T]
    if any(shift):
        cells = cells - np.array(shift)
    # The grid: steps without a row are NaN.
    steps = numbers - numbers[0]
    features = len(chosen)
    values = np.full((steps[num_known - 1] + 1, features), np.nan, np.float32)
    values[steps[:num_known]] = cells[:num_known, :features]
    known_ahead = np.full((steps[-1] + 1, len(exogenous)), np.nan, np.float32)
    known_ahead[steps] = cells[:, features:]
    if gaps := int(np.isnan(known_ahead[len(values):]).any(axis=1).sum()):
        raise UserError(f"{path}: {gaps} of the {len(known_ahead) - len(values)} steps after the "
                        "last value have no row", "append a row for every step")
    names = [table.names[number] for number in (*chosen, *exogenous)]
    return Series(values, names[:features], int(numbers[0]), known_ahead, grid, names[features:],
                  shift if any(shift) else [])
