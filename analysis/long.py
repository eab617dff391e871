"""Long data, a row per unit and period, as arrays; or refused, with the column and the label of the row.

Periods are whole numbers, pandas Periods, or dates and text such as 2021-05, which stand for their month.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.display import WORD, cut
from analysis.errors import DataError, DesignError
from analysis.estimate import Estimate, Floats, Ints

DATES = ("string", "date", "datetime", "datetime64")  # as pandas infers what a column holds
NAMES = 20  # of columns in a message


@dataclass(frozen=True, eq=False)
class Long:
    """A DataFrame whose rows are units in periods.

    Attributes
    ----------
    data : DataFrame
    unit, time : column
    code, place : int64[row]
        Numbers of the row's unit and period.
    units, periods : Index
        What these numbers stand for; periods have no gaps.
    start, frequency : int and str
        Number of the first period, and pandas' frequency, empty where periods are whole numbers.
    """

    data: pd.DataFrame
    unit: Hashable
    time: Hashable
    code: Ints
    place: Ints
    units: pd.Index
    periods: pd.Index
    start: int
    frequency: str

    @classmethod
    def of(cls, data: pd.DataFrame, unit: Hashable, time: Hashable) -> Long:
        """Read units and periods from a frame; refuse a row without either, a row that comes twice, and gaps."""
        ids, when = _column(data, unit, "unit"), _column(data, time, "time")
        _refuse(ids.isna(), ids, "the unit of each row", "name it, or leave the row out")
        number, frequency = _ordinals(when)
        _refuse(~np.isfinite(number), when, "the period of each row", "name it, or leave the row out")
        if not len(data):
            raise DataError(f"a row per {unit} and {time} was asked for; found no row; check what was filtered")
        code, units = pd.factorize(ids)
        start = int(number.min())
        place = (number - start).astype(np.int64)
        seen = np.unique(place)
        if (gaps := np.diff(seen) > 1).any():
            after, missing = _labels(start + seen[:-1][gaps][0] + np.arange(2), frequency)
            raise DataError(
                f"periods without gaps were asked for; column {time!r} has {after} and later ones, but no row of "
                f"{missing}; add its rows, write months as 2021-05, or number the periods in their order"
            )
        key = pd.Series(code * len(seen) + place)
        if (again := np.flatnonzero(key.duplicated())).size:
            twice = again[0]
            first, second = (_row(data.index, place) for place in (np.flatnonzero(key == key[twice])[0], twice))
            raise DataError(
                f"one row per {unit} and {time} was asked for; found {_told(units[code[twice]])} in "
                f"{when.iloc[twice]} in the rows {first} and {second}, and {len(again):,} such rows in all; add them "
                "up first (a date stands for its month: give Periods for days or weeks)"
            )
        periods = _labels(start + np.arange(len(seen)), frequency)
        return cls(data, unit, time, code, place, units, periods, start, frequency)

    def values(self, name: Hashable, what: str, *, whole: bool = False) -> Floats:
        """Return a column of numbers, float64[unit, time], with NaN where there is none; `whole` refuses these."""
        found = np.full((len(self.units), len(self.periods)), np.nan)
        found[self.code, self.place] = _numbers(_column(self.data, name, what))
        if whole and (missing := np.isnan(found)).any():
            unit, period = np.argwhere(missing)[0]
            raise DataError(
                f"column {name!r} for every {self.unit} in every {self.time} was asked for; found {missing.sum():,} of "
                f"{missing.size:,} values missing, the first that of {_told(self.units[unit])} in "
                f"{self.periods[period]}; leave such units out"
            )
        return found

    def constant(self, name: Hashable, what: str) -> npt.NDArray[Any]:
        """Return the one value of each unit, array[unit]: numbers for weights, and never missing."""
        column = self._first(name, what)
        _refuse(column.isna(), column, f"a value for each {self.unit}", "fill it in, or leave the unit out")
        return _numbers(column) if what == "weights" else column.to_numpy()

    def covariates(self, names: Any) -> dict[str, Floats]:
        """Return the one number of each unit in some columns, float64[unit] by name; NaN where it is missing."""
        several = [names] if isinstance(names, str) else [] if names is None else list(names)
        return {str(name): _numbers(self._first(name, "covariates")) for name in several}

    def _first(self, name: Hashable, what: str) -> pd.Series:
        """Return a column in the first row of each unit, of which no other row may differ."""
        column = _column(self.data, name, what)
        codes, first = pd.factorize(column)[0], np.unique(self.code, return_index=True)[1]
        differ = codes != codes[first][self.code]
        _refuse(differ, column, f"one value in all rows of each {self.unit}", "the first row of this one has another")
        return column.iloc[first]

    def dates(self, name: Hashable, anticipation: int = 0) -> Floats:
        """Return the first treated period of each unit, float64[unit], counted from the first; inf for never.

        Never treated are also units whose date is empty, or comes after the last period; with anticipation it must be
        well after.
        """
        column = self._first(name, "first_treated")
        column = column.mask([isinstance(one, str) and not one.strip() for one in column])
        number, frequency = _ordinals(column)
        dated = np.isfinite(number)
        if not frequency and self.start > 0:
            dated &= number != 0
        if dated.any() and frequency != self.frequency:
            kinds = " and ".join(one or "whole numbers" for one in (self.frequency, frequency))
            raise DataError(
                f"columns {self.time!r} and {name!r} in the same periods were asked for; found {kinds}, by the names "
                f"of pandas' frequencies; convert {name!r}"
            )
        place = np.where(dated, number - self.start, np.inf)
        late, width = dated & (place >= len(self.periods)), len(self.periods)
        if (soon := late & (place < width + anticipation)).any():
            raise DesignError(
                f"effects up to {anticipation} periods before treatment were allowed for; {soon.sum():,} units such as "
                f"{_told(self.units[soon][0])} are treated so soon after the last period, {self.periods[-1]}, that "
                "they are neither treated nor never treated; leave them out"
            )
        return np.where(late, np.inf, place)

    def switched_on(self, name: Hashable) -> Floats:
        """Return the first period in which a column is 1, float64[unit], inf for none; it must stay 1."""
        column = _column(self.data, name, "treated")
        _refuse(~np.isin(_numbers(column), (0, 1)), column, "0 or 1 in each row", "give one, or use first_treated")
        on = self.values(name, "treated", whole=True)
        ends = np.diff(on)[self.code, np.maximum(self.place - 1, 0)] * (self.place > 0) < 0
        do = "which follows a 1; a treatment that ends is not held"
        _refuse(ends, column, "1 from the first treated period on", do)
        return np.where(on.any(axis=1), on.argmax(axis=1), np.inf)

    def window(self, ends: Any, what: str) -> slice:
        """Return the periods from the first to the last of two, both included, as positions."""
        pair = list(ends) if isinstance(ends, Sequence) and not isinstance(ends, str) else []
        if len(pair) == 2:
            number, frequency = _ordinals(pd.Series(pair, name=what))
            first, last = number - self.start
            if frequency == self.frequency and 0 <= first <= last < len(self.periods):
                return slice(int(first), int(last) + 1)
        raise DesignError(
            f"the first and last period `{what}` were asked for; found {ends!r}, and column {self.time!r} runs from "
            f"{self.periods[0]} to {self.periods[-1]}; give two of its periods, the earlier first"
        )

    def named(self, found: Estimate, outcome: Hashable, *, cells: bool = False) -> Estimate:
        """Name an estimate's unit by the outcome and, where its terms are cells such as "g=5 t=7", these by periods."""
        found = replace(found, unit=found.unit.replace("units of y", f"units of {outcome}"))
        if not cells:
            return found
        place = np.array([[int(part[2:]) for part in term.split()] for term in found.terms]).reshape(-1, 2)
        group, time = (self.periods[column] for column in place.T)
        terms = tuple(f"g={one} t={other}" for one, other in zip(group, time, strict=True))
        columns = {"group": group, "time": time, "event_time": place[:, 1] - place[:, 0]}
        return replace(found, terms=terms, columns={**found.columns, **columns})


def _column(data: pd.DataFrame, name: Any, what: str) -> pd.Series:
    """Return the one column of this name."""
    names = list(data.columns)
    if isinstance(name, Hashable) and names.count(name) == 1:
        return data[name]
    close = get_close_matches(name, map(str, names)) if isinstance(name, str) and name not in names else []
    near = [one for one in names if str(one) in close]
    listed = ", ".join(map(_told, near or names[:NAMES]))
    found = f"{names.count(name)} of that name" if isinstance(name, Hashable) and name in names else "none of that name"
    raise DataError(
        f"one column as {what} was asked for, {what} = {_told(name)}; found {found}; "
        f"{'did you mean' if near else 'there are'} {listed}{'?' if near else ''}"
    )


def _refuse(wrong: Any, column: pd.Series, asked: str, do: str) -> None:
    """Refuse a column where some of its rows are wrong, and name the first."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        value, row = _told(column.iloc[rows[0]]), _row(column.index, rows[0])
        more = f", and {len(rows) - 1:,} more such rows" if len(rows) > 1 else ""
        raise DataError(f"column {column.name!r}: {asked} was asked for; found {value} in the row {row}{more}; {do}")


def _row(index: pd.Index, place: int) -> str:
    """Name a row by its label, or by its position where labels come twice."""
    return _told(index[place]) if index.is_unique else f"at position {place}"


def _told(value: Any) -> str:
    """Write a value or label; text in quotes."""
    return cut(repr(value) if isinstance(value, str) else str(value), WORD)


def _numbers(column: pd.Series, *, infinite: bool = False) -> Floats:
    """Return a column of numbers, NaN where it is missing; infinite ones only if these are allowed."""
    if not pd.api.types.is_numeric_dtype(column):
        other = ~column.map(lambda one: isinstance(one, Real) or bool(pd.isna(one))).to_numpy(bool)
        _refuse(other, column, "a number in each row", "convert the column to numbers, or leave it missing")
    found: Floats = column.to_numpy(float, na_value=np.nan)
    if not infinite:
        _refuse(np.isinf(found), column, "a finite number in each row", "correct it, or leave it missing")
    return found


def _ordinals(column: pd.Series) -> tuple[Floats, str]:
    """Return periods as numbers, NaN where they are missing, and their frequency; empty for whole numbers."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in DATES:
        dates = pd.to_datetime(column, format="ISO8601", errors="coerce")
        odd = dates.isna() & column.notna()
        _refuse(odd, column, "a month such as 2021-05 in each row", "write it so, or leave it missing")
        column = dates.dt.tz_localize(None).dt.to_period("M")
    elif kind != "period":
        found = _numbers(column, infinite=True)
        broken = np.isfinite(found) & (np.floor(found) != found)
        _refuse(broken, column, "a whole number in each row", "number the periods")
        return found, ""
    periods = pd.PeriodIndex(column)
    return np.where(periods.isna(), np.nan, periods.asi8), str(periods.freqstr)


def _labels(numbers: Any, frequency: str) -> pd.Index:
    """Return what the numbers of periods stand for."""
    return pd.PeriodIndex.from_ordinals(numbers, freq=frequency) if frequency else pd.Index(numbers)
