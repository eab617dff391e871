"""Look through a file once: its words, coded once and in order, its months and the number of its rows."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import DataError
from analysis.panel.blocks import Block, typed
from analysis.panel.columns import TEXT, columns
from analysis.panel.files import File
from analysis.panel.problem import Problem
from analysis.panel.translating import translated

Codes = npt.NDArray[np.int64]

UNIT = "unit"
"""What has one row per platform and month: the firm, or the firm and its account."""

_BETWEEN = "\0"  # sorts before every character, so that units sort by firm, then by account


@dataclass(frozen=True)
class Coding:
    """What a file holds, before its sales are looked at.

    Attributes
    ----------
    file : File
    words : mapping of str to StringArray
        The distinct words of each column of text, and of the units, sorted; a code is a position in it.
    first, last : int
        Months since January 1970.
    rows : int
    """

    file: File
    words: Mapping[str, pa.StringArray]
    first: int
    last: int
    rows: int

    @property
    def months(self) -> pd.PeriodIndex:
        """The months, without gaps."""
        return pd.PeriodIndex.from_ordinals(np.arange(self.first, self.last + 1), freq="M", name="month")

    @cached_property
    def firm_of_unit(self) -> Codes:
        """Code of the firm of each unit, int64[unit], never falling."""
        firm = pc.list_element(pc.split_pattern(self.words[UNIT], _BETWEEN, max_splits=1), 0)
        return _positions(firm, self.words["firm"])

    def codes(self, block: Block, name: str) -> Codes:
        """Return the codes of a column of text, or of the units, in some rows."""
        coded = _unit(block) if name == UNIT else block.texts[name]
        code_of = _positions(coded.dictionary, self.words[name])
        return np.asarray(code_of[coded.indices.to_numpy()])

    def first_row(self, name: str, word: str) -> int:
        """Return the number of the first row with a word; it reads the file again."""
        for block in typed(self.file, [name]):
            found = pc.index(block.texts[name].dictionary_decode(), word).as_py()
            if found >= 0:
                return int(block.rows()[int(found)])
        raise AssertionError(f"{word!r} was seen in column {name} of {self.file.path}, which has changed since")


def look_through(file: File) -> Coding:
    """Code the words of a file.

    Raises
    ------
    DataError
        When the file has no row, or a word or month breaks the schema.
    """
    found: dict[str, _Words] = {}
    months: list[int] = []
    rows = 0
    texts = [name for name in file.names if columns()[name].kind == TEXT and name != "renamed_from"]
    for block in translated(file, [*texts, "month"]):
        units = {UNIT: _unit(block)} if "account" in block.texts else {}
        for name, coded in (block.texts | units).items():
            found.setdefault(name, _Words()).add(coded)
        if len(month := block.months["month"]):
            months += [int(month.min()), int(month.max())]
        rows += block.raw.num_rows
    if not rows:
        raise DataError(str(Problem(f"{file.path}", "rows of data", "a header alone", "export it again")))
    words = {name: gathered.ordered() for name, gathered in found.items()}
    return Coding(file, {UNIT: words["firm"]} | words, min(months), max(months), rows)


class _Words:
    """Distinct words of a column, gathered block by block; each is hashed a bounded number of times."""

    def __init__(self) -> None:
        self._gathered: list[pa.StringArray] = []
        self._limit = 1 << 20

    def add(self, coded: pa.DictionaryArray) -> None:
        self._gathered.append(coded.unique().dictionary_decode())
        if sum(map(len, self._gathered)) > self._limit:
            self._gathered = [pa.concat_arrays(self._gathered).unique()]
            self._limit = max(self._limit, 2 * len(self._gathered[0]))

    def ordered(self) -> pa.StringArray:
        words = pa.concat_arrays(self._gathered).unique()
        return words.take(pc.sort_indices(words))


def _unit(block: Block) -> pa.DictionaryArray:
    if "account" not in block.texts:
        return block.texts["firm"]
    parts = [block.texts[name].dictionary_decode() for name in ("firm", "account")]
    return pc.binary_join_element_wise(*parts, _BETWEEN).dictionary_encode()


def _positions(words: pa.StringArray, ordered: pa.StringArray) -> Codes:
    """Return where words stand in an ordered list; -1 for one that does not, in a dictionary that no row refers to."""
    least, most = pc.min_max(words).values()
    start = bisect.bisect_left(ordered, least.as_py(), key=lambda word: word.as_py())
    stop = bisect.bisect_right(ordered, most.as_py(), key=lambda word: word.as_py())
    found = pc.index_in(words, ordered.slice(start, stop - start))  # hashes only the part that the words span
    return np.asarray(pc.fill_null(pc.add(found, start), -1)).astype(np.int64)
