"""Dates and times in the forms that people write them, as NumPy's datetime64."""

import datetime
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.errors import UserError

Cell = tuple[int, str]  # line number and text

MAX_TIME = 2**62  # of times that are numbers, so that their differences fit into an int64
YEARS = range(1800, 2200)  # of dates that are written in digits only
EPOCHS = {10: "s", 13: "ms"}  # unit of the time since 1970 that has so many digits today
EPOCH_YEARS = range(1990, 2100)  # of times since 1970
UNITS = ["M", "D", "m", "s", "ms", "us"]  # NumPy's codes, from coarse to fine
NANOSECONDS = {"D": 86400 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 1000}
MONTHS = [datetime.date(2000, month, 1).strftime("%B").lower() for month in range(1, 13)]

CLOCK = (r"(?:(?:T|,?\s+)(?P<H>\d\d?)(?::(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?)?)?"
         r"\s*(?P<p>[AaPp]\.?[Mm]\.?)?\s*(?P<z>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?")
NAME = r"(?P<b>[A-Za-z]{3,9})\.?"
# The same cell may match several forms: all cells together decide.
FORMS = {
    "2024-01-31 12:00": rf"(?P<y>\d{{4}})([-/.])(?P<m>\d\d?)(?:\2(?P<d>\d\d?){CLOCK})?",
    "20240131": rf"(?P<y>\d{{4}})(?P<m>\d\d)(?:(?P<d>\d\d){CLOCK})?",
    "2024013112": r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)[T_]?"
                  r"(?P<H>\d\d)(?:(?P<M>\d\d)(?:(?P<S>\d\d)(?P<z>Z)?)?)?",
    "2024年1月31日": rf"(?P<y>\d{{4}})年\s*(?P<m>\d\d?)月(?:\s*(?P<d>\d\d?)日{CLOCK})?",
    "31/1/2024": rf"(?P<d>\d\d?)([-/.])(?P<m>\d\d?)\2(?P<y>\d{{4}}){CLOCK}",
    "1/31/2024": rf"(?P<m>\d\d?)([-/])(?P<d>\d\d?)\2(?P<y>\d{{4}}){CLOCK}",
    "31 Jan 2024": rf"(?P<d>\d\d?)[-/ ]{NAME}[-/, ]+(?P<y>\d{{4}}){CLOCK}",
    "Jan 31, 2024": rf"{NAME}[- ](?:(?P<d>\d\d?),? )?(?P<y>\d{{4}}){CLOCK}",
    "2024Q1": r"(?P<y>\d{4})[-/ ]?[Qq](?P<q>[1-4])",
    "2024-W05": r"(?P<y>\d{4})-?W(?P<w>\d\d)(?:-?(?P<wd>[1-7]))?",
}
PATTERNS = {form: re.compile(pattern) for form, pattern in FORMS.items()}


def is_time(cell: str) -> bool:
    """Returns whether a cell looks like a date, other than one written in digits only."""
    return not cell.isdigit() and any(p.fullmatch(cell) for p in PATTERNS.values())


def read_date(groups: dict[str, str | None]) -> datetime.date:
    """Returns the date of a matched form; raises ValueError if there is no such date."""
    year = int(groups["y"])
    if groups.get("w"):
        return datetime.date.fromisocalendar(year, int(groups["w"]), int(groups["wd"] or 1))
    if groups.get("q"):
        return datetime.date(year, 3 * int(groups["q"]) - 2, 1)
    if name := groups.get("b"):
        starts = [month.startswith(name.lower()) for month in MONTHS]
        return datetime.date(year, starts.index(True) + 1, int(groups.get("d") or 1))
    return datetime.date(year, int(groups["m"]), int(groups.get("d") or 1))


def read_clock(groups: dict[str, str | None]) -> int:
    """Returns the time of day of a matched form in nanoseconds; raises ValueError if impossible."""
    hour, minute, second = (int(groups.get(part) or 0) for part in "HMS")
    if half := groups.get("p"):
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + 12 * (half[0] in "pP")
    total = 3600 * hour + 60 * minute + second  # hour 24 is the end of the day
    if minute > 59 or second > 59 or total > 86400:
        raise ValueError(total)
    return total * 10**9 + int((groups.get("f") or "0").ljust(9, "0"))


def read_unit(groups: dict[str, str | None]) -> str:
    """Returns NumPy's code of the finest unit that a matched form holds."""
    if fraction := groups.get("f"):
        return "ms" if len(fraction) <= 3 else "us"
    if groups.get("S") or groups.get("H"):
        return "s" if groups.get("S") else "m"
    return "D" if groups.get("d") or groups.get("w") else "M"


def read_offset(zone: str) -> int:
    """Returns the offset of a time zone from UTC in nanoseconds."""
    digits = re.sub(r"\D", "", zone).ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return (-minutes if zone[0] == "-" else minutes) * 60 * 10**9


def read_dates(form: str, cells: Sequence[Cell]) -> np.ndarray | Cell:
    """Reads dates of one form.

    Times with different offsets from UTC are converted to UTC, unless all have the same time of
    day; those with one offset keep their local time.

    Returns:
        datetime64 of the finest unit in use, or the first cell that is no date of this form.
    """
    times, units, zones = [], set(), []
    for line, cell in cells:
        try:
            groups = PATTERNS[form].fullmatch(cell).groupdict()
            date, clock = read_date(groups), read_clock(groups)
        except (AttributeError, ValueError):  # the form or a number in it is wrong
            return line, cell
        if cell.isdigit() and date.year not in YEARS:
            return line, cell
        times.append((date.toordinal() - 719163) * NANOSECONDS["D"] + clock)
        units.add(read_unit(groups))
        zones.append(groups.get("z"))
    if len(set(zones)) > 1:
        if None in zones:  # some times without an offset
            return cells[zones.index(None)]
        if len({time % NANOSECONDS["D"] for time in times}) > 1:
            print("times with different offsets are converted to UTC", file=sys.stderr)
            times = [time - read_offset(z) for time, z in zip(times, zones, strict=True)]
    unit = max(units, key=UNITS.index)
    if unit == "M":
        days = np.array([time // NANOSECONDS["D"] for time in times])
        return days.astype("datetime64[D]").astype("datetime64[M]")
    return np.array([time // NANOSECONDS[unit] for time in times]).astype(f"datetime64[{unit}]")


def read_numbers(cells: Sequence[Cell]) -> np.ndarray | Cell:
    """Reads whole numbers, also "60.0"; returns int64, or the first cell that is none."""
    numbers = []
    for line, cell in cells:
        try:
            number = int(re.sub(r"\.0*$", "", cell))
        except ValueError:
            return line, cell
        if abs(number) >= MAX_TIME:
            return line, cell
        numbers.append(number)
    return np.array(numbers, np.int64)


def from_epoch(path: Path, numbers: np.ndarray) -> np.ndarray:
    """Returns seconds or milliseconds since 1970 as dates of the coarsest unit, others unchanged.

    The largest has 10 or 13 digits, and all are in EPOCH_YEARS.
    """
    unit = EPOCHS.get(len(str(numbers.max())))
    if unit is None:
        return numbers
    times = numbers.astype(f"datetime64[{unit}]")
    years = times.astype("datetime64[Y]").astype(int) + 1970
    if years.min() < EPOCH_YEARS.start or years.max() >= EPOCH_YEARS.stop:
        return numbers
    print(f"{path}: times such as {numbers[0]} are read as {unit} since 1970, in UTC",
          file=sys.stderr)
    coarse = (times.astype(f"datetime64[{code}]") for code in UNITS[1:])
    return next(dates for dates in coarse if (dates == times).all())


def spans_months(cells: Sequence[Cell], wrong: Cell) -> bool:
    """Returns whether digits before a `wrong` cell are dates of several months (or years).

    A counter that starts as 20170131 does not leave out 20170132.
    """
    before = cells[: cells.index(wrong)]
    return len({cell[: {6: 4, 8: 6}.get(len(cell), 8)] for _, cell in before}) > 1


def read_times(path: Path, cells: Sequence[Cell], epoch: bool = True) -> list[np.ndarray]:
    """Reads the times of a file: whole numbers, times since 1970, or dates of one of FORMS.

    Dates in digits may end in ".0", as in a table of floating-point numbers. Without `epoch`,
    times since 1970 are whole numbers.

    Returns:
        All readings under which every cell is valid: more than one if day and month could be
        exchanged.

    Raises:
        UserError: a cell is no time; names the line.
    """
    if all(re.fullmatch(r"\d{6,14}(\.0*)?", cell) for _, cell in cells):
        cells = [(line, cell.split(".")[0]) for line, cell in cells]
    first = cells[0][1]
    whole = re.fullmatch(r"[+-]?\d+(\.0*)?", first)
    found = {form: read_dates(form, cells) for form, p in PATTERNS.items() if p.fullmatch(first)}
    readings = [times for times in found.values() if isinstance(times, np.ndarray)]
    if not readings and whole and not (found and spans_months(cells, *found.values())):
        short = [(line, f"20{cell}") for line, cell in cells]
        if len(first) == 6 and isinstance(read_dates("20240131", short), np.ndarray):
            raise UserError(f"{path}: times such as {first} seem to be dates without the century",
                            "write years with four digits: 20240131")
        found = {"whole number": read_numbers(cells)}
        readings = [times for times in found.values() if isinstance(times, np.ndarray)]
        readings = [from_epoch(path, times) if epoch else times for times in readings]
    if readings:
        return readings
    if not found:
        raise UserError(
            f"{path}, line {cells[0][0]}: time {first!r} is neither a whole number nor a date",
            f"name the time column with --time_column, or give --time_column none for a file "
            f"without times; forms of dates: {', '.join(FORMS)}, with four digits of the year")
    line, cell = max(found.values())
    kind = "a whole number" if "whole number" in found else f"a date such as {' or '.join(found)}"
    raise UserError(f"{path}, line {line}: time {cell!r} is not {kind}",
                    "name the time column with --time_column")
