"""What all rows of a file say, kept small: words as codes, and sales that wait until all units and months are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analysis.estimate import Ints
from analysis.panel.file import ROWS_AT_ONCE, File

ROW = np.dtype(
    [("unit", np.int32), ("platform", np.int32), ("month", np.int32), ("day", np.int8), ("sales", np.float64)]
)


class Values:
    """Distinct values, in the order in which they appear: a value's code is its place among them.

    `known` are the values, `first` the positions of the first rows that hold them, block by block.
    """

    def __init__(self) -> None:
        self.known: Any = None
        self.first = list[Ints]()

    def code(self, values: Any, start: int) -> Ints:
        """Return the codes of a block of rows; values that are new get the next ones."""
        coded = values if isinstance(values, pa.DictionaryArray) else pa.array(values).dictionary_encode()
        found, indices = coded.dictionary, np.asarray(coded.indices)
        known = found[:0] if self.known is None else self.known
        codes = np.array(pc.index_in(found, known).fill_null(-1), dtype=np.int64)
        new = np.flatnonzero(codes < 0)
        codes[new] = len(known) + np.arange(len(new))
        self.known = pa.concat_arrays([known, found.take(pa.array(new))])
        self.first.append(start + np.searchsorted(np.maximum.accumulate(indices), new))  # a block's codes rise as well
        return np.asarray(codes[indices])

    def word(self, code: Any) -> str:
        """Return the value of a code."""
        return str(self.known[int(code)].as_py())

    def sort(self) -> Ints:
        """Put the values in order; return the new code of each."""
        order = np.asarray(pc.sort_indices(self.known)).astype(np.int64)
        self.known, self.first = self.known.take(pa.array(order)), [np.concatenate(self.first)[order]]
        return np.argsort(order)


@dataclass(frozen=True)
class Rows:
    """What the rows of a file say.

    `values` are the words of each column of text, in order, except that the labels of platforms are in the order in
    which they appear; `waiting` holds the sales, in memory or of a large file on disk; `first` and `last` are the
    months that the file covers whole.
    """

    file: File
    values: Mapping[str, Values]
    waiting: IO[bytes]
    first: int
    last: int

    def as_read(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the sales in the order of the rows, each with the codes of its unit and platform, its month and day."""
        self.waiting.seek(0)
        while content := self.waiting.read(ROW.itemsize * ROWS_AT_ONCE):
            yield np.frombuffer(content, ROW)

    def sales(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the sales by month: of months that are covered whole, a week in two months split by its days."""
        for row in self.as_read():
            if self.file.named.rows == "month":
                yield row
            else:
                parts = _split(row) if self.file.named.rows == "week" else row
                yield parts[(parts["month"] >= self.first) & (parts["month"] <= self.last)]

    def labels(self) -> list[str]:
        """Return the labels of the platforms that occur, by code."""
        return list(self.values["platform"].known.to_pylist())


def _split(row: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return weeks, and behind them what of each is in the next month, as of day 0."""
    month = row["month"].astype("datetime64[M]")
    days = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64) - row["day"] + 1
    here, rest = row.copy(), row[days < 7]
    here["sales"] *= np.minimum(days, 7) / 7
    rest["sales"] *= 1 - days[days < 7] / 7
    rest["month"] += 1
    rest["day"] = 0
    return np.concatenate([here, rest])
