"""The regular grid of time steps on which the times of a file lie.

A step is a number of days, seconds or whole units, a number of months (month starts and ends,
quarters and years are no constant number of days), or a business day.
"""

from typing import NamedTuple

import numpy as np

FIRST_WEEKDAY, LAST_WEEKDAY = 32, 33  # of a month, as values of `Grid.day`
# Nominal steps in seconds; times that are a little late or early are rounded to such a grid.
NOMINAL = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400,
           21600, 28800, 43200, 86400, 604800]
SECOND = {"D": 1 / 86400, "m": 1 / 60, "s": 1, "ms": 1000, "us": 10**6}  # in units of a grid
SPARSE = 2  # steps per time; with more, times are rounded to a coarser grid if they fit one
YEAR = 365


class Grid(NamedTuple):
    """A regular grid of times; step number n lies at `n * step + offset` units."""

    unit: str = ""  # of dates: NumPy's code M, D, m, s, ms or us, or B for business days
    step: int = 1  # length of a step in units
    offset: int = 0  # remainder of all times modulo `step`
    day: int = 0  # of the month, at most its last, of dates with unit M; 0 if these are months
    rounded: bool = False  # whether times are rounded to the grid

    def numbers(self, times: np.ndarray) -> np.ndarray:
        """Returns the step numbers of times, int64 or datetime64, where they lie on the grid.

        Others get numbers whose `labels` differ from them.
        """
        units = to_units(times, self.unit) - self.offset
        return (units + (self.step // 2 if self.rounded else 0)) // self.step

    def labels(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the times of step numbers, int64 or datetime64, the inverse of `numbers`."""
        units = numbers * self.step + self.offset
        if self.unit == "B":
            return np.busday_offset("1970-01-01", units, roll="forward")
        times = units.astype(f"datetime64[{self.unit}]") if self.unit else units
        return month_days(times, self.day) if self.day else times

    def holds(self, times: np.ndarray) -> np.ndarray:
        """Returns for each time whether it lies on the grid."""
        if bool(self.unit) != (times.dtype.kind == "M"):
            return np.zeros(len(times), bool)
        labels = self.labels(self.numbers(times))
        if self.unit in ("M", "B"):  # the time of day does not count
            times = times.astype(labels.dtype)
        return np.full(len(times), True) if self.rounded else labels == times

    def periods(self, num_steps: int) -> list[int]:
        """Returns the usual periods in steps, of which a series of `num_steps` has at least three.

        These are the day, the week and the year, whatever are whole numbers of steps.
        """
        seconds = self.step / SECOND.get(self.unit, 1)
        if self.unit in ("", "B"):
            found = [5 / self.step, YEAR // 7 * 5 / self.step] if self.unit else []
        elif self.unit == "M":
            found = [12 / self.step]
        elif seconds == 7 * 86400:
            found = [52]
        else:
            found = [86400 / seconds, 7 * 86400 / seconds, YEAR * 86400 / seconds]
        found = [period for period in found if period == int(period) and 1 < period]
        return [int(period) for period in found if 3 * period <= num_steps]

    def __str__(self) -> str:
        """Names the step: "1 month (day 15)", "10 minutes", "1 business day"."""
        names = {"": "unit", "M": "month", "D": "day", "B": "business day", "h": "hour",
                 "m": "minute", "s": "second", "ms": "millisecond", "us": "microsecond"}
        count, unit = self.step, self.unit
        for finer, coarser, factor in (("us", "ms", 1000), ("ms", "s", 1000), ("s", "m", 60),
                                       ("m", "h", 60), ("h", "D", 24)):
            if unit == finer and count % factor == 0:
                count, unit = count // factor, coarser
        days = {0: "", 31: " (last day)", FIRST_WEEKDAY: " (first weekday)",
                LAST_WEEKDAY: " (last weekday)"}
        name = f"{count} {names[unit]}{'s' * (count > 1)}"
        return name + days.get(self.day, f" (day {self.day})")


def to_units(times: np.ndarray, unit: str) -> np.ndarray:
    """Returns times as int64 in NumPy's `unit`, or in business days since 1970."""
    if unit == "B":
        return np.busday_count("1970-01-01", times.astype("datetime64[D]"))
    return (times.astype(f"datetime64[{unit}]") if unit else times).astype(np.int64)


def month_days(months: np.ndarray, day: int) -> np.ndarray:
    """Returns a day of each month: its number, at most the last one, or the constants above."""
    first = months.astype("datetime64[D]")
    last = (months + 1).astype("datetime64[D]") - 1
    if day == FIRST_WEEKDAY:
        return np.busday_offset(first, 0, roll="forward")
    if day == LAST_WEEKDAY:
        return np.busday_offset(last, 0, roll="backward")
    return np.minimum(first + (day - 1), last)


def find_day(dates: np.ndarray) -> int:
    """Returns the day of the month that all dates have in common, 0 if there is none."""
    months = dates.astype("datetime64[M]")
    largest = int((dates - months.astype("datetime64[D]")).astype(int).max()) + 1
    for day in (31, largest, LAST_WEEKDAY, FIRST_WEEKDAY):
        if (month_days(months, day) == dates).all():
            return day
    return 0


def exact(times: np.ndarray, unit: str, day: int = 0) -> Grid:
    """Returns the grid whose step is the greatest common divisor of all differences in time."""
    units = to_units(times, unit)
    step = max(1, int(np.gcd.reduce(np.diff(units)))) if len(units) > 1 else 1
    return Grid(unit, step, int(units[0] % step), day)


def rounded(times: np.ndarray, unit: str, step: int) -> Grid:
    """Returns the grid of a given step that most times are nearest to."""
    units = to_units(times, unit)
    phases = (units - units[0] + step // 2) % step - step // 2
    return Grid(unit, step, int((units[0] + int(np.median(phases))) % step), rounded=True)


def coarser_grids(times: np.ndarray, unit: str) -> list[Grid]:
    """Returns grids to which irregular times might be rounded, the likeliest first."""
    usual = float(np.median(np.diff(to_units(times, unit))))
    steps = [round(seconds * SECOND[unit]) for seconds in NOMINAL if unit in SECOND]
    near = [step for step in steps if step > 1 and abs(step - usual) <= 0.1 * usual]
    near.sort(key=lambda step: abs(step - usual))
    grids = [rounded(times, unit, step) for step in [*near, round(usual)] if step > 1]
    months = [rounded(times, "M", step) for step in (3, 12)] if unit in SECOND else []
    return grids + months


def find_grid(times: np.ndarray) -> Grid:
    """Returns the grid with the fewest steps, no two of the times in one step.

    Args:
        times: int64 or datetime64, in ascending order.
    """
    unit = np.datetime_data(times.dtype)[0] if times.dtype.kind == "M" else ""
    grids = [exact(times, unit)]
    if len(times) == 1:
        return grids[0]
    if unit in SECOND:
        dates = times.astype("datetime64[D]")
        clocks = times - dates
        # With as many steps, the months of a common day come before days, other months after.
        grids.insert(0 if (day := find_day(dates)) else 1, exact(times, "M", day))
        if np.is_busday(dates).all() and (clocks == clocks[0]).all():
            grids.append(exact(times, "B"))

    def size(grid: Grid) -> float:
        numbers = grid.numbers(times)
        return numbers[-1] - numbers[0] + 1 if (np.diff(numbers) > 0).all() else np.inf

    best = min(grids, key=size)
    if size(best) > SPARSE * len(times):
        best = min([best, *coarser_grids(times, unit)], key=size)
    return best
