"""Read a DataFrame with one row per unit and period into arrays."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from difflib import get_close_matches
from numbers import Real
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from fewtreated.clusterings import with_pairs
from fewtreated.display import WORD, cut
from fewtreated.errors import DataError, DesignError, check_choice
from fewtreated.estimate import Bools, Floats, Ints

__dir__ = ["Long"].copy  # for tab completion

DATES = ("string", "date", "datetime", "datetime64")  # pandas' names of the types read as dates
NAMES = 20  # maximum number of column names in a message


class Long:
    """DataFrame with one row per unit and period.

    `code`, int64[row], indexes each row's unit in `units`, and `place` its cell in an array [unit,
    time], of which `seen` tells which have a row; `periods` have no gaps. `start` is the first
    period's ordinal; `frequency` is pandas' name, or "" for whole numbers.
    """

    def __init__(self, data: pd.DataFrame, unit: Hashable, time: Hashable) -> None:
        """Read the units and periods of a frame.

        Raise DataError for missing or repeated keys, or for gaps.
        """
        if not isinstance(data, pd.DataFrame):
            raise DesignError(
                f"Cannot read data of type {type(data).__name__}: pass a DataFrame, or arrays to"
                " fewtreated.arrays"
            )
        self.data = data
        self.unit = unit
        self.time = time
        ids = _column(data, unit, "unit")
        when = _column(data, time, "time")
        _refuse(ids.isna(), ids, "a unit in each row", "fill it in, or drop the row")
        ordinal, self.frequency = _ordinals(when)
        _refuse(~np.isfinite(ordinal), when, "a period in each row", "fill it in, or drop the row")
        if not len(data):
            raise DataError(
                f"Cannot use an empty frame: it needs one row per {unit} and {time}; check any"
                " filter"
            )
        self.code, self.units = _codes(ids)
        self.start = int(ordinal.min())
        position = (ordinal - self.start).astype(np.int64)
        # Of more periods than rows some are gaps, which may be far too many to count.
        if position.max() < len(ids):
            present = np.flatnonzero(np.bincount(position))
        else:
            present = np.unique(position)
        self.periods = _labels(self.start + np.arange(len(present)), self.frequency)
        self._check_gaps(present)
        self.seen = np.zeros((len(self.units), len(present)), dtype=bool)
        self.place = self.code * len(present) + position
        self.seen.ravel()[self.place] = True
        if self.seen.sum() < len(ids):
            do = "aggregate them first (dates are read as months: pass Periods for days or weeks)"
            _refuse(
                pd.Series(self.place).duplicated(keep=False),
                when,
                f"one row for each {unit} in a period",
                do,
            )

    def _check_gaps(self, present: Ints) -> None:
        """Raise DataError if there is a gap between the periods with rows, counted from 0."""
        if (gaps := np.diff(present) > 1).any():
            after, missing = _labels(
                self.start + present[:-1][gaps][0] + np.arange(2), self.frequency
            )
            raise DataError(
                f"Cannot read periods with gaps: column {self.time!r} has {after} and later"
                f" periods, but not {missing}; add rows for it, write months as 2021-05, or number"
                " the periods in order"
            )

    def values(self, name: Hashable, what: str, *, complete: bool = False) -> Floats:
        """Return a column of numbers as float64[unit, time], NaN if missing.

        With `complete`, missing numbers raise DataError instead.
        """
        values = np.full(self.seen.shape, np.nan)
        values.ravel()[self.place] = _numbers(_column(self.data, name, what))
        if complete and (missing := np.isnan(values)).any():
            unit, period = np.argwhere(missing)[0]
            raise DataError(
                f"Cannot use column {name!r}: {missing.sum():,} of {missing.size:,} values are"
                f" missing, first for {_quoted(self.units[unit])} in {self.periods[period]}; drop"
                " such units"
            )
        return values

    def constant(self, name: Hashable, what: str) -> npt.NDArray[Any] | None:
        """Return a column's value for each unit, array[unit].

        Raise DataError if it is missing or varies within a unit.

        Weights must also be numbers. Without a name, return None.
        """
        if name is None:
            return None
        column = self._first(name, what)
        _refuse(
            column.isna(), column, f"a value for each {self.unit}", "fill it in, or drop the unit"
        )
        return _numbers(column) if what == "weights" else column.to_numpy()

    def clusters(self, names: str | Sequence[Hashable] | None) -> dict[str, Any]:
        """Return each unit's cluster by column, array[unit]; None, by "", without names.

        Of two columns, the pairs of both are the third.
        """
        clusters: dict[str, Any] = {
            str(name): self.constant(name, "cluster") for name in _several(names)
        }
        return with_pairs(clusters) or {"": None}

    def covariates(self, names: str | Sequence[Hashable] | None) -> dict[str, Floats]:
        """Return each unit's values of the given covariates by name.

        Each is float64[unit], NaN if missing. Text and categories have a 0/1 column by the name
        ``"size=large"`` for each level but the first.
        """
        found: dict[str, Floats] = {}
        for name in _several(names):
            column = self._first(name, "covariates")
            if _is_factor(column):
                found |= {f"{name}={level}": is_in for level, is_in in _indicators(column)}
            else:
                found[str(name)] = _numbers(column)
        return found

    def absent(self, absent: Literal["zero", "missing"] | None, y: Floats) -> Bools:
        """Return which outcomes to set to zero, bool[unit, time]: those that are absent.

        An outcome is absent if it has no row, or if it is missing and so are all later ones of its
        unit, which has then left. `y`, float64[unit, time], is NaN if missing.

        Raise DesignError if units leave, and nothing is said about what that means.
        """
        if absent is not None:
            check_choice("absent", absent, ("zero", "missing"))
        observed = np.isfinite(y)
        exits = ~observed[:, -1] & observed.any(axis=1)
        left = np.zeros_like(observed)
        left[exits] = ~np.logical_or.accumulate(observed[exits, ::-1], axis=1)[:, ::-1]
        if absent is None and exits.any():
            last = self.periods[int(np.flatnonzero(observed[exits][0])[-1])]
            raise DesignError(
                f"Cannot tell what absent outcomes mean: those of {exits.sum():,} of"
                f" {len(exits):,} units end before {self.periods[-1]}, first those of"
                f' {_quoted(self.units[exits][0])} in {last}; pass absent="zero" if they had no'
                ' outcome then, or absent="missing" if it was not observed'
            )
        return (~self.seen | left) & (absent == "zero")

    def _first(self, name: Hashable, what: str) -> pd.Series:
        """Return a column's value in each unit's first row.

        Raise DataError if a unit's rows differ.
        """
        column = _column(self.data, name, what)
        first = np.empty(len(self.units), dtype=np.int64)
        first[self.code[::-1]] = np.arange(len(self.code))[::-1]
        if _plain(column):
            values = column.to_numpy()
        else:
            values = pd.factorize(column)[0]
        expected = values[first][self.code]
        differ = (values != expected) & ~(np.isnan(values) & np.isnan(expected))
        _refuse(
            differ,
            column,
            f"one value in all rows of each {self.unit}",
            "repeat the value of the first row",
        )
        return column.iloc[first]

    def dates(self, name: Hashable, anticipation: int = 0) -> Floats:
        """Return each unit's first treated period, counted from the first period.

        The result is float64[unit], inf if never treated.

        Units whose date is empty or after the last period are never treated. With anticipation, the
        date must be more than `anticipation` periods after the last.
        """
        column = self._first(name, "first_treated")
        if not pd.api.types.is_numeric_dtype(column):
            column = column.mask([isinstance(date, str) and not date.strip() for date in column])
        ordinal, frequency = _ordinals(column)
        zero = (ordinal == 0) & (not frequency)
        if zero.any() and self.start == 0:
            raise DesignError(
                f"Cannot tell what 0 means in column {name!r}: {zero.sum():,} units have it, such"
                f" as {_quoted(self.units[zero][0])}, and the first period is 0 too. If they were"
                " never treated, set it to NaN; if they were treated from the first period on, drop"
                " them: they have no untreated period"
            )
        dated = np.isfinite(ordinal) & ~(zero & (self.start > 0))
        if dated.any() and frequency != self.frequency:
            kinds = " and ".join(kind or "whole numbers" for kind in (self.frequency, frequency))
            raise DataError(
                f"Cannot compare columns {self.time!r} and {name!r}: their periods have the types"
                f" {kinds}; convert {name!r}"
            )
        position = np.where(dated, ordinal - self.start, np.inf)
        width = len(self.periods)
        if (soon := dated & (position >= width) & (position < width + anticipation)).any():
            raise DesignError(
                f"Cannot allow for {anticipation} periods of anticipation: {soon.sum():,} units,"
                f" such as {_quoted(self.units[soon][0])}, are treated too soon after the last"
                f" period, {self.periods[-1]}, to count as treated or as never treated; drop them"
            )
        return np.where(position < width, position, np.inf)

    def switched_on(self, name: Hashable) -> Floats:
        """Return each unit's first period with a 1.

        The result is float64[unit], or inf if there is none. Raise DataError if a 0 follows.
        """
        column = _column(self.data, name, "treated")
        _refuse(~np.isin(_numbers(column), (0, 1)), column, "0 or 1 in each row", "correct it")
        on = self.values(name, "treated", complete=True)
        ends = np.diff(on, axis=1, prepend=0).ravel()[self.place] < 0
        _refuse(
            ends,
            column,
            "1 from the first treated period onwards",
            "drop units whose treatment ends",
        )
        return np.where(on.any(axis=1), on.argmax(axis=1), np.inf)

    def sums(self, name: Hashable, before: Any, after: Any) -> tuple[Floats, Floats]:
        """Return a column's sums over two windows, float64[unit] each.

        Raise DesignError if the windows overlap.
        """
        first = self.window(before, "before")
        second = self.window(after, "after")
        if first.stop > second.start:
            raise DesignError(
                f"Cannot compare before = {before} with after = {after}: it must end before these"
                " begin; move one"
            )
        values = self.values(name, "outcome")
        return values[:, first].sum(axis=1), values[:, second].sum(axis=1)

    def window(self, ends: Any, what: str) -> slice:
        """Return the slice of periods between two ends, both included."""
        if isinstance(ends, Sequence) and not isinstance(ends, str):
            pair = list(ends)
        else:
            pair = []
        if len(pair) == 2:
            ordinal, frequency = _ordinals(pd.Series(pair, name=what))
            first, last = ordinal - self.start
            if frequency == self.frequency and 0 <= first <= last < len(self.periods):
                return slice(int(first), int(last) + 1)
        raise DesignError(
            f"Cannot use {what} = {ends!r}: column {self.time!r} runs from {self.periods[0]} to"
            f" {self.periods[-1]}; pass a first and a last period within this range"
        )


def _column(data: pd.DataFrame, name: Any, what: str) -> pd.Series:
    """Return the column with the given name; raise DataError if it is missing or repeated."""
    names = list(data.columns)
    known = isinstance(name, Hashable)
    if (count := names.count(name) if known else 0) == 1:
        return data[name]
    if isinstance(name, str) and not count:
        close = get_close_matches(name, map(str, names))
    else:
        close = []
    near = [column for column in names if str(column) in close]
    listed = ", ".join(map(_quoted, near or names[:NAMES]))
    if known and name is not None and name in data.index.names:
        raise DataError(
            f"Cannot read {what} = {_quoted(name)}: it is in the index; pass data.reset_index()"
        )
    raise DataError(
        f"Cannot read {what} = {_quoted(name)}: the frame has {count or 'no'} columns with that"
        f" name; {'did you mean' if near else 'it has'} {listed}{'?' if near else ''}"
    )


def _codes(column: pd.Series) -> tuple[Ints, pd.Index]:
    """Give each value a number in order of appearance.

    There is one look-up for each run of equal numbers.
    """
    if not _plain(column):
        code, labels = pd.factorize(column)
        return code, labels
    values = column.to_numpy()
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    code, labels = pd.factorize(values[starts])
    return np.repeat(code, np.diff(np.append(starts, len(values)))), pd.Index(labels)


def _plain(column: pd.Series) -> bool:
    """Return whether a column is an array of numbers."""
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf"


def _several(names: Any) -> Sequence[Hashable]:
    """Return one name, several, or None as a list of names."""
    if names is None:
        return []
    if isinstance(names, list | tuple | pd.Index):
        return names
    return [names]


def _refuse(wrong: Any, column: pd.Series, needs: str, do: str) -> None:
    """Raise DataError if any row is invalid; the message identifies the first one.

    The row is identified by its label, or by its position if labels repeat.
    """
    rows = np.flatnonzero(wrong)
    if len(rows):
        if column.index.is_unique:
            row = _quoted(column.index[rows[0]])
        else:
            row = f"at position {rows[0]}"
        value = _quoted(column.iloc[rows[0]])
        if len(rows) > 1:
            more = f", and {len(rows) - 1:,} more are wrong"
        else:
            more = ""
        raise DataError(
            f"Cannot use column {column.name!r}: it needs {needs}, but row {row} has {value}{more};"
            f" {do}"
        )


def _quoted(value: Any) -> str:
    """Format a value or label, quoting text."""
    return cut(repr(value) if isinstance(value, str) else str(value), WORD)


def _numbers(column: pd.Series, *, infinite: bool = False) -> Floats:
    """Return a column as numbers, NaN if missing.

    Raise DataError for text and, unless allowed, for infinite values.
    """
    if not pd.api.types.is_numeric_dtype(column):
        other = ~column.map(lambda value: isinstance(value, Real) or bool(pd.isna(value))).to_numpy(
            bool
        )
        _refuse(
            other,
            column,
            "a number in each row",
            "convert the column to numbers, or set the cell to NaN",
        )
    values: Floats = column.to_numpy(float, na_value=np.nan)
    _refuse(
        not infinite and np.isinf(values),
        column,
        "a finite number in each row",
        "correct it, or set it to NaN",
    )
    return values


def _is_factor(column: pd.Series) -> bool:
    """Return whether a column holds text or categories."""
    categories = isinstance(column.dtype, pd.CategoricalDtype)
    return categories or pd.api.types.infer_dtype(column, skipna=True) == "string"


def _indicators(column: pd.Series) -> Iterator[tuple[Any, Floats]]:
    """Yield each level of a factor but the first, and which rows have it, NaN if missing."""
    factor = column.astype("category").cat.remove_unused_categories()
    levels = factor.cat.categories
    for level in levels[1:] if len(levels) > 1 else levels:
        is_level = (factor == level).to_numpy(float)
        is_level[factor.isna()] = np.nan
        yield level, is_level


def _ordinals(column: pd.Series) -> tuple[Floats, str]:
    """Convert periods to ordinals; also return their frequency, or "" for whole numbers.

    Ordinals are NaN for missing periods.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in DATES:
        dates = pd.to_datetime(column, format="ISO8601", errors="coerce")
        odd = dates.isna() & column.notna()
        _refuse(
            odd,
            column,
            "a month such as 2021-05 in each row",
            "write it that way, or leave it empty",
        )
        plain = pd.Series(pd.DatetimeIndex(dates), index=dates.index)  # Arrow's have no periods
        column = plain.dt.tz_localize(None).dt.to_period("M")
    elif kind != "period":
        if kind == "integer" and isinstance(column.dtype, np.dtype):
            return column.to_numpy(float), ""
        values = _numbers(column, infinite=True)
        _refuse(
            np.isfinite(values) & (np.floor(values) != values),
            column,
            "a whole number in each row",
            "number them",
        )
        return values, ""
    periods = pd.PeriodIndex(column)
    return np.where(periods.isna(), np.nan, periods.asi8), str(periods.freqstr)


def _labels(ordinals: Any, frequency: str) -> pd.Index:
    """Convert ordinals to periods."""
    if frequency:
        return pd.PeriodIndex.from_ordinals(ordinals, freq=frequency)
    return pd.Index(ordinals)
