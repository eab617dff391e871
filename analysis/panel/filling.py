"""Fill the array of a panel, and what describes its firms, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from analysis.estimate import Bools, Floats
from analysis.panel.blocks import NEVER, Block, shown
from analysis.panel.coding import UNIT, Codes, Coding
from analysis.panel.columns import MONTH, NUMBER, TEXT, attributes, columns
from analysis.panel.translating import translated

_BY_ACCOUNT = (
    "give the month of the firm in all its rows, or where each account has its own write `closures: account` in a map"
)
_NOT_FILLED = ("provenance", "currency", "renamed_from")


@dataclass(frozen=True, eq=False)
class Filled:
    """What the rows of a file say.

    Attributes
    ----------
    sales : float64[firm, platform, month]
        0 where there is no row, NaN where the sales are given as not known.
    seen : bool[firm, platform, month]
        Whether there is a row.
    firms : DataFrame
        As in the panel.
    """

    sales: Floats
    seen: Bools
    firms: pd.DataFrame


def fill(coding: Coding, platforms: tuple[str, ...]) -> Filled:
    """Read the sales and the firms.

    Parameters
    ----------
    coding : Coding
    platforms : tuple of str
        Those allowed, in the order of the axis.

    Raises
    ------
    DataError
        When a value breaks the schema, a platform is not allowed, a key comes twice, an attribute differs within a
        firm, a firm was closed before the first month, or dose and closure do not go together.
    """
    shape = (len(coding.words[UNIT]), len(platforms), len(coding.months))
    sales, seen = np.zeros(shape), np.zeros(shape, dtype=bool)
    firms = _Firms(coding)
    for block, cell in _cells(coding, platforms, [name for name in coding.file.names if name not in _NOT_FILLED]):
        sales.reshape(-1)[cell] = block.numbers["sales"]
        seen.reshape(-1)[cell] = True
        firms.add(block, coding.firm_of_unit[cell // (shape[1] * shape[2])])
    if np.count_nonzero(seen) < coding.rows:
        _refuse_repeated(coding, platforms, seen.size)
    if "account" in coding.file.names:
        starts = np.searchsorted(coding.firm_of_unit, np.arange(len(coding.words["firm"])))
        sales, seen = np.add.reduceat(sales, starts), np.logical_or.reduceat(seen, starts)
    return Filled(sales, seen, firms.frame())


def _cells(coding: Coding, platforms: tuple[str, ...], names: list[str]) -> Iterator[tuple[Block, Codes]]:
    """Yield blocks with the position of each row in the flattened array."""
    axis = np.array(
        [platforms.index(word) if word in platforms else -1 for word in coding.words["platform"].to_pylist()]
    )
    for block in translated(coding.file, names):
        platform = axis[coding.codes(block, "platform")]
        block.refuse(platform < 0, "platform", f"one of {', '.join(platforms)}")
        month = block.months["month"] - coding.first
        yield block, (coding.codes(block, UNIT) * len(platforms) + platform) * len(coding.months) + month


def _refuse_repeated(coding: Coding, platforms: tuple[str, ...], size: int) -> None:
    """Raise a DataError for the first row whose key stands in an earlier one."""
    key = [str(name) for name in ("firm", "account", "platform", "month") if name in coding.file.names]
    row_of = np.zeros(size, dtype=np.int64)  # 0 is no row
    for block, cell in _cells(coding, platforms, key):
        rows = block.rows()
        _, earliest = np.unique(cell, return_index=True)
        fresh = earliest[row_of[cell[earliest]] == 0]
        row_of[cell[fresh]] = rows[fresh]
        again = row_of[cell] != rows
        if again.any():
            at = int(again.argmax())
            value = tuple(str(block.raw.column(name)[at].as_py()) for name in key)
            found = f"{value}, which stands in row {row_of[cell[at]]:,} already"
            columns_of_key = ", ".join(map(coding.file.layout.called, key))
            block.refuse(again, columns_of_key, "a key once", found, "remove one of the two rows, or correct its key")


class _Firms:
    """What describes the firms, gathered block by block and checked to be the same in all rows of a firm."""

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        count = len(coding.words["firm"])
        self._known = np.zeros(count, dtype=bool)
        self._values: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(count, dtype=np.float64 if columns()[name].kind == NUMBER else np.int64)
            for name in attributes()
            if name in coding.file.names
        }

    def add(self, block: Block, firm: Codes) -> None:
        """Take up the rows of a block, with the code of the firm of each."""
        self._check_closure(block)
        fresh = ~self._known[firm]
        for name, kept in self._values.items():
            given = self._given(block, name)
            kept[firm[fresh]] = given[fresh]
            expected = kept[firm]
            differs = (given != expected) & ~(np.isnan(given) & np.isnan(expected))
            if differs.any():
                at = int(differs.argmax())
                asked = f"one value for the firm {self._coding.words['firm'][firm[at]].as_py()!r}"
                found = f"{self._shown(name, given[at])}, where another row has {self._shown(name, expected[at])}"
                do = _BY_ACCOUNT if name == "closed_on" and "account" in block.texts else ""
                block.refuse(differs, name, asked, found, do)
        self._known[firm] = True

    def frame(self) -> pd.DataFrame:
        """Return one row per firm, in the order of their ids."""
        index = pd.Index(self._coding.words["firm"].to_pandas(), name="firm")
        frame = pd.DataFrame({name: self._typed(name) for name in self._values}, index=index)
        if "dose" not in frame:
            frame["dose"] = np.where(frame["closed_on"].notna(), 1.0, np.nan)
        if "risk" not in frame:
            frame["risk"] = np.nan
        return frame[attributes()]

    def _typed(self, name: str) -> Any:
        values, kind = self._values[name], columns()[name].kind
        if kind == TEXT:
            return self._coding.words[name].take(pa.array(values)).to_pandas().array
        return values if kind == NUMBER else values.astype("datetime64[M]").astype("datetime64[us]")

    def _shown(self, name: str, value: Any) -> str:
        kind = columns()[name].kind
        if kind == TEXT:
            return shown(self._coding.words[name][int(value)].as_py())
        if kind == MONTH:
            return shown(None if value == NEVER else str(np.datetime64(int(value), "M")))
        return shown(None if np.isnan(value) else float(value))

    def _given(self, block: Block, name: str) -> npt.NDArray[Any]:
        kind = columns()[name].kind
        if kind == TEXT:
            return self._coding.codes(block, name)
        return block.numbers[name] if kind == NUMBER else block.months[name]

    def _check_closure(self, block: Block) -> None:
        closed = block.months["closed_on"]
        early = (closed != NEVER) & (closed < self._coding.first)
        block.refuse(early, "closed_on", f"a closure in or after the first month, {self._coding.months[0]}")
        if "dose" in block.numbers:
            dosed = ~np.isnan(block.numbers["dose"])
            block.refuse((closed != NEVER) & ~dosed, "dose", "the dose of a closed firm")
            block.refuse((closed == NEVER) & dosed, "dose", "no dose of a firm without closed_on")
