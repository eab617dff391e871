"""Where the columns of the schema stand in a file: under our names or others, months in rows or in columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from analysis.config import Map, as_month
from analysis.errors import DataError
from analysis.panel.columns import columns
from analysis.panel.problem import Problem

EXCEL_SERIAL = re.compile(r"[2-6][0-9]{4}(\.[0-9]+)?")
_EXCEL_DAY_0 = np.datetime64("1899-12-30")
_SPREAD = ("month", "sales")


@dataclass(frozen=True)
class Layout:
    """Their column for each of ours.

    Attributes
    ----------
    theirs : mapping of str to str
        Ours and theirs; several of ours may stand in one of theirs.
    months : mapping of str to str
        Where months are columns: their column of sales, and its month YYYY-MM. Empty where months are rows.
    ignored : int
        Columns of the file that the map does not name.
    """

    theirs: Mapping[str, str]
    months: Mapping[str, str] = field(default_factory=dict)
    ignored: int = 0

    @property
    def names(self) -> list[str]:
        """Our columns that the file has."""
        return [*self.theirs, *(_SPREAD if self.months else ())]

    @property
    def months_a_row(self) -> int:
        """Number of months in one row of the file."""
        return max(1, len(self.months))

    def needed(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return the columns of the file that hold some of ours, each with what of ours it holds."""
        found: dict[str, list[str]] = {}
        for name in names:
            if not self.months or name not in _SPREAD:
                found.setdefault(self.theirs[name], []).append(name)
        if self.months and ("sales" in names or not found):
            found |= {theirs: ["sales"] for theirs in self.months}
        return found

    def called(self, name: str, position: int | None = None) -> str:
        """Return what messages call one of our columns, where months are columns at a position in the spread rows."""
        if self.months and name in _SPREAD:
            if position is None:
                return name
            theirs = list(self.months)[position % len(self.months)]
        else:
            theirs = self.theirs.get(name, name)
        return name if theirs == name else f"{theirs!r} ({name})"

    def ours(self, batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
        """Return rows of the file as columns of ours; where months are columns, one row per month."""
        if not self.months:
            return pa.record_batch([batch.column(self.theirs[name]) for name in names], names=list(names))
        every = np.repeat(np.arange(batch.num_rows), len(self.months))
        found = [
            self._spread(batch, name) if name in _SPREAD else batch.column(self.theirs[name]).take(pa.array(every))
            for name in names
        ]
        return pa.record_batch(found, names=list(names))

    def _spread(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        rows, months = batch.num_rows, len(self.months)
        if name == "month":
            codes = np.tile(np.arange(months, dtype=np.int32), rows)
            return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(self.months.values()), pa.string()))
        parts = [batch.column(theirs) for theirs in self.months]
        kinds = {part.type for part in parts} - {pa.null()}
        if len(kinds) > 1:  # Parquet columns of whole numbers beside others
            kinds = {pa.float64()} if all(map(_numeric, kinds)) else {pa.string()}
        together = pa.concat_arrays([part.cast(kind) for part in parts for kind in kinds or {pa.float64()}])
        by_row = np.arange(rows)[:, np.newaxis] + rows * np.arange(months)
        return together.take(pa.array(by_row.ravel()))


def plain(header: Sequence[str]) -> Layout:
    """Return the layout of a file in our own columns."""
    return Layout(dict(zip(header, header, strict=True)))


def lay_out(header: Sequence[str], named: Map, where: str) -> Layout:
    """Find our columns in the header of a file.

    Raises
    ------
    DataError
        When the file lacks a column that the map names, has it twice, or the months of wide columns cannot be read.
    """
    theirs = {name: name for name in columns() if name in header} | dict(named.columns)
    for name, column in theirs.items():
        if header.count(column) != 1:
            found = f"{header.count(column)} of that name" if column in header else f"the columns {', '.join(header)}"
            asked = f"one column {column!r}, which {named.path} says is {name}"
            raise DataError(str(Problem(where, asked, found, f"correct `columns` in {named.path}")))
    months = _wide_months(header, named, set(theirs.values()), where) if named.wide else {}
    if months and (both := [name for name in _SPREAD if name in theirs]):
        asked, found = "months in columns, as `wide` says", f"the column {theirs[both[0]]!r} of {both[0]} as well"
        raise DataError(str(Problem(where, asked, found, f"remove `wide` or this column from {named.path}")))
    return Layout(theirs, months, len(set(header) - set(theirs.values()) - set(months)))


def serial_date(word: str) -> str:
    """Return the date that an Excel serial number stands for."""
    return str(_EXCEL_DAY_0 + np.timedelta64(int(float(word)), "D"))


def _numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _wide_months(header: Sequence[str], named: Map, taken: set[str], where: str) -> dict[str, str]:
    assert named.wide is not None
    prefix, pattern = named.wide.prefix, named.wide.format
    asked = f"columns of sales called {prefix}MONTH, the month as {pattern}"
    found: dict[str, str] = {}
    for column in header:
        if column in taken or not column.startswith(prefix):
            continue
        rest = column[len(prefix) :]
        month = as_month(rest, pattern)
        if month is None and not prefix and not EXCEL_SERIAL.fullmatch(rest):
            continue  # without a prefix any other column may stand beside the months
        if month is None:
            serial = f", an Excel serial number ({serial_date(rest)})" if EXCEL_SERIAL.fullmatch(rest) else ""
            do = f"rename the column, or correct `wide` in {named.path}"
            raise DataError(str(Problem(where, asked, f"the column {column!r}{serial}", do)))
        if month in found.values() or header.count(column) > 1:
            raise DataError(str(Problem(where, asked, f"the month {month} twice ({column!r})", "remove one column")))
        found[column] = month
    if not found:
        raise DataError(str(Problem(where, asked, "none of these", f"correct `wide` in {named.path}")))
    return found
